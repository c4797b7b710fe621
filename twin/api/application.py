"""The HTTP application of a service."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, Response
from fastapi.openapi.utils import get_openapi

from twin.api import problems
from twin.api.auth import Tokens, tokens_file
from twin.api.components import add_components
from twin.api.context import Context
from twin.api.crack import add_crack
from twin.api.dead_letters import add_letters
from twin.api.endings import Endings
from twin.api.event_stream import add_stream
from twin.api.forecast import add_forecasts
from twin.api.health import add_health
from twin.api.images import add_images
from twin.api.inspections import add_confirmations, add_inspections
from twin.api.middleware import OPEN, AccessMiddleware
from twin.api.models import add_models
from twin.api.neighbours import Neighbours
from twin.api.responses import json_answer
from twin.api.schema import Problem
from twin.api.sources import add_sources
from twin.api.states import add_states
from twin.kinds.offered import explain
from twin.service import Service

_PAGES = Path(__file__).parents[1] / "dashboard"
_DASHBOARD = (_PAGES / "dashboard.html").read_bytes()
_DOCS = (_PAGES / "docs.html").read_bytes()
_PARTS = (
    *(
        add_components,
        add_states,
        add_crack,
        add_forecasts,
        add_inspections,
        add_confirmations,
        add_images,
    ),
    *(add_sources, add_stream, add_letters, add_models, add_health),
)
_POLICY = {
    "Content-Security-Policy": (
        "default-src 'none'; connect-src 'self'; img-src 'self' blob:; "
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    ),
    "Cache-Control": "no-cache",
}


def application(service: Service) -> FastAPI:
    """Everything that HTTP answers; raises SettingsError for a tokens file that is none."""
    tokens, http = _tokens(service), service.settings.http
    app = _Application(
        title="streaming twin",
        version=version("streaming-twin"),
        description="What is believed of every crack, how long it will last, and why to trust it.",
        docs_url=None,  # FastAPI's pages load scripts from elsewhere; a plant's network may not
        redoc_url=None,
        openapi_url=None,  # a route as the others are
        redirect_slashes=False,
        dependencies=[Depends(problems.check_query)],
    )
    app.is_guarded = tokens is not None
    context = Context(service)
    for part in _PARTS:  # no router of its own: who looks for `Allow` sees all routes
        part(app, context)

    async def _described() -> Response:
        return json_answer(app.openapi())

    app.add_api_route("/", _dashboard, include_in_schema=False)
    app.add_api_route("/docs", _docs, include_in_schema=False)
    app.add_api_route("/openapi.json", _described, include_in_schema=False)
    problems.install(app)
    app.add_middleware(
        AccessMiddleware,
        tokens=tokens,
        neighbours=Neighbours((http.host, *http.allowed_hosts)),
        max_body_bytes=http.max_body_bytes,
        is_up=lambda: service.is_recovered,
        on_overloaded=service.metrics.http_refused.labels("overloaded").inc,
    )
    app.add_middleware(Endings)
    return app


class _Application(FastAPI):
    """FastAPI whose document knows problems and tokens."""

    is_guarded = False

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = _document(self, is_guarded=self.is_guarded)
        return self.openapi_schema


def _document(app: FastAPI, *, is_guarded: bool) -> dict[str, Any]:
    page = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        separate_input_output_schemas=False,  # a registration is given back as it was taken
    )
    parts = page["components"]
    reference = "#/components/schemas/{model}"
    schema = Problem.model_json_schema(ref_template=reference)
    parts["schemas"].update(schema.pop("$defs", {}))
    parts["schemas"]["Problem"] = schema
    explain(parts["schemas"])
    for unused in ("HTTPValidationError", "ValidationError"):
        parts["schemas"].pop(unused, None)
    if is_guarded:
        parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        for path, operations in page["paths"].items():
            for operation in operations.values():
                operation["security"] = [] if path in OPEN else [{"token": []}]
    return page


async def _dashboard() -> Response:
    return Response(_DASHBOARD, 200, _POLICY, media_type="text/html")


async def _docs() -> Response:
    return Response(_DOCS, 200, _POLICY, media_type="text/html")


def _tokens(service: Service) -> Tokens | None:
    path = service.settings.http.tokens_file
    return None if path is None else tokens_file(path)
