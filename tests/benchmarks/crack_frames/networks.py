"""Networks that draw the next picture of a crack, over several seeds, beside what needs none.

    python -m tests.benchmarks.crack_frames.networks --library crack.zarr --out runs \\
        --seeds 5 --epochs 2

Each run is a folder `NAME-SEED`: a run that was stopped goes on, one that is finished is read.
`--names` takes further networks of `twin train` whose figures are those of
`models.crack_frames.measures.judged`, and NAME:EPOCHS or NAME:EPOCHS:SEEDS where one is to have
other numbers of these; `--committed` adds networks by their committed weights. The answer is the
table in Markdown; all figures are in `runs/figures.json`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import torch

from tests.benchmarks.crack_frames.baselines import baselines
from tests.benchmarks.crack_frames.table import table
from twin.learning.evaluation import evaluate
from twin.learning.library_fields import Library
from twin.learning.training import TrainingJob, train

NAMES = ("crack-snn", "crack-rnn", "crack-lstm")
HELD_OUT = 108

Row = dict[str, Any]  # name, seed, figures; of a trained one epochs and cpu_s


def run(library: Path, out: Path, name: str, seed: int, epochs: int) -> Row:
    """Train one network from one seed, judge it, and keep that."""
    folder = out / f"{name}-{seed}"
    kept = folder / "figures.json"
    if kept.exists():
        row: Row = json.loads(kept.read_text())
        if row["epochs_at_most"] == epochs:
            return row
    order = TrainingJob(name, library, folder, seed, HELD_OUT, epochs)
    card = train(order)
    found = evaluate(name, library, order.weights_path(), HELD_OUT)
    row = {"name": name, "seed": seed, "epochs_at_most": epochs, "epochs": card["epochs"],
           "cpu_s": card["cpu_s"], "losses": card["losses"], "figures": found}  # fmt: skip  # a row
    kept.write_text(json.dumps(row, indent=1))
    sys.stderr.write(f"{name} seed {seed}: {card['cpu_s']} CPU-s\n")
    return row


class Runs(NamedTuple):
    """One network from several seeds."""

    name: str
    epochs: int
    seeds: int


def told(text: str, epochs: int, seeds: int) -> Runs:
    """`NAME`, `NAME:EPOCHS` or `NAME:EPOCHS:SEEDS`; ValueError for what is none of these."""
    name, *numbers = text.split(":")
    own = [int(number) for number in numbers]
    return Runs(name, *own, *(epochs, seeds)[len(own) :])


def committed(library: Path, name: str) -> Row:
    """A network that was trained before."""
    return {"name": name, "seed": None, "figures": evaluate(name, library, None, HELD_OUT)}


def main() -> None:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--names", nargs="*", default=NAMES)
    parser.add_argument("--committed", nargs="*", default=())
    given = parser.parse_args()
    torch.set_num_threads(1)
    each = [told(text, given.epochs, given.seeds) for text in given.names]
    rows = [
        run(given.library, given.out, one.name, seed, one.epochs)
        for seed in range(max((one.seeds for one in each), default=0))
        for one in each
        if seed < one.seeds
    ]
    rows += [committed(given.library, name) for name in given.committed]
    _, held = Library(given.library).parts(HELD_OUT)
    rows += [{"name": name, "seed": None, "figures": found} for name, found in baselines(held)]
    (given.out / "figures.json").write_text(json.dumps(rows, indent=1))
    sys.stdout.write(table(rows) + "\n")


if __name__ == "__main__":
    main()
