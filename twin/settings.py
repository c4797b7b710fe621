"""Settings: read once from TOML and the environment, frozen, passed down.

`TWIN_HTTP__PORT=9000` overrides `port` in the table `[http]` of the file.
"""

from __future__ import annotations

import tomllib
from ipaddress import ip_address
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from twin.errors import SettingsError


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
    tls_ca: Path | None = Field(None, description="CA certificate; switches TLS on.")
    tls_cert: Path | None = Field(None, description="Client certificate.")
    tls_key: Path | None = Field(None, description="Client key.")
    session_expiry_s: int = Field(
        86_400, ge=0, le=4_294_967_295, description="How long the broker keeps our session."
    )
    publish_state: bool = Field(True, description="Publish `state` and `event` topics.")


class HttpTable(_Table):
    """Where HTTP listens, and who may ask."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    tokens_file: Path | None = Field(
        None, description="TOML table of token names; needed unless the host is loopback."
    )
    max_body_bytes: int = Field(1_048_576, ge=1024, description="Largest request body.")


class StorageTable(_Table):
    """What is kept, where and how often."""

    directory: Path = Field(Path("twin-data"), description="Everything on disk lives here.")
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
    max_message_bytes: int = Field(1_048_576, ge=1024, description="Largest load or inspection.")
    max_samples: int = Field(100_000, ge=1, description="Most samples in a message.")
    max_image_bytes: int = Field(16_777_216, ge=1024, description="Largest image.")
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
        env_prefix="TWIN_", env_nested_delimiter="__", frozen=True, extra="forbid"
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
    """The settings of a file, under those of the environment; `tables` go over the file's."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8")) if path else {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise SettingsError(f"settings file {path}: {exc}") from exc
    try:
        result = Settings(**{**values, **tables})  # checked by pydantic
    except ValidationError as exc:
        raise SettingsError(_sentence(path, exc)) from exc
    if not result.is_loopback and result.http.tokens_file is None:
        raise SettingsError(
            f"http.host is {result.http.host!r}, which is not loopback: set http.tokens_file"
        )
    return result


def _sentence(path: Path | None, exc: ValidationError) -> str:
    faults = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors())
    return f"{path or 'settings'}: " + "; ".join(faults)
