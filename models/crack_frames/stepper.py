"""Steppers of a crack's picture that know the load of the coming slice.

    state = stepper.seen(pictures)         # or stepper.init(n): the library's first picture
    state = stepper.step(state, SliceLoad(tension, shear))
    state.picture                          # (n, rows, columns), 1 where the crack is

    nodes = rollout(stepper, path, load, slices, width=10e-3)

`rollout` is the same in vector form: from `path` (n, m, 2) [m] (mouth first, growing to +x, NaN
beyond the last node), `load` with leaves (n,) or (n, slices) [Pa], and `width` float or (n,) [m] to
the nodes (n, 8 slices + 1, 2) [m] of the way ahead, the tip first. A slice is 9/70 of the width,
as in the library; it ends at the far edge, and nodes beyond repeat the last.

The way through a slice is drawn in eight pieces. A network (`models/crack_frames/tip_networks.py`)
says the slope of the next piece from what turns a crack: the direction φ = ½ atan(2τ/σ) across
which the plate pulls the most, the length and the height of the tip in plate widths, and the
slope of the last piece; all in the mirror image in which τ ≥ 0. Its answer is its next input. A
tip that was read from a picture, by the network's eye, is one to a fraction of a pixel.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from models.crack_frames.pixels import PIXEL, TOP, WINDOW, centre, cropped, drawn, sighted
from models.crack_frames.tip_networks import (
    ArtificialCell,
    CellState,
    CrackCell,
    SpikingCell,
    forgotten,
)
from models.tree import mapped

__all__ = [
    "PictureFront",
    "PictureState",
    "PictureStepper",
    "SliceLoad",
    "rollout",
    "stepper_of",
]

PIECES = 8  # of a slice
FIRST_LENGTH = 0.1  # of the first crack [plate width]
SLICE = 0.9 / 7.0  # width of a slice [plate width]
PIECE = SLICE / PIECES
STEEPEST_SLOPE = 3.7320508  # slope of a piece, tan 75°
NETWORKS = {"crack-spiking": SpikingCell, "crack-artificial": ArtificialCell}


class SliceLoad(NamedTuple):
    """The load of the coming slice."""

    tension: Tensor  # (n,) σ [Pa]; at zero or less the crack is closed and stays
    shear: Tensor  # (n,) τ [Pa]; positive turns a crack downwards


class PictureFront(NamedTuple):
    """Where cracks are going; lengths in plate widths, y from the mouth upwards."""

    x: Tensor  # (n,) of the tip
    y: Tensor  # (n,)
    slope: Tensor  # (n,) dy/dx of the last piece [1]
    memory: CellState  # (n, width) membranes, or an LSTM's


class PictureState(NamedTuple):
    """Cracks as pictures, with what the network knows beyond the pixels."""

    picture: Tensor  # (n, rows, columns) 1 where the crack is, else 0
    mouth: Tensor  # (n,) y of the mouth in the library's window [plate width]
    front: PictureFront


@dataclass(frozen=True)
class PictureStepper:
    """A network as a stepper, one slice a step."""

    network: CrackCell

    def init(self, n: int) -> PictureState:
        """`n` straight cracks of a tenth of the width, at mid-height, as the library begins."""
        zeros = torch.zeros(n, dtype=torch.float64)
        tip = torch.full((n, 1, 2), FIRST_LENGTH, dtype=torch.float64)
        tip[:, :, 1] = 0.0
        blank = torch.zeros(n, WINDOW.rows, WINDOW.columns, dtype=torch.float64)
        picture = drawn(blank, torch.cat([torch.zeros_like(tip), tip], 1), zeros)
        front = PictureFront(tip[:, 0, 0], zeros.clone(), zeros.clone(), forgotten(self.network, n))
        return PictureState(picture, zeros, front)

    @torch.no_grad()
    def seen(self, pictures: Tensor) -> PictureState:
        """The state of cracks of which there is a picture (n, rows, columns).

        A tip within a pixel of the edge of a slice is taken to be there, since the library's
        pictures are. ValueError for pictures of another size, or without a crack.
        Raises ValueError for pictures of another size, or without a crack.
        """
        if pictures.shape[1:] != (WINDOW.rows, WINDOW.columns):
            raise ValueError(f"pictures of {tuple(pictures.shape[1:])} are not of the library")
        ink = pictures.to(torch.float64)
        if not sighted(ink).shown.all():
            raise ValueError("a picture shows no crack")
        mouth, front = looked(self.network, ink)
        return PictureState(ink, mouth, front)

    @torch.no_grad()
    def step(self, state: PictureState, load: SliceLoad) -> PictureState:
        """The cracks after the coming slice; ValueError for a load that is not finite."""
        checked(load)
        nodes, front = through(self.network, state.front, load)
        return PictureState(drawn(state.picture, nodes, state.mouth), state.mouth, front)


def stepper_of(name: str, weights: Mapping[str, Tensor]) -> PictureStepper:
    """The stepper `crack-spiking` or `crack-artificial` with these weights."""
    network = NETWORKS[name]()
    network.load_state_dict(weights)
    return PictureStepper(settled(network))


def settled(network: torch.nn.Module) -> CrackCell:
    """A copy of a network that is ready to step, in double precision.

    The size of a batch decides how a sum is rounded, which could push a membrane over its
    threshold: in single precision more easily.
    """
    return deepcopy(network).double().eval().requires_grad_(False)  # type: ignore[return-value]  # either


def checked(load: SliceLoad) -> None:
    """ValueError for a load that is not finite."""
    if not all(bool(torch.isfinite(leaf).all()) for leaf in load):
        raise ValueError("the load of the coming slice is not finite")


def looked(network: CrackCell, pictures: Tensor) -> tuple[Tensor, PictureFront]:
    """The mouths (n,) in the window and the fronts that pictures show."""
    sight = sighted(pictures)
    flip = sight.row < sight.mouth
    offset, slope = read(network, cropped(pictures, sight, flip), flip)
    mouth = TOP - (sight.mouth.to(slope.dtype) + 0.5) * PIXEL
    x, y = centre(sight, mouth).unbind(1)
    edge = FIRST_LENGTH + SLICE * torch.round((x - FIRST_LENGTH) / SLICE)
    at = torch.where((edge - x).abs() < PIXEL, edge, x)
    front = PictureFront(at, y + offset * PIXEL + slope * (at - x), slope,
                         forgotten(network, len(x), slope.dtype))  # fmt: skip  # one call
    return mouth, front


def read(network: CrackCell, crop: Tensor, flip: Tensor) -> tuple[Tensor, Tensor]:
    """Offset of the tip from the middle of its pixel [pixel] and slope, both (n,) upwards."""
    answer = torch.where(flip, -1.0, 1.0).to(crop.dtype)[:, None] * network.read(crop)
    return answer[:, 0], answer[:, 1].clamp(-STEEPEST_SLOPE, STEEPEST_SLOPE)


def through(
    network: CrackCell, front: PictureFront, load: SliceLoad
) -> tuple[Tensor, PictureFront]:
    """The nodes (n, PIECES + 1, 2) through a slice, the tip first, and the front behind it.

    A crack that is closed, or through, stays where it is and remembers what it did.
    """
    nodes = [torch.stack([front.x, front.y], 1)]
    pull = angle(load).to(front.x.dtype)
    for _ in range(PIECES):
        going = (load.tension > 0.0) & (front.x < 1.0)
        front = _where(going, advanced(network, front, pull), front)
        nodes.append(torch.stack([front.x, front.y], 1))
    return torch.stack(nodes, 1), front


def _where(chosen: Tensor, new: PictureFront, old: PictureFront) -> PictureFront:
    """The rows of `new` where `chosen` (n,), else those of `old`."""

    def leaf(a: Tensor, b: Tensor) -> Tensor:
        return torch.where(chosen if a.ndim == 1 else chosen[:, None], a, b)

    return mapped(leaf, new, old)


def angle(load: SliceLoad) -> Tensor:
    """φ (n,) [rad] by which the direction of the greatest tension leaves the y axis."""
    return 0.5 * torch.atan2(2.0 * load.shear, load.tension)


def advanced(network: CrackCell, front: PictureFront, pull: Tensor) -> PictureFront:
    """The front one piece on, or at the far edge, under a load of angle `pull` (n,)."""
    side = torch.where(pull < 0.0, -1.0, 1.0).to(pull.dtype)
    seen = torch.stack([2.0 * side * pull - 0.9, 2.0 * front.x - 1.0,
                        4.0 * side * front.y + 0.5, side * front.slope + 0.5], 1)  # fmt: skip
    slope, memory = network.piece(seen, front.memory)
    slope = side * slope.clamp(-STEEPEST_SLOPE, STEEPEST_SLOPE)
    way = (1.0 - front.x).clamp(max=PIECE)
    return PictureFront(front.x + way, front.y + way * slope, slope, memory)


@torch.no_grad()
def rollout(
    stepper: PictureStepper,
    path: Tensor,
    load: SliceLoad,
    slices: int,
    *,
    width: float | Tensor = 10e-3,
) -> Tensor:
    """Nodes (n, PIECES slices + 1, 2) [m] of the way ahead of cracks, the tip first.

    Raises ValueError for a load that is not finite, or a path of fewer than two nodes.
    """
    checked(load)
    n = len(path)
    W = torch.as_tensor(width, dtype=torch.float64).expand(n)
    held = SliceLoad(*(leaf.reshape(n, -1).expand(n, slices) for leaf in load))
    front, mouth = ahead(stepper.network, path / W[:, None, None])
    nodes = [torch.stack([front.x, front.y], 1)[:, None]]
    for k in range(slices):
        way, front = through(stepper.network, front, SliceLoad(*(leaf[:, k] for leaf in held)))
        nodes.append(way[:, 1:])
    out = torch.cat(nodes, 1)
    return torch.stack([out[..., 0], out[..., 1] + mouth[:, None]], 2) * W[:, None, None]


def ahead(network: CrackCell, path: Tensor) -> tuple[PictureFront, Tensor]:
    """The front of paths (n, m, 2) in plate widths, and y (n,) of their mouths.

    Raises ValueError for paths of fewer than two nodes.
    """
    there = torch.isfinite(path).all(2)
    if not (there.sum(1) >= 2).all():
        raise ValueError("a path needs at least two nodes")
    each, last = torch.arange(len(path)), there.sum(1) - 1
    tip, mouth = path[each, last], path[:, 0, 1]
    back = tip[:, 0] - PIECE
    before = (there & (path[:, :, 0] <= back[:, None])).sum(1).clamp(min=1) - 1
    a, b = path[each, before], path[each, before + 1]
    part = ((back - a[:, 0]) / (b[:, 0] - a[:, 0])).clamp(0.0, 1.0)[:, None]
    gap = tip - (a + part * (b - a))
    slope = (gap[:, 1] / gap[:, 0]).clamp(-STEEPEST_SLOPE, STEEPEST_SLOPE)
    return PictureFront(tip[:, 0], tip[:, 1] - mouth, slope, forgotten(network, len(path))), mouth
