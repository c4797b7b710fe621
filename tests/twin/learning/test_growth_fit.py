"""`twin fit growth`: files and settings that can be read, those that are refused, and real ones."""

from __future__ import annotations

import json
import math
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from models.fatigue.laws import LAWS
from sensors.errors import MalformedError
from tests.models.crack.test_growth_fit import TRUE, simulated
from twin.commands import cli
from twin.component import parsed
from twin.errors import SettingsError
from twin.learning import growth_readings
from twin.learning.growth_card import told
from twin.learning.growth_fit import GrowthReport, Judging, growth_fit
from twin.learning.growth_readings import specimens
from twin.learning.growth_setting import GrowthOptions, growth_setting, quantity
from twin.parameters import Law
from twin.units import LENGTHS

OPTIONS = GrowthOptions(
    stress_range="48.28 MPa", ratio=0.2, geometry="centre_crack", sizes=("W=152.4 mm",)
)
ARGUMENTS = (
    *("--stress-range", "48.28 MPa", "--ratio", "0.2"),
    *("--geometry", "centre_crack", "--size", "W=152.4 mm"),
)
FEW = Judging(draws=200)
Written = Callable[..., Path]


def wide(unit: str = "mm", factor: float = 1e3, count: int = 4, every: int = 3) -> str:
    """Simulated specimens as a file; the second one ends early."""
    curves = simulated(TRUE, 0, count)
    lines = [",".join((f"a_{unit}", *(f"N_{i:02}" for i in range(count))))]
    for row in range(0, len(curves[0].a), every):
        cells = [f"{curve.cycles[row]:.3f}" for curve in curves]
        if row > 250:
            cells[1] = ""
        lines.append(",".join((repr(float(curves[0].a[row]) * factor), *cells)))
    return "\n".join(lines) + "\n"


