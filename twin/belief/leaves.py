"""The state of a cohort as arrays by name, as checkpoints hold it, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models import tree
from twin.belief.cohort import Cohort, Feed, Watched

MEMORY = ".exposure."  # leaves that mean something together alone


class OtherFormatError(ValueError):
    """Another release wrote it; nothing is damaged."""


def leaves_of(cohort: Cohort) -> dict[str, NDArray[Any]]:
    """All that a cohort is but for its members and what follows from their registrations."""
    return {path: leaf.numpy() for path, leaf in tree.leaves(_content(cohort))}


def with_leaves(
    fresh: Cohort, members: tuple[str, ...], kept: Mapping[str, NDArray[Any]], *, may_lack: bool
) -> Cohort:
    """The cohort of `members` with the leaves that were kept.

    Where it `may_lack` some, these are as in `fresh`, whose members are the same: what has another
    shape is lacking, and of the memory of loads all or nothing.
    Raises ValueError for what is no cohort, OtherFormatError for that of another release.
    """
    own = {name: torch.from_numpy(np.array(array)) for name, array in kept.items()}
    if may_lack:
        first = dict(tree.leaves(_content(fresh)))
        other = {
            name
            for name, leaf in first.items()
            if name not in own or own[name].shape[1:] != leaf.shape[1:]
        }
        if any(MEMORY in name for name in other):
            other |= {name for name in first if MEMORY in name}
        own = first | {name: leaf for name, leaf in own.items() if name not in other}
    state, feed, remaining, passed, evidence, watched = tree.filled(_content(fresh), own)
    if not isinstance(feed, Feed) or not isinstance(watched, Watched):
        raise ValueError("it has no feed")
    if any(a.shape[1:] != b.shape[1:] for a, b in zip(watched, fresh.watched, strict=True)):
        raise OtherFormatError("it remembers something else of channels")
    return replace(
        fresh,
        members=members,
        state=state,
        feed=feed,
        watched=watched,
        remaining=remaining,
        limit_passed=passed,
        evidence=evidence,
        pending=torch.zeros_like(evidence),
    )


def _content(cohort: Cohort) -> tuple[Any, ...]:
    return (
        cohort.state,
        cohort.feed,
        cohort.remaining,
        cohort.limit_passed,
        cohort.evidence,
        cohort.watched,
    )
