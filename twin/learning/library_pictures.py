"""Pictures of a library: a contact sheet and an animation."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from storage.artifacts.library import ReadLibrary
from storage.errors import MissingError
from twin.errors import SettingsError
from twin.learning.output_paths import file_to_write

GAP, SHADE = 4, 208  # between pictures: pixels and grey
MOST_SHOWN = 400
MOST_PIXELS = 2**26  # of a sheet, or of all pictures of an animation
LONGEST = 65_535  # side of a picture; a GIF has room for no more
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
    library at `path`, no such samples in it, more of them than fit a picture, or where a picture
    cannot be written.
    Raises SettingsError for what cannot be shown.
    """
    try:
        library = ReadLibrary(path)
    except MissingError as exc:
        raise SettingsError(str(exc)) from exc
    shown = _range(library, first, samples)
    if sheet is not None or animation is not None:
        _drawn(library, shown, sheet, animation, scale)
    keys = ("name", "seed", "samples", "committed", "command", "statistics", "config")
    return {key: library.attributes[key] for key in keys if key in library.attributes}


def _drawn(
    library: ReadLibrary, shown: slice, sheet: Path | None, animation: Path | None, scale: int
) -> None:
    count, (_, steps, high, wide) = shown.stop - shown.start, library.shape("frames")
    columns = _columns(count)
    if sheet is not None:
        _check_size("contact sheet", (count, steps, high, wide), scale, 1)
    if animation is not None:
        _check_size("animation", (-(-count // columns), columns, high, wide), scale, steps)
    for path in filter(None, (sheet, animation)):
        file_to_write(path)
    frames = library.read("frames", shown)  # (sample, frame, y, x)
    if sheet is not None:
        _scaled(tiled(frames), scale).save(sheet, "PNG", optimize=True)
    if animation is not None:
        turned = frames.transpose(1, 0, 2, 3)
        images = [_scaled(tiled(_squared(one)), scale) for one in turned]
        images[0].save(animation, "GIF", save_all=True, append_images=images[1:],
                       duration=FRAME_MS, loop=0)  # fmt: skip  # one call


def _check_size(what: str, tiles: tuple[int, int, int, int], scale: int, pictures: int) -> None:
    """SettingsError where pictures of rows, columns, y, x would be too large to be made."""
    rows, columns, high, wide = tiles
    down, across = scale * (rows * (high + GAP) + GAP), scale * (columns * (wide + GAP) + GAP)
    if pictures * down * across > MOST_PIXELS or max(down, across) > LONGEST:
        many = f"{pictures} pictures of " if pictures > 1 else ""
        raise SettingsError(
            f"the {what} would be {many}{across} x {down} pixels: more than {MOST_PIXELS} in all, "
            f"or than {LONGEST} along a side; take fewer --samples or a smaller --scale"
        )


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


def _range(library: ReadLibrary, first: int, count: int) -> slice:
    there = int(library.attributes.get("committed", 0))
    if not 1 <= count <= MOST_SHOWN or not 0 <= first < there:
        raise SettingsError(
            f"{count} samples from {first} cannot be shown: {there} are there, and at most "
            f"{MOST_SHOWN} fit"
        )
    return slice(first, min(first + count, there))


def _squared(pictures: Picture) -> Picture:
    """Pictures (n, y, x) as rows and columns (r, c, y, x); what is left over is empty."""
    columns = _columns(len(pictures))
    rows = -(-len(pictures) // columns)
    empty = np.zeros((rows * columns - len(pictures), *pictures.shape[1:]), dtype=np.uint8)
    return np.concatenate([pictures, empty]).reshape(rows, columns, *pictures.shape[1:])


def _columns(count: int) -> int:
    return math.ceil(math.sqrt(count))


def _scaled(picture: Picture, scale: int) -> Image.Image:
    image = Image.fromarray(picture)
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
