"""Options that several commands share."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clip_gaze.cli.complete import LISTS, MODELS, VARIANTS
from clip_gaze.model.spec import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Command = Callable[..., Any]


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


def a_file(_: click.Context, __: click.Parameter, value: str | None) -> Path | None:
    """Return where -o writes; None for "-": standard output."""
    return None if value in (None, "-") else Path(str(value))


def output_option(about: str, **more: Any) -> Callable[[Command], Command]:
    """Return the option -o FILE, with what its help says."""
    kind = click.Path(dir_okay=False, allow_dash=True)
    return click.option(
        "-o", "--output", type=kind, callback=a_file, metavar="FILE", help=about, **more
    )


def format_option(*kinds: str) -> Callable[[Command], Command]:
    """Return the option --format."""
    about = "[default: what FILE ends in, else text]"
    return click.option("--format", "kind", type=click.Choice(kinds), help=about)


corrected_option = click.option(
    "--corrected", is_flag=True,
    help="Take away each phrase's head start, as pictures of nothing show it.",
)  # fmt: skip


def asking_options(command: Command) -> Command:
    """Add the arguments and options that say what is looked at; the command gets an `Asked`."""
    argument = click.argument("images", nargs=-1, required=True, metavar="IMAGE|FOLDER...")
    return added(_asking(command), argument, list_options, picture_options)


def collection_options(command: Command) -> Command:
    """Add those that name a collection, also in a file; the command gets an `Asked`."""

    def given(context: click.Context, argument: click.Parameter, value: Sequence[str]) -> object:
        if not value and context.params.get("names") is None:
            raise click.MissingParameter(ctx=context, param=argument)
        return value

    return added(
        _asking(command),
        click.argument(
            "images", nargs=-1, callback=given, metavar="IMAGE|FOLDER|URL|DATASET..."
        ),
        click.option(
            "--from", "names", metavar="FILE", is_eager=True,
            help="Take the paths and URLs in FILE: one a line, or a column of .csv or .parquet.",
        ),
        click.option("--column", metavar="NAME", help="The column of --from FILE."),
        picture_options,
    )  # fmt: skip


def _asking(command: Command) -> Command:
    @functools.wraps(command)
    def run(
        *, images: Sequence[str], recursive: bool, exclude: Sequence[str],
        lists: Sequence[str] = (), files: Sequence[str] = (), own: Sequence[str] = (),
        names: str | None = None, column: str | None = None, **options: Any,
    ) -> Any:  # fmt: skip
        from clip_gaze.cli.asked import Asked
        from clip_gaze.pictures.source import check_offline

        for each in (*images, names or ""):
            check_offline(each, offline=options["offline"])
        asked = Asked(images, lists, files, own, recursive, exclude, names, column)
        return command(asked=asked, **options)

    return run


cluster_option = click.option(
    "--cluster", metavar="local[:N]|ADDRESS",
    help="Work on a Dask cluster: N processes here, or the scheduler at tcp://... or tls://...",
)  # fmt: skip


def _each(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names in the values of an option, each once."""
    names = (name.strip() for value in values for name in value.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def list_options(command: Command) -> Command:
    """Add the options that choose phrases."""
    return added(
        command,
        click.option(
            "-l", "--list", "lists", multiple=True, metavar="NAME", type=LISTS,
            callback=_each, help="A shipped list, or several with commas between.",
        ),
        click.option("--phrases", "files", multiple=True, metavar="FILE", help="A text file."),
        click.option("--phrase", "own", multiple=True, metavar="TEXT", help="A phrase."),
    )  # fmt: skip


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


_model_option = click.option(
    "-m", "--model", metavar="NAME|DIR", type=MODELS,
    help=f"Model or model folder.  [default: {DEFAULT}]",
)  # fmt: skip
_variant_option = click.option(
    "--variant", metavar="NAME", type=VARIANTS, help="Variant of the model: fp32, q8, q4, ..."
)
_template_option = click.option(
    "--template", "templates", multiple=True, metavar="TEXT",
    help='Put each phrase into "a painting {}"; of several, the mean is taken.',
)  # fmt: skip
_offline_option = click.option("--offline", is_flag=True, help="Never touch the network.")


def model_options(command: Command) -> Command:
    """Add the options that choose and run a model, and put phrases into sentences."""
    return added(
        command, _model_option, _variant_option, _template_option, threads_option, _offline_option
    )


def bare_model_options(command: Command) -> Command:
    """Add those that go where no phrase stands in a sentence."""
    return added(command, _model_option, _variant_option, threads_option, _offline_option)


def added(command: Command, *options: Callable[[Command], Command]) -> Command:
    """Return a command with options, which its help shows in this order."""
    for option in reversed(options):
        command = option(command)
    return command
