"""One self-contained page over a collection: pictures, bars, contact sheets and counts."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from clip_gaze.drawing import heatmap
from clip_gaze.errors import GazeError, PictureError
from clip_gaze.pictures import thumbnails
from clip_gaze.pictures.preprocess import rgb
from clip_gaze.system.files import whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from jinja2 import Template
    from numpy.typing import NDArray

    from clip_gaze.results import HeatMap, PictureResult, Score

    See = Callable[[PictureResult], Sequence[HeatMap]]

# A probability is kept as a level of 16 bits, even steps of its logarithm: 65535 is 1, each level
# below is 0.037 % less, level 1 is e**-24, and 0 is all that is smaller.
_TOP_LEVEL = 65535
_STEP = 24 / (_TOP_LEVEL - 1)
# Base64 of a piece whose length is a multiple of 3 has no padding, so pieces can be joined.
_PIECE = 3 << 16


@dataclass(slots=True)
class _Collection:
    """What the page shows, gathered as results come; what is large lies in temporary files.

    Attributes:
        thumbs: one base64 WebP a line.
        maps: the same, of heat maps.
        columns: list name -> phrase -> its column.
        levels: list name -> rows of levels (little-endian uint16), one a picture.
        pictures: path, link from the page, width and height of the thumbnail.
        mapped: for each picture, the lists and phrases that it has maps for.
        errors: path and reason.

    """

    thumbs: IO[bytes]
    maps: IO[bytes]
    model: str = ""
    variant: str = ""
    templates: tuple[str, ...] = ()
    columns: dict[str, dict[str, int]] = field(default_factory=dict)
    levels: dict[str, IO[bytes]] = field(default_factory=dict)
    pictures: list[tuple[str, str, int, int]] = field(default_factory=list)
    mapped: list[list[tuple[str | None, str]]] = field(default_factory=list)
    errors: list[tuple[str, str]] = field(default_factory=list)


def write(
    results: Iterable[PictureResult],
    out: str | os.PathLike[str],
    *,
    title: str | None = None,
    note: str = "",
    edge: int = 160,
    see: See | None = None,
    progress: Callable[[int], object] | None = None,
) -> int:
    """Write a page that shows results and opens from disk, whole or not at all.

    Args:
        results: pictures by path, each with all phrases of each list (`only_show_best=None`).
            A thumbnail is made of each as it comes; none is kept in memory.
        out: the page; a file that is there is replaced once the new one is whole.
        title: heading of the page; None: "Pictures and phrases".
        note: what the model's manifest says that each result must carry.
        edge: longer edge of the thumbnails in pixels.
        see: returns the heat maps that the page shows of a result, one a list; None: it has none.
        progress: called with the number of results taken so far.

    Returns:
        Size of the page in bytes.

    Raises:
        GazeError: jinja2 is missing, `out` is no place for a file, or a result lacks phrases
            that those before it have.

    """
    template = _template()
    out = Path(out)
    if out.exists() and not out.is_file():
        msg = f"{out}: is not a file; name one for the page"
        raise GazeError(msg)
    with whole(out) as part:
        # "replace": names of files that are not UTF-8 come as lone surrogates.
        with (
            part.open("w", encoding="utf-8", errors="replace", newline="\n") as page,
            contextlib.ExitStack() as stack,
        ):
            found = _gather(results, out.absolute().parent, edge, stack, see, progress)
            page.writelines(template.generate(**_context(found, title, note, edge)))
        return part.stat().st_size


def check() -> None:
    """Refuse to begin where no page can be made.

    Raises:
        GazeError: jinja2 is not installed.

    """
    _template()


def _template() -> Template:
    """Return the page's template; see `check`."""
    try:
        from clip_gaze.output.markup import template  # noqa: PLC0415 - needs jinja2, an optional one
    except ImportError:
        msg = "the report needs jinja2; install it with: pip install 'clip-gaze[report]'"
        raise GazeError(msg) from None
    return template("clip_gaze.output", "report.html.jinja")


