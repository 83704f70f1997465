"""Gather the vectors of many pictures to be searched: of those that are named, or of all seen."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import deque
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clip_gaze.errors import GazeError, PictureError
from clip_gaze.pictures.source import Content, Embedded, File, reusable, several, source
from clip_gaze.results import Unread
from clip_gaze.search.index import SHA256, Index, listed
from clip_gaze.store import pictures
from clip_gaze.system.files import identity, sha256
from clip_gaze.system.stamps import stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from clip_gaze.pictures.encoder import ImageEncoder
    from clip_gaze.pictures.source import Picture
    from clip_gaze.search.nearest import Take
    from clip_gaze.store import Store

    Vectors = NDArray[np.float32]
    Progress = Callable[[int, int], object]
    # From digests to the names that their pictures have now.
    Names = Callable[[Sequence[bytes]], dict[bytes, list[str]]]


@dataclass(frozen=True, slots=True)
class Gallery:
    """Pictures with their vectors.

    Attributes:
        count: how many pictures.
        take: returns the vectors at some positions, (k, d) float32, L2-normalised.
        named: returns the names of the pictures at some positions: several for one content, none
            for what is gone or has changed.
        unread: the names of those that could not be read, with their errors.
        repeated: whether a file may be several pictures, of which only the best is named.

    """

    count: int
    take: Take
    named: Callable[[NDArray[np.intp]], list[list[str]]]
    unread: Sequence[tuple[str, PictureError]] = ()
    repeated: bool = False

    def unreadable(self) -> tuple[Unread, ...]:
        """Return the pictures that could not be read, and why."""
        return tuple(Unread(name, str(error)) for name, error in self.unread)

    def best(
        self, values: NDArray[np.float32], top: int | None = None, least: float | None = None
    ) -> tuple[list[tuple[str, float]], int]:
        """Return the names with the highest values, and how many pictures among them are gone.

        Args:
            values: (count,) float32.
            top: how many names; None or 0 for all.
            least: pictures with lower values are left out.

        """
        order = np.argsort(-values, kind="stable")
        if least is not None:
            order = order[: np.count_nonzero(values >= least)]
        found: list[tuple[str, float]] = []
        seen: set[str] = set()
        gone = at = 0
        step = 2 * top if top else len(order)
        while at < len(order) and not (top and len(found) >= top):
            some = order[at : at + step]
            for position, names in zip(some.tolist(), self.named(some), strict=True):
                if top and len(found) >= top:
                    break
                gone += not names
                new = [name for name in names if not (self.repeated and name in seen)]
                found += [(name, float(values[position])) for name in new]
                seen.update(new)
            at, step = at + step, 4 * step
        return found[: top or None], gone


def gathered(
    images: Iterable[Picture] | None,
    encoder: ImageEncoder,
    index: Index | None,
    dim: int,
    progress: Progress | None = None,
) -> Gallery:
    """Gather pictures; those that the store does not know are encoded first, and kept there.

    Args:
        images: see `source.source`; one without a name is called by its place: "#1". None: all
            that the store has; their files are looked for when they are named.
        encoder: encodes them.
        index: of the encoder's pictures; None: nothing is known, and nothing kept.
        dim: length of a vector.
        progress: called with (done, total) as pictures are encoded.

    Raises:
        GazeError: all that the store has is meant, and there is no store.

    """
    if images is None:
        return _everything(index)
    given: list[Picture] = []
    paths: dict[Path, str] = {}
    for each in several(images):
        if isinstance(each, (str, os.PathLike)):
            name = os.fsdecode(each)
            paths[each if isinstance(each, Path) else Path(name)] = name
            given.append(name)
        else:
            given.append(each)
    known: dict[str, bytes] = {}
    found: dict[bytes, Vectors] = {}
    if index is not None:
        stamps = {path: now for path in paths if (now := stamp(path))}
        hexed = index.store.digests(stamps)
        known = {paths[path]: bytes.fromhex(digest) for path, digest in hexed.items()}
        asked = np.frombuffer(b"".join(dict.fromkeys(known.values())), SHA256)
        lacking = asked[index.rows(asked) < 0]
        found = index.lacking(lacking)
        lost = set(listed(lacking)) - found.keys()
        known = {name: digest for name, digest in known.items() if digest not in lost}
    others = [
        (at, each) for at, each in enumerate(given) if not (isinstance(each, str) and each in known)
    ]
    pairs = list(known.items())
    unread = []
    for name, digest, vector in _encoded(others, encoder):
        if isinstance(vector, PictureError):
            unread.append((name, vector))
        else:
            found[digest] = vector
            pairs.append((name, digest))
        if progress is not None:
            progress(len(pairs) + len(unread) - len(known), len(others))
    if index is not None:
        index.renew(len(found))
    names: dict[bytes, list[str]] = {}
    for name, digest in pairs:
        names.setdefault(digest, []).append(name)
    digests = np.frombuffer(b"".join(names), SHA256)
    return _gallery(digests, lambda _: names, index, found, dim, unread)


def _gallery(
    digests: NDArray[np.bytes_],
    names: Names,
    index: Index | None,
    found: dict[bytes, Vectors],
    dim: int,
    unread: Sequence[tuple[str, PictureError]] = (),
) -> Gallery:
    """Return files as a gallery; those of the same content are one picture of several names.

    A picture's vector, of `dim` numbers, is in the index or in `found`, or it is left out. `names`
    has none for what is gone or has changed.
    """
    rows = np.full(len(digests), -1) if index is None else index.rows(digests)
    kept = np.empty((0, dim), np.float32) if index is None else index.vectors
    lacking = np.flatnonzero(rows < 0)
    others = zip(lacking, listed(digests[lacking]), strict=True)
    here = {at: found[digest] for at, digest in others if digest in found}
    rows[[*here]] = len(kept) + np.arange(len(here))
    new = np.array([*here.values()], np.float32)
    known, rows = digests[rows >= 0], rows[rows >= 0]

    def take(positions: NDArray[np.intp]) -> Vectors:
        some, split = rows[positions], len(kept)
        if len(some) and some[-1] < split and (np.diff(some) == 1).all():
            return kept[some[0] : some[-1] + 1]  # as they lie in the file, without a copy
        taken = np.empty((len(some), dim), np.float32)
        old = some < split
        taken[old] = kept[some[old]]
        if not old.all():
            taken[~old] = new[some[~old] - split]
        return taken

    def named(positions: NDArray[np.intp]) -> list[list[str]]:
        asked = listed(known[positions])
        there = names(asked)
        return [once(there.get(digest, [])) for digest in asked]

    return Gallery(len(rows), take, named, tuple(unread))


def once(names: Sequence[str]) -> list[str]:
    """Return a name of each file, its own, where links lead to it or paths go round about."""
    if len(names) < 2:
        return list(names)
    found: dict[object, str] = {}
    for name in sorted(names, key=_is_roundabout):
        found.setdefault(identity(name) or name, name)
    kept = set(found.values())
    return [name for name in dict.fromkeys(names) if name in kept]


def _is_roundabout(name: str) -> bool:
    return os.path.abspath(name) != os.path.realpath(name)  # noqa: PTH100 - follows no link


def _everything(index: Index | None) -> Gallery:
    if index is None:
        msg = "without a store there is nothing to search; name a folder, or leave out --no-store"
        raise GazeError(msg)
    digests = index.stored()
    lacking = digests[index.rows(digests) < 0]
    if index.renew(len(lacking)):
        lacking = digests[index.rows(digests) < 0]
    return _gallery(digests, partial(_there, index.store), index, index.lacking(lacking), index.dim)


def _encoded(
    pictures: Iterable[tuple[int, Picture]], encoder: ImageEncoder
) -> Iterator[tuple[str, bytes, Vectors | PictureError]]:
    """Yield the name, the digest and the vector of pictures, which come with their places."""
    under_way: deque[tuple[int, Picture]] = deque()

    def taken() -> Iterator[Picture]:
        for at, each in pictures:
            under_way.append((at, _read(each)))
            yield under_way[-1][1]

    for name, vector in encoder.encode(taken()):
        at, picture = under_way.popleft()
        digest = b"" if isinstance(vector, PictureError) else _digest(picture, at)
        yield name or f"#{at + 1}", digest, vector


def _read(picture: Picture) -> Picture:
    """Return what can be read again, or why it cannot be read at all."""
    try:
        return reusable(picture)
    except PictureError as error:
        return Embedded("", error)


def _digest(picture: Picture, at: int) -> bytes:
    """Return what tells a picture from others: the SHA-256 of its file, or of its number."""
    found = source(picture)
    if isinstance(found, (File, Content)):
        with contextlib.suppress(PictureError), found.open() as file:  # it may just have gone
            return bytes.fromhex(sha256(file))
    return hashlib.sha256(b"%d" % at).digest()


def _there(store: Store, digests: Sequence[bytes]) -> dict[bytes, list[str]]:
    """Return the files that have these contents now, by their digests."""
    rows = store.read(partial(pictures.files, digests=[each.hex() for each in digests])) or []
    names: dict[bytes, list[str]] = {}
    for path, kept, digest in rows:
        if stamp(Path(os.fsdecode(path))) == kept:
            names.setdefault(bytes.fromhex(digest), []).append(os.fsdecode(path))
    return names
