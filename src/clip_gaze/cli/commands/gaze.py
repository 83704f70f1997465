"""The commands that look at pictures: `clip-gaze gaze` and `clip-gaze demo`."""

from __future__ import annotations

import functools
import os
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clip_gaze.cli.asked import Streamed
from clip_gaze.cli.options import (
    added,
    cluster_option,
    collection_options,
    corrected_option,
    format_option,
    list_options,
    model_options,
    threads_option,
)
from clip_gaze.cli.places import for_text, spared, undrawn
from clip_gaze.cli.progress import (
    SOME_FAILED,
    Counted,
    bar,
    encoding,
    opened,
    say,
    say_written,
    writing,
)
from clip_gaze.datasets.place import is_dataset
from clip_gaze.errors import BrokenOffError, GazeError, PictureError
from clip_gaze.output import names, terminal
from clip_gaze.output.writers import ENDINGS, GROWING, Output, Writer, kind_of
from clip_gaze.pictures.source import Embedded
from clip_gaze.results import PictureResult
from clip_gaze.system.paths import shipped
from clip_gaze.system.storage import is_url
from clip_gaze.texts import phrases
from clip_gaze.texts.questions import of_first
from clip_gaze.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from clip_gaze.cli import collection
    from clip_gaze.cli.asked import Asked
    from clip_gaze.clip import Clip
    from clip_gaze.datasets.dataset import Dataset


# What stands for a folder where names come from a dataset, wherever it is asked from.
_DATASET = "a dataset"


