"""The service with its broker and its HTTP server, from start to graceful stop."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import dataclasses
import gc
import math
import platform
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import structlog
import torch
import uvicorn
from pydantic import SecretStr

from sensors import watch
from sensors.errors import BrokerError, complaint
from sensors.mqtt.publisher import Publisher
from sensors.mqtt.settings import MqttSettings, tls_context
from sensors.mqtt.source import MqttSource
from sensors.topics import Topics
from storage.store import Store
from twin.api.application import application
from twin.api.connection_limits import ConnectionLimits, bounds
from twin.api.http_protocol import guarded
from twin.archive.opening import opened
from twin.archive.remedies import remedied
from twin.broker_session import BrokerSession
from twin.errors import SettingsError, unreadable
from twin.kinds.catalogue import warm
from twin.publish.outbox import Outbox
from twin.service import Service
from twin.settings import Settings

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)
KEPT_BYTES = 256 << 20
ACCEPTED = 64  # connections that asyncio takes in one go, before the doors see any of them
BACKLOG = 2048  # that the kernel lets wait
BUFFER_BYTES = 256 << 10  # that the kernel holds for a connection, each way
SWEEP_TICKS = 5  # of uvicorn's, 0.1 s each
SMALLEST_PACKET, ROOM = 17 << 20, (1 << 20) - 16  # [byte] asked of the broker; beside a payload

log = structlog.get_logger()


async def serve(settings: Settings, started: Callable[[str], None] = lambda _: None) -> None:
    """Run until SIGTERM or SIGINT; `started` gets the URL once HTTP answers."""
    _check_files(settings)
    prepare()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with remedied(settings.storage.directory):
        store = await asyncio.to_thread(opened, settings.storage)
    try:
        async with running(settings, store) as (_, url):
            started(url)
            await stop.wait()
            log.info("stopping")
    finally:
        store.close()


def _check_files(settings: Settings) -> None:
    """Raises SettingsError for files that would only be missed later, or again and again."""
    directory = settings.storage.directory
    if directory.exists() and not directory.is_dir():
        raise SettingsError(f"storage.directory {directory} is a file: name a directory")
    try:
        tls_context(mqtt_settings(settings))
        outgoing_settings(settings)  # its password can be read
    except OSError as exc:
        t = settings.mqtt
        files = [str(path) for path in (t.tls_ca, t.tls_cert, t.tls_key) if path is not None]
        raise SettingsError(f"mqtt: TLS by {', '.join(files)}: {complaint(exc)}") from exc


def prepare() -> None:
    """Settle the process, so that nothing takes time later that it need not.

    One thread for torch: cohorts are batched, and spinning threads steal from the loop.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    warm()
    watch.warm()
    _keep_freed_memory()
    gc.collect()
    gc.freeze()  # a full collection would walk all modules each time and stop the loop for 0.1 s


def _keep_freed_memory() -> None:
    """Let glibc reuse what it got instead of giving it back after every step.

    A step copies whole cohorts; to map and unmap those megabytes costs a third of its time.
    """
    if platform.libc_ver()[0] == "glibc":
        set_option = ctypes.CDLL(None).mallopt
        set_option(M_TRIM_THRESHOLD, KEPT_BYTES)
        set_option(M_MMAP_THRESHOLD, KEPT_BYTES)


@asynccontextmanager
async def running(
    settings: Settings, store: Store, *, with_broker: bool = True
) -> AsyncIterator[tuple[Service, str]]:
    """A service that answers on HTTP; it leaves in order, HTTP last, so that it can be watched."""
    service = Service(settings, store)
    listener = _listener(settings)
    server = _Server(service)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve([listener]), name="http")
        work = tasks.create_task(_work(service, with_broker=with_broker), name="work")
        try:
            url = _url(listener)
            log.info(
                "listening",
                url=url,
                broker=mqtt_settings(settings).address if with_broker else None,
                root=settings.mqtt.root,
                data=str(store.directory.absolute()),
            )
            yield service, url
        finally:
            work.cancel()
            await asyncio.wait([work])
            server.should_exit = True


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """Leaves signals to the hall, and looks after its doors."""

    def __init__(self, service: Service) -> None:
        refused = service.metrics.http_refused
        self._doors = doors = ConnectionLimits(
            bounds(service.settings.http), lambda reason: refused.labels(reason).inc()
        )
        service.metrics.http_connections.set_function(lambda: len(doors))
        super().__init__(_config(service, doors))

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
        return contextlib.nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(BACKLOG)

    async def on_tick(self, counter: int) -> bool:
        if counter % SWEEP_TICKS == 0:
            self._doors.sweep(asyncio.get_running_loop().time())
        return await super().on_tick(counter)


