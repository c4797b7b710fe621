"""Since when a component is watched: a journal line's time, that survives whatever happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from storage.store import Store
from tests.twin.fakes import PRESS, House, house, wanted
from tests.twin.fleets import CLOCK, component
from twin.archive.recovery import recovered
from twin.belief.fleet import EMPTY, clock_of
from twin.belief.fold import folded
from twin.belief.lines import lines, made, registration
from twin.belief.segments import Line
from twin.component import Component

T0 = 1_790_000_000 * 10**9  # [ns]


def since(*changes: Component) -> int:
    """Since when a component is watched that was changed once a second."""
    said = [made(c, T0 + i * 10**9) for i, c in enumerate(changes)]
    fleet = folded(EMPTY, [Line(c.name, c) for c in said], CLOCK).fleet
    return (fleet.components[changes[0].name].registered_ns - T0) // 10**9


def of(revision: int, *, retired: bool = False, **changes: Any) -> Component:
    return component(revision=revision, **changes).model_copy(update={"retired": retired})


def test_a_component_is_watched_since_it_was_registered() -> None:
    assert since(of(1)) == 0


def test_a_change_does_not_begin_the_time_anew() -> None:
    assert since(of(1), of(2, stale_after_s=5.0), of(3, crack_length=0.002)) == 0


def test_who_is_brought_back_is_watched_since_then() -> None:
    assert since(of(1), of(2, retired=True)) == 0
    assert since(of(1), of(2, retired=True), of(3)) == 2
    assert since(of(1), of(2, retired=True), of(3), of(4, gate=1.0)) == 2


def test_the_time_is_that_of_the_journal_whatever_the_body_says() -> None:
    entry = registration(component().model_copy(update={"registered_ns": 7}), T0)
    assert b"registered_ns" not in entry.body  # older releases read it
    (line,) = lines([entry])
    assert isinstance(line.what, Component)
    assert line.what.registered_ns == T0


async def told(home: House) -> float:
    text = (await home.http.get("/metrics")).text
    name = 'twin_component_registered_timestamp_seconds{site="plant-a",component="press-1"} '
    (line,) = [line for line in text.splitlines() if line.startswith(name)]
    return float(line.removeprefix(name))


async def test_the_time_survives_a_restart_and_is_the_same_by_fold_and_by_checkpoint(
    tmp_path: Path,
) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        first = await told(home)
    async with house(tmp_path / "data") as home:  # from the checkpoint
        assert await told(home) == first
        await home.http.delete(f"/api/v1/components/{PRESS}", headers={"If-Match": "*"})
        registered = (await home.json(f"components/{PRESS}"))["registration"]
        path = f"/api/v1/components/{PRESS}"
        answer = await home.http.put(path, json=registered, headers={"If-Match": "*"})
        assert answer.status_code == 200
        back = await told(home)
        assert back > first
    with Store(tmp_path / "data") as store:
        kept = recovered(store, clock_of(wanted(tmp_path / "data"))).fleet
        entries = [entry for _, batch in store.journal.read(0) for entry in batch]
        whole = folded(EMPTY, lines(entries), clock_of(wanted(tmp_path / "data"))).fleet
    assert kept.components == whole.components
    assert kept.components[PRESS].registered_ns / 1e9 == back
