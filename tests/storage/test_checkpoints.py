"""Checkpoints and images: wholly there, or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from storage.checkpoints import METADATA, Checkpoints
from storage.errors import CorruptError, MissingError, UnavailableError
from storage.images import ImageStore
from tests.storage.conftest import files_bounded, flip

TENSORS: dict[str, np.ndarray] = {
    "crack.length": np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4),
    "crack.cycles": np.arange(3),
    "empty": np.zeros((0, 2)),
}


def test_a_checkpoint_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = Checkpoints(tmp_path).write("offset-12", TENSORS, b'{"offset": 12}')
    tensors, metadata = Checkpoints(tmp_path).read("offset-12", file.sha256)
    assert metadata == b'{"offset": 12}'
    assert tensors.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        assert tensors[name].dtype == value.dtype
        np.testing.assert_array_equal(tensors[name], value)


def test_a_strided_view_is_stored_as_it_looks(tmp_path: Path) -> None:
    value = np.arange(12).reshape(3, 4).T[::2]
    checkpoints = Checkpoints(tmp_path)
    tensors, _ = checkpoints.read("c", checkpoints.write("c", {"a": value}).sha256)
    np.testing.assert_array_equal(tensors["a"], value)


def test_a_damaged_checkpoint_is_never_served(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    file = checkpoints.write("c", TENSORS)
    path = tmp_path / "c.safetensors"
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        flip(path, position, bit=position % 8)
        with pytest.raises(CorruptError, match="'c' has sha256"):
            checkpoints.read("c", file.sha256)
        path.write_bytes(whole)
    for size in (0, 8, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(CorruptError, match="'c' has sha256"):
            checkpoints.read("c", file.sha256)


def test_a_foreign_file_with_the_right_sum_is_refused(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    (tmp_path / "c.safetensors").write_bytes(b"nonsense")
    with pytest.raises(CorruptError, match="not one of ours"):
        checkpoints.read("c", hashlib.sha256(b"nonsense").hexdigest())


def test_what_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="'c-9'"):
        Checkpoints(tmp_path).read("c-9", "00" * 32)


@pytest.mark.parametrize("name", ["", "../c", "a/b", ".c", "c" * 129])
def test_a_name_never_leaves_the_directory(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        Checkpoints(tmp_path).write(name, {})


def test_the_reserved_tensor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="reserved"):
        Checkpoints(tmp_path).write("c", {METADATA: np.zeros(1)})


def test_old_checkpoints_and_leftovers_are_removed(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for i in range(4):
        checkpoints.write(f"c-{i}", {})
    (tmp_path / "c-4.safetensors.aside").write_bytes(b"half")
    assert Checkpoints(tmp_path).keep(["c-2", "c-3"]) == ["c-0", "c-1"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "c-2.safetensors",
        "c-3.safetensors",
    ]


def test_a_full_disk_leaves_the_checkpoint_as_it_was(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    file = checkpoints.write("c", TENSORS, b"old")
    with files_bounded(1000), pytest.raises(UnavailableError):
        checkpoints.write("c", {"a": np.zeros(1000)})
    assert checkpoints.read("c", file.sha256)[1] == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["c.safetensors"]


def test_an_image_is_kept_once_under_its_sum(tmp_path: Path) -> None:
    images = ImageStore(tmp_path)
    sha256 = images.put(b"crack")
    assert images.put(b"crack") == sha256 == hashlib.sha256(b"crack").hexdigest()
    assert (len(images), images.size) == (1, 5)
    again = ImageStore(tmp_path)
    assert again.get(sha256) == b"crack"
    assert (len(again), again.size) == (1, 5)
    assert again.verify() == []


def test_a_damaged_image_is_never_served_and_healed_by_putting_it_again(tmp_path: Path) -> None:
    images = ImageStore(tmp_path)
    sha256 = images.put(b"crack")
    path = tmp_path / sha256[:2] / sha256
    flip(path, 2)
    with pytest.raises(CorruptError, match=sha256):
        images.get(sha256)
    assert len(images.verify()) == 1
    images.put(b"crack")
    assert images.get(sha256) == b"crack"
    assert (len(images), images.size) == (1, 5)


@pytest.mark.parametrize("sha256", ["00" * 32, "../../etc/passwd", "", "AB" * 32])
def test_an_image_that_is_not_there_is_missing(tmp_path: Path, sha256: str) -> None:
    with pytest.raises(MissingError):
        ImageStore(tmp_path).get(sha256)


def test_a_full_disk_keeps_no_half_image(tmp_path: Path) -> None:
    images = ImageStore(tmp_path)
    with files_bounded(1000), pytest.raises(UnavailableError):
        images.put(bytes(2000))
    assert (len(images), images.size) == (0, 0)
    assert len(images.get(images.put(bytes(2000)))) == 2000
