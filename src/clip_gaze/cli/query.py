"""Read the words of a search: which are pictures, which are taken away, and where to look."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clip_gaze.cli.progress import say
from clip_gaze.errors import PictureError
from clip_gaze.pictures import collect
from clip_gaze.pictures.source import Remote, check_offline
from clip_gaze.system.storage import is_url

if TYPE_CHECKING:
    from collections.abc import Sequence

ALL = "all"  # in place of a folder: all that was seen


class Minus(click.Command):
    """A command to which a word with one - before it is something that is not wanted."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Turn -"some words" into --not "some words", but for options and their values."""
        takes = {
            name for each in self.params if isinstance(each, click.Option) and not each.is_flag
            for name in each.opts
        }  # fmt: skip
        turned: list[str] = []
        for at, word in enumerate(args):
            if word == "--":
                turned += args[at:]
                break
            single = len(word) > 2 and word[0] == "-" and word[1] != "-"
            is_value = bool(at) and args[at - 1] in takes
            turned += ["--not", word[1:]] if single and not is_value else [word]
        return super().parse_args(ctx, turned)


def where(query: Sequence[str], *, offline: bool) -> tuple[Sequence[str], str]:
    """Return what is looked for, and where.

    Raises:
        PictureError: a word that can only be a path leads nowhere, or may not be followed.

    """
    check_addresses(query, offline=offline)
    for word in query:
        is_path = Path(word).is_absolute() or word.startswith(("./", "../", "~/"))
        is_path |= word.endswith(("/", os.sep))
        if is_path and not (_is_address(word) or os.path.lexists(word)):
            msg = f"{word}: no such file or folder; check the name and the folder"
            raise PictureError(msg)
    last = query[-1] if query else ALL
    is_place = _is_address(last) and not _looks_like_a_picture(last)
    if is_place or last == ALL or Path(last).is_dir():
        return query[:-1], last
    return query, ALL


def check_addresses(words: Sequence[str], *, offline: bool) -> None:
    """Refuse URLs that lead to other machines, if none may be reached.

    Raises:
        PictureUnreachableError: a word is one.

    """
    for word in words:
        if _is_address(word):
            check_offline(word, offline=offline)


def _is_address(word: str) -> bool:
    """Return whether a word is a URL, and not such as "art::deco"."""
    return "://" in word and is_url(word)


def _looks_like_a_picture(word: str) -> bool:
    return Path(word).suffix.lower() in collect.SUFFIXES


def term(word: str) -> str | Path | Remote:
    """Return a picture where there is such a file or URL, else the words."""
    looks = _looks_like_a_picture(word)
    if _is_address(word):
        if looks:
            return Remote(word)
        msg = f"{word}: is no picture; name it last, to search what is there"
        raise PictureError(msg)
    if Path(word).is_dir():
        say(f"clip-gaze: {word} is a folder here, and taken as words; name it last to search it")
    if Path(word).is_file():
        if not looks:
            say(f'clip-gaze: {word} is a file here, and taken as a picture; "{word} " is a word')
        return Path(word)
    if looks:
        say(f"clip-gaze: {word}: no such file; it is taken as words")
    return word.strip()
