"""Promotes an adapter, killed at each step, and then looks what a new process makes of it. A script: see `main`.

A step is what leaves something behind: a file, a row, a change of the engine. Before and after each the process is
killed as by a power cut, in a copy of its own. The engine's adapters are kept in a file, as a server at a URL would.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from adapter_samples import KeepingEngine, manifest, published, registry_of, trained, write_base

from agent.adapters import live as live_module
from agent.adapters.live import LiveAdapters
from agent.adapters.registry import AdapterRegistry
from agent.log.adapters import Source
from agent.log.database import Database
from agent.log.store import EventLog

OLD, NEW = "ada-000001", "ada-000002"


class Steps:
    """Counts them, and dies at number `deadly`."""

    def __init__(self, deadly: int) -> None:
        self.left = deadly

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, owner: Any, name: str) -> None:  # noqa: ANN401 - classes and modules
        work: Callable[..., Any] = getattr(owner, name)

        def watched(*args: Any, **more: Any) -> Any:  # noqa: ANN401
            self.step()
            result = work(*args, **more)
            self.step()
            return result

        setattr(owner, name, watched)


class ServerEngine(KeepingEngine):
    """Its adapters outlive the app."""

    def __init__(self, file: Path, steps: Steps | None = None) -> None:
        super().__init__()
        self._file, self._steps = file, steps
        if file.exists():
            self.has, self.used = json.loads(file.read_text())

    async def load_adapter(self, name: str, path: Path) -> None:
        await self._do(super().load_adapter(name, path))

    async def use_adapter(self, name: str | None) -> None:
        await self._do(super().use_adapter(name))

    async def _do(self, work: Any) -> None:  # noqa: ANN401 - a coroutine
        if self._steps:
            self._steps.step()
        await work
        self._file.write_text(json.dumps([self.has, self.used]))
        if self._steps:
            self._steps.step()


def opened(folder: Path) -> tuple[EventLog, AdapterRegistry]:
    """Without a look at the migrations, which takes most of the time."""
    log = EventLog(Database.open(None, folder))
    return log, registry_of(folder, log)


def server(folder: Path, registry: AdapterRegistry, log: EventLog, engine: KeepingEngine) -> LiveAdapters:
    base = folder.parent / "base"
    return LiveAdapters(
        engine, registry, log, "default", setting=str(folder.parent / "first"), model=str(base), models_dir=base
    )


async def follow(live: LiveAdapters) -> None:
    for _ in range(4):
        await live.follow()
        await asyncio.gather(*live._loading.values())


def finetuned(folder: Path, registry: AdapterRegistry) -> None:
    registry.record_training(NEW, [Source("p_1", "s_1")])
    registry.publish(manifest(NEW, folder.parent / "base", parent=OLD), folder.parent / "trained")


async def lived(folder: Path, deadly: int) -> None:
    """A promotion from the training's end to the old one's deletion."""
    steps = Steps(deadly)
    log, registry = opened(folder)
    live = server(folder, registry, log, ServerEngine(folder / "engine.json", steps))
    await follow(live)
    steps.watch(shutil, "copyfile")
    for owner, name in ((shutil, "rmtree"), (os, "fsync"), (os, "replace"), (Path, "unlink"), (Path, "replace")):
        steps.watch(owner, name)
    for name in ("move_adapter", "add_adapter_sources"):
        steps.watch(EventLog, name)
    finetuned(folder, registry)
    registry.start_canary(NEW, 0.2)
    await follow(live)
    registry.promote(NEW)
    await follow(live)
    registry.roll_back()
    await follow(live)
    registry.promote(NEW)
    await follow(live)
    registry.prune(1)


async def looked(folder: Path) -> dict[str, object]:
    """What a new process finds, with an engine that went on and with a new one; then it does what was left."""
    found: dict[str, object] = {}
    log, registry = opened(folder)
    now = registry.standing()
    found["champion"] = now.champion
    found["states"] = {one.id: one.state for one in registry.all()}
    for name, engine in (("kept", ServerEngine(folder / "engine.json")), ("new", KeepingEngine())):
        live = server(folder, registry, log, engine)
        await follow(live)
        told = live.voice(engine, "s_1").engine.status().adapter
        found[name] = {"answers": told, "in use": engine.used, "problem": live.problem}
    finetuned(folder, registry)
    if registry.standing().champion != NEW:
        registry.promote(NEW)
    live = server(folder, registry, log, ServerEngine(folder / "engine.json"))
    await follow(live)
    found["in the end"] = live.voice(live.engine, "s_1").engine.status().adapter
    found["known"] = list(registry.trained_on("s_1"))
    log.close()
    return found


def in_a_process(work: Callable[[], None]) -> int:
    """The signal that ended it, 0 for none."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        sys.exit("a process failed")
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def prepare(root: Path) -> None:
    """An old champion, and a new adapter that is trained."""
    log = EventLog.open(None, root / "begin")
    registry = registry_of(root / "begin", log)
    registry.promote(published(registry, root / "base"))
    assert registry.reserve() == NEW
    log.secret("default")
    log.close()


def note(folder: Path) -> None:
    with (folder.parent / "found.jsonl").open("a") as file:
        file.write(json.dumps(asyncio.run(looked(folder))) + "\n")


def main(root: Path) -> None:
    """Write a line of JSON for each step to `found.jsonl`: what was found when the process died there."""
    live_module.RETRY_SECONDS = 0.0
    write_base(root / "base")
    trained(root / "first", b"first")
    trained(root / "trained", b"new")
    in_a_process(lambda: prepare(root))
    for deadly in range(1, 1_000):
        folder = root / f"{deadly}"
        shutil.copytree(root / "begin", folder)
        ended = in_a_process(lambda folder=folder, deadly=deadly: asyncio.run(lived(folder, deadly)))  # type: ignore[misc]
        in_a_process(lambda folder=folder: note(folder))  # type: ignore[misc]
        if not ended:
            return
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
