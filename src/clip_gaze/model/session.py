"""Run a tower's graph with ONNX Runtime; the only module that imports onnxruntime."""

from __future__ import annotations

import logging
import os
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext, suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from clip_gaze.errors import ModelError
from clip_gaze.system.files import seeks_fast
from clip_gaze.system.malloc import give_back, giving_back, reusing
from clip_gaze.system.resources import usable_cpus
from clip_gaze.system.telemetry import SWITCH
from clip_gaze.wording import first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    # The axes of one row that a tower was run on, its type, and the largest number in it.
    Row = tuple[Sequence[int], str, int]

logger = logging.getLogger(__name__)

_LONGEST_REASON = 100
# What the runtime puts before a reason: numbers, the path once more, and a path of its sources.
_PREFIX = re.compile(
    r"\[ONNXRuntimeError\] : \d+ : \w+ : |Load model from .* failed:|/onnxruntime_src/\S+ "
)
_FIRST_WITH_NUMPY_2 = (1, 19)
_TYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}
# What goes wrong is raised, in one line; the runtime would write it to stderr as well.
_ONLY_FATAL = 4
# The release that first wrote weights in the layout that it computes with, and mapped them.
_FIRST_TO_PACK = (1, 21)
# Smaller weights stay inside the graph, in bytes.
_INSIDE = 1024
PACKED_DATA = "weights.bin"


