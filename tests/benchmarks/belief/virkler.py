"""Remaining life by particles on measured curves, each specimen judged by the others' scatter.

    python -m tests.benchmarks.belief.virkler [FILE] [--reading-sd 0.5] [--every 12500] [--seeds 3]

Protocol: of each specimen a tabulated law and its scatter are fitted to all others (`twin fit
growth`). The specimen is loaded by blocks, inspected every so many cycles (its length at that
time, off by a normal error of the reading that is stated), and asked for its remaining life after
shares of its life, with what inspections came before. Beside it the same without any inspection,
and a point: the median life of all, less the cycles so far.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from models.crack.growth_cells import Array, GrowthCurve, crossed_cells
from models.crack.growth_fit import GrowthFit
from models.crack.growth_scores import common_end, ranked_probability_score
from models.crack.growth_shape import ConstantLoad, TableShape
from models.crack.growth_tables import best_table, extended
from models.crack.load import CrackLoad, blocks, inspection_load, spectrum_load
from models.crack.stepper import CrackStepper
from models.crack.uncertain import Scatter, UncertainCrackStepper
from models.crack.uncertain_ahead import remaining
from models.crack.uncertain_state import UncertainCrack
from models.fatigue.geometry import CentreCrack
from models.fatigue.retardation import NoRetardation
from models.fatigue.tables import TableLaw, table_law
from twin.learning.growth_readings import specimens

SHARED = Path(__file__).parents[4] / "shared/data/virkler/virkler_shared_odd34.csv"
SHARES = (0.1, 0.2, 0.3, 0.5, 0.7)
RANGE, RATIO, WIDTH = 48.28e6, 0.2, 0.1524  # [Pa], [1], [m]
LEAST_SD = 5e-5  # [m] what is stated of readings without an error
EXPONENT = 3.0  # of growth beyond what was measured


class Case(NamedTuple):
    """One specimen, and the stepper that the others make."""

    curve: GrowthCurve
    stepper: UncertainCrackStepper
    life: float  # cycles


class Answer(NamedTuple):
    """What was said of one life, in cycles."""

    lives: Array  # (p,) equally likely
    true: float


def prepared(curves: Sequence[GrowthCurve], left_out: int, particles: int) -> Case:
    """The stepper of the specimens that are not left out."""
    load = ConstantLoad(CentreCrack(WIDTH), RANGE, RATIO)
    others = [curve for i, curve in enumerate(curves) if i != left_out]
    fit, curve, end = best_table(crossed_cells(others), load), curves[left_out], common_end(curves)
    begin = float(curve.a[0])
    exact = CrackStepper(law(fit), CentreCrack(WIDTH), NoRetardation(), begin, end)
    s = fit.growth.scatter
    scatter = Scatter(1e-3, s.growth_sd, s.local_sd, s.local_length, 1e-3, LEAST_SD)
    life = float(curve.cycles_at(np.array([end]))[0] - curve.cycles[0])
    return Case(curve, UncertainCrackStepper(exact, scatter, particles), life)


def law(fit: GrowthFit) -> TableLaw:
    """The fitted table, as a law of ours."""
    shape = fit.growth.shape
    assert isinstance(shape, TableShape)
    ranges, growth = extended(shape.ln_dK, fit.growth.constants.tolist(), EXPONENT)
    return table_law([RATIO], growth, [[x] for x in ranges])


def cycled(count: float, t: int) -> CrackLoad:
    """So many cycles of the test."""
    mean = RANGE / (1.0 - RATIO) - 0.5 * RANGE
    return spectrum_load(torch.tensor([t]), blocks([[(RANGE, mean, count)]]))


def asked(case: Case, every: float, sd: float, seed: int) -> dict[float, Answer]:
    """The answers after shares of the life; inspected every so many cycles, ∞: never."""
    draw, key = np.random.default_rng(seed), torch.tensor([seed])
    state, done, t, answers = case.stepper.init(1, key), 0.0, 1, dict[float, Answer]()
    for share in SHARES:
        now = share * case.life
        while (following := (math.floor(done / every + 1e-9) + 1) * every) < now:
            state = case.stepper.step(state, cycled(following - done, t))
            curve = case.curve
            length = float(np.interp(following + curve.cycles[0], curve.cycles, curve.a))
            reading = torch.tensor([length + sd * draw.normal()]).double()
            stated = torch.tensor([max(sd, LEAST_SD)])
            seen = inspection_load(torch.tensor([t]), reading, stated)
            state = case.stepper.step(state, seen._replace(epoch=torch.tensor([t])))
            done, t = following, t + 1
        there = case.stepper.step(state, cycled(now - done, t))
        answers[share] = Answer(drawn(there), case.life - now)
    return answers


def drawn(state: UncertainCrack) -> Array:
    """The lives of the particles, rising."""
    return np.sort(remaining(state)[0].numpy())


def told(answers: Sequence[Answer]) -> str:
    """Median error of the median, coverage of 50, 80, 90 %, CRPS, and width of 90 %."""
    true = np.array([answer.true for answer in answers])
    at = np.array([np.quantile(a.lives, (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)) for a in answers])
    inside = [np.mean((true >= at[:, i]) & (true <= at[:, -1 - i])) for i in (2, 1, 0)]
    score = np.mean([ranked_probability_score(answer.lives, answer.true) for answer in answers])
    error = np.median(np.abs(at[:, 3] / true - 1.0))
    width = np.median((at[:, -1] - at[:, 0]) / at[:, 3])
    covered = "/".join(f"{100 * x:.0f}" for x in inside)
    return f"{100 * error:5.1f} %  {covered:>9} %  {score:8.0f}  {100 * width:4.0f} %"


def _point(median: float, share: float, answer: Answer) -> Answer:
    """What is left of the median life after as many cycles."""
    done = answer.true * share / (1.0 - share)
    return Answer(np.full(2, max(median - done, 0.0)), answer.true)


def main() -> None:
    """Print a table for each way to be inspected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", default=SHARED)
    parser.add_argument("--reading-sd", type=float, nargs="*", default=[0.0, 0.5, 1.0], help="mm")
    parser.add_argument("--every", type=float, default=12_500.0, help="cycles")
    parser.add_argument("--particles", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=3)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    curves = [one.curve for one in specimens(wanted.file)]
    cases = [prepared(curves, i, wanted.particles) for i in range(len(curves))]
    median = float(np.median([case.life for case in cases]))
    print(f"{len(cases)} specimens, {wanted.particles} particles, median life {median:,.0f} cycles")
    ways = [("not inspected", math.inf, 0.0)]
    ways += [(f"readings ± {sd} mm", wanted.every, sd * 1e-3) for sd in wanted.reading_sd]
    for name, every, sd in ways:
        found = defaultdict[float, list[Answer]](list)
        for seed in range(wanted.seeds):
            for i, case in enumerate(cases):
                for share, answer in asked(case, every, sd, 1000 * seed + i).items():
                    found[share].append(answer)
        print(f"{name}\n   life   error   50/80/90      CRPS   width   error of a point, CRPS")
        for share, answers in found.items():
            point = [_point(median, share, answer) for answer in answers]
            off = np.median([abs(p.lives[0] / p.true - 1.0) for p in point])
            score = np.mean([abs(p.lives[0] - p.true) for p in point])
            print(f"   {share:.0%}  {told(answers)}   {100 * off:.1f} %, {score:.0f}", flush=True)


if __name__ == "__main__":
    main()
