"""Between the journal's entries and what they say: the seam to storage."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import structlog
from pydantic import ValidationError

from sensors.observation import AnyObservation, encoded, observation
from storage.journal.entry import Entry
from storage.journal.journal import Journal
from storage.journal.passing import Gap
from twin.belief.segments import Line
from twin.component import Component
from twin.errors import UnreadableError
from twin.reserved import REGISTRATION
from twin.sentences import sentence

log = structlog.get_logger()
OBSERVATION, COMPONENT = "observation", "component"


def observed(o: AnyObservation) -> Entry:
    """The journal's entry of an observation."""
    return Entry(OBSERVATION, o.component, o.source, o.boot, o.seq, o.t_ns, encoded(o))


def registration(component: Component, t_ns: int) -> Entry:
    """The journal's entry of a registration; its revision is the sequence number.

    When it was made stands in the entry, and nowhere twice.
    """
    body = component.model_dump_json(exclude={"registered_ns"}).encode()
    return Entry(COMPONENT, component.name, REGISTRATION, 0, component.revision, t_ns, body)


def made(component: Component, t_ns: int) -> Component:
    """A registration with the time at which it was made, as the journal tells it."""
    return component.model_copy(update={"registered_ns": max(0, t_ns)})


def line(entry: Entry) -> Line:
    """What an entry says; raises UnreadableError if this version cannot read it."""
    try:
        if entry.kind == COMPONENT:
            component = Component.model_validate_json(entry.body)
            return Line(entry.component, made(component, entry.t_ns))
        return Line(entry.component, observation(entry.body))
    except ValidationError as exc:
        raise UnreadableError(_of(entry, sentence(exc, Component))) from exc
    except (msgspec.DecodeError, ValueError) as exc:
        raise UnreadableError(_of(entry, str(exc))) from exc


def _of(entry: Entry, why: str) -> str:
    what = "registration" if entry.kind == COMPONENT else "line of the journal"
    return f"a {what} of {entry.component} (source {entry.source}, seq {entry.seq}): {why}"


def lines(entries: Iterable[Entry]) -> list[Line]:
    """What entries say."""
    return [line(entry) for entry in entries]


def told(journal: Journal, gap: Gap) -> None:
    """Tell once of lines that were passed over: readiness and the log say so from then on."""
    if gap.sentence not in journal.damage:
        journal.damage.append(gap.sentence)
        log.error("damage_found", what=gap.sentence)
