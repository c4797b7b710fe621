"""Events are numbered, kept for a while, and can be resumed."""

from __future__ import annotations

import asyncio

from twin.belief.events import Event, Events


def happened(n: int) -> list[tuple[str, str, int, dict[str, float | str | int]]]:
    return [("state", f"plant/p{i}", i, {}) for i in range(n)]


def test_numbers_grow_by_one() -> None:
    events = Events(first_id=100)
    assert [e.id for e in events.added(happened(2)) + events.added(happened(1))] == [100, 101, 102]
    assert events.last_id == 102


def test_a_listener_resumes_after_the_last_number_it_saw() -> None:
    events = Events(first_id=1)
    events.added(happened(5))
    kept, missed = events.since(3)
    assert [e.id for e in kept] == [4, 5]
    assert not missed


def test_a_listener_is_told_that_it_missed_some() -> None:
    events = Events(first_id=1, capacity=3)
    events.added(happened(5))
    assert events.since(1) == (events.since(2)[0], True)
    assert events.since(2)[1] is False


async def test_a_stream_gives_what_is_there_and_what_comes() -> None:
    events = Events(first_id=1)
    events.added(happened(2))
    seen: list[Event] = []

    async def listen() -> None:
        async for event in events.stream(0):
            seen.append(event)
            if len(seen) == 2:
                events.added(happened(1))  # while the listener is busy
            if len(seen) == 3:
                events.close()

    await asyncio.wait_for(listen(), 5)
    assert [e.id for e in seen] == [1, 2, 3]


async def test_closing_ends_a_waiting_listener() -> None:
    events = Events(first_id=1)

    async def listen() -> int:
        return len([e async for e in events.stream(0)])

    listener = asyncio.create_task(listen())
    await asyncio.sleep(0)
    events.close()
    assert await asyncio.wait_for(listener, 5) == 0


async def test_a_listener_from_a_clock_that_was_ahead_goes_on_from_now() -> None:
    events = Events(first_id=1)
    events.added(happened(2))
    heard = events.stream(after_id=10**15)
    missed = await anext(heard)
    assert (missed.kind, missed.id) == ("missed", 2)
    events.added(happened(1))
    assert (await anext(heard)).id == 3
    await heard.aclose()  # type: ignore[attr-defined]  # a generator
