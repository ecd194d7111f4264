"""Many endings behind one prompt as one row of tokens: each ending sees the prompt and itself, and nothing else.

The numbers are those of separate rows, at the cost of reading the prompt once. The engines score in the same way
(agent/llm/scoring.py), but with a cache of keys and values, through which no gradient would come. A mask over the
whole row would say the same; measured on one core (770 tokens, 16 endings, bf16) it took four times as long forth and
back, because most of what it computes is masked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

ATTENTION = "chatalogue-packed"
"""Under which transformers knows `packed_attention`."""


@dataclass(frozen=True, slots=True)
class Packed:
    """One row of tokens: the prompt's, then those of ending after ending.

    `ids`, `positions`: int64, (1, tokens). `prompt`: how many tokens are the prompt's. `grid`: int64, (endings,
    longest), where in the row the tokens of each ending stand, filled up with 0. `real`: bool, the same shape, False
    where `grid` is filled up. `ends`: int64, (endings,), the last token of each ending.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    prompt: int
    grid: torch.Tensor
    real: torch.Tensor
    ends: torch.Tensor


def pack(prompt: Sequence[int], endings: Sequence[Sequence[int]]) -> Packed:
    """Put `endings`, none of them empty, behind `prompt`, at least one token."""
    lengths = torch.tensor([len(ending) for ending in endings])
    starts = len(prompt) + lengths.cumsum(0) - lengths
    place = torch.arange(int(lengths.max()))
    real = place < lengths[:, None]
    inside = torch.cat([place[: len(ending)] for ending in endings])
    return Packed(
        ids=torch.tensor([[*prompt, *(token for ending in endings for token in ending)]]),
        positions=torch.cat([torch.arange(len(prompt)), len(prompt) + inside])[None],
        prompt=len(prompt),
        grid=torch.where(real, starts[:, None] + place, 0),
        real=real,
        ends=starts + lengths - 1,
    )


def packed_attention(
    module: Any,  # noqa: ANN401 -- transformers' attention layers share no type
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    *,
    packed: Packed,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """Attention over a packed row; in the form that transformers asks of an attention function.

    Args:
        module: the layer; has `num_key_value_groups`.
        query: (1, heads, tokens, dim).
        key: (1, fewer heads, tokens, dim); each serves `num_key_value_groups` heads.
        value: as `key`.
        attention_mask: not looked at: the row says who sees what.
        scaling: of the products.
        packed: the row.

    Returns:
        (1, tokens, heads, dim) and, for the weights, None.
    """
    groups, prompt = module.num_key_value_groups, packed.prompt
    key, value = (one.repeat_interleave(groups, dim=1) for one in (key, value))
    read = torch.nn.functional.scaled_dot_product_attention(
        query[:, :, :prompt], key[:, :, :prompt], value[:, :, :prompt], is_causal=True, scale=scaling
    )
    own_query, own_key, own_value = (one[0][:, packed.grid].transpose(0, 1) for one in (query, key, value))
    length = packed.grid.shape[1]
    later = torch.ones(length, length, dtype=torch.bool, device=query.device).triu(1)
    hidden = later | ~packed.real[:, None, None, :]  # (endings, 1, longest, longest)
    itself = torch.eye(length, dtype=torch.bool, device=query.device)
    hidden = hidden & ~itself  # a place that is filled up sees itself: no row of nothing
    products = torch.cat(
        [
            own_query @ key[:, :, :prompt].transpose(-1, -2),
            (own_query @ own_key.transpose(-1, -2)).masked_fill(hidden, torch.finfo(query.dtype).min),
        ],
        dim=-1,
    )
    weights = (products.float() * scaling).softmax(-1).to(query.dtype)
    spoken = weights[..., :prompt] @ value[:, :, :prompt] + weights[..., prompt:] @ own_value
    told = spoken.transpose(1, 2)[packed.real]  # (tokens of endings, heads, dim), in the order of the row
    return torch.cat([read[0].transpose(0, 1), told])[None], None
