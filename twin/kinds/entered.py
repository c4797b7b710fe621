"""Whether the kinds of belief that are entered fit together, asked once, before any is used."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from twin.kinds.crack_fields import GROUP
from twin.kinds.kind import Kind

NAME = re.compile(r"[a-z][a-z0-9_]*")
TAKEN = (  # first words of the crack's metrics, which a group of that name would repeat
    "at", "channel", "crack", "cycles", "fractured", "last", "life", "registered", "remaining",
    "samples", "stale",
)  # fmt: skip
BESIDE = ("time", "at_limit", "ended")  # that stand beside the fields of a belief


def require_sound(kinds: Mapping[str, Kind[Any, Any, Any]], shared: Collection[str]) -> None:
    """Raises TypeError for kinds of which one would take another's place, or cannot be kept.

    `shared` are the fields of a registration that belong to no kind.
    """
    by_group = dict[str, Kind[Any, Any, Any]]()
    for name, kind in kinds.items():
        if name != kind.name:
            raise TypeError(f"kind {kind.name!r} is entered as {name!r}")
        _check(kind, shared)
        first = by_group.setdefault(kind.group, kind)
        if first.fields != kind.fields or first.settings is not kind.settings:
            raise TypeError(
                f"kinds {first.name!r} and {name!r} have the group {kind.group!r} in common, and "
                "not their fields and settings"
            )
    settings = [kind.settings for kind in by_group.values()]
    for kind in by_group.values():
        if settings.count(kind.settings) > 1:
            raise TypeError(
                f"the settings {kind.settings.__name__} of kind {kind.name!r} are another group's "
                "too: make a subclass"
            )


def _check(kind: Kind[Any, Any, Any], shared: Collection[str]) -> None:
    own = f"kind {kind.name!r}"
    is_free = kind.group == GROUP or _first(kind.group) not in TAKEN
    if not (NAME.fullmatch(kind.group) and is_free) or kind.group in shared:
        raise TypeError(f"{own}: the group {kind.group!r} is no name that is free")
    names = [field.name for field in kind.fields]
    for name in names:
        if not NAME.fullmatch(name) or name in BESIDE or names.count(name) > 1:
            raise TypeError(f"{own}: the field {name!r} is no name that is free")
    head = kind.fields[0]
    if np.dtype(head.dtype).kind != "f" or head.fill == head.fill:
        raise TypeError(
            f"{own}: the first field, {head.name!r}, tells who has such a belief: it must be a "
            "float whose fill is NaN"
        )
    if kind.group != GROUP and (kind.is_inspected or kind.runs_together):
        raise TypeError(f"{own}: cracks alone are inspected, and run together")


def _first(name: str) -> str:
    return name.partition("_")[0]
