"""Photographs in which a crack ends where it is known to: the rest of it is erased.

Beyond a chosen point the crack is filled with texture from beside it. Only the gradients of that
texture are taken and made to fit the rim of the hole (P. Pérez, M. Gangnet and A. Blake, ACM
Trans. Graph. 22 (2003) 313), so that neither shade nor grain shows a seam; what is left of the
crack is no part of the rim, so that its darkness does not run into the hole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.linalg import spsolve
from scipy.spatial import cKDTree

from models.crack_image.trace import trace

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]
Ints = NDArray[np.integer]

CUTS = (0.2, 0.35, 0.5, 0.65, 0.8)  # share of the crack that is kept
FADE = 5.0  # before and after its new tip the crack fades [pixel]
MARGIN = 6  # pixels around the mask that a crack's shadow may reach
PIECE = 40.0  # of the crack that is filled from one place [pixel]
SHIFTS = tuple(s * d for d in (16, 22, 28, 34, 42, 50, 60, 72) for s in (1, -1))  # [pixel]
RING = 4  # pixels around a piece that its filling should resemble
_SIDES = ((0, 1), (0, -1), (1, 0), (-1, 0))


class Case(NamedTuple):
    """A picture whose crack is known, and the pixels that were filled."""

    name: str
    picture: NDArray[np.uint8]  # (h, w)
    crack: Bools  # (h, w) what is left of it
    filled: Bools  # (h, w)


def cases(name: str, picture: NDArray[Any], crack: Bools) -> Iterator[Case]:
    """The photograph with its crack ending at each of `CUTS`, from either side."""
    for share in CUTS:
        for first in (True, False):
            label = f"{name}, {'left' if first else 'right'} {share:.0%}"
            yield Case(label, *erased(picture, crack, share, first))


def erased(
    picture: NDArray[Any], crack: Bools, share: float, first: bool = True
) -> tuple[NDArray[np.uint8], Bools, Bools]:
    """Picture, crack and filled pixels (h, w), a `share` of the main crack being left.

    It is counted from the crack's left end, or else from its right. All other pixels of the mask
    are filled too. ValueError where the mask holds no crack.
    """
    found = trace(crack.astype(np.float32))
    if found is None:
        raise ValueError("the mask holds no crack")
    path = found.path if (found.path[0, 0] <= found.path[-1, 0]) == first else found.path[::-1]
    beyond = _nearest(path, crack.shape) - share * (len(path) - 1)
    left = found.mask & (beyond < 0.0)
    whole = found.mask & (beyond < -FADE)
    closed = _widened(whole) & (beyond < -FADE)
    hole = _widened(crack & ~whole) & ~closed
    full = _filled(picture.astype(float), hole, _widened(crack), path, closed)
    # the crack does not stop as if cut with a knife
    ramp = np.clip(0.5 + 0.5 * beyond / FADE, 0.0, 1.0)
    faded = np.where(_widened(found.mask), ramp, 1.0)
    out = np.where(hole, picture + (full - picture) * faded, picture)
    return np.clip(np.rint(out), 0, 255).astype(np.uint8), left, hole


def _widened(pixels: Bools) -> Bools:
    return np.asarray(ndimage.binary_dilation(pixels, iterations=MARGIN))


def _nearest(path: Floats, shape: tuple[int, ...]) -> NDArray[np.intp]:
    """For every pixel (h, w) the number of the nearest point of the path (n, 2)."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    nearest = cKDTree(path).query(np.stack([x.ravel(), y.ravel()], axis=1))[1]
    return np.asarray(nearest.reshape(shape))


def _filled(shade: Floats, hole: Bools, crack: Bools, path: Floats, closed: Bools) -> Floats:
    """The picture with the hole filled; nothing enters it from the pixels that are `closed`."""
    down, right = _shifts(shade, hole, crack | hole, path)
    number = np.full(hole.shape, -1)
    number[hole] = np.arange(hole.sum())
    y, x = np.nonzero(hole)
    own = _at(shade, y + down, x + right)
    n = np.arange(len(y))
    value, links = np.zeros(len(y)), np.full(len(y), 1e-6)
    rows, columns = [n], [n]
    for dy, dx in _SIDES:
        v, u, linked = _clipped(y + dy, x + dx, hole.shape)
        linked &= ~closed[v, u]
        links += linked
        value += linked * (own - _at(shade, v + down, u + right))
        value += np.where(linked & ~hole[v, u], shade[v, u], 0.0)
        inner = linked & hole[v, u]
        rows.append(n[inner])
        columns.append(number[v, u][inner])
    i, j = np.concatenate(rows), np.concatenate(columns)
    entries = np.append(links, np.full(len(i) - len(n), -1.0))
    out = shade.copy()
    out[hole] = spsolve(coo_array((entries, (i, j))).tocsc(), value)
    return out


def _shifts(shade: Floats, hole: Bools, taken: Bools, path: Floats) -> tuple[Ints, Ints]:
    """How far down and to the right (k,) of each pixel of the hole its filling comes from.

    Each piece of the hole takes the shift across the crack whose surroundings resemble its own.
    """
    piece = np.where(hole, (_nearest(path, hole.shape) // PIECE).astype(int), -1)
    shift = np.zeros((2, *hole.shape), dtype=np.int64)
    for k in np.unique(piece[hole]):
        middle = int(np.clip((k + 0.5) * PIECE, 4, len(path) - 5))
        along = path[middle + 4] - path[middle - 4]
        across = np.array([along[0], -along[1]]) / max(float(np.hypot(*along)), 1e-9)
        here = piece == k
        rim = ndimage.binary_dilation(here, iterations=RING) & ~taken
        unlike = [_unlike(shade, here, rim, taken, np.rint(across * s).astype(int)) for s in SHIFTS]
        best = np.rint(across * SHIFTS[int(np.argmin(unlike))]).astype(int)
        shift[:, here] = best[:, None]
    return shift[0][hole], shift[1][hole]


def _unlike(shade: Floats, here: Bools, rim: Bools, taken: Bools, shift: Ints) -> float:
    """How little a shifted place resembles the rim of a piece; more where it meets the crack."""
    y, x = np.nonzero(here)
    v, u, inside = _clipped(y + shift[0], x + shift[1], here.shape)
    bad = float((taken[v, u] | ~inside).mean())
    y, x = np.nonzero(rim)
    apart = shade[y, x] - _at(shade, y + shift[0], x + shift[1])
    return 1e3 * bad + (float(apart.std()) if len(apart) else 0.0)


def _clipped(y: Ints, x: Ints, shape: tuple[int, ...]) -> tuple[Ints, Ints, Bools]:
    """Places moved into the picture, and whether they lay in it."""
    inside = (y >= 0) & (y < shape[0]) & (x >= 0) & (x < shape[1])
    return np.clip(y, 0, shape[0] - 1), np.clip(x, 0, shape[1] - 1), inside


def _at(shade: Floats, y: Ints, x: Ints) -> Floats:
    """Shades at places, mirrored beyond the border."""
    h, w = shade.shape
    y, x = np.abs(y), np.abs(x)
    return np.asarray(shade[h - 1 - np.abs(h - 1 - y), w - 1 - np.abs(w - 1 - x)])
