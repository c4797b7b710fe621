"""One directory, one process."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from storage.durable import disk
from storage.errors import CorruptError, StorageError, UnavailableError
from storage.journal.catalogue import Checkpoint
from storage.store import Store
from storage.trajectories.layout import Field
from tests.storage.conftest import NOW, entry

ROOT = Path(__file__).parents[2]


def test_a_store_is_laid_out_as_documented(tmp_path: Path) -> None:
    with Store(tmp_path / "data") as store:
        store.journal.append([entry(1)], now_ns=NOW)
        store.trajectories.open_group("crack", [Field("crack_length", "m", "crack length")])
    names = {path.name for path in (tmp_path / "data").iterdir()}
    assert names == {
        *("journal.sqlite", "trajectories.zarr", "images", "checkpoints"),
        *("layout", "lock", "journal.mark", "copies"),
    }


def test_two_processes_cannot_share_a_directory(tmp_path: Path) -> None:
    command = "import sys; from pathlib import Path; from storage.store import Store\n"
    command += "Store(Path(sys.argv[1]))"
    with Store(tmp_path):
        with pytest.raises(UnavailableError, match="another process"):
            Store(tmp_path)
        other = subprocess.run(
            [sys.executable, "-c", command, str(tmp_path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert f"InUseError: another process uses {tmp_path}" in other.stderr
    Store(tmp_path).close()


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.close()
    store.close()


def test_a_lost_journal_is_reported_and_not_made_anew(tmp_path: Path) -> None:
    Store(tmp_path).close()
    (tmp_path / "journal.sqlite").unlink()
    for _ in range(2):
        with pytest.raises(CorruptError, match=r"journal\.sqlite is gone"):
            Store(tmp_path)


def test_a_layout_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    Store(tmp_path).close()
    (tmp_path / "layout").write_text("2\n")
    with pytest.raises(StorageError, match="layout 2"):
        Store(tmp_path)


@pytest.mark.parametrize("text", ["0\n", "", "one", "3\n", None])
def test_a_damaged_layout_is_told_and_written_again(tmp_path: Path, text: str | None) -> None:
    """The journal says as well what the layout is: 3 is one bit off, and not a newer release."""
    Store(tmp_path).close()
    (tmp_path / "layout").unlink()
    if text is not None:
        (tmp_path / "layout").write_text(text)
    with Store(tmp_path) as store:
        assert [told for told in store.damage if str(tmp_path / "layout") in told]
    with Store(tmp_path) as store:
        assert store.damage == []


def test_only_the_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        for offset in (1, 2, 3):
            file = store.checkpoints.write(f"c-{offset}", {"a": np.zeros(2)})
            store.journal.catalogue.put_checkpoint(
                Checkpoint(file.name, offset, {}, file.sha256, file.size, NOW, durable=True)
            )
        assert store.keep_checkpoints(2) == ["c-1"]
        assert [kept.name for kept in store.journal.catalogue.checkpoints()] == ["c-3", "c-2"]
        assert store.verify() == []
        (tmp_path / "checkpoints" / "c-2.safetensors").unlink()
        assert store.verify() == ["there is no checkpoint 'c-2'"]


def test_what_was_moved_away_in_use_is_not_begun_anew_in_its_old_place(tmp_path: Path) -> None:
    data, moved = tmp_path / "data", tmp_path / "moved"
    times, columns = np.array([1, 2]), {"cycles": np.ones((2, 1))}
    with Store(data) as store:
        store.trajectories.open_group("crack", [Field("cycles", "1", "cycles")])
        data.rename(moved)
        for work in (
            lambda: store.trajectories.write("crack", 0, times, ["a"], columns),
            lambda: store.images.put(b"image"),
            lambda: store.images.lend(b"another", 0),
            lambda: store.checkpoints.write("1", {"x": np.ones(1)}),
            lambda: store.aside(2),
            lambda: store.set_group_aside("crack"),
            lambda: store.journal.append([entry(0)], now_ns=NOW),
        ):
            with pytest.raises(UnavailableError):
                work()
            assert not data.exists()
        moved.rename(data)
        assert store.trajectories.write("crack", 0, times, ["a"], columns) == 2
        store.images.put(b"image")
        store.journal.append([entry(0)], now_ns=NOW)
        assert store.verify() == []


def test_what_the_disk_reports_is_told_in_plain_words() -> None:
    with pytest.raises(UnavailableError) as told, disk():
        raise OSError(errno.ENOSPC, "No space left on device", "journal.mark")
    said = "the disk reports an error: No space left on device: journal.mark"
    assert str(told.value) == said
