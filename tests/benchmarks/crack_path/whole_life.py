"""Plates in mixed mode from 1 mm to the limit through the service, against fine steps of XFEM.

python -m tests.benchmarks.crack_path.whole_life

The service is restarted in mid-life. The reference gets the same loads afterwards; it is made with
two steps, whose difference says how far it is to be relied on. Where the direction of the load
changes late in life, the change comes within few cycles of all: so a path is judged also by a
reference whose load changes where, not when, that of the service did.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sensors.simulation.plates import COEFFICIENT, EXPONENT, SimulatedPlate
from tests.end_to_end.mixed_mode import grown, within
from tests.end_to_end.plates import Life, lived
from twin.serving import prepare

RESTART = 30  # rounds before it
STEPS = (0.18e-3, 0.12e-3)  # of the reference [m]
COLUMNS = 96  # of its mesh
LAW = (COEFFICIENT, EXPONENT)

PLATES = (
    SimulatedPlate("plant-a/constant", shears=(0.5,)),
    SimulatedPlate("plant-a/changing"),
    SimulatedPlate("plant-a/reversing", stress=86e6, shears=(0.4, -0.4), sampled=True),
    SimulatedPlate("plant-a/harsh", shears=(0.8, -0.8)),
)


class Judged(NamedTuple):
    """A life against its references, up to a length."""

    length: float  # [m]
    cycles: float  # more than the reference's [1]
    distance: float  # from the reference with the same cycles [m]
    by_length: float  # from the one whose load changes at the same lengths [m]
    own_cycles: float  # of the reference with the longer steps, more than the other's [1]
    own_distance: float  # of these two [m]


def judged(life: Life) -> list[Judged]:
    """At every millimetre, and at the end."""
    crack = life.plate.crack
    coarse, fine = (grown(life.lasting(), crack, LAW, columns=COLUMNS, step=step) for step in STEPS)
    a_metre_a_cycle = (1.0, 0.0)
    where = grown(life.turned(), crack, a_metre_a_cycle, columns=COLUMNS, step=STEPS[-1])
    found: list[Judged] = []
    for goal in np.arange(2e-3, 9e-3, 1e-3):
        if (at := life.at(goal)) is None:
            break
        length = life.lengths[at]
        if found and length == found[-1].length:
            continue
        path = life.path_to(length)
        known = fine.cycles_at(length)
        found.append(
            Judged(
                length=length,
                cycles=life.counted[at] / known - 1.0,
                distance=fine.distance(path),
                by_length=where.distance(path),
                own_cycles=coarse.cycles_at(length) / known - 1.0,
                own_distance=fine.distance(within(coarse.path, length)),
            )
        )
    return found


HEAD = (
    "plate      length [mm]  cycles [%]  path [mm]  by length [mm]  "
    "reference: cycles [%]  path [mm]\n"
)


def main() -> None:
    """Print how near the service is to the reference, millimetre by millimetre."""
    prepare()
    with tempfile.TemporaryDirectory(prefix="twin-life-") as directory:
        lives = asyncio.run(lived(Path(directory), PLATES, RESTART))
    sys.stdout.write(HEAD)
    for life in lives:
        name = life.plate.name.split("/")[1]
        for j in judged(life):
            sys.stdout.write(
                f"{name:<10} {j.length * 1e3:<12.3f} {j.cycles * 100:<+11.2f} "
                f"{j.distance * 1e3:<10.4f} {j.by_length * 1e3:<15.4f} "
                f"{j.own_cycles * 100:<+22.2f} {j.own_distance * 1e3:.4f}\n"
            )
        sys.stdout.write(f"{name:<10} {life.status} after {len(life.loads)} messages\n")


if __name__ == "__main__":
    main()
