"""The commands that look at pictures: `clip-gaze gaze` and `clip-gaze demo`."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from tqdm import tqdm

from clip_gaze import models, phrases, render
from clip_gaze.errors import PhraseListError
from clip_gaze.places import shipped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from clip_gaze.results import PictureResult

SOME_FAILED = 1
_FORMATS: dict[str, Callable[..., Iterator[str]]] = {
    "text": render.text,
    "json": render.json_array,
    "jsonl": render.json_lines,
    "csv": render.csv_rows,
}
_DEFAULT_LISTS = ("artists_by_training_prevalence", "movements", "surfaces")


class NothingWrittenError(Exception):
    """No picture could be read; each was named on stderr already."""


def _model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose and run a model."""
    for option in (
        click.option("--offline", is_flag=True, help="Never touch the network."),
        click.option(
            "--threads", type=click.IntRange(min=1), help="CPU threads.  [default: all allowed]"
        ),
        click.option("--variant", metavar="NAME", help="Variant of the model: fp32, q8, q4, ..."),
        click.option(
            "--model",
            metavar="NAME|DIR",
            help=f"Model or model folder.  [default: {models.DEFAULT}]",
        ),
    ):
        command = option(command)
    return command


def _output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose what is written, and where."""
    for option in (
        click.option(
            "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
            help="Write here instead of to standard output.",
        ),
        click.option(
            "--format", "kind", type=click.Choice(list(_FORMATS)), default="text",
            show_default=True,
        ),
        click.option(
            "--top", type=click.IntRange(min=0), default=5, show_default=True,
            help="Phrases to show of each list; 0 for all.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--list", "lists", multiple=True, metavar="NAME", help="A shipped list; repeatable.")
@click.option("--phrases", "files", multiple=True, metavar="FILE", help="A text file; repeatable.")
@click.option("--phrase", "own", multiple=True, metavar="TEXT", help="A phrase; repeatable.")
@_output_options
@_model_options
def gaze(
    images: Sequence[str],
    lists: Sequence[str],
    files: Sequence[str],
    own: Sequence[str],
    **options: Any,
) -> int:
    """Say which phrases of each list CLIP finds most likely for each picture.

    Without --list, --phrases or --phrase: artists, movements and surfaces.
    """
    return _gaze(images, _chosen_lists(lists, files, own), **options)


@click.command()
@_output_options
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads.  [default: all allowed]")
def demo(**options: Any) -> int:
    """Show what clip-gaze does, with a picture and a small model that ship; needs no network."""
    image = shipped("models") / "demo" / "demo.png"
    names = ("movements", "painting_materials", "surfaces", "genres")
    lists = {name: phrases.load(name) for name in names}
    return _gaze([str(image)], lists, model="demo", variant=None, offline=True, **options)


def _chosen_lists(
    lists: Sequence[str], files: Sequence[str], own: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Return name -> phrases for what was asked for, or for the default lists.

    Raises:
        PhraseListError: a list is unknown, empty or unreadable, or two share a name.

    """
    chosen = {name: phrases.load(name) for name in lists}
    for file in files:
        name = Path(file).stem
        if name in chosen:
            msg = f"two phrase lists are called {name!r}; rename {file}"
            raise PhraseListError(msg)
        chosen[name] = phrases.read(file)
    spoken = tuple(dict.fromkeys(phrase.strip() for phrase in own if phrase.strip()))
    if own and not spoken:
        msg = "--phrase is blank; write a phrase"
        raise PhraseListError(msg)
    if spoken:
        chosen["phrases"] = spoken
    return chosen or {name: phrases.load(name) for name in _DEFAULT_LISTS}


def _gaze(
    images: Sequence[str],
    lists: Mapping[str, Sequence[str]],
    *,
    model: str | None,
    variant: str | None,
    threads: int | None,
    offline: bool,
    top: int,
    kind: str,
    output: Path | None,
) -> int:
    """Look at the pictures and write the results; return the exit code."""
    from clip_gaze.clip import Clip  # noqa: PLC0415 - loads onnxruntime; --help stays quick

    with contextlib.ExitStack() as stack:
        progress = stack.enter_context(_progress())
        clip = stack.enter_context(
            Clip(model, variant, threads, offline=offline, progress=progress)
        )
        counts = {"ok": 0, "error": 0}
        results = _counted(clip.gaze_many(images, lists, top or None), counts)
        if clip.manifest.note:
            click.echo(f"clip-gaze: {clip.manifest.note}", err=True)
        with _writer(output) as write:
            for piece in _pieces(results, kind, to_file=output is not None):
                write(piece)
            if not counts["ok"]:
                raise NothingWrittenError
    return SOME_FAILED if counts["error"] else 0


def _counted(results: Iterator[PictureResult], counts: dict[str, int]) -> Iterator[PictureResult]:
    """Pass results on; count them, and name each bad picture on stderr."""
    for result in results:
        counts[result.status] += 1
        if result.error:
            tqdm.write(f"clip-gaze: error: {result.error}", file=sys.stderr)
        yield result


def _pieces(results: Iterator[PictureResult], kind: str, *, to_file: bool) -> Iterator[str]:
    if kind == "text" and not to_file and sys.stdout.isatty():
        columns = shutil.get_terminal_size().columns
        return _spelled(render.text(results, columns), sys.stdout.encoding)
    return _FORMATS[kind](results)


def _spelled(pieces: Iterator[str], encoding: str) -> Iterator[str]:
    """Draw bars with a letter where the terminal's encoding has no blocks."""
    try:
        render.BLOCKS.encode(encoding)
    except UnicodeEncodeError:
        letters = str.maketrans(dict.fromkeys(render.BLOCKS[1:], "#"))
        return (piece.translate(letters) for piece in pieces)
    return pieces


@contextlib.contextmanager
def _writer(output: Path | None) -> Iterator[Callable[[str], Any]]:
    """Yield a function that writes to stdout, or to a file that appears when it is whole."""
    if output is None:
        yield sys.stdout.write
        sys.stdout.flush()
        return
    special = output.exists() and not output.is_file()
    target = output if special else output.with_name(f"{output.name}.{os.getpid()}.part")
    try:
        with target.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            yield file.write
        if not special:
            target.replace(output)
    finally:
        if not special:
            target.unlink(missing_ok=True)


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Yield a callback that draws a bar on stderr once a wait is worth one."""
    bars: list[tqdm[Any]] = []

    def show(done: int, total: int) -> None:
        if not bars:
            bars.append(tqdm(total=total, desc="encoding phrases", unit="", delay=0.5, leave=False))
        bars[0].update(done - bars[0].n)
        if done == total:
            bars.pop().close()

    try:
        yield show
    finally:
        for bar in bars:
            bar.close()
