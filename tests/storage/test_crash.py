"""Kills, power cuts and disks that lie: what was acknowledged is there, once."""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from storage.journal.journal import Journal
from storage.journal.wal import lost_commits
from tests.conftest import tool
from tests.storage.conftest import NOW, entry, flip, kept

ROOT = Path(__file__).parents[2]

# Appends batches of three for ever, every message twice, and says how many are durable.
WRITER = """
import sys
from itertools import pairwise
from pathlib import Path
from storage.journal.entry import Entry
from storage.journal.journal import Journal
journal = Journal(Path(sys.argv[1]))
seq = journal.end
while True:
    batch = [Entry("observation", "plant/press", "daq", 1, seq + i // 2, 0, bytes(300))
             for i in range(6)]
    seq += 3
    journal.append(batch, now_ns=0)
    print(journal.end, flush=True)
"""

# Appends while fsync fails and afterwards; the shim below obeys the file named in its environment.
FAILING = """
import os, sys
from pathlib import Path
from storage.journal.entry import Entry
from storage.errors import UnavailableError
from storage.journal.journal import Journal
journal = Journal(Path(sys.argv[1]))
first = [Entry("observation", "plant/press", "daq", 1, i, 0, b"x") for i in range(3)]
journal.append(first, now_ns=0)
again = [*first, Entry("observation", "plant/press", "daq", 1, 3, 0, b"x")]
trouble = Path(os.environ["TROUBLE"])
trouble.touch()
for _ in range(3):
    try:
        journal.append(again, now_ns=0)
        print("acknowledged")
    except UnavailableError:
        print("unavailable")
trouble.unlink()
print(*journal.append(again, now_ns=0).outcomes, journal.end)
"""

SHIM = """
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/syscall.h>
static int obey(long call, int fd) {
    if (access(getenv("TROUBLE"), F_OK) == 0) { errno = EIO; return -1; }
    return syscall(call, fd);
}
int fsync(int fd) { return obey(SYS_fsync, fd); }
int fdatasync(int fd) { return obey(SYS_fdatasync, fd); }
"""


def test_a_killed_writer_has_lost_nothing_that_it_acknowledged(path: Path) -> None:
    for commits in (1, 7, 30):
        command = [sys.executable, "-c", WRITER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as writer:
            assert writer.stdout is not None
            acknowledged = [int(next(writer.stdout)) for _ in range(commits)][-1]
            writer.send_signal(signal.SIGKILL)
            acknowledged = max([acknowledged, *map(int, writer.stdout.read().split())])
        with Journal(path) as journal:
            assert journal.end - acknowledged in (0, 3)  # committed, killed before it said so
            assert [e.seq for e in kept(journal)] == list(range(journal.end))
            assert journal.verify() == []


def test_a_failing_fsync_is_not_acknowledged_and_is_overcome(path: Path, tmp_path: Path) -> None:
    source, shim = tmp_path / "shim.c", tmp_path / "shim.so"
    source.write_text(SHIM)
    subprocess.run([tool("cc"), "-shared", "-fPIC", "-o", shim, source], check=True)
    environment = os.environ | {"LD_PRELOAD": str(shim), "TROUBLE": str(tmp_path / "trouble")}
    said = subprocess.run(
        [sys.executable, "-c", FAILING, str(path)],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert said == ["unavailable"] * 3 + ["duplicate duplicate duplicate accepted 4"]
    with Journal(path) as journal:
        assert [e.seq for e in kept(journal)] == [0, 1, 2, 3]


def log(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def copied(path: Path, to: Path) -> Path:
    """The journal as a power cut now would leave it, had everything been written so far."""
    to.mkdir()
    for file in (path, log(path)):
        shutil.copy(file, to)
    return to / path.name


def test_a_power_cut_takes_only_what_was_not_acknowledged(path: Path, tmp_path: Path) -> None:
    sizes = []
    with Journal(path) as journal:
        for seq in range(6):
            journal.append([entry(seq, body=bytes(5000))], now_ns=NOW)
            sizes.append(log(path).stat().st_size)
        image = copied(path, tmp_path / "cut")
    whole = log(image).read_bytes()
    for done, (size, following) in enumerate(pairwise(sizes), start=1):
        # The next commit was being written: some of it is there, in any order, or garbage.
        pages = (following - size) // 4120
        torn = bytearray(whole[:following])
        torn[size : size + 4120] = bytes(4120)
        for left in (*(whole[: size + 4120 * k + 77] for k in range(pages)), bytes(torn)):
            log(image).write_bytes(left)
            assert lost_commits(log(image)) <= 1
            with Journal(Path(shutil.copytree(image.parent, tmp_path / "x")) / image.name) as cut:
                assert [e.seq for e in kept(cut)] == list(range(done))
                assert cut.append([entry(done)], now_ns=NOW).first == done
                assert cut.verify() == []
            shutil.rmtree(tmp_path / "x")


def test_a_damaged_log_is_mended_and_told_rather_than_cut_short(path: Path, tmp_path: Path) -> None:
    with Journal(path) as journal:
        for seq in range(5):
            journal.append([entry(seq)], now_ns=NOW)
        image = copied(path, tmp_path / "cut")
    assert lost_commits(log(image)) == 0
    frame = 32 + 4120 * (log(image).stat().st_size // 4120 // 3)
    for position in (0, 9, 17, 25, frame + 1, frame + 9, frame + 17, frame + 24 + 2000):
        each = Path(shutil.copytree(image.parent, tmp_path / "each")) / image.name
        flip(log(each), position, bit=3)
        damaged = log(each).read_bytes()
        with Journal(each) as journal:
            assert [e.seq for e in kept(journal)] == list(range(5))
            assert any("the log" in text for text in journal.damage)
            assert journal.verify() == []
        (copy,) = (each.parent / "quarantine").iterdir()
        assert copy.read_bytes() == damaged
        shutil.rmtree(each.parent)


def test_the_log_is_judged_as_sqlite_judges_it(path: Path, tmp_path: Path) -> None:
    """Frames from before the log was last begun again are neither read nor missed."""
    with Journal(path) as journal:
        for seq in range(20):
            journal.append([entry(seq)], now_ns=NOW)
        journal.checkpoint_wal()
        journal.append([entry(20)], now_ns=NOW)  # over the first frames of the old log
        image = copied(path, tmp_path / "cut")
    assert lost_commits(log(image)) == 0
    with Journal(image) as journal:
        assert journal.end == 21


def test_no_log_or_an_empty_one_is_sound(tmp_path: Path) -> None:
    assert lost_commits(tmp_path / "none-wal") == 0
    for data in (b"", bytes(32), bytes(32 + 4120), struct.pack(">I", 0x377F0682)):
        (tmp_path / "some-wal").write_bytes(data)
        assert lost_commits(tmp_path / "some-wal") == 0
