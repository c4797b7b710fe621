"""Recorded files become the messages that sensors would have sent."""

import csv
import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from sensors.errors import MalformedError
from sensors.observation import AnyObservation, Inspection, Series, Spectrum
from sensors.payload.decode import decode
from sensors.replay.file import LONGEST
from sensors.replay.reader import START_NS, Kind, Replay, ReplayOptions, detected, opened
from sensors.replay.specimens import COEFFICIENT, EXPONENT, STRESS_RANGE, WIDTH
from sensors.replay.table import Columns
from sensors.timed import Timed

SECOND_NS = 1_000_000_000
SPECIMENS = "a_mm,N_01,N_03\n9.0,0.0,0.0\n9.2,100,150\n9.4,180,260\n"
STRAIN = "Time (-),DMS_CN (um\\m),T (degC)\n"
TABLE = (
    "component,time,range,mean,count,unit\n"
    "plant-a/press-1,2026-01-01T00:00:01Z,100,50,20,MPa\n"
    "plant-a/press-1,2026-01-01T00:00:01Z,60,30,400,MPa\n"
    "plant-a/press-2,2026-01-01T00:00:01Z,10,5,7,ksi\n"
    "plant-a/press-1,2026-01-01T00:00:02Z,100,50,21,MPa\n"
)


def ksi(value: float) -> float:
    return value * 6.894757293168361e6


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "recorded.csv"
    path.write_text(text, encoding="utf-8")
    return path


def read(timed: Timed) -> AnyObservation:
    message = timed.message
    return decode(message.topic, message.payload, message.content_type, message.properties)


def observations(replay: Replay) -> list[AnyObservation]:
    return [read(timed) for timed in replay.messages]


def samples(series: Series) -> np.ndarray:
    return np.frombuffer(series.tension)


def rows(spectrum: Spectrum) -> list[list[float]]:
    found: list[list[float]] = np.frombuffer(spectrum.cycles).reshape(-1, 3).tolist()
    return found


def strain_rows(times_ms: Sequence[int], values: Sequence[object]) -> str:
    stamps = (f"2022-03-07 16:35:{ms // 1000:02d}.{ms % 1000:03d}" for ms in times_ms)
    return STRAIN + "".join(f"{s},{v},20\n" for s, v in zip(stamps, values, strict=True))


def strain(tmp_path: Path, text: str, **options: object) -> list[Series]:
    chosen = ReplayOptions(**options)  # type: ignore[arg-type]  # named in each test
    found = observations(opened(written(tmp_path, text), chosen))
    return [o for o in found if isinstance(o, Series)]


# --- which reader -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (SPECIMENS, "virkler"),
        (STRAIN, "strain"),
        (STRAIN.replace("\\", "/"), "strain"),
        ("0.5\n1.0\n", "sequence"),
        ("\r\n-1e-3\r\n1\r\n", "sequence"),
        (TABLE, "table"),
        ("\ufeff" + TABLE, "table"),
        ("time,component,crack_length\n", "table"),
    ],
)
def test_a_reader_is_found_by_the_first_line(tmp_path: Path, text: str, kind: Kind) -> None:
    assert detected(written(tmp_path, text)) == kind


@pytest.mark.parametrize(
    "text", ["", "hello\n", "a,b\n1,2\n", "Time,DMS\n", "time (-),T (degC)\n", "a_mm\n9\n"]
)
def test_a_file_that_no_reader_fits_is_refused_by_a_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(MalformedError, match=r"recorded\.csv, line 1: .* is not the head of"):
        detected(written(tmp_path, text))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match=r"absent\.csv cannot be read: No such file"):
        detected(tmp_path / "absent.csv")


def test_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "picture.csv"
    path.write_bytes(b"\x89PNG\r\n\xff\xfe")
    with pytest.raises(MalformedError, match="line 1: this is not UTF-8"):
        detected(path)


