"""Finding a crack without having learned anything: dark ridges, and a threshold of grey values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.floating]

SCALES = (1.5, 2.5, 4.0)  # of the ridges looked for, standard deviation [pixel]
PLAIN = 4.0  # times the usual response that counts as an even chance


def ridge(picture: Floats) -> Floats:
    """How much each pixel (h, w) lies on a dark ridge, as a number within 0 … 1.

    The larger eigenvalue of the Hessian at several scales (T. Lindeberg, Int. J. Comput. Vis.
    30 (1998) 117), over what is usual in the picture.
    """
    shade = picture.astype(np.float64)
    response = np.max([_curvature(shade, scale) for scale in SCALES], axis=0)
    usual = max(float(np.median(np.abs(response))) * 1.4826, 1e-9)
    return np.asarray(response**4 / (response**4 + (PLAIN * usual) ** 4))


def _curvature(shade: Floats, scale: float) -> Floats:
    """The larger curvature, of dark lines, in units of the scale."""
    xx, yy, xy = (
        ndimage.gaussian_filter(shade, scale, order=order) * scale**2
        for order in ((0, 2), (2, 0), (1, 1))
    )
    larger = 0.5 * (xx + yy) + np.sqrt(0.25 * (xx - yy) ** 2 + xy**2)
    return np.asarray(np.maximum(larger, 0.0))


def darkest(picture: Floats) -> Floats:
    """One where the grey value is below the threshold that parts the picture best, else zero.

    N. Otsu, IEEE Trans. Syst. Man Cybern. 9 (1979) 62.
    """
    grey = picture.astype(np.float64)
    counts, edges = np.histogram(grey, bins=256)
    middle = 0.5 * (edges[1:] + edges[:-1])
    below, total = np.cumsum(counts), counts.sum()
    moment = np.cumsum(counts * middle)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = (moment[-1] * below / total - moment) ** 2 / (below * (total - below))
    threshold = edges[1 + int(np.nanargmax(apart[:-1]))]
    return np.asarray(grey < threshold, dtype=np.float64)
