"""Digital libraries on disk: built in parallel, restarted where they stopped, read by xarray.

    with xr.open_zarr("crack.zarr", consolidated=False) as library:
        library.frames.sel(sample=3, frame=-1)

A library is one Zarr group. Samples are written in whole blocks; the attribute `committed` says
how many of them are there and moves on last, so that a build which was killed goes on from it.
Before there is one sample the group is made aside, and takes its place when it is complete.
What a sample holds depends on the configuration, the seed and its index alone.
"""

from __future__ import annotations

import json
import math
import shlex
import shutil
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import zarr
from numpy.typing import NDArray

from models.crack_frames.config import CrackLibrary
from models.crack_frames.library import Sample
from storage.durable import ASIDE
from twin.errors import ConflictError, SettingsError
from twin.learning.library_config import checked, configuration, differences, plain
from twin.learning.library_workers import pool_of, samples_of
from twin.learning.output_paths import file_to_write, written

BLOCK = 32  # samples that are written together
MOST_SAMPLES = 1_000_000
MOST_WORKERS = 256
MOST_BYTES = 2**38  # of all arrays, before they are compressed

Progress = Callable[[int, int], None]  # samples that are there, samples wanted


class Column(NamedTuple):
    """An array of the library, for one sample."""

    dtype: str
    shape: tuple[int, ...]
    dimensions: tuple[str, ...]
    meaning: str
    unit: str = "1"


class Order(NamedTuple):
    """What is to be built."""

    name: str  # a key of CONFIGS
    config: CrackLibrary
    samples: int
    seed: int
    path: Path
    file: Path | None = None  # that the configuration was read from

    def command(self) -> str:
        """What somebody who has the file types to repeat it."""
        config = f" --config {shlex.quote(self.file.name)}" if self.file else ""
        return f"twin library build {self.name}{config} --samples {self.samples} --seed {self.seed}"


def build(
    name: str,
    path: Path,
    *,
    samples: int = 908,
    seed: int = 0,
    workers: int = 2,
    progress: Progress | None = None,
    config: CrackLibrary | Path | None = None,
) -> dict[str, Any]:
    """Build the library `name` at `path`, or go on with it; the answer is its card.

    `config` is a file that changes the library's configuration, or the whole of another one.
    Raises UnknownError for a name that is no library's, SettingsError for a file or numbers that
    cannot be used or a path that cannot be written, ConflictError where another library lies there.
    """
    order = _order(name, path, samples, seed, workers, config)
    group = _opened(order)
    file_to_write(card_path(path))
    done = int(group.attrs["committed"])  # type: ignore[arg-type]  # JSON
    report = progress or (lambda _done, _wanted: None)
    report(done, samples)
    with pool_of(order.config, workers) as pool:
        finished = samples_of(pool, seed, range(done, samples), 4 * workers)
        while block := list(islice(finished, min(BLOCK - done % BLOCK, samples - done))):
            _written(group, order.config, block, done)
            done += len(block)
            group.attrs["committed"] = done
            report(done, samples)
    return _closed(group, order)


def _order(
    name: str, path: Path, samples: int, seed: int, workers: int, config: CrackLibrary | Path | None
) -> Order:
    if not 1 <= samples <= MOST_SAMPLES or not 1 <= workers <= MOST_WORKERS or seed < 0:
        raise SettingsError(
            f"{samples} samples by {workers} workers from seed {seed} cannot be built: 1 to "
            f"{MOST_SAMPLES}, 1 to {MOST_WORKERS} and a seed of at least 0"
        )
    if isinstance(config, CrackLibrary):
        return _sized(Order(name, checked(config), samples, seed, path))
    return _sized(Order(name, configuration(name, config), samples, seed, path, config))


def _sized(order: Order) -> Order:
    """Itself; SettingsError where a slip of the finger asks for too much."""
    each = sum(
        np.dtype(column.dtype).itemsize * math.prod(column.shape)
        for column in columns(order.config).values()
    )
    if order.samples * each > MOST_BYTES:
        raise SettingsError(
            f"{order.samples} samples of {each} bytes cannot be built: more than "
            f"{MOST_BYTES >> 30} GiB; take fewer samples or smaller pictures"
        )
    return order


def columns(config: CrackLibrary) -> dict[str, Column]:
    """The arrays of a library, without their first dimension, `sample`."""
    n, s, window = config.most_nodes(), config.slices, config.window
    node, frame = ("node",), ("frame",)
    shown = (s + 1, window.rows, window.columns)
    return {
        "frames": Column("uint8", shown, ("frame", "y", "x"), "255 where the crack is, else 0"),
        "load": Column("float64", (s, 2), ("slice", "component"), "tension and shear", "Pa"),
        "path": Column("float64", (n, 2), ("node", "axis"), "x and y, mouth first", "m"),
        "nodes": Column("int64", (), (), "how many nodes of the path are valid"),
        "k_1": Column("float64", (n,), node, "K_I under the load that the tip meets", "Pa m^0.5"),
        "k_2": Column("float64", (n,), node, "K_II under the load that the tip meets", "Pa m^0.5"),
        "k_unit": Column(
            "float64", (n, 2, 2), ("node", "component", "mode"), "K per unit of load", "m^0.5"
        ),
        "cycles": Column("float64", (s + 1,), frame, "cycles since the first frame"),
        "frame_node": Column("int64", (s + 1,), frame, "node at the tip of a frame"),
        "fast_fracture": Column("bool", (s + 1,), frame, "K has reached the toughness by then"),
        "refused": Column("int64", (), (), "loads drawn again: crack closed or left the window"),
        "arrested": Column("bool", (), (), "no load opened the crack"),
    }


