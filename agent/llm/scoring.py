"""Log-likelihood of options after a prompt, and of answers after a prompt and an ending: the prompt once, then all.

Options (and endings) stand one after another behind the prompt; each sees the prompt and itself, never another option,
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


def judge(
    model: LoadedModel,
    reader: Reader,
    adapter: str | None,
    prompt: Prompt,
    endings: Sequence[str],
    answers: Sequence[str],
    watch: Watch,
) -> tuple[float, ...]:
    """Natural log of the probability of each answer after the prompt and each ending, ending by ending.

    Endings are encoded on their own, as options are.

    Raises:
        EngineError: an answer is not one token, an ending is longer than half of the context.
        Cancelled, OutOfTime: as `watch` says.
    """
    if not endings:
        return ()
    asked = torch.tensor(model.renderer.encode_answers(answers), device=model.device)
    encoded = model.renderer.encode_endings(endings, model.context)
    ids = prompt_ids(model, prompt, max(map(len, encoded)) + 1)
    state = reader.read(ids, adapter, watch)
    plain, after = is_plain_attention(model), torch.log_softmax(state.logits, dim=-1)[asked].tolist()
    told: list[float] = []
    for row in _rows(encoded):
        watch.check()
        spoken = [ending for ending in row if ending]
        if plain:
            logits = iter(_last_logits(model, state, spoken) if spoken else ())
        else:
            logits = (_read_alone(model, ids, ending, watch) for ending in spoken)
        for ending in row:
            told += torch.log_softmax(next(logits), dim=-1)[asked].tolist() if ending else after
    return tuple(told)


def _rows(encoded: Sequence[list[int]]) -> Iterator[list[list[int]]]:
    row: list[list[int]] = []
    for ids in encoded:
        if row and sum(map(len, row)) + len(ids) > ROW_TOKENS:
            yield row
            row = []
        row.append(ids)
    yield row


@torch.inference_mode()
def _last_logits(model: LoadedModel, state: State, row: Sequence[list[int]]) -> torch.Tensor:
    """Logits (float32, (endings, vocab)) after the last token of each ending."""
    last = torch.tensor([len(ids) for ids in row], device=model.device).cumsum(0) - 1
    return _feed(model, state, row, last)


@torch.inference_mode()
def _score_row(model: LoadedModel, state: State, row: Sequence[list[int]]) -> list[float]:
    first = torch.log_softmax(state.logits, dim=-1)
    scores = [float(first[ids[0]]) for ids in row]
    # The last token of an option predicts nothing that counts, so it is not fed.
    heads = [ids[:-1] for ids in row]
    if not any(heads):
        return scores
    logits = _feed(model, state, heads, 0)
    wanted = torch.tensor([token for ids in row for token in ids[1:]], device=model.device)
    parts = logits.gather(1, wanted.unsqueeze(1)).squeeze(1) - logits.logsumexp(dim=-1)
    owner = [n for n, head in enumerate(heads) for _ in head]
    for n, part in zip(owner, parts.tolist(), strict=True):
        scores[n] += part
    return scores


def _feed(model: LoadedModel, state: State, row: Sequence[list[int]], keep: int | torch.Tensor) -> torch.Tensor:
    """Read the texts of `row` behind the prompt, none seeing another; logits (float32) at `keep`, 0 for all tokens."""
    owner = torch.tensor([n for n, own in enumerate(row) for _ in own], device=model.device)
    place = torch.tensor([n for own in row for n in range(len(own))], device=model.device)
    logits: torch.Tensor = model.net(
        input_ids=torch.tensor([[token for own in row for token in own]], device=model.device),
        attention_mask=_mask(owner, place, state.tokens, model.dtype),
        position_ids=(state.tokens + place).unsqueeze(0),
        past_key_values=_share(model, state.cache),
        use_cache=True,
        logits_to_keep=keep,
    ).logits[0]
    return logits.float()


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


def _read_alone(model: LoadedModel, prompt: Sequence[int], ending: Sequence[int], watch: Watch) -> torch.Tensor:
    """Logits (float32, vocab) after prompt and ending, for the models of `_one_by_one`."""
    watch.check()
    return step(model, [*prompt, *ending], new_cache(model))


def _one_by_one(model: LoadedModel, prompt: Sequence[int], option: Sequence[int], watch: Watch) -> float:
    """For models with sliding windows or recurrent layers, whose caches cannot be shared."""
    score, cache = 0.0, new_cache(model)
    logits = step(model, list(prompt), cache)
    for token in option:
        watch.check()
        score += float(torch.log_softmax(logits, dim=-1)[token])
        logits = step(model, [token], cache)
    return score
