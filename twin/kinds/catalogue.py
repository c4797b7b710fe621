"""Every kind of belief, by name, and which one a registration asks for."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel

from models.crack import stepper as crack
from models.crack.state import CrackState
from models.crack.uncertain_state import UncertainCrack
from models.crack_path.stepper import PathState
from models.fatigue import exposure, rainflow
from models.stepper import Stepper
from storage.trajectories.layout import INSTANT, Field
from twin.kinds.crack import CrackKind
from twin.kinds.crack_path import CrackPathKind
from twin.kinds.crack_settings import CrackSettings
from twin.kinds.kind import Kind
from twin.kinds.uncertain_crack import UncertainCrackKind

AnyKind = Kind[Any, Any, Any]
AnyStepper = Stepper[Any, Any]
AnyState = Any  # of any kind
AnyCrack = CrackState | PathState | UncertainCrack

CRACK: Final = CrackKind()
CRACK_PATH: Final = CrackPathKind()
UNCERTAIN: Final = UncertainCrackKind(CRACK)
KINDS: Final[dict[str, AnyKind]] = {kind.name: kind for kind in (CRACK, CRACK_PATH, UNCERTAIN)}


def groups() -> dict[str, type[BaseModel]]:
    """The parts that a registration can have, by name; the first one every component has."""
    return {kind.group: kind.settings for kind in KINDS.values()}


def fields_of(group: str) -> tuple[Field, ...]:
    """What is recorded in a group of the trajectory."""
    return next(kind.fields for kind in KINDS.values() if kind.group == group)


def instants(group: str) -> set[str]:
    """Which of them are instants."""
    return {field.name for field in fields_of(group) if field.units == INSTANT}


def kind_of(settings: BaseModel) -> AnyKind:
    """The kind of belief that a part of a registration asks for."""
    some = (k for k in KINDS.values() if type(settings) is k.settings)
    return next(kind for kind in some if kind.fits(settings))


def stepper_of(settings: CrackSettings) -> Any:  # noqa: ANN401  of any kind
    """The time-stepper that a crack asks for."""
    return kind_of(settings).stepper(settings)


def warm() -> None:
    """Compile what all steppers share, or load what was compiled before, ahead of any message."""
    for each in (rainflow, exposure, crack):
        each.warm()
