"""What the operating system complains about is told in words."""

from __future__ import annotations

import asyncio
import errno
import ssl
from pathlib import Path

import pytest

from sensors.errors import complaint
from storage.durable import disk
from storage.errors import UnavailableError
from tests.brokers import free_port


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ECONNREFUSED, "Connect call failed ('::1', 1)"), "connection refused"),
        (OSError("Multiple exceptions: [Errno 111] a, [Errno 101] b"), "Multiple exceptions: a, b"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION] wrong version (_ssl.c:997)"), "wrong version"),
        (ValueError("no number"), "no number"),
        (TimeoutError(), ""),
    ],
)
def test_a_complaint_is_told_without_its_number(error: Exception, words: str) -> None:
    assert complaint(error).endswith(words)
    assert "Errno" not in complaint(error)


def test_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Errno") as caught:
        (tmp_path / "absent").read_text()
    assert complaint(caught.value) == f"no such file or directory: {tmp_path}/absent"
    with pytest.raises(UnavailableError, match="error: No such file or dir") as told, disk():
        (tmp_path / "absent").read_text()
    assert "Errno" not in str(told.value)


async def test_a_connection_that_is_refused_is_told_so() -> None:
    with pytest.raises(ConnectionRefusedError) as caught:
        await asyncio.open_connection("127.0.0.1", free_port())
    assert complaint(caught.value) == "connection refused"
