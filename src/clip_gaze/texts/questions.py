"""Choose the phrases that a phrase is weighed against in a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clip_gaze.errors import PhraseListError
from clip_gaze.results import Question
from clip_gaze.texts import phrases

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# A phrase that stands in no list is weighed against this one: what people write themselves
# mostly names what a picture shows, and so do its phrases.
OTHERWISE = "genres"


def questions(
    asked: Iterable[str],
    against: str | Iterable[str] | None = None,
    lists: Mapping[str, tuple[str, ...]] | None = None,
) -> list[Question]:
    """Return a question for each phrase: the phrase, and those that it is weighed against.

    Args:
        asked: phrases.
        against: the name of a list, or phrases; a phrase that is not among them is added, for
            itself alone. None: the shortest list that has the phrase, else `genres`.
        lists: name -> phrases, which come before those that ship.

    Raises:
        PhraseListError: a list is unknown, or a phrase is blank or would stand alone.

    >>> [question.list for question in questions(["tonalism movement", "a red boat"])]
    ['movements', 'genres']

    """
    lists = lists or {}
    others = None
    if not (against is None or isinstance(against, str)):
        others = tuple(dict.fromkeys(phrases.checked(against)))
    found = []
    for phrase in phrases.checked(asked):
        if not phrase.strip():
            msg = "a phrase is blank; write what to look for"
            raise PhraseListError(msg)
        name, known = None, others
        if known is None:
            name = against if isinstance(against, str) else _shortest_with(phrase, lists)
            known = lists.get(name) or phrases.load(name)
        every = known if phrase in known else (*known, phrase)
        if len(every) < 2:
            msg = f"{phrase!r} has nothing to be weighed against; give a list of other phrases"
            raise PhraseListError(msg)
        found.append(Question(phrase, name, every))
    return found


def of_first(first: Mapping[str, str], lists: Mapping[str, Sequence[str]]) -> list[Question]:
    """Return a question for the phrase that comes first in each list, by the list's name.

    There is none for a list of a single phrase, which has nothing beside it.
    """
    return [
        Question(phrase, name, tuple(dict.fromkeys(lists[name])))
        for name, phrase in first.items()
        if len(set(lists[name])) > 1
    ]


def _shortest_with(phrase: str, lists: Mapping[str, tuple[str, ...]]) -> str:
    for known in (lists, {name: phrases.load(name) for name in phrases.names()}):
        if holding := [name for name in known if phrase in known[name]]:
            return min(holding, key=lambda name: len(known[name]))
    return OTHERWISE
