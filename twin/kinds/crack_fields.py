"""What is recorded of a crack, whichever kind it is."""

from __future__ import annotations

from typing import Final

from storage.trajectories.layout import INSTANT, Field

GROUP: Final = "crack"  # of the trajectory
FIELDS: Final = (
    Field("crack_length", "m", "believed crack length", "float64"),
    Field("crack_length_sd", "m", "standard deviation of the crack length", "float32"),
    Field("growth_rate", "m", "growth of the crack per cycle", "float32"),
    Field("cycles", "1", "load cycles counted", "float64"),
    Field("open_growth", "m", "growth if the open residue closed now", "float32"),
    Field("remaining_cycles", "1", "cycles left to the limit under the load so far", "float64"),
    Field("innovation", "m", "measured less believed length at the last inspection", "float32"),
    Field("crack_length_low", "m", "quantile 0.05 of the crack length", "float32"),
    Field("crack_length_high", "m", "quantile 0.95 of the crack length", "float32"),
    Field("remaining_cycles_low", "1", "quantile 0.05 of the cycles left", "float32"),
    Field("remaining_cycles_high", "1", "quantile 0.95 of the cycles left", "float32"),
    Field("last_evidence", INSTANT, "time of the last evidence", "int64", 0),
)
