"""Weights of particles: summed up, resampled without bias, and told as quantiles."""

import math

import numpy as np

from models.filters.draws import uniforms
from models.filters.weights import effective, mean_and_sd, normalised, quantiles, resampled

DRAW = np.random.default_rng(3)


def weights(n: int, p: int) -> np.ndarray:
    return normalised(3.0 * DRAW.normal(size=(n, p)))


def test_weights_sum_to_one_and_a_row_that_excludes_all_is_even() -> None:
    rows = np.array([[0.0, 1.0, -800.0], [-math.inf] * 3, [math.nan, 0.0, math.nan]])
    after = np.exp(normalised(rows))
    assert np.allclose(after.sum(1), 1.0)
    assert np.allclose(after[1], 1.0 / 3.0)
    assert after[2].tolist() == [0.0, 1.0, 0.0]


def test_even_weights_are_worth_all_particles_and_one_alone_is_worth_one() -> None:
    one = np.array([[0.0, -math.inf, -math.inf, -math.inf], [-math.log(4.0)] * 4])
    assert np.allclose(effective(one), [1.0, 4.0])


def test_resampling_is_unbiased_and_each_is_chosen_within_one_of_its_share() -> None:
    weight = weights(1, 50)
    start = uniforms(np.array([1]), np.array([2]), 20_000, 3)[0]
    chosen = resampled(np.repeat(weight, len(start), axis=0), start, 50)
    counts = np.stack([np.bincount(row, minlength=50) for row in chosen])
    share = 50.0 * np.exp(weight[0])
    assert (np.abs(counts - share) < 1.0 + 1e-9).all()
    assert np.abs(counts.mean(0) - share).max() < 4.0 * 0.5 / math.sqrt(len(start))


def test_quantiles_of_many_even_particles_are_those_of_the_distribution() -> None:
    p = 4001
    value = np.quantile(DRAW.normal(size=100_000), (np.arange(p) + 0.5) / p)[None]
    even = np.full((1, p), -math.log(p))
    told = quantiles(DRAW.permuted(value, axis=1), even, np.array([0.05, 0.5, 0.95]))
    assert np.allclose(told, [[-1.645, 0.0, 1.645]], atol=0.03)


def test_quantiles_rise_and_stay_within_what_is_there_infinity_included() -> None:
    value = np.array([[1.0, 2.0, math.inf, 4.0, math.inf]])
    told = quantiles(value, normalised(np.zeros((1, 5))), np.array([0.0, 0.3, 0.5, 0.9, 1.0]))[0]
    assert told[0] == 1.0
    assert told[-1] == math.inf
    assert (np.diff(told[:3]) >= 0.0).all()
    assert not np.isnan(told).any()


def test_a_row_has_the_same_bits_in_any_batch() -> None:
    weight, value = weights(33, 37), DRAW.normal(size=(33, 37))
    probability = np.array([0.05, 0.5, 0.95])
    told, (mean, sd) = quantiles(value, weight, probability), mean_and_sd(value, weight)
    for i in range(33):
        assert np.array_equal(
            quantiles(value[i : i + 1], weight[i : i + 1], probability)[0], told[i]
        )
        alone = mean_and_sd(value[i : i + 1], weight[i : i + 1])
        assert (alone[0][0], alone[1][0]) == (mean[i], sd[i])
