"""Whether a registration can be meant, asked at the door: when it comes by HTTP or the fleet file.

Never when the journal is read: what is in it was taken once, and is kept. What lies outside of a
formula's range is refused; what hardly any part has is refused unless it is said to be `unusual`.
Each sentence says what was given, what is credible, and, where that would fit, which unit it looks
like. Bounds are wide: they tell slips of units and signs, not good data from bad.
"""

# Over 300 lines: the bounds of all constants stand in one table, beside what is said of each.

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from models.fatigue.geometry import GEOMETRIES, outside
from models.fatigue.laws import LAWS
from models.fatigue.tables import table_law
from twin.component import Registration
from twin.parameters import PlateParameters
from twin.units import EXPONENTS, GROWTHS, INTENSITIES, constant_unit, distinct

MEANT = 'if it is meant, say so: "unusual": true'


class NotMeantError(ValueError):
    """A registration that can be stepped, and cannot be meant."""


class Range(NamedTuple):
    """What is credible, and the slips that are worth a hint."""

    low: float
    high: float
    unit: str = ""
    slips: tuple[tuple[float, str], ...] = ()  # what a value times this would be, in what


_TOUGHNESS = ((1e6, "MPa √m: give the value times 1e6"),)
_YIELD = ((1e6, "MPa: give the value times 1e6"),)
_K = ((1e6, "MPa √m: give C_unit, or the value times 1e6"),)
_K_RETARDED = ((1e6, 'MPa √m: give "unit": "MPa", or the value times 1e6'),)
_MM = ((1e-3, 'mm: give "unit": "mm"'), (1e-6, 'µm: give "unit": "um"'))
_STRESS = ((1e6, 'MPa: give "unit": "MPa", or the value times 1e6'),)
_SIZE = Range(1e-4, 10.0, "m", _MM)
_THRESHOLD = Range(0.0, 3e7, "Pa √m")
LEAST_THRESHOLD = 1e4  # [Pa √m] above none
_THRESHOLD_OF_METALS = Range(LEAST_THRESHOLD, 3e7, "Pa √m", _K)
FASTER_BY = 1.2  # by which a table's ΔK may rise with R: scatter of measurements
BETA = Range(0.0, 20.0, "", ((0.01, "per cent: give it itself"),))  # of the shortest crack
K_OVER_STRESS = BETA._replace(slips=((0.03162, "one from K_over_stress in √mm: give it in √m"),))
GAUGE: Mapping[str, Range] = {  # beyond which a gauge would set everything, or nothing, aside
    "max_stress": Range(1e6, 1e15, "Pa", ((1e6, "MPa: give the value times 1e6"),)),
    "spike": Range(1e3, 1e15, "Pa", ((1e6, "MPa: give the value times 1e6"),)),
    "max_strain": Range(1e-5, 10.0, "m/m", ((1e-6, "µm/m: give the value times 1e-6"),)),
}
RAILS = (Range(1e-5, 0.1, "m/m"), Range(1e5, 1e10, "Pa"))

