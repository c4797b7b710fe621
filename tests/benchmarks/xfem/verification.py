"""XFEM against analysis and finite elements of another kind, in one table.

    python -m tests.benchmarks.xfem.verification

Errors of a stress intensity are relative to √(K_I² + K_II²) of the reference: one that nearly
vanishes beside the other has no relative error of its own.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from models.crack_frames.slices import Course, Growth, grown
from models.fatigue.laws import ParisLaw, si_coefficient
from models.fatigue.mixed_mode import equivalent
from models.xfem.closure import SHEAR, TENSION, Closure
from models.xfem.elasticity import Elastic
from models.xfem.grid import Floats
from models.xfem.plate import RADIUS, Plate
from tests.benchmarks.xfem import references as known

DEEP = 5.0  # [mm] up to half the width 1 %, beyond 1.5 %
HEAD = ("case", "quantity", "reference", "found", "error", "target", "met")
LOADS = {TENSION: "tension", SHEAR: "shear"}
STEP = 0.18e-3  # increment of the paths, as in the library [m]


class Row(NamedTuple):
    """One line: what was found, what is known, and how far apart they may be."""

    case: str
    quantity: str
    reference: float
    found: float
    error: float  # relative, or [m] of a path
    target: float | None = None  # none: stated, not judged

    @property
    def met(self) -> bool:
        """Whether the error is within the target."""
        return self.target is None or abs(self.error) <= self.target


def intensities(
    case: str, found: Floats, reference: Floats, target: float | None, least: float = 0.0
) -> list[Row]:
    """Rows of K_I and K_II under one load, of found and reference (2,).

    `least` stands for the size of a reference that is smaller.
    """
    size = max(float(np.hypot(*reference)), least)
    return [
        Row(case, name, float(r), float(f), float((f - r) / size), target)
        for name, f, r in zip(("K_I", "K_II"), found, reference, strict=True)
    ]


def edge_cracks() -> Iterator[Row]:
    """Straight edge cracks from a/W = 0.05 to 0.7, all closures."""
    a, F = known.EDGE_TENSION_SHORT
    tables: tuple[tuple[Closure, int, dict[float, float]], ...] = (
        ("uniform", TENSION, {a: F, **known.EDGE_TENSION}),
        ("uniform", SHEAR, known.EDGE_SHEAR),
        ("grip", TENSION, known.GRIP_TENSION),
        ("grip", SHEAR, known.GRIP_SHEAR),
    )
    for closure, load, table in tables:
        plate = Plate(closure=closure)
        for length, factor in table.items():
            K = plate.K(known.straight(length))[0, load]
            reference = np.zeros(2)
            reference[load] = factor * math.sqrt(math.pi * length * known.MM)
            case = f"edge crack, {closure}, {LOADS[load]}, a/W = {length / 10:g}"
            rows = intensities(case, K, reference, 0.01 if length <= DEEP else 0.015)
            yield rows[load]
    K = Plate(closure="clamp", material=Elastic(nu=0.3)).K(known.straight(1.0))[0]
    reference = np.array(known.CLAMP).reshape(2, 2) * math.sqrt(math.pi * known.MM)
    for load in LOADS:
        case = f"edge crack, clamp, {LOADS[load]}, a/W = 0.1"
        yield from intensities(case, K[load], reference[load], 0.01)


def slanted() -> Iterator[Row]:
    """Slanted edge cracks, tension and shear."""
    plate = Plate()
    for (degrees, a), factors in known.SLANTED.items():
        K = plate.K(known.straight(a, degrees))[0]
        reference = np.array(factors).reshape(2, 2) * math.sqrt(math.pi * a * known.MM)
        for load, name in LOADS.items():
            case = f"edge crack of {a:g} mm at {degrees:g}°, {name}"
            yield from intensities(case, K[load], reference[load], 0.01)


def inclined(columns: int = 160) -> Iterator[Row]:
    """A centre crack of 2a = W/20 at 0–90°, against the infinite plate (finite: +0.2 %)."""
    width = 40e-3
    plate = Plate(width, width, columns, 2e-3, (-1.2e-3, 1.2e-3))
    for degrees in range(0, 91, 15):
        t = math.radians(degrees)
        K = plate.K(known.inclined(np.array([width / 2, 0.0]), 1.0, degrees))
        size = math.sqrt(math.pi * known.MM)
        exact = size * np.array(
            [[math.cos(t) ** 2, 0.5 * math.sin(2 * t)], [-math.sin(2 * t), math.cos(2 * t)]]
        )
        for load, name in LOADS.items():
            rows = [
                row
                for tip in K
                for row in intensities(f"centre crack at {degrees}°, {name}", tip[load],
                                       exact[load], 0.01, size)
            ]  # fmt: skip  # one comprehension
            yield max(rows, key=lambda row: abs(row.error))


def kinks() -> Iterator[Row]:
    """Kinked paths on the library's mesh, against a mesh three times finer."""
    plate = Plate()
    for name, reference in known.KINKED.items():
        K = plate.K(known.kinked(name))[0]
        for load, load_name in LOADS.items():
            rows = np.array(reference).reshape(2, 2)[load]
            yield from intensities(f"{name}, {load_name}", K[load], rows, 0.01)


