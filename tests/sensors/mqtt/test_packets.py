import struct
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from sensors.mqtt.framing import Framing
from sensors.mqtt.packets import (
    LARGEST,
    MOST_PROPERTIES,
    MOST_PROPERTY_BYTES,
    Message,
    PacketError,
    acknowledgements,
    message,
    numbers,
    publish,
    varint,
    varint_at,
)

REFUSALS = (PacketError, IndexError, struct.error)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
topics = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="+#"), min_size=1, max_size=40
)
messages = st.builds(
    Message,
    topic=topics,
    payload=st.binary(max_size=300),
    content_type=texts,
    properties=st.dictionaries(texts, texts, max_size=4),
)


def parsed(packet: bytes, generation: int = 0) -> Message:
    framing = Framing(LARGEST)
    framing.feed(packet)
    where = framing.complete()
    assert where is not None
    body, stop = where
    return message(packet, packet[0], body, stop, generation)


def cut(pieces: list[bytes]) -> list[bytes]:
    framing, packets = Framing(LARGEST), []
    for piece in pieces:
        framing.feed(piece)
        while (where := framing.complete()) is not None:
            packets.append(framing.data[framing.at : where[1]])
            framing.at = where[1]
    return packets


@pytest.mark.parametrize(
    ("value", "size"),
    [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (2_097_151, 3), (LARGEST, 4)],
)
def test_a_length_takes_as_many_bytes_as_the_standard_says(value: int, size: int) -> None:
    data = varint(value)
    assert len(data) == size
    assert varint_at(data, 0) == (value, size)


@pytest.mark.parametrize("value", [-1, LARGEST + 1])
def test_a_length_that_mqtt_cannot_hold_is_refused(value: int) -> None:
    with pytest.raises(PacketError, match=str(value)):
        varint(value)


def test_a_length_of_more_than_four_bytes_is_refused() -> None:
    with pytest.raises(PacketError, match="more than 4 bytes"):
        varint_at(b"\xff\xff\xff\xff\x01", 0)


@given(messages, st.integers(1, 65_535), st.integers(0, 1), st.integers(1, 99))
def test_a_message_survives_writing_and_reading(
    sent: Message, mid: int, qos: int, generation: int
) -> None:
    got = parsed(publish(sent, mid, qos=qos, retain=False), generation)
    assert (got.topic, got.payload, got.content_type) == (
        sent.topic,
        sent.payload,
        sent.content_type,
    )
    assert dict(got.properties) == dict(sent.properties)
    assert got.token == generation << 18 | (mid << 2 | 1 if qos else 0)


@given(st.lists(messages, max_size=6), st.lists(st.integers(0, 2000), max_size=8))
def test_packets_do_not_depend_on_how_the_stream_is_cut(sent: list[Message], at: list[int]) -> None:
    packets = [publish(m, i + 1, qos=1, retain=False) for i, m in enumerate(sent)]
    data = b"".join(packets)
    places = sorted({min(place, len(data)) for place in at} | {0, len(data)})
    pieces = [data[a:b] for a, b in pairwise(places)]
    assert cut(pieces) == packets
    assert cut([data[i : i + 1] for i in range(len(data))]) == packets


@given(messages)
def test_a_packet_that_ends_early_is_refused_and_nothing_else_happens(sent: Message) -> None:
    packet = publish(sent, 7, qos=1, retain=False)
    body = varint_at(packet, 1)[1]
    for stop in range(body, len(packet) - len(sent.payload)):
        with pytest.raises(REFUSALS):
            message(packet[:stop], packet[0], body, stop, 0)


@given(st.binary(max_size=60))
def test_no_bytes_do_anything_but_parse_or_be_refused(body: bytes) -> None:
    try:
        got = message(body, 0x32, 0, len(body), 0)
    except REFUSALS:
        return
    assert len(got.payload) <= len(body)


def test_a_message_reads_as_paho_writes_its_properties() -> None:
    properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # untyped
    properties.PayloadFormatIndicator = 1
    properties.MessageExpiryInterval = 3600
    properties.ContentType = "image/png"
    properties.ResponseTopic = "answers"
    properties.CorrelationData = b"\x00\x01"
    properties.SubscriptionIdentifier = 300
    properties.UserProperty = [("source", "microscope-1"), ("kind", "crack")]
    body = b"\x00\x03a/b" + b"\x00\x09" + properties.pack() + b"PNG"
    got = message(body, 0x32, 0, len(body), 0)
    assert (got.topic, got.payload, got.content_type) == ("a/b", b"PNG", "image/png")
    assert dict(got.properties) == {"source": "microscope-1", "kind": "crack"}


