"""The two functions of clip-gaze 0.3.0, on models that are opened once and kept."""

from __future__ import annotations

TYPE_CHECKING = False  # the package imports this module at once: typing would take milliseconds
if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping
    from typing import overload

    from clip_gaze.pictures.source import Picture

if TYPE_CHECKING:  # a block of its own, so that mypy takes them together with the function

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
) -> (
    list[str] | list[tuple[str, float]] | dict[str, list[str]] | dict[str, list[tuple[str, float]]]
):
    """Return the phrases that CLIP finds most likely for a picture, best first.

    Args:
        image: a path, bytes or a binary file, opened upright; or a PIL image or an array of
            uint8, (H, W), (H, W, 3) or (H, W, 4), taken as it is.
        prompts: phrases; or a dict of name -> phrases, each list with its own softmax.
        only_show_best: how many of each list; None for all.
        format_output: whether to return "by paul cézanne (82%)" in place of
            ("by paul cézanne", 0.82).
        batch_size: accepted for old scripts; has no effect.
        device: accepted for old scripts; anything but "cpu" warns once and runs on the CPU.
        model: a model's name or folder; None: clip-vit-base-patch32.
        corrected: subtract from each logit the phrase's mean logit over neutral pictures.

    Returns:
        A list for a list, a dict of lists for a dict.

    Raises:
        GazeError: the picture cannot be read, or the model cannot be used.

    """
    from clip_gaze.kept import opened  # noqa: PLC0415 - loads onnxruntime

    return opened(model, device).gaze(
        image, prompts, only_show_best, format_output, corrected=corrected
    )


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
        image: a path, bytes or a binary file, opened upright; or a PIL image or an array of
            uint8, (H, W), (H, W, 3) or (H, W, 4), taken as it is.
        prompts: phrases; the probabilities sum to 1 over all of them.
        batch_size: accepted for old scripts; has no effect.
        device: accepted for old scripts; anything but "cpu" warns once and runs on the CPU.
        model: a model's name or folder; None: clip-vit-base-patch32.
        corrected: subtract from each logit the phrase's mean logit over neutral pictures.

    Raises:
        GazeError: the picture cannot be read, or the model cannot be used.

    """
    from clip_gaze.kept import opened  # noqa: PLC0415 - loads onnxruntime

    return opened(model, device).probabilities(image, prompts, corrected=corrected)
