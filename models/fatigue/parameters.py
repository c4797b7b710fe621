"""What every constant of a law, a geometry and a load interaction means, and its unit.

For whoever has to type them: the API's document and the refusals of registrations say it.
"""

from __future__ import annotations

from typing import NamedTuple


class Parameter(NamedTuple):
    """One constant."""

    unit: str  # SI; 1 for a plain number
    meaning: str


_K = "Pa m^0.5"
_ANY: dict[str, Parameter] = {  # where a kind says nothing else
    "m": Parameter("1", "Exponent of the stress intensity range."),
    "n": Parameter("1", "Exponent of the effective stress intensity range."),
    "p": Parameter("1", "Exponent near the threshold."),
    "q": Parameter("1", "Exponent near the toughness."),
    "dK_th": Parameter(_K, "Threshold: at and below this range nothing grows."),
    "K_c": Parameter(_K, "Toughness: a peak that reaches it breaks the part."),
    "C_th": Parameter("1", "How much the threshold falls with R, for R ≥ 0."),
    "C_th_minus": Parameter("1", "The same for R < 0."),
    "alpha": Parameter("1", "Constraint factor of closure: 1 plane stress to 3 plane strain."),
    "S": Parameter("1", "Largest stress over flow stress, of closure; 0.3 is usual."),
    "a_0": Parameter("m", "Length below which a crack counts as short."),
    "W": Parameter("m", "Whole width of the plate."),
    "t": Parameter("m", "Thickness."),
    "radius": Parameter("m", "Radius of the hole: half its diameter."),
    "aspect": Parameter(
        "1", "Depth over half the surface length, a/c of the literature; stays as it is."
    ),
    "point": Parameter("1", "Where on the front K is taken: at the deepest point, or the largest."),
    "yield_stress": Parameter("Pa", "Yield stress."),
    "zone": Parameter("1", "Which definition of the plastic zone; lives differ 2 to 6 times."),
    "R": Parameter("1", "Load ratio, smallest over largest."),
    "dK": Parameter(_K, "Stress intensity range, largest less smallest."),
    "growth": Parameter("m/cycle", "Growth per cycle."),
}
_OWN: dict[str, dict[str, Parameter]] = {
    "paris": {"C": Parameter("m/cycle / (Pa m^0.5)^m", "Growth at a range of 1 Pa m^0.5.")},
    "walker": {
        "C": Parameter("m/cycle / (Pa m^0.5)^m", "Growth at a range of 1 Pa m^0.5 and R = 0."),
        "gamma": Parameter("1", "Walker's exponent: 1 is no influence of R, 0.5 is usual."),
    },
    "forman": {"C": Parameter("m/cycle / (Pa m^0.5)^(m-1)", "Coefficient of Forman's law.")},
    "nasgro": {
        "C": Parameter("m/cycle / (Pa m^0.5)^n", "Growth at an effective range of 1 Pa m^0.5."),
        "dK_0": Parameter(_K, "Threshold of long cracks at R = 0."),
    },
    "nasgro4": {
        "C": Parameter("m/cycle / (Pa m^0.5)^n", "Growth at an effective range of 1 Pa m^0.5."),
        "dK_1": Parameter(_K, "Threshold of long cracks as R nears 1."),
    },
    "edge_crack": {"W": Parameter("m", "Whole width of the plate, from edge to edge.")},
    "centre_crack": {"W": Parameter("m", "Whole width of the plate, from edge to edge.")},
    "compact_tension": {"W": Parameter("m", "From the load line to the back face.")},
    "hole_crack": {"W": Parameter("m", "Whole width of the plate, the hole included.")},
    "surface_crack": {
        "t": Parameter("m", "Thickness, that the crack grows through."),
        "W": Parameter("m", "Whole width of the plate, that the crack lies across."),
    },
    "wheeler": {"gamma": Parameter("1", "Wheeler's exponent: 0 is no retardation.")},
    "willenborg": {
        "S_ol": Parameter("1", "Overload ratio that arrests growth."),
        "K_th": Parameter(_K, "Largest stress intensity at the threshold."),
        "floor": Parameter(_K, "The least that a smallest stress intensity is lowered to."),
    },
}

# What `crack_length` and `crack_limit` are, by geometry.
LENGTHS: dict[str, str] = {
    "edge_crack": "The crack's length is measured from the edge to its tip.",
    "centre_crack": "The crack's length is half of that from tip to tip.",
    "compact_tension": "The crack's length is measured from the load line to its tip.",
    "hole_crack": "The crack's length is measured from the edge of the hole to its tip.",
    "surface_crack": "The crack's length is its depth; 2/aspect of it at the surface.",
}

# How the literature writes what has another name here.
SYMBOLS: dict[str, str] = {
    "R": "radius",
    "r": "radius",
    "a/c": "aspect",
    "a_c": "aspect",
    "a_over_c": "aspect",
    "width": "W",
    "thickness": "t",
    "B": "t",
    "height": "H",
    "β": "beta",
    "γ": "gamma",
    "α": "alpha",
    "ΔK": "dK",
    "ΔK_th": "dK_th",
    "K_Ic": "K_c",
    "K_IC": "K_c",
    "da/dN": "growth",
    "dadN": "growth",
    "da_dN": "growth",
    "σ_y": "yield_stress",
    "sigma_y": "yield_stress",
    "E": "youngs_modulus",
}


def parameter(kind: str, name: str) -> Parameter | None:
    """What the constant `name` of a law, geometry or load interaction `kind` is, if known."""
    return _OWN.get(kind, {}).get(name) or _ANY.get(name)
