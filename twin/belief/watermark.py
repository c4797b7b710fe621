"""How far time has come, by clocks of which some are wrong.

The watermark is the largest event time heard, less the lateness; what is far ahead of it moves it
only once it is confirmed: by half of the sources heard lately, or by the source itself where no
other speaks near the watermark any more. Until then the source is held: its evidence counts, with
the time that the others' clocks show. All of it follows from the journal's lines in their order,
and costs the same for every line, however many sources there are.
"""

from __future__ import annotations

from heapq import nlargest
from typing import NamedTuple

from twin.reserved import IMAGE

NEVER = -(2**63)
MAX_JUMP_NS = 6 * 3600 * 10**9

DERIVED = IMAGE  # the source of what is read from images, which has no clock of its own
FEWEST = 2  # sources that confirm each other, whatever the number of those known
NEXT_TO_ALL = 0.75  # of the sources known
PATIENCE = 3  # messages of a source that nobody confirms and nobody denies
SILENCE = 2  # usual silences, after which nobody denies it
MEMORY = 4  # silences after which the longest one is forgotten

Source = tuple[str, str]  # component, source


class HeldClock(NamedTuple):
    """A source that is far ahead of the watermark."""

    first_ns: int  # its first time out there
    last_ns: int
    messages: int
    evidence_ns: int  # of its last message that is evidence, or NEVER
    doubted: bool  # others have spoken near the watermark since


class Clocks(NamedTuple):
    """What is remembered of the sources' clocks, beside the watermark."""

    near: frozenset[Source] = frozenset()  # heard near the watermark in this era
    before: frozenset[Source] = frozenset()  # and in the last one
    era_ns: int = NEVER  # the watermark when this era began
    heard: int = 0  # messages, counted up to two
    speaker: Source = ("", "")  # whose turn it is
    turn_ns: int = NEVER  # when it took its turn
    gap_ns: int = 0  # longest silence lately, between two turns
    gap_at_ns: int = NEVER
    held: tuple[tuple[Source, HeldClock], ...] = ()


FIRST = Clocks()


