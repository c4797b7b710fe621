"""Cracks through nodes of the mesh, beside them, and along edges of elements."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.xfem.crack import PolylineCrack
from models.xfem.plate import Plate

PLATE = Plate(1.0, 2.0, 32, 0.5, (-0.45, 0.45))  # nodes at (i, j + 1/2) h
H = PLATE.grid.h
ASIDE = np.array([0.0, 2.3e-4])  # as far from the nodes as makes no difference else
Corners = list[tuple[float, float]]


def change(corners: Corners) -> float:
    """How much K changes when the crack, given in elements, is moved aside."""
    path = H * np.array(corners)
    K, moved = (PLATE.K(PolylineCrack(at))[0] for at in (path, path + ASIDE))
    return float(np.linalg.norm(K - moved) / np.linalg.norm(moved))


def turned(corners: Corners, degrees: float, length: float) -> Corners:
    """The crack with one more segment, turned from the x axis."""
    t = math.radians(degrees)
    x, y = corners[-1]
    return [*corners, (x + length * math.cos(t), y + length * math.sin(t))]


@pytest.mark.parametrize("slope", [0.5, -0.5, 0.25, 1.0, 1.5])
def test_a_crack_from_the_middle_of_an_element_through_nodes_is_not_welded_there(
    slope: float,
) -> None:
    assert change([(0.0, 0.0), (8.0, 8.0 * slope)]) < 0.003


@pytest.mark.parametrize(
    "corners",
    [
        [(0.0, 0.5), (8.0, 8.5)],  # from a node on the face, along the diagonal of elements
        [(0.0, 0.5), (8.0, 4.5), (14.0, 1.5)],  # turns at a node
        [(0.0, 0.5), (6.0, -5.5), (12.0, -1.5)],
        [(0.0, 0.5), (6.0, 0.5), (10.0, 4.5)],  # along an edge to a node, then the diagonal
        [(0.0, 0.5), (6.0, 0.5), (6.0, 4.5), (10.3, 5.1)],  # round a node, on edges both
        [(0.0, 0.5), (6.0, 0.5), (6.0, -3.5), (10.3, -4.1)],
        [(0.0, 0.5), (7.0, 0.5)],  # the tip at a node
        [(0.0, 0.0), (7.0, 3.5)],
    ],
)
def test_nodes_of_the_mesh_on_the_crack_change_nothing(corners: Corners) -> None:
    assert change(corners) < 0.003


@pytest.mark.parametrize("gap", [1e-10, -1e-8, 1e-7, -3e-7, 1e-5, -1e-4])
def test_nodes_of_the_mesh_beside_the_crack_change_nothing(gap: float) -> None:
    """In elements; `TOUCH` lies within."""
    assert change([(0.0, gap), (8.0, 4.0 + gap)]) < 0.003
    assert change([(0.0, 0.3), (6.0, 4.5 + gap), (10.0, 1.2)]) < 0.003


@pytest.mark.parametrize("degrees", [40.0, -70.0])
@pytest.mark.parametrize("start", [6.0, 6.3])
def test_the_faces_along_an_edge_of_elements_count_once(start: float, degrees: float) -> None:
    """Right behind the tip, where the integral over the faces is not zero."""
    assert change(turned([(0.0, 0.5), (start, 0.5)], degrees, 1.2)) < 0.003


def test_random_cracks_with_corners_on_a_raster_are_those_beside_it() -> None:
    random = np.random.default_rng(3)
    assert max(change(_raster(random)) for _ in range(25)) < 0.004


def _raster(random: np.random.Generator) -> Corners:
    """A crack of up to four segments, from one multiple of half an element to the next."""
    across, up = random.integers(4, 11, 4), random.integers(-8, 9, 5)
    x, y = np.concatenate([[0], np.cumsum(across)]), np.cumsum(up)
    count = int(random.integers(2, 6))
    return [(0.5 * float(a), 0.5 * float(b)) for a, b in zip(x, y, strict=True)][:count]
