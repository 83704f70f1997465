from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from clip_gaze import Clip, PhraseListError
from clip_gaze.texts import templates

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from PIL import Image

    MakePicture = Callable[..., Image.Image]

TEMPLATES = ("a painting {}", "a picture, {}, in a museum")


@pytest.mark.parametrize("template", ["", "a painting", "{} and {}", "{ }"])
def test_a_template_has_one_place_for_the_phrase(template: str) -> None:
    with pytest.raises(PhraseListError, match="once, where the phrase"):
        templates.checked([template])


def test_a_template_given_twice_counts_once() -> None:
    assert templates.checked([*TEMPLATES, TEMPLATES[0]]) == TEMPLATES


def test_a_vector_is_the_normalised_mean_over_the_templates(tiny_model: Path) -> None:
    phrases = ["on canvas", "{} on wood", "on canvas"]
    with Clip(tiny_model) as clip:
        each = [clip.encode_texts([t.replace("{}", p) for p in phrases]) for t in TEMPLATES]
    with Clip(tiny_model, templates=TEMPLATES) as clip:
        found = clip.encode_texts(phrases)
    mean = np.mean(each, axis=0, dtype=float)
    wanted = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    assert found == pytest.approx(wanted, abs=1e-6)


def test_the_bare_place_is_as_good_as_no_template(tiny_model: Path) -> None:
    phrases = ["on canvas", "by paul cézanne"]
    with Clip(tiny_model, templates=["{}"]) as bare, Clip(tiny_model) as none:
        assert bare.encode_texts(phrases) == pytest.approx(none.encode_texts(phrases), abs=1e-6)
        assert bare.encode_texts([]).shape == none.encode_texts([]).shape


def test_results_say_their_templates(tiny_model: Path, picture: MakePicture) -> None:
    with Clip(tiny_model, templates=TEMPLATES) as clip:
        good, bad = clip.gaze_many([picture(), "missing.png"], {"s": ["on wood", "on stone"]})
    assert good.templates == bad.templates == TEMPLATES


def test_templates_may_come_from_an_iterator_and_are_strings(tiny_model: Path) -> None:
    with Clip(tiny_model, templates=iter(TEMPLATES)) as clip:
        assert clip.templates == TEMPLATES
    for wrong in ("a {}", [7]):
        with pytest.raises(PhraseListError, match="should be strings in a list"):
            Clip(tiny_model, templates=wrong)  # type: ignore[arg-type]
