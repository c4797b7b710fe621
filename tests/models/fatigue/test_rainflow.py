"""Rainflow counting: the standard, an independent package, and any cut of the series."""

import json
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import rfcnt
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from models import tree
from models.fatigue import rainflow
from models.fatigue.rainflow import Cycles, Turning, counted, open_half_cycles, turning

Totals: TypeAlias = defaultdict[tuple[float, float], float]  # counts by (range, mean)
Samples: TypeAlias = Sequence[float] | NDArray[Any] | Tensor

E1049 = [-2.0, 1, -3, 5, -1, 3, -4, 4, -2]

series = st.lists(st.integers(-6, 6), max_size=60)  # few values: many ties and plateaus
gates = st.sampled_from([0.0, 1.0, 2.0, 5.0])
capacities = st.sampled_from([4, 5, 64])


def fed(
    state: Turning, samples: Samples, *, fresh: bool = False, shear: float = 0.0
) -> tuple[Turning, Cycles]:
    """One counter after one message; the companion is `shear` times the samples."""
    x = torch.as_tensor(samples, dtype=torch.float64)
    return counted(state, x, shear * x, torch.tensor([0, len(x)]), torch.tensor([not fresh]))


def quadruples(*parts: Cycles) -> list[tuple[float, ...]]:
    columns = [torch.cat([getattr(p, f) for p in parts]).tolist() for f in Cycles._fields[:4]]
    return list(zip(*columns, strict=True))


def totals(*parts: Cycles) -> Totals:
    """Counts by (range, mean)."""
    total: Totals = defaultdict(float)
    for size, mean, count, _ in quadruples(*parts):
        total[size, mean] += count
    return total


def whole(samples: Samples, gate: float = 0.0, capacity: int = 64) -> Any:
    """Final state, closed cycles and open half cycles of a series given at once."""
    state, closed = fed(turning(1, gate, capacity), samples)
    return state, closed, open_half_cycles(state)


def residue(state: Turning, row: int = 0) -> list[float]:
    return state.residue[row, : int(state.depth[row])].tolist()


def turning_points(samples: Sequence[float]) -> list[float]:
    points: list[float] = []
    for x in samples:
        if len(points) >= 2 and (x - points[-1]) * (points[-1] - points[-2]) > 0:
            points[-1] = x
        elif not points or x != points[-1]:
            points.append(x)
    return points


def astm(samples: Sequence[float]) -> Totals:
    """ASTM E1049-85, 5.4.4, the three-point rule step by step: the oracle."""
    total: Totals = defaultdict(float)
    stack: list[float] = []
    for point in turning_points(samples):  # step 1: read the next peak or valley
        stack.append(point)
        while len(stack) >= 3:  # step 2: fewer than three points: read on
            x, y = abs(stack[-1] - stack[-2]), abs(stack[-2] - stack[-3])
            if x < y:  # step 3
                break
            mean = (stack[-2] + stack[-3]) / 2
            if len(stack) == 3:  # step 5: Y holds the starting point
                total[y, mean] += 0.5
                del stack[0]
            else:  # step 4
                total[y, mean] += 1
                del stack[-3:-1]
    for p, q in pairwise(stack):  # step 6
        total[abs(q - p), (p + q) / 2] += 0.5
    return total


# --- the standard ---------------------------------------------------------------------------


def test_the_example_of_the_standard_gives_its_table() -> None:
    _, closed, opened = whole(E1049)
    assert quadruples(closed) == [(4, 1, 1, 0)]
    by_range: defaultdict[float, float] = defaultdict(float)
    for (size, _), count in totals(closed, opened).items():
        by_range[size] += count
    assert by_range == {3: 0.5, 4: 1.5, 6: 0.5, 8: 1, 9: 0.5}


