"""An inspection that jumps waits for confirmation: a wrong unit is likelier than such a crack.

One that is further from the belief than the registered factor, or longer than any crack of the
geometry, is held: it moves nothing. So is one that is not believed for itself, a picture of a part
of a crack for one, where it contradicts the belief. Held is one for each component. It is believed
once another inspection confirms it (see `confirms`), or somebody does, and dropped when a later
one agrees with the belief. All of that follows from the journal alone.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from sensors.limits import KEY_END
from sensors.observation import AnyObservation, Confirmation, Inspection
from twin.belief.assimilate import Assigned
from twin.reserved import CONFIRMATION

# Two lengths of one crack that are further apart than this factor are not of one crack: sizing
# scatters by less than half of the length, and the closest units, inch and centimetre, lie 2.54
# apart, so that a wrong unit is not confirmed by the right one.
AGREE = 2.0
DAY_NS = 86_400 * 10**9  # after which an instrument may confirm what it said itself
FAR = 3.5  # standard deviations of belief and reading together, where it is weighed
SURE = 3.0  # standard deviations by which a length has to differ to contradict another
YEAR_NS = 366 * 86_400 * 10**9
SOURCE = CONFIRMATION  # of the stream that a confirmation is
_EXACT = 1.0 + 1e-9  # so that no rounding decides about the factor itself

Fate = Literal["held", "confirmed", "dropped", "superseded"]


class Belief(NamedTuple):
    """What is believed of a crack when an inspection of it is judged."""

    length: float  # [m]
    limit: float  # the alarm length [m]
    is_broken: bool
    t_inspected_ns: int
    is_timely: bool  # the inspection is no older than the last one, or than a break
    sd: float = math.inf  # of the length, where it is weighed [m]
    reading_sd: float = math.inf  # of an inspection that states none [m]


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


def judged(
    new: Inspection,
    belief: Belief,
    waiting: Inspection | None,
    factor: float,
    longest: float = math.inf,
) -> Verdict:
    """What becomes of a timely inspection, further off than a `factor` or than is likely."""
    unsure = math.hypot(belief.sd, new.crack_length_sd or belief.reading_sd)
    off = abs(new.crack_length - belief.length) > FAR * unsure
    if not (off or far(new.crack_length, belief.length, factor)):
        if waiting is None or new.t_ns < waiting.t_ns:
            return Verdict(new, waiting)
        return Verdict(new, None, (("dropped", waiting),))
    if waiting is not None and confirms(new, waiting, longest):
        return _confirmed(new, waiting)
    return doubted(new, waiting)


def doubted(new: Inspection, waiting: Inspection | None) -> Verdict:
    """What becomes of a timely inspection that nothing confirms: the newest waits.

    One that is not believed for itself takes no other's place.
    """
    if waiting is None:
        return Verdict(None, new, (("held", new),))
    if new.why:
        return Verdict(None, waiting, (("superseded", new),))
    newer, older = (new, waiting) if new.t_ns >= waiting.t_ns else (waiting, new)
    return Verdict(None, newer, (("superseded", older), ("held", newer)))


def unsure(
    new: Inspection, belief: Belief, waiting: Inspection | None, longest: float = math.inf
) -> Verdict:
    """What becomes of one that is not believed for itself: it waits where it contradicts.

    Cracks do not shrink: an older one that is longer than the belief counts as of the last
    inspection, and one that shows a part of a crack tells nothing where that is believed longer.
    """
    margin = SURE * new.crack_length_sd
    beyond = belief.length < belief.limit <= new.crack_length
    is_longer = beyond or new.crack_length - margin > belief.length
    is_shorter = belief.is_timely and not new.at_least and new.crack_length + margin < belief.length
    if belief.is_broken or not (is_longer or is_shorter):
        return Verdict(None, waiting)
    new = msgspec.structs.replace(new, t_ns=max(new.t_ns, belief.t_inspected_ns))
    if waiting is None:
        return Verdict(None, new, (("held", new),))
    if confirms(new, waiting, longest):
        return _confirmed(new, waiting)
    if _is_graver(waiting, new, belief.length):
        return Verdict(None, waiting, (("superseded", new),))
    return Verdict(None, new, (("superseded", waiting), ("held", new)))


def _is_graver(waiting: Inspection, new: Inspection, belief: float) -> bool:
    """Whether what waits must not make room for one that is not believed for itself."""
    if waiting.crack_length <= belief:
        return not waiting.why and new.crack_length <= belief
    return not waiting.why or waiting.crack_length >= new.crack_length


def confirms(one: Inspection, other: Inspection, longest: float = math.inf) -> bool:
    """Whether two inspections that jump confirm each other, where no crack exceeds `longest` [m].

    Who uses a wrong unit or scale does so again: it takes two instruments, or the same one a day
    later with something else to say; and never one picture twice, or a length that cannot be.
    """
    if max(one.crack_length, other.crack_length) > longest * _EXACT:
        return False
    if far(one.crack_length, other.crack_length, AGREE) or (one.why and other.why):
        return False
    if _goes_beyond(one, other) or _goes_beyond(other, one):
        return False
    if one.sha256 and one.sha256 == other.sha256:
        return False
    return instrument(one) != instrument(other) or (
        abs(one.t_ns - other.t_ns) >= DAY_NS and _content(one) != _content(other)
    )


def instrument(o: Inspection) -> str:
    """What measured: the source, or the camera."""
    return o.origin or o.source


def _content(o: Inspection) -> tuple[object, ...]:
    return o.crack_length, o.crack_length_sd, o.method


def _goes_beyond(one: Inspection, other: Inspection) -> bool:
    """Whether one that was seen in part only is longer than the other can be."""
    return one.at_least and one.crack_length - SURE * one.crack_length_sd > other.crack_length


def _confirmed(new: Inspection, waiting: Inspection) -> Verdict:
    """The newer of two that confirm each other is believed, if it is for itself."""
    older, newer = (waiting, new) if new.t_ns >= waiting.t_ns else (new, waiting)
    believed = older if newer.why else newer
    return Verdict(believed, None, (("confirmed", believed),))


def timed(reading: Assigned) -> AnyObservation:
    """The observation of a reading; one from years ahead at the time that it counts with.

    Else no later inspection could take its place. Nearer ones may be right: nobody knows yet.
    """
    o = reading.observation
    if reading.t_ns is None or not isinstance(o, Inspection) or o.t_ns - reading.t_ns < YEAR_NS:
        return o
    return msgspec.structs.replace(o, t_ns=reading.t_ns)


def verdicts(
    group: Sequence[Assigned],
    beliefs: Sequence[Belief],
    held: Mapping[str, Inspection],
    name: Callable[[Assigned], str],
) -> dict[int, Verdict]:
    """The verdicts of a round's inspections and confirmations, by their place in it."""
    found: dict[int, Verdict] = {}
    for i, reading in enumerate(group):
        o, waiting, belief = timed(reading), held.get(name(reading)), beliefs[i]
        if isinstance(o, Confirmation):
            if waiting is not None and identity(waiting) == identity(o):
                is_known = waiting.at_least and waiting.crack_length <= belief.length
                believed = None if is_known else waiting
                found[i] = Verdict(believed, None, (("confirmed", waiting),))
        elif isinstance(o, Inspection) and o.why:
            found[i] = unsure(o, belief, waiting, reading.longest)
        elif not isinstance(o, Inspection) or not belief.is_timely:
            continue
        elif waiting is not None or reading.surprise < math.inf:
            found[i] = judged(o, belief, waiting, reading.surprise, reading.longest)
    return found
