"""Growth laws against published figures, and below, at and above each of their thresholds."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.fatigue.laws import (
    LAWS,
    FormanLaw,
    Law,
    Nasgro4Law,
    NasgroLaw,
    ParisLaw,
    TabulatedLaw,
    WalkerLaw,
    closure,
    si_coefficient,
)

PARIS = ParisLaw(si_coefficient(9.7e-12, 3.0), 3.0, dK_th=2e6)
WALKER = WalkerLaw(si_coefficient(1.42e-11, 3.59), 3.59, 0.68, dK_th=2e6)
FORMAN = FormanLaw(si_coefficient(7.13e-9, 1.70), 2.70, 71.3e6, dK_th=2e6)  # (MPa √m)^(m−1)
NASGRO = NasgroLaw(
    si_coefficient(1.545e-10, 3.284), 3.284, 0.5, 1.0, 3.187e6, 1.5, 72.5e6, 1.5, 0.3
)
NASGRO_4 = Nasgro4Law(
    si_coefficient(4.786e-11, 3.0), 3.0, 0.5, 0.75, 2.31e6, 0.0, 71e6, 2.5, 0.3
)  # Ti-6Al-4V
EVERY = [PARIS, WALKER, FORMAN, NASGRO, NASGRO_4]
TOUGH = [FORMAN, NASGRO, NASGRO_4]


def t(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def growth(law: Law, dK: float, R: float = 0.0, a: float = math.inf) -> float:
    return float(law(t(dK), t(R), t(a)))


def threshold(law: Law, R: float = 0.0) -> float:
    if isinstance(law, NasgroLaw | Nasgro4Law):
        return float(law.threshold(t(R)))
    return 2e6


def test_paris_is_the_formula() -> None:
    assert growth(PARIS, 20e6) == pytest.approx(7.76e-8, rel=1e-12)


@pytest.mark.parametrize(
    ("law", "R", "published"),
    [
        (NASGRO, 0.0, 5.4e-8),
        (FORMAN, 0.0, 5.8e-8),
        (WALKER, 0.0, 5.5e-8),
        (NASGRO, 0.5, 2.0e-7),
        (FORMAN, 0.5, 1.4e-7),
        (WALKER, 0.5, 1.2e-7),
    ],
)
def test_three_fits_of_2024_t3_give_their_published_growth(
    law: Law, R: float, published: float
) -> None:
    assert growth(law, 10e6, R) == pytest.approx(published, rel=0.05)


def test_nasgro_4_gives_the_published_growth_of_titanium() -> None:
    assert growth(NASGRO_4, 10e6) == pytest.approx(1.7e-8, rel=0.05)
    assert growth(NASGRO_4, 10e6, 0.5) == pytest.approx(4.7e-8, rel=0.05)


def test_newmans_closure_has_its_published_values() -> None:
    alphas = t(1.0, 1.5, 2.0, 2.5, 3.0)
    f, A0 = closure(t(0.0).expand(5), alphas, 0.3)
    torch.testing.assert_close(f, t(0.4767, 0.3958, 0.3257, 0.2745, 0.2454), atol=6e-5, rtol=0)
    torch.testing.assert_close(f, A0, atol=0, rtol=0)
    assert float(closure(t(0.5), 2.0, 0.3)[0]) == pytest.approx(0.5481, abs=6e-5)


def test_closure_counts_load_ratios_below_minus_two_as_minus_two() -> None:
    f, _ = closure(t(-1.9, -2.0, -9.0), 2.0, 0.3)
    assert f[0] > f[1] == f[2]


@pytest.mark.parametrize("law", EVERY)
@pytest.mark.parametrize("R", [-1.0, 0.0, 0.4])
def test_nothing_grows_at_or_below_the_threshold(law: Law, R: float) -> None:
    th = threshold(law, R)
    if R < 0.0 and not isinstance(law, NasgroLaw | Nasgro4Law):
        th *= 1.0 - R  # of K_max, which is all that counts
    assert growth(law, th * 0.999, R) == 0.0
    assert growth(law, th, R) == 0.0
    assert 0.0 < growth(law, th * 1.001, R) < 1e-7


@pytest.mark.parametrize("law", TOUGH)
@pytest.mark.parametrize("R", [-1.0, 0.0, 0.5])
def test_growth_is_infinite_at_and_above_the_toughness(law: Law, R: float) -> None:
    K_c = float(law.K_c)  # type: ignore[attr-defined]
    assert growth(law, 0.999 * K_c * (1.0 - R), R) < math.inf
    assert growth(law, 1.0000001 * K_c * (1.0 - R), R) == math.inf
    assert growth(law, 2.0 * K_c * (1.0 - R), R) == math.inf


@pytest.mark.parametrize("law", TOUGH)
def test_growth_is_infinite_exactly_at_the_toughness(law: Law) -> None:
    assert growth(law, float(law.K_c)) == math.inf  # type: ignore[attr-defined]


@pytest.mark.parametrize("law", EVERY)
def test_growth_is_never_nan_nor_negative(law: Law) -> None:
    dK = torch.logspace(-3, 10, 200, dtype=torch.float64)[:, None, None]
    dK = torch.cat((torch.zeros(1, 1, 1, dtype=torch.float64), dK))
    R = t(-1e9, -5.0, -2.0, -1.0, -0.0, 0.0, 0.3, 0.7, 0.95, 0.999999, 1.0)[:, None]
    value = law(dK, R, t(1e-9, 1e-5, 1e-2, math.inf))
    assert not torch.isnan(value).any()
    assert (value >= 0.0).all()


@pytest.mark.parametrize("law", [PARIS, WALKER, FORMAN])
def test_only_the_tensile_part_of_a_reversed_cycle_counts(law: Law) -> None:
    assert growth(law, 40e6, -1.0) == growth(law, 20e6, 0.0)
    assert growth(law, 60e6, -2.0) == growth(law, 20e6, 0.0)


def test_compression_speeds_nasgro_up_less_than_its_range() -> None:
    assert growth(NASGRO, 20e6) < growth(NASGRO, 40e6, -1.0) < growth(NASGRO, 40e6)


@pytest.mark.parametrize("law", [NASGRO, NASGRO_4])
def test_short_cracks_have_a_lower_threshold(law: NasgroLaw | Nasgro4Law) -> None:
    long, short = float(law.threshold(t(0.0))), float(law.threshold(t(0.0), t(38.1e-6)))
    assert short == pytest.approx(long / math.sqrt(2.0))


def test_nasgro_3_has_its_long_crack_threshold_at_zero_ratio() -> None:
    assert float(NASGRO.threshold(t(0.0))) == pytest.approx(3.187e6, rel=1e-12)


@pytest.mark.parametrize("law", [NASGRO, NASGRO_4])
def test_the_two_branches_of_the_threshold_meet_at_zero_ratio(
    law: NasgroLaw | Nasgro4Law,
) -> None:
    below, above = law.threshold(t(-1e-9)), law.threshold(t(1e-9))
    torch.testing.assert_close(below, above, rtol=1e-7, atol=0)


def test_the_threshold_of_nasgro_4_tends_to_its_constant_at_high_ratio() -> None:
    law = Nasgro4Law(1e-30, 3.0, 0.5, 1.0, 1.34e6, 1.21, 70e6, 2.0, 0.3)
    assert float(law.threshold(t(0.99))) == pytest.approx(1.34e6, rel=0.02)


@pytest.mark.parametrize("law", EVERY)
def test_parameters_may_be_tensors(law: Law) -> None:
    names = law.__dataclass_fields__  # type: ignore[attr-defined]
    columns = {name: t(getattr(law, name)).reshape(1, 1) for name in names}
    dK, R, a = t(5e6, 20e6, 30e6)[:, None], t(0.1, 0.2)[None], t(1e-2)
    torch.testing.assert_close(type(law)(**columns)(dK, R, a), law(dK, R, a), rtol=1e-14, atol=0)


def test_every_law_has_a_name() -> None:
    assert {type(law) for law in EVERY} == set(LAWS.values())


TABLE = TabulatedLaw(R=t(0.0, 0.5), growth=t(1e-10, 1e-8), dK=t(2e6, 1e6, 20e6, 10e6).reshape(2, 2))


def test_a_table_is_read_at_its_entries_and_straight_between() -> None:
    assert float(TABLE(t(20e6), t(0.0))) == pytest.approx(1e-8, rel=1e-12)
    assert float(TABLE(t(10e6), t(0.5))) == pytest.approx(1e-8, rel=1e-12)
    assert float(TABLE(t(2e6 * math.sqrt(10.0)), t(0.0))) == pytest.approx(1e-9, rel=1e-12)
    assert float(TABLE(t(20e6 / math.sqrt(2.0)), t(0.25))) == pytest.approx(1e-8, rel=1e-12)


def test_a_table_is_zero_to_its_first_entry_and_goes_on_beyond_its_last() -> None:
    assert TABLE(t(1.9e6, 2e6), t(0.0)).tolist() == [0.0, 0.0]
    assert float(TABLE(t(2.000001e6), t(0.0))) > 0.0
    assert float(TABLE(t(200e6), t(0.0))) == pytest.approx(1e-6, rel=1e-12)
    assert float(TABLE(t(10e6), t(0.9))) == pytest.approx(1e-8, rel=1e-12)


def test_a_table_of_real_measurements_gives_back_its_own_numbers(data: Path) -> None:
    lines = (data / "easigrow" / "barter14.dadn").read_text().splitlines()
    numbers = [[float(x) for x in line.split()] for line in lines if line[:1] != "#"]
    table = t(*(x for row in numbers[1:] for x in row)).reshape(len(numbers) - 1, -1)
    law = TabulatedLaw(t(*numbers[0]), table[:, 0].contiguous(), 1e6 * table[:, 1:])
    again = law(1e6 * table[1:, 1:], t(*numbers[0])[None])
    torch.testing.assert_close(again, table[1:, :1].expand_as(again), rtol=1e-9, atol=0)
