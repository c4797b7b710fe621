"""The plate as one looks at it from outside: a crack goes in, stress intensities come out."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from models.xfem.closure import Closure
from models.xfem.condensed import Solved, solved
from models.xfem.crack import PolylineCrack, checked
from models.xfem.elasticity import Elastic
from models.xfem.enrichment import Enrichment, enrichment
from models.xfem.grid import Floats, Grid, grid
from models.xfem.intact import Intact, intact
from models.xfem.integral import Displacements, domains, intensities
from models.xfem.stiffness import stiffness

RADIUS = 3.5  # of the interaction integral: beyond the tip functions [elements]


@dataclass(frozen=True)
class Plate:
    """A rectangular plate, x from 0 to `width`, y from −`height`/2 to `height`/2, and its mesh."""

    width: float = 10e-3  # [m]
    height: float = 20e-3  # [m]
    columns: int = 64  # elements across
    fine: float = 7e-3  # the mesh is uniform in |y| ≤ fine [m]
    band: tuple[float, float] = (-6e-3, 6e-3)  # y between which cracks may run [m]
    closure: Closure = "uniform"
    material: Elastic = field(default_factory=Elastic)

    @cached_property
    def grid(self) -> Grid:
        """The mesh."""
        return grid(self.width, self.height, self.columns, self.fine)

    @cached_property
    def intact(self) -> Intact:
        """The plate without a crack, factorised when first asked for."""
        return intact(self.grid, self.material.checked(), self.closure, self.band)

    def K(self, crack: PolylineCrack, radius: float = RADIUS) -> Floats:
        """Stress intensities (tips, 2 loads, 2 modes) [√m] for unit tension and unit shear.

        The first tip is the last node. `radius` of the integral in elements. ValueError where
        the crack leaves the plate or the band.
        """
        sound = checked(crack, self.grid, self.band)
        extra = enrichment(sound, self.grid)
        parts = domains(extra.tips, self.grid, radius * self.grid.h)
        field = self._field(extra, np.unique(np.concatenate([p.nodes.ravel() for p in parts])))
        solutions = [Displacements(field.at(part.nodes), field.unknowns) for part in parts]
        return np.stack(
            [
                intensities(part, solution, extra, self.grid, self.material)
                for part, solution in zip(parts, solutions, strict=True)
            ]
        )

    def _field(self, extra: Enrichment, wanted: np.ndarray) -> Solved:
        plate = self.intact
        moduli, side_shear = plate.material.moduli(), plate.held.side_shear
        blocks = stiffness(extra, plate.grid, moduli, side_shear=side_shear)
        return solved(plate, extra, blocks, wanted)
