"""The broker of the measurements: a real mosquitto that writes no log of what passes."""

from __future__ import annotations

from pathlib import Path

from tests.brokers import Broker


def quiet_broker(directory: Path) -> Broker:
    """A mosquitto with its own directory; its log would cost as much as its work."""
    home = directory / "broker"
    home.mkdir()
    broker = Broker(home, extra="set_tcp_nodelay true")  # as in deploy/mosquitto.conf
    file = home / "mosquitto.conf"
    file.write_text(file.read_text().replace("log_type all", "log_type error"))
    return broker
