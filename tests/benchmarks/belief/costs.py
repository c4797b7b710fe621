"""What particles cost: a step, lives and an inspection of many components at once, and memory.

python -m tests.benchmarks.belief.costs
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch

from models import tree
from models.crack.forecast import remaining as life_of_one
from models.crack.load import CrackLoad, blocks, inspection_load, spectrum_load
from models.crack.stepper import CrackStepper
from models.crack.uncertain import Scatter, UncertainCrackStepper
from models.crack.uncertain_ahead import POINTS, remaining
from models.fatigue.geometry import CentreCrack
from models.fatigue.laws import WalkerLaw, si_coefficient
from models.fatigue.retardation import NoRetardation
from tests.benchmarks.report import least_seconds

WALKER = WalkerLaw(si_coefficient(1.42e-11, 3.59), 3.59, 0.68)
EXACT = CrackStepper(WALKER, CentreCrack(0.1524), NoRetardation(), 0.009, 0.0498)
ROWS = ((20e6, 20e6, 20.0), (10e6, 20e6, 100.0))


def best_ms(work: Callable[[], object]) -> float:
    """The shortest of some runs [ms]."""
    return 1e3 * least_seconds(work, 4)


def bytes_of(state: object, n: int) -> int:
    """What one component takes."""
    return sum(leaf.nbytes for _, leaf in tree.leaves(state)) // n


def loads(n: int) -> CrackLoad:
    """A spectrum of each component."""
    rows = [[(30e6 + i % 7 * 1e6, 20e6, 10.0), *ROWS] for i in range(n)]
    return spectrum_load(torch.ones(n, dtype=torch.int64), blocks(rows))


def main() -> None:
    """Print a line for one crack, and for each number of particles."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--components", type=int, default=10_000)
    n = parser.parse_args().components
    torch.set_num_threads(1)
    row, load = torch.arange(n), loads(n)
    print(f"{n:,} components    step [ms]  lives [ms]  inspection [ms]  [byte] a component")
    one = EXACT.init(n)
    after = EXACT.run(one, load, row)[0]
    lives = best_ms(lambda: life_of_one(after, POINTS))
    print(f"one crack     {best_ms(lambda: EXACT.run(one, load, row)):12.0f}{lives:12.0f}", end="")
    print(f"{'':>17}{bytes_of(one, n):20,}")
    for p in (32, 64, 128, 256):
        stepper = UncertainCrackStepper(EXACT, Scatter(0.02, 0.2, 0.15, 0.1, 0.01), p)
        times(stepper, n)


def times(stepper: UncertainCrackStepper, n: int) -> None:
    """Print the line of a number of particles."""
    row, load = torch.arange(n), loads(n)
    state = stepper.init(n, row)
    after = stepper.run(state, load, row)[0]
    sd = torch.full((n,), 1e-4, dtype=torch.float64)
    seen = inspection_load(load.t_ns + 1, after.length[:, 0], sd)
    found = (
        best_ms(lambda: stepper.run(state, load, row)),
        best_ms(lambda: remaining(after)),
        best_ms(lambda: stepper.step(after, seen)),
    )
    step, lives, inspection = found
    print(f"{stepper.particles:4} particles{step:12.0f}{lives:12.0f}{inspection:17.0f}", end="")
    print(f"{bytes_of(state, n):20,}", flush=True)


if __name__ == "__main__":
    main()