@pytest.mark.parametrize(("length", "is_refused"), [(0, False), (1, True)])
def test_a_line_may_be_long_but_not_endless(tmp_path: Path, length: int, is_refused: bool) -> None:
    path = written(tmp_path, "1".ljust(LONGEST - 1 + length) + "\n")
    if not is_refused:
        assert detected(path) == "sequence"
        return
    with pytest.raises(MalformedError, match="more than 65536 characters"):
        detected(path)


def test_a_named_reader_goes_before_the_one_that_fits(tmp_path: Path) -> None:
    path = written(tmp_path, TABLE)
    with pytest.raises(MalformedError, match="are not a_mm, N_01"):
        opened(path, ReplayOptions(), "virkler")


# --- specimens --------------------------------------------------------------------------------


def test_specimens_become_cycles_and_the_lengths_after_them(tmp_path: Path) -> None:
    replay = opened(written(tmp_path, SPECIMENS), ReplayOptions(start_ns=0))
    first = [o for o in observations(replay) if o.component == "virkler/n-01"]
    lengths = [o for o in first if isinstance(o, Inspection)]
    spectra = [o for o in first if isinstance(o, Spectrum)]
    assert [o.crack_length for o in lengths] == [0.009, 0.0092, 0.0094]
    assert [o.t_ns for o in lengths] == [0, 5 * SECOND_NS, 9 * SECOND_NS]  # at 20 Hz
    mean = pytest.approx(36.21e6)  # R = 0.2
    assert [rows(o) for o in spectra] == [[[48.28e6, mean, 100.0]], [[48.28e6, mean, 80.0]]]
    assert [type(o) for o in first[:3]] == [Inspection, Spectrum, Inspection]


def test_specimens_are_told_in_the_order_of_time(tmp_path: Path) -> None:
    due = [t.t_ns for t in opened(written(tmp_path, SPECIMENS), ReplayOptions()).messages]
    assert due == sorted(due)
    assert due[0] == START_NS


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (SPECIMENS.replace("180", "x"), "line 4: N_01 is 'x': not a number"),
        (SPECIMENS.replace("180", "nan"), "line 4: N_01 is 'nan': not finite"),
        (SPECIMENS.replace("180", "100"), "line 4: N_01 is 100.0, not more than 100.0 before"),
        (SPECIMENS.replace("9.4", "9.1"), "line 4: a_mm is 9.1, not more than 9.2 before"),
        (SPECIMENS.replace("180,260", "180"), "line 4: 2 cells under 3 columns"),
        ("a_mm,N_01\n9.0,0\n", "line 2: a specimen needs two lengths"),
        ("a_mm,N_01\n", "line 1: a specimen needs two lengths"),
    ],
)
def test_a_damaged_table_of_specimens_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(MalformedError, match=sentence):
        opened(written(tmp_path, text), ReplayOptions())


def test_thirty_four_real_specimens_are_replayed_whole(data: Path) -> None:
    path = data / "virkler" / "virkler_shared_odd34.csv"
    replay = opened(path, ReplayOptions())
    found = observations(replay)
    cycles: dict[str, float] = defaultdict(float)
    for o in found:
        if isinstance(o, Spectrum):
            cycles[o.component] += sum(n for _, _, n in rows(o))
    with path.open(newline="") as file:
        *_, last = csv.reader(file)
    assert replay.kind == "virkler"
    assert len(replay.fleet) == 34
    assert [cycles[table["name"]] for table in replay.fleet] == [float(n) for n in last[1:]]
    assert sum(isinstance(o, Inspection) for o in found) == 34 * 164
    assert {(t["crack_length"], t["crack_limit"]) for t in replay.fleet} == {(0.009, 0.0498)}


