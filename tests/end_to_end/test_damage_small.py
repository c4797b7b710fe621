"""Every class of file, damaged a few times: nothing is silently wrong, no start without a remedy.

`python -m tests.end_to_end.damage --count 3000` does more of it.
"""

from __future__ import annotations

from pathlib import Path

from tests.end_to_end.damage import fuzzed
from twin.ingest import image_worker as reading


async def test_damage_of_every_kind_is_found_told_and_overcome(tmp_path: Path) -> None:
    reader = reading.default_reader
    try:
        table = await fuzzed(tmp_path, 30, seed=11, say=lambda _: None)
    finally:
        reading.default_reader = reader
    assert [f"{o.verdict} {o.what}: {o.why}" for o in table.faults] == []
    assert {o.verdict for o in table.outcomes} >= {"rebuilt", "quarantined"}
    assert len({o.place for o in table.outcomes}) >= 8
