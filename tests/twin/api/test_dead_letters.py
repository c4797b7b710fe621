"""Refused messages: the newest first, found by what they were, and readable."""

from __future__ import annotations

import base64
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from storage.journal.entry import DeadLetter
from tests.twin.fakes import PRESS, T0_NS, House, house, wanted
from tests.twin.test_one_bad_line import image
from twin.api.readable import LARGEST, SHOWN, readable
from twin.api.schema_service import Letters
from twin.archive.rebuild import rebuild
from twin.archive.verify import checked
from twin.metrics import DEAD

SECOND_NS = 10**9


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path / "data") as opened:
        yield opened


async def refuse(home: House, *letters: DeadLetter) -> None:
    journal = home.service.store.journal
    await home.service.threads.journal(lambda: journal.append((), letters, now_ns=T0_NS))


def letter(i: int, reason: str = "json", part: str = "a/b", payload: bytes = b"{") -> DeadLetter:
    at_ns = T0_NS + i * SECOND_NS
    return DeadLetter(at_ns, f"twin/v1/{part}/load", reason, f"sentence {i}", payload)


async def sentences(home: House, query: str = "") -> list[str]:
    """Those of all pages."""
    told: list[str] = []
    way = "after" if "order=asc" in query else "before"
    following = ""
    while True:
        page = Letters.model_validate(await home.json(f"dead-letters?{query}{following}"))
        told += [item.sentence.removeprefix("sentence ") for item in page.items]
        if page.next is None:
            return told
        following = f"&{way}={page.next}"


async def test_the_newest_come_first_and_pages_join(home: House) -> None:
    await refuse(home, *(letter(i) for i in range(7)))
    assert await sentences(home) == list("6543210")
    assert await sentences(home, "limit=2") == list("6543210")
    assert await sentences(home, "limit=7") == list("6543210")
    assert await sentences(home, "limit=3&order=asc") == list("0123456")
    assert await sentences(home, "after=3&before=6") == list("43")


async def test_letters_are_found_by_reason_component_and_time(home: House) -> None:
    await refuse(
        home,
        *(letter(i, "unit" if i % 2 else "json", "a/b" if i < 4 else "a/bb") for i in range(8)),
        DeadLetter(T0_NS + 8 * SECOND_NS, "other/a/b", "topic", "sentence 8", b""),
    )
    assert await sentences(home, "reason=unit") == list("7531")
    assert await sentences(home, "reason=unit&limit=1") == list("7531")
    assert await sentences(home, "component=a/b") == list("83210")
    assert await sentences(home, "component=a/b&reason=unit") == list("31")
    assert await sentences(home, "component=b/a") == []
    span = "from=2026-01-01T00:00:02Z&to=2026-01-01T00:00:05Z"
    assert await sentences(home, span) == list("432")
    assert await sentences(home, f"{span}&order=asc&limit=1") == list("234")
    page = Letters.model_validate(await home.json("dead-letters?reason=unit&limit=1"))
    assert (page.total, page.counts) == (9, {"json": 4, "unit": 4, "topic": 1})


async def test_filters_that_no_letter_can_match_are_refused(home: House) -> None:
    refusals = {}
    for query in ("reason=nope", "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "before=0",
                  "after=7&before=7"):  # fmt: skip
        answer = await home.get(f"dead-letters?{query}")
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid"), query
        refusals[query] = answer.json()["detail"]
    assert refusals["reason=nope"].startswith("reason is 'nope': it must be one of ")
    assert all(reason in refusals["reason=nope"] for reason in DEAD)
    assert "is not after from 2026-01-02T00:00:00Z" in str(refusals)
    for reason in DEAD:  # of which there are none, which is an answer
        assert (await home.json(f"dead-letters?reason={reason}"))["items"] == []


async def test_a_reason_of_an_older_release_is_found_all_the_same(home: House) -> None:
    await refuse(home, letter(0, "of-old"))
    assert await sentences(home, "reason=of-old") == ["0"]


