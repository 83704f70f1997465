"""Answer questions with the model: `gaze`, `see`, `compare` and a card to share."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from clip_gaze.drawing import canvas, card, chart, heatmap
from clip_gaze.errors import PictureError
from clip_gaze.output import found as searches
from clip_gaze.output import lines, render, tables
from clip_gaze.pictures.load import upright
from clip_gaze.pictures.memory import most_pixels
from clip_gaze.pictures.preprocess import rgb
from clip_gaze.pictures.source import Content, Decoded
from clip_gaze.results import PictureResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from clip_gaze.analysis.occlusion import Progress
    from clip_gaze.clip import Clip
    from clip_gaze.pictures.source import Source
    from clip_gaze.results import Comparison, HeatMap, Score
    from clip_gaze.web import questions
    from clip_gaze.web.multipart import Upload
    from clip_gaze.web.queue import Job

_EDGE = 256  # pixels of a map's side, which a browser enlarges


class Jobs:
    """Answers questions with one model; for one thread at a time."""

    def __init__(self, clip: Clip) -> None:
        """Prepare to answer with a model."""
        self._clip = clip

    def gaze(self, asked: questions.Gaze, job: Job) -> bytes:
        """Return the JSON that `clip-gaze gaze` writes for these pictures.

        Raises:
            PictureError: the only picture cannot be read. In a stream it is a result all the same.

        """
        results, errors = self._results(asked, _sources(asked.uploads, job), job)
        if errors and len(results) == 1 and not job.streamed:
            raise errors[0]
        return "".join(render.json_array(results)).encode("utf-8")

    def table(self, asked: questions.Gaze, job: Job) -> bytes:
        """Return the CSV that `clip-gaze gaze` writes; a picture that cannot be read has a row."""
        results, _ = self._results(asked, _sources(asked.uploads, job), job)
        return "".join(tables.csv_long(results)).encode("utf-8")

    def see(self, asked: questions.See, job: Job) -> bytes:
        """Return the JSON that `clip-gaze see` writes for this picture.

        Raises:
            PictureError: it cannot be read.

        """
        maps = self._maps(asked, _content(asked.upload), job)
        if not asked.overlay:
            job.tell("maps", {"maps": [asdict(each) for each in maps]})
            return "".join(render.json_maps(maps)).encode("utf-8")
        rows = [asdict(each) | {"overlay": _overlay(each)} for each in maps]
        job.tell("maps", {"maps": rows})
        return json.dumps(rows, ensure_ascii=False).encode("utf-8")

    def compare(self, asked: questions.Compare, job: Job) -> bytes:
        """Return the JSON that `clip-gaze compare` writes for these pictures.

        Raises:
            GazeError: fewer than two of them can be read.

        """
        return render.json_object(self._compared(asked, job)).encode("utf-8")

    def compared(self, asked: questions.Compare, job: Job) -> bytes:
        """Return the CSV that `clip-gaze compare` writes for these pictures; see `compare`."""
        return "".join(tables.csv_compared(self._compared(asked, job))).encode("utf-8")

    def chart(self, asked: questions.Compare, job: Job) -> bytes:
        """Return the chart that `clip-gaze compare` draws of these pictures; see `compare`."""
        found = self._compared(asked, job)
        unread = {each.image for each in found.images if each.status == "error"}
        limit = self._clip.spec.max_pixels or most_pixels()
        read = (each for each in _sources(asked.uploads, job) if each.name not in unread)
        small = [chart.thumbnail(rgb(upright(each, limit))) for each in read]
        return png(canvas.picture(chart.draw(found, small)))

    def _compared(self, asked: questions.Compare, job: Job) -> Comparison:
        return self._clip.compare(
            _sources(asked.uploads, job), asked.lists, asked.top, encoding=_telling(job, "all")
        )

    def find(self, asked: questions.Find, job: Job) -> bytes:
        """Return the JSON that `clip-gaze find` writes for these pictures and words.

        Raises:
            GazeError: a picture that is looked for cannot be read, or the query cancels itself out.

        """
        pictures = list(_sources(asked.uploads, job))
        wanted: list[str | Source] = [*asked.words, *(pictures[at] for at in asked.like)]
        answer = self._clip.find(
            wanted, pictures, without=asked.without, top=asked.top,
            progress=lambda *_: job.check(), encoding=_telling(job, "find"),
        )  # fmt: skip
        return "".join(searches.json_object(answer)).encode("utf-8")

    def prompt(self, asked: questions.Prompt, job: Job) -> bytes:
        """Return the JSON that `clip-gaze prompt` writes for this picture.

        Raises:
            GazeError: it cannot be read, or there is no phrase for a line.

        """
        made = self._clip.prompt(
            _content(asked.upload), asked.lists, asked.rules, without=asked.without,
            progress=lambda done, total: job.tell("progress", {"done": done, "total": total}),
            encoding=_telling(job, "prompt"),
        )  # fmt: skip
        job.tell("prompt", asdict(made))
        return lines.json_object(made).encode("utf-8")

    def card(self, asked: questions.Card, job: Job) -> bytes:
        """Return a picture with its phrases as a PNG.

        Raises:
            PictureError: the picture cannot be read.

        """
        sent = _content(asked.gaze.uploads[0])
        image = upright(sent, self._clip.spec.max_pixels or most_pixels())
        picture = Decoded(image, sent.name)
        results, errors = self._results(asked.gaze, [picture], job)
        if errors:
            raise errors[0]
        heat = None if asked.see is None else self._maps(asked.see, picture, job)[0]
        drawn = card.draw(image, results[0], note=self._clip.manifest.note, heat=heat)
        return png(canvas.picture(drawn))

    def _results(
        self, asked: questions.Gaze, pictures: Iterable[Source], job: Job
    ) -> tuple[list[PictureResult], list[PictureError]]:
        """Look at the pictures, and then ask one list after the other, and tell of each."""
        results: list[PictureResult] = []
        errors: list[PictureError] = []
        embeds: dict[int, NDArray[np.float32]] = {}
        for index, (name, found) in enumerate(self._clip.embed_many(pictures)):
            result = PictureResult(
                name,
                self._clip.manifest.name,
                self._clip.variant,
                templates=self._clip.templates,
                corrected=asked.corrected,
            )
            if isinstance(found, PictureError):
                errors.append(found)
                result = replace(result, status="error", error=str(found))
                job.tell("picture", {"index": index, "result": asdict(result)})
            else:
                embeds[index] = found
            results.append(result)
        shown: dict[int, dict[str, tuple[Score, ...]]] = {index: {} for index in embeds}
        for name, listed in asked.lists.items() if embeds else ():
            ranking = self._clip.ranking(
                {name: listed}, corrected=asked.corrected, encoding=_telling(job, name)
            )
            for index, embedding in embeds.items():
                job.check()
                shown[index] |= ranking.best(embedding, asked.top)
                scores = [asdict(score) for score in shown[index][name]]
                place = {"index": index, "image": results[index].image, "list": name}
                job.tell("list", {**place, "scores": scores})
        for index, lists in shown.items():
            results[index] = replace(results[index], lists=lists)
            job.tell("picture", {"index": index, "result": asdict(results[index])})
        return results, errors

    def _maps(self, asked: questions.See, picture: Source, job: Job) -> list[HeatMap]:
        """Return the maps of a question."""
        return self._clip.see(
            picture,
            list(asked.phrases),
            asked.against,
            runs=asked.runs,
            corrected=asked.corrected,
            progress=lambda done, total: job.tell("progress", {"done": done, "total": total}),
            encoding=_telling(job, asked.against if isinstance(asked.against, str) else ""),
        )


def _telling(job: Job, name: str) -> Progress:
    """Return what tells a job of the progress with a list, and lets it stop there."""
    return lambda done, total: job.tell("encoding", {"list": name, "done": done, "total": total})


def _content(upload: Upload) -> Content:
    return Content(upload.file.getvalue(), upload.name)


def _sources(uploads: Iterable[Upload], job: Job) -> Iterator[Source]:
    """Yield pictures as they are asked for, and let the job stop between them."""
    for upload in uploads:
        job.check()
        yield _content(upload)


def png(image: Image.Image) -> bytes:
    """Return an image as a PNG file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _overlay(heat: HeatMap) -> dict[str, Any]:
    """Return what a browser shows of a map: the end of its scale, and its colours."""
    coded = base64.b64encode(png(heatmap.overlay(heat, _EDGE))).decode("ascii")
    return {"limit": heatmap.limit(heat), "png": f"data:image/png;base64,{coded}"}
