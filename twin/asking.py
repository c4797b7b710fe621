"""Questions to a running service over HTTP, for the command line."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from contextlib import suppress
from typing import Any

from twin.errors import TwinError, UnknownError

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

    Raises ConnectionError if nobody answers.
    """
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url.rstrip("/") + path, data, method=method)
    request.add_header("Accept", "application/json")
    if data is not None:
        request.add_header("Content-Type", "application/json")
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    for name, value in (headers or {}).items():
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            answer = response.read()
    except urllib.error.HTTPError as exc:
        raise _refusal(path, exc) from exc
    except urllib.error.URLError as exc:
        raise ConnectionError(f"{url} does not answer: {exc.reason}") from exc
    return json.loads(answer) if answer else None


def _refusal(path: str, exc: urllib.error.HTTPError) -> TwinError:
    detail = exc.read(10_000).decode(errors="replace")
    with suppress(json.JSONDecodeError, AttributeError):  # not a problem page: its text must do
        problem = json.loads(detail)
        detail = str(problem.get("detail") or problem.get("title"))
    kind = UnknownError if exc.code == 404 else TwinError
    return kind(f"{path}: {exc.code}: {detail}")
