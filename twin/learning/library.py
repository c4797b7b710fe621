"""Digital libraries: built in parallel, restarted where they stopped.

What a sample holds depends on the configuration, the seed and its index alone.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.crack_frames.config import CrackLibrary
from models.crack_frames.library import Sample
from storage.artifacts.library import (
    BLOCK,
    Axis,
    Column,
    ReadLibrary,
    WrittenLibrary,
    create,
    writing,
)
from storage.durable import write_whole
from storage.errors import InUseError, MissingError
from twin.errors import ConflictError, SettingsError
from twin.learning.library_config import checked, configuration, differences, plain
from twin.learning.library_workers import pool_of, samples_of
from twin.learning.output_paths import file_to_write, written

MOST_SAMPLES = 1_000_000
MOST_WORKERS = 256
MOST_BYTES = 2**38  # of all arrays, before they are compressed

Progress = Callable[[int, int], None]  # samples that are there, samples wanted


class LibraryJob(NamedTuple):
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
    report = progress or (lambda _done, _wanted: None)
    with _opened(order) as library:
        file_to_write(card_path(path))
        done = library.committed
        report(done, samples)
        with pool_of(order.config, workers) as pool:
            finished = samples_of(pool, seed, range(done, samples), 4 * workers)
            while block := list(islice(finished, min(BLOCK - done % BLOCK, samples - done))):
                with written(path):
                    library.write([_row(one) for one in block], columns(order.config))
                done = library.committed
                report(done, samples)
        with written(path):
            return _closed(library, order)


def _order(
    name: str, path: Path, samples: int, seed: int, workers: int, config: CrackLibrary | Path | None
) -> LibraryJob:
    if not 1 <= samples <= MOST_SAMPLES or not 1 <= workers <= MOST_WORKERS or seed < 0:
        raise SettingsError(
            f"{samples} samples by {workers} workers from seed {seed} cannot be built: 1 to "
            f"{MOST_SAMPLES}, 1 to {MOST_WORKERS} and a seed of at least 0"
        )
    if isinstance(config, CrackLibrary):
        return _sized(LibraryJob(name, checked(config), samples, seed, path))
    return _sized(LibraryJob(name, configuration(name, config), samples, seed, path, config))


def _sized(order: LibraryJob) -> LibraryJob:
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


@contextmanager
def _opened(order: LibraryJob) -> Iterator[WrittenLibrary]:
    """The library at the path, made where there is none, to be written to by nobody else."""
    identity = {
        "name": order.name,
        "seed": order.seed,
        "samples": order.samples,
        "config": plain(order.config),
    }
    if not order.path.exists():
        title = {"title": f"Digital library {order.name}", "command": order.command()}
        with written(order.path):
            create(
                order.path,
                {**title, **identity},
                order.samples,
                columns(order.config),
                _axes(order.config),
            )
    with _mine(order.path), writing(order.path) as library:
        found = library.attributes
        other = [
            one
            for key, value in identity.items()
            for one in differences(found.get(key), value, key)
        ]
        if other:
            raise ConflictError(f"{order.path} holds another library: {', '.join(other)} differ")
        yield library


@contextmanager
def _mine(path: Path) -> Iterator[None]:
    """Raises ConflictError where somebody else has `path`, or something else lies there."""
    try:
        yield
    except MissingError as exc:
        raise ConflictError(f"{path} is there and is no library") from exc
    except InUseError as exc:
        raise ConflictError(str(exc)) from exc


def _axes(config: CrackLibrary) -> dict[str, Axis]:
    centres = {"x": config.window.x(), "y": config.window.y()}
    return {k: Axis(v, f"{k} of the pixels' centres", "m") for k, v in centres.items()}


def _row(one: Sample) -> dict[str, Any]:
    return {
        "frames": one.frames, "load": one.load, "path": one.path, "nodes": len(one.path),
        "k_1": one.K[:, 0], "k_2": one.K[:, 1], "k_unit": one.K_unit, "cycles": one.cycles,
        "frame_node": one.ends, "fast_fracture": one.fast_fracture, "refused": one.refused,
        "arrested": one.arrested,
    }  # fmt: skip  # in the order of `columns`


def _closed(library: WrittenLibrary, order: LibraryJob) -> dict[str, Any]:
    """Add the statistics, and write the card beside the arrays; the answer is the card."""
    library.note(statistics=statistics(library))
    keys = ("name", "seed", "samples", "command", "statistics", "config")
    card = {key: library.attributes[key] for key in keys}
    text = json.dumps(card, indent=1, ensure_ascii=False)
    with written(card_path(order.path)):
        write_whole(card_path(order.path), f"{text}\n".encode())
    return card


def card_path(path: Path) -> Path:
    """The card beside a library: within it zarr would take it for a damaged array."""
    return path.with_name(f"{path.stem}.card.json")


def statistics(library: ReadLibrary) -> dict[str, Any]:
    """What a library holds, in a few numbers."""
    nodes, cycles = _whole(library, "nodes"), _whole(library, "cycles")
    path, ink = _whole(library, "path"), _whole(library, "frames")
    tips = path[np.arange(len(path)), nodes - 1, 1]
    return {
        "nodes_mean": float(nodes.mean()),
        "nodes_most": int(nodes.max()),
        "final_y": dict(zip(("least", "median", "largest"), _three(tips), strict=True)),
        "cycles_median": [_number(value) for value in np.median(np.diff(cycles, axis=1), axis=0)],
        "fast_fracture": [float(v) for v in _whole(library, "fast_fracture").mean(axis=0)],
        "crack_pixels": float((ink > 0).mean()),
        "refused": int(_whole(library, "refused").sum()),
        "arrested": int(_whole(library, "arrested").sum()),
    }


def _three(values: NDArray[np.float64]) -> list[float]:
    return [float(values.min()), float(np.median(values)), float(values.max())]


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _whole(library: ReadLibrary, name: str) -> NDArray[Any]:
    return library.read(name, slice(None))
