"""Counter-based draws: known answers, a normal distribution, and nothing that hangs on a batch."""

from typing import Any

import numpy as np
import pytest
from numba import njit
from scipy import stats

from models.filters.draws import inverse_normal, normals, philox, uniforms

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


@pytest.mark.parametrize(("given", "answer"), KNOWN)
def test_the_generator_gives_its_known_answers(
    given: tuple[int, ...], answer: tuple[int, ...]
) -> None:
    assert tuple(int(word) for word in words(*given)) == answer


def test_numbers_are_normal_and_do_not_hang_on_each_other() -> None:
    key, epoch = np.arange(500) * 977 - 250_000, np.arange(500)[::-1] * 31 - 4
    z, other = (normals(key, epoch, 200, purpose) for purpose in (3, 4))
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-3
    limit = 4.0 / np.sqrt(z.size)
    neighbours = [(z[:, 1:], z[:, :-1]), (z[1:], z[:-1]), (z, other)]
    assert all(abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < limit for a, b in neighbours)


def test_a_draw_hangs_on_what_it_is_for_alone() -> None:
    key, epoch = np.array([5, -7, 9]), np.array([1, 2**62, -3])
    together = uniforms(key, epoch, 40, 8)
    for i in range(3):
        alone = uniforms(key[i : i + 1], epoch[i : i + 1], 70, 8)
        assert np.array_equal(alone[0, :40], together[i])


def test_the_inverse_of_the_normal_distribution_is_exact() -> None:
    @njit
    def inverse(p: float) -> float:
        return float(inverse_normal(p))

    p = np.concatenate((np.logspace(-300, -2, 400), np.linspace(0.01, 0.99, 400)))
    found = np.array([inverse(each) for each in p])
    assert np.allclose(found, stats.norm.ppf(p), rtol=1e-13, atol=1e-15)
