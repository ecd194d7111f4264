"""What runs in vLLM's own processes: LoRA on processors, against plain products and in a real server."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean
from types import ModuleType

import pytest
import torch

from agent.llm.vllm.client import VLLMClient
from agent.llm.vllm.inside import chatalogue_lora
from agent.llm.vllm.server import PLUGINS

CPU, PUNICA = "vllm.platforms.cpu", "vllm.lora.punica_wrapper.punica_cpu"

_COMPARE = """
import torch
from vllm.plugins import load_general_plugins
load_general_plugins()
from vllm.lora.layers import LoRAMapping
from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU
from vllm.platforms.cpu import CpuPlatform
from vllm.utils.import_utils import resolve_obj_by_qualname
ours = resolve_obj_by_qualname(CpuPlatform.get_punica_wrapper())
assert ours.__name__ == "GroupedLoRA" and issubclass(ours, PunicaWrapperCPU)
torch.manual_seed(0)
ids = [7, 7, 7, 0, 0, 9, 7, 0]  # 0: the base
x = torch.randn(8, 12)
a = [torch.randn(2, 1, 4, 12) for _ in range(3)]
b = [torch.randn(2, 1, width, 4) for width in (6, 2, 2)]
before = torch.randn(8, 10)

def added(cls, ids):
    wrapper = cls(64, max_batches=8, device="cpu")
    wrapper.update_metadata(LoRAMapping(tuple(ids), tuple(ids), is_prefill=True), [7, 9], 3, 100)
    y = before.clone()
    wrapper.add_lora_linear(y, x, tuple(a), tuple(b), 0.5, (6, 2, 2))
    return y

wanted = before.clone()
for row, number in enumerate(ids):
    if number:
        place = [7, 9].index(number)
        wanted[row] += 0.5 * torch.cat([b_[place, 0] @ (a_[place, 0] @ x[row]) for a_, b_ in zip(a, b)])
torch.testing.assert_close(added(ours, ids), wanted)
alone = [7] * 5 + [9] * 3  # without the base, for which vLLM's own takes the last adapter
torch.testing.assert_close(added(ours, alone), added(PunicaWrapperCPU, alone))
assert torch.equal(added(ours, [0] * 8), before)
"""


@pytest.fixture
def installed() -> Iterator[None]:
    yield
    vars(chatalogue_lora).pop("GroupedLoRA", None)


def stub(monkeypatch: pytest.MonkeyPatch, wrapper: type) -> type:
    """A vLLM whose class for LoRA on processors is `wrapper`; its platform."""
    platform = type("CpuPlatform", (), {"get_punica_wrapper": classmethod(lambda cls: "theirs")})
    for name, part in ((CPU, platform), (PUNICA, wrapper)):
        module = ModuleType(name)
        setattr(module, "CpuPlatform" if name == CPU else "PunicaWrapperCPU", part)
        for depth in range(1, name.count(".") + 1):
            parent = ".".join(name.split(".")[:depth])
            monkeypatch.setitem(sys.modules, parent, sys.modules.get(parent) or ModuleType(parent))
        monkeypatch.setitem(sys.modules, name, module)
    return platform


class Known:
    """The parts of vLLM 0.32 that the plugin stands before."""

    token_lora_indices = torch.tensor([1, 1, -1, 0])

    def update_metadata(self) -> None:
        pass

    def add_lora_linear(
        self,
        y: object,
        x: object,
        lora_a_stacked: object,
        lora_b_stacked: object,
        scale: object,
        output_slices: object,
        *,
        buffer: object = None,
        **kwargs: object,
    ) -> None:
        raise AssertionError("vLLM's own")  # fmt: skip


class Changed(Known):
    """With one argument more."""

    def add_lora_linear(self, y: object, x: object, bias: object) -> None:  # type: ignore[override]
        pass


def test_it_stands_before_the_class_that_it_knows(monkeypatch: pytest.MonkeyPatch, installed: None) -> None:
    platform = stub(monkeypatch, Known)
    chatalogue_lora.register()
    assert platform.get_punica_wrapper() == "chatalogue_lora.GroupedLoRA"
    made = vars(chatalogue_lora)["GroupedLoRA"]()
    made.update_metadata()
    assert made._runs == ((1, slice(0, 2)), (0, slice(3, 4)))
    y = torch.zeros(4, 1)
    ones = torch.ones(2, 1, 1, 1)
    made.add_lora_linear(y, torch.ones(4, 1), (ones,), (ones * 3,), 1.0, (1,))
    assert y[:, 0].tolist() == [3, 3, 0, 3]


@pytest.mark.parametrize("there", [True, False])
def test_a_vllm_that_has_changed_is_left_as_it_is(
    there: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, installed: None
) -> None:
    platform = stub(monkeypatch, Changed)
    if not there:
        monkeypatch.setitem(sys.modules, PUNICA, None)
    with caplog.at_level(logging.WARNING, chatalogue_lora.log.name):
        chatalogue_lora.register()
    assert platform.get_punica_wrapper() == "theirs"
    assert "GroupedLoRA" not in vars(chatalogue_lora)
    assert "as slow as vLLM makes it" in caplog.text


def test_vllm_finds_it_and_it_multiplies_as_vllm_does(vllm_python: Path, tmp_path: Path) -> None:
    known = {"PYTHONPATH": str(PLUGINS), "HOME": str(tmp_path), "VLLM_CPU_KVCACHE_SPACE": "1"}
    done = subprocess.run(  # noqa: S603
        [str(vllm_python), "-c", _COMPARE],
        env=os.environ | known, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.asyncio(loop_scope="session")
async def test_the_base_and_an_adapter_in_one_batch(
    client: VLLMClient, smol_dir: Path, make_lora: Callable[..., Path], tmp_path: Path
) -> None:
    """By vLLM's own arithmetic the base answers there with the adapter: a nat off at the mean."""
    prompt = list(range(1_000, 1_060))
    (alone,) = await client.prompt_logprobs("base", [prompt])
    await client.load_adapter("ada-beside", make_lora(smol_dir, tmp_path / "ada", seed=0, strength=0.07))
    try:
        told = await asyncio.gather(*(client.prompt_logprobs(name, [prompt]) for name in ("base", "ada-beside") * 3))
    finally:
        await client.unload_adapter("ada-beside")

    def off(rows: tuple[tuple[float, ...], ...]) -> float:
        return fmean(abs(one - other) for one, other in zip(rows[0][1:], alone[1:], strict=True))

    assert max(map(off, told[::2])) < 0.1
    assert min(map(off, told[1::2])) > 0.3
