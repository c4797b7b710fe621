"""A new kind takes one file and one line: a toy beside the cracks, in a process that knows it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_a_kind_beside_the_cracks_is_registered_stepped_kept_and_shown() -> None:
    beside = Path(__file__).with_name("beside.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.twin.kinds.hours", str(beside)]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
