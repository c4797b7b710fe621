"""What must know every growth law knows it: else its constants would be read as something else."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import pytest

from models.fatigue.laws import LAWS
from models.fatigue.parameters import parameter
from models.fatigue.scalar_laws import CODES
from twin.belief import credible
from twin.units import EXPONENTS, law_in_si


def test_units_and_compiled_code_know_every_law() -> None:
    assert EXPONENTS.keys() == LAWS.keys()
    assert set(LAWS.values()) < set(CODES)


@pytest.mark.parametrize("kind", LAWS)
def test_every_constant_has_a_meaning_and_bounds(kind: str) -> None:
    names = {field.name for field in dataclasses.fields(cast(Any, LAWS[kind]))}
    assert names - credible.LAW.keys() == {"C"}  # which hangs on the exponent
    assert all(parameter(kind, name) for name in names)


def test_a_unit_of_a_law_that_is_not_known_is_never_left_out() -> None:
    with pytest.raises(ValueError, match=r"C_unit .* 'burgers'"):
        law_in_si({"kind": "burgers", "C": 1e-9, "m": 3.0, "C_unit": "mm/cycle, MPa√m"})
