"""What has the name of a store is whole, though its making was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from storage.store import Store
from tests.twin.archive.test_rebuild import chosen, fill
from twin.archive.aside import UNFINISHED, made_aside, take_place
from twin.archive.rebuild import rebuild
from twin.archive.salvage import salvaged
from twin.archive.verify import checked
from twin.errors import SettingsError

KILLED = """
import os, sys
from pathlib import Path
import {module} as module
def killed(*_):
    os.kill(os.getpid(), 9)
module.{late} = killed
from tests.twin.archive.test_rebuild import chosen
data, out = map(Path, sys.argv[1:])
{call}
"""


@pytest.mark.parametrize(
    ("module", "late", "call"),
    [
        ("twin.archive.salvage", "_images", "module.salvaged(data, out)"),
        ("twin.archive.rebuild", "_copy_rest", "module.rebuild(chosen(), data, out)"),
    ],
)
def test_a_store_whose_making_was_killed_does_not_have_its_name(
    tmp_path: Path, module: str, late: str, call: str
) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    fill(data, list(range(11)))
    code = KILLED.format(module=module, late=late, call=call)
    done = subprocess.run([sys.executable, "-c", code, str(data), str(out)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not out.exists()
    assert (tmp_path / f"out{UNFINISHED}" / "journal.sqlite").exists()
    again = (
        salvaged(data, out) if module == "twin.archive.salvage" else rebuild(chosen(), data, out)
    )
    assert again["store"] == str(out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "out"]
    assert checked(out)["problems"] == []
    with Store(out) as store:
        assert store.journal.end == 12


def test_what_fails_leaves_nothing_and_an_empty_directory_is_taken(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(ZeroDivisionError), made_aside(out):
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    with made_aside(out) as aside:
        with pytest.raises(SettingsError, match="another command is just making"), made_aside(out):
            pass
        (aside / "file").touch()
        take_place(aside, out)
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "file"]
