"""A real mosquitto on a free loopback port, to be stopped, killed and started again."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from sensors.mqtt.framing import Framing
from sensors.mqtt.packets import (
    CONNACK,
    CONNECT,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBLISH,
    Message,
    message,
)
from tests.conftest import tool

SUBSCRIBE, SUBACK = 0x82, 0x90
ATTEMPTS = 500  # of 10 ms each

LIMITS = """\
max_inflight_messages 20000
max_queued_messages 1000000
memory_limit 1073741824
allow_zero_length_clientid true
"""


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def password_line(username: str, password: str) -> str:
    """A line of mosquitto's password file: PBKDF2 with SHA-512."""
    salt = os.urandom(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 101)
    return f"{username}:$7$101${_b64(salt)}${_b64(digest)}\n"


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class Certificate:
    """A self-signed certificate for 127.0.0.1, which is its own authority."""

    def __init__(self, directory: Path) -> None:
        self.certificate = directory / "broker.crt"
        self.key = directory / "broker.key"
        curve, name = "ec_paramgen_curve:prime256v1", "subjectAltName=IP:127.0.0.1"
        command = f"req -x509 -newkey ec -pkeyopt {curve} -nodes -days 2 -subj /CN=127.0.0.1"
        files = ["-addext", name, "-keyout", str(self.key), "-out", str(self.certificate)]
        subprocess.run([tool("openssl"), *command.split(), *files], check=True, capture_output=True)


class Broker:
    """A mosquitto that keeps its sessions in `directory`, so that a restart finds them.

    Only `stop` writes them to disk; `kill` loses what is newer, as a power cut would.
    """

    def __init__(
        self,
        directory: Path,
        *,
        credentials: tuple[str, str] | None = None,
        certificate: Certificate | None = None,
        extra: str = "",
        port: int | None = None,
    ) -> None:
        self.port = port or free_port()
        self.log = directory / "mosquitto.log"
        self._program = tool("mosquitto")
        self._file = directory / "mosquitto.conf"
        self._process: subprocess.Popen[bytes] | None = None
        lines = [f"listener {self.port} 127.0.0.1", LIMITS, extra]
        lines += ["persistence true", f"persistence_location {directory}/", "log_type all"]
        lines += [f"log_dest file {self.log}"]
        if os.geteuid() == 0:
            lines.append("user root")
        if certificate is not None:
            lines += [f"certfile {certificate.certificate}", f"keyfile {certificate.key}"]
        if credentials is None:
            lines.append("allow_anonymous true")
        else:
            passwords = directory / "passwords"
            passwords.write_text(password_line(*credentials))
            passwords.chmod(0o600)
            lines += ["allow_anonymous false", f"password_file {passwords}"]
        self._file.write_text("\n".join(lines) + "\n")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start, and return once it accepts connections."""
        assert self._process is None, "already running"
        self._process = subprocess.Popen(
            [self._program, "-c", str(self._file)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(ATTEMPTS):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert self._process.poll() is None, self._file.read_text()
                time.sleep(0.01)
            else:
                return
        raise AssertionError(f"mosquitto does not listen on {self.port}")

    def stop(self) -> None:
        """Stop in order: sessions and queued messages are saved."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def kill(self) -> None:
        """Stop at once: nothing is saved."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None


class FakeBroker:
    """A listener that answers as it is told, for what no real broker can be made to do.

    `greeting` follows each CONNECT; `answer(mid)` gives the bytes for a publication, None
    to cut the connection.
    """

    def __init__(
        self,
        greeting: bytes = bytes((CONNACK, 3, 0, 0, 0)),
        answer: Callable[[int], bytes | None] = lambda mid: puback(mid),
        *,
        pongs: bool = True,
        granted: int = 1,
    ) -> None:
        self.greeting, self.answer, self.pongs = greeting, answer, pongs
        self.granted = granted  # reason code of each subscription, to one topic
        self.port = 0
        self.received: list[list[Message]] = []  # by connection
        self.acknowledged: list[int] = []  # message ids
        self.most = 0  # publications that were on their way together
        self._server: asyncio.Server | None = None
        self._reached, self._left = asyncio.Event(), asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.hang_up()

    async def reached(self) -> None:
        """Wait for a connection."""
        await self._reached.wait()

    async def left(self) -> None:
        """Wait for the end of a connection, by whichever side."""
        await self._left.wait()

    def hang_up(self) -> None:
        """Cut every connection."""
        for writer in self._open:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        self._reached.set()
        received: list[Message] = []
        self.received.append(received)
        framing = Framing(1 << 28)
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                framing.feed(data)
                replies, is_cut = self._replies(framing, received)
                writer.write(replies)
                if is_cut:
                    break
        writer.close()
        self._left.set()

    def _replies(self, framing: Framing, received: list[Message]) -> tuple[bytes, bool]:
        """The answers to all that has come by now, and whether to hang up then."""
        replies, before = b"", len(received)
        while (where := framing.complete()) is not None:
            first, body, stop = framing.data[framing.at], *where
            framing.at = stop
            reply = self._reply(framing.data, first, body, stop, received)
            if reply is None:
                return replies, True
            replies += reply
        self.most = max(self.most, len(received) - before)
        return replies, False

    def _reply(
        self, data: bytes, first: int, body: int, stop: int, received: list[Message]
    ) -> bytes | None:
        if first & 0xF0 == PUBLISH:
            received.append(message(data, first, body, stop, 0))
            return self.answer(received[-1].token >> 2)
        if first == PUBACK:
            self.acknowledged.append(int.from_bytes(data[body : body + 2], "big"))
        if first == PINGREQ:
            return bytes((PINGRESP, 0)) if self.pongs else b""
        if first == SUBSCRIBE:
            return bytes((SUBACK, 4, data[body], data[body + 1], 0, self.granted))
        return self.greeting if first == CONNECT else b""


def puback(mid: int, code: int | None = None) -> bytes:
    """A PUBACK, with a reason code unless it is None."""
    number = mid.to_bytes(2, "big")
    return (
        bytes((PUBACK, 2)) + number
        if code is None
        else bytes((PUBACK, 3)) + number + bytes((code,))
    )
