"""How good a predicted picture of a crack is: grey values, line, new pixels, tip.

Pictures (…, rows, columns) hold 0 where nothing is and 1 where the crack is. A crack that is one
pixel wide covers 0.8 % of a picture: the mean absolute error alone is small for an empty picture,
and smaller still for the last picture repeated. So it stands beside what a crack is asked for: is
what is new drawn, is what is drawn new, and where is the tip.
"""

from __future__ import annotations

from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.crack_frames.window import INK_THRESHOLD, PictureWindow
from models.recipe import Scores

Pictures: TypeAlias = NDArray[np.float32]  # (…, rows, columns) [1]
Masks: TypeAlias = NDArray[np.bool_]  # (…, rows, columns)
Value = TypeVar("Value", bound=np.generic)

CONTEXT_FRAMES = 3  # pictures at the start of a sample that a stepper is given
FAINT = 0.1  # a pixel above it shows to the eye
PIXEL_MM = PictureWindow().pixel * 1e3

_SAME = np.zeros((3, 3, 3), dtype=bool)  # neighbours within a picture, corners included
_SAME[1] = True
_LINES = (((1, 0), (1, 1), (1, 2)), ((0, 1), (1, 1), (2, 1)),
          ((0, 0), (1, 1), (2, 2)), ((0, 2), (1, 1), (2, 0)))  # fmt: skip  # four directions


def shown(frames: NDArray[np.uint8]) -> Pictures:
    """Frames of a library (0 or 255) as pictures."""
    return (frames > 0).astype(np.float32)


def judged(one_step: Pictures, free: Pictures, frames: NDArray[np.uint8]) -> Scores:
    """All scores of a stepper; every argument (n, frames, rows, columns).

    `one_step[:, k]` was told from the true frames before k; `free[:, k]` from the first
    `CONTEXT_FRAMES` true frames and the stepper's own pictures since. What stands before frame
    `CONTEXT_FRAMES` is not read. Names start with `one_step_`, with `free_` (all pictures of a free
    run) or with `last_` (its last one). New is what the last true picture that was seen does not
    show.
    """
    truth = frames > 0
    start = np.broadcast_to(
        truth[:, CONTEXT_FRAMES - 1 : CONTEXT_FRAMES], truth[:, CONTEXT_FRAMES:].shape
    )
    parts = {
        "one_step": scores(
            one_step[:, CONTEXT_FRAMES:],
            truth[:, CONTEXT_FRAMES:],
            truth[:, CONTEXT_FRAMES - 1 : -1],
        ),
        "free": scores(free[:, CONTEXT_FRAMES:], truth[:, CONTEXT_FRAMES:], start),
        "last": scores(free[:, -1:], truth[:, -1:], start[:, -1:]),
    }
    return {f"{mode}_{name}": v for mode, part in parts.items() for name, v in part.items()}


def scores(predicted: Pictures, truth: Masks, known: Masks) -> Scores:
    """Scores over all pictures (…, rows, columns); `known` shows the crack before it grew.

    `mae`, `mse`: of the grey values. `recall`, `precision`: of new pixels, pooled over all
    pictures; with `_1` within one pixel. `tip_mm`: mean distance of the tips; where no tip can be
    read, that of the known picture stands, and `tips_read` is the share that was read.
    `thickness`, `thickness_faint` [pixel], `components` and `largest` (share of the largest one):
    means over the pictures that show anything. NaN where there is nothing to judge.
    """
    predicted, truth, known = _stacked(predicted), _stacked(truth), _stacked(known)
    error = np.abs(predicted.astype(np.float64) - truth)
    drawn = predicted > INK_THRESHOLD
    components, largest = continuity(drawn)
    return {
        "mae": float(error.mean()),
        "mse": float((error**2).mean()),
        **_new_pixels(drawn, truth & ~known, known),
        **_tip_errors(drawn, truth, known),
        "thickness": _mean(thickness(drawn)),
        "thickness_faint": _mean(thickness(predicted > FAINT)),
        "components": _mean(components),
        "largest": _mean(largest),
    }


