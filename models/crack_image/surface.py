"""Made-up surfaces of painted, ground, welded and rusted steel, and a camera that looks at them.

Shades are within about 0 … 1. What is here is meant to be mistaken for a crack by whoever looks
only for something dark: runs of paint, toes of welds, scratches, pits, stains, shadows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

Floats = NDArray[np.floating]
Rng = np.random.Generator


def surface(rng: Rng, size: int) -> Floats:
    """A square of metal (size, size) without a crack."""
    shade: Floats = rng.uniform(0.3, 0.85) + _light(rng, size) + _texture(rng, size)
    for chance, layer in (
        (0.5, _weld), (0.4, _runs), (0.35, _stains), (0.35, _specks), (0.4, _scratches),
        (0.2, _other_material),
    ):  # fmt: skip
        if rng.random() < chance:
            shade = layer(rng, shade)
    return np.clip(shade, 0.02, 1.0)


def camera(rng: Rng, shade: Floats) -> NDArray[np.uint8]:
    """What a camera makes of it: blur, noise, compression, an exposure of its own; grey values."""
    seen = ndimage.gaussian_filter(shade, rng.uniform(0.0, 1.3)) if rng.random() < 0.7 else shade
    noise = rng.standard_normal(shade.shape)
    if rng.random() < 0.5:  # as an interpolated sensor has it
        noise = ndimage.gaussian_filter(noise, 0.8) * 2.8
    seen = seen + noise * rng.choice([0.0, rng.uniform(0.0, 0.035)], p=[0.15, 0.85])
    exposed = np.clip(seen, 0.0, 1.2) ** rng.uniform(0.7, 1.4) * rng.uniform(0.6, 1.1)
    grey = np.clip(255.0 * exposed + rng.uniform(-10.0, 25.0), 0.0, 255.0)
    if rng.random() < 0.45:
        grey = _compressed(grey, float(rng.uniform(2.0, 14.0)))
    return np.asarray(np.clip(np.rint(grey), 0, 255), dtype=np.uint8)


def step_along(rng: Rng, path: Floats, size: int) -> Floats:
    """A step of shade (size, size) along a path, as at the toe of a weld."""
    side = _signed(path + rng.normal(0.0, 2.0, 2), size)
    wide = float(np.exp(rng.uniform(np.log(1.5), np.log(20.0))))
    return np.asarray(rng.uniform(-0.2, 0.2) / (1.0 + np.exp(np.clip(-side / wide, -30, 30))))


def _signed(path: Floats, size: int) -> Floats:
    """About the signed distance of every pixel from a line that goes on straight [pixel]."""
    chord = path[-1] - path[0]
    along = chord / max(float(np.hypot(*chord)), 1e-9)
    across = np.array([-along[1], along[0]])
    s, t = (path - path[0]) @ along, (path - path[0]) @ across
    order = np.argsort(s)
    y, x = np.mgrid[:size, :size] + 0.5
    here = (x - path[0, 0]) * along[0] + (y - path[0, 1]) * along[1]
    off = (x - path[0, 0]) * across[0] + (y - path[0, 1]) * across[1]
    return np.asarray(off - np.interp(here, s[order], t[order]))


def _noise(rng: Rng, size: int, scale: float) -> Floats:
    """Smooth noise of unit standard deviation, of a size of features [pixel]."""
    step = max(1, int(scale / 2.0))
    coarse = rng.standard_normal((size // step + 4, size // step + 4))
    smooth = ndimage.gaussian_filter(coarse, scale / step)
    wide = ndimage.zoom(smooth, step, order=1)[:size, :size] if step > 1 else smooth[:size, :size]
    return np.asarray((wide - wide.mean()) / max(float(wide.std()), 1e-9))


def _light(rng: Rng, size: int) -> Floats:
    """A lamp from one side, and what surrounds it."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    angle = rng.uniform(0.0, 2.0 * np.pi)
    slope = (x * np.cos(angle) + y * np.sin(angle)) * rng.uniform(0.0, 0.35)
    return np.asarray(slope + _noise(rng, size, size / 4) * rng.uniform(0.0, 0.08))


