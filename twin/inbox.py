"""From messages to parcels: decode, refuse with a sentence, or hand on."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sensors.codec import decode
from sensors.errors import MalformedError
from sensors.image_codec import decode_image
from sensors.limits import Limits
from sensors.mqtt import Message
from sensors.observation import AnyObservation, Series, Spectrum
from sensors.refusal import malformed
from sensors.sound import fault
from sensors.topics import Topics
from storage.entry import DeadLetter, Entry
from storage.images import Images
from twin.assimilate import t_end_ns
from twin.cohort import TROUBLE
from twin.committer import Parcel
from twin.component import Component
from twin.conflicts import Refusal
from twin.fold import Line
from twin.lines import observed
from twin.reserved import check_source

BESIDE = 1000  # topics beside the root that are told of
STRAYS, COPY_S = 16, 1.0  # latest ones, and how soon a copy of one comes by another subscription
HEAVY = 2 << 20  # bytes of payload that take the decoder some ten milliseconds


@dataclass(frozen=True, slots=True)
class Inbox:
    """What it takes to judge a message."""

    topics: Topics
    limits: Limits
    max_ahead_ns: int | None
    component: Callable[[str], Component | None]
    images: Images
    beside: set[str] = field(default_factory=set)  # topics of others that were told of
    strays: deque[tuple[str, bytes, float]] = field(default_factory=lambda: deque(maxlen=STRAYS))

    def parcel(self, messages: Sequence[Message], done: Callable[[], None]) -> Parcel:
        """The parcel of a batch of messages; `done` is called once all of it is durable.

        Images are written to disk here, before the journal refers to them. Whatever is wrong with
        a message costs that message alone.
        """
        entries: list[Entry] = []
        lines: list[Line] = []
        dead: list[DeadLetter] = []
        origin: list[Message] = []
        latest = self._latest_ns()
        for message in messages:
            if self.topics.is_outgoing(message.topic):  # our own, where the broker shows us all
                continue
            try:
                o = self._judged(message, latest)
            except MalformedError as exc:
                refused = letter(message, exc.reason, str(exc))
                if exc.reason != "topic" or self._is_news(refused):
                    dead.append(refused)
                continue
            entries.append(observed(o))
            lines.append(Line(o.component, o))
            origin.append(message)
        return Parcel(
            entries,
            lines,
            dead,
            letter=lambda i, refusal: _again(origin[i], refusal),
            done=lambda _: done(),
        )

    def judged(self, message: Message, *, ours: bool = False) -> AnyObservation:
        """What one message says; raises MalformedError.

        `ours` is what the service says in the words of a sensor, under a name of its own.
        """
        return self._judged(message, self._latest_ns(), ours=ours)

    def _latest_ns(self) -> int | None:
        return time.time_ns() + self.max_ahead_ns if self.max_ahead_ns is not None else None

    def _judged(
        self, message: Message, latest_ns: int | None, *, ours: bool = False
    ) -> AnyObservation:
        try:
            o, image = self._decoded(message)
            if not ours:
                check_source(o.source)
            self._check(o, latest_ns)
        except (*TROUBLE, MemoryError) as exc:  # or the broker would deliver it again for ever
            why = f"judging it raised {type(exc).__name__}: {exc}"
            raise malformed("failed", f"{why}; please report it") from exc
        if image is not None:
            self.images.put(image)
        return o

    def _is_news(self, stray: DeadLetter) -> bool:
        """Whether a message that matches nothing is to be kept.

        Each is once, though several subscriptions may show it. Beside the root may be another
        twin, whose messages are none of ours: of these the first of a topic.
        """
        now_s = time.monotonic()
        if any(
            (topic, payload) == (stray.topic, stray.payload) and now_s - at_s < COPY_S
            for topic, payload, at_s in self.strays
        ):
            return False
        self.strays.append((stray.topic, stray.payload, now_s))
        if self.topics.is_below(stray.topic):
            return True
        is_new = stray.topic not in self.beside and len(self.beside) < BESIDE
        if is_new:
            self.beside.add(stray.topic)
        return is_new

    def is_heavy(self, messages: Sequence[Message]) -> bool:
        """Whether judging them would hold up the loop: an image to store, or much to decode."""
        size = sum(len(message.payload) for message in messages)
        return size > HEAVY or any(message.topic.endswith("/image") for message in messages)

    def _decoded(self, message: Message) -> tuple[AnyObservation, bytes | None]:
        """What a message says, and the image that it carries."""
        topic, payload = message.topic, message.payload
        kind, properties = message.content_type or None, message.properties
        if topic.endswith("/image"):
            return decode_image(topic, payload, properties, kind, self.limits, self.topics)
        return decode(topic, payload, kind, properties, self.limits, self.topics), None

    def _check(self, o: AnyObservation, latest_ns: int | None) -> None:
        component = self.component(o.component)
        if component is None or component.retired:
            raise MalformedError("component", f"component {o.component!r} is not registered")
        if why := fault(o):
            raise malformed("value", why)
        if latest_ns is not None and t_end_ns(o) > latest_ns:
            ahead_s = (t_end_ns(o) - time.time_ns()) / 1e9
            raise MalformedError("ahead", f"time is {ahead_s:.1f} s ahead of this clock")
        is_strain = isinstance(o, Series | Spectrum) and o.quantity == "strain"
        if is_strain and component.registration.calibration.youngs_modulus is None:
            raise MalformedError(
                "calibration", f"unit: {o.component} has no youngs_modulus to turn strain to stress"
            )


def letter(message: Message, reason: str, sentence: str) -> DeadLetter:
    """The dead letter of a message."""
    return DeadLetter(
        t_ns=time.time_ns(),
        topic=message.topic,
        reason=reason,
        sentence=sentence,
        payload=bytes(message.payload),
        content_type=message.content_type,
        properties=dict(message.properties),
    )


def _again(message: Message, refusal: Refusal) -> DeadLetter:
    """The dead letter of a message whose key was used before, or may have been."""
    return letter(message, refusal.outcome.value, refusal.sentence)
