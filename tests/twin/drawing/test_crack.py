"""The sketch of a crack shows it where it is."""

from __future__ import annotations

import io
import math
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest
from PIL import Image

from models.fatigue.geometry import GEOMETRIES
from twin.component import parsed
from twin.drawing.crack import COLOURS, Subject, png, svg
from twin.drawing.outline import sketch

PARTS: dict[str, dict[str, Any]] = {
    "edge_crack": {"W": 0.1},
    "centre_crack": {"W": 0.1},
    "compact_tension": {"W": 0.05},
    "hole_crack": {"W": 0.1, "radius": 0.01},
    "surface_crack": {"W": 0.1, "t": 0.02, "aspect": 0.8},
}
SVG = "{http://www.w3.org/2000/svg}"


def subject(kind: str, **changes: Any) -> Subject:
    values: dict[str, Any] = {
        "component": "plant-a/press-1",
        "time": "2026-01-01T00:00:00Z",
        "geometry": {"kind": kind, **PARTS[kind]},
        "crack_length": 0.008,
        "crack_length_sd": 0.0005,
        "crack_limit": 0.014,
        "fractured": False,
    }
    return Subject(**(values | changes))


def test_every_geometry_can_be_drawn() -> None:
    assert PARTS.keys() == GEOMETRIES.keys()


@pytest.mark.parametrize("kind", PARTS)
def test_a_crack_has_its_length_and_lies_in_its_part(kind: str) -> None:
    geometry = {"kind": kind, **PARTS[kind]}
    drawn = sketch(geometry, 0.008)
    right, top = (max(p[axis] for p in drawn.outline) for axis in (0, 1))
    for branch in drawn.branches:
        assert all(-1e-12 <= x <= right + 1e-12 and -1e-12 <= y <= top + 1e-12 for x, y in branch)
        if kind == "surface_crack":
            assert top - min(y for _, y in branch) == pytest.approx(0.008)
            assert max(x for x, _ in branch) - min(x for x, _ in branch) == pytest.approx(0.02)
        else:
            assert math.dist(branch[0], branch[-1]) == pytest.approx(0.008)


@pytest.mark.parametrize("kind", PARTS)
def test_the_longest_crack_stays_on_the_sheet(kind: str) -> None:
    geometry = {"kind": kind, **PARTS[kind]}
    limit = float(GEOMETRIES[kind](**PARTS[kind]).limit)
    parsed({"material": "nickel", "geometry": geometry, "crack_length": 1e-3, "crack_limit": limit})
    sheet = subject(
        kind, crack_length=limit, crack_limit=limit, crack_length_sd=0.0, fractured=True
    )
    for line in ET.fromstring(svg(sheet)).iter(f"{SVG}polyline"):
        points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
        assert all(0 <= x <= 720 and 0 <= y <= 540 for x, y in points)


@pytest.mark.parametrize("kind", PARTS)
def test_svg_and_png_show_the_same_crack(kind: str) -> None:
    pixels = np.asarray(Image.open(io.BytesIO(png(subject(kind)))).convert("RGB")).astype(int)
    red = tuple(int(COLOURS["crack"][i : i + 2], 16) for i in (1, 3, 5))
    near = np.abs(pixels - red).sum(axis=2) < 30
    near[:90] = False  # the words above
    rows, columns = np.nonzero(near)
    lines = [
        line
        for line in ET.fromstring(svg(subject(kind))).iter(f"{SVG}polyline")
        if line.attrib["stroke"] == COLOURS["crack"]
    ]
    points = [
        tuple(map(float, p.split(","))) for line in lines for p in line.attrib["points"].split()
    ]
    assert columns.min() == pytest.approx(min(x for x, _ in points), abs=4)
    assert columns.max() == pytest.approx(max(x for x, _ in points), abs=4)
    assert rows.max() == pytest.approx(max(y for _, y in points), abs=4)


def test_words_say_length_doubt_and_limit() -> None:
    words = {text.text for text in ET.fromstring(svg(subject("edge_crack"))).iter(f"{SVG}text")}
    assert {"plant-a/press-1", "a = 8 mm ± 0.5 mm", "limit 14 mm (dashed)"} <= words
    broken = svg(subject("edge_crack", fractured=True, crack_length_sd=0.0)).decode()
    assert "FRACTURED" in broken
    assert "±" not in broken
