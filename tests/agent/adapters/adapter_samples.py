"""Adapters without a model: files of a few bytes, and an engine that keeps what it is given."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from agent.adapters import AdapterManifest, BaseIdentity, GateVerdict, Measured
from agent.adapters.registry import AdapterRegistry
from agent.datadir import DataDirectory
from agent.llm.protocol import CURRENT, Chunk, EngineState, EngineStatus, Filled, Limits, Prompt
from agent.log.adapters import Source
from agent.log.store import EventLog
from agent.starter.choosing import base_identity
from retrieval.errors import EngineError


def write_base(folder: Path) -> Path:
    """What `resolve_model` takes for a model."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights of the base")
    return folder


def manifest(adapter: str, base: Path, **fields: object) -> AdapterManifest:
    plain: dict[str, object] = {
        "id": adapter,
        "parent": None,
        "base": BaseIdentity("mine", base_identity(base)),
        "data_hash": "d" * 64,
        "config": {"rank": 16},
        "seeds": {"train": 1},
        "metrics": {"accuracy": Measured(0.5, 0.4, 0.6, 100)},
        "verdict": GateVerdict(True, "Better than the champion."),
        "skills": ("reply",),
        "examples": 300,
        "customers": 20,
        "consent": "opt_out",
        "commit": "abc",
        "created": "2026-11-23T01:00:00+00:00",
    }
    return AdapterManifest(**(plain | fields))  # type: ignore[arg-type]


def trained(folder: Path, weights: bytes = b"lora") -> Path:
    """What a training leaves."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text('{"r": 4}')
    (folder / "adapter_model.safetensors").write_bytes(weights)
    return folder


def published(registry: AdapterRegistry, base: Path, **fields: object) -> str:
    """One more candidate; its id."""
    adapter = registry.reserve()
    registry.record_training(adapter, [Source("p_sample", "s_sample")])
    source = trained(registry.root.parent / "trained" / adapter, adapter.encode())
    return registry.publish(manifest(adapter, base, **fields), source).id


def registry_of(root: Path, log: EventLog, tenant: str = "default") -> AdapterRegistry:
    return AdapterRegistry(DataDirectory(root), log, tenant)


class KeepingEngine:
    """Implements `Engine`: keeps adapters by name, answers with the name of the one that was asked.

    `refuses`: names that begin so are not loaded.
    """

    def __init__(self, state: EngineState = "ready", refuses: str = "nothing") -> None:
        self.state: EngineState = state
        self.refuses = refuses
        self.has: list[str] = []
        self.used: str | None = None
        self.calls: list[str] = []

    async def stream(
        self, prompt: Prompt, limits: Limits, adapter: str | None = CURRENT
    ) -> AsyncGenerator[Chunk, None]:
        name = self.used if adapter == CURRENT else adapter
        if name is not None and name not in self.has:
            raise EngineError(f"No adapter {name!r} is loaded.")
        self.calls.append(f"stream {name}")
        yield Chunk(f"{name}", finish="stop", completion_tokens=1)

    async def choose(self, prompt: Prompt, options: Sequence[str], adapter: str | None = CURRENT) -> tuple[float, ...]:
        self.calls.append(f"choose {adapter}")
        return tuple(0.0 for _ in options)

    async def judge(
        self, prompt: Prompt, endings: Sequence[str], answers: Sequence[str], adapter: str | None = CURRENT
    ) -> tuple[tuple[float, ...], ...]:
        self.calls.append(f"judge {adapter}")
        return tuple(tuple(0.0 for _ in answers) for _ in endings)

    async def fill(self, prompt: Prompt, grammar: str, limits: Limits, adapter: str | None = CURRENT) -> Filled:
        self.calls.append(f"fill {adapter}")
        return Filled("", True)

    async def load_adapter(self, name: str, path: Path) -> None:
        assert name not in self.has
        if name.startswith(self.refuses):
            raise EngineError(f"Adapter {name!r} is refused: it is a test's.")
        assert (path / "adapter_model.safetensors").exists()
        self.has.append(name)

    async def use_adapter(self, name: str | None) -> None:
        if name is not None and name not in self.has:
            raise EngineError(f"No adapter {name!r} is loaded.")
        self.used = name

    async def list_adapters(self) -> tuple[str, ...]:
        return tuple(self.has)

    def status(self) -> EngineStatus:
        return EngineStatus(self.state, "mine", self.used)

    async def close(self) -> None:
        self.state = "off"
