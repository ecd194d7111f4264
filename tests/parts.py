"""The real parts that some tests need. Where one is missing the test is skipped and says why.

With REQUIRE_PARTS=1 (as `.ci/run` sets it) a missing part is a failure, so that nothing is skipped there unseen.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import Literal, NoReturn, TypeAlias

import pytest

Part: TypeAlias = Literal["vllm", "postgresql", "chromium", "prometheus", "promtool", "chroma"]

ROOT = Path(__file__).resolve().parent.parent


def need(part: Part) -> Path:
    """The program of a part; skips the test where it is missing, or fails it with REQUIRE_PARTS=1.

    "postgresql" gives `initdb`, whose folder holds the other programs; "vllm" the Python that has vLLM.
    """
    found = _find(part)
    if found is None:
        missing(f"{part} is not installed; `.ci/run` shows how to install it")
    return found


def missing(reason: str) -> NoReturn:
    """Skip the test, or fail it where everything has to be there."""
    if os.environ.get("REQUIRE_PARTS") == "1":
        pytest.fail(f"REQUIRE_PARTS=1, but {reason}.")
    pytest.skip(f"{reason}.")


def _find(part: Part) -> Path | None:
    if part == "vllm":
        python = Path(os.environ.get("TEST_VLLM_PYTHON", ROOT / ".venv-vllm" / "bin" / "python"))
        return python if python.exists() and list(python.parent.parent.glob("lib/python*/site-packages/vllm")) else None
    if part == "postgresql":
        versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
        return versions[-1] if versions else _which("initdb")
    if part == "chromium":
        return _which("chromium") or _which("chromium-browser") or _which("google-chrome")
    if part == "chroma":
        return _which("chroma", beside=True) if importlib.util.find_spec("chromadb") else None
    return _which(part)


def _which(name: str, *, beside: bool = False) -> Path | None:
    found = shutil.which(name, path=str(Path(sys.executable).parent) if beside else None)
    return Path(found) if found else None
