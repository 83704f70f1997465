"""A contact sheet of pictures that were found: one page that holds all that it shows."""

from __future__ import annotations

import base64
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from clip_gaze.output import report
from clip_gaze.system.files import whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from clip_gaze.pictures.thumbnails import Thumbnail

    Small = Callable[[str], Thumbnail | None]

EDGE = 440  # pixels: screens have two for each unit
_FOOT = (
    "Figures are cosines between what the model makes of a picture and of what was asked for, or "
    "of the first of a group: they order pictures, and are no per cents."
)

# A figure and the path of a picture.
Row = tuple[str, str]


def write(
    title: str,
    about: str,
    note: str,
    groups: Iterable[tuple[str, Sequence[Row]]],
    out: Path,
    small: Small,
) -> None:
    """Write a page that shows pictures in groups, and opens from disk.

    Args:
        title: heading of the page.
        about: the line below it.
        note: what the model's manifest says that each result must carry.
        groups: title and pictures of each group.
        out: the page.
        small: returns the thumbnail of a path, EDGE pixels long; a picture without one is left out.

    Raises:
        GazeError: jinja2 is missing.

    """
    template = report.template("sheet.html.jinja")
    from clip_gaze.output.markup import style as styled  # noqa: PLC0415 - needs jinja2, as above

    style = styled("sheet.css")
    folder = out.absolute().parent
    made = (
        {"title": name, "pictures": list(_pictures(rows, folder, small))}
        for name, rows in groups
        if rows
    )
    with whole(out) as part, part.open("w", encoding="utf-8", errors="replace") as page:
        page.writelines(
            template.generate(
                title=title, about=about, note=note, groups=list(made), foot=_FOOT, style=style,
                style_digest=report.digest(style),
            )
        )  # fmt: skip


def _pictures(rows: Sequence[Row], folder: Path, small: Small) -> Iterator[dict[str, Any]]:
    for figure, name in rows:
        if thumb := small(name):
            yield {
                "figure": figure, "name": name, "short": PurePath(name).name,
                "link": report.link(name, folder), "thumb": base64.b64encode(thumb.file).decode(),
                "width": thumb.size[0], "height": thumb.size[1],
            }  # fmt: skip
