"""The command `twin`.

Exit codes: 0 done · 1 something is wrong with what was looked at · 2 a setting, a file or an
argument cannot be used · 3 the broker or the service cannot be reached · 4 no such thing.

Each command imports what it needs when it runs: torch takes seconds.
"""

# Over 300 lines: each command stands with its options; what they do is elsewhere.

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads collapse
# Before numpy, and whatever was set: sums split among threads differ in their last bits, and a
# journal that is folded again shall give the same state. Torch has threads of its own to train.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import typer
from rich.console import Console

from sensors.errors import BrokerError, SensorError
from storage.errors import InUseError, MissingError, StorageError
from twin import logs
from twin.commands import fitting as fitting_commands
from twin.commands import library as library_commands
from twin.commands import training as training_commands
from twin.errors import SettingsError, TwinError, UnknownError
from twin.settings import settings as read_settings

WRONG, UNUSABLE, UNREACHABLE, MISSING = 1, 2, 3, 4
NICE = 10  # by how much a backup stands behind the service where both compute
CODES: tuple[tuple[type[BaseException], int], ...] = (
    (SettingsError, UNUSABLE),
    (UnknownError, MISSING),
    (MissingError, MISSING),
    (BrokerError, UNREACHABLE),
    (ConnectionError, UNREACHABLE),
    (SensorError, UNUSABLE),
    (InUseError, UNUSABLE),
    (StorageError, WRONG),
    (TwinError, WRONG),
    (OSError, UNUSABLE),
)

