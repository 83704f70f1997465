"""The API's description, as OpenAPI 3.1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clip_gaze.analysis.defaults import QUALITIES
from clip_gaze.analysis.prompt import BETWEEN
from clip_gaze.results import (
    Change,
    Compared,
    Comparison,
    CorrectedScore,
    HeatMap,
    Hit,
    PhraseScore,
    PictureResult,
    PromptLine,
    PromptPart,
    Search,
    Term,
    Unread,
)
from clip_gaze.texts import phrases
from clip_gaze.web import forms, schemas
from clip_gaze.web.multipart import LONGEST_PHRASE, MOST_FILES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clip_gaze.web.schemas import Schema

_PICTURES = "image/*"
_ABOUT = """\
What `clip-gaze serve` answers, in the forms of the command line. Everything stays in memory and on
this machine. Where the server was started with a token, each request carries it: as
`Authorization: Bearer TOKEN`, or as the cookie that opening `/?token=TOKEN` sets.\
"""


def description(version: str, cookie: str) -> dict[str, Any]:
    """Return the description of a version whose token is in a cookie of this name."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "clip-gaze", "version": version, "description": _ABOUT},
        "paths": {
            "/api/lists": {"get": _reading("lists", "The phrase lists that ship", "List")},
            "/api/models": {"get": _reading("models", "The models; first that in use", "Model")},
            "/api/gaze": {"post": _gaze()},
            "/api/see": {"post": _see()},
            "/api/compare": {"post": _compare()},
            "/api/find": {"post": _find()},
            "/api/prompt": {"post": _prompt()},
            "/api/card": {"post": _card()},
        },
        "components": {
            "schemas": _SCHEMAS,
            "responses": {
                "Unauthorized": _problem("The token is missing or wrong."),
                "Forbidden": _problem("The Host or Origin is not this server's."),
                "BadRequest": _problem("The request or its only picture cannot be understood."),
                "TooLarge": _problem("The request, a part of it or a picture is too large."),
                "TooSlow": _problem("The body comes too slowly."),
                "Failed": _problem("The model cannot be used, or clip-gaze failed."),
                "NotAForm": _problem("The body is no multipart/form-data."),
                "Busy": {
                    **_problem("Too much is waiting, or the server stops; try again later."),
                    "headers": {
                        "Retry-After": {
                            "description": "Seconds to wait.",
                            "required": True,
                            "schema": {"type": "integer"},
                        }
                    },
                },
            },
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": cookie},
            },
        },
        "security": [{}, {"bearer": []}, {"cookie": []}],
    }


def _gaze() -> Schema:
    return _asking(
        "gaze",
        "Which phrases of each list are likely for each picture",
        {"image": _images(1, MOST_FILES), **_lists(), "top": _TOP, "corrected": _CORRECTED},
        {
            "application/json": {"schema": _array(_ref("PictureResult"))},
            "text/csv": {"schema": {"type": "string", "description": "One row for each phrase."}},
            "text/event-stream": _events("queued, encoding, list, picture, error, done"),
        },
    )


def _see() -> Schema:
    looked = _phrase("What to look for.", forms.MOST_LOOKED_FOR)
    properties = {
        "image": _images(1, 1),
        "phrase": {**looked, "minItems": 1},
        "list": {**_name(), "description": "The list that they are weighed against."},
        "against": _phrase("Phrases that they are weighed against, in place of a list."),
        "quality": {"enum": list(QUALITIES), "default": "normal"},
        "corrected": _CORRECTED,
        "overlay": {**_CORRECTED, "description": "Send a picture of each map."},
    }
    exclusive = {"not": {"required": ["list", "against"]}}
    return _asking(
        "see",
        "Where a picture speaks for a phrase",
        properties,
        {
            "application/json": {"schema": _array(_ref("HeatMap"))},
            "text/event-stream": _events("queued, encoding, progress, maps, error, done"),
        },
        required=("image", "phrase"),
        more=exclusive,
    )


def _compare() -> Schema:
    lists = _lists()
    # A phrase alone has no odds within its list.
    lists["phrase"] = {**lists["phrase"], "minItems": 2}
    images = _images(forms.FEWEST_COMPARED, forms.MOST_COMPARED)
    return _asking(
        "compare",
        "How pictures differ from the first of them",
        {"image": images, **lists, "top": _TOP},
        {
            "application/json": {"schema": _ref("Comparison")},
            "text/csv": {"schema": {"type": "string", "description": "One row for each phrase."}},
            "image/png": _PNG,
        },
    )


def _find() -> Schema:
    number = {"type": "integer", "minimum": 0, "maximum": MOST_FILES - 1}
    like = "Pictures that are looked for, by their numbers in the form, from 0."
    properties = {
        "image": _images(1, MOST_FILES),
        "phrase": _phrase("Words that are looked for."),
        "without": _phrase("Words that are taken away."),
        "like": _array(number, description=like),
        "top": {**_TOP, "description": "How many pictures; 0 for all."},
    }
    some = {
        "anyOf": [
            {"required": [name], "properties": {name: {"minItems": 1}}}
            for name in ("phrase", "without", "like")
        ]
    }
    answer = {"application/json": {"schema": _ref("Search")}}
    return _asking("find", "Which pictures are nearest to a query", properties, answer, more=some)


