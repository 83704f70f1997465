"""Turn forms into questions, and refuse what is wrong or too much."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from clip_gaze.analysis.defaults import QUALITIES
from clip_gaze.analysis.prompt import BETWEEN, Rules
from clip_gaze.drawing import chart
from clip_gaze.errors import PhraseListError
from clip_gaze.output.terminal import clean
from clip_gaze.texts import phrases
from clip_gaze.texts.questions import questions
from clip_gaze.web.multipart import LONGEST_PHRASE, MOST_FILES, quoted
from clip_gaze.web.questions import Card, Compare, Find, Gaze, Prompt, See
from clip_gaze.web.responses import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clip_gaze.web.multipart import Form, Upload
    from clip_gaze.web.questions import Known

MOST_PHRASES = 2000
MOST_LOOKED_FOR = 8
FEWEST_COMPARED, MOST_COMPARED = 2, chart.MOST
MOST_ON_CARD = 20  # phrases of each list
_T = TypeVar("_T")


def gaze(form: Form, known: Known) -> Gaze:
    """Return what a form for `gaze` asks.

    Args:
        form: the form.
        known: the lists that can be named.

    Raises:
        RefusedError: it asks for too much, or for what there is not.

    """
    _only(form, "list", "phrase", "top", "corrected")
    uploads = _uploads(form, 1, MOST_FILES)
    return Gaze(uploads, _lists(form, known), _top(form), _flag(form, "corrected"))


def see(form: Form, known: Known) -> See:
    """Return what a form for `see` asks; see `gaze`."""
    _only(form, "phrase", "list", "against", "quality", "corrected", "overlay")
    (upload,) = _uploads(form, 1, 1)
    asked = _phrases(form, "phrase")
    if not asked:
        raise RefusedError(400, "phrase is missing; say what to look for in the picture")
    if len(asked) > MOST_LOOKED_FOR:
        raise RefusedError(400, f"at most {MOST_LOOKED_FOR} phrases are looked for at once")
    name, others = _single("list", form.values.get("list", ())), _phrases(form, "against")
    if name is not None and others:
        raise RefusedError(400, "list and against exclude each other")
    if name is not None:
        _listed(name, known)
    against = name if name is not None else others or None
    try:
        questions(asked, against, known.lists)
    except PhraseListError as error:
        raise RefusedError(400, clean(str(error))) from None
    runs = _one_of(form, "quality", QUALITIES, default=QUALITIES["normal"])
    return See(upload, asked, against, runs, _flag(form, "corrected"), _flag(form, "overlay"))


def compare(form: Form, known: Known) -> Compare:
    """Return what a form for `compare` asks; see `gaze`."""
    _only(form, "list", "phrase", "top")
    uploads = _uploads(form, FEWEST_COMPARED, MOST_COMPARED)
    lists = _lists(form, known)
    if any(len(each) < 2 for each in lists.values()):
        raise RefusedError(400, "a phrase needs others to be compared with; add some")
    return Compare(uploads, lists, _top(form))


def find(form: Form, _: Known) -> Find:
    """Return what a form for `find` asks; see `gaze`."""
    _only(form, "phrase", "without", "like", "top")
    uploads = _uploads(form, 1, MOST_FILES)
    like = form.values.get("like", ())
    if not all(
        each.isascii() and each.isdecimal() and int(each[:9]) < len(uploads) for each in like
    ):
        raise RefusedError(400, f"like should be a picture's number, 0 to {len(uploads) - 1}")
    words, without = _phrases(form, "phrase"), _phrases(form, "without")
    if not (words or without or like):
        raise RefusedError(400, "phrase is missing; say what to look for")
    return Find(uploads, words, without, tuple(map(int, like)), _top(form))


def prompt(form: Form, known: Known) -> Prompt:
    """Return what a form for `prompt` asks; see `gaze`."""
    _only(form, "list", "phrase", "with", "without", "free", "negative", "style")
    (upload,) = _uploads(form, 1, 1)
    words = _single("with", _phrases(form, "with"))
    rules = Rules(
        words or "",
        _flag(form, "free"),
        _flag(form, "negative"),
        _one_of(form, "style", {each: each for each in BETWEEN}, default="plain"),
    )
    lists = _lists(form, known) if form.values.keys() & {"list", "phrase"} else None
    return Prompt(upload, lists, rules, _phrases(form, "without"))


def card(form: Form, known: Known) -> Card:
    """Return what a form for `card` asks; see `gaze`."""
    _only(form, "list", "phrase", "top", "corrected", "see", "see_list", "see_quality")
    (upload,) = _uploads(form, 1, 1)
    given, name = _phrases(form, "see"), _single("see_list", form.values.get("see_list", ()))
    wanted = _single("see", given)
    quality = _one_of(form, "see_quality", QUALITIES, default=QUALITIES["normal"])
    for each in ("see", "see_list", "see_quality"):
        if form.values.pop(each, None) and wanted is None:
            raise RefusedError(400, f"{each} goes with see")
    asked = gaze(form, known)
    if asked.top is None or asked.top > MOST_ON_CARD:
        raise RefusedError(400, f"top should be a whole number, 1 to {MOST_ON_CARD} on a card")
    if wanted is None:
        return Card(asked, None)
    if name is None:
        name = next((each for each, listed in asked.lists.items() if wanted in listed), None)
    against: str | tuple[str, ...] | None = name
    if name == phrases.OWN:
        own = asked.lists.get(name) or known.lists.get(name, ())
        against = own if len(own) > 1 else None
    elif name is not None:
        _listed(name, known)
    return Card(asked, See(upload, given, against, quality, asked.corrected))


def _only(form: Form, *names: str) -> None:
    """Refuse unknown fields."""
    for name in form.values:
        if name not in names:
            what = "a file" if name == "image" else f"one of {', '.join(names)} or the file image"
            raise RefusedError(400, f"{quoted(name)} should be {what}")
    for name in form.uploads:
        if name != "image":
            raise RefusedError(400, f"{quoted(name)} has a file; pictures are called image")


def _uploads(form: Form, fewest: int, most: int) -> tuple[Upload, ...]:
    found = form.uploads.get("image", [])
    if not found and fewest == 1:
        raise RefusedError(400, "image is missing; add a picture file")
    if len(found) < fewest:
        raise RefusedError(400, f"{fewest} pictures or more are wanted, not {len(found)}")
    if len(found) > most:
        allowed = "one picture is" if most == 1 else f"at most {most} pictures are"
        raise RefusedError(413, f"{allowed} looked at at once; here are {len(found)}")
    return tuple(found)


def _lists(form: Form, known: Known) -> dict[str, tuple[str, ...]]:
    """Return name -> phrases, as the command line names them."""
    found = {name: _listed(name, known) for name in form.values.get("list", ())}
    own = _phrases(form, "phrase")
    if own and phrases.OWN in found:  # a bundle may have a list of that name
        msg = f"two phrase lists are called {phrases.OWN!r}; send list or phrase, not both"
        raise RefusedError(400, msg)
    if own:
        found[phrases.OWN] = own
    return found or {name: known.lists[name] for name in known.usual}


def _listed(name: str, known: Known) -> tuple[str, ...]:
    if name in known.lists:
        return known.lists[name]
    if known.bundled:
        msg = f"no phrase list is called {clean(name)!r} here; there are {', '.join(known.lists)}"
        raise RefusedError(400, msg)
    try:
        return phrases.load(name)
    except PhraseListError as error:
        raise RefusedError(400, clean(str(error))) from None


def _phrases(form: Form, name: str) -> tuple[str, ...]:
    """Return phrases without white space around them, each once."""
    given = form.values.get(name, ())
    if len(given) > MOST_PHRASES:
        raise RefusedError(413, f"too many phrases; send at most {MOST_PHRASES:,}")
    stripped = [phrase.strip() for phrase in given]
    if not all(stripped):
        raise RefusedError(400, f"{name} is blank; write a phrase")
    if any(len(phrase) > LONGEST_PHRASE for phrase in stripped):
        raise RefusedError(413, f"{name} is too long; at most {LONGEST_PHRASE} letters")
    return phrases.unique(stripped)


def _top(form: Form) -> int | None:
    given = _single("top", form.values.get("top", ()))
    if given is None:
        return 5
    if not (given.isascii() and given.isdecimal() and len(given) < 10):
        raise RefusedError(400, "top should be a whole number, 0 for all phrases")
    return int(given) or None


def _flag(form: Form, name: str) -> bool:
    return _one_of(form, name, {"true": True, "false": False}, default=False)


def _one_of(form: Form, name: str, values: Mapping[str, _T], *, default: _T) -> _T:
    given = _single(name, form.values.get(name, ()))
    if given is not None and given not in values:
        raise RefusedError(400, f"{name} should be one of {', '.join(values)}")
    return default if given is None else values[given]


def _single(name: str, given: Sequence[str]) -> str | None:
    if len(given) > 1:
        raise RefusedError(400, f"{name} is given more than once")
    return given[0] if given else None
