"""Damaged bytes are found and told, rebuilt from the journal where it can be, and never served."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from sensors.observation import Inspection
from storage.errors import CorruptError, StorageError
from storage.store import Store
from tests.end_to_end.harness import ROOT
from tests.end_to_end.traffic import Traffic, fleet
from tests.end_to_end.verdict import findings
from tests.storage.conftest import flip
from twin.api.application import application
from twin.checking import checked
from twin.component import Component, registrations
from twin.fleet import clock_of
from twin.fold import Line
from twin.lines import observed
from twin.rebuilding import rebuild
from twin.recovery import recovered
from twin.service import Service
from twin.settings import Settings, settings

SECOND_NS = 10**9
START_NS = (time.time_ns() // SECOND_NS - 86_400) * SECOND_NS
FLEET = fleet(2)
NAME = FLEET[0]["name"]
LIVES = (100, 200, 300)  # inspections in each life of the service: a shard is 256 rows
CONFIG = """\
[storage]
directory = "{data}"
record_every_s = 1.0
[ingest]
lateness_s = 0.0
"""
SHARD = "trajectories.zarr/crack/crack_length/c/{}/0"

Harm = Callable[[Path], None]


def inspected(numbers: Sequence[int]) -> list[Line]:
    """An inspection a second: a row each, without cycles that would take long to forecast."""
    return [
        Line(
            NAME,
            Inspection(
                component=NAME,
                source="ndt-1",
                boot=1,
                seq=i,
                t_ns=START_NS + i * SECOND_NS,
                crack_length=0.006 + 1e-6 * i,
                crack_length_sd=0.0,
                method="eddy-current",
            ),
        )
        for i in numbers
    ]


def chosen(data: Path) -> Settings:
    """The settings of a service over a directory."""
    return settings(storage={"directory": data, "record_every_s": 1.0}, ingest={"lateness_s": 0.0})


@asynccontextmanager
async def running(data: Path) -> AsyncIterator[Service]:
    """A service without a broker, from its recovery to its graceful stop."""
    with Store(data) as store:
        service = Service(chosen(data), store)
        work = asyncio.create_task(service.run(None))
        while not service.is_recovered and not work.done():  # noqa: ASYNC110  it tells nobody
            await asyncio.sleep(0.01)
        try:
            if not work.done():
                yield service
        finally:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work


async def lived(data: Path) -> None:
    """Three lives, each with a checkpoint at its end."""
    first = 0
    for count in LIVES:
        async with running(data) as service:
            if not service.fleet.components:
                wanted = registrations(FLEET, "the fleet")
                await service.register(
                    [
                        Component(name=n, revision=1, registered_by="file", registration=r)
                        for n, r in wanted.items()
                    ]
                )
            lines = inspected(range(first, first + count))
            entries = [observed(line.what) for line in lines if isinstance(line.what, Inspection)]
            await service.committer.outcomes(entries, lines)
            await service.until(service.committer.end)
            first += count


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
    for line in inspected(range(sum(LIVES))):
        assert isinstance(line.what, Inspection)
        entry = observed(line.what)
        sent.sent[entry.component, entry.source, entry.boot, entry.seq] = entry
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
        async with httpx.AsyncClient(transport=transport, base_url="http://twin") as http:
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
    flip(journal, journal.read_bytes().index(b"eddy-current") + 3)
    check, start = command(data, "check"), command(data, "serve")
    assert (check.returncode, start.returncode) == (1, 1)
    for said in (check.stdout, start.stderr.replace("\n", "")):  # a terminal's width breaks lines
        assert "journal.sqlite: entries 302 to 601 do not match their checksum" in said
    assert "Traceback" not in start.stderr
