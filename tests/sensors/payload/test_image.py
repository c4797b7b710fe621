"""Images as messages: a file with user properties, or one MessagePack object."""

import hashlib
import io
from collections.abc import Callable
from functools import partial

import msgspec
import pytest
from PIL import Image

from sensors.errors import MalformedError
from sensors.limits import Limits
from sensors.observation import Snapshot
from sensors.payload.image import decode_image

IMAGE = "twin/v1/plant-a/press-1/image"
T_NS = 1_795_168_800_000_000_000  # 2026-11-20T10:00:00Z
PROPERTIES = {
    "source": "cam-1",
    "boot": "2",
    "seq": "9",
    "time": "2026-11-20T10:00:00Z",
    "kind": "crack",
    "pixel_size": "2.252e-7",
}


def refusal(call: Callable[[], object]) -> tuple[str, str]:
    """The reason and the sentence with which a call is refused."""
    with pytest.raises(MalformedError) as caught:
        call()
    return caught.value.reason, str(caught.value)


def png(size: tuple[int, int] = (11, 7)) -> bytes:
    file = io.BytesIO()
    Image.new("L", size, 90).save(file, "PNG")
    return file.getvalue()


def test_a_file_with_user_properties_becomes_a_snapshot() -> None:
    snapshot, data = decode_image(IMAGE, png(), PROPERTIES, "image/png")
    assert data == png()
    assert snapshot == Snapshot(
        component="plant-a/press-1",
        source="cam-1",
        boot=2,
        seq=9,
        t_ns=T_NS,
        sha256=hashlib.sha256(png()).hexdigest(),
        kind="crack",
        media_type="image/png",
        width=11,
        height=7,
        pixel_size=2.252e-7,
    )


def test_a_messagepack_object_says_the_same() -> None:
    expected, _ = decode_image(IMAGE, png(), PROPERTIES, "image/png")
    typed = PROPERTIES | {"boot": 2, "seq": 9, "pixel_size": 2.252e-7, "data": png()}
    body = msgspec.msgpack.encode(typed)
    for content_type in (None, "application/msgpack"):
        assert decode_image(IMAGE, body, {}, content_type) == (expected, png())
        assert decode_image(IMAGE, body, None, content_type)[0] == expected


def test_properties_of_others_are_ignored() -> None:
    snapshot, _ = decode_image(IMAGE, png(), PROPERTIES | {"traceparent": "00-ab-cd-01"})
    assert snapshot.seq == 9


def test_a_file_without_properties_is_told_what_is_missing() -> None:
    assert refusal(lambda: decode_image(IMAGE, png())) == ("field", "field source is missing")


@pytest.mark.parametrize(
    ("change", "reason", "says"),
    [
        ({"seq": "-1"}, "value", "seq is '-1': must not be negative"),
        ({"seq": "9.5"}, "type", "seq is '9.5'"),
        ({"seq": "1_0"}, "type", "seq is '1_0'"),
        ({"boot": ""}, "type", "boot is ''"),
        ({"kind": "cat"}, "value", "kind 'cat' is not crack or microstructure"),
        ({"pixel_size": "0"}, "value", "pixel_size is '0'"),
        ({"pixel_size": "nan"}, "value", "pixel_size is 'nan'"),
        ({"pixel_size": "inf"}, "value", "pixel_size is 'inf'"),
        ({"pixel_size": "1.5"}, "value", "pixel_size is 1.5: beyond ±1 m"),
        ({"pixel_size": "1 um"}, "type", "pixel_size is '1 um'"),
        ({"time": "2026-11-20T10:00:00"}, "time", "has no zone"),
        ({"t_ns": "5"}, "time", "are both given"),
        ({"source": "a b"}, "value", "source is 'a b'"),
    ],
)
def test_a_wrong_property_is_refused_with_its_name_and_value(
    change: dict[str, str], reason: str, says: str
) -> None:
    got = refusal(lambda: decode_image(IMAGE, png(), PROPERTIES | change))
    assert (got[0], says in got[1]) == (reason, True), got


def test_an_image_over_the_limits_is_refused() -> None:
    data = png()
    for limits in (Limits(image=len(data) - 1), Limits(pixels=76)):
        assert refusal(partial(decode_image, IMAGE, data, PROPERTIES, None, limits))[0] == "size"
    assert (
        decode_image(IMAGE, data, PROPERTIES, None, Limits(image=len(data), pixels=77))[1] == data
    )
    flood = bytes(Limits().image + 4097)
    assert refusal(lambda: decode_image(IMAGE, flood, PROPERTIES)) == (
        "size",
        "payload of 16781313 bytes is over 16777216",
    )
