"""How a component is, in one word."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

Status = Literal["retired", "fractured", "limit", "new", "stale", "ok"]
STATUSES: tuple[Status, ...] = get_args(Status)  # each hides those behind it
WORST_FIRST: tuple[Status, ...] = ("fractured", "limit", "stale", "new", "ok", "retired")
SEVERITY: NDArray[np.int64] = np.array([WORST_FIRST.index(one) for one in STATUSES])  # 0: worst
# What a part has beside its status: an inspection that is held, a last load that was doubtful, a
# history that is not complete.
Flag = Literal["held", "doubtful", "behind"]
FLAGS: tuple[Flag, ...] = get_args(Flag)
NEVER_NS = 0  # the time of the last evidence before there is any


class StatusInputs(NamedTuple):
    """What the status of one component follows from."""

    retired: bool
    fractured: bool
    at_limit: bool  # the believed length has reached the alarm length
    t_ns: int  # time of the last evidence, 0: never
    stale_after_ns: int


class ManyStatusInputs(NamedTuple):
    """The same of many; arrays (n,)."""

    retired: NDArray[np.bool_]
    fractured: NDArray[np.bool_]
    at_limit: NDArray[np.bool_]
    t_ns: NDArray[np.int64]
    stale_after_ns: NDArray[np.int64]


def status(signs: StatusInputs, now_ns: int) -> Status:
    """The word for one component at a wall clock time."""
    if signs.retired:
        return "retired"
    if signs.fractured:
        return "fractured"
    if signs.at_limit:
        return "limit"
    if signs.t_ns == NEVER_NS:
        return "new"
    return "stale" if now_ns - signs.t_ns > signs.stale_after_ns else "ok"


def statuses(signs: ManyStatusInputs, now_ns: int) -> NDArray[np.int64]:
    """The place in `STATUSES` of every component's word, (n,)."""
    never = signs.t_ns == NEVER_NS
    stale = now_ns - signs.t_ns > signs.stale_after_ns
    conditions = [signs.retired, signs.fractured, signs.at_limit, never, stale]
    return np.select(conditions, list(range(len(conditions))), len(conditions))
