"""From messages to parcels: decode, refuse with a sentence, or hand on."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from sensors.errors import MalformedError
from sensors.limits import Limits
from sensors.mqtt.packets import MOST_PROPERTIES, MOST_PROPERTY_BYTES, Message
from sensors.observation import AnyObservation, Series, Spectrum
from sensors.payload.decode import decode
from sensors.payload.image import decode_image
from sensors.payload.sound import fault
from sensors.quality import NULL_CODES
from sensors.refusal import malformed
from sensors.topics import Topics
from storage.images import ImageStore
from storage.journal.entry import DeadLetter, Entry
from storage.journal.sequences import Outcome
from storage.store import Store
from twin.belief.assimilate import t_end_ns
from twin.belief.cohort import TROUBLE
from twin.belief.lines import observed
from twin.belief.segments import Line
from twin.component import Component
from twin.ingest.committer import Batch
from twin.ingest.conflicts import Refusal
from twin.ingest.own_clock import FleetTime, OwnClock, Source
from twin.reserved import check_source
from twin.settings import Settings

LONGEST_TOPIC = 1024  # characters of a topic that are kept; ours have 650 at most
BESIDE = 1000  # topics beside the root that are told of
STRAYS, COPY_S = 16, 1.0  # latest ones, and how soon a copy of one comes by another subscription
TAKEN = (Outcome.ACCEPTED, Outcome.DUPLICATE)  # the journal refers to what such a message brings
HEAVY = 2 << 20  # bytes of payload that take the decoder some ten milliseconds


class AheadError(MalformedError):
    """The time of a message is too far ahead of this host's clock."""

    def __init__(self, source: Source, t_ns: int) -> None:
        ahead_s = (t_ns - time.time_ns()) / 1e9
        super().__init__("ahead", f"time is {ahead_s:.1f} s ahead of this clock")
        self.source, self.t_ns = source, t_ns


@dataclass(frozen=True, slots=True)
class Inbox:
    """What it takes to judge a message."""

    topics: Topics
    limits: Limits
    max_ahead_ns: int | None
    component: Callable[[str], Component | None]
    images: ImageStore
    end: Callable[[], int] = lambda: 0  # of the journal
    own_clock: OwnClock | None = None  # none where nothing can be ahead
    beside: set[str] = field(default_factory=set)  # topics of others that were told of
    strays: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=STRAYS))

    def parcel(
        self, messages: Sequence[Message], done: Callable[[], None], *, may_hold: bool = False
    ) -> Batch:
        """The parcel of a batch of messages; `done` is called once all of it is durable.

        Nothing is written here; see `stored`. Whatever is wrong with a message costs that message
        alone. Raises HeldError, where the caller can wait and ask again, if it is our own clock
        that some are ahead of.
        """
        entries: list[Entry] = []
        lines: list[Line] = []
        dead: list[DeadLetter] = []
        origin: list[Message] = []
        images: dict[int, bytes] = {}
        waiting = 0  # bytes of images
        latest = self._latest_ns()
        judged = [  # but not our own, where the broker shows us all
            (m, self._judged(m, latest)) for m in messages if not self.topics.is_outgoing(m.topic)
        ]
        if may_hold and self.own_clock is not None:
            _weigh([o for _, (o, _) in judged], self.own_clock)
        for message, (o, image) in judged:
            if image is not None and not isinstance(o, MalformedError):
                o = self._with_room(o, waiting + len(image))
            if isinstance(o, MalformedError):
                refused = letter(message, o.reason, str(o))
                if o.reason != "topic" or self._is_news(refused):
                    dead.append(refused)
                continue
            if image is not None:
                waiting += len(image)
                images[len(entries)] = image
            entries.append(observed(o))
            lines.append(Line(o.component, o))
            origin.append(message)
        return Batch(
            entries,
            lines,
            dead,
            letter=lambda i, refusal: _again(origin[i], refusal),
            done=lambda _: done(),
            images=images,
        )

    def check(self, o: AnyObservation) -> None:
        """Whether an observation that came by HTTP can be taken; raises MalformedError."""
        self._check(o, self._latest_ns())

    def judged(self, message: Message) -> AnyObservation:
        """What one message says; raises MalformedError."""
        o, _ = self._judged(message, self._latest_ns())
        if isinstance(o, MalformedError):
            raise o
        return o

    def _latest_ns(self) -> int | None:
        return time.time_ns() + self.max_ahead_ns if self.max_ahead_ns is not None else None

    def _judged(
        self, message: Message, latest_ns: int | None
    ) -> tuple[AnyObservation | MalformedError, bytes | None]:
        """What a message says, or why it is refused, and the image that it brings."""
        try:
            if message.excess:
                self.topics.parsed(message.topic)  # of a stray that is told instead
                raise _overloaded(message)
            o, image = self._decoded(message)
            check_source(o.source)
            self._check(o, latest_ns)
        except MalformedError as exc:
            return exc, None
        except (*TROUBLE, MemoryError) as exc:  # or the broker would deliver it again for ever
            why = f"judging it raised {type(exc).__name__}: {exc}"
            return malformed("failed", f"{why}; please report it"), None
        return o, image

    def stored(self, parcel: Batch) -> Batch:
        """The same parcel once its images are on disk; may be tried again after UnavailableError.

        What is not taken in the end does not keep its image there.
        """
        lent: dict[int, str] = {}
        try:
            for i, image in parcel.images.items():
                lent[i] = self.images.lend(image, self.end())
        except BaseException:
            for sha256 in lent.values():
                self.images.settle(sha256, kept=False)
            raise

        def done(outcomes: Sequence[Outcome]) -> None:
            for i, sha256 in lent.items():
                self.images.settle(sha256, kept=outcomes[i] in TAKEN)
            parcel.done(outcomes)

        return replace(parcel, images={}, done=done)

    def _is_news(self, stray: DeadLetter) -> bool:
        """Whether a message that matches nothing is to be kept.

        Each is once, though several subscriptions may show it. Beside the root may be another
        twin, whose messages are none of ours: of these the first of a topic.
        """
        now_s, what = time.monotonic(), hash((stray.topic, stray.payload))
        if any(known == what and now_s - at_s < COPY_S for known, at_s in self.strays):
            return False
        self.strays.append((what, now_s))
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

    def _with_room(self, o: AnyObservation, waiting: int) -> AnyObservation | MalformedError:
        """The observation, or why its image is refused: images leave room on the disk for loads."""
        if self.images.size + waiting <= (most := self.images.most_bytes):
            return o
        return MalformedError(
            "room",
            f"images take {self.images.size:,} bytes, and no more than {most:,} of this disk: "
            "give it a larger one, then send the image again",
        )

    def _check(self, o: AnyObservation, latest_ns: int | None) -> None:
        component = self.component(o.component)
        if component is None or component.retired:
            raise MalformedError("component", f"component {o.component!r} is not registered")
        if why := fault(o):
            raise malformed("value", why)
        if latest_ns is not None and t_end_ns(o) > latest_ns:
            raise AheadError((o.component, o.source), t_end_ns(o))
        is_strain = isinstance(o, Series | Spectrum) and o.quantity == "strain"
        if is_strain and component.registration.calibration.youngs_modulus is None:
            raise MalformedError(
                "calibration", f"unit: {o.component} has no youngs_modulus to turn strain to stress"
            )


