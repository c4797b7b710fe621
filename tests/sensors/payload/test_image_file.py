"""Image headers and pixels."""

import io
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import AppendingTiffWriter

from sensors.errors import MalformedError
from sensors.limits import Limits
from sensors.payload.image_file import is_image, pixels, probe

LIMITS = Limits()
GREY = np.arange(7 * 11, dtype=np.uint8).reshape(7, 11) * 3  # (h, w)
GREY_16 = GREY.astype(np.uint16) * 257


def saved(array: np.ndarray, name: str, mode: str | None = None, **options: Any) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(file, name, **options)
    return file.getvalue()


def png(width: int, height: int, depth: int = 8, colour: int = 0) -> bytes:
    """The header of a PNG of any size, with nothing behind it."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0d" + body + struct.pack(">I", zlib.crc32(body))


def tiff(order: str, *tags: tuple[int, int, int, int], magic: int = 42) -> bytes:
    """The directory of a TIFF with (tag, type, count, value) and nothing behind it."""
    start = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HIH", magic, 8, len(tags))
    formats = {1: "Bxxx", 3: "Hxx", 4: "I", 5: "I"}
    return start + b"".join(
        struct.pack(f"{order}HHI{formats[form]}", tag, form, n, value)
        for tag, form, n, value in tags
    )


def refused(data: bytes, reason: str = "image", limits: Limits = LIMITS) -> str:
    """The sentence of a refusal."""
    with pytest.raises(MalformedError) as caught:
        probe(data, limits)
    assert caught.value.reason == reason
    return str(caught.value)


# --- real files -----------------------------------------------------------------------------


def real(data: Path, folder: str, pattern: str) -> list[Path]:
    found = sorted((data / folder).glob(pattern))
    if not found:
        pytest.skip(f"no {pattern} in {data / folder}")
    return found


@pytest.mark.parametrize(
    ("folder", "pattern", "media_type"),
    [
        ("nist_steel", "*.tif", "image/tiff"),
        ("uhcs_masks", "*.tif", "image/tiff"),
        ("weld_cracks", "*.png", "image/png"),
    ],
)
def test_a_real_image_has_the_size_and_the_grey_values_that_pillow_reads(
    data: Path, folder: str, pattern: str, media_type: str
) -> None:
    for path in real(data, folder, pattern):
        content = path.read_bytes()
        with Image.open(path) as image:
            assert probe(content, LIMITS) == (media_type, *image.size), path
            expected = np.asarray(image.convert("L"))
        np.testing.assert_array_equal(pixels(content, LIMITS), expected)


def test_a_header_is_read_from_the_first_bytes_of_a_real_png(data: Path) -> None:
    for path in real(data, "weld_cracks", "*.png"):
        assert probe(path.read_bytes()[:33], LIMITS) == ("image/png", 512, 512)


# --- made files -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("PNG", "image/png"), ("TIFF", "image/tiff")],
)
def test_lossless_grey_comes_back_exactly(name: str, media_type: str) -> None:
    assert probe(saved(GREY, name), LIMITS) == (media_type, 11, 7)
    eight = pixels(saved(GREY, name), LIMITS)
    sixteen = pixels(saved(GREY_16, name), LIMITS)
    assert (eight.dtype.name, sixteen.dtype.name) == ("uint8", "uint16")
    np.testing.assert_array_equal(eight, GREY)
    np.testing.assert_array_equal(sixteen, GREY_16)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"dpi": (300, 300)}])
def test_jpeg_comes_back_nearly(options: dict[str, Any]) -> None:
    data = saved(GREY, "JPEG", quality=95, **options)
    assert probe(data, LIMITS) == ("image/jpeg", 11, 7)
    assert np.abs(pixels(data, LIMITS).astype(int) - GREY).max() <= 12


@pytest.mark.parametrize(
    ("name", "mode"),
    [("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "P"), ("TIFF", "RGB"), ("TIFF", "P")],
)
def test_colours_become_grey(name: str, mode: str) -> None:
    assert np.abs(pixels(saved(GREY, name, mode), LIMITS).astype(int) - GREY).max() <= 3


@pytest.mark.parametrize("name", ["PNG", "TIFF"])
def test_one_bit_becomes_black_and_white(name: str) -> None:
    mask = pixels(saved(GREY > 100, name), LIMITS)
    np.testing.assert_array_equal(mask, np.where(GREY > 100, 255, 0))


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_a_compressed_tiff_is_read(compression: str) -> None:
    np.testing.assert_array_equal(
        pixels(saved(GREY, "TIFF", compression=compression), LIMITS), GREY
    )


def test_a_big_endian_tiff_is_read() -> None:
    rows = GREY_16.astype(">u2").tobytes()
    tags = (
        *((256, 3, 1, 11), (257, 3, 1, 7), (258, 3, 1, 16), (259, 3, 1, 1), (262, 3, 1, 1)),
        *((273, 4, 1, 8 + 2 + 9 * 12 + 4), (277, 3, 1, 1), (278, 3, 1, 7), (279, 4, 1, len(rows))),
    )
    data = tiff(">", *tags) + bytes(4) + rows
    assert probe(data, LIMITS) == ("image/tiff", 11, 7)
    np.testing.assert_array_equal(pixels(data, LIMITS), GREY_16)


@pytest.mark.parametrize(("orientation", "size"), [(1, (11, 7)), (3, (11, 7)), (6, (7, 11))])
def test_a_turned_tiff_has_the_size_of_its_pixels(orientation: int, size: tuple[int, int]) -> None:
    data = saved(GREY, "TIFF", tiffinfo={274: orientation})
    assert probe(data, LIMITS)[1:] == size == pixels(data, LIMITS).shape[::-1]


def test_floating_point_grey_values_are_refused() -> None:
    with pytest.raises(MalformedError, match="32-bit floating-point grey values: save it with"):
        pixels(saved(GREY.astype(np.float32), "TIFF"), LIMITS)


# --- what the numbers mean ------------------------------------------------------------------


def raw_tiff(
    order: str,
    bits: int,
    photometric: int,
    rows: bytes,
    width: int,
    samples: int = 1,
    form: int = 1,
) -> bytes:
    """A TIFF of one row."""
    tags = (
        *((256, 3, 1, width), (257, 3, 1, 1), (258, 3, 1, bits), (259, 3, 1, 1)),
        *((262, 3, 1, photometric), (273, 4, 1, 8 + 2 + 11 * 12 + 4), (274, 3, 1, 1)),
        *((277, 3, 1, 1), (278, 3, 1, 1), (279, 4, 1, len(rows)), (339, 3, 1, form)),
    )
    return tiff(order, *tags) + bytes(4) + rows


RAMP = np.array([0, 1000, 30_000, 65_535], np.uint16)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", [0, 1])
def test_sixteen_bits_are_not_read_as_their_negative(order: str, photometric: int) -> None:
    """White is zero in photometric interpretation 0 (TIFF 6.0, section 4)."""
    rows = RAMP.astype(f"{order}u2").tobytes()
    seen = pixels(raw_tiff(order, 16, photometric, rows, 4), LIMITS)[0]
    assert seen.dtype == np.uint16
    np.testing.assert_array_equal(seen, RAMP if photometric else 65_535 - RAMP)


@pytest.mark.parametrize(
    ("bits", "rows", "black_is_zero"),
    [
        (1, b"\xf0", [255] * 4 + [0] * 4),
        (2, b"\x1b", [0, 85, 170, 255]),
        (4, b"\x08\xff", [0, 136, 255, 255]),
        (8, b"\x00\x0a\xc8\xff", [0, 10, 200, 255]),
        (12, b"\x00\x00\xff\x80\x0f\xff", [0, 4081, 32776, 65535]),
    ],
)
def test_any_number_of_bits_counts_from_black_or_from_white(
    bits: int, rows: bytes, black_is_zero: list[int]
) -> None:
    """The same picture, whatever its depth: white is white."""
    width = len(black_is_zero)
    black = pixels(raw_tiff("<", bits, 1, rows, width), LIMITS)[0]
    white = pixels(raw_tiff("<", bits, 0, rows, width), LIMITS)[0]
    np.testing.assert_array_equal(black, black_is_zero)
    np.testing.assert_array_equal(white, black.max().astype(int) - black)


@pytest.mark.parametrize(("bits", "form"), [(8, 2), (16, 2), (16, 3), (32, 1), (32, 3), (64, 3)])
def test_numbers_that_are_no_grey_values_are_refused_with_what_to_do(bits: int, form: int) -> None:
    data = raw_tiff("<", bits, 1, bytes(4 * bits // 8), 4, form=form)
    with pytest.raises(MalformedError, match=f"{bits}-bit .* grey values: save it with 8 or 16"):
        pixels(data, LIMITS)


LINE = np.zeros((1, 4), np.uint8)  # black everywhere
OPACITY = np.array([[0, 0, 255, 128]], np.uint8)  # and seen in the third pixel, half in the fourth
ON_WHITE = [255, 255, 0, 127]


@pytest.mark.parametrize("name", ["PNG", "TIFF"])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_black_on_transparent_is_black_on_white(name: str, mode: str) -> None:
    bands = [Image.fromarray(LINE)] * (len(mode) - 1) + [Image.fromarray(OPACITY)]
    file = io.BytesIO()
    Image.merge(mode, bands).save(file, name)
    np.testing.assert_array_equal(pixels(file.getvalue(), LIMITS)[0], ON_WHITE)


def test_what_is_opaque_everywhere_is_as_it_would_be_without() -> None:
    opaque = Image.merge("LA", (Image.fromarray(GREY), Image.new("L", (11, 7), 255)))
    file = io.BytesIO()
    opaque.save(file, "PNG")
    np.testing.assert_array_equal(pixels(file.getvalue(), LIMITS), GREY)


def test_an_image_that_is_transparent_everywhere_is_refused() -> None:
    invisible = Image.merge("LA", (Image.fromarray(GREY), Image.new("L", (11, 7), 0)))
    file = io.BytesIO()
    invisible.save(file, "PNG")
    with pytest.raises(MalformedError, match="transparent everywhere"):
        pixels(file.getvalue(), LIMITS)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def raw_png(depth: int, colour: int, row: bytes, width: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of one row."""
    header = struct.pack(">IIBBBBB", width, 1, depth, colour, 0, 0, 0)
    rest = (*chunks, (b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*c) for c in ((b"IHDR", header), *rest))


