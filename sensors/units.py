"""Units of the wire, to SI."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from sensors.errors import MalformedError
from sensors.observation import Quantity
from sensors.refusal import malformed, shown


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
    "N/mm2": Unit(1e6, 1.0),
    "psi": Unit(KSI, 1e3),
    "ksi": Unit(KSI, 1.0),
}
STRAIN: Final[dict[str, Unit]] = {
    "um/m": Unit(1.0, 1e6),
    "mm/m": Unit(1.0, 1e3),
    "m/m": Unit(1.0, 1.0),
}
LENGTH: Final[dict[str, Unit]] = {
    "m": Unit(1.0, 1.0),
    "mm": Unit(1.0, 1e3),
    "cm": Unit(1.0, 1e2),
    "um": Unit(1.0, 1e6),
    "in": Unit(254.0, 1e4),
}

# Other names that mean one thing only. Not among them: bar, which measures a pressure and no
# stress of the part; %, of what; mil, a thousandth of an inch to some and a millimetre to others.
_STRESS_NAMES: Final = {
    "N/m2": "Pa",
    "kN/m2": "kPa",
    "MN/m2": "MPa",
    "kN/mm2": "GPa",
    "lbf/in2": "psi",
    "kpsi": "ksi",
}
_STRAIN_NAMES: Final = {
    "microstrain": "um/m",
    "ustrain": "um/m",
    "ue": "um/m",
    "um/mm": "mm/m",
    "mm/mm": "m/m",
    "in/in": "m/m",
    "uin/in": "um/m",
}
_LENGTH_NAMES: Final = {"inch": "in", "micron": "um"}
_SPELT: Final = {  # how people write what a keyboard lacks, or has twice
    "u": ("u", "\N{MICRO SIGN}", "\N{GREEK SMALL LETTER MU}"),
    "e": ("e", "\N{GREEK SMALL LETTER EPSILON}"),
    "2": ("2", "^2", "\N{SUPERSCRIPT TWO}"),
}


def _spellings(name: str) -> Iterator[str]:
    """A name, and the same with a real µ, ε and ²; of words only the µ varies."""
    if name == "ue":
        yield from (a + b for a in _SPELT["u"] for b in _SPELT["e"])
    elif name.startswith("u"):
        yield from (mu + name[1:] for mu in _SPELT["u"])
    elif name.endswith("2"):
        area = name.replace("2", "{0}")
        yield from (area.format(two) for two in _SPELT["2"])
    else:
        yield name


def _named(units: dict[str, Unit], others: dict[str, str]) -> dict[str, Unit]:
    """All names of some units."""
    names = {**{name: name for name in units}, **others}
    return {text: units[unit] for name, unit in names.items() for text in _spellings(name)}


_LOAD: Final[dict[str, tuple[Quantity, Unit]]] = {
    **{name: ("stress", unit) for name, unit in _named(STRESS, _STRESS_NAMES).items()},
    **{name: ("strain", unit) for name, unit in _named(STRAIN, _STRAIN_NAMES).items()},
}
_LENGTHS: Final = _named(LENGTH, _LENGTH_NAMES)


def factors(quantity: str) -> dict[str, float]:
    """Every name of the units of "stress" or "length", and what it is in SI."""
    if quantity == "length":
        return {name: unit.si(1.0) for name, unit in _LENGTHS.items()}
    return {name: unit.si(1.0) for name, (of, unit) in _LOAD.items() if of == quantity}


def load_unit(name: str, field: str = "unit") -> tuple[Quantity, Unit]:
    """What a load's unit measures, and how to turn it into Pa or m/m.

    Raises MalformedError: reason `unit`.
    """
    found = _LOAD.get(name)
    if found is None:
        raise _unknown(field, name, "of stress or strain", _LOAD, (*STRESS, *STRAIN))
    return found


def length_unit(name: str, field: str = "unit") -> Unit:
    """How to turn a length's unit into m; raises MalformedError (reason `unit`)."""
    found = _LENGTHS.get(name)
    if found is None:
        raise _unknown(field, name, "of length", _LENGTHS, LENGTH)
    return found


def _unknown(
    field: str, name: str, what: str, known: Iterable[str], accepted: Iterable[str]
) -> MalformedError:
    """The refusal; it names the right spelling where only case, blanks or a dot are wrong.

    Case is not guessed: mPa is a milliard times less than MPa.
    """
    loose = {unit.casefold(): unit for unit in reversed([*known])}
    meant = loose.get(name.strip(" .\t").casefold())
    advice = f": is {meant} meant?" if meant else f" ({', '.join(accepted)})"
    return malformed("unit", f"{field} {shown(name)} is not a unit {what}{advice}")
