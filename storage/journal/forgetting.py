"""Which streams are forgotten where a component has very many, so that memory is bounded.

A stream that was forgotten and one that never was look alike. So what is forgotten leaves behind
the latest event time of its messages, and an unknown stream is taken only with messages that are
later: whatever comes again has the time that it had. A message that is not later may be here
already, and is refused as `behind`, which is told. So nothing ever counts twice, and nothing is
dropped in silence.

The first `KEPT` streams of a component are never forgotten, nor are those that come from within:
registrations, readings of images, confirmations. Of the others `MOST` are remembered, and that one
is forgotten first whose latest message is the oldest: it is the one that is the least likely to
send again. Inspections by HTTP, each of which is a stream, are counted apart, so that no sensor
makes anybody forget them. All of it follows from what the journal has taken, in its order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush, heapreplace

KEPT = 64  # streams of a component that are remembered for ever
MOST = 960  # of its other ones
NEVER = frozenset({"@twin", "twin", "image", "confirmation"})  # sources of which all are
APART = frozenset({"http"})  # sources that are counted for themselves
FORGOTTEN = "@forgotten"  # the source that stands for those of a component; none has that name

Key = tuple[str, str, int]  # component, source, boot
Latest = Callable[[Key], int]  # the latest event time of a stream [ns], 0: never to be forgotten


def group_of(key: Key) -> Key | None:
    """What stands for all forgotten streams that a stream is counted with; None: it stays."""
    component, source, _ = key
    if source in NEVER or source.startswith(FORGOTTEN):
        return None
    return (component, f"{FORGOTTEN}-{source}" if source in APART else FORGOTTEN, 0)


class Crowds:
    """How many streams each group has, and the order in which those of large ones are forgotten."""

    def __init__(self, keys: Iterable[Key], latest: Latest) -> None:
        self.sizes: Counter[Key] = Counter()
        self.heaps: dict[Key, list[tuple[int, Key]]] = {}  # one entry for each, perhaps outdated
        for key in keys:
            if (group := group_of(key)) is not None:
                self.sizes[group] += 1
                if t_ns := latest(key):
                    self.heaps.setdefault(group, []).append((t_ns, key))
        for heap in self.heaps.values():
            heapify(heap)

    def take(self, births: Births) -> None:
        """Take over what was committed."""
        self.sizes.update(births.sizes)
        self.heaps.update(births.heaps)


@dataclass
class Births:
    """The streams that a batch begins, and those that it makes the journal forget."""

    _crowds: Crowds = field(compare=False)
    sizes: Counter[Key] = field(default_factory=Counter)  # more than there were
    heaps: dict[Key, list[tuple[int, Key]]] = field(default_factory=dict)

    def is_kept(self, group: Key | None) -> bool:
        """Whether the next stream of a group will never be forgotten."""
        return group is None or self._crowds.sizes[group] + self.sizes[group] < KEPT

    def born(self, group: Key | None, key: Key, t_ns: int, latest: Latest) -> Key | None:
        """Count a stream that begins at a time (0: it is kept); which one is forgotten for it."""
        if group is None:
            return None
        self.sizes[group] += 1
        if not t_ns:
            return None
        if group not in self.heaps:
            self.heaps[group] = list(self._crowds.heaps.get(group, ()))
        heap = self.heaps[group]
        heappush(heap, (t_ns, key))
        if len(heap) <= MOST:
            return None
        while (now_ns := latest(heap[0][1])) > heap[0][0]:  # it has spoken since
            heapreplace(heap, (now_ns, heap[0][1]))
        self.sizes[group] -= 1
        return heappop(heap)[1]
