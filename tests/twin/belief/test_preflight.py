"""What is registered can be stepped: a journal must never hold what breaks its own fold."""

from __future__ import annotations

import dataclasses
import math
from random import Random
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.crack.forecast import remaining
from models.crack.load import blocks, inspection_load, series_load, spectrum_load
from models.crack.state import CrackState, belief
from models.crack_path.forecast import with_remaining
from models.crack_path.stepper import NODES
from models.fatigue.effort import EffortError, at_most
from models.fatigue.geometry import GEOMETRIES
from models.fatigue.integration import strides
from models.fatigue.laws import LAWS
from models.fatigue.retardation import RETARDATIONS
from tests.twin.fleets import registration
from twin import networks
from twin.belief.preflight import doubtful, trial
from twin.component import Registration, parsed
from twin.kinds.catalogue import AnyStepper, stepper_of
from twin.kinds.crack import MOST_STRIDES, lived

EXTREMES = (
    -1e15,
    -1.0,
    -1e-30,
    0.0,
    1e-300,
    1e-30,
    1e-12,
    1e-3,
    0.1,
    0.9,
    1.0,
    3.0,
    1e3,
    1e8,
    1e15,
)
NUMBERS = st.sampled_from(EXTREMES)


def parts(registry: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Every kind of a registry with constants that nobody would take."""
    choices: list[st.SearchStrategy[dict[str, Any]]] = [
        st.fixed_dictionaries({"kind": st.just(kind), **_constants(part)})
        for kind, part in registry.items()
    ]
    return st.one_of(choices)


def _constants(part: Any) -> dict[str, st.SearchStrategy[Any]]:
    return {f.name: NUMBERS for f in dataclasses.fields(part) if f.name != "point"}


PLATES = st.fixed_dictionaries(
    {"kind": st.just("plate"), "W": st.sampled_from([0.04, 1e-9, 50.0, 1e15])},
    optional={"H": NUMBERS, "mouth": st.sampled_from([0.0, 0.03, -1e15])},
)
REGISTRATIONS = st.fixed_dictionaries(
    {
        "law": parts(LAWS),
        "geometry": st.just({"kind": "edge_crack", "W": 0.1}) | parts(GEOMETRIES) | PLATES,
        "retardation": parts(RETARDATIONS) | st.none(),
        "crack_length": st.sampled_from([0.002, 0.002, 1e-9]),
        "crack_limit": st.sampled_from([0.03, 0.03, 50.0]),
        "gate": st.sampled_from([0.0, 1e5, 1e12]),
        "unusual": st.just(True),
    }
)


def lives(registration: Registration) -> float:
    """The length after a hard day [m]."""
    stepper: AnyStepper = stepper_of(registration.crack)
    state, t = stepper.init(1), torch.ones(1, dtype=torch.int64)
    rows = [[[1e6, 0.0, 1e15], [5e8, -1e9, 1e3], [1e12, 1e12, 1.0], [1e8, 5e7, 1e6]]]
    state = stepper.step(state, spectrum_load(t, blocks(rows)))
    values = torch.tensor([0.0, 1e8, -1e8, 1e12, 0.0]).double()
    state = stepper.step(state, series_load(t, [values]))
    state = stepper.step(state, inspection_load(t, torch.tensor([0.01]).double()))
    if isinstance(state, CrackState):
        assert float(remaining(state)) >= 0.0
    else:
        assert float(with_remaining(state, networks.intensities())[1]) >= 0.0
        assert int(state.front.found[0]) <= 2 * NODES  # intensities, which are what takes time
    return float(belief(state).crack_length[0])


def test_what_passes_the_trial_lives_through_a_hard_day() -> None:
    taken = []
    plate = {"kind": "plate", "W": 0.04}
    lives(registration(geometry=plate, crack_length=0.002))  # its matrix is factorised once
    lives(registration())  # what steps all others is compiled once

    @settings(
        max_examples=150,
        deadline=None,  # work is counted instead
        phases=[Phase.generate],
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(REGISTRATIONS)
    def lives_if_taken(table: dict[str, Any]) -> None:
        try:
            wanted = parsed(table)
            trial(wanted)
        except (ValidationError, ValueError):
            return
        taken.append(table)
        with at_most(4 * MOST_STRIDES):  # the day has two loads, and up to four that grow far
            assert math.isfinite(lives(wanted))

    lives_if_taken()
    assert len(taken) >= 10


NASGRO = {
    "kind": "nasgro", "C": 1e-29, "n": 3.0, "p": 0.5, "q": 1.0, "dK_0": 3e6, "C_th": 1.2,
    "K_c": 7e7, "alpha": 1.5, "S": 0.3,
}  # fmt: skip


@pytest.mark.parametrize(
    "law",
    [
        NASGRO | {"n": 3.0, "K_c": 7.18e6, "alpha": 9.9046, "S": 0.653, "dK_0": 1.67e7},
        NASGRO | {"n": 1.0, "alpha": 1000.0, "S": 0.27, "K_c": 7.67e6, "dK_0": 1.69e7},
        NASGRO | {"alpha": -1e15},
    ],
    ids=["one-ratio", "narrow-band", "no-constraint"],
)
def test_a_law_that_shrinks_cracks_at_some_ratios_is_refused(law: dict[str, Any]) -> None:
    wanted = registration(law=law, unusual=True)
    with pytest.raises(ValueError, match="closed even at the peak of its cycle"):
        trial(wanted)
    assert doubtful([wanted]) == {0}


def test_a_law_that_shrinks_cracks_in_a_narrow_band_alone_is_refused() -> None:
    """Between its threshold and its toughness, where no ΔK that was tried lay."""
    wanted = registration(law=NASGRO | {"C": -1.0, "K_c": 4.0e6}, unusual=True)
    with pytest.raises(ValueError, match="C is -1: below 0 a crack would shrink"):
        trial(wanted)
    assert doubtful([wanted]) == {0}


@pytest.mark.parametrize(("W", "is_taken"), [(10.0, True), (12.0, False)])
def test_a_crack_is_not_followed_for_ever(W: float, *, is_taken: bool) -> None:
    wanted = registration(geometry={"kind": "edge_crack", "W": W}, crack_length=1e-6, unusual=True)
    if is_taken:
        trial(wanted)
        return
    with pytest.raises(ValueError, match=r"crack_length is 1e-06 m where .* it takes 550 strides"):
        trial(wanted)


def test_the_bound_is_a_count_and_that_of_the_stepper() -> None:
    """So many strides take a crack to the end, whatever drives it, and not one more."""
    wanted = registration(geometry={"kind": "edge_crack", "W": 0.1}, crack_length=1e-5)
    stepper: AnyStepper = stepper_of(wanted.crack)
    most = strides(1e-5, wanted.crack.longest)
    state, cycles = stepper.init(1), blocks([[[1e8, 6e7, 1e15]]])
    assert isinstance(state, CrackState)
    with at_most(most):
        assert bool(lived(state, cycles))
    with pytest.raises(EffortError), at_most(most // 2):
        lived(state, cycles)
    assert bool(lived(state, cycles))  # elsewhere none are counted
    load = spectrum_load(torch.ones(1, dtype=torch.int64), cycles)
    assert bool(stepper.step(state, load).fractured)


def test_what_passes_takes_few_strides_whatever_its_law() -> None:
    """A fuzz over the laws: no life takes more than the bound."""
    rng, taken = Random(5), 0
    for _ in range(40):
        law = NASGRO | {
            name: rng.choice([NASGRO[name], rng.choice(EXTREMES)])
            for name in ("C", "n", "p", "q", "dK_0", "C_th", "K_c", "alpha", "S")
        }
        try:
            wanted = registration(law=law, unusual=True)
            trial(wanted)
        except ValueError:
            continue
        taken += 1
        stepper = stepper_of(wanted.crack)
        for span in (1e6, 3e7, 1e9):
            state = stepper.init(1)
            assert isinstance(state, CrackState)
            with at_most(MOST_STRIDES):
                lived(state, blocks([[[span, span, 1e9]]]))
    assert taken >= 5
