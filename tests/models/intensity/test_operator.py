"""The stress-intensity operator: right, symmetric, the same in every batch, aware of its end."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from models.fatigue.geometry import EdgeCrack
from models.intensity.features import described
from models.intensity.operator import (
    NAME,
    WIDEST,
    CrackOperator,
    Deployed,
    Intensity,
    band,
    intensity,
)
from models.intensity.random_paths import INCREMENT, Wanderer, wanderer
from storage.artifacts.weights import card_path
from twin import networks
from twin.networks import DEFAULTS

W = 10e-3
MIRROR = torch.tensor([1.0, -1.0], dtype=torch.float64)
TURNED = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64)  # K of the mirrored crack


def cracks(*paths: list[tuple[float, float]]) -> tuple[Tensor, Tensor, Tensor]:
    """Cracks with nodes in plate widths."""
    most = max(map(len, paths))
    whole = torch.full((len(paths), most, 2), torch.nan, dtype=torch.float64)
    for row, path in zip(whole, paths, strict=True):
        row[: len(path)] = W * torch.tensor(path, dtype=torch.float64)
    nodes = torch.tensor([len(path) for path in paths])
    return whole, nodes, torch.full((len(paths),), W, dtype=torch.float64)


def answer(*paths: list[tuple[float, float]]) -> Intensity:
    return intensity(networks.operator(), *cracks(*paths))


def drawn(count: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Crooked cracks, their padding not a number."""
    generator = torch.Generator().manual_seed(seed)
    nodes = torch.randint(2, 40, (count,), generator=generator)
    turn = 0.1 * torch.randn(count, 40, generator=generator, dtype=torch.float64)
    angle = turn.cumsum(1).clamp(-1.0, 1.0)
    step = 0.02 * torch.stack((angle.cos(), angle.sin()), 2)
    step[:, 0] = torch.tensor([0.1, 0.0], dtype=torch.float64)
    path = torch.cat((torch.zeros(count, 1, 2, dtype=torch.float64), step.cumsum(1)), 1)
    path[torch.arange(41) >= nodes[:, None]] = torch.nan
    width = W * (1.0 + torch.rand(count, generator=generator, dtype=torch.float64))
    return path * width[:, None, None], nodes, width


def kinked(degrees: float, length: float = 0.3) -> list[tuple[float, float]]:
    turn = math.radians(degrees)
    half = 0.5 * turn  # the starter leans the other way: no segment is steep
    tip = (length * math.cos(half), -length * math.sin(half))
    return [(0.0, 0.0), tip, (tip[0] + 0.02 * math.cos(half), tip[1] + 0.02 * math.sin(half))]


@pytest.fixture(scope="module")
def unseen() -> list[Wanderer]:
    return [wanderer(11, k) for k in range(2)]


@pytest.mark.parametrize("seed", range(4))
def test_what_a_row_gets_does_not_depend_on_its_batch_by_a_bit(seed: int) -> None:
    path, nodes, width = drawn(300)
    whole = intensity(networks.operator(), path, nodes, width)
    generator = torch.Generator().manual_seed(seed)
    for count in torch.randint(1, 200, (8,), generator=generator).tolist():
        some = torch.randperm(300, generator=generator)[:count]
        part = path[some, : int(nodes[some].max())]  # less padding too
        got = intensity(networks.operator(), part, nodes[some], width[some])
        for name, leaf in got._asdict().items():
            assert torch.equal(leaf, getattr(whole, name)[some]), name


def test_a_mirrored_crack_has_mirrored_intensities_to_the_bit() -> None:
    path, nodes, width = drawn(200)
    found = intensity(networks.operator(), path, nodes, width)
    mirrored = intensity(networks.operator(), path * MIRROR, nodes, width)
    assert torch.equal(mirrored.k_unit, found.k_unit * TURNED)
    assert torch.equal(mirrored.bound, found.bound)
    assert torch.equal(mirrored.trusted, found.trusted)


