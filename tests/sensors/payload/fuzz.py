"""Broken messages in bulk: each must become an observation, or a refusal with a sentence.

`python -m tests.sensors.payload.fuzz --cases 100000 --seed 0` prints one line of counts, and ends
with a traceback and status 1 at the first case that does anything else. Case i of a seed is the
same every time, whatever the number of cases.
"""

from __future__ import annotations

import argparse
import io
import random
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import msgspec
import numpy as np
from PIL import Image

from sensors.errors import MalformedError
from sensors.limits import LATEST_NS, Limits
from sensors.observation import (
    AnyObservation,
    ImageFinding,
    Inspection,
    Series,
    Snapshot,
    Spectrum,
    encoded,
    observation,
)
from sensors.payload.decode import REASONS, decode
from sensors.payload.encode import (
    EncodedMessage,
    image_message,
    inspection_message,
    load_message,
    spectrum_message,
)
from sensors.payload.image import decode_image
from sensors.payload.image_file import pixels
from sensors.refusal import SENTENCE, UNREADABLE

LIMITS: Final = Limits(pixels=1_000_000)  # small, for the sake of time

_KEY: Final[dict[str, Any]] = {
    "component": "plant-a/press-1",
    "source": "daq-3",
    "boot": 17,
    "seq": 812,
    "t_ns": 1_795_168_800_250_000_000,
}
FIELDS: Final = (
    *("source", "boot", "seq", "time", "t_ns", "unit", "rate_hz", "tension", "shear", "cycles"),
    *("shear_ratio", "crack_length", "crack_length_sd", "method", "kind", "pixel_size", "data"),
)
_NAMED: Final = (*FIELDS, "payload", "topic", "component", "content type", "field", "a key")
_FORMATS: Final = (("PNG", "L"), ("PNG", "P"), ("PNG", "I;16"), ("JPEG", "L"), ("JPEG", "RGB"))
_TIFFS: Final = (("L", None), ("I;16", None), ("1", "group4"), ("RGB", "tiff_lzw"), ("F", None))


class BrokenLawError(Exception):
    """An outcome that the codecs promise not to have."""


# --- what is mutated ------------------------------------------------------------------------


def corpus() -> list[EncodedMessage]:
    """Valid messages of every kind, in every form."""
    wave = np.sin(np.arange(12.0)) * 1e6
    rows = np.array([[1.8e8, 1.1e8, 250.0], [6e7, 9.5e7, 4000.0]])
    series = Series(
        **_KEY, quantity="stress", rate_hz=100.0, tension=wave.tobytes(), shear=wave.tobytes()
    )
    strain = Series(**_KEY, quantity="strain", rate_hz=100.0, tension=(wave / 1e12).tobytes())
    spectrum = Spectrum(**_KEY, quantity="stress", cycles=rows.tobytes(), shear_ratio=0.5)
    inspection = Inspection(**_KEY, crack_length=0.0123, crack_length_sd=1e-4, method="microscope")
    messages = [image_message(_snapshot(), data) for data in _images()]
    messages += [image_message(_snapshot(), data, form="msgpack") for data in _images()]
    for form in ("json", "msgpack"):
        messages += [load_message(series, unit="MPa", form=form), load_message(strain, form=form)]
        # as often as there are images
        messages += 4 * [spectrum_message(spectrum, unit="ksi", form=form)]
        messages += 4 * [inspection_message(inspection, unit="mm", form=form)]
    return messages


def _snapshot() -> Snapshot:
    return Snapshot(
        **_KEY, sha256="", kind="crack", media_type="", width=0, height=0, pixel_size=1e-6
    )


def _images() -> list[bytes]:
    picture = Image.fromarray(np.arange(77, dtype=np.uint8).reshape(7, 11))
    saved = [_saved(picture, mode, name) for name, mode in _FORMATS]
    return saved + [_saved(picture, mode, "TIFF", compression) for mode, compression in _TIFFS]


