"""How photographs are read whose cracks end where it is known: tables of tips and lengths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.crack_image.measures import Score, scored
from models.crack_image.reader import CrackReader, Measurement
from models.crack_image.trace import trace
from tests.benchmarks.crack_image.erased import Case, cases, erased

Floats = NDArray[np.floating]
Photographs = Mapping[str, tuple[NDArray[Any], NDArray[np.bool_]]]

SHORTEST = 40.0  # a crack that is less is not asked for [pixel]
BORDER = 3.0  # from the border, within which the crack goes on beyond [pixel]
HEAD = (
    "photograph", "reader", "pictures", "path right", "trusted", "of these wrong",
    "length off", "within 1.96 sd", "tip off", "within 2.45 sd",
)  # fmt: skip
CROP = 320  # [pixel]
SMALLER = 2.0 / 3.0


class Told(NamedTuple):
    """What a reader says of a case."""

    score: Score
    tips: tuple[float, ...]  # how far each true tip is from the nearest end that was read [pixel]
    inside: float  # share of the filled pixels that are taken for a crack
    outside: float  # the same, of the pixels that are neither filled nor crack


def views(case: Case, rng: np.random.Generator) -> Iterator[Case]:
    """The case as it is; turned and darker; cropped; smaller."""
    name, picture, crack, filled = case
    window = _window(crack, rng)
    yield case
    dark = np.rint(255.0 * (picture / 255.0) ** 1.5).astype(np.uint8)
    yield Case(f"{name}, turned", np.rot90(dark), np.rot90(crack), np.rot90(filled))
    yield Case(f"{name}, cropped", picture[window], crack[window], filled[window])
    yield Case(f"{name}, smaller", _smaller(picture), *map(_smaller_mask, (crack, filled)))


def known(photographs: Photographs) -> dict[str, list[Case]]:
    """All views of all cases of each photograph in which a crack of some length is left."""
    rng = np.random.default_rng(0)
    found = {}
    for name, (picture, crack) in photographs.items():
        every = (v for case in cases(name, picture, crack) for v in views(case, rng))
        found[name] = [case for case in every if _length(case.crack) >= SHORTEST]
    return found


def told(reader: CrackReader, case: Case) -> Told:
    """What a reader says of a case."""
    chances = reader.chances(case.picture.astype(np.float32))
    measurement = CrackReader(lambda _: chances, reader.trust, reader.tracing)(case.picture)
    found = np.asarray(chances >= 0.5)
    rest = ~case.filled & ~case.crack
    return Told(
        scored(measurement, found, case.crack),
        tuple(_tips(case, measurement)),
        float(found[case.filled].mean()) if case.filled.any() else float("nan"),
        float(found[rest].mean()),
    )


def tip_rows(readers: Mapping[str, CrackReader], photographs: Photographs) -> list[str]:
    """Each reader on the cases of each photograph, and of all."""
    rows = [f"| {' | '.join(HEAD)} |", "| --- |" + " --- |" * (len(HEAD) - 1)]
    every = known(photographs)
    for name, reader in readers.items():
        by = {number: [told(reader, case) for case in found] for number, found in every.items()}
        for number, some in [*by.items(), ("all", [t for part in by.values() for t in part])]:
            rows.append(f"| {number} | {name} | {' | '.join(_cells(some))} |")
    return rows


def control_rows(reader: CrackReader, photographs: Photographs) -> list[str]:
    """Photographs whose crack is erased altogether: is the filling taken for a crack?"""
    rows = []
    for name, (picture, crack) in photographs.items():
        case = Case(name, *erased(picture, crack, 0.0))
        found = told(reader, case)
        rows.append(
            f"{name} without its crack: {found.score.outcome}; taken for a crack: "
            f"{found.inside:.2%} of what was filled, {found.outside:.2%} of the rest"
        )
    return rows


def _cells(found: Sequence[Told]) -> list[str]:
    right = [t for t in found if t.score.is_right]
    trusted = [t for t in found if t.score.outcome == "measured"]
    good = [t for t in trusted if t.score.is_right]
    errors = [abs(t.score.error) for t in good]
    tips = [(off, t.score.tip_sd) for t in good for off in t.tips]
    return [
        str(len(found)),
        _percent(len(right), len(found)),
        _percent(len(trusted), len(found)),
        f"{len(trusted) - len(good)}",
        _middle(errors),
        _percent(sum(t.score.length_sd * 1.96 >= abs(t.score.error) for t in good), len(good)),
        _middle([off for off, _ in tips]),
        _percent(sum(off <= 2.45 * sd for off, sd in tips), len(tips)),
    ]


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.0%} of {whole}" if whole else "–"


def _middle(values: Iterable[float]) -> str:
    known = list(values)
    return f"{np.median(known):.1f}" if known else "–"


def _tips(case: Case, measurement: Measurement) -> Iterator[float]:
    truth = trace(case.crack.astype(np.float32))
    if truth is None or not len(measurement.path):
        return
    h, w = case.crack.shape
    for x, y in truth.path[[0, -1]]:
        if min(x, y, w - x, h - y) > BORDER:
            yield float(np.hypot(*(measurement.path[[0, -1]] - (x, y)).T).min())


def _length(crack: NDArray[np.bool_]) -> float:
    found = trace(crack.astype(np.float32))
    return 0.0 if found is None else found.length


def _window(crack: NDArray[np.bool_], rng: np.random.Generator) -> tuple[slice, slice]:
    """A square that holds a pixel of the crack, drawn anywhere within it."""
    places = np.argwhere(crack)
    at = places[int(rng.integers(len(places)))] - rng.integers(CROP // 8, 7 * CROP // 8, 2)
    top, left = (int(np.clip(p, 0, side - CROP)) for p, side in zip(at, crack.shape, strict=True))
    return slice(top, top + CROP), slice(left, left + CROP)


def _smaller(picture: NDArray[Any]) -> NDArray[np.uint8]:
    """Averaged down."""
    size = tuple(round(SMALLER * side) for side in picture.shape[::-1])
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))


def _smaller_mask(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Averaged down; an even chance counts."""
    return _smaller(mask.astype(np.uint8) * 255) > 127
