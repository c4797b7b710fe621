"""Is a load credible? What is set aside of it, and what is only told."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors import watch
from sensors.errors import MalformedError
from sensors.limits import Limits
from sensors.observation import Spectrum
from sensors.payload.decode import decode
from sensors.quality import (
    NULL_CODES,
    REASONS,
    Gauge,
    SpectrumRows,
    bounds,
    bounds_table,
    judged,
    missing,
)
from sensors.units import load_unit
from sensors.watch import channel_status
from sensors.watch_kernel import DOUBT, FOUND, IS_STUCK
from tests.sensors.watching import Seen, seen, wave

E = 2.1e11  # [Pa]


def aside(raw: np.ndarray, at: Any, **how: Any) -> bool:
    """Whether all samples but those `at` some places count, and no other."""
    factor = how.get("factor", 1.0)
    return np.array_equal(seen(raw, **how).stress, np.delete(raw, at) * factor)


def test_a_healthy_load_counts_as_it_is() -> None:
    found = seen(wave())
    assert np.array_equal(found.stress, wave())
    assert found.found == {}


def test_nothing_comes_of_nothing() -> None:
    assert len(seen([]).stress) == 0


@pytest.mark.parametrize("code", [9999.0, 99999.0, 999999.0, -999999.0, -9999.0, 99999.99])
@pytest.mark.parametrize("unit", ["um/m", "kPa", "MPa", "ksi"])
def test_a_null_code_is_set_aside_in_the_unit_of_the_wire(code: float, unit: str) -> None:
    scale, factor = {"um/m": (1e-6, 7e10), "kPa": (1e3, 1.0), "MPa": (1e6, 1.0)}.get(
        unit, (6.894757293168361e6, 1.0)
    )
    raw = wave() / factor
    raw[[100, 101, 250]] = code / 1e6 if unit == "um/m" else code * scale
    how: dict[str, Any] = {"unit": unit, "factor": factor}
    assert aside(raw, [100, 101, 250], **how)
    assert seen(raw, **how).found == {"null": 3}


def test_the_first_and_the_last_sample_may_be_null_codes() -> None:
    raw = wave() / E
    raw[[0, -1]] = 0.999999
    assert aside(raw, [0, -1], unit="um/m", factor=E)


def test_a_signal_may_pass_through_a_code_that_a_part_can_bear() -> None:
    ramp = np.arange(9900.0, 10100.0) * 1e3  # in whole kPa
    assert np.array_equal(seen(ramp, unit="kPa").stress, ramp)


def test_codes_are_those_of_the_gauge() -> None:
    raw = wave()
    raw[7] = 6.5e6
    assert aside(raw, [], unit="kPa")
    assert aside(raw, [7], unit="kPa", gauge=Gauge(null_codes=(6500.0,)))
    assert 1e4 not in NULL_CODES


@pytest.mark.parametrize(("peak", "gone"), [(1.999e9, []), (2e9, []), (2.001e9, [50, 51])])
def test_a_stress_that_no_part_bears_is_set_aside(peak: float, gone: list[int]) -> None:
    for sign in (1.0, -1.0):
        raw = wave()
        raw[[50, 51]] = sign * peak
        assert aside(raw, gone)
        assert seen(raw).found == ({"range": 2} if gone else {})


def test_a_stress_is_judged_after_calibration_and_a_strain_before_it() -> None:
    raw = wave() / E
    raw[[50, 51]] = 0.011  # 2.3 GPa in steel
    assert aside(raw, [50, 51], unit="um/m", factor=E)
    assert aside(raw, [], unit="um/m", factor=1e9)
    raw[[50, 51]] = 0.0501
    assert aside(raw, [50, 51], unit="um/m", factor=1e9)


def test_a_registered_rail_is_no_measurement() -> None:
    raw = np.clip(wave() - 1e8, -4e7, 4e7)
    gone = np.flatnonzero(np.abs(raw) >= 4e7)
    assert len(gone) > 50
    assert aside(raw, gone, gauge=Gauge(rail=4e7))
    assert seen(raw, gauge=Gauge(rail=4e7)).found == {"rail": len(gone)}


def test_a_lone_spike_is_set_aside() -> None:
    raw = wave()
    raw[[100, 200, 300]] += [6e8, -6e8, 3e8]
    assert aside(raw, [100, 200, 300])
    assert seen(raw).found == {"spike": 3}


@pytest.mark.parametrize(("far", "gone"), [(14.9, []), (15.0, []), (15.1, [100])])
def test_a_spike_is_fifteen_times_the_largest_step_away(far: float, gone: list[int]) -> None:
    raw = np.tile([0.0, 6e7], 100)
    raw[100] = 6e7 + far * 6e7  # between two peaks
    assert aside(raw, gone)


def test_a_step_is_no_spike_and_neither_is_a_plateau() -> None:
    raw = wave()
    raw[200:] += 9e8
    assert aside(raw, [])
    raw = wave()
    raw[200:202] += 9e8
    assert aside(raw, [])


def test_a_lone_sample_that_is_not_far_in_stress_always_counts() -> None:
    raw = np.linspace(0.0, 1e3, 100)
    raw[50] += 4.9e7
    assert aside(raw, [])
    raw[50] += 2e6
    assert aside(raw, [50])
    assert aside(raw, [], gauge=Gauge(spike=np.inf))


@pytest.mark.parametrize("peak", [1.5e8, 4.74e8, 8e8])
def test_an_overload_among_turning_points_counts(peak: float) -> None:
    raw = np.tile([0.0, 6e7], 2000)
    raw[2001] = peak
    assert aside(raw, [])


def test_a_load_that_starts_after_a_rest_counts_from_its_first_cycle() -> None:
    rest = np.random.default_rng(0).normal(0.0, 1e4, 5000)
    load = np.tile([2e8, 0.0], 500)
    found = seen([*rest, *load])
    assert found.found == {}
    turns = np.count_nonzero(np.diff(np.sign(np.diff(found.stress[4999:]))))
    assert turns == np.count_nonzero(np.diff(np.sign(np.diff([rest[-1], *load]))))


def test_an_undersampled_load_counts_once_its_peaks_crowd() -> None:
    raw = np.random.default_rng(0).normal(0.0, 1e4, 4000)
    raw[500::20] = 2e8
    found = seen(raw)
    assert found.found == {"spike": 3}
    assert np.count_nonzero(found.stress == 2e8) == np.count_nonzero(raw == 2e8) - 3


def test_a_shear_that_nothing_bears_sets_its_instant_aside() -> None:
    shear = wave() / 3
    for value, unit in ((9e9, "MPa"), (9.9999e7, "kPa"), (9e8, "MPa")):
        other = shear.copy()
        other[120] = value
        found = seen(wave(), shear=other, unit=unit)
        assert np.array_equal(found.stress, np.delete(wave(), 120))
        assert np.array_equal(found.shear, np.delete(shear, 120))


def test_flat_tops_are_told_once_and_count() -> None:
    raw = np.minimum(np.tile(1.2e8 * np.sin(np.arange(60) * 0.10472), 20), 1e8)
    found = seen(raw)
    assert np.array_equal(found.stress, raw)
    assert found.found == {"clipping": 1}
    assert seen(raw, gauge=Gauge(clip_samples=np.inf)).found == {}


def clipped(found: Seen) -> bool:
    return bool(channel_status(found.state.whole).clipped[0])


@pytest.mark.parametrize("gaps", [(), (700, 800)])
def test_a_clipped_channel_is_told_as_such_until_the_signal_goes_beyond(gaps: Any) -> None:
    load = np.tile(1.2e8 * np.sin(np.arange(60) * 0.10472), 10)
    cut = np.concatenate([np.minimum(load, 1e8), wave() / 2])
    assert clipped(seen(cut, gaps=gaps))
    assert clipped(seen([*cut, 1e8], gaps=gaps))
    assert not clipped(seen([*cut, 1.000001e8], gaps=gaps))


def test_a_flat_bottom_right_after_a_gap_is_seen() -> None:
    bottom = np.maximum(np.tile(-1.2e8 + 1e8 * np.sin(np.arange(60) * 0.10472), 10), -1.8e8)
    start = int(np.flatnonzero(bottom == bottom.min())[0])
    raw = [*bottom[: start + 1], *bottom[start:]]  # the first after the gap is the last before
    told = seen(raw, gaps=[start + 1])
    assert clipped(told)
    assert told.found == {"clipping": 1}


def test_rest_at_zero_and_turns_of_a_slow_quantised_signal_are_not_clipped() -> None:
    pulses = np.concatenate([np.r_[np.zeros(50), np.tile([6e7, 1e7], 30)] for _ in range(5)])
    slow = np.round(150 * np.sin(np.arange(30000) * 6.28e-3)) * 2e5
    assert seen(pulses).found == seen(slow).found == {}


@pytest.mark.parametrize(("n", "found"), [(999, {}), (1000, {"stuck": 1}), (5000, {"stuck": 1})])
def test_a_channel_that_stays_for_ten_seconds_is_stuck(n: int, found: dict[str, int]) -> None:
    raw = np.concatenate([wave(101), np.full(n - 1, wave(101)[-1])])
    told = seen(raw, cuts=[300, 600])
    assert np.array_equal(told.stress, raw)
    assert told.found == found
    assert bool(told.state.whole[0, IS_STUCK]) is bool(found)
    assert not seen([*raw, 0.0]).state.whole[0, IS_STUCK]


def test_two_hundred_samples_are_the_least_that_are_stuck() -> None:
    for n, found in ((199, {}), (200, {"stuck": 1})):
        assert seen(np.full(n, 1e8), rate_hz=1.0).found == found


def mess(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Everything that can be wrong, at random."""
    rng = np.random.default_rng(seed)
    raw = rng.normal(0.0, 2e6, 3000) + 3e7 * np.sin(np.arange(3000) * 0.02)
    shear = rng.normal(0.0, 1e6, 3000)
    raw[rng.integers(0, 3000, 25)] = rng.choice([6e8, -9e8, 5e9, 9.99999e8, 9.9999e7], 25)
    shear[rng.integers(0, 3000, 10)] = rng.choice([6e8, -5e9, 9.99999e8], 10)
    raw[1000:1300] = raw[1000]
    raw[2000:2060:2] = 4e8
    return raw, shear


