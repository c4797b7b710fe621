"""How well a fitted law and its scatter foretell lives of specimens that it has not seen.

Each specimen is left out in turn (many of them in groups), and the law fitted to the others. After
a share of its life its length and cycles are known exactly: g and w are then conditioned on y of
the whole cells that it has crossed so far, which is closed for normal variables, and the remaining
life is drawn over g and the w of the cells ahead. Beside it stand the prior alone, which knows the
length and forgets the readings, and a point forecast, the median law.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from models.crack.growth_cells import CELL, Array, GrowthCurve, crossed_cells
from models.crack.growth_fit import GROWTH_SD_ALONE, LEAST_CELLS, GrowthFit, ScatteredGrowth, fitted

SHARES = (0.1, 0.2, 0.3, 0.5, 0.7)  # of life
INTERVALS = (0.5, 0.8, 0.9)
DRAWS = 2000
BAND = (0.05, 0.5, 0.95)  # quantiles that are drawn
MOST_JUDGED = 200  # of more specimens than that, every second, third, … is judged
MOST_FITS = 50  # more specimens than that are left out in groups
_JITTER = 1e-12  # on the diagonal of a covariance, for its root

Forecast = Literal["conditioned", "prior", "point"]
FORECASTS: tuple[Forecast, ...] = ("conditioned", "prior", "point")


class ForecastScores(NamedTuple):
    """Of the remaining lives of all specimens at one share of life."""

    forecast: Forecast
    share: float  # of life
    specimens: int
    median_error: float  # median of |median forecast / true − 1|
    bias: float  # mean of ln (median forecast / true)
    crps: float  # mean, in cycles
    relative_crps: float  # mean of that over the true remaining life
    coverage: dict[float, float]  # share of true lives inside of each interval; empty for a point
    width: float  # mean of the 90 % interval over the median


@dataclass(frozen=True, slots=True)
class Validation:
    """How forecasts are judged."""

    end: float  # [m] the length at which a life ends
    reading_sd: float = 0.0  # [m]
    growth_sd_alone: float = GROWTH_SD_ALONE
    draws: int = DRAWS
    seed: int = 0

    def lives(self, curve: GrowthCurve) -> bool:
        """Whether a specimen has a life to judge by: it reached the end."""
        return bool(curve.a[-1] >= self.end * (1.0 - 1e-9) and curve.a[0] < self.end)


def common_end(curves: Sequence[GrowthCurve]) -> float:
    """The longest length [m] that half of the specimens have reached."""
    reached = sorted((float(curve.a[-1]) for curve in curves), reverse=True)
    return reached[(len(reached) - 1) // 2]


def remaining_draws(
    growth: ScatteredGrowth,
    seen: GrowthCurve | None,
    a: float,
    end: float,
    normal: Array,
    reading_sd: float = 0.0,
) -> Array:
    """Draws (d,) of the cycles from the length `a` to `end` [m], given the curve up to `a`.

    `normal` (d, n) are standard normal draws, of which the first of each row are taken, for as
    many cells as are ahead. Without `seen` nothing is known but the length.
    """
    draws = _cycles(growth, seen, _pieces(a, end), normal, reading_sd)
    return np.asarray(draws.sum(1), np.float64)


def life_band(
    growth: ScatteredGrowth, a: float, end: float, draws: int = DRAWS, seed: int = 0
) -> tuple[Array, Array]:
    """Lengths (n,) [m] from `a` on, and the quantiles BAND of the cycles to each (n, 3)."""
    low, high, cells = _pieces(a, end)
    normal = np.random.default_rng(seed).standard_normal((draws, len(cells)))
    cycles = _cycles(growth, None, (low, high, cells), normal, 0.0).cumsum(1)
    quantiles = np.quantile(cycles, BAND, axis=0).T
    return np.exp(np.append(low[0], high)), np.concatenate([np.zeros((1, len(BAND))), quantiles])


def _pieces(a: float, end: float) -> tuple[Array, Array, Array]:
    """From where to where in ln a each cell between two lengths is crossed, and which it is."""
    first, last = math.log(a), math.log(end)
    cells = np.arange(math.floor(first / CELL), math.ceil(last / CELL))
    low, high = np.maximum(CELL * cells, first), np.minimum(CELL * (cells + 1), last)
    there = high > low
    return low[there], high[there], cells[there]


def _cycles(
    growth: ScatteredGrowth,
    seen: GrowthCurve | None,
    pieces: tuple[Array, Array, Array],
    normal: Array,
    reading_sd: float,
) -> Array:
    """Draws (d, n) of the cycles that each piece takes."""
    low, high, cells = pieces
    mean, covariance = _ahead(growth, seen, cells, reading_sd)
    root = np.linalg.cholesky(covariance + _JITTER * np.eye(len(cells)))
    factors = mean + normal[:, : len(cells)] @ root.T
    return np.asarray(np.exp(growth.ln_cycles(low, high) - factors), np.float64)


def _ahead(
    growth: ScatteredGrowth, seen: GrowthCurve | None, ahead: Array, reading_sd: float
) -> tuple[Array, Array]:
    """Mean (n,) and covariance (n, n) of g + w in the cells ahead."""
    scatter, cells = growth.scatter, ahead.astype(np.int64)
    prior = scatter.covariance(cells, cells)
    if seen is None or not seen.cells():
        return np.zeros(len(cells)), prior
    crossed = crossed_cells([seen], reading_sd)
    past = np.array(seen.cells(), np.int64)
    known = scatter.covariance(past, past) + crossed.noise[0]
    gain = np.linalg.solve(known, scatter.covariance(past, cells)).T
    mean = gain @ growth.factors(crossed)[0]
    return mean, prior - gain @ scatter.covariance(past, cells)


def validated(
    curves: Sequence[GrowthCurve], fit: GrowthFit, how: Validation
) -> list[ForecastScores]:
    """Scores of each forecast at each share of life; none where nothing can be left out."""
    judged = [i for i, curve in enumerate(curves) if how.lives(curve)]
    judged = judged[:: max(1, -(-len(judged) // MOST_JUDGED))]
    lives = [_Judged(*one) for one in _judged(curves, judged, fit, how)]
    return [
        _scores(forecast, share, [one for one in lives if one.share == share])
        for forecast in FORECASTS
        for share in SHARES
        if lives
    ]


class _Judged(NamedTuple):
    """One specimen at one share of its life."""

    share: float
    true: float  # [cycle] left
    draws: dict[Forecast, Array]  # sorted


def _judged(
    curves: Sequence[GrowthCurve],
    judged: Sequence[int],
    fit: GrowthFit,
    how: Validation,
) -> Iterator[tuple[float, float, dict[Forecast, Array]]]:
    cells = crossed_cells(curves, how.reading_sd)
    folds = min(len(judged), MOST_FITS)
    for fold in range(folds):
        out = judged[fold::folds]
        left_out = {*out}
        rest = [i for i in range(len(curves)) if i not in left_out]
        if not rest or cells.count[rest].max() < LEAST_CELLS:
            continue
        others = fitted(
            cells.among(rest),
            fit.growth.shape,
            growth_sd_alone=how.growth_sd_alone,
            start=fit.growth,
        )
        for i in out:
            yield from _lives(others.growth, curves[i], how, i)


def _lives(
    growth: ScatteredGrowth, curve: GrowthCurve, how: Validation, number: int
) -> Iterator[tuple[float, float, dict[Forecast, Array]]]:
    begin, over = float(curve.cycles[0]), float(curve.cycles_at(np.array([how.end]))[0])
    for j, share in enumerate(SHARES):
        now = begin + share * (over - begin)
        seen = curve.until(now)
        a = float(seen.a[-1])
        low, high, cells = _pieces(a, how.end)
        normal = np.random.default_rng([how.seed, number, j]).standard_normal(
            (how.draws, len(cells))
        )
        answers: dict[Forecast, Array] = {
            "conditioned": remaining_draws(growth, seen, a, how.end, normal, how.reading_sd),
            "prior": remaining_draws(growth, None, a, how.end, normal),
            "point": np.exp(growth.ln_cycles(low, high)).sum(keepdims=True),
        }
        yield share, over - now, {name: np.sort(draws) for name, draws in answers.items()}


def _scores(forecast: Forecast, share: float, lives: Sequence[_Judged]) -> ForecastScores:
    true = np.array([one.true for one in lives])
    draws = [one.draws[forecast] for one in lives]
    medians = np.array([np.median(one) for one in draws])
    crps = np.array([ranked_probability_score(one, y) for one, y in zip(draws, true, strict=True)])
    levels = () if forecast == "point" else INTERVALS
    ends = {level: _interval(draws, level) for level in INTERVALS}
    coverage = {
        level: float(((ends[level][0] <= true) & (true <= ends[level][1])).mean())
        for level in levels
    }
    return ForecastScores(
        forecast,
        share,
        len(lives),
        median_error=float(np.median(np.abs(medians / true - 1.0))),
        bias=float(np.log(medians / true).mean()),
        crps=float(crps.mean()),
        relative_crps=float((crps / true).mean()),
        coverage=coverage,
        width=float(((ends[0.9][1] - ends[0.9][0]) / medians).mean()),
    )


def _interval(draws: Sequence[Array], level: float) -> tuple[Array, Array]:
    """Lower and upper end of the central interval of each specimen's draws, (k,) each."""
    tails = (0.5 * (1.0 - level), 0.5 * (1.0 + level))
    low, high = np.array([np.quantile(one, tails) for one in draws]).T
    return low, high


def ranked_probability_score(draws: Array, true: float) -> float:
    """The continuous ranked probability score of sorted draws (d,), in their unit.

    E|X − y| − E|X − X'|/2 (T. Gneiting, A. E. Raftery, J. Am. Stat. Assoc. 102 (2007) 359).
    """
    d = len(draws)
    between = float(((2.0 * np.arange(1, d + 1) - d - 1.0) * draws).sum()) / (d * d)
    return float(np.abs(draws - true).mean()) - between
