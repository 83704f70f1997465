"""The real Hub: `pytest -m hub`, by whoever has a network; the words for it, on one of our own."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

import pytest
from PIL import Image

import real_hub as real
from clip_gaze import Clip
from clip_gaze.model import registry
from clip_gaze.texts import phrases

if TYPE_CHECKING:
    from hub_server import Hub

PUBLISHED = ("clip-vit-base-patch16", "clip-vit-base-patch32", "clip-vit-large-patch14")
# A picture that nobody may give away here: whoever has it names its file.
PICTURE = "CLIP_GAZE_CEZANNE"


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test reach the Hub."""
    from huggingface_hub import constants

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


@pytest.mark.hub
@pytest.mark.usefixtures("network")
@pytest.mark.parametrize("name", PUBLISHED)
def test_the_hub_has_what_the_manifest_pins(name: str) -> None:
    assert real.wrong_pins(registry.find(name).manifest) == []


@pytest.mark.hub
@pytest.mark.usefixtures("network")
def test_the_default_model_comes_and_answers() -> None:
    with Clip(store=False) as clip:
        answer = clip.probabilities(Image.new("RGB", (300, 200), "red"), ["red", "blue", "green"])
    assert max(answer, key=lambda pair: pair[1])[0] == "red"


@pytest.mark.hub
@pytest.mark.usefixtures("network")
def test_the_cezanne_of_the_original() -> None:
    if not os.environ.get(PICTURE):
        pytest.skip(f"{PICTURE} names no file of the picture")
    path = os.environ[PICTURE]
    with Image.open(path) as image:
        size = image.size
    with Clip("clip-vit-base-patch32", "fp32", store=False) as clip:
        said = [
            line
            for name in real.GOLDEN
            for line in real.strange(
                name,
                dict(
                    sorted(clip.probabilities(path, phrases.load(name)), key=lambda pair: -pair[1])
                ),
                size,
            )
        ]
    assert said == []


def test_what_a_hub_says_otherwise_is_put_into_words(hub: Hub) -> None:
    manifest = registry.find("clip-vit-base-patch32").manifest
    assert real.wrong_pins(manifest) == []
    tokenizer = dataclasses.replace(manifest.tokenizer, bytes=1, sha256=None)
    other = dataclasses.replace(manifest, tokenizer=tokenizer)
    (line,) = real.wrong_pins(other)
    assert "1 bytes were expected" in line
    hub.stop()
    assert all("cannot be reached" in line for line in real.wrong_pins(manifest))


def test_another_answer_than_the_originals_is_put_into_words() -> None:
    right = {"by paul cézanne": 0.81, "by camille pissarro": 0.1}
    name = "artists_by_training_prevalence"
    assert real.strange(name, right, real.SIZE) == []
    wrong = {"by camille pissarro": 0.6, "by paul cézanne": 0.3}
    lines = real.strange(name, wrong, (800, 600))
    assert len(lines) == 3
    assert "800 x 600" in lines[0]
    assert "'by camille pissarro' stands first" in lines[1]
    assert "has 30.0%, where it had 82%" in lines[2]