app = typer.Typer(
    help="A streaming digital twin for structural health monitoring.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
letters = typer.Typer(help="Messages that were refused.", no_args_is_help=True)
app.add_typer(letters, name="dead-letters")
app.add_typer(library_commands.app, name="library")
app.add_typer(fitting_commands.app, name="fit")
app.command()(training_commands.train)
app.command()(training_commands.evaluate)

FILES = """
Columns are read as they are, where one thing can be meant, and refused by line and column else,
before anything is sent.

Gauge: a name with its unit, "stress (MPa)", "σ (N/mm²)", "strain_um/m", "µε", or units in a second
row.

Time: "t (s)", "Time (ms)", "timestamp", "Zeit": seconds since the start, s, ms, µs or ns since
1970, ISO 8601 (UTC without a zone), 20.11.2026 10:00:00. Without times say --rate.

Text: columns by comma, semicolon or tab, a decimal comma between the latter two; UTF-8, or UTF-16
with its mark; comments after #, % or //. Empty cells, NaN, n/a, null and - are no samples.

Or a sequence (one number a line), a table (component, time, range, mean, count or crack_length,
unit), or virkler (a_mm, N_01, …). More in docs/replay.md.
"""


def _finite(value: float | None) -> float | None:
    """Bounds of an option let NaN and ∞ through."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a finite number.")
    return value


def _positive(value: float | None) -> float | None:
    if value is not None and not 0.0 < value < math.inf:
        raise typer.BadParameter(f"{value:g} is not a finite number above 0.")
    return value


Config = Annotated[Path | None, typer.Option("--config", "-c", help="Settings file (TOML).")]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", "-d", help="Where the data are; twin-data if not given."),
]
Url = Annotated[str, typer.Option(help="Where the service answers.")]
Token = Annotated[str | None, typer.Option(envvar="TWIN_TOKEN", help="Bearer token.")]
Root = Annotated[str, typer.Option(help="First levels of the topics.")]
AskTwin = Annotated[bool, typer.Option(help="Ask the service what it made of the messages.")]
Broker = Annotated[str, typer.Option(help="Broker, host:port.")]
Duration = Annotated[
    float | None, typer.Option(callback=_positive, help="Stop after so many seconds.")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the plant.")]
Speed = Annotated[float, typer.Option(min=0.1, callback=_finite, help="Event seconds a second.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"twin {version('streaming-twin')}")
        raise typer.Exit


@app.callback()
def twin(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which it is.")
    ] = False,
) -> None:
    """A streaming digital twin for structural health monitoring."""


def main() -> None:
    """Run a command; errors become one sentence and an exit code."""
    try:
        app(standalone_mode=True)
    except BaseExceptionGroup as group:
        _fail(_innermost(group))
    except tuple(kind for kind, _ in CODES) as exc:
        _fail(exc)


def _innermost(exc: BaseException) -> BaseException:
    return _innermost(exc.exceptions[0]) if isinstance(exc, BaseExceptionGroup) else exc


def _fail(exc: BaseException) -> None:
    for kind, code in CODES:
        if isinstance(exc, kind):
            _say(f"twin: {_sentence(exc)}", style="red")
            sys.exit(code)
    raise exc


def _say(sentence: str, *, style: str) -> None:
    Console(stderr=True).print(sentence, style=style, markup=False, highlight=False, soft_wrap=True)


def _sentence(exc: BaseException) -> str:
    if isinstance(exc, OSError) and exc.filename is not None:
        return f"{exc.filename}: {exc.strerror}"
    return str(exc) or type(exc).__name__


def _run(coroutine: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401  whatever it returns
    return asyncio.run(coroutine)


def _say_all(
    report: dict[str, Any], told: Callable[[dict[str, Any]], Iterator[str]], *, json_output: bool
) -> None:
    """Print a report, for a person or for a script."""
    if json_output:
        _print(report)
        return
    for line in told(report):
        typer.echo(line)


def _print(answer: object) -> None:
    sys.stdout.write(json.dumps(answer, indent=2, default=str) + "\n")


@app.command()
def serve(config: Config = None) -> None:
    """Run the service."""
    from twin.serving import serve as run

    logs.configure()
    _run(run(read_settings(config)))


@app.command()
def demo(
    duration: Duration = None,
    parts: Annotated[int, typer.Option(min=1, max=10_000, help="Parts of the plant.")] = 24,
    speed: Speed = 60.0,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of HTTP.")] = 8080,
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", help="Keep the data here; else in a temporary place."),
    ] = None,
    seed: Seed = 0,
) -> None:
    """Run broker, simulated plant and service, all in one."""
    from twin.commands.demo import DemoOptions
    from twin.commands.demo import demo as run

    logs.configure(pretty=True, level=30)
    _run(run(DemoOptions(duration, parts, speed, port, data_dir, seed)))


@app.command()
def simulate(
    broker: Broker = "127.0.0.1:1883",
    url: Url = "http://127.0.0.1:8080",
    token: Token = None,
    parts: Annotated[int, typer.Option(min=1, max=10_000, help="Parts of the plant.")] = 24,
    speed: Speed = 1.0,
    duration: Duration = None,
    seed: Seed = 0,
    register: Annotated[bool, typer.Option(help="Register the parts through HTTP.")] = True,
    ask: AskTwin = True,
    root: Root = "twin/v1",
) -> None:
    """Publish what a simulated plant would, to a running service."""
    from twin.commands.playback import simulated
    from twin.commands.playing import Destination

    _check_asking(register=register, ask=ask)
    stage = Destination.of(broker, url if ask else None, token, root, registers=register)
    _sent(_run(simulated(stage, parts=parts, seed=seed, speed=speed, duration_s=duration)))


@app.command(epilog=FILES)
def replay(
    file: Annotated[Path, typer.Argument(help="A recorded file.", exists=True, dir_okay=False)],
    broker: Broker = "127.0.0.1:1883",
    url: Url = "http://127.0.0.1:8080",
    token: Token = None,
    speed: Annotated[
        float,
        typer.Option(min=0, callback=_finite, help="Event seconds a second; 0: at once."),
    ] = 0.0,
    kind: Annotated[str | None, typer.Option(help="Format; recognised if not given.")] = None,
    component: Annotated[
        str, typer.Option(help="Component, where the file names none.")
    ] = "replay/part-1",
    gauge: Annotated[
        str | None, typer.Option(help="Column of strain or stress, without its unit; the first.")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            callback=_positive,
            help="Samples a second (Hz); else that of the times, sequences at 10.",
        ),
    ] = None,
    peak_stress: Annotated[
        float, typer.Option(callback=_positive, help="Stress at 1 of a sequence (Pa).")
    ] = 100e6,
    repeats: Annotated[int, typer.Option(min=1, help="Passes of a sequence.")] = 1,
    swap_day_month: Annotated[bool, typer.Option(help="Dates have day and month swapped.")] = False,
    limit_s: Annotated[
        float | None, typer.Option(callback=_positive, help="Stop after that event time (s).")
    ] = None,
    boot: Annotated[int, typer.Option(min=0, help="Raise it to send a file once more.")] = 1,
    register: Annotated[bool, typer.Option(help="Register the components through HTTP.")] = True,
    ask: AskTwin = True,
    root: Root = "twin/v1",
) -> None:
    """Publish a recorded file as MQTT traffic, and say what the running service made of it."""
    from sensors.replay.reader import ReplayOptions
    from twin.commands.playback import replayed
    from twin.commands.playing import Destination

    _check_asking(register=register, ask=ask)
    try:
        options = ReplayOptions(
            component=component,
            gauge=gauge,
            rate_hz=rate,
            swap_day_month=swap_day_month,
            peak_stress=peak_stress,
            repeats=repeats,
            boot=boot,
        )
    except ValueError as exc:
        raise SettingsError(str(exc)) from exc
    stage = Destination.of(broker, url if ask else None, token, root, registers=register)
    _sent(_run(replayed(stage, file, options, kind=kind, speed=speed, limit_s=limit_s)))


def _check_asking(*, register: bool, ask: bool) -> None:
    if register and not ask:
        raise SettingsError("--no-ask cannot register: add --no-register")


def _sent(report: dict[str, Any]) -> None:
    """Print a report, its sentences for people; exit code 1 if nothing was taken, 3 if unknown."""
    _print(report)
    for note in report.get("notes", ()):
        _say(f"twin: {note}", style="yellow")
    accepted = report.get("accepted", 1)
    if accepted is None:
        raise typer.Exit(UNREACHABLE)
    if not accepted:
        _say(f"twin: nothing of {report['published']} messages was accepted", style="red")
        raise typer.Exit(WRONG)


@app.command()
def check(
    data_dir: DataDir = None,
    config: Config = None,
    json_output: AsJson = False,
) -> None:
    """Verify everything on disk, with the service stopped; exit code 1 if something is damaged."""
    from twin.archive.verify import checked, told

    report = checked(_directory(config, data_dir))
    _say_all(report, told, json_output=json_output)
    if report["problems"]:
        raise typer.Exit(WRONG)


@app.command()
def rebuild(
    data_dir: DataDir = None,
    config: Config = None,
    out: Annotated[Path | None, typer.Option(help="New store; default: swap in place.")] = None,
) -> None:
    """Fold the journal again in event-time order into a new store, with the service stopped."""
    from twin.archive.rebuild import rebuild as run
    from twin.serving import prepare

    prepare()
    with _tidy():
        where = _directory(config, data_dir)
        _print(run(read_settings(config), where, out, is_told=config is not None))


@contextmanager
def _tidy() -> Iterator[None]:
    """SIGTERM ends what is done as Ctrl-C does: what is half made is removed."""

    def ended(*_: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, ended)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _directory(config: Path | None, data_dir: Path | None) -> Path:
    """Where the data are; raises SettingsError where both say it."""
    if config is None:
        return data_dir or Path("twin-data")
    if data_dir is not None:
        raise SettingsError("--config and --data-dir both say where the data are: give one of them")
    return read_settings(config).storage.directory


@app.command()
def salvage(
    data_dir: DataDir = None,
    config: Config = None,
    out: Annotated[
        Path | None, typer.Option(help="New store; default: beside, with .salvaged to its name.")
    ] = None,
    json_output: AsJson = False,
) -> None:
    """Make a new store of all that is whole in a damaged one, which stays as it is."""
    from twin.archive.salvage import salvaged, told
    from twin.serving import prepare

    prepare()
    with _tidy():
        report = salvaged(_directory(config, data_dir), out)
    _say_all(report, told, json_output=json_output)


@app.command()
def backup(
    to: Annotated[Path, typer.Argument(help="The backup, a directory that is not there yet.")],
    data_dir: DataDir = None,
    config: Config = None,
    json_output: AsJson = False,
) -> None:
    """Copy a store as of one moment, also while the service runs; exit code 1 if it is damaged."""
    from twin.archive.backup import backed_up, told

    os.nice(NICE)  # what comes in goes first
    with _tidy():
        report = backed_up(_directory(config, data_dir), to)
    _say_all(report, told, json_output=json_output)
    if report["problems"]:
        raise typer.Exit(WRONG)


@app.command()
def restore(
    backup: Annotated[Path, typer.Argument(help="A backup.", exists=True, file_okay=False)],
    data_dir: Annotated[
        Path | None, typer.Argument(help="Where the store is to be; or name it by --config.")
    ] = None,
    config: Config = None,
    lost: Annotated[
        Path | None,
        typer.Option(help="What is left of the store that was lost: says what came after."),
    ] = None,
    json_output: AsJson = False,
) -> None:
    """Put a backup where no store is, every file verified, and say what came after it."""
    from twin.archive.restore import restored, told

    if data_dir is None and config is None:
        raise SettingsError("say where the store is to be: twin restore BACKUP DATA_DIR")
    with _tidy():
        report = restored(backup, _directory(config, data_dir), lost)
    _say_all(report, told, json_output=json_output)


@app.command()
def query(
    component: Annotated[
        str | None, typer.Argument(help="site/component, or component alone; none: list them.")
    ] = None,
    what: Annotated[
        str | None, typer.Argument(help="state, history, crack, forecast, images or sources.")
    ] = None,
    url: Url = "http://127.0.0.1:8080",
    token: Token = None,
    fields: Annotated[str | None, typer.Option(help="Only these, with commas between.")] = None,
    t_from: Annotated[
        str | None, typer.Option("--from", help="History from that time on, UTC without a zone.")
    ] = None,
    t_to: Annotated[str | None, typer.Option("--to", help="History before that time.")] = None,
    every: Annotated[int, typer.Option(min=1, help="Every so many rows of the history.")] = 1,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Most rows, or components; all if not given.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, in SI units.")] = False,
    site: Annotated[str | None, typer.Option(help="List those of that site.")] = None,
    status: Annotated[str | None, typer.Option(help="List those of that status.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the components of a running service, or ask about one: state, history and more."""
    from twin.commands.questions import Asker, Wish, listed

    asker = Asker(url, token)
    if as_csv and as_json:
        raise SettingsError("--csv and --json are two ways to print: choose one")
    if component is not None:
        if site is not None or status is not None:
            raise SettingsError("--site and --status choose what is listed: name no component")
        wish = Wish(what, fields, t_from, t_to, every, limit, as_csv)
        sys.stdout.write(asker.answer(component, wish))
        return
    if t_from or t_to or every != 1:
        raise SettingsError("times and rows are those of the history of a component: name one")
    found = list(islice(asker.components(site=site, status=status), limit))
    sys.stdout.write(listed(found, fields, form="json" if as_json else "csv" if as_csv else None))
    if not found:
        _say("twin: no component fits, or none is registered", style="yellow")


@app.command()
def token(
    scope: Annotated[str, typer.Option(help="read or write")] = "read",
    name: Annotated[str, typer.Option(help="Whose it is.")] = "reader",
) -> None:
    """Make a bearer token: the token itself, and the lines for http.tokens_file."""
    from twin.api.auth import new_token

    typer.echo(new_token(name, scope))


@letters.command("list")
def letters_list(
    url: Url = "http://127.0.0.1:8080",
    token: Token = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    after: Annotated[int, typer.Option(min=0, help="Only those after this number.")] = 0,
) -> None:
    """List refused messages and why."""
    from twin.commands.client import ask

    _print(ask(url, f"/api/v1/dead-letters?limit={limit}&after={after}", token))


@letters.command("resubmit")
def letters_resubmit(
    ids: Annotated[list[int], typer.Argument(help="Numbers of the letters.")],
    url: Url = "http://127.0.0.1:8080",
    token: Token = None,
) -> None:
    """Judge refused messages again, say after registering their component."""
    from twin.commands.client import ask

    _print([ask(url, f"/api/v1/dead-letters/{i}/resubmit", token, method="POST") for i in ids])


if __name__ == "__main__":
    main()
