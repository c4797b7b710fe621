"""What cannot be written is told and tried until it can be; what is refused leaves nothing."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog
from PIL import Image

from sensors.mqtt.packets import Message
from storage import images as images_module
from storage.errors import UnavailableError
from storage.images import LENT
from storage.journal.journal import Journal
from storage.space import Space
from storage.store import Store
from tests.storage.conftest import NOW, entry, letter
from tests.twin.fakes import PRESS, T0_NS, house
from twin import disk_writing, logs
from twin.disk_writing import DiskWriter
from twin.ingest.settling import settle_images


def full(*_: object) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def picture(seq: int, shade: int, part: str = PRESS) -> Message:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8), shade, np.uint8)).save(file, "png")
    fields = {"source": "camera", "boot": "1", "seq": str(seq), "t_ns": str(T0_NS)}
    fields |= {"kind": "microstructure", "pixel_size": "1e-6"}
    return Message(f"twin/v1/{part}/image", file.getvalue(), "image/png", fields)


async def test_work_is_tried_until_the_disk_obeys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_writing, "RETRY_S", (0.001, 0.002))
    disk, tries = DiskWriter("journal", tmp_path), iter([True, True, False])
    told = []

    async def work() -> str:
        told.append(disk.trouble)
        if next(tries):
            raise UnavailableError(f"{tmp_path}/journal.sqlite cannot be written: no space")
        return "done"

    assert await disk.insist(work) == "done"
    assert told[0] is None
    assert told[1] == "the journal cannot be written: journal.sqlite cannot be written: no space"
    assert disk.is_available
    assert disk.trouble is None


async def test_an_image_waits_for_a_disk_that_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is neither refused nor does it end what reads it; nothing is left of the try."""
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        inbox, images = home.service.inbox, home.service.store.images
        parcel = inbox.parcel([picture(1, 10)], lambda: None)
        with monkeypatch.context() as patch:
            patch.setattr(images_module, "write_whole", full)
            with pytest.raises(UnavailableError):
                inbox.stored(parcel)
        assert (list(parcel.dead), len(images), images.unsettled()) == ([], 0, {})
        assert list((tmp_path / "data" / "images").rglob("*.*")) == []
        stored = inbox.stored(parcel)
        await home.service.committer.outcomes(stored.entries, stored.lines)
        assert len(images) == 1


async def test_an_image_of_a_message_that_is_not_taken_goes_again(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        await home.register(PRESS)
        service = home.service

        async def sent(*messages: Message) -> list[str]:
            parcel = service.inbox.stored(service.inbox.parcel(messages, lambda: None))
            outcomes = await service.committer.outcomes(parcel.entries, parcel.lines)
            parcel.done(outcomes)
            return [outcome.value for outcome in outcomes] + [one.reason for one in parcel.dead]

        assert await sent(picture(1, 10)) == ["accepted"]
        kept = service.store.images.names()
        assert await sent(picture(1, 10)) == ["duplicate"]
        assert await sent(picture(1, 20)) == ["conflict"]
        assert await sent(picture(2, 30, "plant/nobody")) == ["component"]
        assert service.store.images.names() == kept
        both = [picture(1, 40), picture(3, 40)]  # one image, refused and taken
        assert await sent(*both) == ["conflict", "accepted"]
        assert len(service.store.images) == 2
        assert await sent(picture(1, 40)) == ["conflict"]  # brings what another one keeps
        assert len(service.store.images) == 2
        assert not list((tmp_path / "data" / "images").rglob(f"*{LENT}"))


async def test_images_on_their_way_at_a_crash_are_settled_at_the_next_start(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    async with house(data) as home:
        await home.register(PRESS)
        service = home.service
        taken = service.inbox.stored(service.inbox.parcel([picture(1, 10)], lambda: None))
        await service.committer.outcomes(taken.entries, taken.lines)
        service.inbox.stored(service.inbox.parcel([picture(2, 20)], lambda: None))
        assert len(service.store.images.names()) == 2
    async with house(data) as home:
        wanted = home.service.store.images.names()
        page = await home.json(f"components/{PRESS}/images")
        assert [image["sha256"] for image in page["items"]] == wanted
        assert home.service.store.images.unsettled() == {}


async def test_no_image_goes_where_the_journal_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: object) -> None:
        raise UnavailableError("the disk does not obey")

    with Store(tmp_path / "data") as store:
        store.images.lend(b"lent", 0)
        store.journal.append([entry(0)], now_ns=NOW)
    with Store(tmp_path / "data") as store:
        await settle_images(store, refused)
        assert len(store.images.names()) == len(store.images.unsettled()) == 1


@pytest.mark.parametrize("size", [1 << 22, 1 << 30])
def test_letters_take_a_twentieth_of_the_disk_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """The file does not grow beyond that either, however many come together."""
    found = Space(free=size, size=size, is_read_only=False)
    monkeypatch.setattr("storage.journal.dead_letters.space", lambda _: found)
    with Journal(tmp_path / "journal.sqlite") as journal:
        for _ in range(3):
            journal.append([], [letter(bytes(100_000)) for _ in range(30)], now_ns=NOW)
        census = journal.dead_letters.census
        assert census.letters + census.dropped == 90
        assert (census.dropped > 0) is (size == 1 << 22)
        assert census.size <= size // 20
        listed = journal.dead_letters.list()
        assert len(listed) == census.letters > 0
        journal.append([entry(0)], now_ns=NOW)
        assert journal.verify() == []
    if census.dropped:
        assert (tmp_path / "journal.sqlite").stat().st_size < size // 8


def test_a_log_that_cannot_be_written_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = structlog.get_config()
    with open("/dev/full", "w") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        try:
            logs.configure()
            for _ in range(3):
                structlog.get_logger().error("disk_full", why="x" * 10_000)
        finally:
            structlog.configure(**before)
            monkeypatch.undo()
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def test_what_is_told_of_a_disk_names_the_directory_and_not_where_it_is(tmp_path: Path) -> None:
    disk = DiskWriter("journal", tmp_path / "data")
    disk.refused(UnavailableError(f"{tmp_path / 'data'} was moved"))
    assert disk.trouble is not None
    assert disk.trouble.startswith("the journal cannot be written: the data directory was moved")
    assert str(tmp_path) not in disk.trouble


@pytest.mark.parametrize("is_read_only", [False, True])
@pytest.mark.parametrize("writer", disk_writing.WAITING)
def test_what_is_told_to_wait_is_what_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: str, is_read_only: bool
) -> None:
    found = Space(free=0, size=1 << 30, is_read_only=is_read_only)
    monkeypatch.setattr(disk_writing, "space", lambda _: found)
    disk = DiskWriter(writer, tmp_path)
    disk.refused(UnavailableError("no space"))
    assert disk.trouble is not None
    assert ("nothing is acknowledged" in disk.trouble) is (writer == "journal")
    assert ("history and checkpoints wait" in disk.trouble) is (writer == "archive")
    assert disk.trouble.endswith("the service resumes by itself")
