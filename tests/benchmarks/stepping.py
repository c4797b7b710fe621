"""(e): ten thousand components in one step, against loops over the same law."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import torch

from models import tree
from models.crack import CrackLoad, CrackState, CrackStepper, blocks, spectrum_load
from models.geometry import EdgeCrack
from models.laws import ParisLaw
from models.retardation import NoRetardation
from tests.benchmarks.figures import Figure, at_least, middle
from tests.benchmarks.ingest import Size
from twin.serving import prepare

LAW = ParisLaw(C=9.7e-30, m=3.0)
GEOMETRY = EdgeCrack(W=0.02)
CYCLES = [[180e6, 110e6, 1.0], [60e6, 95e6, 10.0], [30e6, 80e6, 20.0]]  # range, mean [Pa], count


def started(n: int) -> tuple[CrackStepper, CrackState, CrackLoad]:
    """A stepper, the state of `n` cracks of as many lengths, and one message for each."""
    a_0 = torch.linspace(0.001, 0.005, n, dtype=torch.float64)
    stepper = CrackStepper(
        law=LAW, geometry=GEOMETRY, a_0=a_0, a_limit=0.01, retardation=NoRetardation()
    )
    load = spectrum_load(torch.ones(n).long(), blocks([CYCLES] * n))
    return stepper, stepper.init(n), load


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The median time of a piece of work."""
    took = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return middle(took)


def looped(a_0: list[float]) -> list[float]:
    """The growth of each crack [m], one at a time by the same law and geometry, in one stride."""
    found = []
    for a in a_0:
        length = torch.tensor([a], dtype=torch.float64)
        growth = torch.zeros(1, dtype=torch.float64)
        root = GEOMETRY.F(length) * torch.sqrt(math.pi * length)
        for extent, mean, count in CYCLES:
            dK = extent * root
            growth = growth + count * LAW(dK, (mean - extent / 2) / (mean + extent / 2))
        found.append(float(growth))
    return found


def in_floats(a_0: list[float], C: float = 9.7e-30, m: float = 3.0, W: float = 0.02) -> list[float]:
    """The same without tensors."""
    found = []
    for a in a_0:
        half = 0.5 * math.pi * a / W
        shape = 0.752 + 2.02 * a / W + 0.37 * (1.0 - math.sin(half)) ** 3
        F = math.sqrt(math.tan(half) / half) * shape / math.cos(half)
        root = F * math.sqrt(math.pi * a)
        found.append(sum(n * C * (extent * root) ** m for extent, _, n in CYCLES))
    return found


def stepping(n: int, size: Size) -> Iterator[Figure]:
    """(e), all of it in this process."""
    prepare()
    stepper, state, load = started(n)
    some = torch.arange(0, n, max(1, n // 500))  # loops are timed over a part of the components
    lengths = state.a[some, 0].tolist()
    alone = [
        (tree.rows(state, some[i : i + 1]), spectrum_load(torch.ones(1).long(), blocks([CYCLES])))
        for i in range(len(some))
    ]
    stepper.step(state, load)
    together = seconds(lambda: stepper.step(state, load), 5 * size.repeats)
    share = n / len(some)
    loops = {
        "law and geometry called for one component at a time": lambda: looped(lengths),
        "the whole step for one component at a time": lambda: [
            stepper.step(s, one) for s, one in alone
        ],
        "the law in plain floats": lambda: in_floats(lengths),
    }
    for i, (what, loop) in enumerate(loops.items()):
        took = seconds(loop, size.repeats) * share
        target = at_least(200.0, took / together) if i == 0 else ("stated", None)
        yield Figure(
            "e",
            f"one step of {n:,} components",
            together * 1e3,
            "ms",
            f"{what}: {took * 1e3:,.0f} ms",
            took / together,
            *target,
        )
