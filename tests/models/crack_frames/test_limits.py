"""What cannot be solved for, or be shown, is refused: each bound below, at and above it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.crack_frames.config import CONFIGS, CrackLibrary, Loads
from models.crack_frames.limits import FIRST, INCREMENT, REST, checked, faults
from models.crack_frames.window import PictureWindow
from models.xfem.crack import PolylineCrack
from models.xfem.plate import Plate

BASE = CONFIGS["crack"]
H = BASE.plate.width / BASE.plate.columns
STEEL = 6.9e-12 * 1e-6**3.0  # C for Pa √m
MORE, LESS = 1.0 + 1e-9, 1.0 - 1e-9


def plate(**changes: Any) -> CrackLibrary:
    return replace(BASE, plate=replace(BASE.plate, **changes))


def window(**changes: Any) -> CrackLibrary:
    return replace(BASE, window=replace(BASE.window, **changes))


def loads(**changes: Any) -> CrackLibrary:
    return replace(BASE, loads=replace(BASE.loads, **changes))


REACHED = 10e-3 - 6.0 * H  # y that cracks may reach
LEAST, MOST = 1e-18 / 1e7**3, 1e-2 / 1e7**3  # C at m = 3
WIDE = CrackLibrary(plate(columns=16).plate, crack=2e-3, slices=2, step=1e-3, margin=1e-3)

AT_THE_BOUND = {
    "height": (plate(height=0.2), plate(height=0.2 * MORE), "too tall"),
    "fewest columns": (WIDE, replace(WIDE, plate=replace(WIDE.plate, columns=15)), "15 columns"),
    "most columns": (plate(columns=256, fine=1e-3, band=(-1e-4, 1e-4)),
                     plate(columns=257, fine=1e-3, band=(-1e-4, 1e-4)), "257 columns"),
    "band, low": (plate(band=(-REACHED * LESS, 1.8e-3)), plate(band=(-REACHED * MORE, 1.8e-3)),
                  "must rise and lie within"),
    "band, high": (plate(band=(-5.4e-3, REACHED * LESS)), plate(band=(-5.4e-3, REACHED * MORE)),
                   "must rise and lie within"),
    "first crack": (replace(BASE, crack=FIRST * H), replace(BASE, crack=FIRST * H * LESS),
                    "a first crack of .* too short"),
    "increment": (replace(BASE, step=INCREMENT * H), replace(BASE, step=INCREMENT * H * LESS),
                  "increments of .* too short"),
    "margin": (replace(BASE, margin=REST * H), replace(BASE, margin=REST * H * LESS),
               "a margin of .* too short"),
    "last slice": (replace(BASE, slices=20), replace(BASE, slices=21), "21 slices leave"),
    "steepest": (replace(BASE, steepest=80.0), replace(BASE, steepest=80.0 * MORE), "too steep"),
    "tension": (loads(tension=-150e6 * LESS), loads(tension=-150e6), "hardly ever opens"),
    "certain": (loads(tension=1.0, tension_sd=0.0), loads(tension=0.0, tension_sd=0.0),
                "hardly ever opens"),
    "slow": (replace(BASE, C=LEAST * MORE), replace(BASE, C=LEAST * LESS), "no material"),
    "fast": (replace(BASE, C=MOST * LESS), replace(BASE, C=MOST * MORE), "no material"),
    "pixels": (window(rows=1024, columns=1024, pixel=0.03e-3, top=1.8e-3),
               window(rows=1024, columns=1025, pixel=0.03e-3), "more than 8388608"),
    "fine": (window(pixel=10e-3 / 16384, rows=512, columns=1639, top=1e-4),
             window(pixel=10e-3 / 16384 * LESS, rows=512, columns=1639, top=1e-4), "do not suit"),
    "coarse": (window(pixel=1e-3, top=2e-3), window(pixel=1e-3 * MORE, top=2e-3), "do not suit"),
    "left": (window(left=-1e-3), window(left=1e-9), "do not show the first crack"),
    "right": (window(columns=14), window(columns=13), "do not show the first crack"),
    "top": (window(top=1e-9), window(top=0.0), "the mouth at y = 0.0 m is not between"),
    "bottom": (window(top=7.2e-3 * LESS), window(top=7.2e-3 * MORE), "the mouth at"),
    "band, mouth": (plate(band=(-1e-9, 1.8e-3)), plate(band=(0.0, 1.8e-3)), "the mouth at"),
}  # fmt: skip  # a table


@pytest.mark.parametrize("bound", AT_THE_BOUND)
def test_a_configuration_is_accepted_at_its_bound_and_refused_beyond(bound: str) -> None:
    kept, refused, said = AT_THE_BOUND[bound]
    assert checked(kept) is kept
    with pytest.raises(ValueError, match=said):
        checked(refused)


@pytest.mark.parametrize(("config", "said"), [
    (plate(width=0.0), "sizes are positive"),
    (plate(height=-0.02), "sizes are positive"),
    (plate(fine=0.0), "sizes are positive"),
    (plate(width=float("nan")), "sizes are positive"),
    (plate(columns=10_000), "10000 columns"),
    (plate(height=1e-3), "too flat"),
    (plate(band=(1e-3, -1e-3)), "must rise"),
    (plate(columns=256), "more than 16384: take a narrower band"),
    (plate(height=0.2, fine=0.1, columns=128, band=(-1e-3, 1e-3)), "a smaller `fine`"),
    (replace(BASE, crack=0.0), "do not fit"),
    (replace(BASE, crack=9.8e-3), "do not fit"),
    (replace(BASE, slices=0), "do not fit"),
    (loads(scale=0.0), "hardly ever"),
    (replace(BASE, C=9.7e-12), "C is for Pa"),
    (window(pixel=0.075), "do not suit"),
    (window(pixel=1e-12), "do not suit"),
])  # fmt: skip  # a table
def test_what_cannot_be_is_said(config: CrackLibrary, said: str) -> None:
    assert said in next(faults(config))


def test_another_plate_material_and_load_is_accepted() -> None:
    other = CrackLibrary(
        plate=Plate(0.1, 0.3, columns=80, fine=0.06, band=(-0.05, 0.05), closure="grip"),
        crack=8e-3, slices=5, step=1.5e-3, margin=3e-3, C=STEEL,
        loads=Loads(tension=60e6, tension_sd=10e6, shear=-20e6, shear_sd=5e6),
        window=PictureWindow(pixel=1e-3, columns=100, rows=80, top=0.04),
    )  # fmt: skip  # one call
    assert checked(other) is other


def test_a_first_crack_of_two_elements_is_within_two_percent() -> None:
    """The bound on the first crack is not only a number: K of a mesh four times finer."""
    coarse = Plate(columns=32, band=(-1e-3, 1e-3))
    fine = Plate(columns=128, band=(-0.5e-3, 0.5e-3), fine=1e-3)
    crack = PolylineCrack(np.array([[0.0, 0.0], [FIRST * 10e-3 / 32, 0.0]]))
    K, true = coarse.K(crack)[0], fine.K(crack)[0]
    assert np.abs(K - true).max() < 0.02 * np.linalg.norm(true, axis=1).min()
