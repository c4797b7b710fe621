"""What a field must be, in words, from what msgspec says that it expected."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from sensors.limits import LARGEST, SMALLEST

_KINDS: Final = {
    "float": "a number",
    "int": "a whole number",
    "str": "a text",
    "array": "a list",
    "object": "an object with named fields",
    "bytes": "bytes",
    "bool": "true or false",
    "null": "null",
    "None": "null",
    "ext": "an extension type",
}
_NOT_FINITE: Final = ("nan", "inf", "-inf")
_COLUMNS: Final = ("range", "mean", "count")
_TIME: Final = (
    'a time is a text such as "2026-11-20T10:00:00Z"; nanoseconds since 1970 go into t_ns instead'
)

_wrong_kind = re.compile(r"Expected `([\w| ]+)`, got `(\w+)`").fullmatch
_bound = re.compile(r"Expected `(float|int)` ([<>]=?) (\S+)").fullmatch
_length = re.compile(r"Expected `(\w+)` of length (?:([<>]=) )?(\d+).*").fullmatch
_column = re.compile(r"cycles\[\d+\]\[([012])\]").fullmatch


def requirement(path: str, value: str, expected: str) -> str:
    """What the field at `path` must be, where it is `value`; a clause to follow both.

    What nobody has thought of is passed on as it is.
    """
    match = _column(path)
    of = f"a {_COLUMNS[int(match[1])]} " if match else ""
    for form, words in _FORMS:
        if found := form(expected):
            return of + words(path, value, found)
    if expected == "Number out of range":
        return f"{of}must be a number below {LARGEST:.2g}"
    if "matching regex" in expected:
        return "must be made of letters, digits and the characters . _ : -"
    return expected


def _kind(path: str, value: str, found: re.Match[str]) -> str:
    if path == "time" and found[2] in ("int", "float"):
        return _TIME
    if found[1] == "int" and found[2] == "float":
        of = " of nanoseconds since 1970" if path == "t_ns" else ""
        return f"must be a whole number{of}, without a point or an exponent"
    wanted = " or ".join(_KINDS.get(kind.strip(), kind) for kind in found[1].split("|"))
    is_quoted = found[2] == "str" and found[1] in ("float", "int") and value.startswith('"')
    advice = ": leave out the quotes" if is_quoted and _is_number(value.strip('"')) else ""
    if found[2] in ("null", "None") and "[" in path:
        advice = ": send a series for each side of a gap"
    since = ", in nanoseconds since 1970" if path == "t_ns" else ""
    return f"must be {wanted}{since}, not {_KINDS.get(found[2], found[2])}{advice}"


def _bounded(_path: str, value: str, found: re.Match[str]) -> str:
    limit = float(found[3])
    if value.lower() in _NOT_FINITE or abs(limit) == LARGEST:
        return "must be a finite number"
    if found[1] == "int":
        return "must not be negative" if limit == 0 else f"must be at most {found[3]}"
    if found[2].startswith(">") and limit in (0.0, SMALLEST):
        return "must not be negative" if limit == 0.0 else "must be above zero"
    return f"must be at {'least' if found[2].startswith('>') else 'most'} {limit:g}"


def _sized(path: str, _value: str, found: re.Match[str]) -> str:
    if path.startswith("cycles"):
        return "must be a list of three numbers: range, mean, count"
    if found[1] == "str" and found[2] == ">=":
        return "must not be empty"
    if found[1] == "str":
        return f"must have at most {found[3]} characters"
    return f"must have {found[3]} entries"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_Words = Callable[[str, str, "re.Match[str]"], str]
_FORMS: Final[tuple[tuple[Callable[[str], re.Match[str] | None], _Words], ...]] = (
    (_wrong_kind, _kind),
    (_bound, _bounded),
    (_length, _sized),
)
