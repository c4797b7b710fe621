"""What the reader of crack images is worth, on pictures that it was not trained on.

    python -m tests.benchmarks.crack_image.photographs [--library crack.zarr] [--photographs DIR]
                                           [--picture OUT.png] [--scenes 400] [--seed 0]

Made-up scenes of another seed, with the library's last 108 paths among them where a library is
given; the library's own frames; and photographs `n.png` with masks `n_m.png`, as they are and with
a part of their crack erased, so that it has a tip that is known. Beside the network: ridges, a
threshold of grey values, and seeing nothing.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from models.crack_image.baselines import darkest, ridge
from models.crack_image.measures import Score, score, summary
from models.crack_image.reader import CrackReader
from models.crack_image.recipe import HELD_OUT as SCENES
from models.crack_image.recipe import LARGE, library_paths, scenes
from models.crack_image.scenes import Scene
from tests.benchmarks.crack_image.tips import control_rows, tip_rows
from twin.ingest.image_worker import default_reader
from twin.learning.library_fields import Library

HELD_OUT = 108
Readers = Mapping[str, CrackReader]


def readers() -> Readers:
    """The network's reader, and those that have learned nothing."""
    return {
        "network": default_reader().read,
        "ridges": CrackReader(ridge),
        "threshold": CrackReader(darkest),
        "nothing": CrackReader(np.zeros_like),
    }


def scene_rows(found: Readers, pictures: Sequence[Scene]) -> list[str]:
    """The scores of each reader on scenes."""
    rows: dict[str, list[str]] = {}
    for reader in found.values():
        scores = [score(reader, s.picture, s.crack) for s in pictures]
        for key, value in summary(scores).items():
            rows.setdefault(key, []).append(f"{value:.3g}")
    head = ["| scenes | " + " | ".join(found) + " |", "| --- |" + " --- |" * len(found)]
    return head + [f"| {key} | " + " | ".join(values) + " |" for key, values in rows.items()]


def frame_rows(library: Path, reader: CrackReader) -> list[str]:
    """How exactly the held-out frames of the library are read."""
    _, held = Library(library).parts(HELD_OUT)
    tips, lengths = [], []
    for frames, path, nodes in zip(held["frames"], held["path"], held["frame_node"], strict=True):
        for frame, node in zip(frames, nodes, strict=True):
            read = reader(frame)
            line = path[: node + 1]
            tip = np.array([line[-1, 0], 1.8e-3 - line[-1, 1]]) / 0.075e-3
            if not (0.0 <= tip[0] < 132.0 and 0.0 <= tip[1] < 96.0):
                continue  # it has left the picture
            tips.append(float(np.hypot(*(read.path[-1] - tip))))
            true = float(np.hypot(*np.diff(line, axis=0).T).sum()) / 0.075e-3
            lengths.append(read.length - true)
    apart = np.abs(lengths)
    return [
        f"{len(tips)} frames: tip within {max(tips):.2f} pixels (median {np.median(tips):.2f}, "
        f"{np.mean(np.array(tips) <= 1.0):.1%} within one), "
        f"length within {apart.max():.2f} (median {np.median(apart):.2f})",
    ]


def photograph_rows(found: Readers, directory: Path) -> list[str]:
    """Each reader on each photograph."""
    rows = [
        "| photograph | reader | outcome | IoU | recall | precision | on crack | covered | length "
        "| true | error | sd | ends off |",
        "| --- |" + " --- |" * 12,
    ]
    for number, (grey, crack) in photographs(directory).items():
        for name, reader in found.items():
            rows.append(f"| {number} | {name} {_cells(score(reader, grey, crack))}")
    return rows


def photographs(directory: Path) -> dict[str, tuple[NDArray[Any], NDArray[np.bool_]]]:
    """Grey values and crack of every `n.png` that has an `n_m.png`."""
    found = {}
    for mask in sorted(directory.glob("*_m.png")):
        number = mask.stem.removesuffix("_m")
        grey = np.asarray(Image.open(directory / f"{number}.png").convert("L"))
        found[number] = grey, np.asarray(Image.open(mask).convert("L")) > 127
    return found


def _cells(s: Score) -> str:
    shares = (f"{x:.2f}" for x in (s.iou, s.recall, s.precision, s.on_crack, s.covered))
    sizes = (f"{x:.0f}" for x in (s.length, s.length_true, s.error, s.length_sd))
    ends = " and ".join(f"{x:.0f}" for x in s.ends)
    return "| " + " | ".join([s.outcome, *shares, *sizes, ends]) + " |"


def seconds(reader: CrackReader, sides: Sequence[int] = (512, 1024, 4096)) -> list[str]:
    """How long pictures of several sizes take."""
    rng, rows = np.random.default_rng(0), []
    for side in sides:
        picture = rng.integers(0, 255, (side, side), dtype=np.uint8)
        began = time.process_time()
        reader(picture)
        rows.append(f"{side} × {side} pixels: {time.process_time() - began:.2f} CPU-s")
    return rows


def sheet(reader: CrackReader, pictures: Sequence[Scene], columns: int = 4) -> Image.Image:
    """Scenes above what was read in them: green where the crack is, red the path."""
    tiles = []
    for s in pictures:
        read = reader(s.picture)
        grey = np.repeat(s.picture[:, :, None], 3, axis=2)
        drawn = grey // 2
        drawn[s.crack] = (60, 170, 90)
        for x, y in read.path if read.outcome == "measured" else ():
            drawn[max(0, int(y) - 1) : int(y) + 1, max(0, int(x) - 1) : int(x) + 1] = (255, 60, 50)
        tiles.append(np.concatenate([grey, drawn]))
    rows = [np.hstack(tiles[k : k + columns]) for k in range(0, len(tiles), columns)]
    whole = Image.fromarray(np.vstack(rows))
    return whole.resize((whole.width // 2, whole.height // 2), Image.Resampling.LANCZOS)


def main(say: Callable[[str], None] = print) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", type=Path)
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--scenes", type=int, default=SCENES)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_flush_denormal(True)
    found = readers()
    held = Library(asked.library).parts(HELD_OUT)[1] if asked.library else None
    library = library_paths(held, slice(None)) if held else ()
    pictures = scenes(asked.seed, 3, asked.scenes, library, LARGE)
    say("\n".join(scene_rows(found, pictures)))
    if asked.library:
        say("\n".join(frame_rows(asked.library, found["network"])))
    if asked.photographs:
        say("\n".join(photograph_rows(found, asked.photographs)))
        shown = photographs(asked.photographs)
        say("\n".join(control_rows(found["network"], shown)))
        say("\n".join(tip_rows({k: v for k, v in found.items() if k != "nothing"}, shown)))
    say("\n".join(seconds(found["network"])))
    if asked.picture:
        sheet(found["network"], pictures[:8]).save(asked.picture, optimize=True)


if __name__ == "__main__":
    main()
