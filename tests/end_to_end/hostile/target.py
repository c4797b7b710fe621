"""The service under attack, and somebody else who asks it meanwhile."""

from __future__ import annotations

import http.client
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.end_to_end.harness import Twin

MEMORY = 1_500 << 20  # a service that holds more is killed, so that the machine lives
POLL_S = 0.05
PATIENCE_S = 10.0  # of somebody else, for an answer
LATE_S = 3.0  # an answer that took longer is a fault, on two cores that others use too
GROWTH = 300 << 20  # more memory than before, at the most, is a fault


@dataclass
class Seen:
    """What an attack has shown."""

    others: str = ""  # what somebody else saw meanwhile
    told: str = ""  # figures of the attack's own
    faults: list[str] = field(default_factory=list)


@dataclass
class Watch:
    """What somebody else saw, and the most that the process held."""

    waits_s: list[float] = field(default_factory=list)
    failures: int = 0
    memory: int = 0  # the most [byte]
    before: int = 0
    descriptors: int = 0  # the most
    killed: bool = False

    @property
    def longest_s(self) -> float:
        """The longest wait for an answer; ∞ if nothing was answered."""
        return max(self.waits_s, default=float("inf"))

    @property
    def growth(self) -> int:
        """How much more memory than before the attack [byte]."""
        return self.memory - self.before

    def sentence(self) -> str:
        """For the table."""
        answered = sorted(self.waits_s)
        p50 = answered[len(answered) // 2] if answered else float("inf")
        return (
            f"{len(answered)} answers, half within {p50 * 1e3:.0f} ms, all within "
            f"{self.longest_s * 1e3:.0f} ms; {self.failures} without"
        )

    def faults(self, growth: int = GROWTH, late_s: float = LATE_S) -> list[str]:
        """What should not be."""
        found = []
        if self.killed:
            found.append(f"it grew beyond {MEMORY >> 20} MiB and was killed")
        elif self.growth > growth:
            found.append(f"it grew by {self.growth >> 20} MiB")
        if self.failures:
            found.append(f"{self.failures} requests of others were not answered")
        if self.longest_s > late_s:
            found.append(f"somebody else waited {self.longest_s:.1f} s")
        return found


@dataclass
class Target:
    """A running service."""

    twin: Twin
    broker_port: int
    directory: Path

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return "127.0.0.1", self.twin.settings.http.port

    def connect(self, timeout_s: float = 5.0) -> socket.socket:
        """A connection of an attacker."""
        return socket.create_connection(self.address, timeout=timeout_s)

    def ask(
        self,
        path: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout_s: float = 60.0,
    ) -> tuple[int, bytes]:
        """Status and body."""
        connection = http.client.HTTPConnection(*self.address, timeout=timeout_s)
        with closing(connection):
            connection.request(method, path, body, headers or {})
            said = connection.getresponse()
            return said.status, said.read()

    def descriptors(self) -> int:
        """How many the process has open."""
        return len(os.listdir(f"/proc/{self.twin.pid}/fd"))

    @contextmanager
    def watched(self, path: str = "/readyz", every_s: float = POLL_S) -> Iterator[Watch]:
        """Somebody else asks for a page again and again; the process's memory is looked at."""
        watch, enough = Watch(before=self.twin.memory()), threading.Event()
        watch.memory = watch.before
        threads = [
            threading.Thread(target=self._asks, args=(watch, path, every_s, enough)),
            threading.Thread(target=self._looks, args=(watch, enough)),
        ]
        for thread in threads:
            thread.start()
        try:
            yield watch
        finally:
            enough.set()
            for thread in threads:
                thread.join()

    def _asks(self, watch: Watch, path: str, every_s: float, enough: threading.Event) -> None:
        while self.twin.is_alive:  # once at least, however short the attack
            began = time.monotonic()
            try:
                status, _ = self.ask(path, timeout_s=PATIENCE_S)
            except (OSError, http.client.HTTPException):
                status = 0
            if status == 200:
                watch.waits_s.append(time.monotonic() - began)
            else:
                watch.failures += 1
            if enough.wait(every_s):
                return

    def _looks(self, watch: Watch, enough: threading.Event) -> None:
        while not enough.wait(POLL_S):
            with suppress(OSError, IndexError):  # it has just ended
                watch.memory = max(watch.memory, self.twin.memory())
                watch.descriptors = max(watch.descriptors, self.descriptors())
            if watch.memory > MEMORY and not watch.killed:
                watch.killed = True
                os.kill(self.twin.pid, 9)


def closed_within(connection: socket.socket, seconds: float) -> bool:
    """Whether the other side hangs up in time, whatever it says before."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        connection.settimeout(left)
        try:
            if not connection.recv(65_536):
                return True
        except TimeoutError:
            return False
        except OSError:
            return True
    return False
