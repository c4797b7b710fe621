"""What needs no training: it draws what it says, and the physics follows the library."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.crack_frames.baselines import black, extrapolation, persistence, physics, read
from models.crack_frames.config import CONFIGS
from models.crack_frames.library import sample
from models.crack_frames.measures import CONTEXT_FRAMES, judged, tips
from models.crack_frames.window import frames

CONFIG = CONFIGS["crack"]
WINDOW = CONFIG.window


def straight(slope: float = 0.0) -> np.ndarray:
    """Eight pictures of a straight crack whose tip advances evenly."""
    nodes = 1e-3 * np.array([[x, -slope * x] for x in (0.0, *np.linspace(1.0, 9.4, 8))])
    return frames(nodes, np.arange(1, 9), WINDOW)[None]


def test_a_straight_crack_is_extrapolated_without_error() -> None:
    found = judged(*extrapolation(straight()), straight())
    assert found["free_recall_1"] == found["one_step_recall_1"] == 1.0
    assert found["last_tip_mm"] < 0.4  # five advances of a tip that is read to half a pixel


def test_a_slope_is_kept() -> None:
    drawn = extrapolation(straight(0.4))[1]
    first, last = tips(drawn[0, [CONTEXT_FRAMES - 1 + 1, -1]] > 0.5)
    assert (last[1] - first[1]) / (last[0] - first[0]) == pytest.approx(0.4, abs=0.05)


def test_persistence_repeats_what_was_seen_and_black_nothing() -> None:
    shown = straight()
    one_step, free = persistence(shown)
    assert (one_step[0, 5] == (shown[0, 4] > 0)).all()
    assert (free[0, 7] == (shown[0, CONTEXT_FRAMES - 1] > 0)).all()
    assert not any(part.any() for part in black(shown))


def test_a_crack_is_read_off_its_picture_to_a_pixel() -> None:
    nodes = 1e-3 * np.array([[0.0, 0.0], [1.0, 0.0], [6.0, -2.5]])
    mask = frames(nodes, np.array([2]), WINDOW)[0] > 0
    found = read(mask, WINDOW)
    true = np.interp(found[:, 0], nodes[:, 0], nodes[:, 1])
    assert np.abs(found[:, 1] - true).max() < WINDOW.pixel
    assert found[0, 0] == 0.0
    assert found[-1, 0] == pytest.approx(6e-3, abs=WINDOW.pixel)


def test_the_physics_that_knows_the_load_finds_the_library_s_crack() -> None:
    coarse = replace(CONFIG, plate=replace(CONFIG.plate, columns=32), step=0.4e-3)
    one = sample(coarse, 5, 0)
    shown = one.frames[None]
    found = judged(*physics(shown, one.load[None], coarse), shown)
    assert found["last_tip_mm"] < 0.15
    assert found["free_recall_1"] > 0.95
    assert found["one_step_tip_mm"] < 0.15
