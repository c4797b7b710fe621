"""From payloads to observations: JSON, MessagePack, and images with their properties.

A payload is decoded once, into a struct that knows every field (`sensors.payload.wire`); what the
struct cannot say (one thing or the other, equal lengths, magnitudes in SI) is checked after
it, once. The only error is MalformedError, its `reason` one of REASONS, its sentence short
and printable. Of a field that a JSON object holds twice, the last counts (RFC 8259 leaves it
open).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from sensors.errors import MalformedError
from sensors.limits import Limits
from sensors.observation import AnyObservation, Inspection, Quantity, Series, Spectrum
from sensors.payload.envelope import FORMS, event_time, too_large
from sensors.payload.sound import ends_in_time
from sensors.payload.wire import Row, WireInspection, WireLoad
from sensors.quality import NULL_CODES, missing
from sensors.refusal import UNREADABLE, invalid, malformed, refusal, shown
from sensors.topics import Topics
from sensors.units import Unit, length_unit, load_unit
from sensors.unreadable import Form

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
Wire = TypeVar("Wire")
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


def inspection_of(component: str, fields: Mapping[str, Any], limits: Limits) -> Inspection:
    """The inspection that `fields` say, judged as if they had come as a message.

    Raises MalformedError.
    """
    return _inspection(component, _converted(fields, WireInspection), limits)


def spectrum_of(component: str, fields: Mapping[str, Any], limits: Limits) -> Spectrum:
    """The spectrum that `fields` say, `cycles` among them, judged likewise."""
    wire = _converted(fields, WireLoad)
    return _spectrum(component, wire, wire.cycles or [], limits)


def _converted(fields: Mapping[str, Any], kind: type[Wire]) -> Wire:
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as exc:
        raise invalid(str(exc), lambda steps: _value(fields, steps)) from exc


def _value(fields: Mapping[str, Any], steps: list[str]) -> str:
    found: Any = fields
    for step in steps:
        found = found[int(step)] if isinstance(found, list) else found[step]
    return shown(found)


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
    held = _Held(component, unit, quantity, limits)
    return Series(
        component=component,
        source=wire.source,
        boot=wire.boot,
        seq=wire.seq,
        t_ns=t_ns,
        quantity=quantity,
        rate_hz=rate_hz,
        tension=_samples("tension", tension, held),
        shear=b"" if shear is UNSET else _samples("shear", shear, held),
        unit=wire.unit,
    )


def _check_extent(t_ns: int, n: int, rate_hz: float, limits: Limits) -> None:
    """Refuse a series that is empty, too long, too fast, or lasts beyond the last instant."""
    if n == 0:
        raise malformed("value", "tension is []: a series needs a sample")
    if n > limits.samples:
        raise malformed("size", f"tension has {n} samples, more than {limits.samples}")
    if rate_hz > limits.rate_hz:
        raise malformed("value", f"rate_hz {rate_hz} is over {limits.rate_hz:g}")
    if not ends_in_time(t_ns, n, rate_hz):
        raise malformed("value", f"rate_hz {rate_hz} lets {n} samples last beyond 2200")


class _Held(NamedTuple):
    """What the numbers of a load are held against."""

    component: str
    unit: Unit
    quantity: Quantity
    limits: Limits

    @property
    def most(self) -> float:
        """The largest magnitude, in the unit of the wire."""
        return self.unit.wire(self.limits.largest(self.quantity))

    def are_codes(self, sizes: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether magnitudes stand for "missing": they are set aside where samples are judged."""
        known = self.limits.null_codes
        return missing(sizes, NULL_CODES if known is None else known(self.component))

    def too_large(self, field: str, value: float) -> MalformedError:
        return too_large(field, value, self.limits.largest(self.quantity), _SI[self.quantity])


def _samples(field: str, values: list[float], held: _Held) -> bytes:
    """The values in SI, little-endian float64."""
    packed = struct.pack(f"<{len(values)}d", *values)  # half the time of np.array(values)
    array, unit = np.frombuffer(packed, "<f8"), held.unit
    sizes = np.abs(array)
    beyond = sizes > held.most
    if beyond.any() and (wrong := beyond & ~held.are_codes(sizes)).any():
        i = int(np.where(wrong, sizes, 0.0).argmax())
        raise held.too_large(f"{field}[{i}]", values[i])
    if unit.is_si:
        return packed
    return (array * unit.factor / unit.divisor).tobytes()


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
        cycles=_rows(cycles, _Held(component, unit, quantity, limits)),
        shear_ratio=0.0 if wire.shear_ratio is UNSET else wire.shear_ratio,
        unit=wire.unit,
    )


def _rows(cycles: list[Row], held: _Held) -> bytes:
    """The rows in SI, little-endian float64; numpy would cost more for the usual few."""
    factor, divisor = held.unit
    bound, most = held.most, held.limits.count
    flat: list[float] = []
    for i, (extent, mean, count) in enumerate(cycles):
        if count > most:
            raise malformed("value", f"cycles[{i}][2] is {count}: a count over {most:g}")
        if extent > bound or not -bound <= mean <= bound:
            pair = np.abs(np.array([extent, mean]))
            if not held.are_codes(pair[pair > bound]).all():
                j = 0 if extent > bound else 1
                raise held.too_large(f"cycles[{i}][{j}]", cycles[i][j])
        flat += (extent * factor / divisor, mean * factor / divisor, count)
    return struct.pack(f"<{len(flat)}d", *flat)


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
