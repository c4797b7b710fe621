"""A law and its scatter from measured curves of growth, by maximum likelihood.

Specimen i grows da/dN = h(a) exp(g_i + w_i(ln a)). The persistent factor g_i is normal with
standard deviation `growth_sd`; w_i is a stationary Gaussian AR(1), constant in each cell of ln a,
with `local_sd` and the correlation exp(−CELL |Δm| / local_length). Of each whole cell
y = −ln(ΔN / ∫ da/h) = g + w is then normal, and y of a specimen has the covariance
growth_sd² 1 1ᵀ + local_sd² ρ^|Δm|, and that of the readings' errors where they have any.

ln ∫ da/h is nearly linear in the law's constants: they follow by generalised least squares, about
where they were before, until they stand still, and the scatter is sought by what these leave.

A curve that ends early has fewer cells and counts with those it has. That is no bias where it
ends at some length; where it ends at some number of cycles, the last, unfinished cell is left out,
which is slower than others in the mean: below the standard errors, see the tests.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import minimize

from models.crack.growth_cells import CELL, Array, CrossedCells, Indices
from models.crack.growth_shape import GrowthShape, stretches, whole_cells

GROWTH_SD_ALONE = 0.1  # of one specimen, which says nothing of others: a round assumption [1]
LEAST_CELLS = 4  # of the longest curve
DEVIATIONS = (1e-3, 3.0)  # within which standard deviations are sought [1]
DISTANCES = (0.005, 5.0)  # and the local length, in ln a [1]
_STARTS = (0.03, 0.3)  # local lengths from which it is sought
_ROUNDS = 20  # in which the constants come to stand still; three are usual
_STILL = 1e-7  # of ln da/dN
_STEP = 1e-3  # of the differences that make the curvature
_AT_BOUND = 0.02  # in a logarithm: so near a bound is at it
SCATTER = ("growth_sd", "local_sd", "local_length")


@dataclass(frozen=True, slots=True)
class GrowthScatter:
    """How growth differs between specimens, and along a crack."""

    growth_sd: float  # of ln da/dN between specimens, all along [1]
    local_sd: float  # of ln da/dN along a crack [1]
    local_length: float  # over which that forgets, in ln a [1]

    def covariance(self, one: Indices, other: Indices) -> Array:
        """Of g + w between the cells `one` (n,) and `other` (k,): (n, k)."""
        apart = CELL * np.abs(one[:, None] - other[None, :])
        local = self.local_sd**2 * np.exp(-apart / self.local_length)
        return np.asarray(self.growth_sd**2 + local)

    def logarithms(self) -> Array:
        """Of the three, (3,)."""
        return np.log([self.growth_sd, self.local_sd, self.local_length])


@dataclass(frozen=True, slots=True, eq=False)
class ScatteredGrowth:
    """A law with its constants under one load, and how specimens differ from it."""

    shape: GrowthShape
    constants: Array  # (k,) β of the shape
    scatter: GrowthScatter

    def ln_cycles(self, low: Array, high: Array) -> Array:
        """The ln of the cycles that the median law takes from ln a = `low` to `high`, (n,)."""
        return stretches(self.shape, low, high).ln_cycles(self.constants)

    def factors(self, cells: CrossedCells) -> Array:
        """The y = g + w of every cell (s, n), 0 where there is none."""
        by_law = whole_cells(self.shape, *cells.first_and_count()).ln_cycles(self.constants)
        return cells.spread(by_law) - cells.ln_cycles


@dataclass(frozen=True, slots=True, eq=False)
class GrowthFit:
    """What was estimated; a standard error is None where the data do not give one."""

    growth: ScatteredGrowth
    constant_errors: Array  # (k,) standard errors of the constants
    scatter_errors: tuple[float | None, float | None, float | None]  # in the order of SCATTER
    ln_likelihood: float  # of ln ΔN of all cells
    specimens: int  # with a whole cell at least
    cells: int
    growth_sd_assumed: bool  # one specimen says nothing of others
    at_bounds: tuple[str, ...]  # of SCATTER, those at the end of where they are sought

    @property
    def criterion(self) -> float:
        """Schwarz's criterion (BIC), lower for a better law: k ln(cells) − 2 ln L."""
        parameters = len(self.constant_errors) + 3 - self.growth_sd_assumed
        return parameters * math.log(self.cells) - 2.0 * self.ln_likelihood


