"""What the stress-intensity operator is worth: errors, bound, fallback, speed, edge.

    python -m tests.benchmarks.intensity.operator --library crack.zarr [--also OTHER ...]

Held out are the library's last 108 samples, none of whose tips was learned from, and cracks that
wander, drawn from another seed. Beside the operator: the handbook formula of a straight crack as
long as the tip's x, and the nearest of the tips learned from.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.fatigue.geometry import EdgeCrack
from models.fatigue.mixed_mode import kink
from models.intensity.features import ALPHA, EVEN, ODD
from models.intensity.operator import (
    SCALE_EVEN,
    SCALE_ODD,
    WIDEST,
    CrackOperator,
    Deployed,
    apart,
    growth,
    intensity,
    mean_of,
)
from models.intensity.random_paths import FARTHEST, PLATE
from models.intensity.recipe import (
    OUTLYING,
    TipExamples,
    chosen,
    library_tips,
    tips_of,
    wandering_tips,
)
from models.intensity.recipe import network as fresh
from models.recipe import Arrays
from models.training import parameters
from models.xfem.crack import PolylineCrack
from storage.artifacts import weights
from tests.benchmarks.intensity.far import sharper
from tests.benchmarks.report import Figure, at_least, at_most, least_seconds, middle, table
from twin import networks
from twin.learning.library_fields import Library

HELD_OUT = 108
OWN, SEED = 60, 12  # wanderers that are held out
MOVED = 1e-6  # [m]
BATCHES, REPEATS, SOLVES = (1_000, 10_000), 15, 40
CASES = ((0.0, 0.12), (0.12, 0.3), (0.3, 0.6), (0.6, 0.8), (0.8, 0.9), (0.9, FARTHEST))


def learned_operator(path: Path) -> CrackOperator:
    """The operator with weights from a file."""
    operator = fresh(0)
    operator.load_state_dict(networks.tensors(weights.load(path).leaves))
    return operator.eval()


def under_load(y: Tensor, tips: TipExamples) -> Tensor:
    """K_I and K_II (n, 2) of `y` (n, 4) under the tips' loads, without a unit."""
    return (tips.load[:, :, None] * y.view(-1, 2, 2)).sum(1)


def off(y: Tensor, tips: TipExamples) -> tuple[Tensor, Tensor]:
    """Errors of |K| (n,), and of K_I and K_II (n, 2) relative to |K|."""
    found, true = under_load(y, tips), under_load(tips.y, tips)
    size = true.norm(dim=1)
    return (found.norm(dim=1) - size).abs() / size, (found - true).abs() / size[:, None]


def turned(y: Tensor, tips: TipExamples) -> Tensor:
    """Errors (k,) of the kink's angle [degree], where the crack is open."""
    found, true = under_load(y, tips), under_load(tips.y, tips)
    got, want = kink(found[:, 0], found[:, 1]), kink(true[:, 0], true[:, 1])
    return torch.rad2deg((got.angle - want.angle).abs())[want.opened & got.opened]


def handbook(tips: TipExamples) -> Tensor:
    """A straight crack as long as the tip's x, as `TipExamples.y`."""
    alpha = tips.seen[:, ALPHA]
    crack, root = EdgeCrack(1.0), torch.sqrt(math.pi * alpha) / growth(alpha)
    zero = torch.zeros_like(alpha)
    return torch.stack((crack.F(alpha) * root, zero, zero, crack.F_II(alpha) * root), 1)


def nearest(tips: TipExamples, known: TipExamples) -> Tensor:
    """The intensities of the nearest tip that was learned from, as `TipExamples.y`."""
    scale = torch.tensor(SCALE_EVEN + SCALE_ODD).double()
    space = [(part.seen[:, : EVEN + ODD] / scale).float() for part in (tips, known)]
    found = torch.cat(
        [torch.cdist(rows, space[1]).argmin(1) for rows in torch.split(space[0], 512)]
    )
    return known.y[found]


@torch.no_grad()
def answered(operator: CrackOperator, tips: TipExamples) -> tuple[Tensor, Tensor, Tensor]:
    """What the ensemble says (n, 4), its bound (n,), and whether it is trusted (n,)."""
    members = operator(tips.seen).double()
    mean = mean_of(members)
    bound = operator.bound(tips.seen[:, ALPHA], apart(members, mean))
    return mean, bound, operator.inside(tips.seen) & (bound <= WIDEST)


def percent(values: Tensor, share: float) -> float:
    """A quantile in percent."""
    return 100.0 * float(torch.quantile(values, share))


