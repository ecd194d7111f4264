from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from agent.llm import probe as probing
from agent.llm.apart import run_apart
from agent.llm.model import LoadedModel
from agent.llm.probe import (
    Canary,
    LogProbs,
    Probe,
    arrived_share,
    compute_probe,
    distance,
    judge,
    keep_probe,
    make_probe,
    read_probe,
    save_probe,
)
from retrieval.errors import EngineError, ModelUnavailable


@pytest.fixture(scope="session")
def tiny_probe(tiny_dir: Path, tiny_lora: Path) -> Probe:
    return compute_probe(tiny_dir, tiny_lora)


def base_of(probe: Probe) -> list[LogProbs]:
    return [canary.base for canary in probe.canaries]


def adapter_of(probe: Probe) -> list[LogProbs]:
    return [canary.adapter for canary in probe.canaries]


def moved(rows: list[LogProbs], nats: float) -> list[LogProbs]:
    return [tuple(value + nats for value in row) for row in rows]


class TestMaking:
    def test_the_base_is_what_our_own_model_says(self, tiny_probe: Probe, tiny: LoadedModel) -> None:
        """Padding in a batch changes nothing: each canary alone gives the same."""
        for canary in tiny_probe.canaries:
            with torch.inference_mode():
                logits = tiny.net(input_ids=torch.tensor([canary.ids])).logits[0, :-1].float().log_softmax(-1)
            alone = [float(row[token]) for row, token in zip(logits, canary.ids[1:], strict=True)]
            assert canary.base == pytest.approx(alone, abs=1e-3)
        assert distance(base_of(tiny_probe), adapter_of(tiny_probe)).mean > 0.1

    def test_a_new_adapter_keeps_it_and_where_it_cannot_be_made_nothing_is_lost(
        self, tiny_dir: Path, tiny_lora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        adapter = Path(shutil.copytree(tiny_lora, tmp_path / "adapter"))

        async def fails(*_: object) -> Probe:
            raise ModelUnavailable("The process of compute_probe ended without a word; its memory may not suffice.")

        with monkeypatch.context() as patch:
            patch.setattr(probing, "make_probe", fails)
            keep_probe(tiny_dir, adapter)
        assert read_probe(adapter) is None
        keep_probe(tiny_dir, adapter)
        made = read_probe(adapter)
        assert made is not None
        monkeypatch.setattr(probing, "make_probe", None)  # it is not made again
        keep_probe(tiny_dir, adapter)
        assert read_probe(adapter) == made
        assert not list(adapter.glob(".probe*"))

    async def test_in_a_process_of_its_own(self, tiny_probe: Probe, tiny_dir: Path, tiny_lora: Path) -> None:
        made = await make_probe(tiny_dir, tiny_lora)
        assert made.prompts == tiny_probe.prompts
        assert distance(adapter_of(made), adapter_of(tiny_probe)).largest < 1e-3

    def test_numbers_that_overflow_are_found_offline(self, tiny_dir: Path, edit_lora: Callable[..., Path]) -> None:
        huge = edit_lora(config={"lora_alpha": 1e30}, tensors=lambda t: t.update({k: v * 1e4 for k, v in t.items()}))
        with pytest.raises(EngineError, match="not finite"):
            compute_probe(tiny_dir, huge)


class TestFile:
    def test_round_trip(self, tiny_probe: Probe, tmp_path: Path) -> None:
        assert read_probe(tmp_path) is None
        save_probe(tiny_probe, tmp_path)
        assert read_probe(tmp_path) == tiny_probe

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("{", "cannot be read"),
            ("[]", "cannot be read"),
            ('{"canaries": []}', "needs 1 to 16 prompts"),
            ('{"canaries": [{"ids": [1], "base": [], "adapter": []}]}', "of 2 to 512 tokens"),
            ('{"canaries": [{"ids": [1, 2], "base": [-1], "adapter": []}]}', "one number less"),
            ('{"canaries": [{"ids": [1, 2], "base": [-1], "adapter": [NaN]}]}', "not finite"),
            ('{"canaries": [{"ids": [1, 2], "base": [-1], "adapter": [0.5]}]}', "not finite"),
            ('{"canaries": [{"ids": [1, "x"], "base": [-1], "adapter": [-1]}]}', "cannot be read"),
        ],
    )
    def test_what_is_refused(self, tmp_path: Path, text: str, said: str) -> None:
        (tmp_path / "probe.json").write_text(text)
        with pytest.raises(EngineError, match=said):
            read_probe(tmp_path)

    def test_too_many(self, tmp_path: Path) -> None:
        row = {"ids": [1, 2], "base": [-1.0], "adapter": [-1.0]}
        (tmp_path / "probe.json").write_text(json.dumps({"canaries": [row] * 17}))
        with pytest.raises(EngineError, match="needs 1 to 16 prompts"):
            read_probe(tmp_path)


