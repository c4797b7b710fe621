"""A hundred thousand registrations are a file like any other: what is done is done to all at once.

`python -m tests.benchmarks.service.registering` times them; here it is counted.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.crack.stepper import CrackStepper
from models.tree import joined, leaves
from tests.twin.belief.test_preflight import REGISTRATIONS
from tests.twin.fleets import PARIS, component
from twin.belief.credible import NotMeantError, credible
from twin.belief.fleet import EMPTY, registered
from twin.belief.fleet_file import tried
from twin.belief.preflight import doubtful, trial
from twin.component import Component, Registration, parsed
from twin.errors import SettingsError
from twin.kinds.catalogue import kind_of

WALKER = {"kind": "walker", "C": 9.7e-30, "m": 3.0, "gamma": 0.5}
SHRINKING = {"kind": "paris", "C": -9.7e-30, "m": 3.0}


def some(n: int, odd: Collection[int] = (), **changes: Any) -> list[Component]:
    """Components of two layouts; those of the numbers `odd` cannot be stepped."""
    laws = [SHRINKING if i in odd else WALKER if i % 2 else PARIS for i in range(n)]
    return [
        component(f"plant/press-{i}", crack_length=0.001 + i * 1e-6, law=law, **changes)
        for i, law in enumerate(laws)
    ]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many cracks each step takes."""
    found = list[int]()
    step = CrackStepper.step

    def counted(self: CrackStepper, state: Any, load: Any) -> Any:
        found.append(len(state.a))
        return step(self, state, load)

    monkeypatch.setattr(CrackStepper, "step", counted)
    return found


def test_parts_of_a_layout_are_tried_together(steps: list[int]) -> None:
    assert len(tried(some(500), "fleet.toml")) == 500
    assert sorted(steps) == [250, 250]


def test_the_first_part_that_cannot_be_stepped_is_named(steps: list[int]) -> None:
    parts = some(500, odd=(301, 400))
    with pytest.raises(SettingsError, match=r"^fleet\.toml: plant/press-301 cannot be stepped"):
        tried(parts, "fleet.toml")
    assert len(steps) <= 4  # the two layouts, and the first


def test_a_part_that_breaks_the_trial_of_all_is_found_by_halves(steps: list[int]) -> None:
    parts = [c.registration for c in some(256)]
    crack = parts[77].crack.model_copy(update={"crack_limit": -1.0})
    parts[77] = parts[77].model_copy(update={"crack": crack})
    assert doubtful(parts) == {77}
    assert len(steps) <= 2 * 8


def test_rows_that_are_made_together_are_those_that_are_made_alone() -> None:
    for parts in (some(40)[i::2] for i in (0, 1)):
        kind = kind_of(parts[0].registration.crack)
        steppers = [kind.stepper(part.registration.crack) for part in parts]
        assert len({kind.key(stepper) for stepper in steppers}) == 1
        alone = joined([stepper.init(1) for stepper in steppers])
        for (name, one), (_, other) in zip(
            leaves(kind.beginnings(steppers)), leaves(alone), strict=True
        ):
            assert one.dtype == other.dtype, name
            assert one.shape == other.shape, name
            assert one.equal(other), name


def test_newcomers_are_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = list[int]()
    init = CrackStepper.init

    def counted(self: CrackStepper, n: int) -> Any:
        made.append(n)
        return init(self, n)

    monkeypatch.setattr(CrackStepper, "init", counted)
    fleet = registered(EMPTY, some(300))
    assert sorted(made) == [150, 150]
    made.clear()
    after = registered(fleet, some(300, crack_limit=0.009))
    assert sorted(made) == [150, 150]
    assert after.places == fleet.places


def test_together_no_other_registrations_pass_than_alone() -> None:
    taken = refused = 0

    @settings(
        max_examples=12,
        deadline=None,
        phases=[Phase.generate],
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(REGISTRATIONS, min_size=12, max_size=12))
    def agree(tables: list[dict[str, Any]]) -> None:
        nonlocal taken, refused
        wanted = list[Registration]()
        for table in tables:
            try:
                wanted.append(parsed(table))
            except ValidationError:
                continue
        bad = doubtful(wanted)
        for i, one in enumerate(wanted):
            try:
                trial(one)
            except ValueError:
                assert i in bad or _is_not_meant(one), one
                refused += 1
            else:
                assert i not in bad, one
                taken += 1

    agree()
    assert taken >= 5
    assert refused >= 5


def _is_not_meant(one: Registration) -> bool:
    try:
        credible(one)
    except NotMeantError:
        return True
    return False
