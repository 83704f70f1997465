"""Pictures that were found, and groups of near-equal ones, as text, tables and JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from clip_gaze.output.names import as_text
from clip_gaze.output.tables import csv_line
from clip_gaze.output.terminal import BOLD, PLAIN, clean, headed, shorten
from clip_gaze.wording import counted, made_by

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clip_gaze.results import Duplicates, Search, Term, Unread

_FOUND = ("query", "image", "model", "variant", "templates", "similarity")
_GROUPED = ("group", "image", "model", "variant", "similarity", "copy_of")


def title(found: Search) -> str:
    """Return a query in one line.

    >>> from clip_gaze.results import Search, Term
    >>> terms = Term("a harbour", "words", True), Term("a.jpg", "picture", False)
    >>> title(Search(terms, "demo", "fp32", (), 0, 0, ()))
    '"a harbour" - a.jpg'
    """
    parts = [f"{'+' if term.wanted else '-'} {_spoken(term)}" for term in found.query]
    return " ".join(parts).removeprefix("+ ")


def _spoken(term: Term) -> str:
    return f'"{term.text}"' if term.kind == "words" else PurePath(term.text).name or "a picture"


def about(found: Search) -> str:
    """Return what was searched with what.

    >>> from clip_gaze.results import Search
    >>> about(Search((), "demo", "fp32", (), 1200, 0, ()))
    '1,200 pictures, demo, fp32'
    """
    by = made_by(found.model, found.variant, found.templates)
    return f"{counted(found.searched, 'picture')}, {by}"


def title_of_groups(found: Duplicates) -> str:
    """Return how many groups there are."""
    what = "near-equal pictures"
    return f"{counted(len(found.groups), 'group')} of {what}" if found.groups else f"no {what}"


def about_groups(found: Duplicates) -> str:
    """Return what was compared with what, and how near pictures have to be."""
    by = f"{counted(found.searched, 'picture')}, {made_by(found.model, found.variant, ())}"
    return f"{by}, cosine {found.threshold:g} or more"


def text(found: Search, columns: int | None = None) -> Iterator[str]:
    """Yield the pictures that were found as lines for people to read; see `render.text`."""
    yield headed(title(found), about(found), columns)
    for hit in found.images:
        yield _line(f"{hit.similarity:6.3f}", hit.image, columns)
    if not found.images:
        yield "  no picture\n"


def duplicates(found: Duplicates, columns: int | None = None) -> Iterator[str]:
    """Yield groups of near-equal pictures as lines for people to read; see `text`."""
    yield headed(title_of_groups(found), about_groups(found), columns)
    for group in found.groups:
        files = f"{sum(len(alike.images) for alike in group):,} files"
        yield f"\n{files if columns is None else BOLD + files + PLAIN}\n"
        for at, alike in enumerate(group):
            first, *copies = alike.images
            yield _line(f"{alike.similarity:6.3f}" if at else " " * 6, first, columns)
            for copy in copies:
                yield _line(" equal", copy, columns)


def csv(found: Search) -> Iterator[str]:
    """Yield CSV with one row for each picture that was found."""
    yield csv_line(_FOUND)
    query, templates = title(found), " | ".join(found.templates)
    for hit in found.images:
        yield csv_line([query, hit.image, found.model, found.variant, templates, hit.similarity])


def csv_duplicates(found: Duplicates) -> Iterator[str]:
    """Yield CSV with one row for each file of a group."""
    yield csv_line(_GROUPED)
    for number, group in enumerate(found.groups, start=1):
        for alike in group:
            for image in alike.images:
                same = "" if image == alike.images[0] else alike.images[0]
                yield csv_line([number, image, found.model, found.variant, alike.similarity, same])


def json_object(found: Search | Duplicates) -> Iterator[str]:
    """Yield one JSON object; numbers are not rounded."""
    yield json.dumps(asdict(found), ensure_ascii=False, indent=1) + "\n"


def json_lines(found: Search | Duplicates) -> Iterator[str]:
    """Yield one JSON object a line: a picture that was found, or a group."""
    rows = (
        [asdict(hit) for hit in found.images]
        if not hasattr(found, "groups")
        else [{"group": [asdict(alike) for alike in group]} for group in found.groups]
    )
    for row in rows:
        yield json.dumps(row, ensure_ascii=False) + "\n"


def spelled(found: Search) -> Search:
    """Return a search in which all names of files are ones that UTF-8 can hold; see `as_text`."""
    return replace(
        found,
        query=tuple(replace(term, text=as_text(term.text)) for term in found.query),
        images=tuple(replace(hit, image=as_text(hit.image)) for hit in found.images),
        unread=_unread(found.unread),
    )


def spelled_groups(found: Duplicates) -> Duplicates:
    """Return groups in which all names of files are ones that UTF-8 can hold; see `as_text`."""
    groups = tuple(
        tuple(replace(alike, images=tuple(map(as_text, alike.images))) for alike in group)
        for group in found.groups
    )
    return replace(found, groups=groups, unread=_unread(found.unread))


def _unread(unread: tuple[Unread, ...]) -> tuple[Unread, ...]:
    return tuple(
        replace(each, image=as_text(each.image), error=as_text(each.error)) for each in unread
    )


def _line(figure: str, image: str, columns: int | None) -> str:
    """Return a figure and a name; of a long one its end, which says more than its folders."""
    image = clean(image)
    if columns is not None:
        image = shorten(image, max(1, columns - 1 - len(figure) - 4), at_start=True)
    return f"  {figure}  {image}\n"
