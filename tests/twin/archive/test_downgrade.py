"""What an earlier release says of a store into which a later one has written: one sentence."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from storage.errors import StorageError
from storage.store import JOURNAL, Store
from storage.trajectories.layout import DOCUMENT, group_document, group_parts
from tests.twin.archive.test_backup import Hall
from tests.twin.belief.test_fold import assert_same
from tests.twin.fleets import CLOCK, T0, component
from twin.archive import checkpoint, release
from twin.archive.recovery import recovered
from twin.belief.lines import registration
from twin.errors import TwinError
from twin.kinds.crack_fields import GROUP


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("made") / "data"
    with Store(directory) as store:
        hall = Hall(store)
        hall.minutes(10)
        hall.checkpoint()
    return directory


@pytest.fixture
def data(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "data")
    return tmp_path / "data"


def later_directory(data: Path) -> None:
    with Store(data) as store:
        store.journal.catalogue.put_layout(9)


def later_tables(data: Path) -> None:
    connection = sqlite3.connect(data / JOURNAL)
    connection.execute("PRAGMA user_version = 9")
    connection.close()


def later_trajectory(data: Path) -> None:
    path = data / "trajectories.zarr" / GROUP / DOCUMENT
    attributes, arrays = group_parts(path.read_bytes(), GROUP)
    path.write_bytes(group_document(attributes | {"layout": 9}, arrays))


@pytest.mark.parametrize("change", [later_directory, later_tables, later_trajectory])
def test_a_later_layout_is_refused_and_left_as_it_is(
    data: Path, change: Callable[[Path], None]
) -> None:
    change(data)
    with pytest.raises(StorageError, match=r"layout 9, this program reads"), Store(data) as store:
        recovered(store, CLOCK)
    with pytest.raises(StorageError, match=r"layout 9, this program reads"), Store(data) as store:
        recovered(store, CLOCK)


def test_a_line_of_a_later_release_names_the_release_to_run(data: Path) -> None:
    entry = registration(component("plant/new"), T0)
    body = json.loads(entry.body)
    body["registration"]["a_law_that_comes_later"] = {"kind": "unheard_of"}
    later = msgspec.structs.replace(entry, body=json.dumps(body).encode())
    with Store(data) as store:
        store.journal.append([later], now_ns=T0)
        (data / release.FILE).write_text("9.9.0\n")
        with pytest.raises(TwinError, match=r"release 9\.9\.0 has written here.*run 9\.9\.0"):
            recovered(store, CLOCK)
        assert store.verify() == []


def test_a_checkpoint_of_a_later_format_is_passed_over_and_the_journal_folded(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(data) as store:
        expected = recovered(store, CLOCK)
    monkeypatch.setattr(checkpoint, "FORMAT", checkpoint.FORMAT - 1)  # we are the earlier release
    with Store(data) as store:
        found = recovered(store, CLOCK)
        assert (found.replayed, found.damage) == (store.journal.end, [])
        assert_same(found.fleet, expected.fleet)
