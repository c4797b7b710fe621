"""What is told of particles: quantiles, with ends that nothing lies next to, and moments."""

import math

import numpy as np
import pytest

from models.filters.quantiles import mean_and_sd, quantiles

DRAW = np.random.default_rng(3)
PROBABILITIES = np.array([0.05, 0.25, 0.5, 0.75, 0.95])


def of(value: np.ndarray, low: float = -math.inf, high: float = math.inf) -> np.ndarray:
    n = len(value)
    return quantiles(value, PROBABILITIES, np.full(n, low), np.full(n, high))


@pytest.mark.parametrize("p", [16, 17, 128])
def test_quantiles_are_those_of_hazen(p: int) -> None:
    value = DRAW.normal(size=(20, p))
    expected = np.quantile(value, PROBABILITIES, axis=1, method="hazen").T
    assert np.allclose(of(value), expected, rtol=1e-9, atol=1e-12)


def test_one_particle_is_all_quantiles() -> None:
    assert of(np.array([[3.0]])).tolist() == [[3.0] * 5]


@pytest.mark.parametrize("p", [16, 128])
@pytest.mark.parametrize("ended", [0.2, 0.5, 0.7])
def test_the_median_is_at_its_end_where_half_of_them_are(p: int, ended: float) -> None:
    count = round(ended * p)
    length = np.sort(DRAW.uniform(1.0, 2.0, (1, p)))
    length[0, p - count :] = 5.0
    left = np.where(length >= 5.0, 0.0, 5.0 - length)
    is_over = count >= p / 2
    assert (of(length, high=2.5)[0, 2] >= 2.5) == is_over
    assert (of(left, low=0.0)[0, 2] == 0.0) == is_over


def test_between_a_number_and_infinity_lies_infinity() -> None:
    value = np.array([[1.0, 2.0, math.inf, 4.0, math.inf]])
    told = of(value)[0]
    assert told[0] == 1.0
    assert told[-1] == math.inf
    assert not np.isnan(told).any()
    assert not np.isnan(of(np.full((1, 4), math.inf))).any()


def test_moments_are_of_those_that_count() -> None:
    value, among = DRAW.normal(size=(30, 40)), DRAW.random((30, 40)) < 0.6
    among[0] = False
    mean, sd = mean_and_sd(value, among)
    assert (mean[0], sd[0]) == (0.0, 0.0)
    for i in range(1, 30):
        assert mean[i] == pytest.approx(value[i, among[i]].mean())
        assert sd[i] == pytest.approx(value[i, among[i]].std())


def test_a_row_has_the_same_bits_in_any_batch() -> None:
    value, among = DRAW.normal(size=(33, 37)), DRAW.random((33, 37)) < 0.6
    told, (mean, sd) = of(value), mean_and_sd(value, among)
    for i in range(33):
        assert np.array_equal(of(value[i : i + 1])[0], told[i])
        alone = mean_and_sd(value[i : i + 1], among[i : i + 1])
        assert (alone[0][0], alone[1][0]) == (mean[i], sd[i])
