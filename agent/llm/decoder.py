"""Decoding with the compiled kernel: int8 weights, keys and values at fixed places, up to 8 tokens in a step.

Prompts are read by transformers (generation.Reader); what it read is copied once into a slot, and the kernel goes on
from there. Only Llama-family models on a CPU fit; all others are decoded by transformers. Knows nothing of chats.

A row's logits do not depend on the rows beside it nor on the number of threads, bit for bit; against transformers in
bf16 they differ by rounding (the kernel adds in float32 and has int8 weights, one scale for each 64).

Measured with SmolLM2-135M on a Zen 4 without AMX, milliseconds of CPU of one thread for a step after 600 tokens, in
turns in one run (n 12; `generate` n 3), machine busy: `generate` of transformers 91, packed layers 71, this kernel 20
for one row, 26 for two, 40 for four, 45 for five, 72 for eight. Against float32 on 928 tokens of two texts: the same
likeliest token for 97.5 % (transformers in bf16: 96.8 %), perplexity 55.36 and 32.17 (float32 55.42 and 32.33, bf16
55.44 and 32.24).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch

from agent.llm.generation import State
from agent.llm.kernel import GROUP, MAX_ROWS, NoKernel
from agent.llm.model import PACK_MAX_PARAMS, LoadedModel

LANES: Final = 16
"""Head sizes are multiples of it; as in kernel.cpp."""
STATIC_ROPES: Final = frozenset({"default", "linear", "llama3", "yarn"})
"""Kinds of position encoding whose angles depend on nothing but the place."""
LEAST_COSINE: Final = 0.99
"""Between the kernel's logits and those of transformers in the check at the start. Rounding alone gives 0.999."""
_INT8_MAX: Final = 127.0


@dataclass(frozen=True, slots=True)
class Quantized:
    """A weight (out, in): int8, with a float32 scale for each `GROUP` of a row, (out, in / GROUP)."""

    weights: torch.Tensor
    scales: torch.Tensor

    @classmethod
    def of(cls, weight: torch.Tensor) -> Quantized:
        """The nearest int8 to each weight; the largest of a group keeps its value."""
        grouped = weight.detach().float().view(len(weight), -1, GROUP)
        scales = grouped.abs().amax(dim=-1) / _INT8_MAX
        # A group of zeros has the scale 0: any divisor will do.
        whole = (grouped / scales.clamp_min(torch.finfo(torch.float32).tiny).unsqueeze(-1)).round_()
        return cls(whole.to(torch.int8).view(weight.shape), scales.contiguous())


@dataclass(frozen=True, slots=True)
class KernelWeights:
    """All weights of one model (with or without an adapter), and their addresses in the kernel's order."""

    matrices: Mapping[tuple[str, ...], Quantized]
    norms: tuple[torch.Tensor, ...]
    addresses: Any


@dataclass(frozen=True, slots=True)
class Slot:
    """Keys and values of one text, bf16, (layers, key heads, context, head size) each."""

    keys: torch.Tensor
    values: torch.Tensor


@dataclass(frozen=True, slots=True)
class Row:
    """One token to read: into which slot, and at which place."""

    slot: Slot
    place: int
    token: int


