"""Is a load credible?"""

import csv
from pathlib import Path

import numpy as np
import pytest

from sensors.quality import Plausible, series_findings, spectrum_findings

PLAUSIBLE = Plausible(max_stress=300e6, rail_samples=8, flat_samples=50)


def wave(n: int = 400) -> np.ndarray:
    """A noisy load (n,) [Pa] that nothing is wrong with."""
    noise = np.random.default_rng(1).normal(0.0, 1e6, n)
    load: np.ndarray = 1e8 + 5e7 * np.sin(np.arange(n) * 0.1) + noise
    return load


def names(tension: np.ndarray, plausible: Plausible = PLAUSIBLE) -> list[str]:
    return [finding.name for finding in series_findings(tension, plausible)]


def test_a_healthy_load_has_no_findings() -> None:
    assert names(wave()) == []


def test_nothing_is_found_in_nothing() -> None:
    assert names(np.array([])) == []
    assert spectrum_findings(np.empty((0, 3)), PLAUSIBLE) == []


@pytest.mark.parametrize(("n", "found"), [(49, []), (50, ["flatline"]), (51, ["flatline"])])
def test_a_channel_that_stays_exactly_constant_is_flat(n: int, found: list[str]) -> None:
    tension = wave()
    tension[100 : 100 + n] = 1.2e8
    assert names(tension) == found


def test_a_series_of_one_value_is_flat_only_when_long() -> None:
    assert names(np.full(49, 1e8)) == []
    assert names(np.full(50, 1e8)) == ["flatline"]


@pytest.mark.parametrize(("n", "found"), [(7, []), (8, ["clipping"]), (9, ["clipping"])])
def test_samples_that_stay_at_the_extreme_are_clipped(n: int, found: list[str]) -> None:
    tension = wave()
    tension[100 : 100 + n] = tension.max() + 1.0
    assert names(tension) == found


def test_with_a_known_rail_only_the_rail_clips() -> None:
    plausible = Plausible(max_stress=300e6, rail=2e8, flat_samples=50)
    tension = wave()
    tension[100:110] = tension.max() + 1.0
    assert names(tension, plausible) == []
    tension[100:110] = -2e8
    assert names(tension, plausible) == ["clipping"]


def test_a_lone_sample_far_from_its_neighbours_is_a_spike() -> None:
    tension = wave()
    tension[200] -= 1.5e8
    assert names(tension) == ["spike"]
    assert f"the first of {tension[200]:.6g} Pa" in series_findings(tension, PLAUSIBLE)[0].sentence


def test_a_step_is_not_a_spike() -> None:
    tension = wave()
    tension[200:] += 1e8
    assert names(tension) == []


def test_a_spike_below_the_smallest_stress_that_matters_is_none() -> None:
    tension = np.linspace(0.0, 1e3, 100)
    tension[50] += 0.9e6
    assert names(tension) == []
    tension[50] += 0.2e6
    assert names(tension) == ["spike"]


@pytest.mark.parametrize(("peak", "found"), [(299e6, []), (300e6, []), (301e6, ["range"])])
def test_a_stress_beyond_the_calibrated_range_is_marked(peak: float, found: list[str]) -> None:
    assert names(np.linspace(0.0, peak, 40)) == found
    assert names(np.linspace(0.0, -peak, 40)) == found


@pytest.mark.parametrize(("mean", "found"), [(199e6, []), (200e6, []), (201e6, ["range"])])
def test_a_cycle_whose_peak_is_beyond_the_range_is_marked(mean: float, found: list[str]) -> None:
    for sign in (1.0, -1.0):
        cycles = np.array([[200e6, sign * mean, 10.0]])
        assert [f.name for f in spectrum_findings(cycles, PLAUSIBLE)] == found


def test_a_sentence_states_the_value() -> None:
    finding = series_findings(np.array([0.0, 4e8]), PLAUSIBLE)[0]
    assert finding.sentence == "1 of 2 reach 4e+08 Pa, beyond ±3e+08 Pa"


def test_a_real_bridge_in_its_reference_state_is_credible(data: Path) -> None:
    """Strain of a steel test bridge at 100 Hz; quantised, drifting, with a real noise floor."""
    path = data / "munich_bridge" / "reference_strain_100hz.csv"
    if not path.exists():
        pytest.skip(f"no {path}")
    with path.open() as file:
        rows = list(csv.reader(file))[1:6001]
    tension = np.array([float(row[1]) for row in rows]) * 1e-6 * 2.1e11
    assert series_findings(tension, Plausible()) == []
