"""What a solve costs: condensed on the intact plate, against refactorising for every crack.

    python -m tests.benchmarks.xfem_cost

The yardstick assembles the whole plate with the enriched functions as further unknowns and
factorises that, as XFEM is usually written; both answer for the same cracks in the same run.
"""

from __future__ import annotations

import sys
import time
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack  # noqa: F401  loaded before the clock runs
from scipy.sparse import block_array, coo_array, csc_array
from scipy.sparse.linalg import splu

from models.crack_library import CONFIGS, sample
from models.xfem.crack import Crack, checked
from models.xfem.enrichment import Enrichment, enrichment
from models.xfem.grid import Grid
from models.xfem.intact import assembled, factorised
from models.xfem.integral import domain, intensities
from models.xfem.plate import RADIUS, Plate
from models.xfem.stiffness import Stiffness, stiffness
from tests.benchmarks.figures import Figure, at_least, at_most, middle, table

Floats: TypeAlias = NDArray[np.float64]
SOLVES = 16  # of the yardstick
LIBRARY = 908  # samples


def refactorised(plate: Plate, crack: Crack, *, ordered: bool = True) -> Floats:
    """As `plate.K`, everything assembled and factorised anew; `ordered` for symmetry."""
    grid, material, held = plate.grid, plate.material, plate.intact.held
    extra = enrichment(checked(crack, grid, plate.band), grid)
    blocks = stiffness(extra, grid, material.stiffness(), side_shear=held.side_shear)
    B = held.free.T @ _coupling(extra, blocks, grid)
    K = held.free.T @ assembled(grid, material) @ held.free
    whole = csc_array(block_array([[K, B], [B.T, csc_array(blocks.own)]]))
    factor = factorised(whole) if ordered else splu(whole)
    solution = factor.solve(np.vstack([held.free.T @ held.force, blocks.force]))
    u = (held.free @ solution[: K.shape[0]]).reshape(-1, 2, 2)
    unknowns = solution[K.shape[0] :].reshape(-1, 2, 2)
    parts = [domain(at, grid, RADIUS * grid.h) for at in extra.tips.at]
    return np.stack(
        [
            intensities(part, u[part.nodes], unknowns, k, extra, grid, material)
            for k, part in enumerate(parts)
        ]
    )


def _coupling(extra: Enrichment, blocks: Stiffness, grid: Grid) -> csc_array:
    """The coupling as a matrix (2 nodes, 2f)."""
    f, j, i, d, c = np.nonzero(blocks.coupling)
    node = extra.node[f] + (j - 1) * len(grid.x) + i - 1
    entries = (blocks.coupling[f, j, i, d, c], (2 * node + d, 2 * f + c))
    return csc_array(coo_array(entries, shape=(2 * grid.nodes, 2 * len(extra.node))))


def cracks(count: int) -> list[Crack]:
    """Every crack on the way of sample 0 of the library, or as many of them, evenly chosen."""
    path = sample(CONFIGS["crack"], 0, 0).path[:-1]
    chosen = np.linspace(2, len(path), count).round().astype(int)
    return [Crack(path[:k]) for k in chosen]


def figures() -> list[Figure]:
    """The cost of a solve, and of the library."""
    plate = CONFIGS["crack"].plate
    chosen = cracks(SOLVES)
    plate.K(chosen[-1])
    condensed, whole, plain = [], [], []
    for crack in chosen:
        condensed.append(min(_seconds(lambda c=crack: plate.K(c)) for _ in range(3)))  # type: ignore[misc]  # bound at once
        whole.append(_seconds(lambda c=crack: refactorised(plate, c)))  # type: ignore[misc]
        plain.append(_seconds(lambda c=crack: refactorised(plate, c, ordered=False)))  # type: ignore[misc]
    mine, theirs, default = middle(condensed), middle(whole), middle(plain)
    seconds = [_seconds(lambda k=k: sample(CONFIGS["crack"], 1, k)) for k in range(12)]  # type: ignore[misc]
    hours = middle(seconds[4:]) * LIBRARY
    return [
        Figure("cost", "a condensed solve", 1e3 * mine, "ms CPU", f"refactorised {1e3 * theirs:.0f} ms",
               theirs / mine, *at_least(20.0, theirs / mine)),
        Figure("cost", "a condensed solve", 1e3 * mine, "ms CPU",
               f"refactorised, default ordering {1e3 * default:.0f} ms", default / mine,
               *at_least(20.0, default / mine)),
        Figure("cost", f"{LIBRARY} samples, one process", hours, "s CPU", "", None,
               *at_most(480.0, hours)),
    ]  # fmt: skip  # a figure each


def _seconds(work) -> float:  # type: ignore[no-untyped-def]  # noqa: ANN001
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    sys.stdout.write(table(figures()) + "\n")
