"""What a picture says of a crack: where it runs, where it ends, how long it is, how surely.

The length is the arc length of the main crack (see crack_image_trace). Whether it may be relied
on is a part of the answer: where it may not, there is a sentence that says why.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.crack_image.network import SegmentationNetwork, probability
from models.crack_image.trace import TRACING, Trace, Tracing, arc_length, trace
from models.crack_image.trust import TRUST, Doubts, Trust, chance_right, doubts, length_sd, tip_sd

Floats = NDArray[np.floating]
Picture = NDArray[Any]  # (h, w) grey values
Outcome = Literal["measured", "untrusted", "nothing"]

SMALLEST = 32  # shortest side of a picture [pixel]
WORKING = 1024  # longest side that is looked at; larger pictures are averaged down to it [pixel]
MOST = 60_000  # pixels that may be a crack: what covers more is none, and would take long
CUT = 2.0  # standard deviations of an end from the border within which it may go on beyond
PLAIN_RIVAL = 0.7  # from which weight on another crack is told of
TRIALS = (0.3, 0.5, 0.7)  # what is crack for certain, tried to see how much hangs on it
_BEYOND = 0.35  # how far a line goes on from the middle of its last pixel, on frames of the library
_EXACT_SD = 1.0  # of the length and the ends of a line that is drawn in two shades [pixel]
WIDE = (8.0, 0.1)  # a drawn line is no wider than this [pixel], or this share of its length
FEWEST = 8  # shades of a picture in which a crack can be told from the texture about it
TWO = 0.8  # share of a picture that two shades have at most, if it is to have more than two
_TOUCHING = np.ones((3, 3), dtype=bool)


class Measurement(NamedTuple):
    """What was read; coordinates (x, y) as in crack_image_trace."""

    outcome: Outcome
    why: str  # a sentence; empty where the measurement is trusted
    path: Floats  # (n, 2) from mouth to tip [pixel]; (0, 2) where nothing is seen
    length: float = 0.0  # [pixel]
    length_sd: float = 0.0  # [pixel]
    tip_sd: float = 0.0  # of each coordinate of an end [pixel]
    at_border: tuple[bool, bool] = (False, False)  # whether the picture cuts off mouth and tip
    support: float = 0.0  # mean chance along the path
    against: Doubts = Doubts(*[0.0] * 5)  # what speaks against it

    @property
    def tips(self) -> int:
        """How many ends of the crack the picture shows."""
        return 0 if not len(self.path) else 2 - sum(self.at_border)


@dataclass(frozen=True, slots=True)
class CrackReader:
    """Reads pictures by a map of chances."""

    chances: Callable[[Floats], Floats]  # (h, w) shades to (h, w) chances
    trust: Trust = TRUST
    tracing: Tracing = TRACING

    def __call__(self, picture: Picture) -> Measurement:
        """What a picture (h, w) of grey values shows; ValueError for what is no picture."""
        if picture.ndim != 2:
            raise ValueError(f"a picture has two axes, not {picture.ndim}")
        if min(picture.shape) < SMALLEST:
            w, h = picture.shape[::-1]
            return _nothing(f"the picture of {w} × {h} pixels is smaller than {SMALLEST}")
        small, factor = reduced(picture)
        if factor == 1 and (drawn := _drawn(picture)) is not None:
            return self._exact(drawn)
        if float(small.std()) < 1e-6:
            return _nothing("the picture is of one shade")
        shades = _few_shades(picture[::factor, ::factor])
        return self._read(self.chances(small), factor, picture.shape, shades)

    def _exact(self, drawn: Floats) -> Measurement:
        if drawn.sum() > MOST:
            return _nothing(f"what is drawn covers {drawn.mean():.0%} of the picture")
        found = trace(drawn, self.tracing)
        if found is None:
            return _nothing("no line is long enough to be a crack")
        path = _lengthened(found.path, _BEYOND)
        whole = found._replace(path=path, length=arc_length(path))
        doubt = _no_drawing(drawn, whole.length)
        return _measurement(doubt, whole, (_EXACT_SD, _EXACT_SD), 1, drawn.shape)

    def _read(
        self, chances: Floats, factor: int, shape: tuple[int, ...], shades: str = ""
    ) -> Measurement:
        likely = chances > self.tracing.weak * TRIALS[0] / self.tracing.strong
        if likely.sum() > MOST:
            return _nothing(f"what may be a crack covers {likely.mean():.0%} of the picture")
        tried = [trace(chances, _at(self.tracing, strong)) for strong in TRIALS]
        found = tried[len(TRIALS) // 2]
        if found is None:
            return _nothing("no crack is to be seen")
        lengths = [0.0 if t is None else t.length for t in tried]
        against = doubts(found, float(np.std(lengths)))
        sd = length_sd(self.trust, against, found.length)
        doubt = "; ".join(filter(None, (shades, self._doubt(found, against, sd))))
        sds = sd, tip_sd(self.trust, against, sd)
        return _measurement(doubt, found, sds, factor, shape)._replace(against=against)

    def _doubt(self, found: Trace, against: Doubts, sd: float) -> str:
        """Why the measurement is not trusted; empty if it is."""
        t, why = self.trust, []
        if found.length < t.shortest:
            why.append(f"it is {found.length:.0f} pixels long, less than {t.shortest:.0f}")
        if (chance := chance_right(t, against)) < t.chance:
            why.append(f"it is right with a chance of {chance:.2f} only")
        if sd > t.relative * found.length:
            why.append(f"its length is uncertain by {sd / max(found.length, 1e-9):.0%}")
        return "; ".join([*why, *_seen(found)] if why else [])


def network_reader(network: SegmentationNetwork) -> CrackReader:
    """The reader of a trained network."""
    return CrackReader(lambda picture: probability(network, picture), network.trust())


def reduced(picture: Picture) -> tuple[Floats, int]:
    """The picture averaged over squares so that it is not too large, and their side [pixel]."""
    factor = math.ceil(max(picture.shape) / WORKING)
    if factor == 1:
        return picture.astype(np.float32), 1
    h, w = (side // factor for side in picture.shape)
    rows = [
        picture[k * factor : (k + 1) * factor, : w * factor]
        .reshape(factor, w, factor)
        .mean((0, 2), dtype=np.float32)
        for k in range(h)
    ]
    return np.stack(rows), factor


def _seen(found: Trace) -> list[str]:
    """How a crack is seen that is doubted."""
    parts = [f"it is seen with a mean chance of {found.support:.2f}"]
    if found.rival > PLAIN_RIVAL:
        parts.append("another crack is about as long")
    if found.bridged > 0.0:
        parts.append(f"{found.bridged:.0%} of it lies in gaps")
    return parts


def _few_shades(picture: Picture) -> str:
    """Why a picture is too coarse in its shades for its texture to be judged; empty if not."""
    counts = np.sort(np.unique(picture, return_counts=True)[1])[::-1]
    share = float(counts[:2].sum()) / picture.size
    if len(counts) < FEWEST:
        return f"the picture has {len(counts)} shades, and a photograph has {FEWEST} at least"
    if share > TWO:
        return f"{share:.0%} of the picture has one of two shades, as no photograph has"
    return ""


def _no_drawing(drawn: Floats, length: float) -> str:
    """Why what is drawn in two shades is no line but texture, or a shape; empty if it is one."""
    pieces, width = ndimage.label(drawn, _TOUCHING)[1], float(drawn.sum()) / length
    if pieces > 1:
        return (
            f"the picture has two shades and {pieces} pieces: a drawing of a crack has one, and a"
            " photograph needs more shades"
        )
    if width > max(WIDE[0], WIDE[1] * length):
        return f"what is drawn is {width:.0f} pixels wide and {length:.0f} long: no line"
    return ""


def _at(how: Tracing, strong: float) -> Tracing:
    return Tracing(strong=strong, weak=how.weak * strong / how.strong, least=how.least, gap=how.gap)


def _drawn(picture: Picture) -> Floats | None:
    """The rarer shade of a picture of two as ones, or None for one of more or fewer."""
    low, high = picture.min(), picture.max()
    is_high = picture == high
    if low == high or not (is_high | (picture == low)).all():
        return None
    crack = is_high if is_high.mean() <= 0.5 else ~is_high
    return np.asarray(crack, dtype=np.float32)


def _lengthened(path: Floats, more: float) -> Floats:
    """The path, straight on at both ends by some pixels."""
    out = path.copy()
    for end, before in ((0, min(3, len(path) - 1)), (-1, max(-4, -len(path)))):
        along = path[end] - path[before]
        out[end] += more * along / max(float(np.hypot(*along)), 1e-9)
    return out


def _nothing(why: str) -> Measurement:
    return Measurement("nothing", why, np.zeros((0, 2)))


def _measurement(
    doubt: str, found: Trace, sds: tuple[float, float], factor: int, shape: tuple[int, ...]
) -> Measurement:
    path, border = found.path * factor, CUT * factor * sds[1]
    cut = [_is_at_border(end, shape, border) for end in (path[0], path[-1])]
    if (cut[1] and not cut[0]) or (cut[0] == cut[1] and path[0, 0] > path[-1, 0]):
        path, cut = path[::-1], cut[::-1]
    return Measurement(
        outcome="untrusted" if doubt else "measured",
        why=doubt,
        path=path,
        length=found.length * factor,
        length_sd=sds[0] * factor,
        tip_sd=sds[1] * factor,
        at_border=(cut[0], cut[1]),
        support=found.support,
    )


def _is_at_border(end: Floats, shape: tuple[int, ...], within: float) -> bool:
    x, y = end
    return bool(min(x, y, shape[1] - x, shape[0] - y) <= within)
