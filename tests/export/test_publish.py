"""What is published is measured, described, uploaded by the Hub's own client, and fetched."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import hub_server as hubs
from clip_gaze import MOVEMENTS, Clip
from clip_gaze.model import registry
from conftest import reach

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PIL import Image

SCRIPT = Path(__file__).parents[2] / "export" / "publish.py"
REPOSITORY = "museum/tiny-for-clip-gaze"
COMMIT = "c0ffee" + "0" * 34


class Uploads:
    """The part of the Hub's API that takes uploads; what comes lies in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sent: list[str] = []  # what came as a large file
        self.calls: list[str] = []
        self.broken = False
        uploads = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.answer(uploads.asked(self.path, body, f"http://{self.headers['Host']}"))

            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if uploads.broken:
                    self.answer(None)
                    return
                digest = self.path.rpartition("/")[2]
                assert hashlib.sha256(body).hexdigest() == digest
                (uploads.folder / digest).write_bytes(body)
                uploads.sent.append(digest)
                self.answer({})

            def do_GET(self) -> None:
                self.answer({"id": REPOSITORY, "sha": COMMIT, "siblings": []})

            def answer(self, data: Any) -> None:
                body = json.dumps(data).encode()
                self.send_response(403 if data is None else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def asked(self, path: str, body: bytes, url: str) -> Any:
        """Return what the Hub answers to a POST request."""
        self.calls.append(path)
        if path == "/api/repos/create":
            return {"url": f"{url}/{REPOSITORY}", "name": REPOSITORY}
        if "/preupload/" in path:
            return {
                "files": [
                    {"path": name, "shouldIgnore": False, "uploadMode": kind}
                    for name in (each["path"] for each in json.loads(body)["files"])
                    for kind in ("regular" if name.endswith((".json", ".md")) else "lfs",)
                ]
            }
        if path.endswith("/info/lfs/objects/batch"):
            return {
                "transfer": "basic",
                "objects": [self.object(each, url) for each in json.loads(body)["objects"]],
            }
        if "/commit/" in path:
            for line in map(json.loads, body.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    (self.folder / value["path"]).write_bytes(base64.b64decode(value["content"]))
                elif line["key"] == "lfsFile":
                    content = (self.folder / value["oid"]).read_bytes()
                    (self.folder / value["path"]).write_bytes(content)
            return {
                "success": True, "commitOid": COMMIT,
                "commitUrl": f"{url}/{REPOSITORY}/commit/{COMMIT}",
            }  # fmt: skip
        return {}

    def object(self, each: dict[str, Any], url: str) -> dict[str, Any]:
        """Return what the Hub says of a large file: where to send it, or that it has it."""
        there = (self.folder / each["oid"]).exists()
        action = {} if there else {"actions": {"upload": {"href": f"{url}/put/{each['oid']}"}}}
        return {"oid": each["oid"], "size": each["size"], **action}


@pytest.fixture
def uploads(tmp_path: Path) -> Iterator[Uploads]:
    """Return a Hub that takes uploads."""
    (tmp_path / "store").mkdir()
    hub = Uploads(tmp_path / "store")
    thread = threading.Thread(target=hub.server.serve_forever, args=(0.01,))
    thread.start()
    yield hub
    hub.server.shutdown()
    hub.server.server_close()
    thread.join()


def test_what_is_published_can_be_fetched_and_answers_as_here(
    uploads: Uploads, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    picture: Callable[..., Image.Image],
) -> None:  # fmt: skip
    (tmp_path / "pictures").mkdir()
    for seed in range(3):
        picture(seed=seed).save(tmp_path / "pictures" / f"{seed}.png")
    to = tmp_path / "made"

    def publish(*words: object) -> subprocess.CompletedProcess[str]:
        monkeypatch.setenv("HF_ENDPOINT", uploads.url)
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")  # a protocol of its own, not tried here
        monkeypatch.setenv("HF_TOKEN", "hf_test")
        command = [
            sys.executable, str(SCRIPT), str(tiny_checkpoint), "--to", str(to),
            "--variants", "fp32,q4", "--list", "movements",
            "--pictures", str(tmp_path / "pictures"), *map(str, words),
        ]  # fmt: skip
        return subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", check=False
        )

    name = tiny_checkpoint.name
    done = publish()
    assert done.returncode == 0, done.stderr
    assert f"{name}: read {to / name / 'README.md'}; then run this again with --repo" in done.stdout
    card = (to / name / "README.md").read_text(encoding="utf-8")
    assert "Measured on 3 pictures" in card
    assert "| q4 | movements |" in card
    assert uploads.calls == []

    uploads.broken = True
    done = publish("--repo", REPOSITORY)
    assert done.returncode == 2
    (line,) = (each for each in done.stderr.splitlines() if "error:" in each)
    assert line.startswith(f"publish.py: error: {REPOSITORY}: cannot be uploaded (")
    assert line.endswith("run this again to go on")
    assert "Traceback" not in done.stderr

    uploads.broken = False
    done = publish("--repo", REPOSITORY)
    assert done.returncode == 0, done.stderr
    assert "measuring" not in done.stderr  # nor was anything exported or measured again
    assert f"it pins {REPOSITORY} at {COMMIT}" in done.stdout.splitlines()[-1]
    count = len(uploads.sent)
    assert publish("--repo", REPOSITORY).returncode == 0
    assert len(uploads.sent) == count  # nothing is sent twice

    shelf = tmp_path / "shelf" / "models" / name
    shelf.mkdir(parents=True)
    (to / f"{name}.manifest.json").rename(shelf / "manifest.json")
    monkeypatch.setattr(registry, "shipped", lambda part: tmp_path / "shelf" / part)
    shown = picture(seed=9)
    with Clip(to / name, "q4", offline=True, store=False) as clip:
        expected = clip.probabilities(shown, MOVEMENTS)
    with hubs.Hub(uploads.folder, COMMIT) as hub, monkeypatch.context() as patch:
        hub.repository = REPOSITORY
        with reach(hub, patch, tmp_path / "hf"), Clip(name, "q4", store=False) as clip:
            found = clip.probabilities(shown, MOVEMENTS)
    np.testing.assert_allclose([p for _, p in found], [p for _, p in expected], rtol=1e-5)
