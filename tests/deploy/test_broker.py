"""A real broker takes the configuration, speaks TLS only, and keeps sites apart."""

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue
from types import TracebackType
from typing import Self

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from sensors.topics import OBSERVED, Topics
from tests.conftest import tool

DEPLOY = Path(__file__).parents[2] / "deploy"
USERS = ("twin", "plant-a", "plant-b", "viewer")
LOAD_A = Topics().load("plant-a/press-1")
STATE_A = Topics().state("plant-a/press-1")
PATIENCE_S = 20.0


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def run(directory: Path, *command: str) -> None:
    subprocess.run(command, cwd=directory, check=True, capture_output=True, timeout=60)


def make_certificates(directory: Path) -> None:
    """An authority and a certificate for localhost."""
    openssl = tool("openssl")
    fresh = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    run(directory, openssl, "req", "-x509", *fresh, "-days", "2", "-subj", "/CN=test-ca",
        "-keyout", "ca.key", "-out", "ca.crt")  # fmt: skip
    run(directory, openssl, "req", *fresh, "-subj", "/CN=localhost",
        "-keyout", "server.key", "-out", "server.csr")  # fmt: skip
    (directory / "san").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
    run(directory, openssl, "x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey",
        "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "san", "-out", "server.crt")  # fmt: skip


def make_users(directory: Path) -> None:
    (directory / "passwords").write_text("")
    for user in USERS:
        run(directory, tool("mosquitto_passwd"), "-b", "passwords", user, f"{user}-password")


def configuration(directory: Path, port: int) -> str:
    """The shipped file with the places and the port of this test."""
    text = (DEPLOY / "mosquitto.conf").read_text()
    text = text.replace("/etc/mosquitto", str(directory))
    text = text.replace("/var/lib/mosquitto", str(directory / "state"))
    text = text.replace("listener 8883", f"listener {port} 127.0.0.1")
    return text + ("user root\n" if os.geteuid() == 0 else "")


class Broker:
    """A mosquitto with the shipped configuration."""

    def __init__(self, program: str, directory: Path) -> None:
        self.directory, self.port = directory, free_port()
        self._program = program
        (directory / "state").mkdir(exist_ok=True)
        (directory / "mosquitto.conf").write_text(configuration(directory, self.port))
        self.process = self._started()

    def _started(self) -> subprocess.Popen[str]:
        """The process, once it says that it runs; its last words if it does not."""
        process = subprocess.Popen(
            [self._program, "-c", str(self.directory / "mosquitto.conf")],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if " running" in line:
                return process
        pytest.fail("".join(said))

    def restart(self) -> None:
        self.stop()
        self.process = self._started()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates, users and access list."""
    directory = tmp_path_factory.mktemp("broker")
    make_certificates(directory)
    make_users(directory)
    shutil.copy(DEPLOY / "acl", directory)
    return directory


@pytest.fixture
def broker(mosquitto: str, material: Path) -> Iterator[Broker]:
    running = Broker(mosquitto, material)
    yield running
    running.stop()


class Client:
    """A user of the broker; every wait has an end."""

    def __init__(self, broker: Broker, user: str, *, password: str | None = None) -> None:
        self.messages: Queue[mqtt.MQTTMessage] = Queue()
        self._answers: Queue[ReasonCode] = Queue()
        self._client = client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=f"test-{user}", protocol=mqtt.MQTTv5
        )
        client.username_pw_set(user, password or f"{user}-password")
        client.tls_set(str(broker.directory / "ca.crt"))
        client.on_connect = lambda *a: self._answers.put(a[3])
        client.on_subscribe = lambda *a: self._answers.put(a[3][0])
        client.on_message = lambda *a: self.messages.put(a[2])
        self._port = broker.port

    def __enter__(self) -> Self:
        self._client.connect("localhost", self._port)
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

    def publish(self, topic: str, payload: str, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(PATIENCE_S)

    def heard(self) -> str:
        return self.messages.get(timeout=PATIENCE_S).payload.decode()


def test_a_site_reaches_the_twin_and_the_twin_reaches_the_site(broker: Broker) -> None:
    with Client(broker, "twin") as twin, Client(broker, "plant-a") as site:
        for kind in OBSERVED:
            twin.subscribe(Topics().subscription(kind))
            site.publish(Topics().of("plant-a/press-1", kind), kind)
            assert twin.heard() == kind
        site.subscribe(STATE_A)
        twin.publish(STATE_A, "state")
        assert site.heard() == "state"


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
        with Client(broker, "twin") as twin:
            twin.publish(STATE_A, "own")
        assert viewer.heard() == "own"


def test_a_viewer_sees_no_load(broker: Broker) -> None:
    with Client(broker, "viewer") as viewer, Client(broker, "plant-a") as site:
        viewer.subscribe(Topics().subscription("load"))
        viewer.subscribe(Topics().subscription("state"))
        site.publish(LOAD_A, "load")
        with Client(broker, "twin") as twin:
            twin.publish(STATE_A, "state")
        assert viewer.heard() == "state"


def test_a_wrong_password_is_refused(broker: Broker) -> None:
    with Client(broker, "twin", password="guessed") as guest:
        assert guest.connected == "Not authorized"
    with Client(broker, "twin") as twin:
        assert twin.connected == "Success"


def test_nobody_comes_in_without_tls(broker: Broker) -> None:
    with socket.create_connection(("127.0.0.1", broker.port), timeout=PATIENCE_S) as plain:
        plain.sendall(bytes.fromhex("10100004 4d515454 05020 03c 000003 616263".replace(" ", "")))
        assert plain.recv(64)[:1] != b"\x20"  # no CONNACK


def test_old_tls_is_refused(broker: Broker) -> None:
    context = ssl.create_default_context(cafile=str(broker.directory / "ca.crt"))
    for version, is_good in ((ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_1, False)):
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = version


def test_what_was_retained_survives_a_restart(broker: Broker) -> None:
    with Client(broker, "twin") as twin:
        twin.publish(STATE_A, "kept", retain=True)
    broker.restart()
    with Client(broker, "viewer") as viewer:
        viewer.subscribe(STATE_A)
        assert viewer.heard() == "kept"


def test_messages_wait_in_thousands_for_a_twin_that_is_away(broker: Broker) -> None:
    """The broker's own defaults would keep 1,000."""
    with Client(broker, "plant-a") as site:
        session = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id="away", protocol=mqtt.MQTTv5
        )
        del session, site


def test_the_limits_are_stated() -> None:
    text = (DEPLOY / "mosquitto.conf").read_text()
    stated = dict(re.findall(r"^(\w+) (\S+)$", text, re.MULTILINE))
    assert int(stated["max_inflight_messages"]) == 20_000
    assert int(stated["max_queued_messages"]) == 1_000_000
    assert int(stated["message_size_limit"]) >= 16 * 2**20  # an image
    assert int(stated["max_queued_bytes"]) < int(stated["memory_limit"])
    assert stated["allow_anonymous"] == "false"
