"""`clip-gaze serve`: how it starts, what it keeps to itself, and how it ends."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from demo.painter import paint
from samples import PATIENCE
from serving import BOUNDARY, Served, form, hear

if TYPE_CHECKING:
    from collections.abc import Iterator

SRC = Path(__file__).parents[2] / "src"
READY = re.compile(r"clip-gaze serves http://(\S+):(\d+)/(?:\?token=(\S+))?")
WINDOWS = os.name == "nt"


def png() -> bytes:
    file = io.BytesIO()
    paint(0, 64).image.save(file, "PNG")
    return file.getvalue()


class Started:
    """A server in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        line = process.stdout.readline()
        found = READY.fullmatch(line.rstrip("\n"))
        assert found, line + (process.stderr.read() if process.stderr else "")
        self.host, self.token = found[1], found[3]
        self.served = Served(int(found[2]))

    def end(self, *how: signal.Signals) -> tuple[int, str]:
        """Ask the process to end; return its exit code and what it said on stderr."""
        for each in how:
            self.process.send_signal(each)
        _, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, errors


@contextlib.contextmanager
def started(*words: str, code: str = "", **environment: str) -> Iterator[Started]:
    """Start `clip-gaze serve` with the demo model on a free port, after some code of a test."""
    run = f"{code}\nfrom clip_gaze.cli import main\nmain({['serve', *words]!r} + sys.argv[1:])"
    line = [sys.executable, "-c", f"import sys\n{run}"]
    options = ["--model", "demo", "--port", "0", "--no-open", "--threads", "1"]
    process = subprocess.Popen(
        [*line, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=os.environ | environment,
    )
    try:
        yield Started(process)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


NOTE = "clip-gaze: this is the demo model, trained on painted test pictures;"


def check_end(code: int, errors: str) -> None:
    assert code == 0, errors
    assert "Traceback" not in errors
    assert errors.startswith(NOTE)
    assert len(errors.splitlines()) == 1, errors


@pytest.mark.skipif(WINDOWS, reason="a console's Ctrl-C would end the tests too")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_when_idle(how: signal.Signals) -> None:
    with started() as server, contextlib.closing(server.served.connect()) as connection:
        connection.request("GET", "/api/lists")
        assert connection.getresponse().read()
        # An open connection is no reason to stay.
        check_end(*server.end(how))


@pytest.mark.skipif(WINDOWS, reason="a console's Ctrl-C would end the tests too")
@pytest.mark.parametrize("times", [1, 2, 5])
def test_it_ends_cleanly_however_often_it_is_told(times: int) -> None:
    with started() as server:
        head = (
            f"POST /api/gaze HTTP/1.1\nHost: {server.served.host}\n"
            f'Content-Type: multipart/form-data; boundary="{BOUNDARY}"\nContent-Length: 999\n\n'
        )
        # A client that still sends is told so.
        with server.served.raw(head) as sending:
            assert server.served.get("/api/lists").status == 200
            check_end(*server.end(*[signal.SIGINT] * times))
            heard = b"".join(iter(lambda: sending.recv(10_000), b""))
        assert heard.startswith(b"HTTP/1.1 503 ")
        assert b"clip-gaze is stopping; start it again" in heard


STOPPED = """
class Finder:
    def find_spec(name, *_):
        if name == "clip_gaze.cli.commands.serve":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Finder)
"""


def test_ctrl_c_while_it_starts_is_one_line() -> None:
    done = run("serve", code=STOPPED)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "clip-gaze: error: stopped\n"


FEW_FILES = """
import resource
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (256, most))
"""


@pytest.mark.skipif(WINDOWS, reason="Windows has no such limit")
def test_more_idle_clients_than_files_may_be_open_shut_nobody_out() -> None:
    with started(code=FEW_FILES) as server, contextlib.ExitStack() as stack:
        for _ in range(400):
            stack.enter_context(server.served.raw(""))
        assert server.served.get("/api/lists").status == 200
        parts = [("image", ("a.png", png())), ("list", "tools")]
        assert server.served.post("/api/gaze", *parts).status == 200
        check_end(*server.end(signal.SIGTERM))


# As on an old machine, a step of the work takes its time.
SLOWLY = """
import time
from clip_gaze.model.session import Tower
images = Tower.images
Tower.images = lambda *arguments: time.sleep(0.2) or images(*arguments)
"""


@pytest.mark.skipif(WINDOWS, reason="a console's Ctrl-C would end the tests too")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_in_the_middle_of_its_work(how: signal.Signals) -> None:
    parts = [("image", ("a.png", png())), ("phrase", "on canvas"), ("quality", "fine")]
    with started(code=SLOWLY) as server, ThreadPoolExecutor() as pool:
        body = form(*parts)
        head = (
            f"POST /api/see HTTP/1.1\nHost: {server.served.host}\nAccept: text/event-stream\n"
            f'Content-Type: multipart/form-data; boundary="{BOUNDARY}"\n'
            f"Content-Length: {len(body)}\n\n"
        )
        with server.served.raw(head, more=body) as running:
            hear(running, b"event: progress")
            waiting = [pool.submit(server.served.post, "/api/see", *parts) for _ in range(3)]
            code, errors = server.end(how)
            heard = b"".join(iter(lambda: running.recv(10_000), b""))
        check_end(code, errors)
        assert b"event: error\ndata: " in heard
        assert b"clip-gaze is stopping" in heard
        for each in waiting:
            # One that came after the end was refused by the system.
            with contextlib.suppress(OSError, http.client.HTTPException):
                assert each.result().status == 503


NO_FILES = """
import os, tempfile
def fail(*_, **__): raise AssertionError("a temporary file")
for name in ("TemporaryFile", "NamedTemporaryFile", "mkstemp", "mkdtemp"):
    setattr(tempfile, name, fail)
def see(event, args):
    if event == "open" and (isinstance(args[1], str) and set(args[1]) & set("wax+")
            or isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
        print("written", args[0], file=sys.stderr)
    elif event == "open" and isinstance(args[0], (str, bytes)) and "secret" in os.fsdecode(args[0]):
        print("read", args[0], file=sys.stderr)  # of all files it would be more than a pipe holds
    elif event in ("os.mkdir", "os.rename", "subprocess.Popen", "os.exec", "os.posix_spawn"):
        print("done", event, args, file=sys.stderr)
sys.addaudithook(see)
"""


@pytest.mark.skipif(WINDOWS, reason="it is ended by a signal")
def test_nothing_of_a_picture_is_written_and_no_path_of_a_request_is_opened(
    tmp_path: Path, cache: Path
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    secret = tmp_path / "secret.png"
    secret.write_bytes(png())
    large = io.BytesIO()
    paint(0, 64).image.resize((1500, 1500)).save(large, "BMP")  # more than one megabyte
    image = ("image", (str(secret), large.getvalue()))
    with started(code=NO_FILES, TMPDIR=str(folder), PYTHONDONTWRITEBYTECODE="1") as server:
        # onnxruntime leaves a number of its own there when it is loaded.
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        assert set(before) <= {".ses"}
        ask = server.served.post
        lists = [("list", "tools"), ("list", "surfaces")]
        assert ask("/api/gaze", image, image, *lists, ("corrected", "true")).status == 200
        assert ask("/api/see", image, ("phrase", "on canvas"), ("quality", "quick")).status == 200
        assert ask("/api/compare", image, image, *lists).status == 200
        assert ask("/api/card", image, *lists).status == 200
        assert ask("/api/gaze", ("image", (str(secret), b"damaged"))).status == 400
        assert ask("/api/gaze", image, ("list", str(secret))).status == 400
        assert server.served.get(f"/static/{secret}").status == 404
        code, errors = server.end(signal.SIGTERM)
    assert code == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    lines = errors.splitlines()
    assert not [line for line in lines if str(secret) in line]
    assert not [line for line in lines if line.startswith("done ") and str(cache) not in line]
    written = [line for line in lines if line.startswith("written ") and str(cache) not in line]
    assert written == []


def test_phrases_stay_in_the_store_and_pictures_do_not(cache: Path) -> None:
    from clip_gaze.store import Store

    with started(CLIP_GAZE_CACHE=str(cache)) as server:
        parts = [("image", ("a.png", png())), ("list", "tools")]
        assert server.served.post("/api/gaze", *parts).status == 200
        server.process.terminate()
        server.process.communicate(timeout=PATIENCE)
    with contextlib.closing(Store(cache)) as store:
        counts = store.counts()
    assert counts["text"] > 0
    assert counts.get("vision", 0) == 0


def test_only_this_machine_is_served_unless_another_host_is_named() -> None:
    with started() as server:
        assert server.token is None
        reply = server.served.get("/api/lists", host=f"192.168.0.7:{server.served.port}")
        assert reply.status == 403


@pytest.mark.parametrize(("host", "own"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]")])
@pytest.mark.skipif(WINDOWS, reason="it is ended by a signal")
def test_all_addresses_of_a_machine_are_printed_as_others_know_it(host: str, own: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, 0), family=family).close()
        socket.create_server((own.strip("[]"), 0), family=family).close()
    except OSError:
        pytest.skip(f"{host} cannot be served here")
    name = socket.gethostname().lower()
    with started("--host", host) as server:
        served = dataclasses.replace(server.served, address=own.strip("[]"))
        token = {"authorization": f"Bearer {server.token}"}
        for each, status in ((own, 200), (name, 200), ("evil.example", 403)):
            reply = served.get("/api/lists", host=f"{each}:{served.port}", **token)
            assert reply.status == status
        assert reply.error.endswith("; open the address that clip-gaze serve printed")
        server.process.terminate()
        server.process.wait(PATIENCE)
        with server.process as ended:
            assert ended.stdout is not None
            lines = [READY.fullmatch(line) for line in ended.stdout.read().splitlines()]
    assert all(line and line[3] == server.token for line in lines)
    hosts = [server.host, *(line[1] for line in lines if line)]
    assert (hosts[0], hosts[-1]) == (own, name)
    assert not {"0.0.0.0", "[::]"} & set(hosts)


def test_another_host_takes_a_token_that_nobody_guesses() -> None:
    tokens = set()
    for _ in range(2):
        with started("--host", "0.0.0.0") as server:
            assert len(server.token) >= 24
            tokens.add(server.token)
            address = f"192.168.0.7:{server.served.port}"
            assert server.served.get("/api/lists", host=address).status == 401
            carried = {"host": address, "authorization": f"Bearer {server.token}"}
            assert server.served.get("/api/lists", **carried).status == 200
            assert server.served.get("/", host="evil.example").status == 403
    assert len(tokens) == 2


def test_a_token_of_ones_own_is_taken() -> None:
    with started("--token", "my-own-token") as server:
        assert server.token == "my-own-token"
        assert server.served.get("/api/lists").status == 401
        assert server.served.get("/?token=my-own-token").status == 303


def test_limits_are_options() -> None:
    limits = ["--max-upload", "0.01", "--max-megapixels", "0.001", "--queue", "0"]
    with started(*limits) as server:
        large = server.served.post("/api/gaze", ("image", ("a.png", b"." * 11_000)))
        assert (large.status, large.error) == (
            413,
            "more than 0.01 MB at once; send less, or raise --max-upload",
        )
        file = io.BytesIO()
        paint(0, 64).image.save(file, "JPEG")
        many = server.served.post("/api/gaze", ("image", ("a.jpg", file.getvalue())))
        assert many.status == 413
        assert "which is the limit; raise it with --max-megapixels" in many.error


def run(*words: str, code: str = "") -> subprocess.CompletedProcess[str]:
    line = f"import sys\n{code}\nfrom clip_gaze.cli import main\nmain(sys.argv[1:])"
    return subprocess.run(
        [sys.executable, "-c", line, *words], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("missing", ["starlette", "uvicorn", "jinja2", "python_multipart"])
def test_without_the_extra_one_line_says_what_to_install(missing: str) -> None:
    done = run("serve", "--model", "demo", code=f"sys.modules[{missing!r}] = None")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"clip-gaze: error: the page needs {missing}; "
        'install it with: pip install ".[page]" in the folder of clip-gaze\n'
    )


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--token", ""], "--token has 8 letters or more"),
        (["--token", "short"], "--token has 8 letters or more"),
        (["--token", "with spaces in it"], "--token has 8 letters or more"),
        (["--token", "with;semicolon"], "--token has 8 letters or more"),
        (["--port", "65536"], "Invalid value for '--port'"),
        (["--host", "no.such.host.invalid"], "no.such.host.invalid, port 8017: cannot be served"),
        (["--host", "a" * 64], f"{'a' * 64}: is no name of a machine; name another --host"),
        (["--host", "a..b"], "a..b: is no name of a machine; name another --host"),
        (["--max-upload", "nan"], "Invalid value for '--max-upload': nan is not a finite"),
        (["--max-upload", "inf"], "Invalid value for '--max-upload': inf is not a finite"),
        (["--max-upload", "-1"], "Invalid value for '--max-upload': -1.0 is not in the range"),
        (["--max-upload", "0"], "Invalid value for '--max-upload': 0.0 is not in the range x>0"),
        (["--max-megapixels", "nan"], "Invalid value for '--max-megapixels': nan is not a"),
        (["--model", "none", "--port", "0"], "no model is called 'none'"),
    ],
)
def test_what_cannot_be_served_is_one_line(words: list[str], line: str) -> None:
    done = run("serve", "--no-open", *words)
    assert done.returncode == 2
    assert done.stderr.startswith(f"clip-gaze: error: {line}")
    assert len(done.stderr.splitlines()) == 1


