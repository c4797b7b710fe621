"""Questions of the command line about components: which there are, and what is known of one."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, Literal
from urllib.parse import quote, urlencode

from twin.commands.client import ask, page
from twin.errors import SettingsError, UnknownError

WHATS = ("state", "history", "crack", "forecast", "images", "sources")
PAGE, ROWS = 1000, 100_000  # the most components, and rows of a history, of one request
_LISTED = (
    "component",
    "status",
    "crack_length",
    "crack_limit",
    "remaining_cycles",
    "last_evidence",
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What of a component is asked for."""

    what: str | None = None
    fields: str | None = None
    t_from: str | None = None
    t_to: str | None = None
    every: int = 1
    limit: int | None = None
    csv: bool = False

    def __post_init__(self) -> None:
        if self.what is not None and self.what not in WHATS:
            raise SettingsError(f"{self.what!r} is not one of {', '.join(WHATS)}")
        if self.kind != "history" and self.is_of_history:
            raise SettingsError(f"times, rows and CSV are those of the history, not of {self.kind}")
        if self.kind not in ("history", "state") and self.fields is not None:
            raise SettingsError(f"fields are those of the history or the state, not of {self.kind}")
        _names(self.fields)
        first, last = _moment(self.t_from), _moment(self.t_to)
        if first is not None and last is not None and last <= first:
            raise SettingsError(
                f"--to {self.t_to} is not after --from {self.t_from}: nothing is between"
            )

    @property
    def is_of_history(self) -> bool:
        """Whether something is wished that only a history has."""
        chosen = (self.t_from, self.t_to, self.limit)
        return self.csv or self.every != 1 or any(value is not None for value in chosen)

    @property
    def kind(self) -> str:
        """The page that is meant where none is named."""
        return self.what or ("history" if self.is_of_history else "state")


@dataclass(frozen=True, slots=True)
class Asker:
    """Where questions go."""

    url: str
    token: str | None

    def components(self, **filters: str | None) -> Iterator[dict[str, Any]]:
        """All components, by name; retired ones only if their status is asked for."""
        wanted = {key: value for key, value in filters.items() if value is not None}
        while True:
            query = urlencode({**wanted, "limit": PAGE})
            answer = ask(self.url, f"/api/v1/components?{query}", self.token)
            yield from answer["items"]
            if answer["next"] is None:
                return
            wanted["cursor"] = answer["next"]

    def named(self, component: str) -> str:
        """The "site/component" that a name, with or without its site, stands for.

        Raises UnknownError if there is none, SettingsError if there are several.
        """
        if "/" in component:
            return component
        names = [c["component"] for c in (*self.components(), *self.components(status="retired"))]
        found = [name for name in names if name.partition("/")[2] == component]
        if len(found) == 1:
            return str(found[0])
        if found:
            raise SettingsError(f"{component!r} is one of {', '.join(sorted(found))}: say which")
        bare = {name.partition("/")[2]: name for name in names}
        near = [bare[name] for name in get_close_matches(component, bare, 3)]
        hint = f": do you mean {' or '.join(near)}?" if near else "; twin query lists them"
        raise UnknownError(f"there is no component {component!r}{hint}")

    def answer(self, component: str, wish: Wish) -> str:
        """The answer as text: JSON, or CSV if that is wished."""
        path = f"/api/v1/components/{quote(self.named(component))}/{wish.kind}"
        if wish.kind != "history":
            return _json(_chosen(ask(self.url, path, self.token), wish.fields))
        return self._csv(path, wish) if wish.csv else _json(self._history(path, wish))

    def _history(self, path: str, wish: Wish) -> dict[str, Any]:
        """All pages of a history as one."""
        whole: dict[str, Any] = {}
        for query in _pages(wish):
            found = ask(self.url, f"{path}?{urlencode(query)}", self.token)
            if not whole:
                whole = found
            else:
                for name, values in found["columns"].items():
                    whole["columns"][name] += values
                whole["next"] = found["next"]
            _turn(query, found["next"], len(found["columns"]["time"]))
        return whole

    def _csv(self, path: str, wish: Wish) -> str:
        text: list[str] = []
        for query in _pages(wish):
            url = f"{path}?{urlencode(query)}"
            body, headers = page(self.url, url, self.token, headers={"Accept": "text/csv"})
            rows = body.decode().splitlines(keepends=True)
            text += rows if not text else rows[1:]
            _turn(query, headers.get("X-Next-From"), len(rows) - 1)
        return "".join(text)


def _pages(wish: Wish) -> Iterator[dict[str, Any]]:
    """The queries of one page after the other; `_turn` says how each went on."""
    given = {
        "fields": wish.fields,
        "from": instant(wish.t_from),
        "to": instant(wish.t_to),
        "every": wish.every if wish.every != 1 else None,
    }
    query: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    left = wish.limit
    while left is None or left > 0:
        query["limit"] = ROWS if left is None else min(left, ROWS)
        yield query
        following, rows = query.pop("next"), query.pop("rows")
        left = None if left is None else left - rows
        if following is None:
            return
        query["from"] = following


def _turn(query: dict[str, Any], following: str | None, rows: int) -> None:
    query |= {"next": following, "rows": rows}


def instant(text: str | None) -> str | None:
    """A time as the service takes it: a date or a time, UTC unless it says its zone."""
    moment = _moment(text)
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise SettingsError(
            f"{text!r} is not a time such as 2026-11-28, or 2026-11-28T10:00:00Z"
        ) from exc
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _names(fields: str | None) -> list[str] | None:
    """The fields that are wished; raises SettingsError for a name that is empty."""
    if fields is None:
        return None
    names = list(dict.fromkeys(name.strip() for name in fields.split(",")))
    if "" in names:
        raise SettingsError(f"--fields {fields!r} has a name that is empty")
    return names


def _chosen(answer: dict[str, Any], fields: str | None) -> dict[str, Any]:
    """The fields that are wished of an answer, all if none are named."""
    names = _names(fields) or list(answer)
    for name in names:
        if name not in answer:
            raise SettingsError(f"field {name!r} is not one of {', '.join(answer)}")
    return {name: answer[name] for name in names}


def _json(answer: object) -> str:
    return json.dumps(answer, indent=2) + "\n"


def listed(
    components: Sequence[dict[str, Any]], fields: str | None, form: Literal["csv", "json"] | None
) -> str:
    """Components: CSV in SI units, JSON, or columns for a person. Each says whose it is.

    Raises SettingsError for a field that is not there.
    """
    wished = _names(fields)
    names = list(_LISTED) if wished is None else list(dict.fromkeys(["component", *wished]))
    for name in names:
        if components and name not in components[0]:
            raise SettingsError(f"field {name!r} is not one of {', '.join(components[0])}")
    if form == "json":
        chosen = components if wished is None else [{n: c[n] for n in names} for c in components]
        return _json(chosen)
    if form == "csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([c[name] for name in names] for c in components)
        return text.getvalue()
    rows = [[_shown(c, name) for name in names] for c in components]
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (names, *rows)
    )
    return "\n".join(lines) + "\n"


def _shown(component: dict[str, Any], name: str) -> str:
    value = component[name]
    if name == "remaining_cycles" and value is None:
        return str(component.get("remaining_cycles_is", "unknown"))
    if value is None:
        return "-"
    if name.startswith("crack_"):
        return f"{value * 1e3:.3f} mm"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
