"""Shipped folders are found beside the modules or above them; the cache goes where users say."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from clip_gaze.errors import GazeError
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
    import platformdirs

    assert paths.cache_folder() == Path(platformdirs.user_cache_dir("clip-gaze", appauthor=False))


@pytest.mark.parametrize("named", ["", "relative", "/caches"])
def test_linux_and_macos_have_it_where_platformdirs_has_it(
    named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from platformdirs import macos, unix

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", named)
    monkeypatch.delenv("CLIP_GAZE_CACHE")
    for system, oracle in (("linux", unix.Unix), ("darwin", macos.MacOS)):
        with monkeypatch.context() as patch:
            patch.setattr(paths.sys, "platform", system)
            found = paths.cache_folder()
        assert found == Path(oracle("clip-gaze", appauthor=False).user_cache_dir)


def test_windows_has_it_beside_other_local_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths.sys, "platform", "win32")
    monkeypatch.delenv("CLIP_GAZE_CACHE")
    monkeypatch.setenv("LOCALAPPDATA", str(Path("/local")))
    assert paths.cache_folder() == Path("/local", "clip-gaze", "Cache")
    monkeypatch.delenv("LOCALAPPDATA")
    assert paths.cache_folder() == Path.home() / "AppData" / "Local" / "clip-gaze" / "Cache"


def test_asking_for_the_cache_folder_makes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIP_GAZE_CACHE", str(tmp_path / "cache"))
    paths.cache_folder()
    assert not (tmp_path / "cache").exists()


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("CLIP_GAZE_CACHE", str(Path("~", "cache")))
    assert paths.cache_folder() == tmp_path / "cache"
    assert paths.expanded(str(tmp_path / "~")) == tmp_path / "~"


@pytest.fixture
def homeless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run the test as a user without HOME and without an entry; return what stands in."""
    if os.name == "nt":
        pytest.skip("Windows always knows a home folder")
    for name in ("HOME", "XDG_CACHE_HOME", "CLIP_GAZE_CACHE"):
        monkeypatch.delenv(name, raising=False)
    import pwd

    def unknown(uid: int) -> object:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    return tmp_path / f"clip-gaze-{os.getuid()}"


def test_without_a_home_the_cache_is_a_private_temporary_folder(homeless: Path) -> None:
    for _ in range(2):
        found = paths.cache_folder()
        assert found.is_relative_to(homeless)
        assert found.is_absolute()
        assert "~" not in found.parts
    assert homeless.stat().st_mode & 0o077 == 0


def test_without_a_home_and_a_place_for_temporary_files_what_to_do_is_said(
    homeless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(homeless / "gone"))
    with pytest.raises(GazeError, match=r"cannot be made \(No such file .*; set HOME") as caught:
        paths.cache_folder()
    assert str(homeless / "gone") in str(caught.value)


def test_without_a_home_someone_elses_folder_is_not_trusted(
    homeless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = os.getuid()
    homeless.with_name(f"clip-gaze-{uid + 1}").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    with pytest.raises(GazeError, match=r"belongs to someone else; set HOME"):
        paths.cache_folder()
