"""How the stress-intensity operator is trained and judged.

It learns from every tip of the library and of further cracks that wander more, by the error of
K relative to its size, for unit tension and unit shear apart. Its bound is set on tips of
validation: in each band of α the factor on the members' spread that holds 95 % of the errors of
|K|, under the loads that the tips met, the library's cracks and the others counting alike.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from models.intensity.features import ALPHA, described
from models.intensity.operator import BANDS, CrackOperator, apart, band, growth, mean_of
from models.intensity.random_paths import FARTHEST, PLATE, wanderer
from models.recipe import Arrays, Recipe, Scores
from models.training import Examples, Schedule, seeded
from models.xfem.grid import Floats, Ints

WANDERERS, OF_SEED = 700, 7  # further cracks, always the same
VALIDATION = 0.1  # share of the samples, and of the further cracks
CROSS = 0.04  # share of the other load in the size that errors are relative to
OUTLYING = 0.03  # relative error
COVERED = 0.95
TIPS = 2048  # described at a time


class TipExamples(NamedTuple):
    """Tips of cracks; axis 0 is the tip."""

    seen: Tensor  # (n, features and checks) float64
    y: Tensor  # (n, 4) K / √W / growth, by load and mode: tension I, II, shear I, II
    load: Tensor  # (n, 2) tension and shear that the tip met, of any unit
    library: Tensor  # (n,) bool, of the library
    sample: Tensor  # (n,) the crack that it is a tip of


def library_tips(arrays: Arrays) -> TipExamples:
    """Every tip of a library."""
    path, k = arrays["path"], arrays["k_unit"]
    load, ends = arrays["load"], arrays["frame_node"]
    sample, node = np.nonzero(np.isfinite(k).all((2, 3)))
    into = (ends[sample, 1:] <= node[:, None]).sum(1).clip(max=load.shape[1] - 1)
    return tips_of(path, k, load[sample, into], (sample, node))


def wandering_tips(first: int, count: int, seed: int = OF_SEED) -> TipExamples:
    """Every tip of `count` wanderers from `first` on."""
    drawn = [wanderer(seed, first + k) for k in range(count)]
    most = max((len(one.path) for one in drawn), default=2)
    path, k = np.zeros((count, most, 2)), np.full((count, most, 2, 2), np.nan)
    ratio = np.zeros((count, most))
    for i, one in enumerate(drawn):
        n = len(one.path)
        path[i, :n], k[i, :n], ratio[i, :n] = one
    sample, node = np.nonzero(np.isfinite(k).all((2, 3)))
    load = np.stack([np.ones(len(sample)), ratio[sample, node]], axis=1)
    tips = tips_of(path, k, load, (sample, node))
    return tips._replace(library=torch.zeros_like(tips.library))


def tips_of(path: Floats, k: Floats, load: Floats, at: tuple[Ints, Ints]) -> TipExamples:
    """The tips that lie `at` (sample, node) on `path` (s, m, 2) [m], in the plate of the library.

    `k` (s, m, 2, 2) are their intensities for unit loads [√m], `load` (n, 2) what they met.
    """
    sample, node = at
    parts = []
    for rows in np.array_split(np.arange(len(sample)), 1 + len(sample) // TIPS):
        seen = described(
            torch.from_numpy(path[sample[rows]]),
            torch.from_numpy(node[rows] + 1),
            torch.full((len(rows),), PLATE.width, dtype=torch.float64),
        )
        parts.append(torch.cat(seen, 1))
    seen_all = torch.cat(parts)
    y = torch.from_numpy(k[sample, node].reshape(-1, 4)) / PLATE.width**0.5
    return TipExamples(
        seen_all,
        y / growth(seen_all[:, ALPHA])[:, None],
        torch.from_numpy(load),
        torch.ones(len(sample), dtype=torch.bool),
        torch.from_numpy(sample),
    )


def chosen(tips: TipExamples, keep: Tensor) -> TipExamples:
    """Some of the tips."""
    return TipExamples(*(leaf[keep] for leaf in tips))


def network(seed: int) -> CrackOperator:
    """New, its first weights drawn from `seed`."""
    with seeded(seed):
        return CrackOperator()


@cache
def _wanderers(count: int) -> TipExamples:
    return wandering_tips(0, count)


def examples(arrays: Arrays, seed: int, wanderers: int = WANDERERS) -> tuple[Examples, Examples]:
    """Tips to learn from and to validate by, cracks apart; some minutes of XFEM."""
    parts = [library_tips(arrays)] + ([_wanderers(wanderers)] if wanderers else [])
    learned, held = [], []
    for k, tips in enumerate(parts):
        tips = chosen(tips, tips.seen[:, ALPHA] <= FARTHEST)
        count = int(tips.sample.max()) + 1
        generator = torch.Generator().manual_seed(2 * seed + k)
        away = torch.randperm(count, generator=generator)[: max(1, round(VALIDATION * count))]
        out = torch.isin(tips.sample, away)
        learned.append(chosen(tips, ~out))
        held.append(chosen(tips, out))
    return _joined(learned), _joined(held)


def _joined(parts: list[TipExamples]) -> TipExamples:
    return TipExamples(*(torch.cat(leaves) for leaves in zip(*parts, strict=True)))


def loss(operator: nn.Module, batch: Examples) -> Tensor:
    """The mean of the members' errors, relative to K under either load.

    Squared where small, by size beyond `OUTLYING`: the few tips that no member gets right should
    neither steer the training nor choose its best epoch.
    """
    y = batch[1]
    square = y * y
    tension, shear = square[:, :2].sum(1), square[:, 2:].sum(1)
    size = torch.stack((tension + CROSS * shear, shear + CROSS * tension), 1)
    off = (operator(batch[0]) - y.float()).square().unflatten(2, (2, 2)).sum(3)
    error = torch.sqrt(1.0 + off / size.float() / OUTLYING**2) - 1.0
    total: Tensor = OUTLYING**2 * error.sum(2).mean()
    return total


class Errors(NamedTuple):
    """Errors of the ensemble under the loads of the tips; all (n,)."""

    K: Tensor  # of |K|, relative
    K_I: Tensor  # relative to |K|
    K_II: Tensor  # relative to |K|
    spread: Tensor  # of the members


@torch.no_grad()
def errors(operator: nn.Module, tips: TipExamples) -> Errors:
    """What the operator gets wrong."""
    members = operator.eval()(tips.seen).double()
    mean = mean_of(members)
    found = (tips.load[:, :, None] * mean.view(-1, 2, 2)).sum(1)
    true = (tips.load[:, :, None] * tips.y.view(-1, 2, 2)).sum(1)
    size = true.norm(dim=1)
    off = (found - true).abs() / size[:, None]
    K = (found.norm(dim=1) - size).abs() / size
    return Errors(K, off[:, 0], off[:, 1], apart(members, mean))


def settled(operator: nn.Module, validation: Examples) -> None:
    """Set the bound, band by band of α, as if a crack were as often of the one kind as the other.

    The kinds are the library's cracks and the wanderers, which are met less well.
    """
    assert isinstance(operator, CrackOperator)
    tips = TipExamples(*validation)
    off, at = errors(operator, tips), band(tips.seen[:, ALPHA])
    operator.floor.copy_(off.K[tips.library].median())
    score = off.K / (off.spread + operator.floor)
    for k in range(BANDS):
        kept = at == k
        if kept.any():
            operator.factor[k] = _quantile(score[kept], _evened(tips.library[kept]))


def _evened(of_library: Tensor) -> Tensor:
    """Weights (n,) by which both kinds count alike, however many of each there are."""
    share = of_library.double().mean().clamp(min=1e-9, max=1.0 - 1e-9)
    return torch.where(of_library, 0.5 / share, 0.5 / (1.0 - share))


def _quantile(score: Tensor, weight: Tensor) -> Tensor:
    """The least score below which, with itself, lies `COVERED` of the weight."""
    order = score.argsort()
    total = weight[order].cumsum(0)
    at = torch.searchsorted(total, COVERED * total[-1]).clamp(max=len(score) - 1)
    return score[order][at]


def held_out_scores(operator: nn.Module, arrays: Arrays) -> Scores:
    """Errors on samples that were held out, those tips that the operator answers for."""
    assert isinstance(operator, CrackOperator)
    tips = library_tips(arrays)
    off = errors(operator, tips)
    bound = operator.bound(tips.seen[:, ALPHA], off.spread)
    kept = operator.inside(tips.seen)
    return {
        "tips": float(len(kept)),
        "inside": float(kept.double().mean()),
        "error_median": float(off.K[kept].median()),
        "error_99": float(torch.quantile(off.K[kept], 0.99)),
        "covered": float((bound >= off.K)[kept].double().mean()),
    }


CRACK_K = Recipe(
    about="Stress intensities of a polyline edge crack for unit loads, five networks in one.",
    network=network,
    examples=examples,
    loss=loss,
    schedule=Schedule(epochs=250, batch=256, lr=3e-3, patience=250, cosine=True),
    scores=held_out_scores,
    settled=settled,
    needs={f"plate.{key}": getattr(PLATE, key) for key in ("width", "height", "closure")},
)
