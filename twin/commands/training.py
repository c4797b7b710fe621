"""Commands that train and judge networks."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from twin.commands.interrupts import resumable
from twin.commands.progress_bar import shown

if TYPE_CHECKING:
    from twin.learning.training import Report, TrainingStatus

Name = Annotated[str, typer.Argument(help="A network, such as crack-snn.")]
LibraryPath = Annotated[Path, typer.Option("--library", help="A library.")]
HeldOut = Annotated[int, typer.Option(min=1, help="Samples at the end that training never sees.")]


def train(
    name: Name,
    library: LibraryPath,
    out: Annotated[Path, typer.Option(help="Folder; an interrupted training is resumed.")],
    seed: Annotated[int, typer.Option(min=0, help="Of first weights, order, validation.")] = 0,
    epochs: Annotated[int | None, typer.Option(min=1, help="At most; default: its own.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Examples; default: its own.")] = None,
    held_out: HeldOut = 108,
    weights_out: Annotated[
        Path | None, typer.Option(help="File of the weights; default: in the folder.")
    ] = None,
    checkpoint_every: Annotated[int, typer.Option(min=1, help="Epochs.")] = 1,
    json_output: Annotated[bool, typer.Option("--json", help="Print the card as JSON.")] = False,
) -> None:
    """Train a network on a library, or go on with it; weights, and a card beside them."""
    from twin.learning.training import TrainingJob
    from twin.learning.training import train as run

    order = TrainingJob(
        name, library, out, seed, held_out, epochs, batch, weights_out, checkpoint_every
    )
    with resumable(order.progress_path()), _bar(name) as report:
        card = run(order, report)
    if json_output:
        sys.stdout.write(json.dumps(card, indent=2, ensure_ascii=False) + "\n")
        return
    size, epochs, cpu_s = card["parameters"], card["epochs"], card["cpu_s"]
    typer.echo(f"{name}: {size:,} parameters, {epochs} epochs, {cpu_s} CPU-s")
    loss = card["figures"]["validation_loss"]
    typer.echo(f"validation loss {loss:.4g}, of epoch {card['best_epoch']}")
    typer.echo(order.weights_path())


def evaluate(
    name: Name,
    library: LibraryPath,
    weights: Annotated[
        Path | None, typer.Option(help="File of weights; default: the committed ones.")
    ] = None,
    held_out: HeldOut = 108,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Judge a network on samples of a library that it has not seen."""
    from twin.learning.evaluation import evaluate as run

    figures = run(name, library, weights, held_out)
    if json_output:
        sys.stdout.write(json.dumps(figures, indent=2) + "\n")
        return
    width = max(map(len, figures), default=0)
    for key, value in figures.items():
        typer.echo(f"{key:<{width}}  {value:.5g}")


@contextmanager
def _bar(name: str) -> Iterator[Report]:
    """A bar with the validation loss beside it."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"),
               TimeElapsedColumn(), TimeRemainingColumn())  # fmt: skip  # two lines
    with shown(*columns) as progress:
        task = progress.add_task(name, total=1.0, note="")

        def report(now: TrainingStatus) -> None:
            note = f"epoch {now.epoch}/{now.epochs}"
            if now.validation:
                note += f", validation {now.validation[-1]:.4g}, best {min(now.validation):.4g}"
            done = (now.epoch + now.share) / now.epochs
            progress.start()
            progress.update(task, completed=done, note=note)

        yield report
