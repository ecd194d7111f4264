"""A promotion and a rollback in a running engine: a real model, real LoRAs, eight chats in flight."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from agent.adapters import AdapterManifest, BaseIdentity, GateVerdict
from agent.adapters.live import LiveAdapters
from agent.adapters.registry import AdapterRegistry
from agent.datadir import DataDirectory
from agent.llm.embedded import EmbeddedEngine
from agent.llm.protocol import Engine, Limits, Message, Prompt
from agent.log.store import EventLog
from agent.starter.choosing import base_identity

CHAT = Prompt((Message("user", "Tell me about a film."),))
GREEDY = Limits(24, 60.0)
CHATS = 8


def publish(registry: AdapterRegistry, base: Path, lora: Path) -> str:
    told = AdapterManifest(
        registry.reserve(), None, BaseIdentity("tiny", base_identity(base)), "0" * 64, {}, {}, {},
        GateVerdict(True, "A test's."), ("reply",), 1, 0, "opt_out", "none", "2026-11-23T01:00:00+00:00",
    )  # fmt: skip
    return registry.publish(told, lora).id


@asynccontextmanager
async def running(base: Path, models_dir: Path) -> AsyncIterator[EmbeddedEngine]:
    engine = EmbeddedEngine(str(base), models_dir, max_queue=4 * CHATS)
    await engine.start()
    try:
        await engine.wait_ready(120)
        yield engine
    finally:
        await engine.close()


async def said(engine: Engine) -> tuple[str | None, str]:
    """The adapter by the answer's own word, and what it said."""
    told = engine.status().adapter
    return told, "".join([chunk.text async for chunk in engine.stream(CHAT, GREEDY)])


async def until(live: LiveAdapters, adapter: str | None) -> None:
    async with asyncio.timeout(60):
        while live.voice(live.engine, "s_x").engine.status().adapter != adapter:
            assert live.problem == ""
            await asyncio.sleep(0.02)


async def test_eight_chats_in_flight_lose_nothing_and_mix_nothing(
    tiny_dir: Path, models_dir: Path, make_lora: Callable[..., Path], tmp_path: Path
) -> None:
    log = EventLog.open(None, tmp_path / "var")
    registry = AdapterRegistry(DataDirectory(tmp_path / "var"), log, "default")
    a, b = (publish(registry, tiny_dir, make_lora(tiny_dir, tmp_path / str(n), n, 0.3)) for n in (1, 2))
    async with running(tiny_dir, models_dir) as engine:
        live = LiveAdapters(
            engine, registry, log, "default", setting="starter", model=str(tiny_dir), models_dir=models_dir
        )
        async with live.at_work():
            await live.settled()
            own: dict[str | None, str] = {None: (await said(live.voice(engine, "s_x").engine))[1]}
            for adapter in (a, b):
                registry.promote(adapter)
                await until(live, adapter)
                told, own[adapter] = await said(live.voice(engine, "s_x").engine)
                assert told == adapter
            assert len(set(own.values())) == 3

            def chats() -> list[asyncio.Task[tuple[str | None, str]]]:
                return [asyncio.create_task(said(live.voice(engine, f"s_{n}").engine)) for n in range(CHATS)]

            before = chats()
            registry.roll_back()
            await until(live, a)
            after = chats()
            registry.start_canary(b, 0.5)
            trial: list[asyncio.Task[tuple[str | None, str]]] = []
            async with asyncio.timeout(60):
                while {(await one)[0] for one in trial} != {a, b}:
                    trial = chats()
                    await asyncio.gather(*trial)
            answers = [await one for one in (*before, *after, *trial)]
            assert len(answers) == 3 * CHATS
            assert all(text == own[told] for told, text in answers)
            assert {told for told, _ in answers[:CHATS]} == {b}
            assert {told for told, _ in answers[CHATS : 2 * CHATS]} == {a}

            shutil.copy(registry.folder(a) / "adapter_model.safetensors", tmp_path / "kept")
            bad = json.loads((registry.folder(a) / "adapter_config.json").read_text())
            bad["use_dora"] = True  # a LoRA that no engine of ours serves
            source = tmp_path / "bad"
            source.mkdir()
            (source / "adapter_config.json").write_text(json.dumps(bad))
            shutil.copy(tmp_path / "kept", source / "adapter_model.safetensors")
            registry.promote(publish(registry, tiny_dir, source))
            async with asyncio.timeout(60):
                while not live.problem:
                    await asyncio.sleep(0.02)
            assert "use_dora" in live.problem
            assert (await said(live.voice(engine, "s_x").engine)) == (a, own[a])
    log.close()
