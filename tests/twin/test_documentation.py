"""The documentation says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from twin import reference
from twin.cli import app

ROOT = Path(__file__).parents[2]


def test_the_reference_page_is_that_of_this_code() -> None:
    """`python -m twin.reference > docs/reference.md` renews it."""
    assert (ROOT / "docs" / "reference.md").read_text() == reference.page()


def test_the_readme_names_every_command_and_no_other() -> None:
    text = (ROOT / "README.md").read_text()
    named = set(re.findall(r"`twin ([a-z-]+)", text))
    commands = {c.name or c.callback.__name__ for c in app.registered_commands if c.callback}
    assert named == commands | {group.name for group in app.registered_groups}


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 300


def test_every_metric_that_an_alert_reads_exists() -> None:
    rules = (ROOT / "deploy" / "twin.rules.yml").read_text()
    page = reference.page()
    read = set(re.findall(r"\btwin_[a-z_]+", rules))
    assert read
    assert not {name for name in read if f"`{name}`" not in page}
