"""Adapters that vLLM would accept and get wrong, or refuse late: what is changed of a good one, and what we say."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

Tensors = dict[str, torch.Tensor]

CONFIGS: Mapping[str, tuple[dict[str, object], str]] = {
    "dora": ({"use_dora": True}, "uses use_dora"),
    "lora_bias": ({"lora_bias": True}, "uses lora_bias"),
    "pissa": ({"init_lora_weights": "pissa"}, "uses init_lora_weights"),
    "pissa_niter": ({"init_lora_weights": "pissa_niter_16"}, "uses init_lora_weights"),
    "olora": ({"init_lora_weights": "olora"}, "uses init_lora_weights"),
    "corda": ({"init_lora_weights": "corda"}, "uses init_lora_weights"),
    "loftq": ({"init_lora_weights": "loftq", "loftq_config": {"loftq_bits": 4}}, "init_lora_weights"),
    "lora_ga": ({"init_lora_weights": "lora_ga"}, "uses init_lora_weights"),
    "alora": ({"alora_invocation_tokens": [1, 2]}, "uses alora_invocation_tokens"),
    "bdlora": ({"use_bdlora": {"nblocks": 2}}, "uses use_bdlora"),
    "qalora": ({"use_qalora": True}, "uses use_qalora"),
    "kasa": ({"kasa_config": {"beta": 1}}, "uses kasa_config"),
    "replication": ({"layer_replication": [[0, 1], [0, 2]]}, "uses layer_replication"),
    "modules_to_save": ({"modules_to_save": ["score"]}, "uses modules_to_save"),
    "bias": ({"bias": "lora_only"}, "uses bias"),
    "rank_pattern": ({"rank_pattern": {"q_proj": 2}}, "one rank and one scale"),
    "alpha_pattern": ({"alpha_pattern": {"q_proj": 2}}, "one rank and one scale"),
    "parameters": ({"target_parameters": ["experts.down_proj"]}, "uses target_parameters"),
    "a later PEFT": ({"use_tomorrow": True}, "uses use_tomorrow"),
    "a scale of vLLM's own": ({"vllm_lora_scaling_factor": 9.0}, "uses vllm_lora_scaling_factor"),
    "lm_head": ({"target_modules": ["q_proj", "lm_head"]}, "changes lm_head"),
    "lm_head in an expression": ({"target_modules": ".*(q_proj|lm_head)"}, "changes lm_head"),
    "no targets": ({"target_modules": None}, "target_modules is None"),
    "rank": ({"r": 32}, "its rank 32 is above the server's 16; raise llm.vllm.max_lora_rank"),
    "no rank": ({"r": None}, "must be positive"),
    "no lora": ({"peft_type": "IA3"}, "does not say peft_type LORA"),
}


def rename(old: str, new: str) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        for key in list(tensors):
            tensors[key.replace(old, new)] = tensors.pop(key)

    return change


def scale(factor: float) -> Callable[[Tensors], None]:
    return lambda tensors: tensors.update({key: value * factor for key, value in tensors.items()})


def one_number(value: float, dtype: torch.dtype) -> Callable[[Tensors], None]:
    """A single bad number, in the last place of the last tensor."""

    def change(tensors: Tensors) -> None:
        tensors.update({key: tensor.to(dtype) for key, tensor in tensors.items()})
        tensors[sorted(tensors)[-1]].view(-1)[-1] = value

    return change


TENSORS: Mapping[str, tuple[Callable[[Tensors], object], str]] = {
    "prefix": (rename("base_model.model.", ""), "belongs to no linear layer"),
    "vllm's prefix": (rename("base_model.model.model.", "base_model.model."), "belongs to no linear layer"),
    "layer": (rename("layers.1", "layers.9"), "belongs to no linear layer"),
    "lm_head": (rename("model.layers.1.self_attn.q_proj", "lm_head"), "belongs to no linear layer"),
    "embedding": (rename("model.layers.1.self_attn.q_proj", "model.embed_tokens"), "belongs to no linear layer"),
    "magnitudes of dora": (
        lambda t: t.update({"base_model.model.q.lora_magnitude_vector": torch.ones(3)}),
        "no linear",
    ),
    "half the width": (
        lambda t: t.update({k: v[:, : v.shape[1] // 2].contiguous() for k, v in t.items() if "lora_A" in k}),
        "has shapes",
    ),
    "zero": (scale(0.0), "all its weights are zero"),
    "minus zero": (scale(-0.0), "all its weights are zero"),
    "untrained": (lambda t: t.update({k: v * 0 for k, v in t.items() if "lora_B" in k}), "all its weights are zero"),
    "nan": (one_number(float("nan"), torch.float32), "NaN or infinite"),
    "nan in bf16": (one_number(float("nan"), torch.bfloat16), "NaN or infinite"),
    "inf": (one_number(float("inf"), torch.float16), "NaN or infinite"),
    "minus inf": (one_number(float("-inf"), torch.bfloat16), "NaN or infinite"),
    "too large for float16": (one_number(70_000.0, torch.float32), "NaN or infinite"),
    "integers": (lambda t: t.update({k: v.to(torch.int8) for k, v in t.items()}), "is I8, it must be one of F32"),
    "one half": (lambda t: t.pop(next(k for k in t if "lora_B" in k)), "lacks lora_A or lora_B"),
    "nothing": (lambda t: t.clear(), "holds no tensors"),
}
