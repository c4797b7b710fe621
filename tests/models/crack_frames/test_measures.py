"""Metrics of crack pictures, on pictures whose answers can be told by eye."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.crack_frames.measures import (
    CONTEXT_FRAMES,
    PIXEL_MM,
    Masks,
    continuity,
    judged,
    scores,
    shown,
    thickness,
    tips,
)


def picture(*lines: str) -> Masks:
    return np.array([[cell == "#" for cell in line] for line in lines])[None]


STEP = picture("........", "###.....", "...##...", ".....#..", ".....#..", "......#.")


def test_a_chain_of_pixels_is_one_wide_and_in_one_part() -> None:
    assert thickness(STEP).tolist() == [1.0]
    parts, largest = continuity(STEP)
    assert (parts.tolist(), largest.tolist()) == ([1.0], [1.0])


def test_a_band_is_as_wide_as_it_is_but_for_its_corners() -> None:
    band = np.zeros((1, 20, 400), dtype=bool)
    band[0, 6:14] = True
    assert 7.9 < thickness(band)[0] <= 8.0
    assert thickness(band.transpose(0, 2, 1))[0] == pytest.approx(thickness(band)[0])


def test_a_slanting_band_is_measured_across() -> None:
    row, column = np.mgrid[:60, :60]
    band = (np.abs(row - column) <= 4)[None]  # 9 pixels upright, 6.4 across
    assert thickness(band)[0] == pytest.approx(9 / math.sqrt(2), rel=0.12)


def test_a_broken_line_is_counted() -> None:
    parts, largest = continuity(picture("##.###.#", "........"))
    assert (parts.tolist(), largest.tolist()) == ([3.0], [0.5])


def test_parts_of_different_pictures_are_different() -> None:
    parts, _ = continuity(np.concatenate([STEP, STEP]))
    assert parts.tolist() == [1.0, 1.0]


def test_the_tip_is_the_right_end_of_the_largest_part() -> None:
    assert tips(STEP).tolist() == [[6.0, 5.0]]
    speck = np.pad(STEP, ((0, 0), (0, 0), (0, 4)))
    speck[0, 0, 10] = True  # further to the right
    assert tips(speck).tolist() == [[6.0, 5.0]]


@pytest.mark.parametrize(("gap", "tip"), [(1, 9.0), (2, 9.0), (3, 4.0)])
def test_a_gap_of_up_to_two_pixels_is_bridged(gap: int, tip: float) -> None:
    line = np.zeros((1, 3, 12), dtype=bool)
    line[0, 1, :5] = True
    line[0, 1, 5 + gap : 10] = True
    assert tips(line)[0, 0] == tip


def test_a_tip_in_an_upright_end_is_its_middle() -> None:
    assert tips(picture("....", "##..", "..#.", "..#.", "..#.")).tolist() == [[2.0, 3.0]]


def test_an_empty_picture_has_no_tip_no_width_and_no_parts() -> None:
    empty = np.zeros((2, 4, 4), dtype=bool)
    empty[1, 0, 0] = True
    assert np.isnan(tips(empty)[0]).all()
    assert tips(empty)[1].tolist() == [0.0, 0.0]
    assert math.isnan(thickness(empty)[0])
    assert math.isnan(continuity(empty)[0][0])


KNOWN = picture("......", "##....", "......")
GROWN = picture("......", "######", "......")


def scored(drawn: Masks) -> dict[str, float]:
    return scores(drawn.astype(np.float32), GROWN, KNOWN)


def test_a_perfect_picture_has_perfect_scores() -> None:
    found = scored(GROWN)
    assert [found[key] for key in ("mae", "mse", "tip_mm")] == [0.0, 0.0, 0.0]
    assert all(found[key] == 1.0 for key in ("recall", "recall_1", "precision", "precision_1"))


def test_new_pixels_one_row_away_are_found_within_a_pixel_only() -> None:
    beside = picture("..####", "##....", "......")
    found = scored(beside)
    assert (found["recall"], found["precision"]) == (0.0, 0.0)
    assert (found["recall_1"], found["precision_1"]) == (1.0, 1.0)
    assert found["tip_mm"] == pytest.approx(PIXEL_MM)


def test_half_of_what_is_new_is_half_of_the_recall_at_full_precision() -> None:
    found = scored(picture("......", "####..", "......"))
    assert (found["recall"], found["precision"], found["tip_mm"]) == (0.5, 1.0, 2 * PIXEL_MM)
    assert found["recall_1"] == 0.75


def test_a_smear_beside_the_old_crack_is_no_new_crack() -> None:
    assert scored(picture("##....", "######", "......"))["precision"] == pytest.approx(4 / 6)


def test_where_nothing_is_drawn_the_known_tip_stands_and_is_told() -> None:
    found = scored(np.zeros_like(GROWN))
    assert (found["tips_read"], found["recall"]) == (0.0, 0.0)
    assert found["tip_mm"] == pytest.approx(4 * PIXEL_MM)
    assert math.isnan(found["precision"])
    assert found["mae"] == pytest.approx(6 / 18)


def test_a_faint_line_is_no_crack_but_is_seen() -> None:
    found = scores(0.2 * GROWN.astype(np.float32), GROWN, KNOWN)
    assert found["recall"] == 0.0
    assert (math.isnan(found["thickness"]), found["thickness_faint"]) == (True, 1.0)
    assert found["mae"] == pytest.approx(0.8 * 6 / 18)


def sample() -> np.ndarray:
    frames = np.zeros((2, CONTEXT_FRAMES + 2, 5, 30), dtype=np.uint8)
    for k in range(CONTEXT_FRAMES + 2):
        frames[:, k, 2, : 5 * (k + 1)] = 255
    return frames


def test_what_is_new_depends_on_what_was_seen() -> None:
    frames = sample()
    known = shown(frames[:, CONTEXT_FRAMES : CONTEXT_FRAMES + 1])
    context = shown(frames[:, :CONTEXT_FRAMES])
    late = np.concatenate([context, known, known], axis=1)  # stays behind by one
    found = judged(late, late, frames)
    assert found["one_step_recall"] == 0.5  # of the two pictures the first is whole
    assert found["free_recall"] == pytest.approx(10 / 15)
    assert found["last_recall"] == 0.5
    assert found["last_tip_mm"] == pytest.approx(5 * PIXEL_MM)


def test_pictures_that_were_given_are_not_judged() -> None:
    frames = sample()
    spoiled = shown(frames)
    spoiled[:, :CONTEXT_FRAMES] = 1.0
    assert judged(spoiled, spoiled, frames)["one_step_mae"] == 0.0
