"""Why a payload is no JSON or no MessagePack, in words, from what stands where reading stopped."""

from __future__ import annotations

import re
from typing import Final, Literal

Form = Literal["json", "msgpack"]
NAMES: Final[dict[Form, str]] = {"json": "JSON", "msgpack": "MessagePack"}

_AROUND = 12  # characters that are shown [byte]
_IMAGES: Final = (b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0*")

_where = re.compile(r"(.*) \(byte (\d+)\)").fullmatch
_words = re.compile(
    r"(?<![\w\"])[-+]?(NaN|Infinity|Inf|None|True|False|undefined|N/?A)\b", re.IGNORECASE
).finditer
_field = re.compile(r'"(\w{1,32})"\s*:').findall
_NUMBERS: Final = {"nan", "infinity", "inf", "na", "n/a", "none", "undefined"}


def why(payload: bytes, form: Form, text: str) -> str:
    """What is wrong with a payload of a form, of which msgspec says `text`."""
    size = f"payload of {len(payload)} bytes"
    if not payload:
        return f"payload is empty: a message is one {NAMES[form]} object"
    match = _where(text)
    at = int(match[2]) if match else len(payload)
    said = match[1] if match else text
    if form == "json" and (found := _not_json(bytes(payload), at, said)):
        return f"{size} is not JSON: {found}"
    if "truncated" in text:
        return f"{size} is not {NAMES[form]}: it ends before the object does, as if cut short"
    if form == "msgpack":
        return f"{size} is not MessagePack: byte {at} begins no value"
    return f"{size} is not JSON: {said} at byte {at}, {_shown(payload, at)}"


def not_text(payload: bytes, form: Form) -> str:
    """What is said of a payload that holds text, but not in UTF-8; JSON is text throughout."""
    said = f"payload of {len(payload)} bytes holds text that is not UTF-8"
    if form == "json":
        try:
            payload.decode()
        except UnicodeDecodeError as exc:
            return f"{said}: {exc.reason} at byte {exc.start}"
    return said


def _not_json(payload: bytes, at: int, said: str) -> str | None:
    """What people do that JSON does not know, if it is one of the usual things."""
    if payload.startswith(b"\xef\xbb\xbf"):
        return "it begins with a byte order mark, which has to go"
    if payload.startswith(_IMAGES):
        return "it is an image, and those go to …/image"
    first = payload[0]
    if first & 0xF0 == 0x80 or first in (0xDE, 0xDF):
        return "it looks like MessagePack, which is content type application/msgpack"
    if not payload.lstrip().startswith((b"{", b"[")):
        return f"it begins with {_shown(payload, 0)}, and a message is one object in braces"
    text = payload.decode("latin-1")
    for word in _words(text, max(0, at - 12), min(len(text), at + 12)):
        if word.start() <= at <= word.end() + 1:
            return _word(text, word)
    return _slip(text, at, said)


def _word(text: str, word: re.Match[str]) -> str:
    fields = _field(text, 0, word.start())
    where = f" in {fields[-1]}" if fields else ""
    found = f"{word[0]}{where} is no value that JSON knows"
    if word[1].lower() not in _NUMBERS:
        return f"{found}: write {word[1].lower()}"
    if fields and fields[-1] in ("tension", "shear"):
        return f"{found}: send a series for each side of a gap"
    return f"{found}: send a number, or leave it out"


def _slip(text: str, at: int, said: str) -> str | None:
    before, here = text[:at].rstrip(), text[at : at + 1]
    there = f"{_shown(text.encode('latin-1'), at)} at byte {at}"
    if here == "'":
        return f"byte {at} is ': texts and names stand in double quotes"
    if re.search(r"\d,$", before[-2:]) and here.isdigit():
        return f"{there}: is that a decimal comma? write a point"
    if said.startswith("trailing comma"):
        return f"a comma at byte {at} has nothing behind it"
    if said.startswith("expected "):
        return f"{said.removeprefix('expected ')} is missing before {there}"
    if here and here < " ":
        return f"byte {at} is a control character within a text: write \\n or \\u000a"
    if re.match(r"[-+]?[.\d]", text[at : at + 3]):
        return f"{there} is no number of JSON: no +, no leading zero, digits around the point"
    return None


def _shown(payload: bytes, at: int) -> str:
    """What stands at a place, printable."""
    piece = payload[at : at + _AROUND].decode("utf-8", "replace")
    return ascii(piece) if piece else "the end"
