"""The OpenAPI document, held against the running service by schemathesis."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import requests
import schemathesis
import torch
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from models.crack_path.stepper import EdgePlate
from models.fatigue.geometry import GEOMETRIES
from models.fatigue.laws import LAWS
from models.fatigue.retardation import RETARDATIONS
from tests.twin.fakes import PRESS, house
from twin.api.application import application
from twin.api.problems import KINDS

ENDLESS = "/api/v1/events"
EXAMPLES = 12  # of each operation
CHECKS = (
    not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service with two components behind a real socket, in a thread with a loop of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    started, stop = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        async with house(tmp_path_factory.mktemp("schema") / "data") as home:
            await home.register(PRESS, "a/b")
            for minute in range(3):
                await home.load(minute=minute)
            config = uvicorn.Config(application(home.service), log_config=None, lifespan="off")
            server = uvicorn.Server(config)
            server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]  # ours
            serving = asyncio.create_task(server.serve([listener]))
            started.set()
            await stop.wait()
            server.should_exit = True
            await serving

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(30)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    loops[0].call_soon_threadsafe(stop.set)
    thread.join(30)


@pytest.fixture
def subnormals() -> Iterator[None]:
    """Hypothesis wants to draw all floats there are; the service flushes the smallest to zero."""
    torch.set_flush_denormal(False)
    yield
    torch.set_flush_denormal(True)


def operations(document: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
        if path != ENDLESS
    ]


def named(document: dict[str, Any]) -> dict[str, Any]:
    """The document, with known components in place of strangers, except where one is created."""
    for methods in document["paths"].values():
        for method, operation in methods.items():
            if method == "put":
                continue
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path" and parameter["name"] in ("site", "component"):
                    known = PRESS.split("/")[parameter["name"] == "component"]
                    other = "ab"[parameter["name"] == "component"]
                    parameter["schema"] = {"type": "string", "enum": [known, other]}
    return document


@pytest.mark.usefixtures("subnormals")
def test_nothing_that_the_document_allows_breaks_the_service(url: str) -> None:
    document = requests.get(f"{url}/openapi.json", timeout=10).json()
    schema = schemathesis.openapi.from_dict(named(document))
    tried = 0
    for method, path in operations(document):
        operation = schema[path][method]

        @seeded(0)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def holds(case: schemathesis.Case) -> None:
            nonlocal tried
            tried += 1
            case.call_and_validate(base_url=url, checks=list(CHECKS))

        holds()
    assert tried >= 100


def test_every_route_is_documented_with_what_can_go_wrong(url: str) -> None:
    document = requests.get(f"{url}/openapi.json", timeout=10).json()
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert operation["description"], path
            for status, response in operation["responses"].items():
                if path.startswith("/api") and int(status) >= 400:
                    assert list(response["content"]) == ["application/problem+json"]
    assert {status for status, _ in KINDS.values()} >= {400, 401, 403, 404, 405, 406, 409, 412, 413}
    assert {status for status, _ in KINDS.values()} >= {415, 422, 428, 429, 500, 503}


def test_the_document_says_what_every_constant_is_and_in_which_unit(url: str) -> None:
    document = requests.get(f"{url}/openapi.json", timeout=10).json()
    schemas = document["components"]["schemas"]
    for registry in (LAWS, GEOMETRIES | {"plate": EdgePlate}, RETARDATIONS):
        for kind in registry:
            schema = schemas[f"{kind.title().replace('_', '')}Parameters"]
            assert len(schema["description"]) > 40 or kind == "none", kind
            for name, field in schema["properties"].items():
                if name != "kind":
                    assert field["description"], (kind, name)
                    is_number = field.get("type") == "number" and kind != "plate"
                    assert field.get("unit") or not is_number, (kind, name)
    assert "Whole width" in schemas["EdgeCrackParameters"]["properties"]["W"]["description"]
    assert "half of that from tip to tip" in schemas["CentreCrackParameters"]["description"]
    assert "doi:10.1115/1.3656900" in schemas["ParisParameters"]["description"]
    assert schemas["ParisParameters"]["properties"]["C"]["unit"] == "m/cycle / (Pa m^0.5)^m"
    for name, field in schemas["Registration"]["properties"].items():
        assert field.get("description") or name == "calibration", name
