"""The other files of a deployment are well-formed and fit together."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from twin.belief.fleet_file import fleet_file
from twin.kinds.catalogue import stepper_of
from twin.settings import Settings, settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "twin.service"
CONTAINER = DEPLOY / "Containerfile"


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def mounts(service: str) -> dict[str, str]:
    """Source of each path in a container."""
    volumes = (volume.split(":") for volume in compose()["services"][service]["volumes"])
    return {target: source for source, target, *_ in volumes}


@pytest.fixture
def systemd_analyze() -> str:
    """Skips without it, in CI too: it comes with systemd, which containers do not have."""
    path = shutil.which("systemd-analyze")
    if path is None:
        pytest.skip("systemd-analyze is not installed")
    return path


def unit() -> dict[str, str]:
    """The last value of each key."""
    return dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE))


def test_the_example_settings_are_accepted() -> None:
    found = settings(DEPLOY / "twin.example.toml")
    assert found.is_loopback
    assert found.mqtt.port == 8883
    assert found.mqtt.tls_ca is not None


def test_the_example_settings_show_the_defaults_of_time() -> None:
    found, default = settings(DEPLOY / "twin.example.toml"), Settings()
    for name in ("record_every_s", "flush_every_s", "checkpoint_every_s"):
        assert getattr(found.storage, name) == getattr(default.storage, name)
    assert found.ingest == default.ingest


def test_the_example_fleet_is_accepted_and_varied() -> None:
    fleet = fleet_file(DEPLOY / "fleet.example.toml")
    cracks = [registration.crack for registration in fleet.values()]
    kinds = [crack.geometry.kind for crack in cracks]
    assert len(kinds) == len(set(kinds)) == 3
    assert {crack.inspection for crack in cracks} == {"replace", "record"}
    for crack in cracks:
        stepper_of(crack)  # it can be built


def test_the_example_fleet_shows_every_key_of_a_plain_registration() -> None:
    first = tomllib.loads((DEPLOY / "fleet.example.toml").read_text())["component"][0]
    assert set(first) == {"name", "crack", "calibration"}
    assert set(first["crack"]) == {"law", "geometry", "crack_length", "crack_limit", "inspection"}


def test_compose_runs_broker_twin_and_prometheus() -> None:
    services = compose()["services"]
    assert set(services) == {"mosquitto", "twin", "prometheus"}
    assert services["twin"]["build"]["dockerfile"] == str(CONTAINER.relative_to(ROOT))
    sources = {source for service in services for source in mounts(service).values()}
    assert {source for source in sources if not source.startswith("./")} == set(
        compose()["volumes"]
    )


@pytest.mark.parametrize("service", ["mosquitto", "twin", "prometheus"])
def test_every_container_is_bounded_and_gains_no_privileges(service: str) -> None:
    found = compose()["services"][service]
    assert "mem_limit" in found
    assert "no-new-privileges:true" in found["security_opt"]
    assert found["restart"] == "unless-stopped"


def test_the_broker_finds_each_file_that_its_configuration_names() -> None:
    named = re.findall(
        r" (/etc/mosquitto/\S+)$", (DEPLOY / "mosquitto.conf").read_text(), re.MULTILINE
    )
    assert set(named) <= set(mounts("mosquitto"))


def test_the_broker_keeps_its_state_where_its_image_may_write() -> None:
    """The image has /mosquitto/data, and gives what is below /mosquitto to its user at the start.

    A volume anywhere else belongs to root: the broker would go on without persistence.
    """
    (place,) = re.findall(
        r"^persistence_location (\S+)/$", (DEPLOY / "mosquitto.conf").read_text(), re.MULTILINE
    )
    assert place == "/mosquitto/data"
    assert mounts("mosquitto")[place] in compose()["volumes"]
    assert "user" not in compose()["services"]["mosquitto"]  # else nobody gives it the volume


def test_the_twin_finds_each_file_that_its_settings_name() -> None:
    text = (DEPLOY / "twin.example.toml").read_text()
    named = re.findall(r'= "(/etc/twin/[^"]+)"', text)
    assert len(named) == 5
    assert set(named) <= set(mounts("twin"))


def test_prometheus_scrapes_the_twin_of_the_compose_file() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["twin:8080"]}]
    token = job["authorization"]["credentials_file"]
    assert f"/etc/prometheus/{token}" in mounts("prometheus")
    assert {f"/etc/prometheus/{file}" for file in config["rule_files"]} <= set(mounts("prometheus"))


def test_settings_from_the_environment_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = compose()["services"]["twin"]["environment"]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = settings(DEPLOY / "twin.example.toml")
    assert found.http.host == "0.0.0.0"
    assert found.mqtt.host == "mosquitto"
    assert str(found.storage.directory) == "/var/lib/twin/data"


def test_the_image_is_slim_not_root_and_healthy() -> None:
    text = CONTAINER.read_text()
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${BASE}"}
    assert re.findall(r"^ARG BASE=(\S+)", text, re.MULTILINE) == ["python:3.11-slim"]
    assert re.findall(r"^USER (\S+)", text, re.MULTILINE) == ["twin"]
    assert re.search(r"^HEALTHCHECK .*\n.*/healthz", text, re.MULTILINE)
    copied = set(re.findall(r"^COPY (\w+) \1$", text, re.MULTILINE))
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]
    assert copied == set(packages["build"]["targets"]["wheel"]["packages"])


def test_image_and_unit_call_the_command_alike() -> None:
    config = ["serve", "--config", "/etc/twin/twin.toml"]
    assert str(config).replace("'", '"') in CONTAINER.read_text()
    assert unit()["ExecStart"].split()[1:] == config


def test_systemd_accepts_the_unit(systemd_analyze: str, tmp_path: Path) -> None:
    copy = tmp_path / "twin.service"
    copy.write_text(UNIT.read_text().replace("/opt/twin/bin/twin", "/bin/true"))
    done = subprocess.run([systemd_analyze, "verify", str(copy)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "twin.service" not in done.stderr  # no warning about a key either


def test_systemd_finds_the_unit_little_exposed(systemd_analyze: str) -> None:
    done = subprocess.run(
        [systemd_analyze, "security", "--offline=true", "--threshold=20", str(UNIT)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout  # exposure of at most 2.0 of 10


def test_the_unit_is_confined_to_its_own_directory() -> None:
    expected = {
        "ProtectSystem": "strict",
        "NoNewPrivileges": "yes",
        "StateDirectory": "twin",
        "CapabilityBoundingSet": "",
        "Restart": "on-failure",
    }
    assert expected.items() <= unit().items()
    assert unit()["MemoryMax"].endswith("G")


def test_every_file_stands_in_the_readme() -> None:
    text = (DEPLOY / "README.md").read_text()
    for path in DEPLOY.iterdir():
        assert path.name == "README.md" or f"`{path.name}`" in text
