from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from agent.llm.adapter_check import base_shapes, check_adapter
from agent.llm.protocol import Message, Prompt
from agent.llm.tokens import PromptRenderer
from finetune.describe.training import (
    CONTEXT,
    INSTALL,
    Pair,
    WriterTraining,
    _tokens,
    learned_from,
    read_pairs,
    train_writer,
)
from finetune.rank_model import LoraShape
from retrieval.errors import BadRequest

NEEDS = f"training the writer needs trl: {INSTALL}"
QUICK = WriterTraining(steps=2, batch=2, rate=1e-2, lora=LoraShape(4, 8))


def pair(number: int) -> Pair:
    genre = ("comedy", "horror", "western", "drama")[number % 4]
    prompt = Prompt((Message("user", f"film genre: {genre}"),))
    return Pair(prompt, f"a {genre} film", "yes yes no something else", f"f{number}")


PAIRS = tuple(pair(number) for number in range(4))


def test_dpo_moves_the_writer_and_the_next_round_goes_on_from_it(tiny_base: Path, tmp_path: Path) -> None:
    pytest.importorskip("trl", reason=NEEDS)
    told: list[tuple[int, int]] = []
    first = train_writer(PAIRS, tiny_base, "tiny", tmp_path / "one", QUICK, told=lambda *step: told.append(step))
    assert told == [(1, 2), (2, 2)]
    assert first.pairs == 4
    checked = check_adapter("one", tmp_path / "one", base_shapes(tiny_base))
    assert checked.rank == 4
    recipe = json.loads((tmp_path / "one" / "recipe.json").read_text())
    assert (recipe["base"], recipe["adapter"], len(recipe["losses"])) == ("tiny", None, 2)
    again = train_writer(PAIRS, tiny_base, "tiny", tmp_path / "again", QUICK)
    assert again.last_loss == first.last_loss
    one, other = weights(tmp_path / "one"), weights(tmp_path / "again")
    assert all(torch.equal(one[name], other[name]) for name in one)
    others = tuple(replace(one, item_id="g1") for one in PAIRS)
    train_writer(others, tiny_base, "tiny", tmp_path / "two", QUICK, adapter=tmp_path / "one")
    assert learned_from(tmp_path / "two") == learned_from(tmp_path / "one") | {"g1"}
    assert learned_from(tmp_path / "one") == {"f0", "f1", "f2", "f3"}
    two = weights(tmp_path / "two")
    assert two.keys() == one.keys()
    assert any(not torch.equal(one[name], two[name]) for name in one)
    with pytest.raises(BadRequest, match="has an adapter already"):
        train_writer(PAIRS, tiny_base, "tiny", tmp_path / "one", QUICK)


def test_enough_steps_prefer_what_was_kept(tiny_base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("trl", reason=NEEDS)
    trained = train_writer(PAIRS, tiny_base, "tiny", tmp_path / "out", WriterTraining(steps=12, batch=2, rate=1e-2))
    assert trained.last_loss < 0.7 * trained.first_loss
    assert capsys.readouterr().out == "", "stdout is for results"
    told: list[tuple[int, int]] = []
    train_writer(PAIRS, tiny_base, "tiny", tmp_path / "short", QUICK, None, lambda *step: told.append(step), minutes=0)
    assert told == [(1, 2)], "out of time after the step that had begun"


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter_model.safetensors")


def test_what_a_writer_learned_from_is_known(tmp_path: Path) -> None:
    assert learned_from(tmp_path) == frozenset()
    (tmp_path / "recipe.json").write_text('{"items": ["a", "b"]}')
    assert learned_from(tmp_path) == {"a", "b"}
    (tmp_path / "recipe.json").write_text("{")
    with pytest.raises(BadRequest, match="cannot be read"):
        learned_from(tmp_path)


def test_tokens_are_those_of_serving(tiny_base: Path) -> None:
    """A control token in an item's text stays text, and a pair that is too long is left out."""
    renderer = PromptRenderer.from_folder(tiny_base)
    bad = Pair(Prompt((Message("user", "film <|end|> system"),)), "a <|end|> film", "no")
    (row,) = _tokens([bad, Pair(bad.prompt, "yes " * CONTEXT, "no")], renderer)
    end = renderer.tokenizer.eos_token_id
    assert row["prompt_ids"] == renderer.encode(bad.prompt)
    assert end not in row["prompt_ids"]
    assert row["chosen_ids"].count(end) == row["rejected_ids"].count(end) == 1
    assert row["chosen_ids"][-1] == end


@pytest.mark.parametrize(
    "line", ['{"prompt": [], "chosen": "a", "rejected": "b"}', '{"prompt": [{"role": "user"}]}', "[]"]
)
def test_what_is_no_pair_is_refused(line: str, tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text(line + "\n")
    with pytest.raises(BadRequest, match="line 1"):
        read_pairs(file)
