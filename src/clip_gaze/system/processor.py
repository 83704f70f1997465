"""Describe the processor as far as native code chooses its instructions by it."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import platform
import re
import sys
from functools import lru_cache
from pathlib import Path

# getauxval(3): AT_HWCAP to AT_HWCAP4.
_HWCAPS = (16, 26, 29, 30)
# prctl(2), PR_SVE_GET_VL and PR_SME_GET_VL: how long the vectors of ARM's extensions are.
_VECTOR_LENGTHS = (51, 64)
_SYSCTLS = (
    "hw.cputype", "hw.cpusubtype", "hw.cpufamily", "sysctl.proc_translated",
    "hw.optional.arm.FEAT_DotProd", "hw.optional.arm.FEAT_I8MM", "hw.optional.arm.FEAT_BF16",
    "hw.optional.arm.FEAT_SME", "hw.optional.arm.FEAT_SME2", "hw.optional.avx1_0",
    "hw.optional.avx2_0", "hw.optional.avx512f", "hw.optional.avx512vnni",
)  # fmt: skip
# More than glibc knows leaves of; of others it returns zeros.
_LEAVES = 16
_CPUINFO = re.compile(r"(?:flags|Features|CPU (?:implementer|variant|part))\s*:\s*(.*)")
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@lru_cache(maxsize=1)
def features() -> str:
    """Return a text that differs wherever native code may choose other instructions.

    Under an emulator it is of the processor that is emulated: the instructions CPUID and what the
    system hands to each process are asked, while /proc/cpuinfo shows the real one. Two processors
    may have different texts and yet be the same to all code.
    """
    found = [sys.platform, platform.machine(), str(sys.maxsize), *_numpys()]
    if sys.platform == "win32":
        present = ctypes.windll.kernel32.IsProcessorFeaturePresent
        found += [platform.processor(), "".join(str(int(bool(present(n)))) for n in range(128))]
    else:
        library = ctypes.CDLL(None)
        if sys.platform == "darwin":
            found += [platform.release(), *(_sysctl(library, name) for name in _SYSCTLS)]
        else:
            found += _auxiliary(library)
            # Only what glibc 2.33 has not told: a line for each flag that a newer kernel knows.
            found += _cpuid(library) or _cpuinfo()
    return " ".join(found)


@lru_cache(maxsize=1)
def boot() -> str | None:
    """Return a text that changes when the system starts anew; None where it does not say."""
    if sys.platform == "darwin":
        return _sysctl(ctypes.CDLL(None), "kern.bootsessionuuid") or None
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None


def _numpys() -> list[str]:
    """Return the features that numpy has found, by asking the processor itself."""
    for name in ("numpy._core", "numpy.core"):  # the second before numpy 2
        with contextlib.suppress(ImportError):
            module = importlib.import_module(f"{name}._multiarray_umath")
            table: dict[str, bool] = getattr(module, "__cpu_features__", {})
            if table:
                return sorted(feature for feature, there in table.items() if there)
    return []


def _auxiliary(library: ctypes.CDLL) -> list[str]:
    """Return what Linux hands to each process of its processor."""
    try:
        library.getauxval.restype = ctypes.c_ulong
        found = [library.getauxval(ctypes.c_ulong(kind)) for kind in _HWCAPS]
    except AttributeError:  # glibc before 2.16
        found = []
    if platform.machine() in ("aarch64", "arm64"):
        found += [library.prctl(option, 0, 0, 0, 0) for option in _VECTOR_LENGTHS]
    return [f"{each:x}" for each in found]


def _cpuid(library: ctypes.CDLL) -> list[str]:
    """Return what CPUID says and the system lets programs use, and the processor's signature.

    glibc 2.33 and later give it out (<sys/platform/x86.h>): four registers as they are for each
    leaf, and the same four without the bits that the system does not support.
    """
    leaf = getattr(library, "__x86_get_cpuid_feature_leaf", None)
    if leaf is None:
        return []
    leaf.restype = ctypes.POINTER(ctypes.c_uint * 8)
    leaves = [list(leaf(ctypes.c_uint(number)).contents) for number in range(_LEAVES)]
    signature = leaves[0][0]  # family, model and stepping
    return [f"{word:x}" for word in (signature, *(word for each in leaves for word in each[4:]))]


def _cpuinfo() -> list[str]:
    """Return what /proc/cpuinfo says of the features and kinds of all cores."""
    try:
        text = os.fsdecode(Path("/proc/cpuinfo").read_bytes())
    except OSError:
        return []
    return sorted({" ".join(sorted(found.split())) for found in _CPUINFO.findall(text)})


def _sysctl(library: ctypes.CDLL, name: str) -> str:
    """Return a value of macOS as bytes in hexadecimal; "" where there is none."""
    value, size = ctypes.create_string_buffer(256), ctypes.c_size_t(256)
    failed = library.sysctlbyname(name.encode(), value, ctypes.byref(size), None, 0)
    return "" if failed else value.raw[: size.value].hex()
