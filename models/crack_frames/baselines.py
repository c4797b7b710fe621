"""What a network that draws the next picture of a crack has to beat: nothing learned here.

All-black, persistence and linear extrapolation see the pictures, as the base networks do. The
physics reads the crack off the last picture too, and grows it by XFEM and the direction criterion
under the load that is to come: it knows that load, and made the library.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.crack_frames.config import CrackLibrary
from models.crack_frames.measures import CONTEXT_FRAMES, Masks, Pictures, tips
from models.crack_frames.slices import Course, grown
from models.crack_frames.window import PictureWindow, frames
from models.xfem.grid import Floats

SPACING = 4  # pixels between nodes that are read off a picture, at least
AROUND = 3  # columns on either side of a node that its height is fitted to

Frames = NDArray[np.uint8]  # (n, frames, rows, columns) 0 or 255
Drawing = Callable[[Frames], tuple[Pictures, Pictures]]  # one step ahead, and free


def black(shown: Frames) -> tuple[Pictures, Pictures]:
    """Nothing."""
    empty = np.zeros(shown.shape, dtype=np.float32)
    return empty, empty


def persistence(shown: Frames) -> tuple[Pictures, Pictures]:
    """The last picture again."""
    one_step, free = (np.zeros(shown.shape, dtype=np.float32) for _ in range(2))
    one_step[:, CONTEXT_FRAMES:] = shown[:, CONTEXT_FRAMES - 1 : -1] > 0
    free[:, CONTEXT_FRAMES:] = shown[:, CONTEXT_FRAMES - 1 : CONTEXT_FRAMES] > 0
    return one_step, free


def extrapolation(shown: Frames) -> tuple[Pictures, Pictures]:
    """The last picture, and the last advance of its tip once more."""
    one_step, free = persistence(shown)
    for i, sample in enumerate(shown > 0):
        at = tips(sample)  # (frames, 2)
        for k in range(CONTEXT_FRAMES, len(sample)):
            _stroke(one_step[i, k], np.stack([at[k - 1], 2.0 * at[k - 1] - at[k - 2]]))
            steps = np.arange(k - CONTEXT_FRAMES + 2)[:, None]
            _stroke(
                free[i, k],
                at[CONTEXT_FRAMES - 1] + steps * (at[CONTEXT_FRAMES - 1] - at[CONTEXT_FRAMES - 2]),
            )
    return one_step, free


def physics(shown: Frames, load: Floats, config: CrackLibrary) -> tuple[Pictures, Pictures]:
    """The crack of the last picture, grown under the loads (n, slices, 2) [Pa] to come."""
    one_step, free = persistence(shown)
    for i, sample in enumerate(shown > 0):
        for k in range(CONTEXT_FRAMES, len(sample)):
            _grow(one_step[i, k : k + 1], sample[k - 1], load[i, k - 1 : k], k - 1, config)
        _grow(
            free[i, CONTEXT_FRAMES:],
            sample[CONTEXT_FRAMES - 1],
            load[i, CONTEXT_FRAMES - 1 :],
            CONTEXT_FRAMES - 1,
            config,
        )
    return one_step, free


def read(mask: Masks, window: PictureWindow) -> Floats:
    """The crack (n, 2) [m] that a picture (rows, columns) shows, the mouth first.

    Nodes at even distances in x; heights by straight lines fitted to the columns around.
    """
    row, column = np.nonzero(mask)
    last = float(tips(mask[None])[0, 0])
    at = np.linspace(column.min(), last, 1 + max(1, int((last - column.min()) / SPACING)))
    heights = np.array([_height(row, column, x) for x in at])
    nodes = np.stack([window.left + (at + 0.5) * window.pixel,
                      window.top - (heights + 0.5) * window.pixel], axis=1)  # fmt: skip  # a table
    nodes[0, 0] = window.left  # the mouth is at the edge
    return nodes


def _height(row: NDArray[np.int64], column: NDArray[np.int64], x: float) -> float:
    near = np.abs(column - x) <= AROUND
    if np.ptp(column[near]) == 0:
        return float(row[near].mean())
    return float(np.polyfit(column[near] - x, row[near], 1)[1])


def _grow(out: Pictures, mask: Masks, load: Floats, first: int, config: CrackLibrary) -> None:
    """Draw into the pictures (k, rows, columns) the crack of `mask` grown under k loads."""
    edges = np.minimum(config.edges(), config.plate.width - config.margin)[first:]
    course = Course(
        edges[: len(load)], config.step, np.radians(config.steepest),
        config.plate.band[0], config.plate.band[1], attempts=1,
    )  # fmt: skip  # one call
    start = read(mask, config.window)
    growth = grown(config.plate, start, course, lambda k: load[k])
    path, ends = growth.path[len(start) - 1 :], growth.ends - (len(start) - 1)
    if first + len(load) == config.slices and not growth.arrested:
        slope = (path[-1, 1] - path[-2, 1]) / (path[-1, 0] - path[-2, 0])
        left = config.plate.width - path[-1, 0]
        path = np.vstack([path, path[-1] + left * np.array([1.0, slope])])
        ends = np.append(ends[:-1], len(path) - 1)
    if len(path) > 1:
        out[:] = np.maximum(out, frames(path, ends[1:], config.window) > 0)


def _stroke(picture: Pictures, points: Floats) -> None:
    """Draw a line through points (k, 2), as column and row, into a picture (rows, columns)."""
    window = replace(PictureWindow(), pixel=1.0, left=0.0, top=0.0)
    path = np.stack([points[:, 0] + 0.5, -(points[:, 1] + 0.5)], axis=1)
    line = frames(path, np.array([len(path) - 1]), window)[0]
    np.maximum(picture, line > 0, out=picture)
