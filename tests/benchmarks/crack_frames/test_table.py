"""The table of crack networks, and that a finished run is read and not run again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.crack_frames import networks as crack_networks
from tests.benchmarks.crack_frames.pictures import MARGIN, sheet
from tests.benchmarks.crack_frames.table import Row, table

ROWS: list[Row] = [
    {"name": "net", "seed": 0, "cpu_s": 10.0, "figures": {"parameters": 1477.0, "last_mae": 0.004}},
    {"name": "net", "seed": 1, "cpu_s": 14.0, "figures": {"parameters": 1477.0, "last_mae": 0.006}},
    {"name": "black", "seed": None, "figures": {"last_mae": 0.01, "last_precision": float("nan")}},
]


def test_seeds_are_a_mean_and_a_spread() -> None:
    lines = table(ROWS).splitlines()
    assert "| net (2 seeds) | 5 ± 1.41 | – | – | – | – | – | – |" in lines
    assert "| black | 10 | – | – | – | – | – | – |" in lines


def test_sizes_stand_for_networks_alone() -> None:
    sizes = table(ROWS).split("**One step ahead**")[0]
    assert "| net (2 seeds) | 1,477 | – | – | 12 ± 2.83 |" in sizes
    assert "black" not in sizes


def test_a_finished_run_is_read_and_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"name": "net", "seed": 3, "epochs_at_most": 2, "figures": {}}
    (tmp_path / "net-3").mkdir()
    (tmp_path / "net-3" / "figures.json").write_text(json.dumps(row))
    monkeypatch.setattr(crack_networks, "train", None)  # a call would fail
    assert crack_networks.run(tmp_path / "no.zarr", tmp_path, "net", 3, 2) == row
    with pytest.raises(TypeError):
        crack_networks.run(tmp_path / "no.zarr", tmp_path, "net", 3, 4)


def test_a_sheet_has_a_row_for_each_drawer() -> None:
    pictures = np.zeros((5, 96, 132), dtype=np.float32)
    drawn = sheet([("truth", pictures), ("black", pictures)])
    assert drawn.size == (5 * 136 + 4 + MARGIN, 2 * 100 + 4)
