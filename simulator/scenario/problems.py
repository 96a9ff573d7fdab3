"""Pydantic's findings as sentences: file, line, key, what came, what was expected, and the nearest known name."""

from __future__ import annotations

import types
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from simulator.foundation.errors import did_you_mean
from simulator.scenario.document import Document, Place


def sentences(error: ValidationError, document: Document, root: type[BaseModel], above: Place = ()) -> list[str]:
    """Return one sentence for each of *error*'s findings about the part of *document* below *above*."""
    found: dict[tuple[Place, str], None] = {}
    for item in error.errors():
        place, model = _follow(item["loc"], root, document, above)
        found[(place, _sentence(item, model))] = None
    return [f"{document.where(place)}: {text}" for place, text in found]


def _follow(
    loc: tuple[int | str, ...], root: type[BaseModel], document: Document, above: Place
) -> tuple[Place, type[BaseModel] | None]:
    """Return the place in the document that *loc* means (less the tags pydantic adds) and the model that holds it."""
    data: Any = document.data
    for part in above:
        data = data[part] if isinstance(data, dict) and part in data else None
    place = list(above)
    kind: Any = root
    holder: type[BaseModel] | None = root
    for index, part in enumerate(loc):
        last = index == len(loc) - 1
        holder = kind if isinstance(kind, type) and issubclass(kind, BaseModel) else holder
        here = isinstance(data, dict) and part in data
        inside = isinstance(data, list) and isinstance(part, int) and part < len(data)
        known = holder is not None and part in holder.model_fields
        if here or inside or (last and (known or isinstance(data, dict))):
            place.append(part)
            data = data[part] if here or inside else None
            kind = _inner(kind, part)
        else:  # the tag of a union
            kind = _tagged(kind, str(part))
    return tuple(place), holder


def _options(kind: Any) -> list[Any]:
    origin = get_origin(kind)
    if origin is Annotated:
        return _options(get_args(kind)[0])
    if origin in (Union, types.UnionType):
        return [option for arg in get_args(kind) for option in _options(arg)]
    return [kind]


def _inner(kind: Any, part: int | str) -> Any:
    for option in _options(kind):
        if isinstance(option, type) and issubclass(option, BaseModel) and part in option.model_fields:
            return option.model_fields[str(part)].annotation
        if get_origin(option) is dict:
            return get_args(option)[1]
        if get_origin(option) in (list, tuple):
            return get_args(option)[0]
    return None


def _tagged(kind: Any, tag: str) -> Any:
    for option in _options(kind):
        if isinstance(option, type) and issubclass(option, BaseModel):
            field = option.model_fields.get("kind")
            if option.__name__ == tag or (field is not None and tag in get_args(field.annotation)):
                return option
    return kind


def _sentence(item: Any, model: type[BaseModel] | None) -> str:
    kind, value, context = item["type"], item.get("input"), item.get("ctx") or {}
    key = item["loc"][-1] if item["loc"] else ""
    if kind == "extra_forbidden":
        known = list(model.model_fields) if model is not None else []
        listed = f" Known here: {', '.join(known)}." if known else " It has no parameters."
        return f"unknown key.{did_you_mean(key, known)}{listed}"
    if kind == "missing":
        field = model.model_fields.get(str(key)) if model is not None else None
        meaning = f" ({field.description.splitlines()[0].rstrip('.')})" if field and field.description else ""
        return f"is missing; add it{meaning}"
    if kind in ("value_error", "assertion_error"):
        return str(context.get("error", item["msg"]))
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        expected = [name.strip(" '") for name in str(context.get("expected_tags", "")).split(",") if name.strip()]
        came = context.get("tag")
        if came is None:
            return f"has no kind; add e.g. kind: {expected[0] if expected else '...'}"
        return f'no kind "{came}" here.{did_you_mean(came, expected)} Known: {", ".join(expected)}'
    if kind == "literal_error":
        expected = [name.strip(" '") for name in str(context.get("expected", "")).replace(" or ", ",").split(",")]
        return f"{_shown(value)} is none of {', '.join(expected)}.{did_you_mean(value, expected)}"
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return f"{_shown(value)} came, but a mapping (key: value) is expected here"
    if kind in ("tuple_type", "list_type"):
        return f"{_shown(value)} came, but a list ([a, b]) is expected here"
    return f"{_shown(value)} came; {item['msg'][0].lower()}{item['msg'][1:]}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
