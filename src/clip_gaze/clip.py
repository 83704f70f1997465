"""`Clip`, the one door: ask a CLIP model about pictures and phrases."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np

from clip_gaze.analysis import similarity
from clip_gaze.analysis.defaults import NEAR, RUNS
from clip_gaze.analysis.ranking import Ranking, ranking
from clip_gaze.errors import GazeError, ModelError, PictureError
from clip_gaze.hub import download
from clip_gaze.model import registry, supported
from clip_gaze.model.spec import ModelSpec
from clip_gaze.pictures.encoder import ImageEncoder
from clip_gaze.pictures.source import reusable, several, source
from clip_gaze.results import PictureResult
from clip_gaze.runtime import Runtime
from clip_gaze.system.paths import cache_folder
from clip_gaze.system.resources import checked_threads, usable_cpus
from clip_gaze.texts import phrases as words
from clip_gaze.texts import templates as sentences
from clip_gaze.texts import vectors
from clip_gaze.texts.encoder import TextEncoder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

    from numpy.typing import NDArray
    from typing_extensions import Self

    from clip_gaze.analysis.occlusion import Progress
    from clip_gaze.analysis.prompt import Rules
    from clip_gaze.model.manifest import Manifest
    from clip_gaze.pictures.source import Picture
    from clip_gaze.results import Comparison, Duplicates, HeatMap, PromptLine, Question, Search
    from clip_gaze.search.gallery import Gallery
    from clip_gaze.store import Store

    Lists = Mapping[str, Iterable[str]]
    Embedding = NDArray[np.float32]


class Clip:
    """A CLIP model, ready to look at pictures; a context manager, safe to share between threads.

    A tower is loaded when it is first needed. Phrases come from the store where they were
    encoded before; then the text tower is not loaded at all. A bundle answers its own phrases
    alone. Loading a tower sets glibc malloc's M_MMAP_THRESHOLD and M_TRIM_THRESHOLD for the whole
    process, so that freed memory goes back to the system. A process made by fork gets sessions of
    its own; an iterator of results stays with the process that began it.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        variant: str | None = None,
        threads: int | None = None,
        *,
        offline: bool = False,
        store: bool | None = None,
        max_megapixels: float | None = None,
        templates: Iterable[str] = (),
    ) -> None:
        """Find the model, fetch what of it is missing, check its files; no graph is loaded yet.

        Args:
            model: see `ModelSpec`, as for the other arguments.
            variant: which of the model's variants.
            threads: CPU threads for each graph.
            offline: whether to stay off the network.
            store: whether embeddings are kept for later runs; None: but for a bundle, which then
                needs no SQLite.
            max_megapixels: the largest picture that is opened.
            templates: sentences that phrases are put into.

        Raises:
            PhraseListError: a template does not say where the phrase stands.
            ModelError: the model or variant is unknown, or a file is missing or altered.
            DownloadError: files are missing and cannot be fetched.
            GazeError: there cannot be so many threads, or pictures of that size.

        """
        if max_megapixels is not None and not 0 < max_megapixels < float("inf"):
            msg = f"max_megapixels should be a number above 0, not {max_megapixels}"
            raise GazeError(msg)
        self.spec = ModelSpec(
            None if model is None else os.fspath(model),
            variant,
            checked_threads(threads),
            offline,
            store,
            max_megapixels,
            sentences.checked(templates),
        )
        found = registry.find(model)
        self.manifest: Manifest = found.manifest
        self.variant = supported.variant(found.manifest, variant)
        self._model = found
        self._files = download.ready(found, self.variant, offline=offline)
        self._vectors = vectors.opened(self.manifest, self._files)
        self._neutral: Embedding | None = None
        self._runtime = Runtime(
            self._files,
            self.spec.threads,
            self.manifest.embedding_dim,
            [name for name in self.manifest.variants if name != self.variant],
            keep=None if self.manifest.is_bundle and not store else store is not False,
            pack=store is not False,
        )
        self._runtime.store()  # what is wrong with it is said first of all

    @classmethod
    def from_spec(cls, spec: ModelSpec) -> Clip:
        """Return a `Clip` made from what another one's `spec` says."""
        return cls(**asdict(spec))

    @property
    def digests(self) -> dict[str, str]:
        """The SHA-256 of each of the model's files, by what it is for."""
        return dict(self._files.digests)

    @property
    def encoder(self) -> str:
        """What the embeddings of pictures depend on: the vision tower's files and its pixels."""
        return self._images().key

    @property
    def templates(self) -> tuple[str, ...]:
        """The sentences that phrases are put into."""
        return self.spec.templates

    @property
    def lists(self) -> dict[str, tuple[str, ...]]:
        """Name -> phrases of the lists that need no text tower: all that a bundle has."""
        return {} if self._vectors is None else dict(self._vectors.lists)

    def encode_images(self, images: Iterable[Picture]) -> NDArray[np.float32]:
        """Return the embedding of each picture.

        Args:
            images: see `embed_many`.

        Returns:
            (n, d) float32, L2-normalised.

        Raises:
            PictureError: one of them cannot be read.

        """
        rows = []
        for _, found in self.embed_many(images):
            if isinstance(found, PictureError):
                raise found
            rows.append(found)
        return np.stack(rows) if rows else np.empty((0, self.manifest.embedding_dim), np.float32)

    def embed_many(
        self, images: Iterable[Picture]
    ) -> Iterator[tuple[str, NDArray[np.float32] | PictureError]]:
        """Yield the embedding of each picture, in order; nothing is done before the first is taken.

        Args:
            images: paths, URLs, bytes and binary files of pictures, opened upright; PIL images and
                arrays of uint8 (see `source.source` for their shapes), taken as they are.
                They are asked for as results are taken, so that not all need to be in memory.

        Yields:
            The picture's name (its path, or "" for one in memory), and its embedding, (d,)
            float32, L2-normalised, or the reason why it cannot be read.

        """
        yield from self._images().encode(images)

    def encode_texts(
        self,
        phrases: Iterable[str],
        *,
        templates: Iterable[str] | None = None,
        keep: bool = True,
        encoding: Progress | None = None,
    ) -> NDArray[np.float32]:
        """Return the embedding of each phrase, from the store where it can.

        Args:
            phrases: any text; a phrase with too many tokens is cut, and a warning names it.
            templates: sentences for these phrases alone; None: those that the object has.
            keep: whether the store keeps what is new.
            encoding: called with (done, total) while new phrases are encoded.

        Returns:
            (n, d) float32, L2-normalised.

        Raises:
            PhraseListError: they are not strings, or not text, or not in a bundle.

        """
        store = self._runtime.store()
        encoder = TextEncoder(
            self.manifest,
            self._files,
            self._vectors,
            None if self.manifest.is_bundle else store,
            self._runtime.towers.text,
        )
        used = self.templates if templates is None else sentences.checked(templates)
        return encoder.encode(words.checked(phrases), used, keep=keep, progress=encoding)

    def bias(
        self, phrases: Iterable[str], *, encoding: Progress | None = None
    ) -> NDArray[np.float32]:
        """Return the mean logit of each phrase over pictures that show nothing.

        Args:
            phrases: any text.
            encoding: see `encode_texts`.

        Returns:
            (n,) float32, over the neutral pictures of `pictures/neutral.py`.

        """
        text_embeds = self.encode_texts(phrases, encoding=encoding)
        mean = self._neutral_mean()
        (logits,) = similarity.logits(mean[None], text_embeds, self.manifest.logit_scale)
        return np.asarray(logits)

    def probabilities(
        self, image: Picture, phrases: Iterable[str], *, corrected: bool = False
    ) -> list[tuple[str, float]]:
        """Return each phrase with its probability relative to the others, in their own order.

        The softmax over logit_scale * cosine, as in CLIP (Radford et al., 2021, figure 3).

        Args:
            image: see `embed_many`.
            phrases: what may describe it; probabilities sum to 1 over all of them.
            corrected: subtract from each logit the phrase's mean logit over neutral pictures.

        Raises:
            PictureError: the picture cannot be read.
            PhraseListError: the phrases are not strings, or not text.

        """
        found = self.ranking({"": phrases}, corrected=corrected)
        (values,) = found.probabilities(self.encode_images([image]), "")
        listed, _ = found.lists[""]
        return list(zip(listed, values.tolist(), strict=True))

    @overload
    def gaze(  # type: ignore[overload-overlap] # a mapping is an iterable, too
        self, image: Picture, prompts: Lists, only_show_best: int | None = ...,
        format_output: bool = ..., *, corrected: bool = ...,
    ) -> dict[str, list[str]] | dict[str, list[tuple[str, float]]]: ...  # fmt: skip
    @overload
    def gaze(
        self, image: Picture, prompts: Iterable[str], only_show_best: int | None = ...,
        format_output: bool = ..., *, corrected: bool = ...,
    ) -> list[str] | list[tuple[str, float]]: ...  # fmt: skip
    def gaze(
        self,
        image: Picture,
        prompts: Iterable[str] | Lists,
        only_show_best: int | None = 5,
        format_output: bool = True,
        *,
        corrected: bool = False,
    ) -> object:
        """Return the phrases that describe a picture best, best first.

        Args:
            image: see `embed_many`.
            prompts: phrases; or a dict of name -> phrases, each list with its own softmax.
            only_show_best: how many of each list; None for all.
            format_output: whether to return "phrase (82%)" in place of (phrase, probability).
            corrected: see `probabilities`.

        Returns:
            A list for a list, a dict of lists for a dict.

        Raises:
            PictureError: the picture cannot be read.
            PhraseListError: the phrases are not strings, or not text.

        """
        lists = prompts if isinstance(prompts, Mapping) else {"": prompts}
        found = self.ranking(lists, corrected=corrected)
        (embedding,) = self.encode_images([image])
        shown = {
            name: [str(s) if format_output else (s.phrase, s.probability) for s in scores]
            for name, scores in found.best(embedding, only_show_best).items()
        }
        return shown if isinstance(prompts, Mapping) else shown[""]

    def gaze_many(
        self,
        images: Iterable[Picture],
        lists: Lists,
        only_show_best: int | None = 5,
        *,
        corrected: bool = False,
        encoding: Progress | None = None,
    ) -> Iterator[PictureResult]:
        """Yield each picture's best phrases, in order; nothing is done before the first is taken.

        Args:
            images: see `embed_many`; a bad one is a result with its error.
            lists: name -> phrases.
            only_show_best: how many phrases of each list; None for all.
            corrected: see `probabilities`; scores are then `CorrectedScore`s.
            encoding: see `encode_texts`.

        """
        found = self.ranking(lists, corrected=corrected, encoding=encoding)
        result = partial(
            PictureResult, model=self.manifest.name, variant=self.variant,
            templates=self.templates, corrected=corrected,
        )  # fmt: skip
        for name, embedding in self.embed_many(images):
            if isinstance(embedding, PictureError):
                yield result(name, status="error", error=str(embedding))
            else:
                yield result(name, lists=found.best(embedding, only_show_best))

    def ranking(
        self, lists: Lists, *, corrected: bool = False, encoding: Progress | None = None
    ) -> Ranking:
        """Encode phrase lists, and return them ready to score embeddings of pictures.

        Args:
            lists: name -> phrases.
            corrected: see `probabilities`.
            encoding: see `encode_texts`.

        """
        listed = words.checked_lists(lists)
        # Texts first: then the text tower can go before the vision tower comes.
        encode = partial(self.encode_texts, encoding=encoding)
        found = ranking(listed, encode, self.manifest.logit_scale)
        return found.corrected(self._neutral_mean()) if corrected else found

    def compare(
        self,
        images: Iterable[Picture],
        lists: Lists,
        top: int | None = 5,
        *,
        encoding: Progress | None = None,
    ) -> Comparison:
        """Return the phrases whose probabilities differ most between pictures, both ways.

        Args:
            images: two or more, see `embed_many`; the first that can be read is the reference. A
                bad one is a result with its error.
            lists: name -> phrases, at least two each; log-odds are within the list.
            top: of each list, how many phrases that rise most, and how many that fall most, each
                other picture adds to what is returned; None or 0 for all phrases.
            encoding: see `encode_texts`.

        Raises:
            GazeError: fewer than two pictures can be read; the message names the bad ones.
            PhraseListError: a list has fewer than two phrases.

        """
        from clip_gaze.analysis import compare

        listed = words.checked_lists(lists)
        compare.check(listed)
        return compare.compare(
            self.embed_many(images),
            self.ranking(listed, encoding=encoding),
            top,
            model=self.manifest.name,
            variant=self.variant,
            templates=self.templates,
        )

    @overload
    def see(
        self, image: Picture, phrase: str, against: str | Iterable[str] | None = ..., *,
        runs: int = ..., corrected: bool = ..., progress: Progress | None = ...,
        encoding: Progress | None = ...,
    ) -> HeatMap: ...  # fmt: skip
    @overload
    def see(
        self, image: Picture, phrase: list[str] | tuple[str, ...],
        against: str | Iterable[str] | None = ..., *,
        runs: int = ..., corrected: bool = ..., progress: Progress | None = ...,
        encoding: Progress | None = ...,
    ) -> list[HeatMap]: ...  # fmt: skip
    def see(
        self,
        image: Picture,
        phrase: str | Sequence[str],
        against: str | Iterable[str] | None = None,
        *,
        runs: int = RUNS,
        corrected: bool = False,
        progress: Progress | None = None,
        encoding: Progress | None = None,
    ) -> HeatMap | list[HeatMap]:
        """Return a heat map of which parts of a picture speak for a phrase, by covering them.

        Args:
            image: see `embed_many`.
            phrase: a phrase, or several, which share the runs of the graph.
            against: the name of a list, shipped or of the bundle, or phrases; a phrase that is not
                among them is added. None: the shortest list that has the phrase, else `genres`.
            runs: how many versions of the picture may be looked at, at least 20.
            corrected: see `probabilities`.
            progress: called with (done, runs).
            encoding: see `encode_texts`.

        Returns:
            A map for a phrase, a list of maps for a sequence.

        Raises:
            PictureError: the picture cannot be read.
            PhraseListError: a list is unknown, or a phrase is blank or would stand alone.
            GazeError: `runs` is less than 20.

        """
        from clip_gaze.texts.questions import questions

        known = self.lists if self.manifest.is_bundle else None
        asked = questions([phrase] if isinstance(phrase, str) else phrase, against, known)
        maps = self.heat_maps(
            image, asked, runs=runs, corrected=corrected, progress=progress, encoding=encoding
        )
        return maps[0] if isinstance(phrase, str) else maps

    def heat_maps(
        self,
        image: Picture,
        asked: Sequence[Question],
        *,
        runs: int = RUNS,
        corrected: bool = False,
        progress: Progress | None = None,
        encoding: Progress | None = None,
    ) -> list[HeatMap]:
        """Return a map for each question; all of them share the runs of the graph; see `see`."""
        from clip_gaze.analysis.heatmap import explain, lists_of
        from clip_gaze.results import HeatMap

        if not asked:
            return []
        pictures, picture = self._images(), source(image)
        square, box = pictures.square(picture)
        ranked = self.ranking(lists_of(asked), corrected=corrected, encoding=encoding)
        found = explain(
            square, asked, pictures.encode_squares, ranked, runs=runs, progress=progress
        )
        return [
            HeatMap(
                picture.name, self.manifest.name, self.variant, question.phrase, question.list,
                log_odds, similarity.probability(log_odds), tuple(map(tuple, grid)), box,
                found.runs, self.templates, corrected,
            )
            for question, log_odds, grid in zip(
                asked, found.log_odds.tolist(), found.grids.tolist(), strict=True
            )
        ]  # fmt: skip

    def find(
        self,
        query: Sequence[str | Picture],
        images: Iterable[Picture] | Gallery | None = None,
        *,
        without: Sequence[str | Picture] = (),
        top: int | None = 10,
        least: float | None = None,
        progress: Progress | None = None,
        encoding: Progress | None = None,
    ) -> Search:
        """Return the pictures that are nearest to the sum of words and pictures.

        Args:
            query: strings are words; anything else is a picture, see `embed_many`: name its file
                by a `pathlib.Path`. Their embeddings are added up.
            images: what is searched, see `embed_many`; or a `Gallery` of embeddings, such as
                `Dataset.gallery` returns; None: all that the store has.
            without: words and pictures whose embeddings are taken away.
            top: how many are returned at most; None or 0 for all.
            least: pictures with a lower cosine are left out.
            progress: called with (done, total) while pictures are encoded.
            encoding: see `encode_texts`.

        Raises:
            PictureError: a picture of the query cannot be read.
            GazeError: the query is empty or cancels itself out, or there is no store to search.

        """
        from clip_gaze.search import answers, nearest

        terms = [
            [
                each if isinstance(each, str) else reusable(each)
                for each in several(part, "the query")
            ]
            for part in (query, without)
        ]
        wanted = nearest.direction(*(self._terms(each, encoding) for each in terms))
        found = self._gallery(images, progress)
        about = (self.manifest.name, self.variant, self.templates)
        return answers.search(found, wanted, terms, about, top, least)

    def duplicates(
        self,
        images: Iterable[Picture] | Gallery | None = None,
        threshold: float = NEAR,
        *,
        progress: Progress | None = None,
        comparing: Progress | None = None,
    ) -> Duplicates:
        """Return groups of pictures that are equal or nearly so; see `find` for the arguments.

        Args:
            images: what is searched.
            threshold: the least cosine of a picture with another one of its group.
            progress: called with (done, total) while pictures are encoded.
            comparing: called with (done, total) while they are compared.

        """
        from clip_gaze.search import answers, nearest

        found = self._gallery(images, progress)
        near = nearest.groups(found.take, found.count, threshold, comparing)
        return answers.duplicates(found, near, threshold, (self.manifest.name, self.variant))

    def prompt(
        self,
        image: Picture,
        lists: Lists | None = None,
        rules: Rules | None = None,
        *,
        without: Sequence[str] = (),
        progress: Progress | None = None,
        encoding: Progress | None = None,
    ) -> PromptLine:
        """Return the line of phrases that is closest to a picture; templates do not apply.

        Args:
            image: see `embed_many`.
            lists: name -> phrases; None: the lists of `texts.phrases.FOR_PROMPTS`.
            rules: how the line is made: words of one's own, its style, and more.
            without: phrases that have one of these texts in them are not taken.
            progress: called with (tried, most) after each step.
            encoding: see `encode_texts`.

        Raises:
            PictureError: the picture cannot be read.
            PhraseListError: there is no phrase, or the words are too long for the model.
            ModelError: the model is a bundle.

        """
        from clip_gaze.analysis import prompt
        from clip_gaze.results import PromptLine
        from clip_gaze.texts.sentences import Sentences

        if self.manifest.is_bundle:
            msg = f"{self.spec.model}: a bundle has no text tower for lines; use the whole model"
            raise ModelError(msg)
        rules = rules or prompt.Rules()
        chosen = words.for_prompt(lists, without)
        picture = reusable(image)
        (embedding,) = self.encode_images([picture])
        encode = partial(self.encode_texts, templates=(), encoding=encoding)
        ranked = ranking(chosen, encode, self.manifest.logit_scale)
        sentences = Sentences(
            self.manifest, self._files.paths["tokenizer"], self._runtime.towers.text
        )
        lines = prompt.Lines(sentences.encode, sentences.fits, embedding, rules, progress)
        made = prompt.made(lines, ranked.lists, embedding, rules)
        return PromptLine(picture.name, self.manifest.name, self.variant, *made)

    def _terms(self, terms: Sequence[str | Picture], encoding: Progress | None) -> Embedding:
        words = self.encode_texts([e for e in terms if isinstance(e, str)], encoding=encoding)
        pictures = self.encode_images([each for each in terms if not isinstance(each, str)])
        return np.concatenate([words, pictures])

    def _gallery(
        self, images: Iterable[Picture] | Gallery | None, progress: Progress | None
    ) -> Gallery:
        from clip_gaze.search import gallery
        from clip_gaze.search.index import Index

        if isinstance(images, gallery.Gallery):
            return images
        pictures, dim = self._images(), self.manifest.embedding_dim
        index = None
        if (store := self._store()) is not None:
            index = Index(store, cache_folder(), pictures.key, dim)
        return gallery.gathered(images, pictures, index, dim, progress)

    def save_phrases(self, path: Path, lists: Lists, *, encoding: Progress | None = None) -> None:
        """Write a file of phrase vectors, with the neutral mean, to be listed in a manifest.

        Args:
            path: of the file.
            lists: name -> phrases; they are written alone and in each of `templates`.
            encoding: see `encode_texts`.

        Raises:
            PhraseListError: there is no list, or one is empty or has no name, or the phrases are
                not strings, or not text.

        """
        vectors.write(
            path,
            vectors.checked(lists),
            self.templates,
            partial(self.encode_texts, templates=(), encoding=encoding),
            made_by=self._vectors.made_by if self._vectors else vectors.made_by(self._files),
            neutral=(self._images().neutral_key, self._neutral_mean()),
        )

    def bundle(
        self, folder: str | os.PathLike[str], lists: Lists, *, encoding: Progress | None = None
    ) -> None:
        """Write a folder that answers some lists as this model does, without text tower.

        Args:
            folder: new, or empty; it is written whole or not at all.
            lists: see `save_phrases`.
            encoding: see `encode_texts`.

        Raises:
            ModelError: the folder is not empty, or cannot be written.
            PhraseListError: see `save_phrases`.

        """
        from clip_gaze.model import bundle

        # Before the graphs are copied.
        put = partial(self.save_phrases, lists=vectors.checked(lists), encoding=encoding)
        bundle.write(Path(folder), self._model, self._files, put)

    def close(self) -> None:
        """Let pictures that are under way come to their end, free the towers, close the store.

        The object cannot be used afterwards; an iterator of `gaze_many` that is not at its end
        raises a `ClosedError`. Graphs that were run for the first time are packed for later runs.
        """
        self._runtime.close()

    def __enter__(self) -> Self:
        """Return the object itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close; after an error pack no graph, which would keep whoever has stopped the run."""
        self._runtime.close(pack=kind is None)

    def _neutral_mean(self) -> NDArray[np.float32]:
        """Return the mean embedding of the neutral pictures, which are encoded once."""
        if self._neutral is None:
            images = self._images()
            if self._vectors is not None:
                self._neutral = self._vectors.neutral(images.neutral_key)
            if self._neutral is None:
                self._neutral = images.neutral()
        return self._neutral

    def _store(self) -> Store | None:
        """Return the store, where embeddings of pictures are kept."""
        store = self._runtime.store()
        return None if self.spec.store is False else store

    def _images(self) -> ImageEncoder:
        return ImageEncoder(
            self.manifest,
            self._files.digest("vision"),
            self._store(),
            self._runtime.towers.vision,
            self._runtime.pools,
            self.spec.threads or usable_cpus(),
            self.spec.max_pixels,
            offline=self.spec.offline,
        )
