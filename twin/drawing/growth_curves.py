"""Measured curves of crack growth and the band of a fitted law, as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from twin.drawing.crack import HEIGHT, WIDTH, Area, Polyline, Shape, Text, element
from twin.drawing.outline import Point

LEFT, RIGHT, TOP, FOOT = 72, 24, 84, 56  # margins [pixel]
MOST_CURVES = 200
MOST_POINTS = 400  # of a curve
_TICKS = 6  # at most, of an axis


class GrowthPicture(NamedTuple):
    """What is drawn."""

    title: str
    subtitle: str
    curves: Sequence[Sequence[Point]]  # cycles and length [m] of each specimen
    lengths: Sequence[float]  # [m] of the band
    band: Sequence[Sequence[float]]  # cycles to each: low, median, high


class _Axes(NamedTuple):
    """From cycles and metres to pixels."""

    cycles: float  # at the right end
    low: float  # [m] at the foot
    high: float  # [m] at the top

    def at(self, cycles: float, a: float) -> Point:
        """A point of the sheet."""
        x = LEFT + (WIDTH - LEFT - RIGHT) * cycles / self.cycles
        y = HEIGHT - FOOT - (HEIGHT - TOP - FOOT) * (a - self.low) / (self.high - self.low)
        return x, y


def svg(picture: GrowthPicture) -> bytes:
    """The sheet; of very many curves the first ones."""
    curves = [_thinned(curve) for curve in picture.curves[:MOST_CURVES]]
    cycles = max(1.0, *(row[-1] for row in picture.band), *(c[-1][0] for c in curves))
    lengths = [*picture.lengths, *(a for curve in curves for _, a in curve)]
    axes = _Axes(1.02 * cycles, min(lengths), max(lengths))
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'width="{WIDTH}" height="{HEIGHT}" font-family="system-ui, sans-serif">',
            f"<title>{escape(picture.title)}</title>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
            *(element(shape) for shape in _shapes(picture, curves, axes)),
            "</svg>",
        )
    ).encode()


def _shapes(picture: GrowthPicture, curves: Sequence[Sequence[Point]], axes: _Axes) -> list[Shape]:
    """Everything on the sheet, from back to front."""
    sides = [
        [axes.at(row[i], a) for a, row in zip(picture.lengths, picture.band, strict=True)]
        for i in range(3)
    ]
    drawn: list[Shape] = [Area([*sides[0], *reversed(sides[2])], "doubt")]
    drawn += [Polyline([axes.at(*point) for point in curve], "faint", 1.0) for curve in curves]
    drawn += [Polyline(sides[1], "crack", 2.5)]
    drawn += _frame(axes)
    key = "grey: measured; red: median of the law; band: 0.05 to 0.95"
    return [
        *drawn,
        Text((LEFT, 32), picture.title, 18),
        Text((LEFT, 52), picture.subtitle, 13, paint="limit"),
        Text((LEFT, 70), key, 13, paint="limit"),
    ]


def _frame(axes: _Axes) -> list[Shape]:
    left, foot = axes.at(0.0, axes.low)
    right, top = axes.at(axes.cycles, axes.high)
    drawn: list[Shape] = [Polyline([(left, top), (left, foot), (right, foot)], "ink", 1.5)]
    for cycles in _ticks(0.0, axes.cycles):
        x, _ = axes.at(cycles, axes.low)
        drawn += [Polyline([(x, foot), (x, foot + 5)], "ink", 1.5)]
        drawn += [Text((x, foot + 20), f"{cycles:,.0f}", 12, "middle")]
    for mm in _ticks(axes.low * 1e3, axes.high * 1e3):
        _, y = axes.at(0.0, mm / 1e3)
        drawn += [Polyline([(left - 5, y), (left, y)], "ink", 1.5)]
        drawn += [Text((left - 9, y + 4), f"{mm:g}", 12, "end")]
    names: list[Shape] = [
        Text((right, foot + 40), "cycles", 13, "end"),
        Text((12, top - 8), "a [mm]", 13),
    ]
    return drawn + names


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between two."""
    power = 10.0 ** math.floor(math.log10((high - low) / _TICKS))
    step = next(s * power for s in (1, 2, 5, 10) if s * power * _TICKS >= high - low)
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _thinned(curve: Sequence[Point]) -> list[Point]:
    """No more than MOST_POINTS of a curve, the last one among them."""
    every = -(-len(curve) // MOST_POINTS)
    return [*curve[:-1:every], curve[-1]]
