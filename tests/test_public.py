"""The public names are what they are said to be, and those of clip-gaze 0.3.0 are among them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import clip_gaze
from clip_gaze.texts import phrases

CONSTANTS = [name for name in clip_gaze.__all__ if name.isupper()]
TREE = ast.parse(Path(clip_gaze.__file__).read_text(encoding="utf-8"))


def isort_order(name: str) -> tuple[int, str]:
    """Return ruff's order for `__all__` (RUF022): constants, classes, then the rest."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def test_all_is_sorted() -> None:
    assert clip_gaze.__all__ == sorted(clip_gaze.__all__, key=isort_order)
    assert len(set(clip_gaze.__all__)) == len(clip_gaze.__all__)


def test_all_equals_the_public_names_of_the_package() -> None:
    """They are imported from its modules, or declared for `__getattr__` to make."""
    imported = {
        alias.asname or alias.name
        for node in ast.walk(TREE)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("clip_gaze")
        for alias in node.names
    }
    declared = {
        node.target.id
        for node in ast.walk(TREE)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    public = {name for name in imported | (declared - {"value"}) if not name.startswith("_")}
    assert public == set(clip_gaze.__all__)


def test_dir_shows_the_public_names_before_they_are_asked_for() -> None:
    code = "import clip_gaze; print(set(clip_gaze.__all__) <= set(dir(clip_gaze)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "True"


@pytest.mark.parametrize("name", clip_gaze.__all__)
def test_every_public_name_resolves_and_stays_the_same_object(name: str) -> None:
    assert getattr(clip_gaze, name) is getattr(clip_gaze, name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    for name in ("MOVEMENT", "nothing", "_private", "EXAMPLES"):
        with pytest.raises(AttributeError, match=rf"no attribute '{name}'"):
            getattr(clip_gaze, name)


def test_every_shipped_list_is_a_constant_and_the_other_way_round() -> None:
    aliases = {"EXAMPLE_CATEGORIES", "SCULTPURE_MATERIALS"}
    assert {name.lower() for name in CONSTANTS if name not in aliases} == set(phrases.names())


@pytest.mark.parametrize("name", sorted(set(CONSTANTS) - {"EXAMPLE_CATEGORIES"}))
def test_a_constant_is_a_list_of_its_files_phrases(name: str) -> None:
    value = getattr(clip_gaze, name)
    assert type(value) is list  # as in clip-gaze 0.3.0: scripts add lists up and sort them
    assert value == list(phrases.load(name.lower().replace("scultpure", "sculpture")))


def test_the_old_spelling_still_works() -> None:
    assert clip_gaze.SCULTPURE_MATERIALS == clip_gaze.SCULPTURE_MATERIALS


def test_changing_a_constant_changes_no_list() -> None:
    clip_gaze.SITES.append("a site of my own")
    try:
        assert "a site of my own" not in phrases.load("sites")
    finally:
        clip_gaze.SITES.pop()


def test_example_categories_are_made_as_the_original_makes_them(original: Path) -> None:
    init = ast.parse((original / "clip_gaze" / "__init__.py").read_text(encoding="utf-8"))
    (made,) = [
        node.value
        for node in init.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "EXAMPLE_CATEGORIES"
    ]
    lists = {name: getattr(clip_gaze, name) for name in CONSTANTS}
    assert eval(ast.unparse(made), lists) == clip_gaze.EXAMPLE_CATEGORIES
    assert [len(entries) for entries in clip_gaze.EXAMPLE_CATEGORIES.values()] == [200, 193, 19]


def test_every_public_name_of_the_original_is_there(original: Path) -> None:
    init = (original / "clip_gaze" / "__init__.py").read_text(encoding="utf-8")
    nodes = list(ast.walk(ast.parse(init)))
    imported = {a.name for n in nodes if isinstance(n, ast.ImportFrom) for a in n.names}
    assigned = {
        target.id
        for node in nodes
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert len(imported | assigned) == 13
    assert imported | assigned <= set(clip_gaze.__all__)


def test_every_error_derives_from_gaze_error_and_a_failed_download_is_a_model_error() -> None:
    errors = [name for name in clip_gaze.__all__ if name.endswith("Error")]
    assert len(errors) == 6
    for name in errors:
        assert issubclass(getattr(clip_gaze, name), clip_gaze.GazeError)
    assert issubclass(clip_gaze.DownloadError, clip_gaze.ModelError)
