"""Say what a picture is read from: a file, bytes in memory, or an image decoded already."""

from __future__ import annotations

import contextlib
import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

import numpy as np

from clip_gaze.errors import GazeError, PictureError, PictureUnreachableError, StorageError
from clip_gaze.system import storage
from clip_gaze.system.stamps import stamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray
    from PIL import Image


@dataclass(frozen=True, slots=True)
class File:
    """A picture file on this machine; its name is its path, as it was given."""

    name: str

    @property
    def path(self) -> Path:
        """The path."""
        return Path(self.name)

    def open(self) -> IO[bytes]:
        """Open the file for reading.

        Raises:
            PictureError: there is no such file, it may not be read, or it is something else.

        """
        try:
            mode = self.path.stat().st_mode
            if stat.S_ISREG(mode):  # to open a pipe would wait for a writer
                return self.path.open("rb")
            folder = "is a folder; name the pictures in it"
            reason = folder if stat.S_ISDIR(mode) else "is not a regular file"
        except FileNotFoundError:
            reason = "no such file; check the name and the folder"
        except PermissionError:
            reason = "may not be read"
        except (OSError, ValueError) as error:
            reason = f"cannot be read ({getattr(error, 'strerror', None) or error})"
        msg = f"{self.name}: {reason}"
        raise PictureError(msg)

    def stamp(self) -> str | None:
        """Return a text that changes whenever the file does; None for what is no regular file."""
        return stamp(self.path)


@dataclass(frozen=True, slots=True)
class Remote:
    """A picture file at a URL, which is its name.

    Attributes:
        name: the URL.
        known: its stamp, where a listing has told it; None: it is asked for.

    """

    name: str
    known: str | None = None

    def __str__(self) -> str:
        """Return the URL."""
        return self.name

    def open(self) -> IO[bytes]:
        """Fetch the file, and return its content.

        Raises:
            PictureError: there is no such file, or it may not be read.
            PictureUnreachableError: it cannot be had now.
            GazeError: this kind of URL is unknown, or needs another package.

        """
        with self._explained():
            return io.BytesIO(storage.read(self.name))

    def stamp(self) -> str | None:
        """Return its ETag, or its size and time, or None; raises what `open` does."""
        if self.known is not None:
            return self.known
        with self._explained():
            return storage.stamp(self.name)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except StorageError as error:
            raise (PictureError if error.lasting else PictureUnreachableError)(
                str(error)
            ) from error
        except PermissionError as error:
            msg = f"{self.name}: may not be read"
            raise PictureError(msg) from error
        except OSError as error:
            msg = f"{self.name}: no such file; check the address"
            raise PictureError(msg) from error


@dataclass(frozen=True, slots=True)
class Embedded:
    """A picture whose embedding is there already, (d,) float32, L2-normalised, or its error."""

    name: str
    outcome: NDArray[np.float32] | PictureError


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a picture file, in memory."""

    data: bytes
    name: str = ""

    def open(self) -> IO[bytes]:
        """Return the content as a file."""
        return io.BytesIO(self.data)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture whose pixels are there already, taken as they are: never turned."""

    image: Image.Image
    name: str = ""


Source: TypeAlias = File | Remote | Content | Decoded
if TYPE_CHECKING:
    Encoded: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes]
    Picture: TypeAlias = Encoded | Image.Image | NDArray[np.uint8] | Source | Embedded