INDICES = bytes([0, 1, 2, 1])
PALETTE = (b"PLTE", bytes([0, 0, 0, 0, 0, 0, 100, 100, 100]))


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (raw_png(8, 3, bytes([0, 1, 2, 1]), 4, PALETTE, (b"tRNS", b"\xff\0")), [0, 255, 100, 255]),
        (
            raw_png(8, 3, bytes([0, 1, 2, 1]), 4, PALETTE, (b"tRNS", b"\xff\x80")),
            [0, 127, 100, 127],
        ),
        (raw_png(8, 0, bytes([0, 7, 9, 0]), 4, (b"tRNS", b"\0\0")), [255, 7, 9, 255]),
        (raw_png(1, 0, b"\x50", 4, (b"tRNS", b"\0\1")), [0, 255, 0, 255]),
        (raw_png(8, 2, bytes([0, 0, 0, 9, 9, 9]), 2, (b"tRNS", bytes(6))), [255, 9]),
        (
            raw_png(16, 0, RAMP.astype(">u2").tobytes(), 4, (b"tRNS", b"\0\0")),
            [65_535, 1000, 30_000, 65_535],
        ),
        (
            raw_png(16, 2, RAMP.repeat(3).astype(">u2").tobytes(), 4, (b"tRNS", b"\x75\x30" * 3)),
            [0, 3, 255, 255],
        ),
        (
            raw_png(16, 4, np.stack([LINE[0], OPACITY[0]], 1).astype(">u2").tobytes(), 4),
            None,
        ),
    ],
)
def test_every_way_in_which_a_png_is_transparent_shows_a_white_sheet(
    data: bytes, seen: list[int] | None
) -> None:
    if seen is None:  # sixteen bits of opacity, of which these are next to nothing
        with pytest.raises(MalformedError, match="transparent everywhere"):
            pixels(data, LIMITS)
    else:
        np.testing.assert_array_equal(pixels(data, LIMITS)[0], seen)