def _gather(
    results: Iterable[PictureResult],
    folder: Path,
    edge: int,
    stack: contextlib.ExitStack,
    see: See | None,
    progress: Callable[[int], object] | None,
) -> _Collection:
    """Take all results; a picture that cannot be opened again is one with an error."""
    thumbs, maps = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))  # noqa: SIM115 - closes them
    found = _Collection(thumbs, maps)
    for done, result in enumerate(results, 1):
        found.model, found.variant = result.model, result.variant
        found.templates = result.templates
        if result.status == "error":
            found.errors.append((result.image, _reason(result.image, result.error or "")))
        else:
            try:
                small = thumbnails.small(result.image, edge)
                thumb = thumbnails.webp(small, result.image)
                heats = see(result) if see else []
            except PictureError as error:
                found.errors.append((result.image, _reason(result.image, str(error))))
            else:
                _keep_levels(found, result, stack)
                found.thumbs.write(base64.b64encode(thumb) + b"\n")
                for heat in heats:
                    drawn = thumbnails.webp(heatmap.over(rgb(small), heat), result.image)
                    found.maps.write(base64.b64encode(drawn) + b"\n")
                found.mapped.append([(heat.list, heat.phrase) for heat in heats])
                link = _link(result.image, folder)
                found.pictures.append((result.image, link, *small.size))
        if progress is not None:
            progress(done)
    return found


def _reason(image: str, error: str) -> str:
    """Return an error without the path that it starts with: the page shows it beside."""
    return error.removeprefix(f"{image}: ")


def _link(image: str, folder: Path) -> str:
    """Return where the picture lies, as seen from the page's folder."""
    try:
        near = os.path.relpath(image, folder)
    except ValueError:  # another drive
        return Path(image).absolute().as_uri()
    return quote(os.fsencode(near.replace(os.sep, "/")))


def _keep_levels(found: _Collection, result: PictureResult, stack: contextlib.ExitStack) -> None:
    """Add a picture's row to each list.

    Raises:
        GazeError: there are none, or they are not those of the pictures before.

    """
    if not all(result.lists.values()) or not result.lists:
        msg = f"{result.image}: was asked about no phrases; name a list with some"
        raise GazeError(msg)
    if not found.pictures:
        for name, scores in result.lists.items():
            phrases = sorted({score.phrase for score in scores})
            found.columns[name] = {phrase: column for column, phrase in enumerate(phrases)}
            found.levels[name] = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
    if result.lists.keys() != found.columns.keys():
        msg = f"{result.image}: its lists are not those of the pictures before; ask all the same"
        raise GazeError(msg)
    for name, scores in result.lists.items():
        row = _row(scores, found.columns[name])
        if row is None:
            msg = f"{result.image}: lacks phrases of {name!r}; look with only_show_best=None"
            raise GazeError(msg)
        found.levels[name].write(_levels(row).tobytes())


def _row(scores: Sequence[Score], columns: Mapping[str, int]) -> NDArray[np.float64] | None:
    """Return (len(columns),) probabilities by column; None where the phrases are others."""
    row = np.full(len(columns), np.nan)
    for score in scores:
        column = columns.get(score.phrase)
        if column is None:
            return None
        row[column] = score.probability
    return None if np.isnan(row).any() else row


def _levels(probabilities: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Return the level of each probability; order is kept, but for ties within one step."""
    logarithms = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
    levels = np.rint(_TOP_LEVEL + logarithms / _STEP)
    return np.clip(levels, 0, _TOP_LEVEL).astype("<u2")


def _context(found: _Collection, title: str | None, note: str, edge: int) -> dict[str, Any]:
    """Return what the template fills in."""
    from clip_gaze.output.markup import part  # noqa: PLC0415 - as in `_template`

    style = part("web/static/base.css") + part("output/templates/report.css")
    script = part("output/templates/report_data.js") + part("output/templates/report.js")
    return {
        "title": title or "Pictures and phrases",
        "note": note,
        "model": found.model,
        "variant": found.variant,
        "templates": found.templates,
        "names": list(found.columns),
        "errors": found.errors,
        "facts": {
            "edge": edge,
            "step": _STEP,
            "lists": [
                {"name": name, "phrases": list(columns)} for name, columns in found.columns.items()
            ],
            "pictures": found.pictures,
            "mapped": found.mapped if any(found.mapped) else [],
        },
        "levels": [_base64(file) for file in found.levels.values()],
        "thumbs": _lines(found.thumbs),
        "maps": _lines(found.maps),
        "style": style,
        "style_digest": _digest(style),
        "script": script,
        "script_digest": _digest(script),
    }


def _digest(text: str) -> str:
    """Return the hash by which the page's policy allows this text and no other."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _base64(file: IO[bytes]) -> Iterator[str]:
    file.seek(0)
    while piece := file.read(_PIECE):
        yield base64.b64encode(piece).decode()


def _lines(file: IO[bytes]) -> Iterator[str]:
    file.seek(0)
    return (line.decode().rstrip() for line in file)
