"""The losses of the four kinds of rows, of log-probabilities that somebody else computed. Knows no model.

TRL has the same formulas inside of trainers that each know one kind and no weights; a test compares them with TRL's.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from finetune.rank_train import listwise_loss

__all__ = ["dpo_loss", "kto_loss", "listwise_loss"]


def dpo_loss(chosen: torch.Tensor, rejected: torch.Tensor, reference: tuple[float, float], beta: float) -> torch.Tensor:
    """-log sigmoid of how much more the better answer gained than the worse one (Rafailov et al. 2023, equation 7).

    Args:
        chosen: log-probability of the whole better answer, ().
        rejected: of the worse one, ().
        reference: both under the reference.
        beta: what leaving the reference costs.

    Returns:
        (), at least 0; ln 2 under the reference itself.
    """
    return -functional.logsigmoid(beta * ((chosen - reference[0]) - (rejected - reference[1])))


def kto_loss(answer: torch.Tensor, reference: float, kl: float, beta: float, *, good: bool) -> torch.Tensor:
    """1 - sigmoid of the gain against what is usual (Ethayarajh et al. 2024, equation 8, without its lambdas).

    Args:
        answer: log-probability of the whole answer, ().
        reference: the same under the reference.
        kl: what is usual: mean gain of answers to other prompts, at least 0.
        beta: what leaving the reference costs.
        good: whether the answer was liked.

    Returns:
        (), 0 to 1.
    """
    gain = beta * (answer - reference - kl)
    return 1 - torch.sigmoid(gain if good else -gain)
