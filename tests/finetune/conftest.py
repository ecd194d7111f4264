"""A base model of a few thousand weights with a tokenizer of its own: made in a second, no weights needed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from agent.llm.protocol import Message, Prompt
from finetune.rank_data import Example

GENRES = ("comedy", "horror", "western", "drama")
WORDS = (
    "You are a shop . A talk , oldest words first : I want something like a please thanks "
    "Item “ ” Fits yes no film genre system user assistant answer items recommend next " + " ".join(GENRES)
)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.set_num_threads(1)  # the neighbours of a test run want the cores too
    folder = tmp_path_factory.mktemp("tiny-base")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=["<|end|>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([f" {WORDS}"] * 3, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>")  # noqa: S106 -- no password
    fast.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.2,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=0,
        tie_word_embeddings=True,
    )
    torch.manual_seed(5)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def example(number: int) -> Example:
    """Somebody names a genre; the item of that genre is right, and the ranker has it at any place."""
    wanted = number % len(GENRES)
    first = number // len(GENRES)
    ranks = tuple((place + first) % len(GENRES) + 1 for place in range(len(GENRES)))
    return Example(
        f"m{number}",
        f"g{number // 2}",
        Prompt((Message("user", f"A talk: I want a {GENRES[wanted]} film please" + " thanks" * (number % 3)),)),
        tuple(f"Item: “film, genre: {genre}”\nFits:" for genre in GENRES),
        ranks,
        (wanted,),
    )


@pytest.fixture(scope="session")
def examples() -> tuple[Example, ...]:
    return tuple(example(number) for number in range(24))