def _saved(picture: Image.Image, mode: str, name: str, compression: str | None = None) -> bytes:
    file = io.BytesIO()
    picture.convert(mode).save(file, name, compression=compression)
    return file.getvalue()


# --- mutations ------------------------------------------------------------------------------

_BYTES: Final = (b"", b"\x00", b"\xff" * 4, b"\x7f\xff\xff\xff", b"[", b"{", b'"', b"\x91", b"\x81")
_NUMBERS: Final = (
    b"1e999",
    b"-1e999",
    b"NaN",
    b"Infinity",
    b"9" * 400,
    b"-0.0",
    b"5e-324",
    b"null",
)
_VALUES: Final[tuple[Any, ...]] = (
    *(None, True, -1, 0, 2**53 - 1, 2**53, 2**63, 2**64 - 1, -(2**63), 1e308, -1e308, 5e-324),
    *(float("nan"), float("inf"), "", "MPa", "mm", "x" * 300, "\x00\n", "é" * 40, "[", b"\xff"),
    *([], [1.0], [[1.0]], [[1.0, 2.0, -1.0]], [[1.0, 2.0, 3.0]], [None], {}, {"a": {}}),
    *("2026-11-20T10:00:00", "2026-11-20T10:00:00Z", "0001-01-01T00:00:00+23:59", "1e999"),
    *("2016-12-31T23:59:60Z", "9999-12-31T23:59:59-23:59", "2026-11-20T10:00:00.1234567891Z"),
)


