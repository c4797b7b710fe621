"""Materials: constants of growth laws and of elasticity, each with its source.

Every entry is indicative: override it with your own. Alloy, heat treatment, thickness,
direction and environment change growth rates by a factor of two and more.

`constants` carry the names that the fields of the law in `models.fatigue.laws` have, in SI, so that
`LAWS[material.law](**material.constants)` is the law. A threshold that the source does not
give is 0: the law then grows too fast at small ranges, never too slowly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

MPa, GPa = 1e6, 1e9  # [Pa]
MPa_SQRT_M = 1e6  # [Pa √m]
INCH = 0.0254  # [m]
KSI = 4.4482216152605e3 / INCH**2  # [Pa]

UNITS = {  # of a constant C: unit of ΔK [Pa √m], unit of growth [m/cycle]
    "MPa√m, m/cycle": (MPa_SQRT_M, 1.0),
    "ksi√in, in/cycle": (KSI * INCH**0.5, INCH),
    "MPa√mm, mm/cycle": (MPa * 1e-3**0.5, 1e-3),
    "N/mm^1.5, mm/cycle": (MPa * 1e-3**0.5, 1e-3),  # another name of the same
}

INDICATIVE = "indicative, override with your own"


@dataclass(frozen=True, slots=True)
class Material:
    """An indicative set of properties."""

    name: str
    law: str  # a key of models.fatigue.laws.LAWS
    constants: Mapping[str, float]  # fields of that law, SI
    source: str
    yield_stress: float  # [Pa]
    youngs_modulus: float  # [Pa]
    poisson: float  # [1]
    K_c: float  # [Pa √m] toughness, at which a crack runs
    R_range: tuple[float, float]  # load ratios for which the constants hold, see `_AT_0_2`
    assumed: tuple[str, ...] = ()  # fields that are plausible values and not the source's
    note: str = INDICATIVE


def paris_constant_SI(C: float, m: float, unit: str = "MPa√m, m/cycle") -> float:
    """The constant C of da/dN = C ΔK^m [m/cycle / (Pa √m)^m] from C in one of `UNITS`.

    It serves every law whose growth is C times a range to the power m; Forman's divides by a
    stress intensity, so that its C changes as one with the exponent m − 1.
    Raises ValueError for another unit.
    """
    if unit not in UNITS:
        raise ValueError(f"unit {unit!r} is none of {', '.join(UNITS)}")
    intensity, length = UNITS[unit]
    return C * length / math.pow(intensity, m)


def material(name: str) -> Material:
    """The material called `name`; raises ValueError for one that is not in the table."""
    if name not in MATERIALS:
        raise ValueError(f"material {name!r} is none of {', '.join(MATERIALS)}")
    return MATERIALS[name]


def _constants(exponent: str, shift: float = 0.0, **values: float) -> Mapping[str, float]:
    """Constants in Pa √m from those in MPa √m: C by `exponent` + `shift`, and every K by 1e6."""
    stresses = {"K_c", "dK_th", "dK_0", "dK_1"}
    SI = {k: v * MPa_SQRT_M if k in stresses else v for k, v in values.items()}
    SI["C"] = paris_constant_SI(values["C"], values[exponent] + shift)
    return MappingProxyType(SI)


_NASGRO_SOURCE = "DOT/FAA/AR-05/15 (2005) is primary; the constants are from secondary sources"
_BARSOM = "J. M. Barsom and S. T. Rolfe, Fracture and Fatigue Control in Structures"

_2024_T3 = (365 * MPa, 73.1 * GPa, 0.33, 72.5 * MPa_SQRT_M)  # yield, E, ν, K_c
_STRUCTURAL_STEEL = (355 * MPa, 210 * GPa, 0.3, 100 * MPa_SQRT_M)

# Load ratios for which constants hold. A law without R holds where R opens and closes the crack as
# in its tests; below it is on the safe side, as compression does nothing. At R = 0.3 the growth of
# 2024-T3 is 1.2 times that at the 0.2 of Virkler's tests (by Walker's γ = 0.68), at 0.5 1.7 times.
_AT_0_2 = (-1.0, 0.3)
_AT_0 = (-1.0, 0.1)  # the tests, and formulas without R, of R ≈ 0
_STEEL = (-1.0, 0.5)  # J. M. Barsom and S. T. Rolfe: R matters little in steels, up to about there
_WITH_R = (-1.0, 0.7)  # fits of ratios from 0 to about 0.7
_CLOSURE = (-2.0, 0.9)  # Newman's opening function ends at −2; thresholds are fitted to 0.9
_UPPER = (-1.0, 0.95)  # an upper bound for any mean stress

_ELASTIC = ("yield_stress", "youngs_modulus", "poisson")
_ALL = (
    Material(
        "2024-t3-paris",
        "paris",
        _constants("m", C=8.954e-11, m=2.874, dK_th=0.0),
        "mean of ln C = −26.155 and of m (mm, N/mm^1.5) of 68 specimens, R = 0.2: "
        "D. A. Virkler et al., J. Eng. Mater. Technol. 101 (1979) 148, doi:10.1115/1.3443666",
        *_2024_T3,
        R_range=_AT_0_2,
        assumed=(*_ELASTIC, "K_c"),
    ),
    Material(
        "2024-t3-walker",
        "walker",
        _constants("m", C=1.42e-11, m=3.59, gamma=0.680, dK_th=0.0),
        "N. E. Dowling, Mechanical Behavior of Materials",
        *_2024_T3,
        R_range=_WITH_R,
        assumed=(*_ELASTIC, "K_c"),
    ),
    Material(
        "2024-t3-forman",
        "forman",
        _constants("m", -1.0, C=7.13e-9, m=2.70, K_c=71.3, dK_th=0.0),
        "W. Schwarmann (1986), as tabulated with easigrow",
        yield_stress=365 * MPa,
        youngs_modulus=73.1 * GPa,
        poisson=0.33,
        K_c=71.3 * MPa_SQRT_M,
        R_range=_WITH_R,
        assumed=_ELASTIC,
    ),
    Material(
        "2024-t351-forman",
        "forman",
        _constants("m", -1.0, C=5.00e-9, m=2.88, K_c=63.2, dK_th=0.0),
        "W. Schwarmann (1986), as tabulated with easigrow",
        yield_stress=365 * MPa,
        youngs_modulus=73.1 * GPa,
        poisson=0.33,
        K_c=63.2 * MPa_SQRT_M,
        R_range=_WITH_R,
        assumed=_ELASTIC,
    ),
    Material(
        "2024-t3-nasgro3",
        "nasgro",
        _constants(
            "n",
            C=1.545e-10,
            n=3.284,
            p=0.5,
            q=1.0,
            dK_0=3.187,
            C_th=1.5,
            K_c=72.5,
            alpha=1.5,
            S=0.3,
            a_0=38.1e-6,
        ),
        f"T-L; {_NASGRO_SOURCE}",
        *_2024_T3,
        R_range=_CLOSURE,
        assumed=("poisson",),
    ),
    Material(
        "2024-t3-nasgro4",
        "nasgro4",
        _constants(
            "n",
            C=1.503e-10,
            n=3.20,
            p=0.25,
            q=1.0,
            dK_1=1.34,
            C_th=1.21,
            K_c=72.5,
            alpha=2.0,
            S=0.3,
            a_0=38.1e-6,
        ),
        f"L-T; {_NASGRO_SOURCE}",
        *_2024_T3,
        R_range=_CLOSURE,
        assumed=(*_ELASTIC, "K_c"),
    ),
    Material(
        "ti-6al-4v-nasgro4",
        "nasgro4",
        _constants(
            "n",
            C=4.786e-11,
            n=3.0,
            p=0.5,
            q=0.75,
            dK_1=2.31,
            C_th=0.0,
            K_c=71.0,
            alpha=2.5,
            S=0.3,
            a_0=38.1e-6,
        ),
        f"mill-annealed; K_c is K_1e of surface cracks, K_1c is 55 MPa √m; {_NASGRO_SOURCE}",
        yield_stress=952 * MPa,
        youngs_modulus=114 * GPa,
        poisson=0.34,
        K_c=71 * MPa_SQRT_M,
        R_range=_CLOSURE,
        assumed=("youngs_modulus", "poisson"),
    ),
    Material(
        "42crmo4-qt",
        "paris",
        _constants("m", C=1.36e-10, m=2.25, dK_th=0.0),
        f"martensitic steels: {_BARSOM}; yield stress: EN 10083-3, minimum for 40 < d ≤ 100 mm",
        yield_stress=650 * MPa,
        youngs_modulus=210 * GPa,
        poisson=0.3,
        K_c=100 * MPa_SQRT_M,
        R_range=_STEEL,
        assumed=("youngs_modulus", "poisson", "K_c"),
    ),
    Material(
        "ferrite-pearlite",
        "paris",
        _constants("m", C=6.9e-12, m=3.0, dK_th=0.0),
        f"ferrite–pearlite steels: {_BARSOM}",
        *_STRUCTURAL_STEEL,
        R_range=_STEEL,
        assumed=(*_ELASTIC, "K_c"),
    ),
    Material(
        "steel-bs7910",
        "paris",
        MappingProxyType(
            {
                "C": paris_constant_SI(5.21e-13, 3.0, "N/mm^1.5, mm/cycle"),
                "m": 3.0,
                "dK_th": 0.0,
            }
        ),
        "BS 7910, simplified law, upper bound for steels in air",
        *_STRUCTURAL_STEEL,
        R_range=_UPPER,
        assumed=(*_ELASTIC, "K_c"),
    ),
    Material(
        "nickel",
        "paris",
        _constants("m", C=9.7e-12, m=3.0, dK_th=0.0),
        "Zhao and Xu, Neural network modeling of microstructure complexity using digital libraries",
        yield_stress=150 * MPa,
        youngs_modulus=207 * GPa,
        poisson=0.31,
        K_c=100 * MPa_SQRT_M,
        R_range=_AT_0,
        assumed=(*_ELASTIC, "K_c"),
    ),
)

MATERIALS: Mapping[str, Material] = MappingProxyType({m.name: m for m in _ALL})
