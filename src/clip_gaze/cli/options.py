"""Options that more than one command has, and what is made of them."""

from __future__ import annotations

import contextlib
import math
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from clip_gaze.errors import PhraseListError
from clip_gaze.model import registry
from clip_gaze.output import render
from clip_gaze.texts import phrases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tqdm import tqdm

    from clip_gaze.clip import Clip
    from clip_gaze.results import PictureResult
    from clip_gaze.texts.encoder import Progress

    Command = Callable[..., Any]

SOME_FAILED = 1
_T = TypeVar("_T")


def finite(_: click.Context, __: click.Parameter, value: float | None) -> float | None:
    """Return the value of an option, which may be neither infinite nor no number (nan)."""
    if value is not None and not math.isfinite(value):
        msg = f"{value} is not a finite number."
        raise click.BadParameter(msg)
    return value


threads_option = click.option(
    "--threads", type=click.IntRange(min=1), help="CPU threads.  [default: all allowed]"
)
megapixels_option = click.option(
    "--max-megapixels", type=click.FloatRange(min=0, min_open=True), callback=finite, metavar="N",
    help="Refuse larger pictures.  [default: what fits in half the free memory]",
)  # fmt: skip


class NothingWrittenError(Exception):
    """No picture could be read; each was named on stderr already."""


def list_options(command: Command) -> Command:
    """Add the options that choose phrases."""
    return _add(
        command,
        click.option("--list", "lists", multiple=True, metavar="NAME", help="A shipped list."),
        click.option("--phrases", "files", multiple=True, metavar="FILE", help="A text file."),
        click.option("--phrase", "own", multiple=True, metavar="TEXT", help="A phrase."),
    )


def picture_options(command: Command) -> Command:
    """Add the options that say which pictures are meant, and how they are opened."""
    return _add(
        command,
        click.option(
            "--recursive/--no-recursive", default=True, show_default=True,
            help="Go into folders inside folders.",
        ),
        click.option("--exclude", multiple=True, metavar="PATTERN", help='Such as "*_small.*".'),
        megapixels_option,
        click.option(
            "--no-store", "store", flag_value=False, default=True,
            help="Neither use nor keep vectors of earlier runs.",
        ),
    )  # fmt: skip


def model_options(command: Command) -> Command:
    """Add the options that choose and run a model."""
    return _add(
        command,
        click.option(
            "--model", metavar="NAME|DIR",
            help=f"Model or model folder.  [default: {registry.DEFAULT}]",
        ),
        click.option("--variant", metavar="NAME", help="Variant of the model: fp32, q8, q4, ..."),
        click.option(
            "--template", "templates", multiple=True, metavar="TEXT",
            help='Put each phrase into "a painting {}"; of several, the mean is taken.',
        ),
        threads_option,
        click.option("--offline", is_flag=True, help="Never touch the network."),
    )  # fmt: skip


def _add(command: Command, *options: Callable[[Command], Command]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


def chosen_lists(
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
    return chosen or {name: phrases.load(name) for name in phrases.DEFAULTS}


def say(line: str) -> None:
    """Write a line on stderr that does not break a bar, if one is shown there."""
    if loaded := sys.modules.get("tqdm"):
        loaded.tqdm.write(line, file=sys.stderr)
    else:
        click.echo(line, err=True)


def _bar(**options: Any) -> tqdm[Any]:
    from tqdm import tqdm  # noqa: PLC0415 - takes 5 MB, which are saved where no bar is shown

    return tqdm(**options)


@contextlib.contextmanager
def opened(
    model: str | None, variant: str | None, progress: Progress | None = None, **options: Any
) -> Iterator[Clip]:
    """Open a model, and say what it says of itself.

    The progress of encoding phrases is shown as a bar, where it is not passed to `progress`.
    """
    from clip_gaze.clip import Clip  # noqa: PLC0415 - loads onnxruntime; --help stays quick

    bars: list[tqdm[Any]] = []

    def show(done: int, total: int) -> None:
        if not bars:
            bars.append(_bar(total=total, desc="encoding phrases", unit="", delay=0.5, leave=False))
        bars[0].update(done - bars[0].n)
        if done == total:
            bars.pop().close()

    try:
        with Clip(model, variant, progress=progress or show, **options) as clip:
            if clip.manifest.note:
                click.echo(f"clip-gaze: {clip.manifest.note}", err=True)
            yield clip
    finally:
        for bar in bars:
            bar.close()


@contextlib.contextmanager
def covering(runs: int) -> Iterator[Callable[[int, int], object]]:
    """Show a bar while parts of a picture are covered; yields what is told of the progress."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    with _bar(total=runs, desc="covering", unit="", leave=False) as bar:
        yield lambda done, _: bar.update(done - bar.n)


class Counted:
    """Passes results on, counts them, names each bad picture on stderr, and shows a bar."""

    def __init__(self, results: Iterable[PictureResult], total: int) -> None:
        """Prepare to pass on `results`, of which there are `total`."""
        self._results = results
        self._total = total
        self.ok = self.failed = 0

    def __iter__(self) -> Iterator[PictureResult]:
        """Yield the results."""
        results = self._results
        if self._total > 1 and sys.stderr.isatty():
            results = _bar(iterable=results, total=self._total, unit=" pictures")
        for result in results:
            if result.error:
                self.failed += 1
                say(f"clip-gaze: error: {result.error}")
            else:
                self.ok += 1
            yield result

    @property
    def exit_code(self) -> int:
        """0 or 1, as the command line promises; where nothing was done, say so by an error."""
        if self.failed and not self.ok:
            raise NothingWrittenError
        return SOME_FAILED if self.failed else 0


def written(results: Iterable[PictureResult], kind: str, *, to_terminal: bool) -> Iterator[str]:
    """Yield results as JSON or as text, which fits the terminal if it goes there."""
    if kind == "json":
        return render.json_array(results)
    return for_reader(render.text, results) if to_terminal else render.text(results)


def for_reader(text: Callable[[_T, int | None], Iterator[str]], what: _T) -> Iterator[str]:
    """Yield what `text` makes for standard output: as wide as the terminal, if it is one."""
    if not sys.stdout.isatty():
        return text(what, None)
    columns = shutil.get_terminal_size().columns
    return _spelled(text(what, columns), sys.stdout.encoding)


def _spelled(pieces: Iterator[str], encoding: str) -> Iterator[str]:
    """Draw bars with a letter where the terminal's encoding has no blocks."""
    try:
        render.BLOCKS.encode(encoding)
    except UnicodeEncodeError:
        letters = str.maketrans(dict.fromkeys(render.BLOCKS[1:], "#"))
        return (piece.translate(letters) for piece in pieces)
    return pieces
