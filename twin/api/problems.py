"""Refusals as problem details (RFC 9457): a stable `type`, a title, and a sentence."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, get_args, get_origin

import msgspec
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.routing import Match, Route

from sensors.errors import MalformedError
from sensors.refusal import shown
from storage.errors import CorruptError, MissingError, UnavailableError
from twin.errors import BelatedError, ConflictError, OverloadedError, UnknownError
from twin.sentences import FieldFault, faults, nearest

MEDIA_TYPE = "application/problem+json"
FAULTS = 20  # the most faults of a body that are told
SENTENCE = 500  # longest detail [character]

KINDS: dict[str, tuple[int, str]] = {
    "bad-request": (400, "The request cannot be read"),
    "unauthorized": (401, "A valid bearer token is needed"),
    "forbidden": (403, "The token's scope does not suffice"),
    "foreign": (403, "The request comes from another site's page"),
    "unknown-route": (404, "There is no such route"),
    "unknown-component": (404, "There is no such component"),
    "missing": (404, "There is no such thing"),
    "method-not-allowed": (405, "The route does not know this method"),
    "not-acceptable": (406, "None of the accepted media types is offered"),
    "too-slow": (408, "The request took too long to arrive"),
    "conflict": (409, "Somebody else changed it first"),
    "key-reused": (422, "The idempotency key was used for something else"),
    "no-load": (409, "No load was seen yet"),
    "precondition-failed": (412, "The revision is not the expected one"),
    "body-too-large": (413, "The body is too large"),
    "target-too-long": (414, "The path and query are too long"),
    "unsupported-media-type": (415, "The body's media type is not supported"),
    "invalid": (422, "A value is not valid"),
    "misdirected": (421, "The service does not go by this name"),
    "precondition-required": (428, "A change needs If-Match"),
    "overloaded": (429, "Too much is asked at once"),
    "headers-too-large": (431, "The headers are too many or too large"),
    "internal": (500, "Something is wrong with this program"),
    "unavailable": (503, "The service cannot do this now"),
    "starting": (503, "The service is not ready yet"),
    "damaged": (503, "What is on disk is damaged"),
}

# What is raised on purpose elsewhere, and the problem that it becomes.
ERRORS: dict[type[Exception], str] = {
    UnknownError: "unknown-component",
    ConflictError: "conflict",
    OverloadedError: "overloaded",
    BelatedError: "unavailable",
    MissingError: "missing",
    MalformedError: "invalid",
    UnavailableError: "unavailable",
    CorruptError: "damaged",
}

_STATUS = {
    400: "bad-request",
    404: "unknown-route",
    405: "method-not-allowed",
    413: "body-too-large",
    415: "unsupported-media-type",
}
_UNPARSED = "There was an error parsing the body"  # what FastAPI says, whatever the error was
_RETRY = {"overloaded": "1", "unavailable": "5", "starting": "1"}


class ProblemError(HTTPException):
    """A refusal of one kind; the sentence names what was asked and why it is refused."""

    def __init__(self, kind: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(KINDS[kind][0], detail, dict(headers or {}))
        self.kind = kind


def problem(
    kind: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    faults: list[dict[str, str]] | None = None,
) -> Response:
    """The answer that tells a problem."""
    status, title = KINDS[kind]
    page: dict[str, Any] = {
        "type": f"/problems/{kind}",
        "title": title,
        "status": status,
        "detail": _printable(detail),
    }
    if faults:
        page["errors"] = faults
    retry = {"Retry-After": _RETRY[kind]} if kind in _RETRY else {}
    return Response(
        msgspec.json.encode(page), status, {**retry, **(headers or {})}, media_type=MEDIA_TYPE
    )


def install(app: FastAPI) -> None:
    """Let every refusal of the application become a problem."""
    app.add_exception_handler(StarletteHTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _broken)
    for error in ERRORS:
        app.add_exception_handler(error, _raised)


def documented(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI responses of these kinds, and of those that any request may meet."""
    found: dict[int | str, dict[str, Any]] = {}
    for kind in (*kinds, "unauthorized", "forbidden", "internal", "starting"):
        status, title = KINDS[kind]
        before = found.get(status, {}).get("description")
        text = f"{before}; {title}" if before else title
        reference = {"schema": {"$ref": "#/components/schemas/Problem"}}
        found[status] = {"description": text, "content": {MEDIA_TYPE: reference}}
    return found