def growth(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Half lengths (k,) [m] and cycles (k, n) of a file."""
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    return table[:, 0] / 1e3, table[:, 1:]


def intensity(a: np.ndarray) -> np.ndarray:
    K: np.ndarray = STRESS_RANGE * np.sqrt(math.pi * a / np.cos(math.pi * a / WIDTH))
    return K


def predicted(a_0: float, a_1: float) -> float:
    a = np.linspace(a_0, a_1, 20_001)
    return float(np.trapezoid(1.0 / (COEFFICIENT * intensity(a) ** EXPONENT), a))


def test_the_constants_are_those_that_the_specimens_give(data: Path) -> None:
    a, cycles = growth(data / "virkler" / "virkler_shared_odd34.csv")
    rates = np.diff(a)[:, None] / np.diff(cycles, axis=0)
    x = np.repeat(np.log(intensity((a[1:] + a[:-1]) / 2)), cycles.shape[1])
    m, _ = np.polyfit(x, np.log(rates).ravel(), 1)
    mean = math.exp(np.mean(np.log(cycles[-1])))
    assert pytest.approx(m, rel=1e-4) == EXPONENT
    assert predicted(a[0], a[-1]) == pytest.approx(mean, rel=1e-3)


def test_one_pair_of_constants_foretells_the_lives_of_real_specimens(data: Path) -> None:
    a, cycles = growth(data / "virkler" / "virkler_shared_odd34.csv")
    ratios = predicted(a[0], a[-1]) / cycles[-1]
    assert (abs(ratios - 1.0) <= 0.25).sum() >= 31


# --- strain -----------------------------------------------------------------------------------


def test_strain_is_cut_into_messages_of_a_thousand_samples(tmp_path: Path) -> None:
    text = strain_rows(range(0, 25_000, 10), range(2500))
    series = strain(tmp_path, text, component="bridge/span-1")
    assert [len(samples(s)) for s in series] == [1000, 1000, 500]
    assert np.concatenate([samples(s) for s in series]) == pytest.approx(np.arange(2500) / 1e6)
    assert [s.seq for s in series] == [0, 1, 2]
    first = series[0]
    assert (first.component, first.quantity, first.rate_hz) == ("bridge/span-1", "strain", 100.0)
    moment = datetime(2022, 3, 7, 16, 35, tzinfo=UTC)
    assert first.t_ns == int(moment.timestamp()) * SECOND_NS
    assert series[1].t_ns - first.t_ns == 10 * SECOND_NS


def test_a_series_is_due_when_its_last_sample_is_taken(tmp_path: Path) -> None:
    path = written(tmp_path, strain_rows(range(0, 2000, 10), range(200)))
    for timed in opened(path, ReplayOptions()).messages:
        assert timed.t_ns == read(timed).t_ns + 2 * SECOND_NS


def test_steps_of_nine_and_eleven_milliseconds_are_no_gap(tmp_path: Path) -> None:
    times = list(itertools.accumulate([9, 11] * 100, initial=0))
    assert len(strain(tmp_path, strain_rows(times, range(201)))) == 1


@pytest.mark.parametrize(("step_ms", "messages"), [(29, 1), (30, 1), (31, 2)])
def test_a_step_beyond_three_samples_starts_a_new_message(
    tmp_path: Path, step_ms: int, messages: int
) -> None:
    times = [0, 10, 20, 20 + step_ms, 30 + step_ms]
    series = strain(tmp_path, strain_rows(times, range(5)))
    assert len(series) == messages
    assert (series[-1].t_ns - series[0].t_ns) == (0 if messages == 1 else 51_000_000)


@pytest.mark.parametrize("hole", ["", "nan", "NaN"])
def test_a_missing_sample_starts_a_new_message(tmp_path: Path, hole: str) -> None:
    series = strain(tmp_path, strain_rows([0, 10, 20, 30], [1, 2, hole, 4]))
    assert [samples(s).tolist() for s in series] == [pytest.approx([1e-6, 2e-6]), [4e-6]]


def test_day_and_month_are_swapped_only_on_request(tmp_path: Path) -> None:
    text = STRAIN + "2022-11-04 09:20:05.375,1,2\n"
    (as_written,) = strain(tmp_path, text)
    (swapped,) = strain(tmp_path, text, swap_day_month=True)
    assert datetime.fromtimestamp(as_written.t_ns / 1e9, UTC).date().isoformat() == "2022-11-04"
    assert datetime.fromtimestamp(swapped.t_ns / 1e9, UTC).date().isoformat() == "2022-04-11"


@pytest.mark.parametrize(("day", "is_possible"), [(12, True), (13, False)])
def test_a_day_that_is_no_month_cannot_be_swapped(
    tmp_path: Path, day: int, is_possible: bool
) -> None:
    text = STRAIN + f"2022-03-{day} 09:20:05.375,1,2\n"
    if is_possible:
        assert len(strain(tmp_path, text, swap_day_month=True)) == 1
        return
    with pytest.raises(MalformedError, match="month must be in"):
        strain(tmp_path, text, swap_day_month=True)


def test_a_zone_in_the_file_is_kept(tmp_path: Path) -> None:
    (utc,) = strain(tmp_path, STRAIN + "2022-11-04 09:20:05,1,2\n")
    (zoned,) = strain(tmp_path, STRAIN + "2022-11-04 09:20:05+01:00,1,2\n")
    assert utc.t_ns - zoned.t_ns == 3600 * SECOND_NS


def test_another_gauge_can_be_chosen_by_its_name(tmp_path: Path) -> None:
    text = "Time,A (um/m),B (MPa)\n2022-01-01 00:00:00,1,2\n"
    (series,) = strain(tmp_path, text, gauge="B")
    assert (series.source, series.quantity, samples(series).tolist()) == ("b", "stress", [2e6])
    with pytest.raises(MalformedError, match="are not a time and C with a unit"):
        strain(tmp_path, text, gauge="C")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (STRAIN + "yesterday,1,2\n", "line 2: time 'yesterday' is not a time"),
        (STRAIN + "2022-01-01 00:00:00\n", "line 2: 1 cells, none in column 2"),
        (strain_rows([10, 10], [1, 2]), "line 3: the time does not rise"),
        (strain_rows([10, 0], [1, 2]), "line 3: the time does not rise"),
        (strain_rows([0, 10], [1, "wet"]), "line 3: sample is 'wet': not a number"),
        (strain_rows([0, 10], [1, "inf"]), "line 3: sample is 'inf': not finite"),
    ],
)
def test_damaged_strain_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(MalformedError, match=sentence):
        strain(tmp_path, text)


@pytest.mark.parametrize(("step_ms", "is_refused"), [(10, False), (11, True), (20, True)])
def test_samples_that_belie_a_stated_rate_are_refused(
    tmp_path: Path, step_ms: int, is_refused: bool
) -> None:
    text = strain_rows(range(0, 60 * step_ms, step_ms), range(60))
    if not is_refused:
        assert len(strain(tmp_path, text, rate_hz=100.0)) == 1
        return
    with pytest.raises(MalformedError, match=r"by its times the rate is .* Hz, not 100 Hz"):
        strain(tmp_path, text, rate_hz=100.0)


@pytest.mark.parametrize("rate", [0.0, -1.0, math.inf, math.nan])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="needs a positive rate"):
        ReplayOptions(rate_hz=rate)


@pytest.mark.parametrize("text", [SPECIMENS, TABLE])
def test_a_rate_of_what_has_no_samples_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(MalformedError, match="no samples whose rate could be stated"):
        opened(written(tmp_path, text), ReplayOptions(rate_hz=10.0))


def logged(rate_hz: float, *, n: int = 3000, jitter: float = 0.1, missing: float = 0.0) -> str:
    """A file of a logger whose steps jitter (of a step) and that has lost rows."""
    rng = np.random.default_rng(7)
    times = (np.arange(n) + jitter * rng.uniform(-1.0, 1.0, n)) / rate_hz
    kept = rng.random(n) >= missing
    start = datetime(2022, 3, 7, tzinfo=UTC)
    stamps = [start + timedelta(seconds=float(t)) for t in times]
    return STRAIN + "".join(
        f"{stamp:%Y-%m-%d %H:%M:%S.%f},{i % 9},20\n"
        for i, (stamp, keep) in enumerate(zip(stamps, kept, strict=True))
        if keep
    )


def follows(before: Series, series: Series) -> bool:
    """Whether a twin takes a series for what follows another: as `assimilate.is_next` does."""
    samples_s = [len(s.tension) / 8 / s.rate_hz for s in (before, series)]
    slack_s = max(5.0 / series.rate_hz, 0.05 * samples_s[1])
    return abs((series.t_ns - before.t_ns) / 1e9 - samples_s[0]) <= slack_s


@pytest.mark.parametrize("missing", [0.0, 0.1])
@pytest.mark.parametrize("rate_hz", [1.0, 10.0, 50.0, 99.7, 1000.0])
def test_the_rate_is_that_of_the_times(tmp_path: Path, rate_hz: float, missing: float) -> None:
    """At 10 Hz every sample was a message of its own, and 0 cycles were counted."""
    path = written(tmp_path, logged(rate_hz, missing=missing))
    for stated in (None, rate_hz):
        replay = opened(path, ReplayOptions(rate_hz=stated))
        series = [o for o in observations(replay) if isinstance(o, Series)]
        assert replay.rate_hz == pytest.approx(rate_hz, rel=5e-3 if missing else 1e-4)
        assert sum(len(samples(s)) for s in series) == len(path.read_text().splitlines()) - 1
        assert all(follows(*pair) for pair in itertools.pairwise(series))
        if not missing:
            assert len(series) == 3
            assert [s.rate_hz for s in series] == pytest.approx([rate_hz] * 3, rel=1e-3)


def test_a_logger_that_changes_its_rate_is_not_torn_apart(tmp_path: Path) -> None:
    steps = [10] * 1500 + [100] * 300 + [10] * 1500
    times = itertools.accumulate(steps, initial=0)
    rows = "".join(f"{t / 1e3},{i % 5},20\n" for i, t in enumerate(times))
    series = strain(tmp_path, STRAIN.replace("Time (-)", "time (s)") + rows)
    assert len(series) == 4
    assert all(follows(*pair) for pair in itertools.pairwise(series))


def test_a_logger_that_paused_has_not_measured_meanwhile(tmp_path: Path) -> None:
    times = [*range(0, 2000, 100), *range(60_000, 62_000, 100)]
    rows = "".join(f"{t / 1e3},{i % 5},20\n" for i, t in enumerate(times))
    series = strain(tmp_path, STRAIN.replace("Time (-)", "time (s)") + rows)
    assert [len(samples(s)) for s in series] == [20, 20]
    assert series[1].t_ns - series[0].t_ns == 60 * SECOND_NS


def test_times_of_whole_seconds_need_a_stated_rate(tmp_path: Path) -> None:
    first = datetime(2022, 3, 7, 0, 0, 0, 300_000, tzinfo=UTC)
    stamps = [first + timedelta(seconds=i / 50) for i in range(500)]
    text = STRAIN + "".join(f"{t:%Y-%m-%d %H:%M:%S},{i % 9},20\n" for i, t in enumerate(stamps))
    with pytest.raises(MalformedError, match=r"does not rise: .* say its rate \(--rate\)"):
        strain(tmp_path, text)
    series = strain(tmp_path, text, rate_hz=50.0)
    assert sum(len(samples(s)) for s in series) == 500
    assert all(follows(*pair) for pair in itertools.pairwise(series))
    for wrong in (25.0, 100.0):
        with pytest.raises(MalformedError, match=r"by its times the rate is (49\.9|50)"):
            strain(tmp_path, text, rate_hz=wrong)


@pytest.mark.parametrize(
    ("name", "first", "second", "start_s"),
    [
        ("time (s)", "0.00", "0.01", START_NS // SECOND_NS),
        ("Time (ms)", "0", "10", START_NS // SECOND_NS),
        ("time", "1646670915.00", "1646670915.01", 1646670915),
        ("time (ns)", "1646670915000000000", "1646670915010000000", 1646670915),
    ],
)
def test_times_may_be_numbers(
    tmp_path: Path, name: str, first: str, second: str, start_s: int
) -> None:
    text = STRAIN.replace("Time (-)", name) + f"{first},1,2\n{second},2,2\n"
    (series,) = strain(tmp_path, text)
    assert (series.t_ns, series.rate_hz) == (start_s * SECOND_NS, 100.0)


def test_a_number_in_an_unknown_unit_is_refused(tmp_path: Path) -> None:
    text = STRAIN.replace("Time (-)", "time") + "100000000000,1,2\n"
    with pytest.raises(MalformedError, match=r"line 2: .* a name such as `time \(ms\)`"):
        strain(tmp_path, text)


def test_ten_minutes_of_a_real_bridge_are_whole(data: Path) -> None:
    path = data / "munich_bridge" / "reference_strain_100hz.csv"
    series = [o for o in observations(opened(path, ReplayOptions())) if isinstance(o, Series)]
    found = np.concatenate([samples(s) for s in series])
    expected = np.loadtxt(path, delimiter=",", skiprows=1, usecols=1)
    assert len(series) == 60
    assert found == pytest.approx(expected / 1e6, rel=1e-12)
    drift = [(s.t_ns - series[0].t_ns) / 1e9 - 10 * i for i, s in enumerate(series)]
    assert max(map(abs, drift)) <= 0.011  # one step


def test_swapped_dates_of_a_real_bridge_are_mended(data: Path) -> None:
    path = data / "munich_bridge" / "settlement_1_strain_100hz.csv"
    first = next(opened(path, ReplayOptions(swap_day_month=True)).messages)
    assert b'"time":"2022-04-11T09:20:05.375Z"' in first.message.payload


# --- sequences --------------------------------------------------------------------------------


def test_a_sequence_is_scaled_repeated_and_cut(tmp_path: Path) -> None:
    options = ReplayOptions(peak_stress=200e6, repeats=3, start_ns=0, rate_hz=2.0, block=4)
    replay = opened(written(tmp_path, "0\n1\r\n\n0.25\n"), options)
    series = [o for o in observations(replay) if isinstance(o, Series)]
    assert [len(samples(s)) for s in series] == [4, 4, 1]
    assert np.concatenate([samples(s) for s in series]).tolist() == [0.0, 200e6, 50e6] * 3
    assert [s.t_ns for s in series] == [0, 2 * SECOND_NS, 4 * SECOND_NS]  # without a gap


def test_a_turning_point_that_is_no_number_is_refused(tmp_path: Path) -> None:
    replay = opened(written(tmp_path, "0\n1\none\n"), ReplayOptions())
    with pytest.raises(MalformedError, match="line 3: turning point is 'one': not a number"):
        list(replay.messages)


@pytest.mark.parametrize("name", ["rainflow-seq3.txt", "closure-seq1.txt"])
def test_real_sequences_are_replayed_whole(data: Path, name: str) -> None:
    path = data / "easigrow" / name
    series = observations(opened(path, ReplayOptions(peak_stress=1e6)))
    found = np.concatenate([samples(s) for s in series if isinstance(s, Series)])
    assert found.tolist() == (np.loadtxt(path) * 1e6).tolist()


@pytest.mark.parametrize("repeats", [0, -1])
def test_a_sequence_is_played_at_least_once(repeats: int) -> None:
    with pytest.raises(ValueError, match=f"repeats = {repeats}"):
        ReplayOptions(repeats=repeats)


@pytest.mark.parametrize("block", [0, 100_001])
def test_a_message_holds_a_sample_and_not_too_many(block: int) -> None:
    with pytest.raises(ValueError, match="1 to 100,000 samples"):
        ReplayOptions(block=block)


# --- tables -----------------------------------------------------------------------------------


def test_rows_of_one_component_and_time_are_one_spectrum(tmp_path: Path) -> None:
    found = observations(opened(written(tmp_path, TABLE), ReplayOptions()))
    spectra = [o for o in found if isinstance(o, Spectrum)]
    assert [(o.component, o.seq, rows(o)) for o in spectra] == [
        ("plant-a/press-1", 0, [[100e6, 50e6, 20.0], [60e6, 30e6, 400.0]]),
        ("plant-a/press-2", 0, [[ksi(10), ksi(5), 7.0]]),
        ("plant-a/press-1", 1, [[100e6, 50e6, 21.0]]),
    ]


def test_columns_and_units_can_have_other_names(tmp_path: Path) -> None:
    text = "part,when,depth\nplant-a/press-1,1800000000000000000,2.5\n"
    columns = Columns(component="part", time="when", crack_length="depth", length_unit="mm")
    replay = opened(written(tmp_path, text), ReplayOptions(columns=columns))
    (inspection,) = observations(replay)
    assert isinstance(inspection, Inspection)
    assert (inspection.t_ns, inspection.crack_length) == (1_800_000_000_000_000_000, 0.0025)
    (table,) = replay.fleet
    assert (table["name"], table["crack_length"]) == ("plant-a/press-1", 0.0025)


def test_a_table_may_hold_cycles_and_lengths(tmp_path: Path) -> None:
    text = (
        "component,time,range,mean,count,crack_length,crack_length_sd,unit\n"
        "a/b,2026-01-01T00:00:01Z,1,2,3,,,MPa\n"
        "a/b,2026-01-01T00:00:01Z,,,,4,0.5,mm\n"
    )
    spectrum, inspection = observations(opened(written(tmp_path, text), ReplayOptions()))
    assert isinstance(spectrum, Spectrum)
    assert isinstance(inspection, Inspection)
    assert (inspection.crack_length, inspection.crack_length_sd) == (0.004, 0.0005)


def test_rows_out_of_order_are_sent_late_where_they_stand(tmp_path: Path) -> None:
    text = "component,time,crack_length,unit\na/b,2000,1,m\na/b,1000,1,m\na/b,3000,1,m\n"
    timed = list(opened(written(tmp_path, text), ReplayOptions()).messages)
    assert [t.t_ns for t in timed] == [2000, 2000, 3000]
    assert [read(t).t_ns for t in timed] == [2000, 1000, 3000]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (TABLE.replace("MPa", ""), "line 2: no unit"),
        (TABLE.replace("MPa", "mm"), "line 2: unit 'mm' is not a unit of stress or strain"),
        (TABLE.replace("00:00:02Z", "00:00:02"), "line 5: time .* has no zone"),
        (TABLE.replace(",21,", ",,"), "line 5: count is '': not a number"),
        (TABLE.replace(",100,50,21,", ",,,,"), "line 5: neither cycles nor a crack length"),
        (TABLE.replace(",21,", ","), "line 5: 5 cells under 6 columns"),
        (TABLE.replace("press-2", "Press 2"), "line 4: component 'plant-a/Press 2' does not name"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(MalformedError, match=sentence):
        list(opened(path, ReplayOptions(), "table").messages)


# --- all of them ------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [SPECIMENS, strain_rows([0, 10], [1, 2]), "0\n1\n", TABLE])
def test_registrations_have_the_keys_of_the_fleet_file(tmp_path: Path, text: str) -> None:
    for table in opened(written(tmp_path, text), ReplayOptions()).fleet:
        assert set(table) == {
            "name", "law", "geometry", "crack_length", "crack_limit", "inspection", "calibration",
        }  # fmt: skip
        assert set(table["law"]) == {"kind", "C", "m", "dK_th"}
        assert table["crack_length"] < table["crack_limit"] < table["geometry"]["W"] / 2


@pytest.mark.parametrize("text", [SPECIMENS, strain_rows([0, 10], [1, 2]), "0\n1\n", TABLE])
def test_the_same_file_sends_the_same_keys_again(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    first = list(opened(path, ReplayOptions()).messages)
    assert list(opened(path, ReplayOptions()).messages) == first
    assert list(opened(path, ReplayOptions(boot=2)).messages) != first
