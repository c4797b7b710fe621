"""Stress intensities along paths: by the operator where it is to be trusted, else by XFEM."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from models.crack_path.plate import CLOSURES, Plates, Solver, TipIntensities
from models.intensity.operator import CrackOperator, intensity
from models.tree import rows

ASPECT = 2.0  # H/W of the plates that the operator has learned from; their closure is `uniform`


@dataclass(frozen=True, slots=True)
class WithFallback:
    """The operator, and who answers for it; what a row gets does not depend on the others."""

    operator: CrackOperator
    otherwise: Solver

    def __call__(self, plates: Plates, path: Tensor, nodes: Tensor) -> TipIntensities:
        """Tips of `path` (n, m, 2) [m], of which each row uses the first `nodes` (n,)."""
        found = intensity(self.operator, path, nodes, plates.width)
        alike = (plates.height / plates.width - ASPECT).abs() < 1e-6
        alike = alike & (plates.closure == CLOSURES.index("uniform"))
        doubtful = ~(found.trusted & alike)
        index = doubtful.nonzero().squeeze(1)
        if not index.numel():
            return TipIntensities(found.k_unit, doubtful)
        solved = self.otherwise(rows(plates, index), path[index], nodes[index])
        return TipIntensities(found.k_unit.index_copy(0, index, solved.k), doubtful)
