"""Registering, changing and retiring components over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.twin.fakes import PRESS, REGISTRATION, House, house
from twin.api.schema import Described

HERE = f"/api/v1/components/{PRESS}"


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path / "data") as opened:
        yield opened


async def put(home: House, changes: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return await home.http.put(HERE, json={**REGISTRATION, **(changes or {})}, headers=named)


def kind(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


async def test_a_registered_component_is_there_at_once(home: House) -> None:
    answer = await put(home)
    assert (answer.status_code, answer.headers["etag"]) == (201, '"1"')
    page = Described.model_validate(answer.json())
    assert (page.revision, page.registered_by, page.retired) == (1, "api", False)
    assert (await home.http.get(HERE)).json()["registration"] == answer.json()["registration"]


async def test_a_registration_survives_a_restart(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await put(home)
    async with house(tmp_path / "data") as home:
        assert (await home.http.get(HERE)).status_code == 200


async def test_a_change_needs_the_revision_that_it_changes(home: House) -> None:
    await put(home)
    longer = {"crack_limit": 0.04}
    assert kind(await put(home, longer)) == (428, "precondition-required")
    assert kind(await put(home, longer, if_match='"2"')) == (412, "precondition-failed")
    answer = await put(home, longer, if_match='"1"')
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
    assert answer.json()["state"]["crack_limit"] == 0.04
    assert kind(await put(home, longer, if_match='"1"')) == (412, "precondition-failed")


async def test_a_change_keeps_what_was_learnt(home: House) -> None:
    await put(home)
    await home.load()
    before = (await home.http.get(f"{HERE}/state")).json()
    await put(home, {"retardation": {"kind": "none"}, "gate": 2e5}, if_match='"1"')
    after = (await home.http.get(f"{HERE}/state")).json()
    assert after["crack_length"] == before["crack_length"] > 0.002
    assert after["cycles"] == before["cycles"] == 1000.0


async def test_the_same_registration_again_is_no_change(home: House) -> None:
    await put(home)
    answer = await put(home, if_match='"1"')
    assert (answer.status_code, answer.headers["etag"]) == (200, '"1"')


async def test_if_none_match_only_creates(home: House) -> None:
    assert (await put(home, if_none_match="*")).status_code == 201
    assert kind(await put(home, if_none_match="*")) == (412, "precondition-failed")


async def test_if_match_creates_nothing(home: House) -> None:
    assert kind(await put(home, if_match="*")) == (412, "precondition-failed")
    assert (await home.http.get(HERE)).status_code == 404


async def test_of_two_who_create_at_once_one_is_told(home: House) -> None:
    answers = await asyncio.gather(*(put(home, {"gate": 1e5 + i}) for i in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


async def test_an_unchanged_registration_is_not_sent_again(home: House) -> None:
    await put(home)
    answer = await home.http.get(HERE, headers={"If-None-Match": '"1"'})
    assert (answer.status_code, answer.content) == (304, b"")
    assert (await home.http.get(HERE, headers={"If-None-Match": '"0", "2"'})).status_code == 200
    assert (await home.http.get(HERE, headers={"If-None-Match": 'W/"1"'})).status_code == 304


async def test_a_retired_component_keeps_its_history_and_takes_nothing_more(home: House) -> None:
    await put(home)
    for minute in range(3):
        await home.load(minute=minute)
    assert kind(await home.http.delete(HERE)) == (428, "precondition-required")
    answer = await home.http.delete(HERE, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await home.json(f"components/{PRESS}/state"))["status"] == "retired"
    assert len((await home.json(f"components/{PRESS}/history"))["columns"]["time"]) == 2
    assert (await home.json("components"))["items"] == []
    assert len((await home.json("components?status=retired"))["items"]) == 1
    body = {"crack_length": 4, "unit": "mm", "time": "2026-01-01T00:00:00Z"}
    assert kind(await home.http.post(f"{HERE}/inspections", json=body)) == (409, "conflict")


async def test_a_retired_component_comes_back(home: House) -> None:
    await put(home)
    await home.http.delete(HERE, headers={"If-Match": '"1"'})
    answer = await put(home, if_match='"2"')
    assert (answer.status_code, answer.json()["revision"]) == (200, 3)
    assert answer.json()["retired"] is False


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"crack_limit": 0.002}, "crack_limit"),
        ({"crack_limit": 0.0951}, "crack_limit"),
        ({"crack_length": -1.0}, "crack_length"),
        ({"crack_length": "long"}, "crack_length"),
        ({"material": "cheese"}, "cheese"),
        ({"material": None}, "law or a material"),
        ({"colour": "red"}, "colour"),
        ({"geometry": {"kind": "edge_crack", "W": 0.1, "H": 1}}, "H"),
        ({"geometry": {"kind": "banana"}}, "geometry"),
        ({"law": {"kind": "paris", "C": -1e-30, "m": 3}}, "cannot be stepped"),
        ({"geometry": {"kind": "hole_crack", "W": 0.2, "radius": -0.05}}, "cannot be stepped"),
        ({"geometry": {"kind": "edge_crack", "W": -0.1}}, "geometry.W is -0.1: a size has to be"),
        ({"geometry": {"kind": "compact_tension", "W": 0.05}}, "a/W is 0.04, not within 0.2"),
        ({"law": {"kind": "paris", "C": 6.9e-12, "m": 3}}, "looks like one for"),
    ],
)
async def test_a_registration_that_cannot_be_is_refused_by_name(
    home: House, changes: dict[str, Any], named: str
) -> None:
    answer = await put(home, changes)
    assert kind(answer) == (422, "invalid")
    assert named in answer.json()["detail"]
    assert home.service.fleet.components == {}


async def test_the_largest_limit_of_the_geometry_is_taken(home: House) -> None:
    assert (await put(home, {"crack_limit": 0.095})).status_code == 201


@pytest.mark.parametrize("name", ["UPPER/x", "a/-b", "a/b%2Fc", f"a/{'x' * 64}", "a/é"])
async def test_a_name_that_is_none_is_refused(home: House, name: str) -> None:
    answer = await home.http.put(f"/api/v1/components/{name}", json=REGISTRATION)
    assert answer.status_code in (404, 422)
    assert home.service.fleet.components == {}


async def test_the_longest_name_is_taken(home: House) -> None:
    name = f"{'s' * 63}/{'c' * 63}"
    answer = await home.http.put(f"/api/v1/components/{name}", json=REGISTRATION)
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("content", "media", "status"),
    [
        (b"{", "application/json", 422),
        (b"[" * 100_000, "application/json", 400),
        (b'{"crack_length": NaN}', "application/json", 422),
        (b'{"\\ud800": 1}', "application/json", 422),
        (b"\xff\xfe", "application/json", 422),
        (b"{}", "text/plain", 415),
        (b"{}", "", 415),
        (b"", "application/json", 422),
    ],
)
async def test_a_body_that_is_none_is_a_problem(
    home: House, content: bytes, media: str, status: int
) -> None:
    headers = {"Content-Type": media} if media else {}
    answer = await home.http.put(HERE, content=content, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(("size", "status"), [(1023, 422), (1024, 422), (1025, 413)])
@pytest.mark.parametrize("streamed", [True, False])
async def test_a_body_beyond_the_limit_is_stopped(
    tmp_path: Path, size: int, status: int, *, streamed: bool
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, size, 100):
            yield b" " * min(100, size - start)

    async with house(tmp_path / "data", http={"max_body_bytes": 1024}) as home:
        content = pieces() if streamed else b" " * size
        headers = {"Content-Type": "application/json"}
        answer = await home.http.put(HERE, content=content, headers=headers)
        assert answer.status_code == status
        assert answer.json()["type"] == (
            "/problems/" + ("invalid" if status == 422 else "body-too-large")
        )


async def test_a_strange_method_is_told_what_is_allowed(home: House) -> None:
    answer = await home.http.patch(HERE)
    assert kind(answer) == (405, "method-not-allowed")
    assert answer.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PUT"


async def test_an_unknown_route_is_a_problem(home: House) -> None:
    assert kind(await home.http.get("/api/v2/nothing")) == (404, "unknown-route")


async def test_a_bug_is_a_500_without_a_traceback(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home.service.stepping, "fleet", None)
    answer = await home.http.get(HERE)
    assert kind(answer) == (500, "internal")
    assert "Traceback" not in answer.text
    assert "NoneType" not in answer.text
    monkeypatch.undo()


async def test_nothing_is_changed_while_the_journal_cannot_be_written(home: House) -> None:
    home.service.committer.is_available = False
    answer = await put(home)
    assert kind(answer) == (503, "unavailable")
    assert "retry-after" in answer.headers
    home.service.committer.is_available = True
