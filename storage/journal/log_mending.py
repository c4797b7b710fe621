"""SQLite's log put right: a damaged frame is not to take the acknowledged ones behind it along.

Every frame carries the checksum of all frames up to it, so that SQLite stops at the first that
does not fit. But each checksum follows from the one before it: those behind a damaged frame can
still be told to be whole. The checksum is linear, which also says which bit was flipped where it
was a single one. The log is written anew with checksums that fit; what a damaged page holds is for
the checksums of its rows to judge. Format: https://www.sqlite.org/fileformat2.html#walformat
"""

from __future__ import annotations

import sqlite3
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from storage.durable import disk, write_whole
from storage.journal.looking import looking
from storage.journal.wal import CHECKSUM_WORDS, checksum, coefficients, lost_commits
from storage.quarantine import copied_aside

_HEADER, _FRAME_HEADER = 32, 24
_MAGIC, _VERSION = 0x377F0682, 3007000
_SIZES = {1 << power for power in range(9, 17)}


@dataclass(slots=True)
class Frame:
    """A page of the log."""

    page: int
    commit: int  # pages of the file after this commit, 0 within one
    data: bytes
    state: str = "whole"  # "repaired": one bit was put right; "damaged"

    @property
    def number(self) -> bytes:
        """The page, as it stands in the log."""
        return struct.pack(">I", self.page)


