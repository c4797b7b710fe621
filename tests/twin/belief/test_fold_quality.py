"""What no gauge can mean is set aside in the fold, kept in the journal, and told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sensors.payload.decode import decode
from sensors.payload.encode import load_message, spectrum_message
from sensors.quality import ASIDE, REASONS
from tests.twin.belief.test_fold import assert_same, state
from tests.twin.fakes import PRESS, REGISTRATION, House, house
from tests.twin.fleets import CLOCK, component, fleet, series, spectrum
from twin.belief.fleet import Fleet
from twin.belief.fold import Folded, folded
from twin.belief.segments import Line, Note
from twin.component import parsed

NAME = "plant/press-1"
E = 2.07e11  # [Pa]
NICKEL: dict[str, Any] = {
    "law": None,
    "material": "nickel",
    "geometry": {"kind": "edge_crack", "W": 0.1},
    "crack_length": 0.002,
    "crack_limit": 0.03,
    "calibration": {"youngs_modulus": E},
}


def strain(seq: int, microstrain: Any, at_s: float = 0.0, **changes: Any) -> Line:
    """A series as it comes from the wire [µm/m]."""
    line = series(seq, np.asarray(microstrain, float) / 1e6, at_s, quantity="strain", **changes)
    return Line(line.component, decode(*load_message(line.what, unit="um/m")))  # type: ignore[arg-type]


def told(lines: list[Line], **changes: Any) -> Folded:
    return folded(fleet(component(**(NICKEL | changes))), lines, CLOCK)


def notes(result: Folded) -> list[tuple[Any, Any, Any]]:
    return [(n.data["reason"], n.data["count"], n.data["value"]) for n in result.notes
            if n.kind == "quality"]  # fmt: skip  # two lines


def same_crack(one: Fleet, other: Fleet) -> bool:
    a, b = state(one, NAME), state(other, NAME)
    counters = zip(a.counter, b.counter, strict=True)
    return float(a.a) == float(b.a) and all(x.equal(y) for x, y in counters)


def test_null_codes_do_not_break_a_part() -> None:
    good = np.tile([150.0, -150.0], 50)
    bad = np.insert(good, [31, 32], 999999.0)
    one, other = told([strain(0, bad)]), told([strain(0, good)])
    assert same_crack(one.fleet, other.fleet)
    assert float(state(one.fleet, NAME).a) == pytest.approx(2.00001e-3, abs=5e-9)
    assert not bool(state(one.fleet, NAME).fractured)
    assert notes(one) == [("null", 2, 999999.0)]
    assert [note.data["unit"] for note in one.notes] == ["um/m"]
    assert notes(other) == []


@pytest.mark.parametrize("code", [999999.0, 99999.0, -99999.0, 60000.0, -20000.0, 8000.0])
def test_what_no_gauge_means_changes_no_belief_wherever_it_stands(code: float) -> None:
    good = 150.0 * np.sin(np.arange(3000) * 0.1)
    bad = np.insert(good, [40, 1000, 2000], code)
    assert same_crack(told([strain(0, bad)]).fleet, told([strain(0, good)]).fleet)


def test_a_channel_of_nothing_but_null_codes_is_no_evidence() -> None:
    result = told([strain(0, np.full(500, 999999.0))])
    crack = state(result.fleet, NAME)
    assert (float(crack.a), int(crack.t_ns)) == (0.002, 0)
    assert notes(result) == [("null", 500, 999999.0)]


def test_what_is_set_aside_moves_no_times() -> None:
    good = 150.0 * np.sin(np.arange(300) * 0.3)
    bad = good.copy()
    bad[50:80] = 999999.0
    parts = [strain(i, bad[100 * i : 100 * i + 100], float(i)) for i in range(3)]
    one, other = (state(told(lines).fleet, NAME)
                  for lines in (parts, [strain(0, np.delete(good, range(50, 80)))]))  # fmt: skip
    turns = (state.counter._replace(mark=state.counter.mark[:0]) for state in (one, other))
    assert all(x.equal(y) for x, y in zip(*turns, strict=True))
    assert float(one.a) == pytest.approx(float(other.a), rel=1e-14)


def test_rows_of_a_spectrum_that_no_part_bears_are_set_aside() -> None:
    rows = [[1e8, 5e7, 100.0], [4e8, 1.9e9, 3.0], [9.999e9, 0.0, 1.0], [2e7, 1e7, 50.0]]
    message = spectrum_message(spectrum(0, cycles=rows).what, unit="MPa")  # type: ignore[arg-type]
    bad = Line(NAME, decode(*message))
    one, other = told([bad]), told([spectrum(0, cycles=[rows[0], rows[3]])])
    assert same_crack(one.fleet, other.fleet)
    assert notes(one) == [("null", 1, 9999.0), ("range", 1, 1900.0)]


def test_a_stress_is_checked_after_calibration() -> None:
    calibration = {"gain": 30.0, "youngs_modulus": E}
    good = np.tile([150.0, -150.0], 100)
    bad = np.insert(good, 30, 400.0)  # 2.5 GPa
    one, other = (told([strain(0, x)], calibration=calibration) for x in (bad, good))
    assert same_crack(one.fleet, other.fleet)
    assert notes(one) == [("range", 1, 400.0)]
    bearing = told([strain(0, bad)], calibration=calibration, gauge={"max_stress": 2.6e9})
    assert notes(bearing) == []
    assert bool(state(bearing.fleet, NAME).fractured) or float(state(bearing.fleet, NAME).a) > 0.002


def test_real_overloads_are_no_spikes() -> None:
    load = np.concatenate([np.tile([0.0, 6e7], 1000), [0.0, 1.5e8], np.tile([0.0, 6e7], 1000)])
    counted = [[6e7, 3e7, 1999.0], [1.5e8, 7.5e7, 1.0]]
    by_series = told([series(0, load), series(5, [0.0, 1.0], 99.0)])
    by_spectrum = told([spectrum(0, cycles=counted)])
    grown = [float(state(value.fleet, NAME).a) - 0.002 for value in (by_series, by_spectrum)]
    assert grown[0] == pytest.approx(grown[1], rel=1e-3)
    assert notes(by_series) == []


def stream(seed: int) -> list[Line]:
    """Good and bad samples, spectra, gaps and a change, of two parts."""
    rng = np.random.default_rng(seed)
    lines: list[Line] = []
    for i in range(24):
        name = f"plant/press-{1 + i % 2}"
        wave = 150.0 * np.sin(np.arange(50) * 0.4 + i) + rng.normal(0.0, 1.0, 50)
        wave[rng.integers(0, 50, 2)] = rng.choice([999999.0, 7000.0, 30000.0, -7000.0], 2)
        wave[-1] = 7000.0 if i % 5 == 0 else wave[-1]
        seq = i // 2 + (i > 15)  # a gap
        lines.append(strain(seq, wave, 0.5 * (i // 2), name=name))
        if i == 9:
            lines.append(spectrum(99, 5.0, name, [[4e8, 1.9e9, 3.0], [1e8, 5e7, 10.0]]))
        if i == 12:
            lines.append(Line(name, component(name, 2, **(NICKEL | {"crack_limit": 0.02}))))
    return lines


@given(cuts=st.lists(st.integers(0, 26), max_size=8), seed=st.integers(0, 3))
@hypothesis_settings(max_examples=6, deadline=None)
def test_how_the_journal_is_cut_into_batches_changes_no_bit(cuts: list[int], seed: int) -> None:
    both = fleet(component(**NICKEL), component("plant/press-2", **NICKEL))
    lines = stream(seed)
    whole = folded(both, lines, CLOCK)
    value, heard = both, list[Note]()
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(lines)], strict=True):
        part = folded(value, lines[start:end], CLOCK)
        value, heard = part.fleet, heard + part.notes
    assert_same(value, whole.fleet)
    assert sorted(map(str, heard)) == sorted(map(str, whole.notes))
    assert {"null", "spike"} <= {note.data.get("reason") for note in whole.notes}


def test_a_load_that_is_left_out_as_a_whole_leaves_the_watch_as_it_was() -> None:
    lines = [series(0, [0.0, 1e8, 0.0]), series(1, [1e8, np.inf, 9e9], 0.03)]
    result = told(lines)
    assert [note.kind for note in result.notes] == ["implausible"]
    assert_same(result.fleet.__class__(**fields(told(lines[:1]).fleet, result.fleet)), result.fleet)


def fields(value: Fleet, other: Fleet) -> dict[str, Any]:
    """The parts of a fleet, with the counts of lines of another."""
    names = ("sections", "components", "members", "rows", "recorded_ns")
    return {name: getattr(value, name) for name in names} | {
        "offset": other.offset,
        "watermark_ns": other.watermark_ns,
    }


@pytest.mark.parametrize(
    "gauge", [{"max_stress": 0.0}, {"rail": -1.0}, {"clip_samples": 1}, {"unknown": 1}]
)
def test_a_gauge_that_means_nothing_is_refused(gauge: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="gauge"):
        parsed({**NICKEL, "gauge": gauge})


async def test_what_was_set_aside_is_told_by_state_events_and_metrics(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        await home.samples(PRESS, *([0.0, 5e7] * 50))
        fresh = (await home.json(f"components/{PRESS}/state"))["quality"]
        await home.samples(PRESS, 0.0, 9e9, 5e7, 8e9)
        doubtful = (await home.json(f"components/{PRESS}"))["state"]["quality"]
        (event,) = [e for e in home.service.news.events.since(0)[0] if e.kind == "quality"]
        page = (await home.http.get("/metrics")).text
        await home.samples(PRESS, 0.0, 5e7)
        after = (await home.json(f"components/{PRESS}/state"))["quality"]
    nothing: dict[str, Any] = {
        "doubtful": False,
        "reasons": [],
        "set_aside": 0,
        "counts": dict.fromkeys(REASONS, 0),
        "waiting": 0,
        "clipped": False,
        "stuck": False,
    }
    told = {"reasons": ["range"], "set_aside": 2, "counts": nothing["counts"] | {"range": 2}}
    assert fresh == nothing
    assert doubtful == nothing | told | {"doubtful": True}
    assert after == nothing | told
    assert (event.data["reason"], event.data["count"], event.data["value"]) == ("range", 2, 9e9)
    assert 'twin_samples_set_aside_total{reason="range"} 2.0' in page
    assert 'twin_samples_set_aside_total{reason="null"} 0.0' in page
    assert 'twin_quality_findings_total{reason="range"} 1.0' in page


async def test_a_stuck_gauge_is_shown_until_it_moves(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS, gauge={"stuck_samples": 20, "stuck_s": 0.1})
        await home.samples(PRESS, *[5e7] * 50)
        await home.samples(PRESS, *[5e7] * 5)
        stuck = (await home.json(f"components/{PRESS}/state"))["quality"]
        await home.samples(PRESS, 5.1e7)
        moved = (await home.json(f"components/{PRESS}/state"))["quality"]
        events = home.service.news.events.since(0)[0]
        told = [e.data["reason"] for e in events if e.kind == "quality"]
    assert (stuck["stuck"], stuck["doubtful"], stuck["reasons"]) == (True, True, ["stuck"])
    assert (moved["stuck"], moved["doubtful"], moved["reasons"]) == (False, False, [])
    assert moved["counts"]["stuck"] == 1
    assert told == ["stuck"]


async def everywhere(home: House, name: str = PRESS) -> dict[str, Any]:
    """What state, list, metrics and events say of a channel, if they all say the same."""
    quality: dict[str, Any] = (await home.json(f"components/{name}/state"))["quality"]
    (item,) = (await home.json("components"))["items"]
    page = (await home.http.get("/metrics")).text
    gauges = {
        field: float(value)
        for field, value in re.findall(
            r"twin_component_(samples_set_aside|channel_\w+)\{[^}]*\} (\S+)", page
        )
    }
    assert gauges == {
        "samples_set_aside": quality["set_aside"],
        "channel_stuck": quality["stuck"],
        "channel_clipped": quality["clipped"],
    }
    assert item["quality"] == quality
    aside = {why: n for why, n in quality["counts"].items() if why in ASIDE}
    assert sum(aside.values()) == quality["set_aside"]
    for why, n in aside.items():  # since the service started, and the only part
        assert f'twin_samples_set_aside_total{{reason="{why}"}} {float(n)}' in page
    events = [e.data for e in home.service.news.events.since(0)[0] if e.kind == "quality"]
    for why, n in quality["counts"].items():
        counts = [e["count"] for e in events if e["reason"] == why]
        assert sum(count for count in counts if isinstance(count, int)) == n
    return quality


async def test_state_list_metrics_and_events_agree_at_every_instant(tmp_path: Path) -> None:
    """600 set aside with no reasons, and a clipped channel that was told of no more."""
    gauge = {"stuck_samples": 20, "stuck_s": 0.1}
    async with house(tmp_path / "data") as home:
        await home.register(PRESS, gauge=gauge)
        await home.samples(PRESS, *np.tile([1e7, 4e7, 2e7], 40))
        assert (await everywhere(home))["reasons"] == []
        await home.samples(PRESS, *[9.999e9] * 600)
        await home.samples(PRESS, *np.tile([1e7, 4e7, 2e7], 4))
        assert (await everywhere(home))["reasons"] == ["range"]
        await home.samples(PRESS, *np.tile([1e7, 4e7, 2e7], 40), *[9e7] * 10, 1e7)
        await home.samples(PRESS, *np.tile([1e7, 4e7, 2e7], 4))
        clipped = await everywhere(home)
        await home.samples(PRESS, *[5e7] * 30)  # after a gap, as all of them
        await home.load(PRESS, minute=5)
        both = await everywhere(home)
        await home.samples(PRESS, 9.1e7, 1e7)
        whole = await everywhere(home)
    assert (clipped["reasons"], clipped["doubtful"]) == (["range", "clipping"], True)
    assert (both["reasons"], both["doubtful"]) == (["range", "clipping", "stuck"], True)
    assert (whole["reasons"], whole["doubtful"], whole["set_aside"]) == (["range"], False, 600)


async def changed(home: House, **changes: Any) -> None:
    path, body = f"/api/v1/components/{PRESS}", {**REGISTRATION, **changes}
    answer = await home.http.put(path, json=body, headers={"If-Match": "*"})
    assert answer.status_code == 200, answer.text


async def test_a_gauge_that_is_registered_anew_is_judged_anew(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS, gauge={"stuck_samples": 20, "stuck_s": 0.1})
        await home.samples(PRESS, *[5e7] * 50)
        assert (await everywhere(home))["stuck"]
        await changed(home, crack_limit=0.02, gauge={"stuck_samples": 20, "stuck_s": 0.1})
        assert (await everywhere(home))["stuck"]
        await changed(home, gauge={"stuck_samples": None})
        mended = await everywhere(home)
    assert (mended["stuck"], mended["doubtful"]) == (False, False)


def test_a_journal_of_before_is_read_with_its_units_unknown() -> None:
    old = series(0, [0.0, 0.999999, 1e-4], quantity="strain")  # no unit: as in old journals
    assert notes(told([old])) == [("null", 1, 999999.0)]
    assert notes(told([series(0, [0.0, 9999.0, 1e7])])) == []
