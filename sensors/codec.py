"""From payloads to observations: JSON, MessagePack, and images with their properties.

A payload is decoded once, into a struct that knows every field (`sensors.wire`); what the
struct cannot say (one thing or the other, equal lengths, magnitudes in SI) is checked after
it, once. The only error is MalformedError, its `reason` one of REASONS, its sentence short
and printable. Of a field that a JSON object holds twice, the last counts (RFC 8259 leaves it
open).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

import msgspec
import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from sensors.envelope import FORMS, event_time, too_large
from sensors.errors import MalformedError
from sensors.limits import LATEST_NS, Limits
from sensors.observation import AnyObservation, Inspection, Quantity, Series, Spectrum
from sensors.quality import NULL_CODES
from sensors.refusal import UNREADABLE, malformed, refusal, shown
from sensors.topics import Topics
from sensors.units import Unit, length_unit, load_unit
from sensors.unreadable import Form
from sensors.wire import (
    Row,
    WireInspection,
    WireLoad,
)

FILL: Final = (1e30, 1e39)  # where fill values of single precision lie, like 3.4e38 and 9.97e36
REASONS: Final = (
    *("topic", "content_type", "size", "json", "msgpack", "field", "type", "value", "unit"),
    *("time", "image"),
)
_loads: Final = {
    "json": msgspec.json.Decoder(WireLoad).decode,
    "msgpack": msgspec.msgpack.Decoder(WireLoad).decode,
}
_inspections: Final = {
    "json": msgspec.json.Decoder(WireInspection).decode,
    "msgpack": msgspec.msgpack.Decoder(WireInspection).decode,
}
_SI: Final[dict[Quantity, str]] = {"stress": "Pa", "strain": "m/m"}
_LIMITS: Final = Limits()
_TOPICS: Final = Topics()


def decode(
    topic: str,
    payload: bytes,
    content_type: str | None = None,
    properties: Mapping[str, str] | None = None,
    limits: Limits = _LIMITS,
    topics: Topics = _TOPICS,
) -> AnyObservation:
    """The observation of a `load` or `inspection` message, in SI units.

    The user properties have no meaning for these kinds, and are not looked at.

    Raises MalformedError: the message cannot be read; see the module for the reasons.
    """
    component, kind = topics.parsed(topic)
    if kind not in ("load", "inspection"):
        raise malformed("topic", f"topic {shown(topic)} carries no load and no inspection")
    if len(payload) > limits.message:
        raise malformed("size", f"payload of {len(payload)} bytes is over {limits.message}")
    form = _form(content_type)
    try:
        if kind == "load":
            return _load(component, _loads[form](payload), limits)
        return _inspection(component, _inspections[form](payload), limits)
    except UNREADABLE as exc:
        raise refusal(exc, payload, form) from exc


def _form(content_type: str | None) -> Form:
    if not content_type:
        return "json"
    form = FORMS.get(content_type) or FORMS.get(content_type.partition(";")[0].strip().lower())
    if form is None:
        raise malformed(
            "content_type",
            f"content type {shown(content_type)} is not application/json or application/msgpack",
        )
    return form


def _load(component: str, wire: WireLoad, limits: Limits) -> Series | Spectrum:
    if wire.cycles is UNSET:
        return _series(component, wire, limits)
    return _spectrum(component, wire, wire.cycles, limits)


def _series(component: str, wire: WireLoad, limits: Limits) -> Series:
    tension, rate_hz, shear = wire.tension, wire.rate_hz, wire.shear
    if tension is UNSET:
        raise malformed("field", "field tension is missing, and cycles too: a load has one of them")
    if rate_hz is UNSET:
        raise malformed("field", "field rate_hz is missing beside tension")
    if wire.shear_ratio is not UNSET:
        raise malformed(
            "field",
            f"field shear_ratio {wire.shear_ratio} stands without cycles: beside tension put shear",
        )
    t_ns = event_time(wire, limits)
    _check_extent(t_ns, len(tension), rate_hz, limits)
    if shear is not UNSET and len(shear) != len(tension):
        raise malformed("value", f"shear has {len(shear)} samples, tension {len(tension)}")
    quantity, unit = load_unit(wire.unit)
    return Series(
        component=component,
        source=wire.source,
        boot=wire.boot,
        seq=wire.seq,
        t_ns=t_ns,
        quantity=quantity,
        rate_hz=rate_hz,
        tension=_samples("tension", tension, unit, quantity, limits),
        shear=b"" if shear is UNSET else _samples("shear", shear, unit, quantity, limits),
        unit=wire.unit,
    )


def _check_extent(t_ns: int, n: int, rate_hz: float, limits: Limits) -> None:
    """Refuse a series that is empty, too long, too fast, or ends after the last instant."""
    if n == 0:
        raise malformed("value", "tension is []: a series needs a sample")
    if n > limits.samples:
        raise malformed("size", f"tension has {n} samples, more than {limits.samples}")
    if rate_hz > limits.rate_hz:
        raise malformed("value", f"rate_hz {rate_hz} is over {limits.rate_hz:g}")
    if t_ns + (n - 1) / rate_hz * 1e9 >= LATEST_NS:
        raise malformed("value", f"rate_hz {rate_hz} puts the last of {n} samples after 2200")


def _samples(
    field: str, values: list[float], unit: Unit, quantity: Quantity, limits: Limits
) -> bytes:
    """The values in SI, little-endian float64."""
    largest = limits.largest(quantity)
    packed = struct.pack(f"<{len(values)}d", *values)  # half the time of np.array(values)
    array = np.frombuffer(packed, "<f8")
    sizes = np.abs(array)
    beyond = sizes > unit.wire(largest)
    if beyond.any() and (wrong := beyond & ~_are_codes(sizes)).any():
        i = int(np.where(wrong, sizes, 0.0).argmax())
        raise too_large(f"{field}[{i}]", values[i], largest, _SI[quantity])
    if unit.is_si:
        return packed
    return (array * unit.factor / unit.divisor).tobytes()


def _are_codes(sizes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether numbers stand for "missing": they are set aside where samples are judged."""
    return np.isin(sizes, NULL_CODES) | ((sizes >= FILL[0]) & (sizes <= FILL[1]))