def of_errors(name: str, operator: CrackOperator, tips: TipExamples) -> list[Figure]:
    """The figures that are asked for."""
    y, bound, trusted = answered(operator, tips)
    size, modes = off(y, tips)
    kept, angle = size[trusted], turned(y[trusted], chosen(tips, trusted))
    covered = 100.0 * float((size <= bound)[trusted].double().mean())
    away = 100.0 * float((~trusted).double().mean())
    low, met = f"93–97 % ({len(kept):,} tips)", 93.0 <= covered <= 97.0
    return [
        _figure(name, "size of K, median", percent(kept, 0.5), 0.5),
        _figure(name, "size of K, 99th percentile", percent(kept, 0.99), 3.0),
        Figure(name, "inside the bound of 95 %", covered, "%", target=low, met=met),
        Figure(name, "half width of the bound, median", percent(bound[trusted], 0.5), "%"),
        Figure(name, "false alarms: not trusted", away, "%", f"{len(size):,} tips"),
        Figure(name, "size of K, 99th percentile, trusted or not", percent(size, 0.99), "%"),
        Figure(name, "size of K, the worst that is trusted", percent(kept, 1.0), "%"),
        Figure(name, "K_I against size of K, median", percent(modes[trusted, 0], 0.5), "%"),
        Figure(
            name, "K_I against size of K, 99th percentile", percent(modes[trusted, 0], 0.99), "%"
        ),
        Figure(name, "K_II against size of K, median", percent(modes[trusted, 1], 0.5), "%"),
        Figure(
            name, "K_II against size of K, 99th percentile", percent(modes[trusted, 1], 0.99), "%"
        ),
        Figure(name, "angle of the kink, median", float(angle.median()), "°"),
        Figure(name, "angle of the kink, 99th percentile", float(angle.quantile(0.99)), "°"),
    ]


def _figure(item: str, what: str, found: float, most: float) -> Figure:
    target, met = at_most(most, found)
    return Figure(item, what, found, "%", target=target + " %", met=met)


def of_places(operator: CrackOperator, tips: TipExamples) -> list[Figure]:
    """Where the errors sit, by a/W."""
    y, _, trusted = answered(operator, tips)
    size, alpha = off(y, tips)[0], tips.seen[:, ALPHA]
    found = []
    for low, high in CASES:
        part = size[(alpha >= low) & (alpha < high) & trusted]
        text = f"99th percentile {percent(part, 0.99):.2f} %, {len(part):,} tips"
        what = f"size of K, median, a/W {low:g} to {high:g}"
        found.append(Figure("where", what, percent(part, 0.5), "%", text))
    return found


def of_outliers(operator: CrackOperator, arrays: Arrays) -> list[Figure]:
    """The tips that are missed by far, and what XFEM says when their crack is moved by 1 µm."""
    tips = library_tips(arrays)
    y, _, trusted = answered(operator, tips)
    size = off(y, tips)[0]
    far = (trusted & (size > OUTLYING)).nonzero().flatten()
    k = arrays["k_unit"]
    sample, node = (part[far.numpy()] for part in np.nonzero(np.isfinite(k).all((2, 3))))
    again = k.copy()
    for s, n in zip(sample, node, strict=True):
        again[s, n] = PLATE.K(PolylineCrack(arrays["path"][s, : n + 1] + [0.0, MOVED]))[0]
    missed = chosen(tips, far)
    path = np.nan_to_num(arrays["path"])
    moved = tips_of(path, again, missed.load.numpy(), (sample, node))
    count, still = len(far), off(y[far], moved)[0]
    what = f"trusted, missed by more than {100 * OUTLYING:g} %"
    text = f"of {len(set(sample.tolist()))} samples"
    if not count:
        return [Figure("outliers", what, 0.0, "tips")]
    return [
        Figure("outliers", what, float(count), "tips", text),
        Figure("outliers", "the same, crack moved by 1 µm", percent(still, 1.0), "%", "the worst"),
    ]


def of_yardsticks(tips: TipExamples, known: TipExamples) -> list[Figure]:
    """The same errors by what needs no training."""
    found = []
    for name, y in (("handbook", handbook(tips)), ("nearest tip", nearest(tips, known))):
        size = off(y, tips)[0]
        text = f"99th percentile {percent(size, 0.99):.1f} %"
        found.append(Figure(name, "size of K, median", percent(size, 0.5), "%", text))
        found.append(
            Figure(name, "angle of the kink, median", float(turned(y, tips).median()), "°")
        )
    return found