def test_a_port_that_is_taken_is_one_line() -> None:
    with started() as server:
        port = str(server.served.port)
        done = run("serve", "--model", "demo", "--no-open", "--port", port)
    assert done.returncode == 2
    assert done.stderr.startswith(f"clip-gaze: error: 127.0.0.1, port {port}: cannot be served")
    assert "choose another --port" in done.stderr


def test_a_browser_is_opened_at_the_page() -> None:
    code = (
        "import webbrowser\n"
        "webbrowser.open = lambda url: print('opened', url, file=sys.stderr, flush=True)\n"
        "sys.argv.remove('--no-open')"
    )
    with started(code=code) as server:
        assert server.process.stderr is not None
        lines = [server.process.stderr.readline() for _ in range(2)]
        assert lines[1] == f"opened http://127.0.0.1:{server.served.port}/\n"


@pytest.mark.parametrize(
    "words", [["lists"], ["models"], ["gaze", "--help"], ["serve", "--help"], ["demo"]]
)
def test_other_commands_import_nothing_of_the_page(words: list[str]) -> None:
    code = (
        "import atexit, json\n"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))"
    )
    done = run(*words, code=code)
    assert done.returncode == 0, done.stderr
    modules: Any = json.loads(done.stderr.splitlines()[-1])
    heavy = {"starlette", "uvicorn", "jinja2", "python_multipart", "asyncio", "h11"}
    assert not heavy & set(modules)
