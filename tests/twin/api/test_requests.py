"""Requests as a stranger would make them: HEAD, OPTIONS, what no route knows, odd values."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.twin.fakes import PRESS, REGISTRATION, House, house
from twin.api.application import application

HERE = f"/api/v1/components/{PRESS}"
EVENTS = "/api/v1/events"  # its GET does not end
PAGES = ("/", "/docs", "/openapi.json")  # that the document does not name


def gets(home: House) -> dict[str, dict[str, Any]]:
    """Every path that can be asked for, and what the document says of it."""
    paths = application(home.service).openapi()["paths"]
    named = {path: methods["get"] for path, methods in paths.items() if "get" in methods}
    filled = {"{site}/{component}": PRESS, "{sha256}": "0" * 64}
    found: dict[str, dict[str, Any]] = {path: {} for path in PAGES}
    for path, operation in named.items():
        for name, value in filled.items():
            path = path.replace(name, value)
        found[path] = operation
    assert len(found) >= 17
    assert not any("{" in path for path in found)
    return found


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path / "data") as opened:
        await opened.register(PRESS)
        await opened.load()
        yield opened


def refused(answer: httpx.Response) -> str:
    """The sentence of a 422."""
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid"), answer.text
    return str(answer.json()["detail"])


async def test_head_says_what_get_says_and_no_more(home: House) -> None:
    kept = ("content-type", "cache-control", "etag", "vary", "x-content-type-options")
    for path in gets(home):
        async with asyncio.timeout(5):
            head = await home.http.head(path)
        assert head.content == b"", path
        if path == EVENTS:
            assert head.status_code == 200
            assert head.headers["content-type"].startswith("text/event-stream")
            continue
        got = await home.http.get(path)
        assert head.status_code == got.status_code, path
        assert {k: head.headers.get(k) for k in kept} == {k: got.headers.get(k) for k in kept}


async def test_head_of_what_is_not_there_is_refused_without_a_body(home: House) -> None:
    for path, status in (("/nowhere", 404), (f"{HERE}x", 404), (f"{HERE}/inspections", 405)):
        head = await home.http.head(path)
        assert (head.status_code, head.content) == (status, b"")
        assert head.headers["content-type"] == "application/problem+json"
    home.service.ready.clear()
    head = await home.http.head(HERE)
    assert (head.status_code, head.content) == (503, b"")
    home.service.ready.set()


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (HERE, "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("/metrics", "GET, HEAD, OPTIONS"),
        (f"{HERE}/inspections", "OPTIONS, POST"),
    ],
)
async def test_options_tells_what_is_allowed(home: House, path: str, allowed: str) -> None:
    answer = await home.http.options(path)
    assert (answer.status_code, answer.content, answer.headers["allow"]) == (204, b"", allowed)


async def test_a_query_parameter_that_no_route_knows_is_refused(home: House) -> None:
    for path in gets(home):
        sentence = refused(await home.http.get(path, params={"stat": "limit"}))
        assert "query parameter 'stat' is unknown" in sentence, path
        assert "accepted here: " in sentence


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/api/v1/components/a/new", REGISTRATION),
        ("DELETE", HERE, None),
        ("POST", f"{HERE}/forecast", {"unit": "MPa", "cycles": [[1, 1, 1]]}),
        ("POST", f"{HERE}/inspections", {}),
        ("POST", "/api/v1/dead-letters/1/resubmit", None),
    ],
)
async def test_nothing_is_changed_by_a_request_that_is_not_understood(
    home: House, method: str, path: str, body: Any
) -> None:
    before = home.service.fleet.offset
    answer = await home.http.request(method, path, params={"dry_run": "1"}, json=body)
    assert refused(answer).endswith("accepted here: none")
    assert home.service.fleet.offset == before


async def test_the_parameter_that_was_meant_is_named(home: House) -> None:
    sentence = refused(await home.http.get("/api/v1/components?stauts=limit"))
    assert "is status meant? accepted here: site, " in sentence
    sentence = refused(await home.http.get(f"{HERE}/history?form=2026-01-01T00:00:00Z"))
    assert "is from meant?" in sentence


async def test_a_parameter_that_is_given_twice_is_refused(home: House) -> None:
    sentence = refused(await home.http.get("/api/v1/components?limit=1&limit=2"))
    assert sentence == "query parameter limit is given 2 times"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("limit=", "limit is '': it must be a whole number"),
        ("limit=0", "limit is '0': it must be at least 1"),
        ("limit=1001", "limit is '1001': it must be at most 1000"),
        ("limit=ten", "limit is 'ten': it must be a whole number"),
        ("limit=1e2", "limit is '1e2': it must be a whole number"),
        (f"limit={'9' * 5000}", "limit is '9"),
        ("site=", "site is '': it must be 1 to 63 lower-case letters"),
        (f"site={'a' * 64}", "lower-case letters, digits and hyphens, no hyphen first"),
        ("site=A", "site is 'A': "),
        ("status=", "status is '': it must be one of "),
        ("status=broken", "status is 'broken': it must be one of "),
    ],
)
async def test_an_odd_value_is_told_with_what_it_must_be(
    home: House, query: str, words: str
) -> None:
    sentence = refused(await home.http.get(f"/api/v1/components?{query}"))
    assert words in sentence
    assert len(sentence) < 300


ODD = ("", " ", "x" * 20_000, "\x00", "é", "-1", "[]", "1;2", "٣", "NaN", "null", "%", "1e999")


async def test_whatever_a_parameter_holds_the_answer_is_one(home: House) -> None:
    tried = 0
    for path, operation in gets(home).items():
        for parameter in operation.get("parameters", ()):
            if parameter["in"] != "query" or path == EVENTS:
                continue
            for value in ODD:
                tried += 1
                answer = await home.http.get(path, params={parameter["name"]: value})
                assert answer.status_code in (200, 404, 422), (parameter["name"], answer.text)
                if answer.status_code != 200:
                    assert answer.headers["content-type"] == "application/problem+json"
                    assert len(answer.content) < 3000
    assert tried > 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"crack_length": -1}, "crack_length is -1: it must be above 0"),
        ({"crack_lenght": 1}, "crack_lenght is unknown: is crack_length meant?"),
        ({"geometry": {"kind": "edge_crak", "W": 1}}, "geometry.kind is 'edge_crak': it must be"),
        ({"law": {"kind": "paris", "C": 1e-29, "m": 3, "Kth": 0}}, "law.Kth is unknown"),
        ({"geometry": {"W": 1}}, "geometry has no kind: it must be one of edge_crack, "),
        ({"geometry": None}, "geometry is null: it must be a table of fields"),
    ],
)
async def test_a_registration_that_cannot_be_is_told_in_a_sentence(
    home: House, body: dict[str, Any], words: str
) -> None:
    answer = await home.http.put("/api/v1/components/a/b", json={**REGISTRATION, **body})
    assert words in refused(answer)
    for machine in ("Input should", "Extra inputs", "Value error", "Field required", "validation"):
        assert machine not in answer.text


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("components?name=%00", "names are made of letters, digits, hyphens and a slash"),
        ("components?name=a*", "names are made of letters, digits, hyphens and a slash"),
        (
            f"components/{PRESS}/history?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
            "to 2026-01-01T00:00:00Z is not after from 2026-01-02T00:00:00Z: nothing is between",
        ),
        (f"components/{PRESS}/history?fields=crack_lenght", "is crack_length meant?"),
        (f"components/{PRESS}/images/zz", "it must be 64 digits of 0-9a-f"),
    ],
)
async def test_a_query_that_nothing_can_match_is_refused(
    home: House, query: str, words: str
) -> None:
    assert words in refused(await home.get(query))


async def test_the_time_may_be_named_among_the_fields_of_a_history(home: House) -> None:
    page = await home.json(f"components/{PRESS}/history?fields=time,cycles")
    assert list(page["columns"]) == ["time", "cycles"]


@pytest.mark.parametrize("name", ["horizon_cycles", "points"])
@pytest.mark.parametrize("value", [True, "4"])
async def test_what_is_no_number_is_none_in_a_what_if(
    home: House, name: str, value: object
) -> None:
    body = {"unit": "MPa", "cycles": [[100.0, 50.0, 1.0]], name: value}
    answer = await home.http.post(f"/api/v1/components/{PRESS}/forecast", json=body)
    assert f"{name} is" in refused(answer)


async def test_a_list_is_not_blamed_for_its_entries(home: House) -> None:
    plate = {"kind": "plate", "W": 0.1, "path": [[0.0, 0.0, 0.0], [0.002, "a"]]}
    answer = await home.http.put("/api/v1/components/a/b", json=REGISTRATION | {"geometry": plate})
    assert refused(answer) == (
        "geometry.path[0] is [0.0, 0.0, 0.0]: it must have at most 2 entries; "
        "geometry.path[1][1] is 'a': it must be a number"
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the body is missing: send a JSON object"),
        (b"[]", "what was sent is []: it must be a table of fields"),
        (b"{", "the body is not JSON: Expecting property name"),
        (b"NaN", "what was sent is nan"),
        (b"null", "what was sent is null: it must be a table of fields"),
    ],
)
async def test_a_body_that_is_none_is_told_in_a_sentence(
    home: House, content: bytes, words: str
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await home.http.put("/api/v1/components/a/b", content=content, headers=headers)
    assert words in refused(answer)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[" * 100_000, "the body is not JSON: it is nested too deeply, or no text"),
        (b'"\xff"', "the body is not JSON: it is nested too deeply, or no text"),
        (b'{"W": ' + b"1" * 4301 + b"}", "an integer in the body has more than 4,300 digits"),
    ],
)
async def test_a_body_that_python_does_not_take_is_told_why(
    home: House, content: bytes, words: str
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await home.http.put("/api/v1/components/a/b", content=content, headers=headers)
    assert (answer.status_code, answer.json()["detail"]) == (400, words)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"unit": None}, "unit is null: it must be text"),
        ({"unit": "furlong"}, "unit 'furlong' is not a unit of length (m, mm, "),
        ({"time": 1_764_000_000}, "time is 1764000000: write it as RFC 3339 with a zone"),
        ({"crack_length": "4"}, "crack_length is '4': it must be a number"),
        ({"crack_length": True}, "crack_length is true: it must be a number"),
        ({"crack_length": -4}, "crack_length is -4: it must be above 0"),
        ({"lenght": 4}, "lenght is unknown"),
    ],
)
async def test_an_inspection_that_cannot_be_is_told_in_a_sentence(
    home: House, changes: dict[str, Any], words: str
) -> None:
    body = {"crack_length": 4, "unit": "mm", "time": "2026-01-01T00:00:00Z"} | changes
    assert words in refused(await home.http.post(f"{HERE}/inspections", json=body))
    del body["unit"]
    sentence = refused(await home.http.post(f"{HERE}/inspections", json=body))
    assert "unit is missing: say which one the lengths are in (m, mm, " in sentence
