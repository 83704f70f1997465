"""Pieces of the API's description: schemas of result dataclasses, questions and answers."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from clip_gaze.analysis.defaults import FEWEST_RUNS
from clip_gaze.analysis.occlusion import CELLS

Schema = dict[str, Any]

PICTURES = "image/*"
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
    doc = inspect.getdoc(kind) or ""
    said = _attributes(doc)
    properties = {
        name: _schema(hints[name]) | _BOUNDS.get(name, {}) | said.get(name, {})
        for name in (each.name for each in dataclasses.fields(kind))
    }
    return {"description": doc.partition("\n")[0], **closed(properties)}


def closed(properties: Schema) -> Schema:
    """Return the schema of an object that has all of its properties, and no others."""
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": False,
    }


def reference(name: str) -> Schema:
    """Return a reference to a schema of the description."""
    return {"$ref": f"#/components/schemas/{name}"}


def array(items: Schema, **more: Any) -> Schema:
    """Return the schema of an array, with what else holds of it."""
    return {"type": "array", "items": items, **more}


def asking(
    name: str,
    summary: str,
    properties: Schema,
    content: Schema,
    *,
    required: Sequence[str] = ("image",),
    more: Schema | None = None,
) -> Schema:
    """Return the description of a question that is asked with a form.

    Args:
        name: of the operation.
        summary: what is answered, in a line.
        properties: field -> schema.
        content: media type -> schema of an answer.
        required: fields that must be there.
        more: what else holds of the form.

    """
    form = closed(properties) | {"required": list(required)} | (more or {})
    media = {"schema": form, "encoding": {"image": {"contentType": PICTURES}}}
    return {
        "operationId": name,
        "summary": summary,
        "requestBody": {"required": True, "content": {"multipart/form-data": media}},
        "responses": {
            "200": {"description": summary, "content": content},
            **_refusals({"400": "BadRequest", "408": "TooSlow", "413": "TooLarge"}),
            **_refusals({"415": "NotAForm", "500": "Failed", "503": "Busy"}),
        },
    }


def reading(name: str, summary: str, item: str) -> Schema:
    """Return the description of what can be read: an array of a schema of the description."""
    content = {"application/json": {"schema": array(reference(item))}}
    answer = {"description": summary, "content": content}
    return {"operationId": name, "summary": summary, "responses": {"200": answer, **_refusals({})}}


def _refusals(more: dict[str, str]) -> Schema:
    every = {"401": "Unauthorized", "403": "Forbidden", **more}
    return {status: {"$ref": f"#/components/responses/{name}"} for status, name in every.items()}


def problem(description: str) -> Schema:
    """Return the description of a refusal."""
    content = {"application/json": {"schema": reference("Problem")}}
    return {"description": description, "content": content}


def events(names: str) -> Schema:
    """Return the description of a stream of events."""
    return {"schema": {"type": "string", "description": f"Server-sent events: {names}."}}


def _schema(hint: Any) -> Schema:
    origin, parts = get_origin(hint), get_args(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return reference(hint.__name__)
    if origin is Literal:
        return {"enum": list(parts)}
    if origin in (Union, types.UnionType):
        each = [_schema(part) for part in parts]
        simple = [schema.get("type") for schema in each]
        return {"type": simple} if all(simple) else {"oneOf": each}
    if origin is tuple:
        many = {} if parts[-1] is ... else {"minItems": len(parts), "maxItems": len(parts)}
        return array(_schema(parts[0]), **many)
    if origin is Mapping:
        return {"type": "object", "additionalProperties": _schema(parts[1])}
    return {"type": _KINDS[hint]}


def _attributes(doc: str) -> dict[str, Schema]:
    """Return name -> description, as the section Attributes of a docstring has them."""
    section = doc.partition("Attributes:\n")[2]
    found = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: {"description": " ".join(text.split())} for name, text in found}
