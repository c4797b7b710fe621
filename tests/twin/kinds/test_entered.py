"""Kinds that would take another's place are refused before any is used."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from storage.trajectories.layout import Field
from twin.kinds.catalogue import CRACK, KINDS
from twin.kinds.crack import CrackKind
from twin.kinds.crack_settings import CrackSettings
from twin.kinds.entered import TAKEN, require_sound
from twin.publish import exposition

SHARED = ("calibration", "gauge", "stale_after_s", "unusual")


class WearSettings(BaseModel):
    depth: float = 0.0


class Wear(CrackKind):
    """Another belief, as far as it is looked at here."""

    name: ClassVar[str] = "wear"
    group: ClassVar[str] = "wear"
    settings: ClassVar[type[BaseModel]] = WearSettings
    fields: ClassVar[tuple[Field, ...]] = (Field("depth", "m", "depth of wear", "float64"),)
    is_inspected: ClassVar[bool] = False
    runs_together: ClassVar[bool] = False


def entered(**changes: Any) -> None:
    kind = type("Changed", (Wear,), changes)()
    require_sound({**KINDS, kind.name: kind}, SHARED)


def test_those_that_ship_and_one_more_fit_together() -> None:
    require_sound(KINDS, SHARED)
    entered()
    entered(settings=type("Own", (CrackSettings,), {}))  # a subclass is another class


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"settings": CrackSettings}, "settings CrackSettings of kind 'crack' are another group's"),
        ({"group": "crack"}, "have the group 'crack' in common, and not their fields"),
        ({"group": "gauge"}, "the group 'gauge' is no name that is free"),
        ({"group": "bolt-tension"}, "the group 'bolt-tension' is no name that is free"),
        ({"group": "remaining"}, "the group 'remaining' is no name that is free"),
        ({"group": "crack_depth"}, "the group 'crack_depth' is no name that is free"),
        ({"fields": (Field("depth of", "m", "", "float64"),)}, "the field 'depth of' is no name"),
        ({"fields": (*Wear.fields, Field("at_limit", "1", ""))}, "the field 'at_limit' is no name"),
        ({"fields": Wear.fields * 2}, "the field 'depth' is no name that is free"),
        ({"fields": (Field("n", "1", "", "int64", 0),)}, "the first field, 'n', tells who has"),
        ({"fields": (Field("n", "1", "", "float64", 0.0),)}, "the first field, 'n', tells who has"),
        ({"is_inspected": True}, "cracks alone are inspected, and run together"),
        ({"runs_together": True}, "cracks alone are inspected, and run together"),
    ],
)
def test_what_would_take_the_place_of_another_is_refused(
    changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(TypeError) as caught:
        entered(**changes)
    assert says in str(caught.value)


def test_a_kind_is_entered_by_its_own_name() -> None:
    with pytest.raises(TypeError, match="kind 'crack' is entered as 'cracks'"):
        require_sound({"cracks": CRACK}, SHARED)


def test_the_names_that_are_taken_are_those_of_the_cracks_metrics() -> None:
    text = exposition.components.__code__.co_consts
    names = {word for word in text if isinstance(word, str) and word.replace("_", "").islower()}
    metrics = {name for name in names if " " not in name and name != "crack"}
    assert {name.partition("_")[0] for name in metrics} == {*TAKEN}
