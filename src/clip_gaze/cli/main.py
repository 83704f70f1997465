"""The program `clip-gaze`: its commands, its streams and its exit codes."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import click

from clip_gaze.cli.groups import Late
from clip_gaze.cli.progress import NOTHING_DONE, NothingWrittenError, say
from clip_gaze.errors import DownloadError, GazeError

if TYPE_CHECKING:
    from collections.abc import Iterator

# The module of each command, and its line in the help: a module is loaded when it is run.
_COMMANDS = {
    "bundle": ("bundle", "Make a folder that answers some lists alone, for an app."),
    "compare": ("compare", "Say which phrases are likelier in one picture than in others."),
    "demo": ("gaze", "Show what clip-gaze does, with a picture and a model that ship."),
    "download": ("models", "Fetch a model, verify it, and copy it for another machine."),
    "embed": ("embed", "Make a dataset of the vectors of pictures, here or on a cluster."),
    "find": ("find", "Find pictures by words, by other pictures, or by a sum of both."),
    "gaze": ("gaze", "Say which phrases of each list CLIP finds most likely."),
    "lists": ("lists", "Name the phrase lists that ship, or show the phrases of one."),
    "models": ("models", "Name the models that ship or can be fetched."),
    "prompt": ("prompt", "Make the line of phrases that is closest to a picture."),
    "report": ("report", "Make one page to look at: pictures with bars, and contact sheets."),
    "see": ("see", "Show where a picture speaks for a phrase, and where against it."),
    "serve": ("serve", "Serve a page to look at pictures with, and its API."),
    "store": ("store", "Say what is kept of earlier runs, and forget it."),
}


class _OneLine(Late):
    """A command group that turns each failure into one line on stderr and an exit code."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command and turn its failure into a line."""
        # Without arguments of its caller's it is the program, not a command inside another one.
        alone = not args and not kwargs
        with contextlib.nullcontext() if alone else _borrowed():
            _prepare(alone=alone)
            self._run(*args, obj=alone, **kwargs)

    def _run(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run a command, turn its failure into a line, and leave with its exit code."""
        try:
            # On Windows click would expand patterns, also those of --exclude, before we see them.
            kwargs |= {"standalone_mode": False, "windows_expand_args": False}
            with _interruptions():
                result = super().main(*args, **kwargs)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message())
            sys.exit(NOTHING_DONE)
        except click.ClickException as error:
            _fail(error.format_message())
        except (click.Abort, KeyboardInterrupt):
            _fail("stopped")
        except BrokenPipeError:
            # The reader has gone, as `head` does; nothing is left to say to it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except NothingWrittenError:
            sys.exit(NOTHING_DONE)
        except DownloadError as error:
            _fail(error.what, *error.more)
        except GazeError as error:
            _fail(str(error))
        except OSError as error:
            _fail(f"{error.filename or 'the system'}: {error.strerror or error}")
        except MemoryError:
            _fail("not enough memory; try a smaller --variant or picture")
        sys.exit(result if isinstance(result, int) else 0)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; click would write a line of its own on Ctrl-C while it is loaded."""
        try:
            return super().get_command(ctx, cmd_name)
        except KeyboardInterrupt:
            _fail("stopped")

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is meant, or what stands in for it while a value is completed."""
        if ctx.resilient_parsing:
            from clip_gaze.cli.complete import stand_in

            if found := stand_in(args):
                return args[0], *found
        return super().resolve_command(ctx, args)


def _fail(message: str, *more: str) -> NoReturn:
    one_line = " ".join(message.split())
    say(f"clip-gaze: error: {one_line}")
    for line in more:
        say(f"  {line}")
    sys.exit(NOTHING_DONE)


@click.group(cls=_OneLine, late=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="clip-gaze", message="clip-gaze %(version)s")
@click.option("-v", "--verbose", is_flag=True, help="Say more of what is done.")
@click.pass_context
def main(context: click.Context, *, verbose: bool) -> None:
    """Ask which art phrases CLIP finds most likely for a picture."""
    import logging

    from clip_gaze.pictures import memory

    memory.alone |= context.obj is True  # inside another program's commands, it is theirs
    # What Pillow thinks of a picture's metadata helps nobody here.
    warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
    handler = logging.Handler()
    handler.emit = lambda record: say(handler.format(record))  # type: ignore[method-assign]
    handler.setFormatter(logging.Formatter("clip-gaze: %(message)s"))
    logger = logging.getLogger("clip_gaze")
    if context.obj is False:  # it goes on being its caller's; not every command loads `logging`
        context.call_on_close(partial(setattr, logger, "handlers", logger.handlers))
        context.call_on_close(partial(logger.setLevel, logger.level))
    logger.handlers = [handler]
    logger.setLevel(logging.DEBUG if verbose else logging.WARNING)


@contextlib.contextmanager
def _interruptions() -> Iterator[None]:
    """Let Ctrl-C be one where a library, stopped while it was loaded, raises what it made of it."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, KeyboardInterrupt):
                raise KeyboardInterrupt from error
            cause = cause.__cause__
        raise


@contextlib.contextmanager
def _borrowed() -> Iterator[None]:
    """Put streams and warnings back in the end, which a command sets for its whole process."""
    changed = [stream for stream in (sys.stdout, sys.stderr) if hasattr(stream, "reconfigure")]
    streams = [(stream, stream.encoding, stream.errors) for stream in changed]
    with warnings.catch_warnings():
        try:
            yield
        finally:
            for stream, encoding, errors in streams:
                with contextlib.suppress(ValueError):  # it was closed
                    stream.reconfigure(encoding=encoding, errors=errors)


def _prepare(*, alone: bool) -> None:
    """Write UTF-8 into pipes and files everywhere, and never fail on a letter in a terminal."""
    if alone:
        # At the end the collector would look for garbage in all that was loaded, for 20 ms.
        atexit.register(gc.freeze)
        # From numpy's import on, the threads of its OpenBLAS would look for work without sleeping,
        # for 2 to the power of 28 cycles, on each CPU but one. 4 is the least that can be set.
        os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    # A program without a window's terminal has no streams, nor has one that was started so. What
    # opens next would get their numbers, and then what libraries write there.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            if stream.isatty():
                stream.reconfigure(errors="replace")  # type: ignore[union-attr]
            else:
                stream.reconfigure(encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr]
