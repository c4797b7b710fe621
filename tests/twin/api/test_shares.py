"""No client takes all places, and clients take turns."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from twin.api.context import BoundedQueries
from twin.api.shares import Shares, Turns
from twin.api.visit import Visit, client_of, visiting
from twin.errors import OverloadedError


def taken(shares: Shares, client: str) -> int:
    """How many places a client can have who takes all that he is given."""
    count = 0
    while shares.take(client):
        count += 1
    return count


def test_whoever_takes_all_that_he_can_leaves_room_for_others() -> None:
    shares = Shares(16, "seats")
    assert [taken(shares, client) for client in "abcd"] == [8, 4, 2, 1]
    assert shares.free == 1
    shares.give_back("a", 8)
    assert taken(shares, "d") == 4  # five of his are no more than five that are free
    assert shares.held("d") == 5


def test_the_only_place_can_be_had_and_is_given_back() -> None:
    shares = Shares(1, "seats")
    with (
        shares.place("a"),
        pytest.raises(OverloadedError, match="1 seats are under way, 0 of them yours"),
    ):
        shares.place("b").__enter__()
    with shares.place("b"):
        assert shares.taken == 1
    assert (shares.taken, shares.held("b")) == (0, 0)


def test_many_places_at_once_follow_the_same_rule() -> None:
    shares = Shares(10, "pieces")
    assert shares.take("a", 5)
    assert not shares.take("a")
    assert not shares.take("b", 4)
    assert shares.take("b", 3)


async def test_a_client_with_many_questions_lets_one_with_a_single_one_pass() -> None:
    turns, order = Turns(1), list[str]()

    async def ask(client: str) -> None:
        async with turns.turn(client):
            order.append(client)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        for client in "aaaaabbc":
            tasks.create_task(ask(client))
    assert "".join(order) == "aabcabaa"


async def test_a_turn_that_nobody_waits_for_any_more_is_passed_on() -> None:
    turns = Turns(1)
    async with turns.turn("a"):
        gone = asyncio.create_task(turns.turn("b").__aenter__())
        last = asyncio.create_task(turns.turn("c").__aenter__())
        await asyncio.sleep(0)
        gone.cancel()
    async with asyncio.timeout(5):
        await last


async def test_a_place_is_held_until_the_answer_is_sent() -> None:
    async def at_once(function: object, *_: object) -> object:
        return function

    questions = BoundedQueries(at_once, at_once=1, places=2)
    with ExitStack() as stack:
        stack.enter_context(visiting(Visit("a")))
        for _ in range(3):
            await questions.ask(int)  # one request, one place
        with visiting(Visit("b")):
            await questions.ask(int)
        with visiting(Visit("a")), pytest.raises(OverloadedError):
            await questions.ask(int)
    with visiting(Visit("a")):
        await questions.ask(int)


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("testclient", "testclient"),
    ],
)
def test_all_addresses_of_a_network_are_one_client(address: str, client: str) -> None:
    assert client_of(address) == client