def source(picture: Picture) -> Source:
    """Return what a picture is read from.

    Args:
        picture: a path or, as a string, a URL; the bytes of a picture file; a binary file, which is
            read here from where it stands, and left open; a PIL image; or an array, or what numpy
            makes one of: uint8, (height, width) for grey, (height, width, 3) or
            (3, height, width) for RGB, (height, width, 4) for RGBA.

    Raises:
        PictureError: it is something else, or the file cannot be read.

    """
    if isinstance(picture, File | Remote | Content | Decoded):
        return picture
    if isinstance(picture, str | os.PathLike | Embedded):
        return named(picture.name if isinstance(picture, Embedded) else os.fsdecode(picture))
    from PIL import Image  # noqa: PLC0415 - the names above do without

    if isinstance(picture, Image.Image):
        return Decoded(picture)
    if isinstance(picture, bytes | bytearray | memoryview):
        return Content(bytes(picture))
    if hasattr(picture, "__array__"):
        return Decoded(_image(picture))
    if hasattr(picture, "read"):
        return Content(_content(picture))
    msg = (
        f"a {type(picture).__name__} is no picture; a path, bytes, a binary file, "
        "a PIL image or an array of uint8 is taken"
    )
    raise PictureError(msg)


def reusable(picture: Picture) -> Source | Embedded:
    """Return what can be read more than once, which an open file cannot; see `source`."""
    return picture if isinstance(picture, Embedded) else source(picture)


def several(pictures: Iterable[Picture], what: str = "pictures") -> Iterator[Picture]:
    """Return what yields pictures, if a caller passed several; `what` is its name for them.

    Raises:
        GazeError: it is a single picture, or none.

    """
    one = isinstance(pictures, str | bytes | bytearray | memoryview) or hasattr(pictures, "read")
    shape = tuple(getattr(pictures, "shape", ())) if hasattr(pictures, "__array__") else ()
    if not one and not any(_channels(shape)):
        with contextlib.suppress(TypeError):
            return iter(pictures)
    msg = (
        f"{what} should stand in a list or the like, not {type(pictures).__name__}; "
        "give [it], or list(it) if it holds several"
    )
    raise GazeError(msg)


def _channels(shape: tuple[int, ...]) -> tuple[bool, bool]:
    """Return whether an array may be a picture whose channels, if any, come last; and first."""
    last = len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4))
    return last, len(shape) == 3 and shape[0] == 3


def check_offline(picture: Source | str, *, offline: bool) -> None:
    """Refuse what lies on another machine, if none may be reached.

    Raises:
        PictureUnreachableError: it does.

    """
    found = named(picture) if isinstance(picture, str) else picture
    if offline and isinstance(found, Remote) and not storage.is_here(found.name):
        msg = f"{found.name}: --offline forbids to reach it"
        raise PictureUnreachableError(msg)


def named(name: str) -> File | Remote:
    """Return the file that has a name, here or at a URL."""
    return Remote(name) if storage.is_url(name) else File(name)


def _content(file: Any) -> bytes:
    try:
        data = file.read()
    except Exception as error:  # whatever its maker's code raises, this picture is not to be had
        msg = f"a file cannot be read ({error}); open it in mode 'rb'"
        raise PictureError(msg) from error
    if isinstance(data, bytes) and data:
        return data
    msg = "a file has nothing left to read; seek(0) before it is asked about again"
    if not isinstance(data, bytes):
        msg = f"a file gives {type(data).__name__}, not bytes; open it in mode 'rb'"
    raise PictureError(msg)


def _image(picture: Any) -> Image.Image:
    """Return an array of levels as a PIL image."""
    from PIL import Image  # noqa: PLC0415 - see `source`

    try:
        pixels = np.asarray(picture)
    except Exception as error:  # such as torch's TypeError for what lies on a graphics card
        msg = f"a {type(picture).__name__} cannot become a numpy array ({error})"
        raise PictureError(msg) from error
    if pixels.dtype != np.uint8:
        msg = (
            f"an array of {pixels.dtype} does not say what is white; give uint8, such as "
            "(255 * array).round().astype('uint8') of levels from 0 to 1"
        )
        raise PictureError(msg)
    last, first = _channels(pixels.shape)
    if last != first:
        return Image.fromarray(np.moveaxis(pixels, 0, 2) if first else pixels)
    reason = "can be read in two ways" if first else "is no picture"
    msg = (
        f"an array of shape {pixels.shape} {reason}; give (height, width), (height, width, 3), "
        "(3, height, width) or (height, width, 4)"
    )
    raise PictureError(msg)