class Watching:
    """Moves a watermark on, line by line."""

    def __init__(
        self,
        watermark_ns: int,
        clocks: Clocks = FIRST,
        *,
        max_jump_ns: int = MAX_JUMP_NS,
        pace_ns: int,  # a time in which who is there is expected to speak, at the least
        is_recorded: bool = False,
    ) -> None:
        self.watermark_ns = watermark_ns
        self.moves: list[int] = []  # watermarks on the way of the last jump
        self.released: list[tuple[str, int]] = []  # components and times of evidence once held
        self.is_recorded = is_recorded  # from then on the watermark never goes back
        self._max_jump_ns, self._pace_ns = max_jump_ns, pace_ns
        self._near: set[Source] | frozenset[Source] = clocks.near
        self._before = clocks.before
        self._era_ns, self._heard = clocks.era_ns, clocks.heard
        self._speaker, self._turn_ns = clocks.speaker, clocks.turn_ns
        self._gap_ns, self._gap_at_ns = clocks.gap_ns, clocks.gap_at_ns
        self._held = dict(clocks.held)
        self._fresh = any(not held.doubted for held in self._held.values())
        self._bound_ns = max(max_jump_ns, SILENCE * self._gap_ns)

    def clocks(self) -> Clocks:
        """What is to be remembered."""
        return Clocks(
            frozenset(self._near),
            self._before,
            self._era_ns,
            self._heard,
            self._speaker,
            self._turn_ns,
            self._gap_ns,
            self._gap_at_ns,
            tuple(self._held.items()),
        )

    def heard(self, source: Source, seen_ns: int, *, evidence: bool) -> bool:
        """Take a message in whose time, less the lateness, is `seen_ns`; whether it is believed.

        `moves` and `released` are what it has brought about, to be emptied by the caller.
        """
        ahead = seen_ns - self.watermark_ns
        if self._heard < FEWEST:
            behind = ahead < -self._bound_ns and source != self._speaker
            if self._heard == 0 or (behind and not self.is_recorded):
                self._begin(source, seen_ns)
                return True
            self._heard = FEWEST
        if ahead > self._bound_ns:
            return self._jumped(source, seen_ns, evidence=evidence)
        if ahead >= -self._bound_ns:
            self._spoken(source, seen_ns)
        return True

    def derived(self, seen_ns: int) -> bool:
        """Take in what was made from a message, and is no clock of its own."""
        if self._heard == 0 or seen_ns > self.watermark_ns + self._bound_ns:
            return self._heard == 0
        self.watermark_ns = max(self.watermark_ns, seen_ns)
        return True

    def is_new(self, source: Source) -> bool:
        """Whether a source is held since the last message, and there are others to be ahead of."""
        return self._held[source].messages == 1 and not self._is_alone(source)

    def _is_alone(self, source: Source) -> bool:
        return max(len(self._near), len(self._before)) <= 1 and source in self._near

    def _begin(self, source: Source, seen_ns: int) -> None:
        """Begin with a message, or, once, with the second: another source was far ahead."""
        if self._heard:
            first_ns = self.watermark_ns
            self._held[self._speaker] = HeldClock(first_ns, first_ns, 1, NEVER, doubted=False)
            self._fresh = True
        self._heard += 1
        self.watermark_ns = self._era_ns = self._turn_ns = seen_ns
        self._near, self._speaker = {source}, source

    def _spoken(self, source: Source, seen_ns: int) -> None:
        """Take in a message from near the watermark."""
        if self._held:
            self._denied(source)
        if source not in self._near:
            self._near = set(self._near)
            self._near.add(source)
        if source != self._speaker or max(len(self._near), len(self._before)) == 1:
            self._turn(source, seen_ns)
        if seen_ns > self.watermark_ns:
            self.watermark_ns = seen_ns
            if seen_ns - self._era_ns > self._bound_ns:
                self._before, self._near, self._era_ns = frozenset(self._near), {source}, seen_ns
                self._let_go(seen_ns)

    def _turn(self, source: Source, seen_ns: int) -> None:
        """Note how long it was silent before this turn."""
        silence_ns = seen_ns - self._turn_ns
        if silence_ns <= 0:
            return
        self._speaker, self._turn_ns = source, seen_ns
        if silence_ns >= self._gap_ns or seen_ns - self._gap_at_ns > MEMORY * self._gap_ns:
            self._gap_ns, self._gap_at_ns = silence_ns, seen_ns
            self._bound_ns = max(self._max_jump_ns, SILENCE * silence_ns)

    def _denied(self, source: Source) -> None:
        """One speaks near the watermark: it is ahead no more, and who still is, is doubted."""
        self._held.pop(source, None)
        if self._fresh:
            self._held = {s: held._replace(doubted=True) for s, held in self._held.items()}
            self._fresh = False

    def _jumped(self, source: Source, seen_ns: int, *, evidence: bool) -> bool:
        """Take in a message from far ahead; whether it is believed."""
        old = self._held.get(source)
        held = HeldClock(seen_ns, seen_ns, 1, NEVER, doubted=False)
        if old is not None:
            last_ns = max(old.last_ns, seen_ns)
            held = old._replace(last_ns=last_ns, messages=old.messages + 1)
            if seen_ns < old.first_ns:
                held = held._replace(first_ns=seen_ns, last_ns=seen_ns)
        self._held[source] = held
        self._fresh = self._fresh or not held.doubted
        to_ns = self._confirmed(source, held)
        if to_ns is not None:
            self._move(source, to_ns)
        if seen_ns <= self.watermark_ns + self._bound_ns:
            return True
        if evidence:
            self._held[source] = self._held[source]._replace(evidence_ns=seen_ns)
        return False

    def _confirmed(self, source: Source, held: HeldClock) -> int | None:
        """Where the watermark may go now, if anywhere."""
        known = max(len(self._near), len(self._before))
        need = max(FEWEST, (known + 1) // 2)
        if len(self._held) >= need:
            times = nlargest(need, (other.last_ns for other in self._held.values()))
            if times[-1] <= self.watermark_ns:
                self._let_go(self.watermark_ns)
            elif self._are_several(known):
                return times[-1]
        if held.doubted:
            return None
        if self._is_alone(source):
            return held.first_ns if held.messages >= FEWEST else None
        silence_ns = SILENCE * self._gap_ns if known > 1 else 0
        is_silent = held.last_ns - held.first_ns >= max(self._pace_ns, silence_ns)
        return held.last_ns if held.messages >= PATIENCE and is_silent else None

    def _are_several(self, known: int) -> bool:
        """Whether those that are held have more than one clock, as far as names tell.

        One instrument that measures many parts has one clock, and does not confirm itself, unless
        no other is known, or next to all of those that are known say so.
        """
        if len(self._held) >= NEXT_TO_ALL * known or len({name for _, name in self._held}) > 1:
            return True
        (named,) = {name for _, name in self._held}
        return all(name == named for _, name in self._near | self._before)

    def _move(self, source: Source, to_ns: int) -> None:
        """Move the watermark to `to_ns`, and on to the last of those that are near it then."""
        self._before = frozenset()
        self.watermark_ns = self._era_ns = to_ns
        self._turn(source, to_ns)
        self.moves.append(to_ns)
        believed_ns = to_ns + self._bound_ns
        self._near = self._let_go(believed_ns) | {source}
        if source in self._held:  # it has jumped once more
            last_ns = self._held[source].last_ns
            self._held[source] = HeldClock(last_ns, last_ns, 1, NEVER, doubted=False)
        self._fresh = any(not held.doubted for held in self._held.values())
        if self.watermark_ns != to_ns:
            self.moves.append(self.watermark_ns)

    def _let_go(self, until_ns: int) -> set[Source]:
        """Believe the sources that are held with times up to `until_ns`; which these are."""
        past = {s: held for s, held in self._held.items() if held.last_ns <= until_ns}
        for source, held in self._held.items():
            if NEVER < held.evidence_ns <= until_ns:
                self.released.append((source[0], held.evidence_ns))
                self._held[source] = held._replace(evidence_ns=NEVER)
        for source, held in past.items():
            del self._held[source]
            self.watermark_ns = max(self.watermark_ns, held.last_ns)
        return set(past)
