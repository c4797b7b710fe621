"""Stress intensities of a kinked edge crack by a small network that has learned from XFEM.

The plate is W × 2W, loaded by tension and shear as under the closure `uniform`; the crack opens
on its left face. With α = x/W of the tip,

    K(unit load) = √W · √(πα) (1 − α)^−1.5 · network(features),

so that what is learned stays finite where the ligament vanishes. Turning the plate up side down
turns K_II of tension and K_I of shear and leaves the other two: these are odd and even functions
of the features, here to the bit, as sums of odd features times even coefficients. Several
networks are one module; how far they lie apart, set right on cracks that they had not learned
from, bounds the error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.intensity.features import ALPHA, CHECKS, EVEN, ODD, described
from models.intensity.kernel import OperatorWeights, evaluated

NAME = "crack-k"
MEMBERS, MIXTURES, HIDDEN = 5, 16, 32
WIDEST = 0.03  # a bound beyond this means that the members disagree
SHEAR = 0.25  # weight of the unit shear in how far members lie apart; of unit tension: 1
BANDS = 10  # of α, each with a factor of its own
RANGE_MARGIN = 1e-3  # by which a crack may lie outside of what was learned from
# mean and spread of the features over library and wanderers, to two digits: of no consequence
# but for the training
CENTRE = (0.53, 1.1, 0.91, 0.93, 0.95, 0.97, 0.98, 0.99, 0.99, 0.993, 0.996, 0.997, 0.998, 1.0, 1.0)
SCALE_EVEN = (
    0.25, 0.08, 0.12, 0.07, 0.07, 0.06, 0.04, 0.035, 0.03, 0.02, 0.015, 0.01, 0.007, 0.004, 0.003,
)  # fmt: skip  # a table
SCALE_ODD = (
    0.21, 0.07, 0.39, 0.24, 0.22, 0.19, 0.15, 0.12, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01, 0.004,
)  # fmt: skip  # a table


class Intensity(NamedTuple):
    """Stress intensities of n cracks; NaN, and not trusted, for rows that are no crack."""

    k_unit: Tensor  # (n, 2, 2) by load (tension, shear) and mode (I, II), for unit stress [√m]
    bound: Tensor  # (n,) relative half width of the 95 % bound on |K| [1]
    trusted: Tensor  # (n,) bool: inside the domain and the members agree


class CrackOperator(nn.Module):
    """Some networks with stacked weights, what they have seen, and how their spread is read."""

    low: Tensor
    high: Tensor
    factor: Tensor
    floor: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.mix = _drawn(MEMBERS, ODD, MIXTURES)
        self.w1 = _drawn(MEMBERS, EVEN + MIXTURES, HIDDEN)
        self.b1 = nn.Parameter(0.1 * torch.randn(MEMBERS, 1, HIDDEN))
        self.w2 = _drawn(MEMBERS, HIDDEN, HIDDEN)
        self.b2 = nn.Parameter(torch.zeros(MEMBERS, 1, HIDDEN))
        self.w3 = _drawn(MEMBERS, HIDDEN, 2 + 2 * ODD, share=0.1)
        self.b3 = nn.Parameter(torch.zeros(MEMBERS, 1, 2 + 2 * ODD))
        self.register_buffer("low", torch.full((EVEN + ODD + CHECKS,), torch.inf).double())
        self.register_buffer("high", torch.full((EVEN + ODD + CHECKS,), -torch.inf).double())
        self.register_buffer("factor", torch.ones(BANDS).double())
        self.register_buffer("floor", torch.tensor(0.0).double())

    def forward(self, seen: Tensor) -> Tensor:
        """Without a unit, (members, n, 4); `seen` (n, features and checks), kept in training."""
        if self.training:
            self._remember(seen)
        features = seen[:, : EVEN + ODD]
        centre, scale = features.new_tensor(CENTRE), features.new_tensor(SCALE_EVEN + SCALE_ODD)
        even = ((features[:, :EVEN] - centre) / scale[:EVEN]).float()
        odd = (features[:, EVEN:] / scale[EVEN:]).float()
        mixed = torch.matmul(odd, self.mix)
        z = torch.cat((even.expand(len(mixed), *even.shape), 0.5 * (mixed * mixed)), 2)
        h = _bent(torch.baddbmm(self.b1, z, self.w1))
        h = _bent(torch.baddbmm(self.b2, h, self.w2))
        y = torch.baddbmm(self.b3, h, self.w3)
        turned = (y[..., 2 : 2 + ODD] * odd).sum(2)
        opened = (y[..., 2 + ODD :] * odd).sum(2)
        return torch.stack((y[..., 0], turned, opened, y[..., 1]), 2)

    @torch.no_grad()
    def _remember(self, seen: Tensor) -> None:
        size = _sized(seen)
        self.low.copy_(torch.minimum(self.low, size.amin(0)))
        self.high.copy_(torch.maximum(self.high, size.amax(0)))

    def bound(self, alpha: Tensor, spread: Tensor) -> Tensor:
        """The relative half width (n,) of the 95 % bound on |K| where members lie `spread` apart.

        Members err alike where all of them miss the same, so the floor and a factor of each
        band of α are added to what they know of themselves.
        """
        return self.factor[band(alpha)] * (spread + self.floor)

    def inside(self, seen: Tensor) -> Tensor:
        """Which rows (n,) lie within what was learned from."""
        size, slack = _sized(seen), RANGE_MARGIN * (self.high - self.low)
        return ((size >= self.low - slack) & (size <= self.high + slack)).all(1)


def _drawn(*shape: int, share: float = 1.0) -> nn.Parameter:
    return nn.Parameter(share * torch.randn(*shape) / math.sqrt(shape[-2]))


def _bent(x: Tensor) -> Tensor:
    """½ (x + √(x² + 1))."""
    return 0.5 * (x + torch.sqrt(x * x + 1.0))


def _sized(seen: Tensor) -> Tensor:
    """The odd features without their sign: the domain is symmetric."""
    odd = seen[:, EVEN : EVEN + ODD].abs()
    return torch.cat((seen[:, :EVEN], odd, seen[:, EVEN + ODD :]), 1)


def band(alpha: Tensor) -> Tensor:
    """In which tenth of the width (n,) the tip lies."""
    return (alpha.nan_to_num() * BANDS).long().clamp(0, BANDS - 1)


def growth(alpha: Tensor) -> Tensor:
    """K / √W grows like this with α."""
    left = 1.0 - alpha
    return torch.sqrt(math.pi * alpha) / (left * torch.sqrt(left))


def apart(members: Tensor, mean: Tensor) -> Tensor:
    """How far the members (m, n, 4) lie from their mean (n, 4), relative to it (n,)."""
    load = (1.0, 1.0, SHEAR, SHEAR)
    size = _weighed(mean, load)
    off = members - mean
    total = _weighed(off[0], load)
    for one in off[1:]:
        total = total + _weighed(one, load)
    return torch.sqrt(total / len(members) / size)


def _weighed(x: Tensor, load: tuple[float, ...]) -> Tensor:
    """Σ load x² (n,), added in one order whatever n is."""
    total = load[0] * (x[:, 0] * x[:, 0])
    for c in range(1, 4):
        total = total + load[c] * (x[:, c] * x[:, c])
    return total


def mean_of(members: Tensor) -> Tensor:
    """The mean (n, 4) of the members (m, n, 4), added in one order whatever n is."""
    total = members[0]
    for one in members[1:]:
        total = total + one
    return total / len(members)


def _judged(operator: CrackOperator, seen: Tensor, members: Tensor, width: Tensor) -> Intensity:
    members = members.double()
    mean = mean_of(members)
    bound = operator.bound(seen[:, ALPHA], apart(members, mean))
    k = mean * (growth(seen[:, ALPHA]) * torch.sqrt(width.double()))[:, None]
    trusted = operator.inside(seen) & (bound <= WIDEST)
    return Intensity(k.view(-1, 2, 2), bound, trusted)


class Deployed(nn.Module):
    """The whole operator in torch alone, to be exported: `intensity` but for the last bits."""

    def __init__(self, operator: CrackOperator) -> None:
        super().__init__()
        self.operator = operator.eval()

    def forward(self, path: Tensor, nodes: Tensor, width: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `intensity`."""
        seen = torch.cat(described(path, nodes, width), 1)
        found = _judged(self.operator, seen, self.operator(seen), width)
        return found.k_unit, found.bound, found.trusted