def fitted(
    cells: CrossedCells,
    shape: GrowthShape,
    *,
    growth_sd_alone: float = GROWTH_SD_ALONE,
    start: ScatteredGrowth | None = None,
) -> GrowthFit:
    """The likeliest constants and scatter, sought from `start` on if that is given.

    With one specimen `growth_sd` is `growth_sd_alone`. Raises ValueError where no curve has
    LEAST_CELLS cells, and where by the law's fixed constants a measured crack does not grow, or
    its constants do not follow from the cells.
    """
    most = int(cells.count.max(initial=0))
    if most < LEAST_CELLS:
        raise ValueError(
            f"the longest curve crosses {most} whole cells of {CELL:.0%} of its length: "
            f"{LEAST_CELLS} are needed"
        )
    cells = cells.among(np.nonzero(cells.count)[0].tolist())
    alone = growth_sd_alone if len(cells.count) == 1 else None
    grid = whole_cells(shape, *cells.first_and_count())
    if start is None:
        begins = _begins(alone)
        constants = _first_constants(cells, *grid.linear(np.zeros(grid.basis.shape[-1])))
    else:
        begins, constants = [start.scatter], start.constants
    found = _Found(math.inf, begins[0], constants, np.eye(len(constants)))
    for _ in range(_ROUNDS):
        ln_cycles, by_constants = grid.linear(found.constants)
        level = ln_cycles + by_constants @ found.constants
        line = _Line(cells, cells.spread(level) - cells.ln_cycles, cells.spread(by_constants))
        before, found = found.constants, min((line.best(b, alone) for b in begins), key=_value)
        begins = [found.scatter]
        if np.abs(by_constants @ (found.constants - before)).max() < _STILL:
            break
    return _fit(shape, line, found, alone)


class _Found(NamedTuple):
    """The likeliest so far."""

    negative: float  # −ln of the likelihood
    scatter: GrowthScatter
    constants: Array  # (k,)
    covariance: Array  # (k, k) of these


def _value(found: _Found) -> float:
    return found.negative


def _begins(alone: float | None) -> list[GrowthScatter]:
    return [GrowthScatter(alone or 0.1, 0.15, one) for one in _STARTS]


def _first_constants(cells: CrossedCells, ln_cycles: Array, by_constants: Array) -> Array:
    """By least squares alone; raises ValueError where they do not follow."""
    crossed = cells.crossed
    rows = cells.spread(by_constants)[crossed]
    known = (cells.spread(ln_cycles) - cells.ln_cycles)[crossed]
    if np.linalg.matrix_rank(rows) < rows.shape[1]:
        raise ValueError(
            f"{rows.shape[1]} constants of the law do not follow from cells of so few different "
            "stress intensities"
        )
    return np.asarray(np.linalg.lstsq(rows, known, rcond=None)[0])


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    """y = level − by_constants β of the cells of all specimens; β is likeliest in closed form."""

    cells: CrossedCells
    level: Array  # (s, n)
    by_constants: Array  # (s, n, k)

    def best(self, start: GrowthScatter, alone: float | None) -> _Found:
        """The likeliest scatter, sought from `start` on, with its constants."""
        bounds = np.log([DEVIATIONS, DEVIATIONS, DISTANCES])
        if alone is not None:
            bounds[0] = math.log(alone)
        inside = np.clip(start.logarithms(), *bounds.T)
        found = minimize(self._negative, inside, method="L-BFGS-B", jac="3-point", bounds=bounds)
        return self.at(np.asarray(found.x))

    def _negative(self, logarithms: Array) -> float:
        return self.at(logarithms).negative

    def at(self, logarithms: Array) -> _Found:
        """The likelihood and the likeliest constants of a scatter, by the logarithms of it (3,)."""
        scatter = GrowthScatter(*np.exp(logarithms).tolist())
        crossed, at = self.cells.crossed, np.arange(self.level.shape[1])
        roots = np.linalg.cholesky(scatter.covariance(at, at) + self.cells.noise)
        # Lower triangles: what is whitened of a short curve does not depend on what is behind it
        both = np.concatenate([self.level[..., None], self.by_constants], -1)
        white = _whitened(np.asarray(roots, np.float64), both)[crossed]
        y, rows = white[:, 0], white[:, 1:]
        covariance = np.asarray(np.linalg.inv(rows.T @ rows), np.float64)
        constants = covariance @ (rows.T @ y)
        squares = float(((y - rows @ constants) ** 2).sum())
        deviations = np.broadcast_to(np.log(roots.diagonal(0, 1, 2)), crossed.shape)[crossed]
        negative = 0.5 * squares + float(deviations.sum()) + 0.5 * len(y) * math.log(2.0 * math.pi)
        return _Found(negative, scatter, constants, covariance)


