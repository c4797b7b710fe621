"""Damaged bytes are found and told, rebuilt from the journal where it can be, and never served."""

from __future__ import annotations

import asyncio
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from storage.errors import CorruptError, StorageError
from storage.store import Store
from tests.end_to_end.harness import ROOT
from tests.end_to_end.lives import FLEET, LIVES, NAME, START_NS, chosen, inspection, lived, running
from tests.end_to_end.traffic import Traffic, key
from tests.end_to_end.verdict import findings
from tests.storage.conftest import flip
from twin import recovery
from twin.api.application import application
from twin.checking import checked
from twin.fleet import clock_of
from twin.lines import observed
from twin.rebuilding import rebuild
from twin.recovery import recovered

CONFIG = """\
[storage]
directory = "{data}"
record_every_s = 1.0
[ingest]
lateness_s = 0.0
"""
SHARD = "trajectories.zarr/crack/crack_length/c/{}/0"

Harm = Callable[[Path], None]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory after three lives: three checkpoints, two closed shards and an open one."""
    data = tmp_path_factory.mktemp("damage") / "data"
    asyncio.run(lived(data))
    return data


@pytest.fixture
def data(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "data"))


def traffic() -> Traffic:
    """What was sent in the three lives."""
    sent = Traffic([], seed=0, start_ns=START_NS)
    entries = [observed(inspection(i)) for i in range(sum(LIVES))]
    sent.sent |= {key(entry): entry for entry in entries}
    return sent


def command(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What a `twin` command says about a directory."""
    config = data.parent / "twin.toml"
    config.write_text(CONFIG.format(data=data))
    return subprocess.run(
        [sys.executable, "-m", "twin.cli", *words, "--config", str(config)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def problems(data: Path) -> list[str]:
    """What a check complains about."""
    try:
        return list(checked(data)["problems"])
    except StorageError as exc:  # also a report, if a short one
        return [str(exc)]


def newest_checkpoint(data: Path) -> Path:
    return max((data / "checkpoints").iterdir())


def bit(path: Path) -> None:
    """Flip a bit where the file holds something that is read."""
    flip(path, 100)


def cut(path: Path) -> None:
    """Keep only the first half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def gone(path: Path) -> None:
    path.unlink()


def unharmed(data: Path) -> None:
    """All that was sent is kept, recorded and believed, with nothing to replay."""
    found = findings(data, traffic(), clock_of(chosen(data)))
    assert (found.faults, found.damage, found.replayed) == ([], [], 0)
    assert found.committed == found.rows == sum(LIVES) - 1  # the first evidence opens the record


def test_an_unharmed_directory_needs_no_replay(data: Path) -> None:
    unharmed(data)


@pytest.mark.parametrize("harm", [bit, cut, gone])
def test_a_damaged_checkpoint_is_told_and_the_one_before_it_serves(data: Path, harm: Harm) -> None:
    path = newest_checkpoint(data)
    harm(path)
    found = findings(data, traffic(), clock_of(chosen(data)))
    assert [text for text in found.damage if path.stem in text] == found.damage != []
    assert found.replayed == LIVES[-1]
    assert [fault for fault in found.faults if path.stem not in fault] == []  # `verify` names it


def test_without_any_checkpoint_everything_is_folded_again(data: Path) -> None:
    for path in (data / "checkpoints").iterdir():
        cut(path)
    found = findings(data, traffic(), clock_of(chosen(data)))
    assert len(found.damage) == len(LIVES)
    assert found.replayed == sum(LIVES) + len(FLEET)
    assert [fault for fault in found.faults if "checkpoint" not in fault] == []


def test_a_long_replay_writes_again_what_is_on_disk_already(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It flushes on the way, and never a part of a block that is there as a whole."""
    monkeypatch.setattr(recovery, "LINES_A_FOLD", LIVES[0] + LIVES[1])
    monkeypatch.setattr(recovery, "FLUSH_ROWS", 280)
    for path in (data / "checkpoints").iterdir():
        path.unlink()
    found = findings(data, traffic(), clock_of(chosen(data)))
    assert [fault for fault in found.faults if "checkpoint" not in fault] == []


@pytest.mark.parametrize("harm", [bit, cut, gone])
async def test_a_damaged_open_shard_is_told_and_written_again(data: Path, harm: Harm) -> None:
    path = data / SHARD.format(sum(LIVES) // 256)
    harm(path)
    async with running(data) as service:
        assert any(str(path) in text for text in service.damage)
    unharmed(data)


@pytest.mark.parametrize("harm", [bit, cut, gone])
async def test_a_damaged_closed_shard_is_not_served_and_can_be_rebuilt(
    data: Path, harm: Harm
) -> None:
    path = data / SHARD.format(0)
    harm(path)
    async with running(data) as service:
        transport = httpx.ASGITransport(application(service))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            whole = await http.get(f"/api/v1/components/{NAME}/history")
            now = await http.get(f"/api/v1/components/{NAME}/state")
    assert whole.status_code == 503
    assert whole.headers["content-type"] == "application/problem+json"
    assert "crack_length/c/0/0" in whole.json()["detail"]
    assert now.status_code == 200
    assert any(str(path) in text for text in problems(data))
    rebuild(chosen(data), data, None)
    unharmed(data)


@pytest.mark.parametrize("name", ["zarr.json", "time/c/0", "component/c/0"])
def test_a_trajectory_without_its_axes_refuses_the_start_and_can_be_rebuilt(
    data: Path, name: str
) -> None:
    path = data / "trajectories.zarr" / "crack" / name
    cut(path)
    with Store(data) as store, pytest.raises(CorruptError, match="crack"):
        recovered(store, clock_of(chosen(data)))
    assert any("crack" in text for text in problems(data))
    rebuild(chosen(data), data, None)
    unharmed(data)


def test_a_damaged_journal_page_behind_no_checkpoint_refuses_the_start(data: Path) -> None:
    for path in (data / "checkpoints").iterdir():
        path.unlink()
    journal = data / "journal.sqlite"
    last = struct.pack(">d", inspection(sum(LIVES) - 1).crack_length)
    flip(journal, journal.read_bytes().index(last) + 3)
    check, start = command(data, "check"), command(data, "serve")
    assert (check.returncode, start.returncode) == (1, 1)
    for said in (check.stdout, start.stderr.replace("\n", "")):  # a terminal's width breaks lines
        assert "journal.sqlite: entries 302 to 601 do not match their checksum" in said
    assert "Traceback" not in start.stderr
