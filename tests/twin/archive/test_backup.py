"""A backup is of one moment, whole or not there; what is put back is what was, to the bit."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from storage import pieces
from storage.backup import store_copy
from storage.errors import CorruptError, MissingError, StorageError, UnavailableError
from storage.images import LENT
from storage.journal.catalogue import Checkpoint
from storage.journal.copy import JournalCopy
from storage.pieces import Throttle
from storage.space import Space
from storage.store import JOURNAL, Store
from tests.storage.conftest import entry, files_bounded, flip, kept, letter
from tests.twin.belief.test_fold import assert_same
from tests.twin.fleets import CLOCK, T0, component, spectrum
from twin.archive import restore as restoring
from twin.archive.aside import UNFINISHED
from twin.archive.backup import backed_up, told
from twin.archive.checkpoint import metadata, tensors
from twin.archive.opening import mark
from twin.archive.recovery import recovered
from twin.archive.release import RELEASE, latest
from twin.archive.release import damage as damaged_mark
from twin.archive.restore import restored
from twin.archive.verify import checked
from twin.belief.fleet import EMPTY, Fleet
from twin.belief.fold import folded
from twin.belief.lines import lines, observed, registration
from twin.errors import SettingsError
from twin.kinds.crack_fields import GROUP

PARTS = ("plant/press-1", "plant/press-2")

State = tuple[Fleet, list[int]]


class Hall:
    """A store that is written to as a service does, a minute of event time at a time."""

    def __init__(self, store: Store) -> None:
        found = recovered(store, CLOCK)
        self.store, self.fleet, self.recorder = store, found.fleet, found.recorder
        self._seq = count(max(0, store.journal.end // len(PARTS) - 1))
        if not store.journal.end:
            self._append([registration(component(name), T0) for name in PARTS])

    def _append(self, entries: list) -> None:  # type: ignore[type-arg]
        self.store.journal.append(entries, now_ns=time.time_ns())
        result = folded(self.fleet, lines(entries), CLOCK)
        self.fleet = result.fleet
        self.recorder.add(result.rows)

    def minutes(self, number: int) -> None:
        """Spectra of every part, an image and a refused message every ten minutes."""
        numbers = [next(self._seq) for _ in range(number)]
        spectra = [spectrum(i, 60.0 * i, name) for i in numbers for name in PARTS]
        for seq in (i for i in numbers if i % 10 == 0):
            self.store.images.put(f"image {seq}".encode() * 100)
            self.store.journal.append((), [letter(f"{seq}".encode())], now_ns=time.time_ns())
        self._append([observed(line.what) for line in spectra])  # type: ignore[arg-type]

    def join(self, name: str) -> None:
        """Register one more part."""
        self._append([registration(component(name), T0)])

    def flush(self) -> None:
        rows = self.recorder.flush()
        self.store.journal.catalogue.put_array(GROUP, rows[GROUP])

    def checkpoint(self) -> None:
        self.flush()
        name = f"{self.fleet.offset:020d}"
        file = self.store.checkpoints.write(name, tensors(self.fleet), metadata(self.fleet, CLOCK))
        rows = {GROUP: self.fleet.rows}
        self.store.journal.catalogue.put_checkpoint(
            Checkpoint(name, self.fleet.offset, rows, file.sha256, file.size, time.time_ns(), True)
        )
        self.store.keep_checkpoints(2)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store, and a backup of it that was made while it was in use."""
    directory = tmp_path_factory.mktemp("made")
    with Store(directory / "data") as store:
        hall = Hall(store)
        for _ in range(4):
            hall.minutes(10)
        hall.checkpoint()
        hall.minutes(7)
        backed_up(directory / "data", directory / "backup")
        assert store.journal.end == 2 + 47 * 2
    return directory


@pytest.fixture
def hall(made: Path, tmp_path: Path) -> Iterator[Hall]:
    """That store, in use."""
    shutil.copytree(made / "data", tmp_path / "data")
    with Store(tmp_path / "data") as store:
        yield Hall(store)


