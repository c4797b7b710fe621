"""What a solve costs: condensed on the intact plate, against refactorising for every crack.

    python -m tests.benchmarks.xfem.cost

The yardstick assembles the whole plate with the enriched functions as further unknowns and
factorises that, as XFEM is usually written; both answer for the same cracks in the same run.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import block_array, coo_array, csc_array
from scipy.sparse.linalg import splu

from models.crack_frames.config import CONFIGS
from models.crack_frames.library import sample
from models.xfem.crack import PolylineCrack, checked
from models.xfem.enrichment import Enrichment, enrichment
from models.xfem.grid import Grid
from models.xfem.intact import assembled, factorised
from models.xfem.integral import Displacements, domains, intensities
from models.xfem.plate import RADIUS, Plate
from models.xfem.stiffness import Stiffness, stiffness
from tests.benchmarks.report import Figure, at_least, at_most, middle, table

Floats: TypeAlias = NDArray[np.float64]
SOLVES, REPEATS = 16, 3  # cracks, and how often each is solved for
LIBRARY = 908  # samples


def refactorised(plate: Plate, crack: PolylineCrack, *, ordered: bool = True) -> Floats:
    """As `plate.K`, everything assembled and factorised anew; `ordered` for symmetry."""
    grid, material, held = plate.grid, plate.material, plate.intact.held
    extra = enrichment(checked(crack, grid, plate.band), grid)
    blocks = stiffness(extra, grid, material.moduli(), side_shear=held.side_shear)
    B = held.free.T @ _coupling(extra, blocks, grid)
    K = held.free.T @ assembled(grid, material) @ held.free
    whole = csc_array(block_array([[K, B], [B.T, csc_array(blocks.own)]]))
    factor = factorised(whole) if ordered else splu(whole)
    solution = factor.solve(np.vstack([held.free.T @ held.force, blocks.force]))
    u = (held.free @ solution[: K.shape[0]]).reshape(-1, 2, 2)
    unknowns = solution[K.shape[0] :].reshape(-1, 2, 2)
    return np.stack(
        [
            intensities(part, Displacements(u[part.nodes], unknowns), extra, grid, material)
            for part in domains(extra.tips, grid, RADIUS * grid.h)
        ]
    )


def _coupling(extra: Enrichment, blocks: Stiffness, grid: Grid) -> csc_array:
    """The coupling as a matrix (2 nodes, 2f)."""
    f, j, i, d, c = np.nonzero(blocks.coupling)
    node = extra.node[f] + (j - 1) * len(grid.x) + i - 1
    entries = (blocks.coupling[f, j, i, d, c], (2 * node + d, 2 * f + c))
    return csc_array(coo_array(entries, shape=(2 * grid.nodes, 2 * len(extra.node))))


def cracks(count: int) -> list[PolylineCrack]:
    """Every crack on the way of sample 0 of the library, or as many of them, evenly chosen."""
    path = sample(CONFIGS["crack"], 0, 0).path[:-1]
    chosen = np.linspace(2, len(path), count).round().astype(int)
    return [PolylineCrack(path[:k]) for k in chosen]


def figures() -> list[Figure]:
    """The cost of a solve, and of the library."""
    plate = CONFIGS["crack"].plate
    chosen = cracks(SOLVES)
    plate.K(chosen[-1])
    condensed, whole, plain = [], [], []
    for crack in chosen:
        condensed.append(_least(partial(plate.K, crack)))
        whole.append(_least(partial(refactorised, plate, crack)))
        plain.append(_least(partial(refactorised, plate, crack, ordered=False)))
    mine = middle(condensed)
    yardsticks = {
        "refactorised, ordered for symmetry": middle(whole),
        "refactorised, default ordering": middle(plain),
    }
    seconds = [_seconds(partial(sample, CONFIGS["crack"], 1, k)) for k in range(12)]
    whole_s = middle(seconds[4:]) * LIBRARY
    return [
        *(_ratio(mine, theirs, name) for name, theirs in yardsticks.items()),
        Figure("cost", f"{LIBRARY} samples", whole_s, "s CPU", "", None, *at_most(480.0, whole_s)),
    ]


def _ratio(mine: float, theirs: float, name: str) -> Figure:
    target = at_least(20.0, theirs / mine)
    return Figure("cost", "a condensed solve", 1e3 * mine, "ms CPU",
                  f"{name} {1e3 * theirs:.0f} ms", theirs / mine, *target)  # fmt: skip


def _least(work: Callable[[], object]) -> float:
    return min(_seconds(work) for _ in range(REPEATS))


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    sys.stdout.write(table(figures()) + "\n")
