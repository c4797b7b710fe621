"""(d), (i): what HTTP takes, asked by a plain client in a process of its own."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Self
from urllib.parse import urlsplit

import numpy as np
import uvicorn
from fastapi import FastAPI
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from tests.benchmarks.report import Figure, at_most, middle
from tests.benchmarks.service.ingest import Bench, Size
from tests.benchmarks.service.process import EMPTY
from tests.benchmarks.service.publishing import SPAWN, Publication
from tests.benchmarks.service.traffic import name
from tests.brokers import free_port

PAUSE_S = 0.002  # between two questions
WARM_S = 0.3  # until a flood has filled every queue
CAPACITY = 45_000.0  # messages a second, more than the service can take
GAUGES = 11  # lines of a component on the metrics page


class Answers:
    """One keep-alive connection that does nothing but ask."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self._socket = socket.create_connection((place.hostname or "", place.port or 80))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def body(self, path: str) -> bytes:
        """The body of a GET; raises AssertionError for anything but 200."""
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        while b"\r\n\r\n" not in self._rest:
            self._rest += self._received()
        head, _, body = self._rest.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head[:200]
        if b"transfer-encoding: chunked" in head.lower():
            return self._chunks(body)
        size = int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0])
        pieces, have = [body], len(body)
        while have < size:
            pieces.append(self._received())
            have += len(pieces[-1])
        whole = b"".join(pieces)
        self._rest = whole[size:]
        return whole[:size]

    def _chunks(self, rest: bytes) -> bytes:
        """A body that comes piece by piece, each behind its size."""
        found = list[bytes]()
        while True:
            while b"\r\n" not in rest:
                rest += self._received()
            size, _, rest = rest.partition(b"\r\n")
            wanted = int(size, 16)
            while len(rest) < wanted + 2:
                rest += self._received()
            found.append(rest[:wanted])
            rest = rest[wanted + 2 :]
            if not wanted:
                self._rest = rest
                return b"".join(found)

    def _received(self) -> bytes:
        piece = self._socket.recv(1 << 18)
        assert piece, "the server hung up"
        return piece

    def seconds(self, path: str) -> float:
        """What one answer takes."""
        began = time.perf_counter()
        self.body(path)
        return time.perf_counter() - began


class Asking:
    """A process that is about to ask some (url, path) in turn."""

    def __init__(self, questions: list[tuple[str, str]], seconds: float) -> None:
        self._pipe, far = SPAWN.Pipe()
        self._process = SPAWN.Process(target=_ask, args=(far, questions, seconds))

    def __enter__(self) -> Self:
        self._process.start()
        self._pipe.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    def seconds(self) -> list[NDArray[np.float64]]:
        """What each of them took, now."""
        self._pipe.send(None)
        found: list[NDArray[np.float64]] = self._pipe.recv()
        return found


def _ask(pipe: Connection, questions: list[tuple[str, str]], seconds: float) -> None:
    clients = [(Answers(url), path) for url, path in questions]
    took: list[list[float]] = [[] for _ in clients]
    for client, path in clients:
        client.body(path)
    pipe.send(None)
    pipe.recv()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for (client, path), column in zip(clients, took, strict=True):
            column.append(client.seconds(path))
            time.sleep(PAUSE_S)
    pipe.send([np.array(column) for column in took])


class EmptyServer:
    """FastAPI with one empty route, in a process of its own."""

    def __init__(self) -> None:
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._process = SPAWN.Process(target=_serve_empty, args=(self._port,))

    def __enter__(self) -> Self:
        self._process.start()
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()


def _serve_empty(port: int) -> None:
    app = FastAPI()

    @app.get(EMPTY)
    async def get_nothing() -> dict[str, bool]:
        return {}

    uvicorn.run(app, port=port, log_config=None, access_log=False)


def states(bench: Bench, size: Size) -> Iterator[Figure]:
    """(d) with the machine idle, then under all the ingest that it can take."""
    path = f"/api/v1/components/{name(bench.parts // 2)}/state"
    with EmptyServer() as server:
        questions = [(bench.hall.url, path), (bench.hall.url, EMPTY), (server.url, EMPTY)]
        idle = [_p99(_at_rest(questions, size)) for _ in range(size.repeats)]
        full = [_p99(_under_load(bench, questions, size)) for _ in range(size.repeats)]
    state_idle, _, empty_idle = (middle(column) for column in zip(*idle, strict=True))
    state, mounted, apart = (middle(column) for column in zip(*full, strict=True))
    yield _state("idle machine", state_idle, "alone, idle machine", empty_idle, wanted=True)
    yield _state("full ingest", state, "in the same app, same ingest", mounted, wanted=True)
    yield _state("full ingest", state, "in a process of its own, same ingest beside it", apart)
    yield _state("full ingest", state, "alone, idle machine", empty_idle)


def _state(when: str, state: float, where: str, empty: float, *, wanted: bool = False) -> Figure:
    ratio = state / empty
    target = at_most(3.0, ratio) if wanted else ("stated", None)
    yardstick = f"empty FastAPI route, {where}: {empty * 1e3:.2f} ms"
    return Figure("d", f"GET state, p99, {when}", state * 1e3, "ms", yardstick, ratio, *target)


def _p99(columns: list[NDArray[np.float64]]) -> list[float]:
    return [float(np.quantile(column, 0.99)) for column in columns]


def _at_rest(questions: list[tuple[str, str]], size: Size) -> list[NDArray[np.float64]]:
    with Asking(questions, size.paced_s / 2) as asking:
        return asking.seconds()


def _under_load(
    bench: Bench, questions: list[tuple[str, str]], size: Size
) -> list[NDArray[np.float64]]:
    """Ask while a flood lasts; raises AssertionError if it ended before."""
    count = int(CAPACITY * size.paced_s)
    offset = bench.hall.end() + count
    with (
        Publication(bench.port, bench.plan(count, bench.root)) as publication,
        Asking(questions, size.paced_s / 2) as asking,
    ):
        publication.start()
        time.sleep(WARM_S)
        found = asking.seconds()
        assert bench.hall.end() < offset, "the flood ended before the questions did"
        publication.published()
        bench.hall.stepped(offset)
    return found


def scrape(bench: Bench, size: Size) -> Iterator[Figure]:
    """(i), against as many lines through prometheus_client's own gauges."""
    took = []
    bench.stepped(bench.parts)  # so that every line has a value
    with Answers(bench.hall.url) as client:
        for _ in range(5 * size.repeats):
            bench.stepped(100)  # so that no page is kept from the last
            took.append(client.seconds("/metrics"))
        page = client.body("/metrics")
    own = _own_gauges(bench.parts)
    what, ours = f"scrape of /metrics, {bench.parts:,} components", middle(took)
    yardstick = f"as many gauges of prometheus_client: {own * 1e3:.0f} ms"
    yield Figure("i", what, ours * 1e3, "ms", yardstick, ours / own)
    yield Figure("i", what, len(page) / 1e6, "MB")


def _own_gauges(parts: int) -> float:
    registry = CollectorRegistry()
    for i in range(GAUGES):
        gauge = Gauge(f"twin_{i}", "A number.", ("site", "component"), registry=registry)
        for k in range(parts):
            gauge.labels("plant", name(k)).set(k * 1e-7)
    began = time.perf_counter()
    generate_latest(registry)
    return time.perf_counter() - began
