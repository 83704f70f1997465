"""With --offline no command reaches another machine, whatever it is given."""

from __future__ import annotations

import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from clip_gaze import Clip, GazeError, ModelSpec, embed
from clip_gaze.cli import main
from clip_gaze.pictures.source import Content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from PIL import Image

    MakePicture = Callable[..., Image.Image]


@pytest.fixture
def asked(picture: MakePicture) -> Iterator[tuple[str, list[str]]]:
    """Yield the URL of a server of one picture, and what it was asked for."""
    pytest.importorskip("aiohttp")
    requests: list[str] = []
    file = io.BytesIO()
    picture().save(file, "PNG")
    served = file.getvalue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(f"{self.command} {self.path}")
            if self.path != "/served.png":
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(served)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(served)

        do_PUT = do_HEAD = do_GET  # noqa: N815 - the same

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", requests
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "words",
    [
        "gaze URL/a.jpg",
        "gaze URL/",
        "gaze URL/*.jpg",
        "gaze here.png URL/a.jpg",
        "gaze here.png -o URL/answers/",
        "gaze --from URL/names.txt",
        "gaze --from names.txt",
        "embed URL/ -o vectors",
        "embed here.png -o URL/vectors",
        "embed --from names.txt -o vectors",
        "report URL/",
        "compare here.png URL/a.jpg",
        "see URL/a.jpg boat -o map.png",
        "prompt URL/a.jpg",
        "find sea URL/",
        "find sea URL/vectors",
        "find URL/a.jpg here",
        "find sea --not URL/a.jpg here",
        "find --like URL/a.jpg here",
    ],
)
def test_nothing_is_asked_for(
    words: str,
    asked: tuple[str, list[str]],
    tiny_model: Path,
    tmp_path: Path,
    picture: MakePicture,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url, requests = asked
    (tmp_path / "here").mkdir()
    picture().save(tmp_path / "here.png")
    picture().save(tmp_path / "here" / "one.png")
    (tmp_path / "names.txt").write_text(f"{url}/a.jpg\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main([*words.replace("URL", url).split(), "--model", str(tiny_model), "--offline"])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.count("--offline forbids to reach it") == 1
    assert said.count(f"{url}/") == 1
    assert not requests
    assert not list(tmp_path.glob("vectors/part-*"))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("report vectors -o page.html", 2),
        ("find sea vectors -o page.html", 1),
        ("find sea vectors -o sheet.png", 1),
        ("find --duplicates vectors -o page.html", 0),
    ],
)
def test_nothing_is_asked_for_to_show_what_a_dataset_names(
    words: str,
    code: int,
    asked: tuple[str, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("pyarrow")
    pytest.importorskip("jinja2")
    url, requests = asked
    monkeypatch.chdir(tmp_path)
    assert len(embed([f"{url}/served.png"], "vectors", model="demo")) == 1
    assert requests
    requests.clear()
    with pytest.raises(SystemExit) as ended:
        main([*words.split(), "--offline"])
    assert ended.value.code == code
    assert not requests


def test_what_is_in_memory_may_have_any_name(
    tiny_model: Path, tmp_path: Path, picture: MakePicture
) -> None:
    picture().save(tmp_path / "a.png")
    content = Content((tmp_path / "a.png").read_bytes(), "https://example.org/a.png")
    with Clip(tiny_model, offline=True) as clip:
        assert len(clip.encode_images([content, tmp_path / "a.png"])) == 2
    spec = ModelSpec(str(tiny_model), offline=True)
    assert len(embed([tmp_path / "a.png"], tmp_path / "vectors", model=spec)) == 1


def test_the_library_asks_for_nothing_either(
    asked: tuple[str, list[str]], tiny_model: Path, tmp_path: Path, picture: MakePicture
) -> None:
    url, requests = asked
    spec = ModelSpec(str(tiny_model), offline=True)
    picture().save(tmp_path / "here.png")
    for source, output in (
        (f"{url}/", tmp_path / "vectors"),
        ([f"{url}/"], tmp_path / "vectors"),
        ([str(tmp_path / "here.png")], f"{url}/vectors"),
    ):
        with pytest.raises(GazeError, match="--offline forbids to reach it"):
            embed(source, output, model=spec)
    assert not requests