def _spectrum(component: str, wire: WireLoad, cycles: list[Row], limits: Limits) -> Spectrum:
    if wire.tension is not UNSET or wire.shear is not UNSET:
        raise malformed("field", "field tension or shear stands beside cycles: send two messages")
    if wire.rate_hz is not UNSET:
        raise malformed(
            "field", f"field rate_hz {wire.rate_hz} stands beside cycles, which have none"
        )
    if len(cycles) > limits.cycles:
        raise malformed("size", f"cycles has {len(cycles)} rows, more than {limits.cycles}")
    quantity, unit = load_unit(wire.unit)
    return Spectrum(
        component=component,
        source=wire.source,
        boot=wire.boot,
        seq=wire.seq,
        t_ns=event_time(wire, limits),
        quantity=quantity,
        cycles=_rows(cycles, unit, quantity, limits),
        shear_ratio=0.0 if wire.shear_ratio is UNSET else wire.shear_ratio,
        unit=wire.unit,
    )


def _rows(cycles: list[Row], unit: Unit, quantity: Quantity, limits: Limits) -> bytes:
    """The rows in SI, little-endian float64; numpy would cost more for the usual few."""
    factor, divisor = unit
    bound, most = unit.wire(limits.largest(quantity)), limits.count
    flat: list[float] = []
    for i, (extent, mean, count) in enumerate(cycles):
        if count > most:
            raise _row_too_large(i, cycles[i], bound, quantity, limits)
        if extent > bound or not -bound <= mean <= bound:
            pair = np.abs(np.array([extent, mean]))
            if not _are_codes(pair[pair > bound]).all():
                raise _row_too_large(i, cycles[i], bound, quantity, limits)
        flat += (extent * factor / divisor, mean * factor / divisor, count)
    return struct.pack(f"<{len(flat)}d", *flat)


def _row_too_large(
    i: int, row: Row, bound: float, quantity: Quantity, limits: Limits
) -> MalformedError:
    if row[2] > limits.count:
        return malformed("value", f"cycles[{i}][2] is {row[2]}: a count over {limits.count:g}")
    j = 0 if row[0] > bound else 1
    return too_large(f"cycles[{i}][{j}]", row[j], limits.largest(quantity), _SI[quantity])


def _inspection(component: str, wire: WireInspection, limits: Limits) -> Inspection:
    unit = length_unit(wire.unit)
    length = _length("crack_length", wire.crack_length, unit, limits)
    if length < limits.shortest:
        raise malformed(
            "value", f"crack_length is {wire.crack_length} {wire.unit}, below {limits.shortest} m"
        )
    if not wire.method.isprintable():
        raise malformed("value", f"method {shown(wire.method)} holds control characters")
    return Inspection(
        component=component,
        source=wire.source,
        boot=wire.boot,
        seq=wire.seq,
        t_ns=event_time(wire, limits),
        crack_length=length,
        crack_length_sd=_length("crack_length_sd", wire.crack_length_sd, unit, limits),
        method=wire.method,
    )


def _length(field: str, value: float, unit: Unit, limits: Limits) -> float:
    if value > unit.wire(limits.length):
        raise too_large(field, value, limits.length, "m")
    return unit.si(value)