@pytest.fixture
def backup(made: Path, tmp_path: Path) -> Path:
    """A backup of it as it is at first."""
    shutil.copytree(made / "backup", tmp_path / "backup")
    return tmp_path / "backup"


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_copy, "Throttle", lambda: lambda: None)


def as_one_fold(place: Path, origin: Store) -> None:
    """What a service would go on from is the fold of the lines that the store had, bit for bit."""
    with Store(place) as store:
        end = store.journal.end
        assert kept(store.journal) == kept(origin.journal, 0, end)
        found = recovered(store, CLOCK)
        assert found.damage == []
        found.recorder.flush()
        whole = folded(EMPTY, lines(kept(origin.journal, 0, end)), CLOCK)
        assert_same(found.fleet, whole.fleet)
        assert store.trajectories.committed(GROUP) == len(whole.rows)
        assert store.trajectories.times(GROUP).tolist() == [row.t_ns for row in whole.rows]
        assert store.verify() == []


def test_a_backup_is_restored_to_the_bit(hall: Hall, tmp_path: Path, backup: Path) -> None:
    hall.minutes(30)
    hall.checkpoint()
    report = restored(backup, tmp_path / "new")
    assert (report["lines"], report["problems"]) == (96, [])
    as_one_fold(tmp_path / "new", hall.store)
    assert mark(tmp_path / "new").exists()  # an empty place there would be no fresh twin


def test_a_plain_copy_of_a_backup_is_a_store(hall: Hall, tmp_path: Path, backup: Path) -> None:
    shutil.copytree(backup, tmp_path / "new")
    as_one_fold(tmp_path / "new", hall.store)


def test_a_stopped_store_is_backed_up_as_well_and_stays_as_it_is(tmp_path: Path) -> None:
    with Store(tmp_path / "data") as store:
        made = Hall(store)
        made.minutes(5)
        made.checkpoint()
    before = contents(tmp_path / "data")
    backed_up(tmp_path / "data", tmp_path / "backup")
    assert contents(tmp_path / "data") == before
    with Store(tmp_path / "data") as store:
        restored(tmp_path / "backup", tmp_path / "new")
        as_one_fold(tmp_path / "new", store)


