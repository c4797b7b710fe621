"""How good the load-aware crack steppers are, beside what needs no learning, on held-out samples.

Every row is scored by the same functions, and told the same: the first `SEEN` pictures. Persistence
repeats the last of them; linear extrapolation goes on from the tip of the one before through its
tip; the physics is the XFEM of the library on a coarser mesh, and is given the path up to there
rather than its picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.crack_library import CONFIGS
from models.crack_library_image import frames
from models.crack_library_path import Course, grown
from models.crack_metrics import SEEN, Pictures, judged, shown, tips
from models.crack_stepper_picture import WINDOW
from models.xfem.plate import Plate
from tests.benchmarks.figures import number

COARSE = 48  # columns of the plate's mesh; the library has 64
SHOWN = {"one_step_mae": "MAE, one step", "one_step_tip_mm": "tip, one step [mm]",
         "free_mae": "MAE", "last_mae": "MAE, last", "free_recall_1": "recall",
         "free_precision_1": "precision", "last_tip_mm": "tip, last [mm]",
         "free_thickness": "thickness [px]", "free_components": "parts"}  # fmt: skip  # by row

Arrays = Mapping[str, NDArray[Any]]
Scores = dict[str, float]


def persistence(arrays: Arrays) -> Scores:
    """The last picture that was seen, repeated."""
    true = shown(arrays["frames"])
    free = np.repeat(true[:, SEEN - 1 : SEEN], true.shape[1], axis=1)
    return judged(np.roll(true, 1, axis=1), free, arrays["frames"])


def extrapolation(arrays: Arrays) -> Scores:
    """The line through the tips of two pictures, prolonged to the edge of each slice."""
    true = shown(arrays["frames"])
    count = true.shape[1]
    one_step, free = true.copy(), true.copy()
    for k in range(SEEN, count):
        one_step[:, k] = prolonged(true, k - 1, k)
        free[:, k] = prolonged(true, SEEN - 1, k)
    return judged(one_step, free, arrays["frames"])


def prolonged(true: Pictures, seen: int, wanted: int) -> Pictures:
    """Pictures (n, …) of frame `wanted`, from the true ones at `seen` and before."""
    config = CONFIGS["crack"]
    edge = np.append(config.crack, config.edges())[wanted]
    before, at = tips(true[:, seen - 1] > 0), tips(true[:, seen] > 0)
    out = true[:, seen].copy()
    for k, (a, b) in enumerate(zip(before, at, strict=True)):
        x = np.array([WINDOW.left, WINDOW.left]) + (np.array([a[0], b[0]]) + 0.5) * WINDOW.pixel
        y = WINDOW.top - (np.array([a[1], b[1]]) + 0.5) * WINDOW.pixel
        slope = (y[1] - y[0]) / (x[1] - x[0])
        line = np.array([[x[1], y[1]], [edge, y[1] + slope * (edge - x[1])]])
        out[k] = np.maximum(out[k], frames(line, np.array([1]), WINDOW)[0] > 0)
    return out


def physics(arrays: Arrays, columns: int = COARSE) -> Scores:
    """XFEM on another mesh, from the path as it was at the last picture that was seen."""
    config = CONFIGS["crack"]
    plate = Plate(columns=columns, band=config.plate.band)
    free = shown(arrays["frames"]).copy()
    for k in range(len(free)):
        free[k, SEEN:] = np.maximum(free[k, SEEN - 1], _grown(plate, arrays, k))
    scores = judged(free, free, arrays["frames"])  # it makes no pictures of single steps
    return {key: np.nan if key.startswith("one_step") else v for key, v in scores.items()}


def _grown(plate: Plate, arrays: Arrays, k: int) -> Pictures:
    """The new part of sample `k` in every picture that was not seen."""
    config = CONFIGS["crack"]
    start = arrays["path"][k, : int(arrays["frame_node"][k, SEEN - 1]) + 1]
    edges = np.minimum(config.edges(), plate.width - config.margin)[SEEN - 1 :]
    step = max(config.step, 1.1 * plate.grid.h)
    course = Course(edges, step, np.radians(config.steepest), *plate.band, 1)
    growth = grown(plate, _thinned(start, step), course, lambda j: arrays["load"][k, SEEN - 1 + j])
    last = growth.path[-1] - growth.path[-2]
    far = growth.path[-1] + last * ((plate.width - growth.path[-1, 0]) / last[0])
    first = growth.ends[0]  # where the tip was when it was last seen
    path, ends = np.vstack([growth.path[first:], far]), growth.ends - first
    ends[-1] = len(path) - 1
    return shown(frames(path, ends[1:], WINDOW))


def _thinned(path: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """The path with its nodes at least `step` apart, its tip kept: a coarse mesh wants that."""
    kept = [path[-1]]
    for node in path[-2:0:-1]:
        if np.hypot(*(node - kept[-1])) >= step:
            kept.append(node)
    return np.array([path[0], *kept[::-1]])


def markdown(rows: Mapping[str, Scores], keys: Sequence[str] = tuple(SHOWN)) -> str:
    """The rows as a table in Markdown; NaN is left empty."""
    lines = [
        "| | " + " | ".join(SHOWN[key] for key in keys) + " |",
        "| --- " * (len(keys) + 1) + "|",
    ]
    for name, scores in rows.items():
        cells = ["" if np.isnan(scores[key]) else number(scores[key]) for key in keys]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def spread(scores: Sequence[Scores]) -> str:
    """Mean ± standard deviation over seeds, of what is shown."""
    parts = []
    for key, name in SHOWN.items():
        values = np.array([one[key] for one in scores])
        parts.append(
            f"{name}: {number(float(values.mean()))} ± {number(float(values.std(ddof=1)))}"
        )
    return "; ".join(parts)