@pytest.mark.parametrize("name", ["JPEG", "TIFF"])
def test_ink_is_dark_and_no_ink_is_light(name: str) -> None:
    image = Image.new("CMYK", (8, 8), (0, 0, 0, 255))
    image.paste((0, 0, 0, 0), (4, 0, 8, 8))
    file = io.BytesIO()
    image.save(file, name)
    seen = pixels(file.getvalue(), LIMITS)
    assert seen[:, :3].max() < 20
    assert seen[:, 5:].min() > 235


@pytest.mark.parametrize("name", ["JPEG", "PNG"])
def test_a_photograph_is_read_as_it_is_stored_whatever_exif_says(name: str) -> None:
    exif = Image.Exif()
    exif[274] = 6  # to be turned before it is shown
    data = saved(GREY, name, exif=exif)
    assert probe(data, LIMITS)[1:] == (11, 7)
    assert pixels(data, LIMITS).shape == (7, 11)


def test_of_an_animation_the_first_image_counts() -> None:
    others = [Image.fromarray(255 - GREY)]
    data = saved(GREY, "PNG", save_all=True, append_images=others)
    np.testing.assert_array_equal(pixels(data, LIMITS), GREY)


SMALL = GREY[:3, :4]


def pages(*pictures: tuple[NDArray[np.uint8], int | None]) -> bytes:
    """A TIFF of pages, each with what it says of its kind (NewSubfileType)."""
    file = io.BytesIO()
    with AppendingTiffWriter(file, True) as writer:
        for picture, kind in pictures:
            info = {} if kind is None else {254: kind}
            Image.fromarray(picture).save(writer, "TIFF", tiffinfo=info)
            writer.newFrame()
    return file.getvalue()


