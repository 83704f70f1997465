"""Towers as ONNX Runtime sessions; the only module that touches onnxruntime."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from clip_gaze.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

_INTEGERS = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
_ONLY_ERRORS = 3


def usable_cpus() -> int:
    """Return how many CPUs this process may use: its affinity, held to a cgroup's quota."""
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows have no affinity call in the standard library
        allowed = os.cpu_count() or 1
    return max(1, min(allowed, _quota() or allowed))


def _quota(folder: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return the CPUs that a Linux container's quota leaves, rounded up; None without one."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        else:
            quota, period = (
                (folder / "cpu" / f"cpu.cfs_{name}_us").read_text(encoding="ascii")
                for name in ("quota", "period")
            )
        return -(-int(quota) // int(period)) if int(quota) > 0 else None
    except (OSError, ValueError):
        return None


class Tower:
    """One encoder's graph. It reads its inputs' names and types from the graph itself."""

    def __init__(self, path: Path, threads: int | None = None) -> None:
        """Load a graph.

        Args:
            path: the .onnx file.
            threads: how many CPU threads a run uses; None: all that this process may use.

        Raises:
            ModelError: ONNX Runtime cannot load the file.

        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or usable_cpus()
        options.inter_op_num_threads = 1
        # Both keep memory of the largest batch so far; without them it is given back.
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        options.log_severity_level = _ONLY_ERRORS
        logger.debug("loading %s", path)
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            # onnxruntime's errors share no public base class below Exception.
            msg = f"{path}: ONNX Runtime cannot load this graph ({_first_line(error)})"
            raise ModelError(msg) from error
        self._inputs = {node.name: node for node in self._session.get_inputs()}
        outputs = [node.name for node in self._session.get_outputs()]
        self._output = next((name for name in outputs if name.endswith("_embeds")), outputs[0])
        first = self._session.get_inputs()[0].shape[0]
        self._fixed_batch = first if isinstance(first, int) else None
        self._path = path

    def images(self, pixel_values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Encode pixel values, (n, 3, size, size) float32, to (n, d) float32, not normalised."""
        return self._run({"pixel_values": pixel_values})

    def texts(self, input_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Encode token ids, (n, sequence) without padding, to (n, d) float32, not normalised."""
        return self._run({"input_ids": input_ids, "attention_mask": np.ones_like(input_ids)})

    def _run(self, offered: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Feed the inputs that the graph asks for, in its types, in the batches it accepts."""
        count = len(next(iter(offered.values())))
        step = self._fixed_batch or max(count, 1)
        parts = []
        for at in range(0, count, step):
            part = {name: array[at : at + step] for name, array in offered.items()}
            missing = (self._fixed_batch or 0) - (count - at)
            if missing > 0:
                part = {
                    name: np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])
                    for name, array in part.items()
                }
            parts.append(self._run_batch(part)[: count - at])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _run_batch(self, offered: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        feeds = {}
        for name, node in self._inputs.items():
            if name not in offered:
                msg = f"{self._path}: the graph asks for an input {name!r} that CLIP has not"
                raise ModelError(msg)
            feeds[name] = offered[name].astype(_INTEGERS.get(node.type, np.float32), copy=False)
        try:
            outputs = self._session.run([self._output], feeds)
        except Exception as error:
            msg = f"{self._path}: ONNX Runtime cannot run this graph ({_first_line(error)})"
            raise ModelError(msg) from error
        return np.asarray(outputs[0], dtype=np.float32)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
