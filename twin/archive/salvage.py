"""A new store of all that is whole in a damaged one.

Lines are moved together where some are lost. Those that a whole checkpoint holds are missing from
the history alone: the journal then begins behind its first line, as after retention, because it
cannot be folded from its beginning any more. Without such a checkpoint the state is folded from the
lines that are left, and what was lost is in no state.
"""

from __future__ import annotations

import shutil
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from storage.checkpoints import Checkpoints
from storage.durable import disk
from storage.errors import CorruptError, StorageError
from storage.images import ImageStore
from storage.journal.catalogue import Checkpoint
from storage.journal.catalogue import LatestRegistration as Registered
from storage.journal.entry import Entry
from storage.journal.salvaging import Salvaged
from storage.journal.seal import SUFFIX, SealFile
from storage.store import JOURNAL, Store, alone
from storage.trajectories.trajectories import copies_of
from twin.archive.aside import made_aside, take_place
from twin.archive.checkpoint import carried, clock_in, metadata, tensors
from twin.archive.mending import unlisted
from twin.archive.remedies import left_out
from twin.belief.fleet import Fleet
from twin.belief.lines import COMPONENT, registration
from twin.errors import SettingsError

Gap = tuple[int, int]  # first offset, and the one behind


@dataclass
class _Plan:
    """Which lines there are, and which state goes on."""

    gaps: list[Gap]
    start: int  # where the damaged journal began
    checkpoint: Checkpoint | None = None  # the newest that is whole
    starts: list[int] = field(default_factory=list)  # of the runs of lines, before
    places: list[int] = field(default_factory=list)  # and now

    @property
    def begin(self) -> int:
        """Where the new journal begins."""
        return self.start + sum(stop - first for first, stop in self.held)

    @property
    def held(self) -> list[Gap]:
        """Lines that cannot be read, and that the state holds all the same."""
        until = -1 if self.checkpoint is None else self.checkpoint.offset
        return [(first, min(stop, until)) for first, stop in self.gaps if first < until]

    @property
    def gone(self) -> list[Gap]:
        """Lines that are in no state any more."""
        until = -1 if self.checkpoint is None else self.checkpoint.offset
        return [(max(first, until), stop) for first, stop in self.gaps if stop > until]


def salvaged(directory: Path, out: Path | None) -> dict[str, Any]:
    """Make a new store at `out`, or beside `directory`, and say what it holds and what is lost.

    Raises SettingsError for a place that is taken, CorruptError where nothing can be read.
    """
    if not directory.is_dir():
        raise SettingsError(f"there is no data directory {directory}")
    target = out or directory.with_name(f"{directory.name}.salvaged")
    if target.exists() and any(target.iterdir()):
        raise SettingsError(f"{target} exists and is not empty: name another with --out")
    with alone(directory):
        source = Salvaged(directory / JOURNAL)
        try:
            plan = _planned(source, directory)
            if not source.end and plan.checkpoint is None:
                raise CorruptError(
                    f"nothing of {directory / JOURNAL} can be read, not by its rows either, and no "
                    f"checkpoint is whole: only a copy of {directory} has it"
                )
            with made_aside(target) as aside, disk():
                with Store(aside) as new:
                    report = _filled(new, source, plan, directory)
                take_place(aside, target)
                return report | {"store": str(target)}
        finally:
            source.close()


def _planned(source: Salvaged, directory: Path) -> _Plan:
    seal, _ = SealFile((directory / JOURNAL).with_suffix(SUFFIX)).read()
    end = max(source.end, 0 if seal is None else seal.end)
    files = Checkpoints(directory / "checkpoints", is_look=True)
    known = [kept for kept in source.checkpoints.values() if _state(files, kept) is not None]
    known += [kept for kept, _ in unlisted(files, {kept.name for kept in known})]
    known = [kept for kept in known if kept.offset >= source.start]
    newest = max(known, key=lambda c: (c.offset, c.created_ns), default=None)
    end = max(end, newest.offset if newest else 0)
    return _Plan(source.gaps(end), source.start, newest)


def _state(files: Checkpoints, kept: Checkpoint) -> Fleet | None:
    try:
        return carried(*files.read(kept.name, kept.sha256))
    except (StorageError, ValueError, KeyError, TypeError):
        return None


def _filled(new: Store, source: Salvaged, plan: _Plan, directory: Path) -> dict[str, Any]:
    lines, registrations = _lines(new, source, plan)
    letters = 0
    for kept in source.letters():
        new.journal.append((), [kept.as_it_came], now_ns=kept.letter.t_ns)
        letters += 1
    images, bad = _images(new, ImageStore(directory / "images", is_look=True))
    state = _carried_over(new, source, plan, directory)
    losses = [_sentence(gap, plan, held=True) for gap in plan.held]
    losses += [_sentence(gap, plan, held=False) for gap in plan.gone]
    losses += bad
    losses += _letters_lost(source, directory)
    if losses:
        new.journal.catalogue.put_losses(losses)
    return {
        "from": str(directory),
        "lines": lines,
        "lines_lost": sum(stop - first for first, stop in plan.gaps),
        "registrations_put_back": registrations,
        "dead_letters": letters,
        "images": images,
        "state": state,
        "losses": losses,
    }


