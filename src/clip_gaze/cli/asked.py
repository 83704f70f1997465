"""Which pictures a command looks at, and which phrases it asks about."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clip_gaze.cli.progress import SOME_FAILED, NothingWrittenError, say
from clip_gaze.datasets.place import is_dataset
from clip_gaze.errors import GazeError, PhraseListError, PictureError
from clip_gaze.model import registry
from clip_gaze.output import names
from clip_gaze.pictures import collect
from clip_gaze.texts import phrases
from clip_gaze.texts.vectors import PhraseVectors

if TYPE_CHECKING:
    import os
    from collections.abc import Container, Iterator, Mapping, Sequence

    from clip_gaze.datasets.dataset import Dataset
    from clip_gaze.pictures.collect import Found
    from clip_gaze.pictures.source import File, Remote


def chosen_lists(
    lists: Sequence[str],
    files: Sequence[str],
    own: Sequence[str],
    *,
    alone: bool = False,
    bundled: Mapping[str, tuple[str, ...]] | None = None,
) -> dict[str, tuple[str, ...]]:
    """Return name -> phrases for what was asked for; nothing for nothing.

    Args:
        lists: names of shipped lists.
        files: text files of phrases.
        own: phrases.
        alone: whether a phrase may be the only one of its list.
        bundled: lists of a bundle's own, which go before shipped ones.

    Raises:
        PhraseListError: a list is unknown, empty, unreadable or too short, or two share a name.

    """
    chosen = {name: (bundled or {}).get(name) or phrases.load(name) for name in lists}
    for file in files:
        name = names.as_text(Path(file).stem)
        if name in chosen or (own and name == phrases.OWN):
            msg = f"two phrase lists are called {name!r}; rename {file}"
            raise PhraseListError(msg)
        chosen[name] = phrases.read(file)
        if len(chosen[name]) < 2 and not alone:
            msg = f"{file}: holds one phrase, which cannot be weighed alone; add another"
            raise PhraseListError(msg)
    if own:
        spoken = phrases.unique(phrase.strip() for phrase in own if phrase.strip())
        if not spoken:
            raise PhraseListError("--phrase is blank; write a phrase")
        if len(spoken) < 2 and not alone:
            msg = f"{spoken[0]!r} cannot be weighed alone; add another --phrase"
            raise PhraseListError(msg)
        chosen[phrases.OWN] = spoken
    return chosen


@dataclass(frozen=True, slots=True)
class Asked:
    """Which pictures a command looks at, and which phrases it asks about.

    Attributes:
        images: pictures and folders.
        lists: names of shipped lists.
        files: text files of phrases.
        own: phrases.
        recursive: whether folders inside folders are meant.
        exclude: patterns of files that are not meant.
        names: a file that names more pictures.
        column: which of its columns does.

    """

    images: Sequence[str]
    lists: Sequence[str]
    files: Sequence[str]
    own: Sequence[str]
    recursive: bool
    exclude: Sequence[str]
    names: str | None = None
    column: str | None = None

    def phrases(self, model: str | None) -> dict[str, tuple[str, ...]]:
        """Return name -> phrases: what was asked for, or a bundle's lists, or the default ones."""
        bundled = lists_of(model)
        chosen = chosen_lists(self.lists, self.files, self.own, bundled=bundled)
        return chosen or bundled or {name: phrases.load(name) for name in phrases.DEFAULTS}

    def sources(self) -> Iterator[str | os.PathLike[str] | File | Remote]:
        """Return the pictures, folders, URLs and patterns that are meant; "-" names some."""
        if self.names is None and "-" not in self.images:
            return iter(self.images)
        from clip_gaze.datasets import listing

        named = () if self.names is None else listing.names(self.names, self.column)
        return chain(listing.spread(self.images), named)

    def dataset(self) -> Dataset | None:
        """Return the dataset that is meant in place of pictures; None for pictures.

        Raises:
            GazeError: it has no picture.

        """
        some = [image for image in self.images if is_dataset(image)]
        if not some:
            return None
        if len(self.images) > 1 or self.names is not None:
            msg = f"{some[0]}: is a dataset; name it alone"
            raise click.UsageError(msg)
        from clip_gaze.datasets.dataset import Dataset

        found = Dataset(some[0])
        if not len(found):
            msg = f"{some[0]}: is a dataset without pictures; make it again, or go on with --resume"
            raise GazeError(msg)
        return found

    def listed(self, *, again: bool = False) -> Iterator[Found]:
        """Return the pictures that are meant, and what cannot be; see `collect.pictures`."""
        return collect.pictures(
            self.sources(), recursive=self.recursive, exclude=self.exclude, again=again
        )

    def count(self, done: Container[str] = ()) -> int | None:
        """Return how many there are beside those that are done; lists them once more.

        None where they cannot be listed again, as they come on standard input.
        """
        if "-" in (*self.images, self.names):
            return None
        listed = (path for path, error in self.listed(again=True) if error is None)
        return sum(names.as_text(str(path)) not in done for path in listed)

    def pictures(self) -> tuple[list[Path | Remote], int]:
        """Return the pictures that are meant, and the exit code that folders call for.

        What of a folder cannot be read is named on stderr.

        Raises:
            PictureError: there is no picture in any of the folders.
            NothingWrittenError: nothing that is meant can be read.

        """
        streamed = Streamed(self)
        return list(streamed), streamed.exit_code


class Streamed:
    """The pictures that are meant, listed as they are asked for; see `Asked.pictures`.

    Attributes:
        asked: what was asked for.
        exit_code: what folders call for that could not be read so far.

    """

    def __init__(self, asked: Asked) -> None:
        """List as far as two pictures, so that it is known whether there is any, and only one."""
        self.asked = asked
        self.exit_code = 0
        self._rest = self._listed()
        self._first = [*islice(self._rest, 2)]
        if not self._first and self.exit_code:
            raise NothingWrittenError
        if not self._first:
            named = "standard input" if asked.names in (None, "-") else asked.names
            msg = f"{named}: names no picture"
            raise PictureError(msg)

    def __iter__(self) -> Iterator[Path | Remote]:
        """Yield them, once."""
        return chain(self._first, self._rest)

    @property
    def is_one(self) -> bool:
        """Whether there is a single picture."""
        return len(self._first) == 1

    def _listed(self) -> Iterator[Path | Remote]:
        for path, error in self.asked.listed():
            if error is None:
                yield path
            else:
                self.exit_code = SOME_FAILED
                say(f"clip-gaze: error: {error}")


def lists_of(model: str | None) -> dict[str, tuple[str, ...]]:
    """Return name -> phrases of a bundle's lists; nothing for a whole model.

    Raises:
        ModelError: there is no such model, or its file is damaged.

    """
    found = registry.find(model)
    _, variant = found.manifest.variant(None)
    if not found.manifest.is_bundle or variant.phrases is None:
        return {}
    path = found.folder / variant.phrases.file
    return dict(PhraseVectors(path, found.manifest.embedding_dim).lists)