class Decoder:
    """One model's kernel.

    Args:
        model: one that `fits`.
        kernel: see `kernel.load_kernel`.

    Raises:
        NoKernel: the kernel's answers are not those of the model.
    """

    def __init__(self, model: LoadedModel, kernel: Any) -> None:  # noqa: ANN401 -- a function of ctypes
        config = model.net.config
        self._model = model
        self._kernel = kernel
        self._threads = torch.get_num_threads()
        self._layers, self._kv_heads = int(config.num_hidden_layers), int(config.num_key_value_heads)
        self._head_dim = _head_dim(config)
        self._shape = (ctypes.c_int64 * 8)(
            self._layers, config.hidden_size, config.num_attention_heads, self._kv_heads, self._head_dim,
            config.intermediate_size, config.vocab_size, model.context,
        )  # fmt: skip
        with torch.inference_mode():
            places = torch.arange(model.context).unsqueeze(0)
            # In the model's dtype, as it turns the keys of the prompt.
            cos, sin = model.net.model.rotary_emb(torch.zeros(1, dtype=model.dtype), places)
            self._cos, self._sin = cos[0].float().contiguous(), sin[0].float().contiguous()
            self._embedding = model.net.get_input_embeddings().weight.detach()
        self._free: list[Slot] = []
        self.base = self.pack({})

    def pack(self, changed: Mapping[str, torch.Tensor]) -> KernelWeights:
        """Weights for the kernel, where `changed` (merged linear layers by name) replaces the model's own."""
        with torch.inference_mode():
            matrices: dict[tuple[str, ...], Quantized] = {}
            addresses: list[int] = []
            norms: list[torch.Tensor] = []
            for n, layer in enumerate(self._model.net.model.layers):
                addresses += self._pack_matrices(_layer_names(n), changed, matrices)
                norms += [_float(layer.input_layernorm.weight), _float(layer.post_attention_layernorm.weight)]
                addresses += [norm.data_ptr() for norm in norms[-2:]]
            addresses += self._pack_matrices((("lm_head",),), changed, matrices)
            norms.append(_float(self._model.net.model.norm.weight))
            addresses.append(norms[-1].data_ptr())
        return KernelWeights(matrices, tuple(norms), (ctypes.c_void_p * len(addresses))(*addresses))

    def _pack_matrices(
        self,
        groups: Sequence[tuple[str, ...]],
        changed: Mapping[str, torch.Tensor],
        into: dict[tuple[str, ...], Quantized],
    ) -> list[int]:
        """Quantise each group of layers as one matrix, or share the base's; addresses of weights and scales."""
        addresses = []
        for names in groups:
            if changed and changed.keys().isdisjoint(names):
                into[names] = self.base.matrices[names]
            else:
                parts = [changed.get(name, self._model.linears[name].weight) for name in names]
                into[names] = Quantized.of(torch.cat(parts) if len(parts) > 1 else parts[0])
            addresses += [into[names].weights.data_ptr(), into[names].scales.data_ptr()]
        return addresses

    def step(self, weights: KernelWeights, rows: Sequence[Row], first_head: int = 0) -> torch.Tensor:
        """Read `rows` (1 to `MAX_ROWS`); logits (float32, (rows - first_head, vocab)) after each from `first_head` on.

        Rows of one slot stand at places that follow each other, and each sees those before it.
        """
        count = len(rows)
        with torch.inference_mode():
            x = self._embedding[[row.token for row in rows]].float()
            logits = torch.empty(count - first_head, self._shape[6])
        keys = (ctypes.c_void_p * count)(*(row.slot.keys.data_ptr() for row in rows))
        values = (ctypes.c_void_p * count)(*(row.slot.values.data_ptr() for row in rows))
        places = (ctypes.c_int64 * count)(*(row.place for row in rows))
        refused = self._kernel(
            self._shape, float(self._model.net.config.rms_norm_eps), weights.addresses,
            self._cos.data_ptr(), self._sin.data_ptr(), count, first_head, x.data_ptr(), keys, values, places,
            logits.data_ptr(), self._threads,
        )  # fmt: skip
        if refused:
            raise ValueError(f"the decode kernel refuses {count} rows at {[row.place for row in rows]}")
        return logits

    def take(self, weights: KernelWeights, state: State) -> KernelText:
        """What transformers has read, to go on with; give it back with `KernelText.close`."""
        if self._free:
            slot = self._free.pop()
        else:
            shape = (self._layers, self._kv_heads, self._model.context, self._head_dim)
            slot = Slot(torch.empty(shape, dtype=torch.bfloat16), torch.empty(shape, dtype=torch.bfloat16))
        with torch.inference_mode():
            for n, layer in enumerate(state.cache.layers):
                slot.keys[n, :, : state.tokens].copy_(layer.keys[0, :, : state.tokens])
                slot.values[n, :, : state.tokens].copy_(layer.values[0, :, : state.tokens])
        return KernelText(self, weights, slot, state.tokens, state.logits)

    @contextmanager
    def continued(self, weights: KernelWeights, state: State) -> Iterator[KernelText]:
        """`take` for as long as the context lasts."""
        text = self.take(weights, state)
        try:
            yield text
        finally:
            text.close()

    def give_back(self, slot: Slot) -> None:
        """The slot may be used for another text."""
        self._free.append(slot)


class KernelText:
    """A text that the kernel continues; stands in for `generation.State`."""

    def __init__(self, decoder: Decoder, weights: KernelWeights, slot: Slot, tokens: int, logits: torch.Tensor) -> None:
        self._decoder = decoder
        self.weights = weights
        self.slot = slot
        self.tokens = tokens
        self.logits = logits

    def feed(self, ids: Sequence[int]) -> None:
        """Read `ids`; `logits` (float32, vocab) are those after the last of them."""
        for start in range(0, len(ids), MAX_ROWS):
            part = ids[start : start + MAX_ROWS]
            rows = [Row(self.slot, self.tokens + n, token) for n, token in enumerate(part)]
            self.logits = self._decoder.step(self.weights, rows, len(part) - 1)[0]
            self.tokens += len(part)

    def close(self) -> None:
        """The text is done with."""
        self._decoder.give_back(self.slot)


def fits(model: LoadedModel) -> bool:
    """Whether the kernel knows the model's architecture."""
    if type(model.net).__name__ != "LlamaForCausalLM" or model.device.type != "cpu":
        return False
    config = model.net.config
    plain = not config.attention_bias and not config.mlp_bias and config.hidden_act == "silu"
    static = config.rope_parameters.get("rope_type", "default") in STATIC_ROPES
    heads = _head_dim(config)
    sizes = (config.hidden_size, config.intermediate_size, config.num_attention_heads * heads)
    whole = all(size % GROUP == 0 for size in sizes) and heads % LANES == 0 and heads <= LANES**2
    small = sum(parameter.numel() for parameter in model.net.parameters()) <= PACK_MAX_PARAMS
    return bool(plain and static and whole and small)


def check(decoder: Decoder, state: State, token: int) -> None:
    """Compare a step of the kernel after `state` with one of transformers; `state` is one token longer then.

    Raises:
        NoKernel: they are too far apart.
    """
    with decoder.continued(decoder.base, state) as text:
        text.feed([token])
    state.feed([token])
    near = float(torch.nn.functional.cosine_similarity(text.logits, state.logits, dim=0))
    if not near >= LEAST_COSINE:  # also for NaN
        raise NoKernel(f"the kernel's answers differ from the model's (cosine {near:.4f})")


def _head_dim(config: Any) -> int:  # noqa: ANN401 -- a config of transformers
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _layer_names(n: int) -> tuple[tuple[str, ...], ...]:
    """Layers of block `n` that are one matrix each for the kernel, in its order."""
    own, mlp = f"model.layers.{n}.self_attn", f"model.layers.{n}.mlp"
    return (
        (f"{own}.q_proj", f"{own}.k_proj", f"{own}.v_proj"),
        (f"{own}.o_proj",),
        (f"{mlp}.gate_proj", f"{mlp}.up_proj"),
        (f"{mlp}.down_proj",),
    )


def _float(weight: torch.Tensor) -> torch.Tensor:
    return weight.detach().float().contiguous()
