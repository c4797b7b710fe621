"""A payload as text that a person can read: JSON as it came, MessagePack as JSON, bounded."""

from __future__ import annotations

import json
from typing import Any, Literal, NamedTuple

import msgspec

from sensors.refusal import shown

SHOWN = 2048  # most characters of a text
LARGEST = 256 << 10  # bytes of MessagePack that are decoded to be shown; JSON needs no decoding

Form = Literal["json", "msgpack", "text"]


class Readable(NamedTuple):
    """A payload, decoded."""

    form: Form | None  # None: neither
    text: str | None


def readable(payload: bytes, content_type: str) -> Readable:
    """The text of a payload, whatever its content type says that it is."""
    if not payload:
        return Readable(None, None)
    unpacked = _unpacked(payload)
    if "msgpack" in content_type and unpacked is not None:
        return Readable("msgpack", unpacked)
    plain = _plain(payload)
    if plain is not None:
        return Readable("json" if plain.lstrip()[:1] in ("{", "[") else "text", plain)
    return Readable(None, None) if unpacked is None else Readable("msgpack", unpacked)


def _plain(payload: bytes) -> str | None:
    """The beginning of a text in UTF-8; what does not print is escaped."""
    try:
        text = payload[: 4 * SHOWN].decode()
    except UnicodeDecodeError as exc:
        if len(payload) <= 4 * SHOWN or exc.start < 4 * SHOWN - 3:
            return None
        text = payload[: exc.start].decode()  # it was cut within a character
    return _cut(text)


def _unpacked(payload: bytes) -> str | None:
    """MessagePack as JSON; None for what is an image, a bare number, or too large."""
    if len(payload) > LARGEST:
        return None
    try:
        value = msgspec.msgpack.decode(payload, strict=False)
        if not isinstance(value, dict | list):
            return None
        return _cut(
            json.dumps(_named(value), ensure_ascii=False, default=lambda x: f"<{shown(x)}>")
        )
    except (msgspec.DecodeError, ValueError, TypeError, RecursionError):
        return None


def _named(value: Any) -> Any:  # noqa: ANN401  whatever was sent
    """The value with texts for keys, as JSON wants them."""
    if isinstance(value, dict):
        return {k if isinstance(k, str) else shown(k): _named(v) for k, v in value.items()}
    return [_named(v) for v in value] if isinstance(value, list) else value


def _cut(text: str) -> str:
    """At most SHOWN characters; what does not print is escaped."""
    shorter = text[: SHOWN + 1]
    safe = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in shorter)
    return safe if len(safe) <= SHOWN else f"{safe[: SHOWN - 1]}…"
