"""Last pictures of free runs over the true ones: four held-out samples, a row for each way.

    python -m tests.benchmarks.crack_frames.steppers_picture --library crack.zarr --out picture.png

Columns: the sample with the median error of the spiking stepper's tip, the one with the greatest,
one whose shear is reversed in a slice to come, and the first. Dark: predicted and true; red: true
alone; blue: predicted alone; grey: what was seen.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from models.crack_frames.baselines import extrapolation
from models.crack_frames.measures import CONTEXT_FRAMES, Pictures, shown, tips
from models.crack_frames.stepper import NETWORKS
from models.crack_frames.stepper_recipe import free_runs
from models.recipe import Arrays
from twin import networks
from twin.learning.library_fields import Library

SCALE, GAP = 3, 6
HELD_OUT = 108
LIGHT, GREY, DARK, RED, BLUE = 255, (170,) * 3, (40,) * 3, (214, 39, 40), (31, 90, 220)


def chosen(arrays: Arrays, spiking: Pictures) -> list[int]:
    """The samples that are shown."""
    gap = np.hypot(*(tips(spiking[:, -1] > 0) - tips(arrays["frames"][:, -1] > 0)).T)
    order = np.argsort(gap, kind="stable")
    reversed_ = np.flatnonzero((arrays["load"][:, CONTEXT_FRAMES - 1 :, 1] < 0.0).any(1))
    return [int(order[len(order) // 2]), int(order[-1]), int(reversed_[0]), 0]


def painted(predicted: Pictures, true: Pictures, seen: Pictures) -> NDArray[np.uint8]:
    """A prediction over the truth, in colours (rows, columns, 3)."""
    out = np.full((*true.shape, 3), LIGHT, dtype=np.uint8)
    p, t, s = (part > 0 for part in (predicted, true, seen))
    for mask, colour in ((p & t, DARK), (t & ~p, RED), (p & ~t, BLUE), (s & t & p, GREY)):
        out[mask] = colour
    return out


def sheet(rows: list[list[NDArray[np.uint8]]]) -> Image.Image:
    """Panels in rows and columns, enlarged, with gaps between."""
    high, wide = (SCALE * side for side in rows[0][0].shape[:2])
    size = (len(rows[0]) * (wide + GAP) + GAP, len(rows) * (high + GAP) + GAP)
    out = Image.new("RGB", size, (208, 208, 208))
    for r, row in enumerate(rows):
        for c, panel in enumerate(row):
            large = Image.fromarray(panel).resize((wide, high), Image.Resampling.NEAREST)
            out.paste(large, (GAP + c * (wide + GAP), GAP + r * (high + GAP)))
    return out


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    _, held = Library(given.library).parts(HELD_OUT)
    arrays = {key: np.asarray(held[key]) for key in ("frames", "load")}
    true = shown(arrays["frames"])
    runs = [free_runs(networks.picture_stepper(name), arrays)[0][:, -1] for name in NETWORKS]
    ways = [*runs, extrapolation(arrays["frames"])[1][:, -1]]
    spiking = np.stack([true[:, 0], runs[0]], 1)
    known = true[:, CONTEXT_FRAMES - 1]
    panels = [[painted(way[k], true[k, -1], known[k]) for k in chosen(arrays, spiking)]
              for way in ways]  # fmt: skip  # one line more
    sheet(panels).save(given.out, "PNG", optimize=True)


if __name__ == "__main__":
    main()
