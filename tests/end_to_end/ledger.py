"""What clients were promised beyond MQTT loads, held against a journal, a store and a broker."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import aiomqtt

from sensors.observation import ImageFinding, Inspection, observation
from storage.journal.entry import Entry
from storage.store import Store
from tests.end_to_end.desks import Post, Wanted
from tests.end_to_end.traffic import Key, key
from twin.belief.lines import COMPONENT, OBSERVATION
from twin.component import Component
from twin.reserved import HTTP, IMAGE

SHOWN = 5  # offenders that a sentence names


@dataclass
class Ledger:
    """What has to be there, and nothing else."""

    sent: dict[Key, Entry] = field(default_factory=dict)  # by sensors and cameras
    posts: set[Post] = field(default_factory=set)  # inspections by HTTP
    revisions: dict[str, list[Wanted]] = field(default_factory=dict)  # registrations by HTTP
    filed: set[str] = field(default_factory=set)  # parts of the fleet file
    cracks: set[Key] = field(default_factory=set)  # pictures that are read
    pictures: dict[str, bytes] = field(default_factory=dict)  # by their SHA-256
    garbage: dict[str, list[bytes]] = field(default_factory=dict)  # letters that stay, by part

    @property
    def least(self) -> int:
        """Lines that the journal has at least."""
        changes = sum(map(len, self.revisions.values()))
        own = len(self.sent) + len(self.posts) + len(self.cracks)
        return own + changes + len(self.filed)

    def faults(self, entries: Sequence[Entry], store: Store) -> list[str]:
        """What is missing, there twice, altered, or was never promised."""
        heard = [e for e in entries if e.kind == OBSERVATION and e.source not in (HTTP, IMAGE)]
        return [
            *_kept_once(heard, self.sent),
            *self._posted(e for e in entries if e.kind == OBSERVATION and e.source == HTTP),
            *self._read(e for e in entries if e.kind == OBSERVATION and e.source == IMAGE),
            *self._registered([e for e in entries if e.kind == COMPONENT]),
            *self._pictured(store),
            *self._lettered(store),
        ]

    def _posted(self, entries: Iterable[Entry]) -> list[str]:
        found = Counter[Post]()
        for entry in entries:
            what = observation(entry.body)
            assert isinstance(what, Inspection), f"{what} under the name of HTTP"
            found[what.component, what.t_ns, what.crack_length] += 1
        return _compared("inspections by HTTP", found, self.posts)

    def _read(self, entries: Iterable[Entry]) -> list[str]:
        read, measured = Counter[Key](), Counter[str]()
        for entry in entries:
            what = observation(entry.body)
            if isinstance(what, ImageFinding):
                read[what.component, what.image_source, what.image_boot, what.image_seq] += 1
            elif isinstance(what, Inspection):
                measured[what.sha256] += 1
        faults = _compared("pictures that were read", read, self.cracks)
        if strange := measured.keys() - self.pictures.keys():
            faults.append(f"{len(strange)} inspections are from pictures that nobody sent")
        if measured.total() > read.total():
            faults.append(f"{measured.total()} lengths were read in {read.total()} pictures")
        return faults

    def _registered(self, entries: Sequence[Entry]) -> list[str]:
        """Each part's changes are those that were promised, one after the other."""
        found: dict[str, list[tuple[int, Wanted]]] = {}
        for entry in entries:
            what = Component.model_validate_json(entry.body)
            wanted = Wanted(what.registration.crack.crack_limit, what.retired)
            found.setdefault(what.name, []).append((what.revision, wanted))
        faults = [
            f"{name} of the fleet file is registered as {found.get(name)}"
            for name in self.filed
            if [revision for revision, _ in found.get(name, [])] != [1]
        ]
        for name, revisions in self.revisions.items():
            if found.get(name, []) != list(enumerate(revisions, start=1)):
                faults.append(f"{name} was promised {revisions}, the journal has {found.get(name)}")
        if others := found.keys() - self.filed - self.revisions.keys():
            faults.append(f"{sorted(others)} were never registered")
        return faults

    def _pictured(self, store: Store) -> list[str]:
        found = set(store.images.names())
        faults = _compared("files of pictures", Counter(found), self.pictures.keys())
        for name in found & self.pictures.keys():
            if hashlib.sha256(store.images.get(name)).hexdigest() != name:
                faults.append(f"image {name} is not what was sent")
        return faults

    def _lettered(self, store: Store) -> list[str]:
        """What stays refused is kept, and what was judged again is not."""
        letters = [kept.letter for kept in store.journal.dead_letters.list(100_000)]
        faults = []
        for name, payloads in self.garbage.items():
            own = [x for x in letters if f"/{name}/" in x.topic]
            kept = {x.payload for x in own}
            if lost := set(payloads) - kept:
                faults.append(f"{len(lost)} refused messages of {name} are not kept")
            if left := [x for x in own if x.payload not in payloads]:
                faults.append(f"{len(left)} messages of {name} were judged again and are letters")
        return faults


def _kept_once(kept: Sequence[Entry], sent: Mapping[Key, Entry]) -> list[str]:
    altered = {key(e) for e in kept if key(e) in sent and sent[key(e)] != e}
    faults = _compared("observations", Counter(map(key, kept)), sent.keys())
    return faults + ([f"{len(altered)} observations are not what was sent"] if altered else [])


def _compared(what: str, found: Counter[Any], promised: Iterable[Any]) -> list[str]:
    wanted = set(promised)
    lost, strange = wanted - found.keys(), found.keys() - wanted
    twice = {item for item, count in found.items() if count > 1}
    told = (("were promised and are not there", lost), ("nobody was promised", strange))
    sentences = (*told, ("are there more than once", twice))
    return [
        f"{len(items)} {what} {sentence}: {', '.join(map(str, islice(sorted(items), SHOWN)))}"
        for sentence, items in sentences
        if items
    ]


async def retained(port: int, root: str = "twin/v1") -> dict[str, dict[str, Any]]:
    """The states that a broker keeps for newcomers, by component."""
    found: dict[str, dict[str, Any]] = {}
    v5 = aiomqtt.ProtocolVersion.V5
    async with aiomqtt.Client("127.0.0.1", port, protocol=v5) as client:
        await client.subscribe(f"{root}/+/+/state")
        await client.subscribe("end")
        await client.publish("end", b"")
        async for seen in client.messages:
            if seen.topic.value == "end":
                return found
            if seen.retain and isinstance(seen.payload, bytes):
                name = seen.topic.value.removeprefix(f"{root}/").removesuffix("/state")
                found[name] = json.loads(seen.payload)
    raise AssertionError("the broker hung up")
