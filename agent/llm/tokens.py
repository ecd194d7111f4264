"""Prompt in, token ids out: the one renderer of both engines, so that they read the same prompt.

Text of messages stays text: what looks like a control token in it is never encoded as one.
Knows nothing of models, devices or how tokens are made.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agent.llm.protocol import Prompt
from retrieval.errors import EngineError
from retrieval.importing import FIRST_IMPORT

PLAIN_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] | capitalize + ': ' + message['content'] + '\n\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}"
)
"""For models that come without a chat template (base models)."""

CONTEXT_TOKENS = 4_096
"""Longest prompt plus answer, whatever the model could take: at 1,000 tokens/s on a CPU more is no chat."""

_MARKS = tuple(chr(code) for code in range(0xE000, 0xE0FF))  # private use: no model gives them a meaning
_SHRINK = 0.9
"""Each try to shorten one text aims this far below the budget, so that few tries are needed."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A prompt that fits: its ids, and how many of the oldest messages had to go."""

    ids: tuple[int, ...]
    dropped: int = 0


class PromptRenderer:
    """Renders prompts with the chat template of one tokenizer (a fast one of transformers)."""

    def __init__(self, tokenizer: Any) -> None:  # noqa: ANN401 -- transformers' tokenizers have no useful static type
        self._tokenizer = tokenizer
        if not tokenizer.chat_template:
            tokenizer.chat_template = PLAIN_TEMPLATE
        added = tokenizer.added_tokens_decoder
        self.control_ids = frozenset(index for index, token in added.items() if token.special)
        """Ids that structure a chat; none of them is ever part of an answer."""
        names = sorted((str(t) for t in added.values() if len(str(t)) > 1 and str(t).strip()), key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, names))) if names else None

    @classmethod
    def from_folder(cls, folder: Path) -> PromptRenderer:
        """The renderer of the model in `folder`."""
        with FIRST_IMPORT:
            from transformers import AutoTokenizer

        return cls(AutoTokenizer.from_pretrained(folder, local_files_only=True))

    @property
    def tokenizer(self) -> Any:  # noqa: ANN401 -- see __init__
        """The tokenizer, for decoding and for grammars."""
        return self._tokenizer

    def encode_text(self, text: str) -> list[int]:
        """Ids of plain text, none of them a control token; what an answer or an option would be."""
        mark = _unused_mark([text])
        return self._encode(self._defuse(text, mark), mark)

    def encode_options(self, options: Sequence[str], context: int) -> list[list[int]]:
        """Ids of each option of a choice, encoded on its own.

        Raises:
            EngineError: one is empty or longer than half of the `context`.
        """
        encoded = [self.encode_text(option) for option in options]
        for option, own in zip(options, encoded, strict=True):
            if not 0 < len(own) <= context // 2:
                raise EngineError(f"The option {option[:40]!r} has {len(own)} tokens: give 1 to {context // 2}.")
        return encoded

    def encode_endings(self, endings: Sequence[str], context: int) -> list[list[int]]:
        """Ids of each ending of a judgement, encoded on its own; [] for an empty one.

        Raises:
            EngineError: one is longer than half of the `context`.
        """
        return [self.encode_options([ending], context)[0] if ending else [] for ending in endings]

    def encode_answers(self, answers: Sequence[str]) -> list[int]:
        """The one token of each answer of a judgement.

        Raises:
            EngineError: there is none, or an answer is not one token of this model.
        """
        encoded = [self.encode_text(answer) for answer in answers]
        for answer, own in zip(answers, encoded, strict=True):
            if len(own) != 1:
                raise EngineError(f"The answer {answer[:40]!r} has {len(own)} tokens: choose one that has 1.")
        if not encoded:
            raise EngineError("A judgement needs at least one answer to judge.")
        return [own[0] for own in encoded]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of answer tokens, control tokens left out."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def encode(self, prompt: Prompt) -> list[int]:
        """Ids of the whole prompt: chat template, beginning of the answer, then the prefill.

        Raises:
            EngineError: the model's chat template refuses these messages.
        """
        texts = [message.text for message in prompt.messages]
        mark = _unused_mark([*texts, prompt.prefill])
        messages = [{"role": m.role, "content": self._defuse(m.text, mark)} for m in prompt.messages]
        rendered = self._render(messages)
        # The prefill is encoded on its own: it must continue the template's ids, never merge with them.
        return self._encode(rendered, mark) + self._encode(self._defuse(prompt.prefill, mark), mark)

    def fit_answer(self, prompt: Prompt, context: int, max_tokens: int) -> tuple[int, ...]:
        """Ids of `prompt`, shortened to leave room for `max_tokens`; at least half of the context is the prompt's."""
        return self.fit(prompt, context - min(max_tokens, context // 2)).ids

    def fit(self, prompt: Prompt, budget: int) -> Fitted:
        """Ids of `prompt` in at most `budget` tokens.

        The oldest messages that are not of the system go first; when the last one alone is too long it keeps its
        end, and a system message keeps its beginning.

        Raises:
            EngineError: the prefill alone does not fit, or the chat template refuses the messages.
        """
        ids = self.encode(prompt)
        dropped = 0
        while len(ids) > budget:
            shorter = _without_oldest(prompt)
            if shorter is None:
                return Fitted(tuple(self._squeezed(prompt, ids, budget)), dropped)
            dropped += len(prompt.messages) - len(shorter.messages)
            prompt, ids = shorter, self.encode(shorter)
        return Fitted(tuple(ids), dropped)

    def _squeezed(self, prompt: Prompt, ids: list[int], budget: int) -> list[int]:
        """Shorten the longest message until the rest fits; the loop ends because texts only shrink."""
        while len(ids) > budget:
            at = max(range(len(prompt.messages)), key=lambda n: len(prompt.messages[n].text), default=-1)
            if at < 0 or not prompt.messages[at].text:
                raise EngineError(
                    f"The prompt needs {len(ids)} tokens of {budget}: shorten the beginning of the answer."
                )
            message = prompt.messages[at]
            keep = int(len(message.text) * _SHRINK * budget / len(ids))
            text = message.text[:keep] if message.role == "system" else message.text[len(message.text) - keep :]
            messages = (*prompt.messages[:at], replace(message, text=text), *prompt.messages[at + 1 :])
            prompt = replace(prompt, messages=messages)
            ids = self.encode(prompt)
        return ids

    def _render(self, messages: list[dict[str, str]]) -> str:
        import jinja2

        try:
            return str(self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))
        except jinja2.TemplateError as refusal:
            folded = _system_folded(messages)
            if folded != messages:
                return self._render(folded)
            raise EngineError(f"The model's chat template refuses these messages: {refusal}.") from None

    def _defuse(self, text: str, mark: str) -> str:
        """Put `mark` inside everything that would become a control token."""
        while self._control is not None and self._control.search(text):
            text = self._control.sub(lambda match: match[0][0] + mark + match[0][1:], text)
        return text

    def _encode(self, text: str, mark: str) -> list[int]:
        ids: list[int] = []
        for piece in text.split(mark):
            ids += self._tokenizer.encode(piece, add_special_tokens=False) if piece else []
        return ids


def _unused_mark(texts: Sequence[str]) -> str:
    for mark in _MARKS:
        if not any(mark in text for text in texts):
            return mark
    raise EngineError("The text uses every private-use character; it is no text that a model can read.")


def _without_oldest(prompt: Prompt) -> Prompt | None:
    """Without the oldest exchange; None when one message that is not of the system is left."""
    others = [n for n, message in enumerate(prompt.messages) if message.role != "system"]
    if len(others) < 2:
        return None
    gone = {others[0]}
    # An answer whose question is gone goes too: many templates insist on the user's turn first.
    for n in others[1:-1]:
        if prompt.messages[n].role != "assistant":
            break
        gone.add(n)
    return replace(prompt, messages=tuple(m for n, m in enumerate(prompt.messages) if n not in gone))


def _system_folded(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """System text moved into the next user message, neighbours of one role joined (templates like Gemma's)."""
    folded: list[dict[str, str]] = []
    for message in messages:
        role = "user" if message["role"] == "system" else message["role"]
        if folded and folded[-1]["role"] == role:
            folded[-1]["content"] += "\n\n" + message["content"]
        else:
            folded.append({"role": role, "content": message["content"]})
    return folded
