"""A sequence number far above the last of its source is an event and a counter of its own."""

from __future__ import annotations

from pathlib import Path

from storage.journal.sequences import JUMP, Outcome
from tests.twin.fakes import PRESS, house
from tests.twin.ingest.test_conflicts import message, sent, value


async def test_a_jump_is_told_with_its_numbers_and_spoils_no_count(tmp_path: Path) -> None:
    far = 2**53 - 100
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        lines = [message(seq=seq) for seq in (7, far, far + 11)]
        assert await sent(home, *lines) == [Outcome.ACCEPTED] * 3
        told, _ = home.service.news.events.since(0)
        (event,) = (e for e in told if e.kind == "jump")
        known = {"source": "daq-3", "boot": 1, "last": 7, "seq": far}
        assert (event.component, event.data) == (PRESS, known)
        assert value(home, "twin_sequence_jumps_total") == 1
        assert value(home, "twin_sequence_gaps_total") == 10
        assert await sent(home, message(seq=8)) == [Outcome.ACCEPTED]
        assert value(home, "twin_sequence_gaps_filled_total") == 0
        (source,) = (await home.json(f"components/{PRESS}/sources"))["sources"]
        assert (source["missing"], source["high"]) == (10, far + 11)
        assert source["holes"][1] == [9, far - 1]
        assert far - 7 > JUMP
