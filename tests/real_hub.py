"""What the real Hub says of the models that ship, in words, for whoever has a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clip_gaze.errors import DownloadError
from clip_gaze.hub import client

if TYPE_CHECKING:
    from clip_gaze.model.manifest import Manifest

# What the project's original says of Cézanne's "Brücke über die Marne bei Creteil" with ViT-B/32
# (clip-gaze 0.3.0, README). How near an answer must be: other graphs and another JPEG decoder.
SIZE = (2175, 1713)
GOLDEN = {
    "artists_by_training_prevalence": ("by paul cézanne", 0.82),
    "movements": ("tonalism movement", 0.16),
    "surfaces": ("on canvas", 0.86),
}
NEAR = 0.03
WHY = "another copy of the picture, or other lists, weights or preprocessing, would explain it"


def wrong_pins(manifest: Manifest) -> list[str]:
    """Return what the Hub says otherwise than a manifest, one line each; nothing is fetched.

    A digest that the manifest leaves open is none of these, but must be one that the Hub reports.
    """
    revision = manifest.source.revision or "main"
    files = {
        file.file: file for name in manifest.variants for file in manifest.files(name).values()
    }
    wrong = []
    for file in files.values():
        try:
            found = client.ask(manifest.source.repository, revision, file)
        except DownloadError as error:
            wrong.append(f"{manifest.name}: {error}")
            continue
        if file.bytes is not None and found.bytes != file.bytes:
            wrong.append(f"{manifest.name}: {file.file} has {found.bytes} bytes, not {file.bytes}")
    return wrong


def strange(name: str, scores: dict[str, float], size: tuple[int, int]) -> list[str]:
    """Return in words how an answer about the Cézanne differs from the original's.

    Args:
        name: of a list.
        scores: phrase -> probability, best first.
        size: of the picture.

    """
    phrase, wanted = GOLDEN[name]
    first, found = next(iter(scores)), scores[phrase]
    said = []
    if size != SIZE:
        said.append("the picture has {} x {} pixels, the original's {} x {}".format(*size, *SIZE))
    if first != phrase and name != "movements":
        said.append(f"{name}: {first!r} stands first, where {phrase!r} did")
    if abs(found - wanted) > NEAR:
        said.append(f"{name}: {phrase!r} has {found:.1%}, where it had {wanted:.0%}; {WHY}")
    return said
