"""Readings: a Kalman filter where all is normal, and nothing where a reading is wrong."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, stats

from models.filters.draws import scores
from models.filters.reading import Ensemble, Readings, assimilate

LENGTH, SD, GROWTH_SD, TOGETHER = 10.0, 0.02, 0.2, 0.8  # SD of ln of the length; correlated
NOWHERE = 99.0


def ensemble(rows: int, particles: int, sd: float = SD) -> Ensemble:
    key, epoch = np.arange(rows) * 17 - 5, np.zeros(rows, np.int64)
    found: list[np.ndarray] = []
    for purpose in range(3):
        against = np.stack(found, 1) if found else np.empty((rows, 0, particles))
        found.append(scores(key, epoch, purpose, against))
    z, u, v = found
    growth = GROWTH_SD * (TOGETHER * z + math.sqrt(1.0 - TOGETHER**2) * u)
    return Ensemble(math.log(LENGTH) + sd * z, growth, 0.1 * v, np.full(rows, NOWHERE), key)


def readings(rows: int, value: float, sd: float, wrong: float = 0.0, epoch: int = 9) -> Readings:
    value_, sd_, wrong_ = (np.full(rows, x) for x in (value, sd, wrong))
    return Readings(np.arange(rows), value_, sd_, wrong_, epoch * np.ones(rows, np.int64))


@pytest.mark.parametrize("particles", [16, 128])
@pytest.mark.parametrize("sd", [0.2, 0.05, 0.02, 0.005, 0.001])
def test_where_all_is_normal_it_is_a_kalman_filter(sd: float, particles: int) -> None:
    narrow, off = 0.002, 0.02  # so that lengths are normal, as ln of the length is
    e = ensemble(5, particles, narrow)
    assimilate(e, readings(5, LENGTH + off, sd))
    variance = (narrow * LENGTH) ** 2
    gain = variance / (variance + sd**2)
    assert np.allclose(e.x.mean(1) - math.log(LENGTH), gain * off / LENGTH, rtol=0.01)
    assert np.allclose(np.exp(e.x).var(1), (1.0 - gain) * variance, rtol=0.01)
    growth = TOGETHER * GROWTH_SD * gain * off / (narrow * LENGTH)
    exact = max(0.01, 1.0 / particles)  # as little is left out as chance may make
    assert np.allclose(e.first.mean(1), growth, rtol=exact)
    assert np.allclose(e.first.var(1), GROWTH_SD**2 * (1.0 - gain * TOGETHER**2), rtol=exact)
    assert np.allclose(e.second.var(1), 0.1**2, rtol=1e-9)  # of which it says nothing


@pytest.mark.parametrize("value", [5.0, 7.0, 9.0, 13.0])
@pytest.mark.parametrize("sd", [0.1, 1.0, 5.0])
def test_short_and_rough_readings_are_weighed_as_bayes_says(value: float, sd: float) -> None:
    e = ensemble(2, 128, 0.15)
    prior, error = stats.norm(math.log(LENGTH), 0.15), stats.norm(0.0, sd)
    x = np.linspace(prior.mean() - 1.8, prior.mean() + 1.2, 20_001)
    density = prior.pdf(x) * error.pdf(value - np.exp(x))
    density /= integrate.simpson(density, x=x)
    mean = integrate.simpson(x * density, x=x)
    spread = math.sqrt(integrate.simpson((x - mean) ** 2 * density, x=x))
    assimilate(e, readings(2, value, sd))
    assert np.allclose(e.x.mean(1), mean, atol=0.01 * spread)
    assert np.allclose(e.x.std(1), spread, rtol=0.01)


def test_a_hundred_readings_teach_nothing_that_hangs_on_nothing_they_measure() -> None:
    e = ensemble(4, 128)
    e.first[:] = 0.3 * scores(e.key, e.key, 7, np.stack((e.x, e.second), 1))
    before = e.first.copy()
    for epoch, off in enumerate(0.1 * np.random.default_rng(5).normal(size=100)):
        assimilate(e, readings(4, LENGTH + off, 0.1, epoch=epoch))
    assert np.allclose(e.first, before, atol=1e-12)
    assert np.allclose(np.exp(e.x).std(1), 1.0 / math.hypot(1.0 / 0.2, 10.0 / 0.1), rtol=0.01)
    assert min(len(np.unique(row)) for row in e.x) == 128


def test_a_reading_ten_times_too_long_says_nothing() -> None:
    e, before = ensemble(50, 128), ensemble(50, 128)
    assert not assimilate(e, readings(50, 10.0 * LENGTH, 0.1, wrong=0.01)).any()
    assert np.array_equal(e.x, before.x)


def test_a_reading_that_may_be_wrong_moves_as_many_as_it_is_likely_right() -> None:
    rows, particles, value = 200, 128, LENGTH * (1.0 + 4.2 * SD)
    e, before = ensemble(rows, particles), ensemble(rows, particles)
    assimilate(e, readings(rows, value, 0.01, wrong=0.05))
    x = np.linspace(math.log(value) - 0.02, math.log(value) + 0.02, 20_001)
    both = stats.norm(math.log(LENGTH), SD).pdf(x) * stats.norm(0.0, 0.01).pdf(value - np.exp(x))
    right = 0.95 * integrate.simpson(both, x=x)
    wrong = 0.05 * stats.lognorm(1.5, scale=LENGTH).pdf(value)
    assert (e.x != before.x).mean() == pytest.approx(right / (right + wrong), abs=0.03)


def test_a_reading_that_excludes_all_says_nothing_and_leaves_no_nan() -> None:
    e, before = ensemble(2, 64), ensemble(2, 64)
    assimilate(e, readings(2, 1e6, 1e-9, wrong=1e-6))
    assert np.array_equal(e.x, before.x)
    assert all(np.isfinite(leaf).all() for leaf in e)


@pytest.mark.parametrize(("value", "sd"), [(0.01, 1e-4), (1e3, 1.0), (5.0, 4.0), (30.0, 1e-3)])
def test_readings_that_are_far_off_are_found_if_nothing_can_be_wrong(
    value: float, sd: float
) -> None:
    e = ensemble(1, 64, 0.5)
    assimilate(e, readings(1, value, sd))
    assert np.isfinite(e.x).all()
    assert abs(math.log(value / LENGTH)) >= abs(e.x.mean() - math.log(LENGTH)) > 0.1


def test_those_that_have_ended_cannot_be_what_was_measured_short_of_it() -> None:
    rows, end = 100, math.log(70.0)
    e = ensemble(rows, 64)
    e.x[:, ::4], e.end[:] = end, end
    before = e.x.copy()
    assimilate(e, readings(rows, LENGTH, 0.1))
    assert (e.x < end).all()
    assert [len(np.unique(row)) for row in e.x] == [64] * rows
    assert np.allclose(np.exp(e.x).mean(), LENGTH, atol=0.01)
    assert e.first[:, ::4].std() == pytest.approx(e.first[:, 1::4].std(), rel=0.1)
    beyond = ensemble(rows, 64)
    beyond.x[:], beyond.end[:] = before, end
    assimilate(beyond, readings(rows, 70.0, 0.1, wrong=0.01))
    assert np.array_equal(beyond.x[:, ::4], before[:, ::4])  # they alone can be so long


@pytest.mark.parametrize("few", [1, 2, 5])
def test_few_that_are_left_are_found_and_do_not_make_all_alike(few: int) -> None:
    end = math.log(70.0)
    e = ensemble(100, 64)
    e.x[:, few:], e.end[:] = end, end
    spread = e.first.std()
    value = np.exp(e.x[:, :few]).mean(1)
    given = readings(100, 1.0, 0.2, wrong=0.01)._replace(value=value)
    assert assimilate(e, given).all()
    assert (e.x < end).all()
    assert np.allclose(np.exp(e.x).mean(1), value, rtol=0.02)
    assert min(len(np.unique(row)) for row in e.first) == 64
    assert 0.7 * spread / math.sqrt(few) < e.first.std(1).mean() < 1.1 * spread


def test_a_reading_near_the_end_breaks_nothing() -> None:
    e = ensemble(5, 64)
    e.end[:] = math.log(10.3)
    e.x[:, ::8] = e.end[0]
    assimilate(e, readings(5, 10.25, 0.2))
    assert (e.x < e.end[:, None]).all()


def test_readings_by_which_growth_is_known_leave_it_as_unsure_as_it_is() -> None:
    rows, particles, growth_sd = 200, 64, 0.2
    e = ensemble(rows, particles)
    e.first[:] = growth_sd * scores(e.key, e.key, 7, np.stack((e.x, e.second), 1))
    draw = np.random.default_rng(1)
    for epoch in range(30):  # lengths drift apart by chance alone, which growth has no part in
        e.x[:] += 0.01 * draw.normal(size=e.x.shape)
        assimilate(e, readings(rows, LENGTH, 0.01, epoch=epoch))
    assert e.first.std(1).mean() > 0.85 * growth_sd
    assert e.first.mean(1).std() < 0.5 * growth_sd


def test_where_all_are_alike_a_reading_says_nothing() -> None:
    e = ensemble(1, 32)
    e.x[:] = math.log(LENGTH)
    before = e.first.copy()
    assert not assimilate(e, readings(1, LENGTH + 0.1, 0.1)).any()
    assert np.array_equal(e.first, before)


def test_a_row_has_the_same_bits_in_any_batch_and_other_draws_by_another_line() -> None:
    def after(epoch: int) -> Ensemble:
        e = ensemble(9, 64)
        e.x[:, ::3], e.end[:] = math.log(70.0), math.log(70.0)
        assimilate(e, readings(9, LENGTH * 1.08, 0.01, 0.2, epoch))
        return e

    together = after(9)
    for i in (0, 4, 8):
        e = ensemble(9, 64)
        e.x[:, ::3], e.end[:] = math.log(70.0), math.log(70.0)
        alone = Ensemble._make(leaf[i : i + 1].copy() for leaf in e)
        assimilate(alone, readings(1, LENGTH * 1.08, 0.01, 0.2))
        for one, all_ in zip(alone, together, strict=True):
            assert np.array_equal(one[0], all_[i])
    assert not np.array_equal(after(10).x, together.x)


def test_the_order_of_two_readings_hardly_matters() -> None:
    found = []
    for values in ((10.1, 10.3), (10.3, 10.1)):
        e = ensemble(1, 128)
        for epoch, value in enumerate(values):
            assimilate(e, readings(1, value, 0.15, epoch=epoch))
        found.append(e.x[0])
    assert all(np.allclose(one, other, atol=0.03 * one.std()) for one, other in pairwise(found))
