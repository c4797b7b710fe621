"""A store that retention has cut is gone on with by every later release: nothing else has its past.

`cut-4` and `cut-5` were written by `python -m tests.formats.test_cut DIRECTORY`, by the releases
whose checkpoints have format 4 and 5, and are never written again: a new format gets a new
directory beside them.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from storage.journal.catalogue import Checkpoint
from storage.store import Store
from tests.twin.fleets import CLOCK, T0, component, inspection, spectrum
from twin.archive.checkpoint import metadata, tensors
from twin.archive.recorder import Recorder
from twin.archive.recovery import recovered
from twin.belief.fleet import EMPTY, Fleet
from twin.belief.fold import folded
from twin.belief.lines import observed, registration
from twin.belief.segments import Line
from twin.kinds.crack_fields import GROUP

HERE = Path(__file__).parent
NAME = "plant/press-1"
CUT, LINES = 5, 9  # where the journal begins, and how many lines it ever held
LENGTH, CYCLES = 0.0021027102156121625, 700.0  # believed in the end [m], counted


def observations() -> list[Line]:
    loads = [spectrum(i, 60.0 * i) for i in range(LINES - 2)]
    return [*loads[:4], inspection(1, 0.0021, 230.0), *loads[4:]]


def write(directory: Path) -> None:
    """A store with a checkpoint at the cut, and lines behind it."""
    lines = observations()
    with Store(directory) as store:
        store.journal.append([registration(component(), T0)], now_ns=T0)
        for line in lines:
            store.journal.append([observed(line.what)], now_ns=T0)  # type: ignore[arg-type]
        result = folded(EMPTY, [Line(NAME, component()), *lines[: CUT + 1]], CLOCK)
        recorder = Recorder(store.trajectories, {GROUP: 0})
        recorder.add(result.rows)
        recorder.flush()
        _kept(store, result.fleet)
        assert store.journal.prune(CUT) > 0
        assert store.journal.start == CUT


def _kept(store: Store, fleet: Fleet) -> None:
    name = f"{fleet.offset:020d}"
    file = store.checkpoints.write(name, tensors(fleet), metadata(fleet, CLOCK))
    rows = {GROUP: fleet.rows}
    store.journal.catalogue.put_checkpoint(
        Checkpoint(name, fleet.offset, rows, file.sha256, file.size, T0, durable=True)
    )
    store.journal.catalogue.put_array(GROUP, fleet.rows)


def believed(directory: Path) -> tuple[int, float, float]:
    with Store(directory) as store:
        found = recovered(store, CLOCK)
        assert store.journal.start == CUT
        assert store.trajectories.committed(GROUP) == 4
    place = found.fleet.places[NAME]
    state = found.fleet.cohorts[place.cohort].state
    return found.fleet.offset, float(state.length[0].mean()), float(state.cycles[0])


@pytest.fixture(params=sorted(HERE.glob("cut-*")), ids=lambda path: path.name)
def directory(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return Path(shutil.copytree(request.param, tmp_path / "store"))


def test_the_checkpoint_at_the_cut_is_read(directory: Path) -> None:
    offset, length, cycles = believed(directory)
    assert (offset, cycles) == (LINES, CYCLES)
    np.testing.assert_allclose(length, LENGTH, rtol=1e-6)


def test_one_of_an_earlier_format_is_carried_over_where_nothing_can_be_folded_again(
    directory: Path,
) -> None:
    """What it did not know is as for a newcomer; what it knew is as it was."""
    with Store(directory) as store:
        (kept,) = store.journal.catalogue.checkpoints()
        values, page = store.checkpoints.read(kept.name, kept.sha256)
        less = {path: leaf for path, leaf in values.items() if "/5." not in path}
        assert len(less) < len(values)  # without the watches, which format 3 did not have
        page = re.sub(rb'"format":\d+', b'"format":3', page)
        file = store.checkpoints.write(kept.name, less, page)
        store.journal.catalogue.put_checkpoint(
            Checkpoint(kept.name, kept.offset, kept.rows, file.sha256, file.size, T0, durable=True)
        )
    offset, length, cycles = believed(directory)
    assert (offset, cycles) == (LINES, CYCLES)
    np.testing.assert_allclose(length, LENGTH, rtol=1e-6)
    with Store(directory) as store:  # and is of this format from then on
        assert len(store.journal.catalogue.checkpoints()) == 2
        assert recovered(store, CLOCK).fleet.offset == LINES


def test_this_release_writes_what_it_reads(tmp_path: Path) -> None:
    write(tmp_path / "store")
    assert believed(tmp_path / "store")[0] == LINES


if __name__ == "__main__":
    write(Path(sys.argv[1]))
