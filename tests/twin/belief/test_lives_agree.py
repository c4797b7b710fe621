"""Whoever is asked for the remaining life of a part gives the same answer, at every instant."""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.twin.fakes import PRESS, House, house

HERE = f"components/{PRESS}"
WALKER = {"material": "2024-t3-walker", "crack_length": 0.01}
PLATE = {"geometry": {"kind": "plate", "W": 0.1}}
Scene = Callable[[House], Awaitable[None]]


async def answers(home: House) -> dict[str, float]:
    """The life by each who tells it; NaN: unknown, ∞: unbounded."""
    state, listed = await home.json(f"{HERE}/state"), await home.json("components?name=press")
    asked, text = await home.get(f"{HERE}/forecast"), (await home.http.get("/metrics")).text
    gauge = re.search(r'remaining_cycles\{[^}]*component="press[^}]*"0.5"\} (\S+)', text)
    page = asked.json()
    if asked.status_code == 409:
        page = {"remaining_cycles": {"0.5": None}, "remaining_cycles_is": "unknown"}
    page["remaining_cycles"] = page["remaining_cycles"]["0.5"]
    told = {"state": state, "list": listed["items"][0], "forecast": page}
    found = {name: number(page) for name, page in told.items()}
    return found | {"metric": float(gauge[1]) if gauge else math.nan}


def number(page: dict[str, object]) -> float:
    words = {"finite": page["remaining_cycles"], "unknown": math.nan, "unbounded": math.inf}
    value = words[str(page["remaining_cycles_is"])]
    assert isinstance(value, float | int)
    return float(value)


async def nothing(home: House) -> None:
    """Neither load nor inspection."""


async def inspected(home: House) -> None:
    await home.inspect(length=0.0295)


async def at_the_limit(home: House) -> None:
    await home.inspect(length=0.0305)


async def broken(home: House) -> None:
    await home.inspect(length=0.2)


async def at_a_limit_that_was_lowered(home: House) -> None:
    await home.inspect(length=0.0295)
    before = home.service.fleet.components[PRESS]
    lower_limit = before.registration.crack.model_copy(update={"crack_limit": 0.02})
    lower = before.registration.model_copy(update={"crack": lower_limit})
    await home.service.register([before.model_copy(update={"revision": 2, "registration": lower})])


async def loaded_and_at_the_limit(home: House) -> None:
    await home.load()
    await home.inspect(minute=0.5, length=0.0305)


async def loaded(home: House) -> None:
    await home.load()


async def loaded_and_inspected(home: House) -> None:
    await home.load()
    await home.inspect(minute=0.5, length=0.02)


async def loaded_without_a_range(home: House) -> None:
    await home.load(span=0.0)


async def half_a_cycle(home: House) -> None:
    await home.samples(PRESS, 0.0, 6e7)


async def one_sample(home: House) -> None:
    await home.samples(PRESS, 6e7)


@pytest.mark.parametrize(
    ("scene", "left"),
    [
        (nothing, math.nan),
        (inspected, math.nan),
        (one_sample, math.nan),
        (at_the_limit, 0.0),
        (broken, 0.0),
        (at_a_limit_that_was_lowered, 0.0),
        (loaded_and_at_the_limit, 0.0),
        (loaded_without_a_range, math.inf),
        (loaded, None),
        (loaded_and_inspected, None),
        (half_a_cycle, None),
    ],
)
@pytest.mark.parametrize("kind", [WALKER, PLATE], ids=["walker", "plate"])
async def test_all_tell_the_same_life(
    tmp_path: Path, scene: Scene, left: float | None, kind: dict[str, object]
) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS, **kind)
        await scene(home)
        found = await answers(home)
    one = found["state"]
    assert found == pytest.approx(dict.fromkeys(found, one), rel=1e-12, nan_ok=True)
    if left is None:
        assert 0.0 < one < math.inf
    else:
        assert one == pytest.approx(left, nan_ok=True)


async def test_the_forecast_of_a_part_at_its_limit_stays_where_it_is(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        await home.inspect(length=0.0305)
        page = await home.json(f"{HERE}/forecast?points=3")
    assert page["crack_length"]["0.5"] == [0.0305] * 3
    assert (page["load"], page["remaining_cycles_is"]) == ("seen", "finite")
