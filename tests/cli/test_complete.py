"""What a shell offers while a value is typed, and that it need not wait for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest

from clip_gaze.cli import main
from clip_gaze.cli.complete import Words, stand_in
from clip_gaze.model import registry
from clip_gaze.texts import phrases

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CODE = """
import json, sys
from clip_gaze.cli import main
try:
    main([], prog_name="clip-gaze")
finally:
    print(json.dumps(sorted(sys.modules)))
"""
HEAVY = {
    "PIL", "clip_gaze.clip", "clip_gaze.model.registry", "huggingface_hub", "logging", "numpy",
    "onnxruntime", "sqlite3", "tokenizers", "tqdm",
}  # fmt: skip
MODELS = registry.names()
OPTIONS = ("-l", "--list", "-m", "--model", "--variant")


def commands(
    command: click.Command = main, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield all commands, with the words that lead to them."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in sorted({*command.list_commands(context), *command.commands}):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below, (*path, name))


COMMANDS = {path: command for path, command in commands() if path}


def offered(*words: str, quick: bool = True) -> list[str]:
    """Return what is offered for the last word; nothing that is slow to load may be loaded."""
    variables = {
        "_CLIP_GAZE_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["clip-gaze", *words]),
        "COMP_CWORD": str(len(words)),
    }
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=True,
        encoding="utf-8", env={**os.environ, **variables},
    )  # fmt: skip
    *lines, modules = done.stdout.splitlines()
    assert not quick or not HEAVY.intersection(json.loads(modules))
    return [line.removeprefix("plain,") for line in lines if line]


@pytest.mark.parametrize("command", ["gaze", "report", "see"])
def test_lists_are_offered(command: str) -> None:
    assert offered(command, "a.jpg", "--list", "") == phrases.names()
    assert offered(command, "-l", "mov") == ["movements"]


def test_of_several_lists_the_last_is_offered() -> None:
    assert offered("gaze", "--list", "tools,mov") == ["tools,movements"]


@pytest.mark.parametrize("command", ["gaze", "find", "lists bias"])
def test_models_and_their_variants_are_offered(command: str) -> None:
    assert offered(*command.split(), "--model", "") == MODELS
    assert offered(*command.split(), "-m", "de") == ["demo"]
    variants = {name: [*registry.find(name).manifest.variants] for name in MODELS}
    for name in MODELS:
        assert offered(*command.split(), "-m", name, "--variant", "") == variants[name]
    assert offered(*command.split(), "--variant", "") == variants[registry.find().manifest.name]


def test_variants_of_a_folder_and_of_the_model_that_is_fetched(tiny_model: Path) -> None:
    variants = [*registry.find(tiny_model).manifest.variants]
    assert offered("gaze", "--model", tiny_model.as_posix(), "--variant", "") == variants
    assert offered("download", "demo", "--variant", "") == [
        *registry.find("demo").manifest.variants
    ]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"variants": 3}', "\xff"])
def test_of_a_folder_that_is_no_model_nothing_is_offered(text: str, tmp_path: Path) -> None:
    assert offered("gaze", "--model", tmp_path.as_posix(), "--variant", "") == []
    (tmp_path / "manifest.json").write_bytes(text.encode("latin-1"))
    assert offered("gaze", "--model", tmp_path.as_posix(), "--variant", "") == []


def test_names_of_lists_are_offered_beside_commands() -> None:
    assert offered("lists", "") == [*phrases.names(), "bias"]
    assert offered("lists", "mov") == ["movements"]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_values_are_offered_for_the_options_that_a_command_has(path: tuple[str, ...]) -> None:
    has = {
        name: param.type
        for param in COMMANDS[path].params
        if isinstance(param, click.Option) and isinstance(param.type, Words)
        for name in param.opts
    }
    assert has.keys() <= set(OPTIONS)
    for option in OPTIONS:
        found = stand_in([*path, "a word", option])
        assert (found is not None) == (option in has), option
        if found is not None:
            kinds = {name: param.type for param in found[0].params for name in param.opts}
            assert kinds[option] is has[option]


def test_of_what_a_command_does_not_have_nothing_is_offered() -> None:
    for words in (["serve", "-l"], ["store", "--model"], ["lists", "--variant"]):
        assert offered(*words, "", quick=False) in ([], offered(words[0], "", quick=False))
    for option in OPTIONS:
        assert offered("nonsense", option, "") == offered("")


def test_a_download_is_of_the_model_that_is_named_and_not_of_its_folders_name() -> None:
    variants = {name: [*registry.find(name).manifest.variants] for name in MODELS}
    usual = variants[registry.find().manifest.name]
    assert variants["demo"] != usual
    assert offered("download", "--to", "demo", "--variant", "") == usual
    assert offered("download", "--to=demo", "--variant", "") == usual
    assert offered("download", "--to", "folder", "demo", "--variant", "") == variants["demo"]
    assert offered("download", "demo", "--to", MODELS[0], "--variant", "") == variants["demo"]


def test_a_download_takes_the_values_that_the_stand_in_knows() -> None:
    found = stand_in(["download", "--variant"])
    assert found is not None
    for command in (found[0], COMMANDS["download",]):
        taking = {(type(each).__name__, each.nargs, *each.opts) for each in command.params}
        assert taking == {
            ("Argument", 1, "model"),
            ("Option", 1, "--variant"),
            ("Option", 1, "--to"),
        }
