"""Answers as bytes, made by msgspec: pydantic describes them and has no part in making them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np
from fastapi import Response
from numpy.typing import NDArray

from sensors.instant import nanoseconds, rfc3339
from twin.api.problems import ProblemError

JSON = "application/json"
_encode = msgspec.json.Encoder().encode  # NaN and ∞ become null


def json_answer(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON answer that nobody keeps."""
    return Response(
        _encode(value), status, {"Cache-Control": "no-store", **(headers or {})}, media_type=JSON
    )


def instant_ns(text: str, field: str) -> int:
    """The instant [ns] of an RFC 3339 time; MalformedError outside of 1970 to 2199."""
    # A plus sign that nobody escaped in a query arrives as a space.
    return nanoseconds(text.replace(" ", "+"), field)


def check_span(t_from_ns: int, t_to_ns: int) -> None:
    """Raises ProblemError for a time `to` that does not come after `from`: nothing is between."""
    if t_to_ns <= t_from_ns:
        raise ProblemError(
            "invalid",
            f"to {rfc3339(t_to_ns)} is not after from {rfc3339(t_from_ns)}: nothing is between",
        )


def time_or_none(t_ns: int) -> str | None:
    """An instant as text, None for 0, which stands for never."""
    return rfc3339(t_ns) if t_ns else None


def times(t_ns: NDArray[np.int64], like: NDArray[np.int64] | None = None) -> list[str]:
    """Many instants as RFC 3339 texts, all with as many decimals as these, or `like`, need."""
    instants = t_ns.view("datetime64[ns]")
    texts = np.datetime_as_string(instants, unit=_decimals(t_ns if like is None else like))
    return [f"{text}Z" for text in texts.tolist()]


def _decimals(t_ns: NDArray[np.int64]) -> Literal["s", "ms", "ns"]:
    if not np.any(t_ns % 10**9):
        return "s"
    return "ns" if np.any(t_ns % 10**6) else "ms"


def times_or_none(
    t_ns: NDArray[np.int64], like: NDArray[np.int64] | None = None
) -> list[str | None]:
    """Many instants, None for 0."""
    never = (t_ns == 0).tolist()
    return [None if n else text for n, text in zip(never, times(t_ns, like), strict=True)]


def chosen(accept: str | None, offered: Sequence[str]) -> str:
    """The media type that suits `Accept` best, the first offered for none or for equal ones.

    Raises ProblemError (not-acceptable) where none of them suits.
    """
    if not accept or not accept.strip():
        return offered[0]
    ranges = [_range(part) for part in accept.split(",")]
    scores = [max((_suits(r, media) for r in ranges), default=(-1, 0.0)) for media in offered]
    quality = [q for _, q in scores]
    if max(quality) <= 0.0:
        raise ProblemError(
            "not-acceptable", f"{accept[:100]} is not offered: {', '.join(offered)} are"
        )
    return offered[quality.index(max(quality))]


def _range(text: str) -> tuple[str, float]:
    media, *parameters = (part.strip().lower() for part in text.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return media, min(max(float(parameter[2:]), 0.0), 1.0)
            except ValueError:
                return media, 0.0
    return media, 1.0


def _suits(wanted: tuple[str, float], media: str) -> tuple[int, float]:
    """How exactly a range names a media type (-1: not at all), and its weight."""
    name, weight = wanted
    if name == media:
        return 2, weight
    if name == f"{media.partition('/')[0]}/*":
        return 1, weight
    return (0, weight) if name == "*/*" else (-1, 0.0)
