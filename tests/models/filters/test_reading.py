"""Readings: a Kalman filter where all is normal, and nothing where a reading is wrong."""

import math

import numpy as np
import pytest

from models.filters.draws import normals
from models.filters.reading import Ensemble, Readings, assimilate

MEAN, SD, GROWTH_SD, TOGETHER = 10.0, 0.5, 0.2, 0.8  # of the length, of growth, and correlated
ROWS = 400  # filters of a table each of its own draws: what is left is the error of their mean


def ensemble(rows: int, particles: int) -> Ensemble:
    key = np.arange(rows) * 17 - 5
    z, u, v = (normals(key, np.zeros(rows, np.int64), particles, k) for k in range(3))
    growth = GROWTH_SD * (TOGETHER * z + math.sqrt(1.0 - TOGETHER**2) * u)
    even = np.full(z.shape, -math.log(particles))
    low = np.zeros_like(z)
    return Ensemble(MEAN + SD * z, growth, 0.1 * v, even, low, np.zeros(z.shape, np.int64), key)


def readings(rows: int, value: float, sd: float, wrong: float = 0.0, epoch: int = 9) -> Readings:
    each = (np.full(rows, x) for x in (value, sd, wrong))
    value_, sd_, wrong_ = each
    ones = np.ones(rows, np.int64)
    return Readings(np.arange(rows), value_, sd_, wrong_, epoch * ones, np.full(rows, 1e3))


def moments(e: Ensemble) -> tuple[float, float, float, float]:
    """Mean and variance of length and growth over all rows."""
    weight = np.exp(e.log_weight) / len(e.x)
    told = []
    for value in (e.x, e.first):
        mean = (weight * value).sum()
        within = (weight * value**2).sum(1) * len(e.x) - ((weight * value).sum(1) * len(e.x)) ** 2
        told += [mean, within.mean()]
    return told[0], told[1], told[2], told[3]


@pytest.mark.parametrize("sd", [2.0, 0.5, 0.1, 0.02])
def test_where_all_is_normal_it_is_a_kalman_filter(sd: float) -> None:
    e = ensemble(ROWS, 256)
    value = MEAN + 0.4
    assimilate(e, readings(ROWS, value, sd))
    gain = SD**2 / (SD**2 + sd**2)
    slope = TOGETHER * GROWTH_SD / SD
    mean, variance, growth, growth_variance = moments(e)
    assert mean == pytest.approx(MEAN + gain * 0.4, rel=1e-3)
    assert variance == pytest.approx((1.0 - gain) * SD**2, rel=0.05)
    assert growth == pytest.approx(slope * gain * 0.4, abs=0.01 * GROWTH_SD)
    assert growth_variance == pytest.approx(GROWTH_SD**2 * (1.0 - gain * TOGETHER**2), rel=0.05)


def test_a_weak_reading_changes_weights_alone() -> None:
    e, before = ensemble(3, 64), ensemble(3, 64)
    made = assimilate(e, readings(3, MEAN, 5.0))
    assert not made.any()
    assert np.array_equal(e.x, before.x)
    assert not np.array_equal(e.log_weight, before.log_weight)


def test_a_reading_ten_times_too_long_says_nothing() -> None:
    e, before = ensemble(50, 128), ensemble(50, 128)
    assimilate(e, readings(50, 10.0 * MEAN, 0.1, wrong=0.01))
    assert np.allclose(moments(e), moments(before), rtol=1e-6)


def test_a_reading_that_excludes_all_says_nothing_and_leaves_no_nan() -> None:
    e, before = ensemble(2, 64), ensemble(2, 64)
    assimilate(e, readings(2, 1e6, 1e-9, wrong=1e-6))
    assert np.array_equal(e.x, before.x)
    assert all(np.isfinite(leaf).all() for leaf in e)


def test_no_particle_shrinks_below_what_it_was() -> None:
    e = ensemble(20, 128)
    e.least[:] = e.x - 0.05
    low = e.least.min()
    assimilate(e, readings(20, MEAN - 1.0, 0.05))
    assert (e.x >= e.least).all()
    assert e.x.min() >= low


def test_a_row_has_the_same_bits_in_any_batch_and_other_draws_by_another_line() -> None:
    together = ensemble(9, 64)
    assimilate(together, readings(9, MEAN + 0.7, 0.05, 0.01))
    for i in (0, 4, 8):
        e = ensemble(9, 64)
        alone = Ensemble._make(leaf[i : i + 1].copy() for leaf in e)
        assimilate(alone, readings(1, MEAN + 0.7, 0.05, 0.01))
        pairs = zip(alone, together, strict=True)
        assert all(np.array_equal(one[0], all_[i]) for one, all_ in pairs)
    other = ensemble(9, 64)
    assimilate(other, readings(9, MEAN + 0.7, 0.05, 0.01, epoch=10))
    assert not np.array_equal(other.x, together.x)


def test_parameters_do_not_collapse_under_many_readings() -> None:
    e = ensemble(50, 128)
    for epoch in range(30):  # each says what is believed already
        assimilate(e, readings(50, MEAN, 0.5, epoch=epoch))
    distinct = [len(np.unique(row)) for row in e.second]
    assert min(distinct) > 100
    assert e.second.std(1).mean() == pytest.approx(0.1, rel=0.1)
