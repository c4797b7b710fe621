"""Libraries on disk: complete, the same for any number of workers, restarted where they stopped."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from PIL import Image
from typer.testing import CliRunner

from models.crack_frames.config import CONFIGS, CrackLibrary
from models.crack_frames.library import sample
from models.xfem.plate import Plate
from storage.artifacts.library import WrittenLibrary
from twin.commands import cli
from twin.commands.library import app
from twin.errors import ConflictError, SettingsError, TwinError, UnknownError
from twin.learning import library
from twin.learning import library_pictures as library_view
from twin.learning.library import build, card_path, columns
from twin.learning.library_pictures import show, tiled

SMALL = CrackLibrary(
    plate=Plate(columns=24, band=(-5.4e-3, 1.8e-3)), slices=2, step=0.8e-3, margin=0.7e-3
)
SAMPLES = 5


class StoppedError(Exception):
    """Somebody pressed Ctrl-C."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("library") / "small.zarr"
    return path, build("small", path, samples=SAMPLES, seed=7, workers=2, config=SMALL)


def opened(path: Path) -> xr.Dataset:
    found: xr.Dataset = xr.open_zarr(path, consolidated=False).load()
    return found


def test_xarray_reads_the_dimensions_and_units(built: tuple[Path, dict[str, Any]]) -> None:
    found = opened(built[0])
    assert found.frames.dims == ("sample", "frame", "y", "x")
    assert found["load"].dims == ("sample", "slice", "component")
    assert found.path.dims == ("sample", "node", "axis")
    assert found.nodes.dims == ("sample",)
    assert found.k_1.dims == found.k_2.dims == ("sample", "node")
    assert found.cycles.dims == found.fast_fracture.dims == ("sample", "frame")
    assert found.sizes["sample"] == SAMPLES
    assert (found["load"].units, found.path.units, found.k_1.units) == ("Pa", "m", "Pa m^0.5")
    assert found.frames.sel(x=4.95e-3, y=0.0, method="nearest").shape == (SAMPLES, 3)


def test_what_is_stored_is_what_was_computed(built: tuple[Path, dict[str, Any]]) -> None:
    found = opened(built[0])
    for index in (0, SAMPLES - 1):
        one, row = sample(SMALL, 7, index), found.isel(sample=index)
        n = int(row.nodes)
        np.testing.assert_array_equal(row.frames, one.frames)
        np.testing.assert_allclose(row.path[:n], one.path, rtol=1e-9)
        np.testing.assert_allclose(row.k_2[:n], one.K[:, 1], rtol=1e-6, atol=1.0)
        np.testing.assert_allclose(row.cycles, one.cycles, rtol=1e-9)
        assert np.isnan(row.path[n:]).all()


def test_the_card_has_seed_command_and_statistics(built: tuple[Path, dict[str, Any]]) -> None:
    path, card = built
    assert json.loads(card_path(path).read_text(encoding="utf-8")) == card
    assert card["command"] == "twin library build small --samples 5 --seed 7"
    assert card["config"]["loads"]["tension"] == 200e6
    assert card["statistics"]["arrested"] == 0
    assert card["statistics"]["nodes_most"] == int(opened(path).nodes.max())
    assert opened(path).attrs["committed"] == SAMPLES


def test_a_build_goes_on_where_it_stopped_and_ends_the_same(
    built: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "BLOCK", 2)
    seen: list[int] = []

    def stopping(done: int, wanted: int) -> None:
        seen.append(done)
        if done == 2:
            raise StoppedError

    path = tmp_path / "small.zarr"
    with pytest.raises(StoppedError):
        build("small", path, samples=SAMPLES, seed=7, workers=1, progress=stopping, config=SMALL)
    assert opened(path).attrs["committed"] == 2
    seen.clear()
    build("small", path, samples=SAMPLES, seed=7, workers=1, config=SMALL,
          progress=lambda done, _: seen.append(done))  # fmt: skip  # one call
    assert seen == [2, 4, 5]
    xr.testing.assert_equal(opened(path), opened(built[0]))  # one worker or two: every bit


def test_a_finished_library_is_left_as_it_is(built: tuple[Path, dict[str, Any]]) -> None:
    path, card = built
    before = opened(path)
    assert build("small", path, samples=SAMPLES, seed=7, workers=1, config=SMALL) == card
    xr.testing.assert_identical(opened(path), before)


def test_another_library_is_not_overwritten(built: tuple[Path, dict[str, Any]]) -> None:
    with pytest.raises(ConflictError, match="library: seed differ"):
        build("small", built[0], samples=SAMPLES, seed=8, workers=1, config=SMALL)


class KilledError(BaseException):
    """Nothing runs any more."""


