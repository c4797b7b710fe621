"""Everything that clients do at once, and kills among it: what was promised is there, once."""

from __future__ import annotations

from pathlib import Path

from tests.end_to_end.mixed_kills import mixed


def test_whatever_clients_do_is_there_once_after_kills_of_services_and_rebuilds(
    tmp_path: Path,
) -> None:
    found = mixed(tmp_path, kills=2, seed=0, moments=("rebuilding", "starting"))
    table = found.table
    assert table["faults"] == []
    assert table["damage"] == []
    assert table["kills"] == {"rebuilding": 1, "starting": 1}
    assert table["rebuilds"]["killed"] + table["rebuilds"]["finished"] == 1
    for what in ("inspections_by_http", "registrations_by_http", "images", "letters_judged_again"):
        assert table[what] > 0, what
    assert table["answers_held_against_a_fold"] > 0
