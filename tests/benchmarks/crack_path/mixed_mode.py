"""How near the stepper of cracks along paths is to fine steps of XFEM, to most of the plate.

python -m tests.benchmarks.crack_path.mixed_mode
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch

from models.crack.load import blocks, spectrum_load
from models.crack_path.front import nodes
from models.crack_path.stepper import EdgePlate, PathStepper
from models.fatigue.laws import ParisLaw
from tests.end_to_end.mixed_mode import grown
from twin import networks

LAW = (9.7e-30, 3.0)
STRESS = 40e6  # [Pa]
CASES = {"constant": (0.5,), "changing": (0.5, 0.2, 0.7, -0.1, 0.4), "harsh": (0.8, -0.8)}
MESSAGES, SHIFT = 40, 4
SIZES = {"constant": 52_000.0, "changing": 62_000.0, "harsh": 43_000.0}  # cycles of a message


def main() -> None:
    """Print a table: by case and by who finds intensities."""
    torch.set_num_threads(1)
    print = sys.stdout.write  # noqa: A001
    print("case      by        length [mm]  distance [mm]  cycles [%]  XFEM/found  seconds\n")
    for case, ratios in CASES.items():
        each = [ratios[i // SHIFT % len(ratios)] for i in range(MESSAGES)]
        size = SIZES[case]
        loads = [(STRESS, ratio * STRESS, size) for ratio in each]
        known = grown(loads, 1e-3, LAW, columns=128, step=0.09e-3)
        for name, find in (("operator", networks.intensities()), ("XFEM", networks.solver())):
            path = np.array([[0.0, 0.0], [1e-3, 0.0]])
            plate = EdgePlate(10e-3, 20e-3, "uniform", path)
            stepper = PathStepper(ParisLaw(*LAW), plate, 9e-3, find=find)
            began, state = time.perf_counter(), stepper.init(1)
            for ratio in each:
                load = blocks([[(STRESS, 0.5 * STRESS, size, ratio * STRESS)]])
                state = stepper.step(state, spectrum_load(torch.tensor([1]), load))
            took, length = time.perf_counter() - began, float(state.a)
            points = np.array(nodes(state.front))
            cycles = known.cycles_at(length) / (size * MESSAGES) - 1.0
            print(
                f"{case:<9} {name:<9} {length * 1e3:<12.3f} {known.distance(points) * 1e3:<14.4f} "
                f"{-cycles * 100:<+11.2f} {int(state.front.by_xfem)}/{int(state.front.found):<8} "
                f"{took:.2f}  reference ends at {known.lengths()[-1] * 1e3:.3f}\n"
            )


if __name__ == "__main__":
    main()
