"""Read and write files at URLs and in folders, by fsspec."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from clip_gaze.errors import GazeError, StorageError
from clip_gaze.system.files import whole

if TYPE_CHECKING:
    from collections.abc import Iterator

# Two letters or more: one is a drive of Windows. "::" chains URLs, as in zip://a.jpg::s3://b/c.zip.
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)(?:://|::)")
# What is read without a network.
_HERE = frozenset({"file", "local", "memory", "zip", "tar", "libarchive"})
# Where one request puts a whole file in its place, and where folders need not be made.
_OBJECTS = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oci", "oss", "memory"})
# The packages that fsspec needs for URLs that it has no code of its own for.
_NEEDED = {
    "s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "http": "aiohttp",
    "https": "aiohttp", "abfs": "adlfs", "az": "adlfs",
}  # fmt: skip
_TIMES = ("LastModified", "last_modified", "updated", "mtime", "created", "date_time")


class Entry(NamedTuple):
    """What is at a URL: its path for fsspec, whether it is a folder, and its stamp if known."""

    path: str
    folder: bool
    stamp: str | None


def is_url(name: str) -> bool:
    """Return whether a name is a URL, rather than a path on this machine.

    >>> is_url("s3://bucket/sea.jpg"), is_url("C:/sea.jpg"), is_url("zip://sea.jpg::scans.zip")
    (True, False, True)
    """
    return _URL.match(name) is not None


def is_here(url: str) -> bool:
    """Return whether a URL leads to this machine alone."""
    return {protocol.lower() for protocol in _URL.findall(url)} <= _HERE


def opened(url: str) -> tuple[Any, str]:
    """Return the file system of a URL or path, as fsspec has it, and the path in it.

    Raises:
        GazeError: the kind of URL is unknown, or needs a package that is not installed.
        StorageError: what it leads into cannot be opened.

    """
    # Slow to import, and needed for URLs and datasets alone.
    from fsspec.core import url_to_fs  # noqa: PLC0415

    with reached(url):
        # A listing that was kept would hold all names in memory, and miss what is new.
        found: tuple[Any, str] = url_to_fs(url, use_listings_cache=False)
        return found


@contextlib.contextmanager
def reached(url: str) -> Iterator[None]:
    """Turn what file systems raise, which is of many kinds, into one line that names the place."""
    try:
        yield
    except (GazeError, FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError):
        raise
    except ImportError as error:
        protocol = url.partition("::")[2].partition("://")[0] or url.partition("://")[0]
        package = _NEEDED.get(url.partition("://")[0], _NEEDED.get(protocol))
        hint = f"needs {package}; install it with: pip install {package}" if package else error
        msg = f"{url}: {hint}"
        raise GazeError(msg) from error
    except Exception as error:
        if "Protocol not known" in str(error):
            msg = f"{url}: no such kind of address is known; s3://, gs:// and https:// are"
            raise GazeError(msg) from error
        reason = " ".join(str(error).split()) or type(error).__name__
        msg = f"{url}: cannot be reached ({reason})"
        failed = StorageError(msg)
        status = getattr(error, "status", None)
        failed.lasting = isinstance(status, int) and 400 <= status < 500 and status != 429
        raise failed from error


def read(url: str) -> bytes:
    """Return what is at a URL.

    Raises:
        FileNotFoundError, PermissionError: nothing is there, or it may not be read.
        GazeError: see `opened`.
        StorageError: it cannot be had now.

    """
    fs, path = opened(url)
    with reached(url):
        content: bytes = fs.cat_file(path)
        return content


def stamp(url: str) -> str | None:
    """Return the ETag of what is at a URL, or its size and time; None where neither is told."""
    fs, path = opened(url)
    with reached(url):
        return stamp_of(fs.info(path))


def stamp_of(info: dict[str, Any]) -> str | None:
    """Return the ETag that a file system tells of a file, or its size and time, or nothing."""
    if tag := info.get("ETag") or info.get("etag"):
        return str(tag).strip('"')
    time = next((info[name] for name in _TIMES if info.get(name)), None)
    return None if time is None else f"{info.get('size')} {time}"


def entries(url: str, *, recursive: bool = True) -> Iterator[Entry]:
    """Yield the files below a URL, folder by folder in the order of their names.

    Of each folder all names stand in memory at once; of a bucket of S3 a thousand do.
    """
    fs, top = opened(url)
    with reached(url):
        # s3fs lists a bucket page by page, in order, but tells only its own methods so.
        if recursive and hasattr(fs, "_iterdir"):
            yield from (_entry(info) for info in _paged(fs, top))
            return
        waiting = [Entry(top, folder=True, stamp=None)]
        while waiting:
            entry = waiting.pop()
            if not entry.folder:
                yield entry
            elif recursive or entry.path == top:
                below = [_entry(info) for info in fs.ls(entry.path, detail=True)]
                below = [each for each in below if each.path.rstrip("/") != entry.path.rstrip("/")]
                waiting += sorted(below, reverse=True)


def _entry(info: dict[str, Any]) -> Entry:
    return Entry(info["name"], info["type"] == "directory", stamp_of(info))


def _paged(fs: Any, top: str) -> Iterator[dict[str, Any]]:
    """Yield what an S3 file system tells of all files below a path."""
    from fsspec.asyn import sync  # noqa: PLC0415 - see `opened`

    bucket, _, folder = top.strip("/").partition("/")
    prefix = folder and f"{folder}/"
    files = fs._iterdir(bucket, delimiter="", prefix=prefix)  # noqa: SLF001 - no other streams

    async def page() -> list[dict[str, Any]]:
        found = []
        async for info in files:
            found.append(info)
            if len(found) == 1000:
                break
        return found

    while some := sync(fs.loop, page):
        yield from (info for info in some if not info["name"].endswith("/"))


class Folder:
    """A folder on this machine or at a URL, in which files appear whole or not at all."""

    def __init__(self, url: str) -> None:
        """Name a folder; it need not be there yet."""
        self.url = url
        self._fs, self._root = opened(url)
        self._local = not is_url(url)
        self._single = self._fs.protocol in _OBJECTS or bool(
            _OBJECTS.intersection(self._fs.protocol)
        )

    def names(self) -> list[str]:
        """Return the names of the files in it, sorted."""
        with reached(self.url):
            try:
                found = self._fs.ls(self._root, detail=False)
            except (FileNotFoundError, NotADirectoryError):
                return []
        return sorted(path.rstrip("/").rpartition("/")[2] for path in found)

    def __contains__(self, name: str) -> bool:
        """Return whether there is a file of that name."""
        with reached(self.url):
            return bool(self._fs.isfile(self._path(name)))

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        with reached(f"{self.url}/{name}"):
            content: bytes = self._fs.cat_file(self._path(name))
            return content

    @contextlib.contextmanager
    def opened(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file, of which only what is asked for is read."""
        with reached(f"{self.url}/{name}"), self._fs.open(self._path(name), "rb") as stream:
            yield stream

    def put(self, name: str, content: bytes) -> None:
        """Write a file: by one request, or under another name first and then renamed."""
        with reached(f"{self.url}/{name}"):
            if self._local:
                Path(self.url).mkdir(parents=True, exist_ok=True)
                with whole(Path(self.url, name), direct=False) as part:
                    part.write_bytes(content)
            elif self._single:
                self._fs.pipe_file(self._path(name), content)
            else:
                self._fs.makedirs(self._root, exist_ok=True)
                self._fs.pipe_file(self._path(f".{name}"), content)
                self._fs.mv(self._path(f".{name}"), self._path(name))

    def remove(self, name: str) -> None:
        """Remove a file."""
        with reached(f"{self.url}/{name}"):
            self._fs.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"
