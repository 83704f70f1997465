"""Who may ask: host, origin, token and size, and what every answer says to a browser."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from clip_gaze.errors import ClosedError, DownloadError, ModelError
from clip_gaze.web.address import Address
from samples import PATIENCE
from serving import BOUNDARY, Reply, Served, form, hear, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clip_gaze.errors import GazeError

TOKEN = "a-token-of-this-test"
LIMIT = 100_000
KIND = f'multipart/form-data; boundary="{BOUNDARY}"'

GIF = ("image", ("a.gif", b"GIF89a\1\0\1\0\x80\0\0\0\0\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"))


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(max_body=LIMIT) as server:
        yield server


@pytest.fixture(scope="module")
def locked() -> Iterator[Served]:
    with serving(token=TOKEN) as server:
        yield server


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LocalHost", "[::1]"])
def test_the_machines_own_names_are_answered(served: Served, name: str) -> None:
    assert served.get("/api/lists", host=f"{name}:{served.port}").status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:{port}",
        "localhost.evil.example:{port}",
        "127.0.0.1.evil.example:{port}",
        "evil.example",
        "localhost",
        "127.0.0.1:1",
        "192.168.0.7:{port}",
        "0.0.0.0:{port}",
        "[::1]",
        "::1:{port}",
        "127.0.0.1:{port}@evil.example",
        " ",
        None,
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/lists", "/static/icon.svg", "/nothing"])
def test_another_name_is_refused_whatever_is_asked(
    served: Served, host: str | None, path: str
) -> None:
    given = host and host.format(port=served.port)
    if given is None:
        reply = served.ask("GET", path, host=None)
        assert reply.status in (400, 403)  # HTTP/1.1 itself wants a Host
    else:
        reply = served.get(path, host=given)
        assert reply.status == 403
        assert "this server is not known under that name" in reply.error


@pytest.mark.parametrize(
    ("host", "loopback", "header", "meant"),
    [
        ("0.0.0.0", False, "192.168.0.7:80", True),
        ("0.0.0.0", False, "192.168.0.7", True),
        ("0.0.0.0", False, "[fe80::1]:80", True),
        ("0.0.0.0", False, "fe80::1:80", False),
        ("0.0.0.0", False, "[192.168.0.7]:80", False),
        ("0.0.0.0", False, "evil.example:80", False),
        ("0.0.0.0", False, "192.168.0.7:81", False),
        ("studio", False, "Studio:80", True),
        ("studio", False, "studio.evil.example:80", False),
        ("::1", True, "[::1]:80", True),
        ("::1", True, "[::2]:80", False),
        ("127.0.0.1", True, "10.0.0.1:80", False),
        ("127.0.0.1", True, "", False),
        ("127.0.0.1", False, "Gallery:80", True),
        ("127.0.0.1", False, "gallery.evil.example:80", False),
    ],
)
def test_which_names_mean_a_server(host: str, loopback: bool, header: str, meant: bool) -> None:
    assert Address(host, 80, loopback, ("gallery",)).is_meant_by(header) is meant


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "https://127.0.0.1:{port}"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "http://localhost:{port}"},  # the request went to 127.0.0.1
        {"origin": "null"},
        {"origin": ""},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "http://127.0.0.1:{port}", "sec_fetch_site": "cross-site"},
    ],
)
def test_another_origin_may_not_ask(served: Served, headers: dict[str, str]) -> None:
    given = {name: value.format(port=served.port) for name, value in headers.items()}
    reply = served.post("/api/gaze", ("list", "surfaces"), **given)
    assert (reply.status, reply.error) == (
        403,
        "only this server's own page may ask this from a browser",
    )


def test_who_names_two_origins_may_not_ask(served: Served) -> None:
    origin = f"Origin: http://{served.host}\n"
    head = f"POST /api/gaze HTTP/1.1\nHost: {served.host}\n{2 * origin}Content-Length: 0\n\n"
    with served.raw(head) as connection:
        assert hear(connection, b"}").startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://127.0.0.1:{port}"},
        {"origin": "http://127.0.0.1:{port}", "sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none"},
    ],
)
def test_the_page_itself_and_programs_may_ask(served: Served, headers: dict[str, str]) -> None:
    given = {name: value.format(port=served.port) for name, value in headers.items()}
    reply = served.post("/api/gaze", ("list", "surfaces"), **given)
    assert (reply.status, reply.error) == (400, "image is missing; add a picture file")


def check_headers(reply: Reply) -> None:
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert reply.headers["cross-origin-opener-policy"] == "same-origin"
    assert reply.headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in reply.headers
    assert "server" not in reply.headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("HEAD", "/", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/static/icon.svg", 200),
        ("GET", "/static/..%2Fpage.py", 404),
        ("GET", "/static/%2Fetc%2Fpasswd", 404),
        ("GET", "/static/", 404),
        ("GET", "/nothing", 404),
        ("GET", "/api/gaze/", 404),
        ("GET", "/api/gaze", 405),
        ("PUT", "/api/gaze", 405),
        ("DELETE", "/api/lists", 405),
        ("OPTIONS", "/api/gaze", 405),
        ("POST", "/", 405),
        ("POST", "/api/gaze", 415),
    ],
)
def test_every_answer_keeps_the_browser_in_its_bounds(
    served: Served, method: str, path: str, status: int
) -> None:
    reply = served.ask(method, path)
    assert reply.status == status
    check_headers(reply)
    kept = "no-cache" if path.startswith("/static/") else "no-store"
    assert reply.headers["cache-control"] == kept
    if status == 405:
        assert reply.headers["allow"]
    if status >= 400:
        assert reply.error


def test_a_failure_that_nobody_expected_is_one_line(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        msg = "the insides"
        raise RuntimeError(msg)

    monkeypatch.setattr(served.clip, "embed_many", fail)
    reply = served.post("/api/gaze", GIF)
    assert (reply.status, reply.error) == (500, "clip-gaze failed; its window says more")
    check_headers(reply)
    assert "the insides" in caplog.text


@pytest.mark.parametrize("kind", [ModelError, DownloadError, ClosedError])
def test_a_model_that_cannot_be_used_is_not_the_clients_fault(
    served: Served, monkeypatch: pytest.MonkeyPatch, kind: type[GazeError]
) -> None:
    error = ClosedError() if kind is ClosedError else kind("vision_model.onnx: is missing")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(served.clip, "embed_many", fail)
    reply = served.post("/api/gaze", GIF)
    assert (reply.status, reply.error) == (500, str(error))


def test_a_large_body_is_refused_before_it_comes(served: Served) -> None:
    head = (
        f"POST /api/gaze HTTP/1.1\nHost: {served.host}\nContent-Type: {KIND}\n"
        f"Content-Length: {10**10}\n\n"
    )
    with served.raw(head) as connection:
        answer = hear(connection, b"}")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"more than 0.0954 MB at once; send less, or raise --max-upload" in answer
    assert b"connection: close" in answer
    assert b"content-security-policy" in answer


def test_a_client_that_waits_to_be_told_is_told(served: Served) -> None:
    head = (
        f"POST /api/gaze HTTP/1.1\nHost: {served.host}\nContent-Type: {KIND}\n"
        f"Content-Length: {10**10}\nExpect: 100-continue\n\n"
    )
    with served.raw(head) as connection:
        answer = hear(connection, b"}")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in answer


def test_a_body_in_chunks_is_counted(served: Served) -> None:
    head = (
        f"POST /api/gaze HTTP/1.1\nHost: {served.host}\nContent-Type: {KIND}\n"
        "Transfer-Encoding: chunked\n\n"
    )
    start = form(("image", ("a.png", b""))).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    chunk = b"2710\r\n" + b"." * 10_000 + b"\r\n"
    with served.raw(head, more=f"{len(start):x}\r\n".encode() + start + b"\r\n") as connection:
        for _ in range(LIMIT // 10_000 + 1):
            connection.sendall(chunk)
        answer = hear(connection, b"}")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer


@pytest.mark.parametrize("expect", [None, "100-continue"])
def test_a_client_that_sends_on_still_hears_why(expect: str | None) -> None:
    """One that sends all before it reads, whether or not it was told to go on."""
    body, large = (form(("image", ("a.png", bytes(size << 20)))) for size in (7, 12))
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(large), large)
    foreign = {"content_type": KIND, "origin": "http://evil.example"}
    chunked = {"content_type": KIND, "transfer_encoding": "chunked", "content_length": None}
    with serving(max_body=8 << 20) as server:
        at_once = server.ask("POST", "/api/gaze", body, expect=expect, **foreign)
        midway = server.ask("POST", "/api/gaze", chunks, expect=expect, **chunked)
    assert at_once.status == 403
    assert at_once.error.startswith("only this server's own page")
    assert midway.status == 413
    assert midway.error.startswith("more than 8 MB at once")
    assert midway.headers["connection"] == at_once.headers["connection"] == "close"


def test_all_bodies_together_have_a_limit(served: Served) -> None:
    body = form(("image", ("a.png", b"." * (LIMIT - 200))))
    head = (
        f"POST /api/gaze HTTP/1.1\nHost: {served.host}\nContent-Type: {KIND}\n"
        f"Content-Length: {len(body)}\n\n"
    )
    held = [served.raw(head, more=body[:-1]) for _ in range(4)]
    try:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            reply = served.post("/api/gaze", ("image", ("a.png", b"." * (LIMIT - 200))))
            if reply.status == 503:
                break
        assert reply.status == 503
        assert reply.headers["retry-after"] == "2"
        assert "too many pictures are on their way" in reply.error
    finally:
        for connection in held:
            connection.close()


def test_a_body_that_was_answered_leaves_room_for_others() -> None:
    with serving(max_body=LIMIT) as server:
        for _ in range(6):
            reply = server.post("/api/gaze", ("image", ("a.png", b"." * (LIMIT - 200))))
            assert reply.status == 400  # it is no picture


GET = "GET /api/lists HTTP/1.1\nHost: {host}\n"
# What a slow client begins with: a head, a second head, a body.
BEGUN = {
    "head": GET + "X: ",
    "next": GET + "\n" + GET + "X: ",
    "body": f"POST /api/gaze HTTP/1.1\nHost: {{host}}\nContent-Type: {KIND}\n"
    f'Content-Length: {LIMIT}\n\n--{BOUNDARY}\nContent-Disposition: form-data; name="phrase"\n\n',
}


def trickle(served: Served, what: str) -> bytes:
    """Send a request that goes on byte by byte until the server ends it; return what it says."""
    heard, deadline = b"", time.monotonic() + PATIENCE
    with served.raw(BEGUN[what].format(host=served.host)) as connection:
        connection.settimeout(0.05)
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < deadline:
                with contextlib.suppress(TimeoutError):
                    connection.sendall(b"-")
                    more = connection.recv(10_000)
                    heard += more
                    if not more:
                        return heard
        assert time.monotonic() < deadline
    return heard


def test_slow_clients_are_let_go_and_others_are_served_meanwhile() -> None:
    with serving(patience=0.5) as server, ThreadPoolExecutor(21) as pool:
        slow = {what: [pool.submit(trickle, server, what) for _ in range(7)] for what in BEGUN}
        served, deadline = 0, time.monotonic() + PATIENCE
        while not served or not all(each.done() for many in slow.values() for each in many):
            assert time.monotonic() < deadline
            # Where this test gets no time to send, it is too slow itself.
            with contextlib.suppress(OSError, http.client.HTTPException):
                served += server.get("/api/lists").status == 200
        said = {what: {each.result()[:12] for each in many} for what, many in slow.items()}
        assert said["head"] == {b""}
        assert said["next"] <= {b"", b"HTTP/1.1 200"}
        assert said["body"] <= {b"", b"HTTP/1.1 408"}


def test_idle_connections_give_way_to_those_that_ask() -> None:
    with serving(connections=8, patience=PATIENCE) as server, contextlib.ExitStack() as stack:
        idle = [stack.enter_context(server.raw("")) for _ in range(50)]
        for _ in range(3):
            assert server.get("/api/lists").status == 200
        assert idle[0].recv(10) == b""
        # Those that came last are as good as others.
        idle[-1].sendall(f"GET /api/lists HTTP/1.1\r\nHost: {server.host}\r\n\r\n".encode())
        assert hear(idle[-1], b"}]").startswith(b"HTTP/1.1 200 ")


def test_who_leaves_in_the_middle_of_a_body_leaves_no_trace(
    caplog: pytest.LogCaptureFixture,
) -> None:
    body = form(("image", ("a.png", b"." * 1000)))
    with serving() as server:
        head = (
            f"POST /api/gaze HTTP/1.1\nHost: {server.host}\nContent-Type: {KIND}\n"
            f"Content-Length: {len(body)}\n\n"
        )
        connection = server.raw(head, more=body[:500])
        connection.shutdown(socket.SHUT_WR)
        connection.close()
        assert server.get("/api/lists").status == 200
    assert caplog.text == ""


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "Bearer "},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": "Bearer \xe9\xff"},
        {"cookie": "clip_gaze_token_{port}=wrong"},
        {"cookie": f"clip_gaze_token_1={TOKEN}"},
        {"cookie": f"other={TOKEN}"},
        {"cookie": "clip_gaze_token_{port}=\xe9; ;;=,"},
    ],
)
@pytest.mark.parametrize(
    "path", ["/", "/api/lists", "/static/icon.svg", "/?token=wrong", "/?token=%ED%A0%80%FF"]
)
def test_without_the_token_nothing_is_answered(
    locked: Served, headers: dict[str, str], path: str
) -> None:
    given = {name: value.replace("{port}", str(locked.port)) for name, value in headers.items()}
    reply = locked.get(path, **given)
    assert reply.status == 401
    assert reply.headers["www-authenticate"] == 'Bearer realm="clip-gaze"'
    assert reply.error == (
        "the token is missing or wrong; open the address that clip-gaze serve printed"
    )
    check_headers(reply)


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {TOKEN}"},
        {"authorization": f"bearer  {TOKEN}"},
        {"cookie": f"clip_gaze_token_{{port}}={TOKEN}"},
        {"cookie": f"clip_gaze_token_1=x; clip_gaze_token_{{port}}={TOKEN}"},
    ],
)
def test_with_the_token_all_is_answered(locked: Served, headers: dict[str, str]) -> None:
    given = {name: value.replace("{port}", str(locked.port)) for name, value in headers.items()}
    assert locked.get("/", **given).status == 200
    assert locked.post("/api/gaze", ("top", "1"), **given).status == 400


def test_a_page_opened_with_the_token_keeps_it_as_a_cookie(locked: Served) -> None:
    reply = locked.get(f"/?token={TOKEN}")
    assert (reply.status, reply.headers["location"]) == (303, "/")
    cookie = reply.headers["set-cookie"]
    name, *attributes = cookie.lower().split("; ")
    assert name == f"clip_gaze_token_{locked.port}={TOKEN}"  # another server's has another name
    assert set(attributes) == {"httponly", "samesite=strict", "path=/"}
    assert locked.get("/", cookie=cookie.split(";")[0]).status == 200
    check_headers(reply)


def test_only_the_page_takes_the_token_from_its_address(locked: Served) -> None:
    assert locked.get(f"/api/lists?token={TOKEN}").status == 401
    assert locked.ask("POST", f"/?token={TOKEN}").status == 401


def test_a_body_without_the_token_is_not_read(locked: Served) -> None:
    reply = locked.post("/api/gaze", ("image", ("a.png", b"." * 1000)))
    assert reply.status == 401
    assert reply.headers["connection"] == "close"
