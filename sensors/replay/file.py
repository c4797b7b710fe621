"""Reading text files that others wrote: bounded lines, and errors that name file and line."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sensors.errors import MalformedError
from sensors.refusal import shown

LONGEST = 65_536  # of a line [character]
_SENTENCE = 600  # longest sentence [character]
_KINDS: Final = {  # by the first bytes of a file that is no text
    b"\x1f\x8b": "compressed (gzip): unpack it first",
    b"PK\x03\x04": "a workbook or an archive (zip): save the sheet as CSV, or unpack it",
    b"BZh": "compressed (bzip2): unpack it first",
    b"\xfd7zXZ": "compressed (xz): unpack it first",
    b"\x28\xb5\x2f\xfd": "compressed (zstd): unpack it first",
    b"\x89HDF": "an HDF5 file: write its channel as CSV",
    b"TDSm": "a TDMS file: write its channel as CSV",
    b"\x89PNG": "a picture: pictures go to …/image",
    b"\xff\xd8\xff": "a picture: pictures go to …/image",
    b"II*\0": "a picture: pictures go to …/image",
    b"MM\0*": "a picture: pictures go to …/image",
    b"%PDF": "a PDF: write its table as CSV",
}
_WIDE: Final = (b"\xff\xfe", b"\xfe\xff")  # UTF-16 with its mark
_grouped = re.compile(r"[+-]?\d{1,3}([.,' ]\d{3})+([.,]\d+)?").fullmatch


def unreadable(path: Path, line: int, sentence: str) -> MalformedError:
    """The error of a file that cannot be read; reason `file`."""
    return _refused(f"{path.name}, line {line}: {sentence}")


def _refused(sentence: str) -> MalformedError:
    text = sentence if sentence.isprintable() else ascii(sentence)[1:-1]
    return MalformedError("file", text if len(text) <= _SENTENCE else f"{text[: _SENTENCE - 1]}…")


def lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 text file (or UTF-16 with its mark), without their ends.

    Raises MalformedError.
    """
    number = 0
    try:
        with path.open(encoding=_encoding(path), newline=None) as file:
            while line := file.readline(LONGEST + 1):
                number += 1
                if len(line) > LONGEST:
                    raise unreadable(path, number, f"more than {LONGEST} characters")
                yield line.rstrip("\n")
    except UnicodeDecodeError as exc:
        raise unreadable(path, number + 1, f"this is not UTF-8 text: {_byte(exc)}") from exc
    except OSError as exc:
        raise _refused(f"{path.name} cannot be read: {exc.strerror}") from exc


def _encoding(path: Path) -> str:
    """How a text is written; raises MalformedError for what is none."""
    if not path.is_file() and path.exists():
        raise _refused(f"{path.name} cannot be read: it is no file")
    with path.open("rb") as file:
        first = file.read(512)
    if first.startswith(_WIDE):
        return "utf-16"
    for mark, what in _KINDS.items():
        if first.startswith(mark):
            raise unreadable(path, 1, f"this is not UTF-8 text but {what}")
    if b"\0" in first:
        raise unreadable(path, 1, "this is not UTF-8 text: it holds zero bytes")
    return "utf-8-sig"


def _byte(exc: UnicodeDecodeError) -> str:
    """The byte that is none of UTF-8; how far from the line's start is not known."""
    byte = exc.object[exc.start]
    meant = {0xB5: " (a µ of Latin-1?)", 0xB0: " (a ° of Latin-1?)", 0xB2: " (a ² of Latin-1?)"}
    return f"byte 0x{byte:02x}{meant.get(byte, '')}, {exc.reason}; save the file as UTF-8"


def number(path: Path, line: int, name: str, text: str, where: str = "") -> float:
    """A finite number; raises MalformedError, which says `where` in the row it stands."""
    try:
        value = float(text if "_" not in text else "1_")  # Python's own 1_000 is nobody's
    except ValueError as exc:
        advice = _advice(text)
        raise unreadable(
            path, line, f"{name} is {shown(text)}: not a number{advice}{where}"
        ) from exc
    if not math.isfinite(value):
        raise unreadable(path, line, f"{name} is {shown(text)}: not finite{where}")
    return value


def _advice(text: str) -> str:
    if _grouped(text):
        return "; write it without separators of thousands, and with a decimal point"
    if "," in text:
        return "; write a decimal point, or separate the columns by semicolons or tabs"
    return ""
