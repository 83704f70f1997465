"""Read multipart forms into memory with Starlette's parser, within limits."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from clip_gaze.output.terminal import clean
from clip_gaze.web.responses import RefusedError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.datastructures import FormData
    from starlette.requests import Request

MOST_FILES = 20
MOST_FIELDS = 2200
LONGEST_PHRASE = 300  # letters
LONGEST_VALUE = 4 * LONGEST_PHRASE  # bytes: UTF-8 has at most four a letter
_LONGEST_NAME = 120
# The first words of what Starlette says -> status and line of the answer.
_REFUSALS = {
    "Too many files": (413, f"at most {MOST_FILES} pictures go into one form"),
    "Too many fields": (413, f"a form has at most {MOST_FIELDS:,} parts"),
    "The Content-Disposition header": (400, "a part of the form has no name"),
}


@dataclass(frozen=True, slots=True)
class Upload:
    """An uploaded file and its name, which is a label and never a path."""

    name: str
    file: io.BytesIO


@dataclass(slots=True)
class Form:
    """The fields and files of a form, in its order."""

    values: dict[str, list[str]] = field(default_factory=dict)
    uploads: dict[str, list[Upload]] = field(default_factory=dict)


async def read(request: Request) -> Form:
    """Read a form as it comes.

    Args:
        request: the request, whose body's size is limited already.

    Raises:
        RefusedError: it is no form, or has more or larger parts than allowed.

    """
    content_type = request.headers.get("content-type", "")
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise RefusedError(415, "send the picture as a form: multipart/form-data with a boundary")
    # Text comes as its bytes, to be decoded here: Starlette would guess where it is not UTF-8.
    headers = Headers({"content-type": f"{content_type}; charset=latin-1"})

    async def whole() -> AsyncGenerator[bytes, None]:
        async for chunk in request.stream():
            yield chunk
        if not parser.complete:
            raise RefusedError(400, "the form is cut short: its last boundary is missing")

    parser = _Parser(
        headers,
        whole(),
        max_files=MOST_FILES,
        max_fields=MOST_FIELDS,
        max_part_size=LONGEST_VALUE,
    )
    try:
        found = await parser.parse()
    except MultiPartException as error:
        raise parser.refused(error) from None
    try:
        return _form(found)
    finally:
        await found.close()


def _form(found: FormData) -> Form:
    form = Form()
    for raw, value in found.multi_items():
        name = _decoded(raw, "a name")
        if isinstance(value, UploadFile):
            upload = Upload(_label(value.filename or ""), io.BytesIO(value.file.read()))
            form.uploads.setdefault(name, []).append(upload)
        else:
            form.values.setdefault(name, []).append(_decoded(value, quoted(name)))
    return form


class _Parser(MultiPartParser):
    """Starlette's parser, which writes nothing to disk and notes whether the form is complete."""

    spool_max_size = 0  # files of any size stay in memory

    complete = False

    def on_headers_finished(self) -> None:
        # A file need not be called anything.
        part = self._current_part
        kind = dict(part.item_headers).get(b"content-type", b"text")
        if not kind.startswith(b"text") and b"filename=" not in (part.content_disposition or b""):
            part.content_disposition = (part.content_disposition or b"") + b'; filename=""'
        super().on_headers_finished()

    def on_end(self) -> None:
        self.complete = True

    def refused(self, error: MultiPartException) -> RefusedError:
        """Return the answer that an error of the parser becomes."""
        if error.message.startswith("Part exceeded"):
            name = self._current_part.field_name
            return RefusedError(413, f"{quoted(_decoded(name, 'a name'))} is too long")
        for words, (status, line) in _REFUSALS.items():
            if error.message.startswith(words):
                return RefusedError(status, line)
        return RefusedError(400, f"the form is malformed ({error.__cause__ or error.message})")


def _decoded(raw: str, what: str) -> str:
    """Return the text of bytes that stand in a string as Latin-1."""
    try:
        return raw.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        raise RefusedError(400, f"{what} is not UTF-8 text") from None


def quoted(name: str) -> str:
    """Return the name of a field for an error."""
    return repr(clean(name[:_LONGEST_NAME]))


def _label(raw: str) -> str:
    """Return a file's name as a label on one line; browsers write its quotes as %22."""
    text = raw.encode("latin-1").decode("utf-8", "replace")
    name = clean(text.replace("%22", '"')).strip()
    cut = name if len(name) <= _LONGEST_NAME else "…" + name[1 - _LONGEST_NAME :]
    return cut or "picture"
