"""What a program can ask of `clip_gaze`; prints the answers as JSON, as `same_outputs.py` wants.

    python tests/benchmarks/same_outputs_uses.py FUNCTION [WORD...]

It lies in a folder with the fixtures of `same_outputs_fixtures.py` when it runs. Floats are printed
with all their digits, and an error as its type and message: that is an answer too.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import clip_gaze

if TYPE_CHECKING:
    from collections.abc import Callable

HEAVY = {"PIL", "huggingface_hub", "jinja2", "numpy", "onnxruntime", "sqlite3", "tokenizers"}
PICTURES = ["one.jpg", "two.png", "pictures/damaged.jpg", "pictures/turned.jpg", "nowhere.png"]
WORDS = ["on silk", "été", "on ice"]
Answers = dict[str, Any]


def plain(value: Any) -> Any:
    """Return a value as JSON has it, with the type of what is no plain value."""
    if isinstance(value, BaseException):
        return [type(value).__name__, str(value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
        return {type(value).__name__: plain(fields), "str": str(value)}
    if hasattr(value, "dtype"):
        return [str(value.dtype), list(value.shape), value.tolist()]
    if isinstance(value, list | tuple):
        items = [plain(each) for each in value]
        return items if isinstance(value, list) else {"tuple": items}
    if hasattr(value, "items"):
        return {name: plain(each) for name, each in value.items()}
    return value


def tried(use: Callable[..., Any], *given: Any, **options: Any) -> Any:
    """Return what a call gives, or the error that it ends with."""
    try:
        return use(*given, **options)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other package must raise it too
        return error


def names() -> Answers:
    """Return the public names, how they are called, what importing them loads, and the errors."""
    loaded = sorted(HEAVY & {name.split(".")[0] for name in sys.modules})
    public = {name: getattr(clip_gaze, name) for name in clip_gaze.__all__}
    wrong = {name: value for name, value in public.items() if name.endswith("Error")}
    called = {name: each for name, each in public.items() if callable(each) and name not in wrong}
    methods = {
        f"Clip.{name}": value
        for name, value in inspect.getmembers(clip_gaze.Clip, callable)
        if not name.startswith("_")
    }
    return {
        "all": clip_gaze.__all__,
        "loaded by importing": loaded,
        "kinds": {name: type(value).__name__ for name, value in public.items()},
        "called": {name: signature(value) for name, value in (called | methods).items()},
        "errors": {name: [each.__name__ for each in kind.__mro__] for name, kind in wrong.items()},
        "unknown": tried(getattr, clip_gaze, "NOTHING"),
    }


def signature(value: Callable[..., Any]) -> list[str]:
    """Return the parameters with their defaults, but not their types, whose modules may move."""
    parameters = inspect.signature(value).parameters.values()
    return [f"{each.kind.description} {each.replace(annotation=each.empty)}" for each in parameters]


def lists() -> Answers:
    """Return all phrase lists."""
    return {name: getattr(clip_gaze, name) for name in clip_gaze.__all__ if name.isupper()}


def functions() -> Answers:
    """Return what the functions of clip-gaze 0.3.0 give, and those that came later."""
    from PIL import Image

    image, lists = Image.open("one.jpg"), {"surface": clip_gaze.SURFACES, "own": WORDS}
    gaze, model = clip_gaze.gaze, {"model": "demo"}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        answers = {
            "list": gaze(image, clip_gaze.MOVEMENTS, **model),
            "positional": gaze(image, clip_gaze.MOVEMENTS, 3, False, 10, "cpu", "demo"),  # noqa: FBT003
            "dict": gaze("one.jpg", lists, only_show_best=None, format_output=False, **model),
            "examples": gaze(Path("one.jpg"), clip_gaze.EXAMPLE_CATEGORIES, 1, **model),
            "corrected": gaze("two.png", lists, corrected=True, **model),
            "device": gaze("two.png", WORDS, device="cuda", batch_size=4, **model),
            "device again": gaze("two.png", WORDS, device="cuda", **model),
            "probabilities": clip_gaze.probabilities(image, clip_gaze.ARTISTS_BY_NAME, **model),
            "and corrected": clip_gaze.probabilities("two.png", WORDS, corrected=True, **model),
            "default model": tried(gaze, image, WORDS),
            "damaged": tried(clip_gaze.probabilities, PICTURES[2], WORDS, **model),
        }
    said = [[each.category.__name__, str(each.message), each.filename] for each in caught]
    return {**answers, "warnings": said}


def clip(variant: str | None = None) -> Answers:
    """Return what a `Clip` gives, method by method."""
    from PIL import Image

    images = [Image.open(name) for name in ("pictures/alpha.png", "pictures/grey.png")]
    lists = {"tools": clip_gaze.TOOLS, "own": WORDS}
    with clip_gaze.Clip("demo", variant, offline=True, store=variant is None) as opened:
        ranking = opened.ranking(lists, corrected=True)
        vectors = opened.encode_images([PICTURES[0], *images])
        results = list(opened.gaze_many([*PICTURES, *images], lists, 3))
        full = list(opened.gaze_many(PICTURES, lists, None, corrected=True))
        with ThreadPoolExecutor(4) as pool:
            shared = list(pool.map(lambda name: opened.gaze(name, WORDS), PICTURES[:2] * 4))
        answers = {
            "about": [opened.variant, opened.templates, opened.manifest],
            "images": vectors,
            "no images": opened.encode_images([]),
            "texts": opened.encode_texts([*WORDS, "on ice"]),
            "probabilities": opened.probabilities("one.jpg", WORDS),
            "gaze": opened.gaze("one.jpg", lists, 2, format_output=False, corrected=True),
            "gaze_many": results + full,
            "in threads": shared,
            "ranking": ranking.best(vectors[0], 2),
            "see": opened.see("one.jpg", "on ice", WORDS, runs=30),
            "see many": opened.see(images[0], ["on ice", "a sea"], "genres", corrected=True),
            "frame": clip_gaze.to_frame(results + full),
            "too few runs": tried(opened.see, "one.jpg", "on ice", runs=3),
        }
    return {**answers, "closed": tried(opened.gaze, "one.jpg", WORDS)}


def errors() -> Answers:
    """Return the errors of a `Clip` that cannot be, or whose templates change its answers."""
    make, wrong = clip_gaze.Clip, ("dem", "pictures", "open_boat")
    with make("demo", templates=["art {}", "art {}", "{}!"], max_megapixels=1e-3) as clip:
        return {
            "templates": [clip.templates, clip.encode_texts(WORDS)],
            "large": tried(clip.gaze, "noise.png", WORDS),
            "blank": tried(clip.see, "pictures/tiny.png", " "),
            "list": tried(clip.see, "pictures/tiny.png", "a", "nothing"),
            "no text": tried(clip.encode_texts, ["\ud800"]),
            "model": [tried(make, name) for name in wrong],
            "variant": tried(make, "demo", "q5"),
            "threads": [tried(make, "demo", threads=count) for count in (0, 1000)],
            "template": tried(make, "demo", templates=["none"]),
            "not here": tried(make, offline=True),
        }


USES = {each.__name__: each for each in (names, lists, functions, clip, errors)}

if __name__ == "__main__":
    print(json.dumps(plain(USES[sys.argv[1]](*sys.argv[2:])), indent=1))  # noqa: T201
