"""Files appear whole or not at all, wherever they lie and whoever else writes them."""

from __future__ import annotations

import errno
import itertools
import os
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from clip_gaze.errors import GazeError
from clip_gaze.system import files
from clip_gaze.system.files import check_place, whole

if TYPE_CHECKING:
    from pathlib import Path

posix = pytest.mark.skipif(sys.platform == "win32", reason="it is so on POSIX alone")


def put(target: Path, text: str) -> None:
    with whole(target) as part:
        part.write_text(text, encoding="utf-8")


def found(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_a_file_appears_only_if_nothing_fails(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_text("old", encoding="utf-8")

    def fail() -> None:
        with whole(target) as part:
            part.write_text("half", encoding="utf-8")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert found(tmp_path) == {"out": "old"}
    put(target, "new")
    assert found(tmp_path) == {"out": "new"}


def test_threads_that_write_one_file_do_not_meet(tmp_path: Path) -> None:
    inside = threading.Barrier(8)
    target = tmp_path / "out.txt"

    def run(number: int) -> None:
        with whole(target) as part:
            with part.open("w", encoding="utf-8") as file:
                inside.wait(60)
                file.write(str(number) * 1000)
            inside.wait(60)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ((name, text),) = found(tmp_path).items()
    assert name == "out.txt"
    assert len(text) == 1000
    assert len(set(text)) == 1


@posix
def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    for name in ("there", "not_there"):
        (tmp_path / name).mkdir()
        link = tmp_path / f"{name}.txt"
        link.symlink_to(tmp_path / name / "target.txt")
        put(link, "new")
        assert link.is_symlink()
        assert found(tmp_path / name) == {"target.txt": "new"}
    link = tmp_path / "nowhere.txt"
    link.symlink_to(tmp_path / "no_folder" / "target.txt")
    with pytest.raises(GazeError, match="nowhere"):
        check_place(link)


@pytest.mark.parametrize("letter", ["x", "é"])
def test_long_names_work(letter: str, tmp_path: Path) -> None:
    name = letter * (251 // len(letter.encode())) + ".txt"
    put(tmp_path / name, "new")
    assert found(tmp_path) == {name: "new"}


def test_what_a_killed_run_left_is_cleared_and_a_living_one_is_not(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    program = (
        "import sys, pathlib\n"
        "from clip_gaze.system.files import whole\n"
        f"with whole(pathlib.Path({str(target)!r})) as part:\n"
        "    part.write_text('half')\n"
        "    print(part, flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for run in runs:
        assert run.stdout is not None
        run.stdout.readline()
    put(target, "mine")
    parts = [path for path in tmp_path.iterdir() if path != target]
    assert [path.read_text(encoding="utf-8") for path in parts] == ["half"] * 3
    for run in runs[1:]:
        run.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        run.communicate()
    put(target, "mine again")
    assert len(found(tmp_path)) == 2
    runs[0].communicate("\n")
    assert found(tmp_path) == {"out.txt": "half"}


def test_the_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out.txt"
    seen: list[tuple[bool, bool]] = []
    sync = os.fsync

    def watched(descriptor: int) -> None:
        folder = os.path.samestat(os.fstat(descriptor), tmp_path.stat())
        seen.append((folder, target.exists()))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    put(target, "new")
    assert seen == ([(False, False)] if sys.platform == "win32" else [(False, False), (True, True)])


def test_a_full_disk_is_said_of_the_file(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    with pytest.raises(OSError, match="No space") as error, whole(target):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert error.value.filename == str(target)
    assert not found(tmp_path)


def test_a_missing_folder_is_said_of_the_file(tmp_path: Path) -> None:
    target = tmp_path / "none" / "out.txt"
    with pytest.raises(FileNotFoundError) as error:
        put(target, "new")
    assert error.value.filename == str(target)


@posix
def test_a_file_has_the_rights_that_any_new_one_has(tmp_path: Path) -> None:
    put(tmp_path / "ours", "")
    (tmp_path / "plain").write_text("", encoding="utf-8")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


@posix
def test_a_file_system_without_locks_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", refuse)
    put(tmp_path / "out.txt", "new")
    assert found(tmp_path) == {"out.txt": "new"}


def test_more_writers_of_a_file_than_there_is_room_for_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_WRITERS", 2)
    target = tmp_path / "out"
    with (
        whole(target),
        whole(target),
        pytest.raises(GazeError, match=r"out: is being written by 2 others; wait"),
        whole(target),
    ):
        pass


@posix
def test_a_part_that_its_writer_finishes_at_this_moment_is_let_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = files.fcntl.flock

    def finish(descriptor: int, how: int) -> None:
        monkeypatch.undo()
        (tmp_path / "out.0.part").replace(tmp_path / "finished")
        real(descriptor, how)

    monkeypatch.setattr(files.fcntl, "flock", finish)
    put(tmp_path / "out", "mine")
    assert found(tmp_path) == {"out": "mine", "finished": ""}


@posix
@pytest.mark.parametrize("kind", ["part", "folder"])
def test_a_part_or_folder_that_may_not_be_opened_does_no_harm(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / "out.0.part"
    left.write_text("somebody else's", encoding="utf-8")
    opens = os.open

    def refuse(path: Path, *args: object) -> int:
        if path == {"part": left, "folder": tmp_path}[kind]:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opens(path, *args)

    monkeypatch.setattr(os, "open", refuse)
    put(tmp_path / "out", "mine")
    mine = {"out": "mine"}
    assert found(tmp_path) == (mine | {left.name: "somebody else's"} if kind == "part" else mine)


@posix
def test_no_descriptor_stays_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    still: set[int] = set()
    opens, closes = os.open, os.close

    def opened(*args: object, **kwargs: object) -> int:
        descriptor = opens(*args, **kwargs)
        still.add(descriptor)
        return descriptor

    def closed(descriptor: int) -> None:
        still.discard(descriptor)
        closes(descriptor)

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "close", closed)
    with whole(tmp_path / "out"):
        assert len(still) == 1
        put(tmp_path / "out", "by another thread, which finds the first part taken")
        assert len(still) == 1
    assert still == set()


def test_what_is_no_file_has_no_size(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert files.size(tmp_path / "file") == 5
    assert files.size(tmp_path / "none") == 0
    assert files.size(tmp_path / "file" / "none") == 0


@pytest.mark.parametrize(("seconds", "wanted"), [(0.0002, True), (0.009, False)])
def test_a_file_is_near_if_its_distant_places_are_read_at_once(
    seconds: float, wanted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(bytes(10**6))
    moments = itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: next(moments) * seconds)
    monkeypatch.setattr(files, "time", clock)
    assert files.seeks_fast(path) == wanted
