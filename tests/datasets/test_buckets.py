"""Collections and datasets in buckets of S3, as moto has it, also where requests fail."""

from __future__ import annotations

import contextlib
import http.client
import os
import subprocess
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

import clip_gaze

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Fault = Callable[[str, str, int], str]

KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}

SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"
DROPPED = {"transfer-encoding", "connection", "date", "server", "content-length"}


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, int]]:
    """Return host and port of an S3."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield str(host), int(port)
    server.stop()


@contextlib.contextmanager
def faulty(server: tuple[str, int], fault: Fault) -> Iterator[str]:
    """Yield the URL of a way to the server on which requests fail, are broken off, or wait."""
    tries: Counter[tuple[str, str]] = Counter()
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            key = (self.command, self.path)
            tries[key] += 1
            what = fault(*key, tries[key])
            if what == "slow":
                over.wait(2)
            if what == "silent":
                over.wait()
            if what in {"broken", "silent"}:
                self.close_connection = True
            elif what == "503":
                self._answer(503, {}, SLOW_DOWN)
            else:
                connection = http.client.HTTPConnection(*server)
                connection.request(self.command, self.path, body, dict(self.headers))
                got = connection.getresponse()
                self._answer(got.status, dict(got.getheaders()), got.read())
                connection.close()

        do_PUT = do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815 - the same

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            length = headers.get("Content-Length", "0") if self.command == "HEAD" else len(body)
            kept = {name: headers[name] for name in headers if name.lower() not in DROPPED}
            for name, value in {**kept, "Content-Length": str(length)}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body)

        def log_message(self, *_: object) -> None:
            """Write no log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as way:
        thread = threading.Thread(target=way.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{way.server_port}"
        finally:
            over.set()
            way.shutdown()
            thread.join()


def run(url: str, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "clip_gaze", *words],
        env=os.environ | KEYS | {"AWS_ENDPOINT_URL": url, "AWS_MAX_ATTEMPTS": "2"} | more,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def bucket(server: tuple[str, int], scans: Path, request: pytest.FixtureRequest) -> str:
    """Return a bucket that holds the pictures."""
    import boto3

    name = f"bucket-{abs(hash(request.node.name)) % 10**9}"
    client = boto3.client(
        "s3", endpoint_url="http://{}:{}".format(*server), region_name="us-east-1",
        aws_access_key_id="a", aws_secret_access_key="b",
    )  # fmt: skip
    client.create_bucket(Bucket=name)
    for path in scans.rglob("*.png"):
        key = path.relative_to(scans).as_posix()
        client.put_object(Bucket=name, Key=f"scans/{key}", Body=path.read_bytes())
    client.close()
    return name


def embed(url: str, bucket: str, *more: str, **env: str) -> subprocess.CompletedProcess[str]:
    words = ["embed", f"s3://{bucket}/scans", "-o", f"s3://{bucket}/vectors", "--model", "demo"]
    return run(url, *words, "--per-part", "4", *more, **env)


def test_source_and_target_are_buckets_and_what_fails_once_or_twice_is_asked_again(
    server: tuple[str, int], bucket: str, scans: Path, tmp_path: Path
) -> None:
    def fault(method: str, path: str, tried: int) -> str:
        if tried > 1:
            return ""
        if method == "PUT":
            return "broken" if "part-" in path else "503"
        return "503" if "/scans/" in path else ""

    with faulty(server, fault) as url:
        done = embed(url, bucket)
        assert done.returncode == 1  # one picture is bad
        assert done.stderr.count("error") == 1
        assert f"s3://{bucket}/scans/bad.png: is not a picture" in done.stderr
        out = tmp_path / "answers.jsonl"
        words = ["gaze", f"s3://{bucket}/vectors", "--list", "surfaces", "-o", str(out)]
        assert run(url, *words).returncode == 1
    expected = clip_gaze.embed(scans, tmp_path / "expected", model="demo")
    lines = out.read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(expected) == 21
    assert all(f"s3://{bucket}/scans/" in line for line in lines)


def test_what_keeps_failing_is_said_and_gone_on_with(server: tuple[str, int], bucket: str) -> None:
    puts: list[str] = []

    def fault(method: str, path: str, tried: int) -> str:
        del tried
        if method != "PUT" or "part-" not in path:
            return ""
        puts.append(path)
        return "503" if path == puts[0] else ""  # one part can never be written

    with faulty(server, fault) as url:
        done = embed(url, bucket)
        assert done.returncode == 1
        said = [line for line in done.stderr.splitlines() if "part-" in line]
        assert len(said) == 1
        assert "cannot be reached" in said[0]
        assert "the same command with --resume goes on" in done.stderr
    with faulty(server, lambda *_: "") as url:
        assert embed(url, bucket, "--resume").returncode == 1
        done = run(url, "gaze", f"s3://{bucket}/vectors", "--list", "surfaces", "--format", "csv")
        assert len({line.split(",")[0] for line in done.stdout.splitlines()[1:]}) == 21


# As fsspec takes settings: how long an answer is waited for, which is a minute else.
IMPATIENT = {"FSSPEC_S3": '{"config_kwargs": {"read_timeout": 5}}'}


def test_slow_answers_are_waited_for_and_those_that_never_come_asked_for_again(
    server: tuple[str, int], bucket: str
) -> None:
    silent: list[str] = []

    def fault(method: str, path: str, tried: int) -> str:
        if tried > 1:
            return ""
        if path.endswith(("03.png", "/vectors/_common_metadata")):
            return "slow"
        if path.endswith("05.png") or (method == "PUT" and "part-" in path and len(silent) < 2):
            silent.append(path)
            return "silent"
        return ""

    with faulty(server, fault) as url:
        done = embed(url, bucket, **IMPATIENT)
    assert len(silent) > 1
    assert done.returncode == 1  # one picture is bad
    assert done.stderr.count("error") == 1
    assert "21 pictures" in done.stderr


@pytest.mark.full
def test_an_answer_that_never_comes_is_one_line(server: tuple[str, int], bucket: str) -> None:
    once = '{"config_kwargs": {"read_timeout": 5, "retries": {"total_max_attempts": 1}}}'
    with faulty(server, lambda _, path, __: "silent" * path.endswith("05.png")) as url:
        done = embed(url, bucket, FSSPEC_S3=once)
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if "05.png" in line]
    assert len(said) == 1
    assert "part-" in said[0]
    assert "the same command with --resume goes on" in done.stderr


def test_a_bucket_that_is_not_there_is_one_line(server: tuple[str, int], tmp_path: Path) -> None:
    url = "http://{}:{}".format(*server)
    words = ["embed", "s3://no-such-bucket/scans/", "-o", str(tmp_path / "v"), "--model", "demo"]
    done = run(url, *words)
    assert done.returncode == 2
    assert "no such file or folder" in done.stderr
    assert done.stderr.count("error") == 1