@given(seed=st.integers(0, 20), cuts=st.lists(st.integers(1, 2999), max_size=30))
def test_how_a_series_is_cut_into_messages_changes_no_bit(seed: int, cuts: list[int]) -> None:
    raw, shear = mess(seed)
    whole = seen(raw, shear=shear, unit="kPa", rate_hz=20.0)
    parts = seen(raw, cuts, shear=shear, unit="kPa", rate_hz=20.0)
    assert np.array_equal(whole.stress, parts.stress)
    assert np.array_equal(whole.shear, parts.shear)
    assert whole.found == parts.found
    assert np.array_equal(whole.state.real, parts.state.real)
    assert np.array_equal(whole.state.whole[:, :DOUBT], parts.state.whole[:, :DOUBT])
    assert np.array_equal(whole.state.whole[:, FOUND:], parts.state.whole[:, FOUND:])
    assert {"null", "range", "spike", "stuck"} <= whole.found.keys()


def test_sample_by_sample_is_the_same_as_at_once() -> None:
    raw, shear = mess(7)
    whole, parts = (seen(raw, cuts, shear=shear) for cuts in ((), range(1, 3000)))
    assert np.array_equal(whole.stress, parts.stress)
    assert whole.found == parts.found


def test_a_real_jump_at_the_end_of_a_message_counts_with_the_next_sample() -> None:
    raw = [*wave(), 1.2e9]
    assert len(seen(raw).stress) == 400
    assert np.array_equal(seen([*raw, 1.1e9], [401]).stress, [*raw, 1.1e9])
    back = seen([*raw, *wave(20)], [401])
    assert np.array_equal(back.stress, [*wave(), *wave(20)])
    assert back.found == {"spike": 1}


