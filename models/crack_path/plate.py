"""Plates with an edge crack along a polyline, and the stress intensities at its tip.

Stress intensities of unit loads divided by √W depend on the path divided by W, on H/W and on the
closure alone: so one factorised plate of width 1 serves all plates of one form.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor

from models.xfem.closure import Closure
from models.xfem.crack import PolylineCrack
from models.xfem.grid import Floats
from models.xfem.memory import ByteCache
from models.xfem.plate import Plate

CLOSURES: tuple[Closure, ...] = tuple(c for c in get_args(Closure) if c != "clamp")
COLUMNS = 64  # elements across the plate
SEGMENT = 0.018  # length of the segments that a crack grows by [W]; XFEM needs 1.1 elements
FAR_SIDE_MARGIN = 0.025  # so near to the far side a crack counts as through [W]
BAND = 0.7  # cracks run where |y| is below this [W], and…
END = 0.2  # …so far from the ends [W]; a crack that goes beyond counts as broken, so it is to…
ROOM = 0.05  # …begin so far below that limit [W]
LONGEST = 20.0  # H/W up to which XFEM was compared with a uniform mesh
MEMORY = 1 << 30  # bytes that all forms of plates together may take, factors and what they know

Form: TypeAlias = tuple[float, Closure]  # H/W and the closure: what a unit plate is made from


class Plates(NamedTuple):
    """Rectangles, x from 0 to `width`, y from −`height`/2 to `height`/2; all leaves (n,)."""

    width: Tensor  # [m]
    height: Tensor  # [m]
    closure: Tensor  # int64, the place in CLOSURES

    def band(self) -> Tensor:
        """|y| (n,) that a crack stays below [m]."""
        return torch.minimum(BAND * self.width, 0.5 * self.height - END * self.width)

    def holds(self, at: Tensor) -> Tensor:
        """Whether a tip `at` (n, 2) [m] is where intensities can be found."""
        across = at[:, 0] < (1.0 - FAR_SIDE_MARGIN) * self.width
        return across & (at[:, 0] > 0.0) & (at[:, 1].abs() < self.band())


class TipIntensities(NamedTuple):
    """What was found at the tips of paths."""

    k: Tensor  # (n, 2, 2) float64 by load (tension, shear) and mode (I, II), per unit stress [√m]
    by_xfem: Tensor  # (n,) bool: not by the operator


class Solver:
    """Stress intensities by XFEM.

    What it keeps is a memory, not a state: no answer depends on what was asked before, nor on
    what has been forgotten since. As many forms stay factorised as fit `memory` [bytes]; room is
    made when something new is to be kept, also within a solve. Threads that ask take turns by
    `turn`, which is a lock where there is more than one.
    """

    def __init__(
        self, memory: float = MEMORY, turn: AbstractContextManager[Any] | None = None
    ) -> None:
        self.memory = ByteCache(memory)
        self._turn = turn or nullcontext()

    def __call__(self, plates: Plates, path: Tensor, nodes: Tensor) -> TipIntensities:
        """The tips of `path` (n, m, 2) [m], of which each row uses its first `nodes` (n,).

        Raises ValueError where a path leaves the band, or no finite intensities are found.
        """
        k = torch.empty(len(nodes), 2, 2, dtype=torch.float64)
        forms = _forms(plates)
        for i in sorted(range(len(forms)), key=forms.__getitem__):  # plates of one form together
            width = float(plates.width[i])
            found = self._solved(forms[i], path[i, : int(nodes[i])].numpy() / width)
            k[i] = torch.from_numpy(found) * float(np.sqrt(width))
        if not torch.isfinite(k).all():
            raise ValueError("a stress intensity is not finite")
        return TipIntensities(k, torch.ones(len(nodes), dtype=torch.bool))

    def _solved(self, form: Form, path: Floats) -> Floats:
        with self._turn:
            plate = self.memory.recall(form, partial(self._plate, form), _size)
            tip: Floats = plate.K(PolylineCrack(path))[0]
            self.memory.renew(form)  # it goes after its columns, which are useless without it
        return tip

    def _plate(self, form: Form) -> Plate:
        """The factorised plate of width 1, which shares the memory."""
        aspect, closure = form
        band = min(BAND, 0.5 * aspect - END)
        fine = min(band + 0.1, 0.5 * aspect)
        plate = Plate(1.0, aspect, COLUMNS, fine, (-band, band), closure)
        plate.intact.inverse.memory = self.memory
        return plate


def _forms(plates: Plates) -> list[Form]:
    aspects = zip(plates.height.tolist(), plates.width.tolist(), strict=True)
    closures = [CLOSURES[c] for c in plates.closure.tolist()]
    return [(round(h / w, 6), c) for (h, w), c in zip(aspects, closures, strict=True)]


def _size(plate: Plate) -> int:
    return plate.intact.nbytes


def checked_path(path: Floats, width: float, height: float) -> Floats:
    """An initial path (m, 2) [m], its mouth on the left side; ValueError where it is none."""
    plates = Plates(*torch.tensor([[width], [height], [0.0]]).double().unbind())
    if float(plates.band()) < END * width:
        raise ValueError(f"a height of {height} m is too little for a width of {width} m")
    if height > LONGEST * width:
        raise ValueError(
            f"a height of {height} m is too much for a width of {width} m: "
            f"stress intensities are known up to {LONGEST:g} widths"
        )
    if len(path) < 2 or path[0, 0] != 0.0:
        raise ValueError("a path starts at x = 0 and has at least two nodes")
    shortest = float(np.linalg.norm(np.diff(path, axis=0), axis=1).min())
    if shortest < SEGMENT * width:
        raise ValueError(f"a segment of {shortest:.3g} m is shorter than {SEGMENT * width:.3g} m")
    if (np.diff(path[:, 0]) <= 0.0).any():
        raise ValueError("the nodes of a path have rising x")
    highest = float(plates.band()) - ROOM * width
    if not bool(plates.holds(torch.from_numpy(path[-1:]))) or np.abs(path[:, 1]).max() > highest:
        raise ValueError(
            f"a path to ({path[-1, 0]}, {path[-1, 1]}) m leaves the part of the plate "
            f"in which cracks are followed: x < {(1 - FAR_SIDE_MARGIN) * width} m, "
            f"|y| < {highest} m at the start"
        )
    return path
