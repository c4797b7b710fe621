"""What the stress-intensity operator sees of an edge crack: numbers without a unit.

The plate is W × 2W, the mouth on its left face. The path is looked at from the tip, at distances
along it that are fixed fractions of its length, denser towards the tip: how far the chord to the
point there has come along the tip's direction, and how far aside, per distance. Numbers of nodes
and lengths of segments do not enter. Mirroring the plate up side down leaves the EVEN
features as they are and turns the sign of the ODD ones, to the bit; so does no other operation
but + − × ÷ √, whose results IEEE 754 fixes to the bit.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

FRACTIONS = (1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.125, 0.09, 0.0625, 0.045, 0.03, 0.02)
EVEN = 3 + len(FRACTIONS)  # x of the tip [W], length per x of the tip, cos of the tip, along
ODD = 3 + len(FRACTIONS)  # y of the tip and of the mouth [W], sin of the tip, aside
CHECKS = 3  # shortest segment [W], cosine of the sharpest turn, x of the mouth [W]
ALPHA = 0  # the column of the tip's x [W]


class TipFeatures(NamedTuple):
    """Cracks in numbers; float64, NaN for rows that are no crack."""

    features: Tensor  # (n, EVEN + ODD) [1]
    checks: Tensor  # (n, CHECKS) [1]


def described(path: Tensor, nodes: Tensor, width: Tensor) -> TipFeatures:
    """`path` (n, m, 2) [m], mouth first, of which `nodes` (n,) count; `width` (n,) [m]."""
    last = nodes.clamp(2, path.shape[1]) - 1
    index = torch.minimum(torch.arange(path.shape[1], device=path.device), last[:, None])
    whole = path.double().gather(1, index[:, :, None].expand(-1, -1, 2))
    p = whole / width.double()[:, None, None]
    d = p.diff(dim=1)
    length = d.square().sum(2).sqrt()
    real = index[:, 1:] > index[:, :-1]
    tip = p.gather(1, last[:, None, None].expand(-1, 1, 2))[:, 0]
    final = (last - 1)[:, None]
    ahead = d.gather(1, final[:, :, None].expand(-1, 1, 2))[:, 0] / length.gather(1, final)
    along, aside = _chords(d, length, real, ahead)
    total = torch.where(real, length, 0.0).sum(1)
    even = torch.stack((tip[:, 0], total / tip[:, 0], ahead[:, 0]), 1)
    odd = torch.stack((tip[:, 1], p[:, 0, 1], ahead[:, 1]), 1)
    checks = torch.stack((_shortest(length, real), _sharpest(d, length, real), p[:, 0, 0]), 1)
    known = ((nodes >= 2) & (nodes <= path.shape[1]))[:, None]
    features = torch.cat((even, along, odd, aside), 1)
    return TipFeatures(
        torch.where(known, features, torch.nan), torch.where(known, checks, torch.nan)
    )


def _chords(d: Tensor, length: Tensor, real: Tensor, ahead: Tensor) -> tuple[Tensor, Tensor]:
    """From the tip back by each fraction of the length: along and aside (n, J), per distance."""
    lengths = torch.where(real, length, 0.0)
    behind = lengths.sum(1, keepdim=True) - lengths.cumsum(1)  # from a segment's end to the tip
    s = lengths.sum(1, keepdim=True) * lengths.new_tensor(FRACTIONS)
    safe = torch.where(real, length, 1.0)[:, :, None]
    part = ((s[:, None] - behind[:, :, None]) / safe).clamp(0.0, 1.0) * real[:, :, None]
    x, y = torch.einsum("nmj,nmc->cnj", part, d)
    along = (x * ahead[:, :1] + y * ahead[:, 1:]) / s
    return along, (x * ahead[:, 1:] - y * ahead[:, :1]) / s


def _shortest(length: Tensor, real: Tensor) -> Tensor:
    return torch.where(real, length, torch.inf).amin(1)


def _sharpest(d: Tensor, length: Tensor, real: Tensor) -> Tensor:
    """The cosine (n,) of the sharpest turn at a node."""
    if d.shape[1] < 2:
        return torch.ones_like(d[:, 0, 0])
    turn = (d[:, 1:] * d[:, :-1]).sum(2) / (length[:, 1:] * length[:, :-1])
    return torch.where(real[:, 1:], turn, 1.0).amin(1)
