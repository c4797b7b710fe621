"""A small finite-element reference for K_I of straight cracks in plates, apart from the product.

Six-node triangles on a mesh that is refined by bisection of longest edges until every element is
small against its distance to the crack tip; the upper half of a plate that is symmetric about the
line of the crack, pulled at its free end by a unit stress. K_I follows from Rice's J integral over
an area around the tip: J. F. L. Shih et al., Int. J. Fracture 30 (1986) 79.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix
from scipy.sparse.linalg import splu
from scipy.spatial import Delaunay

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

POISSON = 0.3  # plane stress, E = 1; K does not depend on it
# Seven points of degree five on the triangle: barycentric coordinates, weights
_A, _B = (6.0 - math.sqrt(15.0)) / 21.0, (6.0 + math.sqrt(15.0)) / 21.0
_POINTS = np.array(
    [[1 / 3, 1 / 3]]
    + [[p, q] for t in (_A, _B) for p, q in ((t, t), (t, 1 - 2 * t), (1 - 2 * t, t))]
)
_WEIGHTS = 0.5 * np.array(
    [9 / 40] + [(155 - math.sqrt(15)) / 1200] * 3 + [(155 + math.sqrt(15)) / 1200] * 3
)


@dataclass(frozen=True)
class Cracked:
    """A plate x in `left`…`right` with a crack on y = 0, and a hole around the origin."""

    left: float
    right: float
    mouth: float  # x where the crack begins: at the hole, at a side, or another tip
    tip: float
    radius: float = 0.0
    tall: float = 1.5  # height above the crack, in widths
    fine: float = 0.12  # size of elements, in distances to the tip
    tiny: float = 2e-4  # size at the tip, in sizes of the J area

    @property
    def reach(self) -> float:
        """How far from the tip the material is whole, and the crack straight."""
        return min(self.tip - self.mouth, self.right - self.tip)

    def K(self) -> float:
        """K_I / σ [√m]."""
        p, t = self._refined(*self._coarse())
        p, t = self._quadratic(p, t)
        u = self._solved(p, t)
        return math.sqrt(self._J(p, t, u))

    def _coarse(self) -> tuple[Floats, Ints]:
        width = self.right - self.left
        height, R = self.tall * width, self.radius
        xs = np.linspace(self.left, self.right, 9)
        points = [(x, y) for x in xs for y in np.linspace(0.0, height, 13)]
        if R > 0.0:
            around = np.linspace(0.0, math.pi, 13)
            points = [
                (x, y)
                for x, y in points
                if math.hypot(x, y) > 1.35 * R or x in (self.left, self.right)
            ]
            ring = [(R * math.cos(w), R * math.sin(w)) for w in around]
            points += [(round(x, 15), 0.0 if abs(y) < 1e-12 * R else y) for x, y in ring]
            size = 1.5 * R
            while size < 0.3 * width:
                points += [
                    (x, y)
                    for w in np.linspace(0.0, math.pi, 13)
                    if self.left < (x := size * math.cos(w)) < self.right
                    and (y := abs(size * math.sin(w)) * (abs(math.sin(w)) > 1e-9)) < height
                ]
                size *= 1.5
        points += [(self.mouth, 0.0), (self.tip, 0.0)]
        p = np.unique(np.round(np.array(points) / width, 14), axis=0) * width
        t = Delaunay(p / width).simplices.astype(np.int64)
        middle, area = p[t].mean(1), _area(p, t)
        keep = (
            np.abs(area) > 1e-9 * np.abs(area).max() * (min(R, self.reach) / width if R else 1) ** 2
        )
        if R > 0.0:
            on = (np.abs(np.hypot(*p.T) - R) < 1e-6 * R)[t].all(1)
            keep &= ~on & (np.hypot(*middle.T) > 0.9 * R)
        used, t = np.unique(t[keep], return_inverse=True)
        p, t = p[used], t.reshape(-1, 3)
        if not (np.hypot(p[:, 0] - self.tip, p[:, 1]) < 1e-9 * self.reach).any():
            raise RuntimeError(f"the tip {self.tip} is no corner of the mesh")
        return p, np.where((_area(p, t) > 0.0)[:, None], t, t[:, ::-1])

    def _wanted(self, p: Floats) -> Floats:
        """The size [m] of elements at `p`."""
        tips = [self.tip]
        if self.mouth > self.left and self.radius == 0.0:
            tips.append(self.mouth)
        size = np.full(len(p), 0.1 * (self.right - self.left))
        for tip in tips:
            far = np.hypot(p[:, 0] - tip, p[:, 1])
            size = np.minimum(size, self.fine * far + self.tiny * self.reach)
        if self.radius > 0.0:
            far = np.hypot(*p.T) - self.radius
            size = np.minimum(size, 2.0 * self.fine * far.clip(min=0.0) + 0.1 * self.radius)
        return size

    def _refined(self, p: Floats, t: Ints) -> tuple[Floats, Ints]:
        for _ in range(120):
            sides = np.linalg.norm(p[t] - p[np.roll(t, -1, 1)], axis=2)
            nearest = p[t].reshape(-1, 2)
            wanted = self._wanted(nearest).reshape(-1, 3).min(1)
            marked = sides.max(1) > 2.0 * wanted.clip(min=0.5 * self.tiny * self.reach)
            if not marked.any():
                return p, t
            p, t = self._bisected(p, t, marked)
        raise RuntimeError("the mesh does not become fine enough")

    def _bisected(self, p: Floats, t: Ints, marked: NDArray[np.bool_]) -> tuple[Floats, Ints]:
        """Longest edges of the marked bisected, and those of all that this leaves not whole."""
        sides = np.linalg.norm(p[t] - p[np.roll(t, -1, 1)], axis=2)
        first = sides.argmax(1)
        t = np.take_along_axis(t, (first[:, None] + np.arange(3)) % 3, 1)  # longest: 0 to 1
        edges, of, counts = _edges(t)
        split = np.zeros(len(edges), bool)
        split[of[marked, 0]] = True
        while True:
            more = split[of].any(1) & ~split[of[:, 0]]
            if not more.any():
                break
            split[of[more, 0]] = True
        where = np.full(len(edges), -1)
        where[split] = len(p) + np.arange(split.sum())
        p = np.vstack((p, self._middles(p, edges[split], counts[split] == 1)))
        new = where[of]
        parts = [t[new[:, 0] < 0]]
        t, new = t[new[:, 0] >= 0], new[new[:, 0] >= 0]
        m = new[:, 0]
        for a, b, other in ((t[:, 2], t[:, 0], new[:, 2]), (t[:, 1], t[:, 2], new[:, 1])):
            cut = other >= 0  # the child (a, b, m) has the old edge a–b
            parts.append(np.stack((a, b, m), 1)[~cut])
            parts.append(np.stack((a, other, m), 1)[cut])
            parts.append(np.stack((other, b, m), 1)[cut])
        return p, np.vstack(parts)

    def _middles(self, p: Floats, edges: Ints, outer: NDArray[np.bool_]) -> Floats:
        """The middles of edges; of those along the hole, on it."""
        middle: Floats = p[edges].mean(1)
        if self.radius > 0.0:
            on = (np.abs(np.hypot(*p.T) - self.radius) < 1e-9 * self.radius)[edges].all(1) & outer
            middle[on] *= (self.radius / np.hypot(*middle[on].T))[:, None]
        return middle

    def _quadratic(self, p: Floats, t: Ints) -> tuple[Floats, Ints]:
        edges, of, counts = _edges(t)
        return np.vstack((p, self._middles(p, edges, counts == 1))), np.hstack((t, len(p) + of))

    def _solved(self, p: Floats, t: Ints) -> Floats:
        n, width = len(p), self.right - self.left
        D = np.array([[1, POISSON, 0], [POISSON, 1, 0], [0, 0, 0.5 * (1 - POISSON)]])
        D /= 1.0 - POISSON**2
        stiff = np.zeros((len(t), 12, 12))
        for grad, area in _gradients(p, t):
            B = np.zeros((len(t), 3, 12))
            B[:, 0, 0::2] = B[:, 2, 1::2] = grad[..., 0]
            B[:, 1, 1::2] = B[:, 2, 0::2] = grad[..., 1]
            stiff += area[:, None, None] * (B.transpose(0, 2, 1) @ (D @ B))
        dofs = (2 * t[:, :, None] + np.arange(2)).reshape(len(t), 12)
        rows, cols = np.repeat(dofs, 12, 1).ravel(), np.tile(dofs, (1, 12)).ravel()
        matrix = csc_matrix((stiff.ravel(), (rows, cols)), (2 * n, 2 * n))
        force = np.zeros(2 * n)
        edges, of, counts = _edges(t[:, :3])
        middle = np.zeros(len(edges), np.int64)
        middle[of] = t[:, 3:]
        height = self.tall * width
        top = (counts == 1) & (np.abs(p[edges][:, :, 1] - height) < 1e-9 * width).all(1)
        long = np.linalg.norm(p[edges[top, 0]] - p[edges[top, 1]], axis=1)
        for node, share in ((edges[top, 0], 1 / 6), (edges[top, 1], 1 / 6), (middle[top], 2 / 3)):
            np.add.at(force, 2 * node + 1, share * long)
        closed = (p[:, 0] <= self.mouth) | (p[:, 0] >= self.tip)
        if self.mouth <= self.left:
            closed = p[:, 0] >= self.tip
        held = (np.abs(p[:, 1]) < 1e-12 * width) & closed
        fixed = np.append(2 * held.nonzero()[0] + 1, 2 * int(np.argmax(p[:, 0] + 0 * p[:, 1])))
        if self.radius > 0.0:  # the mouth lies on the free hole
            mouth = (np.abs(p[:, 1]) < 1e-12 * width) & (
                np.abs(p[:, 0] - self.mouth) < 1e-9 * width
            )
            fixed = np.setdiff1d(fixed, 2 * mouth.nonzero()[0] + 1)
        free = np.setdiff1d(np.arange(2 * n), fixed)
        u = np.zeros(2 * n)
        u[free] = splu(
            matrix[free][:, free], "MMD_AT_PLUS_A", options={"SymmetricMode": True}
        ).solve(force[free])
        return u.reshape(n, 2)

    def _J(self, p: Floats, t: Ints, u: Floats) -> float:
        far = np.hypot(p[:, 0] - self.tip, p[:, 1]) / self.reach
        x = ((far - 0.2) / 0.6).clip(0.0, 1.0)
        q = 1.0 - x * x * (3.0 - 2.0 * x)
        total = 0.0
        for grad, area in _gradients(p, t):
            du = np.einsum("eni,enj->eij", u[t], grad)  # du_i/dx_j
            dq = np.einsum("en,enj->ej", q[t], grad)
            strain = 0.5 * (du + du.transpose(0, 2, 1))
            trace = np.trace(strain, axis1=1, axis2=2)
            stress = strain / (1 + POISSON)
            stress += (POISSON / (1 - POISSON**2) * trace)[:, None, None] * np.eye(2)
            energy = 0.5 * np.einsum("eij,eij->e", stress, strain)
            flux = np.einsum("eij,ei->ej", stress, du[:, :, 0])
            flux[:, 0] -= energy
            total += float((area * (flux * dq).sum(1)).sum())
        return 2.0 * total


def _area(p: Floats, t: Ints) -> Floats:
    a, b = p[t[:, 1]] - p[t[:, 0]], p[t[:, 2]] - p[t[:, 0]]
    area: Floats = 0.5 * (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
    return area


def _edges(t: Ints) -> tuple[Ints, Ints, Ints]:
    """Edges (k, 2), which of them each triangle has (m, 3), and of how many triangles each is."""
    both = np.stack((t, np.roll(t, -1, 1)), 2).reshape(-1, 2)
    edges, of, counts = np.unique(np.sort(both, 1), axis=0, return_inverse=True, return_counts=True)
    return edges, of.reshape(-1, 3), counts


def _gradients(p: Floats, t: Ints) -> list[tuple[Floats, Floats]]:
    """Gradients of the six shape functions (m, 6, 2) and areas (m,) at each quadrature point."""
    found = []
    for (x, y), weight in zip(_POINTS, _WEIGHTS, strict=True):
        z = 1.0 - x - y
        dx = np.array([1 - 4 * z, 4 * x - 1, 0.0, 4 * (z - x), 4 * y, -4 * y])
        dy = np.array([1 - 4 * z, 0.0, 4 * y - 1, -4 * x, 4 * x, 4 * (z - y)])
        local = np.stack((dx, dy), 1)
        jacobian = np.einsum("eni,nk->eik", p[t], local)
        grad = local @ np.linalg.inv(jacobian)
        found.append((grad, weight * np.linalg.det(jacobian)))
    return found
