"""No clock of one source moves the watermark far beyond those of the others."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.twin.belief.test_fold import assert_same, assert_same_rows, state
from tests.twin.fleets import CLOCK, SECOND, T0, component, fleet, inspection, spectrum
from twin.archive.checkpoint import metadata, restored, tensors
from twin.belief.fleet import Fleet
from twin.belief.fold import Folded, folded
from twin.belief.record import RecordRow
from twin.belief.segments import Line

HOUR, DAY, YEAR = 3600.0, 86_400.0, 365.25 * 86_400.0
PARTS = ("plant/a", "plant/b", "plant/c", "plant/d")
LATENESS_S = CLOCK.lateness_ns / SECOND
BOUND_S = CLOCK.max_jump_ns / SECOND


def parts(*names: str) -> Fleet:
    return fleet(*(component(name) for name in names))


def told(at: list[tuple[str, float]], *, first_seq: int = 0) -> list[Line]:
    """Spectra of parts at times [s from T0], in this order."""
    return [spectrum(first_seq + i, at_s, name) for i, (name, at_s) in enumerate(at)]


def working(
    start_s: float, minutes: int, names: tuple[str, ...] = PARTS
) -> list[tuple[str, float]]:
    """Each part once a minute."""
    return [(name, start_s + 60.0 * m + i) for m in range(minutes) for i, name in enumerate(names)]


def watermark_s(value: Fleet) -> float:
    return (value.watermark_ns - T0) / SECOND + LATENESS_S


def times_s(result: Folded) -> list[float]:
    return [(row.t_ns - T0) / SECOND for row in result.rows]


def kinds(result: Folded) -> list[str]:
    return [note.kind for note in result.notes]


@pytest.mark.parametrize("place", [0, 1, 2, 7, 40])
def test_one_message_dated_2036_stops_no_history(place: int) -> None:
    good = working(0.0, 20)
    lines = told([*good[:place], ("plant/b", 10 * YEAR), *good[place:]])
    result = folded(parts(*PARTS), lines, CLOCK)
    expected = folded(parts(*PARTS), told(good), CLOCK)
    assert times_s(result) == times_s(expected)
    assert len(result.rows) == 19
    assert result.fleet.watermark_ns == expected.fleet.watermark_ns
    assert kinds(result).count("ahead") == (place > 0)


def test_its_load_counts_and_its_time_does_not() -> None:
    lines = told([*working(0.0, 2), ("plant/b", 10 * YEAR)])
    value = folded(parts(*PARTS), lines, CLOCK).fleet
    assert float(state(value, "plant/b").cycles) == 300.0
    assert int(state(value, "plant/b").t_ns) == T0 + 63 * SECOND  # as far as the others are
    later = folded(value, told([("plant/b", 121.0)], first_seq=99), CLOCK).fleet
    assert int(state(later, "plant/b").t_ns) == T0 + 121 * SECOND


@pytest.mark.parametrize("factor", [None, 5.0])
def test_an_inspection_dated_2036_does_not_shut_out_those_that_follow(factor: float | None) -> None:
    value = fleet(*(component(name, surprise_factor=factor) for name in PARTS))
    value = folded(value, told(working(0.0, 2)), CLOCK).fleet
    lines = [inspection(0, 0.002, 10 * YEAR, "plant/b"), inspection(1, 0.003, 90.0, "plant/b")]
    result = folded(value, lines, CLOCK)
    assert kinds(result) == ["ahead", "inspection", "inspection"]
    assert float(state(result.fleet, "plant/b").a) == 0.003


def test_who_is_ahead_is_told_once() -> None:
    good = working(0.0, 20)
    lines = [pair for i, one in enumerate(good) for pair in (one, ("plant/b", 10 * YEAR + i))]
    result = folded(parts(*PARTS), told(lines), CLOCK)
    first = next(note for note in result.notes if note.kind == "ahead")
    assert first.component == "plant/b"
    assert first.data["source"] == "daq"
    assert first.data["ahead_s"] == pytest.approx(10 * YEAR, rel=1e-6)
    assert len(result.rows) == 19


def test_a_clock_that_stays_in_2036_moves_nobody_however_much_it_says() -> None:
    good = working(0.0, 20)
    bad = [[("plant/d", 10 * YEAR + 60.0 * i + s) for s in range(5)] for i in range(len(good))]
    lines = [one for i, ok in enumerate(good) for one in (ok, *bad[i])]
    result = folded(parts(*PARTS), told(lines), CLOCK)
    assert len(result.rows) == 19
    assert [source for source, _ in result.fleet.clocks.held] == [("plant/d", "daq")]


def test_nor_does_it_in_the_night_when_nobody_else_speaks() -> None:
    day = [*working(0.0, 5), ("plant/d", 10 * YEAR), *working(300.0, 5, PARTS[:3])]
    night = [("plant/d", 10 * YEAR + 60.0 * i) for i in range(600)]
    morning = working(13 * HOUR, 5, PARTS[:3])
    result = folded(parts(*PARTS), told([*day, *night, *morning]), CLOCK)
    assert watermark_s(result.fleet) == 13 * HOUR + 242.0
    assert len(result.rows) == 9 + 5


def test_two_bad_clocks_of_five_move_nobody_even_if_they_agree() -> None:
    names = (*PARTS, "plant/e", "plant/f")
    good = working(0.0, 20, names[:4])
    lines = working(0.0, 2, names)
    for i, one in enumerate(good[8:]):
        lines += [one, ("plant/e", 10 * YEAR + i), ("plant/f", 10 * YEAR + i + 0.5)]
    result = folded(parts(*names), told(lines), CLOCK)
    assert watermark_s(result.fleet) == good[-1][1]
    assert len(result.rows) == 19


@pytest.mark.parametrize("off_s", [7 * DAY, 3 * YEAR])
@pytest.mark.parametrize("back", [4, 3, 2])
def test_a_plant_that_was_off_goes_on_within_a_few_messages(off_s: float, back: int) -> None:
    before = working(0.0, 20)
    value = folded(parts(*PARTS), told(before), CLOCK).fleet
    result = folded(value, told(working(off_s, 1, PARTS[:back]), first_seq=200), CLOCK)
    assert watermark_s(result.fleet) == off_s + back - 1
    assert len(result.rows) == 1
    for i, name in enumerate(PARTS[:back]):  # with their own times, those not believed at first too
        assert int(state(result.fleet, name).t_ns) == T0 + round((off_s + i) * SECOND)
    assert result.fleet.clocks.held == ()


def test_a_single_part_of_many_that_comes_back_goes_on_after_their_usual_silence() -> None:
    value = folded(parts(*PARTS), told(working(0.0, 20)), CLOCK).fleet
    back = told([("plant/a", 7 * DAY + 10.0 * i) for i in range(60)], first_seq=200)
    result = folded(value, back, CLOCK)
    assert watermark_s(result.fleet) == 7 * DAY + 590.0
    assert len(result.rows) >= 7


@pytest.mark.parametrize("gap_s", [60.0, DAY, YEAR])
def test_a_plant_of_one_sensor_with_gaps_of_any_length_keeps_its_history(gap_s: float) -> None:
    lines = told([("plant/a", gap_s * i) for i in range(10)])
    result = folded(parts("plant/a"), lines, CLOCK)
    assert len(result.rows) == 9
    assert watermark_s(result.fleet) == 9 * gap_s
    assert int(state(result.fleet, "plant/a").t_ns) == T0 + round(9 * gap_s * SECOND)


def test_one_wrong_time_of_the_only_sensor_stops_nothing() -> None:
    times = [60.0 * i for i in range(10)]
    lines = told([("plant/a", t) for t in [*times[:5], 10 * YEAR, *times[5:]]])
    assert len(folded(parts("plant/a"), lines, CLOCK).rows) == 9


def test_a_second_recording_of_later_years_goes_on() -> None:
    value = folded(parts(*PARTS), told([("plant/a", 1.0 * i) for i in range(600)]), CLOCK).fleet
    second = told([("plant/b", 2 * YEAR + 1.0 * i) for i in range(600)])
    result = folded(value, second, CLOCK)
    assert watermark_s(result.fleet) == 2 * YEAR + 599.0
    assert len(result.rows) >= 10


@pytest.mark.parametrize(("beyond_s", "moves"), [(-0.001, True), (0.0, True), (0.001, False)])
def test_one_source_alone_moves_time_up_to_the_bound(beyond_s: float, moves: bool) -> None:
    value = folded(parts(*PARTS), told(working(0.0, 5)), CLOCK).fleet
    there_s = watermark_s(value) + BOUND_S + beyond_s
    after = folded(value, told([("plant/a", there_s)], first_seq=99), CLOCK).fleet
    assert (watermark_s(after) == pytest.approx(there_s, abs=1e-6)) is moves


def test_a_part_that_reports_every_day_is_never_held() -> None:
    lines = told([(name, DAY * d + 60.0 * i) for d in range(10) for i, name in enumerate(PARTS)])
    result = folded(parts(*PARTS), lines, CLOCK)
    assert kinds(result).count("ahead") <= 1  # until it is known how long they are silent
    assert watermark_s(result.fleet) == 9 * DAY + 180.0


def wild(n: int, seed: int) -> list[Line]:
    """Many parts, of which some jump, come back, agree, or fall behind."""
    rng = np.random.default_rng(seed)
    jumps = rng.choice([0.0, 0.0, 0.0, 0.0, 10 * YEAR, 10 * YEAR, 7 * DAY, -DAY, HOUR], n)
    base = np.cumsum(rng.choice([20.0, 40.0, 2 * DAY], n, p=[0.6, 0.35, 0.05]))
    names = rng.choice(PARTS, n)
    lines = told([(str(a), float(b)) for a, b in zip(names, base + jumps, strict=True)])
    lines[n // 2] = inspection(0, 0.002, float(base[n // 2] + 10 * YEAR), str(names[0]))
    return lines


@given(cuts=st.lists(st.integers(0, 60), max_size=8), seed=st.integers(0, 20))
@hypothesis_settings(max_examples=25, deadline=None)
def test_wrong_clocks_give_the_same_whatever_the_batches(cuts: list[int], seed: int) -> None:
    lines = wild(60, seed)
    whole = folded(parts(*PARTS), lines, CLOCK)
    value = parts(*PARTS)
    rows: list[RecordRow] = []
    for start, end in pairwise([0, *sorted(cuts), 60]):
        part = folded(value, lines[start:end], CLOCK)
        value, rows = restored(tensors(part.fleet), metadata(part.fleet, CLOCK)), rows + part.rows
    assert_same(value, whole.fleet)
    assert value.clocks == whole.fleet.clocks
    assert_same_rows(rows, whole.rows)
    assert metadata(value, CLOCK) == metadata(whole.fleet, CLOCK)
    assert all(a.t_ns < b.t_ns for a, b in pairwise(rows))


def test_what_is_remembered_of_clocks_is_in_the_checkpoint() -> None:
    value = folded(parts(*PARTS), told([*working(0.0, 3), ("plant/b", YEAR)]), CLOCK).fleet
    page = msgspec.json.decode(metadata(value, CLOCK))
    assert restored(tensors(value), msgspec.json.encode(page)).clocks == value.clocks
    assert len(value.clocks.held) == 1


def test_one_instrument_of_many_parts_does_not_confirm_itself() -> None:
    """Its channels are as many sources, and one clock."""
    names = [f"plant/p-{i}" for i in range(6)]
    value = parts(*names)

    def round_of(at_s: float, seq: int, bad_s: float = 0.0) -> list[Line]:
        found = []
        for i, name in enumerate(names):
            source, shift_s = ("daq-1", bad_s) if i < 3 else ("daq-2", 0.0)
            line = spectrum(seq, at_s + shift_s, name)
            what = msgspec.structs.replace(line.what, source=source)  # type: ignore[type-var]
            found.append(line._replace(what=what))
        return found

    for k in range(5):
        value = folded(value, round_of(60.0 * k, k), CLOCK).fleet
    for k in range(5, 15):
        value = folded(value, round_of(60.0 * k, k, 3e8), CLOCK).fleet
    assert watermark_s(value) == pytest.approx(60.0 * 14, abs=1.0)
    assert value.rows >= 13
