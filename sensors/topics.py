"""Where messages live: `{root}/{site}/{component}/{kind}`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast, get_args

from sensors.errors import MalformedError
from sensors.refusal import malformed, shown

Kind = Literal["load", "image", "inspection", "state", "event"]
OBSERVED: tuple[Kind, ...] = ("load", "image", "inspection")

_KINDS: dict[str, Kind] = {kind: cast(Kind, kind) for kind in get_args(Kind)}
_component = re.compile(r"[a-z0-9][a-z0-9-]{0,62}/[a-z0-9][a-z0-9-]{0,62}").fullmatch
_root = re.compile(r"[A-Za-z0-9._-]{1,64}(?:/[A-Za-z0-9._-]{1,64}){0,7}").fullmatch


@dataclass(frozen=True, slots=True)
class Topics:
    """The names under one root; raises ValueError for a root that cannot be one."""

    root: str = "twin/v1"

    def __post_init__(self) -> None:
        if not _root(self.root):
            raise ValueError(
                f"topic root {self.root!r} is not 1 to 8 levels of letters, digits, '.', '_', '-'"
            )

    def subscription(self, kind: Kind) -> str:
        """The filter that matches every component's topic of this kind."""
        return f"{self.root}/+/+/{kind}"

    @property
    def subscriptions(self) -> list[str]:
        """The filters of everything that sensors publish."""
        return [self.subscription(kind) for kind in OBSERVED]

    def parsed(self, topic: str) -> tuple[str, Kind]:
        """The ("site/component", kind) of a topic under this root.

        Raises MalformedError: reason `topic`.
        """
        rest, _, last = topic.rpartition("/")
        kind = _KINDS.get(last)
        if kind is None:
            raise malformed(
                "topic", f"topic {shown(topic)} does not end in one of {', '.join(_KINDS)}"
            )
        root, _, component = rest.rpartition("/")
        root, _, site = root.rpartition("/")
        component = f"{site}/{component}"
        if root != self.root:
            raise malformed("topic", f"topic {shown(topic)} is not {self.root}/site/component/kind")
        if not _component(component):
            raise _misnamed("topic", topic)
        return component, kind

    def of(self, component: str, kind: Kind) -> str:
        """The topic of a "site/component"; raises MalformedError (reason `topic`)."""
        if not _component(component):
            raise _misnamed("component", component)
        return f"{self.root}/{component}/{kind}"

    def load(self, component: str) -> str:
        """Where the component's series and spectra are published."""
        return self.of(component, "load")

    def image(self, component: str) -> str:
        """Where the component's images are published."""
        return self.of(component, "image")

    def inspection(self, component: str) -> str:
        """Where the component's measured crack lengths are published."""
        return self.of(component, "inspection")

    def state(self, component: str) -> str:
        """Where the twin publishes what it believes, retained."""
        return self.of(component, "state")

    def event(self, component: str) -> str:
        """Where the twin publishes what happened."""
        return self.of(component, "event")


def _misnamed(what: str, text: str) -> MalformedError:
    return malformed(
        "topic",
        f"{what} {shown(text)} does not name a site and a component "
        "(each 1 to 63 of a-z, 0-9 and -, not starting with -)",
    )
