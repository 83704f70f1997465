"""A model is found by its name or in its folder; an unknown one names the nearest."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clip_gaze.errors import ModelError
from clip_gaze.model import manifest as manifests
from clip_gaze.model import registry
from clip_gaze.model.spec import DEFAULT
from samples import MANIFEST

if TYPE_CHECKING:
    from clip_gaze.model.manifest import Manifest


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of models in place of those that ship; the working folder is another."""
    for name in ("demo", DEFAULT, "clip-vit-large-patch14"):
        stand(tmp_path / "models" / name, dataclasses.replace(MANIFEST, name=name))
    (tmp_path / "models" / "no manifest here").mkdir()
    monkeypatch.setattr(registry, "shipped", lambda name: tmp_path / name)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "models"


def stand(folder: Path, manifest: Manifest) -> None:
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(manifests.to_json(manifest), encoding="utf-8")


@pytest.mark.parametrize("name", ["demo", DEFAULT])
def test_the_demo_and_the_default_model_ship(name: str) -> None:
    assert name in registry.names()


@pytest.mark.parametrize("name", registry.names())
def test_a_shipped_model_is_found_by_the_name_it_gives_itself(name: str) -> None:
    assert registry.find(name).manifest.name == name


def test_names_are_those_of_folders_with_a_manifest(shelf: Path) -> None:
    assert registry.names() == ["clip-vit-base-patch32", "clip-vit-large-patch14", "demo"]
    assert len(list(shelf.iterdir())) == 4


def test_a_name_finds_the_model_and_its_folder(shelf: Path) -> None:
    found = registry.find("demo")
    assert found.folder == shelf / "demo"
    assert found.manifest == dataclasses.replace(MANIFEST, name="demo")


def test_no_name_finds_the_default_model(shelf: Path) -> None:
    assert registry.find().folder == registry.find(None).folder == shelf / DEFAULT


@pytest.mark.parametrize("kind", [str, Path])
def test_a_folder_finds_the_model_in_it(kind: type, shelf: Path, tmp_path: Path) -> None:
    assert shelf.is_dir()
    stand(tmp_path / "own", MANIFEST)
    found = registry.find(kind(tmp_path / "own"))
    assert (found.folder, found.manifest) == (tmp_path / "own", MANIFEST)


def test_a_name_goes_before_a_folder_of_the_same_name(shelf: Path) -> None:
    stand(Path("demo"), MANIFEST)
    assert registry.find("demo").folder == shelf / "demo"
    assert registry.find(Path("demo")).folder == Path("demo")
    assert registry.find("./demo").manifest == MANIFEST


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize(
    ("asked", "nearest"),
    [("dmo", "demo"), ("clip-vit-base-patch23", "clip-vit-base-patch32"), ("Demo", "demo")],
)
def test_an_unknown_model_names_the_nearest_and_all(asked: str, nearest: str) -> None:
    with pytest.raises(ModelError, match=rf"{asked}.*did you mean '{nearest}'\?.*patch14, demo"):
        registry.find(asked)


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize("asked", ["qqqq", "no/such/folder", "x" * 5000, "nul\0byte"])
def test_an_unknown_model_names_those_there_are_in_one_line(asked: str) -> None:
    with pytest.raises(
        ModelError, match=r"choose one of clip-vit-base-patch32, .*, demo"
    ) as caught:
        registry.find(asked)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.usefixtures("shelf")
def test_a_folder_without_a_manifest_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"manifest\.json.*is this a clip-gaze model folder"):
        registry.find(tmp_path)


@pytest.mark.usefixtures("shelf")
def test_a_file_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match=r"no model is called .*model\.onnx"):
        registry.find(tmp_path / "model.onnx")
