"""Check the graphs of a model folder against their digests and against reference vectors."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clip_gaze.analysis.similarity import normalise
from clip_gaze.errors import ModelError
from clip_gaze.model.session import Tower
from clip_gaze.model.verify import check
from clip_gaze.pictures.preprocess import pixel_values
from clip_gaze.texts import phrases
from clip_gaze.texts.tokenizer import Tokenizer
from variants.recipes import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from clip_gaze.model.manifest import Manifest, Variant

TOWERS = ("vision", "text")
PICTURES = 8
SEED = 0
# Both by tower.
Batches = dict[str, list[NDArray]]
Vectors = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Row:
    """The size and speed of one graph, and how far its vectors are from the reference.

    Attributes:
        variant: its name.
        tower: "vision" or "text".
        bytes: of the graph and its weights.
        furthest: the largest difference of a number of a normalised vector.
        cosine_least: of a vector to its reference; `cosine_most` the greatest.
        milliseconds: of a picture that runs alone, or of a phrase among others.

    """

    variant: str
    tower: str
    bytes: int
    furthest: float
    cosine_least: float
    cosine_most: float
    milliseconds: float


def sample_inputs(manifest: Manifest, folder: Path) -> Batches:
    """Return pixel values of made-up pictures, one a batch, and ids of shipped phrases.

    Pictures go from one flat colour to noise; every list gives phrases, and one is cut.
    """
    rng = np.random.default_rng(SEED)
    pictures = []
    for detail in np.linspace(1, 224, PICTURES).astype(int):
        coarse = rng.integers(0, 256, (detail, detail, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((300, 240), Image.Resampling.BILINEAR)
        pictures.append(pixel_values(picture, manifest.image)[None])
    tokenizer = Tokenizer(folder / manifest.tokenizer.file, manifest.text.context_length)
    texts = [phrase for name in phrases.names() for phrase in phrases.load(name)[:7]]
    batches = tokenizer.batches([*texts, " ".join(texts[:40])])
    return {"vision": pictures, "text": [ids for _, ids in batches]}


def checked_graphs(folder: Path, manifest: Manifest, variant: str = REFERENCE) -> dict[str, Path]:
    """Return the graph of each tower of a variant, after checking its size and SHA-256.

    Raises:
        ModelError: a file is missing or wrong, or the manifest has no such variant.

    """
    if manifest.download:
        msg = (
            f"{folder}: has no graphs, only a manifest; make a folder that has them with "
            f"clip-gaze download {manifest.name} --variant {variant} --to FOLDER"
        )
        raise ModelError(msg)
    files = manifest.variant(variant)[1].files()
    for file in files.values():
        check(folder / file.file, file.bytes, file.sha256)
    return {tower: folder / files[tower].file for tower in TOWERS}


def compare(
    folder: Path, variants: Mapping[str, Variant], batches: Batches, reference: Vectors
) -> list[Row]:
    """Run the graphs of variants, and compare their vectors with the reference.

    Args:
        folder: where the graphs lie.
        variants: by name.
        batches: by tower, what each run gets.
        reference: by tower, (n, d) float32, L2-normalised.

    Raises:
        ModelError: a graph does not run, or gives something else than numbers.

    """
    rows = []
    for name, variant in variants.items():
        for tower in TOWERS:
            graph = folder / variant.files()[tower].file
            found, spent = vectors(tower, graph, batches[tower])
            cosine = (found * reference[tower]).sum(axis=1)
            rows.append(
                Row(
                    variant=name,
                    tower=tower,
                    bytes=variant.bytes(tower),
                    furthest=float(np.abs(found - reference[tower]).max()),
                    cosine_least=float(cosine.min()),
                    cosine_most=float(cosine.max()),
                    milliseconds=spent,
                )
            )
    return rows


def vectors(tower: str, graph: Path, batches: list[NDArray]) -> tuple[NDArray[np.float32], float]:
    """Return the vectors of all batches, as `unit` does, and the milliseconds that a row took."""
    encoder = Tower(graph)
    run = encoder.images if tower == "vision" else encoder.texts
    run(batches[0])  # the first run prepares the graph
    started = time.perf_counter()
    rows = np.concatenate([run(batch) for batch in batches])
    spent = 1000 * (time.perf_counter() - started) / len(rows)
    return unit(rows, graph), spent


def unit(rows: NDArray[np.float32], source: object) -> NDArray[np.float32]:
    """Return (n, d) vectors L2-normalised.

    Args:
        rows: vectors.
        source: what gave them, for the message.

    Raises:
        ModelError: they hold NaN or infinite numbers.

    """
    if not np.isfinite(rows).all():
        msg = f"{source}: gives vectors that are not finite numbers; are the weights sound?"
        raise ModelError(msg)
    return normalise(rows)


def table(rows: Iterable[Row]) -> list[str]:
    """Return the lines of the printed table."""
    return [
        f"{'variant':8} {'tower':7} {'MB':>8} {'max |diff|':>11} {'cosine':>17} {'ms':>8}",
        *(
            f"{row.variant:8} {row.tower:7} {row.bytes / 1e6:8.1f} {row.furthest:11.2e} "
            f"{row.cosine_least:.5f}..{row.cosine_most:.5f} {row.milliseconds:8.1f}"
            for row in rows
        ),
    ]
