"""What is registered, against the fleet file as it was read at the start.

The file adds and changes; it takes nothing away, and what was changed over HTTP since goes before
it. Both are told: a part that is thought to be gone lives on, one that is thought changed is not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import structlog

from twin.component import Component, Registration

Apart = Literal["missing", "differs"]
HOW: tuple[Apart, ...] = get_args(Apart)
NAMED = 20  # components that a line of the log names

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class FleetFileDrift:
    """The registrations of a file; none where no file is named."""

    wanted: Mapping[str, Registration] | None = None

    def apart(self, component: Component) -> Apart | None:
        """`missing`: not in the file that registered it; `differs`: changed over HTTP since."""
        if self.wanted is None:
            return None
        wanted = self.wanted.get(component.name)
        if wanted is None:
            by_file = component.registered_by == "file" and not component.retired
            return "missing" if by_file else None
        if component.registered_by == "file":
            return None
        return "differs" if component.retired or component.registration != wanted else None

    def counts(self, components: Iterable[Component]) -> dict[Apart, int]:
        """How many of them are apart, by how."""
        found = Counter(self.apart(component) for component in components)
        return {how: found[how] for how in HOW}

    def tell(self, components: Mapping[str, Component], file: str) -> None:
        """Log who is missing in the file, and those that differ: the first, and how many more."""
        missing = sorted(n for n, c in components.items() if self.apart(c) == "missing")
        if missing:
            log.warning(
                "fleet_file_lacks",
                count=len(missing),
                components=missing[:NAMED],
                file=file,
                what="registered by the file once, and not in it: they live on. DELETE them over "
                "HTTP to retire them, or put them back",
            )
        differ = [c for c in components.values() if self.apart(c) == "differs"]
        for component in differ[:NAMED]:
            log.warning("fleet_file_differs", component=component.name, revision=component.revision)
        if len(differ) > NAMED:
            log.warning("fleet_file_differs_more", count=len(differ) - NAMED, file=file)


def told_without(components: Mapping[str, Component]) -> None:
    """Log who was registered by a fleet file where none is named any more."""
    names = sorted(n for n, c in components.items() if c.registered_by == "file" and not c.retired)
    if names:
        log.warning(
            "fleet_file_not_named",
            count=len(names),
            components=names[:NAMED],
            what="registered by a fleet file once; the setting fleet names none: they live on",
        )


def wanted_by_file(now: Component | None, name: str, wanted: Registration) -> Component | None:
    """The change that the fleet file asks for, if any."""
    if now is None:
        return Component(name=name, revision=1, registered_by="file", registration=wanted)
    if now.registration == wanted and not now.retired:
        return None
    if now.registered_by == "api":
        return None
    return Component(
        name=name, revision=now.revision + 1, registered_by="file", registration=wanted
    )