@pytest.mark.parametrize(
    ("pictures", "sizes"),
    [
        ([(SMALL, None), (GREY, None)], "2 pages (4 × 3, 11 × 7)"),  # a thumbnail that looks whole
        ([(GREY, None), (SMALL, 0)], "2 pages (11 × 7, 4 × 3)"),
        ([(GREY, 2)] * 5, "5 pages (11 × 7, 11 × 7, 11 × 7, …)"),
        ([(SMALL, 1)], "1 pages, all of reduced size"),
        ([(SMALL, 1), (SMALL, 4)], "2 pages, all of reduced size"),
    ],
)
def test_a_tiff_of_several_pages_is_refused_as_nobody_knows_which_is_meant(
    pictures: Any, sizes: str
) -> None:
    data = pages(*pictures)
    assert sizes in refused(data)
    with pytest.raises(MalformedError, match="tiff has"):
        pixels(data, LIMITS)


@pytest.mark.parametrize(
    "pictures",
    [
        [(SMALL, 1), (GREY, 0)],
        [(GREY, None), (SMALL, 1)],
        [(SMALL, 1), (SMALL, 5), (GREY, None), (SMALL, 4)],
    ],
)
def test_reduced_pages_of_a_tiff_are_passed_over(pictures: Any) -> None:
    data = pages(*pictures)
    assert probe(data, LIMITS) == ("image/tiff", 11, 7)
    np.testing.assert_array_equal(pixels(data, LIMITS), GREY)


