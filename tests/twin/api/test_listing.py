"""The list of components: counts, order, and pages that leave nothing out."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

from tests.twin.fakes import REGISTRATION, House, house
from twin.api.listing import SORTS, Wanted, listed
from twin.api.schema import Items
from twin.belief.status import SEVERITY, STATUSES, WORST_FIRST
from twin.component import Component, parsed

SEEN_S = 1e9  # how long evidence of 2026 stays fresh


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    """One part of each status, and seven more that are new."""
    async with house(tmp_path / "data") as opened:
        await opened.register(*(f"lab/new-{i}" for i in range(7)))
        await opened.register("mill/ok", "mill/limit", "mill/broken", stale_after_s=SEEN_S)
        await opened.register("mill/stale", "mill/retired")
        await opened.load("mill/ok")
        await opened.load("mill/ok", minute=2)
        await opened.load("mill/stale", minute=1)
        await opened.inspect("mill/limit", minute=3, length=0.031)
        await opened.inspect("mill/broken", minute=4, length=0.2)
        path = "/api/v1/components/mill/retired"
        assert (await opened.http.delete(path, headers={"If-Match": '"1"'})).status_code == 204
        yield opened


async def pages(home: House, query: str, limit: int = 1) -> list[dict[str, Any]]:
    """The items of all pages; each page says the same of the whole."""
    items: list[dict[str, Any]] = []
    cursor, whole = "", None
    while True:
        page = await home.json(f"components?limit={limit}&{query}{cursor}")
        Items.model_validate(page)
        assert len(page["items"]) <= limit
        assert whole in (None, (page["total"], page["counts"]))
        whole = (page["total"], page["counts"])
        items += page["items"]
        if page["next"] is None:
            assert len(items) == page["total"]
            return items
        cursor = f"&cursor={quote(page['next'])}"


def names(items: list[dict[str, Any]]) -> list[str]:
    return [item["component"] for item in items]


def test_every_status_has_its_place() -> None:
    assert sorted(WORST_FIRST) == sorted(STATUSES)
    assert [STATUSES[i] for i in np.argsort(SEVERITY)] == list(WORST_FIRST)


async def test_the_counts_are_of_all_and_the_total_of_what_is_asked_for(home: House) -> None:
    everything = {"retired": 1, "fractured": 1, "limit": 1, "new": 7, "stale": 1, "ok": 1}
    page = await home.json("components?limit=1")
    assert (page["total"], page["counts"]) == (11, everything)
    page = await home.json("components?status=limit&limit=1")
    assert (page["total"], page["counts"]) == (1, everything)
    page = await home.json("components?site=lab&status=limit")
    assert (page["total"], page["counts"]["new"], page["counts"]["limit"]) == (0, 7, 0)
    page = await home.json("components?name=ILL/L")
    assert names(page["items"]) == ["mill/limit"]
    assert sum(page["counts"].values()) == 1


@pytest.mark.parametrize("query", ["status=limit,fractured", "status=limit&status=fractured"])
async def test_several_statuses_are_asked_for_at_once(home: House, query: str) -> None:
    assert names(await pages(home, query)) == ["mill/broken", "mill/limit"]
    assert names(await pages(home, f"{query},retired")) == [
        *("mill/broken", "mill/limit", "mill/retired"),
    ]


@pytest.fixture
async def doubts(tmp_path: Path) -> AsyncIterator[House]:
    """A part whose inspection is held, one whose gauge is doubtful, one with late evidence."""
    async with house(tmp_path / "data", ingest={"backfill_behind_s": 60.0}) as opened:
        await opened.register("lab/held", surprise_factor=5.0)
        await opened.register("lab/doubtful", "lab/late", "lab/sound", "lab/gone")
        await opened.register("lab/outside", material="2024-t3-paris", surprise_factor=5.0)
        await opened.inspect("lab/held", length=0.08)
        await opened.samples("lab/outside", *[1e8, 9.5e7] * 20)
        for minute in (1.0, 2.0):
            await opened.load("lab/sound", minute=minute)
        await opened.load("lab/doubtful", minute=2.0, span=1e11)
        await opened.load("lab/late", minute=-60.0)
        await opened.load("lab/gone", minute=2.0, span=1e11)
        path = "/api/v1/components/lab/gone"
        assert (await opened.http.delete(path, headers={"If-Match": '"1"'})).status_code == 204
        yield opened


async def test_a_list_says_of_each_part_what_its_own_page_says(doubts: House) -> None:
    for item in (await doubts.json("components"))["items"]:
        state = await doubts.json(f"components/{item['component']}/state")
        shared = item.keys() - {"revision", "last_evidence"}  # one number of decimals for all
        assert {name: item[name] for name in shared} == {name: state[name] for name in shared}
        assert {"held", "quality", "outside", "history_is"} <= shared
        assert bool(item["outside"]) == (item["component"] == "lab/outside")


async def test_what_is_held_or_doubtful_or_behind_is_counted_and_found(doubts: House) -> None:
    for query, found in (
        ("flag=held", ["lab/held"]),
        ("flag=doubtful", ["lab/doubtful"]),
        ("flag=behind", ["lab/late"]),
        ("flag=held,doubtful&status=new,ok,stale", ["lab/doubtful", "lab/held"]),
        ("flag=held&flag=behind", ["lab/held", "lab/late"]),
        ("flag=held&status=limit", []),
        ("flag=doubtful&status=retired", []),
    ):
        page = await doubts.json(f"components?{query}")
        Items.model_validate(page)
        assert (names(page["items"]), page["total"]) == (found, len(found)), query
        assert page["flagged"] == {"held": 1, "doubtful": 1, "behind": 1}
    (item,) = (await doubts.json("components?flag=held"))["items"]
    assert (item["status"], item["held"]["crack_length"]) == ("new", 0.08)
    (item,) = (await doubts.json("components?flag=doubtful"))["items"]
    assert (item["quality"]["reasons"], item["quality"]["set_aside"]) == (["range"], 1)
    page = await doubts.json("components?site=mill")
    assert page["flagged"] == {"held": 0, "doubtful": 0, "behind": 0}


async def test_the_worst_come_first(home: House) -> None:
    found = names(await pages(home, "sort=status"))
    assert found[:3] == ["mill/broken", "mill/limit", "mill/stale"]
    assert found[3:] == [*(f"lab/new-{i}" for i in range(7)), "mill/ok"]
    last_first = names(await pages(home, "sort=status&order=desc"))
    assert last_first[0] == "mill/ok"
    assert last_first[-2:] == ["mill/limit", "mill/broken"]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("sort", SORTS)
async def test_pages_leave_nothing_out_and_tell_nothing_twice(
    home: House, sort: str, order: str
) -> None:
    whole = await home.json(f"components?sort={sort}&order={order}&limit=1000")
    assert whole["next"] is None
    for limit in (1, 3):
        assert await pages(home, f"sort={sort}&order={order}", limit) == whole["items"]
    if sort in ("crack_length", "remaining_cycles"):
        values = [i[sort] for i in whole["items"] if i["remaining_cycles_is"] != "unbounded"]
        known = [value for value in values if value is not None]
        assert known == sorted(known, reverse=order == "desc")
        assert values == [*known, *[None] * (len(values) - len(known))]
    if sort == "name":
        assert names(whole["items"]) == sorted(names(whole["items"]), reverse=order == "desc")


async def test_a_part_that_joins_or_goes_between_two_pages_moves_no_other(home: House) -> None:
    first = await home.json("components?sort=margin&limit=4")
    await home.register("lab/new-00", "mill/zz")
    gone = first["items"][-1]["component"]  # the cursor's own
    path = f"/api/v1/components/{gone}"
    assert (await home.http.delete(path, headers={"If-Match": '"1"'})).status_code == 204
    rest = await home.json(f"components?sort=margin&cursor={first['next']}")
    assert not set(names(first["items"])) & set(names(rest["items"]))
    before = {f"lab/new-{i}" for i in range(7)} | {"mill/ok", "mill/stale", "mill/limit"}
    assert before <= set(names(first["items"])) | set(names(rest["items"]))


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("cursor=x", "no list gave it"),
        ("cursor=", "no list gave it"),
        ("cursor=é", "no list gave it"),
        ("sort=margin&cursor=lab/new-1", "no list gave it"),
        ("sort=margin&order=desc&cursor=CURSOR", "it belongs to a list by 'margin' ('asc')"),
        ("sort=status&cursor=CURSOR", "this one is by status (asc)"),
        ("sort=colour", "sort is 'colour': it must be one of name, status"),
        ("order=up", "order is 'up': it must be asc or desc"),
        ("status=ok,banana", "status is 'banana': it must be one of"),
        ("status=ok,", "status is '': it must be one of"),
        ("flag=broken", "flag is 'broken': it must be one of held, doubtful or behind"),
        (f"name={'x' * 128}", "at most 127 characters"),
    ],
)
async def test_what_is_no_order_and_no_cursor_is_told(home: House, query: str, words: str) -> None:
    cursor = (await home.json("components?sort=margin&limit=1"))["next"]
    answer = await home.get(f"components?{query.replace('CURSOR', cursor)}")
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


async def test_one_at_its_limit_among_six_thousand_is_counted_and_first(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        registration = parsed({**REGISTRATION, "stale_after_s": SEEN_S})
        parts = [
            Component(
                name=f"hall/part-{i:05}", revision=1, registered_by="api", registration=registration
            )
            for i in range(6000)
        ]
        await home.service.register(parts)
        await home.inspect("hall/part-05999", length=0.0301)
        page = await home.json("components?sort=status&limit=100")
        assert (page["total"], page["counts"]["limit"], page["counts"]["new"]) == (6000, 1, 5999)
        assert page["items"][0]["component"] == "hall/part-05999"
        state = await home.json("components/hall/part-05999/state")
        assert state["status"] == page["items"][0]["status"] == "limit"
        overview, wanted = _overview(home), Wanted(sort="status")
        began = time.perf_counter()
        for _ in range(20):
            listed(overview, wanted, time.time_ns())
        assert (time.perf_counter() - began) / 20 < 0.05  # measured: 1 ms


def _overview(home: House) -> Any:
    from twin.belief.overview import Views

    return Views().overview(home.service.fleet)