LAW: Mapping[str, Range] = {
    "m": Range(1.0, 10.0),
    "n": Range(1.0, 10.0),
    "gamma": Range(-0.1, 1.2),  # Walker's, measured from 0.3 to 0.8; 0 and 1 are its ends
    "p": Range(0.0, 3.0),
    "q": Range(0.0, 3.0),
    "K_c": Range(5e5, 5e8, "Pa √m", _K),
    "dK_th": _THRESHOLD,
    "dK_0": Range(1e5, 3e7, "Pa √m", _K),
    "dK_1": Range(1e5, 3e7, "Pa √m", _K),
    "C_th": Range(-2.0, 5.0),
    "C_th_minus": Range(-2.0, 5.0),
    "alpha": Range(1.0, 3.0),  # plane stress … plane strain
    "S": Range(0.0, 0.99),
    "a_0": Range(0.0, 1e-3, "m", _MM),
}
RETARDATION: Mapping[str, Range] = {
    "gamma": Range(0.0, 6.0),  # Wheeler's; below 0 an overload would speed growth up
    "yield_stress": Range(1e7, 5e9, "Pa", _STRESS),
    "S_ol": Range(1.05, 10.0),
    "K_th": Range(0.0, 3e7, "Pa √m", _K_RETARDED),
    "floor": Range(-math.inf, 0.0, "Pa √m"),
}
STRENGTH: Mapping[str, Range] = {
    "toughness": Range(5e5, 5e8, "Pa √m", _TOUGHNESS),
    "yield_stress": Range(1e7, 5e9, "Pa", _YIELD),
}
GEOMETRY: Mapping[str, Range] = {"W": _SIZE, "H": _SIZE, "t": _SIZE, "radius": _SIZE}
CRACK = Range(1e-6, 1.0, "m", _MM)
GAIN = Range(1e-3, 1e3)
GATE = Range(0.0, 5e7, "Pa")
YOUNGS_MODULUS = Range(
    5e8,
    1.2e12,
    "Pa",
    ((1e9, "GPa: give the value times 1e9"), (1e6, "MPa: give the value times 1e6")),
)

MPa_SQRT_M = 1e6
SLOWEST, FASTEST = 1e-12, 1e-5  # [m/cycle] at 10 MPa √m and R = 0, of what carries load
CREEPING = 1e-8  # [m/cycle] at 1 MPa √m: any year of 10 million cycles would add 0.1 m
RUNNING = 1e-2  # [m/cycle] at 30 MPa √m, unless the toughness is below
YEAR = 1e7  # cycles
ORDINARY = (1e-10, 1e-6)  # [m/cycle] there, of most metals
UNITS = (
    "MPa sqrt(m), m/cycle",
    "MPa sqrt(m), mm/cycle",
    "N/mm^1.5, mm/cycle",
    "ksi sqrt(in), in/cycle",
)
TOGETHER = (("MPa√m", "mm/cycle"), ("N/mm^1.5", "mm/cycle"), ("ksi√in", "in/cycle"))


def credible(registration: Registration) -> None:
    """Raises NotMeantError, in a sentence for people, for what cannot be meant."""
    faults = [*_outside(registration)]
    if not registration.unusual:
        faults += [f"{fault}; {MEANT}" for fault in _unusual(registration)]
    if faults:
        raise NotMeantError(" ".join(f"{fault[0]}{fault[1:]}." for fault in faults))


def _outside(registration: Registration) -> Iterator[str]:
    """What no formula of the geometry is meant for; an unusual part has none either."""
    if isinstance(registration.crack.geometry, PlateParameters):
        return
    r = registration.crack
    geometry = r.geometry.built(GEOMETRIES)
    lengths = {"crack_length": r.crack_length, "crack_limit": r.crack_limit}
    told = set()
    for name, a in lengths.items():
        for fault in outside(geometry, a):
            says_it = fault.what.startswith(f"{a:.4g} m ")
            at = f"{name} " if says_it else f"{name} {a:g} m: " if fault.of_length else ""
            if fault.bound not in told:
                kind = r.geometry.kind
                yield f"geometry {kind}: {at}{fault.what}, for which it is not meant"
            told.add(fault.bound)


def _unusual(registration: Registration) -> Iterator[str]:
    r, calibration = registration.crack, registration.calibration
    if r.law is not None:
        yield from _beyond("law", r.law.constants, LAW)
    if r.retardation is not None:
        yield from _beyond("retardation", dict(r.retardation), RETARDATION)
    yield from _beyond("geometry", dict(r.geometry), GEOMETRY)
    yield from _beyond("gauge", dict(registration.gauge), GAUGE)
    yield from _odd(registration)
    for name, within in STRENGTH.items():
        if isinstance(value := getattr(r, name), float):
            yield from _beyond_one(name, value, within)
    yield from _beyond_one("crack_length", r.crack_length, CRACK)
    yield from _beyond_one("crack_limit", r.crack_limit, CRACK)
    yield from _beyond_one("calibration.gain", calibration.gain, GAIN, either_sign=True)
    yield from _beyond_one("gate", r.gate, GATE)
    if (modulus := calibration.youngs_modulus) is not None:
        yield from _beyond_one("calibration.youngs_modulus", modulus, YOUNGS_MODULUS)
    if r.law is not None:
        yield from _growing(r.law)


