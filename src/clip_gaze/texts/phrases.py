"""Read phrase lists: those that ship, text files, and what a caller passes."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clip_gaze.errors import PhraseListError
from clip_gaze.system.paths import shipped
from clip_gaze.wording import composed, meant

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

logger = logging.getLogger(__name__)

OWN = "phrases"  # what the list of somebody's own phrases is called
# What is asked where nobody says what to ask.
DEFAULTS = ("artists_by_training_prevalence", "movements", "surfaces")

# What a line of words for an image generator is made of.
FOR_PROMPTS = (
    "genres",
    "artists_by_training_prevalence",
    "movements",
    "painting_materials",
    "surfaces",
)


def names() -> list[str]:
    """Return the names of the shipped lists, sorted."""
    return sorted(path.stem for path in shipped("phrase_lists").glob("*.txt"))


@cache
def load(name: str) -> tuple[str, ...]:
    """Return the phrases of a shipped list, in the order of its file.

    Args:
        name: "movements", "surfaces", ...; see `names`.

    Raises:
        PhraseListError: there is no list of that name.

    >>> load("qualities")[:2]
    ('acceptable quality', 'bad quality')

    """
    known = names()
    if name not in known:
        hint = meant(name.replace("-", "_"), known, 0.4)
        msg = f"no phrase list is called {name!r}; {hint}`clip-gaze lists` shows them all"
        raise PhraseListError(msg)
    return read(shipped("phrase_lists") / f"{name}.txt")


def read(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Read phrases from a UTF-8 text file, one a line, with or without a byte order mark.

    White space around a phrase is dropped, and so are blank lines and lines that start with `#`.
    A phrase that stands twice is kept once, and a warning is logged.

    Raises:
        PhraseListError: the file cannot be read, is not UTF-8, or holds no phrase.

    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        msg = f"{path}: no such phrase list; check the name and the folder"
        raise PhraseListError(msg) from None
    except (IsADirectoryError, PermissionError) as error:
        # Windows answers "no permission" for a folder too.
        is_folder = isinstance(error, IsADirectoryError) or path.is_dir()
        reason = "is a folder; name a text file with one phrase a line"
        msg = f"{path}: {reason if is_folder else 'may not be read'}"
        raise PhraseListError(msg) from None
    except UnicodeDecodeError as error:
        msg = f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8"
        raise PhraseListError(msg) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        msg = f"{path}: cannot be read ({getattr(error, 'strerror', error)}); check its name"
        raise PhraseListError(msg) from error
    if "\0" in text:
        msg = f"{path}: is not text (it holds a NUL); save it as UTF-8"
        raise PhraseListError(msg)
    lines = [line.strip() for line in text.splitlines()]
    phrases = [line for line in lines if line and not line.startswith("#")]
    if not phrases:
        msg = f"{path}: holds no phrase; write one a line"
        raise PhraseListError(msg)
    found = unique(phrases)
    if len(found) < len(phrases):
        logger.warning("%s: duplicate phrases ignored: %d", path, len(phrases) - len(found))
    return found


def unique(phrases: Iterable[str]) -> tuple[str, ...]:
    """Return phrases, each once, in Unicode's composed form (NFC), which the model reads anyway.

    >>> len(unique(["by paul c\u00e9zanne", "by paul ce\u0301zanne"]))
    1
    """
    return tuple(dict.fromkeys(map(composed, phrases)))


def checked(phrases: Any) -> tuple[str, ...]:
    """Return the phrases that a caller passed, any iterable of strings, in their order.

    Raises:
        PhraseListError: it is something else, such as a single string.

    >>> checked(name for name in ("on wood", "on wood"))
    ('on wood', 'on wood')
    """
    try:
        found = None if isinstance(phrases, (str, bytes)) else tuple(phrases)
    except TypeError:
        found = None
    if found is None or not all(isinstance(phrase, str) for phrase in found):
        other = phrases if found is None else next(p for p in found if not isinstance(p, str))
        msg = (
            f"phrases should be strings in a list or the like, not {type(other).__name__}"
            f" ({str(other)[:40]!r})"
        )
        raise PhraseListError(msg)
    if marred := [phrase for phrase in found if "\0" in phrase]:
        msg = f"the phrase {marred[0][:40]!r} holds a NUL, which is no letter; remove it"
        raise PhraseListError(msg)
    return tuple(map(str, found))


def checked_lists(lists: Any) -> dict[str, tuple[str, ...]]:
    """Return name -> phrases that a caller passed.

    Raises:
        PhraseListError: it is something else, such as a single list.

    """
    if not hasattr(lists, "items"):  # a pandas DataFrame has them, too
        msg = f"lists should be a dict of name -> phrases, not {type(lists).__name__}"
        raise PhraseListError(msg)
    return {name: checked(phrases) for name, phrases in lists.items()}


def for_prompt(
    lists: Mapping[str, Iterable[str]] | None, without: Sequence[str] = ()
) -> dict[str, tuple[str, ...]]:
    """Return name -> phrases of lists, without those that have one of some texts in them.

    Args:
        lists: name -> phrases; None: FOR_PROMPTS.
        without: texts; capitals do not matter.

    Raises:
        PhraseListError: no phrase is left.

    """
    given = {name: load(name) for name in FOR_PROMPTS} if lists is None else checked_lists(lists)
    texts = [text.casefold() for text in unique(checked(without))]
    found = {}
    for name, listed in given.items():
        folded = ((each, each.casefold()) for each in unique(listed))
        if left := tuple(each for each, low in folded if not any(text in low for text in texts)):
            found[name] = left
    if not found:
        msg = "no phrase is left to make a line of; name a list, or leave less out"
        raise PhraseListError(msg)
    return found
