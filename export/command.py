"""Run a script's click command; print each failure as one line and exit with 2."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from clip_gaze.errors import GazeError

NOTHING_DONE = 2


def run(command: click.Command) -> None:
    """Run a click command with the arguments of this process, and exit."""
    try:
        result = command.main(standalone_mode=False)
    except click.ClickException as error:
        message = error.format_message()
    except (click.Abort, KeyboardInterrupt):
        message = "stopped"
    except GazeError as error:
        message = str(error)
    except OSError as error:
        message = f"{error.filename or 'the system'}: {error.strerror or error}"
    except MemoryError:
        message = "not enough memory"
    else:
        sys.exit(result if isinstance(result, int) else 0)
    click.echo(f"{Path(sys.argv[0]).name}: error: {' '.join(message.split())}", err=True)
    sys.exit(NOTHING_DONE)


def writable(context: click.Context, option: click.Parameter, file: Path | None) -> Path | None:
    """Refuse a file whose folder cannot be written to, before any work (a click callback)."""
    if file and not (file.parent.is_dir() and os.access(file.parent, os.W_OK)):
        msg = f"{file}: there is no folder {file.parent} that can be written to"
        raise click.BadParameter(msg, context, option)
    return file
