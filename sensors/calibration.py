"""From what an instrument says to stress."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensors.observation import Quantity, Series, Spectrum
from sensors.refusal import malformed

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Uniaxial Hooke's law behind a linear correction: σ = gain · x + offset, or E times that.

    A shear channel takes the same factor and no offset; where the quantity is strain, its
    publisher sends τ/E, that is γ / (2 (1 + ν)) of an engineering shear strain γ.
    """

    gain: float = 1.0  # [1], below zero for a gauge that is mounted the other way round
    offset: float = 0.0  # [Pa] or [m/m]
    youngs_modulus: float | None = None  # [Pa]; needed for strain

    def __post_init__(self) -> None:
        if not math.isfinite(self.gain) or self.gain == 0.0:
            raise ValueError(f"gain {self.gain} is not a finite number other than zero")
        if not math.isfinite(self.offset):
            raise ValueError(f"offset {self.offset} is not finite")
        E = self.youngs_modulus  # noqa: N806  the symbol of the literature
        if E is not None and not (math.isfinite(E) and E > 0.0):
            raise ValueError(f"youngs_modulus {E} is not a finite number above zero")

    def factors(self, quantity: Quantity) -> tuple[float, float]:
        """The factor [Pa per unit of x] and the offset [Pa] of the linear map to stress.

        Raises MalformedError: reason `calibration`: a strain, and no Young's modulus.
        """
        if quantity == "stress":
            return self.gain, self.offset
        if self.youngs_modulus is None:
            raise malformed("calibration", "strain cannot become stress: youngs_modulus is not set")
        return self.youngs_modulus * self.gain, self.youngs_modulus * self.offset

    def stress(self, values: Values, quantity: Quantity) -> Values:
        """The stress [Pa] at measured values [Pa] or [m/m]; raises as `factors` does."""
        factor, offset = self.factors(quantity)
        return values * factor + offset

    def samples(self, series: Series) -> tuple[Values, Values]:
        """Tension and shear (n,) [Pa] of a series; shear is empty if it was not measured."""
        factor, _ = self.factors(series.quantity)
        tension = self.stress(np.frombuffer(series.tension, "<f8"), series.quantity)
        return tension, np.frombuffer(series.shear, "<f8") * factor

    def cycles(self, spectrum: Spectrum) -> Values:
        """The (k, 3) rows of range [Pa], mean [Pa] and count [1] of a spectrum."""
        factor, offset = self.factors(spectrum.quantity)
        rows = np.frombuffer(spectrum.cycles, "<f8").reshape(-1, 3)
        return rows * (abs(factor), factor, 1.0) + (0.0, offset, 0.0)
