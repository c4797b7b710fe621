"""What is registered can be stepped: a journal must never hold what breaks its own fold."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.crack import CrackState, belief, blocks, inspection_load, series_load, spectrum_load
from models.forecast import remaining
from models.geometry import GEOMETRIES
from models.laws import LAWS
from models.path_forecast import with_remaining
from models.path_intensity import default_intensities
from models.retardation import RETARDATIONS
from tests.twin.fleets import registration
from twin.cohort import stepped
from twin.component import Registration
from twin.trial import trial

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
    stepper = registration.stepper()
    state, t = stepper.init(1), torch.ones(1, dtype=torch.int64)
    rows = [[[1e6, 0.0, 1e15], [5e8, -1e9, 1e3], [1e12, 1e12, 1.0], [1e8, 5e7, 1e6]]]
    state = stepped(stepper, state, spectrum_load(t, blocks(rows)))
    values = torch.tensor([0.0, 1e8, -1e8, 1e12, 0.0]).double()
    state = stepped(stepper, state, series_load(t, [values]))
    state = stepped(stepper, state, inspection_load(t, torch.tensor([0.01]).double()))
    if isinstance(state, CrackState):
        assert float(remaining(state)) >= 0.0
    else:
        assert float(with_remaining(state, default_intensities())[1]) >= 0.0
    return float(belief(state).crack_length[0])


def test_what_passes_the_trial_lives_through_a_hard_day() -> None:
    taken = []
    plate = {"kind": "plate", "W": 0.04}
    lives(registration(geometry=plate, crack_length=0.002))  # its matrix is factorised once
    lives(registration())  # what steps all others is compiled once

    @settings(
        max_examples=150,
        deadline=5000,
        phases=[Phase.generate],
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(REGISTRATIONS)
    def lives_if_taken(table: dict[str, Any]) -> None:
        try:
            wanted = Registration.model_validate(table)
            trial(wanted)
        except (ValidationError, ValueError):
            return
        taken.append(table)
        assert math.isfinite(lives(wanted))

    lives_if_taken()
    assert len(taken) >= 10
