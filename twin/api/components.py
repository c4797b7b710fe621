"""The list of components, and each one's registration."""

from __future__ import annotations

import time
from functools import partial
from typing import Annotated, Any

import msgspec
import numpy as np
from fastapi import Body, FastAPI, Header, Query, Response
from pydantic import BeforeValidator

from twin.api.context import PART, PATH, PREFIX, Context, Name, Site
from twin.api.listing import Direction, Listed, Sort, Wanted, listed
from twin.api.problems import ProblemError, documented
from twin.api.responses import json_answer, times_or_none
from twin.api.schema import Described, Items
from twin.api.state_pages import held, history_is, state
from twin.belief.credible import NotMeantError
from twin.belief.fleet import Fleet
from twin.belief.overview import Overview
from twin.belief.preflight import trial
from twin.belief.status import STATUSES, Flag, Status
from twin.belief.validity import outside, strayed
from twin.component import DEPRECATED, Component, FlatRegistration, Sent


def _separate(values: Any) -> Any:  # noqa: ANN401  whatever was sent
    """`status=limit,fractured` as well as `status=limit&status=fractured`."""
    return [word for value in values for word in value.split(",")]


Statuses = Annotated[list[Status], BeforeValidator(_separate)]
Flags = Annotated[list[Flag], BeforeValidator(_separate)]
_STATUS = "One or several, with commas between; all but the retired if absent."
_FLAG = (
    "Only those with any of these: `held`, an inspection that waits for confirmation; `doubtful`, "
    "a last load with samples that no gauge can mean, or a stuck or clipped channel; `behind`, "
    "evidence so late that the history is not complete."
)
_SORT = (
    "`status`: the worst first, and within it the least margin. `margin`: the share of the limit "
    "that is left, 1 − crack_length/crack_limit. Unknown lives come last."
)
IfMatch = Annotated[str | None, Header(max_length=1000, description="The revision, in quotes.")]
IfNone = Annotated[str | None, Header(max_length=1000, description="A revision, or `*`.")]
_ETAG = {"ETag": {"description": "The revision, in quotes.", "schema": {"type": "string"}}}
_CHANGE = ("conflict", "precondition-failed", "precondition-required", "unavailable", "invalid")
_BODY = ("bad-request", "body-too-large", "unsupported-media-type")


class ListItem(msgspec.Struct, frozen=True, gc=False):
    """One line of the list; see `schema.Item`."""

    component: str
    status: Status
    crack_length: float
    crack_length_sd: float
    crack_limit: float
    growth_rate: float
    cycles: float
    remaining_cycles: float
    remaining_cycles_is: str
    last_evidence: str | None
    revision: int
    outside: list[str]
    held: dict[str, Any] | None
    quality: dict[str, Any]
    history_is: str


def add_components(app: FastAPI, context: Context) -> None:
    """The routes for components as such."""
    # Over 60 lines: a route each; they share what they close over.
    service = context.service

    @app.get(
        f"{PREFIX}/components",
        tags=["components"],
        responses={200: {"model": Items}, **documented("invalid", "overloaded")},
    )
    async def list_components(
        site: Annotated[str | None, Query(pattern=f"^{PART}$")] = None,
        name: Annotated[
            str | None,
            Query(
                max_length=127,
                pattern="^[A-Za-z0-9/-]*$",
                description="Only names that hold this text, in any case.",
            ),
        ] = None,
        status: Annotated[Statuses | None, Query(description=_STATUS)] = None,
        flag: Annotated[Flags | None, Query(description=_FLAG)] = None,
        sort: Annotated[Sort, Query(description=_SORT)] = "name",
        order: Annotated[
            Direction, Query(description="Rising (a to z, worst first, least first) or falling.")
        ] = "asc",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: Annotated[
            str | None, Query(max_length=500, description="`next` of the page before.")
        ] = None,
    ) -> Response:
        """A page of components, with how many there are of each status and flag.

        The cursor belongs to its `sort` and `order`. Parts that change between two pages may move
        over the border between them; no other is left out or told twice.
        """
        statuses, flags = tuple(status or ()), tuple(flag or ())
        wanted = Wanted(site, name, statuses, flags, sort, order, cursor, limit)
        can_catch_up = service.backfill.is_possible
        made = partial(_made, context, service.fleet, wanted, can_catch_up=can_catch_up)
        return json_answer(await context.lists.ask(made))

    @app.get(
        PATH,
        tags=["components"],
        responses={
            200: {"model": Described, "headers": _ETAG},
            304: {"description": "The registration is still that revision.", "headers": _ETAG},
            **documented("unknown-component", "invalid"),
        },
    )
    async def get_component(site: Site, component: Name, if_none_match: IfNone = None) -> Response:
        """The registration and the current state. The ETag is the registration's revision."""
        found = context.component(site, component)
        if if_none_match is not None and _names(if_none_match, found.revision):
            return Response(None, 304, {"ETag": _etag(found)})
        return _described(context, found)

    @app.put(
        PATH,
        tags=["components"],
        responses={
            200: {"model": Described, "headers": _ETAG},
            201: {"model": Described, "headers": _ETAG},
            **documented(*_CHANGE, *_BODY, "overloaded"),
        },
    )
    async def put_component(
        site: Site,
        component: Name,
        sent: Annotated[Sent, Body(description="In the form of an answer.")],
        if_match: IfMatch = None,
        if_none_match: IfNone = None,
    ) -> Response:
        """Register a component, change it (If-Match), or bring it back.

        A change keeps what was learnt, unless the initial crack length changes.
        """
        name, is_flat = f"{site}/{component}", isinstance(sent, FlatRegistration)
        registration = sent.nested() if isinstance(sent, FlatRegistration) else sent
        now = service.fleet.components.get(name)
        _check(name, now, if_match, if_none_match)
        if now is not None and now.registration == registration and not now.retired:
            return _described(context, now, is_flat=is_flat)
        try:
            await context.trials.ask(trial, registration)
        except NotMeantError as exc:
            raise ProblemError("invalid", f"{name}: {exc}") from exc
        except ValueError as exc:
            raise ProblemError("invalid", f"{name} cannot be stepped: {exc}") from exc
        after = Component(
            name=name,
            revision=now.revision + 1 if now else 1,
            registered_by="api",
            registration=registration,
        )
        await context.done(service.register([after]))
        return _described(context, after, 200 if now else 201, is_flat=is_flat)

    @app.delete(
        PATH,
        status_code=204,
        tags=["components"],
        responses={
            204: {"description": "Retired."},
            **documented(*_CHANGE, "unknown-component"),
        },
    )
    async def delete_component(site: Site, component: Name, if_match: IfMatch = None) -> Response:
        """Retire a component: its history stays, new observations are refused."""
        now = context.component(site, component)
        _check(now.name, now, if_match, None)
        if not now.retired:
            change = {"revision": now.revision + 1, "retired": True, "registered_by": "api"}
            await context.done(service.register([now.model_copy(update=change)]))
        return Response(None, 204)


