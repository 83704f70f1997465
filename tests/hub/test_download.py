"""Whatever the network does, a model is complete and right, or one line says what is wrong.

The real client of huggingface_hub asks a server on loopback, whose failures are scripted.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

import hub_server as hubs
from clip_gaze.errors import DownloadError, GazeError, ModelError
from clip_gaze.hub import address, download, folder
from clip_gaze.model import manifest as manifests
from clip_gaze.model import manifest_file, pins, registry
from clip_gaze.model.manifest import Variant
from samples import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub_server import Hub

VISION, TEXT = "onnx/vision_model_q4.onnx", "onnx/text_model_q4.onnx"
# What a full-size model has beside them.
VISION_DATA, TEXT_DATA = f"{VISION}_data", f"{TEXT}_data"
FILES = ("tokenizer.json", VISION, TEXT)
RUN = """
import sys
from pathlib import Path
from clip_gaze.hub import download
from clip_gaze.model import registry
registry.shipped = lambda name: Path(sys.argv[1]) / name
print(download.ready(registry.find(sys.argv[2])).paths["text"])
assert ("huggingface_hub" in sys.modules) == (sys.argv[3] == "fetch")
"""


def get(name: str = hubs.NAME, variant: str | None = None, **options: bool) -> download.Files:
    """Return the files of a model, after looking at each of them."""
    model = registry.find(name)
    files = download.ready(model, variant, **options)
    assert list(files.paths) == list(files.digests) == ["tokenizer", "vision", "text"]
    for role, path in files.paths.items():
        assert digest(path) == files.digests[role]
    return files


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def refused(name: str = hubs.NAME, **options: bool) -> str:
    """Return the one line of an error, after making sure that no wrong file was left."""
    with pytest.raises(GazeError) as caught:
        download.ready(registry.find(name), **options)
    line = str(caught.value)
    assert "\n" not in line
    no_wrong_file_is_left()
    return line


def no_wrong_file_is_left() -> None:
    """Look at every file that stands where a model's file belongs."""
    wanted = registry.find(hubs.NAME).manifest
    digests = {
        file.file: file.sha256
        for variant in wanted.variants
        for file in wanted.files(variant).values()
    }
    snapshots = address.folder(hubs.REPOSITORY) / "snapshots"
    for path in snapshots.rglob("*"):
        if path.is_file() and not path.name.endswith(".damaged"):
            name = path.relative_to(snapshots).as_posix().split("/", 1)[1]
            assert digest(path) == digests[name]


def start(hub_shelf: Path, name: str = hubs.NAME, mode: str = "fetch") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", RUN, str(hub_shelf), name, mode]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )


@pytest.fixture
def shelf(published: Path) -> Path:
    return published / "shelf"


@pytest.fixture
def total(published: Path) -> int:
    return sum((published / "store" / file).stat().st_size for file in FILES)


