"""Tables that users export themselves: counted cycles or measured lengths, one a row."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sensors.errors import MalformedError
from sensors.instant import checked, nanoseconds
from sensors.instrument import TOPICS, Installation, Instrument
from sensors.observation import Inspection, Spectrum
from sensors.payload.encode import EncodedMessage, inspection_message, spectrum_message
from sensors.refusal import shown
from sensors.replay.file import number, unreadable
from sensors.replay.rows import rows
from sensors.timed import Registration, Timed
from sensors.topics import Topics
from sensors.units import length_unit, load_unit

_MOST = 100_000  # components in a file


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns of a table are called, and the units of those without a column `unit`."""

    component: str = "component"
    time: str = "time"  # RFC 3339 with a zone, or integer nanoseconds since 1970
    range: str = "range"
    mean: str = "mean"
    count: str = "count"
    crack_length: str = "crack_length"
    crack_length_sd: str = "crack_length_sd"
    unit: str = "unit"
    load_unit: str | None = None
    length_unit: str | None = None


COLUMNS = Columns()


class _Row(NamedTuple):
    """A row whose cells are known by the names of their columns."""

    line: int
    component: str
    t_ns: int
    unit: str  # empty where the file has no such column
    cells: dict[str, str]

    def has(self, column: str) -> bool:
        """Whether the column is there, and not empty."""
        return bool(self.cells.get(column))


class _Group(NamedTuple):
    """Cycles in a row that share this are one spectrum."""

    component: str
    t_ns: int
    unit: str


def is_table(header: Sequence[str], columns: Columns) -> bool:
    """Whether there are components, times, and cycles or crack lengths."""
    cycles = {columns.range, columns.mean, columns.count}
    has_values = cycles <= set(header) or columns.crack_length in header
    return {columns.component, columns.time} <= set(header) and has_values


def table(
    path: Path, columns: Columns = COLUMNS, *, boot: int = 1, topics: Topics = TOPICS
) -> Iterator[Timed]:
    """The rows in the order of the file; rows of one component and time are one spectrum.

    A row holds cycles (range, mean, count) or a crack length. What is out of the order of time
    is sent where it stands, as a late message would be.
    Raises MalformedError for a file that is none, and names the line.
    """
    recorders: dict[str, _Recorder] = {}
    due_ns = 0
    for group, members in itertools.groupby(_rows(path, columns), _group):
        if len(recorders) > _MOST:
            raise unreadable(path, 1, f"more than {_MOST} components")
        if group.component not in recorders:
            installation = Installation(group.component, boot, "json", topics)
            recorders[group.component] = _Recorder(path, columns, installation)
        due_ns = max(due_ns, group.t_ns)
        for message in recorders[group.component].messages(group.t_ns, list(members)):
            yield Timed(due_ns, message)


def table_fleet(path: Path, columns: Columns = COLUMNS) -> list[Registration]:
    """Placeholders for the components of a file, with the first length found of each."""
    lengths: dict[str, float] = {}
    for row in _rows(path, columns):
        lengths.setdefault(row.component, 0.0)
        if lengths[row.component] == 0.0 and row.has(columns.crack_length):
            lengths[row.component] = _length(path, columns, row, columns.crack_length)
    return [_placeholder(name, length or 0.001) for name, length in lengths.items()]


def _placeholder(name: str, length: float) -> Registration:
    """Ferrite-pearlite steel, a crack far from the far edge: put in what you know."""
    return {
        "name": name,
        "law": {"kind": "paris", "C": 6.9e-30, "m": 3.0, "dK_th": 2e6},
        "geometry": {"kind": "edge_crack", "W": 50.0 * length},
        "crack_length": length,
        "crack_limit": 10.0 * length,
        "inspection": "replace",
        "calibration": {"gain": 1.0, "offset": 0.0, "youngs_modulus": 2.1e11},
    }


class _Recorder:
    """The instruments of one component of a table."""

    def __init__(self, path: Path, columns: Columns, installation: Installation) -> None:
        self._path, self._columns, self._topics = path, columns, installation.topics
        self._counter, self._inspector = (
            Instrument(installation, "table"),
            Instrument(installation, "ndt"),
        )

    def messages(self, t_ns: int, group: Sequence[_Row]) -> list[EncodedMessage]:
        """A spectrum of the rows with cycles, an inspection of each with a length.

        Raises MalformedError for a row that is neither.
        """
        try:
            return list(self._messages(t_ns, group))
        except MalformedError as exc:
            if exc.reason == "file":
                raise
            raise unreadable(self._path, group[0].line, str(exc)) from exc

    def _messages(self, t_ns: int, group: Sequence[_Row]) -> Iterator[EncodedMessage]:
        columns = self._columns
        counted = [row for row in group if row.has(columns.range)]
        if counted:
            yield self._spectrum(t_ns, counted)
        for row in group:
            if row.has(columns.crack_length):
                yield self._inspection(row)
            elif not row.has(columns.range):
                raise unreadable(self._path, row.line, "neither cycles nor a crack length")

    def _spectrum(self, t_ns: int, group: Sequence[_Row]) -> EncodedMessage:
        quantity, unit = load_unit(_unit(self._path, group[0], self._columns.load_unit))
        cycles = [
            (unit.si(extent), unit.si(mean), count) for extent, mean, count in map(self._row, group)
        ]
        body = np.array(cycles, dtype="<f8").tobytes()
        spectrum = Spectrum(**self._counter.key(t_ns), quantity=quantity, cycles=body)
        return spectrum_message(spectrum, topics=self._topics)

    def _row(self, row: _Row) -> list[float]:
        columns = self._columns
        names = (columns.range, columns.mean, columns.count)
        return [number(self._path, row.line, name, row.cells[name]) for name in names]

    def _inspection(self, row: _Row) -> EncodedMessage:
        columns = self._columns
        sd = columns.crack_length_sd
        inspection = Inspection(
            **self._inspector.key(row.t_ns),
            crack_length=_length(self._path, columns, row, columns.crack_length),
            crack_length_sd=_length(self._path, columns, row, sd) if row.has(sd) else 0.0,
            method="table",
        )
        return inspection_message(inspection, topics=self._topics)


def _group(row: _Row) -> _Group:
    return _Group(row.component, row.t_ns, row.unit)


def _length(path: Path, columns: Columns, row: _Row, column: str) -> float:
    """A length in metres."""
    unit = length_unit(_unit(path, row, columns.length_unit))
    return unit.si(number(path, row.line, column, row.cells[column]))


def _unit(path: Path, row: _Row, default: str | None) -> str:
    if not (row.unit or default):
        raise unreadable(path, row.line, "no unit: neither a column `unit` nor one stated for all")
    return row.unit or str(default)


def _rows(path: Path, columns: Columns) -> Iterator[_Row]:
    found = rows(path)
    line, header = next(found, (1, []))
    if not is_table(header, columns):
        raise unreadable(path, line, f"columns {shown(','.join(header))} are not those of a table")
    for line, row in found:
        if len(row) != len(header):
            raise unreadable(path, line, f"{len(row)} cells under {len(header)} columns")
        cells = dict(zip(header, row, strict=True))
        t_ns = _t_ns(path, line, cells[columns.time])
        yield _Row(line, cells[columns.component], t_ns, cells.get(columns.unit, ""), cells)


def _t_ns(path: Path, line: int, text: str) -> int:
    try:
        return checked(int(text), text) if text.isdecimal() else nanoseconds(text)
    except MalformedError as exc:
        raise unreadable(path, line, str(exc)) from exc
