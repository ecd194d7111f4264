"""`chatalogue starter` from a catalogue to a folder that the engine may load."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.llm.adapter_check import base_shapes, check_adapter
from agent.starter.choosing import choose_adapter
from finetune.starter.catalogues import invented
from retrieval.errors import EngineError
from ui.cli import app

RECIPE = """
base = "tiny"
seed = 5
[lora]
rank = 4
alpha = 8
[data]
copies = 0
understand = 40
nothing = 0.1
reply = 6
redial = 0
held_out = 4
held_out_reply = 2
[train]
rate = 1e-2
warm_up = 0.1
steps = 3
row_tokens = 600
rows = 1
every = 2
patience = 3
clip = 1.0
[pretrain]
share = 0.3
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A model of a few thousand weights that reads bytes."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path / "tiny"
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({"<|end|>": 0, **{sign: n for n, sign in enumerate(alphabet, 1)}}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>").save_pretrained(folder)  # noqa: S106
    torch.set_num_threads(1)
    config = LlamaConfig(
        vocab_size=257, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=4096, bos_token_id=None, eos_token_id=0,
        tie_word_embeddings=True,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def test_from_a_catalogue_to_an_adapter(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finetune.starter.batches.MAX_PROMPT_TOKENS", 4000)  # bytes are many tokens
    monkeypatch.setenv("CHATALOGUE_DATA_DIR", str(tmp_path / "var"))
    (tmp_path / "recipe.toml").write_text(RECIPE)
    catalogue = tmp_path / "shop.jsonl"
    catalogue.write_text("\n".join(item.to_json() for item in invented("books", 1, 40).items), encoding="utf-8")
    out = tmp_path / "adapter"
    options = ["--catalogue", str(catalogue), "--model", str(base), "--recipe", str(tmp_path / "recipe.toml")]
    command = ["starter", *options, "--out", str(out), "--noun", "book", "--pretrain", "--minutes", "20"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "Unseen catalogue and phrases" in result.output
    check_adapter("made", out, base_shapes(base))
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["training"]["steps"] == 3
    assert manifest["data"]["catalogue"]["name"] == "shop.jsonl"
    assert "own" in manifest["data"]["catalogues"]
    assert manifest["data"]["sets"]["texts"]["examples"] == 40
    written = (out / "manifest.json").read_text() + (out / "adapter_config.json").read_text()
    assert str(tmp_path) not in written, "no path of this machine"
    chosen = choose_adapter(str(out), str(base), tmp_path)
    assert chosen is not None
    assert chosen.folder == out
    shutil.copytree(base, tmp_path / "other")
    (tmp_path / "other" / "tokenizer.json").write_text("{}")
    with pytest.raises(EngineError, match="another base model"):
        choose_adapter(str(out), str(tmp_path / "other"), tmp_path)


def test_files_of_redial_come_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATALOGUE_DATA_DIR", str(tmp_path / "var"))
    result = CliRunner().invoke(app, ["starter", "--redial", "train.jsonl"])
    assert "or none of them" in str(result.exception)
