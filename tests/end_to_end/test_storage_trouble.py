"""Disks that are full, fail or lose their power: nothing acknowledged is lost, work resumes."""

from __future__ import annotations

import itertools
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import pytest

from storage.journal.journal import Journal
from tests.brokers import Broker
from tests.conftest import tool
from tests.end_to_end.disk import Disk
from tests.end_to_end.harness import ROOT, Arrangement, Twin, subscribed
from tests.end_to_end.stream import Stream
from tests.end_to_end.test_nothing_lost import FLEET, NAMES, YESTERDAY_NS, grown
from tests.end_to_end.traffic import Traffic
from tests.end_to_end.verdict import findings

TMPFS_BYTES = 16 << 20


class Trouble(Protocol):
    """Something that a disk can have."""

    def begin(self, twin: Twin) -> None:
        """Let it come."""

    def end(self, twin: Twin) -> None:
        """Let it pass."""


class NoRoom:
    """A file system that somebody else fills to the brim."""

    def __init__(self, disk: Path) -> None:
        self._filler = disk / "filler"

    def begin(self, _: Twin) -> None:
        with self._filler.open("ab", buffering=0) as filler, suppress(OSError):
            for size in itertools.chain(itertools.repeat(65_536, 4096), itertools.repeat(1, 8192)):
                filler.write(bytes(size))

    def end(self, _: Twin) -> None:
        self._filler.unlink()


class NoGrowth:
    """A limit on the size of files, just where the journal's log ends; needs no privilege."""

    def begin(self, twin: Twin) -> None:
        size = (twin.data / "journal.sqlite-wal").stat().st_size
        resource.prlimit(twin.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def end(self, twin: Twin) -> None:
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(twin.pid, resource.RLIMIT_FSIZE, unlimited)


class NoFsync:
    """An fsync that fails."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def begin(self, _: Twin) -> None:
        self._disk.fail()

    def end(self, _: Twin) -> None:
        self._disk.heal()


@contextmanager
def small_disk(directory: Path, size: int = TMPFS_BYTES) -> Iterator[None]:
    """A file system of a few megabytes; skips where it may not be mounted."""
    directory.mkdir()
    command = [tool("mount"), "-t", "tmpfs", "-o", f"size={size}", "twin", str(directory)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    if said.returncode:  # a sandbox, or not root: the limit on files stands in for it
        pytest.skip(f"no file system can be mounted here: {said.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run([tool("umount"), "--lazy", str(directory)], check=True)


def journal_obeys(twin: Twin) -> bool:
    """What readiness says of the journal; the archive may have been the first to fail."""
    return bool(twin.get("/readyz").json()["checks"]["journal"])


def acknowledged(broker: Broker) -> int:
    """How many messages the service has acknowledged."""
    return broker.log.read_text(errors="replace").count("PUBACK from twin-under-test ")


def survive(directory: Path, trouble: Trouble, arrangement: Arrangement, data: Path) -> None:
    """A trouble comes in mid-stream and passes: no acknowledgement meanwhile, no loss at all."""
    traffic = Traffic(NAMES, seed=3, start_ns=YESTERDAY_NS)
    (directory / "broker").mkdir()
    with (
        Broker(directory / "broker") as broker,
        Twin(directory / "twin", broker.port, FLEET, arrangement, data=data) as twin,
    ):
        twin.start()
        twin.until(lambda: subscribed(broker), "subscribes")
        with Stream(broker.port, traffic, pause_s=0.1) as stream:
            grown(twin, 120)
            trouble.begin(twin)
            twin.until(lambda: twin.readiness() == 503, "says that it is not ready")
            assert twin.get("/healthz").status == 200
            twin.until(lambda: not journal_obeys(twin), "says that the journal is the reason")
            before, durable, sent = acknowledged(broker), twin.journal_end(), stream.published
            twin.until(lambda: stream.published > sent + 100, "is sent more")
            assert (acknowledged(broker), twin.journal_end()) == (before, durable)
            trouble.end(twin)
            twin.until(lambda: twin.readiness() == 200, "is ready again")
            grown(twin, 120)
            stream.finish()
        twin.until_kept(len(traffic.sent))
        twin.kill()
        assert findings(twin.data, traffic, twin.clock).faults == []
    assert twin.events("journal_unavailable")
    assert twin.events("journal_available")
    assert "Traceback" not in twin.log


def test_a_full_disk_stops_acknowledging_until_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk"):
        survive(tmp_path, NoRoom(tmp_path / "disk"), Arrangement(), tmp_path / "disk")


def test_files_that_may_not_grow_stop_acknowledging_until_they_may(tmp_path: Path) -> None:
    survive(tmp_path, NoGrowth(), Arrangement(), tmp_path / "data")


def test_a_failing_fsync_stops_acknowledging_until_it_obeys(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "disk")
    arrangement = Arrangement(environment=disk.environment)
    survive(tmp_path, NoFsync(disk), arrangement, tmp_path / "data")


# Writes with and without fsync, then ends without a word.
CARELESS = """
import os, sys
from pathlib import Path
from storage.durable import make_directory, write_whole
from storage.journal.entry import Entry
from storage.journal.journal import Journal
here = Path(sys.argv[1])
make_directory(here / "deep")
write_whole(here / "deep" / "kept", b"whole")
journal = Journal(here / "journal.sqlite")
for i in range(5):
    journal.append([Entry("observation", "a/b", "s", 1, i, 0, b"x")], now_ns=0)
(here / "deep" / "kept").write_bytes(b"overwritten, not synced")
(here / "deep" / "lost").write_bytes(b"never synced")
os._exit(0)
"""


def test_the_simulated_power_cut_takes_what_was_not_synced(tmp_path: Path) -> None:
    disk, data, after = Disk(tmp_path / "disk"), tmp_path / "data", tmp_path / "after"
    data.mkdir()
    disk.watch(data)
    command = [sys.executable, "-c", CARELESS, str(data)]
    subprocess.run(command, cwd=ROOT, env=os.environ | disk.environment, check=True)
    disk.survived(data, after)
    assert (after / "deep" / "kept").read_bytes() == b"whole"
    assert not (after / "deep" / "lost").exists()
    with Journal(after / "journal.sqlite") as journal:
        assert journal.end == 5


def test_a_power_cut_takes_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """All of the stream is there in the end, though the broker has forgotten what was taken."""
    traffic, disk = Traffic(NAMES, seed=4, start_ns=YESTERDAY_NS), Disk(tmp_path / "disk")
    data = tmp_path / "data"
    (tmp_path / "broker").mkdir()
    with (
        Broker(tmp_path / "broker") as broker,
        Twin(
            tmp_path / "twin",
            broker.port,
            FLEET,
            Arrangement(environment=disk.environment),
            data=data,
        ) as twin,
    ):
        data.mkdir()
        disk.watch(data)
        twin.start()
        twin.until(lambda: subscribed(broker), "subscribes")
        with Stream(broker.port, traffic, pause_s=0.1) as stream:
            for cut in range(2):
                grown(twin, 120)
                twin.kill()
                before = tmp_path / f"before-{cut}"
                data.rename(before)
                disk.survived(before, data)
                disk.watch(data)
                twin.start()
            stream.finish()
        twin.until_kept(len(traffic.sent))
        flushed = "twin_flush_last_success_timestamp_seconds"
        twin.until(lambda: twin.metric(flushed) > 0.0, "flushes")
        twin.kill()
        found = findings(twin.data, traffic, twin.clock)
        assert (found.faults, found.damage) == ([], [])
        assert found.committed > 0
