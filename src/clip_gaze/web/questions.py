"""What the API is asked, as values, and the lists that can be named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clip_gaze.texts import phrases

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clip_gaze.analysis.prompt import Rules
    from clip_gaze.clip import Clip
    from clip_gaze.web.multipart import Upload


@dataclass(frozen=True, slots=True)
class Known:
    """The lists that can be named: those that ship, or those that a bundle holds.

    Attributes:
        lists: name -> phrases.
        usual: names of those that are meant where none is named.
        bundled: whether they are a bundle's, which answers nothing else.

    """

    lists: Mapping[str, tuple[str, ...]]
    usual: tuple[str, ...]
    bundled: bool


def known(clip: Clip) -> Known:
    """Return the lists that a model can be asked about."""
    if clip.manifest.is_bundle:
        return Known(clip.lists, tuple(clip.lists), bundled=True)
    shipped = {name: phrases.load(name) for name in phrases.names()}
    return Known(shipped, phrases.DEFAULTS, bundled=False)


@dataclass(frozen=True, slots=True)
class Gaze:
    """A question: which phrases of each list are likely for each picture?

    Attributes:
        uploads: the pictures.
        lists: name -> phrases.
        top: how many phrases of each list; None for all.
        corrected: whether each phrase's bias is subtracted.

    """

    uploads: tuple[Upload, ...]
    lists: Mapping[str, tuple[str, ...]]
    top: int | None
    corrected: bool


@dataclass(frozen=True, slots=True)
class See:
    """A question: where does a picture speak for phrases?

    Attributes:
        upload: the picture.
        phrases: what to look for.
        against: a list's name, or phrases; None: the phrase's own list.
        runs: how many versions of the picture are looked at.
        corrected: whether each phrase's bias is subtracted.
        overlay: whether each map comes with a picture of it.

    """

    upload: Upload
    phrases: tuple[str, ...]
    against: str | tuple[str, ...] | None
    runs: int
    corrected: bool
    overlay: bool = False


@dataclass(frozen=True, slots=True)
class Compare:
    """A question: how do pictures differ from the first of them?"""

    uploads: tuple[Upload, ...]
    lists: Mapping[str, tuple[str, ...]]
    top: int | None


@dataclass(frozen=True, slots=True)
class Card:
    """A question for a card: a picture with its phrases, and with a heat map if `see` is given."""

    gaze: Gaze
    see: See | None


@dataclass(frozen=True, slots=True)
class Find:
    """A question: which pictures are nearest to words and to some of them?

    Attributes:
        uploads: the pictures.
        words: what is looked for.
        without: words that are not wanted.
        like: which pictures are looked for, counted from 0.
        top: how many are returned; None for all.

    """

    uploads: tuple[Upload, ...]
    words: tuple[str, ...]
    without: tuple[str, ...]
    like: tuple[int, ...]
    top: int | None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question: which line of phrases is closest to a picture?

    Attributes:
        upload: the picture.
        lists: name -> phrases; None: those for prompts.
        rules: how the line is made.
        without: phrases that have one of these in them are not taken.

    """

    upload: Upload
    lists: Mapping[str, tuple[str, ...]] | None
    rules: Rules
    without: tuple[str, ...]
