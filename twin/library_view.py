"""Pictures of a library: a contact sheet and an animation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from PIL import Image

from twin.errors import SettingsError

GAP, SHADE = 4, 208  # between pictures: pixels and grey
MOST_SHOWN = 400
FRAME_MS = 500  # of an animation

Picture = NDArray[np.uint8]


def show(
    path: Path,
    *,
    sheet: Path | None = None,
    animation: Path | None = None,
    samples: int = 8,
    first: int = 0,
    scale: int = 1,
) -> dict[str, Any]:
    """Write a contact sheet (PNG) and an animation (GIF); the answer is the library's card.

    The sheet has a row for each sample and a column for each frame; the animation shows the
    frames one after the other, the samples side by side. SettingsError where there is no
    library at `path`, or no such samples in it.
    """
    try:
        group = zarr.open_group(path, mode="r")
    except (FileNotFoundError, ValueError) as exc:
        raise SettingsError(f"{path} is no library") from exc
    frames = _frames(group, first, samples)  # (sample, frame, y, x)
    if sheet is not None:
        _scaled(tiled(frames), scale).save(sheet, "PNG", optimize=True)
    if animation is not None:
        turned = frames.transpose(1, 0, 2, 3)
        images = [_scaled(tiled(_squared(one)), scale) for one in turned]
        images[0].save(animation, "GIF", save_all=True, append_images=images[1:],
                       duration=FRAME_MS, loop=0)  # fmt: skip  # one call
    keys = ("name", "seed", "samples", "committed", "command", "statistics")
    return {key: group.attrs[key] for key in keys if key in group.attrs}


def tiled(pictures: Picture) -> Picture:
    """One picture of pictures (rows, columns, y, x), dark on light, with gaps between."""
    rows, columns, high, wide = pictures.shape
    shape = (rows * (high + GAP) + GAP, columns * (wide + GAP) + GAP)
    out = np.full(shape, SHADE, dtype=np.uint8)
    for r in range(rows):
        for c in range(columns):
            y, x = GAP + r * (high + GAP), GAP + c * (wide + GAP)
            out[y : y + high, x : x + wide] = 255 - pictures[r, c]
    return out


def _frames(group: zarr.Group, first: int, count: int) -> Picture:
    there = int(group.attrs.get("committed", 0))  # type: ignore[arg-type]  # JSON
    if not 1 <= count <= MOST_SHOWN or not 0 <= first < there:
        raise SettingsError(
            f"{count} samples from {first} cannot be shown: {there} are there, and at most "
            f"{MOST_SHOWN} fit"
        )
    return np.asarray(group["frames"][first : min(first + count, there)])  # type: ignore[index]


def _squared(pictures: Picture) -> Picture:
    """Pictures (n, y, x) as rows and columns (r, c, y, x); what is left over is empty."""
    columns = int(np.ceil(np.sqrt(len(pictures))))
    rows = -(-len(pictures) // columns)
    empty = np.zeros((rows * columns - len(pictures), *pictures.shape[1:]), dtype=np.uint8)
    return np.concatenate([pictures, empty]).reshape(rows, columns, *pictures.shape[1:])


def _scaled(picture: Picture, scale: int) -> Image.Image:
    image = Image.fromarray(picture)
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
