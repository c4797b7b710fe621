"""Commands end in documented exit codes, and in one sentence when something is wrong."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import subprocess
import sys
import threading
from importlib.metadata import version
from pathlib import Path

import pytest

from sensors.errors import BrokerError
from sensors.payload.encode import EncodedMessage
from sensors.timed import Timed
from storage.store import Store
from tests.brokers import FakeBroker, free_port
from tests.twin.fleets import T0, component, spectrum
from twin import logs, serving
from twin.archive.rebuild import rebuild
from twin.archive.verify import checked, told
from twin.belief.lines import observed, registration
from twin.commands import cli, playing
from twin.settings import settings

USABLE, WRONG, UNUSABLE, UNREACHABLE = 0, 1, 2, 3


def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
    return _run("-m", "twin.commands.cli", *arguments)


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return _run("-c", code, **environment)


def within(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str]:
    """The exit code of a command of this process, and what it said on stderr."""
    monkeypatch.setattr(sys, "argv", ["twin", *arguments])
    monkeypatch.setattr(logs, "configure", lambda **_: None)  # for the whole process, and after
    monkeypatch.setattr(serving, "prepare", lambda: None)  # this test: neither is undone
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    return int(exit_.value.code or 0), capsys.readouterr().err.strip()


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"COLUMNS": "200"} | environment,
        check=False,
    )


def run_rebuild(directory: Path) -> None:
    rebuild(settings(), directory, None)


def filled(directory: Path) -> Path:
    with Store(directory) as store:
        lines = [observed(spectrum(i, 60.0 * i).what) for i in range(5)]  # type: ignore[arg-type]
        store.journal.append([registration(component(), T0), *lines], now_ns=T0)
    return directory


def test_the_version_is_that_of_the_package() -> None:
    result = ran("--version")
    assert (result.returncode, result.stdout) == (USABLE, f"twin {version('streaming-twin')}\n")


def test_a_healthy_store_is_checked_and_rebuilt(tmp_path: Path) -> None:
    directory = filled(tmp_path / "data")
    rebuilt = ran("rebuild", "--data-dir", str(directory))
    assert rebuilt.returncode == USABLE, rebuilt.stderr
    assert json.loads(rebuilt.stdout)["lines"] == 6
    result = ran("check", "--data-dir", str(directory), "--json")
    assert result.returncode == USABLE, result.stdout
    report = json.loads(result.stdout)
    assert (report["journal_lines"], report["components"], report["problems"]) == (6, 1, [])
    assert report["rows"] == {"crack": 4}


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted by Linux")
def test_numpy_computes_in_one_thread_whatever_the_environment_says() -> None:
    code = (
        "import os, twin.commands.cli, numpy, scipy.linalg\n"
        "print(os.environ['OPENBLAS_NUM_THREADS'], len(os.listdir('/proc/self/task')))"
    )
    assert python(code, OPENBLAS_NUM_THREADS="2").stdout.split() == ["1", "1"]


def test_a_rebuild_folds_as_the_service_does(tmp_path: Path) -> None:
    """With one thread, and numbers next to zero as zero: last bits depend on both."""
    code = (
        "import atexit, sys, torch, twin.commands.cli\n"
        "tiny = lambda: float(torch.tensor([1e-310], dtype=torch.float64) * 0.5)\n"
        "atexit.register(lambda: print(torch.get_num_threads(), tiny(), file=sys.stderr))\n"
        f"sys.argv = ['twin', 'rebuild', '--data-dir', {str(filled(tmp_path / 'data'))!r}]\n"
        "twin.commands.cli.main()"
    )
    result = python(code, OMP_NUM_THREADS="2")
    assert result.returncode == USABLE, result.stderr
    assert result.stderr.split()[-2:] == ["1", "0.0"]


def test_a_damaged_store_is_told(tmp_path: Path) -> None:
    directory = filled(tmp_path / "data")
    (directory / "journal.sqlite").write_bytes(b"not a database" * 1000)
    result = ran("check", "--data-dir", str(directory))
    assert result.returncode == WRONG
    assert "journal.sqlite" in result.stdout
    assert "restore the directory from a copy" in result.stdout
    assert "Traceback" not in result.stderr


def test_a_check_tells_a_person_what_is_fine_and_what_to_do(tmp_path: Path) -> None:
    directory = filled(tmp_path / "data")
    run_rebuild(directory)
    fine = list(told(checked(directory)))
    assert fine[0] == f"Checked {directory}: every file of it was read."
    assert fine[-1] == "Nothing is damaged."
    assert [line.split()[:2] for line in fine[1:5]] == [
        ["journal", "fine"],
        ["trajectory", "fine"],
        ["checkpoints", "fine"],
        ["images", "fine"],
    ]
    shard = next(directory.glob("trajectories.zarr/crack/cycles/c/0/0"))
    shard.write_bytes(b"\0" * shard.stat().st_size)
    said = list(told(checked(directory)))
    assert [line.split()[:3] for line in said[1:3]] == [
        ["journal", "fine", "6"],
        ["trajectory", "1", "damaged"],
    ]
    assert f"  {shard} is damaged" in said
    assert "twin rebuild" in said[-1]


def test_a_store_in_use_is_told_from_a_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Store(tmp_path / "data"):
        code, said = within(monkeypatch, capsys, "check", "--data-dir", str(tmp_path / "data"))
    assert code == UNUSABLE
    assert "another process uses" in said
    assert "nothing is known to be wrong" in said


@pytest.mark.parametrize("command", ["check", "rebuild"])
def test_a_directory_without_data_is_left_as_it_is(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, said = within(monkeypatch, capsys, command, "--data-dir", str(tmp_path))
    assert (code, list(tmp_path.iterdir())) == (UNUSABLE, [])
    assert f"{tmp_path} holds no data of a twin" in said


@pytest.mark.parametrize("command", ["rebuild", "serve"])
def test_a_store_in_use_is_unusable_to_whoever_wants_it(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = tmp_path / "twin.toml"
    settings.write_text(f'[http]\nport = 0\n[storage]\ndirectory = "{tmp_path}/data"\n')
    with Store(filled(tmp_path / "data")):
        code, said = within(monkeypatch, capsys, command, "--config", str(settings))
    assert code == UNUSABLE
    assert "another process uses" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("demo --duration -1", "-1 is not a finite number above 0"),
        ("demo --duration 0", "0 is not a finite number above 0"),
        ("demo --duration nan", "nan is not a finite number above 0"),
        ("demo --speed inf", "inf is not a finite number"),
        ("demo --seed -1", "greater than or equal to 0"),
        ("simulate --duration -1", "-1 is not a finite number above 0"),
        ("simulate --seed -1", "greater than or equal to 0"),
        ("simulate --root a,b --no-ask --no-register", "topic root 'a,b' is not 1 to 8 levels"),
        ("replay load.txt --rate nan", "nan is not a finite number above 0"),
        ("replay load.txt --peak-stress -5", "-5 is not a finite number above 0"),
        ("replay load.txt --limit-s nan", "nan is not a finite number above 0"),
        ("replay load.txt --speed inf", "inf is not a finite number"),
        (
            "replay load.txt --gauge g --no-ask --no-register",
            "gauge g is for a strain, and this file is a sequence: leave it out",
        ),
        ("query --csv --json", "--csv and --json are two ways to print: choose one"),
        ("query a/b --csv --json", "--csv and --json are two ways to print: choose one"),
        (
            "query a/b --from 2026-01-02 --to 2026-01-01",
            "--to 2026-01-01 is not after --from 2026-01-02: nothing is between",
        ),
        ("query a/b --from 2026-01-01 --to 2026-01-01", "nothing is between"),
        ("query a/b --fields crack_length,", "has a name that is empty"),
        ("check --config twin.toml --data-dir x", "both say where the data are"),
        ("rebuild --config twin.toml --data-dir x", "both say where the data are"),
        ("token --scope nope", "scope 'nope' is not read or write"),
        ("token --name=", "name '' is not 1 to 64 letters, digits"),
        ("serve --config missing.toml", "settings file missing.toml: No such file or directory"),
        ("serve --config root.toml", "topic root 'a b' is not 1 to 8 levels"),
        ("serve --config file.toml", "storage.directory load.txt is a file: name a directory"),
        ("serve --config tls.toml", "mqtt: TLS by absent.pem: no such file or directory"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused_before_anything_is_done(
    arguments: str,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    Path("load.txt").write_text("0\n1\n0\n1\n")
    Path("twin.toml").write_text("")
    Path("root.toml").write_text('[mqtt]\nroot = "a b"\n')
    Path("file.toml").write_text('[storage]\ndirectory = "load.txt"\n')
    Path("tls.toml").write_text('[mqtt]\ntls_ca = "absent.pem"\n')
    before = sorted(tmp_path.iterdir())
    code, said = within(monkeypatch, capsys, *arguments.split())
    assert (code, words in said) == (UNUSABLE, True), said
    assert "Errno" not in said
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["check", "--data-dir", "/nowhere"], UNUSABLE, "no data directory /nowhere"),
        (["serve", "--config", "/nowhere.toml"], UNUSABLE, "/nowhere.toml"),
        (["replay", "/nowhere.csv"], UNUSABLE, "/nowhere.csv"),
        (["simulate", "--broker", "nonsense"], UNUSABLE, "'nonsense' is not host:port"),
        (["simulate", "--broker", "127.0.0.1:99999"], UNUSABLE, "is not host:port"),
        (["query", "a/b", "--url", "http://127.0.0.1:1"], UNREACHABLE, "does not answer"),
        (["nonsense"], UNUSABLE, "No such command"),
    ],
    ids=["check", "serve", "replay", "simulate", "port", "query", "unknown"],
)
def test_what_cannot_be_done_is_a_sentence_and_a_code(
    arguments: list[str], code: int, words: str
) -> None:
    result = ran(*arguments)
    assert result.returncode == code, result.stderr
    assert words in " ".join((result.stderr + result.stdout).split())
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "url", ["nonsense", "ftp://127.0.0.1", "file:///etc", "http://", "http://[::1", "http://a:b"]
)
def test_a_url_that_is_none_is_a_sentence(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = within(monkeypatch, capsys, "query", "a/b", "--url", url)
    assert (code, said) == (UNUSABLE, f"twin: {url!r} is no URL of a service, such as "
                            "http://127.0.0.1:8080")  # fmt: skip  # one sentence


def test_a_name_that_no_component_has_is_asked_for_all_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = within(monkeypatch, capsys, "query", "a b/c\n", "--url", "http://127.0.0.1:1")
    assert (code, "does not answer" in said) == (UNREACHABLE, True)


def test_a_server_of_another_kind_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answering = threading.Thread(target=_greeted, args=(listener,))
        answering.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        code, said = within(monkeypatch, capsys, "query", "a/b", "--url", url)
        answering.join()
    assert (code, f"{url} does not answer as the service does" in said) == (UNREACHABLE, True)


def _greeted(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(b"220 mail.example ESMTP\r\n")


@pytest.mark.parametrize("command", [["simulate"], ["replay", "load.txt"]])
def test_a_broker_that_is_away_ends_a_plant_after_a_while(
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(playing, "FIRST_S", 0.3)
    monkeypatch.chdir(tmp_path)
    Path("load.txt").write_text("0\n1\n0\n1\n")
    broker = f"127.0.0.1:{free_port()}"
    alone = "--no-register", "--no-ask"
    code, said = within(monkeypatch, capsys, *command, "--broker", broker, *alone)
    assert (code, f"twin: the broker is away: {broker}: " in said) == (UNREACHABLE, True)


async def test_a_broker_that_comes_back_in_time_ends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The bound counts from when it went, not from when we began."""
    monkeypatch.setattr(playing, "FIRST_S", 5.0)
    messages = [timed(i) for i in range(40)]  # 2 s of them
    async with FakeBroker() as broker:
        stage = playing.Destination.of(f"127.0.0.1:{broker.port}", None, None, "twin/v1")
        asyncio.get_running_loop().call_later(0.5, broker.hang_up)
        sent = await playing.played(stage, messages, speed=1.0, progress=lambda _: None)
    assert (sent["published"], len(broker.received)) == (40, 2)