def refinement() -> Iterator[Row]:
    """An edge crack of 3 mm in tension on meshes from 32 to 128 columns."""
    reference = known.EDGE_TENSION[3.0] * math.sqrt(math.pi * 3.0 * known.MM)
    for columns in (32, 48, 64, 96, 128):
        K = Plate(columns=columns, band=(-0.5e-3, 0.5e-3)).K(known.straight(3.0))[0, TENSION, 0]
        case = f"edge crack of 3 mm, {columns} columns"
        yield Row(case, "K_I", reference, float(K), float(K / reference - 1.0))


def domains() -> Iterator[Row]:
    """The largest change of K over radii of the integral from 3.5 to 6 elements."""
    plate = Plate()
    cracks = {"straight, 3 mm": known.straight(3.0)}
    for name, crack in {**cracks, **{name: known.kinked(name) for name in known.KINKS}}.items():
        K = np.array([plate.K(crack, radius)[0] for radius in (RADIUS, 4.0, 5.0, 6.0)])
        size = np.linalg.norm(K[0], axis=1, keepdims=True)
        worst = float(np.abs((K - K[0]) / size).max())
        yield Row(f"radii of 3.5 to 6 elements, {name}", "K", 0.0, worst, worst, 0.005)


def paths() -> Iterator[Row]:
    """The two reference paths."""
    for closure, path in known.PATHS.items():
        growth = reference_growth(Plate(closure=closure))
        cycles, first = slice_cycles(growth)
        heading = growth.path[2] - growth.path[1]
        angle = math.degrees(math.atan2(heading[1], heading[0]))
        case = f"path, {closure}"
        yield Row(case, "K at the start", path.K, first / 1e6, first / 1e6 / path.K - 1.0, 0.01)
        yield Row(case, "first angle", path.angle, angle, angle / path.angle - 1.0, 0.01)
        for k, y in enumerate(path.y):
            found = float(growth.path[growth.ends[k + 1], 1])
            gap = found - y * known.MM
            yield Row(f"{case}, slice {k + 1}", "y [mm]", y, found / known.MM, gap, 0.05e-3)
        for k, N in enumerate(path.cycles):
            target = 0.02 if N > 1.0 else None  # of 1/50 of a cycle the reference has two digits
            yield Row(f"{case}, slice {k + 1}", "cycles", N, cycles[k], cycles[k] / N - 1.0, target)
        whole = sum(path.cycles)
        yield Row(case, "all cycles", whole, sum(cycles), sum(cycles) / whole - 1.0, 0.02)


def reference_growth(plate: Plate, step: float = STEP) -> Growth:
    """The path of a crack of 1 mm under 200 MPa of tension and 100 MPa of shear."""
    edges = np.append(1e-3 + np.arange(1, 7) * 9e-3 / 7, 9.75e-3)
    course = Course(edges, step, math.radians(75.0), -5.9e-3, 5.9e-3, 1)
    return grown(plate, known.straight(1.0).path, course, lambda _: np.array([200e6, 100e6]))


def slice_cycles(growth: Growth) -> tuple[list[float], float]:
    """Cycles of each slice by the trapezoid of 1/(C K^m), and the first K [Pa √m]."""
    law = ParisLaw(si_coefficient(9.7e-12, 3.0), 3.0)
    K = torch.from_numpy(growth.load[0] @ growth.K)
    driving = equivalent(K[:, 0], K[:, 1])
    slow = (1.0 / law(driving)).numpy()[1:]
    length = np.hypot(*np.diff(growth.path[1:], axis=0).T)
    parts = 0.5 * (slow[1:] + slow[:-1]) * length
    ends = growth.ends - 1
    cycles = [float(parts[a:b].sum()) for a, b in pairwise(ends)]
    return cycles, float(driving[1])


SECTIONS: dict[str, Callable[[], Iterator[Row]]] = {
    "Straight edge cracks": edge_cracks,
    "Slanted edge cracks": slanted,
    "Inclined centre crack": inclined,
    "Kinked paths": kinks,
    "Refinement": refinement,
    "Domain of the integral": domains,
    "Reference paths": paths,
}


def table() -> str:
    """All rows, in Markdown."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD)]
    for section in SECTIONS.values():
        lines += ["| " + " | ".join(_cells(row)) + " |" for row in section()]
    return "\n".join(lines) + "\n"


def _cells(row: Row) -> tuple[str, ...]:
    in_mm = "[mm]" in row.quantity
    error = f"{row.error / known.MM:+.3f} mm" if in_mm else f"{100 * row.error:+.2f} %"
    target = "stated"
    if row.target is not None:
        target = f"{row.target / known.MM:g} mm" if in_mm else f"{100 * row.target:g} %"
    met = "" if row.target is None else ("yes" if row.met else "no")
    return (row.case, row.quantity, f"{row.reference:.5g}", f"{row.found:.5g}", error, target, met)


if __name__ == "__main__":
    sys.stdout.write(table())
