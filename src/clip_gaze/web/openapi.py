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
from clip_gaze.web.schemas import PICTURES, array, asking, events, problem, reading, reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clip_gaze.web.schemas import Schema

_ABOUT = """\
What `clip-gaze serve` answers, in the forms of the command line. Everything stays in memory and on
this machine. Where the server was started with a token, each request carries it: as
`Authorization: Bearer TOKEN`, or as the cookie that opening `/?token=TOKEN` sets.\
"""
_LISTS = "The phrase lists that can be named: those that ship, or a bundle's own"


def description(version: str, cookie: str, lists: Sequence[str]) -> dict[str, Any]:
    """Return the description of a version.

    Args:
        version: of this package.
        cookie: name of the one that the token is in.
        lists: names of those that can be asked about.

    """
    return {
        "openapi": "3.1.0",
        "info": {"title": "clip-gaze", "version": version, "description": _ABOUT},
        "paths": {
            "/api/lists": {"get": reading("lists", _LISTS, "List")},
            "/api/models": {"get": reading("models", "The models; first that in use", "Model")},
            "/api/gaze": {"post": _gaze(lists)},
            "/api/see": {"post": _see(lists)},
            "/api/compare": {"post": _compare(lists)},
            "/api/find": {"post": _find()},
            "/api/prompt": {"post": _prompt(lists)},
            "/api/card": {"post": _card(lists)},
        },
        "components": {
            "schemas": _SCHEMAS,
            "responses": {
                "Unauthorized": problem("The token is missing or wrong."),
                "Forbidden": problem("The Host or Origin is not this server's."),
                "BadRequest": problem("The request or its only picture cannot be understood."),
                "TooLarge": problem("The request, a part of it or a picture is too large."),
                "TooSlow": problem("The body comes too slowly."),
                "Failed": problem("The model cannot be used, or clip-gaze failed."),
                "NotAForm": problem("The body is no multipart/form-data."),
                "Busy": {
                    **problem("Too much is waiting, or the server stops; try again later."),
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


def _gaze(names: Sequence[str]) -> Schema:
    return asking(
        "gaze",
        "Which phrases of each list are likely for each picture",
        {"image": _images(1, MOST_FILES), **_lists(names), "top": _TOP, "corrected": _CORRECTED},
        {
            "application/json": {"schema": array(reference("PictureResult"))},
            "text/csv": {"schema": {"type": "string", "description": "One row for each phrase."}},
            "text/event-stream": events("queued, encoding, list, picture, error, done"),
        },
    )


def _see(names: Sequence[str]) -> Schema:
    bounds = {"minItems": 1, "maxItems": forms.MOST_LOOKED_FOR}
    properties = {
        "image": _images(1, 1),
        "phrase": {**_phrase("What to look for."), **bounds},
        "list": {"enum": list(names), "description": "The list that they are weighed against."},
        "against": _phrase("Phrases that they are weighed against, in place of a list."),
        "quality": _QUALITY,
        "corrected": _CORRECTED,
        "overlay": {**_CORRECTED, "description": "Send a picture of each map."},
    }
    return asking(
        "see",
        "Where a picture speaks for a phrase",
        properties,
        {
            "application/json": {"schema": array(reference("HeatMap"))},
            "text/event-stream": events("queued, encoding, progress, maps, error, done"),
        },
        required=("image", "phrase"),
        more={"not": {"required": ["list", "against"]}},
    )


def _compare(names: Sequence[str]) -> Schema:
    lists = _lists(names)
    # A phrase alone has no odds within its list.
    lists["phrase"] = {**lists["phrase"], "minItems": 2}
    images = _images(forms.FEWEST_COMPARED, forms.MOST_COMPARED)
    return asking(
        "compare",
        "How pictures differ from the first of them",
        {"image": images, **lists, "top": _TOP},
        {
            "application/json": {"schema": reference("Comparison")},
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
        "like": array(number, description=like),
        "top": {**_TOP, "description": "How many pictures; 0 for all."},
    }
    some = {
        "anyOf": [
            {"required": [name], "properties": {name: {"minItems": 1}}}
            for name in ("phrase", "without", "like")
        ]
    }
    answer = {"application/json": {"schema": reference("Search")}}
    return asking("find", "Which pictures are nearest to a query", properties, answer, more=some)


def _prompt(names: Sequence[str]) -> Schema:
    lists = _lists(names)
    lists["list"] = {**lists["list"], "description": "Lists that are here. Without any: five."}
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
        "application/json": {"schema": reference("PromptLine")},
        "text/event-stream": events("queued, encoding, progress, prompt, error, done"),
    }
    return asking("prompt", "The line of phrases closest to a picture", properties, answer)


def _card(names: Sequence[str]) -> Schema:
    bounds = {"minimum": 1, "maximum": forms.MOST_ON_CARD}
    top = {**_TOP, **bounds, "description": "How many phrases of each list."}
    see = {**_PHRASE, "description": "A phrase that the card shows a heat map of."}
    weighed = {
        "enum": list(dict.fromkeys((*names, phrases.OWN))),
        "description": "The list that it is weighed against. Without one: the first that has it.",
    }
    properties = {
        "image": _images(1, 1), **_lists(names), "top": top, "corrected": _CORRECTED, "see": see,
        "see_list": weighed, "see_quality": _QUALITY,
    }  # fmt: skip
    alone = {"not": {"anyOf": [{"required": ["see_list"]}, {"required": ["see_quality"]}]}}
    together = {"anyOf": [{"required": ["see"]}, alone]}
    answer = {"image/png": _PNG}
    summary = "A picture with its phrases, to share"
    return asking("card", summary, properties, answer, more=together)


def _images(fewest: int, most: int) -> Schema:
    picture = {"type": "string", "contentMediaType": PICTURES}
    return array(picture, minItems=fewest, maxItems=most)


def _phrase(description: str) -> Schema:
    return array(_PHRASE, maxItems=forms.MOST_PHRASES, description=description)


def _lists(names: Sequence[str]) -> Schema:
    about = "Lists that are here. Without any, and no phrase: those that are selected."
    return {
        "list": array({"enum": list(names)}, description=about),
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
    "description": "Take away each phrase's head start, as pictures of nothing show it.",
}  # fmt: skip
_QUALITY: Schema = {"enum": list(QUALITIES), "default": "normal"}
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
            "variants": array(_TEXT),
            "in_use": {"type": "boolean"},
            "demo": {"type": "boolean"},
            "note": {"type": ["string", "null"]},
        }
    ),
    **{kind.__name__: schemas.record(kind) for kind in _RESULTS},
}
_SCHEMAS["HeatMap"]["properties"]["overlay"] = _OVERLAY
