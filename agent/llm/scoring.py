"""Log-likelihood of options after a prompt: the prompt once, then all options in one row.

The options stand one after another behind the prompt; each sees the prompt and itself, never another option,
and begins at the position after the prompt. That needs neither padding nor copies of the prompt's cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from agent.llm.generation import Reader, State, Watch, is_plain_attention, new_cache, prompt_ids, step
from agent.llm.model import LoadedModel
from agent.llm.protocol import Prompt

ROW_TOKENS = 256
"""Option tokens in one pass: bounds the logits (256 x 49,152 x 4 bytes = 50 MB) and the wait for a cancellation."""


def choose(
    model: LoadedModel, reader: Reader, adapter: str | None, prompt: Prompt, options: Sequence[str], watch: Watch
) -> tuple[float, ...]:
    """Natural log of the probability of each option as the answer, summed over its tokens.

    An option is encoded on its own: where the answer would begin with a blank, so must the option.

    Raises:
        EngineError: an option is empty or longer than half of the context.
        Cancelled, OutOfTime: as `watch` says.
    """
    if not options:
        return ()
    encoded = model.renderer.encode_options(options, model.context)
    ids = prompt_ids(model, prompt, max(map(len, encoded)))
    state = reader.read(ids, adapter, watch)
    if not is_plain_attention(model):
        return tuple(_one_by_one(model, ids, option, watch) for option in encoded)
    scores: list[float] = []
    for row in _rows(encoded):
        watch.check()
        scores += _score_row(model, state, row)
    return tuple(scores)


def _rows(encoded: Sequence[list[int]]) -> Iterator[list[list[int]]]:
    row: list[list[int]] = []
    for ids in encoded:
        if row and sum(map(len, row)) + len(ids) > ROW_TOKENS:
            yield row
            row = []
        row.append(ids)
    yield row


@torch.inference_mode()
def _score_row(model: LoadedModel, state: State, row: Sequence[list[int]]) -> list[float]:
    first = torch.log_softmax(state.logits, dim=-1)
    scores = [float(first[ids[0]]) for ids in row]
    # The last token of an option predicts nothing that counts, so it is not fed.
    heads = [ids[:-1] for ids in row]
    fed = [token for head in heads for token in head]
    if not fed:
        return scores
    cache = _share(model, state.cache)
    owner = torch.tensor([n for n, head in enumerate(heads) for _ in head], device=model.device)
    place = torch.tensor([n for head in heads for n in range(len(head))], device=model.device)
    logits = model.net(
        input_ids=torch.tensor([fed], device=model.device),
        attention_mask=_mask(owner, place, state.tokens, model.dtype),
        position_ids=(state.tokens + place).unsqueeze(0),
        past_key_values=cache,
        use_cache=True,
    ).logits[0]
    wanted = torch.tensor([token for ids in row for token in ids[1:]], device=model.device)
    logits = logits.float()
    parts = logits.gather(1, wanted.unsqueeze(1)).squeeze(1) - logits.logsumexp(dim=-1)
    for n, part in zip(owner.tolist(), parts.tolist(), strict=True):
        scores[n] += part
    return scores


def _mask(owner: torch.Tensor, place: torch.Tensor, prefix: int, dtype: torch.dtype) -> torch.Tensor:
    """Additive mask (1, 1, fed, prefix + fed): 0 where a token may look, the least number of `dtype` elsewhere."""
    own = (owner.unsqueeze(1) == owner.unsqueeze(0)) & (place.unsqueeze(1) >= place.unsqueeze(0))
    seen = torch.cat([own.new_ones(len(owner), prefix), own], dim=1)
    mask = torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill(~seen, torch.finfo(dtype).min)
    return mask.unsqueeze(0).unsqueeze(0)


def _share(model: LoadedModel, cache: Any) -> Any:  # noqa: ANN401 -- transformers caches
    """A cache that begins with the same keys and values; growing it leaves `cache` as it is."""
    shared = new_cache(model)
    for index, layer in enumerate(cache.layers):
        shared.update(layer.keys, layer.values, index)
    return shared


def _one_by_one(model: LoadedModel, prompt: Sequence[int], option: Sequence[int], watch: Watch) -> float:
    """For models with sliding windows or recurrent layers, whose caches cannot be shared."""
    score, cache = 0.0, new_cache(model)
    logits = step(model, list(prompt), cache)
    for token in option:
        watch.check()
        score += float(torch.log_softmax(logits, dim=-1)[token])
        logits = step(model, [token], cache)
    return score
