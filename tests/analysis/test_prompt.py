"""The line for a picture: nothing can be left out of it, and it beats what is simpler."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_gaze.analysis import prompt
from clip_gaze.analysis.prompt import Lines, Part, Rules
from clip_gaze.errors import PhraseListError

if TYPE_CHECKING:
    from collections.abc import Sequence

DIM = 12
LISTS = {name: tuple(f"{name}{at}" for at in range(9)) for name in ("sea", "by", "on", "with")}


def unit(text: str) -> np.ndarray:
    """Return a vector that depends on nothing but a text."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    vector = np.random.default_rng(seed).standard_normal(DIM)
    return vector / np.linalg.norm(vector)


class Encoder:
    """Reads a line as the sum of its words and, by less, of its neighbours; notes what it reads."""

    def __init__(self, most_words: int = 77) -> None:
        self.most_words = most_words
        self.read: list[str] = []

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return vectors of length 1."""
        self.read += texts
        found = []
        for text in texts:
            words = text.split()
            pairs = [unit(" ".join(pair)) for pair in pairwise(words)]
            total = sum([unit(word) for word in words] + [0.4 * pair for pair in pairs])
            found.append(total / np.linalg.norm(total))
        return np.array(found, np.float32)

    def fits(self, texts: Sequence[str]) -> list[bool]:
        """Return which have few enough words."""
        return [len(text.split()) <= self.most_words for text in texts]


def made(
    seed: int, rules: Rules | None = None, encoder: Encoder | None = None
) -> tuple[dict[str, object], Lines, Encoder]:
    """Return what was made for a picture of that seed, by the names of `PromptLine`."""
    rules, encoder = rules or Rules(), encoder or Encoder()
    image = unit(f"picture {seed}").astype(np.float32)
    lists = {name: (phrases, Encoder().encode(phrases)) for name, phrases in LISTS.items()}
    lines = Lines(encoder.encode, encoder.fits, image, rules)
    names = (
        "line", "similarity", "parts", "best_phrase", "best", "naive", "naive_similarity", "tried",
    )  # fmt: skip
    found = prompt.made(lines, lists, image, rules)
    return dict(zip(names, found, strict=False)), lines, encoder


RULES = st.builds(
    Rules,
    words=st.sampled_from(["", "a boat"]),
    free=st.booleans(),
    negative=st.booleans(),
    style=st.sampled_from(list(prompt.BETWEEN)),
    most=st.integers(50, 400),
)


@settings(max_examples=60)
@given(st.integers(0, 10_000), RULES)
def test_whatever_the_rules_no_phrase_can_be_left_out(seed: int, rules: Rules) -> None:
    found, _, encoder = made(seed, rules)
    sign = -1 if rules.negative else 1
    image = unit(f"picture {seed}")

    def worth(text: str) -> float:
        return sign * float(Encoder().encode([text])[0] @ image)

    phrases = [part.phrase for part in found["parts"]]  # type: ignore[attr-defined]
    assert prompt.BETWEEN[rules.style].join(phrases) == found["line"]
    own = 1 if rules.words else 0
    if len(phrases) > 1:
        for at in range(own, len(phrases)):
            rest = prompt.BETWEEN[rules.style].join(phrases[:at] + phrases[at + 1 :])
            assert worth(str(found["line"])) > worth(rest)
    for part, phrase in zip(found["parts"], phrases, strict=True):  # type: ignore[call-overload]
        assert part.phrase == phrase
    assert worth(str(found["line"])) >= worth(str(found["naive"])) - 1e-6
    if not rules.words:
        assert worth(str(found["line"])) >= worth(str(found["best_phrase"])) - 1e-6
    assert len(encoder.read) <= rules.most
    assert len(encoder.read) == len(set(encoder.read)) == found["tried"]


@given(st.integers(0, 10_000), st.booleans())
def test_one_phrase_of_each_list_unless_free(seed: int, free: bool) -> None:
    found, _, _ = made(seed, Rules(free=free))
    lists = [part.list for part in found["parts"]]  # type: ignore[attr-defined]
    assert free or len(lists) == len(set(lists))
    phrases = [part.phrase for part in found["parts"]]  # type: ignore[attr-defined]
    assert len(phrases) == len(set(phrases))


def test_to_be_free_gives_longer_lines() -> None:
    lengths = [
        sum(len(made(seed, Rules(free=free))[0]["parts"]) for seed in range(12))  # type: ignore[arg-type]
        for free in (False, True)
    ]
    assert lengths[1] > lengths[0]


def test_each_part_says_what_it_adds() -> None:
    found, lines, _ = made(3, Rules("a boat"))
    parts = list(found["parts"])  # type: ignore[call-overload]
    texts = [part.phrase for part in parts]
    for at, part in enumerate(parts):
        rest = " ".join(texts[:at] + texts[at + 1 :])
        (value,) = lines.similarities([rest])
        assert part.adds == pytest.approx(float(found["similarity"]) - value)  # type: ignore[arg-type]
    assert parts[0].list is None
    assert all(part.list in LISTS for part in parts[1:])


def test_own_words_stand_first_and_stay() -> None:
    for seed in range(20):
        assert str(made(seed, Rules("a boat", style="sd"))[0]["line"]).startswith("a boat")


@pytest.mark.parametrize("most", [1, 2, 3, 4])
def test_a_line_ends_where_the_model_reads_no_further(most: int) -> None:
    encoder = Encoder(most)
    found, _, _ = made(5, Rules(free=True), encoder)
    assert all(encoder.fits(encoder.read))
    assert len(str(found["line"]).split()) <= most
    assert len(str(found["naive"]).split()) == most


def test_own_words_that_are_too_long_are_refused() -> None:
    with pytest.raises(PhraseListError, match="shorten"):
        made(0, Rules("a boat on the sea"), Encoder(4))


def test_progress_never_goes_back_nor_past_its_end() -> None:
    told: list[tuple[int, int]] = []
    encoder = Encoder()
    image = unit("picture").astype(np.float32)
    lines = Lines(encoder.encode, encoder.fits, image, Rules(most=60), lambda *d: told.append(d))
    lines.best(LISTS)
    assert told == sorted(told)
    assert {most for _, most in told} == {60}
    assert told[-1][0] <= 60


def test_the_firsts_are_those_of_the_lists() -> None:
    image = unit("picture").astype(np.float32)
    lines = Lines(Encoder().encode, Encoder(3).fits, image, Rules())
    assert lines.firsts(LISTS) == (Part("sea0", "sea"), Part("by0", "by"), Part("on0", "on"))


def test_a_shortlist_has_the_closest_phrases_of_each_list() -> None:
    image = unit("picture").astype(np.float32)
    lists = {name: (phrases, Encoder().encode(phrases)) for name, phrases in LISTS.items()}
    values = {p: float(v @ image) for ps, e in lists.values() for p, v in zip(ps, e, strict=True)}
    found = prompt.shortlist(lists, image, Rules())
    for name, phrases in found.items():
        assert phrases == sorted(LISTS[name], key=lambda p: -values[p])[: prompt.SHORT]
    free = prompt.shortlist(lists, image, Rules(free=True))
    best = sorted(values, key=lambda p: -values[p])[: prompt.SHORT * len(LISTS)]
    assert set(best) <= {phrase for phrases in free.values() for phrase in phrases}
    far = prompt.shortlist(lists, image, Rules(negative=True))
    assert far["sea"][0] == min(LISTS["sea"], key=lambda p: values[p])
