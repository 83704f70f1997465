"""Describe a model and how it is run, as a value."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT = "clip-vit-base-patch32"  # the model that is meant where none is named


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The arguments of a `Clip`; can be pickled and sent to another process.

    Attributes:
        model: a name under models/, a model folder or a bundle; None: DEFAULT.
        variant: one of the model's variants; None: its default.
        threads: CPU threads for each graph, up to 256; None: all that this process may use.
        offline: never touch the network.
        store: keep embeddings of phrases and files, and packed weights, for later runs, and use
            what is kept. None: so it is, but a bundle keeps packed weights alone.
        max_megapixels: larger picture files are refused; None: see
            `memory.most_pixels`.
        templates: such as "a painting {}": a phrase's embedding is the mean of its embeddings in
            each of them; none: it stands alone.

    """

    model: str | None = None
    variant: str | None = None
    threads: int | None = None
    offline: bool = False
    store: bool | None = None
    max_megapixels: float | None = None
    templates: tuple[str, ...] = ()

    @property
    def max_pixels(self) -> int | None:
        """The largest picture file that is opened, in pixels."""
        return int(self.max_megapixels * 1e6) if self.max_megapixels else None
