"""Each break is told once, whatever was told before it, and never again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import twin
from tests.twin.fakes import PRESS, house
from tests.twin.fleets import CLOCK, component, fleet, inspection, spectrum
from twin.backfill import _passed
from twin.belief.events import KINDS
from twin.belief.fold import folded
from twin.belief.segments import Line, Note

TOUGH: dict[str, Any] = {"toughness": 1e8}  # [Pa √m]
HARMLESS, BREAKING = ((1e7, 5e6, 1.0),), ((1.9e9, 9.5e8, 1.0),)


def notes(*lines: Line, pieces: int = 1) -> list[Note]:
    """What is told of lines, folded so many at a time."""
    value, found = fleet(component(**TOUGH)), list[Note]()
    for start in range(0, len(lines), pieces):
        result = folded(value, lines[start : start + pieces], CLOCK)
        value, found = result.fleet, found + result.notes
    return found


def alarms(*lines: Line, pieces: int = 1) -> list[str]:
    kinds = (note.kind for note in notes(*lines, pieces=pieces))
    return [kind for kind in kinds if kind in ("limit", "fractured")]


def test_a_part_at_its_limit_that_breaks_is_told_to_have_broken() -> None:
    lines = [inspection(0, 0.0101), spectrum(1, 1, cycles=BREAKING), spectrum(2, 2)]
    assert alarms(*lines[:1]) == ["limit"]
    assert alarms(*lines) == ["limit", "fractured"]
    last = notes(*lines)[-1]
    assert (last.kind, last.component) == ("fractured", "plant/press-1")
    assert last.data == {"crack_length": pytest.approx(0.019)}  # 0.95 W


def test_a_part_that_breaks_at_once_tells_both() -> None:
    assert alarms(spectrum(1, 1, cycles=BREAKING)) == ["limit", "fractured"]


def test_a_repaired_part_that_breaks_again_tells_it_again_however_it_is_cut() -> None:
    lines = [
        spectrum(1, 1, cycles=BREAKING),
        spectrum(2, 2, cycles=BREAKING),
        inspection(0, 0.001, 3),
        spectrum(3, 4, cycles=HARMLESS),
        spectrum(4, 5, cycles=BREAKING),
        spectrum(5, 6),
    ]
    for pieces in (1, 2, 3, 6):
        assert alarms(*lines, pieces=pieces) == ["limit", "fractured"] * 2


async def test_a_break_is_an_event_once_and_not_again_after_a_restart(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        for minute in range(3):
            await home.load(minute=minute, span=2e9)
        seen = [event.kind for event in home.service.news.events.since(0)[0]]
        assert (seen.count("limit"), seen.count("fractured")) == (1, 1)
    async with house(tmp_path / "data") as home:
        await home.load(minute=9, span=2e9)
        seen = [event.kind for event in home.service.news.events.since(0)[0]]
        assert "state" in seen or seen == []
        assert "fractured" not in seen


def test_every_kind_of_event_is_documented_and_no_other() -> None:
    source = "".join(path.read_text() for path in Path(twin.__file__).parent.rglob("*.py"))
    told = set(re.findall(r'(?:Note|_note|Event)\(\s*(?:after_id, )?"(\w+)"', source))
    for happened in re.findall(r"happened = {(.*?)^    }", source, re.MULTILINE | re.DOTALL):
        told |= set(re.findall(r'^ {8}"(\w+)": ', happened, re.MULTILINE))
    assert told == set(KINDS)


def test_a_break_that_only_catching_up_brings_to_light_is_told() -> None:
    sound = fleet(component(**TOUGH))
    at_limit = folded(sound, [inspection(0, 0.0101)], CLOCK).fleet
    broken = folded(at_limit, [spectrum(1, 1, cycles=BREAKING)], CLOCK).fleet
    assert [note.kind for note in _passed(at_limit, broken)] == ["fractured"]
    assert [note.kind for note in _passed(sound, broken)] == ["limit", "fractured"]
    assert _passed(broken, broken) == []
