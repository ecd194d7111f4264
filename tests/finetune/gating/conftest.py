"""One tiny base with words of its own, one champion and one engine for all tests of the gate."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest
import torch
from gate_doubles import RUNNING, WISHES, HereEngine, Learning, films, planted

from finetune.gating.scored import general_chat


@pytest.fixture(scope="session")
def gate_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reads prompts of serving in few tokens, and has room for them."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.set_num_threads(1)  # the neighbours of a test run want the cores too
    folder = tmp_path_factory.mktemp("gate-base")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=900, special_tokens=["<|end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    words = chain((item.document() for item in films()), (row.prompt.messages[-1].text for row in general_chat()))
    tokenizer.train_from_iterator([*words, *[" yes no You are the assistant Item: Fits: recommend"] * 5], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>")  # noqa: S106 -- no password
    fast.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=2048, initializer_range=0.2,
        bos_token_id=None, eos_token_id=0, pad_token_id=0, tie_word_embeddings=True,
    )  # fmt: skip
    torch.manual_seed(5)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def gate_champion(gate_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answers everybody with little, so that nothing takes long."""
    return planted(gate_base, tmp_path_factory.mktemp("champion") / "c", RUNNING, Learning())


@pytest.fixture(scope="session")
def gate_good(gate_base: Path, gate_champion: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Has learned what customers mean, and does the rest as before."""
    folder = tmp_path_factory.mktemp("good") / "g"
    return planted(gate_base, folder, [*RUNNING, *WISHES], Learning(), gate_champion)


@pytest.fixture(scope="session")
def gate_engine(gate_base: Path) -> HereEngine:
    return HereEngine(gate_base)