@pytest.fixture
def hasty(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a server that says nothing be given up soon."""
    from huggingface_hub import constants

    assert hub.requests == []
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.5)


def test_the_first_use_fetches_the_default_variant_and_says_so(
    hub: Hub, caplog: pytest.LogCaptureFixture, total: int
) -> None:
    files = get()
    assert files.variant == "q4"
    assert hub.sent == total
    (line,) = [record.getMessage() for record in caplog.records if record.name != "huggingface_hub"]
    assert all(file in line for file in FILES)
    assert f"{total / 1e6:.1f} MB" in line
    assert hub.url in line
    assert hubs.COMMIT in line


def test_nothing_but_the_files_is_asked_for(hub: Hub) -> None:
    get()
    asked = Counter((request.method, request.path) for request in hub.requests)
    resolve = f"/{hubs.REPOSITORY}/resolve/{hubs.COMMIT}/"
    wanted = {(method, resolve + file) for method in ("HEAD", "GET") for file in FILES}
    wanted |= {("GET", f"/cdn/{file}") for file in (VISION, TEXT)}
    assert asked == dict.fromkeys(wanted, 1)
    for request in hub.requests:
        assert "torch" not in request.headers["user-agent"]


def test_settings_of_the_process_stay_as_they_are(hub: Hub) -> None:
    from huggingface_hub import constants

    before, environment = dict(vars(constants)), dict(os.environ)
    during: list[dict[str, object]] = []

    def look(_: hubs.Answer) -> bool:
        during.append(dict(vars(constants)))
        return False

    for method in ("HEAD", "GET"):
        hub.always(method, VISION, look)
    get()
    hub.always("HEAD", "onnx/vision_model.onnx", hubs.fails(500))
    with pytest.raises(DownloadError):
        get(variant="fp32")
    assert during == [before, before]
    assert dict(vars(constants)) == before
    assert dict(os.environ) == environment


def test_nothing_is_asked_where_all_is_here(hub: Hub, shelf: Path) -> None:
    first = get()
    hub.requests.clear()
    assert get() == first
    assert get(offline=True) == first
    with start(shelf, mode="here") as process:
        output, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, error
    assert output.strip() == str(first.paths["text"])
    assert hub.requests == []


@pytest.mark.parametrize("how", ["option", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_asks_nobody_and_says_what_to_do(
    hub: Hub, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how != "option":
        monkeypatch.setenv(how, "1")
    line = refused(offline=how == "option")
    assert hub.requests == []
    assert all(file in line for file in FILES)
    assert str(address.snapshot(hubs.REPOSITORY, hubs.COMMIT)) in line
    assert f"`clip-gaze download {hubs.NAME} --variant q4 --to FOLDER`" in line
    assert "--model demo" in line


def test_files_may_be_copied_to_the_folder_that_the_line_names(hub: Hub, published: Path) -> None:
    folder = address.snapshot(hubs.REPOSITORY, hubs.COMMIT)
    assert str(folder) in refused(offline=True)
    shutil.copytree(published / "store", folder)
    assert get(offline=True).paths["vision"] == folder / VISION
    assert hub.requests == []


def test_no_network_is_said_with_the_ways_out(hub: Hub) -> None:
    hub.stop()
    line = refused()
    assert f"{hub.url} cannot be reached" in line
    assert all(file in line for file in FILES)
    assert "--to FOLDER" in line
    assert "--model demo" in line


def test_a_network_that_swallows_everything_is_not_waited_for(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", constants.DEFAULT_ETAG_TIMEOUT)
    answer = threading.Event()
    hub.always("HEAD", FILES[0], hubs.silent(answer))
    line = refused()
    assert not answer.is_set()  # the Hub has still said nothing
    answer.set()
    assert f"{hub.url} cannot be reached (no answer in " in line


def test_a_cut_is_resumed_where_it_was(hub: Hub) -> None:
    hub.script("GET", TEXT, hubs.cut(1_000_000))
    get()
    first, second = (r for r in hub.requests if r.path == f"/cdn/{TEXT}")
    assert first.start == 0
    assert 500_000 < second.start <= 1_000_000


def test_more_than_the_whole_file_is_no_part_of_it(hub: Hub) -> None:
    hub.script("GET", TEXT, hubs.cut(1_000_000), hubs.fails(502))
    refused()
    (part,) = address.folder(hubs.REPOSITORY).rglob("*.incomplete")
    part.write_bytes(bytes(hub.details(TEXT)[0] + 1))
    hub.requests.clear()
    get()
    assert [r.start for r in hub.requests if r.path == f"/cdn/{TEXT}"] == [0]


def test_the_next_run_resumes_what_the_last_one_had(
    hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    hub.script("GET", TEXT, hubs.cut(1_000_000), hubs.fails(502))
    assert "502" in refused()
    sent = hub.sent
    hub.requests.clear()
    caplog.clear()
    get()
    (request,) = (r for r in hub.requests if r.path == f"/cdn/{TEXT}")
    assert 500_000 < request.start <= 1_000_000
    assert hub.count("GET", VISION) == 0
    assert hub.sent - sent == hub.details(TEXT)[0] - request.start
    assert " of which " in caplog.text


def test_a_server_that_always_hangs_up_early_is_said(hub: Hub) -> None:
    hub.always("GET", VISION, hubs.cut(10_000))
    line = refused()
    assert f"the download of {VISION} broke after" in line
    assert "goes on from there" in line


@pytest.mark.parametrize("spoil", [hubs.altered, hubs.padded_page])
def test_a_wrong_file_is_set_aside_and_fetched_again(
    hub: Hub, spoil: hubs.Action, caplog: pytest.LogCaptureFixture
) -> None:
    hub.script("GET", VISION, spoil)
    good = get().digests["vision"]
    assert hub.count("GET", f"/cdn/{VISION}") == 2
    (aside,) = address.cache_folder().rglob("*.damaged")
    assert f"SHA-256 {good} was expected, {digest(aside)} was found" in caplog.text
    assert str(aside) in caplog.text


@pytest.mark.parametrize("spoil", [hubs.altered, hubs.padded_page])
def test_a_file_that_is_wrong_twice_is_not_used(hub: Hub, spoil: hubs.Action) -> None:
    hub.always("GET", VISION, spoil)
    line = refused()
    (aside,) = address.cache_folder().rglob("*.damaged")
    good = hub.details(VISION)[1]
    assert f"{VISION} from {hub.url} is wrong, in 2 downloads" in line
    assert f"SHA-256 {good} was expected, {digest(aside)} was found" in line
    assert hub.count("GET", f"/cdn/{VISION}") == 2
    hub.heal()
    get()


def test_a_page_in_place_of_an_answer_is_said(hub: Hub) -> None:
    hub.always("HEAD", VISION, hubs.page)
    line = refused()
    assert f"does not answer as the Hub does when asked for {VISION}" in line
    assert "login" in line


def test_a_page_in_place_of_a_file_is_not_used(hub: Hub) -> None:
    hub.always("GET", VISION, hubs.page)
    size = hub.details(VISION)[0]
    assert f"{size:,} bytes were expected, {len(hubs.PAGE):,} were found" in refused()


@pytest.mark.parametrize(
    ("header", "value", "said"),
    [
        ("X-Linked-Size", "1234", "bytes were expected, {hub.url} offers 1,234"),
        (
            "X-Linked-ETag",
            f'"{"0" * 64}"',
            f"{{hub.url}} reports {'0' * 64} for the same revision, {hubs.COMMIT}",
        ),
        ("X-Repo-Commit", "1" * 40, f"answers with revision {'1' * 40}"),
        ("X-Repo-Commit", "../../..", "does not answer as the Hub does"),
    ],
)
def test_another_file_than_the_manifests_is_not_fetched(
    hub: Hub, header: str, value: str, said: str
) -> None:
    def other(answer: hubs.Answer) -> bool:
        answer.headers[header] = value
        return False

    hub.always("HEAD", VISION, other)
    assert said.format(hub=hub) in refused()
    assert hub.count("GET") == 0


def test_a_tag_that_is_no_digest_does_no_harm(hub: Hub) -> None:
    def other(answer: hubs.Answer) -> bool:
        answer.headers["X-Linked-ETag"] = '"../../../tag"'
        return False

    hub.always("HEAD", VISION, other)
    get()


def test_a_file_of_unknown_digest_needs_one_from_the_hub(hub: Hub) -> None:
    def other(answer: hubs.Answer) -> bool:
        answer.headers["X-Linked-ETag"] = '"no digest"'
        return False

    hub.always("HEAD", VISION, other)
    assert f"{hub.url} reports no digest for {VISION}" in refused(hubs.OPEN)
    assert hub.count("GET") == 0


def test_a_redirect_within_the_hub_is_followed(hub: Hub) -> None:
    hub.script("HEAD", VISION, hubs.fails(307, Location="?of=the-new-name"))
    get()
    assert hub.count("HEAD", VISION) == 2


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize(
    ("status", "advice"),
    [(401, "HF_TOKEN"), (403, "HF_TOKEN"), (404, "HF_ENDPOINT"), (500, "try again later")],
)
def test_a_refusal_is_said(hub: Hub, method: str, status: int, advice: str) -> None:
    hub.always(method, VISION, hubs.fails(status))
    line = refused()
    assert f"HTTP {status}" in line
    assert advice in line
    assert VISION in line
    assert "--model demo" in line
    hub.heal()
    get()


def test_too_many_requests_are_said_with_the_time_to_wait(hub: Hub) -> None:
    hub.always("HEAD", VISION, hubs.fails(429, Retry_After="77"))
    line = refused()
    assert "HTTP 429" in line
    assert "try again in 77 s" in line


def test_a_wait_that_the_server_asks_for_is_waited(hub: Hub) -> None:
    hub.script("GET", VISION, hubs.fails(429, Retry_After="0"))
    get()


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_a_wait_of_more_than_a_minute_is_said_and_not_waited(hub: Hub, method: str) -> None:
    hub.always(method, VISION, hubs.fails(429, Retry_After="3600"))
    assert "try again in 3600 s" in refused()
    assert hub.count(method, {"HEAD": VISION, "GET": f"/cdn/{VISION}"}[method]) == 1


def test_a_busy_server_is_given_up_in_the_end(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    hub.always("GET", VISION, hubs.fails(429, Retry_After="0"))
    assert "HTTP 429" in refused()
    assert "trying again in 0 s" in caplog.text


@pytest.mark.usefixtures("hasty")
def test_a_slow_server_is_asked_again_where_it_stopped(hub: Hub) -> None:
    answer = threading.Event()
    hub.script("GET", VISION, hubs.silent(answer))
    hub.script("GET", TEXT, hubs.cut(1_000_000, lambda: answer.wait(PATIENCE)))
    get()
    answer.set()
    starts = [r.start for r in hub.requests if r.path == f"/cdn/{TEXT}"]
    assert starts[0] == 0
    assert starts[-1] > 0


@pytest.mark.usefixtures("hasty")
def test_a_server_that_never_sends_is_given_up(hub: Hub) -> None:
    answer = threading.Event()
    hub.always("GET", VISION, hubs.silent(answer))
    line = refused()
    answer.set()
    assert f"the download of {VISION} broke after 0 of" in line


def test_a_server_that_goes_half_way_is_said_and_the_next_run_goes_on(
    hub: Hub, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.script("GET", TEXT, hubs.cut(1_000_000, hub.stop))
    line = refused()
    assert f"the download of {TEXT} broke after" in line
    with hubs.Hub(published / "store") as other:
        monkeypatch.setenv("HF_ENDPOINT", other.url)
        get()
        (request,) = (r for r in other.requests if r.path == f"/cdn/{TEXT}")
        assert request.start > 500_000


def test_two_processes_fetch_each_file_once(hub: Hub, shelf: Path, total: int) -> None:
    running = [start(shelf) for _ in range(2)]
    for process in running:
        _, error = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, error
    assert hub.sent == total
    no_wrong_file_is_left()
    hub.requests.clear()
    get()
    assert hub.requests == []


def test_a_process_says_that_it_waits_for_another(hub: Hub, shelf: Path) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        arrived.set()
        go_on.wait(PATIENCE)

    hub.script("GET", VISION, hubs.cut(10, hold))
    with start(shelf) as first:
        assert arrived.wait(PATIENCE)
        with start(shelf) as second:
            assert second.stderr is not None
            lines = iter(second.stderr.readline, "")
            assert any("another process is fetching" in line for line in lines)
            go_on.set()
            second.communicate(timeout=PATIENCE)
        first.communicate(timeout=PATIENCE)
    assert first.returncode == second.returncode == 0


def test_threads_fetch_each_file_once(hub: Hub, total: int) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            get()
        except BaseException as error:  # noqa: BLE001 - a thread cannot raise into the test
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert failures == []
    assert hub.sent == total


def test_a_part_may_go_while_it_is_measured(
    hub: Hub, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.script("GET", TEXT, hubs.cut(1_000_000, hub.stop))
    refused()
    (part,) = address.cache_folder().rglob("*.incomplete")
    found, seen = Path.stat, []

    def found_last(path: Path, **options: bool) -> os.stat_result:
        result = found(path, **options)
        if path == part and not seen:
            seen.append(path)
            path.rename(path.with_name("taken"))  # as by the process that has completed it
        return result

    monkeypatch.setattr(Path, "stat", found_last)
    with hubs.Hub(published / "store") as other:
        monkeypatch.setenv("HF_ENDPOINT", other.url)
        get()
    assert seen == [part]


KILLS = [("HEAD", file, 0.0) for file in FILES] + [
    ("GET", file, part)
    for file, parts in (
        ("tokenizer.json", (0, 0.3, 0.6, 0.9, 1)),
        (VISION, (0, 0.5, 0.9, 1)),
        (TEXT, (0, 0.1, 0.3, 0.4, 0.6, 0.8, 0.95, 1)),
    )
    for part in parts
]


@pytest.mark.parametrize(("method", "file", "part"), KILLS)
def test_a_run_after_a_kill_is_right(
    hub: Hub, shelf: Path, method: str, file: str, part: float
) -> None:
    assert len(KILLS) == 20
    started = threading.Event()
    running: list[subprocess.Popen[str]] = []

    def kill() -> None:
        assert started.wait(PATIENCE)
        running[0].kill()
        running[0].wait(PATIENCE)

    size = hub.details(file)[0]
    act = hubs.does(kill) if method == "HEAD" else hubs.cut(int(part * size), kill)
    hub.script(method, file, act)
    with start(shelf) as process:
        running.append(process)
        started.set()
        process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    no_wrong_file_is_left()
    get()
    assert not list(address.cache_folder().rglob("*.incomplete"))


def in_a_namespace(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a shell script that may mount; skip where the system does not let it."""
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*unshare, "true"], check=False).returncode:
        pytest.skip("needs a mount namespace of its own")
    return subprocess.run(
        [*unshare, "sh", "-euc", script, "sh", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )


READ_ONLY = 'mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"; shift; exec "$@"'


def test_a_read_only_cache_is_read(hub: Hub, shelf: Path) -> None:
    get()
    hub.requests.clear()
    command = [sys.executable, "-c", RUN, shelf, hubs.NAME, "here"]
    done = in_a_namespace(READ_ONLY, address.cache_folder(), *command)
    assert done.returncode == 0, done.stderr
    assert hub.requests == []


def test_a_read_only_cache_that_lacks_files_is_said(hub: Hub, shelf: Path) -> None:
    folder = address.cache_folder()
    folder.mkdir(parents=True)
    done = in_a_namespace(READ_ONLY, folder, sys.executable, "-c", RUN, shelf, hubs.NAME, "fetch")
    error = done.stderr.strip().splitlines()[-1]
    assert "DownloadError" in error
    assert "Read-only file system" in error
    assert "set HF_HOME" in error
    assert hub.count("GET") == 0


def test_a_file_in_place_of_the_cache_is_said(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "file"))
    for token in (tmp_path / "file" / "token", tmp_path / "none"):
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(token))
        line = refused()
        assert str(tmp_path / "file") in line
        assert "set HF_HOME to " in line
        assert "cannot be reached" not in line
    assert hub.count("GET") == 0


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("repository", ["owner/a--b", "owner/model.git", f"owner/{'a' * 97}"])
def test_a_name_that_the_hubs_client_refuses_is_said(hub: Hub, repository: str) -> None:
    model = registry.find(hubs.NAME)
    source = dataclasses.replace(model.manifest.source, repository=repository)
    named = dataclasses.replace(model, manifest=dataclasses.replace(model.manifest, source=source))
    with pytest.raises(DownloadError, match="is no name of a repository") as caught:
        download.ready(named)
    assert repository in str(caught.value)
    assert hub.requests == []


