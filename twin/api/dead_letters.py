"""Messages that were refused, and another try for them."""

from __future__ import annotations

import base64
from collections.abc import Collection
from itertools import islice
from typing import Annotated, Any, NamedTuple

import msgspec
from fastapi import FastAPI, Path, Query, Response

from sensors.instant import rfc3339
from sensors.refusal import shown
from storage.journal.dead_letters import DeadLetters
from storage.journal.entry import DeadLetter
from storage.journal.letter_rows import KeptLetter
from twin.api.context import PREFIX, Context
from twin.api.listing import Direction
from twin.api.problems import ProblemError, documented
from twin.api.readable import readable
from twin.api.responses import check_span, instant_ns, json_answer
from twin.api.schema_service import Letters, Resubmitted
from twin.api.states import Instant
from twin.component import NAME
from twin.metrics import DEAD

LARGEST = 2**63 - 1
SHOWN, PROPERTIES = 2048, 32  # bytes of a payload, characters of a text, and how many of these
SLICE, SLICE_BYTES = 500, 2 << 20  # letters that are read in one turn
LOOKED, LOOKED_BYTES = 20_000, 64 << 20  # that are looked through for one page
PAGE_BYTES = 4 << 20  # of a page, and one letter more


def add_letters(app: FastAPI, context: Context) -> None:
    """The routes for dead letters."""
    # Over 60 lines: a route each; they share what they close over.
    service = context.service

    @app.get(
        f"{PREFIX}/dead-letters",
        tags=["dead letters"],
        responses={200: {"model": Letters}, **documented("invalid", "damaged", "overloaded")},
    )
    async def list_letters(
        reason: Annotated[
            str | None,
            Query(
                max_length=64,
                description="Of this reason.",
                json_schema_extra={"enum": list(DEAD)},
            ),
        ] = None,
        component: Annotated[
            str | None,
            Query(pattern=f"^{NAME.pattern}$", description="To a topic of this component."),
        ] = None,
        t_from: Annotated[Instant, Query(alias="from")] = None,
        to: Instant = None,
        order: Annotated[
            Direction, Query(description="By number: falling, so newest first, or rising.")
        ] = "desc",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        after: Annotated[int, Query(ge=0, le=LARGEST, description="Above this number.")] = 0,
        before: Annotated[int, Query(ge=0, le=LARGEST, description="Below it.")] = LARGEST,
    ) -> Response:
        """Refused messages and why, newest first, those refused with from ≤ time < to.

        A page may be short, even empty, while `next` is not null: only so much is looked through
        at a time, and only so much told. Long texts are cut.
        """
        wanted = _Wanted(
            reason,
            component,
            0 if t_from is None else instant_ns(t_from, "from"),
            LARGEST if to is None else instant_ns(to, "to"),
            order == "desc",
            limit,
        )
        if to is not None:
            check_span(wanted.t_from_ns, wanted.t_to_ns)
        if before <= after:
            raise ProblemError("invalid", f"before {before} is not above after {after}")
        counts = await context.reads.ask(context.journal.letters_beside.reasons)
        _check_reason(reason, counts)
        found, damaged, following = await _found(context, wanted, _Span(after, before))
        census = context.journal.dead_letters.census
        return json_answer(
            {
                "items": found,
                "next": following,
                "damaged": damaged,
                "total": census.letters,
                "dropped": census.dropped,
                "counts": counts,
            }
        )

    @app.post(
        f"{PREFIX}/dead-letters/{{number}}/resubmit",
        tags=["dead letters"],
        responses={
            200: {"model": Resubmitted},
            **documented("missing", "invalid", "unavailable", "damaged", "body-too-large"),
            **documented("unsupported-media-type"),
        },
    )
    async def resubmit(number: Annotated[int, Path(ge=1, lt=LARGEST)]) -> Response:
        """Judge a message again, say after its component was registered."""
        outcome = await context.done(service.resubmit(number))
        return json_answer({"id": number, "outcome": outcome.value})


def _check_reason(reason: str | None, counts: Collection[str]) -> None:
    """Raises ProblemError for one that no letter can have; releases before may have had others."""
    if reason is not None and reason not in DEAD and reason not in counts:
        known = ", ".join(sorted({*DEAD, *counts}))
        raise ProblemError("invalid", f"reason is {shown(reason)}: it must be one of {known}")