@dataclass(frozen=True, slots=True)
class Log:
    """What can be read of a log."""

    page_size: int
    salts: bytes
    frames: list[Frame]  # up to the last commit

    @property
    def repaired(self) -> int:
        """Frames of which a single bit was wrong."""
        return sum(frame.state == "repaired" for frame in self.frames)

    @property
    def damaged(self) -> int:
        """Frames that are not as they were written, and that no later one replaces."""
        latest = {frame.page: i for i, frame in enumerate(self.frames)}
        return sum(f.state == "damaged" and latest[f.page] == i for i, f in enumerate(self.frames))

    @property
    def pages(self) -> dict[int, bytes]:
        """The newest content of every page in the log."""
        found: dict[int, bytes] = {}
        for frame in self.frames:
            if frame.state != "damaged" or frame.page not in found:
                found[frame.page] = frame.data
        return found

    def rewritten(self) -> bytes:
        """A log that says the same, with checksums that fit."""
        latest = {f.page: i for i, f in enumerate(self.frames)}
        kept = [f for i, f in enumerate(self.frames) if f.state != "damaged" or latest[f.page] == i]
        size = max((f.commit for f in self.frames), default=0)
        head = struct.pack(">IIII", _MAGIC, _VERSION, self.page_size, 0) + self.salts
        weights = coefficients(CHECKSUM_WORDS + self.page_size // 4)
        seed = checksum(np.frombuffer(head, "<u4"), (0, 0), coefficients(6))
        parts = [head, struct.pack(">II", *seed)]
        for i, frame in enumerate(kept):
            commit = frame.commit or (size if i == len(kept) - 1 else 0)
            begin = struct.pack(">II", frame.page, commit)
            seed = checksum(np.frombuffer(begin + frame.data, "<u4"), seed, weights)
            parts += [begin, self.salts, struct.pack(">II", *seed), frame.data]
        return b"".join(parts)


def read_log(path: Path, page_size: int = 4096) -> Log | None:
    """What can be read of a log, or None where there is nothing in it.

    `page_size` is that of the journal, for a log whose own header is damaged.
    """
    with disk():
        data = path.read_bytes() if path.exists() else b""
    if len(data) <= _HEADER or not any(data[:_HEADER]):
        return None
    words = struct.unpack(">8I", data[:_HEADER])
    size = words[2] if words[2] in _SIZES else page_size
    order = ">u4" if words[0] == _MAGIC | 1 else "<u4"
    width = _FRAME_HEADER + size
    raw = [data[at : at + width] for at in range(_HEADER, len(data) - width + 1, width)]
    if not raw:
        return None
    salts = _salts(data[16:24], raw)
    last = max((i for i, frame in enumerate(raw) if frame[8:16] == salts), default=-1)
    frames = _judged(raw, last, _seeds(data, words, order), order, size)
    ends = [i for i, frame in enumerate(frames) if frame.commit]
    return Log(size, salts, frames[: ends[-1] + 1]) if ends else None


def mend_log(path: Path, log: Log) -> None:
    """Let a log that fits take the place of the damaged one; the caller has kept a copy of it."""
    with disk():
        write_whole(path, log.rewritten())
        path.with_name(path.name.removesuffix("-wal") + "-shm").unlink(missing_ok=True)


def settled_log(path: Path, acknowledged: int | None, *, is_look: bool) -> list[str]:
    """Mend the log of the journal at `path` if it is damaged; what there is to tell.

    A last commit that does not fit was torn by a power cut, unless it was acknowledged: the
    journal then ends before the offset `acknowledged`.
    """
    place = path.with_name(path.name + "-wal")
    with disk():
        lost = lost_commits(place) if path.exists() else 0
    if not lost or (lost == 1 and not (acknowledged and _end(path) < acknowledged)):
        return []
    log = read_log(place, _page_size(path))
    if log is None:
        return []
    what = (
        f"the log of {path} was damaged: {log.repaired} pages of it had a flipped bit, "
        f"{log.damaged} are beyond repair, {len(log.frames)} are there in all"
    )
    if is_look:
        return [f"{what}; the next start mends it, and keeps the damaged one"]
    copy = copied_aside(place, path.parent)
    mend_log(place, log)
    return [f"{what}; it was mended, and is kept as it was in {copy}"]


def _end(path: Path) -> int:
    """Where SQLite takes the journal to end, 0 if it cannot say."""
    try:
        with closing(looking(path)) as opened:
            end = opened.execute("SELECT max(first + count) FROM commits").fetchone()[0]
    except sqlite3.Error:
        return 0
    return int(end or 0)


def _page_size(path: Path) -> int:
    with disk(), path.open("rb") as file:
        size = int.from_bytes(file.read(18)[16:], "big")
    return size if size in _SIZES else 4096


def _salts(header: bytes, raw: list[bytes]) -> bytes:
    """The salts of this log: those of its header, unless no frame has them."""
    counts = Counter(frame[8:16] for frame in raw)
    if counts[header]:
        return header
    return raw[0][8:16] if counts[raw[0][8:16]] > 1 else counts.most_common(1)[0][0]


def _seeds(data: bytes, words: tuple[int, ...], order: str) -> list[tuple[int, int]]:
    """With what the checksum of the first frame may begin, one of which may be damaged."""
    computed = checksum(np.frombuffer(data[:24], order), (0, 0), coefficients(6))
    return [(words[6], words[7]), computed]


def _judged(
    raw: list[bytes], last: int, seeds: list[tuple[int, int]], order: str, size: int
) -> list[Frame]:
    """The frames up to `last`, and those behind it that follow by their checksums."""
    weights = coefficients(CHECKSUM_WORDS + size // 4)
    words = [np.frombuffer(frame[:8] + frame[24:], order) for frame in raw]
    stored = [struct.unpack(">II", frame[16:24]) for frame in raw]
    frames: list[Frame] = []
    for i, frame in enumerate(raw):
        computed = [checksum(words[i], seed, weights) for seed in seeds]
        if stored[i] not in computed and i > last:
            break
        following = (
            [checksum(words[i + 1], c, weights) for c in computed] if i + 1 < len(raw) else []
        )
        covered, state = frame[:8] + frame[24:], "whole"
        if stored[i] in computed:
            seeds = [stored[i]]
        elif following and stored[i + 1] in following:  # it is the checksum that was damaged
            seeds = computed
        else:
            earlier = next((f.data for f in reversed(frames) if frame[:4] == f.number), None)
            right = _repaired(words[i], computed, stored[i], weights, earlier)
            covered, state = (right, "repaired") if right is not None else (covered, "damaged")
            seeds = [stored[i], *(computed[:2] if right is None else ())]
        page, commit = struct.unpack(">II", covered[:8])
        frames.append(Frame(page, commit, covered[8:], state))
    return [f for f in _settled(frames) if 0 < f.page < 2**31]


def _settled(frames: list[Frame]) -> list[Frame]:
    """Damaged frames do not end a commit that is beyond belief."""
    most = max((f.commit for f in frames if f.state != "damaged"), default=0)
    for frame in frames:
        if frame.state == "damaged" and frame.commit > 2 * most + 1000:
            frame.commit = most
    return frames


def _repaired(
    words: np.ndarray,
    computed: list[tuple[int, int]],
    stored: tuple[int, ...],
    weights: np.ndarray,
    earlier: bytes | None,
) -> bytes | None:
    """What was covered before one bit of it was flipped, if that can be told for certain.

    A high bit weighs the same in several words: then the page as it was before has to decide.
    """
    flips = {flip for c in computed for flip in _flips(words, c, stored, weights)}
    if len(flips) > 1 and earlier is not None:
        begin = words[:2].tobytes()
        was = np.frombuffer(begin + earlier, words.dtype)
        flips = {(w, bit) for w, bit in flips if int(words[w]) ^ (1 << bit) == int(was[w])}
    if len(flips) != 1:
        return None
    (word, bit), right = flips.pop(), words.copy()
    right[word] = int(right[word]) ^ (1 << bit)
    return right.tobytes()


def _flips(
    words: np.ndarray, computed: tuple[int, int], stored: tuple[int, ...], weights: np.ndarray
) -> Iterator[tuple[int, int]]:
    """The words and bits of which one explains the checksum."""
    off = [np.uint32((s - c) & 0xFFFFFFFF) for s, c in zip(stored, computed, strict=True)]
    own = weights[:, : len(words)]
    for bit in range(32):
        for sign in (1, -1):
            step = np.uint32((sign << bit) & 0xFFFFFFFF)
            for word in np.flatnonzero((own[0] * step == off[0]) & (own[1] * step == off[1])):
                if bool(int(words[word]) >> bit & 1) == (sign < 0):
                    yield int(word), bit
