"""What pydantic finds wrong, as sentences for people: the field, its value, and what it must be.

`http.prot is unknown: is http.port meant?`, `http.port is 65536: it must be at most 65535`. One
place for all of them: settings, the fleet file, libraries, and what comes over HTTP.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from models.fatigue.parameters import SYMBOLS
from sensors.refusal import counted, shown
from sensors.topics import LEVEL_PATTERN

MOST = 20  # faults that are told
KNOWN = 24  # most names that are listed where none is near
_subject = re.compile(r"(\w+)(?=(?:\[\d+\])* (?:is |at |of the table)| ?['\[])").match
_SECRET = ("password", "token", "secret")


class FieldFault(NamedTuple):
    """One thing that is wrong."""

    where: str  # dotted, empty for the whole
    what: str  # the sentence, with the field and its value


class FoundField(NamedTuple):
    """Where an error is: its steps as people write them, and the names known beside the last."""

    steps: tuple[str | int, ...]
    known: tuple[str, ...]
    kinds: tuple[str, ...]  # that what is there may be of
    inside: tuple[str, ...]  # the names of its own fields


def sentence(exc: ValidationError, model: type[BaseModel]) -> str:
    """Everything that is wrong with a `model`, in one line."""
    return "; ".join(fault.what for fault in faults(exc.errors(include_url=False), model))


def faults(errors: Iterable[Mapping[str, Any]], model: object) -> list[FieldFault]:
    """The errors of pydantic on a `model` (any annotation), one sentence a place."""
    told: dict[tuple[str | int, ...], str] = {}
    short: set[tuple[str | int, ...]] = set()  # pydantic does not count entries that are wrong
    for error in errors:
        found = located(error["loc"], model)
        told.setdefault(found.steps, _sentence(dotted(found.steps), error, found))
        if error["type"] == "too_short":
            short.add(found.steps)
    idle = {n for n in short if any(m[: len(n)] == n and m != n for m in told)}
    kept = [FieldFault(dotted(steps), what) for steps, what in told.items() if steps not in idle]
    return kept[:MOST]


def dotted(steps: Sequence[str | int]) -> str:
    """`geometry.path[0]` for its steps."""
    text = "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in steps)
    return text.removeprefix(".")


def located(loc: Sequence[str | int], model: object) -> FoundField:
    """Where an error is, without the steps that pydantic adds for the members of a union."""
    kinds = _models(model)
    steps: list[str | int] = []
    known: tuple[str, ...] = ()
    for step in loc:
        if not kinds:  # inside of what has no names, as far as this can tell
            if isinstance(step, int) or not steps:
                steps.append(step)
            continue
        fields = {name: field for kind in kinds for name, field in kind.model_fields.items()}
        chosen = [kind for kind in kinds if step in _tags(kind)]
        if chosen and step not in fields:
            kinds = chosen
        elif isinstance(step, int):
            steps.append(step)
        else:
            steps.append(step)
            known = tuple(fields)
            kinds = _models(fields[step].annotation) if step in fields else []
    tags = (tag for kind in kinds for tag in _tags(kind)[:-1])
    inside = tuple(name for kind in kinds for name in kind.model_fields)
    return FoundField(tuple(steps), known, tuple(map(str, tags)), inside)


def nearest(name: str, known: Sequence[str]) -> str | None:
    """The known name that somebody may have meant, who may write it as the literature does."""
    if SYMBOLS.get(name) in known:
        return SYMBOLS[name]
    folded = {one.lower(): one for one in known}
    near = get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    return folded[near[0]] if near else None


def unknown(where: str, known: Sequence[str]) -> str:
    """The sentence for a field that nobody knows."""
    head, dot, name = where.rpartition(".")
    near = nearest(name, known)
    if near is not None:
        return f"{where} is unknown: is {head}{dot}{near} meant?"
    listed = ", ".join(known[:KNOWN]) or "nothing"
    return f"{where} is unknown: known here {'are' if len(known) > 1 else 'is'} {listed}"


def _sentence(where: str, error: Mapping[str, Any], found: FoundField) -> str:
    kind, ctx, value = error["type"], error.get("ctx", {}), error.get("input")
    name = where or "what was sent"
    if kind == "extra_forbidden":
        return unknown(where, found.known)
    if kind == "missing":
        return f"{name} is missing"
    if kind == "union_tag_not_found":
        return f"{name} has no kind: it must be one of {', '.join(found.kinds)}"
    if kind == "union_tag_invalid":
        tags = ctx["expected_tags"].replace("'", "")
        tag = value.get("kind") if isinstance(value, dict) else ctx["tag"]
        return f"{f'{where}.' if where else ''}kind is {shown(tag)}: it must be one of {tags}"
    if kind == "json_invalid":
        return f"the body is not JSON: {ctx.get('error', error['msg'])}"
    if kind in ("value_error", "assertion_error"):
        return _placed(where, str(ctx.get("error", error["msg"])), found)
    what = _MUST[kind](ctx) if kind in _MUST else error["msg"][:1].lower() + error["msg"][1:]
    if kind == "float_type" and isinstance(value, int) and not isinstance(value, bool):
        what = "it is too large"  # for any float
    hidden = any(word in where for word in _SECRET)
    return f"{name}{'' if hidden else f' is {shown(value)}'}: {what}"


def _placed(where: str, said: str, found: FoundField) -> str:
    """A sentence of a model or a field about itself, with the place that it is about."""
    if not where or said.startswith(str(found.steps[-1])):
        return said
    subject = _subject(said)
    if subject is not None and subject[1] in found.inside:
        return f"{where}.{said}"
    return f"{where}: {said}"


def _bound(words: str, key: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda ctx: f"it must be {words} {_number(ctx[key])}"


def _number(value: object) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _said(words: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda _: words


_FORMS = {  # of what is no name
    "^[A-Za-z0-9/-]*$": "names are made of letters, digits, hyphens and a slash",
    "^[0-9a-f]{64}$": "it must be 64 digits of 0-9a-f",
    r"^[A-Za-z0-9._:-]{1,64}~[0-9]{1,16}~[0-9]{1,16}$": "it must be source~boot~seq, the `id` that"
    " the inspection was answered with",
}


def _pattern(ctx: Mapping[str, Any]) -> str:
    """For names of sites and components, and for what is made of characters of one kind."""
    pattern = ctx["pattern"]
    part = "1 to 63 lower-case letters, digits and hyphens, no hyphen first"
    if pattern.count(LEVEL_PATTERN) == 2:
        return f"it must be site/component, each {part}"
    if pattern.count(LEVEL_PATTERN) == 1:
        return f"it must be {part}"
    return _FORMS.get(pattern, f"it does not have the form {pattern}")


def _expected(ctx: Mapping[str, Any]) -> str:
    names = ctx["expected"].replace("'", "")
    return f"it must be {'one of ' if ',' in names else ''}{names}"


def _few(key: str, one: str, many: str = "") -> Callable[[Mapping[str, Any]], str]:
    return lambda ctx: f"it must have at least {counted(ctx[key], one, many)}"


def _many(key: str, one: str, many: str = "") -> Callable[[Mapping[str, Any]], str]:
    return lambda ctx: f"it must have at most {counted(ctx[key], one, many)}"


_NUMBER, _WHOLE = _said("it must be a number"), _said("it must be a whole number")
_TRUTH, _TEXT = _said("it must be true or false"), _said("it must be text")
_TIME = _said("it must be a time with a zone, like 2026-11-20T10:05:00Z")
_LIST, _TABLE = _said("it must be a list"), _said("it must be a table of fields")

_MUST: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than": _bound("above", "gt"),
    "greater_than_equal": _bound("at least", "ge"),
    "less_than": _bound("below", "lt"),
    "less_than_equal": _bound("at most", "le"),
    "finite_number": _said("it must be a finite number"),
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": _said("it has too many digits"),
    "bool_type": _TRUTH,
    "bool_parsing": _TRUTH,
    "string_type": _TEXT,
    "string_unicode": _TEXT,
    "string_sub_type": _TEXT,
    "datetime_type": _TIME,
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
    "timezone_aware": _TIME,
    "path_type": _said("it must be the path of a file"),
    "string_too_long": _many("max_length", "character"),
    "string_too_short": _few("min_length", "character"),
    "string_pattern_mismatch": _pattern,
    "literal_error": _expected,
    "too_short": _few("min_length", "entry", "entries"),
    "too_long": _many("max_length", "entry", "entries"),
    "list_type": _LIST,
    "tuple_type": _LIST,
    "dict_type": _TABLE,
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
}


def _models(annotation: object) -> list[type[BaseModel]]:
    """The models that an annotation may hold: itself, of a union, of a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Annotated, Union, types.UnionType, list, tuple):
        return [model for part in get_args(annotation) for model in _models(part)]
    return []


def _tags(model: type[BaseModel]) -> tuple[object, ...]:
    """What a member of a union is called in the steps of an error."""
    kind = model.model_fields.get("kind")
    literals = get_args(kind.annotation) if kind and get_origin(kind.annotation) is Literal else ()
    return (*literals, model.__name__)
