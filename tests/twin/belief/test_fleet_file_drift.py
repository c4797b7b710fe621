"""A part that the fleet file names no more lives on, and is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from tests.twin.fakes import House, house
from tests.twin.fleets import component, registration
from twin.belief.fleet_file_drift import NAMED, FleetFileDrift

ONE, TWO = "plant-a/press-1", "plant-a/press-2"
TABLE = """
[[component]]
name = "{name}"
[component.crack]
material = "nickel"
geometry = {{kind = "edge_crack", W = 0.1}}
crack_length = {length}
crack_limit = 0.03
"""


@pytest.fixture(autouse=True)
def _structlog() -> None:
    structlog.reset_defaults()


def written(path: Path, *names: str, length: float = 0.002) -> Path:
    path.write_text("".join(TABLE.format(name=name, length=length) for name in names))
    return path


async def counted(home: House) -> tuple[float, float]:
    """Parts that are missing in the file, and that differ from it."""
    text = (await home.http.get("/metrics")).text
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if "fleet_file_apart{" in line)
    return tuple(  # type: ignore[return-value]  # two
        float(lines[f'twin_fleet_file_apart{{how="{how}"}}']) for how in ("missing", "differs")
    )


def told(logs: Sequence[Any]) -> list[tuple[str, object]]:
    return [
        (entry["event"], entry.get("components", entry.get("component")))
        for entry in logs
        if entry["event"].startswith("fleet_file")
    ]


async def test_a_part_that_is_taken_out_of_the_file_is_told_until_it_is_retired(
    tmp_path: Path,
) -> None:
    file, data = tmp_path / "fleet.toml", tmp_path / "data"
    with capture_logs() as logs:
        async with house(data, fleet=written(file, ONE, TWO)) as home:
            assert await counted(home) == (0, 0)
            assert (await home.json(f"components/{ONE}"))["fleet_file"] is None
    assert told(logs) == []
    with capture_logs() as logs:
        async with house(data, fleet=written(file, TWO)) as home:
            assert await counted(home) == (1, 0)
            page = await home.json(f"components/{ONE}")
            assert (page["fleet_file"], page["retired"]) == ("missing", False)
            path = f"/api/v1/components/{ONE}"
            assert (await home.http.delete(path, headers={"If-Match": '"1"'})).status_code == 204
            assert await counted(home) == (0, 0)
    assert told(logs) == [("fleet_file_lacks", [ONE])]
    with capture_logs() as logs:
        async with house(data, fleet=written(file, TWO)) as home:
            assert await counted(home) == (0, 0)
    assert told(logs) == []


async def test_an_empty_file_and_none_at_all_are_told(tmp_path: Path) -> None:
    file, data = tmp_path / "fleet.toml", tmp_path / "data"
    names = [f"plant-a/press-{i:02}" for i in range(NAMED + 1)]
    async with house(data, fleet=written(file, *names)):
        pass
    with capture_logs() as logs:
        async with house(data, fleet=written(file)) as home:
            assert await counted(home) == (NAMED + 1, 0)
    assert told(logs) == [("fleet_file_lacks", names[:NAMED])]
    (line,) = (entry for entry in logs if entry["event"] == "fleet_file_lacks")
    assert (line["count"], line["file"]) == (NAMED + 1, str(file))
    with capture_logs() as logs:
        async with house(data) as home:
            assert await counted(home) == (0, 0)
    assert told(logs) == [("fleet_file_not_named", names[:NAMED])]


async def test_what_was_changed_or_deleted_over_http_differs_until_the_file_follows(
    tmp_path: Path,
) -> None:
    file, data = tmp_path / "fleet.toml", tmp_path / "data"
    async with house(data, fleet=written(file, ONE, TWO)) as home:
        body = (await home.json(f"components/{ONE}"))["registration"]
        body["crack"]["crack_length"] = 0.003
        path, match = "/api/v1/components/", {"If-Match": '"1"'}
        assert (await home.http.put(path + ONE, json=body, headers=match)).status_code == 200
        assert (await home.http.delete(path + TWO, headers=match)).status_code == 204
        assert await counted(home) == (0, 2)
    with capture_logs() as logs:
        async with house(data, fleet=file) as home:
            assert await counted(home) == (0, 2)
            assert (await home.json(f"components/{ONE}"))["fleet_file"] == "differs"
    assert sorted(told(logs), key=str) == [("fleet_file_differs", ONE), ("fleet_file_differs", TWO)]
    with capture_logs() as logs:
        async with house(data, fleet=written(file, ONE, length=0.003)) as home:
            assert await counted(home) == (0, 0)
    assert told(logs) == []


def test_a_file_that_all_parts_differ_from_is_told_of_in_few_lines() -> None:
    wanted = registration()
    parts = {
        f"plant/press-{i}": component(f"plant/press-{i}", crack_limit=0.009) for i in range(99)
    }
    with capture_logs() as logs:
        FleetFileDrift(dict.fromkeys(parts, wanted)).tell(parts, "fleet.toml")
    assert [log["event"] for log in logs[:NAMED]] == ["fleet_file_differs"] * NAMED
    assert logs[NAMED:] == [
        {
            "event": "fleet_file_differs_more",
            "log_level": "warning",
            "count": 99 - NAMED,
            "file": "fleet.toml",
        }
    ]
