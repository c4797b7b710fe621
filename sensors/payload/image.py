"""From image messages to snapshots: the file itself, or a MessagePack object around it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

import msgspec

from sensors.limits import Limits
from sensors.observation import Snapshot
from sensors.payload.envelope import FORMS, event_time, too_large
from sensors.payload.image_file import is_image, probe
from sensors.payload.wire import ImageKind, WireImage, WireImageObject
from sensors.refusal import UNREADABLE, invalid, malformed, refusal, shown
from sensors.topics import Topics

_IMAGE_KINDS: Final[dict[str, ImageKind]] = {
    "crack": "crack",
    "microstructure": "microstructure",
}
_LARGEST_PIXEL = 1.0  # [m]
_ENVELOPE = 4096  # room for the fields around an image's bytes [byte]
_OURS = WireImage.__struct_fields__
_image_object: Final = msgspec.msgpack.Decoder(WireImageObject).decode
_LIMITS: Final = Limits()
_TOPICS: Final = Topics()


def decode_image(
    topic: str,
    payload: bytes,
    properties: Mapping[str, str] | None = None,
    content_type: str | None = None,
    limits: Limits = _LIMITS,
    topics: Topics = _TOPICS,
) -> tuple[Snapshot, bytes]:
    """The snapshot of an `image` message and the file itself, of which only the header is read.

    The file comes with MQTT 5 user properties (those of others are ignored), or under `data`
    of one MessagePack object: told by the content type, or by the absence of both.

    Raises MalformedError: the message cannot be read; see the module for the reasons.
    """
    component, kind = topics.parsed(topic)
    if kind != "image":
        raise malformed("topic", f"topic {shown(topic)} carries no image: those go to …/image")
    if len(payload) > limits.image + _ENVELOPE:
        raise malformed("size", f"payload of {len(payload)} bytes is over {limits.image}")
    fields = {name: value for name, value in (properties or {}).items() if name in _OURS}
    if _is_object(payload, fields, content_type):
        wire, data = _from_object(payload)
    else:
        wire, data = _from_properties(fields), bytes(payload)
    return _snapshot(component, wire, data, limits), data


def _is_object(payload: bytes, fields: dict[str, str], content_type: str | None) -> bool:
    if content_type:
        return FORMS.get(content_type.strip().lower()) == "msgpack"
    # a PNG starts like a MessagePack map of nine fields, so a file is looked for first
    return not fields and not is_image(payload)


def _from_object(payload: bytes) -> tuple[WireImage, bytes]:
    try:
        wire = _image_object(payload)
    except UNREADABLE as exc:
        raise refusal(exc, payload, "msgpack") from exc
    return wire, wire.data


def _from_properties(fields: dict[str, str]) -> WireImage:
    try:
        return msgspec.convert(fields, WireImage, strict=False)
    except msgspec.ValidationError as exc:
        raise invalid(str(exc), lambda steps: shown(fields.get(steps[0]))) from exc


def _snapshot(component: str, wire: WireImage, data: bytes, limits: Limits) -> Snapshot:
    kind = _IMAGE_KINDS.get(wire.kind)
    if kind is None:
        raise malformed("value", f"kind {shown(wire.kind)} is not crack or microstructure")
    if wire.pixel_size > _LARGEST_PIXEL:
        raise too_large("pixel_size", wire.pixel_size, _LARGEST_PIXEL, "m")
    if len(data) > limits.image:
        raise malformed("size", f"data of {len(data)} bytes is over {limits.image}")
    t_ns = event_time(wire, limits)
    media_type, width, height = probe(data, limits)
    return Snapshot(
        component=component,
        source=wire.source,
        boot=wire.boot,
        seq=wire.seq,
        t_ns=t_ns,
        sha256=hashlib.sha256(data).hexdigest(),
        kind=kind,
        media_type=media_type,
        width=width,
        height=height,
        pixel_size=wire.pixel_size,
    )
