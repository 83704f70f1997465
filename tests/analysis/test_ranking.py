from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pytest

import clip_gaze
from clip_gaze import Clip
from clip_gaze.analysis.ranking import ranking
from clip_gaze.pictures import neutral
from clip_gaze.results import CorrectedScore, PhraseScore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image

    MakePicture = Callable[..., Image.Image]


def encode(texts: Iterable[str]) -> NDArray[np.float32]:
    """Give each text a direction of its own."""
    rows = [np.random.default_rng(list(text.encode())).normal(size=8) for text in texts]
    vectors = np.array(rows, np.float32).reshape(-1, 8)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(logits) / np.exp(logits).sum()


LISTS = {"letters": ("a", "b", "c"), "numbers": ("1", "2"), "both": ("a", "2")}
PICTURE = encode(["picture"])[0]


def test_probabilities_are_the_softmax_within_each_list() -> None:
    found = ranking(LISTS, encode, 20.0)
    for name, phrases in LISTS.items():
        wanted = softmax(20.0 * encode(phrases).astype(float) @ PICTURE)
        assert found.probabilities(PICTURE[None], name)[0] == pytest.approx(wanted, abs=1e-6)
        assert [score.phrase for score in found.best(PICTURE, None)[name]] == [
            phrases[at] for at in np.argsort(-wanted)
        ]


def test_a_phrase_in_two_lists_is_asked_for_in_one_go() -> None:
    calls: list[list[str]] = []

    def counted(texts: Iterable[str]) -> NDArray[np.float32]:
        calls.append(list(texts))
        return encode(calls[-1])

    ranking(LISTS, counted, 1.0)
    assert calls == [["a", "b", "c", "1", "2", "a", "2"]]


def test_a_correction_takes_each_phrases_mean_logit_away() -> None:
    several = encode(["grey", "noise", "gradient"])
    found = ranking(LISTS, encode, 20.0).corrected(several.mean(axis=0))
    texts = encode(LISTS["letters"]).astype(float)
    plain = 20.0 * texts @ PICTURE
    corrected = plain - (20.0 * several @ texts.T).mean(axis=0)
    assert found.probabilities(PICTURE[None], "letters")[0] == pytest.approx(
        softmax(corrected), abs=1e-5
    )
    for score in found.best(PICTURE, None)["letters"]:
        assert isinstance(score, CorrectedScore)
        assert score.plain == pytest.approx(
            softmax(plain)[LISTS["letters"].index(score.phrase)], abs=1e-6
        )


def test_a_picture_that_is_the_neutral_mean_favours_no_phrase() -> None:
    found = ranking(LISTS, encode, 20.0).corrected(PICTURE)
    assert found.probabilities(PICTURE[None], "letters")[0] == pytest.approx([1 / 3] * 3)


def test_clips_correction_is_that_of_the_neutral_pictures(
    tiny_model: Path, picture: MakePicture
) -> None:
    phrases = clip_gaze.SURFACES
    with Clip(tiny_model) as clip:
        images, texts = clip.encode_images(neutral.pictures()), clip.encode_texts(phrases)
        scale = clip.manifest.logit_scale
        favour = (scale * images.astype(float) @ texts.T).mean(axis=0)
        assert clip.bias(phrases) == pytest.approx(favour, abs=1e-4)
        logits = scale * (clip.encode_images([picture()]).astype(float) @ texts.T)[0]
        found = dict(clip.probabilities(picture(), phrases, corrected=True))
        assert list(found.values()) == pytest.approx(softmax(logits - favour), abs=1e-5)
        assert sum(found.values()) == pytest.approx(1)
        (result,) = clip.gaze_many([picture()], {"s": phrases}, None, corrected=True)
        assert {score.phrase: score.probability for score in result.lists["s"]} == found
        best = clip.gaze(picture(), phrases, None, format_output=False, corrected=True)
        assert dict(best) == found
    function = clip_gaze.probabilities(picture(), phrases, model=tiny_model, corrected=True)
    assert dict(function) == found


def test_neutral_pictures_are_looked_at_once(
    tiny_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "clip_gaze")
    with Clip(tiny_model) as clip:
        first = clip.bias(clip_gaze.SURFACES)
    assert "vision_model.onnx" in caplog.text
    caplog.clear()
    with Clip(tiny_model) as clip:
        assert (clip.bias(clip_gaze.SURFACES) == first).all()
    assert "vision_model.onnx" not in caplog.text


def test_neutral_pictures_are_looked_at_once_where_nothing_is_kept(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Clip(tiny_model, store=False) as clip:
        first = clip.bias(clip_gaze.SURFACES)
        monkeypatch.setattr(neutral, "pictures", lambda: pytest.fail("looked at again"))
        assert (clip.bias(clip_gaze.SURFACES) == first).all()


def test_without_a_correction_scores_are_plain(tiny_model: Path, picture: MakePicture) -> None:
    with Clip(tiny_model) as clip:
        (result,) = clip.gaze_many([picture()], {"s": clip_gaze.SURFACES})
    assert all(isinstance(score, PhraseScore) for score in result.lists["s"])
