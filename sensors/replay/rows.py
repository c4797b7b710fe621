"""The rows of a file of columns: what separates them, what its decimals are, what is a comment.

| in the file                                | is taken as                                     |
| ------------------------------------------ | ----------------------------------------------- |
| lines that begin with `#`, `%` or `//`     | comments; the last before numbers may be a head |
| `sep=;`, or what parts head and rows alike | the separator: tab, semicolon or comma          |
| `1,5` between semicolons or tabs           | a decimal comma, throughout the file            |
| rows of nothing but empty cells            | nothing                                         |

Two kinds of decimals in one file are refused, and so is `1,234` between tabs where all look so.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from sensors.refusal import shown
from sensors.replay.file import lines, unreadable

COMMENTS: Final = ("#", "%", "//")
SEPARATORS: Final = ("\t", ";", ",")
_LOOKED_AT = 20  # rows that say what separates them

_comma = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?", re.ASCII).fullmatch
_point = re.compile(r"[+-]?(\d+\.\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII).fullmatch
_thousands = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII).fullmatch

Line = tuple[int, str]
Row = tuple[int, list[str]]


def rows(path: Path) -> Iterator[Row]:
    """The rows with their line numbers, the head first; numbers with a decimal point.

    Raises MalformedError (reason `file`).
    """
    comments: list[Line] = []
    numbered = _numbered(path, comments)
    first = list(itertools.islice(numbered, _LOOKED_AT))
    separator, first = _separator([text for _, text in first]), _without_sep(first)
    found = _split(path, itertools.chain(first, numbered), separator)
    told = next(found, None)
    if told is None:
        return
    if head := _head_in(comments, separator, told):
        yield head
    decimals = _Decimals(path, separator, told[1], is_sure=_is_sure(separator, first))
    for line, row in itertools.chain([told], found):
        yield line, decimals.pointed(line, row)


def is_number(text: str) -> bool:
    """Whether it is a number with a decimal point."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _numbered(path: Path, comments: list[Line]) -> Iterator[Line]:
    """The lines that are none of comments, which are put aside while there is no other."""
    is_begun = False
    for number, text in enumerate(lines(path), start=1):
        if text.lstrip().startswith(COMMENTS):
            if not is_begun:
                comments.append((number, text.lstrip().lstrip("#%/").strip()))
            continue
        is_begun = is_begun or bool(text.strip())
        yield number, text


def _separator(first: Sequence[str]) -> str:
    """What parts the head and the rows behind it into as many cells; by the head, if none does."""
    told = [text for text in first if text.strip()]
    if told and _is_sep(told[0]):
        return told[0].strip()[4:] or "\t"
    for separator in SEPARATORS:
        counts = {text.count(separator) for text in told}
        if len(counts) == 1 and counts != {0}:
            return separator
    return next((s for s in SEPARATORS if told and s in told[0]), ",")


def _without_sep(first: list[Line]) -> list[Line]:
    return [line for line in first if not _is_sep(line[1])]


def _is_sep(text: str) -> bool:
    """Whether it is how Excel says what separates the cells."""
    said = text.strip().lower()
    return said.startswith("sep=") and said[4:] in ("", ";", ",", "|")


def _split(path: Path, numbered: Iterator[Line], separator: str) -> Iterator[Row]:
    at = 0

    def texts() -> Iterator[str]:
        nonlocal at
        for at, text in numbered:  # noqa: B007  read below
            yield text

    try:
        for row in csv.reader(texts(), delimiter=separator):
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield at, cells
    except csv.Error as exc:
        raise unreadable(path, at, f"this is not CSV: {exc}") from exc


def _head_in(comments: Sequence[Line], separator: str, first: Row) -> Row | None:
    """The last comment, where it names the columns of numbers that follow."""
    line, row = first
    if not comments or len(row) < 2 or not all(map(_is_value, row)):
        return None
    line, text = comments[-1]
    cells = [cell.strip() for cell in text.split(separator)]
    return (line, cells) if len(cells) == len(row) and not any(map(_is_value, cells)) else None


def _is_value(text: str) -> bool:
    return is_number(text) or bool(_comma(text)) or text[:4].isdecimal()


def _is_sure(separator: str, first: Sequence[Line]) -> bool:
    """Whether a comma between digits is a decimal one: between tabs, if one can be nothing else."""
    cells = (cell for _, text in first for cell in text.split(separator))
    return separator != "\t" or any(_comma(cell) and not _thousands(cell) for cell in cells)


class _Decimals:
    """What the decimals of a file are, as soon as one was seen."""

    def __init__(self, path: Path, separator: str, head: Sequence[str], *, is_sure: bool) -> None:
        self._path, self._names = path, head
        self._may_differ = separator != ","
        self._is_sure = is_sure
        self._seen = ""
        self._where = ""

    def pointed(self, line: int, row: list[str]) -> list[str]:
        """The cells, numbers with a decimal point; raises MalformedError where two kinds meet."""
        if not self._may_differ:
            return row
        return [self._cell(line, i, cell) for i, cell in enumerate(row)]

    def _cell(self, line: int, i: int, cell: str) -> str:
        kind = "comma" if _comma(cell) else "point" if _point(cell) else ""
        if not kind:
            return cell
        if not self._seen:
            self._seen, self._where = kind, f"{shown(cell)} in line {line}"
            if kind == "comma" and not self._is_sure:
                raise unreadable(
                    self._path,
                    line,
                    f"{shown(cell)} in {column(self._names, i)} may have a decimal comma or one of "
                    "thousands: write a decimal point, or separate the columns by semicolons",
                )
        if kind != self._seen:
            raise unreadable(
                self._path,
                line,
                f"{shown(cell)} in {column(self._names, i)} has a decimal {kind}, {self._where} a "
                f"decimal {self._seen}: write points throughout",
            )
        return cell.replace(",", ".")


def column(head: Sequence[str], i: int) -> str:
    """A column by its number and what its head says, for a sentence."""
    name = f" ({shown(head[i])})" if i < len(head) and not _is_value(head[i]) else ""
    return f"column {i + 1}{name}"