def output_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options that choose what is written and where; the command gets an `Output`."""

    @functools.wraps(command)
    def run(
        *, output: str | None, kind: str | None, top: int, wide: bool = False,
        resume: bool = False, **options: Any,
    ) -> int:  # fmt: skip
        path = None if output in (None, "-") else Path(str(output))
        kind = kind or kind_of(path)
        if path and _is_place(str(output), kind, options.get("asked"), options.get("cluster")):
            if wide or kind:
                msg = f"{output}: is a folder, for a dataset; leave out --format and --wide"
                raise click.UsageError(msg)
            from clip_gaze.cli import collection

            return command(output=collection.Target(str(output), top, resume), **options)
        kind = kind or "text"
        if wide and kind != "csv":
            raise click.UsageError("--wide goes with --format csv")
        if resume and (path is None or kind not in GROWING):
            raise click.UsageError("--resume goes with -o FILE and --format jsonl or csv")
        if kind == "parquet" and path is None:
            raise click.UsageError("--format parquet goes with -o FILE")
        for_text(path)
        if asked := options.get("asked"):
            spared((*asked.images, *asked.files, asked.names), path)
        return command(output=Output(path, kind, top, wide, resume), **options)

    return added(
        run,
        corrected_option,
        click.option(
            "--top", type=click.IntRange(min=0), default=5, show_default=True,
            help="Phrases to show of each list; 0 for all.",
        ),
        format_option(*ENDINGS),
        click.option(
            "-o", "--output", metavar="FILE|DATASET",
            help="Write here instead of to standard output.",
        ),
    )  # fmt: skip


def _is_place(output: str, kind: str | None, asked: Asked | None, cluster: str | None) -> bool:
    """Return whether what -o names is a dataset rather than a file."""
    if is_url(output) or output.endswith(("/", os.sep)) or Path(output).is_dir():
        return True
    images = asked.images if asked else ()
    return not kind and (cluster is not None or any(map(is_dataset, images)))


@click.command()
@list_options
@collection_options
@output_options
@cluster_option
@click.option(
    "--see", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
    help="Draw heat maps for what comes first of each list, a picture each, into FOLDER.",
)  # fmt: skip
@click.option("--wide", is_flag=True, help="CSV with one row a picture, one column a phrase.")
@click.option(
    "--resume", is_flag=True, help="Go on with -o FILE, JSON Lines or CSV, or with -o DATASET."
)
@model_options
def gaze(
    asked: Asked, output: Output | collection.Target, cluster: str | None, **options: Any
) -> int:
    """Say which phrases of each list CLIP finds most likely for each picture.

    Without --list, --phrases or --phrase: artists, movements and surfaces. These three options
    and --exclude can be repeated. -o writes a dataset where it names a folder or URL, or with
    --cluster.
    """
    dataset = asked.dataset()
    if dataset is not None:
        options = dataset.options(options)
    chosen = asked.phrases(options["model"])
    if not isinstance(output, Output):
        from clip_gaze.cli import collection

        if options.pop("see") is not None:
            raise click.UsageError("--see goes with no dataset")
        questions = collection.Questions(chosen, options.pop("corrected"))
        return collection.made(asked, output, questions, cluster=cluster, **options)
    if cluster is not None:
        raise click.UsageError("--cluster goes with -o DATASET")
    if dataset is not None:
        if options["see"] is not None:
            raise click.UsageError("--see opens pictures; name them in place of a dataset")
        return _gaze(dataset, chosen, output, **options)
    streamed = Streamed(asked)
    return _gaze(streamed, chosen, output, **options) or streamed.exit_code


@click.command()
@output_options
@threads_option
def demo(output: Output | collection.Target, **options: Any) -> int:
    """Show what clip-gaze does, with a picture and a small model that ship; needs no network."""
    if not isinstance(output, Output):
        msg = f"{output.place}: name a file"
        raise click.UsageError(msg)
    image = shipped("models") / "demo" / "demo.jpg"
    names = ("movements", "surfaces", "painting_materials")
    lists = {name: phrases.load(name) for name in names}
    return _gaze([image], lists, output, model="demo", variant=None, offline=True, **options)


def _gaze(
    paths: Dataset | Streamed | list[Path],
    lists: Mapping[str, Sequence[str]],
    output: Output,
    *,
    corrected: bool,
    see: Path | None = None,
    **options: Any,
) -> int:
    """Look at the pictures and write the results; return the exit code."""
    writer = Writer(output, lists, None if isinstance(paths, (list, Streamed)) else _DATASET)
    files = None
    if see is not None:
        try:
            see.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            msg = f"{see}: no folder can be made here ({error.strerror}); name another"
            raise GazeError(msg) from error
        paths = [*paths]
        paths = undrawn(paths, *(see / name for name in _maps_of(paths).values()))
        files = _maps_of(paths)
    with opened(**options) as clip, encoding() as told:
        if not isinstance(paths, (list, Streamed)):
            paths.check_model(clip)
        done = writer.resume(
            PictureResult(
                "", clip.manifest.name, clip.variant, templates=clip.templates, corrected=corrected
            )
        )
        named = ((e.name if isinstance(e, Embedded) else str(e), e) for e in paths)
        left = (each for name, each in named if names.as_text(name) not in done)
        first = next(left, None)
        if first is None:
            say(f"clip-gaze: {output.path}: has all of these pictures; nothing was left to do")
            return 0
        count: int | Callable[[], int | None]
        if isinstance(paths, Streamed):  # how many is known only when all are listed
            count = 1 if paths.is_one else partial(paths.asked.count, done)
        else:
            count = len(paths) - len(done)
        best = None if output.wide else output.top or None
        found = clip.gaze_many(
            chain([first], left), lists, best, corrected=corrected, encoding=told
        )
        if see is not None and files is not None:
            found = _with_maps(clip, found, files, lists, see)
        # Results that come on the terminal say themselves how far it is, and a bar would stand in
        # one line with them.
        bar = output.path is not None or terminal.columns() is None
        with Counted(found, count, bar=bar) as results:
            try:
                with writing(output.path, goes_on=bool(done)), writer.opened() as write:
                    write(results)
                    if done:
                        return SOME_FAILED if results.failed else 0
                    return results.exit_code  # an error leaves an old file as it was
            except KeyboardInterrupt:
                if not writer.grows:
                    raise
                so_far = counted(len(done) + results.ok + results.failed, "picture")
                msg = f"stopped after {so_far}; the same command with --resume goes on"
                raise BrokenOffError(msg) from None


def _maps_of(paths: Iterable[object]) -> dict[Path, str]:
    return names.of_maps([Path(str(path)) for path in paths])


def _with_maps(
    clip: Clip,
    results: Iterable[PictureResult],
    files: Mapping[Path, str],
    lists: Mapping[str, Sequence[str]],
    folder: Path,
) -> Iterator[PictureResult]:
    """Pass results on; draw the maps of each good picture into the folder."""
    from clip_gaze.drawing import heatmap

    drawn = replaced = 0
    for result in results:
        if result.status == "error":
            yield result
            continue
        try:
            with bar("covering") as progress:
                first = {name: scores[0].phrase for name, scores in result.lists.items() if scores}
                asked = of_first(first, lists)
                found = clip.heat_maps(
                    result.image, asked, corrected=result.corrected, progress=progress
                )
            if found:
                path = folder / files[Path(result.image)]
                before = path.exists()
                heatmap.write(result.image, found, path)
                drawn, replaced = drawn + 1, replaced + before
            yield result
        except PictureError as error:  # the file is gone or has changed since
            yield replace(result, lists={}, status="error", error=str(error))
    if drawn:
        change = f"{replaced:,} replaced" if replaced else ""
        say_written(folder, f"maps of {counted(drawn, 'picture')}", change=change)