def test_the_published_rainflow_cases_are_reproduced(data: Path) -> None:
    cases = json.loads((data / "rainflow" / "astm_e1049_cases.json").read_text())["cases"]
    chosen = [case for case in cases if case["method"] == "rainflow"]
    assert chosen
    for case in chosen:
        _, closed, opened = whole(case["series"])
        rows = case["expected_cycles_range_mean_count_istart_iend"]
        expected: Totals = defaultdict(float)
        for size, mean, count, *_ in rows:
            expected[size, mean] += count
        assert totals(closed, opened) == expected, case["name"]


@given(series)
def test_closed_and_open_cycles_together_are_those_of_the_standard(samples: list[int]) -> None:
    _, closed, opened = whole(samples)
    assert totals(closed, opened) == astm(samples)


@pytest.mark.parametrize("seed", range(5))
def test_random_real_histories_count_as_the_standard_does(seed: int) -> None:
    samples = np.random.default_rng(seed).normal(0, 1e8, 2000)
    _, closed, opened = whole(samples)
    assert totals(closed, opened) == astm(samples.tolist())
    assert (opened.count == 0.5).all()
    assert (closed.count == 1).all()


# --- an independent package -----------------------------------------------------------------


def independent(samples: Any, hysteresis: float, *, margin: bool) -> tuple[Totals, Any]:
    """Closed cycles by (range, mean) and residue as rfcnt counts integers from 0 to 99."""
    found = rfcnt.rfc(
        samples,
        class_width=1.0,
        class_count=101,
        class_offset=-0.5,
        hysteresis=hysteresis,
        residual_method=rfcnt.ResidualMethod.NONE,
        enforce_margin=margin,
    )
    closed: Totals = defaultdict(float)
    for start, stop in np.argwhere(found["rfm"]):
        closed[abs(stop - start), (start + stop) / 2] += int(found["rfm"][start, stop])
    return closed, found["res"].tolist()


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", ["noise", "walk"])
def test_an_independent_package_finds_the_same_cycles_and_residue(seed: int, kind: str) -> None:
    random = np.random.default_rng(seed)
    samples = random.integers(0, 100, 5000).astype(float)
    if kind == "walk":
        samples = np.abs((np.cumsum(random.integers(-9, 10, 5000)) % 200) - 100).astype(float)
    state, closed, _ = whole(samples)
    cycles, left = independent(samples, 0.0, margin=True)
    assert totals(closed) == cycles
    assert residue(state) == left


@pytest.mark.parametrize("gate", [2, 7, 30])
@pytest.mark.parametrize("seed", range(10))
def test_an_independent_package_gates_the_same_reversals(seed: int, gate: int) -> None:
    samples = np.random.default_rng(seed).integers(0, 100, 2000).astype(float)
    state, closed, _ = whole(samples, gate)
    cycles, left = independent(samples, gate - 0.5, margin=False)  # it asks for more than, not >=
    assert totals(closed) == cycles
    assert residue(state) == left


# --- streaming ------------------------------------------------------------------------------


def streamed(
    state: Turning, messages: Sequence[tuple[bool, list[int]]]
) -> tuple[Turning, list[tuple[float, ...]]]:
    """State and cycles after (fresh, samples) messages."""
    cycles: list[tuple[float, ...]] = []
    for fresh, samples in messages:
        state, closed = fed(state, samples, fresh=fresh, shear=-0.25)
        cycles += quadruples(closed)
    return state, cycles


@st.composite
def messages(draw: Any, runs: list[list[int]]) -> list[tuple[bool, list[int]]]:
    """The same runs, each cut anywhere into pieces, some of them empty."""
    pieces: list[tuple[bool, list[int]]] = []
    for run in runs:
        cuts = sorted(draw(st.lists(st.integers(0, len(run)), max_size=8)))
        edges = [0, *cuts, len(run)]
        for i, (start, stop) in enumerate(pairwise(edges)):
            pieces.append((i == 0, run[start:stop]))
    return pieces


def assert_equal_bits(left: object, right: object) -> None:
    for (path, a), (_, b) in zip(tree.leaves(left), tree.leaves(right), strict=True):
        assert torch.equal(a, b), path


