"""One measurement in a process of its own, as `mapped.py` asks for it; prints one JSON object.

    python tests/benchmarks/mapped_subjects.py JSON

"plain" in the question keeps packed weights from being used or made.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clip_gaze.model import packed, registry
from clip_gaze.model.session import Tower

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = dict[str, Any]

LIST = "artists_by_training_prevalence"


def memory() -> dict[str, float]:
    """Return this process's private, mapped and proportional memory, in MB of 2^20 bytes."""
    text = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    found = {name: int(kb) / 1024 for name, kb in re.findall(r"(\w+):\s+(\d+) kB", text)}
    anonymous = found["Anonymous"]
    return {"private": anonymous, "mapped": found["Rss"] - anonymous, "pss": found["Pss"]}


def gaze(ask: Ask) -> dict[str, Any]:
    """Run the command line, and see what memory there is when the graph has run."""
    found: dict[str, float] = {}
    run = Tower.images

    def running(self: Tower, pixels: Any) -> Any:
        vectors = run(self, pixels)
        found.update(memory())
        return vectors

    Tower.images = running  # type: ignore[method-assign]
    model = ["--model", ask["model"], "--variant", ask["variant"]]
    sys.argv = ["clip-gaze", "gaze", ask["picture"], *model, "--list", LIST, "-o", os.devnull]
    try:
        runpy.run_module("clip_gaze", run_name="__main__", alter_sys=True)
    except SystemExit as done:
        assert not done.code, done.code  # noqa: PT017 - it is always raised
    return found


def load(ask: Ask) -> dict[str, Any]:
    """Load a tower, and run it."""
    import onnxruntime  # noqa: F401 - is not measured

    from clip_gaze.clip import Clip

    model = registry.find(ask["model"]).manifest
    with Clip(ask["model"], ask["variant"]) as clip:
        towers = clip._runtime.towers
        started = time.perf_counter()
        tower = towers.vision() if ask["tower"] == "vision" else towers.text()
        seconds = time.perf_counter() - started
        shape = (3, model.image.size, model.image.size) if ask["tower"] == "vision" else (9,)
        kind = "float32" if ask["tower"] == "vision" else "int64"
        tower.probe((shape, kind, 400), 1)
        return {"seconds": seconds, "packed": tower.packed, **memory()}


def both(ask: Ask) -> dict[str, Any]:
    """Open both towers, and run them."""
    from PIL import Image

    from clip_gaze.clip import Clip

    with Clip(ask["model"], ask["variant"]) as clip:
        clip.encode_texts(["a phrase"], keep=False)
        clip.encode_images([Image.new("RGB", (300, 200))])
        return memory()


def wait(ask: Ask) -> dict[str, Any]:
    """Look at a picture, say so, and measure the memory when all processes have."""
    from PIL import Image

    from clip_gaze.clip import Clip

    with Clip(ask["model"], ask["variant"]) as clip:
        clip.encode_images([Image.new("RGB", (300, 200))])
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        found = memory()
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()
        sys.stdin.readline()
        return found


def vectors(ask: Ask) -> dict[str, Any]:
    """Return a digest of the vectors of pictures, one after the other."""
    import hashlib

    from clip_gaze.clip import Clip

    with Clip(ask["model"], ask["variant"]) as clip:
        rows = [clip.encode_images([Path(path).read_bytes()]) for path in ask["pictures"]]
        packs = clip._runtime.towers.vision().packed
    return {
        "digest": hashlib.sha256(b"".join(r.tobytes() for r in rows)).hexdigest(),
        "packed": packs,
    }


def parts(ask: Ask) -> dict[str, Any]:
    """Return the seconds a picture of each part of a folder's work, one after the other."""
    from clip_gaze.clip import Clip
    from clip_gaze.pictures.load import upright
    from clip_gaze.pictures.preprocess import pixel_values
    from clip_gaze.system.files import sha256

    spent = dict.fromkeys(("digest", "decoding", "resizing", "graph"), 0.0)
    with Clip(ask["model"], ask["variant"], threads=1) as clip:
        tower = clip._runtime.towers.vision()
        assert tower.packed
        tower.probe(((3, 224, 224), "float32", 1), 1)
        for path in ask["pictures"]:
            moments = [time.perf_counter()]
            with Path(path).open("rb") as file:
                sha256(file)
            moments.append(time.perf_counter())
            image = upright(path)
            moments.append(time.perf_counter())
            pixels = pixel_values(image, clip.manifest.image)
            moments.append(time.perf_counter())
            tower.images(pixels[None])
            moments.append(time.perf_counter())
            for at, part in enumerate(spent):
                spent[part] += moments[at + 1] - moments[at]
    return {part: seconds / len(ask["pictures"]) for part, seconds in spent.items()}


def folder(ask: Ask) -> dict[str, Any]:
    """Return the seconds a picture of a folder, the model loaded before."""
    from PIL import Image

    from clip_gaze.clip import Clip

    with Clip(ask["model"], ask["variant"]) as clip:
        list(clip.embed_many([Image.new("RGB", (9, 9))] * 2))
        started = time.perf_counter()
        for _, outcome in clip.embed_many(ask["pictures"]):
            assert not isinstance(outcome, Exception), outcome
        return {"seconds": (time.perf_counter() - started) / len(ask["pictures"]), **memory()}


SUBJECTS: dict[str, Callable[[Ask], dict[str, Any]]] = {
    each.__name__: each for each in (gaze, load, both, wait, vectors, parts, folder)
}


def main() -> None:
    """Measure what the argument asks for."""
    ask = json.loads(sys.argv[1])
    if ask.get("plain"):
        packed.can_pack = lambda: False
        packed.Packed.open = lambda *_: None  # type: ignore[method-assign,assignment]
    sys.stdout.write(json.dumps(SUBJECTS[ask["kind"]](ask)) + "\n")


if __name__ == "__main__":
    main()
