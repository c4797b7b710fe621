"""What a crack remembers when its length is corrected, and when it is measured behind a break.

Values by an independent count, cycle by cycle. An overload zone that stayed as large as the crack
had been thought to be stopped growth for good, without a word.
"""

from __future__ import annotations

import pytest
import torch

from models.crack.load import blocks, inspection_load, series_load, spectrum_load
from models.crack.state import CrackState
from models.crack.stepper import CrackStepper
from models.fatigue.retardation import NoRetardation, Retardation
from tests.models.crack.test_open_residue import WHEELER, WILLENBORG, MPa, length, mm, stepper

NOW = torch.tensor([1])
EVERY = pytest.mark.parametrize("retardation", [WHEELER, WILLENBORG, NoRetardation()])
Cycle = tuple[float, float, float]


def series(by: CrackStepper, state: CrackState, *parts: list[float]) -> CrackState:
    for part in parts:
        samples = torch.tensor(part, dtype=torch.float64) * MPa
        state = by.step(state, series_load(NOW, [samples]))
    return state


def spectrum(by: CrackStepper, state: CrackState, *cycles: Cycle) -> CrackState:
    for span, mean, count in cycles:
        table = blocks([[(span * MPa, mean * MPa, count)]])
        state = by.step(state, spectrum_load(NOW, table))
    return state


def measured(by: CrackStepper, state: CrackState, millimetres: float) -> CrackState:
    found = torch.tensor([millimetres * mm], dtype=torch.float64)
    return by.step(state, inspection_load(torch.tensor([2]), found))


@EVERY
def test_a_crack_measured_behind_a_break_has_no_overload(retardation: Retardation) -> None:
    by = stepper("2024-t3-walker", retardation, K_c=72.5e6)
    state = spectrum(by, by.init(1), (60, 30, 100), (400, 200, 1), (60, 30, 100))
    assert bool(state.fractured)
    after = spectrum(by, measured(by, state, 20.0), (60, 30, 3000))
    assert length(after) == pytest.approx(22.6593, abs=5e-4)


@EVERY
@pytest.mark.parametrize(
    ("registered", "found", "count", "right"), [(30, 10, 20_000, 13.7140), (20, 6, 5_000, 6.2401)]
)
def test_a_correction_downwards_leaves_no_zone_of_the_longer_crack(
    retardation: Retardation, registered: float, found: float, count: float, right: float
) -> None:
    by = stepper("2024-t3-walker", retardation, a_0=registered * mm)
    state = series(by, by.init(1), [0.0, 60.0] * 100)
    after = spectrum(by, measured(by, state, found), (60, 30, count))
    assert length(after) - found == pytest.approx(right - found, rel=2e-3)


@pytest.mark.parametrize("retardation", [WHEELER, WILLENBORG])
def test_an_overload_goes_on_acting_on_a_crack_that_is_measured_as_believed(
    retardation: Retardation,
) -> None:
    by = stepper("2024-t3-walker", retardation)
    state = spectrum(by, by.init(1), (60, 30, 100), (150, 75, 1), (60, 30, 100))
    seen = measured(by, state, length(state))
    assert torch.equal(seen.overload.K, state.overload.K)
    on, unseen = (spectrum(by, s, (60, 30, 3000)) for s in (seen, state))
    assert length(on) == pytest.approx(length(unseen), rel=1e-12)
    assert length(on) < 0.999 * length(spectrum(by, measured(by, by.init(1), 10.0), (60, 30, 3200)))


@EVERY
def test_what_was_open_at_a_break_acts_no_more(retardation: Retardation) -> None:
    by = stepper("2024-t3-walker", retardation, K_c=72.5e6)
    state = series(by, by.init(1), [0.0, 60.0] * 50, [0.0, 400.0], [0.0, 60.0, 10.0])
    assert bool(state.fractured)
    after = series(by, measured(by, state, 30.0), [60.0, 0.0] + [0.0, 60.0] * 50)
    assert not bool(after.fractured)
    assert length(after) == pytest.approx(30.1557, abs=5e-3)


def test_a_cycle_that_was_open_at_a_correction_closes_at_the_corrected_length() -> None:
    by = stepper("nickel", a_limit=80 * mm, a_0=40 * mm)
    state = series(by, by.init(1), [0.0, 60.0] * 50, [0.0, 90.0], [0.0, 40.0, 10.0])
    after = series(by, measured(by, state, 12.0), [40.0, 0.0] + [0.0, 40.0] * 50)
    small = series(by, measured(by, by.init(1), 12.0), [0.0, 40.0] * 51 + [0.0])
    assert length(after) == pytest.approx(length(small), abs=1e-4)
