"""Reading text files that others wrote: bounded lines, and errors that name file and line."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path

from sensors.errors import MalformedError
from sensors.refusal import malformed, shown

LONGEST = 65_536  # of a line [character]


def unreadable(path: Path, line: int, sentence: str) -> MalformedError:
    """The error of a file that cannot be read; reason `file`."""
    return malformed("file", f"{path.name}, line {line}: {sentence}")


def lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 text file, without their ends; raises MalformedError."""
    number = 0
    try:
        with path.open(encoding="utf-8-sig", newline=None) as file:
            while line := file.readline(LONGEST + 1):
                number += 1
                if len(line) > LONGEST:
                    raise unreadable(path, number, f"more than {LONGEST} characters")
                yield line.rstrip("\n")
    except UnicodeDecodeError as exc:
        raise unreadable(path, number + 1, f"this is not UTF-8 text: {exc.reason}") from exc
    except OSError as exc:
        raise malformed("file", f"{path.name} cannot be read: {exc.strerror}") from exc


def rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The non-empty rows of a CSV file with their line numbers, header first."""
    reader = csv.reader(lines(path))
    try:
        for row in reader:
            if row:
                yield reader.line_num, [cell.strip() for cell in row]
    except csv.Error as exc:
        raise unreadable(path, reader.line_num, f"this is not CSV: {exc}") from exc


def number(path: Path, line: int, name: str, text: str) -> float:
    """A finite number; raises MalformedError."""
    try:
        value = float(text)
    except ValueError as exc:
        raise unreadable(path, line, f"{name} is {shown(text)}: not a number") from exc
    if not math.isfinite(value):
        raise unreadable(path, line, f"{name} is {shown(text)}: not finite")
    return value