def _flipped(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        if out:
            out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _removed(data: bytes, rng: random.Random) -> bytes:
    i = rng.randrange(len(data) + 1)
    return data[:i] + data[i + rng.randrange(1, 9) :]


def _inserted(data: bytes, rng: random.Random) -> bytes:
    i = rng.randrange(len(data) + 1)
    return data[:i] + rng.choice((rng.randbytes(4), *_BYTES, *_NUMBERS)) + data[i:]


def _overwritten(data: bytes, rng: random.Random) -> bytes:
    i = rng.randrange(len(data) + 1)
    new = rng.choice((rng.randbytes(4), *_BYTES))
    return data[:i] + new + data[i + len(new) :]


def _spliced(data: bytes, rng: random.Random) -> bytes:
    other = rng.choice(_CORPUS).payload
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def _nested(data: bytes, rng: random.Random) -> bytes:
    i = rng.randrange(len(data) + 1)
    return data[:i] + rng.choice((b"[", b'{"a":', b"\x91", b"\x81\xa1a")) * 3000 + data[i:]


def _renumbered(data: bytes, rng: random.Random) -> bytes:
    """JSON in which one number is an extreme one."""
    digits = [i for i, byte in enumerate(data) if 0x30 <= byte <= 0x39]
    if not digits:
        return _flipped(data, rng)
    i = rng.choice(digits)
    return data[:i] + rng.choice(_NUMBERS) + data[i + 1 :]


def _refielded(data: bytes, rng: random.Random) -> bytes:
    """The same object with a field taken away, added, or of another value."""
    form = msgspec.json if data[:1] == b"{" else msgspec.msgpack
    try:
        fields = form.decode(data)
    except UNREADABLE:
        return _flipped(data, rng)
    if not isinstance(fields, dict):
        return _flipped(data, rng)
    name = rng.choice((*fields, *FIELDS, "", "x" * 500, "é\n", "a` - at `$.b"))
    if rng.random() < 0.2:
        fields.pop(name, None)
    else:
        fields[name] = rng.choice(_VALUES)
    return bytes(form.encode(fields))


_MUTATIONS: Final[tuple[Callable[[bytes, random.Random], bytes], ...]] = (
    *(_flipped, _cut, _removed, _inserted, _overwritten, _spliced, _renumbered, _nested),
    *(4 * (_refielded,)),
)
_TYPES: Final = (None, "", "application/json", "application/msgpack", "image/png", "é\n" * 99)
_TOPICS: Final = ("", "/", "twin/v1/a/b/load", "twin/v1/A/b/load", "x/" * 200, "twin/v1/a/b/state")


def case(seed: int, i: int) -> EncodedMessage:
    """The i-th broken message of a seed."""
    rng = random.Random(f"{seed}/{i}")
    topic, payload, content_type, properties = rng.choice(_CORPUS)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        payload = rng.choice(_MUTATIONS)(payload, rng)
    if rng.random() < 0.05:
        topic = rng.choice(_TOPICS)
    if rng.random() < 0.05:
        content_type = rng.choice(_TYPES)
    if properties and rng.random() < 0.2:
        value = rng.choice(_VALUES)
        properties = {**properties, rng.choice(FIELDS): str(value)}
    return EncodedMessage(topic, payload, content_type, properties)


# --- the law --------------------------------------------------------------------------------


def outcome(message: EncodedMessage) -> str:
    """What became of a message: the name of its observation's type, or the reason of refusal.

    Raises BrokenLawError, or whatever the codecs should not have raised.
    """
    topic, payload, content_type, properties = message
    try:
        if not topic.endswith("/image"):
            return _kept(decode(topic, payload, content_type, properties, LIMITS))
        snapshot, data = decode_image(topic, payload, properties, content_type, LIMITS)
        if pixels(data, LIMITS).shape != (snapshot.height, snapshot.width):
            raise BrokenLawError(f"pixels are not of the size in {snapshot}")
        return _kept(snapshot)
    except MalformedError as refusal:
        return _refused(refusal)


def _kept(o: AnyObservation) -> str:
    if observation(encoded(o)) != o or not 0 <= o.t_ns < LATEST_NS:
        raise BrokenLawError(f"{o} does not survive the journal")
    if not all(np.isfinite(values).all() for values in _numbers(o)):
        raise BrokenLawError(f"{o} is not finite")
    return type(o).__name__


def _numbers(o: AnyObservation) -> list[Any]:
    if isinstance(o, Series):
        return [o.rate_hz, np.frombuffer(o.tension), np.frombuffer(o.shear)]
    if isinstance(o, Spectrum):
        return [np.frombuffer(o.cycles), o.shear_ratio]
    if isinstance(o, Inspection):
        return [o.crack_length, o.crack_length_sd]
    if isinstance(o, Snapshot):
        return [o.pixel_size]
    return [o.length, o.length_sd] if isinstance(o, ImageFinding) else []


def _refused(refusal: MalformedError) -> str:
    sentence = str(refusal)
    if refusal.reason not in REASONS:
        raise BrokenLawError(f"reason {refusal.reason!r} of {sentence!r} is not a known one")
    if not sentence.isprintable() or len(sentence) > SENTENCE:
        raise BrokenLawError(f"{sentence!r} is not a short printable sentence")
    if not any(name in sentence for name in _NAMED):
        raise BrokenLawError(f"{sentence!r} names no field")
    return refusal.reason


_CORPUS: Final = corpus()


def outcomes(cases: int, seed: int) -> Counter[str]:
    """How often what became of the cases of a seed."""
    counts: Counter[str] = Counter()
    for i in range(cases):
        message = case(seed, i)
        try:
            counts[outcome(message)] += 1
        except BaseException as exc:
            exc.add_note(f"case {i} of seed {seed}: {message!r:.2000}")
            raise
    return counts


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.sensors.payload.fuzz", description=__doc__
    )
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")  # Pillow's, about damaged files
    start = time.perf_counter()
    counts = outcomes(options.cases, options.seed)
    seconds = time.perf_counter() - start
    listed = ", ".join(f"{name} {n}" for name, n in sorted(counts.items()))
    sys.stdout.write(f"{options.cases} cases of seed {options.seed} in {seconds:.1f} s: {listed}\n")


if __name__ == "__main__":
    main()
