"""Why a payload was refused, as a sentence that names the field and the value.

msgspec says what it expected and where, never what it found; the value is looked up in the
payload again, lazily, so that only refused messages pay for it. No sentence repeats more than
a few dozen characters of what a stranger sent, and none repeats bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches

import msgspec

from sensors.errors import MalformedError
from sensors.expected import requirement
from sensors.unreadable import Form, not_text, why

SENTENCE = 200  # longest sentence [character]
_SHOWN = 48  # longest value in it [character]
_FEW = 8  # most entries of a list that are shown
_SMALL = 64  # longest MessagePack value that is decoded to be shown [byte]

_PLACE = re.compile(r"(.*) - at `(?:key` in `)?\$(.*)`", re.DOTALL).fullmatch
_steps = re.compile(r"[^.\[\]]+").findall
_UNKNOWN = "Object contains unknown field `"
_MISSING = "Object missing required field `"
_NO_TEXT = "Invalid UTF-8"  # a DecodeError since msgspec 0.23, before it a UnicodeDecodeError
_FIELDS = (
    *("source", "boot", "seq", "time", "t_ns", "unit", "rate_hz", "tension", "shear", "cycles"),
    *("shear_ratio", "crack_length", "crack_length_sd", "method", "kind", "pixel_size", "data"),
)

_objects = {
    "json": msgspec.json.Decoder(dict[str, msgspec.Raw]).decode,
    "msgpack": msgspec.msgpack.Decoder(dict[str, msgspec.Raw]).decode,
}
_arrays = {
    "json": msgspec.json.Decoder(list[msgspec.Raw]).decode,
    "msgpack": msgspec.msgpack.Decoder(list[msgspec.Raw]).decode,
}
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def shown(value: object) -> str:
    """A value for a sentence, as JSON writes it: printable, short, long ones by their number."""
    if isinstance(value, bytes | bytearray | memoryview):
        return counted(len(value), "byte")
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, list | tuple):
        return _whole(value) or f"a list of {counted(len(value), 'entry', 'entries')}"
    if isinstance(value, dict):
        return "{}" if not value else f"a table of {counted(len(value), 'field')}"
    text = value[: _SHOWN + 1] if isinstance(value, str) else value
    quoted = ascii(text) if isinstance(value, str) and not value.isprintable() else repr(text)
    return quoted if len(quoted) <= _SHOWN + 2 else f"{quoted[:_SHOWN]}…"


def counted(n: int, one: str, many: str = "") -> str:
    """A number of things in words: 1 entry, 2 entries."""
    return f"{n} {one if n == 1 else many or f'{one}s'}"


def _whole(values: Sequence[object]) -> str:
    """A short list of plain values as JSON writes it; empty for others."""
    if len(values) > _FEW or any(isinstance(value, list | tuple | dict) for value in values):
        return ""
    text = f"[{', '.join(map(shown, values))}]"
    return text if len(text) <= _SHOWN else ""


def malformed(reason: str, sentence: str) -> MalformedError:
    """The error with its sentence, cut at the longest and with nothing that does not print."""
    text = sentence if sentence.isprintable() else ascii(sentence)[1:-1]
    cut = text if len(text) <= SENTENCE else f"{text[: SENTENCE - 1]}…"
    return MalformedError(reason, cut)


def refusal(error: Exception, payload: bytes, form: Form) -> MalformedError:
    """The refusal that stands for what msgspec raised on a payload."""
    if isinstance(error, RecursionError):
        return malformed(form, f"payload of {len(payload)} bytes is nested too deeply")
    if isinstance(error, UnicodeDecodeError) or str(error).startswith(_NO_TEXT):
        return malformed(form, not_text(payload, form))
    if not isinstance(error, msgspec.ValidationError):
        _, _, what = str(error).rpartition(" is malformed: ")
        return malformed(form, why(payload, form, what))
    if form == "msgpack" and payload[:1] in (b"{", b"["):
        what = "looks like JSON, which is content type application/json"
        return malformed(form, f"payload of {len(payload)} bytes is not MessagePack: it {what}")
    return invalid(str(error), lambda steps: _found(payload, form, steps))


def invalid(text: str, value_at: Callable[[list[str]], str]) -> MalformedError:
    """The refusal for the text of a ValidationError; `value_at` finds what is at a path."""
    if text.startswith(_UNKNOWN):
        return malformed("field", _unknown(text[len(_UNKNOWN) : -1]))
    if text.startswith(_MISSING):
        return malformed("field", f"field {text[len(_MISSING) : -1]} is missing")
    match = _PLACE(text)
    expected, path = match.groups() if match else (text, "")
    steps = _steps(path)
    if not steps:
        what = "a key" if match else "payload"
        return malformed("type", f"{what} {requirement('', '', expected)}")
    reason, value = "type" if ", got `" in expected else "value", value_at(steps)
    return malformed(reason, f"{path[1:]} is {value}: {requirement(path[1:], value, expected)}")


def _unknown(name: str) -> str:
    if name in _FIELDS:
        other = "it is one of another kind of message, which the topic's last level names"
        return f"field {shown(name)} is unknown here: {other}"
    close = get_close_matches(name.lower(), _FIELDS, 1, 0.75) if len(name) < _SHOWN else []
    return f"field {shown(name)} is unknown" + (f": is {close[0]} meant?" if close else "")


def _found(payload: bytes, form: Form, steps: list[str]) -> str:
    """What stands at a path of the payload, shown; the payload may be broken behind it."""
    try:
        raw = _objects[form](payload)[steps[0]]
        for step in steps[1:]:
            raw = _arrays[form](raw)[int(step)]
        return _verbatim(bytes(raw)) if form == "json" else _decoded(bytes(raw))
    except (*UNREADABLE, LookupError, ValueError):
        return "not readable"


def _verbatim(raw: bytes) -> str:
    text = raw[: _SHOWN + 1].decode(errors="replace")
    quoted = text if text.isprintable() else ascii(text)
    return quoted if len(quoted) <= _SHOWN else f"{quoted[:_SHOWN]}…"


def _decoded(raw: bytes) -> str:
    return shown(msgspec.msgpack.decode(raw)) if len(raw) <= _SMALL else f"{len(raw)} bytes"