def _odd(registration: Registration) -> Iterator[str]:
    """What single numbers do not show: a threshold of next to nothing, and odd tables."""
    r = registration.crack
    if r.law is not None and 0.0 < r.law.constants.get("dK_th", 0.0) < LEAST_THRESHOLD:
        yield from _beyond_one("law.dK_th", r.law.dK_th, _THRESHOLD_OF_METALS)
    if r.law is not None and r.law.kind == "tabulated":
        for growth, row in zip(r.law.growth, r.law.dK, strict=True):
            if any(right > FASTER_BY * left for left, right in pairwise(row)):
                yield (
                    f"law.dK rises with R at a growth of {growth:g} m a cycle: a crack grows"
                    " faster, not slower, at a higher load ratio"
                )
                return
    rail = registration.gauge.rail
    if rail is not None and not any(low <= abs(rail) <= high for low, high, *_ in RAILS):
        yield (
            f"gauge.rail is {rail:g}: it is in m/m where the gauge sends strain, in Pa where it"
            " sends stress, whatever unit that comes in"
        )
    if r.geometry.kind == "tabulated":
        first = float(r.geometry.built({}).beta.flatten()[0])
        within = BETA if r.geometry.K_over_stress is None else K_OVER_STRESS
        yield from _beyond_one("the first geometry.beta", first, within)


def _beyond(part: str, constants: Mapping[str, Any], ranges: Mapping[str, Range]) -> Iterator[str]:
    for name, value in constants.items():
        if name in ranges and isinstance(value, float):
            yield from _beyond_one(f"{part}.{name}", value, ranges[name])


def _beyond_one(
    name: str, value: float, within: Range, *, either_sign: bool = False
) -> Iterator[str]:
    low, high, unit, slips = within
    if low <= (abs(value) if either_sign else value) <= high:
        return
    either = "±" if either_sign else ""
    told = f"{name} is {value:g}{unit and ' '}{unit}, not within {either}{_number(low)} … {high:g}"
    likely = next((word for scale, word in slips if low <= value * scale <= high), None)
    yield told + (f": {value:g} looks like {likely}" if likely else "")


def _number(x: float) -> str:
    return "−∞" if x == -math.inf else f"{x:g}"


def _growing(parameters: Any) -> Iterator[str]:  # noqa: ANN401  of any law
    """Whether the law grows a crack as a metal does, where it is neither arrested nor broken."""
    law = parameters.built(LAWS)
    at, growth = _typical(law)
    if at is None:
        yield "the law grows no crack at any ΔK from 0.1 to 1000 MPa √m at R = 0"
        return
    told = (
        f"the law grows a crack by {growth:.3g} m a cycle at ΔK {at / MPa_SQRT_M:.3g} MPa √m, R 0"
    )
    if not SLOWEST <= growth <= FASTEST:
        within = f", not within {SLOWEST:g} … {FASTEST:g} m a cycle"
        yield (
            told
            + within
            + (
                _table_looks_like(parameters)
                if parameters.kind == "tabulated"
                else _looks_like(parameters, growth)
            )
        )
        return
    slow, fast = (_grown(law, x * MPa_SQRT_M) for x in (1.0, 30.0))
    if slow > CREEPING and at > MPa_SQRT_M:
        yield (
            f"the law grows a crack by {slow:.3g} m a cycle at ΔK 1 MPa √m, R 0: a year of"
            f" {YEAR:g} cycles that hardly any metal feels would add {slow * YEAR:.3g} m"
        )
    elif RUNNING < fast < math.inf:
        yield f"the law grows a crack by {fast:.3g} m a cycle at ΔK 30 MPa √m, R 0, short of K_c"