def _whitened(roots: Array, values: Array) -> Array:
    """Values (s, n, c) under the lower triangles `roots` (1 or s, n, n)."""
    if len(roots) > 1:
        return np.asarray(np.linalg.solve(roots, values))
    s, n, c = values.shape
    flat = values.transpose(1, 0, 2).reshape(n, s * c)
    white = solve_triangular(roots[0], flat, lower=True, check_finite=False)
    return np.asarray(white.reshape(n, s, c).transpose(1, 0, 2))


def _fit(shape: GrowthShape, line: _Line, found: _Found, alone: float | None) -> GrowthFit:
    cells, scatter = line.cells, found.scatter
    if alone is not None:
        scatter = replace(scatter, growth_sd=alone)  # not by its logarithm
    free = [i for i in range(3) if i > 0 or alone is None]
    ends = np.log([DEVIATIONS, DEVIATIONS, DISTANCES])
    at_end = np.abs(ends - scatter.logarithms()[:, None]).min(1) < _AT_BOUND
    inside = [i for i in free if not at_end[i]]
    return GrowthFit(
        ScatteredGrowth(shape, found.constants, scatter),
        constant_errors=np.sqrt(np.diag(found.covariance)),
        scatter_errors=_scatter_errors(line, scatter, inside),
        ln_likelihood=-found.negative,
        specimens=len(cells.count),
        cells=int(cells.count.sum()),
        growth_sd_assumed=alone is not None,
        at_bounds=tuple(SCATTER[i] for i in free if at_end[i]),
    )


def _scatter_errors(
    line: _Line, scatter: GrowthScatter, free: list[int]
) -> tuple[float | None, float | None, float | None]:
    """By the curvature of the likelihood in the logarithms of those that are `free`.

    None where it has no peak: the data say nothing of them.
    """
    logarithms = scatter.logarithms()
    information = _curvature(lambda by: line.at(logarithms + by).negative, free)
    try:
        np.linalg.cholesky(information)
        variances = np.diag(np.linalg.inv(information))
    except np.linalg.LinAlgError:
        return None, None, None
    values = np.exp(logarithms)
    found = {i: float(values[i]) * math.sqrt(v) for i, v in zip(free, variances, strict=True)}
    return found.get(0), found.get(1), found.get(2)


def _curvature(negative: Callable[[Array], float], free: list[int]) -> Array:
    """Second derivatives at 0 of a function of (3,), by the coordinates `free` alone."""
    steps = _STEP * np.eye(3)[free]
    out = np.empty((len(free), len(free)))
    for i, one in enumerate(steps):
        for j, other in enumerate(steps):
            corners = (one + other, one - other, other - one, -one - other)
            pp, pm, mp, mm = (negative(corner) for corner in corners)
            out[i, j] = (pp - pm - mp + mm) / (4.0 * _STEP * _STEP)
    return out
