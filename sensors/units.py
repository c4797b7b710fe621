"""Units of the wire, to SI."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from sensors.errors import MalformedError
from sensors.observation import Quantity
from sensors.refusal import shown


class Unit(NamedTuple):
    """One unit: SI = value · factor / divisor.

    Two whole numbers rather than one fraction, so that 12.3 mm is the float 0.0123 and not its
    neighbour.
    """

    factor: float
    divisor: float

    @property
    def is_si(self) -> bool:
        """Whether there is nothing to do."""
        return self.factor == self.divisor

    def si(self, value: float) -> float:
        """The value in SI units."""
        return value * self.factor / self.divisor

    def wire(self, value: float) -> float:
        """The SI value in this unit."""
        return value * self.divisor / self.factor


# Exact by definition: a pound is 0.45359237 kg, an inch 0.0254 m, g_n 9.80665 m/s²
# (NIST SP 811, 2008, appendix B), so a ksi is 1000 · 0.45359237 · 9.80665 / 0.0254² Pa.
KSI: Final = 6.894757293168361e6  # [Pa]

STRESS: Final[dict[str, Unit]] = {
    "Pa": Unit(1.0, 1.0),
    "kPa": Unit(1e3, 1.0),
    "MPa": Unit(1e6, 1.0),
    "GPa": Unit(1e9, 1.0),
    "ksi": Unit(KSI, 1.0),
}
STRAIN: Final[dict[str, Unit]] = {"um/m": Unit(1.0, 1e6), "m/m": Unit(1.0, 1.0)}
LENGTH: Final[dict[str, Unit]] = {
    "m": Unit(1.0, 1.0),
    "mm": Unit(1.0, 1e3),
    "um": Unit(1.0, 1e6),
    "in": Unit(254.0, 1e4),
}

_LOAD: Final[dict[str, tuple[Quantity, Unit]]] = {
    **{name: ("stress", unit) for name, unit in STRESS.items()},
    **{name: ("strain", unit) for name, unit in STRAIN.items()},
}


def load_unit(name: str, field: str = "unit") -> tuple[Quantity, Unit]:
    """What a load's unit measures, and how to turn it into Pa or m/m.

    Raises MalformedError: reason `unit`.
    """
    found = _LOAD.get(name)
    if found is None:
        raise _unknown(field, name, "of stress or strain", _LOAD)
    return found


def length_unit(name: str, field: str = "unit") -> Unit:
    """How to turn a length's unit into m; raises MalformedError (reason `unit`)."""
    found = LENGTH.get(name)
    if found is None:
        raise _unknown(field, name, "of length", LENGTH)
    return found


def _unknown(field: str, name: str, what: str, accepted: Iterable[str]) -> MalformedError:
    return MalformedError(
        "unit", f"{field} {shown(name)} is not a unit {what} ({', '.join(accepted)})"
    )
