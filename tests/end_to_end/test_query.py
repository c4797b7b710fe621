"""What `twin query` finds at a running service."""

from __future__ import annotations

import asyncio
import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sensors.replay.reader import ReplayOptions
from tests.end_to_end.conftest import Live, Running
from tests.end_to_end.test_replay import logged, signal
from twin.commands import questions
from twin.commands.client import ask
from twin.commands.playback import replayed
from twin.commands.questions import Asker, Wish, listed
from twin.errors import SettingsError, TwinError, UnknownError

NAMES = ("plant-a/press-1", "plant-a/shaft-1", "plant-b/press-1")


async def filled(it: Live, tmp_path: Path) -> Asker:
    """Parts with ten minutes of load, one of them retired."""
    for month, name in enumerate(NAMES, start=1):
        start = datetime(2026, month, 1, tzinfo=UTC)
        file = logged(tmp_path / f"{month}.csv", signal(6000), 10.0, start)
        await replayed(it.stage, file, ReplayOptions(component=name))
    path = f"/api/v1/components/{NAMES[2]}"
    await asyncio.to_thread(ask, it.url, path, method="DELETE", headers={"If-Match": "*"})
    return Asker(it.url, None)


async def test_parts_are_listed_found_by_name_and_told_by_time(
    live: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "PAGE", 1)
    monkeypatch.setattr(questions, "ROWS", 2)
    async with live() as it:
        asker = await filled(it, tmp_path)
        await asyncio.to_thread(_lists, asker)
        await asyncio.to_thread(_names, asker)
        await asyncio.to_thread(_histories, asker)


def _lists(asker: Asker) -> None:
    found = list(asker.components())
    assert [c["component"] for c in found] == [*NAMES[:2]]
    lines = listed(found, None, None).splitlines()
    assert lines[0].split()[:2] == ["component", "status"]
    assert "2.000 mm" in lines[1]
    rows = list(csv.DictReader(listed(found, "crack_length", "csv").splitlines()))
    assert rows[1]["component"] == NAMES[1]
    assert float(rows[1]["crack_length"]) == pytest.approx(0.002, rel=1e-4)
    with pytest.raises(SettingsError, match="field 'length' is not one of component"):
        listed(found, "length", None)
    chosen = json.loads(listed(found, "crack_length", "json"))
    assert [list(c) for c in chosen] == [["component", "crack_length"]] * 2
    assert listed(found, "crack_length", None).split()[:2] == ["component", "crack_length"]
    assert [c["component"] for c in asker.components(status="retired")] == [NAMES[2]]


def _names(asker: Asker) -> None:
    assert asker.named("shaft-1") == "plant-a/shaft-1"
    with pytest.raises(SettingsError, match="is one of plant-a/press-1, plant-b/press-1: say"):
        asker.named("press-1")
    with pytest.raises(UnknownError, match="no component 'shaft-2': do you mean plant-a/shaft-1"):
        asker.named("shaft-2")
    state = json.loads(asker.answer("shaft-1", Wish(fields="cycles,status")))
    assert set(state) == {"cycles", "status"}
    assert state["cycles"] > 0.0
    with pytest.raises(SettingsError, match="field 'cyles' is not one of"):
        asker.answer("shaft-1", Wish(fields="cyles"))


def _histories(asker: Asker) -> None:
    whole = _history(asker, Wish("history"))
    assert len(whole["time"]) > 2 * 2  # of more than two pages
    part = _history(asker, Wish(fields="cycles", t_from=whole["time"][1], t_to=whole["time"][4]))
    assert part == {"time": whole["time"][1:4], "cycles": whole["cycles"][1:4]}
    assert _history(asker, Wish("history", t_to="2026-01-02")) == {name: [] for name in whole}
    assert len(_history(asker, Wish(limit=3))["time"]) == 3
    text = asker.answer("shaft-1", Wish(fields="cycles", csv=True))
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["time"] for row in rows] == whole["time"]
    assert [float(row["cycles"]) for row in rows] == whole["cycles"]
    with pytest.raises(TwinError, match="field 'cyles'"):
        _history(asker, Wish("history", fields="cyles"))


def _history(asker: Asker, wish: Wish) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = json.loads(asker.answer("shaft-1", wish))["columns"]
    return columns


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"what": "stat"}, "'stat' is not one of state, history"),
        ({"what": "state", "csv": True}, "those of the history, not of state"),
        ({"what": "crack", "t_from": "2026-01-01"}, "those of the history, not of crack"),
        ({"what": "images", "fields": "a"}, "not of images"),
    ],
)
def test_a_wish_that_no_page_fulfils_is_refused(wish: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        Wish(**wish)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        (None, None),
        ("2026-01-02", "2026-01-02T00:00:00Z"),
        ("2026-01-02 03:04", "2026-01-02T03:04:00Z"),
        ("2026-01-02T03:04:05.5+01:00", "2026-01-02T02:04:05.500000Z"),
    ],
)
def test_times_are_utc_unless_they_say_their_zone(text: str | None, instant: str | None) -> None:
    assert questions.instant(text) == instant


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsError, match="'yesterday' is not a time such as"):
        questions.instant("yesterday")
