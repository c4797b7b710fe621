"""Looking through the journal for images while it grows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sensors.observation import Snapshot
from storage.journal.passing import passing_over
from storage.store import Store
from tests.twin.fleets import T0
from twin.api import image_index
from twin.api.image_index import ImageIndex
from twin.belief.lines import observed

NAME = "plant/press-1"


def snapshot(seq: int) -> Snapshot:
    return Snapshot(
        component=NAME,
        source="camera",
        boot=1,
        seq=seq,
        t_ns=T0 + seq,
        sha256=f"{seq:064x}",
        kind="crack",
        media_type="image/png",
        width=96,
        height=64,
        pixel_size=1e-5,
    )


def test_a_line_that_comes_while_the_journal_is_looked_through_is_found_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was passed over for good: an image stayed unread, as far as anybody was told."""
    with Store(tmp_path / "data") as store:
        journal = store.journal
        journal.append([observed(snapshot(0))], now_ns=T0)
        passing = passing_over

        def and_then(*args: Any, **named: Any) -> Iterator[Any]:
            yield from passing(*args, **named)
            journal.append([observed(snapshot(1))], now_ns=T0)

        album = ImageIndex(journal)
        monkeypatch.setattr(image_index, "passing_over", and_then)
        assert not album.look()
        monkeypatch.undo()
        assert [picture.snapshot.seq for picture in album.of(NAME)] == [0]
        assert album.look()
        assert [picture.snapshot.seq for picture in album.of(NAME)] == [1, 0]
