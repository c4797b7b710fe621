"""The lock files of the container hold what `pyproject.toml` asks for, each by its hash."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.deploy.test_files import CONTAINER, DEPLOY, ROOT

IMAGE = {
    "python_version": "3.11",
    "sys_platform": "linux",
    "platform_machine": "x86_64",
    "extra": "",
}
RUN = ("requirements.lock", "requirements.cpu.lock")


def project() -> dict:  # type: ignore[type-arg]
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def asked(name: str) -> list[Requirement]:
    """What `pyproject.toml` asks for, to run or to build."""
    found = project()
    asks = found["project"]["dependencies"] if name in RUN else found["build-system"]["requires"]
    return [Requirement(text) for text in asks]


def locked(name: str) -> dict[str, tuple[Version, list[str]]]:
    """Version and hashes of each package."""
    text = (DEPLOY / name).read_text()
    found = re.findall(
        r"^([a-z0-9.-]+)==(\S+) \\\n((?:    --hash=\S+(?: \\)?\n)+)", text, re.MULTILINE
    )
    return {n: (Version(v), re.findall(r"sha256:([0-9a-f]{64})\b", h)) for n, v, h in found}


@pytest.mark.parametrize("name", [*RUN, "build.lock"])
def test_every_line_of_a_lock_is_a_version_with_its_hashes(name: str) -> None:
    lines = [x for x in (DEPLOY / name).read_text().splitlines() if not x.startswith(("#", "    "))]
    found = locked(name)
    assert [line.split("==")[0] for line in lines] == list(found)
    assert all(hashes for _, hashes in found.values())
    assert "://" not in (DEPLOY / name).read_text()


@pytest.mark.parametrize("name", [*RUN, "build.lock"])
def test_a_lock_holds_what_is_asked_for(name: str) -> None:
    found = locked(name)
    for wanted in asked(name):
        version, _ = found[canonicalize_name(wanted.name)]
        assert wanted.specifier.contains(version), f"{wanted}: {version} is locked"


@pytest.mark.parametrize("name", RUN)
def test_a_lock_holds_all_that_is_needed_and_nothing_else(name: str) -> None:
    """By what the packages that are installed here ask for themselves."""
    found, needed = locked(name), set(closure(asked(name)))
    cuda = {n for n in found if n.startswith(("nvidia-", "cuda-")) or n == "triton"}
    assert needed - found.keys() == set()
    assert found.keys() - needed <= cuda
    assert bool(cuda) is (name == "requirements.lock")


def closure(wanted: list[Requirement]) -> Iterator[str]:
    """The packages that are needed, on the platform of the image."""
    waiting, seen = list(wanted), set[tuple[str, str]]()
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        yield name
        for extra in ("", *one.extras):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            for text in _requires(name):
                need = Requirement(text)
                if need.marker is None or need.marker.evaluate(IMAGE | {"extra": extra}):
                    waiting.append(need)


def _requires(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:  # what no platform but another one needs
        return []


def test_torch_is_the_build_without_cuda_where_its_index_is_named() -> None:
    assert locked("requirements.cpu.lock")["torch"][0].local == "cpu"
    assert locked("requirements.lock")["torch"][0].local is None


def test_the_image_installs_nothing_without_a_hash() -> None:
    text = CONTAINER.read_text().replace("\\\n", " ")
    installs = re.findall(r"pip install [^&\n]*", text)
    assert len(installs) == 3
    assert all("--require-hashes" in one or "--no-deps --no-index" in one for one in installs)
    assert {name for name in (*RUN, "build.lock") if f"deploy/{name}" in text} == {
        *RUN,
        "build.lock",
    }