def _config(service: Service, doors: ConnectionLimits) -> uvicorn.Config:
    return uvicorn.Config(
        application(service),
        http=guarded(doors),
        ws="none",  # nothing here speaks it
        # Else anybody on this machine could call himself as many clients as he likes.
        proxy_headers=bool(service.settings.http.allowed_hosts),
        backlog=ACCEPTED,
        timeout_keep_alive=math.ceil(doors.bounds.idle_s),
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
    )


def _listener(settings: Settings) -> socket.socket:
    address = settings.http.host, settings.http.port
    try:
        listener = socket.create_server(address, reuse_port=False, backlog=2048)
    except OSError as exc:
        raise SettingsError(
            f"HTTP cannot listen on {address[0]}:{address[1]}: {complaint(exc)}: http.host and "
            "http.port say where"
        ) from exc
    # asyncio does this only for sockets that it made; without it a body may wait 40 ms for an ACK
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        listener.setsockopt(socket.SOL_SOCKET, buffer, BUFFER_BYTES)
    return listener


async def _work(service: Service, *, with_broker: bool) -> None:
    if not with_broker:
        await service.run(None)
        return
    topics = Topics(service.settings.mqtt.root)
    mqtt = mqtt_settings(service.settings)
    async with AsyncExitStack() as stack:
        session = BrokerSession(mqtt, service.store.directory, service.news.forgotten)
        service.session = session
        stack.callback(session.save)  # the source has left by then
        watching = asyncio.create_task(session.run(), name="session")
        stack.callback(watching.cancel)
        source = await stack.enter_async_context(
            MqttSource(
                mqtt,
                topics.subscriptions,
                wide=topics.everything if service.settings.mqtt.watch_topics else None,
                beside=topics.beside if service.settings.mqtt.watch_topics else (),
                on_change=_reporter(service),
                session=session,
            )
        )
        service.source = source
        if service.settings.mqtt.publish_state:
            outbox = service.news.outbox = Outbox(topics, service.metrics)
            publisher = await stack.enter_async_context(
                Publisher(outgoing_settings(service.settings), on_change=_out_reporter(service))
            )
            outgoing = asyncio.create_task(outbox.run(publisher), name="outbox")
            stack.callback(outgoing.cancel)
        await service.run(source)


def _reporter(service: Service) -> Callable[[BrokerError | None], None]:
    def report(error: BrokerError | None) -> None:
        service.metrics.broker.set(error is None)
        if error is None:
            log.info("broker_connected", address=mqtt_settings(service.settings).address)
        else:
            service.metrics.broker_failures.labels("in", error.reason).inc()
            log.warning("broker_away", reason=str(error))

    return report


def _out_reporter(service: Service) -> Callable[[BrokerError | None], None]:
    """As the other, for the connection by which states and events leave."""

    def report(error: BrokerError | None) -> None:
        if error is not None:
            service.metrics.broker_failures.labels("out", error.reason).inc()
            log.warning("outgoing_broker_away", reason=str(error))

    return report


def outgoing_settings(settings: Settings) -> MqttSettings:
    """The same broker, under a client id of its own, and as a user of its own where one is set."""
    table, mqtt = settings.mqtt, mqtt_settings(settings)
    own = dataclasses.replace(mqtt, client_id=f"{mqtt.client_id}-out")
    if table.out_username is None:
        return own
    password = _password("out_password", table.out_password_file, table.out_password)
    return dataclasses.replace(own, username=table.out_username, password=password)


def mqtt_settings(settings: Settings) -> MqttSettings:
    """What the sensors room needs to know of the broker."""
    t, ingest = settings.mqtt, settings.ingest
    largest = max(ingest.max_image_bytes, ingest.max_message_bytes)
    return MqttSettings(
        host=t.host,
        port=t.port,
        client_id=t.client_id,
        username=t.username,
        password=_password("password", t.password_file, t.password),
        tls_ca=t.tls_ca,
        tls_cert=t.tls_cert,
        tls_key=t.tls_key,
        session_expiry_s=t.session_expiry_s,
        max_inflight_bytes=settings.ingest.in_flight_bytes,
        max_packet=max(SMALLEST_PACKET, largest + ROOM),
    )


def _password(key: str, file: Path | None, given: SecretStr | None) -> str | None:
    if file is None:
        return given.get_secret_value() if given else None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(f"mqtt.{key}_file {file} cannot be read: {unreadable(exc)}") from exc
