"""What leaving the champion costs, beside the loss of the rows: three penalties on the LoRA's factors.

The proximal one (Yoo et al. 2025, PESO, arXiv 2510.25093, who found that it beats plain warm starts and cumulative
adapters where users come back with other tastes) is measured between the products B A and not, as theirs, between the
factors: (B R)(R^-1 A) is the same function for every invertible R (Yen et al. 2024, LoRA-RITE, arXiv 2410.20625), so a
distance of factors punishes steps that change nothing, and cannot be told at all from a LoRA of another rank or one
that began afresh. The products are never formed: their Frobenius norm is that of Gram matrices of rank by rank.
Knows no rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch


@dataclass(frozen=True, slots=True)
class Factors:
    """One layer's LoRA: `a` (rank, in), `b` (out, rank); it adds `scale` * B A to the weight."""

    a: torch.Tensor
    b: torch.Tensor
    scale: float


Lora: TypeAlias = Mapping[str, Factors]
"""By the layer's name."""


def squared_norm(lora: Lora) -> torch.Tensor:
    """Sum over the layers of the squared Frobenius norm of scale * B A; ()."""
    return torch.stack([_gram(one.a, one.scale * one.b) for one in lora.values()]).sum()


def squared_distance(lora: Lora, other: Lora) -> torch.Tensor:
    """Sum over the layers of the squared Frobenius norm of the difference of the products; ().

    Args:
        lora: has gradients.
        other: of the same layers; its rank may be another.
    """
    total = []
    for layer, one in lora.items():
        far = other[layer]
        total.append(_gram(torch.cat([one.a, far.a]), torch.cat([one.scale * one.b, -far.scale * far.b], dim=1)))
    return torch.stack(total).sum()


def overlap(lora: Lora, other: Lora) -> torch.Tensor:
    """Mean over the layers of the squared norm of A A0': 0 where the two read orthogonal inputs; ().

    Wang et al. 2023, "Orthogonal subspace learning for language model continual learning" (O-LoRA), equation 7.
    """
    return torch.stack([(one.a @ other[layer].a.t()).square().sum() for layer, one in lora.items()]).mean()


def fisher_distance(
    weights: Mapping[str, torch.Tensor], before: Mapping[str, torch.Tensor], fisher: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """Half of the squared distance, each weight by how much the memory minds it; ().

    Kirkpatrick et al. 2017, "Overcoming catastrophic forgetting in neural networks" (EWC), equation 3.
    """
    parts = [(fisher[name] * (weight - before[name]).square()).sum() for name, weight in weights.items()]
    return 0.5 * torch.stack(parts).sum()


def joined(lora: Lora, other: Lora, rank: int, scale: float) -> tuple[dict[str, Factors], float]:
    """The LoRA of `rank` and `scale` nearest to the sum of both; and the share of the sum's squared norm that it lacks.

    The SVD is that of the small core between the QR parts of the stacked factors: no product is formed.
    """
    found, whole, kept = {}, 0.0, 0.0
    for layer, one in lora.items():
        far = other[layer]
        out, core_b = torch.linalg.qr(torch.cat([one.scale * one.b, far.scale * far.b], dim=1))
        into, core_a = torch.linalg.qr(torch.cat([one.a, far.a]).t())
        left, values, right = torch.linalg.svd(core_b @ core_a.t())
        root = (values[:rank] / scale).sqrt()
        b, a = out @ left[:, :rank] * root, root[:, None] * (right[:rank] @ into.t())
        found[layer] = Factors(_filled(a, rank, 0), _filled(b, rank, 1), scale)
        whole += float(values.square().sum())
        kept += float(values[:rank].square().sum())
    return found, 1 - kept / whole if whole else 0.0


def _gram(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Squared Frobenius norm of b a; a: (rank, in), b: (out, rank)."""
    return ((b.t() @ b) * (a @ a.t())).sum()


def _filled(factor: torch.Tensor, rank: int, axis: int) -> torch.Tensor:
    """With zeros up to `rank` along `axis`."""
    shape = list(factor.shape)
    shape[axis] = rank - shape[axis]
    return torch.cat([factor, factor.new_zeros(shape)], dim=axis)
