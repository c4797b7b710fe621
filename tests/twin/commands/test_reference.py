"""The documentation says what the code does."""

from __future__ import annotations

import dataclasses
import inspect
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from models.fatigue.geometry import GEOMETRIES
from tests.twin.fakes import house
from twin.commands import reference
from twin.commands.cli import app

ROOT = Path(__file__).parents[3]


def test_the_reference_page_is_that_of_this_code() -> None:
    """`python -m twin.commands.reference > docs/reference.md` renews it."""
    assert (ROOT / "docs" / "reference.md").read_text() == reference.page()


def test_the_readme_names_every_command_and_no_other() -> None:
    text = (ROOT / "README.md").read_text()
    named = set(re.findall(r"`twin ([a-z-]+)", text))
    commands = {c.name or c.callback.__name__ for c in app.registered_commands if c.callback}
    assert named == commands | {group.name for group in app.registered_groups}


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 300


def test_the_readme_and_the_ranges_write_geometries_in_the_names_of_their_fields() -> None:
    text = (ROOT / "README.md").read_text()
    rows = re.findall(r"^\| `(\w+)`: (.*?) \| (.*?) \|", text, re.MULTILINE)
    assert {kind for kind, *_ in rows} == GEOMETRIES.keys()
    for kind, names, meant in rows:
        law: Any = GEOMETRIES[kind]
        fields = {field.name for field in dataclasses.fields(law)} - {"point"}
        assert set(re.findall(r"`(\w+)`", names)) == fields
        for bound in law.valid:
            assert set(re.findall(r"[A-Za-z_]+", bound.ratio)) <= fields | {"a"}
            assert bound.ratio in meant


def test_every_metric_that_an_alert_reads_exists() -> None:
    rules = (ROOT / "deploy" / "twin.rules.yml").read_text()
    page = reference.page()
    read = set(re.findall(r"\btwin_[a-z_]+", rules))
    assert read
    assert not {name for name in read if f"`{name}`" not in page}


def blocks(language: str) -> list[str]:
    """The code blocks of the README in a language."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


async def test_the_python_of_the_readme_runs_on_a_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    async with house(tmp_path / "twin-data") as home:
        await home.register("plant-a/press-01", "plant-a/press-02")
        for minute in range(5):
            await home.load("plant-a/press-01", minute=minute)
    drawn: list[xr.DataArray] = []  # matplotlib is an extra
    monkeypatch.setattr(xr.DataArray, "plot", lambda self: drawn.append(self))
    (code,) = blocks("python")
    exec(code.replace("2026-11-28", "2026-01-01"), {})
    assert "count    4.0" in capsys.readouterr().out
    (line,) = drawn
    assert line.dims == ("time",)
    assert str(line.time.to_numpy()[0]) == "2026-01-01T00:00:00.000000000"
    assert float(line[-1]) > float(line[0]) >= 0.002


def test_the_shell_of_the_readme_knows_its_variables() -> None:
    for block in blocks("sh"):
        used, known = set(re.findall(r"\$([A-Z_]+)", block)), set(re.findall(r"^([A-Z_]+)=", block))
        assert used <= known, block


def test_the_readme_names_no_option_that_a_command_has_not() -> None:
    text = (ROOT / "README.md").read_text()
    options = {
        option
        for command in app.registered_commands
        if command.callback
        for parameter in inspect.signature(command.callback).parameters.values()
        for option in _names(parameter)
    }
    for command in re.findall(r"twin (?:demo|serve|query|replay|simulate|check)[^`|\n]*", text):
        assert set(re.findall(r"--[a-z-]+", command)) <= options, command


def _names(parameter: inspect.Parameter) -> set[str]:
    """What an option is called on the command line."""
    name = "--" + parameter.name.replace("_", "-")
    told = re.findall(r"--[a-z-]+", str(getattr(parameter.annotation, "__metadata__", "")))
    return {name, *told, *re.findall(r"--[a-z-]+", str(parameter.annotation))}


PAGES = ["README.md", "deploy/README.md", "CHANGELOG.md", *sorted(
    str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")
)]  # fmt: skip  # a list


def modules(text: str) -> set[str]:
    """What is run by `python -m`, of our own."""
    own = r"python -m ((?:twin|models|sensors|storage|tests)(?:\.\w+)*)"
    return set(re.findall(own, text))


@pytest.mark.parametrize("page", PAGES)
def test_every_path_and_module_that_a_page_names_is_there(page: str) -> None:
    text = (ROOT / page).read_text()
    rooms = r"(?<![\w/.-])((?:twin|models|sensors|storage|tests|deploy|docs)/[\w./-]*\w)"
    named = {path for path in re.findall(rooms, text) if "." in path.rpartition("/")[2]}
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
    assert [name for name in sorted(modules(text)) if find_spec(name) is None] == []
    links = re.findall(r"\]\(([\w./-]+\.(?:md|png))?(?:#([\w-]+))?\)", text)
    for name, anchor in links:
        linked = (ROOT / page).parent / name if name else ROOT / page
        assert linked.exists(), name
        assert not anchor or anchor in anchors(linked.read_text()), f"{name}#{anchor}"


def anchors(text: str) -> set[str]:
    """What a link to a heading is called."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


WRITTEN = [page for page in PAGES if re.fullmatch(r"docs/(?!reference)[\w-]+\.md", page)]


@pytest.mark.parametrize("page", WRITTEN)
def test_a_long_table_has_a_page_of_its_own(page: str) -> None:
    """In `docs/tables`; `docs/reference.md` is made from the code."""
    tables = re.findall(r"(?:^\|.*\n)+", (ROOT / page).read_text(), re.MULTILINE)
    assert [table for table in tables if len(table.splitlines()) > 2 + 15] == []
