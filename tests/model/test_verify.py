"""A wrong file of a model never passes, and a right one is hashed once."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from typing import TYPE_CHECKING

import pytest

from clip_gaze.errors import ModelError
from clip_gaze.model import verify

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = b"weights" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model" / "text_model.onnx"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the files that get hashed during the test."""
    paths: list[Path] = []
    real = verify.sha256

    def counted(path: Path) -> str:
        paths.append(path)
        return real(path)

    monkeypatch.setattr(verify, "sha256", counted)
    return paths


def stamp(cache: Path) -> Path:
    (only,) = (cache / "verified").iterdir()
    return only


def altered(path: Path) -> None:
    """Change one byte; size and times stay."""
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (3 << 20) + 7])
def test_the_digest_is_that_of_the_whole_file(size: int, tmp_path: Path) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "file").write_bytes(data[:size])
    assert verify.sha256(tmp_path / "file") == hashlib.sha256(data[:size]).hexdigest()


@pytest.mark.parametrize(
    ("size", "digest"), [(7000, DIGEST), (None, DIGEST), (7000, None), (None, None)]
)
def test_a_right_file_gives_its_digest(size: int | None, digest: str | None, file: Path) -> None:
    assert verify.check(file, size, digest) == DIGEST


def test_a_missing_file_is_named(file: Path) -> None:
    file.unlink()
    with pytest.raises(ModelError, match=rf"{re.escape(str(file))}: .*is missing; .*again$"):
        verify.check(file, 7000, DIGEST)


def test_a_file_of_another_size_is_named_with_both_and_not_hashed(
    file: Path, hashed: list[Path]
) -> None:
    with pytest.raises(ModelError, match=rf"{re.escape(str(file))}: .*7,000 bytes where 12,345 "):
        verify.check(file, 12345, DIGEST)
    assert hashed == []


@pytest.mark.parametrize("stamped", [True, False])
def test_an_altered_byte_is_found_and_both_digests_are_named(stamped: bool, file: Path) -> None:
    altered(file)
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    named = rf"{re.escape(str(file))}: .*{DIGEST} was expected, {found} was found"
    for _ in range(2):  # a stamp of the first time does not help it
        with pytest.raises(ModelError, match=named):
            verify.check(file, 7000, DIGEST, stamped=stamped)


def test_every_error_ends_with_the_advice(file: Path) -> None:
    for size, digest in ((1, None), (None, OTHER)):
        with pytest.raises(ModelError, match=r"; ask the cook$"):
            verify.check(file, size, digest, advice="ask the cook")
    file.unlink()
    with pytest.raises(ModelError, match=r"; ask the cook$"):
        verify.check(file, None, None, advice="ask the cook")


def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=rf"{re.escape(str(tmp_path))}: .*cannot be read"):
        verify.check(tmp_path, None, DIGEST)


def test_a_file_that_the_disk_does_not_give_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> str:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(verify, "sha256", fail)
    said = rf"{re.escape(str(file))}: .*cannot be read \(Input/output error\)"
    with pytest.raises(ModelError, match=said):
        verify.check(file, 7000, DIGEST)


def test_a_second_check_hashes_nothing(file: Path, hashed: list[Path]) -> None:
    for _ in range(3):
        assert verify.check(file, 7000, DIGEST) == DIGEST
    assert hashed == [file]


