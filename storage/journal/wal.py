"""Whether SQLite's write-ahead log holds commits that SQLite would silently leave out.

SQLite reads the log up to the first frame that does not match its checksum, and takes the rest
for a transaction that a power cut tore. That is right for the last transaction, the only one that
was not yet fsynced; a damaged frame further up would take acknowledged commits with it. Format:
https://www.sqlite.org/fileformat2.html#walformat
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

_HEADER = 32  # bytes
_FRAME_HEADER = 24
CHECKSUM_WORDS = 2  # of a frame's header, before its page
_MAGIC = 0x377F0682  # the lowest bit says whether the checksums are big-endian


def lost_commits(path: Path) -> int:
    """How many commits lie beyond a damaged place; up to one of them may be a torn one.

    Zero for a log that is sound, torn at its end only, empty or absent.
    """
    data = path.read_bytes() if path.exists() else b""
    if len(data) <= _HEADER or not any(data[:_HEADER]):
        return 0
    words = np.frombuffer(data[:_HEADER], ">u4")
    order = ">u4" if words[0] & 1 else "<u4"
    page = int(words[2])
    if not _sound_header(data, order) or not 512 <= page <= 65536:
        return (len(data) - _HEADER) // (_FRAME_HEADER + 4096)
    frames = _frames(data, page)
    heads = np.ascontiguousarray(frames[:, :_FRAME_HEADER]).view(">u4")
    current = (heads[:, 2] == words[4]) & (heads[:, 3] == words[5])  # the salts of this log
    sound = 0
    seed = (int(words[6]), int(words[7]))
    weights = coefficients((8 + page) // 4)
    while sound < len(frames) and current[sound]:
        frame = frames[sound]
        covered = np.concatenate((frame[:8], frame[_FRAME_HEADER:])).view(order)
        seed = checksum(covered, seed, weights)
        if seed != (int(heads[sound, 4]), int(heads[sound, 5])):
            break
        sound += 1
    return int((current[sound:] & (heads[sound:, 1] != 0)).sum())


def _frames(data: bytes, page: int) -> np.ndarray:
    size = _FRAME_HEADER + page
    count = (len(data) - _HEADER) // size
    return np.frombuffer(data, np.uint8, count * size, _HEADER).reshape(count, size)


def _sound_header(data: bytes, order: str) -> bool:
    words = np.frombuffer(data[:_HEADER], ">u4")
    if words[0] & ~np.uint32(1) != _MAGIC:
        return False
    found = checksum(np.frombuffer(data[:24], order), (0, 0), coefficients(6))
    return found == (int(words[6]), int(words[7]))


def coefficients(words: int) -> np.ndarray:
    """How much each word, and the two seeds, weigh in the two sums; (2, words + 2).

    SQLite adds word by word, s += x + t, t += y + s; that is linear in the words.
    """
    weights = np.zeros((2, words + 2), np.uint32)
    s, t = np.zeros(words + 2, np.uint32), np.zeros(words + 2, np.uint32)
    s[words], t[words + 1] = 1, 1
    for i in range(0, words, 2):
        s = s + t
        s[i] += np.uint32(1)
        t = t + s
        t[i + 1] += np.uint32(1)
    weights[0], weights[1] = s, t
    return weights


def checksum(words: np.ndarray, seed: tuple[int, int], weights: np.ndarray) -> tuple[int, int]:
    """The two sums over words, from those before on."""
    values = np.append(words.astype(np.uint32), np.array(seed, np.uint32))
    s, t = (weights * values).sum(axis=1, dtype=np.uint32)
    return int(s), int(t)
