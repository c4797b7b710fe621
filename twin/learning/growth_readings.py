"""Measured curves of crack growth from a CSV file.

Wide: the lengths in the first column (`a_mm`, `a_m`, `a_in`, …), and a column for each specimen of
the cycles at which it had reached each; an empty cell is no reading, so that a curve may end
earlier. Long: the columns `specimen`, `cycles` and `a_mm` (or another unit) in any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from models.crack.growth_cells import GrowthCurve
from sensors.errors import MalformedError
from sensors.refusal import shown
from sensors.replay.file import number, unreadable
from sensors.replay.rows import Row, rows
from sensors.units import length_unit
from twin.errors import SettingsError

MOST_BYTES = 2**26
MOST_SPECIMENS = 10_000
MOST_READINGS = 1_000_000
SHORTEST, LONGEST = 1e-6, 100.0  # [m] lengths that a crack can have
_PREFIX = "a_"
_LONG = {"specimen", "cycles"}


class Specimen(NamedTuple):
    """A specimen and its curve."""

    name: str
    curve: GrowthCurve


class _Reading(NamedTuple):
    line: int
    a: float  # [m]
    cycles: float


def specimens(path: Path) -> list[Specimen]:
    """The specimens of a file, in its order.

    Raises MalformedError, which names the line, or SettingsError for a file that is too large.
    """
    _check_size(path)
    table = rows(path)
    line, header = next(table, (1, []))
    if not header:
        raise unreadable(path, 1, "the file is empty")
    is_long = set(header) > _LONG
    found = _long(path, line, header, table) if is_long else _wide(path, line, header, table)
    if not any(found.values()):
        raise unreadable(path, line, "there are no readings below the names of the columns")
    return [Specimen(name, _curve(path, name, readings)) for name, readings in found.items()]


def _check_size(path: Path) -> None:
    try:
        size = path.stat().st_size
    except OSError as exc:
        raise SettingsError(f"{path} cannot be read: {exc.strerror}") from exc
    if size > MOST_BYTES:
        raise SettingsError(f"{path.name} has {size} bytes: at most {MOST_BYTES} are read")


def _factor(path: Path, line: int, name: str) -> float:
    """The unit of a column of lengths [m]."""
    if not name.startswith(_PREFIX):
        raise unreadable(
            path,
            line,
            f"column {shown(name)} is no length with a unit: name it a_mm, a_m, a_um or a_in",
        )
    try:
        return length_unit(name.removeprefix(_PREFIX), name).si(1.0)
    except MalformedError as exc:
        raise unreadable(path, line, str(exc)) from exc


def _wide(
    path: Path, line: int, header: Sequence[str], table: Iterable[Row]
) -> dict[str, list[_Reading]]:
    metres, names = _factor(path, line, header[0]), header[1:]
    _check_names(path, line, names)
    found: dict[str, list[_Reading]] = {name: [] for name in names}
    before, count = 0.0, 0
    for at, row in table:
        _check_width(path, at, header, row)
        a = number(path, at, header[0], row[0]) * metres
        _check_length(path, at, header[0], row[0], a)
        if a <= before:
            raise unreadable(path, at, f"{header[0]} is {row[0]}, not more than in the row before")
        before = a
        for name, text in zip(names, row[1:], strict=True):
            if text:
                found[name].append(_Reading(at, a, number(path, at, name, text)))
                count += 1
        _check_count(path, at, count)
    return found


def _long(
    path: Path, line: int, header: Sequence[str], table: Iterable[Row]
) -> dict[str, list[_Reading]]:
    others = [name for name in header if name not in _LONG]
    if len(header) != len(_LONG) + 1:
        raise unreadable(path, line, f"columns are {shown(','.join(header))}, not specimen, "
                         "cycles and a length")  # fmt: skip  # one sentence
    metres = _factor(path, line, others[0])
    who, when, length = (header.index(name) for name in ("specimen", "cycles", others[0]))
    found: dict[str, list[_Reading]] = {}
    for count, (at, row) in enumerate(table, start=1):
        _check_width(path, at, header, row)
        a = number(path, at, header[length], row[length]) * metres
        _check_length(path, at, header[length], row[length], a)
        reading = _Reading(at, a, number(path, at, "cycles", row[when]))
        if not row[who]:
            raise unreadable(path, at, "specimen is empty")
        found.setdefault(row[who], []).append(reading)
        _check_count(path, at, count)
        if len(found) > MOST_SPECIMENS:
            raise unreadable(path, at, f"more than {MOST_SPECIMENS} specimens")
    return found


def _check_names(path: Path, line: int, names: Sequence[str]) -> None:
    if not 1 <= len(names) <= MOST_SPECIMENS:
        many = f"{len(names)} columns of cycles, not 1 to {MOST_SPECIMENS}"
        raise unreadable(path, line, many)
    if "" in names:
        raise unreadable(path, line, f"column {names.index('') + 2} has no name")
    if doubled := next((name for i, name in enumerate(names) if name in names[:i]), None):
        raise unreadable(path, line, f"column {shown(doubled)} is there twice")


def _check_width(path: Path, line: int, header: Sequence[str], row: Sequence[str]) -> None:
    if len(row) != len(header):
        raise unreadable(path, line, f"{len(row)} cells under {len(header)} columns")


def _check_length(path: Path, line: int, name: str, text: str, a: float) -> None:
    if not SHORTEST <= a <= LONGEST:
        raise unreadable(
            path, line, f"{name} is {shown(text)}: no crack is {a:.4g} m long; check the unit"
        )


def _check_count(path: Path, line: int, count: int) -> None:
    if count > MOST_READINGS:
        raise unreadable(path, line, f"more than {MOST_READINGS} readings")


def _curve(path: Path, name: str, readings: Sequence[_Reading]) -> GrowthCurve:
    """The curve of one specimen; raises MalformedError where it does not rise."""
    if not readings:
        raise unreadable(path, 1, f"specimen {shown(name)} has no readings")
    if readings[0].cycles < 0.0:
        raise unreadable(path, readings[0].line, f"{name} has {readings[0].cycles:g} cycles")
    for before, after in pairwise(readings):
        for what, one, two in (
            ("length", before.a, after.a),
            ("number of cycles", before.cycles, after.cycles),
        ):
            if two <= one:
                raise unreadable(
                    path,
                    after.line,
                    f"the {what} of specimen {shown(name)} is {two:.6g}, not more than {one:.6g} "
                    "before",
                )
    flat = np.fromiter(chain.from_iterable((r.a, r.cycles) for r in readings), np.float64)
    return GrowthCurve(flat[::2].copy(), flat[1::2].copy())
