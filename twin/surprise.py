"""An inspection that jumps waits for confirmation: a wrong unit is likelier than such a crack.

One that is further from the belief than the registered factor, or longer than any crack of the
geometry, is held: it moves nothing. Held is one for each component, the newest. It is believed
once another inspection agrees with it, or somebody confirms it, and dropped when a later one
agrees with the belief. The same measurement sent again (one source, one time) confirms nothing.
All of that follows from the journal alone.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from sensors.limits import KEY_END
from sensors.observation import AnyObservation, Confirmation, Inspection
from twin.assimilate import Reading
from twin.reserved import CONFIRMATION

# Two lengths of one crack that are further apart than this factor are not of one crack: sizing
# scatters by less than half of the length, and the closest units, inch and centimetre, lie 2.54
# apart, so that a wrong unit is not confirmed by the right one.
AGREE = 2.0
YEAR_NS = 366 * 86_400 * 10**9
SOURCE = CONFIRMATION  # of the stream that a confirmation is
_EXACT = 1.0 + 1e-9  # so that no rounding decides about the factor itself

Fate = Literal["held", "confirmed", "dropped", "superseded"]


class Verdict(NamedTuple):
    """What becomes of an inspection, and of the one that waits."""

    believed: Inspection | None  # now
    waiting: Inspection | None  # from now on
    told: tuple[tuple[Fate, Inspection], ...] = ()


def identity(o: Inspection | Confirmation) -> str:
    """What an inspection is called where it is confirmed; unique within its component."""
    if isinstance(o, Confirmation):
        return f"{o.inspection_source}~{o.inspection_boot}~{o.inspection_seq}"
    return f"{o.source}~{o.boot}~{o.seq}"


def confirmation(inspection: Inspection) -> Confirmation:
    """That somebody believes an inspection: at its time, so that no clock is moved."""
    return Confirmation(
        component=inspection.component,
        source=SOURCE,
        boot=stream_of(identity(inspection)),
        seq=0,
        t_ns=inspection.t_ns,
        inspection_source=inspection.source,
        inspection_boot=inspection.boot,
        inspection_seq=inspection.seq,
    )


def stream_of(identity: str) -> int:
    """A number that stands for the inspection: it is confirmed once."""
    return int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8]) % KEY_END


def far(one: float, other: float, factor: float) -> bool:
    """Whether two lengths are further apart than a factor."""
    return max(one, other) > factor * _EXACT * min(one, other)


def judged(new: Inspection, belief: float, waiting: Inspection | None, factor: float) -> Verdict:
    """What becomes of a timely inspection where `belief` [m] is believed."""
    if not far(new.crack_length, belief, factor):
        if waiting is None or new.t_ns < waiting.t_ns:
            return Verdict(new, waiting)
        return Verdict(new, None, (("dropped", waiting),))
    return doubted(new, waiting)


def doubted(new: Inspection, waiting: Inspection | None) -> Verdict:
    """What becomes of a timely inspection that cannot be believed for itself."""
    if waiting is None:
        return Verdict(None, new, (("held", new),))
    newer, older = (new, waiting) if new.t_ns >= waiting.t_ns else (waiting, new)
    is_repeated = (new.source, new.t_ns) == (waiting.source, waiting.t_ns)
    if not is_repeated and not far(new.crack_length, waiting.crack_length, AGREE):
        return Verdict(newer, None, (("confirmed", newer),))
    return Verdict(None, newer, (("superseded", older), ("held", newer)))


def timed(reading: Reading) -> AnyObservation:
    """The observation of a reading; one from years ahead at the time that it counts with.

    Else no later inspection could take its place. Nearer ones may be right: nobody knows yet.
    """
    o = reading.observation
    if reading.t_ns is None or not isinstance(o, Inspection) or o.t_ns - reading.t_ns < YEAR_NS:
        return o
    return msgspec.structs.replace(o, t_ns=reading.t_ns)


def verdicts(
    group: Sequence[Reading],
    beliefs: Sequence[float],
    timely: Sequence[bool],
    held: Mapping[str, Inspection],
    name: Callable[[Reading], str],
) -> dict[int, Verdict]:
    """The verdicts of a round's inspections and confirmations, by their place in it."""
    found: dict[int, Verdict] = {}
    for i, reading in enumerate(group):
        o, waiting = timed(reading), held.get(name(reading))
        if isinstance(o, Confirmation):
            if waiting is not None and identity(waiting) == identity(o):
                found[i] = Verdict(waiting, None, (("confirmed", waiting),))
        elif isinstance(o, Inspection) and timely[i] and reading.surprise < math.inf:
            found[i] = judged(o, beliefs[i], waiting, reading.surprise)
    return found
