"""Old evidence gets its history while the service runs, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from storage.errors import UnavailableError
from storage.store import Store
from tests.twin.belief.test_fold import assert_same
from tests.twin.fakes import PRESS, House, house, wanted
from twin.archive.rebuild import rebuild
from twin.archive.recovery import Recovered, recovered
from twin.belief.fleet import clock_of
from twin.kinds.crack_fields import FIELDS, GROUP

OTHERS = ("plant-a/press-2", "plant-a/press-3")
TODAY = 100_000.0  # [min]
SOON = {"backfill_quiet_s": 0.1, "max_ahead_s": None}
LATER = {"backfill_quiet_s": 3600.0, "backfill_every_s": 3600.0, "max_ahead_s": None}
NAMES = [field.name for field in FIELDS]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60.0):
        while not condition():  # noqa: ASYNC110  nobody sets an event for what tests wait for
            await asyncio.sleep(0.01)


async def today(at: House, minutes: int = 5, first: float = TODAY) -> None:
    """What three parts do today."""
    for minute in range(minutes):
        for name in (PRESS, *OTHERS):
            await at.load(name, first + minute, 100.0)


async def old(at: House, minutes: int = 10, first: float = 0.0) -> None:
    """What a logger has stored for weeks."""
    for minute in range(minutes):
        await at.load(PRESS, first + minute, 1000.0)


def outcomes(at: House, outcome: str = "done") -> float:
    return float(at.service.metrics.backfills.labels(outcome)._value.get())


def history_of(store: Store, name: str) -> dict[str, Any]:
    return store.trajectories.read(GROUP, name, NAMES)


def reopened(directory: Path) -> tuple[Recovered, dict[str, Any]]:
    with Store(directory) as store:
        found = recovered(store, clock_of(wanted(directory)))
        found.recorder.flush()
        assert store.verify() == []
        assert [path.name for path in directory.glob("trajectories*")] == ["trajectories.zarr"]
        return found, history_of(store, PRESS)


def assert_as_rebuilt(directory: Path, aside: Path) -> None:
    """The directory holds what `twin rebuild` makes of its journal."""
    shutil.copytree(directory, aside)
    rebuild(wanted(aside), aside, None)
    (one, rows), (other, expected) = reopened(directory), reopened(aside)
    assert_same(one.fleet, other.fleet)
    assert one.damage == []
    for name in ("time", *NAMES):
        assert np.array_equal(rows[name], expected[name], equal_nan=name != "time"), name


async def test_old_data_get_their_history_and_a_life(tmp_path: Path) -> None:
    async with house(tmp_path / "data", ingest=SOON) as at:
        await at.register(PRESS, *OTHERS)
        await today(at)
        assert (await at.json(f"components/{PRESS}/state"))["history_is"] == "complete"
        await old(at)
        assert (await at.json(f"components/{PRESS}/state"))["history_is"] == "catching_up"
        assert (await at.json(f"components/{OTHERS[0]}/state"))["history_is"] == "complete"
        await until(lambda: outcomes(at) == 1)
        page = await at.json(f"components/{PRESS}/state")
        assert page["history_is"] == "complete"
        assert page["remaining_cycles"] > 0
        history = (await at.json(f"components/{PRESS}/history"))["columns"]
        assert len(history["time"]) == 9 + 1 + 4
        assert history["time"][0] == "2026-01-01T00:00:00Z"
        assert np.diff(history["cycles"][:9]).tolist() == [1000.0] * 8
        kinds = [(e.kind, e.data.get("state")) for e in at.service.news.events.since(0)[0]]
        assert kinds.count(("backfill", "behind")) == 1
        assert kinds.count(("backfill", "caught_up")) == 1
        await today(at, first=TODAY + 10)  # and life goes on
    assert_as_rebuilt(tmp_path / "data", tmp_path / "rebuilt")


async def test_what_comes_while_it_is_caught_up_is_in_it(tmp_path: Path) -> None:
    async with house(tmp_path / "data", ingest=SOON) as at:
        await at.register(PRESS, *OTHERS)
        await today(at)
        await old(at, 30)
        minute = TODAY + 5
        while not outcomes(at) or at.service.fleet.behind:  # a slow machine needs another turn
            await today(at, 1, minute)
            minute += 1
        await today(at, 3, minute)
    assert_as_rebuilt(tmp_path / "data", tmp_path / "rebuilt")


async def test_data_as_old_as_the_tolerance_are_late_and_no_more(tmp_path: Path) -> None:
    async with house(tmp_path / "data", ingest=LATER) as at:
        await at.register(PRESS, *OTHERS)
        await today(at, 10)
        watermark = TODAY + 9 - 5 / 60
        for behind_s, expected in ((174.9, {}), (175.0, {}), (175.1, {PRESS: 1})):
            await at.load(PRESS, watermark - behind_s / 60)
            assert dict(at.service.fleet.behind) == expected, behind_s


async def test_a_flood_of_old_data_is_not_caught_up_again_at_once(tmp_path: Path) -> None:
    async with house(tmp_path / "data", ingest=SOON | {"backfill_every_s": 3600.0}) as at:
        await at.register(PRESS, *OTHERS)
        await today(at)
        await old(at)
        await until(lambda: outcomes(at) == 1)
        await old(at, 10, first=1000.0)
        await asyncio.sleep(1.5)
        assert outcomes(at) == 1
        assert at.service.fleet.behind == {PRESS: 10}
        metrics = (await at.http.get("/metrics")).text.splitlines()
        assert "twin_backfill_pending 10.0" in metrics


async def test_who_is_behind_is_known_after_a_restart(tmp_path: Path) -> None:
    async with house(tmp_path / "data", ingest=LATER) as at:
        await at.register(PRESS, *OTHERS)
        await today(at)
        await old(at)
    async with house(tmp_path / "data", ingest=SOON) as at:
        assert at.service.fleet.behind == {PRESS: 10}
        await until(lambda: outcomes(at) == 1)
    assert_as_rebuilt(tmp_path / "data", tmp_path / "rebuilt")


async def test_a_journal_without_its_beginning_says_that_it_cannot(tmp_path: Path) -> None:
    async with house(tmp_path / "data", ingest=SOON) as at:
        await at.register(PRESS, *OTHERS)
        await today(at)
        archiver, service = at.service.archiver, at.service
        async with archiver.still():
            await archiver._checkpoint(service.fleet, service.clock, service.threads.journalling)
        await service.threads.journal(service.store.journal.prune, service.fleet.offset)
        assert service.store.journal.start > 0
        await old(at)
        await until(lambda: outcomes(at, "impossible") == 1)
        page = await at.json(f"components/{PRESS}/state")
        assert page["history_is"] == "incomplete"
        events = service.news.events.since(0)[0]
        states = [e.data.get("state") for e in events if e.kind == "backfill"]
        assert states == ["behind", "impossible"]
        await asyncio.sleep(0.6)
        assert outcomes(at, "impossible") == 1


async def test_a_history_that_is_read_meanwhile_is_of_one_order(tmp_path: Path) -> None:
    async with house(tmp_path / "data", ingest=SOON) as at:
        await at.register(PRESS, *OTHERS)
        await today(at, 20)
        before = (await at.json(f"components/{PRESS}/history"))["columns"]
        await old(at)
        found: list[Any] = []
        while not outcomes(at):
            found.append((await at.json(f"components/{PRESS}/history"))["columns"])
        after = (await at.json(f"components/{PRESS}/history"))["columns"]
        assert len(after["time"]) > len(before["time"])
        assert all(columns in (before, after) for columns in found)


MOMENTS = ("aside", "checkpoints", "put_order", "settle")


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_disk_that_fails_on_the_way_leaves_the_old_truth_or_the_new(
    tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def refuse(*_: object, **__: object) -> None:
        loop.call_soon_threadsafe(failed.set)
        raise UnavailableError("no space")

    async with house(tmp_path / "data", ingest=SOON) as at:
        await at.register(PRESS, *OTHERS)
        await today(at)
        store = at.service.store
        owners = {
            "aside": (store, "aside"),
            "checkpoints": (store.checkpoints, "write"),
            "put_order": (store.journal.catalogue, "put_order"),
            "settle": (store, "settle"),
        }
        monkeypatch.setattr(*owners[moment], refuse)
        await old(at)
        await asyncio.wait_for(failed.wait(), 60)
        if moment != "settle":
            await until(lambda: outcomes(at, "failed") == 1)
            await today(at, 2, TODAY + 10)  # it goes on as it was
            assert at.service.fleet.behind == {PRESS: 10}
        monkeypatch.undo() if moment != "settle" else None
    found, rows = reopened(tmp_path / "data")
    if moment == "settle":  # the order counted already
        assert found.replayed == 0
        assert_as_rebuilt(tmp_path / "data", tmp_path / "rebuilt")
    else:
        assert len(rows["time"]) == 4 + 2
        async with house(tmp_path / "data", ingest=SOON) as at:
            await until(lambda: outcomes(at) == 1)
        assert_as_rebuilt(tmp_path / "data", tmp_path / "rebuilt")


async def test_without_its_checkpoint_the_order_is_folded_again(tmp_path: Path) -> None:
    async with house(tmp_path / "data", ingest=SOON) as at:
        await at.register(PRESS, *OTHERS)
        await today(at)
        await old(at)
        await until(lambda: outcomes(at) == 1)
        await today(at, 3, TODAY + 10)
    expected, rows = reopened(tmp_path / "data")
    for path in (tmp_path / "data" / "checkpoints").iterdir():
        path.write_bytes(b"damaged")
    with Store(tmp_path / "data") as store:
        found = recovered(store, clock_of(wanted(tmp_path)))
        found.recorder.flush()
        again = history_of(store, PRESS)
    assert found.damage
    assert found.replayed == expected.fleet.offset
    assert_same(found.fleet, expected.fleet)
    assert all(np.array_equal(rows[n], again[n], equal_nan=n != "time") for n in rows)


async def test_a_first_message_of_2036_does_not_stop_a_single_sensor_for_ever(
    tmp_path: Path,
) -> None:
    async with house(tmp_path / "data", ingest=SOON) as at:
        await at.register(PRESS)
        await at.load(PRESS, TODAY + 10 * 525_960)
        await old(at, 5, TODAY)
        await until(lambda: outcomes(at) == 1)
        await old(at, 5, TODAY + 5)
        history = (await at.json(f"components/{PRESS}/history"))["columns"]
        assert len(history["time"]) == 9
        state = await at.json(f"components/{PRESS}/state")
        assert state["time"] == state["last_evidence"] == "2026-03-11T10:49:00Z"
        assert state["history_is"] == "complete"


async def test_a_part_that_only_the_order_of_time_changes_is_told_of(tmp_path: Path) -> None:
    """An inspection behind newer load moves it, when another part is caught up."""
    async with house(tmp_path / "data", ingest=SOON) as at:
        await at.register(PRESS, *OTHERS, surprise_factor=None)
        await today(at)
        await at.load(OTHERS[0], TODAY + 2.0, 100_000.0)
        await at.inspect(OTHERS[0], TODAY + 1.0, 0.006)
        page = await at.json(f"components/{OTHERS[0]}/state")
        last = at.service.news.events.last_id
        await old(at)
        await until(lambda: outcomes(at) == 1)
        moved = (await at.json(f"components/{OTHERS[0]}/state"))["crack_length"]
        assert moved > page["crack_length"] + 1e-5
        told = [
            e.data["crack_length"]
            for e in at.service.news.events.since(last)[0]
            if (e.kind, e.component) == ("state", OTHERS[0])
        ]
        assert told == [pytest.approx(moved)]
