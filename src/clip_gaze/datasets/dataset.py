"""A dataset of vectors or answers: a folder or URL of Parquet files, and what they hold."""

from __future__ import annotations

import contextlib
import os
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from clip_gaze.datasets import parts
from clip_gaze.datasets.listing import named
from clip_gaze.datasets.partitions import Partition, count
from clip_gaze.datasets.partitions import parts as parts_of
from clip_gaze.datasets.place import ABOUT
from clip_gaze.errors import GazeError, ModelError, PictureError
from clip_gaze.pictures.source import Embedded, check_offline
from clip_gaze.search.gallery import Gallery
from clip_gaze.system.storage import Folder, is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from clip_gaze.clip import Clip
    from clip_gaze.datasets.parts import Rows

_T = TypeVar("_T")

# The options that choose a model, and what a dataset calls them.
_OPTIONS = {"model": "reference", "variant": "variant"}
# Parts in memory while a dataset is searched.
_KEPT = 8
# What bytes raise that are no part of ours, beside pyarrow's own errors: pyarrow has a plain
# OSError for a garbled footer, and a file of somebody else lacks columns, or has other ones.
_NOT_UNDERSTOOD = (AttributeError, KeyError, OSError, TypeError, ValueError)


class Dataset:
    """A dataset; iterating gives its pictures with their embeddings, for `Clip`'s methods.

    Attributes:
        url: its folder or URL.
        about: what it holds, as its metadata say: the model's name, digests and more.

    """

    def __init__(self, url: str | os.PathLike[str]) -> None:
        """Open a dataset.

        Args:
            url: its folder or URL.

        Raises:
            GazeError: there is none, or pyarrow is not installed.

        """
        parts.arrow()
        self.url = str(url)
        self._folder = Folder(self.url)
        if ABOUT not in self._folder:
            msg = f"{self.url}: is no dataset of clip-gaze; `clip-gaze embed` makes one"
            raise GazeError(msg)
        about = parts.about(self._folder.read(ABOUT))
        if about is None:
            msg = f"{self.url}: {ABOUT} in it is not one that clip-gaze wrote"
            raise GazeError(msg)
        self.about: Mapping[str, Any] = about

    def files(self) -> list[str]:
        """Return the names of its parts, sorted."""
        return parts_of(self._folder.names())

    def partitions(self) -> Iterator[Partition]:
        """Yield its parts, to be asked about.

        Raises:
            GazeError: it holds answers.

        """
        self.check()
        return (Partition(file, dataset=self.url) for file in self.files())

    def check(self) -> None:
        """Make sure that it holds vectors.

        Raises:
            GazeError: it holds answers.

        """
        if self.about.get("holds") != "vectors":
            msg = f"{self.url}: holds answers; name a dataset of vectors, which `embed` makes"
            raise GazeError(msg)

    def options(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return the options of a model, where none is named those of the vectors' own model."""
        if options.get("model") is None and options.get("variant") is None:
            return options | {key: self.about[at] for key, at in _OPTIONS.items()}
        return options

    def check_model(self, clip: Clip) -> None:
        """Make sure that the vectors are of a model.

        Raises:
            ModelError: they are of another one.

        """
        here, there = clip.digests, self.about["digests"]
        if any(here[role] != there[role] for role in here.keys() & there.keys()):
            made_by = f"{self.about['model']} ({self.about['variant']})"
            asked = f"{clip.manifest.name} ({clip.variant})"
            how = f"not of {asked}" if asked != made_by else "with other files than those here"
            msg = f"{self.url}: holds vectors of {made_by}, {how}; name that model, or none"
            raise ModelError(msg)

    def rows(self, file: str) -> Rows:
        """Return the pictures of a part.

        Raises:
            GazeError: it is damaged.

        """
        return self._understood(file, self._folder.read(file), parts.rows)

    def names(self, file: str) -> Sequence[str]:
        """Return the names of the pictures of a part.

        Raises:
            GazeError: it is damaged.

        """
        if self.about.get("holds") == "vectors":
            return self.rows(file).names
        return list(dict.fromkeys(row["image"] for row in self._answers(file)))

    def unread(self, file: str) -> int:
        """Return how many pictures of a part could not be read, as its statistics say.

        Raises:
            GazeError: it is damaged.

        """
        with self._folder.opened(file) as stream:
            footer = parts.footer(stream)
        return self._understood(file, footer, parts.errors)

    def _understood(self, file: str, content: bytes, read: Callable[[bytes], _T]) -> _T:
        """Say that a part is damaged where its bytes, which are here, cannot be understood."""
        try:
            return read(content)
        except MemoryError:  # pyarrow has one of its own
            raise
        except (parts.arrow()[0].ArrowException, *_NOT_UNDERSTOOD) as error:
            msg = f"{self.url}/{file}: is damaged; remove it, and make it again with --resume"
            raise GazeError(msg) from error

    def __len__(self) -> int:
        """Return how many pictures it has, those that could not be read among them."""
        return sum(map(count, self.files()))

    def __iter__(self) -> Iterator[Embedded]:
        """Yield its pictures, with their embeddings or errors, part by part."""
        self.check()
        for file in self.files():
            found = self.rows(file)
            for name, vector, error in zip(found.names, found.vectors, found.errors, strict=True):
                yield Embedded(name, vector if error is None else PictureError(error))

    def path(self, name: str) -> str:
        """Return where a picture lies, as seen from here: names may be relative to a folder."""
        return name if is_url(name) else os.path.join(self._base, name)  # noqa: PTH118 - keeps "./"

    @cached_property
    def _base(self) -> str:
        """The folder that relative names are relative to; "" for the working folder."""
        folder = str(self.about.get("folder") or "")
        with contextlib.suppress(OSError):  # it may be gone, or somebody else's
            return "" if not folder or Path(folder).samefile(".") else folder
        return ""

    def shown(self, *, offline: bool = False) -> Iterator[Embedded]:
        """Yield its pictures by their paths, to be looked at; what changed or went is an error.

        Args:
            offline: whether those on other machines are errors, too.

        """
        self.check()
        for file in self.files():
            for row in self.rows(file).records():
                path = self.path(row["name"])
                error = row["error"] or self._hidden(path, row["stamp"], offline=offline)
                yield Embedded(path, PictureError(error) if error else row["vector"])

    def _hidden(self, path: str, stamp: str | None, *, offline: bool) -> str | None:
        """Return why a picture cannot be looked at; None where it can, as far as is known."""
        try:
            check_offline(path, offline=offline)
        except PictureError as error:
            return str(error)
        if not is_url(path) and not os.path.lexists(path):
            return f"{path}: no such file; its vector alone is here"
        if self._has_changed(path, stamp):
            return f"{path}: has changed since its vector was made; embed it again"
        return None

    @staticmethod
    def _has_changed(path: str, stamp: str | None) -> bool:
        """Return whether a file has another size; copies of it have other times."""
        now = named(path).stamp
        return bool(now and stamp) and str(now).split()[0] != str(stamp).split()[0]

    def gallery(self) -> Gallery:
        """Return its pictures to be searched, see `Clip.find`; vectors are read when needed."""
        self.check()
        files = self.files()
        unread: list[tuple[str, PictureError]] = []
        places: list[NDArray[np.intp]] = []  # of the good rows of each part
        rows = lru_cache(_KEPT)(self.rows)
        for file in files:
            found = rows(file)
            each = zip(found.names, found.errors, strict=True)
            unread += [(name, PictureError(error)) for name, error in each if error is not None]
            places.append(np.flatnonzero(found.good))
        ends = np.cumsum([0, *map(len, places)])

        def groups(positions: NDArray[np.intp]) -> Iterator[tuple[NDArray[np.intp], Rows, Any]]:
            """Yield which of the positions lie in a part, the part, and where in it they lie."""
            owners = np.searchsorted(ends, positions, side="right") - 1
            for owner in np.unique(owners):
                here = np.flatnonzero(owners == owner)
                yield here, rows(files[owner]), places[owner][positions[here] - ends[owner]]

        def take(positions: NDArray[np.intp]) -> NDArray[np.float32]:
            taken = np.empty((len(positions), self.about["dim"]), np.float32)
            for here, found, inside in groups(positions):
                taken[here] = found.vectors[inside]
            return taken

        def named(positions: NDArray[np.intp]) -> list[list[str]]:
            names: list[list[str]] = [[] for _ in positions]
            for here, found, inside in groups(np.asarray(positions)):
                for at, row in zip(here, inside, strict=True):
                    path = self.path(found.names[row])
                    if not self._has_changed(path, found.stamps[row]):
                        names[at] = [path]
            return names

        return Gallery(int(ends[-1]), take, named, tuple(unread), repeated=True)

    def to_frame(self) -> list[dict[str, Any]]:
        """Return its rows as pandas.DataFrame and polars.DataFrame take them.

        Returns:
            Of vectors: name, stamp, vector, an (d,) float32 array or None, and error; of answers:
            see `clip_gaze.to_frame`.

        """
        if self.about.get("holds") == "vectors":
            return [row for file in self.files() for row in self.rows(file).records()]
        return [row for file in self.files() for row in self._answers(file)]

    def _answers(self, file: str) -> list[dict[str, Any]]:
        return self._understood(file, self._folder.read(file), parts.answers)
