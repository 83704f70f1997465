"""Which pictures a command looks at, and which phrases it asks about."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clip_gaze.cli.progress import SOME_FAILED, NothingWrittenError, say
from clip_gaze.datasets.place import is_dataset
from clip_gaze.errors import PhraseListError
from clip_gaze.model import registry
from clip_gaze.output import names
from clip_gaze.pictures import collect
from clip_gaze.texts import phrases
from clip_gaze.texts.vectors import PhraseVectors

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    from clip_gaze.datasets.dataset import Dataset
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
            msg = "--phrase is blank; write a phrase"
            raise PhraseListError(msg)
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
        """Return name -> phrases for what was asked for, or for the default lists.

        Args:
            model: the model's name or folder; a bundle has lists of its own.

        Raises:
            PhraseListError: see `chosen_lists`.

        """
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
        """Return the dataset that is meant in place of pictures; None for pictures."""
        some = [image for image in self.images if is_dataset(image)]
        if some and (len(self.images) > 1 or self.names is not None):
            msg = f"{some[0]}: is a dataset; name it alone"
            raise click.UsageError(msg)
        if not some:
            return None
        from clip_gaze.datasets.dataset import Dataset

        return Dataset(some[0])

    def pictures(self) -> tuple[list[Path | Remote], int]:
        """Return the pictures that are meant, and the exit code that folders call for.

        What of a folder cannot be read is named on stderr.

        Raises:
            PictureError: there is no picture in any of the folders.
            NothingWrittenError: nothing that is meant can be read.

        """
        paths, code = [], 0
        meant = collect.pictures(self.sources(), recursive=self.recursive, exclude=self.exclude)
        for path, error in meant:
            if error is None:
                paths.append(path)
            else:
                code = SOME_FAILED
                say(f"clip-gaze: error: {error}")
        if not paths:
            raise NothingWrittenError
        return paths, code


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
