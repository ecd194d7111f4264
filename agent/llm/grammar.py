"""Text that follows a grammar: xgrammar says which tokens may come next, the model picks among them."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
import xgrammar

from agent.llm.generation import OutOfTime, Reader, Sampler, Watch, prompt_ids, step
from agent.llm.model import LoadedModel
from agent.llm.protocol import Filled, Limits, Prompt
from retrieval.errors import EngineError

KEPT_GRAMMARS = 32
"""Compiled grammars are kept: a shop uses few, and each may need a second."""


class Filler:
    """Constrained answers of one model."""

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        info = xgrammar.TokenizerInfo.from_huggingface(
            model.renderer.tokenizer, vocab_size=model.vocab_size, stop_token_ids=sorted(model.stop_ids)
        )
        self._compiler = xgrammar.GrammarCompiler(info, cache_enabled=False)
        self._compiled: OrderedDict[str, Any] = OrderedDict()

    def fill(self, reader: Reader, adapter: str | None, prompt: Prompt, grammar: str, limits: Limits, watch: Watch) -> Filled:
        """An answer that follows the GBNF `grammar` (root rule `root`); `limits.stop` does not count here.

        Raises:
            EngineError: the grammar cannot be compiled.
            Cancelled: as `watch` says; a spent budget gives `complete=False` instead.
        """
        matcher = xgrammar.GrammarMatcher(self.compile(grammar))
        ids = prompt_ids(self._model, prompt, limits.max_tokens)
        max_tokens = min(limits.max_tokens, self._model.context - len(ids))
        made: list[int] = []
        sampler = Sampler(limits)
        try:
            state = reader.read(ids, adapter, watch)
            while not _is_over(matcher) and len(made) < max_tokens:
                watch.check()
                token = sampler.pick(self._allowed(matcher, state.logits))
                if token in self._model.stop_ids:
                    matcher.accept_token(token)
                    break
                if not matcher.accept_token(token):
                    raise EngineError("The grammar left no token to go on with: check its rules.")
                made.append(token)
                if len(made) < max_tokens and not _is_over(matcher):
                    state.logits = step(self._model, [token], state.cache)
        except OutOfTime:
            return self._filled(made, False, len(ids))
        return self._filled(made, matcher.is_terminated() or matcher.is_completed(), len(ids))

    def compile(self, grammar: str) -> Any:  # noqa: ANN401 -- xgrammar's handle
        """The compiled grammar, from the cache when it was met before.

        Raises:
            EngineError: the grammar cannot be read.
        """
        if grammar not in self._compiled:
            try:
                self._compiled[grammar] = self._compiler.compile_grammar(grammar)
            except (RuntimeError, ValueError) as error:
                reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
                raise EngineError(f"The grammar cannot be read: {reason}") from None
            if len(self._compiled) > KEPT_GRAMMARS:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(grammar)
        return self._compiled[grammar]

    def _allowed(self, matcher: Any, logits: torch.Tensor) -> torch.Tensor:  # noqa: ANN401 -- xgrammar's handle
        bitmask = xgrammar.allocate_token_bitmask(1, self._model.vocab_size)
        masked = logits.unsqueeze(0).clone()
        if matcher.fill_next_token_bitmask(bitmask):
            xgrammar.apply_token_bitmask_inplace(masked, bitmask.to(masked.device))
        return masked[0]

    def _filled(self, made: list[int], complete: bool, prompt_tokens: int) -> Filled:
        return Filled(self._model.decode(made), complete, prompt_tokens, len(made))


def _is_over(matcher: Any) -> bool:  # noqa: ANN401 -- xgrammar's handle
    """Whether nothing but the end can come; saves the token that would only say so."""
    return bool(matcher.is_terminated()) or (bool(matcher.is_completed()) and _only_stop_follows(matcher))


def _only_stop_follows(matcher: Any) -> bool:  # noqa: ANN401 -- xgrammar's handle
    bitmask = xgrammar.allocate_token_bitmask(1, int(matcher._vocab_size)) if hasattr(matcher, "_vocab_size") else None
    return bitmask is not None
