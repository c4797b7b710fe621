"""What pydantic finds is told to people: the field as they wrote it, its value, what it must be."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import pytest
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from tests.twin.fleets import registration
from twin.component import FlatRegistration
from twin.sentences import faults, nearest, sentence


class Round(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["round"]
    radius: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Square(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["square"]
    side: Annotated[int, Field(ge=1, le=8)]


class Sheet(BaseModel):
    model_config = ConfigDict(extra="forbid")

    shape: Annotated[Round | Square, Field(discriminator="kind")]
    holes: list[Round] = []
    node: tuple[float, float] = (0.0, 0.0)
    name: str = Field("a", min_length=1, max_length=3)
    is_flat: bool = True
    password: str = ""
    since: AwareDatetime | None = None


GOOD: dict[str, Any] = {"shape": {"kind": "round", "radius": 1.0}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"shape": 7}, "shape is 7: it must be a table of fields"),
        ({"shape": None}, "shape is null: it must be a table of fields"),
        ({"shape": {}}, "shape has no kind: it must be one of round, square"),
        ({"shape": {"kind": "oval"}}, "shape.kind is 'oval': it must be one of round, square"),
        ({"shape": {"kind": "round"}}, "shape.radius is missing"),
        ({"shape": {"kind": "round", "radius": 0}}, "shape.radius is 0: it must be above 0"),
        (
            {"shape": {"kind": "round", "radius": float("nan")}},
            "shape.radius is nan: it must be a finite number",
        ),
        ({"shape": {"kind": "square", "side": 9}}, "shape.side is 9: it must be at most 8"),
        (
            {"shape": {"kind": "square", "side": 1.5}},
            "shape.side is 1.5: it must be a whole number",
        ),
        (
            {"shape": {"kind": "square", "Side": 1, "side": 1}},
            "shape.Side is unknown: is shape.side meant?",
        ),
        ({"holes": [{"kind": "round", "radius": "x"}]}, "holes[0].radius is 'x': it must be a num"),
        ({"holes": {}}, "holes is {}: it must be a list"),
        ({"node": [1.0]}, "node[1] is missing"),
        ({"node": [1.0, True, 2.0]}, "node is [1.0, true, 2.0]: it must have at most 2 entries"),
        ({"name": "abcd"}, "name is 'abcd': it must have at most 3 characters"),
        ({"name": ""}, "name is '': it must have at least 1 character"),
        ({"is_flat": "perhaps"}, "is_flat is 'perhaps': it must be true or false"),
        ({"password": 12345}, "password: it must be text"),
        ({"since": "2026-01-01"}, "since is '2026-01-01': it must be a time with a zone"),
        ({"hoels": []}, "hoels is unknown: is holes meant?"),
        ({"x": 1}, "x is unknown: known here are shape, holes, node, name"),
    ],
)
def test_a_fault_is_a_sentence(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Sheet.model_validate(GOOD | changes)
    assert sentence(caught.value, Sheet).startswith(said)


def test_each_place_is_told_once_and_a_list_is_not_blamed_for_its_entries() -> None:
    plate = {"kind": "plate", "W": 0.01, "path": [[0.0, "x"], [1.0]]}
    with pytest.raises(ValidationError) as caught:
        registration(geometry=plate, crack_limit=0.009)
    told = faults(caught.value.errors(), FlatRegistration)
    assert len({fault.where for fault in told}) == len(told)
    wheres = {fault.where for fault in told}
    assert {"geometry.path[0][1]", "geometry.path[1]"} <= wheres
    assert not {"geometry.path", "geometry.path[0]"} & wheres


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"law": {"kind": "paris", "C": None, "C_unit": "MPa√m, m/cycle", "m": 3}},
            "law.C is null",
        ),
        ({"law": {"kind": "paris", "C": 10**400, "m": 3.0}}, "law.C is 1000"),
        ({"law": {"kind": None}}, "law.kind is null: it must be one of paris"),
        ({"law": {"kind": []}}, "law.kind is []: it must be one of paris"),
        ({"geometry": {"kind": "edge_crack", "W": 1.0, "unit": "x"}}, "geometry.unit is 'x'"),
        ({"geometry": {"kind": "hole_crack", "R": 0.1, "W": 1.0}}, "is geometry.radius meant?"),
        (
            {"geometry": {"kind": "surface_crack", "t": 0.1, "W": 1.0, "a/c": 0.5}},
            "geometry.a/c is unknown: is geometry.aspect meant?",
        ),
        ({"toughness": True}, "toughness: true is neither a number"),
        ({"toughness": 10**400}, "toughness: 1000000000"),
        ({"crack_length": 10**400}, "it is too large"),
        ({"crack_length": [0.1] * 9}, "crack_length is a list of 9 entries: it must be a number"),
    ],
)
def test_a_registration_is_told_in_its_own_names(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        registration(**changes)
    told = sentence(caught.value, FlatRegistration)
    assert said in told
    assert len(told) < 300
    assert not re.search("<|None|True|not > 0", told)


def test_no_more_faults_are_told_than_anybody_reads() -> None:
    with pytest.raises(ValidationError) as caught:
        Sheet.model_validate(GOOD | {f"x{i}": i for i in range(1000)})
    assert len(faults(caught.value.errors(), Sheet)) == 20


@pytest.mark.parametrize(
    ("word", "meant"),
    [("prot", "port"), ("Kc", "K_c"), ("w", "W"), ("tokens-file", "tokens_file"), ("zzz", None)],
)
def test_the_nearest_name_is_found(word: str, meant: str | None) -> None:
    assert nearest(word, ("port", "host", "tokens_file", "K_c", "W")) == meant
