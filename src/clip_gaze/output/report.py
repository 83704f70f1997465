"""One self-contained page over a collection: pictures, bars, contact sheets and counts."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import tempfile
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from clip_gaze.drawing import heatmap
from clip_gaze.errors import GazeError, PictureError
from clip_gaze.pictures import thumbnails
from clip_gaze.system.files import check_place, is_device, whole
from clip_gaze.system.storage import is_url
from clip_gaze.wording import lacking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from jinja2 import Template
    from numpy.typing import NDArray

    from clip_gaze.analysis.ranking import Ranking
    from clip_gaze.pictures.thumbnails import Thumbnail
    from clip_gaze.results import HeatMap

    Embedding = NDArray[np.float32]
    See = Callable[[str, Embedding], Sequence[HeatMap]]
    Small = Callable[[str], Thumbnail]

# A probability is kept as a level of 16 bits, even steps of its logarithm: 65535 is 1, each level
# below is 0.037 % less, level 1 is e**-24, and 0 is all that is smaller.
_TOP_LEVEL = 65535
STEP = 24 / (_TOP_LEVEL - 1)
# Base64 of a piece whose length is a multiple of 3 has no padding, so pieces can be joined.
_PIECE = 3 << 16
_EDGE = 128  # pixels of a map's side, which a browser enlarges
_COLOURS = 256  # pixels of the scale of a map's colours


@dataclass(frozen=True, slots=True)
class Heading:
    """What a page says above its pictures.

    Attributes:
        model: the model's name.
        variant: the variant's name.
        templates: the sentences that phrases were put into.
        title: heading of the page.
        note: what the model's manifest says that each result must carry.

    """

    model: str
    variant: str
    templates: Sequence[str] = ()
    title: str = "Pictures and phrases"
    note: str = ""


@dataclass(slots=True)
class _Collection:
    """What the page shows, gathered as results come; what is large lies in temporary files.

    Attributes:
        thumbs: one base64 WebP a line.
        maps: the same, of the colours of heat maps.
        order: list name -> where each of its phrases, sorted, stands in the list.
        levels: list name -> rows of levels (little-endian uint16), one a picture.
        pictures: path, link from the page, width and height of the thumbnail.
        mapped: for each picture, list, phrase, end of the scale, and box of each map.
        errors: path and reason.

    """

    thumbs: IO[bytes]
    maps: IO[bytes]
    order: dict[str, NDArray[np.intp]]
    levels: dict[str, IO[bytes]]
    pictures: list[tuple[str, str, int, int]] = field(default_factory=list)
    mapped: list[list[tuple[Any, ...]]] = field(default_factory=list)
    errors: list[tuple[str, str]] = field(default_factory=list)


def write(
    pictures: Iterable[tuple[str, Embedding | PictureError]],
    ranking: Ranking,
    heading: Heading,
    out: str | os.PathLike[str],
    *,
    edge: int = 160,
    max_pixels: int | None = None,
    see: See | None = None,
    small: Small | None = None,
    offline: bool = False,
) -> int:
    """Write a page that shows pictures and their phrases, and opens from disk.

    Args:
        pictures: what `Clip.embed_many` yields for paths. A thumbnail is made of each as it
            comes; none is kept in memory.
        ranking: the lists, each with phrases that differ.
        heading: what the page says above them.
        out: the page; a file that is there is replaced once the new one is whole.
        edge: longer edge of the thumbnails in pixels.
        max_pixels: a larger picture has an error in place of a thumbnail; None: none is too large.
        see: returns the heat maps that the page shows of a picture, from its path and embedding,
            one a list; None: it has none.
        small: returns the thumbnail of a path; None: it is made with `edge` and `max_pixels`.
        offline: whether pictures on other machines have an error in place of a thumbnail.

    Returns:
        Size of the page in bytes.

    Raises:
        GazeError: jinja2 is missing, `out` is no place for a file, or there are no phrases.

    """
    out = Path(out)
    check(out)
    if not ranking.lists or not all(phrases for phrases, _ in ranking.lists.values()):
        msg = "a report needs phrases; name a list with some"
        raise GazeError(msg)
    with whole(out) as part:
        # "replace": names of files that are not UTF-8 come as lone surrogates.
        with (
            part.open("w", encoding="utf-8", errors="replace", newline="\n") as page,
            contextlib.ExitStack() as stack,
        ):
            make = small or partial(
                thumbnails.made, edge=edge, max_pixels=max_pixels, offline=offline
            )
            found = _gather(pictures, ranking, out.absolute().parent, make, stack, see)
            context = _context(found, ranking, edge)
            page.writelines(template().generate(asdict(heading), **context))
        return part.stat().st_size


def check(out: Path) -> None:
    """Refuse to begin where no page can be made.

    Raises:
        GazeError: jinja2 is not installed, or `out` is no place for a file.

    """
    template()
    check_place(out)
    if is_device(out):
        msg = f"{out}: is not a file; name one for the page"
        raise GazeError(msg)


def template(name: str = "report.html.jinja") -> Template:
    """Return the template of a page; see `check`."""
    try:
        from clip_gaze.output.markup import template as load  # noqa: PLC0415 - needs jinja2
    except ImportError:
        msg = lacking("the report", "jinja2", "report")
        raise GazeError(msg) from None
    return load("clip_gaze.output", name)


def _gather(
    pictures: Iterable[tuple[str, Embedding | PictureError]],
    ranking: Ranking,
    folder: Path,
    small: Small,
    stack: contextlib.ExitStack,
    see: See | None,
) -> _Collection:
    """Take all pictures; one that cannot be opened again is one with an error."""

    def file() -> IO[bytes]:
        return stack.enter_context(tempfile.TemporaryFile())

    order = {
        name: np.array(sorted(range(len(phrases)), key=phrases.__getitem__), np.intp)
        for name, (phrases, _) in ranking.lists.items()
    }
    found = _Collection(file(), file(), order, {name: file() for name in order})
    for name, embedding in pictures:
        try:
            if isinstance(embedding, PictureError):
                raise embedding
            thumb = small(name)
            heats = see(name, embedding) if see else []
        except PictureError as error:
            # Without the path that it starts with: the page shows it beside.
            found.errors.append((name, str(error).removeprefix(f"{name}: ")))
        else:
            for listed, columns in order.items():
                (row,) = ranking.probabilities(embedding[None], listed)
                found.levels[listed].write(levels(row[columns]).tobytes())
            found.thumbs.write(base64.b64encode(thumb.file) + b"\n")
            for heat in heats:
                drawn = thumbnails.webp(heatmap.overlay(heat, _EDGE), name)
                found.maps.write(base64.b64encode(drawn) + b"\n")
            found.mapped.append(
                [(heat.list, heat.phrase, heatmap.limit(heat), heat.box) for heat in heats]
            )
            found.pictures.append((name, link(name, folder), *thumb.size))
    return found


def link(image: str, folder: Path) -> str:
    """Return where the picture lies, as seen from the page's folder."""
    if is_url(image):
        return image
    try:
        near = os.path.relpath(image, folder)
    except ValueError:  # another drive
        return Path(image).absolute().as_uri()
    return quote(os.fsencode(near.replace(os.sep, "/")))