def tips(masks: Masks) -> NDArray[np.float64]:
    """The tips (m, 2) of masks (m, rows, columns), as column and row; NaN where there is none.

    The right end of the largest connected part, gaps of up to two pixels bridged; the row is
    the mean over the pixels of its last column.
    """
    labels, _ = ndimage.label(_widened(masks), _SAME)
    picture, row, column = np.nonzero(masks)
    label = labels[picture, row, column]
    kept = label == _largest(picture, label, len(masks))[picture]
    picture, row, column = picture[kept], row[kept], column[kept]
    last = np.full(len(masks), -1)
    np.maximum.at(last, picture, column)
    ends = column == last[picture]
    count = np.bincount(picture[ends], minlength=len(masks))
    rows = np.bincount(picture[ends], weights=row[ends], minlength=len(masks))
    there = count > 0
    out = np.full((len(masks), 2), np.nan)
    out[there] = np.stack([last[there], rows[there] / count[there]], axis=1)
    return out


def thickness(masks: Masks) -> NDArray[np.float64]:
    """The mean width (m,) [pixel] of what masks (m, rows, columns) show; NaN where nothing.

    The width at a pixel is that of the shortest run through it in four directions: 1 anywhere
    on a chain of pixels that touch at edges or corners. The corners of a band count as narrower.
    """
    picture, row, column = np.nonzero(masks)
    shortest = np.full(len(picture), np.inf)
    for k, line in enumerate(_LINES):
        structure = np.zeros((3, 3, 3), dtype=bool)
        structure[1][tuple(zip(*line, strict=True))] = True
        labels, _ = ndimage.label(masks, structure)
        label = labels[picture, row, column]
        run = np.bincount(label)[label] if len(label) else np.empty(0)
        shortest = np.minimum(shortest, run * (1.0 if k < 2 else np.sqrt(2.0)))
    return _averages(picture, shortest, len(masks))


def continuity(masks: Masks) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Connected parts (m,), and the share (m,) of all pixels in the largest; NaN where nothing."""
    labels, _ = ndimage.label(masks, _SAME)
    picture, row, column = np.nonzero(masks)
    label = labels[picture, row, column]
    pixels = np.bincount(picture, minlength=len(masks)).astype(np.float64)
    pixels[pixels == 0.0] = np.nan
    first = np.unique(label, return_index=True)[1]
    parts = np.bincount(picture[first], minlength=len(masks)).astype(np.float64)
    parts[np.isnan(pixels)] = np.nan
    in_largest = label == _largest(picture, label, len(masks))[picture]
    return parts, np.bincount(picture[in_largest], minlength=len(masks)) / pixels


def _new_pixels(drawn: Masks, new: Masks, known: Masks) -> Scores:
    claimed = drawn & ~known
    return {
        "recall": _share(new & drawn, new),
        "recall_1": _share(new & _widened(drawn), new),
        "precision": _share(claimed & new, claimed),
        "precision_1": _share(claimed & _widened(new), claimed),
    }


def _tip_errors(drawn: Masks, truth: Masks, known: Masks) -> Scores:
    found, before = tips(drawn), tips(known)
    read = ~np.isnan(found[:, 0])
    gap = np.where(read[:, None], found, before) - tips(truth)
    distance = PIXEL_MM * np.hypot(gap[:, 0], gap[:, 1])
    return {
        "tip_mm": float(distance.mean()),
        "tip_mm_median": float(np.median(distance)),
        "tips_read": float(read.mean()),
    }


def _largest(picture: NDArray[np.int64], label: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The label (count,) that most pixels of a picture have; the first one of equals."""
    sizes = np.bincount(label) if len(label) else np.empty(0, dtype=np.int64)
    order = np.lexsort((-label, sizes[label], picture))
    best = np.zeros(count, dtype=np.int64)
    best[picture[order]] = label[order]  # the last one stands
    return best


def _widened(masks: Masks) -> Masks:
    """Masks, and all pixels within one pixel."""
    wide: Masks = ndimage.binary_dilation(masks, _SAME)
    return wide


def _averages(
    picture: NDArray[np.int64], values: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    pixels = np.bincount(picture, minlength=count).astype(np.float64)
    pixels[pixels == 0.0] = np.nan
    mean: NDArray[np.float64] = np.bincount(picture, weights=values, minlength=count) / pixels
    return mean


def _share(part: Masks, whole: Masks) -> float:
    return float(part.sum() / whole.sum()) if whole.any() else float("nan")


def _mean(values: NDArray[np.float64]) -> float:
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else float("nan")


def _stacked(pictures: NDArray[Value]) -> NDArray[Value]:
    return pictures.reshape(-1, *pictures.shape[-2:])
