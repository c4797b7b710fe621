"""What is told of a component that an observation has changed, or left in doubt."""

from __future__ import annotations

from sensors.observation import Inspection, Series, Spectrum
from sensors.quality import ASIDE
from twin.belief.assimilate import Assigned, Finding, t_end_ns
from twin.belief.cohort import Cohort
from twin.belief.segments import Note
from twin.kinds.crack_fields import GROUP


def doubt_note(cohort: Cohort, reading: Assigned, finding: Finding) -> Note:
    """What is doubtful of samples or rows."""
    o = reading.observation
    data: dict[str, float | str | int] = {
        "reason": finding.reason,
        "count": finding.times,
        "set_aside": finding.times if finding.reason in ASIDE else 0,
        "value": finding.example,
        "unit": o.unit if isinstance(o, Series | Spectrum) else "",
        "source": o.source,
        "seq": o.seq,
    }
    return Note("quality", cohort.members[reading.row], t_end_ns(o), data)


def reading_note(kind: str, cohort: Cohort, reading: Assigned) -> Note:
    """What an observation has done."""
    state, row = cohort.state, reading.row
    data = said(cohort, row)
    if kind == "inspection":
        data["innovation"] = float(state.innovation[row])
    if isinstance(reading.observation, Inspection) and kind not in ("limit", "fractured", "ended"):
        data["measured"] = reading.observation.crack_length
    return Note(kind, cohort.members[row], reading.t_end_ns, data)


def said(cohort: Cohort, row: int) -> dict[str, float | str | int]:
    """What an event says of a component: of other beliefs than cracks, which one it is of."""
    data: dict[str, float | str | int] = {**cohort.kind.said(cohort.state, row)}
    return data if cohort.kind.group == GROUP else {"belief": cohort.kind.group, **data}
