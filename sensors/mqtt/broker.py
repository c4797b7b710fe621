"""The broker that comes along: for demonstrations and trials, on loopback only.

A mosquitto where one is installed; otherwise iotcore, rumqttd as a child process, which
keeps everything in memory, and forgets the oldest when a reader is slow.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self

import iotcore

from sensors.errors import BrokerError, complaint

HOST = "127.0.0.1"
PATIENCE_S = 10.0
ATTEMPTS = 3  # at finding a port that is still free when the broker takes it
_SYSTEM = "/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"

# Large numbers rather than 0: the defaults (20 in flight, 1,000 queued) lose what was
# acknowledged to the publisher, and 0 would be unlimited. A full queue stays below the memory that
# the broker may have, as in deploy/mosquitto.conf: 2 * bytes + 600 * messages.
_MOSQUITTO = """\
listener {port} 127.0.0.1
allow_anonymous true
max_inflight_messages 20000
max_queued_messages 500000
max_queued_bytes 268435456
memory_limit 1073741824
log_type error
log_type warning
log_dest stderr
"""

# MQTT 5 needs a [v5.x] listener; segments bound the memory (the default grows to 2 GB).
_RUMQTTD = """\
id = 0
[router]
id = 0
max_connections = 1000
max_outgoing_packet_count = 200
max_segment_size = 33554432
max_segment_count = 8
[v5.1]
name = "v5-1"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = 17825792
max_inflight_count = 10000
dynamic_filters = true
"""

Kind = Literal["mosquitto", "iotcore"]


class EmbeddedBroker:
    """A broker for as long as this context lasts.

    With a `directory` mosquitto keeps sessions and queued messages there; iotcore cannot.
    `kind` is chosen by what is installed unless it is given. Raises BrokerError on entry.
    """

    def __init__(
        self, port: int | None = None, directory: Path | None = None, *, kind: Kind | None = None
    ) -> None:
        self.kind: Kind = kind or ("mosquitto" if mosquitto() else "iotcore")
        self.port = port or 0
        self._wanted, self._directory = port, directory
        self._running: _Process | None = None

    async def __aenter__(self) -> Self:
        reason = ""
        for _ in range(ATTEMPTS if self._wanted is None else 1):
            self.port = self._wanted or free_port()
            try:
                self._running = await asyncio.to_thread(self._started)
            except (OSError, RuntimeError) as exc:
                reason = complaint(exc)
            else:
                return self
        raise BrokerError(f"{self.kind} does not start on {HOST}:{self.port}: {reason}")

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._running is not None:
            await asyncio.to_thread(self._running.stop)

    def _started(self) -> _Process:
        socket.create_server((HOST, self.port)).close()  # raises if somebody else is there
        if self.kind == "mosquitto":
            return _Mosquitto(self.port, self._directory)
        return _Iotcore(self.port)


class _Process(Protocol):
    """A running broker; one that does not come up raises OSError or RuntimeError."""

    def stop(self) -> None:
        """Stop, and remove what it wrote outside its directory."""


class _Mosquitto:
    def __init__(self, port: int, directory: Path | None) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="mosquitto-")
        place = Path(self._scratch.name)
        self._log = place / "log"
        command = [_program(), "-c", str(_written(place / "conf", _configuration(port, directory)))]
        with self._log.open("wb") as log:
            # A session of its own: the terminal's Ctrl-C is for us, who stop it last.
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True
            )
        self._wait(port)

    def _wait(self, port: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while self._process.poll() is None and time.monotonic() < deadline:
            if _listens(port):
                return
            time.sleep(0.005)
        log = self._log.read_text(errors="replace").strip()
        self.stop()
        raise RuntimeError(log[-500:] or "no reason given")

    def stop(self) -> None:
        """Stop in order, so that sessions are written."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._scratch.cleanup()


class _Iotcore:
    def __init__(self, port: int) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="iotcore-")
        path = _written(Path(self._scratch.name) / "rumqttd.toml", _RUMQTTD.format(port=port))
        try:
            self._broker = iotcore.Broker(config_path=str(path))
            self._broker.start(PATIENCE_S)
        except BaseException:
            self._scratch.cleanup()
            raise

    def stop(self) -> None:
        """Stop; it also ends by itself when this process does."""
        self._broker.stop()
        self._scratch.cleanup()


def mosquitto() -> str | None:
    """The path of a mosquitto, if one is installed."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path=_SYSTEM)


def free_port() -> int:
    """A loopback port that nobody listens on just now."""
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


def _program() -> str:
    program = mosquitto()
    if program is None:
        raise RuntimeError("mosquitto is not installed")
    return program


def _configuration(port: int, directory: Path | None) -> str:
    text = _MOSQUITTO.format(port=port)
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        text += f"persistence true\npersistence_location {directory.resolve()}/\n"
    if os.geteuid() == 0:  # mosquitto would drop its rights, and not reach its files any more
        text += "user root\n"
    return text


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=0.5).close()
    except OSError:
        return False
    return True
