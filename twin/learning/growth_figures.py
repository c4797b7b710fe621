"""The figures of a fit, as its card has them: plain values, in SI units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import ValidationError

from models.crack.growth_cells import CELL, CrossedCells, GrowthCurve
from models.crack.growth_fit import SCATTER, GrowthFit
from models.crack.growth_scores import MOST_FITS, ForecastScores, Validation
from models.crack.growth_shape import TableShape
from models.crack.growth_tables import ABOVE, BELOW, extended
from twin.belief.credible import NotMeantError, credible
from twin.component import parsed
from twin.learning.growth_setting import TABLE, GrowthSetting

LAGS = (0, 1, 2, 4, 8)  # cells apart, at which the covariance is told beside that of the model
MISFIT = 10.0  # by how much another law's criterion is lower before the card says so


def counts(curves: Sequence[GrowthCurve], cells: CrossedCells, end: float) -> dict[str, Any]:
    """How much there is, and from where to where [m]."""
    reached = [float(curve.a[-1]) >= end * (1.0 - 1e-9) for curve in curves]
    return {
        "specimens": len(curves),
        "censored": len(curves) - sum(reached),
        "without_a_whole_cell": int((cells.count == 0).sum()),
        "readings": sum(len(curve.a) for curve in curves),
        "cells": int(cells.count.sum()),
        "cells_without_a_reading": sum(curve.unread() for curve in curves),
        "shortest": min(float(curve.a[0]) for curve in curves),
        "longest": max(float(curve.a[-1]) for curve in curves),
        "end": end,
    }


def law_table(fit: GrowthFit, setting: GrowthSetting, exponent: float) -> dict[str, Any]:
    """The law as a registration has it, in SI units."""
    ratio, shape, values = setting.load.R, fit.growth.shape, fit.growth.constants.tolist()
    if isinstance(shape, TableShape):
        ranges, growth = extended(shape.ln_dK, values, exponent)
        return {"kind": TABLE, "R": [ratio], "growth": growth, "dK": [[x] for x in ranges]}
    sought = {"C": math.exp(values[0]), setting.exponent: values[1]}
    return {**setting.law, **sought, "R_range": [ratio, ratio]}


def constants(fit: GrowthFit, setting: GrowthSetting) -> dict[str, Any]:
    """What was estimated of the law, with standard errors."""
    values, errors = fit.growth.constants.tolist(), fit.constant_errors.tolist()
    shape = fit.growth.shape
    if isinstance(shape, TableShape):
        return {
            "knots": [
                {"dK": math.exp(x), "growth": math.exp(y), "relative_error": error}
                for x, y, error in zip(shape.ln_dK, values, errors, strict=True)
            ]
        }
    return {
        "C": {"value": math.exp(values[0]), "relative_error": errors[0]},
        setting.exponent: {"value": values[1], "standard_error": errors[1]},
    }


def uncertainty(fit: GrowthFit) -> dict[str, Any]:
    """The scatter, with standard errors."""
    scatter = fit.growth.scatter
    values = (scatter.growth_sd, scatter.local_sd, scatter.local_length)
    return {
        name: {"value": value, "standard_error": error}
        for name, value, error in zip(SCATTER, values, fit.scatter_errors, strict=True)
    }


def covariances(fit: GrowthFit, cells: CrossedCells) -> list[dict[str, float]]:
    """Of ln speed, so many cells apart: measured, and by the model without errors of reading."""
    y, crossed = fit.growth.factors(cells), cells.crossed
    n, found = y.shape[1], []
    for lag in LAGS:
        both = crossed[:, : n - lag] & crossed[:, lag:]
        if lag < n and both.any():
            measured = float((y[:, : n - lag] * y[:, lag:])[both].mean())
            at = np.array([0, lag])
            model = float(fit.growth.scatter.covariance(at[:1], at[1:])[0, 0])
            found.append({"distance": lag * CELL, "measured": measured, "model": model})
    return found


def cross_validation(scores: Sequence[ForecastScores], how: Validation) -> dict[str, Any]:
    """The scores of forecasts, and how they came about."""
    judged = scores[0].specimens if scores else 0
    return {
        "specimens": judged,
        "fits": min(judged, MOST_FITS),
        "end": how.end,
        "draws": how.draws,
        "seed": how.seed,
        "scores": [
            score._asdict() | {"coverage": {str(k): v for k, v in score.coverage.items()}}
            for score in scores
        ],
    }


def notes(
    curves: Sequence[GrowthCurve],
    fit: GrowthFit,
    setting: GrowthSetting,
    criteria: Mapping[str, float],
) -> list[str]:
    """What a reader has to know, in sentences."""
    said = []
    if fit.growth_sd_assumed:
        said.append(
            f"One specimen says nothing of others: growth_sd is assumed, {setting.growth_sd:g}."
        )
    if fit.at_bounds:
        said.append(
            f"At the end of where it is sought, so that the data do not tell it: "
            f"{', '.join(fit.at_bounds)}."
        )
    chosen, best = setting.law["kind"], min(criteria, key=lambda name: criteria[name])
    if criteria[chosen] > criteria[best] + MISFIT:
        said.append(
            f"The {chosen} law misses the mean of the specimens, which is counted as scatter along "
            f"the crack: --law {best} has a criterion lower by "
            f"{criteria[chosen] - criteria[best]:.0f}."
        )
    unread = sum(curve.unread() for curve in curves)
    if unread:
        said.append(f"{unread} cells hold no reading, which smooths the scatter along the crack.")
    if setting.law["kind"] == TABLE:
        said.append(
            "How many knots the table has was chosen on all specimens; its first and last entry "
            f"lie {BELOW:g} times below and {ABOVE:g} times above what was measured."
        )
    return said


def doubts(setting: GrowthSetting, law: dict[str, Any], shortest: float, end: float) -> str:
    """Why a registration of the law would be refused; empty if it would not.

    Of a crack from `shortest` to `end` [m].
    """
    crack = {
        "law": law,
        "geometry": setting.geometry,
        "crack_length": shortest,
        "crack_limit": end,
    }
    try:
        credible(parsed({"crack": crack}))
    except (NotMeantError, ValidationError) as exc:
        return str(exc).replace("\n", " ")
    return ""