class _Wanted(NamedTuple):
    reason: str | None
    component: str | None
    t_from_ns: int
    t_to_ns: int
    newest_first: bool
    limit: int

    def suits(self, letter: DeadLetter) -> bool:
        """Whether it is looked for, apart from its reason."""
        is_its = self.component is None or f"/{self.component}/" in f"/{letter.topic}/"
        return is_its and self.t_from_ns <= letter.t_ns < self.t_to_ns


class _Span(NamedTuple):
    """Numbers in between are still to be looked through."""

    after: int
    before: int

    def behind(self, number: int, *, newest_first: bool) -> _Span:
        """What is left once `number` was seen."""
        return _Span(self.after, number) if newest_first else _Span(number, self.before)


class _Slice(NamedTuple):
    """What one turn has found."""

    items: list[msgspec.Raw]
    span: _Span  # what is left to be looked through
    looked: int  # letters, 0 at the end
    size: int  # of them [byte]
    is_full: bool  # nothing more fits on the page
    damaged: list[int]  # of those that were looked through


async def _found(
    context: Context, wanted: _Wanted, span: _Span
) -> tuple[list[msgspec.Raw], list[int], int | None]:
    """A page, what is damaged there, and where the next one begins.

    Others have their turns between the slices.
    """
    letters = context.journal.letters_beside
    found, looked, size, told, damaged = list[msgspec.Raw](), 0, 0, 0, list[int]()
    while True:
        left = _Room(wanted.limit - len(found), PAGE_BYTES - told)
        slice_ = await context.reads.ask(_slice, letters, wanted, span, left)
        if not slice_.looked:
            return found, damaged, None
        damaged += slice_.damaged
        found += slice_.items
        told += sum(map(len, slice_.items))
        span = slice_.span
        looked, size = looked + slice_.looked, size + slice_.size
        if slice_.is_full or looked >= LOOKED or size >= LOOKED_BYTES:
            return found, damaged, _edge(span, newest_first=wanted.newest_first)


class _Room(NamedTuple):
    """What is left of a page."""

    letters: int
    size: int  # [byte]


def _slice(letters: DeadLetters, wanted: _Wanted, span: _Span, room: _Room) -> _Slice:
    """Some letters, those that suit written at once so that their payloads can go."""
    found, told, size, damaged = list[msgspec.Raw](), 0, 0, list[int]()
    listed = letters.list(
        SLICE,
        *span,
        reason=wanted.reason,
        newest_first=wanted.newest_first,
        most_bytes=SLICE_BYTES,
        damaged=damaged,
    )
    for i, kept in enumerate(listed):
        if wanted.suits(kept.letter):
            if len(found) == room.letters or told >= room.size:
                behind = [n for n in damaged if not span.after < n < span.before]
                return _Slice(found, span, max(i, 1), size, is_full=True, damaged=behind)
            found.append(msgspec.Raw(msgspec.json.encode(_letter(kept))))
            told += len(found[-1])
        span = span.behind(kept.id, newest_first=wanted.newest_first)
        size += _size(kept)
    for number in damaged:
        if span.after < number < span.before:
            span = span.behind(number, newest_first=wanted.newest_first)
    looked = len(listed) + len(damaged)
    return _Slice(found, span, looked, size, is_full=False, damaged=damaged)


def _size(kept: KeptLetter) -> int:
    letter = kept.letter
    texts = (*letter.properties.items(), (letter.topic, letter.sentence))
    return len(letter.payload) + sum(len(a) + len(b) for a, b in texts)


def _edge(span: _Span, *, newest_first: bool) -> int:
    return span.before if newest_first else span.after


def _letter(kept: KeptLetter) -> dict[str, Any]:
    letter = kept.letter
    decoded = readable(letter.payload, letter.content_type)
    return {
        "id": kept.id,
        "time": rfc3339(letter.t_ns),
        "topic": letter.topic,
        "reason": letter.reason,
        "sentence": _cut(letter.sentence),
        "content_type": _cut(letter.content_type),
        "properties": {
            _cut(name): _cut(value) for name, value in islice(letter.properties.items(), PROPERTIES)
        },
        "payload": base64.b64encode(letter.payload[:SHOWN]).decode(),
        "payload_bytes": kept.payload_size,
        "whole": not kept.cut,
        "decoded": decoded.text,
        "decoded_as": decoded.form,
    }


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
