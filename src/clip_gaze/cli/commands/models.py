"""The commands about models: `clip-gaze models`, `clip-gaze models check`, `clip-gaze download`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clip_gaze.cli.asked import lists_of
from clip_gaze.cli.complete import MODELS, VARIANTS
from clip_gaze.cli.groups import ByName
from clip_gaze.cli.progress import SOME_FAILED, say, say_written
from clip_gaze.errors import ModelError
from clip_gaze.hub import download as downloads
from clip_gaze.hub import folder
from clip_gaze.hub.locate import locate
from clip_gaze.model import pins, supported
from clip_gaze.model import registry as known_models
from clip_gaze.model.spec import DEFAULT
from clip_gaze.output import terminal
from clip_gaze.system.paths import for_shell
from clip_gaze.wording import megabytes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from clip_gaze.hub.locate import LocalFile
    from clip_gaze.model.registry import Model


_LATE = {
    "check": (
        "models",
        "Hash the files that are here anew; exit 1 if one is wrong.",
    )
}


@click.group(
    cls=ByName,
    late=_LATE,
    invoke_without_command=True,
    subcommand_metavar="[NAME|DIR... | check ...]",
)
@click.pass_context
def models(context: click.Context) -> None:
    """Name the models that ship or can be fetched: variants, sizes, what is here, licence.

    With names or folders, such as those of bundles: these alone.
    """
    if context.invoked_subcommand is None:
        context.invoke(show, names=known_models.names())


@models.command(hidden=True)
@click.argument("names", nargs=-1, type=MODELS)
def show(names: Sequence[str]) -> None:
    """Describe models and folders."""
    for name in names:
        for line in _described(known_models.find(name)):
            click.echo(terminal.wrapped(line, sys.stdout))


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME|DIR]...", type=MODELS)
def check(names: Sequence[str]) -> int:
    """Hash every file that is here anew, and say which are right; exit 1 if one is wrong.

    In a folder that is no model of the Hub, a missing file is wrong, too.
    """
    wrong = 0
    for name in names or known_models.names():
        model = known_models.find(name)
        counts = {"right": 0, "wrong": 0, "of unknown digest": 0, "not here": 0}
        for file in _files(model):
            counts[_checked(model, file)] += 1
        found = ", ".join(f"{count} {state}" for state, count in counts.items())
        click.echo(f"{name}: {found}")
        # What lies in no folder can still be fetched, if it is on the Hub.
        wrong += counts["wrong"] + (0 if model.manifest.download else counts["not here"])
    return SOME_FAILED if wrong else 0


@click.command()
@click.argument("model", required=False, metavar="[NAME|DIR]", type=MODELS)
@click.option(
    "--variant", metavar="NAME", type=VARIANTS,
    help="Variant of the model.  [default: the model's own]",
)  # fmt: skip
@click.option(
    "--to", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
    help="Make a folder there that --model FOLDER runs on any machine.",
)  # fmt: skip
def download(model: str | None, variant: str | None, to: Path | None) -> None:
    """Fetch a model, verify it, and perhaps copy it for another machine.

    Without NAME: the default model. Files that are here already are not fetched again.
    """
    found = known_models.find(model)
    if to:  # for another machine, whose runtime nobody knows here
        files = folder.copy(found, variant, to)
    else:
        files = downloads.ready(found, supported.variant(found.manifest, variant))
    size = sum(path.stat().st_size for path in files.paths.values())
    about = f"{found.manifest.name} ({files.variant}), {megabytes(size)}, verified"
    if to:
        say_written(to, about)
        # A folder that is called as a known model must be told from it.
        place = f".{os.sep}{to}" if str(to) in known_models.names() else str(to)
        usual, _ = known_models.find(place).manifest.variant(None)
        option = "" if files.variant == usual else f" --variant {files.variant}"
        advice = f"--model {for_shell(place)}{option}"
        click.echo(f"to use it, here or on another machine: {advice}")
    else:
        where = files.paths.get("tokenizer", files.paths["vision"]).parent
        click.echo(f"{about}, in {where}")


def _described(model: Model) -> Iterator[str]:
    manifest, source = model.manifest, model.manifest.source
    default = ", the default model" if manifest.name == DEFAULT else ""
    kind = ", a bundle" if manifest.is_bundle else ""
    yield f"{manifest.name}{default}{kind}; licence: {manifest.licence}"
    if lists := lists_of(str(model.folder)):
        has = ", ".join(f"{name} ({len(listed)})" for name, listed in lists.items())
        yield f"  answers: {has}"
    if manifest.download:
        known = pins.is_commit(source.revision)
        revision = source.revision if known else "not known before the first use"
        yield f"  {source.repository}"
        yield f"  revision {revision}"
    for variant, each in manifest.variants.items():
        files = locate(model, variant).values()
        sizes = [local.file.bytes for local in files]
        size = megabytes(sum(size or 0 for size in sizes))
        at_least = "at least " if None in sizes else ""
        star = ", default" if variant == manifest.default_variant else ""
        needs = f", needs {each.requires}" if each.requires else ""
        yield f"  {variant:10} {at_least + size:>20}  {_state(files)}{star}{needs}"


def _state(files: Collection[LocalFile]) -> str:
    here = sum(file.here for file in files)
    if here < len(files):
        return f"{here} of {len(files)} files here" if here else "not here"
    states = {file.verified for file in files}
    if False in states:
        return "here, but a file is wrong"
    return "here, not verified yet" if None in states else "here, verified"


def _files(model: Model) -> list[LocalFile]:
    """Return the files of all variants, each once."""
    files: dict[str, LocalFile] = {}
    for variant in model.manifest.variants:
        for each in locate(model, variant).values():
            files.setdefault(each.file.file, each)
    return list(files.values())


def _checked(model: Model, local: LocalFile) -> str:
    """Hash a file, say on stderr what is wrong with it, and return its state."""
    if model.manifest.download and not local.here:
        return "not here"
    if model.manifest.download and local.file.sha256 is None:
        return "of unknown digest"
    try:
        local.check(stamped=False)
    except ModelError as error:
        say(f"clip-gaze: error: {error}")
        return "wrong" if local.here else "not here"
    return "right"
