"""LoRA on processors, inside vLLM's own processes: one product for all tokens of an adapter.

A plugin of vLLM (the entry point beside this file says so) that imports nothing of ours: vLLM's Python finds it where
this folder is on its path. vLLM 0.32 multiplies token by token, and copies both halves of every layer for each token of
the batch: a prompt waits several times as long for its first word as without an adapter, and so does every chat beside
it. It also takes the last adapter for tokens that have none; here these are left as they are.

A vLLM that has changed goes on with its own arithmetic, and says so in its log.
"""

from __future__ import annotations

import inspect
import logging
from importlib import import_module
from typing import Any, Final

import torch

log = logging.getLogger("vllm.chatalogue_lora")  # below vLLM's own logger: into the server's log

PLACE: Final = "chatalogue_lora.GroupedLoRA"
"""What vLLM imports, by this file's name on its path."""
_ARGUMENTS: Final = ("self", "y", "x", "lora_a_stacked", "lora_b_stacked", "scale", "output_slices", "buffer", "kwargs")
"""Of `add_lora_linear`, as this file knows it."""


class GroupedLinear:
    """Stands before vLLM's PunicaWrapperCPU in `GroupedLoRA`: other arithmetic for the layers of the blocks."""

    _runs: tuple[tuple[int, slice], ...] = ()
    """Places in the stacked weights, and rows of the batch; rows without an adapter are left out."""

    def update_metadata(self, *args: object, **kwargs: object) -> None:
        """Called before a step of the model in which the rows of the adapters have changed."""
        above: Any = super()
        above.update_metadata(*args, **kwargs)
        self._runs = runs_of(getattr(self, "token_lora_indices"))  # noqa: B009 - a property of vLLM's class

    def add_lora_linear(
        self,
        y: torch.Tensor,
        x: torch.Tensor,
        lora_a_stacked: tuple[torch.Tensor, ...],
        lora_b_stacked: tuple[torch.Tensor, ...],
        scale: float,
        output_slices: tuple[int, ...],
        *,
        buffer: tuple[torch.Tensor, ...] | None = None,
        **kwargs: object,
    ) -> None:
        """Add scale * x A^T B^T to `y`, in place.

        Args:
            y: (tokens, the sum of `output_slices`).
            x: (tokens, width).
            lora_a_stacked: for each slice (adapters, 1, rank, width).
            lora_b_stacked: for each slice (adapters, 1, its outputs, rank); vLLM has put the adapter's scale into it.
            scale: of all.
            output_slices: outputs of each projection that the layer holds: q, k and v.
            buffer: vLLM's, not needed.
            kwargs: of other devices.
        """
        y, x = y.view(-1, y.shape[-1]), x.view(-1, x.shape[-1])
        for place, rows in self._runs:
            left = 0
            for a, b, width in zip(lora_a_stacked, lora_b_stacked, output_slices, strict=True):
                low = x[rows] @ a[place, 0].T
                y[rows, left : left + width].addmm_(low, b[place, 0].T, alpha=scale)
                left += width


def runs_of(places: torch.Tensor) -> tuple[tuple[int, slice], ...]:
    """Neighbours with the same adapter; -1 is none. `places`: (tokens,)."""
    found, counts = torch.unique_consecutive(places, return_counts=True)
    ends = counts.cumsum(0)
    runs = zip(found.tolist(), (ends - counts).tolist(), ends.tolist(), strict=True)
    return tuple((place, slice(start, end)) for place, start, end in runs if place >= 0)


def register() -> None:
    """Called by vLLM in each of its processes: its platform for processors names our class from now on."""
    try:
        theirs: Any = import_module("vllm.lora.punica_wrapper.punica_cpu").PunicaWrapperCPU
        platform: Any = import_module("vllm.platforms.cpu").CpuPlatform
        known = all(hasattr(theirs, name) for name in ("update_metadata", "token_lora_indices"))
        known = known and tuple(inspect.signature(theirs.add_lora_linear).parameters) == _ARGUMENTS
        known = known and hasattr(platform, "get_punica_wrapper")
    except (ImportError, AttributeError):
        known = False
    if not known:
        log.warning("This vLLM is none that the plugin knows: LoRA on processors is as slow as vLLM makes it.")
        return
    globals()["GroupedLoRA"] = type("GroupedLoRA", (GroupedLinear, theirs), {})
    platform.get_punica_wrapper = classmethod(lambda cls: PLACE)
