"""Forms to text and pictures as their bytes come; all in memory, and no more than allowed."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from clip_gaze.output.terminal import clean
from clip_gaze.web.guard import RefusedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MOST_FILES = 20
MOST_PARTS = 2200
LONGEST_VALUE = 1200  # bytes
_LONGEST_NAME = 120


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture file as it came, and what it is called; the name is a label, never a path."""

    name: str
    file: io.BytesIO


@dataclass(slots=True)
class Form:
    """What a form has, in its order."""

    values: dict[str, list[str]] = field(default_factory=dict)
    uploads: dict[str, list[Upload]] = field(default_factory=dict)


async def read(body: AsyncIterator[bytes], content_type: str | None) -> Form:
    """Read a form as it comes.

    Args:
        body: its bytes; who sends them has made sure that they are not too many.
        content_type: what the request says of itself.

    Raises:
        RefusedError: it is no form, or has more or larger parts than allowed.

    """
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise RefusedError(415, "send the picture as a form: multipart/form-data with a boundary")
    parts = _Parts()
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": parts.begin,
                "on_header_field": parts.header_field,
                "on_header_value": parts.header_value,
                "on_header_end": parts.header_end,
                "on_headers_finished": parts.headers_finished,
                "on_part_data": parts.data,
                "on_part_end": parts.end,
                "on_end": parts.finish,
            },
        )
        async for chunk in body:
            if chunk:
                parser.write(chunk)
    except FormParserError as error:
        raise RefusedError(400, f"the form is malformed ({error})") from None
    if not parts.complete:
        raise RefusedError(400, "the form is cut short: its last boundary is missing")
    return parts.form


class _Parts:
    """Gathers the parts of a form, and refuses what is too much as soon as it comes."""

    def __init__(self) -> None:
        self.form = Form()
        self.complete = False
        self._count = 0
        self._headers: dict[bytes, bytes] = {}
        self._field = self._value = b""
        self._data = io.BytesIO()
        self._name = ""
        self._label: str | None = None

    def begin(self) -> None:
        self._count += 1
        if self._count > MOST_PARTS:
            raise RefusedError(413, f"a form has at most {MOST_PARTS:,} parts")
        self._headers = {}
        self._data = io.BytesIO()

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def headers_finished(self) -> None:
        disposition = self._headers.get(b"content-disposition", b"").decode("latin-1")
        kind, options = parse_options_header(disposition)
        if kind != b"form-data" or b"name" not in options:
            raise RefusedError(400, "a part of the form has no name")
        self._name = _decoded(options[b"name"], "a name")
        label = options.get(b"filename")
        if label is None and not self._headers.get(b"content-type", b"text").startswith(b"text"):
            label = b""  # a file need not be called anything
        self._label = None if label is None else _label(label)
        files = sum(map(len, self.form.uploads.values()))
        if self._label is not None and files >= MOST_FILES:
            raise RefusedError(413, f"at most {MOST_FILES} pictures go into one form")

    def data(self, data: bytes, start: int, end: int) -> None:
        if self._label is None and self._data.tell() + end - start > LONGEST_VALUE:
            raise RefusedError(413, f"{quoted(self._name)} is too long")
        self._data.write(memoryview(data)[start:end])

    def end(self) -> None:
        if self._label is None:
            value = _decoded(self._data.getvalue(), quoted(self._name))
            self.form.values.setdefault(self._name, []).append(value)
        else:
            self._data.seek(0)
            upload = Upload(self._label, self._data)
            self.form.uploads.setdefault(self._name, []).append(upload)

    def finish(self) -> None:
        self.complete = True


def _decoded(value: bytes, what: str) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise RefusedError(400, f"{what} is not UTF-8 text") from None


def quoted(name: str) -> str:
    """Return the name of a field for an error."""
    return repr(clean(name[:_LONGEST_NAME]))


def _label(raw: bytes) -> str:
    """Return a file's name as a label on one line; browsers write its quotes as %22."""
    name = clean(raw.decode("utf-8", "replace").replace("%22", '"')).strip()
    cut = name if len(name) <= _LONGEST_NAME else "…" + name[1 - _LONGEST_NAME :]
    return cut or "picture"