def _weigh(judged: Sequence[AnyObservation | MalformedError], own_clock: OwnClock) -> None:
    """Let the clocks of a batch speak; raises HeldError if ours is not believed."""
    last = next((o for o in reversed(judged) if not isinstance(o, MalformedError)), None)
    if last is not None:  # one of a batch is enough
        own_clock.on_time((last.component, last.source), t_end_ns(last))
    ahead = [o for o in judged if isinstance(o, AheadError)]
    for o in ahead:
        own_clock.ahead(o.source)
    if ahead:
        own_clock.require_believed(max(o.t_ns for o in ahead))


def _overloaded(message: Message) -> MalformedError:
    return malformed(
        "size",
        f"its MQTT properties take {message.excess:,} bytes: they may be {MOST_PROPERTY_BYTES:,} "
        f"bytes, and {MOST_PROPERTIES} user properties, at most",
    )


def letter(message: Message, reason: str, sentence: str) -> DeadLetter:
    """The dead letter of a message; one whose properties or topic are cut is not whole."""
    cut = message.excess + len(message.topic[LONGEST_TOPIC:])
    return DeadLetter(
        t_ns=time.time_ns(),
        topic=message.topic[:LONGEST_TOPIC],
        reason=reason,
        sentence=sentence,
        payload=bytes(message.payload),
        content_type=message.content_type,
        properties=dict(message.properties),
        cut_from=len(message.payload) + cut if cut else 0,
    )


def _again(message: Message, refusal: Refusal) -> DeadLetter:
    """The dead letter of a message whose key was used before, or may have been."""
    return letter(message, refusal.outcome.value, refusal.sentence)


def inbox_of(
    settings: Settings,
    store: Store,
    component: Callable[[str], Component | None],
    known_time: Callable[[], FleetTime],
) -> Inbox:
    """The inbox that settings ask for."""
    s = settings.ingest

    def null_codes(name: str) -> Sequence[float]:
        known = component(name)
        return NULL_CODES if known is None else known.registration.plausible.null_codes

    max_ahead_ns = None if s.max_ahead_s is None else round(s.max_ahead_s * 1e9)
    return Inbox(
        topics=Topics(settings.mqtt.root),
        limits=Limits(
            message=s.max_message_bytes,
            samples=s.max_samples,
            image=s.max_image_bytes,
            pixels=s.max_image_pixels,
            earliest_ns=max(0, round(s.earliest.timestamp()) * 10**9),
            null_codes=null_codes,
        ),
        max_ahead_ns=max_ahead_ns,
        component=component,
        images=store.images,
        end=lambda: store.journal.end,
        own_clock=None if max_ahead_ns is None else OwnClock(known_time, max_ahead_ns),
    )
