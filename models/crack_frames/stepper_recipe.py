"""How the load-aware crack steppers are trained and judged.

An example is a stretch of a library's path of eight pieces, which the cell must follow on its own
answers, and a crop of the picture that the crack had at its start, in which the eye must find tip
and slope. Stretches begin at the edges of slices and at pieces between them, drawn by the seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.crack_frames.measures import CONTEXT_FRAMES, Pictures, judged, scores, shown
from models.crack_frames.pixels import PIXEL, TOP, WIDTH, WINDOW, cropped, sighted
from models.crack_frames.stepper import (
    FIRST_LENGTH,
    PIECE,
    PIECES,
    PictureFront,
    PictureState,
    PictureStepper,
    SliceLoad,
    advanced,
    angle,
    settled,
)
from models.crack_frames.tip_networks import ArtificialCell, SpikingCell, forgotten
from models.crack_frames.window import frames
from models.recipe import Arrays, Recipe, Scores
from models.training import Examples, Schedule, parameters, seeded

SLICES = 7
VALIDATION = 100  # samples
BETWEEN = 5  # stretches of a sample that begin within slices
READING = 0.1  # weight of the eye's loss
NEEDS = {"plate.width": WIDTH, "crack": FIRST_LENGTH * WIDTH, "height": 0.0, "slices": SLICES} | {
    f"window.{key}": value for key, value in asdict(WINDOW).items()
}  # of a library: positions are in its widths, from its mouth


def examples(arrays: Arrays, seed: int) -> tuple[Examples, Examples]:
    """Stretches of the samples to train on, and of up to `VALIDATION` drawn by the seed.

    Crops (N, rows, columns) uint8, pulls (N, 8) [rad], x (N,), lines (N, 10) of y one piece
    before the tip and on, and offsets (N,) of the tip from its pixel's middle [pixel].
    """
    generator = np.random.default_rng(seed)
    count = len(arrays["nodes"])
    order = generator.permutation(count)
    held = min(VALIDATION, count // 5)
    parts = (np.sort(order[held:]), np.sort(order[:held]))
    return _stretches(arrays, parts[0], generator), _stretches(arrays, parts[1], generator)


def _stretches(arrays: Arrays, chosen: NDArray[Any], generator: np.random.Generator) -> Examples:
    rows = [_stretched(arrays, int(k), generator) for k in chosen]
    if not rows:
        return [torch.zeros(0)] * 5
    return [torch.cat(column) for column in zip(*rows, strict=True)]


def _stretched(arrays: Arrays, k: int, generator: np.random.Generator) -> tuple[Tensor, ...]:
    """The stretches of one sample."""
    path = arrays["path"][k, : arrays["nodes"][k]] / WIDTH
    edges = np.arange(0, PIECES * SLICES - PIECES + 1, PIECES)
    start = np.concatenate([edges, generator.choice(edges[-1], BETWEEN, replace=False)])
    x = FIRST_LENGTH + PIECE * start
    at = x[:, None] + PIECE * np.arange(-1, PIECES + 1)
    line = torch.from_numpy(np.interp(at, path[:, 0], path[:, 1]))
    tension, shear = torch.from_numpy(arrays["load"][k]).unbind(1)
    pulls = angle(SliceLoad(tension, shear)).repeat_interleave(PIECES)
    pull = pulls[torch.from_numpy(start[:, None] + np.arange(PIECES))]
    crop, offset = _crops(path, torch.from_numpy(x), line)
    return crop, pull.float(), torch.from_numpy(x).float(), line.float(), offset


def _crops(path: NDArray[Any], x: Tensor, line: Tensor) -> tuple[Tensor, Tensor]:
    """What the eye sees of a path when its tip is at `x`, and the offsets that it is to find."""
    nodes = np.unique(np.concatenate([path[:, 0], x.numpy()]))
    cut = np.stack([nodes, np.interp(nodes, path[:, 0], path[:, 1])], 1)
    pictures = frames(cut * WIDTH, np.searchsorted(nodes, x.numpy()), WINDOW)
    ink = (torch.from_numpy(pictures) > 0).to(torch.float32)
    sight = sighted(ink)
    crop = cropped(ink, sight, torch.zeros(len(ink), dtype=torch.bool))
    slope = (line[:, 1] - line[:, 0]) / PIECE
    across = (sight.column + 0.5) * PIXEL
    middle = TOP - (sight.row + 0.5) * PIXEL
    offset = (line[:, 1] - slope * (x - across) - middle) / PIXEL
    return crop.to(torch.uint8), offset.float()


def loss(network: nn.Module, batch: Examples) -> Tensor:
    """Mean squared distance along the way [piece²], and of the reading [pixel², slope²]."""
    crop, pull, x, line, offset = batch
    start = (line[:, 1] - line[:, 0]) / PIECE
    front = PictureFront(x, line[:, 1], start, forgotten(network, len(x), x.dtype))  # type: ignore[arg-type]
    went = []
    for k in range(PIECES):
        front = advanced(network, front, pull[:, k])  # type: ignore[arg-type]  # a CrackCell
        went.append(front.y)
    way = (torch.stack(went, 1) - line[:, 2:]) / PIECE
    flip = line[:, 1] > 0.5 * PIXEL
    eye = torch.where(flip[:, None, None], crop.flip(1), crop).to(x.dtype)
    target = torch.where(flip, -1.0, 1.0)[:, None] * torch.stack([offset, start], 1)
    reading = network.read(eye) - target  # type: ignore[operator]
    total: Tensor = (way**2).mean() + READING * (reading**2).mean()
    return total


def held_out_scores(network: nn.Module, arrays: Arrays) -> Scores:
    """The scores of `crack_frames.measures`, read from pictures; `first_…` from the first one."""
    return stepper_scores(PictureStepper(settled(network)), arrays) | {
        "parameters": float(parameters(network))
    }


def stepper_scores(stepper: PictureStepper, arrays: Arrays) -> Scores:
    """All scores of a stepper on samples."""
    truth = arrays["frames"] > 0
    given, first = free_runs(stepper, arrays)
    scored = judged(one_steps(stepper, arrays), given, arrays["frames"])
    start = np.broadcast_to(truth[:, :1], truth[:, 1:].shape)
    all_of_it = scores(first[:, 1:], truth[:, 1:], start)
    last = scores(first[:, -1:], truth[:, -1:], start[:, -1:])
    return (
        scored
        | {f"first_{k}": v for k, v in all_of_it.items()}
        | {f"first_last_{k}": v for k, v in last.items()}
    )


def one_steps(stepper: PictureStepper, arrays: Arrays) -> Pictures:
    """Pictures (n, frames, …) told from the true ones before; the first stays."""
    true = shown(arrays["frames"])
    steps = [true[:, 0]]
    for k in range(1, true.shape[1]):
        state = stepper.seen(torch.from_numpy(true[:, k - 1]))
        steps.append(_picture(stepper.step(state, load_of(arrays, k - 1))))
    return np.stack(steps, 1)


def free_runs(stepper: PictureStepper, arrays: Arrays) -> tuple[Pictures, Pictures]:
    """Pictures (n, frames, …) told from the last of the context, and from the first crack."""
    true = shown(arrays["frames"])
    told = list(true[:, :CONTEXT_FRAMES].swapaxes(0, 1))
    told += run(
        stepper,
        stepper.seen(torch.from_numpy(true[:, CONTEXT_FRAMES - 1])),
        arrays,
        CONTEXT_FRAMES - 1,
    )
    alone = [true[:, 0], *run(stepper, stepper.init(len(true)), arrays, 0)]
    return np.stack(told, 1), np.stack(alone, 1)


def run(stepper: PictureStepper, state: PictureState, arrays: Arrays, first: int) -> list[Pictures]:
    """The pictures after each slice from `first` on."""
    pictures = []
    for k in range(first, arrays["load"].shape[1]):
        state = stepper.step(state, load_of(arrays, k))
        pictures.append(_picture(state))
    return pictures


def load_of(arrays: Arrays, k: int) -> SliceLoad:
    """The loads of slice `k` of all samples."""
    return SliceLoad(*torch.from_numpy(np.asarray(arrays["load"][:, k])).unbind(1))


def _picture(state: PictureState) -> Pictures:
    return state.picture.numpy().astype(np.float32)


def recipe(about: str, network: Callable[[], nn.Module], schedule: Schedule) -> Recipe:
    """The recipe of a load-aware network."""

    def drawn_from(seed: int) -> nn.Module:
        with seeded(seed):
            return network()

    return Recipe(about, drawn_from, examples, loss, schedule, held_out_scores, needs=NEEDS)


SCHEDULE = Schedule(epochs=50, batch=64, lr=3e-3, patience=50, cosine=True, clip=1.0)
SPIKING = recipe("A spiking stepper of crack pictures that knows the load of the coming slice.",
                 SpikingCell, SCHEDULE)  # fmt: skip  # one call
ARTIFICIAL = recipe("Its artificial twin: convolutions and an LSTM of equal size and inputs.",
                    ArtificialCell, SCHEDULE)  # fmt: skip  # one call
