"""The sensors of one simulated part: its true load and crack as messages."""

from __future__ import annotations

import io
from collections.abc import Sequence
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sensors.instrument import Instrument
from sensors.observation import Inspection, Series, Snapshot, Spectrum
from sensors.payload.encode import (
    EncodedMessage,
    image_message,
    inspection_message,
    load_message,
    spectrum_message,
)
from sensors.simulation.parts import FLOOR, YOUNGS_MODULUS, Block

RATE_HZ = 100.0
_GRAINS, _PIXELS, _PIXEL_SIZE = 40, 96, 5e-7  # 40 grains on 96 × 96 pixels of 0.5 µm


class Counter(Instrument):
    """Counts the cycles of each interval."""

    def message(self, t_ns: int, blocks: Sequence[Block]) -> EncodedMessage:
        """The spectrum of the interval that ends at `t_ns`."""
        cycles = np.array(blocks, dtype="<f8").tobytes()
        spectrum = Spectrum(**self.key(t_ns), quantity="stress", cycles=cycles)
        return spectrum_message(
            spectrum, unit="MPa", form=self.installation.form, topics=self.installation.topics
        )


class StrainGauge(Instrument):
    """Samples stress, or strain, at 100 Hz for one second."""

    def series(
        self, t_ns: int, blocks: Sequence[Block], rng: np.random.Generator, *, strain: bool
    ) -> EncodedMessage:
        """The second of samples that begins at `t_ns`, the cycles in random order."""
        ranges = [block.stress_range for block in blocks for _ in range(block.cycles)]
        stress = waves(rng.permutation(ranges))
        series = Series(
            **self.key(t_ns),
            quantity="strain" if strain else "stress",
            rate_hz=RATE_HZ,
            tension=(stress / YOUNGS_MODULUS if strain else stress).astype("<f8").tobytes(),
        )
        unit = "um/m" if strain else "MPa"
        return load_message(
            series, unit=unit, form=self.installation.form, topics=self.installation.topics
        )


class Inspector(Instrument):
    """Measures the crack, with an error."""

    def inspection(self, t_ns: int, length: float, sd: float, *, unit: str) -> EncodedMessage:
        """A measured `length` [m]."""
        inspection = Inspection(
            **self.key(t_ns),
            crack_length=max(length, 1e-6),
            crack_length_sd=sd,
            method="travelling-microscope",
        )
        return inspection_message(
            inspection, unit=unit, form=self.installation.form, topics=self.installation.topics
        )


class Camera(Instrument):
    """Delivers micrographs."""

    def micrograph(self, t_ns: int, rng: np.random.Generator) -> EncodedMessage:
        """A PNG of grains."""
        data = png(grains(rng))
        snapshot = Snapshot(
            **self.key(t_ns),
            sha256=sha256(data).hexdigest(),
            kind="microstructure",
            media_type="image/png",
            width=_PIXELS,
            height=_PIXELS,
            pixel_size=_PIXEL_SIZE,
        )
        return image_message(snapshot, data, topics=self.installation.topics)


def waves(ranges: NDArray[np.float64]) -> NDArray[np.float64]:
    """One second of samples [Pa] of as many cycles as there are `ranges` (n,) [Pa].

    All cycles start from the same valley, and valley and peak are samples: a rainflow count
    finds exactly these ranges, in whatever order they come. So 100 must be a multiple of 2 n.
    """
    phase = np.arange(round(RATE_HZ) // len(ranges)) * len(ranges) / RATE_HZ  # of a cycle [1]
    rise = 0.5 - 0.5 * np.cos(2.0 * np.pi * phase)
    return (FLOOR + ranges[:, None] * rise).ravel()


def grains(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Grey grains with dark boundaries (96, 96): cells nearest to random points."""
    points = rng.uniform(0, _PIXELS, size=(_GRAINS, 2))
    y, x = np.mgrid[:_PIXELS, :_PIXELS]
    distance = np.hypot(y[..., None] - points[:, 0], x[..., None] - points[:, 1])
    nearest = np.sort(distance, axis=-1)[..., :2]
    grey = rng.integers(120, 240, size=_GRAINS)[distance.argmin(axis=-1)]
    return np.where(nearest[..., 1] - nearest[..., 0] < 1.5, 30, grey).astype(np.uint8)


def png(pixels: NDArray[np.uint8]) -> bytes:
    """The file of a grey image."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def is_due(second: int, every_s: float, offset_s: float) -> bool:
    """Whether something that happens every `every_s`, first at `offset_s`, falls into `second`."""
    return (second + 1 - offset_s) // every_s > (second - offset_s) // every_s