def test_a_file_is_known_by_any_path_to_it(
    file: Path, hashed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    verify.check(file, 7000, DIGEST)
    monkeypatch.chdir(file.parent)
    verify.check(file.parent / ".." / "model" / file.name, 7000, DIGEST)
    verify.check(file.relative_to(file.parent), 7000, DIGEST)
    assert len(hashed) == 1


def test_without_stamps_a_file_is_always_hashed(file: Path, hashed: list[Path]) -> None:
    for _ in range(3):
        verify.check(file, 7000, DIGEST, stamped=False)
    assert len(hashed) == 3
    verify.check(file, 7000, DIGEST)
    assert len(hashed) == 3  # what was hashed anyway is stamped too


def test_without_stamps_an_alteration_that_kept_the_time_is_found(file: Path) -> None:
    verify.check(file, 7000, DIGEST)
    altered(file)
    with pytest.raises(ModelError, match=r"was altered"):
        verify.check(file, 7000, DIGEST, stamped=False)
    with pytest.raises(ModelError, match=r"was altered"):  # and from then on
        verify.check(file, 7000, DIGEST)


def test_a_touched_file_is_hashed_again(file: Path, hashed: list[Path]) -> None:
    verify.check(file, 7000, DIGEST)
    os.utime(file, ns=(0, 12345))
    assert verify.check(file, 7000, DIGEST) == DIGEST
    assert len(hashed) == 2


@pytest.mark.skipif(os.name != "posix", reason="Windows keeps no time of change that stays")
def test_a_file_altered_behind_its_time_is_found(file: Path) -> None:
    verify.check(file, 7000, DIGEST)
    altered(file)
    assert verify.known(file) is None
    with pytest.raises(ModelError, match=r"was altered"):
        verify.check(file, 7000, DIGEST)


@pytest.mark.skipif(os.name != "posix", reason="there are no named pipes")
def test_a_pipe_in_place_of_the_file_or_its_note_is_not_waited_for(file: Path, cache: Path) -> None:
    verify.check(file, 7000, DIGEST)
    note = stamp(cache)
    note.unlink()
    os.mkfifo(note)
    assert verify.check(file, 7000, DIGEST) == DIGEST
    assert verify.check(file, 7000, DIGEST) == DIGEST
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(ModelError, match=rf"{re.escape(str(file))}: .*cannot be read"):
        verify.check(file, None, DIGEST)


def test_a_file_altered_after_it_was_stamped_is_found(file: Path) -> None:
    verify.check(file, 7000, DIGEST)
    altered(file)
    os.utime(file, ns=(0, 12345))
    with pytest.raises(ModelError, match=r"was altered"):
        verify.check(file, 7000, DIGEST)


@pytest.mark.parametrize(
    "damage",
    [
        b"", b"{", b"\xff\xfe", b"[]", b"null", b'"text"', b"{}", b'{"sha256": 5}',
        json.dumps({"size": 7000, "mtime_ns": 0, "sha256": DIGEST}).encode(),
        json.dumps({"path": "/", "stamp": None, "sha256": DIGEST}).encode(),
    ],
)  # fmt: skip
def test_a_damaged_note_does_no_harm(
    damage: bytes, file: Path, cache: Path, hashed: list[Path]
) -> None:
    verify.check(file, 7000, DIGEST)
    stamp(cache).write_bytes(damage)
    assert verify.check(file, 7000, DIGEST) == DIGEST
    assert verify.check(file, 7000, DIGEST) == DIGEST
    assert len(hashed) == 2


def forge(cache: Path, digest: object) -> None:
    data = json.loads(stamp(cache).read_text(encoding="utf-8"))
    stamp(cache).write_text(json.dumps({**data, "sha256": digest}), encoding="utf-8")


@pytest.mark.parametrize("digest", [OTHER, "", "nonsense", None, 5])
def test_a_stamp_with_another_digest_condemns_no_right_file(
    digest: object, file: Path, cache: Path
) -> None:
    verify.check(file, 7000, DIGEST)
    forge(cache, digest)
    assert verify.check(file, 7000, DIGEST) == DIGEST


def test_a_stamp_of_another_digest_than_expected_never_passes(
    file: Path, hashed: list[Path]
) -> None:
    verify.check(file, 7000, DIGEST)
    with pytest.raises(ModelError, match=rf"{OTHER} was expected, {DIGEST} was found"):
        verify.check(file, 7000, OTHER)
    assert len(hashed) == 2


@pytest.mark.parametrize("blocked", ["", "verified"])
def test_a_cache_that_cannot_be_written_does_no_harm(
    blocked: str, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hashed: list[Path]
) -> None:
    cache = tmp_path / "blocked"
    if blocked:
        cache.mkdir()
    (cache / blocked).write_text("in the way of the folder", encoding="utf-8")
    monkeypatch.setenv("CLIP_GAZE_CACHE", str(cache))
    for _ in range(2):
        assert verify.check(file, 7000, DIGEST) == DIGEST
    assert len(hashed) == 2
    altered(file)
    with pytest.raises(ModelError, match=r"was altered"):
        verify.check(file, 7000, DIGEST)


def test_a_file_is_known_while_it_stays_as_it_was_hashed(file: Path) -> None:
    assert verify.known(file) is None
    verify.check(file, None, None)
    assert verify.known(file) == DIGEST
    os.utime(file, ns=(0, 12345))
    assert verify.known(file) is None
    file.unlink()
    assert verify.known(file) is None
