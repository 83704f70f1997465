"""Tokens and pixel values are the same with every release of the libraries that CI runs.

The digests were taken where both equal transformers' (`test_tokenizer`, `test_preprocess`).
"""

from __future__ import annotations

import hashlib

import numpy as np
import PIL
from PIL import Image

from clip_gaze.model import registry
from clip_gaze.model.manifest import ImageSettings
from clip_gaze.pictures.preprocess import pixel_values
from clip_gaze.texts import phrases
from clip_gaze.texts.tokenizer import Tokenizer

ODD = [
    "", "  \n\t ", "<|startoftext|> <|endoftext|><|endoftext|>", "a" * 300,
    "Zoë\u2019s CAFÉ, n°5 — it's 100% ﬁne! 葛飾北斎 🎨👩🏽‍🎨", "e\u0301 vs \u00e9; İstanbul ẞ ǅ",
]  # fmt: skip
TOKENS = "519569a917ea9ce386e93717f4e0cff913566f7aa96185babd776cdd775ed5c0"
SIZES = [
    (96, 96), (300, 200), (200, 300), (2175, 1713), (1713, 2175), (5, 51), (51, 5), (1, 1),
    (20, 90), (400, 100),
]  # fmt: skip
PIXELS = "49986790d03e6684b583a22a12ebbf72bad27c12825cf905ea92f6d16cc1fdb4"
# Since Pillow 13, columns may be resized before rows; so the store keeps apart what came of either.
OTHERWISE = [(97, 333), (150, 333)]
SINCE_13 = "b7e9a0f0a7fdc8871ec10fdae2881b52e4b7b7933d90a6597abca919b88c6a36"
BEFORE = "5c70afcefd5a2ef818e101d144f3cac0e27984f8a17cdebf38f828240aac8979"


def test_tokens() -> None:
    model = registry.find("demo")
    tokenizer = Tokenizer(model.folder / model.manifest.tokenizer.file, 77)
    every = [phrase for name in phrases.names() for phrase in phrases.load(name)]
    ids = tokenizer.encode([*every, *ODD])
    assert hashlib.sha256(repr(ids).encode()).hexdigest() == TOKENS


def digest(sizes: list[tuple[int, int]]) -> str:
    """Return the digest of what noise of these sizes becomes."""
    settings = ImageSettings(96, (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.261, 0.275))
    found = hashlib.sha256()
    for seed, (width, height) in enumerate(sizes):
        noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        found.update(pixel_values(Image.fromarray(noise), settings).tobytes())
    return found.hexdigest()


def test_pixel_values() -> None:
    assert digest(SIZES) == PIXELS


def test_pixel_values_that_changed_with_pillow_13() -> None:
    newer = int(PIL.__version__.partition(".")[0]) >= 13
    assert digest(OTHERWISE) == (SINCE_13 if newer else BEFORE)
