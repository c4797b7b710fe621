"""What was acknowledged and is gone is told, whatever took it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from storage.errors import UnavailableError
from storage.journal.journal import Journal
from storage.journal.log_mending import read_log
from storage.journal.seal import Seal, SealFile
from tests.storage.conftest import NOW, entry, flip, kept, letter


def log(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


@pytest.fixture
def killed(path: Path, tmp_path: Path) -> Path:
    """A journal of eight commits, the last with a letter, as a kill leaves it."""
    with Journal(path) as journal:
        for seq in range(8):
            letters = [letter()] if seq == 7 else []
            journal.append([entry(seq, body=bytes(600))], letters, now_ns=NOW)
        (tmp_path / "killed").mkdir()
        for file in (path, log(path), path.with_suffix(".mark")):
            shutil.copy(file, tmp_path / "killed")
    return tmp_path / "killed" / path.name


def test_a_whole_journal_tells_nothing(killed: Path) -> None:
    with Journal(killed) as journal:
        assert (journal.damage, journal.end) == ([], 8)


def test_a_log_that_was_removed_is_told_with_its_offsets(killed: Path) -> None:
    log(killed).unlink()
    with Journal(killed, is_look=True) as journal:
        assert any("lines 0 to 7 were acknowledged and are gone" in t for t in journal.verify())
    with Journal(killed) as journal:
        assert any("lines 0 to 7 were acknowledged and are gone" in t for t in journal.damage)
        assert any("refused messages 1 to 1" in text for text in journal.damage)
        assert journal.append([entry(0)], now_ns=NOW).outcomes == ["accepted"]
    with Journal(killed) as journal:  # what counts is what there is, and the loss is on record
        assert (journal.damage, journal.end) == ([], 1)
        assert any("lines 0 to 7" in loss.sentence for loss in journal.catalogue.losses())


def test_a_flip_anywhere_in_the_last_commit_loses_nothing_or_is_told(killed: Path) -> None:
    whole = {file.name: file.read_bytes() for file in killed.parent.iterdir()}
    last = len(whole[log(killed).name]) - 2 * 4120
    for position in range(last, last + 2 * 4120, 257):
        for bit in (0, 7):
            shutil.rmtree(killed.parent)
            killed.parent.mkdir()
            for name, data in whole.items():
                (killed.parent / name).write_bytes(data)
            flip(log(killed), position, bit=bit)
            with Journal(killed) as journal:
                assert journal.damage != []
                assert journal.end == 8
                damaged = [text for text in journal.verify() if "7" in text]
                assert damaged or [e.seq for e in kept(journal)] == list(range(8))


def test_a_torn_commit_that_nobody_acknowledged_is_no_damage(path: Path, tmp_path: Path) -> None:
    with Journal(path) as journal:
        journal.append([entry(0)], now_ns=NOW)
        mark = path.with_suffix(".mark").read_bytes()
        journal.append([entry(1)], now_ns=NOW)
        for file in (path, log(path)):
            shutil.copy(file, tmp_path / f"torn-{file.name}")
    torn = tmp_path / "torn-journal.sqlite"
    torn.with_suffix(".mark").write_bytes(mark)
    data = log(torn).read_bytes()
    log(torn).write_bytes(data[:-1000])
    with Journal(torn) as journal:
        assert (journal.damage, journal.end) == ([], 1)


def test_a_seal_that_cannot_be_written_is_not_acknowledged_and_the_batch_counts_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise UnavailableError("no space left on device")

    with Journal(path) as journal:
        batch, none = [entry(0), entry(0)], list[object]()
        with monkeypatch.context() as patch:
            patch.setattr(SealFile, "write", refuse)
            for _ in range(2):
                with pytest.raises(UnavailableError):
                    journal.append(batch, none, now_ns=NOW)  # type: ignore[arg-type]
        appended = journal.append(batch, none, now_ns=NOW)  # type: ignore[arg-type]
        assert (appended.first, appended.outcomes) == (0, ["accepted", "duplicate"])
        assert journal.append([entry(1)], now_ns=NOW).first == 1
    with Journal(path) as journal:
        assert (journal.damage, journal.end) == ([], 2)


def test_either_slot_may_be_torn(tmp_path: Path) -> None:
    file = SealFile(tmp_path / "journal.mark")
    assert file.read() == (None, [])
    for number in (1, 2, 3):
        file.write(Seal(number, 10 * number, 7, 0))
    assert file.read() == (Seal(3, 30, 7, 0), [])
    flip(file.path, 4096 + 9)  # the newest
    seal, told = file.read()
    assert seal == Seal(2, 20, 7, 0)
    assert "one of the two slots" in told[0]
    flip(file.path, 9)
    seal, told = file.read()
    assert seal is None
    assert "neither" in told[0]
    file.write(Seal(5, 50, 7, 0))
    assert file.read()[0] == Seal(5, 50, 7, 0)
    file.close()


def test_a_seal_that_is_gone_is_told_and_written_again(killed: Path) -> None:
    killed.with_suffix(".mark").unlink()
    with Journal(killed) as journal:
        assert any("journal.mark is gone" in text for text in journal.damage)
        journal.append([entry(8)], now_ns=NOW)
    with Journal(killed) as journal:
        assert journal.damage == []


@pytest.mark.parametrize("size", [0, 8192])
def test_a_mark_that_was_only_just_made_is_no_damage(path: Path, size: int) -> None:
    with Journal(path) as journal:
        journal.append([entry(0)], now_ns=NOW)
    path.with_suffix(".mark").write_bytes(bytes(size))  # a power cut before the first seal
    with Journal(path) as journal:
        assert (journal.damage, journal.end) == ([], 1)


def test_the_seal_of_another_journal_is_told(killed: Path, tmp_path: Path) -> None:
    with Journal(tmp_path / "other.sqlite") as other:
        for seq in range(8):
            other.append([entry(seq, "plant/shaft")], now_ns=NOW)
    shutil.copy(tmp_path / "other.mark", killed.with_suffix(".mark"))
    with Journal(killed) as journal:
        assert any("another journal" in text for text in journal.damage)


def test_a_single_flipped_bit_of_the_log_is_put_right(killed: Path) -> None:
    whole = read_log(log(killed))
    assert whole is not None
    assert (whole.repaired, whole.damaged) == (0, 0)
    for position in (32 + 2, 32 + 24 + 100, 32 + 24 + 4095, 32 + 3 * 4120 + 50):
        flip(log(killed), position, bit=2)
        found = read_log(log(killed))
        assert found is not None
        assert (found.pages, found.repaired) == (whole.pages, 1)
        flip(log(killed), position, bit=2)
    flip(log(killed), 32 + 16, bit=2)  # the checksum itself: the frame is whole
    found = read_log(log(killed))
    assert found is not None
    assert (found.pages, found.repaired, found.damaged) == (whole.pages, 0, 0)


def test_a_damaged_refused_message_hides_no_other(path: Path) -> None:
    with Journal(path) as journal:
        journal.append([], [letter(b"first"), letter(b"marker-2"), letter(b"third")], now_ns=NOW)
    flip(path, path.read_bytes().index(b"marker-2") + 2)
    with Journal(path) as journal:
        assert [x.letter.payload for x in journal.dead_letters.list()] == [b"first", b"third"]
        assert journal.dead_letters.problems() == ["dead letter 2 is not as it was written"]
