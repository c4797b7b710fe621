"""Small versions of the attacks of `python -m tests.end_to_end.hostile`, on one service."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers import Broker
from tests.end_to_end.harness import Arrangement, Twin, subscribed
from tests.end_to_end.hostile import (
    half_open,
    headers,
    idle,
    letters,
    listeners,
    one_part,
    strangers,
)
from tests.end_to_end.hostile.registry import ATTACKS
from tests.end_to_end.hostile.target import Seen, Target, Watch
from tests.end_to_end.traffic import fleet

START_S = 240.0
SHORT = "request_timeout_s = 2.0\nidle_timeout_s = 2.0"
PACKAGE = Path(__file__).parent / "hostile"
PARTS_OF_THE_PACKAGE = {"__init__", "__main__", "registry", "target"}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory, mosquitto: str) -> Iterator[Target]:
    directory = tmp_path_factory.mktemp("hostile")
    (directory / "broker").mkdir()
    arrangement = Arrangement(web=SHORT, descriptors=idle.DESCRIPTORS)
    with (
        Broker(directory / "broker") as broker,
        Twin(directory / "twin", broker.port, fleet(4), arrangement) as twin,
    ):
        twin.start(START_S)
        twin.until(lambda: subscribed(broker), "subscribes")
        yield Target(twin, broker.port, directory)
        twin.stop()


def holds(seen: Seen) -> None:
    assert seen.faults == [], f"{seen.told}; {seen.others}"


def test_headers_without_end_take_no_memory(target: Target) -> None:
    holds(headers.attack(target))


def test_requests_that_are_never_whole_are_gone_after_a_while(target: Target) -> None:
    holds(half_open.attack(target, count=60, seconds=15.0))


def test_idle_connections_leave_descriptors_for_the_journal(target: Target) -> None:
    holds(idle.attack(target, count=700, seconds=4.0))
    assert target.descriptors() < idle.DESCRIPTORS


def test_many_listeners_at_once_are_no_more_than_may(target: Target) -> None:
    holds(listeners.attack(target, count=300))


def test_no_page_of_somebody_else_changes_anything(target: Target) -> None:
    holds(strangers.attack(target))


def test_a_page_of_large_letters_is_small(target: Target) -> None:
    holds(letters.attack(target, count=40))


def test_loads_of_one_part_that_take_long_keep_no_other_waiting(target: Target) -> None:
    holds(one_part.attack(target, size=0.05, tries=2))


def test_every_attack_is_in_the_table() -> None:
    modules = {path.stem for path in PACKAGE.glob("*.py")} - PARTS_OF_THE_PACKAGE
    listed = {attack.run.__module__.rpartition(".")[2] for attack in ATTACKS.values()}
    assert modules == listed
    assert all(attack.about for attack in ATTACKS.values())


def test_a_service_that_does_not_hold_is_told_so() -> None:
    good = Watch(waits_s=[0.1], memory=2, before=1)
    assert good.faults() == []
    bad = dataclasses.replace(good, waits_s=[9.0], failures=2, memory=10**9)
    assert bad.faults() == [
        "it grew by 953 MiB",
        "2 requests of others were not answered",
        "somebody else waited 9.0 s",
    ]
    assert "was killed" in dataclasses.replace(good, killed=True).faults()[0]
    assert "waited inf" in Watch().faults()[0]
