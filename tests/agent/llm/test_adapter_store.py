from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from agent.llm.adapter_check import CheckedAdapter, base_shapes, check_adapter
from agent.llm.adapter_store import AdapterStore
from agent.llm.probe import Canary, Probe, read_probe, save_probe
from retrieval.errors import EngineError

PROBE = Probe((Canary((1, 2, 3), (-1.0, -2.0), (-1.5, -2.5)),))


@pytest.fixture
def source(edit_lora: Callable[..., Path]) -> Path:
    """With a probe of the trainer's, so that none has to be made."""
    folder = edit_lora(config={"base_model_name_or_path": "/the/trainers/own"})
    save_probe(PROBE, folder)
    return folder


@pytest.fixture
def checked(source: Path, tiny_dir: Path) -> CheckedAdapter:
    return check_adapter("ada-1", source, base_shapes(tiny_dir))


@pytest.fixture
def store(tmp_path: Path) -> AdapterStore:
    return AdapterStore(tmp_path / "store")


async def test_a_copy_that_stands_alone(
    store: AdapterStore, checked: CheckedAdapter, source: Path, tiny_dir: Path
) -> None:
    stored = await store.add(checked, source, tiny_dir)
    for file in list(source.iterdir()):
        file.unlink()
    source.rmdir()
    assert store.open("ada-1") == stored
    assert stored.probe == PROBE == read_probe(stored.folder)
    assert stored.folder.is_absolute()
    assert store.names() == ("ada-1",)
    config = json.loads((stored.folder / "adapter_config.json").read_text())
    assert config == {**checked.config, "base_model_name_or_path": str(tiny_dir)}
    assert (stored.folder / "adapter_model.safetensors").read_bytes() == checked.weights
    assert {path.stat().st_mode & 0o222 for path in stored.folder.iterdir()} == {0}


async def test_the_bytes_that_were_checked_are_kept(
    store: AdapterStore, checked: CheckedAdapter, source: Path, tiny_dir: Path
) -> None:
    (source / "adapter_model.safetensors").write_bytes(b"exchanged after the check")
    stored = await store.add(checked, source, tiny_dir)
    assert (stored.folder / "adapter_model.safetensors").read_bytes() == checked.weights


async def test_the_probe_is_made_where_there_is_none(
    store: AdapterStore, checked: CheckedAdapter, source: Path, tiny_dir: Path
) -> None:
    (source / "probe.json").unlink()
    stored = await store.add(checked, source, tiny_dir)
    assert len(stored.probe.canaries) == 4
    assert store.open("ada-1").probe == stored.probe


async def test_a_bad_probe_leaves_nothing(
    store: AdapterStore, checked: CheckedAdapter, source: Path, tiny_dir: Path
) -> None:
    (source / "probe.json").write_text("{}")
    with pytest.raises(EngineError, match="probe of the adapter"):
        await store.add(checked, source, tiny_dir)
    assert list(store.root.iterdir()) == []


async def test_a_name_is_for_these_files_only(
    store: AdapterStore, checked: CheckedAdapter, source: Path, tiny_dir: Path
) -> None:
    stored = await store.add(checked, source, tiny_dir)
    assert await store.add(checked, source, tiny_dir) == stored  # the app was restarted
    weights = source / "adapter_model.safetensors"
    save_file({key: tensor * 2 for key, tensor in load_file(weights).items()}, weights)
    other = check_adapter("ada-1", source, base_shapes(tiny_dir))
    with pytest.raises(EngineError, match="'ada-1' was used for other adapter files"):
        await store.add(other, source, tiny_dir)
    assert store.open("ada-1") == stored


@pytest.mark.parametrize("file", ["adapter_config.json", "adapter_model.safetensors", "probe.json"])
async def test_a_changed_or_missing_file_is_noticed(
    store: AdapterStore, checked: CheckedAdapter, source: Path, tiny_dir: Path, file: str
) -> None:
    path = (await store.add(checked, source, tiny_dir)).folder / file
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(EngineError, match=f"'ada-1' is damaged .{file}"):
        store.open("ada-1")
    path.unlink()
    with pytest.raises(EngineError, match="'ada-1' is damaged"):
        store.open("ada-1")


async def test_a_folder_without_manifest_never_existed(
    store: AdapterStore, checked: CheckedAdapter, source: Path, tiny_dir: Path
) -> None:
    stored = await store.add(checked, source, tiny_dir)
    (stored.folder / "manifest.json").unlink()
    assert store.names() == ()
    with pytest.raises(EngineError, match="No adapter 'ada-1' is stored"):
        store.open("ada-1")
    assert await store.add(checked, source, tiny_dir) == stored


async def test_removed_only_when_nobody_holds_it_and_never_named_again(
    store: AdapterStore, checked: CheckedAdapter, source: Path, tiny_dir: Path
) -> None:
    stored = await store.add(checked, source, tiny_dir)
    store.hold("ada-1")
    with pytest.raises(EngineError, match="'ada-1' is loaded"):
        store.remove("ada-1")
    assert stored.folder.exists()
    store.release("ada-1")
    store.remove("ada-1")
    assert not stored.folder.exists()
    with pytest.raises(EngineError, match="No adapter 'ada-1'"):
        store.remove("ada-1")
    with pytest.raises(EngineError, match="was used for other adapter files"):
        await store.add(checked, source, tiny_dir)


async def test_drafts_of_a_crash_go_when_they_are_old(
    store: AdapterStore, checked: CheckedAdapter, source: Path, tiny_dir: Path
) -> None:
    old, new = store.root / ".draft-old", store.root / ".draft-new"
    old.mkdir(parents=True)
    new.mkdir()
    os.utime(old, (1, 1))
    await store.add(checked, source, tiny_dir)
    assert (old.exists(), new.exists()) == (False, True)


@pytest.mark.parametrize("name", ["../ada-1", "/ada-1", ".removed", ""])
def test_names_stay_in_the_store(store: AdapterStore, name: str) -> None:
    for ask in (store.open, store.remove):
        with pytest.raises(EngineError, match="is no adapter name"):
            ask(name)


async def test_a_full_or_read_only_disk(tmp_path: Path, checked: CheckedAdapter, source: Path, tiny_dir: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match="cannot be kept in"):
        await AdapterStore(tmp_path / "file" / "store").add(checked, source, tiny_dir)
