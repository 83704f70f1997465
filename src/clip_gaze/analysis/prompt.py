"""Combine phrases into the one line that is closest to a picture, step by step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from clip_gaze.errors import PhraseListError
from clip_gaze.results import PromptPart

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    # Name -> phrases, the most promising first.
    Shortlist = Mapping[str, Sequence[str]]

MOST = 400  # lines that are tried
BETWEEN = {"plain": " ", "sd": ", "}
SHORT = 4  # phrases of each list that are tried


class Part(NamedTuple):
    """A phrase of a line, and the name of its list."""

    phrase: str
    list: str


Parts = tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """How a line is made.

    Attributes:
        words: one's own, which stand first and stay.
        free: whether a list may give more than one phrase.
        negative: whether the line shall be far from the picture.
        style: what stands between phrases, see BETWEEN.
        most: how many lines may be tried.

    """

    words: str = ""
    free: bool = False
    negative: bool = False
    style: str = "plain"
    most: int = MOST

    def join(self, parts: Parts) -> str:
        """Return phrases as one line."""
        words = [self.words] if self.words else []
        return BETWEEN[self.style].join([*words, *(part.phrase for part in parts)])


class Lines:
    """The lines that are tried for a picture; none is encoded twice.

    Attributes:
        tried: how many were encoded.
        fits: returns of each line whether the model reads all of it.

    """

    def __init__(
        self,
        encode: Callable[[Sequence[str]], Vectors],
        fits: Callable[[Sequence[str]], Sequence[bool]],
        image: Vectors,
        rules: Rules,
        progress: Callable[[int, int], object] | None = None,
    ) -> None:
        """Prepare to try lines.

        Args:
            encode: returns the (n, d) embeddings of lines, L2-normalised.
            fits: returns of each line whether the model reads all of it.
            image: (d,) float32, L2-normalised.
            rules: how lines are made.
            progress: called with (tried, most) after each step.

        """
        self.tried = 0
        self.fits = fits
        self._encode, self._image = encode, image
        self._rules, self._progress = rules, progress
        self._known: dict[str, float] = {"": 0.0}

    def best(self, shortlist: Shortlist) -> Parts:
        """Return the phrases whose line is closest to the picture, or farthest from it.

        Beginning with none, the phrase is added that brings the whole line closest, wherever in it
        that is, as long as one does; a phrase without which the line is as close is left out. The
        same begins with the first phrase of each list; the better of both is returned. So no
        phrase can be left out of it, and neither the line of all firsts nor one phrase is closer.
        """
        most = self._rules.most
        found = self._improved((), shortlist, most // 2)
        other = self._improved(self.firsts(shortlist), shortlist, most)
        return max(found, other, key=lambda parts: self._worth([parts])[0])

    def firsts(self, shortlist: Shortlist) -> Parts:
        """Return the first phrase of each list, as far as the model reads them together."""
        found: Parts = ()
        for name, phrases in shortlist.items():
            longer = (*found, *(Part(phrase, name) for phrase in phrases[:1]))
            found = longer if self._fitting([longer]) else found
        return found

    def similarities(self, texts: Sequence[str]) -> list[float]:
        """Return the cosine of each line with the picture; 0 for an empty one."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            values = self._encode(new) @ self._image
            self._known |= dict(zip(new, values.tolist(), strict=True))
            self.tried += len(new)
            if self._progress is not None:
                self._progress(min(self.tried, self._rules.most), self._rules.most)
        return [self._known[text] for text in texts]

    def _worth(self, lines: Sequence[Parts]) -> list[float]:
        sign = -1 if self._rules.negative else 1
        return [sign * each for each in self.similarities([self._rules.join(e) for e in lines])]

    def _improved(self, parts: Parts, shortlist: Shortlist, most: int) -> Parts:
        """Leave out and add phrases until neither helps, or so many lines were tried."""
        while True:
            parts = self._pruned(parts)
            longer = self._fitting(self._longer(parts, shortlist))
            # Of what is added last, parts may be left out one by one until the first remains.
            kept_for_that = (len(parts) + 1) * (len(parts) + 2) // 2
            if not longer or self.tried + len(longer) + kept_for_that > most:
                return parts
            worth = self._worth(longer)
            at = int(np.argmax(worth))
            if (parts or self._rules.words) and worth[at] <= self._worth([parts])[0]:
                return parts
            parts = longer[at]

    def _pruned(self, parts: Parts) -> Parts:
        """Leave out phrases, each time that which helps least, until all help."""
        while len(parts) > (0 if self._rules.words else 1):
            shorter = [left_out(parts, at) for at in range(len(parts))]
            worth = self._worth(shorter)
            at = int(np.argmax(worth))
            if worth[at] < self._worth([parts])[0]:
                break
            parts = shorter[at]
        return parts

    def _longer(self, parts: Parts, shortlist: Shortlist) -> list[Parts]:
        """Return all lines with one phrase more, at any place."""
        used = {part.list for part in parts}
        phrases = {part.phrase for part in parts}
        return [
            (*parts[:at], Part(phrase, name), *parts[at:])
            for name, listed in shortlist.items()
            if self._rules.free or name not in used
            for phrase in listed
            if phrase not in phrases
            for at in range(len(parts) + 1)
        ]

    def _fitting(self, lines: list[Parts]) -> list[Parts]:
        fits = self.fits([self._rules.join(line) for line in lines])
        return [line for line, each in zip(lines, fits, strict=True) if each]


