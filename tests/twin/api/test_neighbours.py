"""A service without tokens answers this machine, and no page of somebody else in its browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.twin.api.test_auth import bearer, secret
from tests.twin.fakes import PRESS, REGISTRATION, House, house
from twin.api.auth import new_token

NEW = "/api/v1/components/plant-b/new"


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path / "data", http={"allowed_hosts": ["Twin.Plant"]}) as opened:
        await opened.register(PRESS)
        yield opened


async def put(home: House, **headers: str) -> tuple[int, str]:
    """Try to register a part; the status and the kind of problem."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await home.http.put(NEW, json=REGISTRATION, headers=told)
    kind = answer.json().get("type", "").removeprefix("/problems/")
    return answer.status_code, kind


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "10.0.0.1", "", "[::2]", "[x"],
)
async def test_another_name_for_this_machine_is_refused(home: House, host: str) -> None:
    assert await put(home, host=host) == (421, "misdirected")
    for path in ("/", "/metrics", "/readyz", "/api/v1/components"):
        answer = await home.http.get(path, headers={"host": host})
        assert answer.status_code == 421
        assert PRESS not in answer.text
    assert "plant-b/new" not in home.service.fleet.components


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8080", "127.0.0.1:9", "127.1.2.3", "[::1]:8080", "twin.plant"]
)
async def test_names_of_loopback_and_those_that_are_allowed_are_answered(
    home: House, host: str
) -> None:
    assert await put(home, host=host) == (201, "")


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://127.0.0.1:81",
        "http://localhost",
        "null",
        "file://",
        "http://[",
    ],
)
async def test_a_page_from_elsewhere_changes_nothing_and_reads_nothing(
    home: House, origin: str
) -> None:
    assert await put(home, origin=origin) == (403, "foreign")
    answer = await home.http.get("/api/v1/components", headers={"origin": origin})
    assert answer.status_code == 403
    assert PRESS not in answer.text
    answer = await home.http.post("/api/v1/dead-letters/1/resubmit", headers={"origin": origin})
    assert answer.status_code == 403
    assert "plant-b/new" not in home.service.fleet.components


async def test_the_own_page_may_do_what_it_does(home: House) -> None:
    own = {"origin": "http://127.0.0.1", "sec_fetch_site": "same-origin"}
    assert await put(home, **own) == (201, "")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_what_a_browser_fetches_for_another_page_is_refused(home: House, site: str) -> None:
    fetched = {"sec-fetch-site": site, "sec-fetch-mode": "no-cors"}
    assert await put(home, sec_fetch_site=site) == (403, "foreign")
    assert (await home.http.get("/api/v1/components", headers=fetched)).status_code == 403
    followed = {"sec-fetch-site": site, "sec-fetch-mode": "navigate"}  # a link to the dashboard
    assert (await home.http.get("/", headers=followed)).status_code == 200


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded"])
async def test_a_form_changes_nothing_with_a_body_or_without(home: House, media: str) -> None:
    for body in (b"{}", b""):
        path = "/api/v1/dead-letters/1/resubmit"
        answer = await home.http.post(path, content=body, headers={"content-type": media})
        assert answer.status_code == 415


async def test_strangers_are_told_whether_it_is_ready_and_no_paths(tmp_path: Path) -> None:
    made = new_token("reader", "read")
    (tmp_path / "tokens.toml").write_text(made)
    async with house(tmp_path / "data", http={"tokens_file": tmp_path / "tokens.toml"}) as home:
        home.service.damage.append(f"{tmp_path}/data/journal.sqlite is damaged")
        told = (await home.http.get("/readyz")).json()
        assert (told["ready"], told["checks"]["journal"]) == (True, True)
        assert told["damage"] == ["send a token to read it"]
        known = (await home.http.get("/readyz", headers=bearer(secret(made)))).json()
        assert known["damage"] == home.service.damage
        wrong = await home.http.get("/readyz", headers=bearer("wrong"))
        assert str(tmp_path) not in wrong.text


async def test_a_service_with_tokens_goes_by_any_name(tmp_path: Path) -> None:
    made = new_token("writer", "write")
    (tmp_path / "tokens.toml").write_text(made)
    async with house(tmp_path / "data", http={"tokens_file": tmp_path / "tokens.toml"}) as home:
        headers = bearer(secret(made)) | {"host": "twin.example"}
        answer = await home.http.put(NEW, json=REGISTRATION, headers=headers)
        assert answer.status_code == 201
