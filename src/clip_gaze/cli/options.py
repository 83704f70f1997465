"""Options that several commands share, and what reads them."""

from __future__ import annotations

import contextlib
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import click

from clip_gaze.errors import PhraseListError, PictureError
from clip_gaze.model import registry
from clip_gaze.output import names, terminal
from clip_gaze.pictures import collect
from clip_gaze.results import PictureResult
from clip_gaze.texts import phrases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tqdm import tqdm

    from clip_gaze.analysis.occlusion import Progress
    from clip_gaze.clip import Clip

    Command = Callable[..., Any]

SOME_FAILED = 1
_T = TypeVar("_T")
_OWN = "phrases"  # what the list of --phrase is called


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
    help="Refuse larger pictures.  [default: half the free memory, or 90 where they fit]",
)  # fmt: skip


class NothingWrittenError(Exception):
    """No picture could be read; each was named on stderr already."""


def output_option(about: str, **more: Any) -> Callable[[Command], Command]:
    """Return the option -o FILE, with what its help says."""
    kind = click.Path(dir_okay=False, path_type=Path)
    return click.option("-o", "--output", type=kind, metavar="FILE", help=about, **more)


def list_options(command: Command) -> Command:
    """Add the options that choose phrases."""
    return added(
        command,
        click.option("--list", "lists", multiple=True, metavar="NAME", help="A shipped list."),
        click.option("--phrases", "files", multiple=True, metavar="FILE", help="A text file."),
        click.option("--phrase", "own", multiple=True, metavar="TEXT", help="A phrase."),
    )


def picture_options(command: Command) -> Command:
    """Add the options that say which pictures are meant, and how they are opened."""
    return added(
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
    return added(
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


def added(command: Command, *options: Callable[[Command], Command]) -> Command:
    """Return a command with options, which its help shows in this order."""
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
        name = names.as_text(Path(file).stem)
        if name in chosen or (own and name == _OWN):
            msg = f"two phrase lists are called {name!r}; rename {file}"
            raise PhraseListError(msg)
        chosen[name] = phrases.read(file)
        if len(chosen[name]) < 2:
            msg = f"{file}: holds one phrase, which cannot be weighed alone; add another"
            raise PhraseListError(msg)
    spoken = phrases.unique(phrase.strip() for phrase in own if phrase.strip())
    if own and len(spoken) < 2:
        msg = f"{spoken[0]!r} cannot be weighed alone" if spoken else "--phrase is blank"
        raise PhraseListError(
            f"{msg}; add another --phrase" if spoken else f"{msg}; write a phrase"
        )
    if spoken:
        chosen[_OWN] = spoken
    return chosen or {name: phrases.load(name) for name in phrases.DEFAULTS}


def collected(
    images: Sequence[str], *, recursive: bool, exclude: Sequence[str]
) -> tuple[list[Path], int]:
    """Return the pictures that are meant, and the exit code that folders call for.

    What of a folder cannot be read is named on stderr.

    Raises:
        PictureError: there is no picture in any of the folders.
        NothingWrittenError: nothing that is meant can be read.
    """
    paths, code = [], 0
    for path, error in collect.pictures(images, recursive=recursive, exclude=exclude):
        if error is None:
            paths.append(path)
        else:
            code = SOME_FAILED
            say(f"clip-gaze: error: {error}")
    if not paths:
        raise NothingWrittenError
    return paths, code


def say(line: str) -> None:
    """Write a line on stderr: without control characters, and not into a bar that is shown."""
    line = terminal.clean(line)
    if loaded := sys.modules.get("tqdm"):
        loaded.tqdm.write(line, file=sys.stderr)
    else:
        click.echo(line, err=True)


def _bar(**options: Any) -> tqdm[Any]:
    from tqdm import tqdm  # noqa: PLC0415 - takes 5 MB, which are saved where no bar is shown

    return tqdm(**options)


@contextlib.contextmanager
def opened(model: str | None, variant: str | None, **options: Any) -> Iterator[Clip]:
    """Open a model, and say what it says of itself."""
    from clip_gaze.clip import Clip  # noqa: PLC0415 - loads onnxruntime; --help stays quick

    with Clip(model, variant, **options) as clip:
        if clip.manifest.note:
            say(f"clip-gaze: {clip.manifest.note}")
        yield clip


@contextlib.contextmanager
def encoding() -> Iterator[Progress]:
    """Show a bar while phrases are encoded; yields what is told of the progress."""
    with contextlib.ExitStack() as bars:
        shown: list[tqdm[Any]] = []

        def show(done: int, total: int) -> None:
            if not shown:
                bar = _bar(total=total, desc="encoding phrases", unit="", delay=0.5, leave=False)
                shown.append(bars.enter_context(bar))
            shown[0].update(done - shown[0].n)
            if done == total:
                shown.pop().close()

        yield show


@contextlib.contextmanager
def covering(runs: int) -> Iterator[Callable[[int, int], object]]:
    """Show a bar while parts of a picture are covered; yields what is told of the progress."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    with _bar(total=runs, desc="covering", unit="", leave=False) as bar:
        yield lambda done, _: bar.update(done - bar.n)


class Counted(Generic[_T]):
    """Passes results on, counts them, names each bad picture on stderr, and shows a bar.

    A result is a `PictureResult`, or a picture's name with its embedding or error.
    """

    def __init__(self, results: Iterable[_T], total: int) -> None:
        """Prepare to pass on `results`, of which there are `total`."""
        self._results = results
        self._total = total
        self.ok = self.failed = 0

    def __iter__(self) -> Iterator[_T]:
        """Yield the results."""
        results = self._results
        if self._total > 1 and sys.stderr.isatty():
            results = _bar(iterable=results, total=self._total, unit=" pictures")
        for result in results:
            error = _error_of(result)
            if error:
                self.failed += 1
                say(f"clip-gaze: error: {error}")
            else:
                self.ok += 1
            yield result

    @property
    def exit_code(self) -> int:
        """0 or 1, as the command line promises; where nothing was done, say so by an error."""
        if self.failed and not self.ok:
            raise NothingWrittenError
        return SOME_FAILED if self.failed else 0


def _error_of(result: object) -> str | None:
    """Return why there is no result for a picture; None where there is one."""
    if isinstance(result, PictureResult):
        return result.error
    assert isinstance(result, tuple)  # noqa: S101 - the other kind that is counted
    return str(result[1]) if isinstance(result[1], PictureError) else None
