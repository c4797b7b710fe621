"""A service that is lost under load comes back from its backup and goes on, to the same bits."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

from sensors.mqtt.packets import Message
from sensors.observation import observation
from storage.journal.entry import Entry
from storage.store import Store
from tests.brokers import Broker
from tests.end_to_end.harness import ROOT, Twin, subscribed
from tests.end_to_end.stream import Stream
from tests.end_to_end.traffic import Key, Traffic, _message, fleet, key
from tests.end_to_end.verdict import findings
from twin.archive.aside import UNFINISHED
from twin.archive.verify import checked

FLEET = [table for table in fleet(3) if table["geometry"]["kind"] != "plate"]
NAMES = [table["name"] for table in FLEET]

PATIENT_S = 180.0


def command(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "twin.commands.cli", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def done(*arguments: object) -> str:
    process = command(*arguments)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return said


def killed_in_the_middle(data: Path, place: Path) -> None:
    process = command("backup", place, "--data-dir", data)
    aside = place.with_name(place.name + UNFINISHED)
    while not (aside / "journal.sqlite").exists() and process.poll() is None:
        time.sleep(0.002)
    process.kill()
    process.communicate()


def test_a_store_that_is_lost_comes_back_from_its_backup(tmp_path: Path) -> None:
    """Backed up at full rate, once killed in the middle; restored, started, and sent the rest."""
    (tmp_path / "broker").mkdir()
    traffic = Traffic(NAMES, seed=5, start_ns=time.time_ns() - 86_400 * 10**9)
    with (
        Broker(tmp_path / "broker") as broker,
        Twin(tmp_path / "twin", broker.port, FLEET) as twin,
    ):
        twin.start()
        twin.until(lambda: subscribed(broker), "subscribes")
        sent = []
        with Stream(broker.port, traffic, pause_s=0.5) as stream:
            twin.until(lambda: twin.journal_end() > 60, "keeps lines")
            killed_in_the_middle(twin.data, tmp_path / "backup")
            said = done("backup", tmp_path / "backup", "--data-dir", twin.data)
            sent.append(twin.journal_end())
            twin.until(lambda: twin.journal_end() > sent[0] + 30, "goes on")
            stream.finish()
        assert "Backed up" in said
        assert checked(tmp_path / "backup")["problems"] == []
        twin.until_kept(len(traffic.sent))
        twin.kill()
        twin.data.rename(tmp_path / "lost")
        said = done("restore", tmp_path / "backup", twin.data, "--lost", tmp_path / "lost")
        with Store(twin.data) as store:
            end = store.journal.end
        assert 60 < end < sent[0] + 1
        assert f"Acknowledged after the backup, and in no state: {_lines(tmp_path) - end:,}" in said
        shutil.copytree(twin.data, tmp_path / "restored")
        part = Traffic(NAMES, seed=5, start_ns=0)
        part.sent = _observed(tmp_path / "restored")
        found = findings(tmp_path / "restored", part, twin.clock)
        assert (found.faults, found.damage) == ([], [])  # as one fold of its lines, to the bit
        twin.start(PATIENT_S)
        assert twin.events("damage_found") == []
        again = Again(traffic)
        with Stream(broker.port, again, pause_s=0.0) as stream:  # type: ignore[arg-type]
            stream.finish()
        twin.until_kept(len(traffic.sent))
        twin.stop()
        assert findings(twin.data, traffic, twin.clock).faults == []


class Again:
    """All of it once more, as a publisher does that keeps what it sends."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic

    def second(self) -> list[Message]:
        return []

    def rest(self) -> list[Message]:
        return [_message(observation(entry.body)) for entry in self._traffic.sent.values()]


def _lines(directory: Path) -> int:
    with Store(directory / "lost") as store:
        return store.journal.end


def _observed(directory: Path) -> dict[Key, Entry]:
    with Store(directory) as store:
        entries = [entry for _, batch in store.journal.read(0) for entry in batch]
    return {key(entry): entry for entry in entries if entry.kind == "observation"}
