"""Words that a shell offers while a command is typed: lists, models and variants."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from clip_gaze.system.paths import shipped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_MANIFEST = "manifest.json"


class Words(click.ParamType):  # type: ignore[type-arg,unused-ignore] # generic since 8.5
    """A text of which some values are known; each other is taken too."""

    name = "text"

    def __init__(self, known: Callable[[click.Context], Iterable[str]]) -> None:
        """Name what returns the known values."""
        self._known = known

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the known values that the word may become; of several, the last is unfinished."""
        del param
        before, comma, last = incomplete.rpartition(",")
        try:
            found = [each for each in self._known(ctx) if each.startswith(last)]
        except (AttributeError, KeyError, OSError, TypeError, ValueError):
            found = []  # a model folder that cannot be read
        return [CompletionItem(before + comma + each) for each in found]


# What ships is named here once more, and manifests are read: `phrases` and `registry` take longer
# to load than a shell should wait.


def _lists(_: click.Context) -> Iterable[str]:
    return sorted(path.stem for path in shipped("phrase_lists").glob("*.txt"))


def _models(_: click.Context) -> Iterable[str]:
    return sorted(path.parent.name for path in shipped("models").glob(f"*/{_MANIFEST}"))


def _variants(ctx: click.Context) -> Iterable[str]:
    import json

    from clip_gaze.model.spec import DEFAULT

    model = ctx.params.get("model") or DEFAULT
    folder = shipped("models") / model if model in _models(ctx) else Path(model)
    manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    return list(manifest["variants"])


LISTS, MODELS, VARIANTS = Words(_lists), Words(_models), Words(_variants)


# The commands that have options with known values, named once more as well.
_MODEL = frozenset({"-m", "--model", "--variant"})
_LIST = frozenset({"-l", "--list"})
_OPTIONS = {
    **dict.fromkeys(("bundle", "compare", "gaze", "prompt", "report", "see"), _LIST | _MODEL),
    **dict.fromkeys(("embed", "find", "lists bias", "serve"), _MODEL),
    "download": frozenset({"--variant"}),
}


def stand_in(args: list[str]) -> tuple[click.Command, list[str]] | None:
    """Return what completes the value of an option in place of a command that is slow to load.

    `args` are the command and what follows it, but for the word that is typed. Returns a command
    that knows these options alone, and its arguments; None where the last of `args` is none of
    them, or none that the command has.
    """
    name = args[0] if args[0] in _OPTIONS else " ".join(args[:2])
    if args[-1] not in _OPTIONS.get(name, ()):
        return None
    fetches = name == "download"  # it has the model's name as a word of its own
    params: list[click.Parameter] = [click.Option(["--variant"], type=VARIANTS)]
    if fetches:
        params += [click.Argument(["model"], required=False), click.Option(["--to"])]
    else:
        params += [
            click.Option(["-l", "--list"], type=LISTS, multiple=True),
            click.Option(["-m", "--model"], type=MODELS),
            click.Argument(["words"], nargs=-1, type=click.UNPROCESSED),
        ]
    settings = {"ignore_unknown_options": not fetches}
    # Without the option whose value is not there yet, which would end the parsing.
    return click.Command(name, params=params, context_settings=settings), args[1:-1]
