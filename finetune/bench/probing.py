"""What an adapter knows: one model in memory that takes on one adapter after another and is asked questions.

An exact answer is one whose every token is the likeliest after those before it, which is what greedy decoding says, at
the cost of one forward pass. Knows no streams and no methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional

from agent.llm.adapter_check import WEIGHTS_FILE
from finetune.bench.streams import Question
from finetune.rank_model import LoraShape
from finetune.starter.batches import Encoded, Row, row_of
from finetune.training.lessons import Lesson
from finetune.training.network import LEARNS, CycleModel
from finetune.training.rows import encode, packed

ROW_TOKENS = 1024
"""Of a packed row that is only read."""
LONGEST = 1024
"""Tokens of a question, prompt included."""


@dataclass(frozen=True, slots=True)
class Said:
    """Of general chat: the loss of each answer, nats a token; and log-probabilities, (answer tokens, vocabulary)."""

    losses: tuple[float, ...]
    logs: torch.Tensor


class Probe:
    """The base with an adapter that can be exchanged.

    Args:
        base: its folder.
        champion: the adapter that every stream begins with; None: the base itself.
        shape: of the adapters, the champion's among them.
    """

    def __init__(self, base: Path, champion: Path | None, shape: LoraShape) -> None:
        self._champion = champion
        self.model = CycleModel(base, champion, "champion", shape, 0, "cpu")
        self.tokens = 0
        """That were computed since it was made."""

    def become(self, adapter: Path | None) -> None:
        """Take on the adapter of a folder; None: the champion that all began with."""
        import peft
        from safetensors.torch import load_file

        folder = adapter or self._champion
        with torch.no_grad():
            if folder is None:
                for one in self.model.factors().values():
                    one.b.zero_()
                return
            peft.set_peft_model_state_dict(self.model.net, load_file(folder / WEIGHTS_FILE), adapter_name=LEARNS)

    @torch.no_grad()
    def right(self, questions: Sequence[Question]) -> list[int]:
        """1 for each question that it answers rightly, else 0."""
        found = self._exact([one for one in questions if len(one.answers) == 1])
        found |= {one.id: self._chosen(one) for one in questions if len(one.answers) > 1}
        return [int(found[one.id]) for one in questions]

    @torch.no_grad()
    def said(self, questions: Sequence[Question]) -> Said:
        """How likely the answers are; each question has one."""
        losses, logs = list[float](), list[torch.Tensor]()
        for one in questions:
            row = row_of(self._endings(one))
            told = self._logs(row)
            losses.append(float(functional.nll_loss(told, row.wanted)))
            logs.append(told)
        return Said(tuple(losses), torch.cat(logs))

    def _exact(self, questions: Sequence[Question]) -> dict[str, bool]:
        lessons = [Lesson(one.id, "sft", one.prompt, one.answers) for one in questions]
        found = dict.fromkeys((one.id for one in questions), False)
        for row in packed(encode(lessons, self.model.renderer, LONGEST), ROW_TOKENS, (0,)):
            self.tokens += row.row.tokens
            hits = self.model.logits(row.row).argmax(-1) == row.row.wanted
            for one, own in zip(row.lessons, torch.split(hits, list(row.row.lengths)), strict=True):
                found[one.lesson.id] = bool(own.all())
        return found

    def _chosen(self, question: Question) -> bool:
        """Whether the first answer is the likeliest."""
        row = row_of(self._endings(question))
        told = self._logs(row).gather(1, row.wanted[:, None])[:, 0]
        sums = [float(own.sum()) for own in torch.split(told, list(row.lengths))]
        return sums[0] > max(sums[1:])

    def _endings(self, question: Question) -> list[Encoded]:
        lessons = [Lesson(f"{at}", "sft", question.prompt, (one,)) for at, one in enumerate(question.answers)]
        return [one.endings[0] for one in encode(lessons, self.model.renderer, LONGEST)]

    def _logs(self, row: Row) -> torch.Tensor:
        self.tokens += row.tokens
        return self.model.logits(row).log_softmax(-1)


def divergence(mine: Said, theirs: Said) -> float:
    """KL of the one from the other, nats an answer token."""
    return float((mine.logs.exp() * (mine.logs - theirs.logs)).sum(-1).mean())
