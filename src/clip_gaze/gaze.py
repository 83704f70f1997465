"""The two functions of clip-gaze 0.3.0, on models that are opened once and kept."""

from __future__ import annotations

import atexit
import os
import threading
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from clip_gaze.clip import Clip
    from clip_gaze.pictures.source import Picture

_opening = threading.Lock()
_kept: dict[str | None, Clip] = {}


@overload
def gaze(  # type: ignore[overload-overlap] # a mapping is an iterable, too
    image: Picture, prompts: Mapping[str, Iterable[str]], only_show_best: int | None = ...,
    format_output: bool = ..., batch_size: int | None = ..., device: str = ...,
    model: str | os.PathLike[str] | None = ..., *, corrected: bool = ...,
) -> dict[str, list[str]] | dict[str, list[tuple[str, float]]]: ...  # fmt: skip
@overload
def gaze(
    image: Picture, prompts: Iterable[str], only_show_best: int | None = ...,
    format_output: bool = ..., batch_size: int | None = ..., device: str = ...,
    model: str | os.PathLike[str] | None = ..., *, corrected: bool = ...,
) -> list[str] | list[tuple[str, float]]: ...  # fmt: skip
def gaze(
    image: Picture,
    prompts: Iterable[str] | Mapping[str, Iterable[str]],
    only_show_best: int | None = 5,
    format_output: bool = True,
    batch_size: int | None = None,  # noqa: ARG001 - no result and no memory depends on it
    device: str = "cpu",
    model: str | os.PathLike[str] | None = None,
    *,
    corrected: bool = False,
) -> object:
    """Return the phrases that CLIP finds most likely for a picture, best first.

    Args:
        image: a PIL image, taken as it is, or a path, opened upright.
        prompts: phrases; or a dict of name -> phrases, each list with its own softmax.
        only_show_best: how many of each list; None for all.
        format_output: whether to return "by paul cézanne (82%)" in place of
            ("by paul cézanne", 0.82).
        batch_size: accepted for old scripts; has no effect.
        device: accepted for old scripts; anything but "cpu" warns once and runs on the CPU.
        model: a model's name or folder; None: clip-vit-base-patch32.
        corrected: take away from each logit what the phrase gets from neutral pictures.

    Returns:
        A list for a list, a dict of lists for a dict.

    Raises:
        GazeError: the picture cannot be read, or the model cannot be used.

    """
    _on_cpu(device)
    return _clip(model).gaze(image, prompts, only_show_best, format_output, corrected=corrected)


def probabilities(
    image: Picture,
    prompts: Iterable[str],
    batch_size: int | None = None,  # noqa: ARG001 - no result and no memory depends on it
    device: str = "cpu",
    model: str | os.PathLike[str] | None = None,
    *,
    corrected: bool = False,
) -> list[tuple[str, float]]:
    """Return each phrase with its probability relative to the others, in their own order.

    Args:
        image: a PIL image, taken as it is, or a path, opened upright.
        prompts: phrases; the probabilities sum to 1 over all of them.
        batch_size: accepted for old scripts; has no effect.
        device: accepted for old scripts; anything but "cpu" warns once and runs on the CPU.
        model: a model's name or folder; None: clip-vit-base-patch32.
        corrected: take away from each logit what the phrase gets from neutral pictures.

    Raises:
        GazeError: the picture cannot be read, or the model cannot be used.

    """
    _on_cpu(device)
    return _clip(model).probabilities(image, prompts, corrected=corrected)


def _on_cpu(device: str) -> None:
    if device != "cpu":
        _warn_of_device()


@lru_cache(maxsize=1)
def _warn_of_device() -> None:
    """Warn; the cache makes it once a process."""
    warnings.warn("clip-gaze runs on the CPU alone; device is ignored", stacklevel=4)


def _clip(model: str | os.PathLike[str] | None) -> Clip:
    """Return the open model of that name; one is kept, so that old scripts load it once."""
    # Here, so that `import clip_gaze` does not load onnxruntime.
    from clip_gaze.clip import Clip  # noqa: PLC0415

    key = None if model is None else os.fspath(model)
    with _opening:
        if key not in _kept:
            atexit.unregister(_close)
            atexit.register(_close)  # before others that were registered for Clip's own parts
            _kept.clear()
            _kept[key] = Clip(key)
        return _kept[key]


def _close() -> None:
    """Close the model that is kept, so that its store is put in order."""
    for clip in _kept.values():
        clip.close()
    _kept.clear()


def _after_fork() -> None:
    """Make the lock anew in a forked process: another thread may have held it."""
    global _opening  # noqa: PLW0603
    _opening = threading.Lock()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_after_fork)
