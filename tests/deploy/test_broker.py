"""A real broker takes the configuration, speaks TLS only, and keeps sites apart."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from queue import Queue
from types import MappingProxyType, TracebackType
from typing import Self

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.client import topic_matches_sub
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from sensors.mqtt.session import UPTIME
from sensors.topics import OBSERVED, Topics
from tests.brokers import Certificate, free_port, password_line
from tests.end_to_end.test_strays import STRAYS, letters, service, until

DEPLOY = Path(__file__).parents[2] / "deploy"
USERS = ("twin", "twin-out", "plant-a", "plant-b", "viewer")
LOAD_A = Topics().load("plant-a/press-1")
STATE_A = Topics().state("plant-a/press-1")
PATIENCE_S = 20.0
ATTEMPTS = 500  # of 10 ms each


def configuration(
    directory: Path, port: int, changes: Mapping[str, str] = MappingProxyType({})
) -> str:
    """The shipped file with the places and the port of this test, and with other values."""
    text = (DEPLOY / "mosquitto.conf").read_text()
    for file in ("ca.crt", "server.crt"):
        text = text.replace(f"/etc/mosquitto/{file}", "/etc/mosquitto/broker.crt")
    text = text.replace("server.key", "broker.key").replace("/etc/mosquitto", str(directory))
    text = text.replace("/mosquitto/data", str(directory / "state"))
    text = text.replace("listener 8883", f"listener {port} 127.0.0.1")
    for key, value in changes.items():
        text, found = re.subn(rf"^{key} .*$", f"{key} {value}", text, flags=re.MULTILINE)
        assert found == 1, key
    return text + ("user root\n" if os.geteuid() == 0 else "")


class Broker:
    """A mosquitto with the shipped configuration."""

    def __init__(
        self, program: str, directory: Path, changes: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.directory, self.port = directory, free_port()
        self._program, self.log = program, directory / "log"
        (directory / "state").mkdir(exist_ok=True)
        (directory / "mosquitto.conf").write_text(configuration(directory, self.port, changes))
        self.process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        """The process, once it listens; fails with its last words if it does not."""
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                [self._program, "-c", str(self.directory / "mosquitto.conf")],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        for _ in range(ATTEMPTS):
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return process
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.01)
                break
        process.kill()
        process.wait()
        pytest.fail(f"the broker does not listen: {self.log.read_text()}")

    def restart(self) -> None:
        self.stop()
        self.process = self._started()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE_S)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("broker"))


def prepared(directory: Path) -> Path:
    """The same directory, with certificates, users and access list."""
    Certificate(directory)
    lines = (password_line(user, f"{user}-password") for user in USERS)
    (directory / "passwords").write_text("".join(lines))
    shutil.copy(DEPLOY / "acl", directory)
    return directory


@pytest.fixture
def broker(mosquitto: str, material: Path) -> Iterator[Broker]:
    running = Broker(mosquitto, material)
    yield running
    running.stop()


class Client:
    """A user of the broker; every wait has an end."""

    def __init__(
        self,
        broker: Broker,
        user: str,
        *,
        client_id: str | None = None,
        password: str | None = None,
        is_kept: bool = False,
    ) -> None:
        self.messages: Queue[mqtt.MQTTMessage] = Queue()
        self._answers: Queue[ReasonCode] = Queue()
        self._client = client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id or f"test-{user}", protocol=mqtt.MQTTv5
        )
        client.username_pw_set(user, password or f"{user}-password")
        client.tls_set(str(broker.directory / "broker.crt"))
        client.on_connect = lambda *a: self._answers.put(a[3])
        client.on_subscribe = lambda *a: self._answers.put(a[3][0])
        client.on_message = lambda *a: self.messages.put(a[2])
        self._port = broker.port
        self._session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's
        self._session.SessionExpiryInterval = 60 if is_kept else 0
        self._is_new = not is_kept

    def __enter__(self) -> Self:
        self._client.connect(
            "127.0.0.1", self._port, clean_start=self._is_new, properties=self._session
        )
        self._client.loop_start()
        self.connected = self._answers.get(timeout=PATIENCE_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def subscribe(self, topic: str) -> None:
        self._client.subscribe(topic, qos=1)
        self._answers.get(timeout=PATIENCE_S)

    def publish(
        self, topic: str, payload: str, *, retain: bool = False, is_awaited: bool = True
    ) -> None:
        sent = self._client.publish(topic, payload, qos=1, retain=retain)
        if is_awaited:
            sent.wait_for_publish(PATIENCE_S)

    def outcome(self, topic: str, payload: str = "{}") -> str:
        """What the broker answers to a publication."""
        self._client.on_publish = lambda *a: self._answers.put(a[3])
        self._client.publish(topic, payload, qos=1)
        return str(self._answers.get(timeout=PATIENCE_S))

    def heard(self) -> str:
        return self.messages.get(timeout=PATIENCE_S).payload.decode()


def test_a_site_reaches_the_twin_and_the_twin_reaches_the_site(broker: Broker) -> None:
    with Client(broker, "twin") as twin, Client(broker, "plant-a") as site:
        for kind in OBSERVED:
            twin.subscribe(Topics().subscription(kind))
            site.publish(Topics().of("plant-a/press-1", kind), kind)
            assert twin.heard() == kind
        site.subscribe(STATE_A)
        with Client(broker, "twin-out") as out:
            out.publish(STATE_A, "state")
        assert site.heard() == "state"
        assert twin.outcome(STATE_A) == "Not authorized"  # it listens, the other speaks


def test_a_site_cannot_speak_for_another(broker: Broker) -> None:
    with (
        Client(broker, "twin") as twin,
        Client(broker, "plant-a") as owner,
        Client(broker, "plant-b") as stranger,
    ):
        twin.subscribe(Topics().subscription("load"))
        stranger.publish(LOAD_A, "forged")
        owner.publish(LOAD_A, "own")
        assert twin.heard() == "own"  # the forged one came first, and was dropped


def test_a_site_cannot_say_what_the_twin_believes(broker: Broker) -> None:
    with Client(broker, "viewer") as viewer, Client(broker, "plant-a") as site:
        viewer.subscribe(Topics().subscription("state"))
        site.publish(STATE_A, "forged")
        with Client(broker, "twin-out") as twin:
            twin.publish(STATE_A, "own")
        assert viewer.heard() == "own"


DENIED = (
    "twin/v1/plant-b/press-1/load",
    "twin/v1/plant-b/press-1/loads",
    "twin/v1/plant-b",
    "twin/v2/plant-b/press-1/load",
    "twin/plant-b/press-1/load",
    "twin/v1/plant-a/press-1/state",
    "twin/v1/plant-a/press-1/event",
    "twin/v2/plant-a/press-1/state",
    "twin/v1/plant-a/press-1/vibration",
    "elsewhere/load",
)


def test_what_is_denied_is_told_to_its_publisher(broker: Broker) -> None:
    """And to nobody else: `deploy/README.md` says so."""
    with Client(broker, "plant-a") as site:
        assert site.outcome(LOAD_A) == "No matching subscribers"  # let through
        for topic in DENIED:
            assert site.outcome(topic) == "Not authorized", topic


async def test_what_misses_its_topic_becomes_a_dead_letter_with_the_shipped_acl(
    broker: Broker, tmp_path: Path
) -> None:
    strays = [*STRAYS, "twin/v1/plant-a/press-1/Load", "TWIN/v1/plant-a/press-1/image"]
    access = {"username": "twin", "password": "twin-password"}
    trust = {"tls_ca": broker.directory / "broker.crt"}
    tables = {**access, **trust, "publish_state": False}  # the broker is that of other tests too
    async with service(tmp_path / "data", broker.port, **tables) as it:
        with Client(broker, "plant-a") as site:
            for topic in (*strays, *DENIED):
                await asyncio.to_thread(site.publish, topic, "{}")
        known = {topic for topic in strays if topic != "twin/v1"}  # nobody's
        await until(lambda: {topic for topic, _ in letters(it)} >= known)
        assert {topic for topic, _ in letters(it)} == known
        says = dict(letters(it))
        assert "publish to twin/v1/plant-a/press-1/load" in says["twin/v1/plant-a/press-1/loads"]


def test_the_twin_reads_what_sites_may_write_and_not_what_it_says() -> None:
    text = (DEPLOY / "acl").read_text()
    written = re.findall(r"^pattern write (\S+)$", text, re.MULTILINE)
    read = re.findall(r"^topic read (\S+)$", text.split("user twin")[1], re.MULTILINE)
    assert read == [*(topic.replace("%u", "+") for topic in written), UPTIME]
    for kind in ("state", "event"):
        assert not [t for t in read if topic_matches_sub(t, f"twin/v1/plant-a/press-1/{kind}")]


def test_a_viewer_sees_no_load(broker: Broker) -> None:
    with Client(broker, "viewer") as viewer, Client(broker, "plant-a") as site:
        viewer.subscribe(Topics().subscription("load"))
        viewer.subscribe(Topics().subscription("state"))
        site.publish(LOAD_A, "load")
        with Client(broker, "twin-out") as twin:
            twin.publish(STATE_A, "state")
        assert viewer.heard() == "state"


def test_a_wrong_password_is_refused(broker: Broker) -> None:
    with Client(broker, "twin", password="guessed") as guest:
        assert guest.connected == "Not authorized"
    with Client(broker, "twin") as twin:
        assert twin.connected == "Success"


def test_nobody_comes_in_without_tls(broker: Broker) -> None:
    connect = b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03abc"
    answer = b""
    with socket.create_connection(("127.0.0.1", broker.port), timeout=PATIENCE_S) as plain:
        plain.sendall(connect)
        with contextlib.suppress(ConnectionResetError):
            answer = plain.recv(64)
    assert answer[:1] != b"\x20"  # no CONNACK, not even one that refuses


def test_what_was_retained_survives_a_restart(broker: Broker) -> None:
    with Client(broker, "twin-out") as twin:
        twin.publish(STATE_A, "kept", retain=True)
    broker.restart()
    with Client(broker, "viewer") as viewer:
        viewer.subscribe(STATE_A)
        assert viewer.heard() == "kept"


def test_thousands_of_messages_wait_for_a_twin_that_is_away(broker: Broker) -> None:
    """Mosquitto's defaults would keep 1,000 and drop the rest, acknowledged."""
    with Client(broker, "twin", is_kept=True) as twin:
        twin.subscribe(Topics().subscription("load"))
    with Client(broker, "plant-a") as site:
        for n in range(2500):
            site.publish(LOAD_A, str(n), is_awaited=n == 2499)
    with Client(broker, "twin", is_kept=True) as twin:
        assert [twin.heard() for _ in range(2500)] == [str(n) for n in range(2500)]


