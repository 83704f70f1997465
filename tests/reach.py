"""Ask pip what it would install on machines that are not at hand; exit 1 where it finds nothing.

python tests/reach.py [PART OF A NAME]

Nothing is installed. It needs pip 23 and the package index.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from floors import requirements

TRIES = 3  # an index may be busy
SHOWN = ("onnxruntime", "numpy", "pillow", "tokenizers", "huggingface-hub")
# pip asks the running Python what a requirement's markers say; here another machine answers.
PIP = """
import json, sys
from pip._vendor.packaging import markers
there = {**markers.default_environment(), **json.loads(sys.argv.pop(1))}
markers.default_environment = lambda: there
from pip._internal.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@dataclass(frozen=True)
class Machine:
    """A kind of machine.

    Attributes:
        name: for people.
        tags: of the wheels that it takes, without those that pip derives from them.
        system: as Python's `platform.system()` says.
        machine: as `platform.machine()` says.
        python: the version of Python there.

    """

    name: str
    tags: tuple[str, ...]
    system: str
    machine: str
    python: str = "3.11"


def glibc(minor: int, machine: str) -> tuple[str, ...]:
    """Return the tags of Linux with glibc 2.`minor`, newest first."""
    old = () if machine == "aarch64" else (f"manylinux2010_{machine}", f"manylinux1_{machine}")
    newest = (f"manylinux_2_{each}_{machine}" for each in range(minor, 4, -1))
    return (*newest, f"manylinux2014_{machine}", *old)


MACHINES = [
    Machine("Intel Mac, macOS 13", ("macosx_13_0_x86_64",), "Darwin", "x86_64"),
    Machine("Intel Mac, macOS 11", ("macosx_11_0_x86_64",), "Darwin", "x86_64"),
    Machine("Apple silicon, macOS 11", ("macosx_11_0_arm64",), "Darwin", "arm64"),
    Machine("Apple silicon, macOS 14", ("macosx_14_0_arm64",), "Darwin", "arm64", "3.13"),
    Machine("Intel Mac, macOS 10.15", ("macosx_10_15_x86_64",), "Darwin", "x86_64"),
    Machine("Linux, glibc 2.17 (CentOS 7)", glibc(17, "x86_64"), "Linux", "x86_64"),
    Machine("Linux, glibc 2.26", glibc(26, "x86_64"), "Linux", "x86_64"),
    Machine("Linux, glibc 2.28 (Debian 10)", glibc(28, "x86_64"), "Linux", "x86_64"),
    Machine("Ubuntu 22.04, Mint 21", glibc(35, "x86_64"), "Linux", "x86_64", "3.10"),
    Machine("Debian 13", glibc(41, "x86_64"), "Linux", "x86_64", "3.13"),
    Machine("newest Python, Linux", glibc(41, "x86_64"), "Linux", "x86_64", "3.14"),
    Machine("Raspberry Pi OS, 64 bit", glibc(36, "aarch64"), "Linux", "aarch64"),
    Machine("Windows, 64 bit", ("win_amd64",), "Windows", "AMD64"),
    Machine("Windows, 32 bit", ("win32",), "Windows", "x86"),
    Machine("Windows, ARM", ("win_arm64",), "Windows", "ARM64", "3.13"),
]


def resolved(machine: Machine) -> dict[str, str]:
    """Return the versions that a machine gets, by package.

    Raises:
        RuntimeError: pip finds none that fit together; the text is its last line.

    """
    environment = {
        "platform_system": machine.system,
        "sys_platform": {"Darwin": "darwin", "Linux": "linux", "Windows": "win32"}[machine.system],
        "os_name": "nt" if machine.system == "Windows" else "posix",
        "platform_machine": machine.machine,
        "python_version": machine.python,
        "python_full_version": f"{machine.python}.0",
    }
    abi = f"cp{machine.python.replace('.', '')}"
    tags = [word for tag in machine.tags for word in ("--platform", tag)]
    with tempfile.TemporaryDirectory() as target:
        command = [
            sys.executable, "-c", PIP, json.dumps(environment), "install", "--dry-run", "--quiet",
            "--ignore-installed", "--report", "-", "--only-binary", ":all:", "--target", target,
            "--implementation", "cp", "--python-version", machine.python,
            "--abi", abi, "--abi", "abi3", "--abi", "none", *tags, *requirements(),
        ]  # fmt: skip
        for _ in range(TRIES):
            done = subprocess.run(
                command, capture_output=True, text=True, encoding="utf-8", check=False
            )
            if not done.returncode:
                break
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["pip failed"])[-1])
    found = json.loads(done.stdout)["install"]
    return {
        each["metadata"]["name"].lower().replace("_", "-"): each["metadata"]["version"]
        for each in found
    }


def main(part: str = "") -> int:
    """Print a table, and return the exit code."""
    rows = [machine for machine in MACHINES if part in machine.name]
    print(f"{'machine':30} Python " + " ".join(f"{name:>15}" for name in SHOWN))  # noqa: T201
    missing = 0
    for machine in rows:
        try:
            versions = resolved(machine)
            said = " ".join(f"{versions.get(name, '-'):>15}" for name in SHOWN)
        except RuntimeError as error:
            said, missing = str(error), missing + 1
        print(f"{machine.name:30} {machine.python:6} {said}", flush=True)  # noqa: T201
    return 1 if missing or not rows else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
