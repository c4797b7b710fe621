"""The reference page: every setting, metric, route, command and event, read off the code.

`python -m twin.commands.reference` prints it; a test holds `docs/reference.md` against it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from storage.store import Store
from twin.api.application import application
from twin.belief.events import KINDS
from twin.belief.fleet import EMPTY
from twin.belief.overview import Views
from twin.commands.cli import app
from twin.metrics import Metrics
from twin.publish.exposition import components
from twin.service import Service
from twin.settings import Settings, settings


def page() -> str:
    """The whole page, in Markdown."""
    return "\n".join(
        (
            *("# Reference", "", "Made by `python -m twin.commands.reference`; do not edit.", ""),
            *("## Settings", "", *_settings(), ""),
            *("## Metrics", "", *_metrics(), ""),
            *("## Routes", "", *_routes(), ""),
            *("## Commands", "", *_commands(), ""),
            *("## Events", "", *_events(), ""),
        )
    )


def _settings() -> Iterator[str]:
    yield "| setting | default | |"
    yield "| --- | --- | --- |"
    for name, field in Settings.model_fields.items():
        table = field.default
        if isinstance(table, BaseModel):
            for key, inner in type(table).model_fields.items():
                yield f"| `{name}.{key}` | {_default(inner)} | {inner.description} |"
        else:
            yield f"| `{name}` | {_default(field)} | {field.description} |"


def _default(field: FieldInfo) -> str:
    return "" if field.default is None else f"`{field.default}`"


def _metrics() -> Iterator[str]:
    yield "| metric | type | |"
    yield "| --- | --- | --- |"
    for metric in Metrics().registry.collect():
        total = "_total" if metric.type == "counter" else ""
        parts = (
            f" (`{metric.name}_sum`, `{metric.name}_count`)" if metric.type == "histogram" else ""
        )
        yield f"| `{metric.name}{total}` | {metric.type} | {metric.documentation}{parts} |"
    for line in components(Views().overview(EMPTY)).splitlines():
        if line.startswith("# HELP "):
            name, text = line.removeprefix("# HELP ").split(" ", 1)
            yield f"| `{name}` | gauge | {text} |"


def _routes() -> Iterator[str]:
    yield "| route | |"
    yield "| --- | --- |"
    with TemporaryDirectory() as directory, Store(Path(directory) / "data") as store:
        document = application(Service(settings(), store)).openapi()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"| `{method.upper()} {path}` | {operation.get('summary', '')} |"


def _events() -> Iterator[str]:
    yield "Of `GET /api/v1/events`, and over MQTT on `{root}/{site}/{component}/event`."
    yield ""
    yield "| event | |"
    yield "| --- | --- |"
    yield from (f"| `{kind}` | {text} |" for kind, text in KINDS.items())


def _commands() -> Iterator[str]:
    yield "| command | |"
    yield "| --- | --- |"
    yield from _below(app, "twin")


def _below(commands: typer.Typer, prefix: str) -> Iterator[str]:
    for command in commands.registered_commands:
        if command.callback is not None:
            name = command.name or command.callback.__name__
            yield f"| `{prefix} {name}` | {(command.callback.__doc__ or '').strip()} |"
    for group in commands.registered_groups:
        if group.typer_instance is not None:
            yield from _below(group.typer_instance, f"{prefix} {group.name}")


if __name__ == "__main__":
    sys.stdout.write(page())
