"""The dashboard in a real browser: what the service doubts is seen there."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.twin.api.test_pages import served
from tests.twin.fakes import House, house

PATIENCE_S = 120.0


@pytest.fixture
def chromium() -> str:
    """Skips without it, in CI too: a browser is no tool of this project."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no chromium is installed")
    return path


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path / "data") as opened:
        await opened.register("lab/held", surprise_factor=5.0, crack_limit=0.02)
        await opened.register("lab/doubtful", "lab/sound")
        await opened.register("lab/outside", material="2024-t3-paris")
        await opened.inspect("lab/held", length=0.08)
        await opened.samples("lab/outside", *[1e8, 9.5e7] * 20)
        await opened.load("lab/doubtful", span=1e11)
        await opened.load("lab/sound")
        yield opened


async def seen(home: House, browser: str, directory: Path, part: str) -> str:
    """The page as a person sees it who looks at a part, once its programs have run."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000"]
    options += [f"--user-data-dir={directory / 'browser'}", "--dump-dom"]
    async with served(home) as client:
        url = f"{str(client.base_url).removesuffix('api/v1/')}#{part}"
        running = await asyncio.create_subprocess_exec(
            browser,
            *options,
            url,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        found, _ = await asyncio.wait_for(running.communicate(), PATIENCE_S)
    return found.decode()


def row(page: str, part: str) -> list[str]:
    """What stands in the column of the status."""
    (line,) = re.findall(rf"<tr[^>]*><td>{part}</td><td>(.*?)</td>", page)
    return re.findall(r">([a-z]+)</span>", line)


def told(page: str) -> list[str]:
    """What is told of the part that is looked at."""
    (lines,) = re.findall(r'<ul id="told">(.*?)</ul>', page)
    return re.findall(r"<li[^>]*>(.*?)</li>", lines)


async def test_an_inspection_that_is_held_and_a_doubtful_gauge_are_seen(
    home: House, chromium: str, tmp_path: Path
) -> None:
    page = await seen(home, chromium, tmp_path, "lab/held")
    assert row(page, "lab/held") == ["new", "held"]
    assert row(page, "lab/doubtful")[1:] == ["doubtful"]
    assert row(page, "lab/outside")[1:] == ["outside"]
    assert row(page, "lab/sound")[1:] == []
    counts = re.findall(r'<span id="counts">(.*?)</span>', page)[0]
    assert ">1 held<" in counts
    assert ">1 doubtful<" in counts
    assert "behind" not in counts
    first, *rest = told(page)
    assert first.startswith("An inspection is held: 80.000 mm")
    assert "where 2.000 mm are believed" in first
    assert "…/inspections/ndt~0~1/confirm" in first
    assert rest == ["Cycles left: unknown: no load cycle has been seen yet."]


@pytest.mark.parametrize(
    ("part", "what"),
    [
        ("lab/doubtful", "1 samples set aside (1 range)."),
        ("lab/outside", "Not known to hold: load ratio 0.95 beyond the material's"),
    ],
)
async def test_the_page_of_a_part_says_why_it_is_marked(
    home: House, chromium: str, tmp_path: Path, part: str, what: str
) -> None:
    assert told(await seen(home, chromium, tmp_path, part))[0].startswith(what)


async def test_an_uncertain_crack_is_told_and_drawn_with_its_band(
    chromium: str, tmp_path: Path
) -> None:
    async with house(tmp_path / "data") as home:
        await home.register("lab/sure")
        await home.register("lab/unsure", uncertainty={"crack_length_sd": 1e-4, "growth_sd": 0.4})
        for minute in range(8):
            for name in ("lab/sure", "lab/unsure"):
                await home.load(name, minute=float(minute))
        unsure = await seen(home, chromium, tmp_path, "lab/unsure")
        sure = await seen(home, chromium, tmp_path, "lab/sure")
        state = await home.json("components/lab/unsure/state")
    (line,) = [each for each in told(unsure) if each.startswith("Of 128 possible cracks")]
    ends = [f"{1e3 * state['uncertainty']['crack_length'][p]:.3f}" for p in ("0.05", "0.95")]
    assert f"{ends[0]} to {ends[1]} mm long and last" in line
    assert "0.0 % are at the limit" in line
    assert "<polygon" in unsure
    assert "<polygon" not in sure
    assert not [each for each in told(sure) if each.startswith("Of ")]
