"""Runs of messages: to the bit what they do one by one, and cycle by cycle what is right."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

import models
from models.crack.load import CrackLoad, inspection_load, no_load, series_load, series_of
from models.crack.run import COMPILED, CONSTANTS, _walked
from models.crack.stepper import CrackStepper, warm
from models.crack.uncertain import UncertainCrackStepper
from models.fatigue.geometry import CentreCrack, EdgeCrack, HoleCrack
from models.fatigue.rainflow import Cycles
from models.fatigue.retardation import ZONES, GeneralisedWillenborg, NoRetardation, Retardation
from models.tree import joined, leaves, rows, with_rows
from tests.laws.test_steppers import (
    BETA,
    FORMAN,
    NASGRO,
    NASGRO_4,
    PARIS,
    STEPPERS,
    TABLE,
    WALKER,
    WHEELER,
    WILLENBORG,
)
from tests.models.crack.test_open_residue import OVERLOAD, cycle_by_cycle, length, stepper
from tests.models.crack.test_open_residue import WHEELER as STRONG
from tests.models.crack.test_open_residue import WILLENBORG as ARRESTING
from tests.models.crack.test_open_residue import after_series as after_mpa

ALONE = NoRetardation()
CASES = {
    "paris": CrackStepper(PARIS, EdgeCrack(0.06), ALONE, 0.005, 0.03),
    "paris-judged": CrackStepper(PARIS, EdgeCrack(0.06), ALONE, 0.005, 0.03, K_c=60e6),
    "walker-gate": CrackStepper(WALKER, CentreCrack(0.1), ALONE, 0.005, 0.03, gate=2e7),
    "forman-few-points": CrackStepper(FORMAN, EdgeCrack(0.06), WHEELER, 0.005, 0.03, capacity=4),
    "nasgro-hole": CrackStepper(NASGRO, HoleCrack(0.003, 0.1), WHEELER, 0.005, 0.03),
    "nasgro4": CrackStepper(NASGRO_4, EdgeCrack(0.06), WILLENBORG, 0.005, 0.03, yield_stress=3e8),
    "tables": CrackStepper(TABLE, BETA, WHEELER, 0.005, 0.03, K_c=70e6),
    "particles": CrackStepper(
        replace(WALKER, C=WALKER.C * torch.tensor([[1.0, 1.5, 3.0]], dtype=torch.float64)),
        EdgeCrack(0.06), WHEELER, 0.005, 0.03, K_c=60e6, particles=3,
    ),
}  # fmt: skip
every = pytest.mark.parametrize("by", CASES.values(), ids=CASES.keys())
PARTS, MESSAGES = 3, 40


def messages(seed: int, k: int = MESSAGES) -> tuple[CrackLoad, Tensor]:
    """Series, spectra, both and nothing, gaps among them, for rows that rise."""
    draw = np.random.default_rng(seed)
    kind = draw.integers(0, 4, k)
    many = np.where(kind & 1, draw.integers(1, 12, k), 0)
    some = np.where(kind & 2, draw.integers(1, 5, k), 0)
    samples = torch.from_numpy(draw.normal(5e7, 5e7, many.sum()))
    shear = torch.from_numpy(draw.normal(0.0, 1e7, many.sum()) * (seed % 2))
    span, mean = (torch.from_numpy(draw.uniform(0.0, most, some.sum())) for most in (1e8, 7e7))
    count = torch.from_numpy(draw.choice([0.0, 0.5, 1.0, 30.0, 3e4], some.sum()))
    offset = torch.from_numpy(np.r_[0, np.cumsum(some)])
    load = no_load(k)._replace(
        t_ns=torch.from_numpy(draw.integers(1, 10**6, k)),
        samples=samples,
        companion=shear,
        sample_offset=torch.from_numpy(np.r_[0, np.cumsum(many)]),
        continues=torch.from_numpy(draw.random(k) < 0.9),
        blocks=Cycles(span, mean, count, 0.2 * span, 0.2 * mean, offset),
    )
    return load, torch.from_numpy(np.sort(draw.integers(0, PARTS, k)))


def portion(load: CrackLoad, start: int, end: int) -> CrackLoad:
    """Messages `start` to `end`, as `CrackLoad` holds them."""
    if start == end:
        return no_load(0)
    one = [series_of(load, torch.tensor([i])) for i in range(start, end)]
    cycles = joined([part.blocks._replace(offset=torch.zeros(0)) for part in one])
    ends = [torch.tensor([0, *(len(x) for x in sizes)]).cumsum(0) for sizes in
            ([part.samples for part in one], [part.blocks.range for part in one])]  # fmt: skip
    return no_load(end - start)._replace(
        t_ns=load.t_ns[start:end],
        samples=torch.cat([part.samples for part in one]),
        companion=torch.cat([part.companion for part in one]),
        sample_offset=ends[0],
        continues=load.continues[start:end],
        blocks=cycles._replace(offset=ends[1]),
    )


def require_equal(one: Any, other: Any) -> None:
    for (path, left), (_, right) in zip(leaves(one), leaves(other), strict=True):
        assert torch.equal(left, right), path


def one_by_one(by: Any, load: CrackLoad, row: Tensor) -> tuple[Any, list[Tensor]]:
    state, lengths = by.init(PARTS), []
    for j in range(len(row)):
        index = row[j : j + 1]
        part = by.step(rows(state, index), series_of(load, torch.tensor([j])))
        state = with_rows(state, index, part)
        lengths.append(part.length[0])
    return state, lengths


@every
@pytest.mark.parametrize("seed", range(6))
def test_a_run_has_the_bits_of_its_messages_one_by_one(by: CrackStepper, seed: int) -> None:
    load, row = messages(seed)
    ran, along = by.run(by.init(PARTS), load, row)
    stepped, lengths = one_by_one(by, load, row)
    require_equal(ran, stepped)
    assert torch.equal(along.length, torch.stack(lengths))
    assert (ran.a > 0.005).any()


@every
@pytest.mark.parametrize("seed", [0, 1])
def test_where_a_run_is_cut_changes_no_bit(by: CrackStepper, seed: int) -> None:
    load, row = messages(seed)
    whole, along = by.run(by.init(PARTS), load, row)
    for cut in range(0, MESSAGES + 1, 3):
        state, first = by.run(by.init(PARTS), portion(load, 0, cut), row[:cut])
        state, second = by.run(state, portion(load, cut, MESSAGES), row[cut:])
        require_equal(state, whole)
        assert torch.equal(torch.cat((first.length, second.length)), along.length)
        assert torch.equal(torch.cat((first.fractured, second.fractured)), along.fractured)


@pytest.mark.parametrize("name", [n for n in STEPPERS if "path" not in n])
def test_every_stepper_runs(name: str) -> None:
    by: Any = STEPPERS[name].stepper
    assert type(by) in (CrackStepper, UncertainCrackStepper)
    load, row = messages(3)
    require_equal(by.run(by.init(PARTS), load, row)[0], one_by_one(by, load, row)[0])


@every
def test_a_row_without_a_message_is_left_alone(by: CrackStepper) -> None:
    load, row = messages(2)
    state = by.run(by.init(PARTS), load, row)[0]
    after, _ = by.run(state, load, torch.ones_like(row))
    index = torch.tensor([0, 2])
    require_equal(rows(after, index), rows(state, index))


def test_along_tells_when_a_part_broke() -> None:
    by = CASES["paris-judged"]
    samples = torch.tensor([0.0, 5e7, 0.0, 9e8, 0.0, 5e7], dtype=torch.float64)
    load = no_load(3)._replace(
        t_ns=torch.tensor([1, 2, 3]),
        samples=samples,
        companion=torch.zeros_like(samples),
        sample_offset=torch.tensor([0, 2, 4, 6]),
    )
    state, along = by.run(by.init(1), load, torch.zeros(3, dtype=torch.int64))
    assert along.fractured.tolist() == [False, True, True]
    assert state.t_broken_ns.tolist() == [2]
    assert along.length[:, 0].tolist()[1:] == [0.95 * 0.06] * 2


@pytest.mark.parametrize(
    "row", [[0, 0, -1], [0, 1, 0], [0, 0, 3], [0, 0]], ids=["below", "falling", "above", "few"]
)
def test_rows_that_are_none_are_refused(row: list[int]) -> None:
    by = CASES["paris"]
    with pytest.raises(ValueError, match=r"rows|components"):
        by.run(by.init(PARTS), no_load(3), torch.tensor(row))


def test_a_run_holds_no_inspections() -> None:
    by, one = CASES["paris"], torch.ones(1, dtype=torch.int64)
    load = inspection_load(one, torch.tensor([0.006], dtype=torch.float64))
    with pytest.raises(ValueError, match="inspection"):
        by.run(by.init(1), load, torch.zeros(1, dtype=torch.int64))


def test_what_is_not_compiled_is_refused_by_name() -> None:
    class Own(EdgeCrack):
        pass

    by = CrackStepper(PARIS, Own(0.06), ALONE, 0.005, 0.03)
    with pytest.raises(TypeError, match="Own"):
        by.step(by.init(1), no_load(1))


@pytest.mark.parametrize("cut", [None, 1, 7, 2001])
@pytest.mark.parametrize("retardation", [ALONE, STRONG, ARRESTING])
def test_a_series_grows_as_cycle_by_cycle_wherever_it_is_cut(
    retardation: Retardation, cut: int | None
) -> None:
    """Growth of 0.16 to 0.71 mm through an overload: to a billionth."""
    by = stepper("2024-t3-walker", retardation)
    exact = cycle_by_cycle(by, [60.0] * 1000 + [150.0] + [60.0] * 4000)
    grown = length(after_mpa(by, OVERLOAD, cut)) - 10.0
    assert grown == pytest.approx(exact - 10.0, rel=1e-9)


@pytest.mark.parametrize("retardation", [ALONE, STRONG, replace(ARRESTING, S_ol=2.0, K_th=0.0)])
def test_noise_grows_the_same_wherever_it_is_cut(retardation: Retardation) -> None:
    by = stepper("2024-t3-walker", retardation, K_c=70e6)
    samples = np.random.default_rng(5).normal(60.0, 30.0, 1500)
    whole, *cut = (length(after_mpa(by, samples, n)) for n in (None, 100, 7, 1))
    assert whole > 10.05
    assert [x - 10.0 for x in cut] == pytest.approx([whole - 10.0] * 3, rel=1e-4)


@pytest.mark.parametrize("name", COMPILED)
def test_a_change_to_any_source_of_what_is_compiled_is_noticed(name: str) -> None:
    tree = ast.parse((Path(models.__file__).parent / f"{name}.py").read_text())
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    needed = set[str]()
    for node in found:
        path = str(node.module).replace(".", "/")
        is_package = (Path(models.__file__).parents[1] / path).is_dir()
        named = [f"{path}/{alias.name}" for alias in node.names] if is_package else [path]
        needed |= {name.removeprefix("models/") for name in named if name.startswith("models/")}
    assert needed <= {*COMPILED, *CONSTANTS}
    assert needed or name == "compiled"


def test_one_compilation_serves_every_stepper_and_layout() -> None:
    warm()
    load, row = messages(4)
    narrow = load._replace(
        samples=load.samples.to(torch.float32),
        companion=torch.stack((load.companion, load.companion), 1)[:, 0],
        sample_offset=load.sample_offset.to(torch.int32),
        continues=torch.tensor([True]).expand(MESSAGES),
    )
    for by in CASES.values():
        by.run(by.init(PARTS), load, row)
        by.run(by.init(PARTS), narrow, row)
    assert len(cast(Any, _walked).signatures) == 1


def test_no_peak_is_lowered_by_itself() -> None:
    """By the last bit of a peak its half cycle down to compression lost the compression."""
    rng = np.random.default_rng(4)
    willenborg = GeneralisedWillenborg(365e6, ZONES["plane_strain"], S_ol=3.0, K_th=3e6)
    n = 400
    pairs = np.stack((rng.uniform(1.0e8, 1.4e8, n), rng.uniform(-8e7, -2e7, n)), 1)
    series = list(torch.from_numpy(np.column_stack((np.zeros(n), pairs))))
    load = series_load(torch.ones(n, dtype=torch.int64), series)
    grown = [
        by.step(by.init(n), load).length
        for by in (
            CrackStepper(NASGRO, EdgeCrack(0.06), how, a_0=0.012, a_limit=0.03)
            for how in (willenborg, NoRetardation())
        )
    ]
    assert torch.equal(*grown)