async def test_only_so_much_is_looked_through_for_a_page(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twin.api.dead_letters.SLICE", 2)
    monkeypatch.setattr("twin.api.dead_letters.LOOKED", 4)
    await refuse(home, *(letter(i, part="a/b" if i == 0 else "c/d") for i in range(9)))
    first = Letters.model_validate(await home.json("dead-letters?component=a/b"))
    assert (first.items, first.next) == ([], 6)
    assert await sentences(home, "component=a/b") == ["0"]
    assert await sentences(home, "component=c/d&order=asc") == list("12345678")


async def test_large_letters_are_read_a_few_at_a_time(home: House) -> None:
    kept = home.service.store.journal.dead_letters
    await refuse(home, *(letter(i, payload=b"x" * 1000) for i in range(5)))
    few = kept.list(most_bytes=2500)
    assert [one.letter.sentence for one in few] == ["sentence 0", "sentence 1"]
    assert len(kept.list(most_bytes=1)) == 1
    newest = kept.list(2, newest_first=True)
    assert [one.letter.sentence for one in newest] == ["sentence 4", "sentence 3"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("component=A", "component is 'A': it must be site/component"),
        ("from=yesterday", "from"),
        ("order=new", "order is 'new': it must be asc or desc"),
        ("after=-1", "after is '-1': it must be at least 0"),
        (f"before={2**63}", "it must be at most"),
        (f"reason={'x' * 65}", "at most 64 characters"),
        ("cursor=1", "query parameter 'cursor' is unknown"),
    ],
)
async def test_what_cannot_be_looked_for_is_told(home: House, query: str, words: str) -> None:
    answer = await home.get(f"dead-letters?{query}")
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


async def test_a_letter_is_readable_beside_its_bytes(home: House) -> None:
    packed = msgspec.msgpack.encode({"unit": "furlong", "cycles": [[1.0, 2.0, 3]]})
    await refuse(home, letter(0, payload=packed), letter(1, payload=b'{"unit": "furlong"'))
    text, binary = (await home.json("dead-letters"))["items"]
    assert (text["decoded_as"], text["decoded"]) == ("json", '{"unit": "furlong"')
    assert binary["decoded_as"] == "msgpack"  # nobody said so: that is why it was refused
    assert json.loads(binary["decoded"]) == {"unit": "furlong", "cycles": [[1.0, 2.0, 3]]}
    assert base64.b64decode(binary["payload"]) == packed


