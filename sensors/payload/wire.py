"""The objects on the wire, field by field, in the units of whoever sent them."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from sensors.limits import KEY_END, LARGEST, LONGEST_SOURCE, SMALLEST, SOURCE_CHARACTERS

# Bounds rather than `isfinite` afterwards: msgspec checks them while decoding, and NaN fails.
Finite: TypeAlias = Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]
# Not `gt=0.0`: msgspec reads that as at least 5e-324, which is zero itself in a process that
# flushes subnormals to zero, as the service does for torch.
Positive: TypeAlias = Annotated[float, Meta(ge=SMALLEST, le=LARGEST)]
NotNegative: TypeAlias = Annotated[float, Meta(ge=0.0, le=LARGEST)]
Ratio: TypeAlias = Annotated[float, Meta(ge=-1e6, le=1e6)]
Counter: TypeAlias = Annotated[int, Meta(ge=0, lt=KEY_END)]
Source: TypeAlias = Annotated[
    str,
    Meta(min_length=1, max_length=LONGEST_SOURCE, pattern=rf"\A[{SOURCE_CHARACTERS}]+\Z"),
]
Row: TypeAlias = tuple[NotNegative, Finite, NotNegative]  # range, mean, count [1]
ImageKind: TypeAlias = Literal["crack", "microstructure"]


class WireKey(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, gc=False):
    """What tells one message from all others."""

    source: Source
    boot: Counter
    seq: Counter
    time: str | UnsetType = UNSET
    t_ns: int | UnsetType = UNSET


class WireLoad(WireKey, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A series, or a spectrum."""

    unit: str
    rate_hz: Positive | UnsetType = UNSET
    tension: list[Finite] | UnsetType = UNSET
    shear: list[Finite] | UnsetType = UNSET
    cycles: list[Row] | UnsetType = UNSET
    shear_ratio: Ratio | UnsetType = UNSET


class WireInspection(WireKey, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A measured crack length."""

    unit: str
    crack_length: Positive
    crack_length_sd: NotNegative = 0.0
    method: Annotated[str, Meta(max_length=200)] = ""


class WireImage(WireKey, kw_only=True, forbid_unknown_fields=True, gc=False):
    """What an image cannot say of itself."""

    kind: str
    pixel_size: Positive


class WireImageObject(WireImage, kw_only=True, forbid_unknown_fields=True, gc=False):
    """An image from a client without user properties (MQTT 3.1.1)."""

    data: bytes
