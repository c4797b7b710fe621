"""Counter-based draws: known answers, a normal distribution, and nothing that hangs on a batch."""

from typing import Any

import numpy as np
import pytest
from numba import njit
from scipy import stats

from models.filters.draws import inverse_normal, normal, philox, scores, uniform

FULL = 0xFFFFFFFF
KNOWN = [  # of the authors' distribution (Random123, kat_vectors)
    ((0, 0, 0, 0, 0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((FULL,) * 6, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@njit
def words(a: int, b: int, c: int, d: int, e: int, f: int) -> Any:
    return philox(a, b, c, d, e, f)


@njit
def drawn(key: Any, epoch: Any, purpose: int, out: Any, evenly: Any) -> None:
    for i in range(len(out)):
        for j in range(out.shape[1]):
            if evenly:
                out[i, j] = uniform(key[i], epoch[i], j, purpose)
            else:
                out[i, j] = normal(key[i], epoch[i], j, purpose)


def draws(key: Any, epoch: Any, many: int, purpose: int, *, evenly: bool = False) -> Any:
    out = np.empty((len(key), many))
    drawn(key, epoch, purpose, out, evenly)
    return out


@pytest.mark.parametrize(("given", "answer"), KNOWN)
def test_the_generator_gives_its_known_answers(
    given: tuple[int, ...], answer: tuple[int, ...]
) -> None:
    assert tuple(int(word) for word in words(*given)) == answer


def test_numbers_are_normal_and_do_not_hang_on_each_other() -> None:
    key, epoch = np.arange(500) * 977 - 250_000, np.arange(500)[::-1] * 31 - 4
    z, other = (draws(key, epoch, 200, purpose) for purpose in (3, 4))
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-3
    limit = 4.0 / np.sqrt(z.size)
    neighbours = [(z[:, 1:], z[:, :-1]), (z[1:], z[:-1]), (z, other)]
    assert all(abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < limit for a, b in neighbours)


def test_a_draw_hangs_on_what_it_is_for_alone() -> None:
    key, epoch = np.array([5, -7, 9]), np.array([1, 2**62, -3])
    together = draws(key, epoch, 40, 8, evenly=True)
    for i in range(3):
        alone = draws(key[i : i + 1], epoch[i : i + 1], 70, 8, evenly=True)
        assert np.array_equal(alone[0, :40], together[i])


def test_the_inverse_of_the_normal_distribution_is_exact() -> None:
    @njit
    def inverse(p: float) -> float:
        return float(inverse_normal(p))

    p = np.concatenate((np.logspace(-300, -2, 400), np.linspace(0.01, 0.99, 400)))
    found = np.array([inverse(each) for each in p])
    assert np.allclose(found, stats.norm.ppf(p), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("p", [16, 17, 128])
def test_scores_are_standard_and_not_correlated_with_what_they_are_drawn_against(p: int) -> None:
    key, epoch = np.arange(40) * 31, np.arange(40)[::-1].copy()
    first = scores(key, epoch, 1, np.empty((40, 0, p)))
    middle = stats.norm.ppf((np.arange(p) + 0.5) / p)
    assert np.allclose(np.sort(first, 1), middle / middle.std())
    one, other = 3.0 + 0.2 * first, first**2 - 0.5 * first
    for against in ([one], [one, other], [one, one], [np.zeros_like(one), other]):
        z = scores(key, epoch, 2, np.stack(against, 1))
        assert np.allclose(z.mean(1), 0.0, atol=1e-12)
        assert np.allclose(z.std(1), 1.0)
        for each in against:
            assert np.allclose((z * (each - each.mean(1)[:, None])).mean(1), 0.0, atol=1e-12)
        for i in (0, 39):
            alone = scores(key[i : i + 1], epoch[i : i + 1], 2, np.stack(against, 1)[i : i + 1])
            assert np.array_equal(alone[0], z[i])
    assert not np.array_equal(scores(key, epoch + 1, 1, np.empty((40, 0, p))), first)