def _texture(rng: Rng, size: int) -> Floats:
    """Relief at several scales, in one half of the cases drawn out in one direction."""
    parts = [_noise(rng, size, s) * rng.uniform(0.0, 0.045) for s in (0.7, 1.5, 3.0, 6.0, 14.0)]
    relief = np.sum([p for p in parts if rng.random() < 0.7], axis=0) + np.zeros((size, size))
    if rng.random() < 0.35:
        brushed = ndimage.gaussian_filter1d(
            rng.standard_normal((size, size)), rng.uniform(5, 30), 1
        )
        brushed *= rng.uniform(0.0, 0.06) / max(float(brushed.std()), 1e-9)
        relief = relief + ndimage.rotate(np.pad(brushed, size // 2, mode="reflect"),
                                         rng.uniform(0, 180), reshape=False, order=1)[
            size // 2 : size // 2 + size, size // 2 : size // 2 + size]  # fmt: skip
    return np.asarray(relief)


def _curve(rng: Rng, size: int) -> Floats:
    """A smooth line (n, 2) across the picture and beyond, in any direction."""
    s = np.linspace(-0.8, 0.8, 200) * size
    bend = sum(
        rng.normal(0.0, 0.05) * size * np.sin(s / size * 2 * np.pi * k + rng.uniform(0, 6.3))
        for k in (0.5, 1, 2, 4)
    )
    angle = rng.uniform(0.0, np.pi)
    along, across = (
        np.array([np.cos(angle), np.sin(angle)]),
        np.array([-np.sin(angle), np.cos(angle)]),
    )
    centre = rng.uniform(0.15, 0.85, 2) * size
    return np.asarray(centre + s[:, None] * along + np.asarray(bend)[:, None] * across)


def _weld(rng: Rng, shade: Floats) -> Floats:
    """A bead: its toes are steps of shade, sharp or soft, with a shadow or a gleam beside them."""
    size = len(shade)
    for _ in range(int(rng.integers(1, 4))):
        d = _signed(_curve(rng, size), size)
        wide = float(np.exp(rng.uniform(np.log(1.0), np.log(16.0))))
        step = 1.0 / (1.0 + np.exp(np.clip(-d / wide, -30, 30)))
        shade = shade + rng.uniform(-0.22, 0.22) * step
        reach = float(rng.uniform(3.5, 25.0))
        shade = shade + rng.uniform(-0.2, 0.2) * np.exp(-0.5 * (d / reach) ** 2)
    if rng.random() < 0.4:  # ripples of the bead
        d = _signed(_curve(rng, size), size)
        period = rng.uniform(8.0, 40.0)
        shade = shade + rng.uniform(0.0, 0.07) * np.sin(2 * np.pi * d / period)
    return np.asarray(shade)


def _runs(rng: Rng, shade: Floats) -> Floats:
    """Folds and runs of paint: soft dark lines, each with its light side."""
    size = len(shade)
    for _ in range(int(rng.integers(1, 5))):
        curve = _curve(rng, size)
        d, wide = _signed(curve, size), rng.uniform(2.5, 7.0)
        y, x = np.mgrid[:size, :size]
        centre, reach = rng.uniform(0, size, 2), rng.uniform(0.1, 0.6) * size
        fade = np.exp(-0.5 * ((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / reach**2)
        fold = d / wide * np.exp(-0.5 * (d / wide) ** 2) * rng.uniform(-1.0, 1.0)
        valley = np.exp(-0.5 * (d / wide) ** 2) * rng.uniform(-1.0, 0.3)
        shade = shade + rng.uniform(0.03, 0.16) * (fold + valley) * fade
    return np.asarray(shade)


def _stains(rng: Rng, shade: Floats) -> Floats:
    """Rust and dirt: dark regions with ragged borders."""
    size = len(shade)
    level = rng.uniform(1.0, 2.2)
    field = _noise(rng, size, rng.uniform(3.0, 18.0)) + 0.35 * _noise(rng, size, 2.0)
    edge = rng.uniform(0.05, 0.4)
    cover = 1.0 / (1.0 + np.exp(np.clip(-(field - level) / edge, -30, 30)))
    rust = rng.uniform(0.2, 0.7) * (1.0 + rng.uniform(0.0, 0.4) * _noise(rng, size, 1.2))
    return np.asarray(shade * (1.0 - np.clip(cover * rust, 0.0, 0.95)))


def _specks(rng: Rng, shade: Floats) -> Floats:
    """Pits, droplets and glints: small dark or light spots."""
    size, shade = len(shade), shade.copy()
    y, x = np.mgrid[:size, :size]
    for _ in range(int(rng.integers(2, 25))):
        (cx, cy), wide = rng.uniform(0, size, 2), float(np.exp(rng.uniform(-0.3, 1.6)))
        k = int(4 * wide) + 2
        box = (slice(max(0, int(cy) - k), int(cy) + k), slice(max(0, int(cx) - k), int(cx) + k))
        away = ((x[box] - cx) ** 2 + ((y[box] - cy) * rng.uniform(0.6, 1.6)) ** 2) / wide**2
        shade[box] += rng.uniform(-0.5, 0.4) * np.exp(-0.5 * away)
    return shade


def _scratches(rng: Rng, shade: Floats) -> Floats:
    """Straight light lines, and straight dark ones that are faint or have a light side."""
    size = len(shade)
    y, x = np.mgrid[:size, :size] + 0.5
    for _ in range(int(rng.integers(1, 7))):
        angle, (cx, cy) = rng.uniform(0.0, np.pi), rng.uniform(0, size, 2)
        along = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
        d = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
        wide, reach = rng.uniform(0.5, 1.4), rng.uniform(0.05, 0.6) * size
        line = np.exp(-0.5 * (d / wide) ** 2) * (np.abs(along) < reach)
        lip = np.exp(-0.5 * ((d - 2.2 * wide) / wide) ** 2) * (np.abs(along) < reach)
        bright = rng.random() < 0.65
        tone = rng.uniform(0.03, 0.25) if bright else -rng.uniform(0.02, 0.07)
        shade = shade + tone * line - (rng.random() < 0.4) * 0.6 * tone * lip
    return np.asarray(shade)


def _other_material(rng: Rng, shade: Floats) -> Floats:
    """Where the part ends: another shade and another roughness beyond a sharp or soft border."""
    size = len(shade)
    d = _signed(_curve(rng, size), size) - rng.uniform(0.1, 0.5) * size
    d = d + _noise(rng, size, 6.0) * rng.uniform(0.0, 4.0)
    beyond = 1.0 / (1.0 + np.exp(np.clip(-d / rng.uniform(0.5, 3.0), -30, 30)))
    coarse = _noise(rng, size, rng.uniform(1.0, 4.0)) * rng.uniform(0.02, 0.2)
    return np.asarray(shade * (1.0 - beyond) + (rng.uniform(0.02, 0.6) + coarse) * beyond)


def _compressed(grey: Floats, coarse: float) -> Floats:
    """Blocks of 8 × 8 whose waves are rounded, the short ones more."""
    h, w = (8 * (n // 8) for n in grey.shape)
    blocks = grey[:h, :w].reshape(h // 8, 8, w // 8, 8).swapaxes(1, 2)
    k = np.arange(8)
    rounding = coarse * (1.0 + 0.5 * (k[:, None] + k))
    waves = np.rint(fft.dctn(blocks, axes=(2, 3), norm="ortho") / rounding) * rounding
    out = grey.copy()
    out[:h, :w] = fft.idctn(waves, axes=(2, 3), norm="ortho").swapaxes(1, 2).reshape(h, w)
    return out