def levels(probabilities: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Return the level of each probability; order is kept, but for ties within one step."""
    logarithms = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
    found = np.clip(np.rint(_TOP_LEVEL + logarithms / STEP), 0, _TOP_LEVEL)
    stored: NDArray[np.uint16] = found.astype("<u2")
    return stored


def _context(found: _Collection, ranking: Ranking, edge: int) -> dict[str, Any]:
    """Return what the template fills in of what was gathered."""
    from clip_gaze.output.markup import part, style  # noqa: PLC0415 - as in `template`

    css = style("report.css")
    script = part("output/templates/report_data.js") + part("output/templates/report.js")
    return {
        "names": list(found.order),
        "errors": found.errors,
        "facts": {
            "edge": edge,
            "step": STEP,
            "lists": [
                {"name": name, "phrases": [ranking.lists[name][0][at] for at in columns]}
                for name, columns in found.order.items()
            ],
            "pictures": found.pictures,
            "mapped": found.mapped if any(found.mapped) else [],
        },
        "levels": [_base64(file) for file in found.levels.values()],
        "thumbs": _lines(found.thumbs),
        "maps": _lines(found.maps),
        "colours": base64.b64encode(thumbnails.webp(heatmap.scale(_COLOURS), "scale")).decode(),
        "style": css,
        "style_digest": digest(css),
        "script": script,
        "script_digest": digest(script),
    }


def digest(text: str) -> str:
    """Return the hash by which the page's policy allows this text and no other."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _base64(file: IO[bytes]) -> Iterator[str]:
    file.seek(0)
    while piece := file.read(_PIECE):
        yield base64.b64encode(piece).decode()


def _lines(file: IO[bytes]) -> Iterator[str]:
    file.seek(0)
    return (line.decode().rstrip() for line in file)