def _opened(order: Order) -> zarr.Group:
    """The group at the path, made where there is none."""
    identity = {
        "name": order.name,
        "seed": order.seed,
        "samples": order.samples,
        "config": plain(order.config),
    }
    if not order.path.exists():
        with written(order.path):
            _created(order, identity)
    try:
        group = zarr.open_group(order.path, mode="r+")
    except (FileExistsError, FileNotFoundError, ValueError) as exc:  # zarr finds a file "existing"
        raise ConflictError(f"{order.path} is there and is no library") from exc
    found = dict(group.attrs)
    other = [
        one for key, value in identity.items() for one in differences(found.get(key), value, key)
    ]
    if other:
        raise ConflictError(f"{order.path} holds another library: {', '.join(other)} differ")
    return group


def _created(order: Order, identity: dict[str, Any]) -> None:
    """An empty library, which is there as a whole or not at all."""
    aside = order.path.with_name(order.path.name + ASIDE)
    if aside.exists():  # of a build that was killed right here
        if aside.is_symlink() or (any(aside.iterdir()) and not (aside / "zarr.json").is_file()):
            raise ConflictError(f"{aside} is there, and no build has left it: move it away")
        shutil.rmtree(aside)
    title = {"title": f"Digital library {order.name}", "command": order.command()}
    group = zarr.open_group(aside, mode="w-", attributes={**title, **identity, "committed": 0})
    for name, column in columns(order.config).items():
        _array(group, name, column, order.samples)
    for name, centres in (("x", order.config.window.x()), ("y", order.config.window.y())):
        axis = group.create_array(
            name, shape=centres.shape, dtype="float64", dimension_names=(name,),
            attributes={"units": "m", "long_name": f"{name} of the pixels' centres"},
        )  # fmt: skip  # one call
        axis[:] = centres
    aside.rename(order.path)


def _array(group: zarr.Group, name: str, column: Column, samples: int) -> None:
    group.create_array(
        name,
        shape=(samples, *column.shape),
        chunks=(min(BLOCK, samples), *column.shape),
        dtype=column.dtype,
        fill_value=float("nan") if column.dtype == "float64" else 0,
        dimension_names=("sample", *column.dimensions),
        attributes={"long_name": column.meaning, "units": column.unit},
    )


def _written(group: zarr.Group, config: CrackLibrary, block: list[Sample], start: int) -> None:
    rows = [_row(one) for one in block]
    for name, column in columns(config).items():
        fill = np.nan if column.dtype == "float64" else 0
        whole = np.full((len(block), *column.shape), fill, dtype=column.dtype)
        for k, row in enumerate(rows):
            value = np.asarray(row[name])
            window: tuple[int | slice, ...] = (k, *map(slice, value.shape))
            whole[window] = value
        array = group[name]
        assert isinstance(array, zarr.Array)
        array[start : start + len(block)] = whole


def _row(one: Sample) -> dict[str, Any]:
    return {
        "frames": one.frames, "load": one.load, "path": one.path, "nodes": len(one.path),
        "k_1": one.K[:, 0], "k_2": one.K[:, 1], "k_unit": one.K_unit, "cycles": one.cycles,
        "frame_node": one.ends, "fast_fracture": one.fast_fracture, "refused": one.refused,
        "arrested": one.arrested,
    }  # fmt: skip  # in the order of `columns`


def _closed(group: zarr.Group, order: Order) -> dict[str, Any]:
    """Add the statistics, and write the card beside the arrays; the answer is the card."""
    group.attrs["statistics"] = statistics(group)
    card = {key: group.attrs[key] for key in ("name", "seed", "samples", "command")}
    card |= {"statistics": group.attrs["statistics"], "config": group.attrs["config"]}
    text = json.dumps(card, indent=1, ensure_ascii=False)
    card_path(order.path).write_text(text + "\n", encoding="utf-8")
    return card


def card_path(path: Path) -> Path:
    """The card beside a library: within it zarr would take it for a damaged array."""
    return path.with_name(f"{path.stem}.card.json")


def statistics(group: zarr.Group) -> dict[str, Any]:
    """What a library holds, in a few numbers."""
    nodes, cycles = _whole(group, "nodes"), _whole(group, "cycles")
    path, ink = _whole(group, "path"), _whole(group, "frames")
    tips = path[np.arange(len(path)), nodes - 1, 1]
    return {
        "nodes_mean": float(nodes.mean()),
        "nodes_most": int(nodes.max()),
        "final_y": dict(zip(("least", "median", "largest"), _three(tips), strict=True)),
        "cycles_median": [_number(value) for value in np.median(np.diff(cycles, axis=1), axis=0)],
        "fast_fracture": [float(v) for v in _whole(group, "fast_fracture").mean(axis=0)],
        "crack_pixels": float((ink > 0).mean()),
        "refused": int(_whole(group, "refused").sum()),
        "arrested": int(_whole(group, "arrested").sum()),
    }


def _three(values: NDArray[np.float64]) -> list[float]:
    return [float(values.min()), float(np.median(values)), float(values.max())]


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _whole(group: zarr.Group, name: str) -> NDArray[Any]:
    return np.asarray(group[name][:])  # type: ignore[index]  # an array, not a group
