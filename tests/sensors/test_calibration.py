"""From instruments to stress."""

import math

import numpy as np
import pytest

from sensors.calibration import Calibration
from sensors.errors import MalformedError
from sensors.observation import Quantity, Series, Spectrum

E = 2.1e11  # [Pa], steel


def series(quantity: Quantity, tension: list[float], shear: list[float] | None = None) -> Series:
    return Series(
        component="a/b",
        source="s",
        boot=0,
        seq=0,
        t_ns=0,
        quantity=quantity,
        rate_hz=1.0,
        tension=np.array(tension).tobytes(),
        shear=np.array(shear or []).tobytes(),
    )


def spectrum(quantity: Quantity, rows: list[list[float]]) -> Spectrum:
    return Spectrum(
        component="a/b",
        source="s",
        boot=0,
        seq=0,
        t_ns=0,
        quantity=quantity,
        cycles=np.array(rows).tobytes(),
    )


def test_an_uncorrected_stress_stays_as_it_is() -> None:
    tension, shear = Calibration().samples(series("stress", [1e6, -2e6]))
    assert tension.tolist() == [1e6, -2e6]
    assert shear.size == 0


def test_a_stress_is_scaled_then_shifted() -> None:
    tension, shear = Calibration(2.0, 1e6).samples(series("stress", [1e6, 3e6], [1e5, 2e5]))
    assert tension.tolist() == [3e6, 7e6]
    assert shear.tolist() == [2e5, 4e5]


def test_a_strain_is_corrected_and_multiplied_by_youngs_modulus() -> None:
    calibration = Calibration(gain=1.1, offset=-20e-6, youngs_modulus=E)
    tension, _ = calibration.samples(series("strain", [0.0, 250e-6]))
    np.testing.assert_allclose(tension, [E * -20e-6, E * (1.1 * 250e-6 - 20e-6)], rtol=1e-14)


def test_a_strain_without_youngs_modulus_is_refused() -> None:
    with pytest.raises(MalformedError, match="youngs_modulus is not set") as caught:
        Calibration().samples(series("strain", [1e-4]))
    assert caught.value.reason == "calibration"
    with pytest.raises(MalformedError, match="youngs_modulus is not set"):
        Calibration().cycles(spectrum("strain", [[1e-4, 0.0, 1.0]]))


def test_of_a_cycle_the_range_is_scaled_and_the_mean_also_shifted() -> None:
    rows = Calibration(2.0, 1e6).cycles(spectrum("stress", [[1e6, 3e6, 250.0]]))
    assert rows.tolist() == [[2e6, 7e6, 250.0]]


def test_a_reversed_gauge_keeps_ranges_above_zero() -> None:
    rows = Calibration(-1.0, 0.0, E).cycles(spectrum("strain", [[1e-4, 2e-4, 7.0]]))
    np.testing.assert_allclose(rows, [[E * 1e-4, -E * 2e-4, 7.0]])


def test_counting_before_or_after_calibration_is_the_same() -> None:
    """The range and mean of a calibrated cycle are those of its calibrated turning points."""
    calibration = Calibration(-1.3, 2e-5, E)
    low, high = 1e-4, 5e-4
    points = calibration.stress(np.array([low, high]), "strain")
    extent, mean, _ = calibration.cycles(spectrum("strain", [[high - low, (high + low) / 2, 1.0]]))[
        0
    ]
    assert math.isclose(extent, np.ptp(points), rel_tol=1e-12)
    assert math.isclose(mean, points.mean(), rel_tol=1e-12)


def test_no_cycles_stay_no_cycles() -> None:
    assert Calibration().cycles(spectrum("stress", [])).shape == (0, 3)


@pytest.mark.parametrize("gain", [0.0, math.nan, math.inf])
def test_a_gain_that_hides_the_signal_is_refused(gain: float) -> None:
    with pytest.raises(ValueError, match="gain"):
        Calibration(gain=gain)


def test_an_infinite_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="offset inf"):
        Calibration(offset=math.inf)


@pytest.mark.parametrize("modulus", [0.0, -E, math.nan, math.inf])
def test_a_modulus_that_no_material_has_is_refused(modulus: float) -> None:
    with pytest.raises(ValueError, match="youngs_modulus"):
        Calibration(youngs_modulus=modulus)
