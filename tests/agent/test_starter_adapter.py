"""Which adapter is meant, and how it comes into an engine without anybody waiting for it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

import pytest

from agent.llm.off import NoEngine
from agent.llm.protocol import EngineState, EngineStatus
from agent.starter import choosing
from agent.starter.choosing import base_identity, choose_adapter
from agent.starter.keeping import AdapterKeeper
from retrieval.errors import EngineError, ModelUnavailable


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights of the base")
    return folder


def write_adapter(folder: Path, base: Path, weights: bytes = b"lora") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "adapter_model.safetensors").write_bytes(weights)
    files = {"adapter_model.safetensors": hashlib.sha256(weights).hexdigest()}
    manifest = {"base": {"model": "mine", "identity": base_identity(base)}, "files": files}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_a_folder_is_named_after_its_weights(base: Path, tmp_path: Path) -> None:
    one = choose_adapter(str(write_adapter(tmp_path / "My Shop", base)), str(base), tmp_path)
    other = choose_adapter(str(write_adapter(tmp_path / "My Shop", base, b"others")), str(base), tmp_path)
    assert one is not None
    assert other is not None
    assert one.name.startswith("my-shop-")
    assert one.name != other.name
    assert choose_adapter("none", str(base), tmp_path) is None


def test_a_folder_without_manifest_is_taken_as_it_is(base: Path, tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "a", base)
    (folder / "manifest.json").unlink()
    assert choose_adapter(str(folder), str(base), tmp_path) is not None


def test_what_is_damaged_foreign_or_missing_is_refused(base: Path, tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "a", base)
    (base / "model.safetensors").write_bytes(b"others")
    with pytest.raises(EngineError, match=r"another base model \(mine\)"):
        choose_adapter(str(folder), str(base), tmp_path)
    (folder / "adapter_model.safetensors").write_bytes(b"cut off")
    with pytest.raises(EngineError, match="is damaged"):
        choose_adapter(str(folder), str(base), tmp_path)
    (folder / "manifest.json").write_text("{")
    with pytest.raises(EngineError, match="cannot be read"):
        choose_adapter(str(folder), str(base), tmp_path)
    with pytest.raises(EngineError, match="cannot be read"):
        choose_adapter(str(tmp_path / "nowhere"), str(base), tmp_path)
    with pytest.raises(ModelUnavailable):
        choose_adapter(str(write_adapter(tmp_path / "b", base)), "no such model", tmp_path)


def test_the_starter_is_for_the_default_model_alone_and_may_be_missing(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "DEFAULT_MODEL", str(base))
    monkeypatch.setattr(choosing, "starter_folder", lambda: tmp_path / "starter")
    assert choose_adapter("starter", str(base), tmp_path) is None
    write_adapter(tmp_path / "starter", base)
    chosen = choose_adapter("starter", str(base), tmp_path)
    assert chosen is not None
    assert chosen.name.startswith("starter-")
    assert choose_adapter("starter", "some/other", tmp_path) is None


def test_converted_weights_are_known_by_what_they_were_converted_from(base: Path, tmp_path: Path) -> None:
    (base / "manifest.json").write_text(json.dumps({"source_sha256": "abc"}))
    (base / "model.safetensors").write_bytes(b"written by another version of a library")
    assert base_identity(base) == "gguf:abc"


def test_another_chat_template_is_another_base(base: Path) -> None:
    found = {base_identity(base)}
    (base / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    found.add(base_identity(base))
    (base / "chat_template.jinja").write_text("{{ messages }}!")
    found.add(base_identity(base))
    (base / "tokenizer_config.json").write_text(json.dumps({"chat_template": "not read beside a file of its own"}))
    found.add(base_identity(base))
    assert len(found) == 3


class Engine(NoEngine):
    """Knows adapters by name; `states` come one after the other, the last stays."""

    def __init__(self, *states: EngineState, refuses: str = "") -> None:
        self.states = list(states)
        self.refuses = refuses
        self.loaded: list[str] = []
        self.used: str | None = None

    async def load_adapter(self, name: str, path: Path) -> None:
        if self.refuses:
            raise EngineError(self.refuses)
        self.loaded.append(name)

    async def use_adapter(self, name: str | None) -> None:
        self.used = name

    async def list_adapters(self) -> tuple[str, ...]:
        return tuple(self.loaded)

    def status(self) -> EngineStatus:
        return EngineStatus(self.states.pop(0) if len(self.states) > 1 else self.states[0], "m")


async def kept(engine: Engine, setting: str, base: Path, tmp_path: Path) -> AdapterKeeper:
    keeper = AdapterKeeper(engine, setting, str(base), tmp_path)
    async with keeper.at_work(), asyncio.timeout(60):
        await keeper.settled()
    return keeper


async def test_it_is_loaded_once_the_engine_answers(base: Path, tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "mine", base)
    engine = Engine("starting", "starting", "failed", "starting", "ready")
    keeper = AdapterKeeper(engine, str(folder), str(base), tmp_path)
    async with keeper.at_work(), asyncio.timeout(60):
        while engine.used is None:  # also after an engine that failed for a while
            await asyncio.sleep(0.01)
    assert engine.loaded == [engine.used]
    assert keeper.problem == ""


@pytest.mark.parametrize(("setting", "state"), [("none", "ready"), ("starter", "ready"), ("nowhere", "off")])
async def test_without_one_the_base_answers(setting: str, state: EngineState, base: Path, tmp_path: Path) -> None:
    engine = Engine(state)
    keeper = await kept(engine, setting, base, tmp_path)
    assert (engine.used, engine.loaded, keeper.problem) == (None, [], "")


@pytest.mark.parametrize("refuses", ["Adapter 'x' is refused.", ""])
async def test_what_cannot_be_loaded_is_one_sentence(refuses: str, base: Path, tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "mine", base)
    if not refuses:
        (folder / "adapter_model.safetensors").write_bytes(b"cut")
    engine = Engine("ready", refuses=refuses)
    keeper = await kept(engine, str(folder), base, tmp_path)
    assert engine.used is None
    assert keeper.problem.startswith("The model answers without its adapter: ")
    assert (refuses or "damaged") in keeper.problem


async def test_an_engine_that_dies_meanwhile_gets_it_when_it_is_back(base: Path, tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "mine", base)
    engine = Engine("ready", "starting", "ready", refuses="It died.")
    keeper = AdapterKeeper(engine, str(folder), str(base), tmp_path)
    async with keeper.at_work(), asyncio.timeout(60):
        while len(engine.states) > 1:
            await asyncio.sleep(0.01)
        engine.refuses = ""
        await keeper.settled()
    assert engine.used is not None or keeper.problem  # whichever came first; never both
    assert bool(engine.used) != bool(keeper.problem)
