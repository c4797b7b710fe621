"""The state is a fold over the journal, whatever the batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from models import tree
from tests.twin import fleets
from tests.twin.fleets import CLOCK, component, fleet, inspection, series, spectrum
from twin.belief.fleet import Fleet
from twin.belief.fold import folded, late
from twin.belief.record import RecordRow
from twin.belief.segments import Line


def state(value: Fleet, name: str = "plant/press-1") -> Any:
    place = value.places[name]
    return tree.rows(value.cohorts[place.cohort].state, torch.tensor([place.row]))


def assert_same(one: Fleet, other: Fleet) -> None:
    assert one.cohorts.keys() == other.cohorts.keys()
    for key, cohort in one.cohorts.items():
        twin = other.cohorts[key]
        content = (
            cohort.state,
            cohort.feed,
            cohort.remaining,
            cohort.limit_passed,
            cohort.evidence,
            cohort.watched,
        )
        expected = (
            twin.state,
            twin.feed,
            twin.remaining,
            twin.limit_passed,
            twin.evidence,
            twin.watched,
        )
        for (path, a), (_, b) in zip(tree.leaves(content), tree.leaves(expected), strict=True):
            assert np.array_equal(a.numpy(), b.numpy(), equal_nan=a.is_floating_point()), path
    assert (one.offset, one.rows, one.watermark_ns) == (
        other.offset,
        other.rows,
        other.watermark_ns,
    )


def assert_same_rows(some: list[RecordRow], others: list[RecordRow]) -> None:
    assert [row.t_ns for row in some] == [row.t_ns for row in others]
    for a, b in zip(some, others, strict=True):
        for name, column in a.columns.items():
            assert np.array_equal(column, b.columns[name], equal_nan=column.dtype.kind == "f"), name


def mixed_lines(n: int, seed: int) -> list[Line]:
    """A stream of everything, over several record ticks, late ones and changes among it."""
    rng = np.random.default_rng(seed)
    names = ["plant/press-1", "plant/press-2", "plant/beam"]
    lines: list[Line] = []
    for seq in range(n):
        name, at_s = names[seq % 3], seq * 7.0 - rng.integers(0, 3) * 10.0
        choice = rng.integers(0, 4)
        if choice == 0:
            lines.append(series(seq, rng.normal(5e7, 4e7, 50), at_s, name))
        elif choice == 1:
            lines.append(inspection(seq, 0.001 + 1e-5 * seq, at_s, name))
        elif choice == 2 and seq == n // 2:
            lines.append(Line(names[0], component(revision=2, crack_limit=0.009)))
        else:
            lines.append(spectrum(seq, at_s, name, [[1.2e8, 7e7, 20.0], [4e7, 3e7, 500.0]]))
    return lines


def three() -> Fleet:
    wheeler = {"kind": "wheeler", "gamma": 1.5, "yield_stress": 3.5e8, "zone": "plane_stress"}
    return fleet(
        component(),
        component("plant/press-2", retardation=wheeler),
        component("plant/beam", inspection="record"),
    )


@given(cuts=st.lists(st.integers(0, 40), max_size=8), seed=st.integers(0, 3))
@hypothesis_settings(max_examples=6, deadline=None)
def test_how_the_journal_is_cut_into_batches_changes_no_bit(cuts: list[int], seed: int) -> None:
    lines = mixed_lines(40, seed)
    whole = folded(three(), lines, CLOCK)
    value = three()
    rows: list[RecordRow] = []
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), 40], strict=True):
        part = folded(value, lines[start:end], CLOCK)
        value, rows = part.fleet, rows + part.rows
    assert_same(value, whole.fleet)
    assert_same_rows(rows, whole.rows)


def test_folding_leaves_the_old_value_alone() -> None:
    before = three()
    copies = [leaf.clone() for c in before.cohorts.values() for _, leaf in tree.leaves(c.state)]
    folded(before, mixed_lines(40, 0), CLOCK)
    after = [leaf for c in before.cohorts.values() for _, leaf in tree.leaves(c.state)]
    assert all(torch.equal(a, b) for a, b in zip(copies, after, strict=True))


def test_a_loaded_crack_grows_and_an_idle_one_does_not() -> None:
    value = fleet(component(), component("plant/press-2"))
    value = folded(value, [spectrum(0, cycles=[[2e8, 1.1e8, 1000.0]])], CLOCK).fleet
    assert float(state(value).a) > 0.001
    assert float(state(value, "plant/press-2").a) == 0.001


def test_a_row_holds_what_was_believed_before_the_tick_passed() -> None:
    lines = [spectrum(0, 0.0), spectrum(1, 40.0), spectrum(2, 130.0)]
    result = folded(fleet(component()), lines, CLOCK)
    two = folded(fleet(component()), lines[:2], CLOCK).fleet
    assert len(result.rows) == 1
    assert result.rows[0].t_ns % (60 * fleets.SECOND) == 0
    assert result.rows[0].columns["crack_length"][0] == float(state(two).a)


@pytest.mark.parametrize(("last_s", "rows"), [(44.9, 0), (45.0, 1), (45.1, 1)])
def test_a_tick_passes_when_the_watermark_reaches_it(last_s: float, rows: int) -> None:
    # T0 lies 20 s after a full minute; the watermark is 5 s behind the latest evidence
    assert fleets.T0 % (60 * fleets.SECOND) == 20 * fleets.SECOND
    result = folded(fleet(component()), [spectrum(0, 0.0), spectrum(1, last_s)], CLOCK)
    assert len(result.rows) == rows


def test_late_evidence_counts_but_never_moves_time_back() -> None:
    early = folded(fleet(component()), [spectrum(0, 100.0)], CLOCK).fleet
    after = folded(early, [spectrum(1, 10.0)], CLOCK).fleet
    assert after.watermark_ns == early.watermark_ns
    assert float(state(after).cycles) == 200.0
    assert int(state(after).t_ns) == int(state(early).t_ns)


@pytest.mark.parametrize(("at_s", "count"), [(94.9, 1), (95.0, 0), (95.1, 0)])
def test_evidence_is_late_behind_the_watermark(at_s: float, count: int) -> None:
    value = folded(fleet(component()), [spectrum(0, 100.0)], CLOCK).fleet
    assert late(value, [spectrum(1, at_s)]) == count


def cycles_of(*lines: Line) -> float:
    return float(state(folded(fleet(component(gate=0.0)), list(lines), CLOCK).fleet).cycles)


WAVE = np.array([0.0, 9.0, 2.0, 7.0, 1.0, 8.0, 3.0, 6.0]) * 1e7


@pytest.mark.parametrize("behind_s", [-1.0, 0.0, 30.0])
def test_remaining_life_is_renewed_by_evidence_at_a_tick_and_late_evidence(behind_s: float) -> None:
    value = fleet(component(), component("plant/press-2"))
    ticks = [40.0 + 60.0 * i for i in range(5)]  # from T0
    lines: list[Line] = []
    for i, at_s in enumerate(ticks):  # the first one of each moves the watermark to the tick
        lines += [spectrum(i, at_s + 5.0, "plant/press-2"), spectrum(i, at_s - behind_s)]
    left = [row.columns["remaining_cycles"][0] for row in folded(value, lines, CLOCK).rows]
    assert len(left) == 4
    assert (np.diff(left) < 0.0).all()


def test_a_series_in_two_messages_counts_like_one() -> None:
    whole = cycles_of(series(0, WAVE, rate_hz=1.0))
    assert (
        cycles_of(series(0, WAVE[:3], rate_hz=1.0), series(1, WAVE[3:], 3.0, rate_hz=1.0)) == whole
    )


@pytest.mark.parametrize(
    "second",
    [
        series(2, WAVE[3:], 3.0, rate_hz=1.0),  # a number is missing
        series(1, WAVE[3:], 9.1, rate_hz=1.0),  # time is missing
        series(1, WAVE[3:], 3.0, rate_hz=1.0, boot=2),  # the instrument has restarted
        series(1, WAVE[3:], 3.0, rate_hz=1.0, source="other"),
    ],
    ids=["seq", "time", "boot", "source"],
)
def test_a_gap_breaks_the_sequence(second: Line) -> None:
    alone = cycles_of(series(0, WAVE[:3], rate_hz=1.0))
    rest = cycles_of(series(0, WAVE[3:], rate_hz=1.0))
    residue = 1.0  # two half cycles of 0-9-2 close at the gap
    assert cycles_of(series(0, WAVE[:3], rate_hz=1.0), second) == alone + residue + rest


def test_an_inspection_between_two_messages_of_the_same_source_is_no_gap() -> None:
    whole = cycles_of(series(0, WAVE, rate_hz=1.0))
    between = inspection(1, 0.0011, 3.0, source="daq")
    parts = [series(0, WAVE[:3], rate_hz=1.0), between, series(2, WAVE[3:], 3.0, rate_hz=1.0)]
    assert cycles_of(*parts) == whole


def test_an_inspection_replaces_the_belief_or_is_only_recorded() -> None:
    value = fleet(component(), component("plant/beam", inspection="record"))
    lines = [inspection(0, 0.0015), inspection(0, 0.0015, name="plant/beam")]
    result = folded(value, lines, CLOCK)
    assert float(state(result.fleet).a) == 0.0015
    assert float(state(result.fleet, "plant/beam").a) == 0.001
    for name in ("plant/press-1", "plant/beam"):
        assert float(state(result.fleet, name).innovation) == pytest.approx(0.0005, abs=1e-18)
    assert [note.kind for note in result.notes] == ["inspection", "inspection"]


def test_a_crack_at_its_limit_is_told_once() -> None:
    lines = [inspection(0, 0.0099), inspection(1, 0.010), inspection(2, 0.011)]
    kinds = [note.kind for note in folded(fleet(component()), lines, CLOCK).notes]
    assert kinds == ["inspection", "inspection", "limit", "inspection"]


def test_a_load_that_calibration_makes_infinite_is_left_out_and_told() -> None:
    calibration = {"youngs_modulus": 2e11, "gain": 1e15}
    value = fleet(component(calibration=calibration), component("plant/press-2"))
    strain = series(0, [0.0, 1e300, 0.0, 1e300], quantity="strain")
    result = folded(value, [strain, spectrum(0, name="plant/press-2")], CLOCK)
    assert [note.kind for note in result.notes] == ["implausible"]
    assert float(state(result.fleet).a) == 0.001
    assert float(state(result.fleet, "plant/press-2").cycles) == 100.0


def test_a_change_keeps_the_history_and_takes_the_new_law() -> None:
    value = folded(fleet(component()), [spectrum(0)], CLOCK).fleet
    wheeler = {"kind": "wheeler", "gamma": 1.5, "yield_stress": 3.5e8, "zone": "plane_stress"}
    change = Line("plant/press-1", component(revision=2, retardation=wheeler, crack_limit=0.005))
    after = folded(value, [change], CLOCK).fleet
    assert len(after.cohorts) == 1
    assert float(state(after).a) == float(state(value).a)
    assert float(state(after).cycles) == 100.0
    assert float(state(after).a_limit) == 0.005
    assert after.members == ("plant/press-1",)


def test_components_registered_later_join_the_rows_from_then_on() -> None:
    lines = [spectrum(0), spectrum(1, 90.0), Line("plant/late", component("plant/late"))]
    lines.append(spectrum(2, 200.0))
    first, second = folded(fleet(component()), lines, CLOCK).rows
    assert first.members == ("plant/press-1",)
    assert second.members == ("plant/press-1", "plant/late")
    assert second.columns["crack_length"][1] == 0.001


def test_a_strain_that_has_lost_its_modulus_is_left_out_and_told() -> None:
    value = fleet(component(calibration={"youngs_modulus": 2e11}), component("plant/press-2"))
    change = Line("plant/press-1", component(revision=2))  # judged before, folded after the change
    strain = series(0, [0.0, 1e-3, 0.0, 1e-3], quantity="strain")
    lines = [change, strain, spectrum(1), spectrum(0, name="plant/press-2")]
    result = folded(value, lines, CLOCK)
    assert [note.kind for note in result.notes] == ["registered", "implausible"]
    assert float(state(result.fleet).cycles) == 100.0
    assert float(state(result.fleet, "plant/press-2").cycles) == 100.0
