"""Between pictures of a crack and its tip: where the tip is, a crop around it, a line drawn on.

Pictures (n, rows, columns) hold 1 where the crack is, else 0, row 0 at the top; lengths are in
plate widths, y from the mouth of the crack upwards. All of it has fixed shapes: it can be exported.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from models.crack_frames.tip_networks import CROP
from models.crack_frames.window import INK_THRESHOLD, PictureWindow

WIDTH = 10e-3  # of the plate that the library's pictures show [m]
WINDOW = PictureWindow()
PIXEL = WINDOW.pixel / WIDTH
TOP = WINDOW.top / WIDTH
SUBSTEPS = 64  # samples of the line per piece
LONGEST = 128  # pixels that the line of a slice passes


class Sight(NamedTuple):
    """What can be read from pictures without learning."""

    column: Tensor  # (n,) int64, the last one that shows the crack; 0 where none does
    row: Tensor  # (n,) int64, the middle of the crack in it
    mouth: Tensor  # (n,) int64, the row in the first column that shows the crack
    shown: Tensor  # (n,) bool, whether there is a crack at all


def sighted(pictures: Tensor) -> Sight:
    """The tip and the mouth of the crack in each picture."""
    ink = pictures > INK_THRESHOLD
    columns = ink.any(1).to(torch.int64)
    across = torch.arange(ink.shape[2], device=ink.device)
    last, first = (columns * across).argmax(1), columns.argmax(1)
    return Sight(last, _middle(ink, last), _middle(ink, first), columns.any(1))


def _middle(ink: Tensor, column: Tensor) -> Tensor:
    """The mean row, rounded up, of the ink in a column of each picture."""
    index = column[:, None, None].expand(-1, ink.shape[1], 1)
    line = ink.gather(2, index)[:, :, 0].to(torch.int64)
    total = (line * torch.arange(ink.shape[1], device=ink.device)).sum(1)
    return (total + line.sum(1).clamp(min=1) // 2) // line.sum(1).clamp(min=1)


def cropped(pictures: Tensor, sight: Sight, flip: Tensor) -> Tensor:
    """The surroundings (n, *CROP) of the tip, upside down where `flip` (n,)."""
    high, wide = CROP[0] // 2, CROP[1]
    rows, columns = torch.arange(-high, high + 1), torch.arange(1 - wide, 1)
    down = torch.where(flip, -1, 1)[:, None] * rows + sight.row[:, None] + high
    right = sight.column[:, None] + columns + wide - 1
    padded = pad(pictures, (wide - 1, 0, high, high))
    lines = padded.gather(1, down[:, :, None].expand(-1, -1, padded.shape[2]))
    return lines.gather(2, right[:, None, :].expand(-1, CROP[0], -1))


def centre(sight: Sight, mouth: Tensor) -> Tensor:
    """The middle (n, 2) of the tip's pixel; `mouth` (n,) is y of the mouth in the window."""
    x = (sight.column.to(mouth.dtype) + 0.5) * PIXEL
    return torch.stack([x, TOP - (sight.row.to(mouth.dtype) + 0.5) * PIXEL - mouth], 1)


def drawn(pictures: Tensor, nodes: Tensor, mouth: Tensor) -> Tensor:
    """Pictures with the lines through `nodes` (n, k, 2) added, one pixel wide.

    As the library draws, but where a line turns back within a pixel: sampled finely, and without
    the inner pixel of each right angle. Nodes are at most a piece of a slice apart. What
    lies outside the window is left out.
    """
    pixels, count = _chain(nodes + torch.stack([torch.zeros_like(mouth), mouth], 1)[:, None])
    place = torch.arange(pixels.shape[1], device=nodes.device)
    high, wide = pictures.shape[1:]
    row, column = pixels.unbind(2)
    shown = (place < count[:, None]) & _kept(pixels, count)
    shown &= (row >= 0) & (row < high) & (column >= 0) & (column < wide)
    flat = torch.where(shown, row * wide + column, high * wide)
    ink = torch.zeros(pictures.shape[0], high * wide + 1, dtype=pictures.dtype, device=nodes.device)
    ink = ink.scatter(1, flat, 1.0)[:, :-1]
    return torch.maximum(pictures, ink.view(-1, high, wide))


def _chain(nodes: Tensor) -> tuple[Tensor, Tensor]:
    """The pixels (n, LONGEST, 2), as row and column, that lines pass, and how many (n,)."""
    part = torch.arange(SUBSTEPS, dtype=nodes.dtype, device=nodes.device) / SUBSTEPS
    between = nodes[:, :-1, None] + part[:, None] * (nodes[:, 1:] - nodes[:, :-1])[:, :, None]
    line = torch.cat([between.flatten(1, 2), nodes[:, -1:]], 1)
    cells = torch.stack([TOP - line[:, :, 1], line[:, :, 0]], 2) / PIXEL
    pixels = torch.floor(cells + 1e-7).to(torch.int64)
    new = (pixels[:, 1:] != pixels[:, :-1]).any(2)
    place = pad(new.to(torch.int64), (1, 0)).cumsum(1).clamp(max=LONGEST - 1)
    out = torch.zeros(nodes.shape[0], LONGEST, 2, dtype=torch.int64, device=nodes.device)
    return out.scatter(1, place[:, :, None].expand(-1, -1, 2), pixels), place[:, -1] + 1


def _kept(pixels: Tensor, count: Tensor) -> Tensor:
    """Which pixels (n, k) of chains stay: of right angles in a row, every second goes."""
    near = (pixels[:, 2:] - pixels[:, :-2]).abs().amax(2) <= 1
    place = torch.arange(pixels.shape[1], device=pixels.device)
    corner = pad(near, (1, 1)) & (place < count[:, None] - 1)
    before = torch.where(corner, 0, place).cummax(1).values
    return ~(corner & ((place - before) % 2 == 1))
