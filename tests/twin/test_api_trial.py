"""What is registered can be stepped: a journal must never hold what breaks its own fold."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.crack import belief, blocks, inspection_load, series_load, spectrum_load
from models.forecast import remaining
from models.geometry import GEOMETRIES
from models.laws import LAWS
from models.retardation import RETARDATIONS
from twin.api.problems import ProblemError
from twin.api.trial import trial
from twin.component import Registration

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
    return st.one_of(
        st.fixed_dictionaries(
            {
                "kind": st.just(kind),
                **{
                    f.name: NUMBERS
                    for f in dataclasses.fields(part)
                    if not isinstance(f.default, str)
                },
            }
        )
        for kind, part in registry.items()
    )


REGISTRATIONS = st.fixed_dictionaries(
    {
        "law": parts(LAWS),
        "geometry": parts(GEOMETRIES) | st.just({"kind": "edge_crack", "W": 0.1}),
        "retardation": parts(RETARDATIONS) | st.none(),
        "crack_length": st.sampled_from([1e-300, 1e-9, 0.002]),
        "crack_limit": st.sampled_from([1e-6, 0.03, 50.0]),
        "gate": st.sampled_from([0.0, 1e5, 1e12]),
    }
)


def lives(registration: Registration) -> float:
    """The length after a hard day [m]."""
    stepper = registration.stepper()
    state, t = stepper.init(1), torch.ones(1, dtype=torch.int64)
    rows = [[[1e6, 0.0, 1e15], [5e8, -1e9, 1e3], [1e12, 1e12, 1.0], [1e8, 5e7, 1e6]]]
    state = stepper.step(state, spectrum_load(t, blocks(rows)))
    values = torch.tensor([0.0, 1e8, -1e8, 1e12, 0.0]).double()
    state = stepper.step(state, series_load(t, [values]))
    state = stepper.step(state, inspection_load(t, torch.tensor([0.01]).double()))
    assert float(remaining(state)) >= 0.0
    return float(belief(state).crack_length[0])


@settings(max_examples=300, deadline=5000, suppress_health_check=list(HealthCheck))
@given(REGISTRATIONS)
def test_what_passes_the_trial_lives_through_a_hard_day(table: dict[str, Any]) -> None:
    try:
        registration = Registration.model_validate(table)
        trial("a/b", registration)
    except (ValidationError, ProblemError):
        return
    print("PASS", table)
    assert math.isfinite(lives(registration))
