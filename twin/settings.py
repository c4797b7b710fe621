"""Settings: read once from TOML and the environment, frozen, passed down.

`TWIN_HTTP__PORT=9000` overrides `port` in the table `[http]` of the file.
"""

# Over 300 lines: one table for each part of the file, read and refused alike.

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as EnvironmentSettingsError

from sensors.topics import Topics
from twin.errors import SettingsError, unreadable
from twin.sentences import faults, nearest

LARGEST_MESSAGE = 255 << 20  # [byte] what one packet of MQTT can carry, with room for its topic
PREFIX, SEPARATOR = "TWIN_", "__"  # of environment variables


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class MqttTable(_Table):
    """How to reach the broker."""

    host: str = Field("127.0.0.1", description="Broker's host name or address.")
    port: int = Field(1883, ge=1, le=65535, description="Broker's port.")
    client_id: str = Field("twin", min_length=1, max_length=64, description="Session's name.")
    root: str = Field("twin/v1", description="First levels of every topic.")
    username: str | None = Field(None, description="User name for the broker.")
    password: SecretStr | None = Field(None, description="Password; prefer `password_file`.")
    password_file: Path | None = Field(None, description="File that holds the password.")
    out_username: str | None = Field(
        None,
        description="User that publishes states and events, where the broker gives each user one "
        "client id; that of the rest if not set.",
    )
    out_password: SecretStr | None = Field(
        None, description="Its password; prefer `out_password_file`."
    )
    out_password_file: Path | None = Field(None, description="File that holds its password.")
    tls_ca: Path | None = Field(None, description="CA certificate; switches TLS on.")
    tls_cert: Path | None = Field(None, description="Client certificate.")
    tls_key: Path | None = Field(None, description="Client key.")
    session_expiry_s: int = Field(
        86_400, ge=0, le=4_294_967_295, description="How long the broker keeps our session."
    )
    watch_topics: bool = Field(
        True, description="Refuse aloud what is published to topics that match nothing."
    )
    publish_state: bool = Field(True, description="Publish `state` and `event` topics.")

    @field_validator("root")
    @classmethod
    def _is_root(cls, root: str) -> str:
        Topics(root)
        return root


