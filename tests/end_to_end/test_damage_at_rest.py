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

from sensors.observation import Snapshot
from storage.errors import StorageError
from storage.journal.entry import Entry
from storage.store import Store
from tests.end_to_end.damage import picture, snapshot
from tests.end_to_end.harness import ROOT
from tests.end_to_end.lives import (
    FLEET,
    LIVES,
    NAME,
    START_NS,
    chosen,
    inspection,
    lived,
    observe,
    running,
)
from tests.end_to_end.traffic import Traffic, key
from tests.end_to_end.verdict import findings
from tests.storage.conftest import flip
from twin.api.application import application
from twin.archive import recovery
from twin.archive.checkpoint import tensors
from twin.archive.rebuild import rebuild
from twin.archive.recovery import recovered
from twin.archive.salvage import salvaged
from twin.archive.verify import checked
from twin.belief.fleet import clock_of
from twin.belief.lines import observed
from twin.service import Service

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
        [sys.executable, "-m", "twin.commands.cli", *words, "--config", str(config)],
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


@pytest.mark.parametrize("harm", [bit, cut, gone])
@pytest.mark.parametrize("name", ["zarr.json", "time/c/0", "component/c/0"])
def test_a_trajectory_without_its_axes_gets_them_back_from_their_copies(
    data: Path, name: str, harm: Harm
) -> None:
    path = data / "trajectories.zarr" / "crack" / name
    whole = path.read_bytes()
    flip(path, path.stat().st_size // 2) if harm is bit else harm(path)
    assert any("crack" in text for text in problems(data))
    with Store(data) as store:
        found = recovered(store, clock_of(chosen(data)))
        assert any(str(path) in text for text in found.damage)
        assert found.replayed == 0
    assert path.read_bytes() == whole
    unharmed(data)


@pytest.mark.parametrize("name", ["zarr.json", "time/c/0", "component/c/0"])
async def test_without_copies_the_trajectory_is_set_aside_and_made_again(
    data: Path, name: str
) -> None:
    shutil.rmtree(data / "copies")
    cut(data / "trajectories.zarr" / "crack" / name)
    async with running(data) as service:
        assert any("quarantine" in text for text in service.damage)
    assert list((data / "quarantine").glob("crack.*"))
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
        assert "twin salvage" in said
    assert "Traceback" not in start.stderr
    salvage = command(data, "salvage")
    assert salvage.returncode == 0
    assert "lines 302 to 601 of the journal are lost and in no state" in salvage.stdout
    again = data.with_name("data.salvaged")
    with Store(again) as store:
        assert recovered(store, clock_of(chosen(again))).fleet.offset == 302
    assert checked(again)["problems"] == []
    assert any("lines 302 to 601" in text for text in checked(again)["losses"])


def lines(data: Path) -> list[Entry]:
    with Store(data) as store:
        return [e for _, part in store.journal.read(store.journal.start) for e in part]


def state(data: Path) -> dict[str, bytes]:
    with Store(data) as store:
        fleet = recovered(store, clock_of(chosen(data))).fleet
        return {name: leaf.tobytes() for name, leaf in tensors(fleet).items()}


def test_a_salvaged_store_that_lost_nothing_is_the_same(data: Path) -> None:
    journal = data / "journal.sqlite"
    before = journal.read_bytes()
    expected = lines(data), state(data)
    journal.write_bytes(b"not a database at" + before[17:])
    assert "twin salvage" in command(data, "serve").stderr.replace("\n", " ")
    assert command(data, "salvage").returncode == 0
    again = data.with_name("data.salvaged")
    assert (lines(again), state(again)) == expected
    with Store(again) as store:
        assert store.journal.append([observed(inspection(3))], now_ns=1).outcomes == ["duplicate"]
    unharmed(again)


def test_a_journal_that_is_gone_leaves_the_state_of_the_newest_checkpoint(data: Path) -> None:
    expected = state(data)
    (data / "journal.sqlite").unlink()
    assert "twin salvage" in command(data, "serve").stderr.replace("\n", " ")
    report = salvaged(data, None)
    again = data.with_name("data.salvaged")
    assert report["lines_lost"] == sum(LIVES) + len(FLEET)
    assert state(again) == expected
    with Store(again) as store:
        assert store.trajectories.committed("crack") == sum(LIVES) - 1
        assert store.journal.start == store.journal.end == sum(LIVES) + len(FLEET)


async def test_a_bad_line_of_long_ago_is_passed_over_and_told(data: Path) -> None:
    """An image has the service look through its journal: that ended every start."""
    async with running(data) as service:
        await image(service)
    journal, early = data / "journal.sqlite", struct.pack(">d", inspection(50).crack_length)
    flip(journal, journal.read_bytes().index(early) + 3)
    async with running(data) as service:
        async with asyncio.timeout(10):
            while not any("cannot be read" in text for text in service.damage):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert service.is_recovered
        await observe(service, [sum(LIVES)])
    assert any("do not match their checksum" in text for text in problems(data))


async def image(service: Service) -> None:
    """Let a service keep an image."""
    sha256 = service.store.images.put(picture(1))
    snapshot = Snapshot(
        component=NAME, source="camera", boot=1, seq=1, t_ns=START_NS, sha256=sha256,
        kind="crack", media_type="image/png", width=48, height=32, pixel_size=1e-4,
    )  # fmt: skip
    await service.observe(snapshot)


@pytest.mark.parametrize("harm", [bit, cut, gone])
async def test_a_damaged_open_shard_behind_retention_leaves_the_state_and_starts(
    data: Path, harm: Harm
) -> None:
    """The history of the open shard is gone, and told; the checkpoint is not discarded."""
    expected = state(data)
    with Store(data) as store:
        store.keep_checkpoints(1)  # all those that there are share the open shard
        while store.journal.prune(150):
            pass
        assert store.journal.start > 0
    harm(data / SHARD.format(sum(LIVES) // 256))
    async with running(data) as service:
        assert any("rows 512 to 598 of the history" in text for text in service.damage)
        assert service.is_recovered
        await observe(service, range(sum(LIVES), sum(LIVES) + 5))
    assert list((data / "quarantine").iterdir())
    with Store(data) as store:
        found = recovered(store, clock_of(chosen(data)))
        assert (found.damage, found.fleet.offset) == ([], sum(LIVES) + len(FLEET) + 5)
        assert found.fleet.rows == 512 + 5
        assert [loss for loss in store.journal.catalogue.losses() if "rows 512" in loss.sentence]
    assert state(data).keys() == expected.keys()
    assert problems(data) == []


async def test_acknowledged_lines_that_are_gone_are_told(data: Path) -> None:
    """The log of a service that was killed is removed; its last commits were in it alone."""
    killed = data.with_name("killed")
    async with running(data) as service:
        await observe(service, range(sum(LIVES), sum(LIVES) + 20))
        shutil.copytree(data, killed)
    (killed / "journal.sqlite-wal").unlink()
    first = sum(LIVES) + len(FLEET)
    gone = f"lines {first} to {first + 19} were acknowledged and are gone"
    assert any(gone in text for text in problems(killed))
    async with running(killed) as service:
        assert any(gone in text for text in service.damage)
        outcomes = await observe(service, range(sum(LIVES), sum(LIVES) + 20))
        assert set(outcomes) == {"accepted"}  # sent again
    with Store(killed) as store:
        assert store.damage == []
    assert any(gone in text for text in checked(killed)["losses"])


async def test_a_log_whose_loss_a_checkpoint_knows_better_refuses_the_start(data: Path) -> None:
    """It would give up the state of that checkpoint; salvage goes on from it."""
    killed = data.with_name("killed")
    async with running(data) as service:
        await observe(service, range(sum(LIVES), sum(LIVES) + 20))
        async with service.archiver.still():
            await service.archiver._checkpoint(
                service.fleet, service.clock, service.threads.journalling
            )
        shutil.copytree(data, killed)
    expected = state(data)
    (killed / "journal.sqlite-wal").unlink()
    assert "twin salvage" in command(killed, "serve").stderr.replace("\n", " ")
    salvaged(killed, None)
    assert state(killed.with_name("killed.salvaged")) == expected


def test_check_creates_and_changes_nothing(data: Path) -> None:
    cut(data / "trajectories.zarr" / "crack" / "time" / "c" / "0")
    (data / "trajectories.zarr" / "zarr.json").unlink()
    (data / "lock").unlink()
    before = snapshot(data)
    assert len(problems(data)) >= 2
    assert snapshot(data) == before


def test_an_image_that_is_gone_is_found(data: Path) -> None:
    async def with_image() -> None:
        async with running(data) as service:
            await image(service)

    asyncio.run(with_image())
    (path,) = (data / "images").glob("??/*")
    path.unlink()
    assert [text for text in problems(data) if path.name in text] != []
