"""Text that follows a grammar: xgrammar says which tokens may come next, the model picks among them."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
import xgrammar

from agent.llm.generation import Continuation, OutOfTime, Reader, Sampler, State, Watch, prompt_ids
from agent.llm.model import LoadedModel
from agent.llm.protocol import Filled, Limits, Prompt
from retrieval.errors import EngineError

_PLACE = re.compile(r"^\[[^\]]*\] \S+:\d+: ")
"""Clock and source file that xgrammar puts before its messages."""
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

    def fill(
        self,
        reader: Reader,
        adapter: str | None,
        prompt: Prompt,
        grammar: str,
        limits: Limits,
        watch: Watch,
        continued: Callable[[State], AbstractContextManager[Continuation]] = nullcontext,
    ) -> Filled:
        """An answer that follows the GBNF `grammar` (root rule `root`); `limits.stop` does not count here.

        `continued` hands the prompt that was read to what goes on from there.

        Raises:
            EngineError: the grammar cannot be compiled.
            Cancelled: as `watch` says; a spent budget gives `complete=False` instead.
        """
        matcher = xgrammar.GrammarMatcher(self.compile(grammar))
        ids = prompt_ids(self._model, prompt, limits.max_tokens)
        made: list[int] = []
        try:
            with continued(reader.read(ids, adapter, watch)) as state:
                complete = self._run(matcher, state, made, limits, watch)
        except OutOfTime:
            complete = False
        return Filled(self._model.decode(made), complete, len(ids), len(made))

    def _run(self, matcher: Any, state: Continuation, made: list[int], limits: Limits, watch: Watch) -> bool:  # noqa: ANN401
        """Append tokens to `made` until the grammar is through (True) or the budget is spent (False)."""
        sampler = Sampler(limits)
        max_tokens = min(limits.max_tokens, self._model.context - state.tokens)
        unread: list[int] = []
        while True:
            watch.check()
            allowed = self._allowed(matcher)
            if matcher.is_completed() and self._model.stop_ids.issuperset(allowed.tolist()):
                return True  # only the end may follow: no need to ask the model
            if not len(allowed):
                raise EngineError("The grammar leaves no token to go on with: check its rules.")
            if len(made) >= max_tokens:
                return bool(matcher.is_completed())
            if len(allowed) == 1:
                token = int(allowed[0])  # no choice: read it together with the next one
            else:
                if unread:
                    state.feed(unread)
                    unread = []
                token = int(allowed[sampler.pick(state.logits[allowed.to(state.logits.device)])])
            if token in self._model.stop_ids:
                return True
            if not matcher.accept_token(token):
                raise EngineError("The grammar refuses a token that it allowed: check its rules.")
            made.append(token)
            unread.append(token)

    def compile(self, grammar: str) -> Any:  # noqa: ANN401 -- xgrammar's handle
        """The compiled grammar, from the cache when it was met before.

        Raises:
            EngineError: the grammar cannot be read.
        """
        if grammar not in self._compiled:
            try:
                self._compiled[grammar] = self._compiler.compile_grammar(grammar)
            except (RuntimeError, ValueError) as error:
                reason = _PLACE.sub("", str(error).strip()) or type(error).__name__
                raise EngineError(f"The grammar cannot be read: {reason}") from None
            if len(self._compiled) > KEPT_GRAMMARS:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(grammar)
        return self._compiled[grammar]

    def _allowed(self, matcher: Any) -> torch.Tensor:  # noqa: ANN401 -- xgrammar's handle
        """Ids (int64, ascending) of the tokens that may come next."""
        bitmask = xgrammar.allocate_token_bitmask(1, self._model.vocab_size)
        matcher.fill_next_token_bitmask(bitmask)
        bits = np.unpackbits(bitmask.numpy().view(np.uint8), bitorder="little")
        return torch.from_numpy(np.flatnonzero(bits[: self._model.vocab_size]))