def test_the_credentials_of_a_sensor_do_not_reach_the_session_of_the_twin(broker: Broker) -> None:
    """Under the twin's client id they could begin it anew: what waits in it would be gone."""
    with Client(broker, "twin", client_id="twin", is_kept=True) as twin:
        twin.subscribe(Topics().subscription("load"))
    with Client(broker, "plant-a") as site:
        for n in range(100):
            site.publish(LOAD_A, str(n))
    for name in ("twin", "test-twin"):
        with Client(broker, "plant-b", client_id=name) as stranger:
            assert stranger.connected == "Success"
    with Client(broker, "twin", client_id="twin", is_kept=True) as twin:
        assert [twin.heard() for _ in range(100)] == [str(n) for n in range(100)]
        with Client(broker, "plant-b", client_id="twin"), Client(broker, "plant-a") as site:
            site.publish(LOAD_A, "still here")  # nor is it thrown out
            assert twin.heard() == "still here"


def test_the_limits_are_stated() -> None:
    text = (DEPLOY / "mosquitto.conf").read_text()
    stated = dict(re.findall(r"^(\w+) (\S+)$", text, re.MULTILINE))
    assert int(stated["max_inflight_messages"]) == 20_000
    assert int(stated["max_queued_messages"]) == 500_000
    assert int(stated["max_packet_size"]) >= 16 * 2**20  # an image
    assert int(stated["max_queued_bytes"]) < int(stated["memory_limit"])
    assert stated["allow_anonymous"] == "false"
