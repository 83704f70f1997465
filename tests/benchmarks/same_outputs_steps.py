"""The steps of `same_outputs.py`: what is run with one of the packages, and what comes of it."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click
from pyarrow import parquet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

USES = Path(__file__).with_name("same_outputs_uses.py")
BOUNDARY = "same-outputs"
PATIENCE = 300  # seconds for a step, on a machine that has other work too
# What comes of a step, by what it is: "exit code", "stdout", ...
Found = dict[str, bytes]


@dataclass(frozen=True)
class Case:
    """Steps that are done one after the other, in a folder of their own."""

    name: str
    number: int
    steps: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Side:
    """One of the two packages.

    Attributes:
        python: its interpreter.
        home: a folder for all that it writes.
        hub: address that models are fetched from.

    """

    python: Path
    home: Path
    hub: str

    def environment(self) -> dict[str, str]:
        """Return all variables that a process of this package gets."""
        folders = {"CLIP_GAZE_CACHE": "cache", "HF_HOME": "hf", "HOME": "home"}
        own = {name: str(self.home / folder) for name, folder in folders.items()}
        fixed = {"COLUMNS": "100", "LANG": "C.UTF-8", "NO_PROXY": "*", "TERM": "dumb"}
        hub = {"HF_ENDPOINT": self.hub, "HF_HUB_OFFLINE": "1"}
        # Bars show the time, and come only where something takes long; the header `allow` of
        # Starlette has the order of a set.
        steady = {"ORT_DISABLE_TELEMETRY": "1", "PYTHONHASHSEED": "0", "TQDM_DISABLE": "1"}
        return own | fixed | hub | steady | {"PATH": os.environ["PATH"]}

    def package(self) -> Path:
        """Return the folder that `clip_gaze` is imported from."""
        code = "import clip_gaze, os; print(os.path.dirname(os.path.abspath(clip_gaze.__file__)))"
        done = subprocess.run(
            [self.python, "-c", code], cwd=self.home, env=self.environment(), capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        if done.returncode or not done.stdout:
            msg = f"{self.python}: is no Python that has clip-gaze {done.stderr}"
            raise click.UsageError(msg)
        return Path(done.stdout.strip())


class Run:
    """A case that is under way with one of the packages."""

    def __init__(self, side: Side, folder: Path) -> None:
        """Prepare to do steps in a folder that has the fixtures."""
        self._side, self._folder = side, folder
        self._environment: dict[str, str] = {}
        self._server: subprocess.Popen[bytes] | None = None
        self._port = 0

    def step(self, line: str) -> Found:
        """Do a step, and return what comes of it."""
        words = shlex.split(line)
        self._environment = self._side.environment()
        while words and re.match(r"[A-Z_]+=", words[0]):
            name, _, value = words.pop(0).partition("=")
            self._environment[name] = value
        kind, *rest = words or [""]
        steps: dict[str, Callable[..., Found]] = {
            "tty": self._tty,
            "closed": self._closed,
            "script": self._script,
            "uses": self._uses,
            "cut": self._cut,
            "spoil": self._spoil,
            "cache": self._cache,
            "up": self._up,
            "GET": self._get,
            "POST": self._post,
        }
        return steps[kind](*rest) if kind in steps else self._package(*words)

    def end(self) -> Found:
        """Stop the server, if there is one, and return what it said."""
        if self._server is None:
            return {}
        self._server.terminate()
        return {f"server: {what}": text for what, text in self._ended(self._server).items()}

    def _package(self, *words: str) -> Found:
        return self._ended(self._start(self._side.python, "-m", "clip_gaze", *words))

    def _script(self, *words: str) -> Found:
        return self._ended(self._start(self._side.python.with_name("clip-gaze"), *words))

    def _uses(self, *words: str) -> Found:
        return self._ended(self._start(self._side.python, USES, *words))

    def _tty(self, *words: str) -> Found:
        reader, terminal = os.openpty()
        process = self._start(self._side.python, "-m", "clip_gaze", *words, stdout=terminal)
        os.close(terminal)
        heard = b""
        with contextlib.suppress(OSError):  # so Linux says that a terminal has ended
            while more := os.read(reader, 1 << 16):
                heard += more
        os.close(reader)
        return self._ended(process) | {"stdout": heard}

    def _closed(self, *words: str) -> Found:
        reader, writer = os.pipe()
        os.close(reader)
        process = self._start(self._side.python, "-m", "clip_gaze", *words, stdout=writer)
        os.close(writer)
        return self._ended(process)

    def _start(self, *words: str | Path, stdout: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE,
            cwd=self._folder, env=self._environment,
        )  # fmt: skip

    def _ended(self, process: subprocess.Popen[bytes]) -> Found:
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
        return {"exit code": str(process.returncode).encode(), "stdout": out or b"", "stderr": err}

    def _cut(self, name: str) -> Found:
        path = self._folder / name
        os.truncate(path, path.stat().st_size - 20)
        return {}

    def _spoil(self, name: str) -> Found:
        path = self._folder / name
        path.write_bytes(path.read_bytes()[:-1] + b"?")
        return {}

    def _cache(self) -> Found:
        return dict(files(self._side.home / "cache")) | dict(files(self._side.home / "hf"))

    def _up(self, *words: str) -> Found:
        options = ("serve", "--port", "0", "--no-open", *words)
        self._server = self._start(self._side.python, "-m", "clip_gaze", *options)
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        port = re.search(rb":(\d+)/", line)
        self._port = int(port[1]) if port else 0
        return {"stdout": line}

    def _get(self, path: str, *items: str) -> Found:
        return self._ask("GET", path, *items)

    def _post(self, path: str, *items: str) -> Found:
        return self._ask("POST", path, *items)

    def _ask(self, method: str, path: str, *items: str) -> Found:
        headers: dict[str, str] = {}
        parts = []
        for item in items:
            name, kind, value = re.split("([:=@])", item, maxsplit=1)
            if kind == ":":
                headers[name] = value
                continue
            file = f'; filename="{value}"' if kind == "@" else ""
            content = (self._folder / value).read_bytes() if kind == "@" else value.encode()
            head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
            parts += [head.encode(), content, b"\r\n"]
        if parts:
            parts.append(f"--{BOUNDARY}--\r\n".encode())
            headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"} | headers
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request(method, path, b"".join(parts) or None, headers)
            answer = connection.getresponse()
            kept = [f"{name}: {value}" for name, value in answer.getheaders() if name != "date"]
            body = answer.read()
        status = f"{answer.status} {answer.reason}".encode()
        return {"status": status, "headers": "\n".join(kept).encode(), "body": body}


def did(case: Case, side: Side, given: Path) -> Found:
    """Do a case in a copy of the folder `given`, and return all that comes of it."""
    folder = side.home / "cases" / f"{case.number:03}"
    shutil.copytree(given, folder)
    run, found = Run(side, folder), Found()
    try:
        for number, line in enumerate(case.steps or [""], 1):
            try:
                gave = run.step(line)
            except (OSError, http.client.HTTPException) as error:
                gave = {"error": repr(error).encode()}
            found |= {f"step {number}, {line}: {what}": text for what, text in gave.items()}
    finally:
        found |= run.end()
    return found | dict(files(folder, given))


def files(folder: Path, given: Path | None = None) -> Iterator[tuple[str, bytes]]:
    """Yield what the files of a folder hold and may be, but for those that `given` has as well."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name, content = path.relative_to(folder), path.read_bytes()
        known = given and (given / name).is_file() and (given / name).read_bytes() == content
        if not known:
            yield f"file {name}: mode", oct(path.stat().st_mode).encode()
            yield (
                f"file {name}",
                content if content[:4] not in TABLES else TABLES[content[:4]](path),
            )


def _parquet_rows(path: Path) -> bytes:
    read = parquet.read_table(path)
    return "\n".join(map(str, [read.schema, *read.to_pylist()])).encode()


def _sqlite_rows(path: Path) -> bytes:
    lines = []
    with contextlib.closing(sqlite3.connect(path)) as database:
        schema = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
        for name, sql in schema.fetchall():
            rows = database.execute(f"SELECT * FROM {name}")
            columns = [each[0] for each in rows.description]
            cells = [dict(zip(columns, row, strict=True)) for row in rows]
            lines += [sql, *(str(row | {"mtime_ns": "<time>"}) for row in cells)]
    return "\n".join(lines).encode()


TABLES = {b"PAR1": _parquet_rows, b"SQLi": _sqlite_rows}