@pytest.mark.parametrize(
    ("payload", "kind", "form"),
    [
        (b'{"a": 1}', "", "json"),
        (b"hello", "application/json", "text"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\xff", "image/png", None),
        (b"", "", None),
        (msgspec.msgpack.encode({1: b"\x00" * 9, "b": float("nan")}), "", "msgpack"),
        (msgspec.msgpack.encode({"a": 1}), "application/msgpack", "msgpack"),
        (b'{"a": 1}', "application/msgpack", "json"),
        (b"\x91" * 100_000, "application/msgpack", None),
        (b"[" * 100_000, "application/json", "json"),
        ("ü".encode() * 50_000, "application/json", "text"),
        (b"x" + "ü".encode() * 50_000, "application/json", "text"),
        (b"\xff" * 50_000, "application/json", None),
        (b"a\x00\x1b[31m\n", "", "text"),
        (msgspec.msgpack.encode(["x" * (LARGEST + 1)]), "application/msgpack", None),
    ],
)
def test_whatever_a_payload_holds_it_is_shown_short_or_not_at_all(
    payload: bytes, kind: str, form: Any
) -> None:
    found = readable(payload, kind)
    assert found.form == form
    if found.text is None:
        assert form is None
    else:
        assert len(found.text) <= SHOWN
        assert found.text.replace("\n", "").isprintable()
        found.text.encode()


async def test_what_is_not_whole_is_not_submitted_again_and_its_key_stays_free(
    tmp_path: Path,
) -> None:
    """The cut image was recorded; the camera's own second try was a duplicate after that."""
    data, whole = tmp_path / "data", image((1 << 20) + 1)
    fits = image(1 << 20, seq="2")
    async with house(data) as home:
        dead = home.service.inbox.parcel([whole, fits], lambda: None).dead
        assert [found.reason for found in dead] == ["component", "component"]
        await refuse(home, *dead)
    rebuild(wanted(data), data, None)  # which copies the letters
    async with house(data) as home:
        await home.register(PRESS)
        answer = await home.http.post("/api/v1/dead-letters/1/resubmit")
        assert answer.status_code == 422
        assert "of dead letter 1 only 1048576 of 1048577 bytes are kept" in answer.text
        items = (await home.json("dead-letters?order=asc"))["items"]
        assert [(item["payload_bytes"], item["whole"]) for item in items] == [
            (1048577, False),
            (1048576, True),
        ]
        assert len(home.service.store.images) == 0
        parcel = home.service.inbox.parcel([whole], lambda: None)
        outcomes = await home.service.committer.outcomes(parcel.entries, parcel.lines)
        assert [outcome.value for outcome in outcomes] == ["accepted"]
        answer = await home.http.post("/api/v1/dead-letters/2/resubmit")
        assert (answer.status_code, answer.json()["outcome"]) == (200, "accepted")


async def test_a_stray_that_is_submitted_twice_is_refused_twice(home: House) -> None:
    """The second time it was no news, and nothing was there to be judged."""
    await refuse(home, DeadLetter(T0_NS, "twin/v1/a/b/lod", "topic", "sentence", b"{}"))
    for _ in range(2):
        answer = await home.http.post("/api/v1/dead-letters/1/resubmit")
        assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("order", ["desc", "asc"])
async def test_damaged_letters_are_named_and_hide_no_others(home: House, order: str) -> None:
    await refuse(home, *(letter(i) for i in range(7)))
    with contextlib.closing(sqlite3.connect(home.service.store.directory / "journal.sqlite")) as it:
        it.execute("UPDATE letters SET crc32 = crc32 + 1 WHERE id IN (2, 6, 7)")
        it.commit()
    whole, damaged = ["4", "3", "2", "0"], list[int]()
    assert await sentences(home, f"order={order}") == (whole if order == "desc" else whole[::-1])
    assert await sentences(home, f"order={order}&limit=2") == (
        whole if order == "desc" else whole[::-1]
    )
    way, following = ("after" if order == "asc" else "before"), ""
    while True:
        page = await home.json(f"dead-letters?limit=2&order={order}{following}")
        damaged += page["damaged"]
        if page["next"] is None:
            break
        following = f"&{way}={page['next']}"
    assert sorted(damaged) == [2, 6, 7]


@pytest.mark.parametrize(
    "damage",
    [
        "reason = 'jsoo'",
        "reason = CAST(x'ea736f6e' AS TEXT)",
        "size = -1",
        "size = CAST(x'ff' AS TEXT)",
        "body = CAST(body AS TEXT)",
    ],
)
@pytest.mark.parametrize("query", ["", "?reason=json", "?order=asc"])
async def test_whatever_is_damaged_in_a_letter_it_is_named(
    home: House, damage: str, query: str
) -> None:
    await refuse(home, *(letter(i) for i in range(3)))
    with contextlib.closing(sqlite3.connect(home.service.store.directory / "journal.sqlite")) as it:
        it.execute(f"UPDATE letters SET {damage} WHERE id = 2")
        it.commit()
    page = await home.json(f"dead-letters{query}")
    assert sorted(item["id"] for item in page["items"]) == [1, 3]
    assert page["damaged"] == [2]
    assert set(page["counts"]) == {"json"}
    answer = await home.http.post("/api/v1/dead-letters/2/resubmit")
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/damaged")
    assert "dead letter 2 is not as it was written" in answer.text


async def test_a_damaged_count_of_refused_messages_ends_no_service(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await refuse(home, *(letter(i) for i in range(3)))
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "journal.sqlite")) as it:
        it.execute("UPDATE sqlite_sequence SET seq = 1")
        it.commit()
    assert (
        "number of the last refused message is damaged" in checked(tmp_path / "data")["problems"][0]
    )
    async with house(tmp_path / "data") as home:
        await refuse(home, letter(3))
        assert await sentences(home) == list("3210")
