"""The rows of the table of crack networks that need no training."""

from __future__ import annotations

from collections.abc import Iterator

from models.crack_frames.baselines import black, extrapolation, persistence, physics
from models.crack_frames.config import CONFIGS
from models.crack_frames.measures import judged
from models.recipe import Arrays, Scores


def baselines(held: Arrays) -> Iterator[tuple[str, Scores]]:
    """Names and scores, on the samples that are held out."""
    shown = held["frames"]
    for name, drawing in (("all-black", black), ("persistence", persistence),
                          ("linear extrapolation", extrapolation)):  # fmt: skip  # a table
        yield name, judged(*drawing(shown), shown)
    yield "physics (knows the load)", judged(*physics(shown, held["load"], CONFIGS["crack"]), shown)
