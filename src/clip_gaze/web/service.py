"""Answer questions with the model: `gaze`, `see`, `compare` and a card to share."""

from __future__ import annotations

import base64
import contextlib
import io
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from clip_gaze.analysis import compare
from clip_gaze.drawing import canvas, card, heatmap
from clip_gaze.errors import PictureError
from clip_gaze.output import compare_text, render, tables
from clip_gaze.pictures.load import most_pixels, upright_upload
from clip_gaze.results import PictureResult

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from PIL import Image

    from clip_gaze.clip import Clip
    from clip_gaze.results import HeatMap, Score
    from clip_gaze.texts.encoder import Progress
    from clip_gaze.web import forms
    from clip_gaze.web.multipart import Upload
    from clip_gaze.web.queue import Job

_EDGE = 256  # pixels of a map's side, which a browser enlarges


class Relay:
    """Passes the progress of encoding phrases on to the running job."""

    def __init__(self) -> None:
        """Pass nothing on yet."""
        self._listener: Progress | None = None

    def __call__(self, done: int, total: int) -> None:
        """Take the progress from `Clip`."""
        if self._listener is not None:
            self._listener(done, total)

    @contextlib.contextmanager
    def to(self, job: Job, name: str) -> Iterator[None]:
        """Tell a job of the progress with a list, and let it stop there."""
        self._listener = lambda done, total: job.tell(
            "encoding", {"list": name, "done": done, "total": total}
        )
        try:
            yield
        finally:
            self._listener = None


