"""What is left of a part's life, and why there is no number: the same wherever it is told."""

from __future__ import annotations

import math
from typing import Any

from twin.belief.cohort import Cohort
from twin.belief.status import NEVER_NS


def remaining(cycles: float) -> dict[str, Any]:
    """Cycles left, as two fields, for JSON knows neither NaN nor ∞."""
    if math.isnan(cycles):
        return {"remaining_cycles": None, "remaining_cycles_is": "unknown"}
    if math.isinf(cycles):
        return {"remaining_cycles": None, "remaining_cycles_is": "unbounded"}
    return {"remaining_cycles": cycles, "remaining_cycles_is": "finite"}


def spread(cohort: Cohort, row: int) -> dict[str, Any] | None:
    """What is uncertain of a component, JSON knowing no ∞; see `schema.Spread`."""
    found = cohort.kind.spread(cohort.state, row)
    if found is None:
        return None
    lives: dict[str, float] | None = found["remaining_cycles"]
    if lives is not None:
        found["remaining_cycles"] = {q: n if math.isfinite(n) else None for q, n in lives.items()}
    return found


def reason(cohort: Cohort, row: int, *, at_limit: bool) -> str | None:
    """Why there is no number of remaining cycles, or none left, in a sentence."""
    left = float(cohort.remaining[row])
    if left == 0.0 and not at_limit:
        return "the largest load seen so far would break the part if it came again now"
    if math.isfinite(left):
        return None
    if math.isinf(left):
        return "the load seen so far does not grow the crack to its limit"
    never = int(cohort.state.t_ns[row]) == NEVER_NS  # far quicker to see than that there is no load
    if never or not cohort.has_load(row):
        return "no load cycle has been seen yet"
    return "it could not be computed from the load seen so far: see the event life_unknown"
