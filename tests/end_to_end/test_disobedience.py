"""What the hall does while its disk refuses, step by step and in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from storage.errors import UnavailableError
from storage.journal.entry import DeadLetter, Entry
from storage.journal.journal import Appended
from storage.journal.sequences import LEAD, Outcome
from tests.end_to_end.lives import NAME, inspection, observe, register, running
from twin import service
from twin.archive import archiver as archiver
from twin.belief.lines import observed
from twin.belief.segments import Line
from twin.ingest.committer import Batch
from twin.service import Service

LETTER = DeadLetter(0, f"twin/v1/{NAME}/inspection", "behind", "seq 1 is too late", b"{}")


def refusing(it: Service, monkeypatch: pytest.MonkeyPatch, refuses: Any) -> list[int]:
    """Let the journal refuse the batches for which `refuses(entries, letters)`; counts them."""
    append, refused = it.store.journal.append, []

    def stubborn(
        entries: Sequence[Entry], dead_letters: Sequence[DeadLetter] = (), *, now_ns: int
    ) -> Appended:
        if refuses(entries, dead_letters):
            refused.append(len(entries))
            raise UnavailableError("the disk does not obey")
        return append(entries, dead_letters, now_ns=now_ns)

    monkeypatch.setattr(it.store.journal, "append", stubborn)
    return refused


async def test_an_observation_counts_once_though_the_letter_beside_it_was_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state follows the journal even if only half of a parcel can be written at first."""
    async with running(tmp_path / "data") as it:
        await register(it)
        await observe(it, [LEAD + 10])
        once = iter([True])
        refused = refusing(it, monkeypatch, lambda entries, _: not entries and next(once, False))
        both = [inspection(LEAD + 11), inspection(1)]
        outcomes: asyncio.Future[Sequence[Outcome]] = asyncio.get_running_loop().create_future()
        await it.committer.send(
            Batch(
                [observed(o) for o in both],
                [Line(NAME, o) for o in both],
                letter=lambda i, _: LETTER if i == 1 else None,
                done=outcomes.set_result,
            )
        )
        assert list(await outcomes) == [Outcome.ACCEPTED, Outcome.BEHIND]
        await it.until(it.committer.end)
        assert refused == [0]
        assert it.fleet.offset == it.store.journal.end == 4
        assert len(it.store.journal.dead_letters) == 1


async def test_who_asks_and_goes_away_does_not_stop_the_commits(tmp_path: Path) -> None:
    async with running(tmp_path / "data") as it:
        await register(it)
        asking = asyncio.create_task(observe(it, [1]))
        await asyncio.sleep(0)
        asking.cancel()
        assert await observe(it, [2]) == [Outcome.ACCEPTED]


async def test_a_stop_does_not_wait_for_ever_for_a_disk_that_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not written was not acknowledged: it comes again."""
    monkeypatch.setattr(service, "FAREWELL_S", 0.1)
    async with running(tmp_path / "data") as it:
        await register(it)
        await observe(it, [1])
        refused = refusing(it, monkeypatch, lambda *_: True)
        waiting = asyncio.create_task(observe(it, [2]))
        await asyncio.sleep(0)
        assert it.committer.is_available
        end = it.store.journal.end
    waiting.cancel()
    assert refused
    async with running(tmp_path / "data") as it:
        assert it.fleet.offset == end


async def test_an_archive_that_refused_is_tried_again_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only when the next checkpoint is due, which may be minutes ahead."""
    monkeypatch.setattr(archiver, "RETRY_S", 0.0)
    async with running(tmp_path / "data") as it:
        await register(it)
        write = it.store.checkpoints.write

        def refused(*_: object) -> None:
            raise UnavailableError("the disk does not obey")

        thread = it.threads.journalling
        monkeypatch.setattr(it.archiver, "_checked_at", -1e9)  # a checkpoint is due
        monkeypatch.setattr(it.store.checkpoints, "write", refused)
        await it.archiver.keep(it.fleet, it.clock, thread)
        assert not it.archiver.is_available
        monkeypatch.setattr(it.store.checkpoints, "write", write)
        await it.archiver.keep(it.fleet, it.clock, thread)
        assert it.archiver.is_available
