"""What both engines read of a model's folder without its weights: tokenizer, chat template, ends, context.

Imports transformers when a folder is opened, torch never.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.llm.tokens import CONTEXT_TOKENS, PromptRenderer
from retrieval.errors import ModelUnavailable


@dataclass(frozen=True, slots=True)
class ModelText:
    """Between text and token ids. `stop_ids` end an answer and are no part of it; `context` is in tokens.

    `native` is the context that the model itself could take.
    """

    renderer: PromptRenderer
    stop_ids: frozenset[int]
    context: int
    native: int

    def server_context(self, wanted: int) -> int:
        """What a server of ours must take so that `wanted` tokens fit here; one more where the model can."""
        return min(wanted + 1, self.native)

    @classmethod
    def from_folder(cls, folder: Path) -> ModelText:
        """Of the model in `folder` (weights.resolve_model).

        Raises:
            ModelUnavailable: config or tokenizer cannot be read.
        """
        try:
            renderer = PromptRenderer.from_folder(folder)
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            generation = folder / "generation_config.json"
            defaults = json.loads(generation.read_text(encoding="utf-8")) if generation.exists() else {}
        except (OSError, ValueError) as error:
            raise ModelUnavailable(f"The model folder {str(folder)!r} cannot be read ({error}).") from None
        ends = _ids(config) | _ids(defaults) | {renderer.tokenizer.eos_token_id}
        text = config.get("text_config", config)
        native = int(text.get("max_position_embeddings", CONTEXT_TOKENS))
        # Any control token ends an answer: one that opens a new turn as well as the end of text.
        return cls(
            renderer,
            renderer.control_ids | frozenset(i for i in ends if i is not None),
            min(native, CONTEXT_TOKENS),
            native,
        )


def _ids(config: dict[str, Any]) -> set[int]:
    value = config.get("eos_token_id")
    return set(value) if isinstance(value, list) else set() if value is None else {int(value)}
