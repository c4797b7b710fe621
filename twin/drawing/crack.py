"""A crack in its part, as an engineer would sketch it: SVG and PNG from one list of shapes."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple
from xml.sax.saxutils import escape

from PIL import Image, ImageDraw, ImageFont

from twin.drawing.outline import Hole, Point, Sketch, sketch

Paint = Literal["part", "hole", "crack", "doubt", "limit", "ink", "faint"]

WIDTH, HEIGHT, MARGIN, HEADER = 720, 540, 56, 64  # [pixel]
COLOURS: dict[Paint, str] = {
    "part": "#e6e9ed",
    "hole": "#ffffff",
    "crack": "#c1121f",
    "doubt": "#f2b8bc",
    "limit": "#6b7280",
    "ink": "#1f2933",
    "faint": "#9aa5b1",
}
OVER = 2  # a PNG is drawn larger and scaled down, for smooth lines


class Polyline(NamedTuple):
    """A polyline in pixels."""

    points: Sequence[Point]
    paint: Paint
    width: float
    dashed: bool = False


class Area(NamedTuple):
    """A filled polygon in pixels."""

    points: Sequence[Point]
    paint: Paint


class Text(NamedTuple):
    """A line of text; `at` is its left, middle or right end."""

    at: Point
    words: str
    size: int
    anchor: Literal["start", "middle", "end"] = "start"
    paint: Paint = "ink"


Shape = Polyline | Area | Text


class Subject(NamedTuple):
    """What is drawn."""

    component: str
    time: str | None
    geometry: dict[str, Any]
    crack_length: float  # [m]
    crack_length_sd: float  # [m]
    crack_limit: float  # [m]
    fractured: bool
    path: list[Point] | None = None  # of a crack that runs along one [m]


def shapes(subject: Subject) -> list[Shape]:
    """Everything on the sheet, from back to front."""
    now = sketch(subject.geometry, subject.crack_length, subject.path)
    scale = _Scale(now.outline)
    drawn: list[Shape] = [Area(scale.all(now.outline), "part")]
    drawn += [Area(scale.all(_round(hole)), "hole") for hole in now.holes]
    drawn += [Polyline(scale.all([*now.outline, now.outline[0]]), "ink", 1.5)]
    drawn += [Polyline(scale.all(_round(hole)), "ink", 1.5) for hole in now.holes]
    at_limit = sketch(subject.geometry, subject.crack_limit)
    drawn += [
        Polyline(scale.all(branch), "limit", 1.5, dashed=True) for branch in at_limit.branches
    ]
    drawn += _doubt(subject, scale)
    drawn += [Polyline(scale.all(branch), "crack", 4.0) for branch in now.branches]
    return [*drawn, *_tips(at_limit, scale), *_words(subject, scale)]


class _Scale:
    """From metres to pixels."""

    def __init__(self, outline: list[Point]) -> None:
        low = min(y for _, y in outline)
        self.width = max(x for x, _ in outline)
        self.height = max(y for _, y in outline) - low
        room = WIDTH - 2 * MARGIN, HEIGHT - HEADER - 2 * MARGIN
        self.factor = min(room[0] / self.width, room[1] / self.height)
        self._left = 0.5 * (WIDTH - self.factor * self.width)
        self._foot = HEADER + MARGIN + 0.5 * (room[1] + self.factor * (self.height + 2.0 * low))

    def all(self, points: Sequence[Point]) -> list[Point]:
        """Points in pixels, y downwards."""
        return [(self._left + self.factor * x, self._foot - self.factor * y) for x, y in points]


def _round(hole: Hole) -> list[Point]:
    turns = [2.0 * math.pi * i / 72 for i in range(73)]
    return [
        (hole.x + hole.radius * math.cos(turn), hole.y + hole.radius * math.sin(turn))
        for turn in turns
    ]


def _doubt(subject: Subject, scale: _Scale) -> list[Shape]:
    """The band of two standard deviations at each tip."""
    spread = 2.0 * subject.crack_length_sd
    if spread <= 0.0 or subject.path is not None:
        return []
    short = sketch(subject.geometry, max(subject.crack_length - spread, 1e-9))
    long = sketch(subject.geometry, subject.crack_length + spread)
    if subject.geometry["kind"] == "surface_crack":
        ring = [*long.branches[0], *reversed(short.branches[0])]
        return [Area(scale.all(ring), "doubt")]
    pairs = zip(short.branches, long.branches, strict=True)
    return [Polyline(scale.all([near[-1], far[-1]]), "doubt", 12.0) for near, far in pairs]


def _tips(at_limit: Sketch, scale: _Scale) -> list[Shape]:
    """A tick where each tip will be at the limit."""
    if not at_limit.branches or len(at_limit.branches[0]) > 2:
        return []
    ticks = [scale.all([branch[-1]])[0] for branch in at_limit.branches]
    return [Polyline([(x, y - 14), (x, y + 14)], "limit", 1.5) for x, y in ticks]


def _words(subject: Subject, scale: _Scale) -> list[Shape]:
    a, sd, limit = (
        _mm(x) for x in (subject.crack_length, subject.crack_length_sd, subject.crack_limit)
    )
    kind = subject.geometry["kind"].replace("_", " ")
    length = f"a = {a} mm" + (f" ± {sd} mm" if subject.crack_length_sd > 0.0 else "")
    dashed = " (dashed)" if subject.path is None else ""
    state = "FRACTURED" if subject.fractured else f"limit {limit} mm{dashed}"
    bar = _nice(0.25 * scale.width)
    left, foot = MARGIN, HEIGHT - 26
    end = left + scale.factor * bar
    return [
        Text((MARGIN, 34), subject.component, 20),
        Text((MARGIN, 58), f"{kind} · {subject.time or 'nothing seen yet'}", 13, paint="limit"),
        Text((WIDTH - MARGIN, 34), length, 20, "end", "crack"),
        Text((WIDTH - MARGIN, 58), state, 13, "end", "limit"),
        Polyline([(left, foot - 5), (left, foot + 5)], "ink", 1.5),
        Polyline([(left, foot), (end, foot)], "ink", 1.5),
        Polyline([(end, foot - 5), (end, foot + 5)], "ink", 1.5),
        Text((end + 8, foot + 4), f"{_mm(bar)} mm", 12),
    ]


def _mm(x: float) -> str:
    return f"{x * 1e3:.4g}"


def _nice(x: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above `x`."""
    power = 10.0 ** math.floor(math.log10(x))
    return next(step * power for step in (5.0, 2.0, 1.0) if step * power <= x * (1 + 1e-9))


