"""A stop is heard while the journal is folded, before the service can answer anything."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from storage.store import Store
from tests.twin.archive.test_rebuild import chosen, fill
from twin.archive import recovery, refolding
from twin.archive.recovery import recovered
from twin.backfill import StoppedError
from twin.belief.fleet import clock_of
from twin.belief.fold import folded
from twin.pace import GO_S, Pace
from twin.service import Service

LINES = 12


async def test_a_stop_ends_a_recovery_before_the_store_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "data", list(range(LINES - 1)))
    begun, goes = threading.Event(), list[int]()

    def slow(*args: Any, **named: Any) -> Any:
        goes.append(len(args[1]))
        begun.set()
        time.sleep(0.05)
        return folded(*args, **named)

    monkeypatch.setattr(recovery, "folded", slow)
    monkeypatch.setattr(recovery, "LINES_A_FOLD", 1)
    with Store(tmp_path / "data") as store:
        work = asyncio.create_task(Service(chosen(), store).run(None))
        assert await asyncio.to_thread(begun.wait, 30.0)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        assert work.cancelled()
        told = len(goes)
    await asyncio.sleep(0.2)  # a thread that went on would have folded more by now
    assert len(goes) == told < LINES


def test_a_stop_ends_the_fold_of_another_order_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "data", list(range(LINES - 1)))
    monkeypatch.setattr(refolding, "LINES_A_FOLD", 1)
    folds = list[int]()

    def counted(*args: Any, **named: Any) -> Any:
        folds.append(1)
        return folded(*args, **named)

    monkeypatch.setattr(refolding, "folded", counted)
    clock = clock_of(chosen())
    with Store(tmp_path / "data") as store:
        refold = refolding.Refold(store.journal, store.aside(1), clock)
        refold.finish(LINES)
        order = refold.order(1)
        folds.clear()

        def stop(_: float) -> None:
            if len(folds) == 3:
                raise StoppedError

        with pytest.raises(StoppedError):
            refolding.refolded(store.journal, store.aside(2), clock, order, rest=stop)
    assert len(folds) == 3


def test_lines_are_folded_in_goes_that_take_about_as_long(tmp_path: Path) -> None:
    pace, cost_s = Pace(10_000), 0.01  # of a line
    for _ in range(10):
        pace.took(pace.lines, cost_s * pace.lines)
    assert pace.lines == round(GO_S / cost_s)
    for _ in range(10):
        pace.took(pace.lines, 1e-6 * pace.lines)
    assert pace.lines == 10_000
    pace.took(pace.lines, 1e9)
    assert pace.lines == 1
    fill(tmp_path / "data", list(range(LINES - 1)))
    with Store(tmp_path / "data") as store:
        assert recovered(store, clock_of(chosen())).fleet.offset == LINES
