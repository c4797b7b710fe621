"""A demo deletes nothing but what is its own, and says so."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from storage.store import Store
from twin.commands.demo import directory
from twin.errors import SettingsError


def console() -> Console:
    return Console(file=io.StringIO(), width=500)


def said(it: Console) -> str:
    file = it.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_a_temporary_directory_goes_and_that_is_told() -> None:
    it = console()
    with directory(None, it) as where:
        assert where.is_dir()
    assert not where.exists()
    assert f"deleting {where}" in said(it)


def test_a_named_directory_stays(tmp_path: Path) -> None:
    for _ in range(2):
        it = console()
        with directory(tmp_path / "demo", it) as where, Store(where):
            pass
        assert (where / "journal.sqlite").exists()
        assert f"kept {where}" in said(it)


def test_the_data_of_a_real_twin_are_refused(tmp_path: Path) -> None:
    with Store(tmp_path):
        pass
    before = sorted(tmp_path.iterdir())
    refused = pytest.raises(SettingsError, match="a twin that is no demo")
    with refused, directory(tmp_path, console()):
        pass
    assert sorted(tmp_path.iterdir()) == before
