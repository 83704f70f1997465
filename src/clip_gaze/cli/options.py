"""Options that several commands share, and what reads them."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clip_gaze.cli.complete import LISTS, MODELS, VARIANTS
from clip_gaze.cli.progress import SOME_FAILED, NothingWrittenError, say
from clip_gaze.datasets import listing
from clip_gaze.datasets.dataset import Dataset, is_dataset
from clip_gaze.errors import PhraseListError
from clip_gaze.model import registry
from clip_gaze.output import names
from clip_gaze.pictures import collect
from clip_gaze.texts import phrases
from clip_gaze.texts.vectors import PhraseVectors

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping, Sequence

    from click.shell_completion import CompletionItem

    from clip_gaze.errors import PictureError
    from clip_gaze.pictures.source import File, Remote

    Command = Callable[..., Any]


class ByName(click.Group):
    """A group for which a word that is no command is the name of what `show` shows."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return what a word may become: a name, a command or an option."""
        argument = self.commands["show"].params[0]
        names = argument.type.shell_complete(ctx, argument, incomplete)
        return [*names, *super().shell_complete(ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Show what is named."""
        return super().resolve_command(ctx, args if args[0] in self.commands else ["show", *args])


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


def output_option(about: str, **more: Any) -> Callable[[Command], Command]:
    """Return the option -o FILE, with what its help says."""
    kind = click.Path(dir_okay=False, path_type=Path)
    return click.option("-o", "--output", type=kind, metavar="FILE", help=about, **more)


def chosen_lists(
    lists: Sequence[str],
    files: Sequence[str],
    own: Sequence[str],
    *,
    alone: bool = False,
    bundled: Mapping[str, tuple[str, ...]] | None = None,
) -> dict[str, tuple[str, ...]]:
    """Return name -> phrases for what was asked for; nothing for nothing.

    Args:
        lists: names of shipped lists.
        files: text files of phrases.
        own: phrases.
        alone: whether a phrase may be the only one of its list.
        bundled: lists of a bundle's own, which go before shipped ones.

    Raises:
        PhraseListError: a list is unknown, empty, unreadable or too short, or two share a name.

    """
    chosen = {name: (bundled or {}).get(name) or phrases.load(name) for name in lists}
    for file in files:
        name = names.as_text(Path(file).stem)
        if name in chosen or (own and name == phrases.OWN):
            msg = f"two phrase lists are called {name!r}; rename {file}"
            raise PhraseListError(msg)
        chosen[name] = phrases.read(file)
        if len(chosen[name]) < 2 and not alone:
            msg = f"{file}: holds one phrase, which cannot be weighed alone; add another"
            raise PhraseListError(msg)
    if own:
        spoken = phrases.unique(phrase.strip() for phrase in own if phrase.strip())
        if not spoken:
            msg = "--phrase is blank; write a phrase"
            raise PhraseListError(msg)
        if len(spoken) < 2 and not alone:
            msg = f"{spoken[0]!r} cannot be weighed alone; add another --phrase"
            raise PhraseListError(msg)
        chosen[phrases.OWN] = spoken
    return chosen


@dataclass(frozen=True, slots=True)
class Asked:
    """Which pictures a command looks at, and which phrases it asks about.

    Attributes:
        images: pictures and folders.
        lists: names of shipped lists.
        files: text files of phrases.
        own: phrases.
        recursive: whether folders inside folders are meant.
        exclude: patterns of files that are not meant.
        names: a file that names more pictures.
        column: which of its columns does.

    """

    images: Sequence[str]
    lists: Sequence[str]
    files: Sequence[str]
    own: Sequence[str]
    recursive: bool
    exclude: Sequence[str]
    names: str | None = None
    column: str | None = None

    def phrases(self, model: str | None) -> dict[str, tuple[str, ...]]:
        """Return name -> phrases for what was asked for, or for the default lists.

        Args:
            model: the model's name or folder; a bundle has lists of its own.

        Raises:
            PhraseListError: see `chosen_lists`.

        """
        bundled = lists_of(model)
        chosen = chosen_lists(self.lists, self.files, self.own, bundled=bundled)
        return chosen or bundled or {name: phrases.load(name) for name in phrases.DEFAULTS}

    def sources(self) -> Iterator[str | File | Remote]:
        """Yield the pictures, folders, URLs and patterns that are meant."""
        yield from self.images
        if self.names is not None:
            yield from listing.names(self.names, self.column)

    def dataset(self) -> Dataset | None:
        """Return the dataset that is meant in place of pictures; None for pictures."""
        some = [image for image in self.images if is_dataset(image)]
        if some and (len(self.images) > 1 or self.names is not None):
            msg = f"{some[0]}: is a dataset; name it alone"
            raise click.UsageError(msg)
        return Dataset(some[0]) if some else None

    def pictures(self) -> tuple[list[Path | Remote], int]:
        """Return the pictures that are meant, and the exit code that folders call for.

        What of a folder cannot be read is named on stderr.

        Raises:
            PictureError: there is no picture in any of the folders.
            NothingWrittenError: nothing that is meant can be read.

        """
        streamed = Streamed(self)
        return list(streamed), streamed.exit_code


class Streamed:
    """The pictures that are meant, listed as they are asked for; see `Asked.pictures`.

    Attributes:
        exit_code: what folders call for that could not be read so far.

    """

    def __init__(self, asked: Asked) -> None:
        """List as far as two pictures, so that it is known whether there is any, and only one."""
        self._asked = asked
        self.exit_code = 0
        self._rest = self._listed(self._failed)
        self._first = [*islice(self._rest, 2)]
        if not self._first:
            raise NothingWrittenError

    def __iter__(self) -> Iterator[Path | Remote]:
        """Yield them, once."""
        return chain(self._first, self._rest)

    def count(self, done: Container[str] = ()) -> int | None:
        """Return how many there are beside those that are done; lists them once more.

        None where they cannot be listed again, as they come on standard input.
        """
        if len(self._first) > 1 and listing.STDIN in (*self._asked.images, self._asked.names):
            return None
        meant = self._first if len(self._first) == 1 else self._listed(lambda _: None)
        return sum(names.as_text(str(path)) not in done for path in meant)

    def _failed(self, error: PictureError) -> None:
        self.exit_code = SOME_FAILED
        say(f"clip-gaze: error: {error}")

    def _listed(self, failed: Callable[[PictureError], object]) -> Iterator[Path | Remote]:
        asked = self._asked
        meant = collect.pictures(
            listing.spread(asked.sources()), recursive=asked.recursive, exclude=asked.exclude
        )
        for path, error in meant:
            if error is None:
                yield path
            else:
                failed(error)


def lists_of(model: str | None) -> dict[str, tuple[str, ...]]:
    """Return name -> phrases of a bundle's lists; nothing for a whole model.

    Raises:
        ModelError: there is no such model, or its file is damaged.

    """
    found = registry.find(model)
    _, variant = found.manifest.variant(None)
    if not found.manifest.is_bundle or variant.phrases is None:
        return {}
    path = found.folder / variant.phrases.file
    return dict(PhraseVectors(path, found.manifest.embedding_dim).lists)


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


def model_options(command: Command) -> Command:
    """Add the options that choose and run a model."""
    return added(
        command,
        click.option(
            "-m", "--model", metavar="NAME|DIR", type=MODELS,
            help=f"Model or model folder.  [default: {registry.DEFAULT}]",
        ),
        click.option(
            "--variant", metavar="NAME", type=VARIANTS,
            help="Variant of the model: fp32, q8, q4, ...",
        ),
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
