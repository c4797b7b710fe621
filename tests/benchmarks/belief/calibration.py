"""Are beliefs honest? Truths are drawn from what is registered, and beliefs judged by them.

    python -m tests.benchmarks.belief.calibration [--parts 1000] [--reading-sd 0.01 0.2 1.0]

Simulation-based calibration (Talts, Betancourt, Simpson, Vehtari and Gelman 2018): initial lengths,
growth factors and the factor of every cell are drawn as the registration says. Cracks are grown by
a sum over ln a, without any code of ours; retarded ones by exact steppers of their own, with growth
factors that stay alone. They are inspected with normal errors; length, growth factor and remaining
life are looked for among the particles. Told are the coverage of the central 50, 80 and 90 %, and
the probability of ranks that are no more even (chi-square, 10 bins) if beliefs are honest.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from models.crack.follow import CELL
from models.crack.load import CrackLoad, blocks, inspection_load, spectrum_load
from models.crack.stepper import CrackStepper
from models.crack.uncertain import Scatter, UncertainCrackStepper
from models.crack.uncertain_ahead import remaining
from models.fatigue.geometry import CentreCrack
from models.fatigue.laws import WalkerLaw, scaled, si_coefficient
from models.fatigue.retardation import ZONES, NoRetardation, Wheeler

Floats = NDArray[np.float64]

COEFFICIENT, EXPONENT, GAMMA = si_coefficient(1.42e-11, 3.59), 3.59, 0.68
WIDTH, BEGIN, LIMIT = 0.1524, 0.009, 0.0498  # [m]
RANGE, RATIO = 48e6, 0.2  # [Pa], [1]
MESSAGE, MESSAGES, EVERY = 2_500.0, 60, 4  # cycles of a message; messages; and between inspections
INSTANTS = (20, 40, 60)  # messages after which beliefs are judged
GRID = 5e-4  # of ln a, of the sum
BINS = 10
WALKER = WalkerLaw(COEFFICIENT, EXPONENT, GAMMA)
SCATTER = Scatter(0.03, 0.2, 0.15, 0.1, 0.0)
OVERLOADS = Wheeler(1.5, 365e6, ZONES["plane_stress"])

Drawn = tuple[Floats, Floats]  # ln of the initial lengths, and of the growth factors
# Lengths (n,) [m] after so many messages, and the cycles (n,) of whole lives where they are known
Courses = tuple[Callable[[int], Floats], Floats | None]


def speed(a: Floats) -> Floats:
    """Growth of a crack of factor 1 [m/cycle], written down once more."""
    x = math.pi * a / WIDTH
    square = (2.0 * a / WIDTH) ** 2
    shape = (1.0 - 0.025 * square + 0.06 * square**2) / np.sqrt(np.cos(x))
    dK = RANGE * np.sqrt(math.pi * a) * shape / (1.0 - RATIO) ** (1.0 - GAMMA)
    return np.asarray(COEFFICIENT * dK**EXPONENT)


def drawn(parts: int, draw: np.random.Generator) -> Drawn:
    """Parts as the registration says."""
    x = math.log(BEGIN) + float(SCATTER.length_sd) * draw.normal(size=parts)
    return x, float(SCATTER.growth_sd) * draw.normal(size=parts)


def straight(truth: Drawn, draw: np.random.Generator) -> Courses:
    """Cracks by a sum over ln a."""
    x, growth = truth
    first = math.floor(x.min() / CELL)
    grid = np.arange(CELL * first, math.log(LIMIT) + 2.0 * GRID, GRID)
    middle = grid[:-1] + 0.5 * GRID
    cell = np.floor(middle / CELL).astype(int) - first
    stays = math.exp(-CELL / float(SCATTER.local_length))
    local = draw.normal(size=(len(x), cell.max() + 1))
    for k in range(1, local.shape[1]):
        local[:, k] = stays * local[:, k - 1] + math.sqrt(1.0 - stays**2) * local[:, k]
    factor = np.exp(growth[:, None] + float(SCATTER.local_sd) * local[:, cell])
    taken = GRID * np.exp(middle) / speed(np.exp(middle)) / factor
    total = np.concatenate((np.zeros((len(x), 1)), np.cumsum(taken, 1)), 1)
    begin = [np.interp(one, grid, row) for one, row in zip(x, total, strict=True)]
    total -= np.array(begin)[:, None]

    def after(messages: int) -> Floats:
        return np.exp([np.interp(messages * MESSAGE, row, grid) for row in total])

    return after, np.array([np.interp(math.log(LIMIT), grid, row) for row in total])


def cycles(*, is_retarded: bool) -> CrackLoad:
    """The load of a message."""
    usual = (RANGE, RANGE / (1.0 - RATIO) - 0.5 * RANGE, MESSAGE)
    rows = [(1.8 * RANGE, 1.8 * usual[1], 1.0), usual] if is_retarded else [usual]
    return spectrum_load(torch.tensor([1]), blocks([rows]))


def for_all(load: CrackLoad, parts: int) -> CrackLoad:
    """The same load for each of the parts."""
    rows = list(zip(*(leaf.tolist() for leaf in load.blocks[:3]), strict=True))
    return spectrum_load(torch.ones(parts, dtype=torch.int64), blocks([rows] * parts))


def retarded(truth: Drawn) -> Courses:
    """Cracks by exact steppers of their own; lives would need forecasts with overloads."""
    x, growth = (torch.from_numpy(leaf)[:, None] for leaf in truth)
    exact = stepper(OVERLOADS).exact
    own = replace(exact, a_0=torch.exp(x), law=scaled(WALKER, torch.exp(growth)))
    load = for_all(cycles(is_retarded=True), len(x))
    state, lengths = own.init(len(x)), list[Floats]()
    for _ in range(MESSAGES):
        state = own.step(state, load)
        lengths.append(state.length[:, 0].numpy())
    return lambda messages: lengths[messages - 1], None


def stepper(retardation: NoRetardation | Wheeler, particles: int = 128) -> UncertainCrackStepper:
    """What a registration makes."""
    exact = CrackStepper(WALKER, CentreCrack(WIDTH), retardation, BEGIN, LIMIT)
    local_sd = 0.0 if isinstance(retardation, Wheeler) else SCATTER.local_sd
    return UncertainCrackStepper(exact, replace(SCATTER, local_sd=local_sd), particles)


def ranks(particles: Tensor, true: Floats, draw: np.random.Generator) -> Floats:
    """Where truths (n,) are among particles (n, p), within 0 … 1; even if beliefs are honest."""
    below = (particles.numpy() < true[:, None]).sum(1)
    return np.asarray((below + draw.random(len(true))) / (particles.shape[1] + 1))


def covered(found: Floats, width: float) -> float:
    """The share of ranks within the central interval of a width."""
    return float((np.abs(found - 0.5) <= 0.5 * width).mean())


def told(found: Floats) -> str:
    """Coverage of the central intervals [%], and the probability of ranks no more even."""
    shares = "/".join(f"{100 * covered(found, width):.1f}" for width in (0.5, 0.8, 0.9))
    counts = np.histogram(found, BINS, (0.0, 1.0))[0]
    return f"{shares:>15} {found.mean():5.2f}  {stats.chisquare(counts).pvalue:7.1e}"


class Judged(NamedTuple):
    """Ranks of one quantity at one instant."""

    message: int
    name: str
    ranks: Floats  # of the parts that have not reached their limit
    share: float  # of those of all


def judged(
    parts: int, sd: float, *, is_retarded: bool, particles: int = 128, seed: int = 1
) -> Iterator[Judged]:
    """The calibration of one way to be inspected; `sd` [m] of a reading, ∞: never."""
    draw = np.random.default_rng(seed)
    truth = drawn(parts, draw)
    after, ends = retarded(truth) if is_retarded else straight(truth, draw)
    own = stepper(OVERLOADS if is_retarded else NoRetardation(), particles)
    state = own.init(parts, torch.arange(parts) + 1_000_003 * seed)
    load = for_all(cycles(is_retarded=is_retarded), parts)
    for k in range(1, MESSAGES + 1):
        state, length = own.step(state, load), after(k)
        if k % EVERY == 0 and sd < math.inf:
            state = own.step(state, seen(length, sd, k, draw))
        if k in INSTANTS:
            p, on = state.particles, length < 0.999 * LIMIT
            found = {"length": (p.a, length), "growth": (p.growth, truth[1])}
            if ends is not None:
                found["life"] = remaining(state), ends - k * MESSAGE
            for name, (values, true) in found.items():
                yield Judged(k, name, ranks(values[on], true[on], draw), float(on.mean()))


def seen(length: Floats, sd: float, k: int, draw: np.random.Generator) -> CrackLoad:
    """Readings of all parts after message `k`."""
    n = len(length)
    value = torch.from_numpy(np.maximum(length + sd * draw.normal(size=n), 1e-4))
    times = torch.full((n,), 10 + k)
    found = inspection_load(times, value, torch.full((n,), sd, dtype=torch.float64))
    return found._replace(epoch=times)


def main() -> None:
    """Print the calibration of straight and of retarded cracks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", type=int, default=1000)
    parser.add_argument("--particles", type=int, default=128)
    parser.add_argument("--reading-sd", type=float, nargs="*", default=[0.01, 0.2, 1.0], help="mm")
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    for is_retarded in (False, True):
        for sd in (math.inf, *(1e-3 * each for each in wanted.reading_sd)):
            name = "retarded" if is_retarded else "straight"
            way = "not inspected" if sd == math.inf else f"readings ± {1e3 * sd:g} mm"
            print(f"{name}, {way}\n   message         50/80/90 %   mean  p        judged")
            how = {"particles": wanted.particles, "seed": wanted.seed, "is_retarded": is_retarded}
            for one in judged(wanted.parts, sd, **how):
                share = f"{100 * one.share:5.1f} %"
                print(f"   {one.message:4} {one.name:8} {told(one.ranks)}  {share}", flush=True)


if __name__ == "__main__":
    main()
