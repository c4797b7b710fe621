"""What a benchmark finds: a figure, the yardstick of the same run, and whether it is enough."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import NamedTuple

HEAD = ("", "what", "measured", "yardstick of the same run", "ratio", "target", "met")


class Figure(NamedTuple):
    """One line of the table."""

    item: str  # the letter under which the figure is asked for
    what: str
    measured: float
    unit: str
    yardstick: str = ""
    ratio: float | None = None
    target: str = "stated"
    met: bool | None = None


def least_seconds(call: Callable[[], object], repeats: int) -> float:
    """The least CPU-seconds of some calls; the first does not count."""
    call()
    taken = []
    for _ in range(repeats):
        started = time.process_time()
        call()
        taken.append(time.process_time() - started)
    return min(taken)


def at_least(wanted: float, found: float) -> tuple[str, bool]:
    """A target and whether it is met."""
    return f"≥ {wanted:g}", found >= wanted


def at_most(wanted: float, found: float) -> tuple[str, bool]:
    """A target and whether it is met."""
    return f"≤ {wanted:g}", found <= wanted


def middle(values: Iterable[float]) -> float:
    """The median of repeats."""
    return float(median(values))


def number(value: float) -> str:
    """Three digits, or whole thousands."""
    if abs(value) >= 1000.0:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def table(figures: Sequence[Figure]) -> str:
    """The figures as a table in Markdown."""
    rows = [HEAD, tuple("---" for _ in HEAD), *(_cells(figure) for figure in figures)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    rows[1] = tuple("-" * width for width in widths)
    return "\n".join(
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    )


def document(figures: Sequence[Figure]) -> str:
    """The same as JSON."""
    return json.dumps([figure._asdict() for figure in figures], indent=1, ensure_ascii=False)


def _cells(figure: Figure) -> tuple[str, ...]:
    return (
        figure.item,
        figure.what,
        f"{number(figure.measured)} {figure.unit}",
        figure.yardstick,
        "" if figure.ratio is None else number(figure.ratio),
        figure.target,
        {None: "", True: "yes", False: "no"}[figure.met],
    )
