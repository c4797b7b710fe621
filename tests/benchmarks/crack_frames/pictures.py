"""A sheet of what networks and the baselines draw of one crack that none of them has seen.

    python -m tests.benchmarks.crack_frames.pictures --library crack.zarr --runs runs \\
        --sheet sheet.png

Rows: the truth and each drawer, the base networks from the weights that
`tests.benchmarks.crack_frames.networks` left; columns: the five pictures after the first three.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor, nn

from models.catalogue import RECIPES
from models.crack_frames.baselines import Frames, extrapolation, persistence, physics
from models.crack_frames.config import CONFIGS
from models.crack_frames.measures import CONTEXT_FRAMES, Pictures, shown
from models.crack_frames.recipe import free, one_step
from models.crack_frames.stepper import PictureStepper, settled
from models.crack_frames.stepper_recipe import free_runs, one_steps
from models.recipe import Arrays
from storage.artifacts import weights
from tests.benchmarks.crack_frames.networks import HELD_OUT, NAMES
from twin import networks
from twin.learning.library_fields import Library
from twin.learning.library_pictures import tiled
from twin.learning.training import MOST_BYTES

LOAD_AWARE = ("crack-spiking", "crack-artificial")  # by their committed weights
MARGIN = 118  # pixels for the names


class Drawn(NamedTuple):
    """What somebody draws of one sample; (1, frames, rows, columns)."""

    name: str
    one_step: Pictures
    free: Pictures


def drawers(frames: Frames, load: NDArray[np.float64], runs: Path, seed: int) -> Iterator[Drawn]:
    """The truth, the baselines, what was trained from `seed`, and what knows the load."""
    yield Drawn("truth", shown(frames), shown(frames))
    yield Drawn("persistence", *persistence(frames))
    yield Drawn("extrapolation", *extrapolation(frames))
    yield Drawn("physics", *physics(frames, load, CONFIGS["crack"]))
    for name in NAMES:
        found = weights.load(runs / f"{name}-{seed}" / f"{name}.safetensors", MOST_BYTES)
        network = _filled(name, networks.tensors(found.leaves))
        yield Drawn(name, one_step(network, frames), free(network, frames))
    for name in LOAD_AWARE:
        stepper = PictureStepper(settled(_filled(name, networks.default(name)[0])))
        arrays: Arrays = {"frames": frames, "load": load}
        yield Drawn(name, one_steps(stepper, arrays), free_runs(stepper, arrays)[0])


def _filled(name: str, tensors: dict[str, Tensor]) -> nn.Module:
    network = RECIPES[name].network(0)
    network.load_state_dict(tensors)
    return network.eval()


def sheet(rows: list[tuple[str, Pictures]]) -> Image.Image:
    """One picture: dark on light, a name before each row of pictures (frames, rows, columns)."""
    grey = np.stack([(255.0 * pictures.clip(0.0, 1.0)).astype(np.uint8) for _, pictures in rows])
    tiles = Image.fromarray(tiled(grey))
    out = Image.new("L", (tiles.width + MARGIN, tiles.height), 255)
    out.paste(tiles, (MARGIN, 0))
    draw = ImageDraw.Draw(out)
    for k, (name, _) in enumerate(rows):
        draw.text((6, int((k + 0.5) * tiles.height / len(rows)) - 6), name, fill=0)
    return out


def main() -> None:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--sheet", type=Path, required=True)
    parser.add_argument("--sample", type=int, default=0, help="of those held out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--one-step", action="store_true")
    given = parser.parse_args()
    _, held = Library(given.library).parts(HELD_OUT)
    part = slice(given.sample, given.sample + 1)
    found = drawers(held["frames"][part], held["load"][part], given.runs, given.seed)
    rows = [
        (one.name, (one.one_step if given.one_step else one.free)[0, CONTEXT_FRAMES:])
        for one in found
    ]
    sheet(rows).save(given.sheet, "PNG", optimize=True)


if __name__ == "__main__":
    main()
