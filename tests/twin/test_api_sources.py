"""What the API says of the sources of a component."""

from __future__ import annotations

from pathlib import Path

from tests.twin.fakes import PRESS, house


async def test_a_source_is_told_with_the_numbers_that_are_missing(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        assert (await home.json(f"components/{PRESS}/sources"))["sources"] == []
        await home.load(minute=1.0)  # number 1
        home.seq = 4
        await home.load(minute=2.0)  # number 5
        page = await home.json(f"components/{PRESS}/sources")
        state = await home.json(f"components/{PRESS}/state")
    (source,) = page["sources"]
    assert (source["source"], source["boot"]) == ("daq", 0)
    assert (source["first"], source["high"], source["missing"]) == (1, 5, 3)
    assert [2, 4] in source["holes"]
    assert page["watermark"] == "2026-01-01T00:01:55Z"  # two minutes less the lateness
    assert state["offset"] == page["offset"]


async def test_the_sources_of_a_component_that_is_not_registered_are_missing(
    tmp_path: Path,
) -> None:
    async with house(tmp_path / "data") as home:
        answer = await home.http.get("/api/v1/components/no/body/sources")
    assert answer.status_code == 404
