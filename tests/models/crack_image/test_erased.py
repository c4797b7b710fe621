"""A crack that is erased from a photograph: gone where it was, untouched where it stays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from tests.benchmarks.crack_image.erased import CUTS, FADE, MARGIN, cases, erased
from tests.benchmarks.crack_image.tips import SHORTEST, known


def photograph(side: int = 200) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[Any]]:
    """A rough surface with a dark line across, its pixels, and the surface without it."""
    rng = np.random.default_rng(0)
    rough = ndimage.gaussian_filter(rng.standard_normal((side, side)), 1.0)
    plain = 150.0 + 40.0 * rough + np.linspace(0.0, 40.0, side)[:, None]
    crack = np.zeros((side, side), dtype=bool)
    crack[100:105] = True
    return np.where(crack, plain - 90.0, plain).round().astype(np.uint8), crack, plain


@pytest.mark.parametrize("first", [True, False])
def test_the_crack_is_gone_beyond_the_cut_and_untouched_before_it(first: bool) -> None:
    picture, crack, plain = photograph()
    shown, left, filled = erased(picture, crack, 0.5, first)
    assert (shown[~filled] == picture[~filled]).all()
    kept = slice(0, 100) if first else slice(100, 200)
    assert abs(np.asarray(left.any(axis=0))[kept].sum() - 100) <= 2
    assert not (left & np.roll(filled, int(2 * FADE) * (1 if first else -1), axis=1))[
        :, 50:150
    ].any()
    gone = slice(100 + int(2 * FADE), 200) if first else slice(0, 100 - int(2 * FADE))
    line, same = shown[100:105, gone].astype(float), plain[100:105, gone]
    assert abs(line.mean() - same.mean()) < 8.0  # of the 90 that it was darker
    assert 0.6 < line.std() / same.std() < 1.6  # neither smooth nor rougher than the rest


def test_no_seam_shows_at_the_rim_of_what_was_filled() -> None:
    picture, crack, _ = photograph()
    shown, _, filled = erased(picture, crack, 0.0)
    steps = np.abs(np.diff(shown.astype(float), axis=0))
    rim = filled[1:] != filled[:-1]
    assert 0.7 < steps[rim].mean() / steps[:80].mean() < 1.4
    assert filled.sum() == 200 * (5 + 2 * MARGIN)


def test_a_mask_without_a_crack_is_told() -> None:
    picture, crack, _ = photograph()
    with pytest.raises(ValueError, match="no crack"):
        erased(picture, np.zeros_like(crack), 0.5)


def test_every_view_of_a_case_shows_the_crack_that_is_left() -> None:
    picture, crack, _ = photograph(360)
    every = known({"1": (picture, crack)})["1"]
    assert len(list(cases("1", picture, crack))) == 2 * len(CUTS)
    assert 6 * len(CUTS) < len(every) <= 8 * len(CUTS)
    for case in every:
        assert case.crack.sum() > SHORTEST
        assert case.picture[case.crack].mean() < case.picture[~case.crack].mean() - 40.0