def svg(subject: Subject) -> bytes:
    """The sheet as SVG."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" font-family="system-ui, sans-serif">',
        f"<title>{escape(subject.component)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        *(element(shape) for shape in shapes(subject)),
        "</svg>",
    ]
    return "\n".join(lines).encode()


def element(shape: Shape) -> str:
    """A shape as an element of SVG."""
    if isinstance(shape, Text):
        (x, y), colour, words = shape.at, COLOURS[shape.paint], escape(shape.words)
        return (
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{shape.size}" '
            f'text-anchor="{shape.anchor}" fill="{colour}">{words}</text>'
        )
    points = " ".join(f"{x:.2f},{y:.2f}" for x, y in shape.points)
    colour = COLOURS[shape.paint]
    if isinstance(shape, Area):
        return f'<polygon points="{points}" fill="{colour}"/>'
    dash = ' stroke-dasharray="6 4"' if shape.dashed else ""
    return (
        f'<polyline points="{points}" fill="none" stroke="{colour}" '
        f'stroke-width="{shape.width}" stroke-linejoin="round"{dash}/>'
    )


def png(subject: Subject) -> bytes:
    """The sheet as PNG."""
    image = Image.new("RGB", (WIDTH * OVER, HEIGHT * OVER), "#ffffff")
    draw = ImageDraw.Draw(image)
    for shape in shapes(subject):
        _paint(draw, shape)
    file = io.BytesIO()
    image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS).save(file, "PNG", optimize=True)
    return file.getvalue()


def _paint(draw: ImageDraw.ImageDraw, shape: Shape) -> None:
    colour = COLOURS[shape.paint]
    if isinstance(shape, Text):
        anchor = {"start": "ls", "middle": "ms", "end": "rs"}[shape.anchor]
        at = (shape.at[0] * OVER, shape.at[1] * OVER)
        font = ImageFont.load_default(shape.size * OVER)
        draw.text(at, shape.words, fill=colour, font=font, anchor=anchor)
        return
    points = [(x * OVER, y * OVER) for x, y in shape.points]
    if isinstance(shape, Area):
        draw.polygon(points, fill=colour)
        return
    width = round(shape.width * OVER)
    for part in _dashes(points) if shape.dashed else [points]:
        draw.line(part, fill=colour, width=width, joint="curve")


def _dashes(points: list[Point]) -> list[list[Point]]:
    """Pieces of 12 pixels with gaps of 8 along a polyline; Pillow draws no dashes."""
    found: list[list[Point]] = []
    done = 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        length = math.hypot(x1 - x0, y1 - y0)
        start = 20.0 * math.floor(done / 20.0) - done
        while start < length:
            near, far = max(start, 0.0), min(start + 12.0, length)
            if far > near:
                found.append(
                    [
                        (x0 + (x1 - x0) * s / length, y0 + (y1 - y0) * s / length)
                        for s in (near, far)
                    ]
                )
            start += 20.0
        done += length
    return found
