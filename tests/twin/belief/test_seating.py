"""Rows are used again, and are the same however registrations are cut into batches."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

from tests.twin.fleets import CLOCK, component, registration, spectrum
from twin.archive.checkpoint import metadata, restored, tensors
from twin.belief.fleet import EMPTY, Fleet, registered
from twin.belief.fold import folded
from twin.belief.seating import FREE
from twin.belief.segments import Line
from twin.component import Component

WHEELER = {"kind": "wheeler", "gamma": 1.5, "yield_stress": 3.5e8, "zone": "plane_stress"}
WALKER = {"kind": "walker", "C": 9.7e-30, "m": 3.0, "gamma": 0.5}
CHANGES: tuple[dict[str, Any], ...] = (
    {},
    {"crack_limit": 0.009},
    {"crack_length": 0.0011},
    {"retardation": WHEELER},
    {"law": WALKER},
    {"gauge": {"stuck_samples": 20}},
    {"crack_limit": 1.0},  # no part: it has no stepper, and the line is left out
)


def line(name: str, revision: int, *, retired: bool = False, **changes: Any) -> Line:
    if changes.get("crack_limit") == 1.0:  # read from a journal, it was never checked
        whole = registration()
        crack = whole.crack.model_copy(update={"crack_length": -1.0})
        broken = whole.model_copy(update={"crack": crack})
        return Line(
            name,
            Component(
                name=name, revision=revision, registered_by="api", registration=registration()
            ).model_copy(update={"registration": broken}),
        )
    made = component(name, revision, **changes)
    return Line(name, made.model_copy(update={"retired": retired}))


def script(seed: int, length: int) -> list[Line]:
    """Registrations, changes, retirements and loads of a few parts."""
    rng, lines = Random(seed), list[Line]()
    for i in range(length):
        name = f"plant/press-{rng.randrange(9)}"
        if rng.random() < 0.3:
            lines.append(spectrum(i, float(i), name))
        else:
            lines.append(line(name, i + 1, retired=rng.random() < 0.1, **rng.choice(CHANGES)))
    return lines


def cut(lines: list[Line], seed: int, most: int) -> Fleet:
    rng, fleet, at = Random(seed), EMPTY, 0
    while at < len(lines):
        size = rng.randint(1, most)
        fleet = folded(fleet, lines[at : at + size], CLOCK).fleet
        at += size
    return fleet


@pytest.mark.parametrize("seed", range(5))
def test_rows_and_what_they_hold_do_not_depend_on_batches(seed: int) -> None:
    lines = script(seed, 60)
    one, other = cut(lines, 1, 1), cut(lines, 2, 60)
    assert metadata(one, CLOCK) == metadata(other, CLOCK)
    assert one.places == other.places
    first, second = tensors(one), tensors(other)
    assert list(first) == list(second)
    for name, leaf in first.items():
        assert np.array_equal(leaf, second[name], equal_nan=leaf.dtype.kind == "f"), name


@pytest.mark.parametrize("seed", range(2))
def test_every_part_has_a_row_of_its_own(seed: int) -> None:
    fleet = cut(script(seed, 200), 3, 50)
    assert fleet.places.keys() == fleet.components.keys()
    for name, (key, row) in fleet.places.items():
        assert fleet.cohorts[key].members[row] == name


@pytest.mark.parametrize(
    "changes",
    [({"crack_limit": 0.008}, {"crack_limit": 0.009}), ({"retardation": WHEELER}, {})],
    ids=["same-layout", "other-layout"],
)
def test_two_thousand_changes_of_two_parts_leave_a_checkpoint_for_two(
    changes: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    lines = [
        line(f"plant/press-{part}", 1 + i, **changes[(i + part) % 2])
        for i in range(1000)
        for part in range(2)
    ]
    fleet = cut(lines, 1, 500)
    size = sum(leaf.nbytes for leaf in tensors(fleet).values())
    two = sum(leaf.nbytes for leaf in tensors(cut(lines[:2], 1, 1)).values())
    assert size <= 2 * two  # a cohort may keep a row free


def test_a_layout_that_nearly_all_have_left_closes_up() -> None:
    names = [f"plant/press-{i}" for i in range(4 * FREE)]
    here = [line(name, 1) for name in names]
    gone = [line(name, 2, retardation=WHEELER) for name in names[1:]]
    fleet = cut([*here, *gone], 1, 100)
    stays, go = (len(cohort.members) for cohort in fleet.cohorts.values())
    assert stays <= 1 + FREE
    assert go == len(names) - 1
    by_one = cut([*here, *gone], 2, 1)
    assert by_one.places == fleet.places


def test_a_checkpoint_full_of_free_rows_closes_up_at_the_next_change() -> None:
    """Earlier releases left a row free with each change."""
    fleet = cut([line(f"plant/press-{i}", 1) for i in range(3)], 1, 3)
    page = metadata(fleet, CLOCK)
    (key,) = fleet.cohorts
    many = 500
    old = page.replace(b'"plant/press-2"]}', b'"plant/press-2"' + b',""' * many + b"]}", 1)
    assert old != page
    leaves = {
        name: np.concatenate([leaf, np.repeat(leaf[-1:], many, axis=0)])
        for name, leaf in tensors(fleet).items()
    }
    wide = restored(leaves, old)
    assert len(wide.cohorts[key].members) == 3 + many
    after = folded(wide, [line("plant/press-1", 2, retardation=WHEELER)], CLOCK).fleet
    assert len(after.cohorts[key].members) == 2
    assert after.places["plant/press-2"] == (key, 1)


def test_a_part_that_comes_back_asks_for_a_new_life() -> None:
    first, load = line("plant/press-1", 1), spectrum(1, 1.0)
    gone, back = line("plant/press-1", 2, retired=True), line("plant/press-1", 3)
    fleet = cut([first, load, gone, back], 1, 1)
    key, row = fleet.places["plant/press-1"]
    assert bool(fleet.cohorts[key].evidence[row])


def test_one_line_that_is_no_part_costs_few_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line(f"plant/press-{i}", 1) for i in range(512)]
    lines[200] = line("plant/press-200", 1, crack_limit=1.0)
    calls = 0

    def counted(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        return original(*arguments)

    original = registered
    monkeypatch.setattr("twin.belief.fold.registered", counted)
    result = folded(EMPTY, lines, CLOCK)
    assert len(result.fleet.components) == 511
    assert [note.component for note in result.notes if note.kind == "implausible"] == [
        "plant/press-200"
    ]
    assert calls <= 2 * 9 + 1  # halves of halves