class Tower:
    """One encoder's graph. It reads its inputs' names and types from the graph itself.

    A CLIP tower has one input, whatever its name, and perhaps a mask beside it.
    """

    def __init__(
        self,
        path: Path,
        threads: int | None = None,
        width: int | None = None,
        instead: str = "export the model again",
        *,
        packed: bool = False,
        rest: Sequence[Path] = (),
        into: Path | None = None,
    ) -> None:
        """Load a graph.

        Args:
            path: the .onnx file.
            threads: how many CPU threads a run uses; None: all that this process may use.
            width: how many numbers a vector must have; None: as many as the graph gives.
            instead: what to do about a graph that overflows.
            packed: whether an earlier load wrote the graph `into` this file: it is optimised, and
                its weights are mapped in the layout that the runtime computes with.
            rest: of a packed graph that is cut, the files of the parts after the first.
            into: where to write the graph as packed; its weights go beside it, to PACKED_DATA.

        Raises:
            ModelError: ONNX Runtime cannot load the file, or it is not the graph of a tower.

        """

        def load(path: Path) -> Any:
            return _session(path, threads, instead, packed=packed, into=into)

        if rest:
            self._sessions = _parts(load, [path, *rest])
        else:
            # Packed files are written in the background, where nobody must wait for their memory.
            with reusing() if packed else giving_back() if into is None else nullcontext():
                self._sessions = [load(path)]
        self.packed = packed
        self._path = path
        self._width = width
        self._instead = instead
        self._inputs = self._sessions[0].get_inputs()
        main = [node for node in self._inputs if "mask" not in node.name]
        if len(main) != 1 or any(node.type not in _TYPES for node in self._inputs):
            found = ", ".join(f"{node.name} {node.type}" for node in self._inputs)
            msg = f"{path}: is not the graph of one CLIP tower; its inputs are: {found or 'none'}"
            raise ModelError(msg)
        outputs = self._sessions[-1].get_outputs()
        named = [node.name for node in outputs if node.name.endswith("_embeds")]
        flat = [node.name for node in outputs if len(node.shape) == 2]
        self._output = (named or flat or [outputs[0].name])[0]
        first = main[0].shape[0] if main[0].shape else None
        self._fixed_batch = first if isinstance(first, int) else None
        self.row: Row | None = None  # what was run first

    def images(self, pixel_values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Encode pixel values, (n, 3, size, size) float32, to (n, d) float32, not normalised."""
        return self._run(pixel_values)

    def texts(self, input_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Encode token ids, (n, sequence) without padding, to (n, d) float32, not normalised."""
        return self._run(input_ids)

    def probe(self, row: Row, count: int) -> NDArray[np.float32]:
        """Encode made-up rows, which are the same on every machine: they are made without rounding.

        Args:
            row: what they look like.
            count: how many.
        """
        shape, kind, most = row
        numbers = np.arange(count * int(np.prod(shape)), dtype=np.uint64) * 2654435761 % 2**20
        floats = np.dtype(kind).kind == "f"
        made = numbers.astype(kind) / 2**18 - 2 if floats else (numbers % (most + 1)).astype(kind)
        return self._run(made.reshape(count, *shape))

    def _run(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Encode rows in the batches that the graph accepts."""
        step = self._fixed_batch or max(len(rows), 1)
        parts = []
        for at in range(0, len(rows), step):
            part = rows[at : at + step]
            missing = (self._fixed_batch or 0) - len(part)
            if missing > 0:
                part = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)])
            parts.append(self._run_batch(part)[: len(rows) - at])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _run_batch(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        # Nothing is padded, so that a mask covers every token.
        feeds = {
            node.name: (np.ones_like(rows) if "mask" in node.name else rows).astype(
                _TYPES[node.type], copy=False
            )
            for node in self._inputs
        }
        try:
            for session in self._sessions:
                taken = {node.name: feeds[node.name] for node in session.get_inputs()}
                last = session is self._sessions[-1]
                names = [self._output] if last else [node.name for node in session.get_outputs()]
                feeds |= zip(names, session.run(names, taken), strict=True)
            output = feeds[self._output]
        except Exception as error:
            ids = f" on token ids up to {rows.max()}" if rows.dtype == np.int64 else ""
            tokenizer = "; is tokenizer.json another model's?" if ids else ""
            reason = first_line(error)
            msg = f"{self._path}: ONNX Runtime cannot run this graph{ids} ({reason}){tokenizer}"
            raise ModelError(msg) from error
        vectors = np.asarray(output, dtype=np.float32)
        if vectors.ndim != 2 or len(vectors) != len(rows):
            msg = f"{self._path}: output {self._output} is {vectors.shape}, not one vector a row"
            raise ModelError(msg)
        if self._width not in (None, vectors.shape[1]):
            msg = (
                f"{self._path}: gives vectors of {vectors.shape[1]} numbers where the manifest "
                f"says {self._width}; export the model again"
            )
            raise ModelError(msg)
        # Squares, since these are what the length is made of; infinite ones are no warning here.
        with np.errstate(over="ignore", invalid="ignore"):
            if not np.isfinite(np.square(vectors).sum(axis=1)).all():
                msg = f"{self._path}: this graph gives numbers that are not finite; {self._instead}"
                raise ModelError(msg)
        if self.row is None:
            give_back()  # what the first run alone has needed
            self.row = rows.shape[1:], rows.dtype.name, int(rows.max())
        return vectors


def output_types(path: Path) -> dict[str, str]:
    """Return what a packed graph gives: names, and types such as "tensor(float)".

    Raises:
        ModelError: ONNX Runtime cannot load the file.
    """
    session = _session(path, 1, "", packed=True)
    return {node.name: node.type for node in session.get_outputs()}


def _parts(load: Callable[[Path], Any], paths: Sequence[Path]) -> list[Any]:
    """Load the parts of a packed graph, each in a thread of its own.

    ONNX Runtime packs each weight again, to see which packed one it is, in the thread that loads.
    They are loaded one after the other where there is one CPU or no thread, and where a disk would
    go to and fro between them.
    """
    first, *rest = paths
    with ExitStack() as stack:
        pools = [stack.enter_context(ThreadPoolExecutor(1)) for _ in rest]
        with reusing():
            if usable_cpus() == 1 or not seeks_fast(first.with_name(PACKED_DATA)):
                return [load(path) for path in paths]
            try:
                loading = [pool.submit(load, path) for pool, path in zip(pools, rest, strict=True)]
            except RuntimeError:
                return [load(path) for path in paths]
            sessions = [load(first), *(each.result() for each in loading)]
        for pool in pools:  # each thread has a heap of its own
            pool.submit(give_back)
    return sessions


@lru_cache(maxsize=1)
def _share_memory() -> None:
    """Let all packed graphs, and all parts of them, compute in the same memory, of a few MB.

    It stays the runtime's until the process ends. Only sessions that ask for it use it.
    """
    onnxruntime = _runtime()
    kind = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    # The program around this one may have done so.
    with suppress(Exception):
        onnxruntime.create_and_register_allocator(onnxruntime.OrtMemoryInfo("Cpu", *kind), None)


def _session(
    path: Path, threads: int | None, instead: str, *, packed: bool, into: Path | None = None
) -> Any:
    """Load a file; see `Tower`."""
    onnxruntime = _runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or usable_cpus()
    options.inter_op_num_threads = 1
    # What a run computes with stays the runtime's own, a few MB with ViT-B/32. Given back each
    # time, it lay scattered over the heaps of threads, and a folder took 20 MB more. Weights
    # stay outside, since the first copy of each is given back.
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    # Several pictures may be in the graph at once: a thread that waits leaves its CPU to them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = _ONLY_FATAL
    if packed:
        _share_memory()
        options.add_session_config_entry("session.use_env_allocators", "1")
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if into is not None:
        options.optimized_model_filepath = str(into)
        for name, value in (
            ("save_external_prepacked_constant_initializers", "1"),
            ("optimized_model_external_initializers_file_name", PACKED_DATA),
            ("optimized_model_external_initializers_min_size_in_bytes", str(_INSIDE)),
        ):
            options.add_session_config_entry(f"session.{name}", value)
    # Windows has another telemetry than the one that the variable stops.
    if os.environ.get(SWITCH) == "1" and hasattr(onnxruntime, "disable_telemetry_events"):
        onnxruntime.disable_telemetry_events()
    logger.debug("loading %s", path)
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # onnxruntime's errors share no public base class below Exception.
        reason = _PREFIX.sub("", first_line(error))[:_LONGEST_REASON]
        msg = f"{path}: onnxruntime {version()} cannot load this graph ({reason}); {instead}"
        raise ModelError(msg) from error


def can_pack() -> bool:
    """Return whether this release of ONNX Runtime writes packed weights, and maps them."""
    return numbers(version()) >= _FIRST_TO_PACK


def version() -> str:
    """Return the release of ONNX Runtime, such as "1.32.0"."""
    return str(_runtime().__version__)


def build() -> str:
    """Return a text that differs between two builds of ONNX Runtime."""
    return f"{version()} {_runtime().get_build_info()}"


def _runtime() -> Any:
    """Return onnxruntime; a picture that is known needs none, and saves 25 ms and 20 MB."""
    import onnxruntime  # noqa: PLC0415 - see above

    if hasattr(np, "_core") and numbers(onnxruntime.__version__) < _FIRST_WITH_NUMPY_2:
        msg = (
            f"onnxruntime {onnxruntime.__version__} does not work with numpy {np.__version__}; "
            'pip install "numpy<2"'
        )
        raise ModelError(msg)
    return onnxruntime


def numbers(version: str) -> tuple[int, ...]:
    """Return a version's numbers, so far as it is a release, and three at least.

    >>> numbers("1.24.2.dev1"), numbers("1.9")
    ((1, 24, 2), (1, 9, 0))
    """
    found = re.match(r"\d+(\.\d+)*", version)
    parts = tuple(map(int, found[0].split("."))) if found else ()
    return parts + (0,) * (3 - len(parts))
