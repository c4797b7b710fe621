"""What the configuration of a crack library must keep to: XFEM has to answer, pictures to show it.

The bounds in elements were measured on straight cracks against a mesh of 128 columns: K of a
first crack is within 1.6 % from 2 elements on (4 % off at 1.1); a tip that stays 1.5 elements
from the far edge is 17 % off, one at 0.6 is 67 % off; one 6 elements from an end of the plate is
1 % off, at 2.5 4 %. K does not change between 4 and 20 widths of height.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from models.crack_frames.config import CrackLibrary
from models.xfem.plate import Plate

FIRST, INCREMENT, REST, REACH = 2.0, 1.1, 1.5, 6.0  # [elements]
TALLEST = 20.0  # height over width [1]
FEWEST_COLUMNS, MOST_COLUMNS = 16, 256
MOST_KEPT = 16_384  # nodes in the band: their columns of the inverse are up to 8 GiB a process
MOST_NODES = 65_536  # of the mesh
MOST_PIXELS = 2**23  # of the pictures of a sample
FINEST = 16_384  # pixels across the plate, at most
SLOW, FAST = 1e-18, 1e-2  # growth at a stress intensity of 10 MPa √m [m/cycle]


def checked(config: CrackLibrary) -> CrackLibrary:
    """The configuration; ValueError where XFEM cannot follow a crack, or a picture not show it."""
    for fault in faults(config):
        raise ValueError(fault)
    return config


def faults(config: CrackLibrary) -> Iterator[str]:
    """Sentences, each of which supposes that there was none before it.

    Nothing is computed whose size the configuration could make large.
    """
    yield from _of_plate(config.plate)
    yield from _of_crack(config)
    yield from _of_loads(config)
    yield from _of_window(config)


def _of_plate(plate: Plate) -> Iterator[str]:
    size = f"a plate of {plate.width} m x {plate.height} m"
    if not min(plate.width, plate.height, plate.fine) > 0.0:
        yield f"{size}, uniform to |y| = {plate.fine} m, is none: sizes are positive"
    if not plate.height <= TALLEST * plate.width:
        yield f"{size} is too tall: at most {TALLEST:g} widths are solved for"
    if not FEWEST_COLUMNS <= plate.columns <= MOST_COLUMNS:
        yield f"{plate.columns} columns: a mesh has {FEWEST_COLUMNS} to {MOST_COLUMNS}"
    low, high = plate.band
    most = 0.5 * plate.height - REACH * plate.width / plate.columns
    if not most > 0.0:
        yield f"{size} is too flat for {plate.columns} columns of elements across"
    if not -most <= low < high <= most:
        yield (
            f"the band {low} to {high} m must rise and lie within {-most:.6g} to {most:.6g} m: "
            f"in a plate of {plate.height} m, {REACH:g} elements from its ends"
        )
    yield from _of_mesh(plate)


def _of_mesh(plate: Plate) -> Iterator[str]:
    h = plate.width / plate.columns
    lines = plate.columns + 1
    kept = lines * ((plate.band[1] - plate.band[0]) / h + 2.0 * REACH)
    if kept > MOST_KEPT:
        yield (
            f"a band of {plate.band[1] - plate.band[0]:.6g} m in {plate.columns} columns has "
            f"{kept:.0f} nodes, more than {MOST_KEPT}: take a narrower band or fewer columns"
        )
    nodes = lines * (min(2.0 * plate.fine, plate.height) / h + 64.0)  # graded rows among them
    if nodes > MOST_NODES:
        yield (
            f"a mesh of {plate.columns} columns, uniform to |y| = {plate.fine} m, has "
            f"{nodes:.0f} nodes, more than {MOST_NODES}: take a smaller `fine` or fewer columns"
        )


def _of_crack(config: CrackLibrary) -> Iterator[str]:
    width, h = config.plate.width, config.plate.width / config.plate.columns
    if not 0.0 < config.crack < width - config.margin or config.slices < 1:
        yield (
            f"a crack of {config.crack} m and {config.slices} slices do not fit a "
            f"plate of {width} m"
        )
    for what, length, least in (
        ("a first crack", config.crack, FIRST),
        ("increments", config.step, INCREMENT),
        ("a margin", config.margin, REST),
    ):
        if not length >= least * h:
            yield (
                f"{what} of {length} m: too short for elements of {h:.6g} m, at least {least:g} "
                "of them are needed"
            )
    last = (width - config.crack) / config.slices - config.margin
    if not last >= config.step:
        yield (
            f"{config.slices} slices leave {last:.6g} m to the last one, less than the increment "
            f"of {config.step} m"
        )
    if not 0.0 < config.steepest <= 80.0:
        yield f"increments of up to {config.steepest} degrees are too steep: 80 at most"


def _of_loads(config: CrackLibrary) -> Iterator[str]:
    loads = config.loads
    if not loads.tension + 3.0 * loads.tension_sd > 0.0 or not loads.scale > 0.0:
        yield (
            f"a tension of {loads.tension} Pa with a deviation of {loads.tension_sd} Pa, times "
            f"{loads.scale}, hardly ever opens a crack"
        )
    growth = config.C * math.pow(1e7, config.m)
    if not SLOW <= growth <= FAST:
        yield (
            f"C {config.C} and m {config.m} are {growth:.3g} m/cycle at 10 MPa m^0.5: no material "
            f"is outside {SLOW:g} to {FAST:g}; C is for Pa m^0.5"
        )


def _of_window(config: CrackLibrary) -> Iterator[str]:
    window, plate = config.window, config.plate
    pixels = (config.slices + 1) * window.rows * window.columns
    if pixels > MOST_PIXELS:
        yield (
            f"{config.slices + 1} pictures of {window.rows} x {window.columns} have {pixels} "
            f"pixels, more than {MOST_PIXELS}"
        )
    if not plate.width / FINEST <= window.pixel <= config.crack:
        yield (
            f"pixels of {window.pixel} m do not suit a first crack of {config.crack} m in a plate "
            f"of {plate.width} m: {plate.width / FINEST:.3g} m to {config.crack:.3g} m do"
        )
    right = window.left + window.columns * window.pixel
    if not window.left <= 0.0 < config.crack <= right:
        yield (
            f"pictures from x = {window.left} m to {right:.6g} m do not show the first crack, "
            f"0 to {config.crack} m"
        )
    low, high = max(window.bottom, plate.band[0]), min(window.top, plate.band[1])
    if not low < config.height < high:
        yield (
            f"the mouth at y = {config.height} m is not between {low:.6g} and {high:.6g} m, "
            "where pictures and band overlap"
        )