def test_pages_that_lead_in_a_circle_end() -> None:
    data = bytearray(saved(GREY, "TIFF"))
    (at,) = struct.unpack_from("<I", data, 4)
    (n,) = struct.unpack_from("<H", data, at)
    struct.pack_into("<I", data, at + 2 + 12 * n, at)
    assert "pages" in refused(bytes(data))
    struct.pack_into("<I", data, at + 2 + 12 * n, 2**31)  # nothing is there
    np.testing.assert_array_equal(pixels(bytes(data), LIMITS), GREY)


# --- limits ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "fits"), [(7999, True), (8000, True), (8001, False)])
def test_the_pixel_limit_holds_before_anything_is_decoded(width: int, fits: bool) -> None:
    for data in (png(width, 8000), tiff("<", (256, 4, 1, width), (257, 3, 1, 8000))):
        if fits:
            assert probe(data, LIMITS)[1:] == (width, 8000)
        else:
            assert f"{width} × 8000 pixels has more than 64000000" in refused(data, "size")


@pytest.mark.parametrize(("spare", "fits"), [(1, True), (0, True), (-1, False)])
def test_the_byte_limit_holds_before_anything_is_read(spare: int, fits: bool) -> None:
    data = saved(GREY, "PNG")
    limits = Limits(image=len(data) + spare)
    if fits:
        assert probe(data, limits)[1:] == (11, 7)
    else:
        assert (
            refused(data, "size", limits) == f"data has {len(data)} bytes, more than {limits.image}"
        )


def test_a_limit_above_pillows_own_is_ours_to_set() -> None:
    data = saved(np.zeros((7, 11), np.uint8), "PNG")
    pixels(data, Limits(pixels=500_000_000))
    assert Image.MAX_IMAGE_PIXELS == 500_000_000
    pixels(data, LIMITS)
    assert LIMITS.pixels == Image.MAX_IMAGE_PIXELS


def test_a_decompression_bomb_is_not_decoded() -> None:
    """A few kilobytes that would become 400 MB."""
    with pytest.raises(MalformedError, match="20000 × 20000 pixels"):
        pixels(png(20_000, 20_000) + zlib.compress(bytes(1 << 20)), LIMITS)


def test_a_second_width_does_not_smuggle_a_larger_image_past_the_limit() -> None:
    tags = (
        (256, 4, 1, 30_000),
        (257, 4, 1, 30_000),
        (258, 3, 1, 8),
        (256, 4, 1, 11),
        (257, 4, 1, 7),
    )
    with pytest.raises(MalformedError):
        pixels(tiff("<", *tags) + bytes(100), LIMITS)


# --- damaged and hostile headers ------------------------------------------------------------


def test_other_files_are_told_by_their_first_bytes() -> None:
    assert refused(b"") == "data of 0 bytes begins with nothing, which is no PNG, JPEG or TIFF"
    assert "begins with 474946383961" in refused(b"GIF89a")
    assert "begins with 3c737667" in refused(b"<svg")
    assert not is_image(b"BM")


def answer(data: bytes) -> object:
    """The size, or the reason of the refusal."""
    try:
        return probe(data, LIMITS)[1:]
    except MalformedError as exc:
        return exc.reason


@pytest.mark.parametrize("name", ["PNG", "JPEG", "TIFF"])
def test_a_file_cut_anywhere_is_refused_or_of_the_same_size(name: str) -> None:
    data = saved(GREY, name)
    assert {answer(data[:n]) for n in range(len(data))} == {(11, 7), "image"}


def test_a_png_whose_header_is_not_what_it_says_is_refused() -> None:
    data = bytearray(png(11, 7))
    data[19] ^= 1
    assert "does not match its checksum" in refused(bytes(data))
    assert "begins with chunk b'IDAT'" in refused(png(11, 7).replace(b"IHDR", b"IDAT"))
    assert "colour type 5 with 8 bits" in refused(png(11, 7, colour=5))
    assert "colour type 2 with 4 bits" in refused(png(11, 7, depth=4, colour=2))


