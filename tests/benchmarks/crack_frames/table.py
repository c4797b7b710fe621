"""The comparison of crack networks as tables in Markdown: mean and spread over the seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any

Row = dict[str, Any]  # name, seed, figures
Columns = tuple[tuple[str, str, float], ...]  # key of a figure, heading, factor

SIZES: Columns = (
    ("parameters", "parameters", 1.0),
    ("weights_bytes", "weights [kB]", 1e-3),
    ("state_bytes", "state [kB]", 1e-3),
)
SCORES: Columns = (
    ("mae", "MAE × 1000", 1e3),
    ("recall", "recall", 1.0),
    ("recall_1", "recall ±1", 1.0),
    ("precision", "precision", 1.0),
    ("precision_1", "precision ±1", 1.0),
    ("tip_mm", "tip [mm]", 1.0),
    ("tips_read", "tips read", 1.0),
)
LINE: Columns = (
    ("thickness", "width [px]", 1.0),
    ("thickness_faint", "faint width [px]", 1.0),
    ("components", "parts", 1.0),
    ("largest", "largest part", 1.0),
)
MODES = (
    ("one_step", "One step ahead"),
    ("free", "Autoregressive, all five pictures"),
    ("last", "Autoregressive, the last picture"),
)


def table(rows: Sequence[Row]) -> str:
    """All tables; rows of the same name are seeds of one network."""
    named: dict[str, list[Row]] = {}
    for row in rows:
        named.setdefault(row["name"], []).append(row)
    parts = [_table("Sizes and cost", named, SIZES, "", cost=True)]
    for mode, title in MODES:
        parts.append(_table(title, named, SCORES, f"{mode}_"))
        parts.append(_table(f"{title}: the line", named, LINE, f"{mode}_"))
    return "\n\n".join(parts)


def _table(
    title: str, named: dict[str, list[Row]], columns: Columns, prefix: str, *, cost: bool = False
) -> str:
    head = ["", *(heading for _, heading, _ in columns), *(["training [CPU-s]"] if cost else [])]
    lines = [f"**{title}**", "", _line(head), _line(["---"] * len(head))]
    for name, seeds in named.items():
        cells = [
            _cell([factor * row["figures"].get(prefix + key, math.nan) for row in seeds])
            for key, _, factor in columns
        ]
        if cost and all(cell == "–" for cell in cells):
            continue
        if cost:
            cells.append(_cell([row.get("cpu_s", math.nan) for row in seeds]))
        lines.append(_line([f"{name} ({len(seeds)} seeds)" if len(seeds) > 1 else name, *cells]))
    return "\n".join(lines)


def _cell(values: Sequence[float]) -> str:
    """Mean ± standard deviation of what is a number; the dash stands for none."""
    there = [value for value in values if not math.isnan(value)]
    if not there:
        return "–"
    if len(there) == 1 or stdev(there) == 0.0:
        return _number(mean(there))
    return f"{_number(mean(there))} ± {_number(stdev(there))}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000.0 else f"{value:.3g}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