def test_a_straight_crack_feels_no_shear_under_tension() -> None:
    found = answer([(0.0, 0.05), (0.3, 0.05)], [(0.0, 0.0), (0.6, 0.0)])
    assert found.k_unit[1, 0, 1] == found.k_unit[1, 1, 0] == 0.0
    assert found.k_unit[0, 0, 1].abs() < 1e-3 * found.k_unit[0, 0, 0]


def test_kernel_and_module_agree() -> None:
    path, nodes, width = drawn(300)
    found = intensity(networks.operator(), path, nodes, width)
    with torch.no_grad():
        k, bound, trusted = Deployed(networks.operator())(path, nodes, width)
    size = found.k_unit.norm(dim=(1, 2))
    assert ((k - found.k_unit).norm(dim=(1, 2)) / size).max() < 1e-5
    torch.testing.assert_close(bound, found.bound, rtol=1e-3, atol=1e-6)
    assert torch.equal(trusted, found.trusted)


def test_straight_cracks_are_those_of_the_handbook() -> None:
    lengths = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    found = answer(*[[(0.0, 0.0), (0.5 * a, 0.0), (a, 0.0)] for a in lengths])
    a = W * torch.tensor(lengths, dtype=torch.float64)
    root, handbook = torch.sqrt(math.pi * a), EdgeCrack(W)
    torch.testing.assert_close(found.k_unit[:, 0, 0], handbook.F(a) * root, rtol=0.015, atol=0.0)
    torch.testing.assert_close(found.k_unit[:, 1, 1], handbook.F_II(a) * root, rtol=0.015, atol=0.0)
    assert found.trusted.all()


def test_a_larger_plate_has_larger_intensities_by_the_root_of_its_width() -> None:
    path, nodes, width = drawn(50)
    found = intensity(networks.operator(), path, nodes, width)
    larger = intensity(networks.operator(), 30.0 * path, nodes, 30.0 * width)
    torch.testing.assert_close(larger.k_unit, math.sqrt(30.0) * found.k_unit, rtol=1e-5, atol=1e-7)


def test_xfem_is_met_on_cracks_never_seen_and_the_bound_holds(unseen: list[Wanderer]) -> None:
    paths, true = [], []
    for one in unseen:
        for node in range(1, len(one.path)):
            paths.append([(x, y) for x, y in (one.path[: node + 1] / W).tolist()])
            true.append(one.k_unit[node])
    found, k = answer(*paths), torch.from_numpy(np.array(true))
    assert found.trusted.double().mean() > 0.9
    load = torch.tensor([1.0, 0.5], dtype=torch.float64)[:, None]
    got, want = (found.k_unit * load).sum(1), (k * load).sum(1)
    off = (got.norm(dim=1) - want.norm(dim=1)).abs() / want.norm(dim=1)
    assert off[found.trusted].median() < 0.005
    assert (off <= found.bound)[found.trusted].double().mean() > 0.85


