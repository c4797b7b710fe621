"""The real service as a child process, to be watched, stopped, killed and starved of disk."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeAlias

from tests.brokers import Broker, free_port
from tests.end_to_end.nursery import Child, Nursery
from tests.end_to_end.traffic import toml
from twin.belief.fleet import Clock
from twin.settings import Settings, settings

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0  # for anything to happen, on a busy machine
POLL_S = 0.02

Process: TypeAlias = "subprocess.Popen[bytes] | Child"

CONFIG = """\
fleet = "{fleet}"
[mqtt]
port = {broker}
client_id = "{client_id}"
[http]
port = {http}
{web}
[ingest]
lateness_s = 2.0
{ingest}
[storage]
directory = "{data}"
record_every_s = {record_every_s}
flush_rows = 8
{storage}
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What HTTP said."""

    status: int
    body: bytes
    media_type: str

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(slots=True)
class Arrangement:
    """How a service under test is set up."""

    storage: str = "flush_every_s = 0.5\ncheckpoint_every_s = 0.5"
    record_every_s: float = 2.0
    ingest: str = ""
    web: str = ""
    module: str = "twin.commands.cli"  # that is run as `twin`
    descriptors: int | None = None  # that the process may have open
    environment: Mapping[str, str] = field(default_factory=dict)
    nursery: Nursery | None = None  # that its processes come from; it has the environment


class Twin:
    """`twin serve` over one directory; every start continues where the last one ended."""

    def __init__(
        self,
        directory: Path,
        broker_port: int,
        fleet: Sequence[dict[str, Any]],
        arrangement: Arrangement | None = None,
        *,
        data: Path | None = None,
    ) -> None:
        directory.mkdir(exist_ok=True)
        chosen = arrangement or Arrangement()
        self.data = data or directory / "data"
        self.log_file = directory / "twin.log"
        self.starts = 0
        self._fleet_file = directory / "fleet.toml"
        self._config = directory / "twin.toml"
        self._port = free_port()
        self._environment = chosen.environment
        self._descriptors = chosen.descriptors
        self._module = chosen.module
        self._nursery = chosen.nursery
        self._process: Process | None = None
        self.register(fleet)
        self._config.write_text(
            CONFIG.format(
                fleet=self._fleet_file,
                broker=broker_port,
                client_id="twin-under-test",
                http=self._port,
                web=chosen.web,
                data=self.data,
                ingest=chosen.ingest,
                storage=chosen.storage,
                record_every_s=chosen.record_every_s,
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def register(self, fleet: Sequence[dict[str, Any]]) -> None:
        """Write the fleet file, which counts from the next start on."""
        self._fleet_file.write_text(toml(fleet))

    @property
    def settings(self) -> Settings:
        """What the service was told."""
        return settings(self._config)

    @property
    def clock(self) -> Clock:
        """The clock that the service folds with."""
        chosen = self.settings
        return Clock(
            record_every_ns=round(chosen.storage.record_every_s * 1e9),
            lateness_ns=round(chosen.ingest.lateness_s * 1e9),
        )

    @property
    def registered(self) -> list[str]:
        """The components of the fleet file."""
        tables = tomllib.loads(self._fleet_file.read_text())["component"]
        return [table["name"] for table in tables]

    @property
    def port(self) -> int:
        """Where it is asked."""
        return self._port

    @property
    def pid(self) -> int:
        """The process that runs."""
        assert self._process is not None, "not running"
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """Everything that the service has said since the first start."""
        return self.log_file.read_text() if self.log_file.exists() else ""

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log lines of one event."""
        found = []
        for line in self.log.splitlines():
            with suppress(ValueError):  # a line that a kill cut off
                event = json.loads(line)
                if event.get("event") == name:
                    found.append(event)
        return found

    @property
    def errors(self) -> list[dict[str, Any]]:
        """The log lines of errors; what is no line of the log counts as one."""
        found = []
        for line in self.log.splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                event = {"event": line, "level": "error"}
            if event.get("level") in ("error", "critical"):
                found.append(event)
        return found

    @property
    def _options(self) -> list[str]:
        return ["--config", str(self._config)]

    @property
    def _bounded(self) -> list[str]:
        """What starts a program with fewer descriptors, and becomes it."""
        if self._descriptors is None:
            return []
        return ["sh", "-c", f'ulimit -n {self._descriptors} && exec "$@"', "sh"]

    def launch(self) -> None:
        """Start the process; it is not ready yet."""
        assert self._process is None, "already running"
        self.starts += 1
        self._process = self.program("serve")

    def program(self, command: str, *options: str) -> Process:
        """A command on the same data, just begun."""
        if self._nursery is not None:
            self.log_file.touch()
            return self._nursery.born([command, *self._options, *options], self.log_file)
        with self.log_file.open("ab") as log:
            return subprocess.Popen(
                [
                    *self._bounded,
                    *(sys.executable, "-m", self._module, command),
                    *self._options,
                    *options,
                ],
                cwd=ROOT,
                env=os.environ | {"PYTHONFAULTHANDLER": "1"} | dict(self._environment),
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def start(self, patience_s: float = PATIENCE_S) -> None:
        """Start, and return once `/readyz` says yes."""
        self.launch()
        self.until(lambda: self.readiness() == 200, "is ready", patience_s)

    def stop(self) -> None:
        """Ask it to stop, and wait until it has."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            code = self._process.wait(PATIENCE_S)
            self._process = None
            assert code == 0, f"exit code {code}:\n{self.log[-4000:]}"

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_S)
            self._process = None

    def ended(self) -> int:
        """The exit code of a process that ends by itself."""
        assert self._process is not None, "not running"
        code = self._process.wait(PATIENCE_S)
        self._process = None
        return code

    def get(self, path: str) -> Answer:
        """What HTTP says; raises OSError or HTTPException where nobody answers."""
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)) as connection:
            connection.request("GET", path)
            said = connection.getresponse()
            return Answer(said.status, said.read(), said.headers.get_content_type())

    def readiness(self) -> int:
        """The status of `/readyz`; 0 while nobody answers."""
        with suppress(OSError, http.client.HTTPException):
            return self.get("/readyz").status
        return 0

    def metric(self, sample: str) -> float:
        """A sample of `/metrics` by its name and labels; 0 if it is not there."""
        for line in self.get("/metrics").body.decode().splitlines():
            name, _, value = line.rpartition(" ")
            if name == sample:
                return float(value)
        return 0.0

    def memory(self) -> int:
        """What the process holds of main memory [byte]."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")

    def until(
        self, condition: Callable[[], bool], sentence: str, patience_s: float = PATIENCE_S
    ) -> None:
        """Wait for a condition; a process that ends meanwhile is a failure."""
        deadline = time.monotonic() + patience_s
        while not condition():
            assert self.is_alive, f"the twin ended before it {sentence}:\n{self.log[-4000:]}"
            if time.monotonic() > deadline:
                self._told_where()
                raise AssertionError(f"the twin never {sentence}:\n{self.log[-8000:]}")
            time.sleep(POLL_S)

    def _told_where(self) -> None:
        """Let a process that does not get on say in its log where each of its threads is."""
        assert self._process is not None, "not running"
        self._process.send_signal(signal.SIGABRT)
        self._process.wait(PATIENCE_S)

    def journal_end(self) -> int:
        """How many lines are durable, read beside the running service."""
        address = f"file:{self.data / 'journal.sqlite'}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=10)) as connection:
            sql = "SELECT coalesce(max(first + count), 0) FROM commits"
            return int(connection.execute(sql).fetchone()[0])

    def until_kept(self, observations: int) -> None:
        """Wait until the journal holds the registrations and so many observations."""
        wanted = len(self.registered) + observations
        self.until(lambda: self.journal_end() >= wanted, f"has kept {wanted} lines")


def subscribed(broker: Broker, times: int = 1) -> bool:
    """Whether the service has subscribed so often: what comes before that, nobody keeps."""
    log = broker.log.read_text(errors="replace")
    beside = log.count("twin-under-test 0 $SYS/broker/uptime")  # asked for by a packet of its own
    return log.count("SUBACK to twin-under-test") - beside >= times