@given(st.lists(series, max_size=4), gates, capacities, st.data())
def test_nothing_depends_on_how_the_series_is_cut(
    runs: list[list[int]], gate: float, capacity: int, data: st.DataObject
) -> None:
    start = turning(1, gate, capacity)
    state, cycles = streamed(start, [(True, run) for run in runs])
    cut_state, cut_cycles = streamed(start, data.draw(messages(runs)))
    assert cut_cycles == cycles
    assert_equal_bits(cut_state, state)


def test_a_long_series_counts_the_same_sample_by_sample() -> None:
    samples = np.random.default_rng(1).normal(0, 1e8, 1000)
    state, closed, _ = whole(samples, 3e7)
    piecewise, cycles = turning(1, 3e7), []
    for x in samples:
        piecewise, some = fed(piecewise, [x])
        cycles += quadruples(some)
    assert cycles == quadruples(closed)
    assert_equal_bits(piecewise, state)


def test_the_order_of_cycles_is_that_of_closing() -> None:
    _, closed, _ = whole([0, 10, 4, 6, 3, 9, 1, 12])
    assert closed.range.tolist() == [2, 6, 9]  # 4–6, then 3–9, then 10–1


@given(series, gates, capacities)
def test_the_input_is_untouched(samples: list[int], gate: float, capacity: int) -> None:
    state, _ = fed(turning(1, gate, capacity), E1049)
    before = tree.mapped(torch.clone, state)
    x = torch.tensor(samples, dtype=torch.float64)
    kept = x.clone()
    counted(state, x, x, torch.tensor([0, len(x)]), torch.tensor([False]))
    open_half_cycles(state)
    assert torch.equal(x, kept)
    assert_equal_bits(state, before)


# --- components -----------------------------------------------------------------------------


@given(st.lists(st.tuples(series, series, st.booleans()), max_size=5), gates, capacities)
def test_a_row_does_not_depend_on_the_others(
    rows: list[tuple[list[int], list[int], bool]], gate: float, capacity: int
) -> None:
    n = len(rows)
    together, alone = turning(n, gate, capacity), [turning(1, gate, capacity)] * n
    for turn in (0, 1):
        parts = [torch.tensor(row[turn], dtype=torch.float64) for row in rows]
        x = torch.cat([torch.empty(0, dtype=torch.float64), *parts])
        offset = torch.tensor([0, *(len(p) for p in parts)]).cumsum(0)
        continues = torch.tensor([not row[2] for row in rows], dtype=torch.bool)
        together, cycles = counted(together, x, -0.25 * x, offset, continues)
        results = [
            fed(a, p, fresh=row[2], shear=-0.25)
            for a, p, row in zip(alone, parts, rows, strict=True)
        ]
        alone = [state for state, _ in results]
        assert quadruples(cycles) == [q for _, c in results for q in quadruples(c)]
        assert cycles.offset.diff().tolist() == [len(c.range) for _, c in results]
        opened = open_half_cycles(together)
        assert quadruples(opened) == [q for a in alone for q in quadruples(open_half_cycles(a))]
    if n:
        assert_equal_bits(together, tree.joined(alone))


def test_gates_belong_to_their_rows() -> None:
    x = torch.tensor([0.0, 10, 7, 12, 0, 10, 7, 12], dtype=torch.float64)
    state = turning(2, torch.tensor([3.0, 3.1], dtype=torch.float64))
    _, cycles = counted(state, x, x, torch.tensor([0, 4, 8]), torch.tensor([True, True]))
    assert cycles.offset.tolist() == [0, 1, 1]


# --- special histories ----------------------------------------------------------------------


@pytest.mark.parametrize("samples", [[], [7.0], [7.0] * 50])
def test_a_constant_series_has_no_cycles(samples: list[float]) -> None:
    state, closed, opened = whole(samples)
    assert len(closed.range) == len(opened.range) == 0
    assert residue(state) == samples[:1]


