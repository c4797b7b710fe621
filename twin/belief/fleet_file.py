"""Registrations from tables: of the fleet file, of a recorded file, of the simulated plant."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import structlog
from pydantic import ValidationError

from sensors.refusal import shown
from twin.belief.credible import NotMeantError, credible
from twin.belief.preflight import doubtful, trial
from twin.component import DEPRECATED, FORMS, NAME, Component, Registration, form, parsed
from twin.errors import SettingsError, unreadable
from twin.sentences import sentence, unknown
from twin.settings import Settings

NESTED = "Registration"
log = structlog.get_logger()


def fleet_file(path: Path) -> dict[str, Registration]:
    """The registrations of a TOML file of `[[component]]` tables, by name.

    Raises SettingsError, which names what cannot be read.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise SettingsError(f"fleet file {path}: {unreadable(exc)}") from exc
    if others := [name for name in tables if name != "component"]:
        is_settings = others[0] in Settings.model_fields
        hint = "is this a file of settings?" if is_settings else "write a table [[component]] each"
        raise SettingsError(f"{path}: {unknown(others[0], ('component',))} {hint}")
    found = registrations(tables.get("component", []), str(path))
    flat = [table["name"] for table in tables.get("component", []) if form(table) != NESTED]
    if flat:
        log.warning("fleet_file_deprecated", components=len(flat), first=flat[0], why=DEPRECATED)
    return found


def registrations(tables: object, origin: str) -> dict[str, Registration]:
    """The registrations of tables that carry a `name`; raises SettingsError naming the fault."""
    found: dict[str, Registration] = {}
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise SettingsError(f"{origin}: component is no list of tables: write [[component]]")
    for number, table in enumerate(tables, start=1):
        name = _name(table, number, origin)
        if name in found:
            raise SettingsError(f"{origin}: component name {name!r} is there twice")
        try:
            found[name] = parsed({k: v for k, v in table.items() if k != "name"})
        except ValidationError as exc:
            told = sentence(exc, FORMS[exc.title])
            raise SettingsError(f"{origin}: component {name}: {told}") from exc
    return found


def _name(table: dict[str, Any], number: int, origin: str) -> str:
    if "name" not in table:
        raise SettingsError(f"{origin}: component {number} of the file has no name")
    name = table["name"]
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise SettingsError(
            f"{origin}: component name {shown(name)} is malformed: it must be site/component, "
            "each 1 to 63 lower-case letters, digits and hyphens, no hyphen first"
        )
    return name


def tried(components: Iterable[Component], origin: str) -> list[Component]:
    """The components, each of which can be stepped; raises SettingsError naming one that cannot."""
    found = list(components)
    doubted = doubtful([component.registration for component in found])
    for i, component in enumerate(found):
        try:
            if i in doubted:
                trial(component.registration)
            else:
                credible(component.registration)
        except NotMeantError as exc:
            raise SettingsError(f"{origin}: {component.name}: {exc}") from exc
        except ValueError as exc:
            raise SettingsError(f"{origin}: {component.name} cannot be stepped: {exc}") from exc
    return found