def test_more_nodes_on_the_same_line_change_nothing() -> None:
    few = [(0.0, 0.0), (0.2, 0.02), (0.5, 0.0)]
    more = [(0.0, 0.0), (0.1, 0.01), (0.2, 0.02), (0.26, 0.016), (0.38, 0.008), (0.5, 0.0)]
    seen = described(*cracks(few, more)).features
    torch.testing.assert_close(seen[0], seen[1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("degrees", "inside"), [(60.0, True), (69.0, True), (71.0, False)])
def test_a_kink_sharper_than_learned_is_not_trusted(degrees: float, inside: bool) -> None:
    seen = torch.cat(described(*cracks(kinked(degrees), kinked(-degrees))), 1)
    sharpest = seen[:, -2]
    operator = networks.operator()
    low = operator.low[-2] - 1e-3 * (operator.high[-2] - operator.low[-2])
    assert bool((sharpest >= low).all()) is inside
    if not inside:
        assert not answer(kinked(degrees), kinked(-degrees)).trusted.any()


@pytest.mark.parametrize(("a", "inside"), [(0.95, True), (0.954, True), (0.958, False)])
def test_a_crack_longer_than_learned_is_not_trusted(a: float, inside: bool) -> None:
    found = answer([(0.0, 0.0), (0.35, 0.0), (0.7, 0.0), (a, 0.0)])
    assert bool(found.trusted) is inside


@pytest.mark.parametrize(
    "path",
    [
        [(0.0, 0.0), (0.03, 0.0)],  # too short
        [(0.0, 0.3), (0.3, 0.3)],  # the mouth too high
        [(1.0, 0.0), (0.7, 0.0)],  # from the other side
        [(0.01, 0.0), (0.3, 0.0)],  # no mouth
        [(0.0, 0.0), (0.3, 0.0), (0.305, 0.0)],  # a segment shorter than XFEM resolves
        [(0.0, 0.0), (0.3, 0.0), (0.25, 0.1)],  # it turns back
        [(0.0, 0.0), (0.7, 0.0)],  # a longer segment than any
        [(0.0, 0.0), (0.3, math.nan)],
        [(0.0, 0.0), (math.inf, 0.0)],
        [(0.0, 0.0), (0.0, 0.0)],
        [(0.0, 0.0)],
    ],
)
def test_what_is_outside_of_the_domain_is_not_trusted(path: list[tuple[float, float]]) -> None:
    found = answer([(0.0, 0.0), (0.3, 0.0)], path)
    assert found.trusted.tolist() == [True, False]


def test_members_that_disagree_are_not_trusted() -> None:
    torn = CrackOperator()
    torn.load_state_dict(networks.operator().state_dict())
    path, nodes, width = cracks([(0.0, 0.0), (0.3, 0.0)])
    assert bool(intensity(torn, path, nodes, width).trusted)
    with torch.no_grad():
        torn.b3[0] += 0.5
    found = intensity(torn, path, nodes, width)
    assert found.bound > WIDEST
    assert not found.trusted


def test_rows_with_a_count_of_nodes_that_cannot_be_have_no_answer() -> None:
    path, _, width = cracks([(0.0, 0.0), (0.3, 0.0)])
    for count in (-1, 0, 1, 3):
        found = intensity(networks.operator(), path, torch.tensor([count]), width)
        assert not found.trusted
        assert found.k_unit.isnan().all()


def test_bands_are_tenths_of_the_width() -> None:
    alpha = torch.tensor([0.0, 0.099, 0.1, 0.55, 0.999, 1.0, 2.0, -1.0, math.nan])
    assert band(alpha).tolist() == [0, 0, 1, 5, 9, 9, 9, 0, 0]


def test_the_exported_operator_gives_the_same_for_another_number_of_cracks(tmp_path: Path) -> None:
    path, nodes, width = drawn(60)
    deployed = Deployed(networks.operator())
    rows = torch.export.Dim("rows", min=2)
    with torch.no_grad():
        program = torch.export.export(
            deployed, (path[:40], nodes[:40], width[:40]),
            dynamic_shapes=({0: rows}, {0: rows}, {0: rows}),
        )  # fmt: skip  # one call
        torch.export.save(program, tmp_path / "operator.pt2")
        again = torch.export.load(tmp_path / "operator.pt2").module()
        for got, want in zip(again(path, nodes, width), deployed(path, nodes, width), strict=True):
            torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-9)


def test_the_committed_weights_are_small_and_say_where_they_come_from() -> None:
    file = DEFAULTS / f"{NAME}.safetensors"
    assert file.stat().st_size < 200_000
    assert "twin train crack-k" in card_path(file).read_text("utf-8")


def test_a_wanderer_is_the_same_however_often_it_is_drawn(unseen: list[Wanderer]) -> None:
    again = wanderer(11, 1)
    for got, want in zip(again, unseen[1], strict=True):
        np.testing.assert_array_equal(got, want)
    assert not np.array_equal(unseen[0].path[1], unseen[1].path[1])


def test_wanderers_leave_no_segment_that_xfem_cannot_resolve(unseen: list[Wanderer]) -> None:
    for one in unseen:
        length = np.hypot(*np.diff(one.path, axis=0).T) / W
        assert length.min() > 0.999 * INCREMENT[0]
        assert np.isfinite(one.k_unit[1:]).all()