def made(
    lines: Lines,
    lists: Mapping[str, tuple[Sequence[str], Vectors]],
    image: Vectors,
    rules: Rules,
) -> tuple[str, float, tuple[PromptPart, ...], str, float, str, float, int, bool]:
    """Return what a `PromptLine` says from `line` on.

    Args:
        lines: tries lines.
        lists: see `shortlist`, as for `image`.
        image: (d,) float32, L2-normalised.
        rules: see `Rules`.

    Raises:
        PhraseListError: the words of one's own are too long for the model.

    """
    if not all(lines.fits([rules.words])):
        msg = "the words to begin with fill what the model reads; shorten them"
        raise PhraseListError(msg)
    found = shortlist(lists, image, rules)
    parts, firsts = lines.best(found), lines.firsts(found)
    line, naive = rules.join(parts), rules.join(firsts)
    similarity, naive_similarity = lines.similarities([line, naive])
    shorter = [
        (part.phrase, part.list, rules.join(left_out(parts, at))) for at, part in enumerate(parts)
    ]
    pieces: list[tuple[str, str | None, str]] = [*shorter]
    if rules.words:
        pieces.insert(0, (rules.words, None, replace(rules, words="").join(parts)))
    without = lines.similarities([text for *_, text in pieces])
    adds = tuple(
        PromptPart(phrase, name, similarity - value)
        for (phrase, name, _), value in zip(pieces, without, strict=True)
    )
    sign = -1 if rules.negative else 1
    best, value = max(
        (
            (phrases[at], float(cosines[at]))
            for phrases, cosines in ((each, embeds @ image) for each, embeds in lists.values())
            for at in [int(np.argmax(sign * cosines))]
        ),
        key=lambda pair: sign * pair[1],
    )
    return (
        line, similarity, adds, best, value, naive, naive_similarity, lines.tried, rules.negative
    )  # fmt: skip


def left_out(parts: Parts, at: int) -> Parts:
    """Return parts without one of them."""
    return parts[:at] + parts[at + 1 :]


def shortlist(
    lists: Mapping[str, tuple[Sequence[str], Vectors]], image: Vectors, rules: Rules
) -> dict[str, list[str]]:
    """Return the phrases of each list that are closest to a picture, or farthest from it.

    Where lists may give several phrases, as many are taken of all lists together, and the first of
    each.

    Args:
        lists: name -> phrases and their (m, d) embeddings, L2-normalised.
        image: (d,) float32, L2-normalised.
        rules: see `Rules`.

    """
    sign = -1 if rules.negative else 1
    scored = {name: sign * (embeds @ image) for name, (_, embeds) in lists.items()}
    least = -np.inf
    count = SHORT
    if rules.free:
        count = SHORT * len(lists)
        every = np.sort(np.concatenate([*scored.values()]))
        least = every[-min(count, len(every))]
    return {
        name: [phrases[at] for at in np.argsort(-scored[name], kind="stable")[:count].tolist()
               if scored[name][at] >= min(least, scored[name].max())]
        for name, (phrases, _) in lists.items()
    }  # fmt: skip
