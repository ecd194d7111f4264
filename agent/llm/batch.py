"""Streams that decode together: each step of the kernel is one token, or several by drafts, for all of them.

A stream's text is the same alone and in company (see decoder.py), and greedy text the same with and without drafts.
Knows nothing of pipes and queues.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch

from agent.llm import wire
from agent.llm.decoder import Decoder, KernelText, KernelWeights, Row
from agent.llm.drafts import Drafts
from agent.llm.generation import Answer, Cancelled, OutOfTime, State, Watch
from agent.llm.kernel import MAX_ROWS

DRAFT_TOKENS: Final = 2
"""Of one stream in one step; a step reads at most `MAX_ROWS` tokens of all streams. Two rows
more cost a quarter of a step (decoder.py), so they pay where one guess in four is right (computed)."""


@dataclass(slots=True, eq=False)
class _Member:
    call: int
    answer: Answer
    watch: Watch
    text: KernelText
    drafts: Drafts | None
    token: int
    """Picked, but not read yet."""


class Batch:
    """The streams under way.

    Args:
        decoder: of their model.
        draft_tokens: guesses for one stream in one step, at most; 0 decodes token by token.
    """

    def __init__(self, decoder: Decoder, draft_tokens: int = DRAFT_TOKENS) -> None:
        self._decoder = decoder
        self._draft_tokens = draft_tokens
        self._members: list[_Member] = []

    def __len__(self) -> int:
        """Streams under way."""
        return len(self._members)

    def join(
        self, call: int, answer: Answer, watch: Watch, state: State, weights: KernelWeights
    ) -> list[wire.Piece | wire.Done]:
        """Go on with `answer` after its prompt, which `state` has read; what there is to say at once."""
        token = answer.sampler.pick(state.logits)
        drafts = Drafts(answer.ids) if answer.sampler.greedy else None
        member = _Member(call, answer, watch, self._decoder.take(weights, state), drafts, token)
        self._members.append(member)
        return self._take(member, token)

    def step(self) -> list[wire.Piece | wire.Done]:
        """At least one token for each stream, or its end."""
        said: list[wire.Piece | wire.Done] = []
        for member in list(self._members):
            try:
                member.watch.check()
            except Cancelled:
                self._leave(member)
                said.append(wire.Done(member.call))
            except OutOfTime:
                member.answer.finish = "timeout"
                said += self._end(member)
        # Members with other weights (an adapter was switched under way) need a step of their own.
        sets = {id(member.text.weights): member.text.weights for member in self._members}
        for weights in sets.values():
            said += self._step_with(weights, [m for m in self._members if m.text.weights is weights])
        return said

    def drop_all(self) -> list[int]:
        """Forget every stream, after an error; their calls."""
        calls = [member.call for member in self._members]
        for member in list(self._members):
            self._leave(member)
        return calls

    def _step_with(self, weights: KernelWeights, members: Sequence[_Member]) -> list[wire.Piece | wire.Done]:
        most = min(self._draft_tokens, MAX_ROWS // len(members) - 1)
        drafts = [m.drafts.guess(min(most, m.answer.left - 1)) if m.drafts else [] for m in members]
        rows = [
            Row(member.text.slot, member.text.tokens + n, token)
            for member, draft in zip(members, drafts, strict=True)
            for n, token in enumerate([member.token, *draft])
        ]
        logits = iter(self._decoder.step(weights, rows))
        said: list[wire.Piece | wire.Done] = []
        for member, draft in zip(members, drafts, strict=True):
            said += self._follow(member, draft, [next(logits) for _ in range(len(draft) + 1)])
        return said

    def _follow(
        self, member: _Member, draft: Sequence[int], logits: Sequence[torch.Tensor]
    ) -> list[wire.Piece | wire.Done]:
        """Take the token after each row for as long as the draft was right about it.

        Rows behind a wrong guess are overwritten by what comes at their places.
        """
        said: list[wire.Piece | wire.Done] = []
        for n, after in enumerate(logits):
            member.text.tokens += 1
            member.token = member.answer.sampler.pick(after)
            said += self._take(member, member.token)
            if member.answer.finish is not None or n == len(draft) or draft[n] != member.token:
                break
        return said

    def _take(self, member: _Member, token: int) -> list[wire.Piece | wire.Done]:
        chunk = member.answer.take(token)
        if member.drafts is not None:
            member.drafts.add(token)
        said: list[wire.Piece | wire.Done] = [wire.Piece(member.call, chunk)] if chunk else []
        return said + (self._end(member) if member.answer.finish is not None else [])

    def _end(self, member: _Member) -> list[wire.Piece | wire.Done]:
        self._leave(member)
        return [wire.Piece(member.call, member.answer.last()), wire.Done(member.call)]

    def _leave(self, member: _Member) -> None:
        self._members.remove(member)
        member.text.close()