def _typical(law: Any) -> tuple[float | None, float]:  # noqa: ANN401  a law of any kind
    """ΔK = 10 MPa √m with its growth, or the nearest ΔK at which a crack neither rests nor runs."""
    if 0.0 < (growth := _grown(law, 10.0 * MPa_SQRT_M)) < math.inf:
        return 10.0 * MPa_SQRT_M, growth
    tried = torch.logspace(5.0, 9.0, 81, dtype=torch.float64)
    values = law(tried, torch.zeros_like(tried)).reshape(-1)
    some = ((values > 0.0) & (values < math.inf)).nonzero()[:, 0]
    if not len(some):
        return None, 0.0
    middle = some[int((tried[some].log() - math.log(10.0 * MPa_SQRT_M)).abs().argmin())]
    return float(tried[middle]), float(values[middle])


def _grown(law: Any, intensity: float) -> float:  # noqa: ANN401  a law of any kind
    one: Tensor = torch.tensor([intensity], dtype=torch.float64)
    return float(law(one, torch.zeros_like(one)).reshape(-1)[0])


def _looks_like(law: Any, growth: float) -> str:  # noqa: ANN401  parameters of any law
    """The units in which the constant would be an ordinary one."""
    if law.kind not in EXPONENTS:
        return ""
    exponent, shift = EXPONENTS[law.kind]
    found = []
    for unit in UNITS:
        intensity, length = constant_unit(unit)
        scale = length / math.pow(intensity, getattr(law, exponent) + shift)
        if ORDINARY[0] <= growth * scale <= ORDINARY[1]:
            found.append(f'"{unit}"')
    return f": C {law.C:g} looks like one for {' or '.join(found)}: give C_unit" if found else ""


def _table_looks_like(table: Any) -> str:  # noqa: ANN401  parameters of a tabulated law
    """Which unit the table may have been given without, one or both, and which there are."""
    read = f"dK {_span(table.dK)} Pa √m", f"growth {_span(table.growth)} m/cycle"
    ways: list[list[tuple[str, str]]] = [
        [(unit, "") for unit in distinct(INTENSITIES)],
        [("", per) for per in distinct(GROWTHS)],
        list(TOGETHER),
    ]
    for group in ways:
        if likely := [way for way in group if _is_ordinary(table, *way)]:
            named = ("dK_unit", INTENSITIES), ("growth_unit", GROWTHS)
            told = [
                f"{read[i]} looks like {_or(way[i] for way in likely)}: give {name}, one of "
                f"{', '.join(distinct(units))}"
                for i, (name, units) in enumerate(named)
                if likely[0][i]
            ]
            return f": {'; '.join(told)}"
    intensities, growths = (", ".join(distinct(units)) for units in (INTENSITIES, GROWTHS))
    units = f"dK_unit may be {intensities}, growth_unit {growths}"
    return f": it was read as {' and '.join(read)}; {units}"


def _or(words: Iterable[str]) -> str:
    return " or ".join(dict.fromkeys(words))


def _is_ordinary(table: Any, intensity: str, per: str) -> bool:  # noqa: ANN401  as above
    """Whether a table grows cracks as metals do if it was in these units; empty: in SI."""
    pascals, metres = INTENSITIES.get(intensity, 1.0), GROWTHS.get(per, 1.0)
    rows = [[x * pascals for x in row] for row in table.dK]
    at, growth = _typical(table_law(table.R, [x * metres for x in table.growth], rows))
    if at is None or not LEAST_THRESHOLD <= rows[0][0] <= rows[-1][0] <= 1e9:
        return False
    return 1e6 <= at <= 1e8 and ORDINARY[0] <= growth <= ORDINARY[1]


def _span(values: Any) -> str:  # noqa: ANN401  numbers, or rows of them
    first, last = (x[0] if isinstance(x, tuple) else x for x in (values[0], values[-1]))
    return f"{first:g} … {last:g}"
