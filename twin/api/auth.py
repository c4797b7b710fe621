"""Bearer tokens: only their hashes are kept, and two scopes."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import tomllib
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from twin.errors import SettingsError, unreadable

Scope = Literal["read", "write"]  # writing includes reading
SCOPES: tuple[Scope, ...] = ("read", "write")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SHA = re.compile(r"[0-9a-f]{64}")


class Token(NamedTuple):
    """What is known of a token."""

    name: str
    digest: bytes  # SHA-256
    scope: Scope


class Tokens:
    """The tokens that are let in."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tuple(tokens)

    def scope(self, secret: str) -> Scope | None:
        """The scope of a token, or None for a stranger; takes as long for every stranger."""
        digest = hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
        found: Scope | None = None
        for token in self._tokens:
            if hmac.compare_digest(token.digest, digest):
                found = token.scope
        return found


def tokens_file(path: Path) -> Tokens:
    """The tokens of a TOML file of `[tokens.NAME]` tables with `sha256` and `scope`.

    Raises SettingsError; no sentence repeats what stands in the file beyond a token's name.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise SettingsError(f"tokens file {path}: {unreadable(exc)}") from exc
    entries = tables.get("tokens")
    if not isinstance(entries, dict) or not entries or len(tables) > 1:
        raise SettingsError(f"tokens file {path}: holds something else than [tokens.NAME] tables")
    return Tokens([_token(path, name, table) for name, table in entries.items()])


def _token(path: Path, name: str, table: Any) -> Token:  # noqa: ANN401  whatever TOML holds
    if not isinstance(table, dict) or set(table) != {"sha256", "scope"}:
        raise SettingsError(f"tokens file {path}: {name} needs sha256 and scope, and nothing else")
    digest, scope = table["sha256"], table["scope"]
    if not isinstance(digest, str) or not _SHA.fullmatch(digest):
        raise SettingsError(f"tokens file {path}: sha256 of {name} is not 64 hexadecimal digits")
    if scope not in SCOPES:
        raise SettingsError(f"tokens file {path}: scope {scope!r} of {name} is not read or write")
    return Token(name, bytes.fromhex(digest), cast(Scope, scope))


def new_token(name: str = "reader", scope: str = "read") -> str:
    """A fresh token and the lines for the tokens file; raises SettingsError for a strange scope."""
    if scope not in SCOPES:
        raise SettingsError(f"scope {scope!r} is not read or write")
    if not _NAME.fullmatch(name):
        raise SettingsError(f"name {name!r} is not 1 to 64 letters, digits, _ and -")
    secret = secrets.token_urlsafe(32)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    return (
        f"# the token, shown once: {secret}\n"
        f'[tokens.{name}]\nsha256 = "{digest}"\nscope = "{scope}"\n'
    )
