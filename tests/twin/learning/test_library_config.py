"""Other plates, materials and loads are one command: a library with a configuration of its own."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from models.crack_frames.config import CONFIGS
from models.crack_frames.library import sample
from twin.commands import cli
from twin.errors import ConflictError, SettingsError, UnknownError
from twin.learning.evaluation import evaluate
from twin.learning.library import build, card_path
from twin.learning.library_config import configuration, differences, plain, toml
from twin.learning.training import TrainingJob, train

OTHER = """
crack = 1.5e-3
slices = 3
C = 1.36e-10e0  # replaced below: steel, in Pa m^0.5
m = 2.25
K_c = 80e6
step = 0.9e-3
margin = 1e-3

[plate]  # 12 mm x 30 mm of steel between rigid grips, as thick as it is wide
width = 12e-3
height = 30e-3
columns = 24
band = [-6e-3, 6e-3]
closure = "grip"

[plate.material]
E = 210e9
nu = 0.3
plane = "strain"

[loads]
tension = 90e6
tension_sd = 3e6
shear = -40e6
shear_sd = 2e6

[window]
pixel = 0.25e-3
columns = 48
rows = 40
top = 5e-3
""".replace("1.36e-10e0", repr(1.36e-10 * 1e-6**2.25))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A file, and the library of four samples that one command builds from it."""
    folder = tmp_path_factory.mktemp("other")
    file, path = folder / "steel plate.toml", folder / "steel.zarr"
    file.write_text(OTHER, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        assert code(patch, *command(file, path)) == 0
    return file, path


def command(file: Path, path: Path) -> list[str]:
    return ["library", "build", "crack", "--config", str(file), "--samples", "4", "--seed", "5",
            "--workers", "1", "--out", str(path)]  # fmt: skip  # two lines


def code(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of `twin`."""
    monkeypatch.setattr(sys, "argv", ["twin", *arguments])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    return int(exit_.value.code or 0)


def changed(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "changed.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_one_command_builds_another_plate_material_and_load(other: tuple[Path, Path]) -> None:
    found = xr.open_zarr(other[1], consolidated=False).load()
    assert found.frames.shape == (4, 4, 40, 48)
    assert found["load"].shape == (4, 3, 2)
    np.testing.assert_allclose(found.x[[0, -1]], [0.125e-3, 11.875e-3])
    np.testing.assert_allclose(found["load"].mean(("sample", "slice")), [90e6, -40e6], rtol=0.05)
    last = found.path.isel(axis=0).max("node")
    np.testing.assert_allclose(last, 12e-3)  # through the whole plate
    assert (found.path.isel(axis=1).min() > -6e-3) & (found.path.isel(axis=1).max() > 1e-3)
    drawn = found.frames.isel(frame=-1).any("y").sum("x")  # columns that the crack is seen in
    np.testing.assert_allclose(drawn, 48.0, atol=4.0)  # it may leave the picture in the margin


def test_what_it_holds_is_what_this_configuration_computes(other: tuple[Path, Path]) -> None:
    row = xr.open_zarr(other[1], consolidated=False).isel(sample=2).load()
    one = sample(configuration("crack", other[0]), 5, 2)
    np.testing.assert_array_equal(row.frames, one.frames)
    np.testing.assert_array_equal(row.path[: int(row.nodes)], one.path)
    np.testing.assert_array_equal(row.cycles, one.cycles)
    assert not np.array_equal(row.cycles, sample(CONFIGS["crack"], 5, 2).cycles[:4])


def test_the_card_names_the_file_and_tells_the_configurations_apart(
    other: tuple[Path, Path],
) -> None:
    card = json.loads(card_path(other[1]).read_text(encoding="utf-8"))
    file = "--config 'steel plate.toml'"
    assert card["command"] == f"twin library build crack {file} --samples 4 --seed 5"
    told = differences(card["config"], plain(CONFIGS["crack"]), "config")
    assert {"config.plate.width", "config.plate.material.E", "config.loads.shear"} < set(told)
    assert "config.attempts" not in told


def test_the_same_configuration_goes_on_whatever_its_file_is_called(
    other: tuple[Path, Path], tmp_path: Path
) -> None:
    whole = changed(tmp_path, toml(configuration("crack", other[0])))
    before = xr.open_zarr(other[1], consolidated=False).load()
    build("crack", other[1], samples=4, seed=5, workers=1, config=whole)
    xr.testing.assert_identical(xr.open_zarr(other[1], consolidated=False).load(), before)


def test_another_configuration_does_not_go_on(other: tuple[Path, Path], tmp_path: Path) -> None:
    file = changed(tmp_path, OTHER.replace("tension = 90e6", "tension = 91e6"))
    with pytest.raises(ConflictError, match=r"another library: config\.loads\.tension differ"):
        build("crack", other[1], samples=4, seed=5, config=file)
    with pytest.raises(ConflictError, match=r"config\.plate\.width"):
        build("crack", other[1], samples=4, seed=5)


@pytest.mark.parametrize(("network", "said"), [
    ("crack-snn", "by crack-snn: 4 pictures of 40 × 48 a sample, the network needs .* of 96 × 132"),
    ("crack-spiking", r"cannot be used by crack-spiking: plate.width is 0.012, the network needs "
                      r"0.01; .*window.rows is 40, the network needs 96"),
    ("crack-k", "cannot be used by crack-k: .*plate.closure is grip, the network needs uniform"),
])  # fmt: skip  # a table
def test_a_network_that_cannot_use_such_a_library_says_so(
    other: tuple[Path, Path], tmp_path: Path, network: str, said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        train(TrainingJob(network, other[1], tmp_path, held_out=1))
    if network != "crack-snn":  # it has no committed weights
        with pytest.raises(SettingsError, match=said):
            evaluate(network, other[1], held_out=1)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", list(CONFIGS))
def test_what_is_printed_is_the_whole_configuration(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert code(monkeypatch, "library", "config", name) == 0
    printed = capsys.readouterr().out
    assert differences(tomllib.loads(printed), plain(CONFIGS[name]), "") == []
    assert configuration("crack", changed(tmp_path, printed)) == CONFIGS[name]


def test_the_printed_configuration_has_the_changes_of_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = changed(tmp_path, "slices = 5\n[loads]\nshear = 0\n")
    assert code(monkeypatch, "library", "config", "crack", "-c", str(file)) == 0
    said = differences(tomllib.loads(capsys.readouterr().out), plain(CONFIGS["crack"]), "config")
    assert said == ["config.loads.shear", "config.slices"]


VALUES: dict[str, Any] = {
    "crack": 1.1e-3, "height": 1e-4, "slices": 6, "C": 1e-29, "m": 2.9, "K_c": 9e7,
    "step": 2e-4, "margin": 3e-4, "steepest": 70.0, "attempts": 40, "plate.width": 9.9e-3,
    "plate.height": 22e-3, "plate.columns": 65, "plate.fine": 6e-3, "plate.band": [-5e-3, 1e-3],
    "plate.closure": "clamp", "plate.material.E": 7e10, "plate.material.nu": 0.33,
    "plate.material.plane": "strain", "loads.tension": 1e8, "loads.tension_sd": 0.0,
    "loads.shear": -1e8, "loads.shear_sd": 1e6, "loads.scale": 0.5, "window.pixel": 7e-5,
    "window.columns": 128, "window.rows": 92, "window.left": -1e-4, "window.top": 1.9e-3,
}  # fmt: skip  # a table


@pytest.mark.parametrize("key", VALUES)
def test_a_file_changes_any_field_and_no_other(key: str, tmp_path: Path) -> None:
    file = changed(tmp_path, f"{key} = {json.dumps(VALUES[key])}")
    found = plain(configuration("crack", file))
    assert differences(found, plain(CONFIGS["crack"]), "") == [f".{key}"]


def test_every_field_of_the_configuration_is_tried_above() -> None:
    def leaves(value: object, key: str) -> set[str]:
        if not isinstance(value, dict):
            return {key[1:]}
        return {leaf for name, one in value.items() for leaf in leaves(one, f"{key}.{name}")}

    assert leaves(plain(CONFIGS["crack"]), "") == set(VALUES)


@pytest.mark.parametrize(("text", "said"), [
    ("widht = 1", "widht is unknown"),
    ("[plate]\nwidht = 1", r"plate\.widht is unknown: is plate\.width meant\?"),
    ("plate = 3", "plate is 3: it must be a table"),
    ("crack = true", "crack is true: it must be a number"),
    ("crack = nan", "crack is nan: it must be a finite number"),
    ("slices = '7'", "slices is '7': it must be a whole number"),
    ("slices = 7.5", r"slices is 7\.5: it must be a whole number"),
    ("[loads]\ntension_sd = -1", r"loads\.tension_sd is -1: it must be at least 0"),
    ("[plate]\nband = [0]", r"plate\.band\[1\] is missing"),
    ("[plate]\nclosure = 'glue'", "closure is 'glue': it must be one of uniform, grip or clamp"),
    ("[plate.material]\nnu = 0.5", r"plate\.material\.nu is 0\.5: it must be at most 0\.45"),
    ("[window]\nrows = 100000", r"window\.rows is 100000: it must be at most 4096"),
    ("step = 0.1e-3", "increments of 0.0001 m: too short"),
    ("[plate]\nband = [-0.02, 0.02]", "the band -0.02 to 0.02 m must rise and lie within"),
    ("crack = ", "invalid value"),
])  # fmt: skip  # a table
def test_what_cannot_be_used_is_a_sentence_that_names_the_file(
    tmp_path: Path, text: str, said: str
) -> None:
    file = changed(tmp_path, text)
    with pytest.raises(SettingsError, match=said) as caught:
        configuration("crack", file)
    assert str(file) in str(caught.value)


def test_what_is_not_there_ends_in_the_documented_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = tmp_path / "nowhere.toml"
    assert code(monkeypatch, *command(nowhere, tmp_path / "x.zarr")) == cli.UNUSABLE
    assert code(monkeypatch, "library", "config", "cracks") == cli.MISSING
    said = " ".join(capsys.readouterr().err.split())
    assert "No such file or directory" in said
    assert "there is no library 'cracks'; there are crack, crack-coherent, crack-grip" in said
    assert not any(tmp_path.iterdir())
    with pytest.raises(UnknownError):
        configuration("cracks", changed(tmp_path, ""))