@pytest.mark.parametrize("made", [0, 1, 7, 13])
def test_a_build_that_is_killed_while_it_makes_the_arrays_can_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: int
) -> None:
    create, count, path = zarr.Group.create_array, itertools.count(), tmp_path / "small.zarr"

    def killed(group: zarr.Group, *names: Any, **options: Any) -> Any:
        if next(count) == made:
            raise KilledError
        return create(group, *names, **options)

    def stopping(done: int, wanted: int) -> None:
        raise StoppedError  # before the first sample

    with monkeypatch.context() as dying:
        dying.setattr(zarr.Group, "create_array", killed)
        with pytest.raises(KilledError):
            build("small", path, samples=2, config=SMALL)
    with pytest.raises(StoppedError):
        build("small", path, samples=2, config=SMALL, progress=stopping)
    group = zarr.open_group(path, mode="r")
    assert group.attrs["committed"] == 0
    assert {*columns(SMALL), "x", "y"} == {name for name, _ in group.arrays()}
    assert [file.name for file in tmp_path.iterdir()] == ["small.zarr"]


def test_a_folder_that_is_no_library_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "holiday.txt").write_text("sun")
    with pytest.raises(ConflictError, match="is no library"):
        build("small", tmp_path, samples=1, config=SMALL)
    assert [file.name for file in tmp_path.iterdir()] == ["holiday.txt"]


@pytest.mark.parametrize(
    ("where", "kind", "words"),
    [
        ("file", ConflictError, "is there and is no library"),
        ("file/below", SettingsError, "cannot be written: Not a directory"),
        ("/proc/x.zarr", SettingsError, "cannot be written: No such file"),
        ("x.zarr", SettingsError, "x.card.json cannot be written: Is a directory"),
    ],
)
def test_a_path_that_cannot_be_written_is_said_before_the_work(
    tmp_path: Path, where: str, kind: type[TwinError], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "pool_of", None)  # is not reached
    (tmp_path / "file").write_text("a letter")
    (tmp_path / "x.card.json").mkdir()
    with pytest.raises(kind, match=words):
        build("small", tmp_path / where, samples=1, config=SMALL)
    assert (tmp_path / "file").read_text() == "a letter"


@pytest.mark.parametrize("option", ["--sheet", "--animation"])
@pytest.mark.parametrize(
    ("where", "why"), [("nowhere/x.png", "No such file or directory"), ("", "Is a directory")]
)
def test_a_picture_that_cannot_be_written_is_a_sentence(
    built: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    option: str,
    where: str,
    why: str,
) -> None:
    path = str(tmp_path / where)
    assert code(monkeypatch, "library", "show", str(built[0]), option, path) == cli.UNUSABLE
    assert capsys.readouterr().err.split() == f"twin: {path} cannot be written: {why}".split()
    assert list(tmp_path.iterdir()) == []


