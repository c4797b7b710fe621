"""What the API says of the sources of a component."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sensors.observation import Spectrum
from tests.twin.fakes import MINUTE_NS, PRESS, T0_NS, house


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


async def test_many_sources_come_in_pages_that_join(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        for minute in range(7):
            home.seq = minute
            await home.service.observe(_from(f"daq-{minute % 3}", boot=minute * 5, minute=minute))
        whole = await home.json(f"components/{PRESS}/sources")
        told, query = list[dict[str, Any]](), ""
        for _ in range(4):
            page = await home.json(f"components/{PRESS}/sources?limit=2{query}")
            told += page["sources"]
            query = f"&after={page['next']}"
        assert page["next"] is None
        assert (whole["next"], whole["total"], page["total"]) == (None, 7, 7)
        assert told == whole["sources"]
        assert len(told) == 7
        assert (await home.get(f"components/{PRESS}/sources?after=daq")).status_code == 422


def _from(source: str, *, boot: int, minute: int) -> Spectrum:
    return Spectrum(
        component=PRESS,
        source=source,
        boot=boot,
        seq=0,
        t_ns=T0_NS + minute * MINUTE_NS,
        quantity="stress",
        cycles=np.array([[1e8, 5e7, 10.0]]).tobytes(),
    )
