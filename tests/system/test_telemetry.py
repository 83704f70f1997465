"""Nothing leaves the machine, and nothing of a dependency's is left on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clip_gaze.system import telemetry

ROOT = Path(__file__).parents[2]
EXPORT = ROOT / "export"
PICTURE = ROOT / "models" / "demo" / "demo.jpg"
ASK = [sys.executable, "-m", "clip_gaze", "gaze", str(PICTURE), "--model", "demo"]
LIBRARY = """
import sys, time
import clip_gaze
import onnxruntime
with clip_gaze.Clip("demo", offline=True) as clip:
    clip.gaze(sys.argv[1], ["a boat", "a dog"])
    time.sleep(float(sys.argv[2]))  # events are kept for some seconds before they are sent
"""
# In namespaces of its own this process is root, its network is the loopback alone, and it answers
# every question for a name itself. It prints what was asked, and how often somebody connected.
WATCH = r"""
import os, socket, subprocess, sys, tempfile, threading

subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
with tempfile.NamedTemporaryFile("w", suffix=".conf") as resolver:
    resolver.write("nameserver 127.0.0.1\n")
    resolver.flush()
    subprocess.run(["mount", "--bind", resolver.name, "/etc/resolv.conf"], check=True)
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    names.bind(("127.0.0.1", 53))
    doors = socket.create_server(("127.0.0.1", 443))

    def say(what):
        os.write(1, what + b"\n")  # no buffer, whose lock a thread could hold at the end

    def answer():
        while True:
            question, sender = names.recvfrom(4096)
            say(b"asked " + question[12:].split(b"\0")[0])
            # The question again, with one address: 127.0.0.1, which the name in it stands for.
            header = question[:2] + b"\x81\x80\0\1\0\1\0\0\0\0"
            address = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4\x7f\0\0\1"
            names.sendto(header + question[12:] + address, sender)

    def open_up():
        while True:
            door, _ = doors.accept()
            say(b"connected")  # before whoever came can go on, and this process can end
            door.close()

    for each in (answer, open_up):
        threading.Thread(target=each, daemon=True).start()
    sys.exit(subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode)
"""
ISOLATED = ["unshare", "--user", "--map-root-user", "--net", "--mount"]


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return the environment of somebody new; CI is not set in it, which would hide events."""
    home.mkdir()
    kept = {
        name: os.environ[name]
        for name in ("PATH", "SYSTEMROOT", "PYTHONPATH")
        if name in os.environ
    }
    folders = {
        name: str(home) for name in ("HOME", "USERPROFILE", "LOCALAPPDATA", "TMPDIR", "TEMP")
    }
    return kept | folders | {"HF_HUB_OFFLINE": "1"} | more


def foreign(home: Path) -> list[str]:
    """Return the files below a home that are not of this package."""
    found = [path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()]
    return [name for name in found if "clip-gaze" not in name]


def run(command: list[str], env: dict[str, str]) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", env=env, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "command",
    [
        ASK,
        [sys.executable, "-c", LIBRARY, str(PICTURE), "0"],
        [sys.executable, str(EXPORT / "demo_model.py"), "evaluate", "--pictures", "1"],
    ],
    ids=["command line", "library", "script"],
)
def test_a_run_leaves_no_file_of_a_dependency(command: list[str], tmp_path: Path) -> None:
    run(command, environment(tmp_path / "home"))
    assert foreign(tmp_path / "home") == []


@pytest.fixture(scope="module")
def isolated() -> list[str]:
    """Return a command that runs another one in namespaces of its own."""
    made = shutil.which("unshare") and shutil.which("ip") and shutil.which("mount")
    if (
        not made
        or subprocess.run([*ISOLATED, "ip", "link"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no network namespace can be made here (Linux, Debian: iproute2)")
    return [*ISOLATED, sys.executable, "-c", WATCH]


def test_a_run_asks_for_no_name_and_connects_to_nobody(isolated: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-c", LIBRARY, str(PICTURE), "12"]
    assert run([*isolated, *command], environment(tmp_path / "home")) == ""


def test_the_watch_sees_who_asks_and_connects(isolated: list[str], tmp_path: Path) -> None:
    code = "import socket; socket.create_connection(('events.example.test', 443)).recv(1)"
    seen = run([*isolated, sys.executable, "-c", code], environment(tmp_path / "home"))
    assert "events" in seen
    assert "connected" in seen


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(telemetry.SWITCH, "0")
    telemetry.switch_off()
    assert os.environ[telemetry.SWITCH] == "0"


def test_whoever_imported_onnxruntime_first_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(telemetry.SWITCH)
    monkeypatch.setitem(sys.modules, "onnxruntime", sys)
    telemetry.switch_off()
    (record,) = caplog.records
    assert record.getMessage().startswith(f"set {telemetry.SWITCH}=1")
    assert os.environ[telemetry.SWITCH] == "1"