def test_what_is_held_when_the_series_breaks_off_is_told_and_nothing_is_compared_across() -> None:
    raw = [*wave(), 1.2e9, 1.1e9, *wave(20)]
    found = seen(raw, gaps=[401])
    assert np.array_equal(found.stress, np.delete(raw, 400))
    assert found.found == {"spike": 1}
    assert channel_status(found.state.whole).set_aside[0] == 1


def test_rows_of_components_do_not_disturb_each_other() -> None:
    raw, _ = mess(3)
    n = len(raw)
    spectrum = Spectrum(
        component="a/b", source="s", boot=0, seq=0, t_ns=0, quantity="stress", cycles=b""
    )
    held = bounds_table([bounds(Gauge(), spectrum)] * 2)
    state, zeros = watch.watch(3), np.zeros(2 * n)
    both = np.concatenate((raw, wave(n)))
    samples = watch.Samples(
        raw=both,
        raw_shear=zeros,
        stress=both,
        shear=zeros,
        offset=np.array([0, n, 2 * n]),
        row=np.array([2, 0]),
        continues=np.array([False, False]),
        rate_hz=np.array([100.0, 100.0]),
    )
    good = watch.accepted(state, samples, held)
    alone = seen(raw, unit="MPa")
    assert np.array_equal(good.stress[: good.offset[1]], alone.stress)
    assert np.array_equal(good.stress[good.offset[1] :], wave(n))
    assert np.array_equal(state.real[2], alone.state.real[0])
    assert not state.whole[1].any()