def test_the_broker_s_terms_read_as_paho_writes_them() -> None:
    properties: Any = Properties(PacketTypes.CONNACK)  # type: ignore[no-untyped-call]  # untyped
    properties.ReceiveMaximum = 20
    properties.MaximumPacketSize = 1_000_000
    properties.ServerKeepAlive = 17
    properties.ReasonString = "welcome"
    block = properties.pack()
    assert numbers(block[1:]) == {0x21: 20, 0x27: 1_000_000, 0x13: 17}


def test_a_message_of_quality_2_is_refused() -> None:
    body = b"\x00\x01a\x00\x01\x00"
    assert message(body, 0x32, 0, len(body), 0).topic == "a"
    with pytest.raises(PacketError, match="quality 2"):
        message(body, 0x34, 0, len(body), 0)


@pytest.mark.parametrize(("size", "is_refused"), [(999, False), (1000, False), (1001, True)])
def test_a_packet_above_the_limit_is_refused_before_it_is_read(size: int, is_refused: bool) -> None:
    framing = Framing(1000)
    framing.feed(b"\x30" + varint(size - 3))
    if is_refused:
        with pytest.raises(PacketError, match="1001 bytes"):
            framing.complete()
    else:
        assert framing.complete() is None


@pytest.mark.parametrize("topic", ["", "a/+", "a/#"])
def test_a_topic_with_wildcards_cannot_be_published_to(topic: str) -> None:
    with pytest.raises(PacketError, match="not a topic"):
        publish(Message(topic, b""), 1, qos=1, retain=False)


def test_a_text_of_65536_bytes_does_not_fit() -> None:
    publish(Message("a", b"", "x" * 65_535), 1, qos=1, retain=False)
    with pytest.raises(PacketError, match="65536 bytes"):
        publish(Message("a", b"", "x" * 65_536), 1, qos=1, retain=False)


def test_acknowledgements_stand_back_to_back() -> None:
    assert acknowledgements([1, 65_535]) == b"\x40\x02\x00\x01\x40\x02\xff\xff"


def many(pairs: int) -> bytes:
    """A load with so many user properties, all of them with the same name."""
    block = b"\x26\x00\x01k\x00\x01v" * pairs
    head = b"\x00\x01t" + varint(len(block)) + block
    return b"\x30" + varint(len(head) + 2) + head + b"{}"


def test_properties_are_kept_up_to_their_bounds() -> None:
    assert parsed(many(MOST_PROPERTIES)).excess == 0
    beyond = parsed(many(MOST_PROPERTIES + 1))
    assert beyond.excess == 7 * (MOST_PROPERTIES + 1)
    assert beyond.properties == {"k": "v"}
    least, most = (properties(MOST_PROPERTY_BYTES + more) for more in (0, 1))
    assert (least.excess, most.excess) == (0, MOST_PROPERTY_BYTES + 1)
    assert len(least.properties["k"]) > 16_000


def properties(size: int) -> Message:
    """A message whose properties take so many bytes."""
    flood = Message("t", b"{}", properties={"k": "x" * (size - 6)})
    return parsed(publish(flood, 1, qos=1, retain=False))


def test_a_flood_of_properties_costs_no_time_and_no_memory() -> None:
    """16.5 MB in one message took the loop 3.3 s."""
    packet = many(2_350_000)
    began = time.perf_counter()
    found = parsed(packet)
    assert time.perf_counter() - began < 0.5
    assert found.excess == 16_450_000
    assert found.payload == b"{}"
    assert len(found.properties) <= MOST_PROPERTIES


def test_of_properties_that_are_too_long_the_beginning_is_kept() -> None:
    properties = {"camera": "north", "note": "x" * 60_000}
    flood = Message("t", b"\x00", "image/png", {**properties, "rest": "y" * 60_000})
    found = parsed(publish(flood, 1, qos=1, retain=False))
    assert (found.content_type, found.properties) == ("image/png", {"camera": "north"})
    assert found.excess > 120_000
    assert found.payload == b"\x00"


def test_what_is_beside_a_payload_counts_as_held() -> None:
    empty = {str(i): "" for i in range(MOST_PROPERTIES)}
    for beside, least in (
        (Message("t" * 1000, b""), 1000),
        (Message("t", b"", "c" * 1000), 1000),
        (Message("t", b"", properties={"k": "v" * 1000}), 1000),
        (Message("t", b"", properties=empty), 100 * MOST_PROPERTIES),  # a pair is no bytes
    ):
        assert parsed(publish(beside, 1, qos=1, retain=False)).held >= least
