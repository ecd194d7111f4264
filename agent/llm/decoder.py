"""Reading and decoding with the compiled kernel: 8-bit weights, keys and values at fixed places.

What transformers has read (generation.Reader) is copied once into a slot, and the kernel goes on from there. Only
Llama-family models on a CPU fit; all others are decoded by transformers. Knows nothing of chats.

A row's logits do not depend on the rows beside it nor on the number of threads, bit for bit; against transformers in
bf16 they differ by rounding: weights have 8 bits with one scale for each 64, and so has what they are multiplied with.

Measured with SmolLM2-135M on a Zen 4 without AMX, CPU time of one thread, machine busy (the least of n): reading 600
tokens 0.61 s (n 3; transformers in bf16 1.25 s), a step after 600 tokens 10.4 ms for one row, 13 for two and for three,
15 for four, 16 for five, 21 for eight (n 8; with float32 activations it was 20, 26, -, 40, 45, 72; `generate` 91).
Against float32 on 928 tokens of two texts: the same likeliest token for 95.0 % (transformers in bf16: 97.8 %),
perplexity 64.93 and 14.83 (float32 64.87 and 14.70, bf16 64.92 and 14.75).
"""

from __future__ import annotations

import ctypes
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch

from agent.llm.generation import Reader, State, Watch, new_cache
from agent.llm.kernel import GROUP, READ_ROWS, NoKernel
from agent.llm.model import PACK_MAX_PARAMS, LoadedModel

LANES: Final = 16
"""Head sizes are multiples of it; as in kernel.cpp."""
STATIC_ROPES: Final = frozenset({"default", "linear", "llama3", "yarn"})
"""Kinds of position encoding whose angles depend on nothing but the place."""
CHECK_READS: Final = 3
"""Times that the check lets each read its text."""
LEAST_COSINE: Final = 0.97
"""Between the kernel's logits and those of transformers in the check at the start. Rounding alone was never below 0.978
(928 tokens by SmolLM2, against float32), and 0.989 with a model of random weights."""
_INT8_MAX: Final = 127.0
_ZERO: Final = 128


@dataclass(frozen=True, slots=True)
class Quantized:
    """A weight (out, in) in the kernel's order: 8 bits, and a float32 scale for each `GROUP` of a row.

    `weights`: uint8, 128 more than the whole number, (out / LANES, in / GROUP, GROUP / 4, LANES, 4); `scales`: (out /
    LANES, in / GROUP, LANES).
    """

    weights: torch.Tensor
    scales: torch.Tensor

    @classmethod
    def of(cls, weight: torch.Tensor) -> Quantized:
        """The nearest whole number to each weight; the largest of a group keeps its value."""
        blocks = weight.detach().float().view(len(weight) // LANES, LANES, -1, GROUP)
        scales = blocks.abs().amax(dim=-1) / _INT8_MAX
        # A group of zeros has the scale 0: any divisor will do.
        whole = (blocks / scales.clamp_min(torch.finfo(torch.float32).tiny).unsqueeze(-1)).round_().add_(_ZERO)
        parts = whole.to(torch.uint8).view(*blocks.shape[:3], GROUP // 4, 4)
        return cls(parts.permute(0, 2, 3, 1, 4).contiguous(), scales.transpose(1, 2).contiguous())


@dataclass(frozen=True, slots=True)
class KernelWeights:
    """All weights of one model (with or without an adapter), and their addresses in the kernel's order."""

    matrices: Mapping[tuple[str, ...], Quantized]
    norms: tuple[torch.Tensor, ...]
    addresses: Any


@dataclass(frozen=True, slots=True)
class Slot:
    """Keys and values of one text, bf16.

    `keys`: (layers, key heads, context / LANES, head size, LANES); `values`: (layers, key heads, context, head size).
    """

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
            config.intermediate_size, config.vocab_size, -(-model.context // LANES) * LANES,
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
        """Read `rows` (1 to `READ_ROWS`); logits (float32, (rows - first_head, vocab)) after each from `first_head` on.

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
        try:
            slot = self._free.pop()  # not asked before: another thread may take it
        except IndexError:
            shape = (self._layers, self._kv_heads, self._shape[7], self._head_dim)
            keys = torch.empty((*shape[:2], shape[2] // LANES, self._head_dim, LANES), dtype=torch.bfloat16)
            slot = Slot(keys, torch.empty(shape, dtype=torch.bfloat16))
        whole, rest = state.tokens // LANES, state.tokens % LANES
        with torch.inference_mode():
            for n, layer in enumerate(state.cache.layers if state.tokens else ()):
                keys = layer.keys[0, :, : state.tokens]
                tiles = keys[:, : whole * LANES].reshape(self._kv_heads, whole, LANES, self._head_dim)
                slot.keys[n, :, :whole].copy_(tiles.transpose(-1, -2))
                if rest:
                    slot.keys[n, :, whole, :, :rest].copy_(keys[:, whole * LANES :].transpose(-1, -2))
                slot.values[n, :, : state.tokens].copy_(layer.values[0, :, : state.tokens])
        return KernelText(self, weights, slot, state.tokens, state.logits)

    def state_of(self, text: KernelText) -> State:
        """What the kernel has read, for transformers to go on with; a copy."""
        cache, tokens = new_cache(self._model), text.tokens
        places = -(-tokens // LANES)
        with torch.inference_mode():
            for n in range(self._layers):
                tiles = text.slot.keys[n, :, :places].transpose(-1, -2)
                keys = tiles.reshape(self._kv_heads, places * LANES, self._head_dim)[:, :tokens]
                cache.update(keys.unsqueeze(0), text.slot.values[n, :, :tokens].clone().unsqueeze(0), n)
        return State(self._model, cache, text.logits, tokens)

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
        for start in range(0, len(ids), READ_ROWS):
            part = ids[start : start + READ_ROWS]
            rows = [Row(self.slot, self.tokens + n, token) for n, token in enumerate(part)]
            self.logits = self._decoder.step(self.weights, rows, len(part) - 1)[0]
            self.tokens += len(part)

    def as_state(self) -> State:
        """See `Continuation.as_state`."""
        return self._decoder.state_of(self)

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
    whole = whole and config.vocab_size % LANES == 0
    small = sum(parameter.numel() for parameter in model.net.parameters()) <= PACK_MAX_PARAMS
    return bool(plain and static and whole and small)


def check(decoder: Decoder, model: LoadedModel, ids: Sequence[int]) -> float:
    """Let kernel and transformers read `ids`, the last one alone; how many times less of the CPU the kernel took.

    The least of some tries: other programs that start at the same time must not decide how prompts are read.

    Raises:
        NoKernel: their answers are too far apart.
    """
    reader, seconds, read = Reader(model, reuse=False), [], []
    for one in (reader, reader.through(partial(decoder.continued, decoder.base))):
        spent = []
        for _ in range(CHECK_READS):
            started = time.process_time()
            state = one.read(ids[:-1], None, Watch(math.inf))
            spent.append(time.process_time() - started)
        seconds.append(min(spent))
        read.append(state)
    slow, quick = read
    with decoder.continued(decoder.base, quick) as text:
        text.feed(ids[-1:])
    pairs = [(slow.logits, quick.logits)]
    slow.feed(ids[-1:])
    pairs.append((slow.logits, text.logits))
    near = min(float(torch.nn.functional.cosine_similarity(a, b, dim=0)) for a, b in pairs)
    if not near >= LEAST_COSINE:  # also for NaN
        raise NoKernel(f"the kernel's answers differ from the model's (cosine {near:.4f})")
    return seconds[0] / seconds[1]


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