def contents(directory: Path) -> dict[str, str]:
    """Every file and its digest."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("*")
        if path.is_file()
    }


@contextmanager
def writing(hall: Hall) -> Iterator[None]:
    """Write without rest: lines, rows, checkpoints, images, letters, new parts."""
    enough, failure = threading.Event(), list[BaseException]()

    def write() -> None:
        try:
            for i in count():
                if enough.is_set():
                    return
                hall.minutes(2)
                time.sleep(0.02)  # it is to be written to, not to grow
                if i % 2 == 0:
                    hall.flush()
                if i % 5 == 0:
                    hall.checkpoint()
                if i % 10 == 0:
                    hall.join(f"plant/later-{i}")
        except BaseException as exc:
            failure.append(exc)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()
    assert not failure, failure


def test_backups_beside_a_writer_are_each_of_one_moment(hall: Hall, tmp_path: Path) -> None:
    ends = []
    with writing(hall):
        for i in range(6):
            report = backed_up(tmp_path / "data", tmp_path / f"backup-{i}")
            assert report["problems"] == []
            ends.append(report["end"])
    assert ends == sorted(ends)
    assert len(set(ends)) > 2
    assert hall.store.verify() == []
    for i in range(6):
        assert checked(tmp_path / f"backup-{i}")["problems"] == []
    for i in (2, 5):
        as_one_fold(tmp_path / f"backup-{i}", hall.store)


def test_rows_and_parts_that_came_after_the_moment_are_not_in_the_copy(
    hall: Hall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trajectory is copied after the journal, and may have gone on."""
    hall.flush()
    rest = store_copy._rest

    def later(*args: object, **named: object) -> Iterator[str]:
        hall.join("plant/late")
        hall.minutes(300)
        hall.checkpoint()
        yield from rest(*args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(store_copy, "_rest", later)
    report = backed_up(tmp_path / "data", tmp_path / "backup")
    assert (report["end"], report["rows"]) == (96, {GROUP: 46})
    as_one_fold(tmp_path / "backup", hall.store)


def test_a_trajectory_that_is_exchanged_meanwhile_is_copied_again(
    hall: Hall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the service has caught up with late data."""
    tries = count(1)
    rest = store_copy._rest
    monkeypatch.setattr(time, "sleep", lambda _: None)

    def exchanged(*args: object, **named: object) -> Iterator[str]:
        yield from rest(*args, **named)  # type: ignore[arg-type]
        if next(tries) == 1:
            monkeypatch.setattr(JournalCopy, "generation", lambda _: 0)

    monkeypatch.setattr(store_copy, "_rest", exchanged)
    monkeypatch.setattr(JournalCopy, "generation", lambda _: 1)
    report = backed_up(tmp_path / "data", tmp_path / "backup")
    assert (next(tries), report["problems"]) == (2, [])


def test_one_that_is_exchanged_again_and_again_is_not_copied(
    hall: Hall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(JournalCopy, "generation", lambda _: 1)
    with pytest.raises(UnavailableError, match="try again later"):
        backed_up(tmp_path / "data", tmp_path / "backup")
    assert hall.store.journal.end == 96
    assert left(tmp_path) == []


def left(directory: Path) -> list[str]:
    """What there is beside the store and what it keeps beside it."""
    return sorted(p.name for p in directory.iterdir() if not p.name.startswith(("data", "new")))


def test_an_image_that_is_not_settled_is_settled_at_the_next_start(
    hall: Hall, tmp_path: Path
) -> None:
    sha256 = hall.store.images.lend(b"on its way", hall.store.journal.end)
    backed_up(tmp_path / "data", tmp_path / "backup")
    hall.store.images.settle(sha256, kept=True)
    with Store(tmp_path / "backup") as store:
        assert store.images.unsettled() == {sha256: 96}
        assert list((tmp_path / "backup").rglob(f"*{LENT}"))


def test_what_retention_drops_while_it_is_copied_is_not_in_the_copy(
    hall: Hall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow = JournalCopy.follow

    def dropping(self: JournalCopy) -> None:
        follow(self)
        hall.store.journal.prune(60)
        hall.store.journal.dead_letters.remove(2)

    monkeypatch.setattr(JournalCopy, "follow", dropping)
    backed_up(tmp_path / "data", tmp_path / "backup")
    start = hall.store.journal.start
    with Store(tmp_path / "backup") as store:
        assert (store.journal.start, store.journal.end) == (start, 96)
        assert start == 42
        assert [kept.id for kept in store.journal.dead_letters.list()] == [1, 3, 4, 5]
        assert store.journal.dead_letters.last == 5
        assert store.verify() == []
        assert_same(recovered(store, CLOCK).fleet, hall.fleet)


def test_the_seal_of_a_copy_says_how_far_it_goes(hall: Hall, tmp_path: Path, backup: Path) -> None:
    connection = sqlite3.connect(backup / JOURNAL)
    connection.execute("DELETE FROM commits WHERE first >= 80")
    connection.commit()
    connection.close()
    problems = checked(backup)["problems"]
    assert any("are lost" in text for text in problems)
    assert hall.store.journal.end == 96


def test_nothing_is_written_over_and_nothing_into_the_store(
    hall: Hall, tmp_path: Path, backup: Path
) -> None:
    data = tmp_path / "data"
    before = contents(backup)
    with pytest.raises(SettingsError, match="never written over"):
        backed_up(data, backup)
    with pytest.raises(SettingsError, match=r"disk not mounted"):
        backed_up(data, tmp_path / "none" / "backup")
    with pytest.raises(SettingsError, match="is within"):
        backed_up(data, data / "backup")
    with pytest.raises(SettingsError, match="no data directory"):
        backed_up(tmp_path / "other", tmp_path / "another")
    assert contents(backup) == before
    assert left(tmp_path) == ["backup"]
    assert hall.store.verify() == []


def test_a_full_disk_is_told_and_nothing_is_left(
    hall: Hall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hall.minutes(200)
    hall.checkpoint()
    with files_bounded(64 << 10), pytest.raises(UnavailableError, match=r"cannot be written|obey"):
        backed_up(tmp_path / "data", tmp_path / "backup")
    assert left(tmp_path) == []
    monkeypatch.setattr(store_copy, "space", lambda _: Space(10_000_000, 10**9, False))
    with pytest.raises(UnavailableError, match=r"has 10 MB free.*nothing was copied"):
        backed_up(tmp_path / "data", tmp_path / "backup")
    assert left(tmp_path) == []


def test_a_disk_that_does_not_keep_what_it_is_given_is_told(
    hall: Hall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = pieces.sync_tree

    def flipping(directory: Path) -> None:
        flip(next((directory / "checkpoints").iterdir()), 100)
        whole(directory)

    monkeypatch.setattr(store_copy, "sync_tree", flipping)
    with pytest.raises(UnavailableError, match="does not keep"):
        backed_up(tmp_path / "data", tmp_path / "backup")
    assert left(tmp_path) == []
    assert hall.store.verify() == []


def test_a_damaged_store_is_copied_as_it_is_and_that_is_told(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Store(data) as store:
        made = Hall(store)
        made.minutes(40)
        made.checkpoint()
    blob = spectrum(3, 180.0, PARTS[0]).what
    raw = (data / JOURNAL).read_bytes()
    at = raw.index(observed(blob).body)  # type: ignore[arg-type]
    flip(data / JOURNAL, at + 30)
    shard = next((data / "trajectories.zarr").rglob("crack_length/c/0/0"))
    flip(shard, 10)
    report = backed_up(data, tmp_path / "backup")
    said = "\n".join(told(report))
    assert "do not match their checksum" in said
    assert f"{shard} is damaged" in said
    assert "keep the one before" in said
    assert len(report["problems"]) == 2
    assert restored(tmp_path / "backup", tmp_path / "new")["problems"] == report["problems"]


def test_a_journal_whose_log_has_to_be_mended_is_not_copied(tmp_path: Path) -> None:
    """A copy would end where the damage is, and say nothing."""
    data, run = tmp_path / "data", tmp_path / "run"
    with Store(run) as store:
        for i in range(20):
            store.journal.append([entry(i)], now_ns=T0)
        shutil.copytree(run, data)
    log = data / f"{JOURNAL}-wal"
    flip(log, log.stat().st_size // 2)
    with pytest.raises(CorruptError, match="twin serve start, which mends it"):
        backed_up(data, tmp_path / "backup")
    assert left(tmp_path) == ["run"]


def stopped(data: Path) -> State:
    """A store at rest, and what is believed of it."""
    with Store(data) as store:
        hall = Hall(store)
        hall.minutes(40)
        hall.checkpoint()
        return hall.fleet, store.trajectories.times(GROUP).tolist()


def damage(path: Path, how: str) -> None:
    if how == "removed":
        path.unlink()
    else:
        flip(path, path.stat().st_size // 2 if path.stat().st_size > 100 else 0)


@pytest.mark.parametrize("how", ["flipped", "removed"])
@pytest.mark.parametrize("name", ["zarr.json", "time/c/0", "component/c/0"])
def test_a_history_that_its_own_copies_can_mend_is_whole_in_the_backup(
    tmp_path: Path, name: str, how: str
) -> None:
    data, back = tmp_path / "data", tmp_path / "back"
    _, times = stopped(data)
    damage(data / "trajectories.zarr" / GROUP / name, how)
    report = backed_up(data, tmp_path / "backup")
    (said,) = report["problems"]
    assert said.startswith(f"{data / 'trajectories.zarr' / GROUP / name} was damaged or gone")
    assert "restored from its copy, in the backup" in said
    restored(tmp_path / "backup", back)
    with Store(back) as store:
        assert store.verify() == []
        assert store.trajectories.times(GROUP).tolist() == times


@pytest.mark.parametrize(
    ("name", "how", "said"),
    [
        ("layout", "flipped", "a start writes it again"),
        ("layout", "removed", "was gone: a start writes it again"),
        ("release", "flipped", "is not as it was written"),
    ],
)
def test_a_damaged_short_file_keeps_no_backup_from_being_made(
    tmp_path: Path, name: str, how: str, said: str
) -> None:
    data = tmp_path / "data"
    stopped(data)
    damage(data / name, how)
    assert any(said in text for text in checked(data)["problems"])
    report = backed_up(data, tmp_path / "backup")
    assert [said in text for text in report["problems"]] == [True]
    restored(tmp_path / "backup", tmp_path / "new")
    with Store(tmp_path / "new") as store:
        recovered(store, CLOCK)
    assert checked(tmp_path / "new")["problems"] == []


def test_no_bit_of_the_mark_of_the_release_makes_a_backup_that_nothing_can_restore(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    stopped(data)
    whole = (data / "release").read_bytes()
    for at in range(8 * len(whole)):
        bits = bytearray(whole)
        bits[at // 8] ^= 1 << at % 8
        (data / "release").write_bytes(bits)
        assert latest(data) == RELEASE
        assert len(damaged_mark(data)) == 1
    (data / "release").write_text("9.0.0\n")  # as the release before this one wrote it
    assert latest(data) == "9.0.0"


@pytest.mark.parametrize("size", [0, 5000, 20_000])
def test_a_journal_that_cannot_be_read_is_refused_with_what_to_do(
    tmp_path: Path, size: int
) -> None:
    data = tmp_path / "data"
    stopped(data)
    path = data / JOURNAL
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CorruptError, match="twin salvage --data-dir"):
        backed_up(data, tmp_path / "backup")
    assert left(tmp_path) == []


@pytest.mark.parametrize("delay_s", [0.0, 0.1])
def test_a_backup_that_is_killed_is_none_and_the_next_one_is(
    hall: Hall, tmp_path: Path, delay_s: float
) -> None:
    hall.minutes(30)
    data, place = tmp_path / "data", tmp_path / "backup"
    code = (
        "import sys, time; from pathlib import Path; from storage.backup import store_copy; "
        "store_copy.Throttle = lambda: lambda: time.sleep(0.02); "
        "from twin.archive.backup import backed_up; backed_up(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(data), str(place)])
    aside = place.with_name(place.name + UNFINISHED)
    deadline = time.monotonic() + 60
    while not (aside / JOURNAL).exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    with pytest.raises(SettingsError, match="another command is just making"):
        backed_up(data, place)
    time.sleep(delay_s)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    assert left(tmp_path) == [aside.name]
    with pytest.raises(MissingError, match="no backup"):
        restored(aside, tmp_path / "new")
    assert backed_up(data, place)["problems"] == []
    assert left(tmp_path) == ["backup"]
    as_one_fold(place, hall.store)


def test_the_journal_is_copied_in_bounded_memory(tmp_path: Path) -> None:
    with Store(tmp_path / "data") as store:
        for i in range(64):
            store.journal.append([entry(i, body=os.urandom(1 << 20))], now_ns=T0)
        tracemalloc.start()
        copy = JournalCopy(
            tmp_path / "data" / JOURNAL, tmp_path / "copy.sqlite", Throttle(0.0), is_in_use=True
        )
        copy.follow()
        copy.settle(lambda _: None)
        copy.close()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 24 << 20


CLASSES = (
    JOURNAL,
    "journal.mark",
    "layout",
    "manifest.json",
    "checkpoints/*.safetensors",
    "images/??/*",
    "copies/trajectories/crack/zarr.json",
    "trajectories.zarr/zarr.json",
    "trajectories.zarr/crack/zarr.json",
    "trajectories.zarr/crack/time/c/0",
    "trajectories.zarr/crack/cycles/c/0/0",
)


@pytest.mark.parametrize("pattern", CLASSES)
@pytest.mark.parametrize("how", ["flipped", "cut", "removed", "emptied"])
def test_damage_to_a_backup_is_found_and_nothing_is_restored(
    tmp_path: Path, backup: Path, pattern: str, how: str
) -> None:
    path = min(backup.glob(pattern))
    size = path.stat().st_size
    if how == "flipped":
        flip(path, size // 3, 5)
    elif how == "cut":
        os.truncate(path, size - 1)
    elif how == "emptied":
        os.truncate(path, 0)
    else:
        path.unlink()
    with pytest.raises((CorruptError, MissingError), match=path.name):
        restored(backup, tmp_path / "new")
    assert not list(tmp_path.glob("new*"))


def test_what_is_added_to_a_backup_is_found(tmp_path: Path, backup: Path) -> None:
    (backup / "journal.sqlite-wal").write_bytes(b"more")
    with pytest.raises(CorruptError, match="is not part of the backup"):
        restored(backup, tmp_path / "new")


def test_nothing_is_put_over_a_store_or_beside_a_service(
    hall: Hall, tmp_path: Path, backup: Path
) -> None:
    with pytest.raises(SettingsError, match="a service or another command uses"):
        restored(backup, tmp_path / "data")
    hall.store.close()
    with pytest.raises(SettingsError, match="holds a store"):
        restored(backup, tmp_path / "data")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "file").touch()
    with pytest.raises(SettingsError, match="not an empty directory"):
        restored(backup, tmp_path / "new")
    with pytest.raises(SettingsError, match="disk not mounted"):
        restored(backup, tmp_path / "none" / "data")
    (tmp_path / "new" / "file").unlink()
    restored(backup, tmp_path / "new")


def test_a_disk_without_room_takes_no_part_of_a_backup(
    tmp_path: Path, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with files_bounded(16 << 10), pytest.raises(UnavailableError):
        restored(backup, tmp_path / "new")
    monkeypatch.setattr(restoring, "space", lambda _: Space(10_000_000, 10**9, False))
    with pytest.raises(UnavailableError, match=r"has 10 MB free|10 MB free"):
        restored(backup, tmp_path / "new")
    assert not list(tmp_path.glob("new*"))


def test_what_came_after_the_backup_is_told_from_what_is_left(
    hall: Hall, tmp_path: Path, backup: Path
) -> None:
    hall.minutes(3)
    hall.join("plant/late")
    hall.store.journal.append((), [letter()], now_ns=T0)
    hall.store.close()
    data = tmp_path / "data"
    data.rename(tmp_path / "data.lost")
    report = restored(backup, data)
    missing = report["missing"]
    assert (missing["lines"], missing["dead_letters"]) == (7, 1)
    told_ = "\n".join(restoring.told(report))
    assert "plant/press-1 daq boot 1: numbers 47 to 49" in told_
    assert "twin replay" in told_
    (tmp_path / "data.lost" / JOURNAL).write_bytes(b"gone")  # the seal is left
    shutil.rmtree(data)
    report = restored(backup, data)
    assert (report["missing"]["lines"], report["missing"]["streams"]) == (7, [])
    assert "Whose they were cannot be told" in "\n".join(restoring.told(report))


def test_what_is_sent_again_after_a_restore_is_taken_once(
    hall: Hall, tmp_path: Path, backup: Path
) -> None:
    """Publishers and `twin replay` send with the numbers that it had."""
    hall.minutes(9)
    entries = [e for e in kept(hall.store.journal) if e.kind == "observation"]
    expected = hall.fleet
    restored(backup, tmp_path / "new")
    with Store(tmp_path / "new") as store:
        outcomes = store.journal.append(entries, now_ns=T0).outcomes
        assert [o.value for o in outcomes] == ["duplicate"] * 94 + ["accepted"] * 18
        assert_same(recovered(store, CLOCK).fleet, expected)


def test_an_older_journal_alone_is_not_put_back_unnoticed(
    hall: Hall, tmp_path: Path, backup: Path
) -> None:
    """With its seal it is in itself as it was; the states beside it are of lines that it lacks."""
    hall.minutes(5)
    hall.checkpoint()
    hall.checkpoint()
    hall.store.close()
    for name in (JOURNAL, "journal.mark"):
        shutil.copy(backup / name, tmp_path / "data" / name)
    with (
        Store(tmp_path / "data") as store,
        pytest.raises(CorruptError, match=r"ends at line 96.*of line 0*106.*twin salvage"),
    ):
        recovered(store, CLOCK)


def test_a_backup_of_a_later_release_says_which(
    tmp_path: Path, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restoring, "RELEASE", "0.0.1")
    with pytest.raises(StorageError, match=r"this is 0\.0\.1: restore it with"):
        restored(backup, tmp_path / "new")


def test_what_no_backup_has_left_is_never_removed(tmp_path: Path, hall: Hall) -> None:
    """The store itself was emptied, where it had the name of an unfinished backup."""
    hall.minutes(3)
    place = tmp_path / "bk"
    aside = place.with_name(place.name + UNFINISHED)
    store = tmp_path / "other"
    shutil.copytree(tmp_path / "data", store)
    for make in (lambda: store.rename(aside), lambda: aside.symlink_to(tmp_path / "data")):
        make()
        with pytest.raises(SettingsError, match="no command of the twin has left it"):
            backed_up(aside, place)
        with pytest.raises(SettingsError, match="no command of the twin has left it"):
            backed_up(tmp_path / "data", place)
        assert (aside / JOURNAL).is_file()
        shutil.rmtree(aside) if not aside.is_symlink() else aside.unlink()
    aside.mkdir()
    (aside / "mine.txt").write_text("mine")
    with pytest.raises(SettingsError, match="no command of the twin has left it"):
        backed_up(tmp_path / "data", place)
    assert (aside / "mine.txt").read_text() == "mine"


def copy_of(hall: Hall, tmp_path: Path) -> Path:
    """A store as a SIGKILL leaves it: all lines are in the log."""
    hall.minutes(12)
    hall.checkpoint()
    return Path(shutil.copytree(tmp_path / "data", tmp_path / "killed"))


def test_a_log_and_a_mark_that_are_gone_together_are_told(tmp_path: Path, hall: Hall) -> None:
    store = copy_of(hall, tmp_path)
    (store / f"{JOURNAL}-wal").unlink()
    (store / JOURNAL).with_suffix(".mark").unlink()
    assert "there is a checkpoint of line" in " ".join(checked(store)["problems"])
    with pytest.raises(CorruptError, match="there is a checkpoint of line"):
        backed_up(store, tmp_path / "backup")
    assert left(tmp_path) == ["killed"]


def test_a_mark_that_is_gone_or_damaged_is_told_as_the_copy_has_a_good_one(
    tmp_path: Path, hall: Hall
) -> None:
    store = copy_of(hall, tmp_path)
    mark_file = (store / JOURNAL).with_suffix(".mark")
    flip(mark_file, 2)
    report = backed_up(store, tmp_path / "one")
    assert any("slot" in text for text in report["problems"])
    mark_file.unlink()
    report = backed_up(store, tmp_path / "two")
    assert any("is gone: whether all" in text for text in report["problems"])


def test_a_store_is_put_neither_into_a_backup_nor_in_the_place_of_a_link(
    tmp_path: Path, hall: Hall
) -> None:
    hall.minutes(3)
    backup = tmp_path / "backup"
    backed_up(tmp_path / "data", backup)
    with pytest.raises(SettingsError, match="within the backup"):
        restored(backup, backup / "data")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    with pytest.raises(SettingsError, match="is a link"):
        restored(backup, tmp_path / "link")
    restored(backup, tmp_path / "new")


@pytest.mark.parametrize(
    "change", [{"files": None}, {"form": None}, {"made_ns": 10**30}, {"rows": []}]
)
def test_a_manifest_that_somebody_has_edited_and_sealed_is_refused_in_a_sentence(
    tmp_path: Path, hall: Hall, change: dict[str, object]
) -> None:
    hall.minutes(3)
    backup = tmp_path / "backup"
    backed_up(tmp_path / "data", backup)
    path = backup / "manifest.json"
    page = json.loads(path.read_bytes()[:-65])
    page = {key: value for key, value in (page | change).items() if value is not None}
    body = json.dumps(page).encode() + b"\n"
    path.write_bytes(body + f"{hashlib.sha256(body).hexdigest()}\n".encode())
    with pytest.raises(StorageError, match=r"manifest\.json"):
        restored(backup, tmp_path / "new")
    assert not (tmp_path / "new").exists()