def test_a_monotone_series_is_one_half_cycle() -> None:
    _, closed, opened = whole([0, 1, 1, 2, 5, 9])
    assert len(closed.range) == 0
    assert quadruples(opened) == [(9, 4.5, 0.5, 0)]


def test_plateaus_change_nothing() -> None:
    doubled = [x for x in E1049 for _ in range(3)]
    assert_equal_bits(whole(doubled), whole(E1049))


def test_constant_amplitude_closes_a_cycle_each_period() -> None:
    _, closed, opened = whole([0.0, 1.0] * 100)
    assert quadruples(closed) == [(1, 0.5, 1, 0)] * 99
    assert quadruples(opened) == [(1, 0.5, 0.5, 0)]


@given(series, capacities)
def test_the_way_travelled_is_conserved(samples: list[int], capacity: int) -> None:
    _, closed, opened = whole(samples, capacity=capacity)
    way = sum(2 * size * count for size, _, count, _ in quadruples(closed, opened))
    assert way == sum(abs(q - p) for p, q in pairwise(samples))


# --- the gate -------------------------------------------------------------------------------


@pytest.mark.parametrize(("reversal", "cycles"), [(2.5, 0), (3.0, 1), (3.5, 1)])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_reversal_counts_from_the_gate_on(reversal: float, cycles: int, sign: int) -> None:
    samples = [sign * x for x in (0, 10, 10 - reversal, 12)]
    state, closed, _ = whole(samples, gate=3.0)
    assert closed.range.tolist() == [reversal] * cycles
    assert residue(state) == [0, sign * 12]


@pytest.mark.parametrize(("first", "ranges"), [(2.5, []), (3.0, [3.0]), (3.5, [3.5])])
def test_what_stays_within_the_gate_is_not_open_either(first: float, ranges: list[float]) -> None:
    state, _, opened = whole([0, first, 1, 2], gate=3.0)
    assert opened.range.tolist() == ranges
    _, broken = fed(state, [5.0], fresh=True)
    assert broken.range.tolist() == ranges


def test_noise_before_the_first_reversal_loses_no_extreme() -> None:
    state, _, _ = whole([0, 2, -1, 1, 9, 0], gate=4.0)
    assert residue(state) == [-1, 9, 0]


# --- gaps -----------------------------------------------------------------------------------


def test_a_gap_closes_the_residue_as_half_cycles_before_anything_else() -> None:
    state, _, opened = whole(E1049)
    after, cycles = fed(state, [0.0, 5, 1, 4, 0], fresh=True)
    assert quadruples(cycles) == [*quadruples(opened), (3, 2.5, 1, 0)]
    assert residue(after) == [0, 5, 0]


def test_nothing_pairs_across_a_gap() -> None:
    """Without the gap 4–6 would close within 0–10."""
    state, _, _ = whole([0, 6, 4])
    _, joined = fed(state, [10.0])
    _, broken = fed(state, [10.0], fresh=True)
    assert joined.range.tolist() == [2]
    assert broken.count.tolist() == [0.5, 0.5]


def test_a_gap_without_samples_empties_the_counter() -> None:
    state, _, opened = whole(E1049)
    after, cycles = fed(state, [], fresh=True)
    assert_equal_bits(cycles, opened)
    assert_equal_bits(after, turning(1, 0.0))


def test_reading_the_residue_consumes_nothing() -> None:
    state, _, opened = whole(E1049)
    assert_equal_bits(open_half_cycles(state), opened)
    assert_equal_bits(fed(state, [6.0]), fed(whole(E1049)[0], [6.0]))


# --- the companion --------------------------------------------------------------------------


