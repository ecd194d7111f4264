"""The decode kernel (kernel.cpp): compiled once with this machine's own compiler, kept on disk, loaded with ctypes.

Needs no torch. Knows nothing of models: decoder.py fills the arrays.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

log = logging.getLogger(__name__)

SOURCE: Final = Path(__file__).with_name("kernel.cpp")
COMPILERS: Final = ("c++", "g++", "clang++")
"""Tried in this order, after the one that the environment variable CXX names."""
FLAGS: Final = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-pthread", "-fno-math-errno")
COMPILE_SECONDS: Final = 120.0
"""4 s on a free core; a busy one may need much longer."""
MAX_ROWS: Final = 8
"""Tokens in one step of streams: a further one costs little."""
READ_ROWS: Final = 128
"""Tokens in one step of a prompt; MAX_ROWS in kernel.cpp."""
GROUP: Final = 64
"""Weights that share a scale; as in kernel.cpp."""


class NoKernel(Exception):
    """The kernel cannot be had on this machine; the message is one sentence for the operator."""


def load_kernel(folder: Path) -> Any:  # noqa: ANN401 -- a function of ctypes
    """`chatalogue_step`, from `folder` when it was compiled before, else compiled now (seconds).

    Raises:
        NoKernel: no compiler, or it fails, or the result cannot be loaded.
    """
    compiler = _compiler()
    built = folder / f"decode-{_digest(compiler)}.so"
    try:
        if not built.is_file():
            _compile(compiler, built)
        step = ctypes.CDLL(str(built)).chatalogue_step
    except OSError as error:
        raise NoKernel(f"the compiled kernel {str(built)!r} cannot be written or loaded ({error})") from None
    step.argtypes = [
        ctypes.c_void_p, ctypes.c_float, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int,
        ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int,
    ]  # fmt: skip
    step.restype = ctypes.c_int
    return step


def _compiler() -> str:
    named = os.environ.get("CXX", "")
    for name in (named, *COMPILERS):
        if name and (found := shutil.which(name)):
            return found
    raise NoKernel(f"there is no C++ compiler (looked for {', '.join(filter(None, (named, *COMPILERS)))})")


def _digest(compiler: str) -> str:
    """Of all that the machine code depends on: a data folder may be carried to another processor."""
    parts = [SOURCE.read_text(encoding="utf-8"), *FLAGS, compiler, platform.machine(), platform.system()]
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        parts += sorted({line for line in lines if line.startswith(("flags", "Features", "model name"))})
    except OSError:  # not Linux
        parts.append(platform.processor())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _compile(compiler: str, built: Path) -> None:
    """Write `built` in one step: another process may compile at the same time."""
    built.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=built.parent, prefix=".draft-") as draft:
        result = Path(draft) / built.name
        command = [compiler, *FLAGS, "-o", str(result), str(SOURCE)]
        try:
            _run(command)
        except subprocess.TimeoutExpired:
            raise NoKernel(f"{compiler} needed more than {COMPILE_SECONDS:g} s") from None
        except subprocess.CalledProcessError as error:
            said = [line for line in (error.stderr or "").splitlines() if "error" in line]
            raise NoKernel(f"{compiler} fails ({said[0] if said else f'code {error.returncode}'})") from None
        result.replace(built)
    log.info("the decode kernel was compiled: %s", built)


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=COMPILE_SECONDS)  # noqa: S603
