"""Open the model, and say on stderr how far a command is, what failed, and what was written."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import click

from clip_gaze.errors import PictureError
from clip_gaze.output import terminal
from clip_gaze.wording import looked_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tqdm import tqdm

    from clip_gaze.analysis.occlusion import Progress
    from clip_gaze.clip import Clip

_T = TypeVar("_T")

# Exit codes, beside 0: some pictures or files failed; nothing could be done.
SOME_FAILED, NOTHING_DONE = 1, 2


class NothingWrittenError(Exception):
    """No picture could be read; each was named on stderr already."""


def say(line: str) -> None:
    """Write a line on stderr: without control characters, and not into a bar that is shown."""
    line = terminal.wrapped(terminal.clean(line), sys.stderr)
    if loaded := sys.modules.get("tqdm"):
        loaded.tqdm.write(line, file=sys.stderr)
    else:
        click.echo(line, err=True)


def say_written(place: object, about: str = "", *, change: str = "") -> None:
    """Say what was written: its place, what it holds, and what became of what was there before."""
    behind = (f" ({change})" if change else "") + (f": {about}" if about else "")
    say(f"clip-gaze: wrote {place}{behind}")


@contextlib.contextmanager
def writing(path: Path | None, *, goes_on: bool = False) -> Iterator[list[str]]:
    """Say that a file was written, once it was, and whether another one was replaced.

    Of standard output, a device or a pipe nothing is said. Yields a list that takes what else
    shall be said of the file. One that `goes_on` keeps what it holds.
    """
    about: list[str] = []
    change = "continued" if goes_on else "replaced" if path and path.is_file() else ""
    failed = None
    try:
        yield about
    except NothingWrittenError as error:
        failed = error
    # Where all failed, what was there has stayed; what is new is a table of errors alone.
    if path and path.is_file() and not (failed and change):
        say_written(path, ", ".join(about), change=change)
    if failed:
        raise failed


def say_looked_at(count: int, failed: int, began: float) -> None:
    """Say how many of several pictures were looked at since `began`, in `time.monotonic`."""
    if count > 1:
        say(f"clip-gaze: {looked_at(count, failed, time.monotonic() - began)}")


def new_bar(total: int | Callable[[], int | None], **options: Any) -> tqdm[Any]:
    """Return a bar; while a thread counts what it is about, it shows no time left."""
    from tqdm import tqdm  # which takes 5 MB

    if not callable(total):
        return tqdm(total=total, leave=False, **options)
    bar = tqdm(leave=False, **options)

    def counted() -> None:
        with contextlib.suppress(Exception):  # whoever lists them to work on says what is wrong
            bar.total = total()

    threading.Thread(target=counted, daemon=True).start()
    return bar


@contextlib.contextmanager
def opened(model: str | None, variant: str | None, **options: Any) -> Iterator[Clip]:
    """Open a model, and say what it says of itself."""
    from clip_gaze.clip import Clip

    with Clip(model, variant, **options) as clip:
        if clip.manifest.note:
            say(f"clip-gaze: {clip.manifest.note}")
        yield clip


@contextlib.contextmanager
def bar(what: str, unit: str = "") -> Iterator[Progress]:
    """Show a bar on a terminal while something is done; yields what is told of the progress."""
    with contextlib.ExitStack() as bars:
        shown: list[tqdm[Any]] = []

        def show(done: int, total: int) -> None:
            if not shown:
                shown.append(bars.enter_context(new_bar(total, desc=what, unit=unit, delay=0.5)))
            shown[0].total = total
            shown[0].update(done - shown[0].n)
            if done == total:
                shown.pop().close()

        yield show if sys.stderr.isatty() else lambda *_: None


def encoding() -> contextlib.AbstractContextManager[Progress]:
    """Show a bar while phrases are encoded; see `bar`."""
    return bar("encoding phrases")


class Counted(Generic[_T]):
    """Passes results on, counts them, names each bad picture on stderr, and shows a bar.

    A result is a `PictureResult`, or a picture's name with its embedding or error. As a context,
    it ends with a line about all of them.
    """

    def __init__(
        self, results: Iterable[_T], total: int | Callable[[], int | None], *, bar: bool = True
    ) -> None:
        """Prepare to pass on `results`, of which there are `total`; see `new_bar`."""
        self._results = results
        self._total = total
        self._bar = bar and (callable(total) or total > 1) and sys.stderr.isatty()
        self._began = time.monotonic()
        self.ok = self.failed = 0

    def __enter__(self) -> Counted[_T]:
        """Return this."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Say how many were looked at, unless the command was stopped or broke off."""
        if kind in (None, NothingWrittenError):
            say_looked_at(self.ok + self.failed, self.failed, self._began)

    def __iter__(self) -> Iterator[_T]:
        """Yield the results."""
        results = self._results
        if self._bar:
            results = new_bar(self._total, iterable=results, unit=" pictures")
        for result in results:
            if error := _error_of(result):
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
    if isinstance(result, tuple):
        return str(result[1]) if isinstance(result[1], PictureError) else None
    error: str | None = getattr(result, "error")  # noqa: B009 - of a `PictureResult`
    return error