def test_the_companion_is_read_at_the_instants_of_the_turning_points() -> None:
    x = torch.tensor([0.0, 9, 2, 2, 7, 0], dtype=torch.float64)
    s = torch.tensor([1.0, 2, 30, 99, 5, 6], dtype=torch.float64)
    state, closed = counted(turning(1, 0.0), x, s, torch.tensor([0, len(x)]), torch.tensor([True]))
    assert quadruples(closed) == [(5, 4.5, 1, 5.0 - 30.0)]  # the first instant of the plateau
    assert closed.shear_mean.tolist() == [0.5 * (5.0 + 30.0)]
    opened = open_half_cycles(state)
    assert opened.shear.tolist() == [2.0 - 1.0, 2.0 - 6.0]  # peak − valley
    assert opened.shear_mean.tolist() == [0.5 * (2.0 + 1.0), 0.5 * (2.0 + 6.0)]


# --- a residue without bound ----------------------------------------------------------------


@pytest.mark.parametrize("turns", [64, 65, 66, 300])
@pytest.mark.parametrize("kind", ["diverging", "converging"])
def test_a_full_residue_closes_its_oldest_range_as_a_half(turns: int, kind: str) -> None:
    """Half is what the standard gives these in the end, too."""
    samples = [float(i if i % 2 else -i) for i in range(1, turns + 1)]
    samples = samples if kind == "diverging" else samples[::-1]
    state, closed, opened = whole(samples)
    excess = max(0, turns - 64)
    assert state.overflows.tolist() == [excess]
    assert state.depth.tolist() == [min(turns, 64)]
    assert (closed.count == 0.5).all()
    assert len(closed.range) == excess
    ways = [abs(q - p) for p, q in pairwise(samples)]
    assert closed.range.tolist() + opened.range.tolist() == ways
    assert totals(closed, opened) == astm(samples)


# --- the door -------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_refused_by_place(bad: float) -> None:
    x = torch.tensor([1.0, 2, 3, bad], dtype=torch.float64)
    good, offset = torch.zeros(4, dtype=torch.float64), torch.tensor([0, 0, 2, 4])
    keep = torch.ones(3, dtype=torch.bool)
    with pytest.raises(ValueError, match=f"sample 1 of row 2 is {bad}"):
        counted(turning(3, 0.0), x, good, offset, keep)
    with pytest.raises(ValueError, match=f"companion 1 of row 2 is {bad}"):
        counted(turning(3, 0.0), good, x, offset, keep)


@pytest.mark.parametrize("offset", [[0, 2], [0, 1, 3], [1, 1, 2], [0, 3, 2]])
def test_an_offset_that_does_not_fit_is_refused(offset: list[int]) -> None:
    x = torch.zeros(2, dtype=torch.float64)
    with pytest.raises(ValueError, match="offset"):
        counted(turning(2, 0.0), x, x, torch.tensor(offset), torch.tensor([True, True]))


def test_shapes_that_do_not_fit_are_refused() -> None:
    x, offset = torch.zeros(2, dtype=torch.float64), torch.tensor([0, 2])
    with pytest.raises(ValueError, match="companion"):
        counted(turning(1, 0.0), x, x[:1], offset, torch.tensor([True]))
    with pytest.raises(ValueError, match="continues"):
        counted(turning(1, 0.0), x, x, offset, torch.tensor([1]))


@pytest.mark.parametrize("gate", [-1.0, float("nan"), float("inf")])
def test_a_gate_that_is_no_stress_range_is_refused(gate: float) -> None:
    with pytest.raises(ValueError, match="gate"):
        turning(1, gate)


def test_the_rule_needs_four_points() -> None:
    assert turning(1, 0.0, capacity=4).residue.shape == (1, 4)
    with pytest.raises(ValueError, match="capacity 3"):
        turning(1, 0.0, capacity=3)


def test_one_compilation_serves_every_layout() -> None:
    rainflow.warm()
    wide = torch.zeros((8, 2), dtype=torch.float32)
    offset = torch.tensor([0, 8], dtype=torch.int32)
    expanded = torch.tensor([True]).expand(1)
    counted(turning(1, 0.0), wide[:, 0], wide[:, 1], offset, expanded)
    assert len(rainflow._count.signatures) == 1
    assert len(rainflow._halve.signatures) == 1
