"""A note says what was written, or nothing; the newest thousand of a folder are kept."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from clip_gaze.system import notes

if TYPE_CHECKING:
    from pathlib import Path


def test_a_note_is_about_a_file_by_whatever_path(cache: Path, tmp_path: Path) -> None:
    note = notes.about(tmp_path / "file", "seen")
    assert note.parent == cache / "seen"
    assert notes.read(note) == {}
    notes.write(note, {"digest": "é"})
    again = notes.about(tmp_path / "folder" / ".." / "file", "seen")
    assert notes.read(again) == {"digest": "é"}
    assert notes.read(notes.about(tmp_path / "other", "seen")) == {}


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe", b"[]", b"null", b"[" * 100_000])
def test_a_damaged_note_says_nothing(damage: bytes, tmp_path: Path) -> None:
    (tmp_path / "note.json").write_bytes(damage)
    assert notes.read(tmp_path / "note.json") == {}


def test_the_oldest_notes_go_where_there_are_more_than_a_thousand(cache: Path) -> None:
    folder = cache / "seen"
    folder.mkdir()
    for number in range(1002):
        (folder / f"{number}.json").write_text("{}")
        os.utime(folder / f"{number}.json", (number, number))
    notes.write(folder / "new.json", {})
    left = {int(path.stem) for path in folder.iterdir() if path.stem != "new"}
    assert left == set(range(3, 1002))
    assert (folder / "new.json").exists()


def test_a_folder_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    notes.write(tmp_path / "file" / "note.json", {"a": 1})
    assert notes.read(tmp_path / "file" / "note.json") == {}
