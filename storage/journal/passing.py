"""The journal read past its damage, for whoever can do without a line: a state cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from storage.errors import CorruptError
from storage.journal.entry import Entry
from storage.journal.journal import Journal


class Gap(NamedTuple):
    """Lines that cannot be read."""

    first: int
    stop: int  # the first offset behind them
    why: str

    @property
    def sentence(self) -> str:
        """What a person has to know of it."""
        return f"lines {self.first} to {self.stop - 1} of the journal cannot be read: {self.why}"


def passing_over(
    journal: Journal,
    offset: int,
    until: int | None,
    tell: Callable[[Gap], None],
    *,
    beside: bool = False,
) -> Iterator[tuple[int, list[Entry]]]:
    """As `journal.read`; what is damaged is passed over, and told."""
    stop = journal.end if until is None else min(until, journal.end)
    while offset < stop:
        try:
            for first, entries in journal.read(offset, stop, beside=beside):
                yield first, entries
                offset = first + len(entries)
        except CorruptError as exc:
            following = min(journal.following(offset), stop)
            tell(Gap(offset, following, str(exc)))
            offset = following
