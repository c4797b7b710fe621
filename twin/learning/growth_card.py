"""The card of a fit for people: a page of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_HEAD = ("of life", "median error", "bias", "CRPS/life left", "CRPS [cycles]", "width 90 %")


def told(card: Mapping[str, Any]) -> Iterator[str]:
    """The lines of the page."""
    yield (
        f"{card['file']}: {card['specimens']} specimens, {card['cells']} whole cells of "
        f"{card['readings']} readings from {_mm(card['shortest'])} to {_mm(card['longest'])}"
    )
    yield (
        f"{card['censored']} end before {_mm(card['end'])} and count with what they have; "
        f"{card['without_a_whole_cell']} have no whole cell"
    )
    yield f"stress range {card['load']['stress_range']:.6g} Pa, R = {card['load']['R']:g}"
    yield ""
    yield from _law(card)
    yield ""
    yield "scatter of ln da/dN"
    for name, one in card["uncertainty"].items():
        yield f"  {name:<13} {one['value']:.4g}{_error(one['standard_error'])}"
    yield f"ln likelihood {card['ln_likelihood']:.6g}; criterion (lower is better): " + ", ".join(
        f"{name} {value:.6g}" for name, value in card["criterion"].items()
    )
    yield ""
    yield "covariance of ln da/dN at a distance in ln a: measured, model"
    for one in card["covariance"]:
        yield f"  {one['distance']:<5.2f} {one['measured']:9.5f} {one['model']:9.5f}"
    yield ""
    yield from _scores(card["cross_validation"])
    yield from (f"Note: {note}" for note in card["notes"])


def _law(card: Mapping[str, Any]) -> Iterator[str]:
    constants = card["constants"]
    yield f"law {card['law']['kind']}, in Pa √m and m/cycle"
    for one in constants.get("knots", ()):
        yield (
            f"  ΔK {one['dK'] / 1e6:8.4f} MPa √m: {one['growth']:.4g} m/cycle "
            f"± {one['relative_error']:.1%}"
        )
    for name, one in constants.items():
        if name == "C":
            yield f"  C = {one['value']:.5g} (ln C ± {one['relative_error']:.3g})"
        elif name != "knots":
            yield f"  {name} = {one['value']:.5g}{_error(one['standard_error'])}"


def _scores(judged: Mapping[str, Any]) -> Iterator[str]:
    """The table of the cross-validation."""
    if not judged["scores"]:
        yield "not cross-validated: that takes two specimens that reach the end"
        return
    yield (
        f"remaining life to {_mm(judged['end'])} of specimens left out, {judged['specimens']} in "
        f"{judged['fits']} fits; {judged['draws']} draws, seed {judged['seed']}"
    )
    levels = list(judged["scores"][0]["coverage"])
    heads = (*_HEAD, *(f"in {float(level):.0%}" for level in levels))
    yield "  ".join((f"{'':<11}", *(f"{head:>14}" for head in heads)))
    for score in judged["scores"]:
        coverage = score["coverage"]
        cells = (
            f"{score['share']:.0%}",
            f"{score['median_error']:.1%}",
            f"{score['bias']:+.1%}",
            f"{score['relative_crps']:.4f}",
            f"{score['crps']:.0f}",
            f"{score['width']:.1%}" if coverage else "",
            *(f"{coverage[level]:.0%}" if level in coverage else "" for level in levels),
        )
        yield "  ".join((f"{score['forecast']:<11}", *(f"{cell:>14}" for cell in cells))).rstrip()
    yield ""


def _mm(a: float) -> str:
    return f"{a * 1e3:.5g} mm"


def _error(error: float | None) -> str:
    return "" if error is None else f" ± {error:.2g}"
