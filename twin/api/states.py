"""State and history of a component."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from fastapi import FastAPI, Header, Query, Response

from sensors.refusal import shown
from storage.trajectories import Trajectories
from twin.api.answers import JSON, check_span, chosen, instant_ns, json_answer, times, times_or_none
from twin.api.arrow import ARROW, arrow
from twin.api.beliefs import recorded_state, state
from twin.api.context import PATH, Context, Name, Site
from twin.api.problems import ProblemError, documented
from twin.api.schema import History, State
from twin.api.trajectory import NAMES, UNITS, Selection, Slice, history, last_row
from twin.record import Row
from twin.sentences import nearest

CSV = "text/csv"
ROWS = 100_000  # the most rows of a page
_OTHERWISE = {
    CSV: {"schema": {"type": "string"}},
    ARROW: {"schema": {"type": "string", "format": "binary"}},
}

Instant = Annotated[str | None, Query(max_length=40, description="RFC 3339 time with a zone.")]
Rows = Annotated[int, Query(ge=1, le=ROWS, description="Most rows of the page.")]
Every = Annotated[int, Query(ge=1, le=1_000_000, description="Give every so many rows.")]
Fields = Annotated[
    str | None, Query(max_length=500, description=f"Of {', '.join(NAMES)}; with commas between.")
]


def add_states(app: FastAPI, context: Context) -> None:
    """The routes for what is and was believed."""
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
            page = state(service.fleet, context.views, found, can_catch_up=can_catch_up)
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
        accept: Annotated[str | None, Header()] = None,
    ) -> Response:
        """What was believed at every record tick with from ≤ time < to: JSON, CSV or Arrow.

        Unknown and infinite numbers are null in JSON; in CSV they are empty and `inf`, in an
        Arrow stream they stay what they are.
        """
        found, media = context.component(site, component), chosen(accept, (JSON, CSV, ARROW))
        wanted = Selection(found.name, _fields(fields), every=every, limit=limit)
        if t_from is not None:
            wanted = wanted._replace(t_from_ns=instant_ns(t_from, "from"))
        if to is not None:
            wanted = wanted._replace(t_to_ns=instant_ns(to, "to"))
            check_span(wanted.t_from_ns, wanted.t_to_ns)
        page, following = await context.recorded(_page, wanted, media)
        return _answer(page, media, following)


def _fields(text: str | None) -> tuple[str, ...]:
    if text is None:
        return NAMES
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in NAMES and name != "time":
            near = nearest(name, NAMES)
            meant = f"is {near} meant? they are" if near else "it must be one of"
            raise ProblemError("invalid", f"field {shown(name)}: {meant} {', '.join(NAMES)}")
    return tuple(name for name in names if name != "time")  # it always comes


def _page(
    trajectories: Trajectories, tail: Sequence[Row], wanted: Selection, media: str
) -> tuple[bytes, str | None]:
    """A page as bytes, and the start of the next one; in a thread."""
    found = history(trajectories, tail, wanted)
    following = None if found.next_ns is None else times(np.array([found.next_ns]))[0]
    if media == CSV:
        return _csv(found), following
    if media == ARROW:
        return arrow(found.columns, UNITS), following
    page = {
        "component": wanted.component,
        "units": {"time": "RFC 3339", **{name: _unit(name) for name in wanted.fields}},
        "columns": {name: _listed(found, name) for name in ("time", *wanted.fields)},
        "next": following,
    }
    return msgspec.json.encode(page), following


def _answer(page: bytes, media: str, following: str | None) -> Response:
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    if following is not None:
        headers["X-Next-From"] = following  # CSV and Arrow have no place for it
    return Response(page, 200, headers, media_type=media)


def _unit(name: str) -> str:
    return "RFC 3339" if name == "last_evidence" else UNITS[name]


def _listed(found: Slice, name: str) -> list[Any]:
    values = found.columns[name]
    if name == "time":
        return times(values.astype(np.int64))
    if name == "last_evidence":
        return times_or_none(values.astype(np.int64))
    return list(values.tolist())


def _csv(found: Slice) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(found.columns)
    columns = [_listed(found, name) for name in found.columns]
    for row in zip(*columns, strict=True):
        writer.writerow("" if cell != cell else cell for cell in row)  # NaN is not itself
    return text.getvalue().encode()