class HttpTable(_Table):
    """Where HTTP listens, and who may ask."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    tokens_file: Path | None = Field(
        None, description="TOML table of token names; needed unless the host is loopback."
    )
    max_body_bytes: int = Field(1_048_576, ge=1024, description="Largest request body.")
    max_target_bytes: int = Field(8_192, ge=256, description="Longest path and query of a request.")
    max_header_bytes: int = Field(
        32_768, ge=1024, description="Largest headers of a request, all together."
    )
    max_headers: int = Field(100, ge=8, description="Most headers of a request.")
    max_connections: int = Field(
        1_000,
        ge=16,
        description="Most connections; a client may have no more than are free, so at most half.",
    )
    max_listeners: int = Field(
        200,
        ge=1,
        description="Most listeners to the events; a client may have no more than are free.",
    )
    request_timeout_s: float = Field(
        30.0, gt=0, description="Time within which a request that has begun has to be whole."
    )
    idle_timeout_s: float = Field(
        30.0, gt=0, description="Time after which a connection that asks nothing is closed."
    )
    answer_timeout_s: float = Field(
        30.0, gt=0, description="Time after which an answer that nobody takes is given up."
    )
    allowed_hosts: tuple[str, ...] = Field(
        (),
        description="Names, beside those of loopback, under which a service without tokens may be "
        "asked, say by a proxy on this machine.",
    )


class StorageTable(_Table):
    """What is kept, where and how often."""

    directory: Path = Field(Path("twin-data"), description="Everything on disk lives here.")
    expect_store: bool = Field(
        False, description="Refuse to begin anew where no data are: a disk that is not mounted."
    )
    record_every_s: float = Field(60.0, gt=0, description="Record tick, in event time.")
    flush_every_s: float = Field(600.0, gt=0, description="Longest time between two flushes.")
    flush_rows: int = Field(64, ge=1, le=256, description="Most rows between two flushes.")
    checkpoint_every_s: float = Field(300.0, gt=0, description="Time between two checkpoints.")
    checkpoints_kept: int = Field(3, ge=1, le=100, description="Checkpoints on disk.")
    retention_days: float | None = Field(
        None, gt=0, description="Age at which journal lines may go; kept for ever if not set."
    )


class IngestTable(_Table):
    """Limits on what comes in."""

    lateness_s: float = Field(5.0, ge=0, description="How far behind counts as on time.")
    max_ahead_s: float | None = Field(
        60.0, ge=0, description="How far ahead of our clock an event may be; none for replays."
    )
    earliest: AwareDatetime = Field(
        datetime(1971, 1, 1, tzinfo=UTC),
        description="Events before it are refused: a clock that is not set, or in another unit.",
    )
    max_jump_s: float = Field(
        21_600.0,
        gt=0,
        description="How far ahead of the others one source alone may move the watermark.",
    )
    backfill_behind_s: float | None = Field(
        180.0,
        gt=0,
        description="How far behind the watermark evidence has its component caught up.",
    )
    backfill_quiet_s: float = Field(
        30.0, ge=0, description="Quiet after such evidence, until catching up begins."
    )
    backfill_every_s: float = Field(
        600.0, ge=0, description="Least time between two, and longest wait for quiet."
    )
    max_message_bytes: int = Field(
        1_048_576, ge=1024, le=LARGEST_MESSAGE, description="Largest load or inspection."
    )
    max_samples: int = Field(100_000, ge=1, description="Most samples in a message.")
    max_image_bytes: int = Field(
        16_777_216,
        ge=1024,
        le=LARGEST_MESSAGE,
        description="Largest image; the broker's limit on packets has to be 1 MiB above it.",
    )
    max_image_pixels: int = Field(64_000_000, ge=1, description="Most pixels in an image.")
    read_images: bool = Field(True, description="Measure the crack on images of kind `crack`.")
    queue_observations: int = Field(
        50_000, ge=1, description="Observations that may wait for stepping."
    )
    in_flight_bytes: int = Field(
        67_108_864, ge=65_536, description="Bytes read from the broker, not yet durable."
    )


class Settings(BaseSettings):
    """All settings of a service."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=SEPARATOR, frozen=True, extra="forbid"
    )

    mqtt: MqttTable = MqttTable()
    http: HttpTable = HttpTable()
    storage: StorageTable = StorageTable()
    ingest: IngestTable = IngestTable()
    fleet: Path | None = Field(None, description="Fleet file, read at start.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment goes before the file."""
        return env_settings, init_settings

    @property
    def is_loopback(self) -> bool:
        """Whether HTTP can be reached from this machine only."""
        if self.http.host == "localhost":
            return True
        try:
            return ip_address(self.http.host).is_loopback
        except ValueError:
            return False


def settings(path: Path | None = None, **tables: object) -> Settings:
    """The settings of a file, under those of the environment; `tables` go over the file's.

    Raises SettingsError: each sentence names the file or the variable that it is about.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8")) if path else {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise SettingsError(f"settings file {path}: {unreadable(exc)}") from exc
    _check_environment()
    try:
        result = Settings(**{**values, **tables})  # checked by pydantic
    except ValidationError as exc:
        raise SettingsError(_sentence(exc, path, values, tables)) from exc
    except EnvironmentSettingsError as exc:
        raise SettingsError(f"the environment: {exc}: a table there is a JSON object") from exc
    if not result.is_loopback and result.http.tokens_file is None:
        raise SettingsError(
            f"http.host is {result.http.host!r}, which is not loopback: set http.tokens_file"
        )
    return result


def _sentence(
    exc: ValidationError, path: Path | None, file: dict[str, Any], tables: dict[str, object]
) -> str:
    """What is wrong, each fault with where it stands: the environment goes before the file."""
    told: dict[str, list[str]] = {}
    for where, what in faults(exc.errors(include_url=False), Settings):
        steps = where.split(".")
        variable = _variable(steps)
        if variable is not None:
            origin = f"environment variable {variable}"
        elif steps[0] in file and steps[0] not in tables:
            origin = f"settings file {path}"
        else:
            origin = "settings"
        told.setdefault(origin, []).append(what)
    if "component" in file:
        told[f"settings file {path}"].append("is this a fleet file? settings name it under `fleet`")
    return "; ".join(f"{origin}: {'; '.join(whats)}" for origin, whats in told.items())


def _variable(steps: Sequence[str]) -> str | None:
    """The variable that a setting, or the table around it, comes from."""
    names = {name.upper(): name for name in os.environ}
    wanted = (PREFIX + SEPARATOR.join(steps[:n]).upper() for n in range(len(steps), 0, -1))
    return next((names[name] for name in wanted if name in names), None)


def _check_environment() -> None:
    """Raises SettingsError for a variable that means a setting and misses it.

    pydantic passes over those whose first part is no table. Others may call theirs TWIN_… too, so
    that only what has two underscores, or all the letters of a setting, counts as one of ours;
    a port as Kubernetes gives it to every pod is none.
    """
    known = {_plain(name): name for name in _variables()}
    for name, value in sorted(os.environ.items()):
        upper = name.upper()
        if not upper.startswith(PREFIX) or value.startswith("tcp://"):
            continue
        first = upper.removeprefix(PREFIX).split(SEPARATOR)[0].lower()
        meant = known.get(_plain(upper))
        if first in Settings.model_fields or (SEPARATOR not in upper and meant is None):
            continue
        near = meant or nearest(upper, tuple(known.values()))
        raise SettingsError(
            f"environment variable {name} is no setting"
            + (f": is {near.upper()} meant?" if near else "")
        )


def _plain(name: str) -> str:
    return name.replace("_", "").upper()


def _variables() -> Iterator[str]:
    """The environment variables of all settings."""
    for name, field in Settings.model_fields.items():
        table = field.annotation
        if isinstance(table, type) and issubclass(table, BaseModel):
            for key in table.model_fields:
                yield f"{PREFIX}{name}{SEPARATOR}{key}".upper()
        else:
            yield f"{PREFIX}{name}".upper()
