"""The commands that look at pictures: `clip-gaze gaze` and `clip-gaze demo`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clip_gaze.analysis.occlusion import RUNS
from clip_gaze.cli.options import (
    Counted,
    chosen_lists,
    collected,
    covering,
    encoding,
    list_options,
    model_options,
    opened,
    picture_options,
    threads_option,
    written,
)
from clip_gaze.drawing import heatmap
from clip_gaze.errors import GazeError, PictureError
from clip_gaze.output import render, tables, writers
from clip_gaze.results import PictureResult
from clip_gaze.system.paths import shipped
from clip_gaze.texts import phrases
from clip_gaze.texts.questions import of_first

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from clip_gaze.clip import Clip

_FORMATS = ("text", "json", "jsonl", "csv", "parquet")


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose what is written, and where."""
    for option in (
        click.option(
            "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
            help="Write here instead of to standard output.",
        ),
        click.option(
            "--format", "kind", type=click.Choice(_FORMATS), default="text", show_default=True,
        ),
        click.option(
            "--top", type=click.IntRange(min=0), default=5, show_default=True,
            help="Phrases to show of each list; 0 for all.",
        ),
        click.option(
            "--corrected", is_flag=True,
            help="Take away what a list says of pictures that show nothing.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE|FOLDER...")
@list_options
@picture_options
@output_options
@click.option(
    "--see", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
    help="Draw heat maps for what comes first of each list, a picture each, into FOLDER.",
)  # fmt: skip
@click.option("--wide", is_flag=True, help="CSV with one row a picture, one column a phrase.")
@click.option("--resume", is_flag=True, help="Go on with -o FILE, JSON Lines or CSV.")
@model_options
def gaze(
    images: Sequence[str],
    lists: Sequence[str],
    files: Sequence[str],
    own: Sequence[str],
    recursive: bool,
    exclude: Sequence[str],
    **options: Any,
) -> int:
    """Say which phrases of each list CLIP finds most likely for each picture.

    Without --list, --phrases or --phrase: artists, movements and surfaces. These three options
    and --exclude can be repeated.
    """
    chosen = chosen_lists(lists, files, own)
    paths, missed = collected(images, recursive=recursive, exclude=exclude)
    return _gaze(paths, chosen, **options) or missed


@click.command()
@output_options
@threads_option
def demo(**options: Any) -> int:
    """Show what clip-gaze does, with a picture and a small model that ship; needs no network."""
    image = shipped("models") / "demo" / "demo.jpg"
    names = ("movements", "surfaces", "painting_materials")
    lists = {name: phrases.load(name) for name in names}
    return _gaze([image], lists, model="demo", variant=None, offline=True, **options)


def _gaze(
    paths: Sequence[Path],
    lists: Mapping[str, Sequence[str]],
    *,
    top: int,
    kind: str,
    output: Path | None,
    corrected: bool,
    see: Path | None = None,
    wide: bool = False,
    resume: bool = False,
    **options: Any,
) -> int:
    """Look at the pictures and write the results; return the exit code."""
    growing = kind in writers.GROWING and output is not None
    if wide and kind != "csv":
        raise click.UsageError("--wide goes with --format csv")
    if resume and not growing:
        raise click.UsageError("--resume goes with -o FILE and --format jsonl or csv")
    if kind == "parquet" and output is None:
        raise click.UsageError("--format parquet goes with -o FILE")
    writers.check(output)
    with opened(**options) as clip, encoding() as bar:
        done: set[str] = set()
        if resume and output is not None:
            like = PictureResult(
                "", clip.manifest.name, clip.variant, templates=clip.templates, corrected=corrected
            )
            shown = [min(top or len(each), len(each)) for each in lists.values()]
            rows = 1 if wide else sum(shown)
            header = tables.wide_columns(lists) if wide else list(tables.COLUMNS)
            done = writers.resume(output, kind, like, rows, header)
        left = [path for path in paths if str(path) not in done]
        best = None if wide else top or None
        found = clip.gaze_many(left, lists, best, corrected=corrected, encoding=bar)
        if see is not None:
            found = _with_maps(clip, found, paths, lists, see)
        results = Counted(found, len(left))
        if output is None:
            terminal = sys.stdout.isatty()
            writers.to_stdout(_pieces(results, kind, lists, wide=wide, to_terminal=terminal))
        elif growing:
            if left:
                pieces = _pieces(results, kind, lists, wide=wide, header=not done)
                writers.write(pieces, output, append=bool(done))
        else:
            with writers.to_file(output) as part:
                if kind == "parquet":
                    tables.write_parquet(results, part)
                else:
                    writers.write(_pieces(results, kind, lists), part)
                return results.exit_code  # an error leaves an old file as it was
        return results.exit_code


def _with_maps(
    clip: Clip,
    results: Iterable[PictureResult],
    paths: Sequence[Path],
    lists: Mapping[str, Sequence[str]],
    folder: Path,
) -> Iterator[PictureResult]:
    """Pass results on; draw the maps of each good picture into the folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{folder}: no folder can be made here ({error.strerror}); name another"
        raise GazeError(msg) from error
    names = heatmap.names(paths)
    for result in results:
        if result.status == "error":
            yield result
            continue
        try:
            with covering(RUNS) as progress:
                first = {name: scores[0].phrase for name, scores in result.lists.items() if scores}
                asked = of_first(first, lists)
                found = clip.heat_maps(
                    result.image, asked, corrected=result.corrected, progress=progress
                )
            if found:
                heatmap.write(result.image, found, folder / names[Path(result.image)])
            yield result
        except PictureError as error:  # the file is gone or has changed since
            yield replace(result, lists={}, status="error", error=str(error))


def _pieces(
    results: Iterable[PictureResult],
    kind: str,
    lists: Mapping[str, Sequence[str]],
    *,
    wide: bool = False,
    header: bool = True,
    to_terminal: bool = False,
) -> Iterator[str]:
    """Yield the text of the results, piece by piece."""
    if kind == "jsonl":
        return render.json_lines(results)
    if kind == "csv" and wide:
        return tables.csv_wide(results, lists, header=header)
    if kind == "csv":
        return tables.csv_long(results, header=header)
    return written(results, kind, to_terminal=to_terminal)
