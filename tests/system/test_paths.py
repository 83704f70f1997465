"""Shipped folders are found beside the modules or above them; the cache goes where users say."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from clip_gaze.system import paths


@pytest.mark.parametrize("name", ["models", "phrase_lists"])
def test_shipped_folders_exist_here(name: str) -> None:
    assert any(paths.shipped(name).iterdir())


def test_a_folder_beside_the_modules_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site-packages" / "clip_gaze"
    (package / "models").mkdir(parents=True)
    monkeypatch.setattr(paths, "__file__", str(package / "system" / "paths.py"))
    assert paths.shipped("models") == package / "models"


def test_an_editable_install_finds_the_top_of_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "src" / "clip_gaze").mkdir(parents=True)
    monkeypatch.setattr(
        paths, "__file__", str(tmp_path / "src" / "clip_gaze" / "system" / "paths.py")
    )
    assert paths.shipped("models") == tmp_path / "models"


def test_clip_gaze_cache_names_the_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIP_GAZE_CACHE", "/somewhere/else")
    assert paths.cache_folder() == Path("/somewhere/else")


@pytest.mark.parametrize("unset", [True, False])
def test_without_it_the_cache_is_the_platforms(
    unset: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIP_GAZE_CACHE", "")
    if unset:
        monkeypatch.delenv("CLIP_GAZE_CACHE")
    assert paths.cache_folder() == Path(platformdirs.user_cache_dir("clip-gaze", appauthor=False))


def test_asking_for_the_cache_folder_makes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIP_GAZE_CACHE", str(tmp_path / "cache"))
    paths.cache_folder()
    assert not (tmp_path / "cache").exists()