def _lines(new: Store, source: Salvaged, plan: _Plan) -> tuple[int, list[str]]:
    """Put all lines back; how many, and whose registrations, that were lost, among them."""
    if plan.begin:
        new.journal.begin_at(plan.begin)
    at, now_ns, count, put_back = plan.start, time.time_ns(), 0, list[str]()
    for first, committed_ns, entries in source.commits():
        now_ns = committed_ns
        if first > at:
            count += _registered(new, source, plan, (at, first), now_ns, put_back)
        plan.starts.append(first)
        plan.places.append(new.journal.end)
        new.journal.put_back(entries, now_ns=committed_ns)
        at, count = first + len(entries), count + len(entries)
    if plan.gaps and plan.gaps[-1][1] > at:
        count += _registered(new, source, plan, (at, plan.gaps[-1][1]), now_ns, put_back)
    marks = source.marks()
    if plan.gone:  # what is lost may be sent again
        marks = {key: mark for key, mark in marks.items() if new.journal.mark(*key) is None}
    new.journal.put_marks(marks)
    return count, put_back


def _registered(
    new: Store, source: Salvaged, plan: _Plan, gap: Gap, t_ns: int, put_back: list[str]
) -> int:
    """Put back the registrations among lost lines that the catalogue holds."""
    until = -1 if plan.checkpoint is None else plan.checkpoint.offset
    lost = sorted(
        (c for c in source.components.values() if max(gap[0], until) <= c.offset < gap[1]),
        key=lambda c: c.offset,
    )
    entries = [Entry(COMPONENT, c.name, "twin", 0, c.revision, t_ns, c.body) for c in lost]
    if entries:
        new.journal.put_back(entries, now_ns=t_ns)
        put_back += [c.name for c in lost]
    return len(entries)


def _letters_lost(source: Salvaged, directory: Path) -> Iterator[str]:
    seal, _ = SealFile((directory / JOURNAL).with_suffix(SUFFIX)).read()
    numbers, unknown = source.letters_lost(0 if seal is None else seal.letters)
    if numbers:
        yield left_out(numbers)
    if unknown:
        yield (
            f"up to {unknown:,} {'more ' if numbers else ''}refused messages are lost: their table "
            "is damaged, so that those that were submitted again or made room count among them"
        )


def _images(new: Store, old: ImageStore) -> tuple[int, list[str]]:
    bad = []
    for sha256 in old.names():
        try:
            new.images.put(old.get(sha256))
        except CorruptError as exc:
            bad.append(f"{exc}: it is left out")
    return len(new.images), bad


def _carried_over(new: Store, source: Salvaged, plan: _Plan, directory: Path) -> str:
    """Take over the state and its history; a sentence that says from where it goes on."""
    kept, files = plan.checkpoint, Checkpoints(directory / "checkpoints", is_look=True)
    state = None if kept is None else _state(files, kept)
    if kept is None or state is None:
        if plan.start:
            return (
                f"none: the journal began at line {plan.start} and no checkpoint is whole; the "
                "lines are kept, and a start will say that it cannot go on from them"
            )
        late = "; twin rebuild puts late lines in their place" if source.order else ""
        return f"folded from the lines at the next start{late}"
    offset = _moved(plan, kept.offset, new.journal.end)
    fleet = replace(state, offset=offset)
    name, rows = f"{offset:020d}", fleet.recorded
    clock = clock_in(files.read(kept.name, kept.sha256)[1])
    file = new.checkpoints.write(name, tensors(fleet), metadata(fleet, clock))
    entry = Checkpoint(name, offset, rows, file.sha256, file.size, kept.created_ns, durable=True)
    place = Path("trajectories.zarr")
    for part in (place, copies_of(place)):
        if (directory / part).exists():
            shutil.copytree(directory / part, new.directory / part, dirs_exist_ok=True)
    if source.order is not None and not plan.gaps:
        new.journal.catalogue.put_order(source.order, entry)
    new.journal.catalogue.put_checkpoint(entry)
    known = {component.name for component in new.journal.catalogue.components()}
    for name, component in state.components.items():
        if name not in known:
            body = registration(component, 0).body
            before = Registered(name, component.revision, max(0, plan.begin - 1), body)
            new.journal.catalogue.keep_component(source.components.get(name, before))
    return f"that of the checkpoint {kept.name}, at line {kept.offset}"


def _moved(plan: _Plan, offset: int, end: int) -> int:
    """Where the line at an offset stands now, or the first behind it that there is."""
    i = bisect_right(plan.starts, offset) - 1
    if i < 0:
        return plan.begin
    following = plan.places[i + 1] if i + 1 < len(plan.places) else end
    return min(plan.places[i] + offset - plan.starts[i], following)


def _sentence(gap: Gap, plan: _Plan, *, held: bool) -> str:
    first, stop = gap
    if held and plan.checkpoint is not None:
        return (
            f"lines {first} to {stop - 1} of the journal are lost; the state holds what they said "
            f"(checkpoint {plan.checkpoint.name}), no fold can say it again"
        )
    return (
        f"lines {first} to {stop - 1} of the journal are lost and in no state: send them again, "
        "if anybody has them"
    )


def told(report: dict[str, Any]) -> Iterator[str]:
    """A report for a person."""
    yield f"Salvaged {report['from']}, which is as it was, into {report['store']}:"
    yield (
        f"  {report['lines']:,} lines, {report['dead_letters']:,} refused messages, "
        f"{report['images']:,} images"
    )
    yield f"  state: {report['state']}"
    if names := report["registrations_put_back"]:
        yield f"  registrations put back from the catalogue: {', '.join(names)}"
    yield from _listed(report["losses"])
    yield (
        f"To go on with it: move {report['from']} away and {report['store']} in its place, or name "
        "it in storage.directory."
    )


def _listed(losses: Sequence[str]) -> Iterator[str]:
    if not losses:
        yield "Nothing of it is lost."
        return
    yield "Lost:"
    yield from (f"  {sentence}" for sentence in losses)