async def test_a_broker_that_stays_away_ends_a_plant_that_it_had_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(playing, "AWAY_S", 0.3)
    broker, taken = FakeBroker(), asyncio.Event()
    async with broker:
        stage = playing.Destination.of(f"127.0.0.1:{broker.port}", None, None, "twin/v1")
        messages = map(timed, itertools.count())
        going = asyncio.create_task(
            playing.played(stage, messages, speed=1.0, progress=lambda _: taken.set())
        )
        await taken.wait()
    with pytest.raises(BrokerError, match=f"the broker is away: 127.0.0.1:{broker.port}"):
        await asyncio.wait_for(going, 20.0)


def timed(i: int) -> Timed:
    return Timed(50_000_000 * i, EncodedMessage("twin/v1/a/b/load", b"{}", "application/json", {}))


def test_a_port_that_is_taken_is_a_sentence(tmp_path: Path) -> None:
    port = free_port()
    settings = tmp_path / "twin.toml"
    settings.write_text(
        f'[http]\nport = {port}\n[mqtt]\nport = {port}\n[storage]\ndirectory = "{tmp_path}/data"\n'
    )
    with socket.create_server(("127.0.0.1", port)):
        result = ran("serve", "--config", str(settings))
    assert result.returncode == UNUSABLE, result.stderr
    assert f"HTTP cannot listen on 127.0.0.1:{port}" in result.stderr
