"""State and history of a component."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import msgspec
import numpy as np
from fastapi import FastAPI, Header, Query, Response
from fastapi.responses import StreamingResponse

from sensors.refusal import shown
from storage.trajectories.layout import INSTANT
from twin.api.arrow import ARROW, arrow
from twin.api.context import PATH, Context, Name, Site
from twin.api.history import NAMES, Selection, Slice, history, last_row
from twin.api.problems import ProblemError, documented
from twin.api.responses import (
    JSON,
    check_span,
    chosen,
    instant_ns,
    json_answer,
    times,
    times_or_none,
)
from twin.api.schema import History, State
from twin.api.state_pages import recorded_state, state
from twin.kinds.catalogue import groups
from twin.kinds.crack_fields import GROUP
from twin.sentences import nearest

CSV = "text/csv"
ROWS = 100_000  # the most rows of a page
CELLS = 1_000_000  # the most values of a page: 8 MB in memory, some 20 MB of text
VALUES = 2_000  # that are written together
PIECE = 49_152  # bytes that are made in one turn: some milliseconds, then somebody else has his
_OTHERWISE = {
    CSV: {"schema": {"type": "string"}},
    ARROW: {"schema": {"type": "string", "format": "binary"}},
}

Instant = Annotated[str | None, Query(max_length=40, description="RFC 3339 time with a zone.")]
_ROWS = f"Most rows of the page; fewer, with `next`, where they are more than {CELLS:,} values."
Rows = Annotated[int, Query(ge=1, le=ROWS, description=_ROWS)]
Every = Annotated[int, Query(ge=1, le=1_000_000, description="Give every so many rows.")]
Fields = Annotated[
    str | None, Query(max_length=500, description=f"Of {', '.join(NAMES)}; with commas between.")
]
_BELIEF = "Of which part of the registration: `crack`, or another belief beside it."
Belief = Annotated[str, Query(max_length=64, description=_BELIEF)]


def add_states(app: FastAPI, context: Context) -> None:
    """The routes for what is and was believed."""
    # Over 60 lines: a route each; they share what they close over.
    service = context.service

    @app.get(
        f"{PATH}/state",
        tags=["state"],
        responses={200: {"model": State}, **documented("unknown-component", "missing", "invalid")}
        | documented("overloaded", "damaged"),
    )
    async def get_state(site: Site, component: Name, at: Instant = None) -> Response:
        """What is believed now, or was believed at a time (the last record tick before it)."""
        found = context.component(site, component)
        if at is None:
            can_catch_up = service.backfill.is_possible
            offset = service.stepping.offset_of(found.name)
            page = state(
                service.fleet, context.views, found, can_catch_up=can_catch_up, offset=offset
            )
            return json_answer(page)
        columns = await context.recorded(last_row, found.name, instant_ns(at, "at"))
        if not columns:
            raise ProblemError("missing", f"nothing of {found.name} is recorded up to {at}")
        return json_answer(recorded_state(found, columns))

    @app.get(
        f"{PATH}/history",
        tags=["state"],
        responses={
            200: {"model": History, "content": _OTHERWISE},
            **documented("unknown-component", "not-acceptable", "invalid", "overloaded", "damaged"),
        },
    )
    async def get_history(
        site: Site,
        component: Name,
        t_from: Annotated[Instant, Query(alias="from")] = None,
        to: Instant = None,
        fields: Fields = None,
        every: Every = 1,
        limit: Rows = 10_000,
        belief: Belief = GROUP,
        accept: Annotated[str | None, Header()] = None,
    ) -> Response:
        """What was believed at every record tick with from ≤ time < to: JSON, CSV or Arrow.

        Unknown and infinite numbers are null in JSON; in CSV they are empty and `inf`, in an
        Arrow stream they stay what they are.
        """
        found, media = context.component(site, component), chosen(accept, (JSON, CSV, ARROW))
        wanted = Selection(found.name, every=every, limit=limit, group=_group(belief))
        wanted = wanted._replace(fields=_fields(fields, tuple(wanted.units)))
        if t_from is not None:
            wanted = wanted._replace(t_from_ns=instant_ns(t_from, "from"))
        if to is not None:
            wanted = wanted._replace(t_to_ns=instant_ns(to, "to"))
            check_span(wanted.t_from_ns, wanted.t_to_ns)
        page = await context.recorded(history, _bounded(wanted))
        following = None if page.next_ns is None else times(np.array([page.next_ns]))[0]
        pieces = _PIECES[media](page, wanted, following)
        headers = {"Cache-Control": "no-store", "Vary": "Accept"}
        if following is not None:
            headers["X-Next-From"] = following  # CSV and Arrow have no place for it
        told = _told(context, pieces)
        return StreamingResponse(told, 200, headers, media_type=media)


def _bounded(wanted: Selection) -> Selection:
    """At most so many rows that the page fits into memory, as often as it may be asked for."""
    return wanted._replace(limit=min(wanted.limit, max(1, CELLS // (2 + len(wanted.fields)))))


async def _told(context: Context, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The page, piece by piece, each made in a thread when the one before has left."""
    while piece := await context.reads.ask(_some, pieces):
        yield piece


