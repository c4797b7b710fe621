"""What every kind of belief keeps, and that nobody goes round it."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import twin
from models import tree
from tests.twin.fleets import registration
from twin.kinds.catalogue import CRACK, CRACK_PATH, KINDS, fields_of, groups, kind_of
from twin.kinds.kind import Manner

PLATE = {"geometry": {"kind": "plate", "W": 0.01}, "crack_limit": 0.008}
EXAMPLES: dict[str, dict[str, Any]] = {
    "crack": {},
    "crack_path": PLATE,
    "uncertain_crack": {"uncertainty": {"particles": 16}},
}
OWN = {
    *("CrackStepper", "PathStepper", "UncertainCrackStepper"),
    *("CrackState", "PathState", "UncertainCrack"),
    *("CrackKind", "CrackPathKind", "UncertainCrackKind"),
}


def own_names(path: Path) -> set[str]:
    """What a file knows of single kinds."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return {node.id for node in nodes if isinstance(node, ast.Name)} & OWN


def test_nobody_outside_knows_the_steppers_and_states_of_a_kind() -> None:
    hall = Path(twin.__file__).parent
    found = {
        str(path.relative_to(hall)): own_names(path)
        for path in hall.rglob("*.py")
        if path.parent.name != "kinds"
    }
    assert len(found) > 100
    assert {path: names for path, names in found.items() if names} == {}
    own = {"CrackStepper", "CrackState", "UncertainCrack"}
    assert own_names(hall / "kinds" / "crack.py") == own


def test_every_kind_has_an_example() -> None:
    assert EXAMPLES.keys() == KINDS.keys()
    assert groups() == {"crack": CRACK.settings}
    assert fields_of("crack") == CRACK.fields == CRACK_PATH.fields


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_a_kind_says_fits_together(name: str) -> None:
    kind, own = KINDS[name], registration(**EXAMPLES[name]).crack
    assert kind_of(own) is kind
    kind.check(own)
    steppers = [kind.stepper(own) for _ in range(3)]
    assert len({kind.key(stepper) for stepper in steppers}) == 1
    state = kind.beginnings(steppers)
    assert all(len(leaf) == 3 for path, leaf in tree.leaves(state) if "offset" not in path)
    assert state.t_ns.tolist() == [0, 0, 0]
    for flags in kind.flags(state):
        assert (flags.dtype, tuple(flags.shape)) == (torch.bool, (3,))
    recorded = kind.columns(state, np.full(3, np.nan))
    assert sorted(recorded) == sorted(field.name for field in kind.fields)
    assert all(values.shape == (3,) for values in recorded.values())
    assert np.isfinite(recorded[kind.fields[0].name]).all()
    kept = kind.carried(state, kind.beginnings(steppers), Manner(True, True, True))
    for (path, one), (_, other) in zip(tree.leaves(kept), tree.leaves(state), strict=True):
        assert np.array_equal(one.numpy(), other.numpy(), equal_nan=True), path
