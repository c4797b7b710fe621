"""Who may ask, and who may change."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.twin.fakes import PRESS, REGISTRATION, House, house
from twin.api.auth import new_token, tokens_file
from twin.api.middleware import OPEN
from twin.errors import SettingsError

STATE = f"/api/v1/components/{PRESS}/state"


def secret(lines: str) -> str:
    found = re.search(r"shown once: (\S+)", lines)
    assert found
    return found.group(1)


@pytest.fixture
def tokens(tmp_path: Path) -> dict[str, str]:
    """A reader's and a writer's token, and the file that lets them in."""
    made = {scope: new_token(f"{scope}er", scope) for scope in ("read", "write")}
    (tmp_path / "tokens.toml").write_text("\n".join(made.values()))
    return {scope: secret(lines) for scope, lines in made.items()}


@pytest.fixture
async def home(tmp_path: Path, tokens: dict[str, str]) -> AsyncIterator[House]:
    async with house(tmp_path / "data", http={"tokens_file": tmp_path / "tokens.toml"}) as opened:
        await opened.register(PRESS)
        yield opened


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic dXNlcjpwYXNz", "Bearer \x80\xff"],
)
async def test_a_stranger_is_told_nothing(home: House, authorization: str | None) -> None:
    headers = {} if authorization is None else {b"authorization": authorization.encode("latin-1")}
    for path in (STATE, "/metrics", "/api/v1/components", "/api/v1/nowhere"):
        answer = await home.http.get(path, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unauthorized")
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert PRESS not in answer.text


async def test_what_holds_no_data_is_open(home: House) -> None:
    for path in OPEN:
        assert (await home.http.get(path)).status_code == 200


async def test_a_reader_reads_and_asks_and_changes_nothing(
    home: House, tokens: dict[str, str]
) -> None:
    headers = bearer(tokens["read"])
    assert (await home.http.get(STATE, headers=headers)).status_code == 200
    assert (await home.http.get("/metrics", headers=headers)).status_code == 200
    path = f"/api/v1/components/{PRESS}"
    what_if = {"unit": "Pa", "cycles": [[1e8, 5e7, 1]]}
    answer = await home.http.post(f"{path}/forecast", json=what_if, headers=headers)
    assert answer.status_code == 200
    refused = [
        await home.http.put(path, json=REGISTRATION, headers=headers),
        await home.http.delete(path, headers=headers),
        await home.http.post(f"{path}/inspections", json={}, headers=headers),
        await home.http.post("/api/v1/dead-letters/1/resubmit", headers=headers),
    ]
    for answer in refused:
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden")
        assert "insufficient_scope" in answer.headers["www-authenticate"]


async def test_a_writer_changes_and_reads(home: House, tokens: dict[str, str]) -> None:
    headers = bearer(tokens["write"])
    path = "/api/v1/components/plant-b/new"
    assert (await home.http.put(path, json=REGISTRATION, headers=headers)).status_code == 201
    assert (await home.http.get(STATE, headers=headers)).status_code == 200


async def test_the_document_asks_for_a_token(home: House) -> None:
    document = (await home.http.get("/openapi.json")).json()
    assert document["paths"]["/metrics"]["get"]["security"] == [{"token": []}]
    assert document["paths"]["/healthz"]["get"]["security"] == []


async def test_no_token_is_ever_logged(
    home: House, tokens: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    for token in (*tokens.values(), "wrong-but-secret"):
        await home.http.get(STATE, headers=bearer(token))
    seen = "".join(capfd.readouterr())
    assert not any(token in seen for token in (*tokens.values(), "wrong-but-secret"))


def test_a_new_token_is_kept_as_its_hash_only(tmp_path: Path) -> None:
    lines = new_token("ndt-lab", "write")
    token = secret(lines)
    kept = "\n".join(line for line in lines.splitlines() if not line.startswith("#"))
    assert token not in kept
    assert hashlib.sha256(token.encode()).hexdigest() in kept
    (tmp_path / "t.toml").write_text(kept)
    assert tokens_file(tmp_path / "t.toml").scope(token) == "write"
    assert tokens_file(tmp_path / "t.toml").scope(token[:-1]) is None
    assert new_token("a", "read") != new_token("a", "read")


DIGEST = "0" * 64


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "tokens"),
        ("[tokens]", "tokens"),
        ("tokens = 3", "tokens"),
        (f'[tokens.a]\nsha256 = "{DIGEST}"', "a needs"),
        (f'[tokens.a]\nsha256 = "{DIGEST}"\nscope = "admin"', "'admin'"),
        ('[tokens.a]\nsha256 = "abc"\nscope = "read"', "sha256 of a"),
        (f'[tokens.a]\nsha256 = "{DIGEST.replace("0", "G")}"\nscope = "read"', "sha256 of a"),
        (f'[tokens.a]\nsha256 = "{DIGEST}"\nscope = "read"\ncolour = 1', "a needs"),
        (f'[other]\n[tokens.a]\nsha256 = "{DIGEST}"\nscope = "read"', "something else"),
        ("not toml", "tokens file"),
    ],
)
def test_a_tokens_file_that_is_none_stops_the_start(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "t.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=re.escape(named)):
        tokens_file(path)


def test_a_tokens_file_that_is_missing_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"t\.toml"):
        tokens_file(tmp_path / "t.toml")


@pytest.mark.parametrize(("name", "scope"), [("a", "admin"), ("a b", "read"), ("", "read")])
def test_a_token_without_a_known_scope_is_not_made(name: str, scope: str) -> None:
    with pytest.raises(SettingsError):
        new_token(name, scope)
