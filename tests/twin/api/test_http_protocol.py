"""Connections that send too much, too slowly or nothing, on a real socket."""

from __future__ import annotations

import asyncio
import gc
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from storage.errors import UnavailableError
from storage.store import Store
from tests.end_to_end.hostile.headers import KINDS
from tests.twin.fakes import wanted
from tests.twin.fleets import component
from twin.api import connection_limits, states
from twin.api import responses as answers
from twin.api.endings import Endings
from twin.service import Service
from twin.serving import running

HALF = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: "
WHOLE = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
EVENTS = b"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
SLOW = 5.0  # what would happen in time on a machine that nobody else uses [s]
MOST = 2 << 20  # bytes that fit into the kernel's buffers, and a little


@asynccontextmanager
async def served(directory: Path, **http: Any) -> AsyncIterator[tuple[Service, int]]:
    """A service, and the port that it listens on."""
    settings = wanted(directory, http={"port": 0, **http})
    with Store(directory) as store:
        async with running(settings, store, with_broker=False) as (service, url):
            await service.ready.wait()
            yield service, int(url.rpartition(":")[2])


class Guest:
    """One connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)  # what leaves counts
        self._socket.connect(("127.0.0.1", port))
        self._socket.setblocking(False)
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Guest:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    async def send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self._socket, data)

    async def said(self) -> bytes:
        """What comes next; nothing once it has hung up."""
        try:
            async with asyncio.timeout(SLOW):
                return await self._loop.sock_recv(self._socket, 65_536)
        except ConnectionError:
            return b""

    async def ends(self) -> bytes:
        """All that is said until it hangs up."""
        found = b""
        while piece := await self.said():
            found += piece
        return found


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


@pytest.mark.parametrize("kind", KINDS)
async def test_what_has_no_end_is_refused_before_it_is_much(tmp_path: Path, kind: str) -> None:
    beginning, more = KINDS[kind]
    sent, answer = 0, b""
    async with served(tmp_path / "data") as (_, port):
        with Guest(port) as guest:
            try:
                await guest.send(beginning)
                async with asyncio.timeout(30):
                    while sent < 4 * MOST:
                        await guest.send(more)
                        sent += len(more)
            except ConnectionError:
                pass
            answer = await guest.said()
        with Guest(port) as other:
            await other.send(WHOLE)
            assert status(await other.said()) == 200
    assert sent < MOST
    told = {"a target": {414}, "requests in one piece": {200, 429}, "trailers": {404, 431}}
    assert status(answer) in told.get(kind, {431}) | {0}  # none where the rest met a closed door


async def test_the_largest_headers_that_may_be_are_taken(tmp_path: Path) -> None:
    async with served(tmp_path / "data", max_headers=20, max_header_bytes=4096) as (_, port):
        for count, expected in ((20, 200), (21, 431)):
            lines = [b"Host: 127.0.0.1", *(b"X-%d: y" % i for i in range(1, count))]
            with Guest(port) as guest:
                await guest.send(b"\r\n".join((b"GET /healthz HTTP/1.1", *lines, b"", b"")))
                assert status(await guest.said()) == expected
        used = len("Host127.0.0.1X-A")
        for size, expected in ((4096 - used, 200), (4097 - used, 431)):
            with Guest(port) as guest:
                await guest.send(HALF + b"y" * size + b"\r\n\r\n")
                assert status(await guest.said()) == expected


@pytest.mark.parametrize(
    "beginning",
    [
        HALF,
        b"GET /heal",
        b"PUT /api/v1/components/a/b HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Content-Type: application/json\r\nContent-Length: 10000\r\n\r\n{",
    ],
)
async def test_a_request_that_is_never_whole_is_given_up(tmp_path: Path, beginning: bytes) -> None:
    async with served(tmp_path / "data", request_timeout_s=0.6) as (_, port):
        with Guest(port) as guest:
            await guest.send(beginning)
            trickle = asyncio.create_task(_trickle(guest))
            assert status(await guest.ends()) == 408
            trickle.cancel()


async def _trickle(guest: Guest) -> None:
    """A byte now and then makes no difference."""
    while True:
        await asyncio.sleep(0.1)
        await guest.send(b"x")


async def test_a_connection_that_asks_nothing_is_closed(tmp_path: Path) -> None:
    async with served(tmp_path / "data", idle_timeout_s=0.6) as (_, port):
        with Guest(port) as silent, Guest(port) as done:
            await done.send(WHOLE)
            assert status(await done.said()) == 200
            assert await silent.ends() == b""
            assert await done.ends() == b""


async def test_those_who_wait_longest_make_room_for_the_newest(tmp_path: Path) -> None:
    async with served(tmp_path / "data", max_connections=16) as (service, port):
        with ExitStack() as stack:
            idle = [stack.enter_context(Guest(port)) for _ in range(60)]
            newest = stack.enter_context(Guest(port))
            await newest.send(WHOLE)
            assert status(await newest.said()) == 200
            assert await idle[0].ends() == b""
            open_ = service.metrics.registry.get_sample_value("twin_http_connections")
            assert open_ is not None
            assert open_ <= 8  # the half of one client


async def test_those_that_are_being_answered_are_not_given_up_for_others(tmp_path: Path) -> None:
    async with served(tmp_path / "data", max_connections=16) as (_, port):
        with ExitStack() as stack:
            listeners = [stack.enter_context(Guest(port)) for _ in range(8)]
            for guest in listeners:
                await guest.send(EVENTS)
                assert status(await guest.said()) == 200
            with Guest(port) as newest:
                assert status(await newest.ends()) == 503


async def test_nobody_is_more_clients_than_one_by_saying_so(tmp_path: Path) -> None:
    async with served(tmp_path / "data", max_listeners=8) as (_, port):
        with ExitStack() as stack:
            answers = []
            for i in range(8):
                guest = stack.enter_context(Guest(port))
                await guest.send(EVENTS[:-2] + b"X-Forwarded-For: 10.0.0.%d\r\n\r\n" % i)
                answers.append(status(await guest.said()))
    assert answers == [200] * 4 + [429] * 4


async def test_an_answer_that_nobody_takes_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twin.api.application._DOCS", b"x" * (16 << 20))
    gc.collect()
    async with served(tmp_path / "data", answer_timeout_s=0.6) as (service, port):
        ended = service.metrics.http_refused.labels("dropped")
        with Guest(port) as guest:
            await guest.send(b"GET /docs HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            async with asyncio.timeout(SLOW):
                while not ended._value.get():  # noqa: ASYNC110  a counter, not ours to wake us
                    await asyncio.sleep(0.05)
        with Guest(port) as other:  # who takes it gets all of it
            await other.send(b"GET /docs HTTP/1.1\r\nHost: localhost\r\n\r\n")
            size = 0
            while size < 16 << 20:
                piece = await other.said()
                assert piece
                size += len(piece)


async def test_what_is_no_http_is_told_so_and_not_logged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with served(tmp_path / "data") as (service, port):
        capfd.readouterr()
        for _ in range(5):
            with Guest(port) as guest:
                await guest.send(b"EHLO mail.example\r\n\r\n")
                assert status(await guest.ends()) == 400
        assert service.metrics.http_refused.labels("bad-request")._value.get() == 5
        assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (b"GET /healthz HTTP/1.1", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: other", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close", 200),
        (b"GET /healthz HTTP/1.0", 200),  # which knows no Host
    ],
)
async def test_a_request_names_one_host(tmp_path: Path, lines: bytes, expected: int) -> None:
    async with served(tmp_path / "data") as (_, port):
        with Guest(port) as guest:
            await guest.send(lines + b"\r\n\r\n")
            answer = await guest.ends()
    assert status(answer) == expected
    assert (b"Host headers, not one" in answer) is (expected == 400)


@pytest.mark.parametrize(
    ("soft", "hard", "allowed", "raised"),
    [
        (4096, 4096, 1000, None),
        (1256, 1256, 1000, None),
        (1255, 1255, 999, None),
        (1024, 1_048_576, 1000, 1256),
        (1024, 1100, 844, 1100),
        (64, 64, connection_limits.FEWEST, None),
    ],
)
def test_descriptors_are_kept_in_reserve(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, allowed: int, raised: int | None
) -> None:
    asked = list[tuple[int, tuple[int, int]]]()
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda *args: asked.append(args))
    assert connection_limits._connections(1000) == allowed
    given = None if raised is None else [(resource.RLIMIT_NOFILE, (raised, hard))]
    assert (asked or None) == given or soft == hard


def _endless(*_: object) -> Iterator[bytes]:
    while True:
        yield b"x" * 50_000


@pytest.mark.parametrize("is_read", [True, False])
async def test_an_answer_that_a_stop_cuts_off_is_not_taken_for_whole(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    is_read: bool,
) -> None:
    """Who reads history while the service stops sees a torn connection, the log one sentence."""
    monkeypatch.setitem(states._PIECES, answers.JSON, _endless)
    site, name = component().name.split("/")
    path = f"/api/v1/components/{site}/{name}/history"
    found = bytearray()
    async with AsyncExitStack() as stack:
        service, port = await stack.enter_async_context(served(tmp_path / "data"))
        await service.register([component()])
        with Guest(port) as guest, structlog.testing.capture_logs() as logs:
            await guest.send(WHOLE.replace(b"/healthz", path.encode()))
            found += await guest.said()
            assert status(bytes(found)) == 200
            stopping = asyncio.create_task(stack.pop_all().aclose())
            while is_read and (piece := await guest.said()):
                found += piece
            await stopping
    assert not found.endswith(b"0\r\n\r\n")
    assert "application" not in caplog.text
    assert [entry["path"] for entry in logs if entry["event"] == "answer_cut_off"] == [path]


@pytest.mark.parametrize("error", [UnavailableError("no room"), asyncio.CancelledError()])
async def test_what_did_not_begin_before_a_stop_is_told_so(error: BaseException) -> None:
    async def app(*_: object) -> None:
        raise error

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    await Endings(app)({"type": "http", "path": "/", "headers": []}, receive, send)
    assert sent[0]["status"] == 503
    assert (str(error) or "the service is stopping").encode() in sent[1]["body"]
