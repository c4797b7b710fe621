"""How wrong measurements of cracks are: against the pixels that a crack is known to cover.

The true length and ends are those of the same trace through the true pixels, so that what is
compared is what was seen, not how it is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from models.crack_image.reader import CrackReader, Measurement, Picture, reduced
from models.crack_image.trace import Trace, trace

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]

NEAR = 3  # pixels within which a pixel counts as found
RIGHT = 4.0  # pixels beside a crack of the mean width that a path may run
WIDEST = 8  # half of the side of the square in which the width is looked for [pixel]
_NAN = float("nan")


class Score(NamedTuple):
    """One picture; lengths in pixels, NaN where there is nothing to compare."""

    has_crack: bool
    outcome: str
    iou: float  # of the pixels of an even chance or more
    recall: float  # of the crack's pixels, within NEAR
    precision: float  # of the pixels found, within NEAR
    on_crack: float  # share of the path that runs on the true crack or beside it
    covered: float  # share of the true path that the path runs along
    length: float
    length_true: float
    length_sd: float
    ends: tuple[float, float]  # distance of each end to its true one, the nearer first
    tip_sd: float

    @property
    def is_right(self) -> bool:
        """Whether the path is mostly the true crack's."""
        return self.has_crack and self.on_crack >= 0.8 and self.covered >= 0.5

    @property
    def error(self) -> float:
        """Of the length [pixel]."""
        return self.length - self.length_true


def score(reader: CrackReader, picture: Picture, crack: Bools) -> Score:
    """How a reader does on a picture (h, w) whose crack covers the pixels `crack` (h, w)."""
    measurement = reader(picture)
    found = _found(reader, picture)
    return scored(measurement, found, crack)


def scored(measurement: Measurement, found: Bools, crack: Bools) -> Score:
    """A measurement, with the pixels that were found (h, w), against the truth."""
    truth = trace(crack.astype(np.float32))
    has = truth is not None and len(measurement.path) > 0
    far = None if not has or truth is None else _beside(measurement.path, truth)
    return Score(
        has_crack=truth is not None,
        outcome=measurement.outcome,
        iou=_share((found & crack).sum(), (found | crack).sum()),
        recall=_share((_grown(found) & crack).sum(), crack.sum()),
        precision=_share((_grown(crack) & found).sum(), found.sum()),
        on_crack=_NAN if far is None else float(far[0].mean()),
        covered=_NAN if far is None else float(far[1].mean()),
        length=measurement.length,
        length_true=_NAN if truth is None else truth.length,
        length_sd=measurement.length_sd,
        ends=(_NAN, _NAN) if not has or truth is None else _ends(measurement.path, truth.path),
        tip_sd=measurement.tip_sd,
    )


def summary(scores: Sequence[Score]) -> dict[str, float]:
    """Means, medians and shares over pictures."""
    cracked = [s for s in scores if s.has_crack]
    empty = [s for s in scores if not s.has_crack]
    trusted = [s for s in scores if s.outcome == "measured"]
    right = [s for s in trusted if s.is_right]
    errors = np.array([s.error for s in right])
    sds = np.array([s.length_sd for s in right])
    ends = np.array([s.ends for s in right]).reshape(-1, 2)
    tip_sds = np.array([s.tip_sd for s in right])
    return {
        "pictures": float(len(scores)),
        "iou": _mean([s.iou for s in cracked]),
        "recall": _mean([s.recall for s in cracked]),
        "precision": _mean([s.precision for s in cracked]),
        "trusted": _share(sum(s.has_crack for s in trusted), len(cracked)),
        "trusted_wrongly": _share(len(trusted) - len(right), len(trusted)),
        "trusted_empty": _share(sum(not s.has_crack for s in trusted), len(empty)),
        "length_error_median": _median(np.abs(errors)),
        "length_error_relative_median": _median(
            np.abs(errors) / np.array([s.length_true for s in right])
        ),
        "length_covered_95": _mean(np.abs(errors) <= 1.96 * sds),
        "end_error_median": _median(ends.ravel()),
        "nearest_end_error_median": _median(ends[:, 0]),
        "end_covered_95": _mean((ends <= 2.45 * tip_sds[:, None]).ravel()),
    }


def _found(reader: CrackReader, picture: Picture) -> Bools:
    """The pixels of an even chance or more, in a picture that is not averaged down."""
    if reduced(picture)[1] != 1:
        raise ValueError(f"a picture of {picture.shape} is too large to be scored")
    return np.asarray(reader.chances(picture.astype(np.float32)) >= 0.5)


def _beside(path: Floats, truth: Trace) -> tuple[Bools, Bools]:
    """Which points of a path run along the true one, and the other way round.

    Lines within the same crack do, as wide as it may be there.
    """
    near = RIGHT + 0.5 * float(truth.mask.sum()) / max(truth.length, 1.0)
    depth = ndimage.maximum_filter(ndimage.distance_transform_edt(truth.mask), 2 * WIDEST + 1)
    y, x = (truth.path.astype(int).T[k].clip(0, truth.mask.shape[1 - k] - 1) for k in (1, 0))
    beside = np.maximum(near, 2.0 * depth[y, x])
    to_true, nearest = cKDTree(truth.path).query(path)
    to_path = cKDTree(path).query(truth.path)[0]
    return np.asarray(to_true <= beside[nearest]), np.asarray(to_path <= beside)


def _ends(path: Floats, true: Floats) -> tuple[float, float]:
    """The distances of the ends to the true ends, paired so that they are least."""
    d = np.hypot(*(path[[0, -1], None] - true[None, [0, -1]]).transpose(2, 0, 1))
    pairs = min((d[0, 0], d[1, 1]), (d[0, 1], d[1, 0]), key=sum)
    near, far = sorted(map(float, pairs))
    return near, far


def _grown(pixels: Bools) -> Bools:
    return np.asarray(ndimage.binary_dilation(pixels, iterations=NEAR))


def _share(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else _NAN


def _mean(values: Sequence[float] | NDArray[np.generic]) -> float:
    known = np.asarray(values, dtype=float)
    return float(np.nanmean(known)) if np.isfinite(known).any() else _NAN


def _median(values: NDArray[np.generic]) -> float:
    known = np.asarray(values, dtype=float)
    return float(np.nanmedian(known)) if np.isfinite(known).any() else _NAN