def _some(pieces: Iterator[bytes]) -> bytes:
    """As much as is sent at a time; nothing at the end."""
    found, size = list[bytes](), 0
    while size < PIECE and (piece := next(pieces, b"")):
        found.append(piece)
        size += len(piece)
    return b"".join(found)


def _group(belief: str) -> str:
    if belief not in groups():
        there = ", ".join(groups())
        raise ProblemError("invalid", f"belief {shown(belief)}: it must be one of {there}")
    return belief


def _fields(text: str | None, known: tuple[str, ...]) -> tuple[str, ...]:
    if text is None:
        return known
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in known and name != "time":
            near = nearest(name, known)
            meant = f"is {near} meant? they are" if near else "it must be one of"
            raise ProblemError("invalid", f"field {shown(name)}: {meant} {', '.join(known)}")
    return tuple(name for name in names if name != "time")  # it always comes


def _json(page: Slice, wanted: Selection, following: str | None) -> Iterator[bytes]:
    known = {name: "RFC 3339" if u == INSTANT else u for name, u in wanted.units.items()}
    units = {"time": "RFC 3339", **{name: known[name] for name in wanted.fields}}
    head = msgspec.json.encode({"component": wanted.component, "units": units})
    yield head[:-1] + b',"columns":{'
    for i, name in enumerate(("time", *wanted.fields)):
        yield b"%s%s:[" % (b"," if i else b"", msgspec.json.encode(name))
        for start in range(0, page.rows, VALUES):
            listed = msgspec.json.encode(_listed(page, wanted, name, slice(start, start + VALUES)))
            yield (b"," if start else b"") + listed[1:-1]
        yield b"]"
    yield b'},"next":%s}' % msgspec.json.encode(following)


def _listed(page: Slice, wanted: Selection, name: str, rows: slice) -> list[Any]:
    values = page.columns[name]
    if name == "time":
        return times(values[rows].astype(np.int64), values.astype(np.int64))
    if wanted.units[name] == INSTANT:
        return times_or_none(values[rows].astype(np.int64), values.astype(np.int64))
    return list(values[rows].tolist())


def _csv(page: Slice, wanted: Selection, _following: str | None) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(page.columns)
    step = max(1, VALUES // len(page.columns))
    for start in range(0, page.rows, step):
        columns = [_listed(page, wanted, name, slice(start, start + step)) for name in page.columns]
        for row in zip(*columns, strict=True):
            writer.writerow("" if cell != cell else cell for cell in row)  # NaN is not itself
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    if not page.rows:
        yield text.getvalue().encode()


def _arrow(page: Slice, wanted: Selection, _following: str | None) -> Iterator[bytes]:
    yield arrow(page.columns, wanted.units)


_PIECES = {JSON: _json, CSV: _csv, ARROW: _arrow}