class Jobs:
    """Answers questions with one model; for one thread at a time."""

    def __init__(self, clip: Clip, relay: Relay, max_pixels: int | None) -> None:
        """Prepare to answer.

        Args:
            clip: the model.
            relay: what the model tells its progress.
            max_pixels: larger pictures are refused; None: what fits in half the free memory.

        """
        self._clip = clip
        self._relay = relay
        self._max_pixels = max_pixels

    def gaze(self, asked: forms.Gaze, job: Job) -> bytes:
        """Return the JSON that `clip-gaze gaze` writes for these pictures.

        Raises:
            PictureError: the only picture cannot be read. In a stream it is a result all the same.

        """
        pictures = (self._opened_or_error(upload, job) for upload in asked.uploads)
        results, errors = self._results(asked, pictures, job)
        if errors and len(results) == 1 and not job.streamed:
            raise errors[0]
        return "".join(render.json_array(results)).encode("utf-8")

    def table(self, asked: forms.Gaze, job: Job) -> bytes:
        """Return the CSV that `clip-gaze gaze` writes; a picture that cannot be read has a row."""
        pictures = (self._opened_or_error(upload, job) for upload in asked.uploads)
        results, _ = self._results(asked, pictures, job)
        return "".join(tables.csv_long(results)).encode("utf-8")

    def see(self, asked: forms.See, job: Job) -> bytes:
        """Return the JSON that `clip-gaze see` writes for this picture.

        Raises:
            PictureError: it cannot be read.

        """
        maps = self._maps(asked, self._opened(asked.upload), job)
        if not asked.overlay:
            job.tell("maps", {"maps": [asdict(each) for each in maps]})
            return "".join(render.json_maps(maps)).encode("utf-8")
        rows = [asdict(each) | {"overlay": _overlay(each)} for each in maps]
        job.tell("maps", {"maps": rows})
        return json.dumps(rows, ensure_ascii=False).encode("utf-8")

    def compare(self, asked: forms.Compare, job: Job) -> bytes:
        """Return the JSON that `clip-gaze compare` writes for these pictures.

        Raises:
            GazeError: fewer than two of them can be read.

        """
        images = ((upload.name, self._opened_or_error(upload, job)) for upload in asked.uploads)
        with self._relay.to(job, "all"):
            found = compare.named(self._clip, images, asked.lists, asked.top)
        return compare_text.to_json(found).encode("utf-8")

    def card(self, asked: forms.Card, job: Job) -> bytes:
        """Return a picture with its phrases as a PNG.

        Raises:
            PictureError: the picture cannot be read.

        """
        image = self._opened(asked.gaze.uploads[0])
        results, errors = self._results(asked.gaze, iter([image]), job)
        if errors:
            raise errors[0]
        heat = None if asked.see is None else self._maps(asked.see, image, job)[0]
        drawn = card.draw(image, results[0], note=self._clip.manifest.note, heat=heat)
        return png(canvas.picture(drawn))

    def _results(
        self, asked: forms.Gaze, pictures: Iterator[Image.Image | PictureError], job: Job
    ) -> tuple[list[PictureResult], list[PictureError]]:
        """Look at the pictures, and then ask one list after the other, and tell of each."""
        results: list[PictureResult] = []
        errors: list[PictureError] = []
        vectors: list[NDArray[np.float32] | None] = []
        for index, (upload, picture) in enumerate(zip(asked.uploads, pictures, strict=True)):
            job.check()
            result = PictureResult(
                upload.name,
                self._clip.manifest.name,
                self._clip.variant,
                templates=self._clip.templates,
                corrected=asked.corrected,
            )
            try:
                vectors.append(self._vector(picture))
            except PictureError as error:
                vectors.append(None)
                errors.append(error)
                result = replace(result, status="error", error=str(error))
                job.tell("picture", {"index": index, "result": asdict(result)})
            results.append(result)
        shown: list[dict[str, tuple[Score, ...]]] = [{} for _ in results]
        for name, listed in asked.lists.items() if len(errors) < len(results) else ():
            with self._relay.to(job, name):
                found = self._clip.ranking({name: listed}, corrected=asked.corrected)
            for index, vector in enumerate(vectors):
                if vector is not None:
                    job.check()
                    shown[index] |= found.best(vector, asked.top)
                    self._tell_scores(job, index, results[index].image, name, shown[index][name])
        for index, vector in enumerate(vectors):
            if vector is not None:
                results[index] = replace(results[index], lists=shown[index])
                job.tell("picture", {"index": index, "result": asdict(results[index])})
        return results, errors

    def _tell_scores(
        self, job: Job, index: int, image: str, name: str, scores: Sequence[Score]
    ) -> None:
        rows = [asdict(score) for score in scores]
        job.tell("list", {"index": index, "image": image, "list": name, "scores": rows})

    def _vector(self, picture: Image.Image | PictureError) -> NDArray[np.float32]:
        if isinstance(picture, PictureError):
            raise picture
        (vector,) = self._clip.encode_images([picture])
        return np.asarray(vector)

    def _maps(self, asked: forms.See, image: Image.Image, job: Job) -> list[HeatMap]:
        """Return the maps of a question, with the upload's name in them."""
        name = asked.against if isinstance(asked.against, str) else ""
        with self._relay.to(job, name):
            maps = self._clip.see(
                image,
                list(asked.phrases),
                asked.against,
                runs=asked.runs,
                corrected=asked.corrected,
                progress=lambda done, total: job.tell("progress", {"done": done, "total": total}),
            )
        return [replace(each, image=asked.upload.name) for each in maps]

    def _opened_or_error(self, upload: Upload, job: Job) -> Image.Image | PictureError:
        job.check()
        try:
            return self._opened(upload)
        except PictureError as error:
            return error

    def _opened(self, upload: Upload) -> Image.Image:
        return upright_upload(upload.file, upload.name, self._max_pixels or most_pixels())


def png(image: Image.Image) -> bytes:
    """Return an image as a PNG file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _overlay(heat: HeatMap) -> dict[str, Any]:
    """Return what a browser shows of a map: the end of its scale, and its colours."""
    coded = base64.b64encode(png(heatmap.overlay(heat, _EDGE))).decode("ascii")
    return {"limit": heatmap.limit(heat), "png": f"data:image/png;base64,{coded}"}
