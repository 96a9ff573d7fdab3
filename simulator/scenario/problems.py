"""Pydantic's findings as sentences: file, line, key, what came, what was expected, and the nearest known name."""

from __future__ import annotations

import types
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from simulator.foundation.errors import did_you_mean
from simulator.scenario.capacity import Capacity, capacity_entry
from simulator.scenario.delay import Delay, DelayEntry
from simulator.scenario.document import Document, Place
from simulator.scenario.place import Position, path_entry

EXAMPLES = {
    "technique": "technique: {kind: min-latency}",
    "at": "at: {time: 30 s}",
    "arrivals": "arrivals: {kind: poisson, rate: 4 /s}",
    "software": "software: {message: 1 ms}",
    "nodes": "nodes: {pi: {kind: device, hardware: raspberry-pi-4}}",
    "between": "between: [pi, edge]",
    "sources": "sources: [pi]",
    "knowledge": "knowledge: {bandwidth: last-transfer}",
    "attach": "attach: {to: nearest, interruption: 50 ms}",
    "to": "to: nearest",
    "interruption": "interruption: 50 ms",
}
"""What to write where a whole entry is wrong."""

WHOLE = {"int_type", "int_parsing", "int_from_float", "int_parsing_size"}
NUMBER = {"float_type", "float_parsing", "finite_number"}
BOUNDS = {
    "greater_than_equal": ("ge", "or more"),
    "greater_than": ("gt", "above"),
    "less_than_equal": ("le", "or less"),
    "less_than": ("lt", "below"),
}


def sentences(error: ValidationError, document: Document, root: type[BaseModel], above: Place = ()) -> list[str]:
    """Return one sentence for each of *error*'s findings about the part of *document* below *above*."""
    found: dict[tuple[Place, str], None] = {}
    for item in error.errors():
        if not _beside_the_point(item):
            place, model, kind = _follow(item, root, document, above)
            found[(place, _sentence(item, place, model, kind))] = None
    return [f"{document.where(place)}: {text}" for place, text in found]


def _beside_the_point(item: Any) -> bool:
    """Return whether the finding is about the other branch of a union: a word where a mapping came, or the reverse."""
    if len(item["loc"]) < 2 or not isinstance(item["loc"][-1], str):
        return False
    tag = item["loc"][-1]
    if item["type"] == "literal_error" and tag.startswith("literal["):
        return isinstance(item["input"], dict)
    return item["type"] == "model_type" and tag.endswith("Entry") and not isinstance(item["input"], dict)


def _follow(item: Any, root: type[BaseModel], document: Document, above: Place) -> tuple[Place, Any, Any]:
    """Return the place in the document that a finding means (less the tags pydantic adds), its holder and its type."""
    loc: tuple[int | str, ...] = item["loc"]
    data: Any = document.data
    for part in above:
        data = data[part] if isinstance(data, dict) and part in data else None
    place = list(above)
    kind: Any = root
    holder: Any = root
    for index, part in enumerate(loc):
        written = _options(kind)
        if Capacity in written:
            kind = capacity_entry(data)
        elif Delay in written or Position in written:
            kind = DelayEntry if Delay in written else path_entry(data)
        models = [option for option in _options(kind) if _is_model(option)]
        if len(models) == 1:
            holder = models[0]
        here = isinstance(data, dict) and part in data
        inside = isinstance(data, list) and isinstance(part, int) and part < len(data)
        lacking = index == len(loc) - 1 and item["type"] == "missing" and isinstance(part, str)
        if here or inside or lacking:
            place.append(part)
            data = data[part] if here or inside else None
            kind = _inner(kind, part)
        else:  # the tag of a union
            kind = _tagged(kind, str(part))
    return tuple(place), holder, kind


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _options(kind: Any) -> list[Any]:
    origin = get_origin(kind)
    if origin is Annotated:
        return _options(get_args(kind)[0])
    if origin in (Union, types.UnionType):
        return [option for arg in get_args(kind) for option in _options(arg)]
    return [kind]


def _inner(kind: Any, part: int | str) -> Any:
    for option in _options(kind):
        if _is_model(option) and part in option.model_fields:
            return option.model_fields[str(part)].annotation
        if get_origin(option) is dict:
            return get_args(option)[1]
        if get_origin(option) in (list, tuple):
            return get_args(option)[0]
    return None


def _tagged(kind: Any, tag: str) -> Any:
    for option in _options(kind):
        if _is_model(option) and (option.__name__ == tag or tag in _kinds(option)):
            return option
    return kind


def _kinds(option: Any) -> list[str]:
    field = option.model_fields.get("kind") if _is_model(option) else None
    return [str(name) for name in get_args(field.annotation)] if field is not None else []


def _sentence(item: Any, place: Place, model: Any, annotation: Any) -> str:
    kind, value, context = item["type"], item.get("input"), item.get("ctx") or {}
    key = place[-1] if place else ""
    if kind == "extra_forbidden":
        known = list(model.model_fields) if model is not None else []
        listed = f" Known here: {', '.join(known)}." if known else " It has no parameters."
        return f"unknown key.{did_you_mean(key, known)}{listed}"
    if kind == "missing" and isinstance(item["loc"][-1], int):
        return f"too few came; write e.g. {EXAMPLES.get(str(key), '[a, b]')}"
    if kind == "missing":
        field = model.model_fields.get(str(key)) if model is not None else None
        meaning = f" ({field.description.splitlines()[0].rstrip('.')})" if field and field.description else ""
        return f"is missing; add it{meaning.replace('``', '')}{_such_as(key)}"
    if kind in ("value_error", "assertion_error"):
        return str(context.get("error", item["msg"]))
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        expected = [name for option in _options(annotation) for name in _kinds(option)]
        came = context.get("tag")
        if came is None:
            return f"has no kind; add one of {', '.join(f'kind: {name}' for name in expected)}"
        return f'no kind "{came}" here.{did_you_mean(came, expected)} Known: {", ".join(expected)}'
    if kind == "literal_error":
        expected = [name.strip(" '") for name in str(context.get("expected", "")).replace(" or ", ",").split(",")]
        return f"{_shown(value)} is none of {', '.join(expected)}.{did_you_mean(value, expected)}"
    return f"{_shown(value)} came; {_expected(kind, context, item['msg'])}{_such_as(key)}"


def _expected(kind: str, context: dict[str, Any], message: str) -> str:
    """Say what was expected, as one who knows no pydantic would."""
    if kind in BOUNDS:
        name, word = BOUNDS[kind]
        return f"it must be {context[name]} {word}" if word.startswith("or") else f"it must be {word} {context[name]}"
    if kind in ("too_short", "too_long"):
        few = kind == "too_short"
        return f"at {'least' if few else 'most'} {context['min_length' if few else 'max_length']} expected here"
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return "a mapping (key: value) is expected here"
    if kind in ("tuple_type", "list_type"):
        return "a list is expected here"
    if kind in WHOLE:
        return "a whole number is expected here"
    if kind in NUMBER:
        return "a number is expected here"
    if kind == "string_type":
        return "text is expected here; put it in quotes (yes, no, on, off and numbers are not text in YAML)"
    if kind in ("bool_type", "bool_parsing"):
        return "true or false is expected here"
    return message[0].lower() + message[1:]


def _such_as(key: object) -> str:
    return f"; write e.g. {EXAMPLES[str(key)]}" if str(key) in EXAMPLES else ""


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
