"""What a newcomer runs first."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.brokers import free_port
from twin.commands.client import ask

STATE = "/api/v1/components/plant-a/press-01/state"


def answered(url: str, within_s: float) -> dict[str, Any]:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            state: dict[str, Any] = ask(url, STATE)
        except Exception as exc:
            last: Exception = exc
            time.sleep(0.2)
        else:
            return state
    raise AssertionError(f"no answer within {within_s} s: {last}")


def test_the_demo_answers_soon_and_shows_a_growing_crack(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        sys.executable,
        "-m",
        "twin.commands.cli",
        "demo",
        "--duration",
        "60",
        "--port",
        str(port),
    ]
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(
            [*command, "--data-dir", str(tmp_path / "data")],
            stdout=out,
            stderr=subprocess.STDOUT,
            env=os.environ | {"COLUMNS": "100"},
        )
        try:
            first = answered(url, 40.0)  # 20 s on an idle machine
            while (now := answered(url, 10.0))["crack_length"] <= first["crack_length"]:
                assert process.poll() is None
                time.sleep(0.2)
        finally:
            process.terminate()
            code = process.wait(30)
    text = (tmp_path / "out").read_text()
    assert code == 0, text
    assert now["cycles"] > first["cycles"]
    assert f"{url}/docs" in text
    assert "Traceback" not in text
