import dataclasses
import socket
from pathlib import Path

import pytest

from sensors.errors import BrokerError
from sensors.mqtt.broker import EmbeddedBroker, Kind
from sensors.mqtt.publisher import Publisher
from sensors.mqtt.settings import MqttSettings
from tests.sensors.mqtt.test_source import numbered, numbers, ready, taken

KINDS: list[Kind] = ["mosquitto", "iotcore"]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    if request.param == "mosquitto":
        request.getfixturevalue("mosquitto")
    kind: Kind = request.param
    return kind


async def test_messages_pass_through_either_broker(kind: Kind) -> None:
    async with EmbeddedBroker(kind=kind) as broker:
        s = MqttSettings(port=broker.port, client_id="source")
        async with ready(s) as source, Publisher(dataclasses.replace(s, client_id="p")) as p:
            await p.publish("t/0", b"0", content_type="application/json", properties={"a": "b"})
            assert await p.flood(numbered(range(1, 3000))) == 2999
            messages = await taken(source, 3000)
    assert numbers(messages) == list(range(3000))
    assert messages[0].content_type == "application/json"
    assert dict(messages[0].properties) == {"a": "b"}


async def test_a_broker_leaves_nothing_behind(kind: Kind) -> None:
    async with EmbeddedBroker(kind=kind) as broker:
        socket.create_connection(("127.0.0.1", broker.port)).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", broker.port))


async def test_a_port_in_use_is_an_error_that_names_it(kind: Kind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken_port:
        port = taken_port.getsockname()[1]
        with pytest.raises(BrokerError, match=str(port)):
            async with EmbeddedBroker(port, kind=kind):
                pass


async def test_a_mosquitto_with_a_directory_remembers_its_sessions(
    mosquitto: str, tmp_path: Path
) -> None:
    s = MqttSettings(client_id="source")
    async with EmbeddedBroker(directory=tmp_path / "broker") as broker:
        assert broker.kind == "mosquitto"
        here = dataclasses.replace(s, port=broker.port)
        async with ready(here) as source, Publisher(dataclasses.replace(here, client_id="p")) as p:
            await p.flood(numbered(range(5)))
            await taken(source, 5, acknowledge=False)
    async with EmbeddedBroker(directory=tmp_path / "broker") as again:
        here = dataclasses.replace(s, port=again.port)
        async with ready(here) as source:
            assert numbers(await taken(source, 5)) == [0, 1, 2, 3, 4]


async def test_a_broker_is_only_reached_from_this_machine(kind: Kind) -> None:
    async with EmbeddedBroker(kind=kind) as broker:
        with socket.socket() as elsewhere:
            elsewhere.bind(("127.0.0.2", 0))
            assert elsewhere.connect_ex(("127.0.0.2", broker.port)) != 0
