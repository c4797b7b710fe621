"""Exponentials and logarithms number by number.

Vectorised ones treat the last of an array by other code, so that what happens to a row would hang
on the batch it is in.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@njit(cache=True, nogil=True, error_model="numpy")
def _exp(x: Floats, out: Floats) -> None:
    for i in range(len(x)):
        out[i] = math.exp(x[i])


@njit(cache=True, nogil=True, error_model="numpy")
def _log(x: Floats, out: Floats) -> None:
    for i in range(len(x)):
        out[i] = math.log(x[i]) if x[i] > 0.0 else -math.inf


def exp(x: Floats) -> Floats:
    """E to the power of each number."""
    flat = np.ascontiguousarray(x).ravel()
    out = np.empty_like(flat)
    _exp(flat, out)
    return out.reshape(x.shape)


def log(x: Floats) -> Floats:
    """The natural logarithm of each number; −∞ of 0."""
    flat = np.ascontiguousarray(x).ravel()
    out = np.empty_like(flat)
    _log(flat, out)
    return out.reshape(x.shape)
