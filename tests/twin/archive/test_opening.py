"""At every moment of a swap there is one truth, and an empty place is never a fresh twin."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from storage import swapping
from storage.errors import CorruptError
from storage.store import Store
from tests.storage.conftest import entry
from tests.twin.archive.test_rebuild import chosen, fill
from tests.twin.fleets import T0, spectrum
from twin.archive.opening import mark, opened
from twin.archive.rebuild import rebuild
from twin.archive.verify import checked
from twin.belief.lines import observed
from twin.errors import SettingsError
from twin.settings import StorageTable

LINES = 12


class PowerCutError(Exception):
    """The machine is off."""


def table(directory: Path, **changes: bool) -> StorageTable:
    return StorageTable(directory=directory, **changes)


@pytest.mark.parametrize("step", range(7))
def test_a_rebuild_that_is_cut_off_at_any_step_is_finished_or_void(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Wherever the power fails, the next start finds all lines, and the next rebuild goes on."""
    data = tmp_path / "data"
    fill(data, [10, 0, 1, 4, 2, 3, 5, 9, 6, 8, 7])
    steps = iter(range(100))
    with monkeypatch.context() as patch:
        for owner, name in (
            (Path, "rename"),
            (swapping, "sync_directory"),
            (swapping, "write_whole"),
            (Path, "unlink"),
        ):
            _cut_at(patch, owner, name, steps, step)
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(PowerCutError):
            rebuild(chosen(), data, None)
    with opened(table(data)) as store:
        assert store.journal.end == LINES
        assert not (data / swapping.MARK).exists()
        store.journal.append([observed(spectrum(50, 3e3).what)], now_ns=T0)  # type: ignore[arg-type]
    shutil.rmtree(tmp_path / "data.rebuilding", ignore_errors=True)
    assert rebuild(chosen(), data, None)["lines"] == LINES + 1


def _cut_at(patch: pytest.MonkeyPatch, owner: object, name: str, steps: object, at: int) -> None:
    whole = getattr(owner, name)

    def cut(self: Path, *args: object, **named: object) -> object:
        is_ours = "data" in Path(self).name or Path(self).name == swapping.MARK or owner is swapping
        if is_ours and next(steps) == at:  # type: ignore[call-overload]
            raise PowerCutError
        return whole(self, *args, **named)

    patch.setattr(owner, name, cut)


def test_a_void_rebuild_never_takes_the_place_later(tmp_path: Path) -> None:
    data = tmp_path / "data"
    fill(data, [0, 1])
    shutil.copytree(data, tmp_path / "data.rebuilding")
    (tmp_path / "data.rebuilding" / swapping.MARK).touch()
    with opened(table(data)) as store:
        store.journal.append([entry(1)], now_ns=0)
    shutil.rmtree(data)
    with pytest.raises(SettingsError, match=r"holds no store, but .*rebuilding does"):
        opened(table(data))


@pytest.mark.parametrize("is_there", [True, False])
def test_an_empty_place_where_a_store_was_is_refused(tmp_path: Path, is_there: bool) -> None:
    data = tmp_path / "data"
    opened(table(data)).close()
    shutil.move(data, tmp_path / "elsewhere")
    if is_there:
        data.mkdir()
    with pytest.raises(SettingsError, match="is its disk not mounted"):
        opened(table(data))
    with pytest.raises(SettingsError, match="is its disk not mounted"):
        checked(data)
    assert not data.exists() or not any(data.iterdir())
    mark(data).unlink()
    opened(table(data)).close()


def test_a_setting_tells_the_same_where_the_mark_is_lost_with_the_disk(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"storage\.expect_store"):
        opened(table(tmp_path / "data", expect_store=True))
    opened(table(tmp_path / "data")).close()
    opened(table(tmp_path / "data", expect_store=True)).close()


def test_a_store_put_aside_is_named_with_the_command_that_brings_it_back(tmp_path: Path) -> None:
    data, aside = tmp_path / "data", tmp_path / "data.before-17"
    fill(aside, [0])
    with pytest.raises(SettingsError, match=f"mv {aside} {data} brings it back"):
        opened(table(data))
    with pytest.raises(SettingsError, match=f"mv {aside} {data}"):
        checked(data)
    os.rename(aside, data)
    opened(table(data)).close()


def test_a_store_without_its_journal_is_not_begun_anew(tmp_path: Path) -> None:
    data = tmp_path / "data"
    opened(table(data)).close()
    for name in ("journal.sqlite", "layout"):
        (data / name).unlink()
    with pytest.raises(CorruptError, match=r"journal\.sqlite is gone.*is left"):
        Store(data)


def test_a_place_where_a_disk_is_mounted_is_not_swapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "data", [0])
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == tmp_path / "data")
    with pytest.raises(SettingsError, match="rebuild with --out"):
        rebuild(chosen(), tmp_path / "data", None)
