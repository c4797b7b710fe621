"""What is known of simulated specimens is found again, and their lives are foretold honestly."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.integrate import quad

from models.crack.growth_cells import CELL, GrowthCurve, crossed_cells
from models.crack.growth_fit import (
    GROWTH_SD_ALONE,
    GrowthFit,
    GrowthScatter,
    ScatteredGrowth,
    fitted,
)
from models.crack.growth_scores import (
    Validation,
    common_end,
    life_band,
    ranked_probability_score,
    remaining_draws,
    validated,
)
from models.crack.growth_shape import ConstantLoad, LawShape, TableShape, stretches
from models.crack.growth_tables import ABOVE, BELOW, best_table, extended
from models.fatigue.geometry import CentreCrack, EdgeCrack
from models.fatigue.laws import FormanLaw, NasgroLaw, ParisLaw, WalkerLaw, si_coefficient
from models.fatigue.tables import table_law

Floats = NDArray[np.float64]

LOAD = ConstantLoad(CentreCrack(0.1524), 48.28e6, 0.2)
PARIS = LawShape(LOAD, ParisLaw(1.0, 1.0), "m")
TRUE = ScatteredGrowth(
    PARIS, np.array([math.log(4.9856e-28), 2.8733]), GrowthScatter(0.08, 0.15, 0.12)
)
START, END = 0.009, 0.0498
FINE = 0.004  # distance of simulated readings in ln a


def simulated(
    growth: ScatteredGrowth, seed: int, count: int, end: float = END
) -> list[GrowthCurve]:
    """Specimens that grow exactly as the model says, read without errors."""
    rng = np.random.default_rng(seed)
    first, last = math.log(START), math.log(end)
    edges = CELL * np.arange(math.floor(first / CELL), math.ceil(last / CELL) + 1)
    x = np.unique(np.concatenate([np.arange(first, last, FINE), edges[1:-1], [last]]))
    cell = np.floor(0.5 * (x[1:] + x[:-1]) / CELL).astype(np.int64)
    cells = np.unique(cell)
    root = np.linalg.cholesky(growth.scatter.covariance(cells, cells))
    by_law = np.exp(growth.ln_cycles(x[:-1], x[1:]))
    curves = []
    for _ in range(count):
        factor = (root @ rng.standard_normal(len(cells)))[cell - cells[0]]
        cycles = np.concatenate([[0.0], np.cumsum(by_law * np.exp(-factor))])
        curves.append(GrowthCurve(np.exp(x), cycles))
    return curves


def off(fit: GrowthFit) -> Floats:
    """How many standard errors each estimate is from the truth: ln C, m, and the scatter."""
    scatter, true = fit.growth.scatter, TRUE.scatter
    found = [*fit.growth.constants, scatter.growth_sd, scatter.local_sd, scatter.local_length]
    known = [*TRUE.constants, true.growth_sd, true.local_sd, true.local_length]
    errors = [*fit.constant_errors, *(error or math.inf for error in fit.scatter_errors)]
    return np.asarray((np.array(found) - known) / np.array(errors), np.float64)


def test_what_specimens_were_made_of_is_found_within_its_standard_errors() -> None:
    offs = np.array([off(fitted(crossed_cells(simulated(TRUE, s, 40)), PARIS)) for s in range(16)])
    assert np.abs(offs).max() < 4.0
    assert np.all(np.sqrt((offs**2).mean(0)) < 1.5)
    assert np.all(np.sqrt((offs**2).mean(0)) > 0.4)


def test_curves_that_end_early_at_any_length_bias_nothing() -> None:
    offs = []
    for seed in range(16):
        rng = np.random.default_rng(100 + seed)
        curves = [
            until(curve, a=float(rng.uniform(0.012, 0.06))) for curve in simulated(TRUE, seed, 40)
        ]
        cells = crossed_cells(curves)
        assert len(set(cells.count.tolist())) > 10
        offs.append(off(fitted(cells, PARIS)))
    assert np.abs(offs).max() < 4.0
    assert np.all(np.abs(np.mean(offs, axis=0)) < 3.0 / math.sqrt(16))


def test_curves_that_all_end_after_as_many_cycles_bias_nothing_that_could_be_seen() -> None:
    offs = []
    for seed in range(16):
        curves = simulated(TRUE, seed, 40)
        ends = float(np.median([curve.cycles[-1] for curve in curves]))
        early = [curve.until(ends) if curve.cycles[-1] > ends else curve for curve in curves]
        assert 15 <= sum(curve.a[-1] < END * 0.999 for curve in early) <= 20
        offs.append(off(fitted(crossed_cells(early), PARIS)))
    assert np.abs(offs).max() < 4.0
    assert np.all(np.abs(np.mean(offs, axis=0)) < 3.0 / math.sqrt(16))


def until(curve: GrowthCurve, a: float) -> GrowthCurve:
    kept = curve.a <= a
    return GrowthCurve(curve.a[kept], curve.cycles[kept])


def test_a_curve_without_a_whole_cell_counts_for_nothing() -> None:
    curves = simulated(TRUE, 0, 6)
    with_stub = [*curves, until(curves[0], 0.00905)]
    fit, alone = (fitted(crossed_cells(some), PARIS) for some in (with_stub, curves))
    assert fit.specimens == 6
    assert fit.ln_likelihood == pytest.approx(alone.ln_likelihood, abs=1e-8)


def test_one_specimen_says_nothing_of_others() -> None:
    cells = crossed_cells(simulated(TRUE, 1, 1))
    fit = fitted(cells, PARIS)
    assert fit.growth_sd_assumed
    assert fit.growth.scatter.growth_sd == GROWTH_SD_ALONE
    assert fit.scatter_errors[0] is None
    assert fit.scatter_errors[1] is not None
    wide = fitted(cells, PARIS, growth_sd_alone=0.5)
    assert wide.growth.scatter.growth_sd == pytest.approx(0.5)
    assert not fitted(crossed_cells(simulated(TRUE, 1, 2)), PARIS).growth_sd_assumed


def test_specimens_that_do_not_differ_all_along_have_an_estimate_at_its_bound() -> None:
    alike = replace(TRUE, scatter=GrowthScatter(1e-6, 0.15, 0.02))
    fits = [fitted(crossed_cells(simulated(alike, seed, 10)), PARIS) for seed in range(4)]
    assert any("growth_sd" in fit.at_bounds for fit in fits)
    assert all(fit.growth.scatter.growth_sd < 0.03 for fit in fits)
    assert all(fit.scatter_errors[0] is None for fit in fits if "growth_sd" in fit.at_bounds)


def test_errors_of_reading_are_told_from_scatter_along_the_crack() -> None:
    sd, offs, ignored = 4e-5, [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        read = []
        for curve in simulated(TRUE, seed, 30):
            a, cycles = curve.a[::4], curve.cycles[::4]
            wrong = a + sd * rng.standard_normal(len(a))
            kept = np.maximum.accumulate(wrong) == wrong
            read.append(GrowthCurve(wrong[kept], cycles[kept]))
        offs.append(off(fitted(crossed_cells(read, sd), PARIS)))
        ignored.append(off(fitted(crossed_cells(read), PARIS)))
    assert np.abs(np.mean(offs, axis=0)[3:]).max() < 2.5
    assert np.abs(np.mean(ignored, axis=0)[4]) > np.abs(np.mean(offs, axis=0)[4])


@pytest.mark.parametrize(
    "shape",
    [
        PARIS,
        LawShape(LOAD, WalkerLaw(1.0, 1.0, 0.5), "m"),
        LawShape(LOAD, FormanLaw(1.0, 1.0, 80e6), "m"),
        LawShape(
            LOAD, NasgroLaw(1.0, 1.0, 0.5, 1.0, 3.2e6, 1.5, 72.5e6, 1.5, 0.3), "n"
        ),
    ],
)  # fmt: skip  # a list
def test_the_speed_of_a_shape_is_that_of_its_law(shape: LawShape) -> None:
    C, exponent = si_coefficient(1e-10, 3.0), 3.0
    law = replace(shape.law, C=C, **{shape.exponent: exponent})

    def slowness(a: float) -> float:
        dK = torch.from_numpy(LOAD.dK(np.array([a])))
        return 1.0 / float(law(dK, torch.full_like(dK, LOAD.R), torch.full_like(dK, a))[0])

    low, high = np.log([0.012, 0.0125])
    found = stretches(shape, np.array([low]), np.array([high])).ln_cycles(
        np.array([math.log(C), exponent])
    )
    known, _ = quad(slowness, math.exp(low), math.exp(high), epsrel=1e-12)
    assert found[0] == pytest.approx(math.log(known), abs=1e-9)


def test_gamma_is_held_and_moves_C_alone() -> None:
    cells = crossed_cells(simulated(TRUE, 2, 10))
    walker = fitted(cells, LawShape(LOAD, WalkerLaw(1.0, 1.0, 0.5), "m"))
    paris = fitted(cells, PARIS)
    m = paris.growth.constants[1]
    assert walker.growth.constants[1] == pytest.approx(m, rel=1e-5)
    shift = m * 0.5 * math.log(1.0 - 0.2)
    assert walker.growth.constants[0] == pytest.approx(paris.growth.constants[0] + shift, rel=1e-5)


def test_a_law_by_which_a_measured_crack_stands_still_is_refused() -> None:
    cells = crossed_cells(simulated(TRUE, 2, 3))
    for law in (ParisLaw(1.0, 1.0, 9e6), FormanLaw(1.0, 1.0, 20e6)):
        with pytest.raises(ValueError, match="does not grow on"):
            fitted(cells, LawShape(LOAD, law, "m"))


def test_fewer_than_four_cells_are_refused() -> None:
    def short(cells: int) -> list[GrowthCurve]:
        end = math.exp(CELL * (math.ceil(math.log(START) / CELL) + cells))
        return simulated(TRUE, 3, 3, end=end)

    with pytest.raises(ValueError, match="crosses 3 whole cells"):
        fitted(crossed_cells(short(3)), PARIS)
    assert fitted(crossed_cells(short(4)), PARIS).cells == 12


def test_a_bent_law_is_found_by_a_table_and_a_straight_one_needs_few_knots() -> None:
    knots = np.log(LOAD.dK(np.array([START, 0.016, 0.03, END])))
    bent = ScatteredGrowth(
        TableShape(LOAD, tuple(knots.tolist())),
        np.array([-17.4, -15.6, -14.6, -13.4]),
        GrowthScatter(0.05, 0.1, 0.1),
    )
    cells = crossed_cells(simulated(bent, 4, 30))
    table, paris = best_table(cells, LOAD), fitted(cells, PARIS)
    assert table.criterion < paris.criterion - 50.0
    assert table.growth.scatter.growth_sd == pytest.approx(0.05, abs=0.025)
    x = np.log([0.0095, 0.014, 0.02, 0.03, 0.045])
    off_by = table.growth.ln_cycles(x, x + CELL) - bent.ln_cycles(x, x + CELL)
    assert np.abs(off_by).max() < 0.08
    straight = crossed_cells(simulated(TRUE, 4, 30))
    assert best_table(straight, LOAD).criterion > fitted(straight, PARIS).criterion


def test_a_table_goes_on_beyond_what_was_measured_on_the_safe_side() -> None:
    ln_dK, ln_growth = (math.log(1e7), math.log(2e7)), [math.log(1e-8), math.log(1e-7)]
    dK, growth = extended(ln_dK, ln_growth, exponent=2.5)
    table_law([0.2], growth, [[x] for x in dK])
    assert (dK[0], dK[-1]) == pytest.approx((1e7 / BELOW, 2e7 * ABOVE))
    assert growth[0] == pytest.approx(1e-8 * BELOW**-2.5)  # the end's own slope is 3.3
    assert growth[-1] == pytest.approx(1e-7 * ABOVE ** (math.log(10.0) / math.log(2.0)))


def test_remaining_lives_are_those_of_a_brute_force_conditioning() -> None:
    """The curve is given up to 13 mm; of many simulated ones those that agree with it are kept."""
    growth = replace(TRUE, scatter=GrowthScatter(0.2, 0.1, 0.1))
    curve = simulated(growth, 5, 1)[0]
    a = 0.0132
    normal = np.random.default_rng(0).standard_normal((20_000, 40))
    seen = curve.until(float(curve.cycles_at(np.array([a]))[0]))
    found = remaining_draws(growth, seen, a, END, normal)
    past = np.array(seen.cells())
    ahead = np.arange(math.floor(math.log(a) / CELL), math.ceil(math.log(END) / CELL))
    both = np.concatenate([past, ahead])
    y = growth.factors(crossed_cells([seen]))[0]
    joint = growth.scatter.covariance(both, both)
    precise = np.linalg.inv(joint)  # conditioning by blocks of the precision instead
    n = len(past)
    mean = -np.linalg.solve(precise[n:, n:], precise[n:, :n] @ y)
    root = np.linalg.cholesky(np.linalg.inv(precise[n:, n:]))
    edges = np.clip(CELL * np.append(ahead, ahead[-1] + 1), math.log(a), math.log(END))
    by_law = growth.ln_cycles(edges[:-1], edges[1:])
    rng = np.random.default_rng(1)
    factors = mean + rng.standard_normal((20_000, len(ahead))) @ root.T
    known = np.exp(by_law - factors).sum(1)
    assert found.mean() == pytest.approx(known.mean(), rel=0.005)
    assert found.std() == pytest.approx(known.std(), rel=0.03)
    prior = remaining_draws(growth, None, a, END, normal)
    assert prior.std() > 1.3 * found.std()


def test_intervals_of_simulated_specimens_hold_what_they_say() -> None:
    growth = replace(TRUE, scatter=GrowthScatter(0.15, 0.15, 0.1))
    curves = simulated(growth, 6, 120)
    fit = fitted(crossed_cells(curves), PARIS)
    scores = validated(curves, fit, Validation(END, draws=500))
    assert len(scores) == 15
    by = {(score.forecast, score.share): score for score in scores}
    for score in scores:
        assert score.specimens == 120
        for level, share in score.coverage.items():  # binomial: 3 standard deviations
            assert share == pytest.approx(level, abs=3.0 * math.sqrt(level * (1 - level) / 120))
    for share in (0.2, 0.3, 0.5, 0.7):
        best, prior, point = (by[f, share] for f in ("conditioned", "prior", "point"))
        assert best.crps < prior.crps < point.crps
        assert best.median_error < prior.median_error
        assert best.width < prior.width


def test_the_same_seed_gives_the_same_scores() -> None:
    curves = simulated(TRUE, 7, 5)
    fit = fitted(crossed_cells(curves), PARIS)
    first, again = (validated(curves, fit, Validation(END, draws=200)) for _ in range(2))
    assert first == again
    assert validated(curves, fit, Validation(END, draws=200, seed=1)) != first


def test_what_cannot_be_left_out_is_not_judged() -> None:
    curves = simulated(TRUE, 7, 1)
    assert validated(curves, fitted(crossed_cells(curves), PARIS), Validation(END)) == []
    two = [*simulated(TRUE, 7, 2), until(curves[0], 0.02)]
    fit = fitted(crossed_cells(two), PARIS)
    assert {score.specimens for score in validated(two, fit, Validation(END, draws=100))} == {2}
    assert common_end(two) == pytest.approx(END)


def test_the_score_of_a_normal_variable_is_the_closed_one() -> None:
    draws = np.sort(np.random.default_rng(0).standard_normal(100_000))
    y = 0.7
    density = math.exp(-0.5 * y * y) / math.sqrt(2.0 * math.pi)
    below = 0.5 * (1.0 + math.erf(y / math.sqrt(2.0)))
    known = y * (2.0 * below - 1.0) + 2.0 * density - 1.0 / math.sqrt(math.pi)
    assert ranked_probability_score(draws, y) == pytest.approx(known, abs=5e-3)
    assert ranked_probability_score(np.array([3.0]), 5.0) == 2.0


def test_a_band_holds_the_median_life() -> None:
    lengths, band = life_band(TRUE, START, END)
    assert (lengths[0], lengths[-1]) == pytest.approx((START, END))
    assert np.all(np.diff(band, axis=0) > 0.0)
    assert np.all(band[1:, 0] < band[1:, 1])
    x = np.log(lengths)
    median = np.exp(TRUE.ln_cycles(x[:-1], x[1:])).sum()
    assert band[-1, 1] == pytest.approx(median, rel=0.03)


def test_a_reading_on_an_edge_counts_for_the_cell_that_it_ends() -> None:
    edges = np.exp(CELL * np.array([-90.0, -89.0, -88.0]))
    curve = GrowthCurve(edges, np.array([0.0, 100.0, 300.0]))
    assert list(curve.cells()) == [-90, -89]
    cells = crossed_cells([curve])
    assert np.exp(cells.ln_cycles[0]) == pytest.approx([100.0, 200.0])
    assert curve.unread() == 0
    sparse = GrowthCurve(edges[[0, 2]], np.array([0.0, 300.0]))
    assert sparse.unread() == 1


def test_an_edge_crack_is_fitted_as_well() -> None:
    load = ConstantLoad(EdgeCrack(0.2), 30e6, -0.5)
    shape = LawShape(load, ParisLaw(1.0, 1.0), "m")
    growth = replace(TRUE, shape=shape)
    fit = fitted(crossed_cells(simulated(growth, 8, 20)), shape)
    assert np.abs(off(fit)).max() < 3.5
