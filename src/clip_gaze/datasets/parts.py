"""Write and read the parts of a dataset: whole Parquet files of vectors or answers."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass
from functools import partial
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np

from clip_gaze.analysis.similarity import normalise
from clip_gaze.output import tables
from clip_gaze.output.names import as_text
from clip_gaze.system.storage import is_url

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    About = Mapping[str, Any]

_KEY = b"clip_gaze"
# One request brings it, and few footers are longer.
_USUAL_FOOTER = 1 << 16
arrow = partial(tables.arrow, "a dataset", "cluster")


@dataclass(frozen=True, slots=True)
class Rows:
    """Pictures of a part.

    Attributes:
        names: paths and URLs.
        stamps: ETag, or size and time, of each; None where none is known.
        vectors: (n, d) float32, L2-normalised; zeros for a picture that could not be read.
        errors: why it could not be read; None where it could.

    """

    names: Sequence[str]
    stamps: Sequence[str | None]
    vectors: NDArray[np.float32]
    errors: Sequence[str | None]

    @property
    def good(self) -> NDArray[np.bool_]:
        """Whether each could be read, (n,) bool."""
        return np.array([error is None for error in self.errors], bool)

    def records(self) -> list[dict[str, Any]]:
        """Return the rows, whose keys are the columns of a dataset."""
        each = zip(self.names, self.stamps, self.vectors, self.errors, strict=True)
        return [
            {"name": name, "stamp": stamp, "vector": None if error else vector, "error": error}
            for name, stamp, vector, error in each
        ]


def schema(about: About) -> Any:
    """Return the schema of vectors.

    Args:
        about: what the dataset holds, for the schema's metadata; "dim" is the length of a vector,
            "half" whether it is float16.

    """
    pa, _ = arrow()
    number = pa.float16() if about["half"] else pa.float32()
    fields = {
        "name": pa.string(),
        "stamp": pa.string(),
        "vector": pa.list_(number, about["dim"]),
        "error": pa.string(),
    }
    return pa.schema(fields.items(), metadata(about))


def metadata(about: About) -> dict[bytes, str]:
    """Return what a dataset holds, as the metadata of its schema have it."""
    return {_KEY: json.dumps(about)}


def vectors(rows: Rows, about: About) -> Any:
    """Return rows as a table of Arrow."""
    pa, _ = arrow()
    kind = np.float16 if about["half"] else np.float32
    flat = pa.array(rows.vectors.astype(kind).ravel())
    columns = [
        texts(rows.names),
        pa.array(rows.stamps, pa.string()),
        pa.FixedSizeListArray.from_arrays(flat, about["dim"], mask=pa.array(~rows.good)),
        texts(rows.errors),
    ]
    return pa.table(columns, schema=schema(about))


def texts(names: Sequence[str | None]) -> Any:
    """Return names, or errors with names in them, as an array of Arrow; see `as_text`."""
    pa, _ = arrow()
    return pa.array([name and as_text(name) for name in names], pa.string())


def packed(table: Any) -> bytes:
    """Return a table as a Parquet file; equal tables give equal files."""
    pa, parquet = arrow()
    file = io.BytesIO()
    words = [field.name for field in table.schema if pa.types.is_string(field.type)]
    parquet.write_table(table, file, compression="zstd", use_dictionary=words)
    return file.getvalue()


def rows(content: bytes) -> Rows:
    """Return the pictures of a part."""
    _, parquet = arrow()
    table = parquet.read_table(io.BytesIO(content), use_threads=False).combine_chunks()
    lists = table.column("vector").combine_chunks()
    dim = lists.type.list_size
    errors = table.column("error").to_pylist()
    names = [name_of(text) for text in table.column("name").to_pylist()]
    vectors = np.zeros((len(table), dim), np.float32)
    found = Rows(names, table.column("stamp").to_pylist(), vectors, errors)
    # `flatten` leaves out what is null.
    some = np.asarray(lists.flatten()).reshape(-1, dim)
    vectors[found.good] = normalise(some.astype(np.float32)) if some.dtype == np.float16 else some
    return found


def answers(content: bytes) -> list[dict[str, Any]]:
    """Return the rows of a part of answers."""
    _, parquet = arrow()
    found: list[dict[str, Any]] = parquet.read_table(io.BytesIO(content)).to_pylist()
    return found


def footer(stream: IO[bytes]) -> bytes:
    """Return the end of a part, with all of its footer, which says what it holds."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - _USUAL_FOOTER))
    end = stream.read()
    # The last 8 bytes are the footer's length and "PAR1".
    length = int.from_bytes(end[-8:-4], "little") + 8
    if len(end) < length <= size:
        stream.seek(size - length)
        end = stream.read()
    return end


def errors(footer: bytes) -> int:
    """Return how many rows of a part have an error, as its footer says."""
    _, parquet = arrow()
    metadata = parquet.read_metadata(io.BytesIO(footer))
    at = metadata.schema.names.index("error")
    nulls = sum(
        metadata.row_group(group).column(at).statistics.null_count
        for group in range(metadata.num_row_groups)
    )
    return int(metadata.num_rows - nulls)


def about(content: bytes) -> dict[str, Any] | None:
    """Return what a Parquet file's metadata say of a dataset of ours; None where they do not."""
    pa, parquet = arrow()
    try:
        metadata = parquet.read_schema(io.BytesIO(content)).metadata or {}
        found = json.loads(metadata[_KEY])
    except (pa.ArrowInvalid, KeyError, OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def name_of(text: str) -> str:
    """Return the path of which `as_text` made a text."""
    return text if is_url(text) else unquote(text, errors=sys.getfilesystemencodeerrors())