def _prompt() -> Schema:
    lists = _lists()
    lists["list"] = {**lists["list"], "description": "Shipped lists. Without any: five."}
    properties = {
        "image": _images(1, 1),
        **lists,
        "with": {**_PHRASE, "description": "Words of your own to begin with."},
        "without": _phrase("Phrases that have one of these in them are not taken."),
        "free": {**_CORRECTED, "description": "Take more than one phrase of a list."},
        "negative": {**_CORRECTED, "description": "Make the line that is farthest away."},
        "style": {"enum": list(BETWEEN), "default": "plain"},
    }
    answer = {
        "application/json": {"schema": _ref("PromptLine")},
        "text/event-stream": _events("queued, encoding, progress, prompt, error, done"),
    }
    return _asking("prompt", "The line of phrases closest to a picture", properties, answer)


def _card() -> Schema:
    see = {**_PHRASE, "description": "A phrase that the card shows a heat map of."}
    weighed = {
        "enum": [*phrases.names(), phrases.OWN],
        "description": "The list that it is weighed against. Without one: the first that has it.",
    }
    properties = {
        "image": _images(1, 1), **_lists(), "top": _TOP, "corrected": _CORRECTED, "see": see,
        "see_list": weighed,
    }  # fmt: skip
    together = {"anyOf": [{"required": ["see"]}, {"not": {"required": ["see_list"]}}]}
    answer = {"image/png": _PNG}
    summary = "A picture with its phrases, to share"
    return _asking("card", summary, properties, answer, more=together)


def _asking(
    name: str,
    summary: str,
    properties: Schema,
    content: Schema,
    *,
    required: Sequence[str] = ("image",),
    more: Schema | None = None,
) -> Schema:
    form = {
        "type": "object",
        "required": list(required),
        "properties": properties,
        "additionalProperties": False,
        **(more or {}),
    }
    media = {"schema": form, "encoding": {"image": {"contentType": _PICTURES}}}
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


def _reading(name: str, summary: str, item: str) -> Schema:
    content = {"application/json": {"schema": _array(_ref(item))}}
    answer = {"description": summary, "content": content}
    return {"operationId": name, "summary": summary, "responses": {"200": answer, **_refusals({})}}


def _refusals(more: dict[str, str]) -> Schema:
    every = {"401": "Unauthorized", "403": "Forbidden", **more}
    return {status: {"$ref": f"#/components/responses/{name}"} for status, name in every.items()}


def _problem(description: str) -> Schema:
    content = {"application/json": {"schema": _ref("Problem")}}
    return {"description": description, "content": content}


def _events(names: str) -> Schema:
    return {"schema": {"type": "string", "description": f"Server-sent events: {names}."}}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _array(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def _images(fewest: int, most: int) -> Schema:
    picture = {"type": "string", "contentMediaType": _PICTURES}
    return {"type": "array", "items": picture, "minItems": fewest, "maxItems": most}


def _phrase(description: str, most: int = forms.MOST_PHRASES) -> Schema:
    return _array(_PHRASE, maxItems=most, description=description)


def _name() -> Schema:
    return {"enum": phrases.names()}


def _lists() -> Schema:
    return {
        "list": _array(_name(), description="Shipped lists. Without any, and no phrase: three."),
        "phrase": _phrase(f'Phrases of your own, together the list "{phrases.OWN}".'),
    }


_TEXT: Schema = {"type": "string"}
_PNG: Schema = {"schema": {"type": "string", "contentMediaType": "image/png"}}
_PHRASE: Schema = {
    "type": "string", "minLength": 1, "maxLength": LONGEST_PHRASE,
    "pattern": r"^[^\u0000]*[^\u0000\s][^\u0000]*$",
}  # fmt: skip
_TOP: Schema = {
    "type": "integer", "minimum": 0, "maximum": 10**9 - 1, "default": 5,
    "description": "How many phrases of each list; 0 for all.",
}  # fmt: skip
_CORRECTED: Schema = {
    "type": "boolean", "default": False,
    "description": "Subtract each phrase's bias, measured on pictures that show nothing.",
}  # fmt: skip
_RESULTS = (
    PhraseScore, CorrectedScore, PictureResult, HeatMap, Change, Compared, Comparison, Term, Hit,
    Unread, Search, PromptPart, PromptLine,
)  # fmt: skip
_OVERLAY: Schema = {
    **schemas.closed({"limit": {"type": "number"}, "png": _TEXT}),
    "description": "Where it was asked for: the end of the map's scale of colours, and its colours "
    "as the data URL of a square PNG with an alpha channel.",
}
_SCHEMAS: Schema = {
    "Problem": schemas.closed({"error": {"type": "string", "pattern": r"^[^\r\n]+$"}}),
    "List": schemas.closed(
        {"name": _TEXT, "phrases": {"type": "integer"}, "selected": {"type": "boolean"}}
    ),
    "Model": schemas.closed(
        {
            "name": _TEXT,
            "variant": _TEXT,
            "variants": _array(_TEXT),
            "in_use": {"type": "boolean"},
            "demo": {"type": "boolean"},
            "note": {"type": ["string", "null"]},
        }
    ),
    **{kind.__name__: schemas.record(kind) for kind in _RESULTS},
}
_SCHEMAS["HeatMap"]["properties"]["overlay"] = _OVERLAY
