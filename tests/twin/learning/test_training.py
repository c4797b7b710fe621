"""`twin train` and `twin evaluate`: resumable, seeded, blind to what is held out."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
import zarr
from safetensors.torch import load_file
from torch import Tensor, nn
from typer.testing import CliRunner

from models.catalogue import RECIPES
from models.crack_frames.window import PictureWindow
from models.crack_frames.window import frames as drawn
from models.recipe import Arrays, Recipe
from models.training import Examples, Schedule, seeded
from storage.artifacts import weights
from twin.commands import cli
from twin.commands import training as training_commands
from twin.errors import ConflictError, SettingsError, UnknownError
from twin.learning.evaluation import evaluate
from twin.learning.library_fields import Library
from twin.learning.training import TrainingJob, TrainingStatus, train
from twin.networks import leaves

SAMPLES, HELD_OUT = 40, 8
CONFIG = {"slope": 2.0}


class StoppedError(Exception):
    """Somebody pressed Ctrl-C."""


def library(path: Path, samples: int = SAMPLES, **attributes: Any) -> Path:
    """A line with a bend; what is held out lies on another line altogether."""
    group = zarr.open_group(path, mode="w-")
    x = np.linspace(-1.0, 1.0, samples)
    y = np.where(np.arange(samples) < samples - HELD_OUT, 2.0 * x, -5.0)
    for name, values in (("x_in", x), ("y_out", y)):
        array = group.create_array(
            name, shape=values.shape, dtype="float64", dimension_names=("sample",)
        )
        array[:] = values
    default = {"name": "line", "seed": 3, "samples": samples, "committed": samples,
               "config": CONFIG}  # fmt: skip  # two lines
    page: Any = default | attributes
    group.attrs.update(page)
    return path


def network(seed: int) -> nn.Module:
    with seeded(seed):
        return nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))


def examples(arrays: Arrays, seed: int) -> tuple[Examples, Examples]:
    x = torch.from_numpy(arrays["x_in"]).float()[:, None]
    y = torch.from_numpy(arrays["y_out"]).float()[:, None]
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    cut = len(x) // 4
    return (x[order[cut:]], y[order[cut:]]), (x[order[:cut]], y[order[:cut]])


def squared(line: nn.Module, batch: Examples) -> Tensor:
    return nn.functional.mse_loss(line(batch[0]), batch[1])


def held_out_scores(line: nn.Module, arrays: Arrays) -> dict[str, float]:
    x, y = (torch.from_numpy(arrays[name]).float()[:, None] for name in ("x_in", "y_out"))
    return {"count": float(len(x)), "mean_target": float(y.mean()), "mse": float(
        nn.functional.mse_loss(line(x), y))}  # fmt: skip  # two lines


SCHEDULE = Schedule(epochs=5, batch=8, lr=3e-2, patience=5)
LINE = Recipe("A line.", network, examples, squared, SCHEDULE, held_out_scores)


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "line", LINE)


@pytest.fixture
def order(tmp_path: Path) -> TrainingJob:
    return TrainingJob("line", library(tmp_path / "line.zarr"), tmp_path / "out", held_out=HELD_OUT)


def stopping(after: int) -> Any:
    def report(now: TrainingStatus) -> None:
        if now.epoch == after and now.share > 0.0:
            raise StoppedError

    return report


def test_training_leaves_the_best_weights_and_a_full_card(order: TrainingJob) -> None:
    card = train(order)
    tensors, written, _ = weights.load(order.weights_path())
    assert written == card
    assert card["data"]["library"] == "line"
    assert (card["data"]["trained_on"], card["data"]["held_out"]) == (SAMPLES - HELD_OUT, HELD_OUT)
    assert card["parameters"] == sum(leaf.size for leaf in tensors.values())
    assert card["figures"]["validation_loss"] == min(card["losses"]["validation"])
    assert card["cpu_s"] >= 0.0
    assert card["command"].startswith("twin train line --library line.zarr --seed 0")
    assert not order.progress_path().exists()


def test_a_card_tells_libraries_of_one_configuration_but_other_contents_apart(
    order: TrainingJob, tmp_path: Path
) -> None:
    before = train(order)["examples_sha256"]
    assert train(replace(order, out=tmp_path / "again"))["examples_sha256"] == before
    y: Any = zarr.open_group(order.library)["y_out"]
    y[0] = y[0] + 1e-3
    assert train(replace(order, out=tmp_path / "changed"))["examples_sha256"] != before


def test_a_training_that_was_interrupted_goes_on_bit_for_bit(
    order: TrainingJob, tmp_path: Path
) -> None:
    whole = train(replace(order, out=tmp_path / "whole"))
    with pytest.raises(StoppedError):
        train(order, stopping(after=2))
    assert order.progress_path().exists()
    seen: list[int] = []
    resumed = train(order, lambda now: seen.append(now.epoch))
    assert seen[0] == 2
    assert resumed["losses"] == whole["losses"]
    first = load_file(tmp_path / "whole" / "line.safetensors")
    again = load_file(order.weights_path())
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_the_best_epoch_survives_an_interruption_after_it(
    order: TrainingJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def apart(arrays: Arrays, seed: int) -> tuple[Examples, Examples]:
        learned, (x, y) = examples(arrays, seed)
        return learned, (x, -y)  # what is learned makes validation worse

    monkeypatch.setitem(RECIPES, "line", replace(LINE, examples=apart))
    whole = train(replace(order, out=tmp_path / "whole"))
    assert whole["best_epoch"] < 4
    with pytest.raises(StoppedError):
        train(order, stopping(after=4))
    assert train(order)["best_epoch"] == whole["best_epoch"]
    first = load_file(tmp_path / "whole" / "line.safetensors")
    again = load_file(order.weights_path())
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_the_seed_decides_everything(order: TrainingJob, tmp_path: Path) -> None:
    losses = [
        train(replace(order, out=tmp_path / str(k), seed=seed))["losses"]
        for k, seed in enumerate((1, 1, 2))
    ]
    assert losses[0] == losses[1] != losses[2]


def test_a_finished_training_is_left_as_it_is(order: TrainingJob) -> None:
    card = train(order)
    before = order.weights_path().stat().st_mtime_ns
    assert train(order, stopping(after=0)) == card
    assert order.weights_path().stat().st_mtime_ns == before


def test_another_run_is_not_overwritten(order: TrainingJob) -> None:
    with pytest.raises(StoppedError):
        train(order, stopping(after=1))
    with pytest.raises(ConflictError, match="is of another run: seed, schedule differ"):
        train(replace(order, seed=1))
    train(order)
    with pytest.raises(ConflictError, match="is of another run: schedule differ"):
        train(replace(order, epochs=6))


def test_progress_that_is_damaged_is_said(order: TrainingJob) -> None:
    order.out.mkdir()
    order.progress_path().write_bytes(b"nothing")
    with pytest.raises(ConflictError, match="is no progress of a training"):
        train(order)


def test_the_network_is_settled_before_it_is_written(
    order: TrainingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settled(line: nn.Module, validation: Examples) -> None:
        assert len(validation[0]) == (SAMPLES - HELD_OUT) // 4
        nn.init.constant_(next(line.parameters()), 7.0)

    monkeypatch.setitem(RECIPES, "line", replace(LINE, settled=settled))
    train(order)
    assert (load_file(order.weights_path())["0.weight"] == 7.0).all()


def test_only_what_was_held_out_is_judged(order: TrainingJob) -> None:
    train(order)
    found = evaluate("line", order.library, order.weights_path(), HELD_OUT)
    assert (found["count"], found["mean_target"]) == (HELD_OUT, -5.0)


def test_weights_do_not_judge_themselves_on_what_they_learned_from(order: TrainingJob) -> None:
    train(order)
    with pytest.raises(SettingsError, match="has learned from the first 32 samples"):
        evaluate("line", order.library, order.weights_path(), HELD_OUT + 1)


def test_a_sister_library_of_the_same_seed_is_no_other_library(
    order: TrainingJob, tmp_path: Path
) -> None:
    """crack-coherent draws the pictures of crack: the configuration does not tell them apart."""
    train(order)

    def judged(file: str, **attributes: Any) -> Any:
        sister = library(tmp_path / f"{file}.zarr", config={"slope": 3.0}, **attributes)
        return evaluate("line", sister, order.weights_path(), HELD_OUT + 1)

    with pytest.raises(SettingsError, match="first 32 samples of the line libraries of seed 3"):
        judged("coherent", name="line-coherent")
    with pytest.raises(SettingsError, match="by --held-out 8 at most, or judge it by a library"):
        judged("same", name="line")
    assert judged("seed", name="line-coherent", seed=4)["count"] == HELD_OUT + 1
    assert judged("family", name="curve")["count"] == HELD_OUT + 1


LINES = {"library": "line", "seed": 3}


@pytest.mark.parametrize("data", [{}, None, "line", LINES, LINES | {"trained_on": "all"}])
def test_weights_that_do_not_say_what_they_have_learned_from_are_not_judged(
    order: TrainingJob, data: Any
) -> None:
    card = train(order) | {"data": data}
    weights.save(order.weights_path(), leaves(network(0).state_dict()), card)
    with pytest.raises(SettingsError, match=r"does not say in `data` .* train it by `twin train`"):
        evaluate("line", order.library, order.weights_path(), HELD_OUT)


def test_a_network_says_which_library_it_needs(
    order: TrainingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    for needs, said in (
        ({"slope": 3.0}, "slope is 2.0, the network needs 3.0"),
        ({"plate.width": 1.0}, "plate.width is None, the network needs 1.0"),
    ):
        monkeypatch.setitem(RECIPES, "line", replace(LINE, needs=needs))
        with pytest.raises(SettingsError, match=f"cannot be used by line: {said}"):
            train(order)
        with pytest.raises(SettingsError, match=f"cannot be used by line: {said}"):
            evaluate("line", order.library, order.weights_path(), HELD_OUT)
    monkeypatch.setitem(RECIPES, "line", replace(LINE, needs={"slope": 2.0}))
    assert train(order)["parameters"] == 25


def test_training_cannot_see_what_is_held_out(order: TrainingJob) -> None:
    learned, held = Library(order.library).parts(HELD_OUT)
    assert len(learned["y_out"]) == SAMPLES - HELD_OUT
    assert -5.0 not in learned["y_out"]
    assert (held["y_out"] == -5.0).all()


def test_what_cannot_be_used_is_a_sentence(order: TrainingJob, tmp_path: Path) -> None:
    with pytest.raises(UnknownError, match=r"no network 'lines'; there are .*line"):
        train(replace(order, name="lines"))
    with pytest.raises(SettingsError, match="is no library"):
        train(replace(order, library=tmp_path))
    with pytest.raises(SettingsError, match="cannot be held out"):
        train(replace(order, held_out=SAMPLES))
    with pytest.raises(SettingsError, match="too few"):
        train(replace(order, held_out=SAMPLES - 3))
    with pytest.raises(SettingsError, match="cannot be run"):
        train(replace(order, epochs=0))
    with pytest.raises(SettingsError, match="no weights at"):
        evaluate("line", order.library, tmp_path / "nothing.safetensors", HELD_OUT)


@pytest.mark.parametrize("where", ["file", "file/below", "/proc/out"])
def test_a_folder_that_cannot_be_written_is_said_before_the_work(
    order: TrainingJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    (tmp_path / "file").write_text("a letter")
    monkeypatch.setitem(RECIPES, "line", replace(LINE, examples=_not_reached))
    with pytest.raises(SettingsError, match=r"cannot be written: No\S* .*directory"):
        train(replace(order, out=tmp_path / where))
    with pytest.raises(SettingsError, match=r"cannot be written: No\S* .*directory"):
        train(replace(order, weights=tmp_path / where / "line.safetensors"))
    assert (tmp_path / "file").read_text() == "a letter"


def _not_reached(arrays: Arrays, seed: int) -> tuple[Examples, Examples]:
    raise AssertionError("the work has begun")


def test_a_card_that_cannot_be_written_is_said_before_the_work(
    order: TrainingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RECIPES, "line", replace(LINE, examples=_not_reached))
    (order.out / "line.card.json").mkdir(parents=True)
    with pytest.raises(SettingsError, match=r"line\.card\.json cannot be written: Is a directory"):
        train(order)
    assert [file.name for file in order.out.iterdir()] == ["line.card.json"]


def test_a_disk_that_does_not_obey_under_way_is_said(
    order: TrainingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unplugged(line: nn.Module, batch: Examples) -> Tensor:
        shutil.rmtree(order.out, ignore_errors=True)
        return squared(line, batch)

    monkeypatch.setitem(RECIPES, "line", replace(LINE, loss=unplugged))
    with pytest.raises(SettingsError, match=r"line\.progress\.safetensors cannot be written: "):
        train(order)


def test_a_training_is_stopped_by_a_signal_and_says_how_it_goes_on(
    order: TrainingJob, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(line: nn.Module, batch: Examples) -> Tensor:
        if order.progress_path().exists():
            os.kill(os.getpid(), signal.SIGTERM)
        return squared(line, batch)

    monkeypatch.setitem(RECIPES, "line", replace(LINE, loss=stopped))
    command = ["train", "line", "--library", str(order.library), "--held-out", str(HELD_OUT),
               "--out", str(order.out)]  # fmt: skip  # two lines
    assert code(monkeypatch, *command) == 128 + signal.SIGTERM
    assert "interrupted by SIGTERM; run the same command to resume" in capsys.readouterr().err
    assert order.progress_path().exists()
    monkeypatch.setitem(RECIPES, "line", LINE)
    assert code(monkeypatch, *command) == 0


def test_a_library_of_another_kind_or_not_finished_is_said(
    order: TrainingJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = library(tmp_path / "half.zarr", committed=SAMPLES // 2)
    with pytest.raises(SettingsError, match="not finished: 20 of 40 samples"):
        train(replace(order, library=half))
    looking = replace(LINE, examples=lambda arrays, _seed: arrays["frames"])  # type: ignore[arg-type,return-value]  # fails before
    monkeypatch.setitem(RECIPES, "line", looking)
    with pytest.raises(SettingsError, match="of another kind: 'line' has no 'frames'"):
        train(order)


def test_weights_of_another_network_do_not_fit(
    order: TrainingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(order)
    monkeypatch.setitem(RECIPES, "line", replace(LINE, network=lambda _seed: nn.Linear(1, 1)))
    with pytest.raises(SettingsError, match="does not fit the network line"):
        evaluate("line", order.library, order.weights_path(), HELD_OUT)


def test_a_loss_that_is_not_finite_ends_in_a_sentence(
    order: TrainingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = replace(LINE, loss=lambda line, batch: squared(line, batch) * torch.inf)
    monkeypatch.setitem(RECIPES, "line", broken)
    with pytest.raises(SettingsError, match="cannot go on: the loss is inf"):
        train(order)


def test_the_commands_train_and_evaluate(order: TrainingJob) -> None:
    app = typer.Typer()
    app.command()(training_commands.train)
    app.command()(training_commands.evaluate)
    common = ["line", "--library", str(order.library), "--held-out", str(HELD_OUT)]
    command = ["train", *common, "--out", str(order.out), "--epochs", "2"]
    done = CliRunner().invoke(app, command)
    assert done.stdout.splitlines()[-1] == str(order.weights_path())
    done = CliRunner().invoke(app, [*command, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["epochs"] == 2
    judged = CliRunner().invoke(
        app, ["evaluate", *common, "--weights", str(order.weights_path()), "--json"]
    )
    assert judged.exit_code == 0, judged.output
    assert json.loads(judged.stdout)["count"] == HELD_OUT


def pictures(path: Path, samples: int = 3) -> Path:
    """Straight cracks at several slopes, as a library holds them."""
    group = zarr.open_group(path, mode="w-")
    x = np.array([0.0, *np.linspace(1.0, 9.4, 8)])
    paths = [1e-3 * np.stack([x, -0.1 * k * x], axis=1) for k in range(samples)]
    frames = np.stack([drawn(one, np.arange(1, 9), PictureWindow()) for one in paths])
    dimensions = ("sample", "frame", "y", "x")
    array = group.create_array(
        "frames", shape=frames.shape, dtype="uint8", dimension_names=dimensions
    )
    array[:] = frames
    page: Any = {"name": "crack", "seed": 0, "samples": samples, "committed": samples, "config": {}}
    group.attrs.update(page)
    return path


def code(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of `twin`."""
    monkeypatch.setattr(sys, "argv", ["twin", *arguments])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    return int(exit_.value.code or 0)


