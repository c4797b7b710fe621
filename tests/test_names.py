"""One name for each class, one address for each name, one number for each fact; short files."""

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from pydantic import ValidationError

from sensors.limits import LONGEST_SOURCE, SOURCE_CHARACTERS
from storage.trajectories.layout import TICKS
from twin.settings import StorageTable

ROOT = Path(__file__).parents[1]
ROOMS = ("models", "sensors", "storage", "twin")


@cache
def parsed() -> dict[str, ast.Module]:
    """The modules of the product, by name."""
    paths = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): ast.parse(path.read_text("utf-8"))
        for path in paths
    }


def imported(module: ast.Module) -> Iterator[tuple[str, ast.alias]]:
    """From which modules of the product which names are imported."""
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and node.module in parsed():
            yield from ((node.module, alias) for alias in node.names)


def test_no_two_public_classes_have_one_name() -> None:
    classes = [
        node.name
        for module in parsed().values()
        for node in ast.walk(module)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    assert len(classes) > 300
    assert {name: count for name, count in Counter(classes).items() if count > 1} == {}


def test_every_name_has_one_address() -> None:
    foreign = {
        f"{name}.{alias.asname or alias.name}"
        for name, module in parsed().items()
        for _, alias in imported(module)
    }
    taken = {
        f"{source}.{alias.name}"
        for module in parsed().values()
        for source, alias in imported(module)
    }
    assert len(taken) > 1000
    assert taken & foreign == set()


def test_a_flush_writes_at_most_one_block_of_a_shard() -> None:
    assert StorageTable(flush_rows=TICKS).flush_rows == TICKS
    with pytest.raises(ValidationError, match="flush_rows"):
        StorageTable(flush_rows=TICKS + 1)


@pytest.mark.parametrize("path", ["api/inspections.py", "api/sources.py", "sentences.py"])
def test_the_api_knows_a_source_by_the_characters_that_sensors_may_use(path: str) -> None:
    name = f"^[{SOURCE_CHARACTERS}]{{1,{LONGEST_SOURCE}}}~"
    assert name in (ROOT / "twin" / path).read_text("utf-8")


LINES, OF_FUNCTION = 300, 60  # of a file and of a function, beyond which a reason stands beside it


@pytest.mark.parametrize("room", ROOMS)
def test_what_is_long_says_why(room: str) -> None:
    silent = []
    for path in sorted((ROOT / room).rglob("*.py")):
        text = path.read_text("utf-8")
        lines = text.splitlines()
        if len(lines) > LINES and "# Over 300 lines: " not in text:
            silent.append(f"{path.name}: {len(lines)} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                own = lines[node.lineno - 1 : node.end_lineno]
                if len(own) > OF_FUNCTION and not any("# Over 60 lines: " in x for x in own):
                    silent.append(f"{path.name}, {node.name}: {len(own)} lines")
    assert silent == []