def test_without_a_home_folder_models_lie_where_the_cache_does(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pwd = pytest.importorskip("pwd")  # Windows has none

    def nobody(_: int) -> None:
        raise KeyError

    for name in ("HF_HOME", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert address.cache_folder().is_relative_to(tmp_path)
    assert get().paths["text"].is_relative_to(tmp_path)
    assert hub.count("GET") > 0


UNFIT = """
import sys
sys.stderr = None
"""


def test_a_process_without_stderr_can_fetch(hub: Hub, shelf: Path) -> None:
    command = [sys.executable, "-c", UNFIT + RUN, str(shelf), hubs.NAME, "fetch"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert hub.count("GET", f"/cdn/{VISION}") == 1


@pytest.mark.parametrize("variable", ["HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"])
def test_a_wrong_setting_of_the_client_is_named(
    hub: Hub, shelf: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "soon")
    with start(shelf) as process:
        _, error = process.communicate(timeout=PATIENCE)
    line = error.splitlines()[-1]
    assert "DownloadError" in line
    assert f"{variable}=soon: " in line
    assert hub.requests == []


def test_too_little_free_disk_is_said_before_anything_is_fetched(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, total: int
) -> None:
    free = SimpleNamespace(free=total - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    line = refused()
    assert f"{total / 1e6:,.1f} MB are needed in {address.cache_folder()}" in line
    assert hub.count("GET") == 0
    free.free = total
    get()


FULL = 'mount -t tmpfs -o size=2m tmpfs "$1"; folder=$1; shift; "$@" || find "$folder" -type f'
FULL_LATER = """
import shutil
from types import SimpleNamespace
shutil.disk_usage = lambda _: SimpleNamespace(free=10**12)
"""


def test_a_disk_that_fills_up_keeps_no_half_file(hub: Hub, shelf: Path) -> None:
    folder = address.cache_folder()
    folder.mkdir(parents=True)
    command = [sys.executable, "-c", FULL_LATER + RUN, shelf, hubs.NAME, "fetch"]
    done = in_a_namespace(FULL, folder, *command)
    error = done.stderr.strip().splitlines()[-1]
    assert "DownloadError" in error
    assert "No space left on device" in error
    left = [Path(line).name for line in done.stdout.splitlines()]
    assert not [name for name in left if "incomplete" in name]
    assert hub.count("GET") > 0


COPY = """
import sys
from pathlib import Path
from clip_gaze.hub import folder
from clip_gaze.model import registry
registry.shipped = lambda name: Path(sys.argv[1]) / name
folder.copy(registry.find(sys.argv[2]), None, Path(sys.argv[3]))
"""


@pytest.mark.parametrize("later", [False, True])
def test_a_full_stick_keeps_no_half_file(
    hub: Hub, shelf: Path, tmp_path: Path, *, later: bool
) -> None:
    get()
    stick = tmp_path / "stick"
    stick.mkdir()
    script = FULL_LATER + COPY if later else COPY
    command = [sys.executable, "-c", script, shelf, hubs.NAME, stick / "clip"]
    done = in_a_namespace(FULL, stick, *command)
    error = done.stderr.strip().splitlines()[-1]
    assert "DownloadError" in error
    assert ("No space left on device" if later else "MB are needed in") in error
    assert not [line for line in done.stdout.splitlines() if "part" in line or "manifest" in line]
    assert hub.count("GET", "/cdn/" + TEXT) == 1


def test_a_folder_for_another_machine_runs_there(
    hub: Hub, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = registry.find(hubs.NAME)
    for variant in ("q4", "fp32"):
        folder.copy(model, variant, tmp_path / "stick" / "clip")
    brought = shutil.copytree(tmp_path / "stick" / "clip", tmp_path / "there")
    assert sorted(path.name for path in brought.iterdir()) == [
        "manifest.json",
        "text_model.onnx",
        "text_model_q4.onnx",
        "tokenizer.json",
        "vision_model.onnx",
        "vision_model_q4.onnx",
    ]
    for path in (address.cache_folder(), cache):
        shutil.rmtree(path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub.requests.clear()
    there = registry.find(brought)
    assert download.ready(there).variant == "q4"
    assert download.ready(there, "fp32").paths["text"] == brought / "text_model.onnx"
    assert hub.requests == []


def test_a_folder_of_another_model_is_not_overwritten(hub: Hub, tmp_path: Path) -> None:
    folder.copy(registry.find(hubs.NAME), None, tmp_path / "clip")
    before = {path: path.read_bytes() for path in (tmp_path / "clip").iterdir()}
    with pytest.raises(ModelError, match="has another model, clip-vit-base-patch32"):
        folder.copy(registry.find(hubs.OPEN), None, tmp_path / "clip")
    assert {path: path.read_bytes() for path in (tmp_path / "clip").iterdir()} == before
    assert hub.requests


@pytest.mark.parametrize("name", ["tokenizer.json", "vision_model_q4.onnx", "notes.txt"])
def test_a_folder_that_is_no_model_folder_is_left_alone(
    hub: Hub, tmp_path: Path, name: str
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text("mine", encoding="utf-8")
    with pytest.raises(ModelError, match="mine is neither empty nor a model folder; choose"):
        folder.copy(registry.find(hubs.NAME), None, tmp_path / "mine")
    assert [path.read_text(encoding="utf-8") for path in (tmp_path / "mine").iterdir()] == ["mine"]
    assert hub.requests


def test_the_folder_of_a_published_manifest_is_left_alone(hub: Hub, shelf: Path) -> None:
    place = shelf / "models" / hubs.NAME
    before = (place / "manifest.json").read_bytes()
    with pytest.raises(ModelError, match="has another model"):
        folder.copy(registry.find(hubs.NAME), None, place)
    assert (place / "manifest.json").read_bytes() == before
    assert hub.requests


@pytest.mark.usefixtures("hub")
def test_a_copy_that_broke_off_is_continued(tmp_path: Path) -> None:
    files = folder.copy(registry.find(hubs.NAME), None, tmp_path / "clip")
    for path in (tmp_path / "clip" / "manifest.json", files.paths["text"]):
        path.unlink()
    assert folder.copy(registry.find(hubs.NAME), None, tmp_path / "clip") == files
    assert download.ready(registry.find(tmp_path / "clip")).digests == files.digests


def nested(model: Path, target: Path, names: dict[str, tuple[str, str]]) -> registry.Model:
    """Make a model whose variants have their graphs at these places: vision, text."""
    shutil.copytree(model, target)
    read = manifest_file.read(target / "manifest.json")
    variants = {}
    for name, places in names.items():
        for tower, place in zip(("vision", "text"), places, strict=True):
            (target / place).parent.mkdir(exist_ok=True)
            shutil.copy(target / getattr(read.variants[name], tower).file, target / place)
        vision, text = (
            dataclasses.replace(getattr(read.variants[name], tower), file=place)
            for tower, place in zip(("vision", "text"), places, strict=True)
        )
        variants[name] = Variant(vision, text)
    new = dataclasses.replace(read, variants=variants, default_variant=next(iter(names)))
    (target / "manifest.json").write_text(manifests.to_json(new), encoding="utf-8")
    return registry.find(target)


def test_files_of_one_name_keep_their_folders(tiny_model: Path, tmp_path: Path) -> None:
    model = nested(tiny_model, tmp_path / "a", {"q4": ("vision/model.onnx", "text/model.onnx")})
    folder.copy(model, None, tmp_path / "b")
    assert download.ready(registry.find(tmp_path / "b")).digests == download.ready(model).digests


def test_a_variant_does_not_overwrite_another_ones_files(tiny_model: Path, tmp_path: Path) -> None:
    places = {name: (f"{name}/vision.onnx", f"{name}/text.onnx") for name in ("q4", "q8")}
    model = nested(tiny_model, tmp_path / "a", places)
    folder.copy(model, "q4", tmp_path / "b")
    with pytest.raises(ModelError, match=r"vision\.onnx is of another variant there"):
        folder.copy(model, "q8", tmp_path / "b")
    assert download.ready(registry.find(tmp_path / "b")).variant == "q4"


def test_the_advice_works_for_a_folder_and_for_a_variant(
    hub: Hub, shelf: Path, tmp_path: Path
) -> None:
    place = shutil.copytree(shelf / "models" / hubs.NAME, tmp_path / "a folder")
    model = registry.find(place)
    path = download.ready(model, "fp32").paths["vision"]
    path.resolve().write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelError, match=rf"`clip-gaze download '{place}' --variant fp32`"):
        download.ready(model, "fp32", offline=True)
    hub.stop()
    with pytest.raises(DownloadError, match=rf"`clip-gaze download '{place}' --variant fp32 --to"):
        download.ready(model, "fp32")


def test_a_wrong_file_on_the_stick_is_replaced(hub: Hub, tmp_path: Path) -> None:
    files = folder.copy(registry.find(hubs.NAME), None, tmp_path / "clip")
    files.paths["vision"].write_bytes(files.paths["vision"].read_bytes()[:-1])
    folder.copy(registry.find(hubs.NAME), None, tmp_path / "clip")
    assert digest(files.paths["vision"]) == files.digests["vision"]
    assert hub.requests


@pytest.mark.usefixtures("hub")
def test_an_altered_file_in_the_cache_is_set_aside_and_fetched_again() -> None:
    path = get().paths["vision"]
    content = path.read_bytes()
    path.resolve().write_bytes(content[:-1] + b"?")
    with pytest.raises(ModelError) as caught:
        get(offline=True)
    assert str(path) in str(caught.value)
    assert "was expected" in str(caught.value)
    assert f"`clip-gaze download {hubs.NAME}` fetches it again" in str(caught.value)
    get()
    (aside,) = address.cache_folder().rglob("*.damaged")
    assert aside.read_bytes() == content[:-1] + b"?"


def test_an_altered_file_stays_where_it_is_without_a_network(hub: Hub) -> None:
    path = get().paths["vision"]
    path.resolve().write_bytes(path.read_bytes()[:-1])
    hub.stop()
    with pytest.raises(DownloadError, match=r"cannot be reached.*missing or wrong: onnx/vision"):
        get()
    assert path.exists()


def test_an_open_revision_is_resolved_once_and_recorded(
    hub: Hub, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = get(hubs.OPEN)
    assert hubs.COMMIT in caplog.text
    (record,) = (cache / "pinned").iterdir()
    said = json.loads(record.read_text(encoding="utf-8"))
    assert said["revision"] == hubs.COMMIT
    assert {name: entry["sha256"] for name, entry in said["files"].items()} == {
        file: hub.details(file)[1] for file in FILES
    }
    hub.requests.clear()
    hub.commit = "0" * 40
    assert get(hubs.OPEN) == get(hubs.OPEN, offline=True) == first
    assert hub.requests == []


@pytest.mark.parametrize("file", ["tokenizer.json", VISION])
def test_a_file_of_unknown_digest_is_held_to_what_the_hub_reports(hub: Hub, file: str) -> None:
    hub.always("GET", file, hubs.altered)
    assert f"{file} from {hub.url} is wrong, in 2 downloads" in refused(hubs.OPEN)
    hub.heal()
    get(hubs.OPEN)


def test_a_size_without_a_digest_is_a_hint(
    hub: Hub, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One source may be wrong, and must not keep anybody from the right file."""
    manifest = registry.find(hubs.NAME).manifest
    files = manifest.files()
    hinted = {
        role: dataclasses.replace(files[role], bytes=1, sha256=None) for role in ("vision", "text")
    }
    q4 = manifest.variants["q4"].with_files(hinted)
    changed = dataclasses.replace(manifest, variants={**manifest.variants, "q4": q4})
    shelf = tmp_path / "models" / hubs.NAME
    shelf.mkdir(parents=True)
    (shelf / "manifest.json").write_text(manifests.to_json(changed), encoding="utf-8")
    monkeypatch.setattr(registry, "shipped", lambda name: tmp_path / name)
    first = get()
    known = registry.find(hubs.NAME).manifest.files()
    assert {role: file.bytes for role, file in known.items()} == {
        role: path.stat().st_size for role, path in first.paths.items()
    }
    # Without the record, the Hub's cache still knows what was reported.
    shutil.rmtree(cache / "pinned")
    hub.requests.clear()
    assert get(offline=True) == first
    assert hub.requests == []
    # A copy's digest is known to nobody: no advice to copy files can be right.
    path = first.paths["vision"]
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    with pytest.raises(DownloadError) as caught:
        get(offline=True)
    assert "copy them to" not in str(caught.value)
    assert "clip-gaze download" in str(caught.value)


def test_a_recorded_digest_binds(hub: Hub) -> None:
    path = get(hubs.OPEN).paths["vision"]
    path.resolve().write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(ModelError, match="altered"):
        get(hubs.OPEN, offline=True)
    get(hubs.OPEN)
    assert hub.count("GET", f"/cdn/{VISION}") == 2


ENTRY = '{"revision": "%s", "files": {"a": %s}}'


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "{", "\ud800", '{"revision": "main", "files": {}}',
        '{"revision": 5, "files": {}}',
        '{"revision": ["a"], "files": {}}', "[" * 100_000, " " * 2_000_000,
        *(ENTRY % (hubs.COMMIT, entry) for entry in (
            "5", "{}", '{"bytes": 1e999, "sha256": null}', '{"bytes": -1, "sha256": null}',
            '{"bytes": 1, "sha256": "no digest"}',
        )),
    ],
)  # fmt: skip
def test_a_damaged_record_counts_as_none(hub: Hub, cache: Path, content: str) -> None:
    get(hubs.OPEN)
    (record,) = (cache / "pinned").iterdir()
    record.write_bytes(content.encode("utf-8", "surrogatepass"))
    assert registry.find(hubs.OPEN).manifest.source.revision is None
    sent = hub.sent
    get(hubs.OPEN)
    assert hub.sent == sent


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_no_record(hub: Hub, cache: Path, kind: str) -> None:
    get(hubs.OPEN)
    (record,) = (cache / "pinned").iterdir()
    record.unlink()
    if kind == "folder":
        record.mkdir()
    elif hasattr(os, "mkfifo"):
        os.mkfifo(record)
    assert registry.find(hubs.OPEN).manifest.source.revision is None
    assert hub.requests


READS = """
import sys
read = []
def note(event, args):
    if event == "open" and "pinned" in str(args[0]) and str(args[1]).startswith("r"):
        read.append(args)
sys.addaudithook(note)
"""


def test_a_record_is_read_once(hub: Hub, shelf: Path) -> None:
    get(hubs.OPEN)
    code = f"{READS}{RUN}print(len(read))"
    command = [sys.executable, "-c", code, str(shelf), hubs.OPEN, "here"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "1"
    assert hub.requests


def test_a_record_keeps_what_another_process_wrote_meanwhile(hub: Hub) -> None:
    assert hub.url
    first, second = registry.find(hubs.OPEN), registry.find(hubs.OPEN)
    revision = "a" * 40
    for model, variant in ((first, "q4"), (second, "fp32")):
        source = dataclasses.replace(model.manifest.source, revision=revision)
        files = {
            file.file: dataclasses.replace(file, bytes=1, sha256="0" * 64)
            for file in model.manifest.files(variant).values()
        }
        known = model.manifest.with_files(files)
        pins.write(dataclasses.replace(known, source=source))
    kept = registry.find(hubs.OPEN).manifest
    assert all(
        file.sha256 for name in ("q4", "fp32") for file in kept.files(name).values()
    )  # fmt: skip


@pytest.mark.usefixtures("hub")
def test_a_record_of_another_commit_is_replaced() -> None:
    manifest = registry.find(hubs.OPEN).manifest
    for revision, name in (("a" * 40, "q4"), ("b" * 40, "fp32")):
        files = {
            file.file: dataclasses.replace(file, bytes=1, sha256=revision[0] * 64)
            for file in manifest.files(name).values()
        }
        source = dataclasses.replace(manifest.source, revision=revision)
        pins.write(dataclasses.replace(manifest.with_files(files), source=source))
    kept = pins.pinned(manifest)
    assert kept.source.revision == "b" * 40
    known = {file.sha256 for name in ("q4", "fp32") for file in kept.files(name).values()}
    assert known == {None, "b" * 64}


@pytest.mark.parametrize("kind", ["folder", "pipe"])
@pytest.mark.parametrize("known", [True, False])
def test_what_is_no_file_is_no_file_of_a_model(
    tiny_model: Path, tmp_path: Path, kind: str, *, known: bool
) -> None:
    place = shutil.copytree(tiny_model, tmp_path / "clip")
    read = manifest_file.read(place / "manifest.json")
    if not known:
        tokenizer = dataclasses.replace(read.tokenizer, bytes=None, sha256=None)
        new = manifests.to_json(dataclasses.replace(read, tokenizer=tokenizer))
        (place / "manifest.json").write_text(new, encoding="utf-8")
    (place / "tokenizer.json").unlink()
    if kind == "folder":
        (place / "tokenizer.json").mkdir()
    elif hasattr(os, "mkfifo"):
        os.mkfifo(place / "tokenizer.json")
    with pytest.raises(ModelError, match=r"tokenizer\.json: this file of the model is missing"):
        download.ready(registry.find(place))


def test_a_record_that_cannot_be_written_is_done_without(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("CLIP_GAZE_CACHE", str(tmp_path / "file" / "cache"))
    get(hubs.OPEN)
    assert hub.requests


def test_a_token_goes_to_the_hub_and_to_nobody_else(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    get()
    for request in hub.requests:
        at_hub = not request.path.startswith("/cdn/")
        assert request.headers.get("authorization") == ("Bearer hf_secret" if at_hub else None)


def test_a_proxy_is_used(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", hub.url)
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    get()
    assert {r.headers["host"] for r in hub.requests} == {"hub.invalid", f"localhost:{hub.port}"}


def test_other_programs_find_the_files(hub: Hub) -> None:
    from huggingface_hub import hf_hub_download, scan_cache_dir

    files = get()
    hub.requests.clear()
    for file, path in zip(FILES, files.paths.values(), strict=True):
        found = hf_hub_download(
            hubs.REPOSITORY, file, revision=hubs.COMMIT, cache_dir=address.cache_folder()
        )
        assert Path(found) == path
    assert hub.requests == []
    scan = scan_cache_dir(address.cache_folder())
    assert not scan.warnings
    assert len(next(iter(next(iter(scan.repos)).revisions)).files) == len(FILES)


def test_files_of_other_programs_are_found(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants, hf_hub_download

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)  # which asks other hosts
    for file in FILES:
        hf_hub_download(
            hubs.REPOSITORY, file, revision=hubs.COMMIT, cache_dir=address.cache_folder(),
            endpoint=hub.url,
        )  # fmt: skip
    hub.requests.clear()
    get()
    assert hub.requests == []


def test_a_blob_of_another_revision_is_not_fetched_again(hub: Hub) -> None:
    get()
    shutil.rmtree(address.snapshot(hubs.REPOSITORY, hubs.COMMIT))
    hub.requests.clear()
    get()
    assert hub.count("GET") == 0


def test_a_system_without_links_keeps_the_files_themselves(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(1314, "A required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    hub.script("GET", VISION, hubs.altered)
    files = get()
    assert not any(path.is_symlink() for path in files.paths.values())
    hub.requests.clear()
    assert get() == files
    assert hub.requests == []
    files.paths["text"].write_bytes(b"")
    get()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"HF_HOME": "~/elsewhere"},
        {"HF_HOME": "$HOME/elsewhere"},
        {"XDG_CACHE_HOME": "/tmp/xdg"},
        {"XDG_CACHE_HOME": "/tmp/xdg", "HF_HOME": "/tmp/hf"},
        {"HF_HUB_CACHE": "/tmp/hub", "HF_HOME": "/tmp/hf"},
        {"HUGGINGFACE_HUB_CACHE": "/tmp/old"},
    ],
)
def test_the_cache_lies_where_its_client_has_it(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    done = subprocess.run(
        [sys.executable, "-c", "from huggingface_hub import constants as c; print(c.HF_HUB_CACHE)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    # Old releases of the client leave "$HOME" as it is.
    assert str(address.cache_folder()) == os.path.expandvars(done.stdout.strip())


def test_a_local_folder_is_checked_and_asks_nobody(
    hub: Hub, tiny_model: Path, tmp_path: Path
) -> None:
    files = download.ready(registry.find(tiny_model), "q8")
    assert files.paths["text"] == tiny_model / "text_model_q8.onnx"
    folder = shutil.copytree(tiny_model, tmp_path / "clip")
    (folder / "text_model_q8.onnx").unlink()
    with pytest.raises(ModelError, match=r"text_model_q8\.onnx: .* missing; copy or export"):
        download.ready(registry.find(folder), "q8")
    assert hub.requests == []


def test_an_unknown_variant_is_said(hub: Hub) -> None:
    with pytest.raises(ModelError, match="choose one of: q4, fp32, q8"):
        download.ready(registry.find(hubs.NAME), "q5")
    assert hub.requests == []


@pytest.mark.parametrize(
    ("name", "variant", "megabytes", "dimensions", "unsure"),
    [
        ("clip-vit-base-patch32", "q4", 191.6, 512, {"q4 vision", "q4 text"}),
        ("clip-vit-base-patch16", "fp16", 302.3, 512, {"fp16 vision", "fp16 text"}),
        ("clip-vit-large-patch14", "fp32", 1711.4, 768, {"fp32 tokenizer", "fp32 text"}),
    ],
)
def test_published_manifests(
    name: str, variant: str, megabytes: float, dimensions: int, unsure: set[str]
) -> None:
    """A digest is stated where two sources that know nothing of each other agree on it."""
    manifest = registry.find(name).manifest
    assert manifest.download
    assert manifest.source.repository == f"Xenova/{name}"
    assert pins.is_commit(manifest.source.revision)
    assert manifest.default_variant == variant
    assert (manifest.embedding_dim, manifest.logit_scale) == (dimensions, 100.0)
    assert manifest.text.context_length == 77
    assert unsure == {
        f"{each} {role}"
        for each in manifest.variants
        for role, file in manifest.files(each).items()
        if file.sha256 is None
    }
    sizes = [file.bytes or 0 for file in manifest.files().values()]
    assert round(sum(sizes) / 1e6, 1) == megabytes


@pytest.mark.full
def test_full_size(
    full_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    picture: Callable[..., object],
) -> None:
    """Cut, alter, and refuse a download of the published size; then look at a picture."""
    import clip_gaze
    from conftest import reach

    hubs.publish(full_model, tmp_path / "store", tmp_path / "shelf")
    monkeypatch.setattr(registry, "shipped", lambda name: tmp_path / "shelf" / name)
    with hubs.Hub(tmp_path / "store") as hub, reach(hub, monkeypatch, tmp_path / "hf"):
        hub.script("GET", VISION_DATA, hubs.altered)
        hub.script("GET", TEXT_DATA, hubs.cut(30_000_000), hubs.fails(503))
        assert "503" in refused()
        with clip_gaze.Clip() as clip:
            answer = clip.gaze(picture(), clip_gaze.MOVEMENTS)
        (*_, last) = (r for r in hub.requests if r.path == f"/cdn/{TEXT_DATA}")
        assert 29_000_000 < last.start <= 30_000_000
        hub.requests.clear()
        with clip_gaze.Clip(offline=True) as clip:
            assert clip.gaze(picture(), clip_gaze.MOVEMENTS) == answer
        with clip_gaze.Clip(full_model, "q4") as clip:
            assert clip.gaze(picture(), clip_gaze.MOVEMENTS) == answer
        assert hub.requests == []
