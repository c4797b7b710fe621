"""What is kept because it is costly to find again, within one number of bytes."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import TypeVar, cast

T = TypeVar("T")


class ByteCache:
    """Values by key, of at most `most` bytes together; what was used longest ago goes first.

    A cache: eviction never changes a result, since values are recomputed bit for bit.
    """

    def __init__(self, most: float = math.inf) -> None:
        self.most = most  # [bytes]
        self.held = 0  # [bytes]
        self._kept: OrderedDict[Hashable, tuple[object, int]] = OrderedDict()

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._kept)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def recall(self, key: Hashable, make: Callable[[], T], size: Callable[[T], int]) -> T:
        """The value of `key`, which always has what `make` returns, of `size` bytes.

        A value larger than the whole cache is returned and not kept.
        """
        known = self._kept.get(key)
        if known is not None:
            self._kept.move_to_end(key)
            return cast("T", known[0])
        value = make()
        needed = size(value)
        if needed <= self.most:
            self._make_room(needed)
            self._kept[key] = value, needed
            self.held += needed
        return value

    def renew(self, key: Hashable) -> None:
        """Count `key` as used now, if it is kept."""
        if key in self._kept:
            self._kept.move_to_end(key)

    def _make_room(self, needed: int) -> None:
        while self.held + needed > self.most:
            _, (_, freed) = self._kept.popitem(last=False)
            self.held -= freed