def test_a_build_is_stopped_by_a_signal_with_its_workers_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(CONFIGS, "small", SMALL)
    monkeypatch.setattr(library, "BLOCK", 2)
    out, written = tmp_path / "small.zarr", WrittenLibrary.write
    command = ["library", "build", "small", "--samples", "4", "--seed", "7", "--out", str(out),
               "--workers", "1"]  # fmt: skip  # two lines

    def stopped(self: WrittenLibrary, *what: Any) -> None:
        if self.committed == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        written(self, *what)

    monkeypatch.setattr(WrittenLibrary, "write", stopped)
    assert code(monkeypatch, *command) == 128 + signal.SIGTERM
    assert f"SIGTERM; run the same command to resume {out}" in capsys.readouterr().err
    assert active_children() == []
    assert opened(out).attrs["committed"] == 2
    monkeypatch.setattr(WrittenLibrary, "write", written)
    assert code(monkeypatch, *command) == 0
    assert opened(out).attrs["committed"] == 4


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="processes are looked up in /proc")
def test_workers_do_not_outlive_a_parent_that_is_killed() -> None:
    code = (
        "import os, sys, time\n"
        "from twin.learning.library_workers import pool_of\n"
        "if __name__ == '__main__':\n"
        "    with pool_of(None, 1) as pool:\n"
        "        print(pool.submit(os.getpid).result(), flush=True)\n"
        "        time.sleep(60)\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        worker = Path("/proc") / parent.stdout.readline().decode().strip()
        assert "spawn_main" in (worker / "cmdline").read_text()
        parent.kill()
        parent.communicate(timeout=30)  # the worker holds them open while it lives


def code(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of `twin`."""
    monkeypatch.setattr(sys, "argv", ["twin", *arguments])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    return int(exit_.value.code or 0)


def test_an_unknown_name_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnknownError, match="no library 'cracks'; there are crack"):
        build("cracks", tmp_path / "x.zarr")


@pytest.mark.parametrize(("samples", "workers", "seed"), [(0, 1, 0), (1, 0, 0), (1, 1, -1)])
def test_numbers_that_cannot_be_are_refused(
    tmp_path: Path, samples: int, workers: int, seed: int
) -> None:
    with pytest.raises(SettingsError, match="cannot be built"):
        build("crack", tmp_path / "x.zarr", samples=samples, workers=workers, seed=seed)
    assert not (tmp_path / "x.zarr").exists()


def test_a_slip_of_the_finger_cannot_ask_for_a_terabyte(tmp_path: Path) -> None:
    large = replace(SMALL, window=replace(SMALL.window, rows=1600, columns=1600))
    with pytest.raises(SettingsError, match="more than 256 GiB; take fewer samples"):
        build("small", tmp_path / "x.zarr", samples=100_000, config=large)
    assert not (tmp_path / "x.zarr").exists()


def test_the_columns_have_the_paper_s_sizes_by_default() -> None:
    found = columns(CrackLibrary())
    assert found["frames"].shape == (8, 96, 132)
    assert found["load"].shape == (7, 2)


def test_a_contact_sheet_and_an_animation_can_be_opened(
    built: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    sheet, animation = tmp_path / "sheet.png", tmp_path / "crack.gif"
    card = show(built[0], sheet=sheet, animation=animation, samples=4, scale=2)
    assert card["samples"] == SAMPLES
    with Image.open(sheet) as image:
        assert image.size == (2 * (3 * 136 + 4), 2 * (4 * 100 + 4))
    with Image.open(animation) as image:
        assert image.n_frames == 3  # type: ignore[attr-defined]  # of a GIF
        assert image.size == (2 * (2 * 136 + 4), 2 * (2 * 100 + 4))


@pytest.mark.parametrize(("what", "pixels"), [
    ("sheet", 2 * (3 * 136 + 4) * 2 * (4 * 100 + 4)),
    ("animation", 3 * 2 * (2 * 136 + 4) * 2 * (2 * 100 + 4)),
])  # fmt: skip  # a table
def test_a_picture_is_as_large_as_allowed_and_no_larger(
    built: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    pixels: int,
) -> None:
    path: Any = {what: tmp_path / f"{what}.{'png' if what == 'sheet' else 'gif'}"}
    monkeypatch.setattr(library_view, "MOST_PIXELS", pixels - 1)
    with pytest.raises(SettingsError, match=f"{what} would be .*fewer --samples or a smaller"):
        show(built[0], samples=4, scale=2, **path)
    assert not path[what].exists()
    monkeypatch.setattr(library_view, "MOST_PIXELS", pixels)
    show(built[0], samples=4, scale=2, **path)
    assert path[what].exists()


@pytest.mark.parametrize("what", ["sheet", "animation"])
def test_a_picture_of_gigapixels_is_refused_before_anything_is_read(
    tmp_path: Path, what: str
) -> None:
    group = zarr.open_group(tmp_path / "large.zarr", mode="w-")
    group.create_array("frames", shape=(400, 8, 96, 132), dtype="uint8")
    group.attrs["committed"] = 400
    path: Any = {what: tmp_path / "large.png"}
    with pytest.raises(SettingsError, match="more than 67108864 in all"):
        show(tmp_path / "large.zarr", samples=400, scale=8, **path)
    assert "committed" in show(tmp_path / "large.zarr", samples=400, scale=8)


def test_no_side_is_longer_than_a_gif_can_have(
    built: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library_view, "LONGEST", 2 * 136 + 3)
    with pytest.raises(SettingsError, match="or than 275 along a side"):
        show(built[0], samples=4, animation=tmp_path / "wide.gif")
    monkeypatch.setattr(library_view, "LONGEST", 2 * 136 + 4)
    show(built[0], samples=4, animation=tmp_path / "wide.gif")


def test_a_crack_is_dark_on_light_in_its_tile() -> None:
    picture = np.zeros((1, 2, 3, 3), dtype=np.uint8)
    picture[0, 1, 1, 1] = 255
    tiles = tiled(picture)
    assert tiles.shape == (11, 18)
    assert np.argwhere(tiles == 0).tolist() == [[5, 12]]


@pytest.mark.parametrize(("first", "samples"), [(SAMPLES, 1), (-1, 1), (0, 0), (0, 401)])
def test_samples_that_are_not_there_cannot_be_shown(
    built: tuple[Path, dict[str, Any]], first: int, samples: int
) -> None:
    with pytest.raises(SettingsError, match="cannot be shown"):
        show(built[0], first=first, samples=samples)


def test_no_library_cannot_be_shown(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is no library"):
        show(tmp_path / "nothing.zarr")


def test_the_commands_show_and_complete_a_library(
    built: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CONFIGS, "small", SMALL)
    runner, sheet = CliRunner(), tmp_path / "sheet.png"
    shown = runner.invoke(app, ["show", str(built[0]), "--sheet", str(sheet)])
    assert shown.exit_code == 0
    assert json.loads(shown.stdout)["committed"] == SAMPLES
    assert sheet.exists()
    wanted = ["--samples", str(SAMPLES), "--seed", "7", "--workers", "1", "--out", str(built[0])]
    again = runner.invoke(app, ["build", "small", *wanted])
    assert again.exit_code == 0
    assert json.loads(again.stdout) == built[1]
