"""What a library of crack growth depends on: plate, crack, loads, material, window.

The numbers are those of Yuhan Zhao and Xu; `library` says what their paper leaves open.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from models.crack_frames.window import PictureWindow
from models.fatigue.laws import si_coefficient
from models.xfem.grid import Floats
from models.xfem.plate import Plate


@dataclass(frozen=True, slots=True)
class Loads:
    """The normal distributions from which the load of a slice is drawn, independently [Pa]."""

    tension: float = 200e6
    tension_sd: float = 50e6
    shear: float = 100e6
    shear_sd: float = 50e6
    scale: float = 1.0  # of both

    def drawn(self, generator: np.random.Generator) -> Floats:
        """One load (2,) [Pa]; a tension of zero or less is drawn again."""
        while True:
            sigma, tau = generator.normal(
                [self.tension, self.shear], [self.tension_sd, self.shear_sd]
            )
            if sigma > 0.0:
                return self.scale * np.array([sigma, tau])


@dataclass(frozen=True, slots=True)
class CrackLibrary:
    """Everything that a sample depends on, but for its seed and its index."""

    plate: Plate = field(default_factory=lambda: Plate(band=(-5.4e-3, 1.8e-3)))
    crack: float = 1e-3  # length of the initial edge crack [m]
    height: float = 0.0  # y of its mouth [m]
    slices: int = 7  # of the ligament
    loads: Loads = Loads()
    C: float = si_coefficient(9.7e-12, 3.0)  # Paris [m/cycle / (Pa √m)^m], nickel
    m: float = 3.0  # Paris [1]
    K_c: float = 100e6  # toughness [Pa √m]; an assumption
    step: float = 0.18e-3  # least increment [m]
    margin: float = 0.25e-3  # growth stops so far before the far edge [m]
    steepest: float = 75.0  # of an increment against the x axis [degree]
    attempts: int = 50  # loads drawn for a slice before the crack counts as arrested
    window: PictureWindow = field(default_factory=PictureWindow)

    def edges(self) -> Floats:
        """The right edges (slices,) of the slices [m]."""
        whole = self.plate.width - self.crack
        return self.crack + whole * np.arange(1, self.slices + 1) / self.slices

    def most_nodes(self) -> int:
        """No path has more nodes."""
        steep = math.cos(math.radians(self.steepest))
        return 3 + self.slices + math.ceil((self.plate.width - self.crack) / steep / self.step)


CONFIGS: dict[str, CrackLibrary] = {
    "crack": CrackLibrary(),
    "crack-coherent": CrackLibrary(loads=Loads(scale=0.2)),
    "crack-grip": CrackLibrary(
        plate=Plate(band=(-7e-3, 3e-3), closure="grip"),
        window=PictureWindow(rows=128, top=2.4e-3),
    ),
}


def scaled(config: CrackLibrary, scale: float) -> CrackLibrary:
    """The same library under loads multiplied by `scale`."""
    return replace(config, loads=replace(config.loads, scale=scale))