@torch.no_grad()
def intensity(operator: CrackOperator, path: Tensor, nodes: Tensor, width: Tensor) -> Intensity:
    """The stress intensities of edge cracks under unit loads.

    `path` (n, m, 2) [m] mouth first, rows padded; `nodes` (n,) how many are valid; `width` (n,)
    of the plates [m]. What a row gets does not depend, by a bit, on the others.
    """
    seen, members = evaluated(
        path.double().contiguous().numpy(),
        nodes.long().contiguous().numpy(),
        width.double().contiguous().numpy(),
        numbers(operator),
    )
    each = torch.from_numpy(members).transpose(0, 1)
    return _judged(operator, torch.from_numpy(seen), each, width)


def numbers(operator: CrackOperator) -> OperatorWeights:
    """The weights as the kernel wants them."""
    fixed = (torch.tensor(part).double().numpy() for part in (CENTRE, SCALE_EVEN + SCALE_ODD))
    learned = (operator.mix, operator.w1, operator.b1[:, 0], operator.w2, operator.b2[:, 0],
               operator.w3, operator.b3[:, 0])  # fmt: skip  # in the order of `OperatorWeights`
    return OperatorWeights(*fixed, *(leaf.detach().contiguous().numpy() for leaf in learned))


def operator_of(weights: Mapping[str, Tensor]) -> CrackOperator:
    """The operator with these weights."""
    operator = CrackOperator()
    operator.load_state_dict(weights)
    return operator.eval()
