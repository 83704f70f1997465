"""Find the folders that ship with the package, and the user's cache folder."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from clip_gaze.errors import GazeError


def shipped(name: str) -> Path:
    """Return the folder `name` ("models" or "phrase_lists") that ships with the package.

    A wheel holds it beside the modules; an editable install finds it at the top of the checkout.
    """
    here = Path(__file__).resolve().parents[1]
    inside = here / name
    return inside if inside.is_dir() else here.parents[1] / name


def cache_folder() -> Path:
    """Return the folder for what can be computed again; CLIP_GAZE_CACHE overrides the platform's.

    The folder need not exist.
    """
    return expanded(os.environ.get("CLIP_GAZE_CACHE") or _of_platform())


def _of_platform() -> str:
    """Return the platform's own folder for our cache; "~" in it is the user's home."""
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or os.path.join("~", "AppData", "Local")  # noqa: PTH118 - unexpanded
        return os.path.join(local, "clip-gaze", "Cache")  # noqa: PTH118
    folder = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(folder):  # noqa: PTH117 - which the XDG specification has ignored
        folder = "~/Library/Caches" if sys.platform == "darwin" else "~/.cache"
    return f"{folder}/clip-gaze"


def packed_folder() -> Path:
    """Return the folder for graphs whose weights are packed."""
    return cache_folder() / "packed"


def thumbnails_folder() -> Path:
    """Return the folder for thumbnails of pictures that reports showed."""
    return cache_folder() / "thumbnails"


def expanded(path: str) -> Path:
    """Return a path with the user's home folder in place of a leading "~".

    Where the system knows no home folder, as in a container whose user has no name, a folder for
    temporary files that belongs to this user alone stands in.

    Raises:
        GazeError: that folder is someone else's, or cannot be made.

    """
    found = Path(os.path.expanduser(path))  # noqa: PTH111 - Path's own raises where there is no home
    return _stand_in().joinpath(*found.parts[1:]) if found.parts[:1] == ("~",) else found


def _stand_in() -> Path:
    """Return a folder in place of a home; elsewhere than on POSIX there always is a home."""
    import tempfile  # noqa: PLC0415 - loads much, and few systems have no home

    name, advice = f"clip-gaze-{os.getuid()}", "set HOME, or CLIP_GAZE_CACHE and HF_HOME"
    try:
        folder = Path(tempfile.gettempdir(), name)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        owner = folder.lstat().st_uid
    except OSError as error:
        msg = f"{error.filename or name}: cannot be made ({error.strerror}); {advice}"
        raise GazeError(msg) from error
    if owner != os.getuid():
        msg = f"{folder}: belongs to someone else; {advice}"
        raise GazeError(msg)
    return folder


def for_shell(path: str) -> str:
    """Return a path as it can be pasted into a shell: Windows' own knows double quotes alone."""
    if os.name == "nt":
        import subprocess  # noqa: PLC0415 - loads much

        return subprocess.list2cmdline([path])
    import shlex  # noqa: PLC0415 - for few messages

    return shlex.quote(path)
