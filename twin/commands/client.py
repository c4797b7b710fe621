"""Questions to a running service over HTTP, for the command line."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from sensors.errors import complaint
from twin.errors import SettingsError, TwinError, UnknownError

TIMEOUT_S = 30.0


def ask(
    url: str,
    path: str,
    token: str | None = None,
    *,
    method: str = "GET",
    body: object = None,
    headers: dict[str, str] | None = None,
) -> Any:  # noqa: ANN401  whatever the service says
    """The JSON answer; raises UnknownError for 404, TwinError for other refusals.

    Raises SettingsError for a URL that is none, a token that does not do and a question whose
    arguments cannot be used; ConnectionError if no service answers there.
    """
    sent = {"Accept": "application/json"} | (headers or {})
    data = None if body is None else json.dumps(body).encode()
    if data is not None:
        sent["Content-Type"] = "application/json"
    answer, _ = page(url, path, token, method=method, data=data, headers=sent)
    try:
        return json.loads(answer) if answer else None
    except ValueError as exc:
        raise ConnectionError(f"{url} does not answer as the service does: {exc}") from exc


def page(
    url: str,
    path: str,
    token: str | None = None,
    *,
    method: str = "GET",
    data: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[bytes, Mapping[str, str]]:
    """An answer as it comes, and its headers; raises what `ask` raises."""
    _check(url)
    request = urllib.request.Request(url.rstrip("/") + path, data, method=method)
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    for name, value in (headers or {}).items():
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            return response.read(), response.headers
    except urllib.error.HTTPError as exc:
        raise _refusal(path, exc, is_question=method == "GET") from exc
    except http.client.InvalidURL as exc:
        raise SettingsError(f"{url!r} cannot be asked for {path!r}: {exc}") from exc
    except urllib.error.URLError as exc:
        raise ConnectionError(f"{url} does not answer: {_why(exc.reason)}") from exc
    except (OSError, http.client.HTTPException, ValueError) as exc:  # of another kind of server
        raise ConnectionError(f"{url} does not answer as the service does: {_why(exc)}") from exc


def _why(reason: object) -> str:
    return complaint(reason) if isinstance(reason, BaseException) else str(reason)


def _check(url: str) -> None:
    """SettingsError for what is no URL of a service."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # brackets that do not close, a port that is none
        usable = False
    if not usable:
        raise SettingsError(f"{url!r} is no URL of a service, such as http://127.0.0.1:8080")


def _refusal(path: str, exc: urllib.error.HTTPError, *, is_question: bool) -> TwinError:
    detail = exc.read(10_000).decode(errors="replace")
    with suppress(json.JSONDecodeError, AttributeError):  # not a problem page: its text must do
        problem = json.loads(detail)
        detail = str(problem.get("detail") or problem.get("title"))
    if exc.code == 404:
        kind: type[TwinError] = UnknownError
    elif exc.code in (401, 403) or (is_question and exc.code in (400, 422)):
        kind = SettingsError  # a token or an argument that cannot be used
    else:
        kind = TwinError
    return kind(f"{path}: {exc.code}: {detail}")
