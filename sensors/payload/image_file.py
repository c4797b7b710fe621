"""Image files: what their headers say, read before anything is decoded, and their pixels.

PNG (W3C, 3rd edition), JPEG (ITU-T T.81) and TIFF 6.0. Of a PNG the first image counts. A TIFF has
one page beside those that say of themselves that they are reduced ones. A TIFF's orientation is
obeyed, as Pillow does; a JPEG and a PNG are taken as they are stored, whatever EXIF says of how to
turn them: a path in pixels is that of the stored rows and columns. What the numbers mean as grey is
the work of `sensors.payload.grey`.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from sensors.errors import MalformedError
from sensors.limits import Limits
from sensors.payload.grey import Scale, grey, undecodable, unfolded
from sensors.refusal import malformed

Size = tuple[int, int]  # width, height [pixel]

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_TIFF = {b"II": "<", b"MM": ">"}  # byte order
_BIG_TIFF = 43

_PNG_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0…SOF15; not DHT, JPG, DAC
_BARE = frozenset((0x01, *range(0xD0, 0xD9)))  # markers without a length: TEM, RSTn, SOI
_ADVICE = "save it as grey with 8 or 16 bits"
_SEGMENTS = 4096  # more than any camera writes before the frame header

_WIDTH, _HEIGHT, _ORIENTATION = 256, 257, 274
_NEW_SUBFILE, _SUBFILE = 254, 255
_PAGES = 64  # of a TIFF that are looked at
_TIFF_FORMATS = {1: "B", 3: "H", 4: "I"}  # BYTE, SHORT, LONG

# What Pillow raises on damaged files, found by fuzzing its three plugins; all of it means the
# same here. Warnings are among it where they are errors.
_UNDECODABLE: Final = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    MemoryError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Warning,
)


def is_image(data: bytes) -> bool:
    """Whether the first bytes are those of a PNG, a JPEG or a TIFF."""
    return _format(data) is not None


def probe(data: bytes, limits: Limits) -> tuple[str, int, int]:
    """The (media type, width, height) [pixel] that an image's header states.

    Raises MalformedError: reason `size` over the limits, otherwise `image`.
    """
    if len(data) > limits.image:
        raise malformed("size", f"data has {len(data)} bytes, more than {limits.image}")
    kind = _format(data)
    if kind is None:
        raise malformed(
            "image",
            f"data of {len(data)} bytes begins with {data[:8].hex() or 'nothing'}, "
            "which is no PNG, JPEG or TIFF",
        )
    width, height = _SIZES[kind](data)
    if width < 1 or height < 1:
        raise malformed("image", f"data: {kind} of {width} × {height} pixels has no pixels")
    if width * height > limits.pixels:
        raise malformed(
            "size", f"data: {kind} of {width} × {height} pixels has more than {limits.pixels}"
        )
    return f"image/{kind}", width, height


def pixels(data: bytes, limits: Limits) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """The grey values (h, w) of an image: uint8, or uint16 where the file has 16 bits of grey.

    Raises MalformedError: reason `size` over the limits, otherwise `image`.
    """
    media_type, width, height = probe(data, limits)
    kind = media_type.removeprefix("image/")
    Image.MAX_IMAGE_PIXELS = limits.pixels  # one number for the process; ours, whenever we decode
    scale = Scale()
    if kind == "tiff":
        order = _TIFF[bytes(data[:2])]
        data, tags = _whole_page(data, order)
        data, scale = unfolded(data, order, tags)
    try:
        with Image.open(io.BytesIO(data), formats=[kind.upper()]) as image:
            if image.size != (width, height):
                raise undecodable(kind, f"its header says {width} × {height}, not {image.size}")
            if kind == "jpeg" and _has_larger(image):
                raise undecodable(kind, "a larger picture follows the first: export that one alone")
            return grey(image, kind, scale)
    except UnidentifiedImageError as exc:  # its text is an address in memory
        raise undecodable(kind, f"it is damaged, or a rare kind of {kind}: {_ADVICE}") from exc
    except _UNDECODABLE as exc:
        raise undecodable(kind, f"its pixels are damaged or of a rare kind ({exc})") from exc


def _has_larger(image: Image.Image) -> bool:
    """Whether the first of several pictures in one file is a smaller one, as thumbnails are."""
    sizes, first = [], image.size
    for i in range(1, getattr(image, "n_frames", 1)):
        image.seek(i)
        sizes.append(image.size)
    image.seek(0)
    return any(w * h > first[0] * first[1] for w, h in sizes)


def _format(data: bytes) -> str | None:
    if data.startswith(_PNG):
        return "png"
    if data.startswith(_JPEG):
        return "jpeg"
    order = _TIFF.get(bytes(data[:2]))
    if order and len(data) >= 4 and struct.unpack_from(f"{order}H", data, 2)[0] in (42, _BIG_TIFF):
        return "tiff"
    return None


def _cut_short(kind: str, data: bytes, what: str) -> MalformedError:
    return malformed("image", f"data: {kind} of {len(data)} bytes ends before its {what}")


def _png_size(data: bytes) -> Size:
    """Width and height of the IHDR chunk, which must come first and be whole."""
    if len(data) < 33:
        raise _cut_short("png", data, "header chunk does")
    length, name, width, height, depth, colour = struct.unpack_from(">I4sIIBB", data, 8)
    if name != b"IHDR" or length != 13:
        raise malformed(
            "image", f"data: png begins with chunk {name!r} of {length} bytes, not IHDR"
        )
    if zlib.crc32(data[12:29]) != struct.unpack_from(">I", data, 29)[0]:
        raise malformed("image", "data: png header chunk does not match its checksum")
    if depth not in _PNG_DEPTHS.get(colour, ()):
        raise malformed("image", f"data: png of colour type {colour} with {depth} bits")
    return width, height


def _jpeg_size(data: bytes) -> Size:
    """Width and height of the first frame header, found from marker to marker."""
    at = 2
    for _ in range(_SEGMENTS):
        if at + 4 > len(data):
            raise _cut_short("jpeg", data, "frame header")
        if data[at] != 0xFF:
            raise malformed("image", f"data: jpeg has byte 0x{data[at]:02x} where a marker is due")
        marker = data[at + 1]
        if marker in _FRAMES:
            return _jpeg_frame(data, at)
        if marker in (0xD9, 0xDA):
            raise malformed("image", "data: jpeg has no frame header before its scan")
        at += _jpeg_step(data, at, marker)
    raise malformed("image", f"data: jpeg has no frame header in its first {_SEGMENTS} segments")


def _jpeg_step(data: bytes, at: int, marker: int) -> int:
    """How far it is to the next marker."""
    if marker == 0xFF:  # padding
        return 1
    if marker in _BARE:
        return 2
    length = data[at + 2] << 8 | data[at + 3]
    if marker == 0 or length < 2:
        raise malformed(
            "image", f"data: jpeg segment 0x{marker:02x} of {length} bytes cannot be one"
        )
    return 2 + length


def _jpeg_frame(data: bytes, at: int) -> Size:
    if at + 10 > len(data):
        raise _cut_short("jpeg", data, "frame header does")
    height, width = struct.unpack_from(">HH", data, at + 5)
    return width, height


def _tiff_size(data: bytes) -> Size:
    """Width and height among the tags of the page that is no reduced one."""
    order = _TIFF[bytes(data[:2])]
    if len(data) < 8:
        raise _cut_short("tiff", data, "header does")
    magic, at = struct.unpack_from(f"{order}HI", data, 2)
    if magic == _BIG_TIFF:
        raise malformed("image", "data: tiff is a BigTIFF (version 43), which is not read")
    if at + 2 > len(data):
        raise _cut_short("tiff", data, f"first directory at byte {at}")
    _, tags = _tiff_page(data, order)
    if _WIDTH not in tags or _HEIGHT not in tags:
        raise malformed("image", "data: tiff does not state its width and height")
    width, height = tags[_WIDTH], tags[_HEIGHT]
    return (height, width) if tags.get(_ORIENTATION, 1) in (5, 6, 7, 8) else (width, height)


def _tiff_page(data: bytes, order: str) -> tuple[int, dict[int, int]]:
    """Where the directory of the only page is that is no reduced one, and its tags.

    Nobody could say which of several `pixel_size` belongs to: MalformedError, reason `image`.
    """
    pages = list(_tiff_pages(data, order))
    whole = [page for page in pages if not _is_reduced(page[1])]
    if len(whole) == 1:
        return whole[0]
    if not whole:
        raise malformed(
            "image", f"data: tiff has {len(pages)} pages, all of reduced size: send the whole image"
        )
    sizes = ", ".join(f"{t.get(_WIDTH, '?')} × {t.get(_HEIGHT, '?')}" for _, t in whole[:3])
    more = ", …" if len(whole) > 3 else ""
    raise malformed(
        "image",
        f"data: tiff has {len(whole)} pages ({sizes}{more}): send the one with the crack alone, or"
        " mark thumbnails as reduced (NewSubfileType 1)",
    )


def _tiff_pages(data: bytes, order: str) -> Iterator[tuple[int, dict[int, int]]]:
    """Every directory: where it is, and its tags; the first `_PAGES` at most."""
    at = struct.unpack_from(f"{order}I", data, 4)[0]
    for _ in range(_PAGES):
        yield at, _tiff_tags(data, at, order)
        end = at + 2 + 12 * struct.unpack_from(f"{order}H", data, at)[0]
        at = struct.unpack_from(f"{order}I", data, end)[0] if end + 4 <= len(data) else 0
        if not 0 < at <= len(data) - 2:  # none follows, or what follows is damaged
            return


def _is_reduced(tags: dict[int, int]) -> bool:
    """Whether a page is a smaller one, or a mask of what is transparent, of another."""
    return bool(tags.get(_NEW_SUBFILE, 0) & 5) or tags.get(_SUBFILE, 1) == 2


def _whole_page(data: bytes, order: str) -> tuple[bytes, dict[int, int]]:
    """The same file with its only whole page as the first, and that page's tags."""
    at, tags = _tiff_page(data, order)
    return bytes(data[:4]) + struct.pack(f"{order}I", at) + bytes(data[8:]), tags


def _tiff_tags(data: bytes, at: int, order: str) -> dict[int, int]:
    """The single whole numbers of the directory at byte `at`; of a repeated tag, the last."""
    n = struct.unpack_from(f"{order}H", data, at)[0]
    entries = data[at + 2 : at + 2 + 12 * n]
    if len(entries) < 12 * n:
        raise _cut_short("tiff", data, f"directory of {n} tags does")
    return {
        tag: struct.unpack_from(f"{order}{_TIFF_FORMATS[form]}", value)[0]
        for tag, form, count, value in struct.iter_unpack(f"{order}HHI4s", entries)
        if count == 1 and form in _TIFF_FORMATS
    }


_SIZES: Final[dict[str, Callable[[bytes], Size]]] = {
    "png": _png_size,
    "jpeg": _jpeg_size,
    "tiff": _tiff_size,
}
