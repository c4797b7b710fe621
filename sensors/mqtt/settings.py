"""How to reach a broker, and how much to hold of what it sends."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from sensors.errors import BrokerError
from sensors.mqtt.backoff import Patience

BRIEF = 3  # connections in a row that were lost soon: not the broker's restart any more


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """One client of one broker; the password appears in no repr."""

    host: str = "127.0.0.1"
    port: int = 1883
    client_id: str = "twin"  # names the session: unique among all clients of the broker
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False  # with the system's authorities; implied by `tls_ca`
    tls_ca: Path | None = None
    tls_cert: Path | None = None  # of the client
    tls_key: Path | None = None
    session_expiry_s: int = 86_400  # how long the broker keeps messages for us
    keepalive_s: int = 30
    backoff_s: tuple[float, float] = (0.2, 30.0)  # first and longest pause
    max_batch: int = 250  # messages handed out at once; the loop is held while they are judged
    max_inflight_messages: int = 20_000  # read, or sent, and not yet acknowledged
    max_inflight_bytes: int = 64 << 20
    max_packet: int = 17 << 20  # bytes; the broker drops what is larger

    @property
    def address(self) -> str:
        """Where the broker is, for sentences."""
        return f"{self.host}:{self.port}"


def tls_context(settings: MqttSettings) -> ssl.SSLContext | None:
    """What TLS needs, read from disk; None without TLS. Raises OSError."""
    if not settings.tls and settings.tls_ca is None:
        return None
    context = ssl.create_default_context(cafile=settings.tls_ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.tls_cert is not None:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    return context


def taken_over(settings: MqttSettings) -> BrokerError:
    """What it means that another client came under our name."""
    return BrokerError(
        f"{settings.address}: another client took over the session {settings.client_id!r}: most "
        "likely a second service runs with the same mqtt.client_id",
        "taken_over",
    )


def unsteady(error: BrokerError, settings: MqttSettings, patience: Patience) -> BrokerError:
    """The same error, or what it means if connections are lost one after the other.

    A broker that lets a newcomer take over a session does not always say so.
    """
    if error.reason != "lost" or patience.brief < BRIEF:
        return error
    return BrokerError(
        f"{error}; {patience.brief} connections in a row were lost within "
        f"{patience.steady_s:g} s: does a second service run with the mqtt.client_id "
        f"{settings.client_id!r}, or as the same user? Or has the broker reached its memory limit? "
        "Its log says which",
        "unsteady",
    )