async def _refused(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, StarletteHTTPException)  # as installed
    kind = exc.kind if isinstance(exc, ProblemError) else _STATUS.get(exc.status_code, "internal")
    headers = dict(exc.headers or {})
    if exc.status_code == 405:
        headers["Allow"] = ", ".join(_allowed(request))
        if request.method == "OPTIONS":
            return Response(None, 204, headers)
    detail = _unparsed(exc.__cause__) if exc.detail == _UNPARSED else str(exc.detail)
    if kind == "method-not-allowed":
        detail = f"{request.method} is not known here: {headers['Allow']} are"
    if kind == "unknown-route" and not isinstance(exc, ProblemError):
        detail = f"{request.url.path} is not a route of this service, see /docs"
    return problem(kind, detail, headers)


def _unparsed(cause: BaseException | None) -> str:
    """Why Python does not take a body for JSON."""
    if isinstance(cause, ValueError) and not isinstance(cause, UnicodeError):
        return f"an integer in the body has more than {sys.get_int_max_str_digits():,} digits"
    return "the body is not JSON: it is nested too deeply, or no text"


async def _raised(_: Request, exc: Exception) -> Response:
    kind = next(ERRORS[error] for error in type(exc).__mro__ if error in ERRORS)
    return problem(kind, str(exc))


async def _invalid(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)  # as installed
    by_part: dict[str, list[dict[str, Any]]] = {}
    for error in exc.errors()[:FAULTS]:
        by_part.setdefault(error["loc"][0], []).append(error)
    found = [fault for part, errors in by_part.items() for fault in _told(request, part, errors)]
    told = [
        {"where": _printable(where), "what": _printable(what)}
        for where, what in dict(found).items()
    ]
    return problem("invalid", "; ".join(fault["what"] for fault in told), faults=told)


def _told(request: Request, part: str, errors: list[dict[str, Any]]) -> list[FieldFault]:
    """A sentence for each error in one part of the request, with the place that it is about."""
    first = errors[0]
    if part == "body" and first["type"] == "json_invalid":
        at = first["loc"][1]
        return [FieldFault("body", f"the body is not JSON: {first['ctx']['error']}, at {at}")]
    if part == "body" and len(first["loc"]) == 1 and first["type"] == "missing":
        return [FieldFault("body", "the body is missing: send a JSON object")]
    # of a query, whichever of several values it is; of a body all together: entries that are
    # wrong make their list seem too short
    steps = slice(1, None) if part == "body" else slice(1, 2)
    model = _body_model(request) if part == "body" else None
    found = faults([{**error, "loc": error["loc"][steps]} for error in errors], model)
    return [FieldFault(f"{part}.{fault.where}".rstrip("."), fault.what) for fault in found]


def _body_model(request: Request) -> object:
    """What the route that was asked wants as its body."""
    route = request.scope.get("route")
    params = route.dependant.body_params if isinstance(route, APIRoute) else []
    return params[0].field_info.annotation if params else None


async def check_query(request: Request) -> None:
    """Refuse what a route does not know: who writes `?stat=limit` must not be told of all parts.

    Raises ProblemError, naming what is accepted. A coroutine, as FastAPI runs others in threads.
    """
    if not request.scope["query_string"]:
        return
    route = request.scope.get("route")
    params = route.dependant.query_params if isinstance(route, APIRoute) else []
    known = {param.alias: param.field_info.annotation for param in params}
    for name in dict.fromkeys(request.query_params):
        if name not in known:
            near = nearest(name, tuple(known))
            meant = f"is {near} meant? " if near else ""
            accepted = ", ".join(known) or "none"
            raise ProblemError(
                "invalid",
                f"query parameter {shown(name)} is unknown: {meant}accepted here: {accepted}",
            )
        values = request.query_params.getlist(name)
        if len(values) > 1 and not _is_list(known[name]):
            raise ProblemError("invalid", f"query parameter {name} is given {len(values)} times")


def _is_list(annotation: object) -> bool:
    """Whether a parameter may come several times."""
    return get_origin(annotation) is list or any(map(_is_list, get_args(annotation)))


async def _broken(_request: Request, _exc: Exception) -> Response:
    return problem("internal", "the failure is in the service's log")


def _allowed(request: Request) -> list[str]:
    """The methods that any route of this path knows; starlette names those of the first only."""
    found: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return sorted(found | {"OPTIONS"} | ({"HEAD"} if "GET" in found else set()))


def _printable(text: str) -> str:
    """Text that survives UTF-8, and is not longer than a sentence should be."""
    cut = text if len(text) <= SENTENCE else f"{text[: SENTENCE - 1]}…"
    return cut.encode("utf-8", "backslashreplace").decode()