def of_fallback(operator: CrackOperator, name: str, tips: TipExamples) -> list[Figure]:
    """How much of what lies outside is seen to, and how much by the members alone."""
    y, bound, trusted = answered(operator, tips)
    away = 100.0 * float((~trusted).double().mean())
    alone = 100.0 * float((bound > WIDEST).double().mean())
    target, met = at_least(95.0, away)
    text = f"{len(trusted):,} tips; by the members alone {alone:.0f} %"
    error = f"size of K there, median; 99th percentile {percent(off(y, tips)[0], 0.99):.1f} %"
    return [
        Figure(name, "goes to XFEM", away, "%", text, target=target + " %", met=met),
        Figure(name, error, percent(off(y, tips)[0], 0.5), "%"),
    ]


def rows(arrays: Arrays, count: int) -> tuple[Tensor, Tensor, Tensor, list[PolylineCrack]]:
    """Tips of the library as the operator is asked for them, and the first as XFEM is."""
    k = arrays["k_unit"]
    sample, node = np.nonzero(np.isfinite(k).all((2, 3)))
    pick = np.random.Generator(np.random.PCG64(0)).integers(0, len(sample), count)
    sample, node = sample[pick], node[pick]
    path = arrays["path"][sample, : int(arrays["nodes"].max())]
    cracks = [PolylineCrack(path[i, : node[i] + 1]) for i in range(SOLVES)]
    width = torch.full((count,), PLATE.width, dtype=torch.float64)
    return torch.from_numpy(path), torch.from_numpy(node + 1), width, cracks


def of_speed(operator: CrackOperator, arrays: Arrays) -> list[Figure]:
    """A batch of the operator against single solves of XFEM, on one thread."""
    path, nodes, width, cracks = rows(arrays, max(BATCHES))
    solve = middle([least_seconds(partial(PLATE.K, crack), 2) for crack in cracks])
    found = []
    for count in BATCHES:
        call = partial(intensity, operator, path[:count], nodes[:count], width[:count])
        per_row = least_seconds(call, REPEATS) / count
        target, met = at_least(1000.0, solve / per_row)
        text = f"a solve {1e3 * solve:.2f} ms"
        what = f"a row of {count:,}, CPU"
        found.append(Figure("speed", what, 1e6 * per_row, "µs", text, solve / per_row, target, met))
    return found


def of_edge(operator: CrackOperator, arrays: Arrays) -> list[Figure]:
    """The exported program: equal, and how long 1,000 components take."""
    path, nodes, width, _ = rows(arrays, 1_000)
    deployed = Deployed(operator)
    many = torch.export.Dim("rows", min=2)
    given = (path, nodes, width)
    shapes = ({0: many}, {0: many}, {0: many})
    with torch.no_grad():
        small = tuple(leaf[:7].clone() for leaf in given)
        program = torch.export.export(deployed, small, dynamic_shapes=shapes).module()
        got, want = program(*given), intensity(operator, *given)
        gap = float((got[0] - want.k_unit).norm(dim=(1, 2)).div(want.k_unit.norm(dim=(1, 2))).max())
        taken = least_seconds(partial(program, *given), REPEATS)
    target, met = at_most(1e-5, gap)
    size = sum(leaf.numel() * leaf.element_size() for leaf in operator.state_dict().values())
    return [
        Figure("edge", "largest relative gap to the kernel", gap, "", target=target, met=met),
        Figure("edge", "1,000 components, CPU", 1e3 * taken, "ms"),
        Figure("edge", "learned numbers", float(parameters(operator)), "", f"{size:,} bytes"),
    ]


def figures(library: Path, files: Sequence[Path]) -> list[Figure]:
    """Everything; `files` are further weights, whose errors alone are told."""
    learned, held = Library(library).parts(HELD_OUT)
    operator = learned_operator(networks.DEFAULTS / "crack-k.safetensors")
    tips, own = library_tips(held), wandering_tips(0, OWN, SEED)
    longer, known = tips.seen[:, ALPHA] > FARTHEST, library_tips(learned)
    held_out = chosen(tips, ~longer)
    found = of_errors("held out", operator, held_out)
    for k, path in enumerate(files):
        found += of_errors(f"held out, also {k + 1}", learned_operator(path), held_out)[:5]
    found += of_outliers(operator, held)
    found += of_places(operator, held_out) + of_yardsticks(held_out, known)
    found += of_errors("wanderers", operator, own)
    found += of_fallback(operator, "longer", chosen(tips, longer))
    found += of_fallback(operator, "sharper", sharper())
    return found + of_speed(operator, held) + of_edge(operator, held)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--also", type=Path, nargs="*", default=[])
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    print(table(figures(given.library, given.also)))


if __name__ == "__main__":
    main()
