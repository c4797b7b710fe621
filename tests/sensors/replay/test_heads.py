"""Files as people and loggers write them: understood where only one thing can be meant."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sensors.errors import MalformedError
from sensors.observation import Series
from sensors.payload.decode import decode
from sensors.replay.reader import START_NS, Replay, ReplayOptions, opened

T0_NS = 1_646_670_915 * 10**9  # 2022-03-07T16:35:15Z
ROWS = "0,1\n0.5,3\n1.0,2\n"


def replay(tmp_path: Path, text: str | bytes, **options: Any) -> Replay:
    path = tmp_path / "recorded.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return opened(path, ReplayOptions(**options))


def series(tmp_path: Path, text: str | bytes, **options: Any) -> list[Series]:
    found = [decode(*timed.message) for timed in replay(tmp_path, text, **options).messages]
    return [o for o in found if isinstance(o, Series)]


def values(found: list[Series]) -> list[float]:
    return [float(v) for o in found for v in np.frombuffer(o.tension)]


def refused(tmp_path: Path, text: str | bytes, **options: Any) -> str:
    with pytest.raises(MalformedError) as caught:
        list(replay(tmp_path, text, **options).messages)
    assert caught.value.reason == "file"
    return str(caught.value)


@pytest.mark.parametrize(
    ("gauge", "factor", "quantity"),
    [
        ("stress [MPa]", 1e6, "stress"),
        ("stress (MPa)", 1e6, "stress"),
        ("\N{GREEK SMALL LETTER SIGMA} (MPa)", 1e6, "stress"),
        ("Spannung / MPa", 1e6, "stress"),
        ("stress_MPa", 1e6, "stress"),
        ("stress MPa", 1e6, "stress"),
        ("S1 [N/mm\N{SUPERSCRIPT TWO}]", 1e6, "stress"),
        ("S1 [N/mm^2]", 1e6, "stress"),
        ("S1 (ksi)", 6.894757293168361e6, "stress"),
        ("\N{MICRO SIGN}\N{GREEK SMALL LETTER EPSILON}", 1e-6, "strain"),
        ("\N{GREEK SMALL LETTER MU}\N{GREEK SMALL LETTER EPSILON}", 1e-6, "strain"),
        ("DMS 1 (\N{MICRO SIGN}m/m)", 1e-6, "strain"),
        ("Dehnung/\N{MICRO SIGN}m/m", 1e-6, "strain"),
        ("strain [ue]", 1e-6, "strain"),
        ("microstrain", 1e-6, "strain"),
        ("strain (m/m)", 1.0, "strain"),
    ],
)
def test_a_unit_may_stand_in_any_way_that_means_one_thing(
    tmp_path: Path, gauge: str, factor: float, quantity: str
) -> None:
    (found,) = series(tmp_path, f"t [s],{gauge}\n{ROWS}")
    assert (found.quantity, found.rate_hz) == (quantity, 2.0)
    assert values([found]) == pytest.approx([factor, 3 * factor, 2 * factor])


@pytest.mark.parametrize(
    ("name", "every"),
    [
        ("t [s]", 0.5),
        ("Time (s)", 0.5),
        ("time_s", 0.5),
        ("Zeit / s", 0.5),
        ("TIME", 0.5),
        ("Time [ms]", 0.5e-3),
        ("elapsed time [min]", 30.0),
    ],
)
def test_a_time_says_what_it_counts(tmp_path: Path, name: str, every: float) -> None:
    (found,) = series(tmp_path, f"{name},a (MPa)\n{ROWS}")
    assert found.t_ns == START_NS
    assert found.rate_hz == pytest.approx(1 / every, rel=1e-5)


def test_the_time_need_not_come_first_and_a_temperature_is_none(tmp_path: Path) -> None:
    (found,) = series(tmp_path, "T (degC),a (MPa),t [s]\n20,1,0\n20,3,0.5\n20,2,1\n")
    assert (found.t_ns, found.rate_hz, found.source) == (START_NS, 2.0, "a")


@pytest.mark.parametrize(
    "text",
    [
        "t [s];a (MPa)\r\n0,0;1,5\r\n0,5;3\r\n1,0;2,5\r\n",
        "t [s]\ta (MPa)\n0,0\t1,5\n0,5\t3\n1,0\t2,5\n",
        "t [s]\ta (MPa)\n0.0\t1.5\n0.5\t3\n1.0\t2.5\n",
        "\ufefft [s];a (MPa)\n0;1,5\n0,5;3\n1;2,5\n",
        "sep=;\nt [s];a (MPa)\n0;1,5\n0,5;3\n1;2,5\n",
        "# logger 7\n% 2022\n// x\nt [s],a (MPa)\n0,1.5\n# a note\n0.5,3\n1,2.5\n",
        "# logger 7\n# t [s],a (MPa)\n0,1.5\n0.5,3\n1,2.5\n",
        "t;a\ns;MPa\n0;1,5\n0,5;3\n1;2,5\n",
        "t [s],a (MPa)\n0,1.5\n\n0.5,3\n,\n1,2.5\n",
        "t [s],a (MPa)\n0,1.5\n0.5,3\n1,2.5\n".encode("utf-16"),
        "t [s],a (MPa)\r0,1.5\r0.5,3\r1,2.5\r",
    ],
)
def test_separators_decimals_marks_and_comments_are_understood(
    tmp_path: Path, text: str | bytes
) -> None:
    found = series(tmp_path, text)
    assert values(found) == [1.5e6, 3e6, 2.5e6]
    assert found[0].rate_hz == 2.0


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("timestamp", "1646670915", "1646670915.5"),
        ("timestamp", "1646670915000", "1646670915500"),
        ("timestamp", "1646670915000000", "1646670915500000"),
        ("timestamp", "1646670915000000000", "1646670915500000000"),
        ("Time (ms)", "1646670915000", "1646670915500"),
        ("time [\N{MICRO SIGN}s]", "1646670915000000", "1646670915500000"),
        ("time", "2022-03-07T16:35:15Z", "2022-03-07T16:35:15.5Z"),
        ("time", "2022-03-07T17:35:15+01:00", "2022-03-07T17:35:15.5+0100"),
        ("time", "2022-03-07 17:35:15 +01:00", "2022-03-07 17:35:15.5 +01:00"),
        ("time", "2022-03-07 16:35:15 UTC", "2022-03-07 16:35:15.500000000 UTC"),
        ("Time (UTC)", "2022/03/07 16:35:15", "2022/03/07 16:35:15.5"),
        ("Zeitstempel", "07.03.2022 16:35:15", "07.03.2022 16:35:15.5"),
    ],
)
def test_times_since_1970_and_dates_are_understood(
    tmp_path: Path, name: str, first: str, second: str
) -> None:
    (found,) = series(tmp_path, f"{name},a (MPa)\n{first},1\n{second},2\n")
    assert (found.t_ns, found.rate_hz) == (T0_NS, 2.0)


@pytest.mark.parametrize("head", ["Date;Time;a (MPa)", "Datum;Uhrzeit;a (MPa)"])
def test_dates_and_times_of_day_may_stand_apart(tmp_path: Path, head: str) -> None:
    """Midnight of the day was the time of all rows, or it "had no date"."""
    rows = [("07.03.2022", "16:35:15,0", "1"), ("07.03.2022", "16:35:15,5", "2")]
    orders = {0: (0, 1, 2), 1: (1, 0, 2)}
    for order in orders.values():
        lines = [";".join(np.array(row)[list(order)]) for row in (head.split(";"), *rows)]
        (found,) = series(tmp_path, "\n".join(lines))
        assert (found.t_ns, found.rate_hz) == (T0_NS, 2.0)


def test_all_nine_decimals_of_a_second_count(tmp_path: Path) -> None:
    stamps = ("2022-03-07T16:35:15.000000001Z", "2022-03-07T16:35:15.000500001Z")
    (found,) = series(tmp_path, "time,a (MPa)\n" + "".join(f"{s},1\n" for s in stamps))
    assert (found.t_ns, found.rate_hz) == (T0_NS + 1, 2000.0)


def test_without_times_the_rate_is_the_stated_one(tmp_path: Path) -> None:
    text = "stress (MPa)\n1\n3\n2\n"
    (found,) = series(tmp_path, text, rate_hz=50.0)
    assert (found.t_ns, found.rate_hz, values([found])) == (START_NS, 50.0, [1e6, 3e6, 2e6])
    assert "line 1: no column of 'stress (MPa)' is a time" in refused(tmp_path, text)
    assert "(--rate)" in refused(tmp_path, text)


def test_gauges_of_greek_names_are_sources_of_their_own(tmp_path: Path) -> None:
    text = "t,σ (MPa),ε (µε)\n0,1,2\n1,3,4\n"
    assert replay(tmp_path, text).gauges == ["σ", "ε"]
    sources = [series(tmp_path, text, gauge=g)[0].source for g in ("σ", "ε", "σ (MPa)")]
    assert sources == ["sigma", "epsilon", "sigma"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "time,a\n0,1\n",
            ["line 1: 'time,a' is not the head", "no column has a unit", "'a (um/m)'"],
        ),
        ("time,a [mpa]\n0,1\n", ["line 1", "column 2 ('a [mpa]')", "is MPa meant?"]),
        ("time (d),a (MPa)\n0,1\n", ["line 1: 'time (d)' is no time in s, ms"]),
        ("time (CET),a (MPa)\n2022-03-07 10:00,1\n", ["line 1: 'time (CET)' is no time in s, ms"]),
        ("1,5\n2,5\n", ["line 1", "a row of 2 numbers", "a decimal comma needs semicolons"]),
        ("t,a (MPa),a (MPa)\n0,1,2\n", ["line 1: columns 2 and 3 are both called 'a'"]),
        ("t,a (MPa)\n0,1\n1,12.3.4\n", ["line 3: sample is '12.3.4'", "column 2 ('a (MPa)')"]),
        ("t;a (MPa)\n0;1,5\n1;2.5\n", ["line 3: '2.5' in column 2 ('a (MPa)')", "'1,5' in line 2"]),
        ("t;a (MPa)\n0;1.234,5\n", ["line 2: sample is '1.234,5'", "separators of thousands"]),
        ("t\ta (MPa)\n0\t1,234\n1\t2,345\n", ["line 2: '1,234' in column 2", "of thousands"]),
        ('t,a (MPa)\n0,"1,5"\n', ["line 2: sample is '1,5'", "write a decimal point"]),
        ("t,a (MPa)\n03/07/2022 10:00,1\n", ["line 2: time", "its day or its month", "column 1"]),
        ("t,a (MPa)\n10:00:01,1\n", ["line 2: time '10:00:01'", "it has no date", "accepted:"]),
        ("t,a (MPa)\n2022-03-07 04:00 PM,1\n", ["line 2: time", "write hours of 24"]),
        ("t,a (MPa)\n0,1\n1\n", ["line 3: 1 cells, none in column 2"]),
        ("t,a (MPa)\n0,1\n2,1\n1,1\n", ["line 4: the time does not rise"]),
        ("t,a (MPa)\n0,1\n1,inf\n", ["line 3: sample is 'inf': not finite (column 2"]),
        (b"t,a (\xb5m/m)\n0,1\n", ["line 1: this is not UTF-8", "0xb5", "save the file as UTF-8"]),
        (b"\x1f\x8b\x08\0abc", ["line 1", "compressed (gzip)"]),
        (b"PK\x03\x04abc", ["line 1", "a workbook"]),
        (b"\x89PNG\r\n", ["a picture"]),
        (b"a\0b\n", ["zero bytes"]),
        ("t,a (MPa)\n0,1_000\n", ["line 2: sample is '1_000': not a number"]),
        ("t,a (MPa)\n0,1\n1,1e13\n", ["line 3: sample is '1e13': beyond ±1e+12 Pa", "column 2"]),
        ("t [us],a (MPa)\n0,1\n0.1,2\n", ["line 1: by its times the rate is 1e+07", "column 1"]),
        ("t,a (MPa)\n20220307,1\n", ["line 2: time '20220307'", "is it a date?"]),
        ("Date,a (MPa)\n44627.5,1\n", ["line 2: time '44627.5'", "a date of Excel?"]),
        ("t,a (MPa)\n2022-03-07,1\n1,1\n", ["line 3: time '1'", "the rows before have dates"]),
        ("t,a (MPa)\n0,1\n2022-03-07,1\n", ["line 3: time", "the rows before have numbers"]),
        ("0.1 0.2 0.3\n", ["line 1", "separated by spaces"]),
        ('{"a": 1}\n', ["line 1", "looks like JSON"]),
        ("", ["the file is empty"]),
    ],
)
def test_what_may_mean_two_things_is_refused_by_line_and_column(
    tmp_path: Path, text: str | bytes, said: list[str]
) -> None:
    sentence = refused(tmp_path, text)
    assert sentence.startswith("recorded.csv, line ")
    assert [words for words in said if words not in sentence] == []


def test_hours_since_the_start_stay_so_for_years(tmp_path: Path) -> None:
    """After three years they were taken as counted since 1970."""
    (found,) = series(tmp_path, "t [h],a (MPa)\n0,1\n20000,2\n40000,3\n")
    assert found.t_ns == START_NS
    assert found.rate_hz == pytest.approx(1 / 7.2e7, rel=1e-5)


def test_a_null_code_goes_to_the_twin_as_it_is(tmp_path: Path) -> None:
    (found,) = series(tmp_path, "t,a (MPa)\n0,1\n1,9999999\n2,1\n")
    assert values([found])[1] == 9999999e6


def test_a_decimal_comma_between_tabs_is_told_by_another_cell(tmp_path: Path) -> None:
    found = series(tmp_path, "t\ta (MPa)\n0\t1,234\n1\t0,345\n")
    assert values(found) == [1.234e6, 0.345e6]


@pytest.mark.parametrize("hole", ["", "NaN", "n/a", "NULL", "-"])
def test_a_cell_that_says_that_nothing_was_measured_parts_the_series(
    tmp_path: Path, hole: str
) -> None:
    found = series(tmp_path, f"t;a (MPa)\n0;1\n1;2\n2;{hole}\n3;4\n4;5\n")
    assert [values([o]) for o in found] == [[1e6, 2e6], [4e6, 5e6]]


def test_a_directory_is_no_recording(tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match="cannot be read: it is no file"):
        opened(tmp_path, ReplayOptions())


def test_a_pipe_does_not_hold_up_a_replay(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(MalformedError, match="cannot be read: it is no file"):
        opened(tmp_path / "pipe", ReplayOptions())


def test_a_line_without_end_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "endless.csv"
    with path.open("wb") as file:
        file.write(b"#" * 600 + b"\nt,a (MPa)\n1,")
        file.truncate(10**9)  # sparse: zero bytes to the end
    with pytest.raises(MalformedError, match="line 3: more than 65536 characters"):
        list(opened(path, ReplayOptions()).messages)


KINDS = {"munich_bridge": "strain", "easigrow": "sequence"}


def kind(path: Path) -> str:
    """What a file is replayed as, or the sentence that refuses it."""
    try:
        found = opened(path, ReplayOptions())
        next(found.messages)
    except MalformedError as exc:
        return str(exc)
    return found.kind


def test_every_shared_file_is_replayed_or_refused_by_a_sentence(data: Path) -> None:
    """All but `virkler`, for which see `test_thirty_four_real_specimens_are_replayed_whole`."""
    for path in sorted(data.glob("*/*")):
        folder = path.parent.name
        if folder in KINDS and path.suffix in (".csv", ".txt"):
            assert kind(path) == KINDS[folder]
        elif folder != "virkler":
            assert re.match(rf"{re.escape(path.name)}, line \d+: .*", kind(path))


def test_the_examples_of_the_documentation_are_understood(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "replay.md").read_text()
    first, second = re.findall(r"```\n(.*?)```", text, re.DOTALL)
    for example, unit in ((first, 1e6), (second, 1e-6)):
        (found,) = series(tmp_path, example)
        assert values([found]) == pytest.approx([12.5 * unit, 13.1 * unit])
        assert found.rate_hz == 100.0
