"""Settings come from the file, the environment goes first, and faults are sentences."""

from __future__ import annotations

from pathlib import Path

import pytest

from twin.errors import SettingsError
from twin.serving import outgoing_settings
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
        ("[http]\nprot = 1\n", r"twin\.toml: http\.prot is unknown: is http\.port meant\?$"),
        ("[http]\nport = 65536\n", r"twin\.toml: http\.port is 65536: it must be at most 65535$"),
        ("[storage]\nrecord_every_s = 0\n", r"storage\.record_every_s is 0: it must be above 0$"),
        ("http = 80\n", r"twin\.toml: http is 80: it must be a table of fields$"),
        ("[htpp]\nport = 1\n", r"twin\.toml: htpp is unknown: is http meant\?$"),
        ("[mqtt]\npassword = 12\n", r"mqtt\.password: it must be text$"),
        ("[[component]]\nname = 'a/b'\n", r"component is unknown.* is this a fleet file\?"),
        ("http = [\n", r"settings file .*twin\.toml"),
    ],
)
def test_a_fault_in_the_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "twin.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=words):
        settings(path)


def test_a_fault_in_the_environment_is_not_blamed_on_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "twin.toml"
    path.write_text("[http]\nport = 9000\n[ingest]\nmax_samples = 0\n")
    monkeypatch.setenv("TWIN_HTTP__PROT", "9001")
    with pytest.raises(SettingsError) as caught:
        settings(path)
    sentence = str(caught.value)
    assert "environment variable TWIN_HTTP__PROT: http.prot is unknown: is http.port meant?" in (
        sentence
    )
    assert f"settings file {path}: ingest.max_samples is 0: it must be at least 1" in sentence


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TWIN_HTPP__PORT", "1", r"TWIN_HTPP__PORT is no setting: is TWIN_HTTP__PORT meant\?"),
        ("TWIN_HTTP_PORT", "1", r"TWIN_HTTP_PORT is no setting: is TWIN_HTTP__PORT meant\?"),
        ("TWIN_HTTP", "x", r"the environment: .*http.*JSON"),
        ("TWIN_HTTP__PORT", "x", r"variable TWIN_HTTP__PORT: http\.port is 'x': .* whole number"),
    ],
)
def test_a_variable_that_misses_its_setting_is_told(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=words):
        settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [("TWIN_REQUIRE", "all"), ("TWIN_HTTP_PORT", "tcp://10.0.0.1:80"), ("TWIN_VERSION", "1")],
)
def test_the_variables_of_others_are_theirs(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert settings().http.port == 8080


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        settings(tmp_path / "none.toml")


def test_the_example_settings_can_be_read() -> None:
    assert settings(Path(__file__).parents[2] / "deploy" / "twin.example.toml")


def test_states_may_leave_as_another_user(tmp_path: Path) -> None:
    """A broker that gives each user one client id would have the two connections fight."""
    (tmp_path / "secret").write_text("s3cret\n")
    shared = settings(mqtt={"username": "twin", "password": "one"})
    found = outgoing_settings(shared)
    assert (found.client_id, found.username, found.password) == ("twin-out", "twin", "one")
    table = {"username": "twin", "password": "one", "out_username": "twin-out"}
    own = settings(mqtt={**table, "out_password_file": tmp_path / "secret"})
    found = outgoing_settings(own)
    assert (found.client_id, found.username, found.password) == ("twin-out", "twin-out", "s3cret")
    missing = settings(mqtt={**table, "out_password_file": tmp_path / "missing"})
    with pytest.raises(SettingsError, match=r"mqtt\.out_password_file .*missing cannot be read"):
        outgoing_settings(missing)
