"""What is told of a session that the broker had not kept, and what is not."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest

from sensors.mqtt.session import UPTIME, uptime
from sensors.mqtt.settings import MqttSettings
from twin.broker_session import FILE, BrokerSession, Gone

SETTINGS = MqttSettings(session_expiry_s=1000)
S = 10**9


class Life:
    """One process after the other, on a clock of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.now_ns = directory, 1_700_000_000 * S
        self.told: list[Gone] = []
        self.session = self.started()

    def started(self, settings: MqttSettings = SETTINGS) -> BrokerSession:
        """The service starts, after it was killed."""
        self.session = BrokerSession(
            settings, self.directory, self.told.append, now_ns=lambda: self.now_ns
        )
        return self.session

    def connects(self, *, is_kept: bool, expiry_s: int = 1000) -> None:
        self.session.connected(is_kept=is_kept, expiry_s=expiry_s)
        self.session.subscribed(is_signed=True)
        self.session.save()

    def later(self, seconds: float) -> None:
        self.now_ns += round(seconds * S)

    def goes(self) -> None:
        self.session.ended()
        self.session.save()

    @property
    def whys(self) -> list[str]:
        return [gone.why for gone in self.told]


@pytest.fixture
def life(tmp_path: Path) -> Life:
    return Life(tmp_path)


@pytest.fixture
def known(life: Life) -> Life:
    """One that had a session and went, 10 s after it had come."""
    life.connects(is_kept=False)
    life.later(10)
    life.goes()
    return life


def test_the_first_start_tells_nothing(life: Life) -> None:
    life.connects(is_kept=False)
    life.session.signed(5.0, is_new=True)
    life.session.signed(1e6, is_new=False)
    assert life.told == []


def test_a_session_that_was_kept_tells_nothing(known: Life) -> None:
    known.later(500)
    known.started()
    known.connects(is_kept=True)
    known.session.signed(1e6, is_new=False)
    assert known.told == []


def test_a_session_that_is_missing_was_taken_if_the_broker_was_never_away(known: Life) -> None:
    known.later(500)
    known.started()
    known.connects(is_kept=False)
    assert known.told == []  # it waits for what the broker says of itself
    known.session.signed(3.0, is_new=True)  # as it was some time ago
    assert known.told == []
    known.session.signed(503.0, is_new=False)
    known.session.signed(513.0, is_new=False)
    (gone,) = known.told
    assert (gone.why, gone.away_s) == ("lost", 500.0)
    assert "another client has connected under our client id" in gone.sentence
    assert known.session.trouble == gone.sentence


@pytest.mark.parametrize("up_s", [499.0, 501.0])  # it counts in whole seconds
def test_a_session_that_is_missing_at_a_broker_that_was_started_since_is_no_theft(
    known: Life, up_s: float
) -> None:
    known.later(500)
    known.started()
    known.connects(is_kept=False)
    known.session.signed(up_s, is_new=False)
    assert known.whys == ["fresh"]
    assert "does not write its state to disk" in known.told[0].sentence


async def test_a_broker_that_says_nothing_of_itself_is_not_waited_for(known: Life) -> None:
    known.session = BrokerSession(
        SETTINGS, known.directory, known.told.append, now_ns=lambda: known.now_ns, verdict_s=0.0
    )
    known.connects(is_kept=False)
    running = asyncio.create_task(known.session.run())
    async with asyncio.timeout(10):
        while not known.told:  # noqa: ASYNC110  it is another task
            await asyncio.sleep(0)
    running.cancel()
    assert known.whys == ["lost"]
    assert "does not say since when it runs" in known.told[0].sentence


@pytest.mark.parametrize(("away_s", "whys"), [(999, []), (1000, ["expired"]), (5000, ["expired"])])
def test_a_session_that_had_expired_was_not_taken(
    known: Life, away_s: float, whys: list[str]
) -> None:
    known.later(away_s)
    known.started()
    known.connects(is_kept=False)
    assert known.whys == whys
    known.session.signed(1e6, is_new=False)
    assert known.whys == (whys or ["lost"])
    known.goes()
    known.connects(is_kept=True)
    assert len(known.told) == 1


def test_a_session_without_our_subscriptions_is_not_ours(known: Life) -> None:
    known.later(1)
    known.started()
    known.connects(is_kept=True)
    known.session.signed(501.0, is_new=True)
    known.session.signed(501.0, is_new=True)
    assert known.whys == ["lost"]
    assert "without our subscriptions" in known.told[0].sentence


def test_a_session_of_an_earlier_release_lacks_one_subscription(life: Life) -> None:
    life.connects(is_kept=True)  # no mark is there: nobody says what should be
    life.session.signed(501.0, is_new=True)
    assert life.told == []


def test_a_session_that_the_broker_keeps_for_less_long_expires_then(life: Life) -> None:
    life.connects(is_kept=False, expiry_s=60)
    life.goes()
    life.later(61)
    life.started()
    life.connects(is_kept=False)
    assert life.whys == ["expired"]


@pytest.mark.parametrize(
    "change", [{"client_id": "other"}, {"host": "elsewhere"}, {"port": 1}, {"username": "other"}]
)
def test_another_session_is_not_missed(known: Life, change: dict[str, object]) -> None:
    known.started(dataclasses.replace(SETTINGS, **change))  # type: ignore[arg-type]  # by name
    known.connects(is_kept=False)
    known.session.signed(1e6, is_new=False)
    assert known.told == []


def test_a_session_that_ends_with_its_connection_is_not_missed(known: Life) -> None:
    known.connects(is_kept=True, expiry_s=0)
    known.goes()
    known.started()
    known.connects(is_kept=False)
    known.session.signed(1e6, is_new=False)
    assert known.told == []


def test_what_was_not_told_yet_is_told_at_the_next_start(known: Life) -> None:
    known.started()
    known.connects(is_kept=False)
    known.goes()
    known.later(5)
    known.started()
    known.connects(is_kept=False)
    known.session.signed(1e6, is_new=False)
    assert known.whys == ["lost"]


def test_a_mark_that_cannot_be_read_or_written_costs_nothing_else(known: Life) -> None:
    mark = known.directory / FILE
    mark.write_text('{"address": ')
    known.started()
    mark.unlink()
    mark.mkdir()
    known.connects(is_kept=False)
    known.session.signed(1e6, is_new=False)
    assert known.told == []


@pytest.mark.parametrize(
    ("payload", "seconds"),
    [(b"0 seconds", 0.0), (b"1234 seconds", 1234.0), (b"17", 17.0), (b"2.5 s", 2.0)],
)
def test_what_brokers_say_of_themselves_is_understood(payload: bytes, seconds: float) -> None:
    assert uptime(UPTIME, payload) == seconds


@pytest.mark.parametrize(
    ("topic", "payload"), [(UPTIME, b""), (UPTIME, b"long"), ("$SYS/broker/version", b"12")]
)
def test_what_else_they_say_is_not(topic: str, payload: bytes) -> None:
    assert uptime(topic, payload) is None
