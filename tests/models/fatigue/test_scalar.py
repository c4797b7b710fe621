"""Laws, geometries and retardation in compiled code are those of the torch classes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from numba import njit
from torch import Tensor

from models.crack.run import _constants, _kinds
from models.crack.state import CrackState
from models.crack.stepper import CrackStepper
from models.fatigue.geometry import CentreCrack, CompactTension, EdgeCrack, Geometry, HoleCrack
from models.fatigue.geometry import SurfaceCrack as Surface
from models.fatigue.integration import part_of
from models.fatigue.laws import Law
from models.fatigue.mixed_mode import equivalent, half_tangent
from models.fatigue.rainflow import Floats
from models.fatigue.retardation import NoRetardation, Overload, Retardation
from models.fatigue.scalar_geometry import units
from models.fatigue.scalar_laws import Kinds, law_growth
from models.fatigue.scalar_retardation import equivalent as scalar_equivalent
from models.fatigue.scalar_retardation import felt, reaches_further, retarded, smooth
from models.fatigue.scalar_retardation import half_tangent as scalar_half_tangent
from tests.laws.test_steppers import (
    BETA,
    FORMAN,
    NASGRO,
    NASGRO_4,
    PARIS,
    TABLE,
    WALKER,
    WHEELER,
    WILLENBORG,
)

MANY = 2000
EDGE, ALONE = EdgeCrack(0.06), NoRetardation()
LAWS: dict[str, Law] = {
    "paris": PARIS, "walker": WALKER, "forman": FORMAN, "nasgro": NASGRO, "nasgro4": NASGRO_4,
    "table": TABLE,
}  # fmt: skip
GEOMETRIES: dict[str, Geometry] = {
    "edge": EdgeCrack(0.06), "centre": CentreCrack(0.1), "compact": CompactTension(0.1),
    "hole": HoleCrack(0.003, 0.1), "surface": Surface(0.06, 0.9, 0.8),
    "surface-governing": Surface(0.06, 0.9, 0.9, 1.0), "deep": Surface(0.06, 0.9, 1.6, 1.0),
    "table": BETA,
}  # fmt: skip
MODELS: dict[str, Retardation] = {
    "none": ALONE, "wheeler": WHEELER, "willenborg": WILLENBORG,
    "willenborg-compressed": replace(WILLENBORG, floor=-math.inf),
}  # fmt: skip


def drawn(*bounds: tuple[float, float]) -> list[Tensor]:
    draw = np.random.default_rng(11)
    return [torch.from_numpy(draw.uniform(low, high, MANY)) for low, high in bounds]


def part(law: Law = PARIS, geometry: Geometry = EDGE, model: Retardation = ALONE) -> CrackState:
    """One crack; its laws have tensors for constants, of which a float would be in single."""
    return CrackStepper(law, geometry, model, 0.005, 0.02).init(1)


def compiled(state: CrackState) -> tuple[Kinds, Floats]:
    """Kinds and constants of one crack."""
    return _kinds(state), _constants(state)[0, 0]


@njit(error_model="numpy")
def growths(kinds: Kinds, c: Floats, dK: Floats, R: Floats, a: Floats, out: Floats) -> None:
    for i in range(len(out)):
        out[i] = law_growth(kinds, c, dK[i], R[i], a[i])


@njit(error_model="numpy")
def slowed(
    kinds: Kinds, c: Floats, K: Floats, R: Floats, a: Floats, over: Floats, out: Floats
) -> None:
    model = kinds.retardation
    for i in range(len(out)):
        feels = felt(model, c, over[i, 0], over[i, 1], a[i])
        out[i, 0], out[i, 1] = feels, retarded(kinds, c, K[i], R[i], a[i], feels)
        out[i, 2] = smooth(model, c, over[i, 0], over[i, 1], a[i])
        out[i, 3] = reaches_further(model, c, a[i], K[i], over[i, 0], over[i, 1])


@pytest.mark.parametrize("name", LAWS)
def test_a_law_is_the_same_in_both_forms(name: str) -> None:
    state = part(LAWS[name])
    dK, R, a = drawn((0.0, 8e7), (-3.0, 1.0), (1e-4, 0.05))
    dK = torch.where(torch.arange(MANY) % 100 == 0, 0.0, dK)
    right = state.law(dK[None], R[None], a[None])[0]
    out = np.empty(MANY)
    growths(*compiled(state), dK.numpy(), R.numpy(), a.numpy(), out)
    assert len(set(out[np.isfinite(out)])) > 100
    np.testing.assert_allclose(out, right.numpy(), rtol=1e-13)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_geometry_is_the_same_in_both_forms(name: str) -> None:
    geometry = GEOMETRIES[name]
    limit = float(torch.as_tensor(geometry.limit).flatten()[0])
    (a,) = drawn((1e-5, 1.05 * limit))
    found = np.array([units(*compiled(part(geometry=geometry)), x) for x in a.tolist()])
    root = torch.sqrt(math.pi * a)
    right = torch.stack(
        [
            (geometry.F(a[None]) * root).flatten(),
            (geometry.F_II(a[None]) * root).flatten(),
            geometry.net_section(a[None]).flatten(),
        ],
        1,
    )
    np.testing.assert_allclose(found, right.numpy(), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("law", ["walker", "nasgro"])
@pytest.mark.parametrize("name", MODELS)
def test_retardation_is_the_same_in_both_forms(name: str, law: str) -> None:
    model = MODELS[name]
    K, R, a, a_over, K_over = drawn(
        (0.0, 6e7), (-1.0, 0.9), (0.005, 0.012), (0.004, 0.01), (0.0, 9e7)
    )
    K_over = torch.where(torch.arange(MANY) % 50 == 0, 0.0, K_over)
    overload = Overload(a_over, K_over)
    feels, state = model.felt(overload, a), part(LAWS[law], model=model)
    right = torch.stack(
        [
            feels,
            model(state.law, K[None], R[None], a[None], feels[None])[0],
            model.reach(overload, a),
            (model.remembered(overload, a, K).a == a).to(torch.float64),
        ],
        1,
    )
    out = np.empty((MANY, 4))
    over = torch.stack((a_over, K_over), 1).numpy()
    slowed(*compiled(state), K.numpy(), R.numpy(), a.numpy(), over, out)
    columns = 3 if name == "none" else 4  # whoever remembers nothing is not asked
    np.testing.assert_allclose(out[:, :columns], right[:, :columns].numpy(), 1e-12, 1e-25)


def test_mixed_mode_is_the_same_in_both_forms() -> None:
    K_I, K_II = drawn((-1e7, 6e7), (-4e7, 4e7))
    pairs = list(zip(K_I.tolist(), K_II.tolist(), strict=True))
    found = [scalar_equivalent(x, y) for x, y in pairs]
    np.testing.assert_allclose(found, equivalent(K_I, K_II).numpy(), rtol=1e-13)
    is_open = K_I > 0.0
    turns = [scalar_half_tangent(x, y) for x, y in pairs if x > 0.0]
    np.testing.assert_allclose(turns, half_tangent(K_I, K_II)[is_open].numpy(), rtol=1e-13)


def test_the_last_part_of_a_stride_is_the_same_in_both_forms() -> None:
    from models.crack.cycle import part_of as scalar_part_of

    f0, fm, f1, share = drawn((0.5, 2.0), (0.5, 2.0), (0.1, 2.0), (0.0, 1.0))
    target = share * (f0 + 4.0 * fm + f1) / 6.0
    right = part_of(f0, fm, f1, target)
    rows = torch.stack((f0, fm, f1, target), 1).tolist()
    found = [scalar_part_of(*row) for row in rows]
    np.testing.assert_allclose(found, right.numpy(), rtol=1e-12)