def long(text: str) -> str:
    """The same in three columns, in another order."""
    header, *rows = (line.split(",") for line in text.splitlines())
    cells = (
        f"{row[i]},{header[i]},{row[0]}" for i in range(1, len(header)) for row in rows if row[i]
    )
    return "\n".join((f"cycles,specimen,{header[0]}", *cells)) + "\n"


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Puts a text into a file."""

    def write(text: str, name: str = "curves.csv") -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def fit(path: Path, options: GrowthOptions = OPTIONS) -> GrowthReport:
    return growth_fit(path, growth_setting(None, options), FEW)


def test_wide_and_long_files_and_every_unit_give_the_same_law(written: Written) -> None:
    cards = [
        fit(written(text)).card
        for text in (
            wide(),
            long(wide()),
            wide("m", 1.0),
            wide("um", 1e6),
            wide("in", 1.0 / 0.0254),
            wide("cm", 100.0).replace(",", ";").replace(".", ","),
        )
    ]
    first = cards[0]
    assert (first["specimens"], first["censored"]) == (4, 1)
    assert first["end"] == pytest.approx(0.0498, rel=0.01)
    for card in cards[1:]:
        for name in ("cells", "readings", "censored", "specimens"):
            assert card[name] == first[name]
        assert card["constants"]["m"]["value"] == pytest.approx(
            first["constants"]["m"]["value"], rel=1e-4
        )
        assert card["ln_likelihood"] == pytest.approx(first["ln_likelihood"], rel=1e-3)


def test_a_file_of_settings_says_the_same_as_options_and_options_go_before_it(
    written: Written,
) -> None:
    text = """
    end = "45 mm"
    [load]
    stress_range = 7.002
    R = 0.2
    unit = "ksi"
    [geometry]
    kind = "centre_crack"
    W = 6.0
    unit = "in"
    [law]
    kind = "walker"
    gamma = 0.5
    """
    file = written(text, "setting.toml")
    setting = growth_setting(file, GrowthOptions())
    assert setting.load.stress_range == pytest.approx(48.28e6, rel=1e-4)
    assert setting.geometry == {"kind": "centre_crack", "W": pytest.approx(0.1524)}
    assert setting.end == pytest.approx(0.045)
    assert setting.law == {"kind": "walker", "gamma": 0.5, "dK_th": 0.0}
    over = growth_setting(file, GrowthOptions(stress_range="50 MPa", law="paris", end="44 mm"))
    assert over.load.stress_range == pytest.approx(50e6)
    assert over.load.R == 0.2
    assert over.end == pytest.approx(0.044)
    assert over.law == {"kind": "paris", "dK_th": 0.0}
    forman = GrowthOptions(law="forman", constants=("K_c=80 MPa√m", "dK_th=1 MPa sqrt(m)"))
    held = growth_setting(file, forman).law
    assert (held["K_c"], held["dK_th"]) == (pytest.approx(80e6), pytest.approx(1e6))


@pytest.mark.parametrize("law", ["paris", "walker", "tabulated"])
def test_the_law_is_one_that_a_registration_takes(written: Written, law: str) -> None:
    constants = ("gamma=0.5",) if law == "walker" else ()
    report = fit(written(wide(count=8)), OPTIONS._replace(law=law, constants=constants))
    document = tomllib.loads(report.toml)
    assert document["law"] == report.card["law"]
    assert document["uncertainty"].keys() == {"growth_sd", "local_sd", "local_length"}
    crack = {"law": document["law"], "geometry": report.card["geometry"]}
    registration = parsed({"crack": {**crack, "crack_length": 0.009, "crack_limit": 0.0498}})
    assert registration.crack.law is not None
    built = TypeAdapter(Law).validate_python(document["law"]).built(LAWS)
    dK = torch.tensor([12e6], dtype=torch.float64)
    R = torch.full_like(dK, 0.2)
    true = math.exp(TRUE.constants[0]) * 12e6 ** TRUE.constants[1]
    assert float(built(dK, R, dK).flatten()[0]) == pytest.approx(true, rel=0.2)
    assert not [note for note in report.card["notes"] if "refused" in note]
    json.dumps(report.card, allow_nan=False)
    assert any("specimens left out" in line for line in told(report.card))


def test_one_specimen_is_fitted_and_told_to_say_nothing_of_others(written: Written) -> None:
    card = fit(written(_first_column(wide()))).card
    assert card["specimens"] == 1
    assert card["uncertainty"]["growth_sd"] == {"value": 0.1, "standard_error": None}
    assert any("says nothing of others" in note for note in card["notes"])
    assert card["cross_validation"]["scores"] == []
    assert any("not cross-validated" in line for line in told(card))
    wider = fit(written(_first_column(wide())), OPTIONS._replace(growth_sd=0.3)).card
    assert wider["uncertainty"]["growth_sd"]["value"] == 0.3


def _first_column(text: str) -> str:
    return "\n".join(",".join(line.split(",")[:2]) for line in text.splitlines()) + "\n"


ROWS = "a_mm,N_1,N_2\n9,0,0\n10,100,110\n11,200,210\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("a_mm,N_1\n", "no readings below"),
        ("a,N_1\n9,0\n", "no length with a unit"),
        ("a_furlong,N_1\n9,0\n", "not a unit of length"),
        ("a_mm\n9\n", "0 columns of cycles"),
        ("a_mm,N_1,N_1\n9,0,0\n", "is there twice"),
        ("a_mm,N_1,\n9,0,0\n", "has no name"),
        (ROWS + "10.5,300,310\n", "not more than in the row before"),
        (ROWS + "11,300,310\n", "not more than in the row before"),
        (ROWS + "12,150,310\n", "the number of cycles of specimen 'N_1' is 150"),
        (ROWS + "12,200,310\n", "not more than 200 before"),
        (ROWS + "12,nan,310\n", "not finite"),
        (ROWS + "nan,300,310\n", "not finite"),
        (ROWS + "12,inf,310\n", "not finite"),
        (ROWS + "12,many,310\n", "not a number"),
        (ROWS + "12,300\n", "2 cells under 3 columns"),
        (ROWS + "1e6,300,310\n", "no crack is 1000 m long"),
        ("a_mm,N_1\n-9,0\n", "no crack is"),
        ("a_mm,N_1\n9,-5\n10,4\n", "has -5 cycles"),
        ("a_mm,N_1,N_2\n9,0,\n10,100,\n", "specimen 'N_2' has no readings"),
        ("specimen,cycles,a_mm\nA,0,9\nA,5,8\n", "the length of specimen 'A'"),
        ("specimen,cycles,a_mm\n,0,9\n", "specimen is empty"),
        ("specimen,cycles,a_mm,b\nA,0,9,1\n", "not specimen, cycles and a length"),
        ("specimen,cycles,a\nA,0,9\n", "no length with a unit"),
    ],
)
def test_what_no_curves_are_is_refused_in_a_sentence(
    written: Written, text: str, said: str
) -> None:
    with pytest.raises(MalformedError) as refused:
        specimens(written(text))
    assert said in str(refused.value)
    assert "curves.csv" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_huge_files_are_refused(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(ROWS)
    monkeypatch.setattr(growth_readings, "MOST_READINGS", 5)
    with pytest.raises(MalformedError, match="more than 5 readings"):
        specimens(path)
    monkeypatch.setattr(growth_readings, "MOST_SPECIMENS", 1)
    with pytest.raises(MalformedError, match="2 columns of cycles, not 1 to 1"):
        specimens(path)
    monkeypatch.setattr(growth_readings, "MOST_BYTES", 10)
    with pytest.raises(SettingsError, match="bytes: at most 10 are read"):
        specimens(path)
    with pytest.raises(SettingsError, match="cannot be read"):
        specimens(path.with_name("absent.csv"))


def exponential(lengths: Sequence[float]) -> str:
    """A specimen that grows by the same share in each cycle."""
    rows = (f"{a!r},{1e5 * math.log(a / lengths[0])!r}" for a in lengths)
    return "\n".join(("a_mm,N_1", *rows)) + "\n"


@pytest.mark.parametrize(
    ("lengths", "options", "said"),
    [
        (np.geomspace(9.0, 10.5, 20), OPTIONS, "crosses 2 whole cells"),
        (np.geomspace(9.0, 100.0, 90), OPTIONS, "is not meant for a crack of 0.1 m"),
        (np.geomspace(9.0, 49.0, 8), OPTIONS, "readings are too far apart"),
        (np.geomspace(9.0, 49.0, 90), OPTIONS._replace(end="60 mm"), "not beyond the longest"),
        (np.geomspace(9.0, 49.0, 90), OPTIONS._replace(end="8 mm"), "beyond the shortest"),
        (
            np.geomspace(9.0, 49.0, 90),
            OPTIONS._replace(law="paris", constants=("dK_th=9 MPa√m",)),
            "does not grow on",
        ),
    ],
)
def test_curves_that_a_setting_does_not_bear_are_refused(
    written: Written, lengths: Sequence[float], options: GrowthOptions, said: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        fit(written(exponential([float(a) for a in lengths])), options)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (OPTIONS._replace(stress_range="48.28"), "without a unit"),
        (OPTIONS._replace(stress_range="48.28 mPa"), "the unit of stress range is 'mPa'"),
        (OPTIONS._replace(stress_range="-3 MPa"), "it must be above 0"),
        (OPTIONS._replace(stress_range="much"), "write a number and a unit"),
        (OPTIONS._replace(stress_range="1.2.3 MPa"), "write a number and a unit"),
        (OPTIONS._replace(stress_range=None), "load.stress_range is missing"),
        (OPTIONS._replace(ratio=None), "load.R is missing"),
        (OPTIONS._replace(ratio=1.0), "load.R is 1.0: it must be below 1"),
        (OPTIONS._replace(geometry=None, sizes=()), "geometry is missing"),
        (OPTIONS._replace(geometry=None), "--size is given without --geometry"),
        (OPTIONS._replace(geometry="plank"), "kind is 'plank'"),
        (OPTIONS._replace(geometry="plate"), "geometry plate has no formula"),
        (OPTIONS._replace(sizes=("W=152.4",)), "W is '152.4' without a unit"),
        (OPTIONS._replace(sizes=("152.4 mm",)), "write it as"),
        (OPTIONS._replace(sizes=("W=152.4 mm", "aspect=x1")), "aspect is 'x1'"),
        (OPTIONS._replace(law="hooke"), "law.kind is 'hooke'"),
        (OPTIONS._replace(law="walker"), "law.gamma is missing"),
        (OPTIONS._replace(law="paris", constants=("C=1e-10",)), "it is what is sought"),
        (OPTIONS._replace(law="tabulated", constants=("C=1",)), "all of a table is sought"),
        (OPTIONS._replace(constants=("gamma=0.5",)), "--constant is given without --law"),
        (OPTIONS._replace(law="paris", constants=("dK_th=3",)), "dK_th is '3' without a unit"),
        (OPTIONS._replace(end="40"), "without a unit"),
        (OPTIONS._replace(reading_sd="0.02"), "without a unit"),
        (OPTIONS._replace(growth_sd=7.0), "growth_sd is 7.0"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_a_sentence(
    options: GrowthOptions, said: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        growth_setting(None, options)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_of_settings_has_a_unit_of_stress(written: Written) -> None:
    text = "[load]\nstress_range = 48.28\nR = 0.2\n[geometry]\nkind = 'centre_crack'\nW = 0.1\n"
    with pytest.raises(SettingsError, match=r"load\.unit is missing"):
        growth_setting(written(text, "setting.toml"), GrowthOptions())
    with pytest.raises(SettingsError, match="not TOML"):
        growth_setting(written("= 3", "setting.toml"), GrowthOptions())


def test_a_quantity_is_read_with_its_unit() -> None:
    assert quantity("49.8mm", LENGTHS, "end", "mm") == pytest.approx(0.0498)
    assert quantity(" 2e-3 m ", LENGTHS, "end", "mm") == pytest.approx(0.002)


def test_the_command_prints_a_page_or_json_and_writes_its_files(
    written: Written,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, out = written(wide(count=5)), tmp_path / "out"
    command = ["twin", "fit", "growth", str(path), *ARGUMENTS, "--draws", "100"]

    def ran(*more: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [*command, *more])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        said = capsys.readouterr()
        return int(exit_.value.code or 0), said.out, said.err

    code, page, _ = ran("--out", str(out))
    assert code == 0
    assert "5 specimens" in page
    assert {file.name for file in out.iterdir()} == {
        "growth.toml",
        "card.json",
        "card.txt",
        "curves.svg",
    }
    assert (out / "card.txt").read_text() == page
    drawing = ElementTree.fromstring((out / "curves.svg").read_text())
    assert len(drawing.findall("{http://www.w3.org/2000/svg}polyline")) > 5
    code, text, _ = ran("--json")
    assert code == 0
    card: dict[str, Any] = json.loads(text)
    assert card == json.loads((out / "card.json").read_text())
    code, _, error = ran("--end", "90 mm")
    assert code == 2
    assert error.startswith("twin: end is 0.09 m")


def test_virkler_is_foretold_as_well_as_the_page_says(data: Path) -> None:
    path = data / "virkler" / "virkler_shared_odd34.csv"
    if not path.is_file():
        pytest.skip(f"the specimens of Virkler et al. are not at {path}")
    paris = fit(path).card
    assert (paris["specimens"], paris["censored"], paris["cells"]) == (34, 0, 1156)
    assert paris["constants"]["m"]["value"] == pytest.approx(3.06, abs=0.1)
    assert any("--law tabulated" in note for note in paris["notes"])
    card = growth_fit(path, growth_setting(None, OPTIONS._replace(law="tabulated")), Judging()).card
    scatter = {name: one["value"] for name, one in card["uncertainty"].items()}
    assert scatter["growth_sd"] == pytest.approx(0.055, abs=0.01)
    assert scatter["local_sd"] == pytest.approx(0.157, abs=0.01)
    assert scatter["local_length"] == pytest.approx(0.061, abs=0.01)
    scores = {(one["forecast"], one["share"]): one for one in card["cross_validation"]["scores"]}
    for share in (0.1, 0.2, 0.3, 0.5, 0.7):
        found = scores["conditioned", share]
        assert found["specimens"] == 34
        assert found["median_error"] < 0.065
        assert 0.8 <= found["coverage"]["0.9"] <= 1.0
        assert found["crps"] < scores["prior", share]["crps"]
        assert found["crps"] < scores["point", share]["crps"]
