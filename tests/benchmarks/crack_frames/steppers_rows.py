"""Rows of the table of crack steppers, and the mean and spread over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from models.recipe import Scores
from tests.benchmarks.report import number

SHOWN = {
    "one_step_mae": "MAE, one step",
    "one_step_tip_mm": "tip, one step [mm]",
    "free_mae": "MAE",
    "last_mae": "MAE, last",
    "free_recall_1": "recall",
    "free_precision_1": "precision",
    "free_tip_mm": "tip [mm]",
    "last_tip_mm": "tip, last [mm]",
    "free_thickness": "thickness [px]",
    "free_components": "parts",
}


def markdown(rows: Mapping[str, Scores]) -> str:
    """The rows as a table in Markdown; NaN is left empty."""
    lines = ["| | " + " | ".join(SHOWN.values()) + " |", "| --- " * (len(SHOWN) + 1) + "|"]
    for name, scores in rows.items():
        cells = ["" if np.isnan(scores[key]) else number(scores[key]) for key in SHOWN]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def spread(name: str, scores: Sequence[Scores]) -> str:
    """A row of means ± standard deviations over seeds."""
    cells = []
    for key in SHOWN:
        values = np.array([one[key] for one in scores])
        deviation = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
        cells.append(f"{number(float(values.mean()))} ± {number(deviation)}")
    return f"| {name}, {len(scores)} seeds | " + " | ".join(cells) + " |"
