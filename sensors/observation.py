"""What was observed, in SI units, as one frozen value for each message.

The encoded form (MessagePack arrays, the tag first) is what the journal keeps for ever:
fields may be appended with a default, never moved or removed.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Quantity = Literal["stress", "strain"]


class Observation(msgspec.Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    """What every observation carries; (component, source, boot, seq) is its key."""

    component: str  # "site/component"
    source: str  # the instrument
    boot: int  # counts the instrument's restarts
    seq: int  # counts up by one for each component, source and boot
    t_ns: int  # event time [ns since 1970, UTC]


class Series(Observation, tag="series", frozen=True, array_like=True, kw_only=True, gc=False):
    """Equidistant samples; `t_ns` is the time of the first."""

    quantity: Quantity
    rate_hz: float
    tension: bytes  # little-endian float64, [Pa] or [m/m]
    shear: bytes = b""  # the same length, or empty
    unit: str = ""  # of the wire: null codes are written in it; empty in old journals


class Spectrum(Observation, tag="spectrum", frozen=True, array_like=True, kw_only=True, gc=False):
    """Counted cycles; `t_ns` is the end of the interval in which they happened."""

    quantity: Quantity
    cycles: bytes  # little-endian float64, (k, 3) rows of range, mean [Pa] or [m/m], count [1]
    shear_ratio: float = 0.0  # shear over tension, of ranges [1]
    unit: str = ""  # as in `Series`


class Inspection(
    Observation, tag="inspection", frozen=True, array_like=True, kw_only=True, gc=False
):
    """A measured crack length."""

    crack_length: float  # [m]
    crack_length_sd: float  # [m], zero if not stated
    method: str
    origin: str = ""  # the camera, where it was read from an image
    sha256: str = ""  # of that image
    at_least: bool = False  # the crack goes on beyond what was seen
    why: str = ""  # a sentence: it is not believed for itself


class Confirmation(
    Observation, tag="confirmation", frozen=True, array_like=True, kw_only=True, gc=False
):
    """That somebody believes an inspection that was held; `t_ns` is the inspection's."""

    inspection_source: str  # with `inspection_boot` and `inspection_seq`, the inspection's key
    inspection_boot: int
    inspection_seq: int


class Snapshot(Observation, tag="snapshot", frozen=True, array_like=True, kw_only=True, gc=False):
    """An image, kept beside the journal under its SHA-256."""

    sha256: str
    kind: Literal["crack", "microstructure"]
    media_type: str
    width: int  # [pixel]
    height: int  # [pixel]
    pixel_size: float  # [m]


class ImageFinding(
    Observation, tag="readout", frozen=True, array_like=True, kw_only=True, gc=False
):
    """What was read from an image. It moves no state: an inspection beside it does."""

    image_source: str  # with `image_boot` and `image_seq`, the image's key
    image_boot: int
    image_seq: int
    reader: str  # what read it
    outcome: Literal["measured", "unused", "untrusted", "nothing", "failed"]
    why: str = ""  # a sentence, unless it is measured
    length: float = 0.0  # of the crack that is seen [pixel]
    length_sd: float = 0.0  # [pixel]
    tip_sd: float = 0.0  # of each coordinate of an end [pixel]
    path: bytes = b""  # little-endian float32, (n, 2) x, y from mouth to tip [pixel]
    mouth_cut: bool = False  # the picture ends before the crack does
    tip_cut: bool = False


AnyObservation = Series | Spectrum | Inspection | Snapshot | ImageFinding | Confirmation

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[AnyObservation] = msgspec.msgpack.Decoder(AnyObservation)


def encoded(observation: AnyObservation) -> bytes:
    """The journal's form of an observation."""
    return _encoder.encode(observation)


def observation(body: bytes) -> AnyObservation:
    """The observation of a journal body; raises msgspec.DecodeError for anything else."""
    return _decoder.decode(body)