class TestJudge:
    def test_rounding_passes(self, tiny_probe: Probe) -> None:
        judge(tiny_probe, moved(base_of(tiny_probe), 0.05), moved(adapter_of(tiny_probe), -0.05))
        judge(tiny_probe, None, adapter_of(tiny_probe))

    def test_an_ignored_adapter(self, tiny_probe: Probe) -> None:
        with pytest.raises(EngineError, match="server's adapter is not what PEFT computes"):
            judge(tiny_probe, base_of(tiny_probe), base_of(tiny_probe))

    def test_another_base(self, tiny_probe: Probe) -> None:
        with pytest.raises(EngineError, match="server's base is not what PEFT computes"):
            judge(tiny_probe, moved(base_of(tiny_probe), -0.2), adapter_of(tiny_probe))

    def test_one_token_far_off(self, tiny_probe: Probe) -> None:
        rows = adapter_of(tiny_probe)
        rows[0] = (rows[0][0] - 1.2, *rows[0][1:])
        with pytest.raises(EngineError, match=r"at most 1\.20"):
            judge(tiny_probe, base_of(tiny_probe), rows)

    @pytest.mark.parametrize("value", [math.nan, -math.inf])
    def test_no_numbers(self, tiny_probe: Probe, value: float) -> None:
        rows = adapter_of(tiny_probe)
        rows[-1] = (*rows[-1][:-1], value)
        with pytest.raises(EngineError, match="not what PEFT computes"):
            judge(tiny_probe, base_of(tiny_probe), rows)

    def test_missing_numbers(self, tiny_probe: Probe) -> None:
        with pytest.raises(EngineError, match="not what PEFT computes"):
            judge(tiny_probe, base_of(tiny_probe), adapter_of(tiny_probe)[:-1])

    def test_an_effect_below_the_tolerance_is_still_looked_for(self, tiny_probe: Probe) -> None:
        """Each token is within the tolerance when the adapter is ignored; together they tell."""
        weak = Probe(
            tuple(
                replace(c, adapter=tuple(b + 0.06 * (-1) ** n for n, b in enumerate(c.base)))
                for c in tiny_probe.canaries
            )
        )
        judge(weak, base_of(weak), adapter_of(weak))
        for seen in (
            base_of(weak),
            [tuple(2 * a - b for a, b in zip(c.adapter, c.base, strict=True)) for c in weak.canaries],
        ):
            with pytest.raises(EngineError, match="of its effect"):
                judge(weak, base_of(weak), seen)

    def test_too_weak_to_tell(self) -> None:
        weak = Probe((Canary((1, 2, 3), (-1.0, -2.0), (-1.01, -2.01)),))
        assert arrived_share(weak, [(-1.0, -2.0)], [(-1.0, -2.0)]) is None
        judge(weak, [(-1.0, -2.0)], [(-1.0, -2.0)])


class TestApart:
    async def test_errors_are_sentences(self) -> None:
        with pytest.raises(EngineError, match=r"compute_probe failed \(\w+: .*nowhere"):
            await run_apart(compute_probe, Path("/nowhere"), Path("/nowhere"), seconds=120)

    async def test_a_process_that_takes_too_long_is_ended(self) -> None:
        import time

        with pytest.raises(EngineError, match="sleep did not end within 0.1 s"):
            await run_apart(time.sleep, 600, seconds=0.1)

    async def test_a_process_that_dies(self) -> None:
        import os

        with pytest.raises(EngineError, match="ended without a word"):
            await run_apart(os._exit, 3, seconds=120)

    def test_nothing_heavy_is_imported(self) -> None:
        assert not {"torch", "peft", "transformers"} & set(vars(probing))
