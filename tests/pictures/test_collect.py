"""Folders become lists of pictures."""

from __future__ import annotations

import contextlib
import os
import struct
import subprocess
import sys
import unicodedata
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import fsspec
import pytest
from PIL import Image

from clip_gaze import PictureError
from clip_gaze.pictures import collect
from clip_gaze.pictures.load import upright

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    MakePicture = Callable[..., Image.Image]


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    for name in (
        "b.jpg", "a.PNG", "notes.txt", ".hidden.jpg", ".thumbs/c.jpg", "deep/d.webp",
        "deep/deeper/e.avif", "drafts/f.tiff", "g_small.jpg", "folder.jpg/h.gif",
    ):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path


def collected(*paths: Path, **options: Any) -> list[Path]:
    """Return the pictures, where nothing fails."""
    found = list(collect.pictures(paths, **options))
    assert [error for _, error in found if error] == []
    return [path for path, _ in found]


def names(paths: list[Path], shelf: Path) -> list[str]:
    return [path.relative_to(shelf).as_posix() for path in paths]


def test_folders_are_walked_in_the_order_of_names_and_hidden_things_passed_over(
    shelf: Path,
) -> None:
    assert names(collected(shelf), shelf) == [
        "a.PNG", "b.jpg", "deep/d.webp", "deep/deeper/e.avif", "drafts/f.tiff",
        "folder.jpg/h.gif", "g_small.jpg",
    ]  # fmt: skip


def test_without_recursion_only_the_folder_itself_counts(shelf: Path) -> None:
    found = collected(shelf, recursive=False)
    assert names(found, shelf) == ["a.PNG", "b.jpg", "g_small.jpg"]


def test_patterns_exclude_names_and_paths(shelf: Path) -> None:
    found = collected(shelf, exclude=["*_small.*", "drafts", "deep/*/*", "folder.jpg"])
    assert names(found, shelf) == ["a.PNG", "b.jpg", "deep/d.webp"]


def test_files_are_taken_as_they_are_named_and_in_order(shelf: Path) -> None:
    named = [shelf / "notes.txt", shelf / ".hidden.jpg", shelf / "gone.jpg", shelf / "b.jpg"]
    assert collected(*named) == named


def test_a_hidden_folder_that_is_named_is_walked(shelf: Path) -> None:
    assert names(collected(shelf / ".thumbs"), shelf) == [".thumbs/c.jpg"]


