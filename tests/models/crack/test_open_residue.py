"""What has not closed counts: peaks break when they pass, overloads retard, lengths have it all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.crack.forecast import remaining
from models.crack.load import blocks, inspection_load, series_load, spectrum_load
from models.crack.state import CrackState, belief
from models.crack.stepper import CrackStepper
from models.crack_path.stepper import EdgePlate, PathStepper
from models.fatigue.geometry import CentreCrack, CompactTension, EdgeCrack, HoleCrack, SurfaceCrack
from models.fatigue.laws import LAWS, ParisLaw
from models.fatigue.materials import material
from models.fatigue.retardation import (
    ZONES,
    GeneralisedWillenborg,
    NoRetardation,
    Overload,
    Retardation,
    Wheeler,
)
from models.fatigue.tables import table_geometry
from models.tree import joined, leaves, rows
from twin import networks

MPa, mm = 1e6, 1e-3
WHEELER = Wheeler(1.4, 365 * MPa, ZONES["plane_stress"])
WILLENBORG = GeneralisedWillenborg(365 * MPa, ZONES["plane_stress"], S_ol=3.0, K_th=3e6)


def law(name: str) -> Any:
    found = material(name)
    return LAWS[found.law](**found.constants)


def stepper(
    name: str = "2024-t3-forman", retardation: Retardation | None = None, **changes: Any
) -> CrackStepper:
    """An edge crack of 10 mm in a plate of 100 mm."""
    values: dict[str, Any] = {"a_0": 10 * mm, "a_limit": 50 * mm} | changes
    return CrackStepper(law(name), EdgeCrack(0.1), retardation or NoRetardation(), **values)


def after_series(
    by: CrackStepper, samples: Any, cut: int | None = None, unit: float = MPa
) -> CrackState:
    state = by.init(1)
    series = torch.as_tensor(np.array(samples, float)) * unit
    for part in torch.split(series, cut or len(series)):
        state = by.step(state, series_load(torch.ones(1, dtype=torch.int64), [part]))
    return state


def after_spectrum(by: CrackStepper, *cycles: tuple[float, float, float]) -> CrackState:
    table = blocks([[(span * MPa, mean * MPa, count) for span, mean, count in cycles]])
    return by.step(by.init(1), spectrum_load(torch.ones(1, dtype=torch.int64), table))


def length(state: CrackState) -> float:
    """The believed length [mm]."""
    return float(belief(state).crack_length[0]) / mm


PEAK = [0, 100] * 10 + [0, 474] + [0, 100] * 10
CUTS = [None, 1, 3, 7, 21, 22, 23]


@pytest.mark.parametrize("cut", CUTS)
def test_a_peak_beyond_the_toughness_breaks_the_part_though_it_never_closes(
    cut: int | None,
) -> None:
    state = after_series(stepper(), PEAK, cut)
    assert bool(state.fractured[0])
    assert length(state) == pytest.approx(95.0)
    assert bool(after_spectrum(stepper(), (100, 50, 20), (474, 237, 1)).fractured[0])
    assert float(remaining(state)) == 0.0


def stress_at(K: float, a: float = 10 * mm) -> float:
    """The stress [MPa] that makes K [MPa √m] of an edge crack of `a` [m]."""
    F = float(EdgeCrack(0.1).F(torch.tensor(a, dtype=torch.float64)))
    return K / (F * math.sqrt(math.pi * a))


@pytest.mark.parametrize("cut", [None, 1])
@pytest.mark.parametrize(("share", "breaks"), [(0.99, False), (1.0 + 1e-9, True), (1.01, True)])
def test_the_toughness_is_the_bound(share: float, breaks: bool, cut: int | None) -> None:
    """Growth by the peak itself counts: by 0.2 % of the intensity here."""
    peak = stress_at(71.3) * share
    by = stepper("2024-t3-walker", K_c=71.3e6)
    assert bool(after_series(by, [0, peak, 0], cut).fractured[0]) == breaks
    assert bool(after_spectrum(by, (peak, peak / 2, 1)).fractured[0]) == breaks


@pytest.mark.parametrize("name", ["2024-t3-walker", "nickel", "42crmo4-qt"])
def test_laws_without_a_toughness_of_their_own_take_one(name: str) -> None:
    peak = stress_at(171.0)
    tough = stepper(name, K_c=material(name).K_c)
    assert bool(after_series(tough, [0, peak]).fractured[0])
    assert bool(after_spectrum(tough, (peak, peak / 2, 1)).fractured[0])
    assert not bool(after_series(stepper(name), [0, peak]).fractured[0])


def test_the_smaller_of_two_toughnesses_holds() -> None:
    peak = stress_at(60.0)
    assert bool(after_series(stepper(K_c=50e6), [0, peak]).fractured[0])
    assert not bool(after_series(stepper(K_c=90e6), [0, peak]).fractured[0])
    assert bool(after_series(stepper(K_c=90e6), [0, stress_at(72.0)]).fractured[0])


def test_a_compressed_crack_does_not_break() -> None:
    assert not bool(after_series(stepper(K_c=1e6), [0, -900, -5]).fractured[0])


@pytest.mark.parametrize(("share", "breaks"), [(0.99, False), (1.01, True)])
@pytest.mark.parametrize(
    ("geometry", "a", "bears"),
    [
        (EdgeCrack(0.1), 0.02, 0.8),
        (CentreCrack(0.1), 0.02, 0.6),
        (HoleCrack(0.01, 0.1), 0.02, 0.6),
        (CompactTension(0.05), 0.025, math.sqrt(2.5) - 1.5),
        (SurfaceCrack(0.02, 0.1, 0.5), 0.01, 1.0 - 0.5 * math.pi * 0.5 * 0.2),
    ],
)
def test_a_net_section_that_yields_breaks_the_part(
    geometry: Any, a: float, bears: float, share: float, breaks: bool
) -> None:
    by = CrackStepper(
        law("nickel"), geometry, NoRetardation(), a, 0.9 * geometry.limit, yield_stress=300 * MPa
    )
    peak = 300.0 * bears * share
    assert bool(after_series(by, [0, peak, 0]).fractured[0]) == breaks
    assert bool(after_spectrum(by, (peak, peak / 2, 1)).fractured[0]) == breaks


def test_growth_and_peaks_meet_in_their_order_whatever_the_cut() -> None:
    """A peak that the crack bears early on breaks it later: not all of a message acts at once."""
    grows = [0.0, 100.0] * 6000
    peak = stress_at(71.3, 12 * mm)
    early, late = [0.0, peak, *grows, 0.0], [*grows, 0.0, peak, 0.0]
    lengths = {}
    for name, samples in (("early", early), ("late", late)):
        states = [after_series(stepper(), samples, cut) for cut in (None, 1000, 37)]
        assert {bool(state.fractured[0]) for state in states} == {name == "late"}
        lengths[name] = [length(state) for state in states]
    assert lengths["early"] == pytest.approx([lengths["early"][0]] * 3, rel=1e-4)
    assert lengths["early"][0] > 12.0


SMALL = [(60.0, 30.0, 1000.0), (150.0, 75.0, 1.0), (60.0, 30.0, 4000.0)]
OVERLOAD = [0, 60] * 1000 + [0, 150] + [0, 60] * 4000 + [0]


def sampled(turns: Any, points: int = 8) -> list[float]:
    """Cosines between turning points."""
    way = 0.5 - 0.5 * np.cos(math.pi * np.arange(points) / points)
    legs = [p + (q - p) * way for p, q in pairwise(turns)]
    return [*np.concatenate(legs), turns[-1]]


@pytest.mark.parametrize("samples", [OVERLOAD, sampled(OVERLOAD)], ids=["turns", "sampled"])
@pytest.mark.parametrize("cut", [None, 501, 4001])
def test_an_overload_in_a_series_retards_as_in_a_spectrum(samples: Any, cut: int | None) -> None:
    """10.1788 mm by an independent count, cycle by cycle; 10.7087 mm without retardation."""
    by = stepper("2024-t3-walker", WHEELER)
    told = length(after_series(by, samples, cut))
    assert told == pytest.approx(10.17878, abs=5e-5)
    assert told == pytest.approx(length(after_spectrum(by, *SMALL)), abs=2e-4)


@pytest.mark.parametrize("retardation", [NoRetardation(), WILLENBORG])
def test_other_models_of_retardation_give_the_same_by_series_and_spectrum(
    retardation: Retardation,
) -> None:
    by = stepper("2024-t3-walker", retardation)
    told = length(after_series(by, OVERLOAD))
    assert told == pytest.approx(length(after_spectrum(by, *SMALL)), abs=2e-4)
    if isinstance(retardation, NoRetardation):
        assert told == pytest.approx(10.70866, abs=1e-4)
    else:
        assert told < 10.6


def random_series(seed: int, n: int = 400) -> Any:
    return np.random.default_rng(seed).normal(60.0, 40.0, n)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("retardation", [NoRetardation(), WHEELER, WILLENBORG])
def test_what_is_believed_never_shrinks_and_hangs_on_no_cut(
    seed: int, retardation: Retardation
) -> None:
    by = stepper("2024-t3-walker", retardation)
    samples = torch.from_numpy(random_series(seed)) * MPa
    state, told = by.init(1), [10.0]
    for part in torch.split(samples, 5):
        state = by.step(state, series_load(torch.ones(1, dtype=torch.int64), [part]))
        told.append(length(state))
    assert (np.diff(told) >= 0.0).all()
    assert told[-1] > 10.0
    whole = length(after_series(by, random_series(seed)))
    assert whole - 10.0 == pytest.approx(told[-1] - 10.0, rel=1e-3)


def cycle_by_cycle(by: CrackStepper, peaks: Sequence[float]) -> float:
    """Length [mm] after cycles from zero to `peaks` [MPa], each acting as it passes."""
    a = torch.tensor([by.a_0], dtype=torch.float64)
    overload = Overload(a, torch.zeros_like(a))
    for peak in peaks:
        K = by.geometry.F(a) * torch.sqrt(math.pi * a) * peak * MPa
        overload = by.retardation.remembered(overload, a, K)
        felt = by.retardation.felt(overload, a)
        a = a + by.retardation(by.law, K, torch.zeros_like(a), a, felt)
    return float(a) / mm


@pytest.mark.parametrize("cut", [None, 7, 40])
@pytest.mark.parametrize("retardation", [WHEELER, replace(WILLENBORG, S_ol=2.0, K_th=0.0)])
def test_a_cycle_that_closes_late_feels_the_overload_that_it_met(
    retardation: Retardation, cut: int | None
) -> None:
    """Cycles that closed after a second overload grew as if there had been none: 1.1 % each."""
    peaks = ([80.0] * 29 + [140.0]) * 3 + [80.0] * 15
    by = stepper("2024-t3-walker", retardation)
    found = length(after_series(by, [0.0, *(x for peak in peaks for x in (peak, 0.0))], cut))
    assert found - 10.0 == pytest.approx(cycle_by_cycle(by, peaks) - 10.0, rel=1e-3)


def test_a_residue_that_closes_as_halves_grows_what_it_was_believed_to() -> None:
    by = stepper("2024-t3-walker")
    state = after_series(by, random_series(7))
    believed = length(state)
    after = by.step(
        state,
        series_load(torch.ones(1, dtype=torch.int64), [torch.zeros(1).double()], continues=False),
    )
    assert length(after) == pytest.approx(believed, abs=1e-4)
    assert float(after.a[0, 0]) / mm == pytest.approx(believed, abs=1e-4)
    assert length(after) >= believed
    assert float(state.a[0, 0]) / mm < believed - 1e-3


def test_an_inspection_has_the_open_growth_in_it() -> None:
    by = stepper("2024-t3-walker")
    state = after_series(by, [0, 200, 0])
    measured = torch.tensor([0.012], dtype=torch.float64)
    state = by.step(state, inspection_load(torch.tensor([2]), measured))
    assert length(state) == pytest.approx(12.0, rel=1e-15)
    more = float(state.open_growth[0, 0])
    assert more > 1e-6
    closed = by.step(
        state,
        series_load(torch.tensor([3]), [torch.zeros(1).double()], continues=False),
    )
    assert length(closed) == pytest.approx(12.0, abs=1e-6)


def test_the_life_of_a_load_whose_largest_cycle_is_open_is_that_of_its_spectrum() -> None:
    """One flight in a hundred has a gust: open or counted, it shortens life."""
    flights = [0, 60] * 50 + [0, 240] + [0, 60] * 50 + [0]
    by = stepper("2024-t3-walker", K_c=72.5e6)
    counted = after_spectrum(by, (60, 30, 100), (240, 120, 1))
    assert float(remaining(after_series(by, flights))) == pytest.approx(
        float(remaining(counted)), rel=1e-3
    )
    only_small = after_spectrum(by, (60, 30, 100))
    assert float(remaining(counted)) < 0.8 * float(remaining(only_small))


@pytest.mark.parametrize("count", [1.0, 100.0])
def test_a_life_ends_where_the_toughness_is_reached(count: float) -> None:
    """Closed form in a wide plate, where F is 1: a_c = (K_c / σ)² / π."""
    C, m, K_c, peak = 9.7e-30, 3.0, 30e6, 100 * MPa
    by = CrackStepper(ParisLaw(C=C, m=m), CentreCrack(100.0), NoRetardation(), 2 * mm, 1.0, K_c=K_c)
    a_c = (K_c / peak) ** 2 / math.pi
    state = after_spectrum(by, (100, 50, count))
    a_0 = float(state.a[0, 0])
    speed = C * (peak * math.sqrt(math.pi)) ** m
    exact = (a_0**-0.5 - a_c**-0.5) / (0.5 * speed)
    assert float(remaining(state, 65)) == pytest.approx(exact, rel=2e-5)


def test_rows_break_alone_and_batches_change_no_bit() -> None:
    by = stepper("2024-t3-walker", K_c=72.5e6)
    n, rng = 9, np.random.default_rng(1)
    series = [torch.from_numpy(rng.normal(60, 40, 50)) * MPa for _ in range(n)]
    series[4][25] = 400 * MPa
    together = by.step(by.init(n), series_load(torch.ones(n, dtype=torch.int64), series))
    assert together.fractured.tolist() == [i == 4 for i in range(n)]
    alone = joined(
        [by.step(by.init(1), series_load(torch.ones(1, dtype=torch.int64), [x])) for x in series]
    )
    for (path, x), (_, y) in zip(leaves(together), leaves(alone), strict=True):
        assert torch.equal(x, y), path
    assert len(rows(together, torch.tensor([4])).a) == 1


STRAIGHT = np.array([[0.0, 0.0], [1e-3, 0.0]])


def plate(K_c: float = 100e6) -> PathStepper:
    return PathStepper(
        law("nickel"),
        EdgePlate(0.01, 0.02, "uniform", STRAIGHT),
        8e-3,
        K_c=K_c,
        find=networks.intensities(),
    )


def on_plate(by: PathStepper, tension: Any, shear: Any, cut: int | None = None) -> Any:
    state = by.init(1)
    x, y = (torch.as_tensor(np.array(v, float)) * MPa for v in (tension, shear))
    parts = (torch.split(z, cut or len(z)) for z in (x, y))
    for s, t in zip(*parts, strict=True):
        state = by.step(state, series_load(torch.ones(1, dtype=torch.int64), [s], [t]))
    return state


@pytest.mark.parametrize("cut", [None, 1, 4])
@pytest.mark.parametrize(("peak", "shear", "breaks"), [(1800, 0, True), (1200, 0, False)])
def test_a_peak_breaks_a_plate_when_it_passes(
    peak: float, shear: float, breaks: bool, cut: int | None
) -> None:
    tension = [0, 100] * 5 + [0, peak] + [0, 100] * 3
    state = on_plate(plate(), tension, [0.0] * len(tension), cut)
    assert bool(state.fractured[0]) == breaks
    assert float(belief(state).crack_length[0]) == pytest.approx(0.01 if breaks else 1e-3, rel=0.02)


def test_shear_breaks_a_plate_too() -> None:
    tension, shear = [0, 100, 1200, 0], [0, 0, 900, 0]
    assert bool(on_plate(plate(), tension, shear).fractured[0])
    assert not bool(on_plate(plate(math.inf), tension, shear).fractured[0])


def test_open_growth_of_a_plate_is_believed() -> None:
    state = on_plate(plate(), [0, 400, 0], [0, 0, 0])
    told, counted = float(belief(state).crack_length[0]), float(state.a[0, 0])
    assert told - counted == pytest.approx(float(state.open_growth[0, 0]))
    by = plate()
    table = blocks([[(400 * MPa, 200 * MPa, 1.0)]])
    cycle = by.step(by.init(1), spectrum_load(torch.ones(1, dtype=torch.int64), table))
    assert told - 1e-3 == pytest.approx(float(cycle.a[0, 0]) - 1e-3, rel=1e-3)


def test_no_open_growth_without_a_range() -> None:
    state = after_series(stepper(), [5.0])
    assert isinstance(state.open_growth, Tensor)
    assert float(state.open_growth[0, 0]) == 0.0


@pytest.mark.parametrize(
    ("name", "share"),
    [("2024-t3-nasgro3", 0.95), ("2024-t3-nasgro4", 0.95), ("2024-t3-forman", 0.98)],
)
def test_a_single_cycle_does_not_run_away_with_its_own_growth(name: str, share: float) -> None:
    """Just below the toughness one cycle grows a crack by 5 %: once, by series and by spectrum."""
    peak, by = stress_at(material(name).K_c / MPa) * share, stepper(name)
    small = [0, 50] * 20
    told = after_series(by, [*small, 0, peak, *small, 0])
    counted = after_spectrum(by, (50, 25, 40), (peak, peak / 2, 1))
    assert not bool(told.fractured[0])
    assert not bool(counted.fractured[0])
    assert length(counted) - 10.0 == pytest.approx(length(told) - 10.0, rel=0.01)
    assert length(told) > 10.4


def test_a_tabulated_geometry_bears_series_of_a_part_whose_strength_is_known() -> None:
    table = table_geometry([1 * mm, 20 * mm, 60 * mm], [1.1, 1.3, 2.0])
    by = CrackStepper(
        law("2024-t3-walker"), table, NoRetardation(), 10 * mm, 50 * mm, K_c=70e6, yield_stress=4e8
    )
    told = after_series(by, [0, 100] * 50 + [0])
    assert length(told) == pytest.approx(length(after_spectrum(by, (100, 50, 50))), rel=1e-6)
    assert length(told) > 10.0
    assert bool(after_series(by, [0, 350]).fractured[0])
