"""Which components a list shows, in which order, and where its next page begins.

A cursor holds the place of the last line, not a number of lines: what is registered, changes or
goes between two pages moves nothing else, and no part is left out or told twice.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Literal, NamedTuple, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from sensors.refusal import shown
from twin.api.problems import ProblemError
from twin.belief.overview import Overview
from twin.belief.status import FLAGS, SEVERITY, STATUSES, Flag, Status
from twin.component import NAME

Sort = Literal["name", "status", "remaining_cycles", "crack_length", "margin", "last_evidence"]
Direction = Literal["asc", "desc"]
SORTS: tuple[Sort, ...] = get_args(Sort)

Column = NDArray[Any]


class Wanted(NamedTuple):
    """What somebody asks of the list."""

    site: str | None = None
    name: str | None = None  # a part of it
    status: tuple[Status, ...] = ()  # none: all but the retired
    flag: tuple[Flag, ...] = ()  # any of them; none: with and without
    sort: Sort = "name"
    order: Direction = "asc"
    cursor: str | None = None
    limit: int = 100


class Listed(NamedTuple):
    """One page."""

    rows: NDArray[np.int64]  # of the overview
    words: NDArray[np.int64]  # (n,) of all components: the places in STATUSES
    next: str | None  # where the next page begins
    total: int  # components on all pages
    counts: dict[Status, int]  # of all that match but for their status and flags
    flagged: dict[Flag, int]  # likewise


class _Cursor(msgspec.Struct, frozen=True, array_like=True):
    sort: str
    order: str
    values: list[int | float]  # of the last line, as ordered by
    name: str


def listed(overview: Overview, wanted: Wanted, now_ns: int) -> Listed:
    """The page that is asked for; raises ProblemError for a cursor that is none of this list."""
    words = overview.statuses(now_ns)
    rows = _named(overview, wanted)
    tally = np.bincount(words[rows], minlength=len(STATUSES)).tolist()
    counts = dict(zip(STATUSES, tally, strict=True))
    flags = overview.flags[rows]
    flagged = dict(zip(FLAGS, flags.sum(axis=0).tolist(), strict=True))
    chosen = np.array([STATUSES.index(s) for s in wanted.status or STATUSES], np.int64)
    kept = np.isin(words[rows], chosen)
    if not wanted.status:
        kept &= ~overview.roll.retired[rows]
    if wanted.flag:
        kept &= flags[:, [FLAGS.index(flag) for flag in wanted.flag]].any(axis=1)
    rows = rows[kept]
    columns = [column[rows] for column in _columns(overview, words, wanted)]
    total = len(rows)
    if wanted.cursor is not None:
        later = _later(overview, rows, columns, _read(wanted, len(columns)), wanted)
        rows, columns = rows[later], [column[later] for column in columns]
    if columns:
        ranked = np.lexsort(columns[::-1])  # stable: names stay in order where all is equal
    else:
        ranked = np.arange(len(rows))[:: 1 if wanted.order == "asc" else -1]
    page = ranked[: wanted.limit]
    following = None
    if len(ranked) > wanted.limit:
        last = page[-1]
        values = [column[last].item() for column in columns]
        following = _written(wanted, values, overview.roll.names[rows[last]])
    return Listed(rows[page], words, following, total, counts, flagged)


def _named(overview: Overview, wanted: Wanted) -> NDArray[np.int64]:
    """The rows of a site's components whose names hold what is looked for, in their order."""
    names = overview.roll.names
    within = range(len(names)) if wanted.site is None else overview.of_site(wanted.site)
    if not wanted.name:
        return np.arange(within.start, max(within.start, within.stop), dtype=np.int64)
    part = wanted.name.lower()
    return np.array([i for i in within if part in names[i]], np.int64)


def _columns(overview: Overview, words: NDArray[np.int64], wanted: Wanted) -> list[Column]:
    """Numbers (n,) that rise along the list, the weightiest first; none for names.

    What is not known stands at the end, whichever way the list runs.
    """
    sign = 1 if wanted.order == "asc" else -1
    margin = 1.0 - overview.readings.crack_length / overview.crack_limit
    match wanted.sort:
        case "name":
            return []
        case "status":
            return [sign * SEVERITY[words], sign * margin]
        case "remaining_cycles":
            unknown = np.isnan(overview.remaining)
            return [unknown.astype(np.float64), np.where(unknown, 0.0, sign * overview.remaining)]
        case "crack_length":
            return [sign * overview.readings.crack_length]
        case "margin":
            return [sign * margin]
        case "last_evidence":
            return [sign * overview.readings.t_ns]


def _later(
    overview: Overview,
    rows: NDArray[np.int64],
    columns: list[Column],
    cursor: _Cursor,
    wanted: Wanted,
) -> NDArray[np.bool_]:
    """The rows that come behind the cursor."""
    later = np.zeros(len(rows), np.bool_)
    tied = np.ones(len(rows), np.bool_)
    for column, value in zip(columns, cursor.values, strict=True):
        later |= tied & (column > value)
        tied &= column == value
    behind = rows >= overview.after(cursor.name)
    if wanted.sort == "name" and wanted.order == "desc":
        behind = rows < overview.at(cursor.name)
    return later | (tied & behind)


def _written(wanted: Wanted, values: list[int | float], name: str) -> str:
    if wanted.sort == "name":
        return name
    packed = msgspec.msgpack.encode(_Cursor(wanted.sort, wanted.order, values, name))
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _read(wanted: Wanted, columns: int) -> _Cursor:
    text = wanted.cursor or ""
    if wanted.sort == "name" and NAME.fullmatch(text):
        return _Cursor("name", wanted.order, [], text)
    try:
        padded = text + "=" * (-len(text) % 4)
        packed = base64.b64decode(padded, altchars=b"-_", validate=True)
        found = msgspec.msgpack.decode(packed, type=_Cursor)
    except (binascii.Error, msgspec.DecodeError, UnicodeError, ValueError):
        raise ProblemError(
            "invalid", f"cursor is {shown(text)}: no list gave it, begin without one"
        ) from None
    fits = len(found.values) == columns and not any(value != value for value in found.values)
    if (found.sort, found.order) != (wanted.sort, wanted.order) or not fits:
        raise ProblemError(
            "invalid",
            f"cursor is {shown(text)}: it belongs to a list by {shown(found.sort)} "
            f"({shown(found.order)}), this one is by {wanted.sort} ({wanted.order})",
        )
    return found
