"""Registrations from tables: of the fleet file, of a recorded file, of the simulated plant."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from twin.component import NAME, Component, Registration
from twin.credible import NotMeantError
from twin.errors import SettingsError
from twin.trial import trial


def fleet_file(path: Path) -> dict[str, Registration]:
    """The registrations of a TOML file of `[[component]]` tables, by name."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise SettingsError(f"fleet file {path}: {exc}") from exc
    return registrations(tables.get("component", []), str(path))


def registrations(tables: list[dict[str, Any]], origin: str) -> dict[str, Registration]:
    """The registrations of tables that carry a `name`; raises SettingsError naming the fault."""
    found: dict[str, Registration] = {}
    for table in tables:
        name = str(table.get("name", ""))
        if not NAME.fullmatch(name) or name in found:
            raise SettingsError(f"{origin}: component name {name!r} is malformed or taken")
        try:
            found[name] = Registration(**{k: v for k, v in table.items() if k != "name"})
        except ValidationError as exc:
            faults = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors())
            raise SettingsError(f"{origin}: component {name}: {'; '.join(faults)}") from exc
    return found


def tried(components: Iterable[Component], origin: str) -> list[Component]:
    """The components, each of which can be stepped; raises SettingsError naming one that cannot."""
    found = list(components)
    for component in found:
        try:
            trial(component.registration)
        except NotMeantError as exc:
            raise SettingsError(f"{origin}: {component.name}: {exc}") from exc
        except ValueError as exc:
            raise SettingsError(f"{origin}: {component.name} cannot be stepped: {exc}") from exc
    return found
