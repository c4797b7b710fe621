"""The publisher's side: observations as messages that `sensors.payload.decode` reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple

import msgspec
import numpy as np

from sensors.instant import rfc3339
from sensors.observation import Inspection, Observation, Quantity, Series, Snapshot, Spectrum
from sensors.topics import Topics
from sensors.units import LENGTH, STRAIN, STRESS, Unit
from sensors.unreadable import Form

CONTENT_TYPES: Final[dict[Form, str]] = {
    "json": "application/json",
    "msgpack": "application/msgpack",
}
_SI: Final[dict[Quantity, str]] = {"stress": "Pa", "strain": "m/m"}
_UNITS: Final[dict[Quantity, dict[str, Unit]]] = {"stress": STRESS, "strain": STRAIN}
_encoded: Final[dict[Form, Callable[[object], bytes]]] = {
    "json": msgspec.json.Encoder().encode,
    "msgpack": msgspec.msgpack.Encoder().encode,
}
_TOPICS: Final = Topics()

Fields = dict[str, object]


class EncodedMessage(NamedTuple):
    """What goes to the broker; `content_type` and `properties` are MQTT 5."""

    topic: str
    payload: bytes
    content_type: str | None
    properties: Mapping[str, str]


def load_message(
    series: Series, *, unit: str | None = None, form: Form = "json", topics: Topics = _TOPICS
) -> EncodedMessage:
    """The message of a series, in SI units if no other is asked for (KeyError if unknown)."""
    name = unit or _SI[series.quantity]
    scale = _UNITS[series.quantity][name]
    fields = {
        **_key(series),
        "unit": name,
        "rate_hz": series.rate_hz,
        "tension": _in_unit(series.tension, scale),
    }
    if series.shear:
        fields["shear"] = _in_unit(series.shear, scale)
    return _message(topics.load(series.component), fields, form)


def spectrum_message(
    spectrum: Spectrum, *, unit: str | None = None, form: Form = "json", topics: Topics = _TOPICS
) -> EncodedMessage:
    """The message of a spectrum, in SI units if no other is asked for (KeyError if unknown)."""
    name = unit or _SI[spectrum.quantity]
    scale = _UNITS[spectrum.quantity][name]
    rows = np.frombuffer(spectrum.cycles, "<f8").reshape(-1, 3).tolist()
    fields = {
        **_key(spectrum),
        "unit": name,
        "cycles": [(scale.wire(extent), scale.wire(mean), n) for extent, mean, n in rows],
    }
    if spectrum.shear_ratio:
        fields["shear_ratio"] = spectrum.shear_ratio
    return _message(topics.load(spectrum.component), fields, form)


def inspection_message(
    inspection: Inspection, *, unit: str = "m", form: Form = "json", topics: Topics = _TOPICS
) -> EncodedMessage:
    """The message of a measured length, in metres if not asked otherwise (KeyError if unknown)."""
    scale = LENGTH[unit]
    fields = {
        **_key(inspection),
        "crack_length": scale.wire(inspection.crack_length),
        "crack_length_sd": scale.wire(inspection.crack_length_sd),
        "unit": unit,
        "method": inspection.method,
    }
    return _message(topics.inspection(inspection.component), fields, form)


def image_message(
    snapshot: Snapshot,
    data: bytes,
    *,
    form: Literal["file", "msgpack"] = "file",
    topics: Topics = _TOPICS,
) -> EncodedMessage:
    """The message of an image: the file with user properties, or one MessagePack object.

    The object is for MQTT 3.1.1, which has neither properties nor a content type.
    """
    topic = topics.image(snapshot.component)
    fields = {**_key(snapshot), "kind": snapshot.kind, "pixel_size": snapshot.pixel_size}
    if form == "msgpack":
        return EncodedMessage(topic, _encoded[form]({**fields, "data": data}), None, {})
    properties = {name: str(value) for name, value in fields.items()}
    return EncodedMessage(topic, data, snapshot.media_type, properties)


def _key(observation: Observation) -> Fields:
    return {
        "source": observation.source,
        "boot": observation.boot,
        "seq": observation.seq,
        "time": rfc3339(observation.t_ns),
    }


def _in_unit(samples: bytes, unit: Unit) -> list[float]:
    return [unit.wire(value) for value in np.frombuffer(samples, "<f8").tolist()]


def _message(topic: str, fields: Fields, form: Form) -> EncodedMessage:
    return EncodedMessage(topic, _encoded[form](fields), CONTENT_TYPES[form], {})
