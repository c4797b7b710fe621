"""What a twin made of what was sent to it, asked over HTTP."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensors.instant import nanoseconds, rfc3339
from twin.commands.client import ask
from twin.commands.refused import Refused
from twin.commands.shipment import MessageStream, Shipment, numbers
from twin.errors import UnknownError

MOST = 1000  # components that are asked for one by one
SHOWN = 50  # of which a report tells each
PATIENCE_S = 10.0  # in which something more of what was sent must arrive
PAUSE_S = 0.2


@dataclass(frozen=True, slots=True)
class TwinClient:
    """Where a twin is asked."""

    url: str
    token: str | None

    def of(self, component: str, what: str) -> dict[str, Any] | None:
        """A page of a component, None where it is not registered."""
        try:
            answer: dict[str, Any] = ask(
                self.url, f"/api/v1/components/{component}/{what}", self.token
            )
        except UnknownError:
            return None
        return answer


class ComponentReport(NamedTuple):
    """What a report compares of a component."""

    cycles: float
    crack_length: float
    status: str


@dataclass
class Look:
    """How things stood when the twin was asked."""

    letters: Refused  # of the shipment, from the first look on
    refused: Counter[str] = field(default_factory=Counter)  # of them by then
    watermark_ns: int = 0
    seen: dict[MessageStream, NDArray[np.bool_]] = field(
        default_factory=dict
    )  # of the numbers sent
    beliefs: dict[str, ComponentReport] = field(default_factory=dict)

    def arrived(self) -> int:
        """How many of the numbers the twin has."""
        return sum(int(np.sum(seen)) for seen in self.seen.values())


def look(window: TwinClient, shipment: Shipment, letters: Refused | None = None) -> Look:
    """Ask what a twin has of a shipment, and what of it was refused since `letters` began."""
    letters = Refused.from_now(window.url, window.token) if letters is None else letters
    found, marks = Look(letters, letters.read(shipment)), dict[MessageStream, dict[str, Any]]()
    asked = shipment.components[:MOST]
    for component in asked:
        answer = window.of(component, "sources")
        if answer is None:
            continue
        marks |= {MessageStream(component, s["source"], s["boot"]): s for s in answer["sources"]}
        if answer["watermark"]:
            found.watermark_ns = nanoseconds(answer["watermark"])
        found.beliefs |= _belief(window, component, answer["offset"])
    known = set(asked)
    for stream, sent in shipment.streams.items():
        if stream.component in known:
            found.seen[stream] = _seen(marks.get(stream), numbers(sent))
    return found


def _belief(window: TwinClient, component: str, offset: int) -> dict[str, ComponentReport]:
    """What is believed of a component once the journal is folded up to `offset`."""
    deadline = time.monotonic() + PATIENCE_S
    while (state := window.of(component, "state")) is not None:
        if state["offset"] >= offset or time.monotonic() > deadline:
            belief = ComponentReport(
                state["cycles"] or 0.0, state["crack_length"] or 0.0, state["status"]
            )
            return {component: belief}
        time.sleep(PAUSE_S)
    return {}


def _seen(mark: dict[str, Any] | None, sent: NDArray[np.int64]) -> NDArray[np.bool_]:
    if mark is None:
        return np.zeros(len(sent), bool)
    seen: NDArray[np.bool_] = sent <= mark["high"]
    for low, high in mark["holes"]:
        seen &= (sent < low) | (sent > high)
    return seen


@dataclass(frozen=True, slots=True)
class ShipmentReport:
    """What became of a shipment."""

    accepted: int
    duplicates: int
    refused: Counter[str]  # of the messages of the shipment, by reason
    absent: int
    late: int
    missing: int  # numbers within the shipment that the twin has not
    before: Look
    after: Look

    def report(self) -> dict[str, Any]:
        """The figures, for people and scripts."""
        return {
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "dead_letters": dict(self.refused) if self.after.letters.is_whole else None,
            "not_arrived": self.absent,
            "late": self.late,
            "gaps": self.missing,
            "cycles_counted": self.cycles,
            "components": {
                name: {
                    "cycles_before": self._cycles_before(name),
                    "cycles_after": after.cycles,
                    "crack_length": after.crack_length,
                    "status": after.status,
                }
                for name, after in list(self.after.beliefs.items())[:SHOWN]
            },
        }

    @property
    def cycles(self) -> float:
        """Cycles that were counted meanwhile, of all components together."""
        after = self.after.beliefs.items()
        return sum(belief.cycles - self._cycles_before(name) for name, belief in after)

    def _cycles_before(self, name: str) -> float:
        before = self.before.beliefs.get(name)
        return 0.0 if before is None else before.cycles


def verdict(
    window: TwinClient,
    shipment: Shipment,
    before: Look,
    waiting: Callable[[int], None] = lambda _: None,
) -> ShipmentReport:
    """Wait until all that was sent has arrived, or nothing more does, and say what became of it."""
    deadline, best = time.monotonic() + PATIENCE_S, -1
    while True:
        found = _verdict(shipment, before, look(window, shipment, before.letters))
        if not found.absent or time.monotonic() > deadline:
            return found
        done = shipment.messages - found.absent
        if done > best:
            best, deadline = done, time.monotonic() + PATIENCE_S
        waiting(done)
        time.sleep(PAUSE_S)


def _verdict(shipment: Shipment, before: Look, after: Look) -> ShipmentReport:
    refused = after.refused
    unique = sum(len(seen) for seen in after.seen.values())
    asked = sum(len(shipment.streams[stream]) for stream in after.seen)
    known = before.arrived()
    accepted = after.arrived() - known
    duplicates = known + asked - unique  # those of before, and those within
    behind = min(refused["behind"] + refused["conflict"], duplicates)  # known, and told apart
    rest = asked + shipment.unread - accepted - duplicates - (refused.total() - behind)
    return ShipmentReport(
        accepted=accepted,
        duplicates=duplicates - behind,
        refused=refused,
        absent=max(0, rest),
        late=min(accepted, shipment.behind(before.watermark_ns)),
        missing=_holes(after),
        before=before,
        after=after,
    )


def _holes(after: Look) -> int:
    """Numbers that are missing below the last that arrived of each stream."""
    return sum(
        int(np.sum(~seen[: np.flatnonzero(seen)[-1]])) for seen in after.seen.values() if seen.any()
    )


def arrived(window: TwinClient, components: Sequence[str], boot: int) -> int:
    """How many messages the sources of a boot have delivered for these components."""
    answers = (window.of(component, "sources") for component in components[:MOST])
    return sum(
        source["high"] - source["first"] + 1 - source["missing"]
        for answer in answers
        if answer is not None
        for source in answer["sources"]
        if source["boot"] == boot
    )


def astray(window: TwinClient, broker: str) -> str:
    """The sentence where nothing of what was published has reached the twin that was asked."""
    return (
        f"nothing of it reached the twin at {window.url}: it does not read from the broker "
        f"{broker} below this root (--broker, --url, --root), or its broker is away (see /readyz)"
    )


def notes(shipment: Shipment, found: ShipmentReport, window: TwinClient, broker: str) -> list[str]:
    """What a person has to know of a verdict, a sentence each."""
    said = []
    total = shipment.messages
    if found.absent and found.absent >= total - found.refused.total():
        said.append(astray(window, broker))
    elif found.absent:
        said.append(
            f"{found.absent} of {total} messages have not arrived within {PATIENCE_S:g} s: a "
            "broker drops what its queue cannot hold (max_queued_messages); the same "
            "command sends them again, what has arrived counts once"
        )
    if found.duplicates:
        said.append(
            f"{found.duplicates} of {total} messages were duplicates of what the twin has: a "
            "higher --boot sends them as new"
        )
    for reason, count in found.refused.items():
        said.append(f"{count} messages were refused ({reason}): twin dead-letters list says why")
    if not found.after.letters.is_whole:
        said.append(
            "how many of its messages were refused is not known: there are too many dead letters "
            "to look through, or they may not be read (twin dead-letters list)"
        )
    if found.late:
        share = "all" if found.late >= found.accepted else f"{found.late} of {found.accepted}"
        said.append(
            f"{share} messages that it took lie behind {rfc3339(found.before.watermark_ns)}, up to "
            "which the twin has seen: it counts them as late"
        )
    if found.accepted and shipment.loads and found.cycles == 0.0:
        said.append("no cycle was counted: no range of the load was closed above the part's gate")
    if len(shipment.components) > MOST:
        said.append(
            f"only the first {MOST} of {len(shipment.components)} components were asked for"
        )
    return said
