"""Check files against their expected size and SHA-256; notes spare a second hashing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clip_gaze.errors import ModelError
from clip_gaze.system import files, notes
from clip_gaze.system.stamps import stamp

if TYPE_CHECKING:
    from pathlib import Path

    from clip_gaze.model.manifest import ModelFile

_NOTES = "verified"


@dataclass(frozen=True, slots=True)
class Files:
    """The verified files of one variant, by the roles of `Manifest.files`."""

    variant: str
    paths: dict[str, Path]
    digests: dict[str, str]

    def digest(self, tower: str) -> str:
        """Return what identifies a tower, "vision" or "text": the digests of its files."""
        roles = (tower, f"{tower}_data")
        return "+".join(self.digests[role] for role in roles if role in self.digests)

    def entry(self, role: str, file: ModelFile, name: str) -> ModelFile:
        """Return what a manifest says of a file under another name, with its size and digest."""
        size = self.paths[role].stat().st_size
        return replace(file, file=name, bytes=size, sha256=self.digests[role])


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, as 64 lower-case hexadecimal digits."""
    with path.open("rb") as file:
        return files.sha256(file)


def check(
    path: Path,
    size: int | None,
    digest: str | None,
    *,
    stamped: bool = True,
    advice: str = "copy or export the model again",
) -> str:
    """Make sure that a file is the expected one, and return its SHA-256.

    A note in the cache folder keeps the digest together with the file's stamp (`system.stamps`);
    while that stays the same, the file is not hashed again.

    Args:
        path: the file.
        size: expected size in bytes, where known.
        digest: expected SHA-256, where known.
        stamped: whether a note is enough; False always hashes.
        advice: what to do about a file that is not the expected one, for the message.

    Raises:
        ModelError: the file is missing or unreadable, or size or digest differ.

    """
    try:
        found = path.stat().st_size
    except OSError:
        msg = f"{path}: this file of the model is missing; {advice}"
        raise ModelError(msg) from None
    if size is not None and found != size:
        msg = (
            f"{path}: this file of the model has {found:,} bytes where {size:,} "
            f"were expected; {advice}"
        )
        raise ModelError(msg)
    actual = known(path) if stamped else None
    if actual is None or digest not in (None, actual):  # a damaged note condemns no file
        if (before := stamp(path)) is None:  # to read a named pipe would never end
            msg = f"{path}: this file of the model cannot be read (it is no regular file)"
            raise ModelError(msg)
        try:
            actual = sha256(path)
        except OSError as error:
            msg = f"{path}: this file of the model cannot be read ({error.strerror})"
            raise ModelError(msg) from error
        # Of a wrong file too: an older note must not outlive this.
        notes.write(notes.about(path, _NOTES), {"stamp": before, "sha256": actual})
    if digest not in (None, actual):
        msg = (
            f"{path}: this file of the model was altered: SHA-256 {digest} was expected, "
            f"{actual} was found; {advice}"
        )
        raise ModelError(msg)
    return actual


def copy(source: Path, target: Path, file: ModelFile) -> None:
    """Copy a file of a model, whole or not at all, and read it again.

    Raises:
        ModelError: what was written is not the expected file.
        OSError: it cannot be written.

    """
    import shutil  # noqa: PLC0415 - loads much

    target.parent.mkdir(parents=True, exist_ok=True)
    with files.whole(target) as part:
        shutil.copyfile(source, part)
    check(target, file.bytes, file.sha256, stamped=False)


def known(path: Path) -> str | None:
    """Return the SHA-256 that a file had when it was last hashed, if it has not changed since."""
    data = notes.read(notes.about(path, _NOTES))
    unchanged = (now := stamp(path)) is not None and data.get("stamp") == now
    digest = data.get("sha256")
    return digest if unchanged and isinstance(digest, str) else None
