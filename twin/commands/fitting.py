"""The commands of `twin fit`."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from twin.learning.growth_fit import GrowthReport

app = typer.Typer(help="Laws and their scatter from measurements.", no_args_is_help=True)


@app.callback()
def fit() -> None:
    """Laws and their scatter from measurements."""


def _ratio(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a finite number.")
    return value


@app.command()
def growth(
    file: Annotated[
        Path, typer.Argument(help="Lengths against cycles (CSV).", exists=True, dir_okay=False)
    ],
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="Load, geometry and law (TOML); options go before it."),
    ] = None,
    stress_range: Annotated[
        str | None, typer.Option(help='With its unit, like "48.28 MPa".')
    ] = None,
    ratio: Annotated[
        float | None,
        typer.Option("--ratio", "-R", callback=_ratio, help="Smallest over largest stress."),
    ] = None,
    geometry: Annotated[
        str | None, typer.Option(help="As in a registration: centre_crack.")
    ] = None,
    size: Annotated[
        list[str] | None, typer.Option(help='Of the geometry, like "W=152.4 mm"; repeat it.')
    ] = None,
    law: Annotated[
        str | None,
        typer.Option(help="paris (default), walker, forman, nasgro, nasgro4, or tabulated."),
    ] = None,
    constant: Annotated[
        list[str] | None, typer.Option(help='Held of the law, like "gamma=0.5"; repeat it.')
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(help="Where a life ends; where half of the specimens came to, if not given."),
    ] = None,
    reading_sd: Annotated[
        str | None, typer.Option(help='Standard deviation of a reading, like "0.02 mm"; none.')
    ] = None,
    growth_sd: Annotated[
        float | None,
        typer.Option(min=1e-3, max=3.0, help="Between specimens, where there is one alone; 0.1."),
    ] = None,
    draws: Annotated[int, typer.Option(min=100, max=100_000, help="Of a remaining life.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Of these.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder for growth.toml, card.json, card.txt, curves.svg.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the card as JSON.")] = False,
) -> None:
    """Fit a law and its scatter to curves of crack length against cycles, and judge it by them."""
    # Over 60 lines: each option with what it means.
    import torch

    from twin.learning.growth_card import told
    from twin.learning.growth_fit import Judging, growth_fit
    from twin.learning.growth_setting import GrowthOptions, growth_setting
    from twin.learning.output_paths import folder_to_write

    torch.set_num_threads(1)
    options = GrowthOptions(
        stress_range, ratio, geometry, size or (), law, constant or (), end, reading_sd, growth_sd
    )
    setting = growth_setting(config, options)
    if out is not None:
        folder_to_write(out)
    report = growth_fit(file, setting, Judging(draws, seed))
    text = "\n".join(told(report.card)) + "\n"
    if out is not None:
        _write(out, report, text)
    sys.stdout.write(_json(report.card) if json_output else text)


def _json(card: dict[str, Any]) -> str:
    return json.dumps(card, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _write(out: Path, report: GrowthReport, text: str) -> None:
    from storage.durable import write_whole
    from twin.drawing.growth_curves import GrowthPicture, svg
    from twin.learning.output_paths import written

    card = report.card
    picture = GrowthPicture(
        title=card["file"],
        subtitle=f"{card['specimens']} specimens; law {card['law']['kind']}",
        curves=[list(zip(n.tolist(), a.tolist(), strict=True)) for n, a in report.curves],
        lengths=report.lengths.tolist(),
        band=report.band.tolist(),
    )
    files = {
        "growth.toml": report.toml.encode(),
        "card.json": _json(card).encode(),
        "card.txt": text.encode(),
        "curves.svg": svg(picture),
    }
    for name, data in files.items():
        with written(out / name):
            write_whole(out / name, data)
