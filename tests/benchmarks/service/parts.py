"""The components of the measurements, which all grow by the same law."""

from __future__ import annotations

from typing import Any

from tests.benchmarks.service.traffic import name
from twin.component import Component, parsed

REGISTRATION: dict[str, Any] = {
    "law": {"kind": "paris", "C": 9.7e-30, "m": 3.0},
    "geometry": {"kind": "edge_crack", "W": 0.02},
    "crack_length": 0.001,
    "crack_limit": 0.01,
}


def components(parts: int, *, uncertain: bool = False) -> list[Component]:
    """Components that all grow by the same law; uncertain ones have 128 particles each."""
    registration = parsed(REGISTRATION | ({"uncertainty": {}} if uncertain else {}))
    return [
        Component(name=name(i), revision=1, registered_by="api", registration=registration)
        for i in range(parts)
    ]
