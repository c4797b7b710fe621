"""Every kind of belief, by name, and which one a registration asks for."""

from __future__ import annotations

from typing import Any, Final

from models.crack.stepper import CrackLoad, CrackState, CrackStepper
from models.crack_path.stepper import PathState, PathStepper
from models.stepper import Stepper
from twin.component import Registration
from twin.kinds.crack import Crack
from twin.kinds.crack_path import CrackPath
from twin.kinds.kind import Kind

AnyKind = Kind[Any, Any]
AnyStepper = Stepper[Any, CrackLoad]
AnyState = CrackState | PathState

CRACK: Final = Crack()
CRACK_PATH: Final = CrackPath()
KINDS: Final[dict[str, AnyKind]] = {kind.name: kind for kind in (CRACK, CRACK_PATH)}


def kind_of(registration: Registration) -> AnyKind:
    """The kind of belief that a registration asks for."""
    return next(kind for kind in KINDS.values() if kind.fits(registration))


def stepper_of(registration: Registration) -> CrackStepper | PathStepper:
    """The time-stepper that a registration asks for."""
    stepper: CrackStepper | PathStepper = kind_of(registration).stepper(registration)
    return stepper
