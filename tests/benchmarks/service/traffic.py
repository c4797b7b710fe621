"""Messages to measure with: 200 bytes of JSON, or a thousand samples."""

from __future__ import annotations

import json
from typing import Any, Literal, NamedTuple

import msgspec

from sensors.mqtt.packets import Message

SIZE = 200  # bytes of a small payload
SAMPLES = 1000  # in a large one
T0_NS = 1_700_000_000 * 10**9
Kind = Literal["spectrum", "json", "msgpack"]


class Plan(NamedTuple):
    """What is to be published."""

    root: str  # of the topics
    parts: int  # components in turn
    messages: int
    boot: int  # so that no repeat is taken for a duplicate of the last
    kind: Kind = "spectrum"
    rate_hz: float | None = None  # None: as fast as the broker takes them


def name(i: int) -> str:
    """The component number `i`."""
    return f"plant/part-{i:05d}"


def messages(plan: Plan) -> list[Message]:
    """All messages of a plan, each component's in order, a second of event time a round."""
    payload = {"spectrum": _spectrum, "json": _series_json, "msgpack": _series_msgpack}[plan.kind]
    media = "application/msgpack" if plan.kind == "msgpack" else "application/json"
    topics = [f"{plan.root}/{name(i)}/load" for i in range(plan.parts)]
    found = []
    for k in range(plan.messages):
        turn, i = divmod(k, plan.parts)
        t_ns = T0_NS + (plan.boot * 1_000 + turn) * 10**9 + i
        found.append(Message(topics[i], payload(plan.boot, turn, t_ns), media))
    return found


def _key(boot: int, seq: int, t_ns: int) -> dict[str, Any]:
    return {"source": "daq-3", "boot": boot, "seq": seq, "t_ns": t_ns, "unit": "MPa"}


def _spectrum(boot: int, seq: int, t_ns: int) -> bytes:
    """Three ranges, a source as long as it takes to fill 200 bytes; growth takes strides."""
    fields = _key(boot, seq, t_ns)
    fields["cycles"] = [[180.0, 110.0, 1.0], [60.0, 95.0, 10.0], [30.0, 80.0, 20.0]]
    short = len(json.dumps(fields, separators=(",", ":")))
    fields["source"] = "daq-3".ljust(len("daq-3") + min(SIZE - short, 59), "x")
    return json.dumps(fields, separators=(",", ":")).encode().ljust(SIZE)


_WAVE = [round(100.0 + 60.0 * ((i * 37) % 100) / 100.0, 2) for i in range(SAMPLES)]


def _series_json(boot: int, seq: int, t_ns: int) -> bytes:
    return msgspec.json.encode(
        {**_key(boot, seq, t_ns), "rate_hz": float(SAMPLES), "tension": _WAVE}
    )


def _series_msgpack(boot: int, seq: int, t_ns: int) -> bytes:
    return msgspec.msgpack.encode(
        {**_key(boot, seq, t_ns), "rate_hz": float(SAMPLES), "tension": _WAVE}
    )
