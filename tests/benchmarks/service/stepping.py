"""(e): ten thousand components in one step, against loops over the same law."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from models import tree
from models.crack.growth import lanes
from models.crack.load import CrackLoad, blocks, spectrum_load
from models.crack.state import CrackState
from models.crack.stepper import CrackStepper
from models.fatigue.geometry import EdgeCrack
from models.fatigue.integration import advanced
from models.fatigue.laws import ParisLaw
from models.fatigue.retardation import NoRetardation
from tests.benchmarks.report import Figure, at_least, middle
from tests.benchmarks.service.ingest import Size
from twin.serving import prepare

C, M, W = 9.7e-30, 3.0, 0.02
LAW, GEOMETRY, LIMIT = ParisLaw(C=C, m=M), EdgeCrack(W=W), torch.tensor([0.95 * W])
SAMPLE = 500  # components that a loop is timed over

Cycles = list[list[float]]  # of range, mean [Pa], count
GENTLE: Cycles = [[50e6, 90e6, 1.0], [40e6, 95e6, 1.0], [20e6, 80e6, 5.0]]  # one evaluation does
HARD: Cycles = [[180e6, 110e6, 1.0], [60e6, 95e6, 10.0], [30e6, 80e6, 20.0]]  # takes strides


def started(n: int, cycles: Cycles) -> tuple[CrackStepper, CrackState, CrackLoad]:
    """A stepper, the state of `n` cracks of as many lengths, and one message for each."""
    a_0 = torch.linspace(0.001, 0.002, n, dtype=torch.float64)
    stepper = CrackStepper(
        law=LAW, geometry=GEOMETRY, retardation=NoRetardation(), a_0=a_0, a_limit=0.01
    )
    load = spectrum_load(torch.ones(n).long(), blocks([cycles] * n))
    return stepper, stepper.init(n), load


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The median time of a piece of work."""
    took = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return middle(took)


def looped(a_0: list[float], cycles: Cycles) -> list[float]:
    """The growth of each crack [m], one at a time, law and geometry evaluated once."""
    found = []
    for a in a_0:
        length = torch.tensor([a], dtype=torch.float64)
        root = GEOMETRY.F(length) * torch.sqrt(math.pi * length)
        growth = torch.zeros(1, dtype=torch.float64)
        for extent, mean, count in cycles:
            R = (mean - extent / 2) / (mean + extent / 2)
            growth = growth + count * LAW(extent * root, R)
        found.append(float(growth))
    return found


def strode(alone: list[tuple[CrackState, CrackLoad]]) -> list[Tensor]:
    """The growth of each crack (1,) [m], one at a time, integrated as the step does it."""
    return [
        advanced(state.a[:, 0], lanes(state, load.blocks), LIMIT).growth for state, load in alone
    ]


def in_floats(a_0: list[float], cycles: Cycles) -> list[float]:
    """What `looped` gives, without tensors."""
    found = []
    for a in a_0:
        half = 0.5 * math.pi * a / W
        shape = 0.752 + 2.02 * a / W + 0.37 * (1.0 - math.sin(half)) ** 3
        F = math.sqrt(math.tan(half) / half) * shape / math.cos(half)
        root = F * math.sqrt(math.pi * a)
        found.append(sum(count * C * (extent * root) ** M for extent, _, count in cycles))
    return found


def stepping(n: int, size: Size) -> Iterator[Figure]:
    """(e), all of it in this process."""
    prepare()
    some = torch.arange(0, n, max(1, n // SAMPLE))
    yield from _gentle(n, some, size.repeats)
    yield from _hard(n, some, size.repeats)


def _gentle(n: int, some: Tensor, repeats: int) -> Iterator[Figure]:
    stepper, state, load = started(n, GENTLE)
    lengths, share = state.a[some, 0].tolist(), n / len(some)
    growth = (stepper.step(state, load).a - state.a)[some, 0].tolist()
    for loop in (looped, in_floats):
        wrong = [abs(x / y - 1.0) for x, y in zip(loop(lengths, GENTLE), growth, strict=True)]
        assert max(wrong) < 1e-5, loop  # the difference of two lengths holds ten digits less
    together = seconds(lambda: stepper.step(state, load), 5 * repeats)
    what = f"one step of {n:,} components, little growth"
    took = seconds(lambda: looped(lengths, GENTLE), repeats) * share
    yield _figure(what, together, "law and geometry called for one at a time", took, wanted=True)
    took = seconds(lambda: in_floats(lengths, GENTLE), repeats) * share
    yield _figure(what, together, "the formula in plain floats, for one at a time", took)


def _hard(n: int, some: Tensor, repeats: int) -> Iterator[Figure]:
    stepper, state, load = started(n, HARD)
    share, single = n / len(some), spectrum_load(torch.ones(1).long(), blocks([HARD]))
    alone = [(tree.rows(state, some[i : i + 1]), single) for i in range(len(some))]
    after = stepper.step(state, load)
    each = torch.cat([stepper.step(s, one).a for s, one in alone])
    assert torch.equal(after.a[some], each)
    together = seconds(lambda: stepper.step(state, load), 5 * repeats)
    what = f"one step of {n:,} components, growth in strides"
    took = seconds(lambda: strode(alone), repeats) * share
    name = "law, geometry and the same integration for one at a time"
    yield _figure(what, together, name, took, wanted=True)
    lengths = state.a[some, 0].tolist()  # less work than the step does, and less exact
    took = seconds(lambda: looped(lengths, HARD), repeats) * share
    yield _figure(what, together, "law and geometry called once for one at a time", took)
    took = seconds(lambda: [stepper.step(s, one) for s, one in alone], repeats) * share
    yield _figure(what, together, "the whole step for one at a time", took)


def _figure(
    what: str, together: float, yardstick: str, took: float, *, wanted: bool = False
) -> Figure:
    ratio = took / together
    target = at_least(200.0, ratio) if wanted else ("stated", None)
    return Figure(
        "e", what, together * 1e3, "ms", f"{yardstick}: {took * 1e3:,.0f} ms", ratio, *target
    )
