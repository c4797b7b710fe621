"""A law and its scatter from a file of measured curves: the fit, its card, its TOML."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from models.crack.growth_cells import CELL, Array, CrossedCells, GrowthCurve, crossed_cells
from models.crack.growth_fit import GrowthFit, fitted
from models.crack.growth_scores import DRAWS, Validation, common_end, life_band, validated
from models.crack.growth_shape import LawShape
from models.crack.growth_tables import best_table
from models.fatigue.geometry import outside
from models.fatigue.laws import ParisLaw
from sensors.refusal import shown
from twin.errors import SettingsError
from twin.learning.growth_figures import (
    constants,
    counts,
    covariances,
    cross_validation,
    doubts,
    law_table,
    notes,
    uncertainty,
)
from twin.learning.growth_readings import specimens
from twin.learning.growth_setting import TABLE, GrowthSetting

MOST_CELLS = 400  # of a curve: e^20 times its first length
MOST_NOISE = 20_000_000  # numbers of the covariances by errors of reading


class GrowthReport(NamedTuple):
    """What a fit found."""

    card: dict[str, Any]
    toml: str
    curves: list[tuple[Array, Array]]  # cycles and lengths [m] of each specimen
    lengths: Array  # (n,) [m]
    band: Array  # (n, 3) cycles: quantiles 0.05, 0.5, 0.95


@dataclass(frozen=True, slots=True)
class Judging:
    """How the lives are drawn that judge a fit."""

    draws: int = DRAWS
    seed: int = 0


def growth_fit(file: Path, setting: GrowthSetting, judging: Judging) -> GrowthReport:
    """The law of the specimens in `file`, with its scatter and its figures.

    Raises MalformedError for a file that cannot be read, SettingsError where its curves and the
    setting do not go together.
    """
    curves = [one.curve for one in specimens(file)]
    _check(curves, setting)
    end = common_end(curves) if setting.end is None else setting.end
    cells = crossed_cells(curves, setting.reading_sd)
    how = Validation(end, setting.reading_sd, setting.growth_sd, judging.draws, judging.seed)
    try:
        fits = _fits(cells, setting)
        fit = fits[setting.law["kind"]]
        scores = validated(curves, fit, how)
    except ValueError as exc:
        raise SettingsError(f"{file.name}: {exc}") from exc
    criteria = {name: one.criterion for name, one in fits.items()}
    law = law_table(fit, setting, float(fits["paris"].growth.constants[1]))
    card = {
        "file": file.name,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        **counts(curves, cells, end),
        "load": {"stress_range": setting.load.stress_range, "R": setting.load.R},
        "geometry": setting.geometry,
        "law": law,
        "constants": constants(fit, setting),
        "uncertainty": uncertainty(fit),
        "ln_likelihood": fit.ln_likelihood,
        "criterion": criteria,
        "covariance": covariances(fit, cells),
        "cross_validation": cross_validation(scores, how),
        "notes": notes(curves, fit, setting, criteria),
    }
    begin = card["shortest"]
    if doubt := doubts(setting, law, begin, end):
        card["notes"].append(f"A registration with this law would be refused: {doubt}")
    lengths, band = life_band(fit.growth, begin, end, seed=judging.seed)
    return GrowthReport(card, _toml(card), _drawn(curves, fit), lengths, band)


def _fits(cells: CrossedCells, setting: GrowthSetting) -> dict[str, GrowthFit]:
    """The fit of the law that is sought, and beside it those of Paris's law and of a table."""
    alone = setting.growth_sd
    paris = LawShape(setting.load, ParisLaw(1.0, 1.0), "m")
    fits = {"paris": fitted(cells, paris, growth_sd_alone=alone)}
    try:
        fits[TABLE] = best_table(cells, setting.load, growth_sd_alone=alone)
    except ValueError:  # none rises: no matter where none is sought
        if setting.shape is None:
            raise
    if setting.shape is not None:
        fits[setting.law["kind"]] = fitted(cells, setting.shape, growth_sd_alone=alone)
    return fits


def _check(curves: Sequence[GrowthCurve], setting: GrowthSetting) -> None:
    """SettingsError for curves that the geometry or the memory does not bear."""
    shortest = min(float(curve.a[0]) for curve in curves)
    longest = max(float(curve.a[-1]) for curve in curves)
    for a in (shortest, longest):
        if faults := outside(setting.load.geometry, a):  # type: ignore[arg-type]  # all have it
            raise SettingsError(
                f"geometry {setting.geometry['kind']} is not meant for a crack of {a:.4g} m: "
                f"{faults[0].what}"
            )
    if setting.end is not None and not shortest < setting.end <= longest:
        raise SettingsError(
            f"end is {setting.end:.4g} m: it must be beyond the shortest length measured, "
            f"{shortest:.4g} m, and not beyond the longest, {longest:.4g} m"
        )
    most = max(len(curve.cells()) for curve in curves)
    if most > MOST_CELLS:
        raise SettingsError(f"a curve from {shortest:.4g} m to {longest:.4g} m: check the unit")
    if setting.reading_sd > 0.0 and len(curves) * most * most > MOST_NOISE:
        raise SettingsError(f"reading_sd is given for {len(curves)} specimens: too many for it")
    unread = sum(curve.unread() for curve in curves)
    if 2 * unread > sum(len(curve.cells()) for curve in curves) > 0:
        raise SettingsError(
            f"readings are too far apart: more than half of the cells of {CELL:.0%} of the length "
            "hold none, so that the scatter along a crack cannot be seen"
        )


def _toml(card: dict[str, Any]) -> str:
    """The law and its scatter, as the card has them."""
    lines = [
        f"# `twin fit growth`: {card['specimens']} specimens in {shown(card['file'])}",
        f"# sha256 of the file: {card['sha256']}",
        "",
        "[law]  # Pa √m and m/cycle",
        *(f"{name} = {_value(value)}" for name, value in card["law"].items()),
        "",
        "[uncertainty]",
        *(f"{name} = {_value(one['value'])}" for name, one in card["uncertainty"].items()),
    ]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    """As TOML writes it."""
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _drawn(curves: Sequence[GrowthCurve], fit: GrowthFit) -> list[tuple[Array, Array]]:
    """Cycles and lengths of each; from the cycles at which the median law reaches its first one."""
    begin = min(float(curve.a[0]) for curve in curves)
    drawn = []
    for curve in curves:
        first = float(curve.a[0])
        late = 0.0
        if first > begin:
            ends = np.log(np.linspace(begin, first, 9))
            late = float(np.exp(fit.growth.ln_cycles(ends[:-1], ends[1:])).sum())
        drawn.append((curve.cycles - curve.cycles[0] + late, curve.a))
    return drawn
