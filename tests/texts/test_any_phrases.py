"""Phrases may come as any iterable of strings; anything else is one clear line."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import clip_gaze
from clip_gaze import Clip, PhraseListError
from clip_gaze.texts import phrases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from PIL import Image

    MakePicture = Callable[..., Image.Image]

PHRASES = ["on wood", "on canvas", "on glass", "by paul cézanne"]
SORTED = pd.Series(PHRASES).sort_values()
KINDS: dict[str, Callable[[], Any]] = {
    "tuple": lambda: tuple(PHRASES),
    "generator": lambda: (phrase for phrase in PHRASES),
    "dict keys": lambda: dict.fromkeys(PHRASES).keys(),
    "iterator": lambda: iter(PHRASES),
    "series": lambda: pd.Series(PHRASES),
    "sorted series": lambda: SORTED,
    "filtered series": lambda: SORTED[SORTED.str.startswith("on")],
    "array": lambda: pd.Series(PHRASES).to_numpy(),
}


@pytest.fixture(scope="module")
def clip(tiny_model: Path) -> Iterator[Clip]:
    with Clip(tiny_model, store=False) as opened:
        yield opened


@pytest.mark.parametrize("kind", KINDS)
def test_any_iterable_of_strings_gets_the_answers_of_a_list(
    clip: Clip, picture: MakePicture, kind: str
) -> None:
    make, image = KINDS[kind], picture()
    listed = list(make())
    pairs = clip.probabilities(image, listed)
    assert clip.probabilities(image, make()) == pairs
    best = clip.gaze(image, listed, None, format_output=False)
    assert clip.gaze(image, make(), None, format_output=False) == best
    (result,) = clip.gaze_many([image], {"list": make()}, None)
    assert [(each.phrase, each.probability) for each in result.lists["list"]] == best
    assert dict(best) == dict(pairs)
    assert (clip.encode_texts(make()) == clip.encode_texts(listed)).all()
    assert clip.see(image, "on wood", make(), runs=20).grid == clip.see(
        image, "on wood", listed, runs=20
    ).grid  # fmt: skip


def test_a_set_is_taken_in_the_order_it_has(clip: Clip, picture: MakePicture) -> None:
    asked = set(PHRASES)
    assert dict(clip.probabilities(picture(), asked)) == pytest.approx(
        dict(clip.probabilities(picture(), PHRASES))
    )


@pytest.mark.parametrize(
    "wrong", ["on wood", b"on wood", None, 7, ["on wood", None], ["on wood", b"x"], [["on wood"]]]
)
def test_anything_else_is_one_clear_line(clip: Clip, picture: MakePicture, wrong: Any) -> None:
    image = picture()
    for ask in (
        lambda: clip.gaze(image, wrong),
        lambda: clip.gaze(image, {"list": wrong}),
        lambda: clip.probabilities(image, wrong),
        lambda: list(clip.gaze_many([image], {"list": wrong})),
        lambda: clip.encode_texts(wrong),
        lambda: clip.bias(wrong),
        lambda: clip.compare([image, image], {"list": wrong}),
        lambda: clip.ranking({"list": wrong}),
    ):
        with pytest.raises(PhraseListError, match="phrases should be strings in a list") as said:
            ask()
        assert "\n" not in str(said.value)


def test_the_functions_of_old_scripts_take_a_series(tiny_model: Path, picture: MakePicture) -> None:
    found = clip_gaze.gaze(picture(), SORTED, None, format_output=False, model=tiny_model)
    pairs = clip_gaze.probabilities(picture(), PHRASES, model=tiny_model)
    assert dict(found) == pytest.approx(dict(pairs))  # type: ignore[arg-type]


def test_two_spellings_of_a_letter_are_one_phrase_in_a_file(tmp_path: Path) -> None:
    both = [unicodedata.normalize(form, "by paul cézanne") for form in ("NFC", "NFD")]
    assert both[0] != both[1]
    (tmp_path / "own.txt").write_text("\n".join(both), encoding="utf-8")
    assert phrases.read(tmp_path / "own.txt") == ("by paul cézanne",)
    assert phrases.unique(both) == ("by paul cézanne",)
