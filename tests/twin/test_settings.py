"""Settings come from the file, the environment goes first, and faults are sentences."""

from __future__ import annotations

from pathlib import Path

import pytest

from twin.errors import SettingsError
from twin.settings import settings


def test_defaults_listen_on_loopback_only() -> None:
    assert settings().is_loopback


def test_the_environment_goes_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "twin.toml"
    path.write_text("[http]\nport = 9000\n[storage]\nflush_rows = 8\n")
    monkeypatch.setenv("TWIN_HTTP__PORT", "9001")
    chosen = settings(path)
    assert (chosen.http.port, chosen.storage.flush_rows) == (9001, 8)


def test_a_password_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWIN_MQTT__PASSWORD", "hunter2")
    assert "hunter2" not in repr(settings())


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "plant.example", "::"])
def test_an_open_door_needs_tokens(host: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"not loopback: set http\.tokens_file"):
        settings(http={"host": host})
    assert settings(http={"host": host, "tokens_file": tmp_path / "tokens.toml"})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_needs_none(host: str) -> None:
    assert settings(http={"host": host}).is_loopback


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[http]\nprot = 1\n", r"http\.prot: Extra inputs"),
        ("[http]\nport = 65536\n", r"http\.port: Input should be less"),
        ("[storage]\nrecord_every_s = 0\n", r"record_every_s"),
        ("http = [\n", r"settings file .*twin\.toml"),
    ],
)
def test_a_fault_in_the_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "twin.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=words):
        settings(path)


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        settings(tmp_path / "none.toml")


def test_the_example_settings_can_be_read() -> None:
    assert settings(Path(__file__).parents[2] / "deploy" / "twin.example.toml")
