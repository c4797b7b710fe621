"""The commands of `twin library`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from twin.commands.interrupts import resumable
from twin.commands.progress_bar import shown

app = typer.Typer(help="Digital libraries: build and look at them.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Library: crack, crack-coherent, crack-grip.")]
Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="File (TOML) of what is to be different.")
]
Library = Annotated[Path, typer.Argument(help="A library.", exists=True, file_okay=False)]


@app.command()
def build(
    name: Name,
    out: Annotated[Path, typer.Option(help="Where it goes; an interrupted build is resumed.")],
    samples: Annotated[int, typer.Option(min=1, help="How many.")] = 908,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all samples.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    config: Config = None,
) -> None:
    """Build a library, or go on with it, and print its card."""
    from twin.learning.library import build as run

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeRemainingColumn())  # fmt: skip  # two lines
    with resumable(out), shown(*columns) as bar:
        task = bar.add_task(name, total=samples)

        def progress(done: int, _wanted: int) -> None:
            bar.start()
            bar.update(task, completed=done)

        card = run(
            name, out, samples=samples, seed=seed, workers=workers, config=config, progress=progress
        )  # fmt: skip  # one call
    sys.stdout.write(json.dumps(card, indent=2) + "\n")


@app.command()
def config(name: Name, file: Config = None) -> None:
    """Print the whole configuration of a library as TOML, to change and build from."""
    from twin.learning.library_config import configuration, toml

    sys.stdout.write(toml(configuration(name, file)))


@app.command()
def show(
    library: Library,
    sheet: Annotated[Path | None, typer.Option(help="Contact sheet (PNG) to write.")] = None,
    animation: Annotated[Path | None, typer.Option(help="Animation (GIF) to write.")] = None,
    samples: Annotated[int, typer.Option(min=1, help="How many.")] = 8,
    first: Annotated[int, typer.Option(min=0, help="The first one.")] = 0,
    scale: Annotated[int, typer.Option(min=1, max=8, help="Pixels for each pixel.")] = 1,
) -> None:
    """Draw samples of a library, and print its card."""
    from twin.learning.library_pictures import show as run

    card = run(library, sheet=sheet, animation=animation, samples=samples, first=first, scale=scale)
    sys.stdout.write(json.dumps(card, indent=2) + "\n")