def reasons(rows: Any, unit: str = "MPa", factor: float = 1.0, **gauge: Any) -> list[str]:
    """What is said of each row (range, mean) [Pa] or [m/m] of a spectrum."""
    spans, means = np.array(rows, float).T
    spectrum = Spectrum(
        component="a/b",
        source="s",
        boot=0,
        seq=0,
        t_ns=0,
        quantity="strain" if unit.endswith("/m") else "stress",
        cycles=b"",
        unit=unit,
    )
    held = bounds_table([bounds(Gauge(**gauge), spectrum)])
    peak = factor * (np.abs(means) + spans / 2)
    index = np.zeros(len(spans), int)
    found = judged(SpectrumRows(spans, means, peak, 0.0 * peak), held._replace(which=index))
    return ["" if why < 0 else REASONS[why] for why in found]


@pytest.mark.parametrize(("mean", "found"), [(0.9e9, ""), (1e9, ""), (1.1e9, "range")])
def test_a_row_whose_peak_no_part_bears_is_set_aside(mean: float, found: str) -> None:
    for sign in (1.0, -1.0):
        assert reasons([(2e9, sign * mean), (1e8, 0.0)]) == [found, ""]


def test_a_row_of_null_codes_is_set_aside() -> None:
    rows = [(9.999e-3, 0.0), (1e-4, -9.999e-3), (1e-4, 1e-4)]
    assert reasons(rows, "um/m", 7e10) == ["null", "null", ""]


def test_a_row_at_a_rail_or_beyond_what_a_gauge_reaches_is_set_aside() -> None:
    assert reasons([(0.1, 0.01), (0.01, 0.0)], "um/m", 1e9) == ["range", ""]
    assert reasons([(1e8, 5e7), (1e8, 4e7)], rail=1e8) == ["rail", ""]


@pytest.mark.parametrize("name", ["reference_strain_100hz.csv", "settlement_1_strain_100hz.csv"])
def test_a_real_bridge_loses_nothing(data: Path, name: str) -> None:
    """Strain of a steel test bridge at 100 Hz; quantised, drifting, with a real noise floor."""
    path = data / "munich_bridge" / name
    if not path.exists():
        pytest.skip(f"no {path}")
    with path.open() as file:
        raw = np.array([float(row[1]) for row in list(csv.reader(file))[1:]]) / 1e6
    found = seen(raw, unit="um/m", factor=E)
    assert np.array_equal(found.stress, raw * E)
    assert found.found == {}


@pytest.mark.parametrize("k", range(1, 7))
def test_real_flight_sequences_lose_nothing(data: Path, k: int) -> None:
    path = data / "easigrow" / f"rainflow-seq{k}.txt"
    if not path.exists():
        pytest.skip(f"no {path}")
    raw = np.loadtxt(path)
    raw *= 4e8 / np.abs(raw).max()
    found = seen(raw)
    assert np.array_equal(found.stress, raw)
    assert found.found == {}


@pytest.mark.parametrize("code", [6999.0, -7999.0, 99999.0])
def test_pairs_of_codes_of_loggers_are_set_aside(code: float) -> None:
    raw = wave() / E
    raw[[30, 31]] = code * 1e-6
    assert aside(raw, [30, 31], unit="um/m", factor=E)


WORDS = [9999.0, -99999.99, 999999.0, 6999.0, 3.4e38, -9.97e36, 1e30, 1e39, 1e29, 9998.0, 1e4, 2e39]


@pytest.mark.parametrize("unit", ["Pa", "kPa", "MPa", "ksi", "um/m", "m/m"])
@pytest.mark.parametrize("word", WORDS)
def test_door_watch_and_spectra_judge_null_codes_alike(word: float, unit: str) -> None:
    """A fill value like 3.4e38 was a code to the door and out of range to the watch."""
    is_code = bool(missing(np.abs(np.array([word])), NULL_CODES)[0])
    quantity, scale = load_unit(unit)
    si, strain = scale.si(word), quantity == "strain"
    found = seen(np.array([0.0, si, 0.0]), unit=unit, factor=E if strain else 1.0).found
    assert (found.get("null", 0) == 1) is is_code
    assert (reasons([(1e-5, si)], unit, E if strain else 1.0) == ["null"]) is is_code
    key = {"source": "s", "boot": 1, "seq": 0, "time": "2026-01-01T00:00:00Z", "unit": unit}
    load = msgspec.json.encode({**key, "rate_hz": 1.0, "tension": [0.0, word]})
    if is_code or abs(si) <= Limits().largest(quantity):
        assert decode("twin/v1/a/b/load", load).unit == unit  # type: ignore[union-attr]
        return
    with pytest.raises(MalformedError, match="is the unit right"):
        decode("twin/v1/a/b/load", load)


def test_a_gauge_without_null_codes_has_none() -> None:
    raw = [0.0, 9.999e9, 0.0, 3.4e38, 0.0]
    assert seen(raw, unit="MPa", gauge=Gauge(null_codes=())).found == {"range": 2}
