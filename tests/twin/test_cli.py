"""Commands end in documented exit codes, and in one sentence when something is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from storage.store import Store
from tests.brokers import free_port
from tests.twin.fleets import T0, component, spectrum
from twin.lines import observed, registration

USABLE, WRONG, UNUSABLE, UNREACHABLE = 0, 1, 2, 3


def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
    return _run("-m", "twin.cli", *arguments)


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return _run("-c", code, **environment)


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"COLUMNS": "200"} | environment,
        check=False,
    )


def filled(directory: Path) -> Path:
    with Store(directory) as store:
        lines = [observed(spectrum(i, 60.0 * i).what) for i in range(5)]  # type: ignore[arg-type]
        store.journal.append([registration(component(), T0), *lines], now_ns=T0)
    return directory


def test_a_healthy_store_is_checked_and_rebuilt(tmp_path: Path) -> None:
    directory = filled(tmp_path / "data")
    rebuilt = ran("rebuild", "--data-dir", str(directory))
    assert rebuilt.returncode == USABLE, rebuilt.stderr
    assert json.loads(rebuilt.stdout)["lines"] == 6
    checked = ran("check", "--data-dir", str(directory), "--json")
    assert checked.returncode == USABLE, checked.stdout
    report = json.loads(checked.stdout)
    assert (report["journal_lines"], report["components"], report["problems"]) == (6, 1, [])
    assert report["rows"] == {"crack": 4}


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted by Linux")
def test_numpy_computes_in_one_thread_whatever_the_environment_says() -> None:
    code = (
        "import os, twin.cli, numpy, scipy.linalg\n"
        "print(os.environ['OPENBLAS_NUM_THREADS'], len(os.listdir('/proc/self/task')))"
    )
    assert python(code, OPENBLAS_NUM_THREADS="2").stdout.split() == ["1", "1"]


def test_a_rebuild_folds_as_the_service_does(tmp_path: Path) -> None:
    """With one thread, and numbers next to zero as zero: last bits depend on both."""
    code = (
        "import atexit, sys, torch, twin.cli\n"
        "tiny = lambda: float(torch.tensor([1e-310], dtype=torch.float64) * 0.5)\n"
        "atexit.register(lambda: print(torch.get_num_threads(), tiny(), file=sys.stderr))\n"
        f"sys.argv = ['twin', 'rebuild', '--data-dir', {str(filled(tmp_path / 'data'))!r}]\n"
        "twin.cli.main()"
    )
    result = python(code, OMP_NUM_THREADS="2")
    assert result.returncode == USABLE, result.stderr
    assert result.stderr.split()[-2:] == ["1", "0.0"]


def test_a_damaged_store_is_told(tmp_path: Path) -> None:
    directory = filled(tmp_path / "data")
    (directory / "journal.sqlite").write_bytes(b"not a database" * 1000)
    checked = ran("check", "--data-dir", str(directory))
    assert checked.returncode == WRONG
    assert "journal.sqlite" in checked.stdout
    assert "Traceback" not in checked.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["check", "--data-dir", "/nowhere"], UNUSABLE, "no data directory /nowhere"),
        (["serve", "--config", "/nowhere.toml"], UNUSABLE, "/nowhere.toml"),
        (["replay", "/nowhere.csv"], UNUSABLE, "/nowhere.csv"),
        (["simulate", "--broker", "nonsense"], UNUSABLE, "'nonsense' is not host:port"),
        (["query", "a/b", "--url", "http://127.0.0.1:1"], UNREACHABLE, "does not answer"),
        (["nonsense"], UNUSABLE, "No such command"),
    ],
    ids=["check", "serve", "replay", "simulate", "query", "unknown"],
)
def test_what_cannot_be_done_is_a_sentence_and_a_code(
    arguments: list[str], code: int, words: str
) -> None:
    result = ran(*arguments)
    assert result.returncode == code, result.stderr
    assert words in " ".join((result.stderr + result.stdout).split())
    assert "Traceback" not in result.stderr


def test_a_port_that_is_taken_is_a_sentence(tmp_path: Path) -> None:
    port = free_port()
    settings = tmp_path / "twin.toml"
    settings.write_text(
        f'[http]\nport = {port}\n[mqtt]\nport = {port}\n[storage]\ndirectory = "{tmp_path}/data"\n'
    )
    import socket

    with socket.create_server(("127.0.0.1", port)):
        result = ran("serve", "--config", str(settings))
    assert result.returncode == UNUSABLE, result.stderr
    assert f"HTTP cannot listen on 127.0.0.1:{port}" in result.stderr
