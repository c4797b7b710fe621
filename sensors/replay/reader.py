"""Recorded files as the messages that sensors would have sent.

| reader     | file                                                    | becomes                   |
| ---------- | ------------------------------------------------------- | ------------------------- |
| `virkler`  | CSV: `a_mm`, then cycles to reach it for each specimen  | spectra and inspections   |
| `strain`   | columns: a time and a gauge with its unit, `…(um/m)`    | series of 1,000 samples   |
| `sequence` | turning points, one a line                              | series of 1,000 samples   |
| `table`    | CSV: `component`, `time`, then cycles or crack lengths  | spectra or inspections    |

`opened` picks the reader. All read line by line, and all raise MalformedError (reason
`file`) with the line that cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

from sensors.instrument import TOPICS, Installation
from sensors.refusal import shown
from sensors.replay.file import unreadable
from sensors.replay.head import head
from sensors.replay.rows import Row, is_number, rows
from sensors.replay.sampling import Sampling
from sensors.replay.sequence import SEQUENCE_HZ, sequence, sequence_fleet
from sensors.replay.series import gauges, is_strain, sampling_rate, strain_csv, strain_fleet
from sensors.replay.specimens import is_virkler, virkler, virkler_fleet
from sensors.replay.table import COLUMNS, Columns, is_table, table, table_fleet
from sensors.timed import Registration, Timed
from sensors.topics import Topics

Kind = Literal["virkler", "strain", "sequence", "table"]
KINDS: tuple[Kind, ...] = ("virkler", "strain", "sequence", "table")
START_NS = 1_704_067_200_000_000_000  # 2024-01-01T00:00:00Z


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What a file does not say about itself."""

    component: str = "replay/part-1"  # of a file that names none
    gauge: str | None = None  # `strain`: the column, without its unit; the first if None
    swap_day_month: bool = False  # `strain`: 2022-11-04 is the eleventh of April
    peak_stress: float = 100e6  # `sequence`: the stress at a turning point of 1 [Pa]
    repeats: int = 1  # `sequence`
    start_ns: int = START_NS  # of what has no dates [ns since 1970, UTC]
    rate_hz: float | None = None  # `strain`: that of the times if None, `sequence`: 10 Hz
    block: int = 1000  # `strain`, `sequence`: samples in a message, at most
    columns: Columns = COLUMNS  # `table`
    boot: int = 1  # the same again, and a twin refuses what it has seen before
    topics: Topics = TOPICS

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise ValueError(f"repeats = {self.repeats} is less than 1")
        if not self.peak_stress > 0.0:
            raise ValueError(f"peak_stress = {self.peak_stress} is not positive")
        _ = self.sampling

    @property
    def sampling(self) -> Sampling:
        """How samples are cut; raises ValueError for a rate that is none."""
        return Sampling(self.rate_hz, self.block)


class Replay(NamedTuple):
    """A file that is ready to be sent."""

    kind: Kind
    fleet: list[Registration]
    messages: Iterator[Timed]
    rate_hz: float | None = None  # stated, or by the times; None where nothing was sampled
    gauges: Sequence[str] = ()  # `strain`: all that the file has


_PLAIN = ReplayOptions()
_OF_SOME: dict[str, tuple[Kind, ...]] = {  # what is silently of no effect in others
    "gauge": ("strain",),
    "swap_day_month": ("strain",),
    "peak_stress": ("sequence",),
    "repeats": ("sequence",),
}


def opened(path: Path, options: ReplayOptions, kind: Kind | None = None) -> Replay:
    """A file's components and messages, by the reader that fits it or the one that is named.

    Raises MalformedError (reason `file`), now or while the messages are read.
    """
    found = kind or detected(path, options.columns)
    if options.rate_hz is not None and found not in ("strain", "sequence"):
        raise unreadable(path, 1, f"a {found} has no samples whose rate could be stated")
    for name, kinds in _OF_SOME.items():
        if found not in kinds and getattr(options, name) != getattr(_PLAIN, name):
            what = f"{name} {getattr(options, name)} is for a {' or '.join(kinds)}"
            raise unreadable(path, 1, f"{what}, and this file is a {found}: leave it out")
    fleet, messages = _READERS[found](path, options)
    known = gauges(path) if found == "strain" else ()
    return Replay(found, fleet, messages, _rate_hz(path, options, found), known)


def _rate_hz(path: Path, options: ReplayOptions, kind: Kind) -> float | None:
    if options.rate_hz is None and kind == "strain":
        start_ns, is_swapped = options.start_ns, options.swap_day_month
        return sampling_rate(path, start_ns=start_ns, swap_day_month=is_swapped)
    return options.rate_hz or (SEQUENCE_HZ if kind == "sequence" else None)


def detected(path: Path, columns: Columns = COLUMNS) -> Kind:
    """The reader that fits a file's first line; raises MalformedError (reason `file`) if none."""
    first = list(islice(rows(path), 2))
    line, names = first[0] if first else (1, [])
    if is_virkler(names):
        return "virkler"
    if is_table(names, columns):
        return "table"
    if is_strain(first):
        return "strain"
    if len(names) == 1 and is_number(names[0]):
        return "sequence"
    raise unreadable(
        path,
        line,
        f"{shown(','.join(names))} is not the head of a recording: {_why(first)}. Accepted are "
        "strain or stress (a time, and a gauge with its unit, like `time [s],stress [MPa]`), a "
        "sequence (one number a line), a table (component, time, range, mean, count or "
        "crack_length) and virkler (a_mm, N_01, …); comments begin with #, % or //",
    )


def _why(first: Sequence[Row]) -> str:
    """What is missing in a head."""
    if first and first[0][1] and all(map(is_number, first[0][1])):
        return (
            f"it is a row of {len(first[0][1])} numbers, with no head that names them; a decimal "
            "comma needs semicolons or tabs between the columns"
        )
    cells = first[0][1] if first else []
    if len(cells) == 1 and len(words := cells[0].split()) > 1 and all(map(is_number, words)):
        return "its columns are separated by spaces: separate them by commas, semicolons or tabs"
    if cells and cells[0].startswith(("{", "[", "<")):
        return "it looks like JSON or XML, and columns of text are read"
    return head(first).why


_Opened = tuple[list[Registration], Iterator[Timed]]


def _virkler(path: Path, options: ReplayOptions) -> _Opened:
    messages = virkler(path, options.start_ns, boot=options.boot, topics=options.topics)
    return virkler_fleet(path), messages


def _installation(options: ReplayOptions) -> Installation:
    return Installation(options.component, options.boot, "json", options.topics)


def _strain(path: Path, options: ReplayOptions) -> _Opened:
    messages = strain_csv(
        path,
        _installation(options),
        gauge=options.gauge,
        start_ns=options.start_ns,
        sampling=options.sampling,
        swap_day_month=options.swap_day_month,
    )
    return strain_fleet(options.component), messages


def _sequence(path: Path, options: ReplayOptions) -> _Opened:
    messages = sequence(
        path,
        _installation(options),
        options.peak_stress,
        start_ns=options.start_ns,
        repeats=options.repeats,
        sampling=options.sampling,
    )
    return sequence_fleet(options.component), messages


def _table(path: Path, options: ReplayOptions) -> _Opened:
    columns = options.columns
    messages = table(path, columns, boot=options.boot, topics=options.topics)
    return table_fleet(path, columns), messages


_READERS = {"virkler": _virkler, "strain": _strain, "sequence": _sequence, "table": _table}
