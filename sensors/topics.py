"""Where messages live: `{root}/{site}/{component}/{kind}`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, cast, get_args

from sensors.errors import MalformedError
from sensors.refusal import malformed, shown

Kind = Literal["load", "image", "inspection", "state", "event"]
OBSERVED: tuple[Kind, ...] = ("load", "image", "inspection")

# What names are made of, as regular expressions.
LEVEL_PATTERN = "[a-z0-9][a-z0-9-]{0,62}"  # a site, or a component within it
COMPONENT_PATTERN = f"{LEVEL_PATTERN}/{LEVEL_PATTERN}"

_KINDS: dict[str, Kind] = {kind: cast(Kind, kind) for kind in get_args(Kind)}
_version = re.compile(r"v\d{1,3}").fullmatch
_component = re.compile(COMPONENT_PATTERN).fullmatch
_root = re.compile(r"[A-Za-z0-9._-]{1,64}(?:/[A-Za-z0-9._-]{1,64}){0,7}").fullmatch


@dataclass(frozen=True, slots=True)
class Topics:
    """The names under one root; raises ValueError for a root that cannot be one."""

    root: str = "twin/v1"

    def __post_init__(self) -> None:
        if not _root(self.root):
            raise ValueError(
                f"topic root {shown(self.root)} is not 1 to 8 levels of letters, digits, . _ and -"
            )

    def subscription(self, kind: Kind) -> str:
        """The filter that matches every component's topic of this kind."""
        return f"{self.root}/+/+/{kind}"

    @property
    def subscriptions(self) -> list[str]:
        """The filters of everything that sensors publish."""
        return [self.subscription(kind) for kind in OBSERVED]

    @property
    def everything(self) -> str:
        """The filter of all that is published below the root, whatever it is."""
        return f"{self.root}/#"

    @property
    def beside(self) -> list[str]:
        """Filters of what is meant for this root and misses it: another version, none, other case.

        Empty unless the root ends in a version, as the name before it may be anybody's.
        """
        parent, _, version = self.root.rpartition("/")
        if not parent or not _version(version):
            return []
        others = [f"v{i}" for i in range(10) if f"v{i}" != version]
        others += [version.swapcase()]
        cased = [f"{p}/{v}" for p in _cased(parent) for v in (version, version.swapcase())]
        return [
            *(f"{root}/#" for root in cased),
            *(f"{parent}/{other}/#" for other in others),
            *(f"{parent}/+/+/{kind}" for kind in OBSERVED),
        ]

    def is_outgoing(self, topic: str) -> bool:
        """Whether the twin, of this version or another, publishes there itself."""
        if not topic.endswith(("/state", "/event")):
            return False
        return not self.is_below(topic) or topic.count("/") == self.root.count("/") + 3

    def is_below(self, topic: str) -> bool:
        """Whether a topic belongs to this root."""
        return topic == self.root or topic.startswith(f"{self.root}/")

    def parsed(self, topic: str) -> tuple[str, Kind]:
        """The ("site/component", kind) of a topic under this root.

        Raises MalformedError: reason `topic`.
        """
        rest, _, last = topic.rpartition("/")
        kind = _KINDS.get(last)
        root, _, component = rest.rpartition("/")
        root, _, site = root.rpartition("/")
        component = f"{site}/{component}"
        if kind is None or root != self.root:
            raise malformed("topic", f"topic {shown(topic)} {self._amiss(topic)}")
        if not _component(component):
            raise _misnamed("topic", topic)
        return component, kind

    def _amiss(self, topic: str) -> str:
        """What is wrong with a topic that is none of ours, and what it should be."""
        form = f"{self.root}/{{site}}/{{component}}/load, image or inspection"
        if not self.is_below(topic):
            return f"is not below {self.root}: publish to {self._meant(topic) or form}"
        levels = topic[len(self.root) + 1 :].split("/")
        if len(levels) > 3:
            return f"has {len(levels)} levels below {self.root}, not three: publish to {form}"
        if len(levels) < 3:
            lacks = "its site, its component or its kind" if levels != [""] else "all that matters"
            return f"lacks {lacks} below {self.root}: publish to {form}"
        close = get_close_matches(levels[2].strip().lower(), OBSERVED, 1)
        better = f"{self.root}/{levels[0]}/{levels[1]}/{close[0]}" if close else form
        return f"does not end in load, image or inspection: publish to {better}"

    def _meant(self, topic: str) -> str | None:
        """The topic below the root that one of another version, or of none, stands for."""
        parent = self.root.rpartition("/")[0] + "/"
        is_below = topic.lower().startswith(parent.lower())
        levels = (topic[len(parent) :] if is_below else topic).split("/")
        levels = levels[1:] if _version(levels[0].lower()) else levels
        if len(levels) == 3 and levels[2] in OBSERVED and _component("/".join(levels[:2])):
            return f"{self.root}/{'/'.join(levels)}"
        return None

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


def _cased(parent: str) -> list[str]:
    """The ways to write some levels with other capitals: in all of them, or in one."""
    levels = parent.split("/")
    found = [parent.lower(), parent.upper(), "/".join(level.capitalize() for level in levels)]
    found += [
        "/".join([*levels[:i], other, *levels[i + 1 :]])
        for i, level in enumerate(levels)
        for other in (level.lower(), level.upper(), level.capitalize())
    ]
    return [other for other in dict.fromkeys(found) if other != parent]


def _misnamed(what: str, text: str) -> MalformedError:
    return malformed(
        "topic",
        f"{what} {shown(text)} does not name a site and a component "
        "(each 1 to 63 of a-z, 0-9 and -, not starting with -)",
    )
