"""Pixels of an opened image file as grey values, as whoever looks at the picture sees them.

White is white whichever way the file counts (TIFF's PhotometricInterpretation 0 counts from white),
and what is transparent shows the white sheet behind it. Gamma and colour profiles are not applied.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sensors.errors import MalformedError
from sensors.refusal import malformed

WHITE = 65_535  # of 16 bits
_BITS, _PHOTOMETRIC, _SAMPLES, _SAMPLE_FORMAT = 258, 262, 277, 339
_WHITE_IS_ZERO, _BLACK_IS_ZERO = 0, 1
_FORMATS: Final = {2: "signed", 3: "floating-point", 4: "undefined", 5: "complex", 6: "complex"}
_FADED: Final = ("LA", "La", "RGBA", "RGBa", "PA")  # modes with a channel of opacity
_INVISIBLE = "it is transparent everywhere, so that there is nothing to see"


class Scale(NamedTuple):
    """What the numbers of a file mean beyond what Pillow makes of them."""

    bits: int = 16  # of grey, where there are more than eight
    is_inverted: bool = False  # more than eight bits that count from white


def undecodable(kind: str, why: str) -> MalformedError:
    """The refusal of an image whose header was read, and whose pixels are not."""
    return malformed("image", f"data: {kind} cannot be decoded: {why}")


def unfolded(data: bytes, order: str, tags: dict[int, int]) -> tuple[bytes, Scale]:
    """A TIFF that Pillow reads right, and what is left to be done with its numbers.

    Pillow turns a picture that counts from white if it has up to eight bits, knows it with sixteen
    in one byte order only, and does not turn that: hence the other photometric interpretation.
    Raises MalformedError (reason `image`) for numbers that are no grey values of 8 to 16 bits.
    """
    bits, samples = tags.get(_BITS, 1), tags.get(_SAMPLES, 1)
    numbers = _FORMATS.get(tags.get(_SAMPLE_FORMAT, 1), "")
    if samples == 1 and (numbers or bits > 16):
        what = f"{bits}-bit {numbers or 'unsigned'} grey values"
        raise undecodable("tiff", f"it has {what}: save it with 8 or 16 unsigned bits")
    if samples > 1 or bits <= 8:
        return data, Scale()
    is_inverted = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    return _recounted(data, order) if is_inverted else data, Scale(bits, is_inverted)


def _recounted(data: bytes, order: str) -> bytes:
    """The same file, said to count from black."""
    changed = bytearray(data)
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    (n,) = struct.unpack_from(f"{order}H", data, at)
    for entry in range(at + 2, at + 2 + 12 * n, 12):
        if struct.unpack_from(f"{order}H", data, entry)[0] == _PHOTOMETRIC:
            struct.pack_into(f"{order}H", changed, entry + 8, _BLACK_IS_ZERO)
    return bytes(changed)


def grey(image: Image.Image, kind: str, scale: Scale) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """The grey values (h, w): uint8, or uint16 where the file has more than eight bits of grey.

    Raises MalformedError for values of neither 8 nor 16 unsigned bits.
    """
    if image.mode.startswith("I;16"):
        return _grey_16(image, scale)
    if image.mode in ("I", "F"):
        raise undecodable(kind, "its grey values have neither 8 nor 16 unsigned bits")
    if image.mode in _FADED or "transparency" in image.info:
        return _on_white(image, kind)
    return np.asarray(image.convert("L")).astype(np.uint8)


def _grey_16(image: Image.Image, scale: Scale) -> NDArray[np.uint16]:
    values = np.asarray(image).astype(np.uint16)
    clear = image.info.get("transparency")  # of PNG: one value, which is not shown
    if scale.bits < 16:
        top = 2**scale.bits - 1
        values = ((values.astype(np.uint32) * WHITE + top // 2) // top).astype(np.uint16)
    if scale.is_inverted:
        values = WHITE - values
    if isinstance(clear, int):
        if (values == clear).all():
            raise undecodable("png", _INVISIBLE)
        values = np.where(values == clear, np.uint16(WHITE), values)
    return values


def _on_white(image: Image.Image, kind: str) -> NDArray[np.uint8]:
    """What is seen of an image that is transparent in places on a white sheet."""
    colour = image.info.get("transparency")
    if isinstance(colour, tuple) and max(colour) > 255:  # of 16 bits, of which Pillow keeps 8
        image.info["transparency"] = tuple(part >> 8 for part in colour)
    plain = image.convert("LA") if image.mode == "La" else image
    clear = plain.convert("RGBA")
    opacity = clear.getchannel("A")
    if opacity.getextrema() == (0, 0):
        raise undecodable(kind, _INVISIBLE)
    sheet = Image.new("L", clear.size, 255)
    seen = Image.composite(clear.convert("L"), sheet, opacity)
    return np.asarray(seen).astype(np.uint8)
