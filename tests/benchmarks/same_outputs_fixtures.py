"""What both packages of `same_outputs.py` look at: pictures, phrase files, models and a hub."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import random
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "boats/boat"
TURNED = 6  # what EXIF says of a picture that lies on its side
ORIENTATION = 0x0112
WORDS = "# mine\n\non silk\non silk\nété, au bord de la mer\n  a red boat \n海\n"


def make(folder: Path, model: Path) -> None:
    """Make all fixtures.

    Args:
        folder: where; a new one is made.
        model: folder of the demo model, for manifests that say that it lies in the hub.

    """
    (folder / "bad_cache").mkdir(parents=True)
    (folder / "bad_cache" / "vectors-1.sqlite").write_bytes(b"no database" * 100)
    (folder / "words.txt").write_text(WORDS, encoding="utf-8")
    (folder / "surfaces.txt").write_text("on silk\non ice\n", encoding="utf-8")
    (folder / "long.txt").write_text("a very long phrase " * 60 + "\non ice\n", encoding="utf-8")
    (folder / "latin.txt").write_bytes("été\n".encode("latin-1"))
    (folder / "empty.txt").write_text("# nothing\n", encoding="utf-8")
    painted(1).save(folder / "one.jpg", quality=90)
    painted(2, 90, 130).save(folder / "two.png")
    Image.frombytes("RGB", (160, 160), random.Random(3).randbytes(160 * 160 * 3)).save(
        folder / "noise.png"
    )
    _pictures(folder / "pictures")
    _manifests(folder, json.loads((model / "manifest.json").read_text(encoding="utf-8")))


def painted(seed: int, width: int = 140, height: int = 100) -> Image.Image:
    """Return a picture of soft colours with some shapes; a seed always gives the same one."""
    rng = random.Random(seed)
    image = Image.frombytes("RGB", (7, 5), rng.randbytes(7 * 5 * 3)).resize((width, height))
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y, edge = rng.randrange(width), rng.randrange(height), rng.randrange(8, 40)
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape((x, y, x + edge, y + edge), fill=tuple(rng.randbytes(3)), outline="black")
    return image


def _pictures(folder: Path) -> None:
    """Make a folder with pictures of many kinds, and what is none."""
    for inside in ("sub/deeper", "drafts", ".hidden"):
        (folder / inside).mkdir(parents=True)
    painted(10).save(folder / "two words é.jpg", quality=80)
    painted(11).convert("L").save(folder / "grey.png")
    painted(12).convert("1").save(folder / "bits.png")
    painted(13).convert("CMYK").save(folder / "cmyk.jpg")
    painted(14).convert("P").save(folder / "palette.gif", transparency=3)
    painted(15).convert("I").point(lambda value: value * 257).convert("I;16").save(
        folder / "deep.png"
    )
    alpha = painted(16)
    alpha.putalpha(painted(17).convert("L"))
    alpha.save(folder / "alpha.png")
    exif = Image.Exif()
    exif[ORIENTATION] = TURNED
    painted(18).save(folder / "turned.jpg", exif=exif)
    painted(19, 1, 1).save(folder / "tiny.png")
    painted(20, 400, 4).save(folder / "strip.png")
    painted(21).save(folder / "frames.tiff", save_all=True, append_images=[painted(22)])
    painted(23).save(folder / "sub" / "deeper" / "inner.webp", lossless=True)
    painted(24).save(folder / "sub" / "a_small.bmp")
    for name in ("drafts/sketch.png", ".hidden.png", ".hidden/other.png"):
        painted(25).save(folder / name)
    whole = (folder / "two words é.jpg").read_bytes()
    (folder / "damaged.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "text.jpg").write_text("no picture\n", encoding="utf-8")
    (folder / "empty.png").touch()
    (folder / "notes.txt").write_text("passed over\n", encoding="utf-8")


def _manifests(folder: Path, manifest: dict[str, object]) -> None:
    """Make models that must be fetched: pinned, left open, and one whose digest is another's."""
    text = json.dumps({**manifest, "download": True})

    def write(name: str, revision: str | None, text: str) -> None:
        source = {"repository": REPOSITORY, "revision": revision}
        (folder / name).mkdir()
        (folder / name / "manifest.json").write_text(
            json.dumps({**json.loads(text), "name": name, "source": source}), encoding="utf-8"
        )

    write("boat", COMMIT, text)
    data = json.loads(text)
    for file in (
        data["tokenizer"],
        *(each for v in data["variants"].values() for each in v.values()),
    ):
        file |= {"bytes": None, "sha256": None}
    write("open_boat", None, json.dumps(data))
    digest = json.loads(text)["tokenizer"]["sha256"]
    write("wrong_boat", COMMIT, text.replace(digest, "0" * 64))


@contextlib.contextmanager
def hub(model: Path) -> Iterator[str]:
    """Serve a model's files as the Hugging Face Hub does; yield the address for HF_ENDPOINT."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Hub, directory=str(model)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Hub(SimpleHTTPRequestHandler):
    """Answers for one repository, whatever the revision."""

    protocol_version = "HTTP/1.1"

    def translate_path(self, path: str) -> str:
        """Return the file that a request means."""
        return str(Path(self.directory) / path.rpartition("/")[2])

    def end_headers(self) -> None:
        """Add what the client wants to know of a file."""
        file = Path(self.translate_path(self.path))
        if file.is_file():
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha256(file.read_bytes()).hexdigest()}"')
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""