def test_a_base_network_is_trained_and_judged_by_the_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["crack-snn", "--library", str(pictures(tmp_path / "crack.zarr")), "--held-out", "1"]
    out = ["--out", str(tmp_path / "out"), "--epochs", "1"]
    assert code(monkeypatch, "train", *common, *out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["parameters"] == 1_477
    weights_path = str(tmp_path / "out" / "crack-snn.safetensors")
    assert code(monkeypatch, "evaluate", *common, "--weights", weights_path, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["parameters"] == 1_477
    assert 0.0 <= found["free_mae"] < 1.0


def test_what_cannot_be_done_ends_in_the_documented_codes(
    order: TrainingJob,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    common = ["--library", str(order.library), "--held-out", str(HELD_OUT)]
    out = ["--out", str(order.out)]
    assert code(monkeypatch, "train", "nothing", *common, *out) == cli.MISSING
    assert code(monkeypatch, "evaluate", "line", "--library", str(tmp_path)) == cli.UNUSABLE
    assert code(monkeypatch, "evaluate", "line", *common) == cli.UNUSABLE  # none committed
    assert code(monkeypatch, "train", "line", *common, *out) == 0
    assert code(monkeypatch, "train", "line", *common, *out, "--seed", "1") == cli.WRONG
    said = " ".join(capsys.readouterr().err.split())
    assert said.startswith("twin: there is no network 'nothing'")  # no bar before it
    assert "is no library" in said
    assert "is of another run: seed, schedule differ" in said
    assert "Traceback" not in said