def test_a_folder_without_pictures_is_an_error_where_nothing_else_is_named(
    tmp_path: Path, shelf: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(PictureError, match="empty: no picture"):
        collected(tmp_path / "empty")
    assert collected(tmp_path / "empty", shelf / "b.jpg") == [shelf / "b.jpg"]
    assert "empty: no picture" in caplog.text


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs symbolic links")
def test_links_to_folders_are_not_followed(shelf: Path) -> None:
    (shelf / "loop").symlink_to(shelf, target_is_directory=True)
    assert not any("loop" in name for name in names(collected(shelf), shelf))


class Entry:
    """A directory entry of which the system says no more than its name."""

    def __init__(self, entry: os.DirEntry[str]) -> None:
        """Take the name from a real one."""
        self.name, self.path = entry.name, entry.path

    def __fspath__(self) -> str:
        """Return the path."""
        return self.path

    def is_dir(self, **_: bool) -> bool:
        """Fail."""
        raise OSError(5, "Input/output error")

    stat = is_symlink = is_dir


class Junction(Entry):
    """What Windows says of a folder that is another one: no link, but a reparse point."""

    def is_dir(self, **_: bool) -> bool:
        """Return that it is a folder, links followed or not."""
        return True

    def stat(self, **_: bool) -> SimpleNamespace:
        """Return what only Windows has."""
        return SimpleNamespace(st_file_attributes=0x410, st_reparse_tag=0xA0000003)


def test_junctions_are_not_followed(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = [name for name in names(collected(shelf), shelf) if not name.startswith("deep/")]
    break_entries(monkeypatch, "deep", kind=Junction)
    assert names(collected(shelf), shelf) == before
    assert names(collected(shelf / "deep"), shelf) == ["deep/d.webp", "deep/deeper/e.avif"]


def break_entries(monkeypatch: pytest.MonkeyPatch, *broken: str, kind: type[Entry] = Entry) -> None:
    """Let each entry with one of these names fail, and the listing of such a folder end early."""
    real = os.scandir

    @contextlib.contextmanager
    def scandir(folder: str | os.PathLike[str]) -> Iterator[Iterator[Any]]:
        def listed() -> Iterator[Any]:
            with real(folder) as entries:
                for entry in entries:
                    yield kind(entry) if entry.name in broken else entry
            if kind is Entry and os.path.basename(folder) in broken:  # noqa: PTH119
                raise PermissionError(13, "Permission denied")

        yield listed()

    monkeypatch.setattr(os, "scandir", scandir)


def test_an_entry_that_fails_is_named_and_the_rest_is_found(
    shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_entries(monkeypatch, "b.jpg")
    found = list(collect.pictures([shelf]))
    assert names([path for path, _ in found], shelf) == [
        "a.PNG", "b.jpg", "deep/d.webp", "deep/deeper/e.avif", "drafts/f.tiff",
        "folder.jpg/h.gif", "g_small.jpg",
    ]  # fmt: skip
    errors = {path.name: str(error) for path, error in found if error}
    assert errors == {"b.jpg": f"{shelf / 'b.jpg'}: cannot be read (Input/output error)"}


def test_a_folder_that_cannot_be_read_is_named_and_the_rest_is_found(
    shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def scandir(folder: str | os.PathLike[str]) -> Any:
        if Path(folder).name == "deep":
            raise PermissionError(13, "Permission denied")
        return real(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    found = list(collect.pictures([shelf]))
    errors = [str(error) for _, error in found if error]
    assert errors == [f"{shelf / 'deep'}: cannot be read (Permission denied)"]
    assert names([path for path, error in found if not error], shelf) == [
        "a.PNG", "b.jpg", "drafts/f.tiff", "folder.jpg/h.gif", "g_small.jpg",
    ]  # fmt: skip
    # Alone, it is no folder without pictures.
    (only,) = collect.pictures([shelf / "deep"])
    assert only[1] is not None


def test_a_listing_that_breaks_off_leaves_what_was_listed(
    shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_entries(monkeypatch, shelf.name)
    found = list(collect.pictures([shelf]))
    assert found[0][1] is not None
    assert "g_small.jpg" in names([path for path, _ in found], shelf)


def test_a_folder_is_read_when_its_pictures_are_asked_for(
    shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = collect.pictures([shelf])
    assert next(found) == (shelf / "a.PNG", None)
    monkeypatch.delattr(os, "scandir")
    assert next(found) == (shelf / "b.jpg", None)


@pytest.mark.skipif(os.mkdir not in os.supports_dir_fd, reason="cannot make so long a path")
@pytest.mark.parametrize("command", ["gaze", "report", "compare"])
def test_a_command_does_the_rest_and_its_exit_code_tells(
    command: str, tmp_path: Path, picture: MakePicture
) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    for seed in range(2):
        picture(seed=seed).save(shelf / f"{seed}.png")
    folder = os.open(shelf, os.O_RDONLY)
    for _ in range(17):  # longer than any system takes a path
        os.mkdir("d" * 250, dir_fd=folder)
        inside = os.open("d" * 250, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inside
    os.close(folder)
    options = ["--model", "demo", "--list", "tools"]
    program = [sys.executable, "-m", "clip_gaze", command, str(shelf), *options]
    done = subprocess.run(
        program, capture_output=True, text=True, encoding="utf-8", check=False, cwd=tmp_path
    )
    assert done.returncode == 1, done.stderr
    errors = [line for line in done.stderr.splitlines() if "error" in line]
    assert len(errors) == 1
    assert "dddd: cannot be read (" in errors[0]
    assert done.stdout or (tmp_path / "report.html").stat().st_size


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_is_no_regular_file_is_found_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "b.png")
    (found,) = collected(tmp_path)
    with pytest.raises(PictureError, match=r"b\.png: is not a regular file"):
        upright(found)


@pytest.mark.parametrize(
    "pattern", ["drafts", "drafts/", "./drafts", "{top}/drafts", "{top}/drafts/", "dr*/", "*/"]
)
def test_a_folder_is_left_out_however_it_is_spelled(pattern: str, tmp_path: Path) -> None:
    top = tmp_path / "drafts of june"  # what is named itself is never left out
    for name in ("a.png", "drafts/b.png", "drafts.png"):
        path = top / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.touch()
    found = collect.pictures([top], exclude=[pattern.format(top=top)])
    assert [path for path, _ in found] == [top / "a.png", top / "drafts.png"]
    fs = fsspec.filesystem("memory")
    for path in top.rglob("*.png"):
        fs.pipe_file(f"/excluded/{path.relative_to(top).as_posix()}", b"")
    try:
        if "{top}" not in pattern:
            remote = collect.pictures(["memory://excluded/"], exclude=[pattern])
            names = [str(path).rpartition("/")[2] for path, _ in remote]
            assert names == ["a.png", "drafts.png"]
    finally:
        fs.rm("/excluded", recursive=True)


def test_a_name_is_left_out_however_its_accents_are_kept(tmp_path: Path) -> None:
    (tmp_path / unicodedata.normalize("NFD", "été.png")).touch()
    (tmp_path / "b.png").touch()
    found = collect.pictures([tmp_path], exclude=[unicodedata.normalize("NFC", "été.png")])
    assert [path for path, _ in found] == [tmp_path / "b.png"]


def test_a_folder_whose_own_path_matches_is_not_left_out(tmp_path: Path) -> None:
    top = tmp_path / "old_scans"
    top.mkdir()
    for name in ("a.png", "old.png"):
        (top / name).touch()
    found = collect.pictures([top], exclude=["*old*"])
    assert [path.name for path, _ in found if isinstance(path, Path)] == ["a.png"]


def test_what_was_listed_before_is_not_told_of_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.png").touch()
    places = [tmp_path / "a.png", tmp_path / "empty"]
    for again, times in ((False, 1), (True, 1)):
        assert len(list(collect.pictures(places, again=again))) == 1
        assert caplog.text.count("no picture in this folder") == times


@pytest.mark.parametrize("suffix", sorted(collect.SUFFIXES))
def test_what_is_collected_can_be_opened(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"picture{suffix}"
    if suffix in (".heic", ".heif"):
        pytest.importorskip("pillow_heif").register_heif_opener()
    if suffix == ".avif" and suffix not in Image.registered_extensions():
        pytest.skip("Pillow reads AVIF since 11.3")
    if suffix == ".psd":  # which Pillow reads alone: header, three empty sections, raw planes
        head = struct.pack(">4sH6xHIIHHIIIH", b"8BPS", 1, 3, 48, 64, 8, 3, 0, 0, 0, 0)
        path.write_bytes(head + b"\xff" * 64 * 48 + bytes(2 * 64 * 48))
    else:
        Image.new("RGB", (64, 48), "red").save(path)
    assert collected(tmp_path) == [path]
    image = upright(path)
    assert image.size == (64, 48)
    assert image.convert("RGB").getpixel((30, 20))[0] > 200
