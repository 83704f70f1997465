"""Hold the graphs of a model folder against their digests, and against reference vectors."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clip_gaze import phrases
from clip_gaze.errors import ModelError
from clip_gaze.images import pixel_values
from clip_gaze.scoring import normalise
from clip_gaze.session import Tower
from clip_gaze.tokenizer import Tokenizer
from clip_gaze.verify import check
from recipes import REFERENCE

if TYPE_CHECKING:
    from pathlib import Path

    from clip_gaze.manifest import Manifest

TOWERS = ("vision", "text")
BOUND = 1e-5
PICTURES = 8
SEED = 0
Batches = list[NDArray[np.int64]]
Vectors = NDArray[np.float32]


def sample_inputs(manifest: Manifest, folder: Path) -> tuple[Vectors, Batches]:
    """Return pixel values of made-up pictures, and ids of shipped phrases in batches.

    Pictures go from one flat colour to noise; every list gives phrases, and one is cut.
    """
    rng = np.random.default_rng(SEED)
    pictures = []
    for detail in np.linspace(1, 224, PICTURES).astype(int):
        coarse = rng.integers(0, 256, (detail, detail, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((300, 240), Image.Resampling.BILINEAR)
        pictures.append(pixel_values(picture, manifest.image))
    tokenizer = Tokenizer(folder / manifest.tokenizer.file, manifest.text.context_length)
    texts = [phrase for name in phrases.names() for phrase in phrases.load(name)[:7]]
    batches = tokenizer.batches([*texts, " ".join(texts[:40])])
    return np.stack(pictures), [ids for _, ids in batches]


def checked_graphs(folder: Path, manifest: Manifest, variant: str = REFERENCE) -> dict[str, Path]:
    """Return the graph of each tower of a variant, after making sure that it is the right one.

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
    manifest: Manifest,
    folder: Path,
    pixels: Vectors,
    ids: Batches,
    reference: tuple[Vectors, list[Vectors]],
) -> bool:
    """Print how far each variant is from the reference; return whether fp32 holds its bound.

    Args:
        manifest: of the model in `folder`.
        folder: the model folder.
        pixels: (n, 3, size, size) float32.
        ids: batches of token ids of equal length.
        reference: the reference vectors of the pictures, and of each batch of ids.

    """
    click.echo(f"{'variant':8} {'tower':7} {'MB':>8} {'max |diff|':>11} {'cosine':>17} {'ms':>8}")
    sound = True
    for name, variant in manifest.variants.items():
        for tower in TOWERS:
            graph = Tower(folder / variant.files()[tower].file)
            run, batches, expected = (
                (graph.images, list(pixels[:, None]), list(reference[0][:, None]))
                if tower == "vision"
                else (graph.texts, ids, reference[1])
            )
            run(batches[0])
            started = time.perf_counter()
            vectors = np.concatenate([normalise(run(batch)) for batch in batches])
            spent = (time.perf_counter() - started) / len(vectors)
            wanted = normalise(np.concatenate(expected))
            furthest = float(np.abs(vectors - wanted).max())
            cosine = (vectors * wanted).sum(axis=1)
            click.echo(
                f"{name:8} {tower:7} {variant.bytes(tower) / 1e6:8.1f} {furthest:11.2e} "
                f"{cosine.min():.5f}..{cosine.max():.5f} {1000 * spent:8.1f}"
            )
            if name == REFERENCE:
                sound = sound and furthest <= BOUND
    verdict = "holds" if sound else "FAILS"
    click.echo(
        f"fp32 against torch: max |difference| of the normalised vectors <= {BOUND}: {verdict}"
    )
    return sound
