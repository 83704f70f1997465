"""Derive JSON schemas from the result dataclasses, with what their docstrings say of each field."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from clip_gaze.analysis.defaults import FEWEST_RUNS
from clip_gaze.analysis.occlusion import CELLS

Schema = dict[str, Any]

_KINDS = {str: "string", float: "number", int: "integer", bool: "boolean", type(None): "null"}
_SHARE = {"minimum": 0, "maximum": 1}
_SQUARE = {"minItems": CELLS, "maxItems": CELLS}
# What holds for fields beside their types.
_BOUNDS: dict[str, Schema] = {
    "probability": _SHARE,
    "plain": _SHARE,
    "grid": {**_SQUARE, "items": {"type": "array", "items": {"type": "number"}, **_SQUARE}},
    "box": {"items": {"type": "number", **_SHARE}},
    "runs": {"minimum": FEWEST_RUNS},
}


def record(kind: type) -> Schema:
    """Return the schema of what `asdict` makes of a dataclass: all of its fields, and no others."""
    # The modules of results import Mapping for type checkers alone.
    hints = get_type_hints(kind, localns={"Mapping": Mapping})
    said = _attributes(kind)
    properties = {
        name: _schema(hints[name]) | _BOUNDS.get(name, {}) | said.get(name, {})
        for name in (each.name for each in dataclasses.fields(kind))
    }
    return {"description": _doc(kind).partition("\n")[0], **closed(properties)}


def closed(properties: Schema) -> Schema:
    """Return the schema of an object that has all of its properties, and no others."""
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": False,
    }


def _schema(hint: Any) -> Schema:
    origin, parts = get_origin(hint), get_args(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return {"$ref": f"#/components/schemas/{hint.__name__}"}
    if origin is Literal:
        return {"enum": list(parts)}
    if origin in (Union, types.UnionType):
        each = [_schema(part) for part in parts]
        simple = [schema.get("type") for schema in each]
        return {"type": simple} if all(simple) else {"oneOf": each}
    if origin is tuple:
        many = {} if parts[-1] is ... else {"minItems": len(parts), "maxItems": len(parts)}
        return {"type": "array", "items": _schema(parts[0]), **many}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": _schema(parts[1])}
    return {"type": _KINDS[hint]}


def _doc(kind: type) -> str:
    return inspect.getdoc(kind) or ""


def _attributes(kind: type) -> dict[str, Schema]:
    """Return name -> description, as the section Attributes of a docstring has them."""
    section = _doc(kind).partition("Attributes:\n")[2]
    found = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: {"description": " ".join(text.split())} for name, text in found}