@pytest.mark.parametrize("size", [(0, 7), (11, 0)])
def test_an_image_without_pixels_is_refused(size: tuple[int, int]) -> None:
    tags = ((256, 3, 1, size[0]), (257, 3, 1, size[1]))
    assert "has no pixels" in refused(png(*size))
    assert "has no pixels" in refused(tiff(">", *tags))


def test_a_big_tiff_is_refused_by_name() -> None:
    assert "BigTIFF (version 43)" in refused(b"II\x2b\x00\x08\x00\x00\x00" + bytes(16))
    assert "BigTIFF (version 43)" in refused(b"MM\x00\x2b\x00\x08\x00\x00" + bytes(16))


def test_a_tiff_that_points_outside_itself_is_refused() -> None:
    assert "first directory at byte 4294967295" in refused(b"II\x2a\x00" + b"\xff" * 4)
    assert "directory of 65535 tags" in refused(b"II\x2a\x00\x08\x00\x00\x00\xff\xff" + bytes(99))


@pytest.mark.parametrize(
    "tags",
    [
        (),
        ((256, 3, 1, 11),),
        ((256, 5, 1, 11), (257, 3, 1, 7)),  # a fraction
        ((256, 3, 2, 11), (257, 3, 1, 7)),  # two widths
    ],
)
def test_a_tiff_without_a_width_and_a_height_is_refused(
    tags: tuple[tuple[int, int, int, int], ...],
) -> None:
    assert "does not state its width and height" in refused(tiff("<", *tags))


def test_a_jpeg_without_a_frame_is_refused() -> None:
    start = b"\xff\xd8\xff\xe0\x00\x04ab"
    assert "ends before its frame header" in refused(start)
    assert "byte 0x00 where a marker is due" in refused(start + bytes(9))
    assert "no frame header before its scan" in refused(start + b"\xff\xda\x00\x02")
    assert "no frame header before its scan" in refused(start + b"\xff\xd9\x00\x02")
    assert "segment 0xdb of 1 bytes" in refused(start + b"\xff\xdb\x00\x01")
    assert "segment 0x00 of 8 bytes" in refused(start + b"\xff\x00\x00\x08" + bytes(8))


def test_a_jpeg_with_padding_before_a_marker_is_read() -> None:
    data = saved(GREY, "JPEG")
    assert probe(data[:2] + b"\xff" * 100 + data[2:], LIMITS) == ("image/jpeg", 11, 7)


def test_sixteen_megabytes_of_padding_take_no_time() -> None:
    start = time.perf_counter()
    assert "in its first 4096 segments" in refused(b"\xff\xd8" + b"\xff" * (LIMITS.image - 2))
    assert "in its first 4096 segments" in refused(b"\xff\xd8\xff\xe0\x00\x02" * 100_000)
    assert time.perf_counter() - start < 1.0


def test_pixels_that_end_too_early_are_refused() -> None:
    for name in ("PNG", "JPEG", "TIFF"):
        data = saved(np.resize(GREY, (64, 64)), name)
        with pytest.raises(MalformedError, match="cannot be decoded") as caught:
            pixels(data[: len(data) - 300], LIMITS)
        assert caught.value.reason == "image"
        assert "0x7" not in str(caught.value), "no addresses of this process"


def test_a_thumbnail_before_the_picture_is_no_picture() -> None:
    """A multi-picture JPEG: the first of its pictures was taken, whatever its size."""
    small, large = (Image.new("L", (side, side), 90) for side in (64, 384))
    made = {}
    for name, pages in {"first": (large, small), "last": (small, large)}.items():
        buffer = io.BytesIO()
        pages[0].save(buffer, "MPO", save_all=True, append_images=[pages[1]])
        made[name] = buffer.getvalue()
    assert pixels(made["first"], Limits()).shape == (384, 384)
    with pytest.raises(MalformedError, match="a larger picture follows the first"):
        pixels(made["last"], Limits())