def _check(name: str, now: Component | None, if_match: str | None, if_none: str | None) -> None:
    """Whether the preconditions of a change hold (RFC 9110, 13.1)."""
    if now is None:
        if if_match is not None:
            raise ProblemError("precondition-failed", f"{name} is not registered")
        return
    headers = {"ETag": _etag(now)}
    if if_none is not None and _names(if_none, now.revision):
        raise ProblemError(
            "precondition-failed", f"{name} is registered, revision {now.revision}", headers
        )
    if if_match is None:
        raise ProblemError(
            "precondition-required", f"{name} is registered: send If-Match with its ETag", headers
        )
    if not _names(if_match, now.revision):
        raise ProblemError("precondition-failed", f"{name} has revision {now.revision}", headers)


def _names(condition: str, revision: int) -> bool:
    """Whether a list of entity tags names a revision."""
    tags = (tag.strip().removeprefix("W/") for tag in condition.split(","))
    return any(tag in ("*", f'"{revision}"') for tag in tags)


def _etag(component: Component) -> str:
    return f'"{component.revision}"'


def _described(
    context: Context, component: Component, status: int = 200, *, is_flat: bool = False
) -> Response:
    service = context.service
    page = {
        "component": component.name,
        "revision": component.revision,
        "registered_by": component.registered_by,
        "retired": component.retired,
        "fleet_file": service.filed.apart(component),
        "deprecated": DEPRECATED if is_flat else None,
        "registration": msgspec.Raw(component.registration.model_dump_json().encode()),
        "state": state(
            service.fleet,
            context.views,
            component,
            can_catch_up=service.backfill.is_possible,
            offset=service.stepping.offset_of(component.name),
        ),
    }
    return json_answer(page, status, {"ETag": _etag(component)})


def _made(context: Context, fleet: Fleet, wanted: Wanted, *, can_catch_up: bool) -> dict[str, Any]:
    """A page of the list, in a thread: of a hundred thousand parts it takes a while."""
    overview = context.views.overview(fleet)
    found = listed(overview, wanted, time.time_ns())
    return _page(fleet, overview, found, can_catch_up=can_catch_up)


def _page(fleet: Fleet, overview: Overview, found: Listed, *, can_catch_up: bool) -> dict[str, Any]:
    page = found.rows
    names = [overview.roll.names[i] for i in page.tolist()]
    beyond = strayed(fleet, names)
    r, roll, remaining = overview.readings, overview.roll, overview.remaining[page]
    items = map(
        ListItem,
        names,
        [STATUSES[word] for word in found.words[page].tolist()],
        r.crack_length[page].tolist(),
        r.crack_length_sd[page].tolist(),
        overview.crack_limit[page].tolist(),
        r.growth_rate[page].tolist(),
        r.cycles[page].tolist(),
        remaining.tolist(),
        np.where(
            np.isnan(remaining), "unknown", np.where(np.isinf(remaining), "unbounded", "finite")
        ).tolist(),
        times_or_none(r.t_ns[page]),
        roll.revision[page].tolist(),
        [_outside(fleet, name) if name in beyond else [] for name in names],
        [held(fleet.held.get(name)) for name in names],
        overview.channels.at(page).pages(),
        [history_is(fleet, name, can_catch_up=can_catch_up) for name in names],
    )
    return {
        "items": list(items),
        "next": found.next,
        "total": found.total,
        "counts": found.counts,
        "flagged": found.flagged,
    }


def _outside(fleet: Fleet, name: str) -> list[str]:
    place = fleet.places[name]
    return outside(fleet.components[name], fleet.cohorts[place.cohort].state, place.row)
