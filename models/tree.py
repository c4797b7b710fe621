"""States are trees: NamedTuples and frozen dataclasses whose leaves are tensors.

Axis 0 of every leaf is the component, so that rows can be gathered, replaced and joined
without knowing what they mean.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

T = TypeVar("T")


def _children(tree: object) -> list[tuple[str, Any]] | None:
    """The named branches of `tree`, or None for a leaf."""
    if isinstance(tree, tuple):
        names = getattr(tree, "_fields", None) or [str(i) for i in range(len(tree))]
        return list(zip(names, tree, strict=True))
    if dataclasses.is_dataclass(tree):
        return [(f.name, getattr(tree, f.name)) for f in dataclasses.fields(tree)]
    return None


def _rebuilt(tree: T, branches: list[Any]) -> T:
    if dataclasses.is_dataclass(tree):
        names = (f.name for f in dataclasses.fields(tree))
        return cast(T, cast(Any, type(tree))(**dict(zip(names, branches, strict=True))))
    if type(tree) is tuple:
        return cast(T, tuple(branches))
    return cast(T, cast(Any, type(tree))._make(branches))


def leaves(tree: object, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every leaf with its dotted path, in a fixed order."""
    branches = _children(tree)
    if branches is None:
        yield prefix, cast(Tensor, tree)
        return
    for name, branch in branches:
        yield from leaves(branch, f"{prefix}.{name}" if prefix else name)


def mapped(function: Callable[..., Tensor], tree: T, *others: T) -> T:
    """The tree of `function(leaf, *leaves at the same place of the others)`."""
    branches = _children(tree)
    if branches is None:
        return cast(T, function(tree, *others))
    rest = [cast("list[tuple[str, Any]]", _children(other)) for other in others]
    return _rebuilt(
        tree,
        [mapped(function, b, *(r[i][1] for r in rest)) for i, (_, b) in enumerate(branches)],
    )


def filled(tree: T, values: dict[str, Tensor], prefix: str = "") -> T:
    """The tree of the same shape with the leaf at each path taken from `values`."""
    branches = _children(tree)
    if branches is None:
        return cast(T, values[prefix])
    return _rebuilt(
        tree, [filled(b, values, f"{prefix}.{n}" if prefix else n) for n, b in branches]
    )


def rows(tree: T, index: Tensor) -> T:
    """The components at `index` (k,), copied."""
    return mapped(lambda leaf: leaf.index_select(0, index), tree)


def with_rows(tree: T, index: Tensor, replacement: T, before: T | None = None) -> T:
    """A copy of `tree` in which the components at `index` are those of `replacement`.

    Leaves that `replacement` shares with `before`, the rows that `tree` has at `index`, are not
    copied: they have not changed.
    """

    def placed(leaf: Tensor, new: Tensor, old: Tensor) -> Tensor:
        return leaf if new is old else leaf.index_copy(0, index, new)

    if before is None:
        return mapped(lambda leaf, new: leaf.index_copy(0, index, new), tree, replacement)
    return mapped(placed, tree, replacement, before)


def chosen(which: Tensor, one: T, other: T) -> T:
    """The components of `one` at `which` (n,) bool, and those of `other` elsewhere."""

    def leaf_of(new: Tensor, old: Tensor) -> Tensor:
        return torch.where(which.view(-1, *(1 for _ in old.shape[1:])), new, old)

    return mapped(leaf_of, one, other) if which.any() else other


def joined(trees: Sequence[T]) -> T:
    """The components of all `trees`, one after the other."""
    return mapped(lambda *parts: torch.cat(parts), *trees)
