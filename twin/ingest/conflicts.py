"""Keys that come again with other content: what differs, in words, and whom to tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from sensors.instant import rfc3339
from sensors.observation import Series, Spectrum
from storage.journal.entry import Entry
from storage.journal.journal import Appended
from storage.journal.sequences import Jump, Outcome
from twin.belief.segments import Note


class Refusal(NamedTuple):
    """An entry that is not taken because of its key."""

    entry: Entry
    outcome: Outcome  # `CONFLICT` or `BEHIND`
    kept: Entry | None  # what is here under that key, if it is known

    @property
    def is_conflict(self) -> bool:
        """Whether the key is known to be here with other content."""
        return self.outcome is Outcome.CONFLICT

    @property
    def sentence(self) -> str:
        """Why it is not taken, and what to do."""
        entry, kept = self.entry, self.kept
        key = f"seq {entry.seq} of source {entry.source!r} boot {entry.boot}"
        if not self.is_conflict:
            return f"{key} is so late that it cannot be told from a duplicate"
        advice = "raise boot when the instrument restarts, and seq with every message"
        if kept is None:
            return f"{key} was used before, for other content: {advice}"
        if kept.t_ns == entry.t_ns:
            return f"{key} was used before, for other content of the same time: {advice}"
        then, now = rfc3339(kept.t_ns), rfc3339(entry.t_ns)
        return f"{key} was used before, for {then}, and comes again for {now}: {advice}"


def meant(appended: Appended, entries: Sequence[Entry]) -> Appended:
    """The receipt, with conflicts that differ in their bytes only taken for duplicates.

    An earlier release wrote fewer fields: those that both have count.
    """
    same = [i for i, kept in appended.kept.items() if _says_the_same(kept.body, entries[i].body)]
    if not same:
        return appended
    outcomes = list(appended.outcomes)
    for i in same:
        outcomes[i] = Outcome.DUPLICATE
    kept = {i: entry for i, entry in appended.kept.items() if i not in same}
    return appended._replace(outcomes=outcomes, kept=kept)


def _says_the_same(one: bytes, other: bytes) -> bool:
    try:
        first, second = msgspec.msgpack.decode(one), msgspec.msgpack.decode(other)
    except msgspec.DecodeError:  # a registration, which is JSON
        return False
    if not isinstance(first, list) or not isinstance(second, list):
        return False
    n = min(len(first), len(second), _WITHOUT_UNIT.get(str(first[0]), len(first)))
    return bool(first[:n] == second[:n])


# Loads end with the unit of the wire: what they say is in SI, whatever unit it came in.
_WITHOUT_UNIT = {
    str(kind.__struct_config__.tag): 1 + kind.__struct_fields__.index("unit")
    for kind in (Series, Spectrum)
}


def conflicts(refused: Sequence[Refusal]) -> list[Note]:
    """One note for each instrument and part that used keys twice."""
    found: dict[tuple[str, str, int], list[Entry]] = {}
    for entry in (refusal.entry for refusal in refused if refusal.is_conflict):
        found.setdefault((entry.component, entry.source, entry.boot), []).append(entry)
    return [
        Note(
            "conflict",
            component,
            max(entry.t_ns for entry in entries),
            {"source": source, "boot": boot, "seq": entries[0].seq, "count": len(entries)},
        )
        for (component, source, boot), entries in found.items()
    ]


def jumps(found: Sequence[Jump]) -> list[Note]:
    """One note for each number that is far above the last of its stream."""
    return [
        Note(
            "jump",
            jump.component,
            jump.t_ns,
            {"source": jump.source, "boot": jump.boot, "last": jump.last, "seq": jump.seq},
        )
        for jump in found
    ]
