"""How many knots a tabulated law needs: as many as Schwarz's criterion pays for."""

from __future__ import annotations

import math

import numpy as np

from models.crack.growth_cells import CELL, CrossedCells
from models.crack.growth_fit import GROWTH_SD_ALONE, GrowthFit, fitted
from models.crack.growth_shape import ConstantLoad, table_shape

KNOTS = range(3, 13)  # two are Paris's law
CELLS_OF_A_KNOT = 2  # fewer would follow single cells
BELOW, ABOVE = 100.0, 10.0  # factors of ΔK by which a table goes on beyond what was measured


def best_table(
    cells: CrossedCells, load: ConstantLoad, *, growth_sd_alone: float = GROWTH_SD_ALONE
) -> GrowthFit:
    """The table of the lowest criterion among those that rise.

    Raises ValueError where none rises, and for what `fitted` refuses.
    """
    first, count = cells.among(np.nonzero(cells.count)[0].tolist()).first_and_count()
    low, high = np.exp(CELL * np.array([first, first + count])).tolist()
    most = max(count // CELLS_OF_A_KNOT, KNOTS.start)
    found = [
        fitted(cells, table_shape(load, low, high, knots), growth_sd_alone=growth_sd_alone)
        for knots in KNOTS
        if knots <= most
    ]
    rising = [fit for fit in found if (np.diff(fit.growth.constants) > 0.0).all()]
    if not rising:
        raise ValueError("no table of growth rises with the stress intensity: take another law")
    return min(rising, key=lambda fit: fit.criterion)


def extended(
    ln_dK: tuple[float, ...], ln_growth: list[float], exponent: float
) -> tuple[list[float], list[float]]:
    """ΔK [Pa √m] and growth [m/cycle] of a table that goes on for BELOW and ABOVE its ends.

    Below and above what was measured it has the slope of its ends, or Paris's `exponent` where
    that lets cracks grow faster: the first entry of a law's table is its threshold.
    """
    x, y, below, above = [*ln_dK], [*ln_growth], math.log(BELOW), math.log(ABOVE)
    first, last = ((y[i + 1] - y[i]) / (x[i + 1] - x[i]) for i in (0, len(x) - 2))
    x = [x[0] - below, *x, x[-1] + above]
    y = [y[0] - below * min(first, exponent), *y, y[-1] + above * max(last, exponent)]
    return np.exp(x).tolist(), np.exp(y).tolist()
