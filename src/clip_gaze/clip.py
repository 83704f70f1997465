"""`Clip`: the one object that owns a model's sessions and the store of vectors."""

from __future__ import annotations

import ctypes
import os
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Self, overload
from weakref import WeakSet

import numpy as np

from clip_gaze.analysis import similarity
from clip_gaze.analysis.heatmap import heat_maps, questions
from clip_gaze.analysis.occlusion import RUNS
from clip_gaze.analysis.ranking import Ranking, ranking
from clip_gaze.errors import ClosedError, PictureError
from clip_gaze.model import download, registry
from clip_gaze.model.towers import Towers
from clip_gaze.pictures.encoder import Pictures, Pools, label_of
from clip_gaze.results import HeatMap, PictureResult
from clip_gaze.store import Store
from clip_gaze.system.paths import cache_folder
from clip_gaze.system.resources import checked_threads, usable_cpus
from clip_gaze.texts import encoder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

    from numpy.typing import NDArray

    from clip_gaze.analysis.heatmap import Question
    from clip_gaze.model.manifest import Manifest
    from clip_gaze.pictures.encoder import Picture
    from clip_gaze.texts.encoder import Progress


class Clip:
    """A CLIP model, ready to look at pictures; a context manager, safe to share between threads.

    A tower is loaded when it is first needed. Phrases come from the store where they were
    encoded before; then the text tower is not loaded at all. A process made by fork gets sessions
    of its own; an iterator of results stays with the process that began it.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        variant: str | None = None,
        threads: int | None = None,
        *,
        offline: bool = False,
        store: bool = True,
        max_megapixels: float | None = None,
        progress: Progress | None = None,
        templates: Sequence[str] = (),
    ) -> None:
        """Find the model, fetch what of it is missing, check its files; no graph is loaded yet.

        Args:
            model: a name under models/, or a model folder; None: clip-vit-base-patch32.
            variant: one of the model's variants; None: its default.
            threads: CPU threads for each graph, up to 256; None: all that this process may use.
            offline: never touch the network.
            store: keep vectors of phrases and files for later runs, and use those that are kept.
            max_megapixels: larger picture files are refused; None: what fits in half the free
                memory.
            progress: called with (done, total) while phrases are encoded.
            templates: such as "a painting {}": a phrase's vector is the mean of its vectors in
                each of them; none: it stands alone.

        Raises:
            PhraseListError: a template does not say where the phrase stands.
            ModelError: the model or variant is unknown, or a file is missing or altered.
            DownloadError: files are missing and cannot be fetched.
            GazeError: there cannot be so many threads.

        """
        self._threads = checked_threads(threads)
        self.templates = encoder.checked(templates)
        found = registry.find(model)
        self.manifest: Manifest = found.manifest
        files = download.ready(found, variant, offline=offline)
        self.variant, self._files = files.variant, files
        self._max_pixels = int(max_megapixels * 1e6) if max_megapixels else None
        self._progress = progress
        self._neutral: NDArray[np.float32] | None = None
        self._keep = store
        self._closed = False
        self._begin()
        self._open_store()  # what is wrong with it is said first of all
        _OPEN.add(self)

    def encode_images(self, images: Iterable[Picture]) -> NDArray[np.float32]:
        """Return the vector of each picture.

        Args:
            images: PIL images, taken as they are, or paths, opened upright. They are asked for
                one after the other, so that only one needs to be in memory.

        Returns:
            (n, d) float32, L2-normalised.

        Raises:
            PictureError: one of them cannot be read.

        """
        rows = list(self._raised(images))
        return np.stack(rows) if rows else np.empty((0, self.manifest.embedding_dim), np.float32)

    def encode_texts(self, phrases: Iterable[str]) -> NDArray[np.float32]:
        """Return the vector of each phrase, from the store where it can.

        Args:
            phrases: any text; a phrase with too many tokens is cut, and a warning names it.

        Returns:
            (n, d) float32, L2-normalised.

        """
        encode = partial(
            encoder.encode,
            manifest=self.manifest,
            files=self._files,
            store=self._open_store(),
            tower=self._towers.text,
            progress=self._progress,
        )
        return encoder.ensemble(phrases, self.templates, encode)

    def favour(self, phrases: Sequence[str]) -> NDArray[np.float32]:
        """Return what a phrase gets from a picture that shows nothing.

        Args:
            phrases: any text.

        Returns:
            (n,) float32, the mean logit of each phrase over the neutral pictures (`neutral.py`).

        """
        text_embeds = self.encode_texts(phrases)
        mean = self._neutral_mean()
        (logits,) = similarity.logits(mean[None], text_embeds, self.manifest.logit_scale)
        return np.asarray(logits)

    def probabilities(
        self, image: Picture, phrases: Sequence[str], *, corrected: bool = False
    ) -> list[tuple[str, float]]:
        """Return each phrase with its probability relative to the others, in their own order.

        The softmax over logit_scale * cosine, as in CLIP (Radford et al., 2021, figure 3).

        Args:
            image: a PIL image or a path.
            phrases: what may describe it; probabilities sum to 1 over all of them.
            corrected: take away from each logit what the phrase gets from neutral pictures.

        Raises:
            PictureError: the picture cannot be read.

        """
        found = self.ranking({"": phrases}, corrected=corrected)
        (vector,) = self._raised([image])
        return list(zip(phrases, found.probabilities(vector, "").tolist(), strict=True))

    @overload
    def gaze(
        self, image: Picture, prompts: Sequence[str], only_show_best: int | None = ...,
        format_output: bool = ..., *, corrected: bool = ...,
    ) -> list[str] | list[tuple[str, float]]: ...  # fmt: skip
    @overload
    def gaze(
        self, image: Picture, prompts: Mapping[str, Sequence[str]],
        only_show_best: int | None = ..., format_output: bool = ..., *, corrected: bool = ...,
    ) -> dict[str, list[str]] | dict[str, list[tuple[str, float]]]: ...  # fmt: skip
    def gaze(
        self,
        image: Picture,
        prompts: Sequence[str] | Mapping[str, Sequence[str]],
        only_show_best: int | None = 5,
        format_output: bool = True,
        *,
        corrected: bool = False,
    ) -> object:
        """Return the phrases that describe a picture best, best first.

        Args:
            image: a PIL image or a path.
            prompts: phrases; or a dict of name -> phrases, each list with its own softmax.
            only_show_best: how many of each list; None for all.
            format_output: whether to return "phrase (82%)" in place of (phrase, probability).
            corrected: see `probabilities`.

        Returns:
            A list for a list, a dict of lists for a dict.

        """
        lists = prompts if isinstance(prompts, Mapping) else {"": prompts}
        found = self.ranking(lists, corrected=corrected)
        (vector,) = self._raised([image])
        result = found.best(vector, only_show_best)
        shown = {
            name: [str(s) if format_output else (s.phrase, s.probability) for s in scores]
            for name, scores in result.items()
        }
        return shown if isinstance(prompts, Mapping) else shown[""]

    def gaze_many(
        self,
        images: Iterable[Picture],
        lists: Mapping[str, Sequence[str]],
        only_show_best: int | None = 5,
        *,
        corrected: bool = False,
    ) -> Iterator[PictureResult]:
        """Look at pictures one after the other; a bad one is a result with its error.

        Args:
            images: PIL images or paths, asked for as results are taken.
            lists: name -> phrases.
            only_show_best: how many phrases of each list; None for all.
            corrected: see `probabilities`; scores are then `CorrectedScore`s.

        """
        found = self.ranking(lists, corrected=corrected)
        name = self.manifest.name
        labels: deque[str] = deque()

        def labelled() -> Iterator[Picture]:
            for image in images:
                labels.append(label_of(image))
                yield image

        for outcome in self._pictures().encode(labelled()):
            label = labels.popleft()
            if isinstance(outcome, PictureError):
                result = PictureResult(
                    label, name, self.variant, status="error", error=str(outcome)
                )
            else:
                scores = found.best(outcome, only_show_best)
                result = PictureResult(label, name, self.variant, scores)
            yield replace(result, templates=self.templates, corrected=corrected)

    def ranking(self, lists: Mapping[str, Sequence[str]], *, corrected: bool = False) -> Ranking:
        """Return lists with their vectors, to be weighed against vectors of pictures.

        Args:
            lists: name -> phrases.
            corrected: see `probabilities`.

        """
        # Texts first: then the text tower can go before the vision tower comes.
        found = ranking(lists, self.encode_texts, self.manifest.logit_scale)
        return replace(found, neutral=self._neutral_mean()) if corrected else found

    @overload
    def see(
        self, image: Picture, phrase: str, against: str | Sequence[str] | None = ..., *,
        runs: int = ..., corrected: bool = ..., progress: Progress | None = ...,
    ) -> HeatMap: ...  # fmt: skip
    @overload
    def see(
        self, image: Picture, phrase: list[str] | tuple[str, ...],
        against: str | Sequence[str] | None = ..., *,
        runs: int = ..., corrected: bool = ..., progress: Progress | None = ...,
    ) -> list[HeatMap]: ...  # fmt: skip
    def see(
        self,
        image: Picture,
        phrase: str | Sequence[str],
        against: str | Sequence[str] | None = None,
        *,
        runs: int = RUNS,
        corrected: bool = False,
        progress: Progress | None = None,
    ) -> HeatMap | list[HeatMap]:
        """Return where a picture speaks for a phrase: parts of it are covered one by one.

        Args:
            image: a PIL image or a path.
            phrase: a phrase, or several, which share the runs of the graph.
            against: the name of a shipped list, or phrases; a phrase that is not among them is
                added. None: the shortest shipped list that has the phrase, else `genres`.
            runs: how many versions of the picture may be looked at, at least 20.
            corrected: see `probabilities`.
            progress: called with (done, runs).

        Returns:
            A map for a phrase, a list of maps for a sequence.

        Raises:
            PictureError: the picture cannot be read.
            PhraseListError: a list is unknown, or a phrase is blank or would stand alone.
            GazeError: `runs` is less than 20.

        """
        asked = questions([phrase] if isinstance(phrase, str) else phrase, against)
        maps = self.heat_maps(image, asked, runs=runs, corrected=corrected, progress=progress)
        return maps[0] if isinstance(phrase, str) else maps

    def heat_maps(
        self,
        image: Picture,
        asked: Sequence[Question],
        *,
        runs: int = RUNS,
        corrected: bool = False,
        progress: Progress | None = None,
    ) -> list[HeatMap]:
        """Return a map for each question; all of them share the runs of the graph; see `see`."""
        pictures = self._pictures()
        square, box = pictures.square(image)
        return heat_maps(
            partial(
                HeatMap, label_of(image), self.manifest.name, self.variant, box=box,
                templates=self.templates, corrected=corrected,
            ),
            square,
            asked,
            pictures.encode_squares,
            partial(self.ranking, corrected=corrected),
            runs=runs,
            progress=progress,
        )  # fmt: skip

    def close(self) -> None:
        """Let pictures that are under way come to their end, free the towers, close the store.

        The object cannot be used afterwards; an iterator of `gaze_many` that is not at its end
        raises a `ClosedError`.
        """
        self._pools.close()
        self._towers.close()
        with self._opening:
            self._closed = True
            if self._store is not None:
                self._store.close()

    def __enter__(self) -> Self:
        """Return the object itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def _neutral_mean(self) -> NDArray[np.float32]:
        """Return the neutral pictures' mean vector; they are looked at once, store or no store."""
        if self._neutral is None:
            self._neutral = self._pictures().neutral()
        return self._neutral

    def _raised(self, images: Iterable[Picture]) -> Iterator[NDArray[np.float32]]:
        """Yield the pictures' vectors; the first bad picture is raised."""
        for outcome in self._pictures().encode(images):
            if isinstance(outcome, PictureError):
                raise outcome
            yield outcome

    def _pictures(self) -> Pictures:
        return Pictures(
            self.manifest,
            self._files.digest("vision"),
            self._open_store() if self._keep else None,
            self._towers.vision,
            self._pools,
            self._threads or usable_cpus(),
            self._max_pixels,
        )

    def _begin(self) -> None:
        """Make what this process needs for itself: sessions, threads, and its way to the store."""
        others = [each for each in self.manifest.variants if each != self.variant]
        dim = self.manifest.embedding_dim
        self._towers = Towers(self._files.paths, self._threads, dim, others)
        self._pools = Pools()
        self._opening = threading.Lock()
        self._store: Store | None = None

    def _open_store(self) -> Store:
        """Return the store, if this object was not closed."""
        with self._opening:
            if self._closed:
                raise ClosedError
            if self._store is None:
                self._store = Store(cache_folder() if self._keep else None)
            return self._store


_OPEN: WeakSet[Clip] = WeakSet()


def _after_fork() -> None:
    """Let each `Clip` begin anew in a process made by fork, which has none of its threads.

    What it had is never freed here, not even at exit: a session would wait for its threads, and
    the connection to the store is the first process's own (https://sqlite.org/howtocorrupt.html,
    section 2.6).
    """
    for clip in list(_OPEN):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(dict(vars(clip))))
        clip._begin()  # noqa: SLF001


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_after_fork)
