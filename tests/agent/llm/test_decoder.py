from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from llm_chat import CHAT

from agent.llm import kernel
from agent.llm.decoder import LANES, Decoder, KernelWeights, Quantized, Row, check, fits
from agent.llm.generation import Reader, State, Watch, prompt_ids
from agent.llm.kernel import MAX_ROWS, READ_ROWS, NoKernel, load_kernel
from agent.llm.model import LoadedModel, load_model

FAR = 0.05
"""The spread of the differences between logits, in parts of that of the logits."""


@pytest.fixture(scope="session")
def rounded(tiny_dir: Path) -> LoadedModel:
    """The tiny model, fp32, on weights that int8 holds exactly: what differs then is an error of the kernel."""
    model = load_model(tiny_dir, "cpu", torch.float32)
    with torch.no_grad():
        for linear in model.linears.values():
            linear.weight.copy_(unpacked(Quantized.of(linear.weight)).flatten(1))
    return model


def unpacked(whole: Quantized) -> torch.Tensor:
    """(out, groups, GROUP)."""
    blocks, groups = whole.scales.shape[:2]
    numbers = whole.weights.permute(0, 3, 1, 2, 4).reshape(blocks * LANES, groups, kernel.GROUP).float() - 128
    return numbers * scales_of(whole)


def scales_of(whole: Quantized) -> torch.Tensor:
    return whole.scales.transpose(1, 2).flatten(0, 1).unsqueeze(-1)


@pytest.fixture(scope="session")
def decoder(rounded: LoadedModel, models_dir: Path) -> Decoder:
    return Decoder(rounded, load_kernel(models_dir / "kernels"))


def read(model: LoadedModel, tokens: int = 0) -> State:
    ids = list(prompt_ids(model, CHAT, 30))
    return Reader(model, reuse=False).read(ids[:tokens] if tokens else ids, None, Watch(60))


def test_steps_are_those_of_transformers(rounded: LoadedModel, decoder: Decoder) -> None:
    """Against fp32; the kernel keeps keys and values in bf16 and rounds what it multiplies to 8 bits."""
    state = read(rounded)
    text = decoder.take(decoder.base, state)
    for ids in ([5], [6, 900, 17], [40_000], [*range(20)], [*range(100, 350)]):
        text.feed(ids)
        state.feed(ids)
        assert text.tokens == state.tokens
        assert float((text.logits - state.logits).std()) < FAR * float(state.logits.std())
    text.close()


def test_a_prompt_is_the_same_in_pieces_and_at_once(decoder: Decoder, rounded: LoadedModel) -> None:
    """Bit for bit, also across what transformers holds of it."""
    ids = [*range(300, 470)]
    reader = Reader(rounded, reuse=False).through(partial(decoder.continued, decoder.base))
    state = reader.read(ids, None, Watch(60))
    assert state.tokens == len(ids)
    begun = reader.read(ids[:37], None, Watch(60))
    for piece in (ids[37:40], ids[40:41], ids[41:]):
        with decoder.continued(decoder.base, begun) as text:
            text.feed(piece)
            begun = text.as_state()
    assert torch.equal(begun.logits, state.logits)
    for one, other in zip(begun.cache.layers, state.cache.layers, strict=True):
        assert torch.equal(one.keys, other.keys)
        assert torch.equal(one.values, other.values)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_row_does_not_depend_on_its_company(decoder: Decoder, rounded: LoadedModel, threads: int) -> None:
    """Bit for bit: alone, as a draft of one text, beside other texts, with other numbers of threads."""
    decoder._threads = 1
    ids = [5, 6, 900, 17, 3, 8, 44, 1000]
    alone = decoder.take(decoder.base, read(rounded, 20))
    expected = []
    for token in ids:
        alone.feed([token])
        expected.append(alone.logits)
    decoder._threads = threads
    together = decoder.take(decoder.base, read(rounded, 20))
    for count in range(1, MAX_ROWS + 1):
        rows = [Row(together.slot, 20 + n, token) for n, token in enumerate(ids[:count])]
        assert torch.equal(decoder.step(decoder.base, rows), torch.stack(expected[:count]))
        assert torch.equal(decoder.step(decoder.base, rows, count - 1)[0], expected[count - 1])
    other = decoder.take(decoder.base, read(rounded, 33))
    rows = [Row(other.slot, 33, 7), Row(alone.slot, 20, ids[0]), Row(other.slot, 34, 9)]
    assert torch.equal(decoder.step(decoder.base, rows)[1], expected[0])
    for text in (alone, together, other):
        text.close()


def test_int8_holds_a_weight_to_half_a_step() -> None:
    torch.manual_seed(0)
    weight = torch.randn(32, 128) * torch.logspace(-3, 2, 32).unsqueeze(1)
    weight[0, :64] = 0
    whole = Quantized.of(weight)
    apart = (unpacked(whole) - weight.view(32, 2, 64)).abs()
    assert bool((apart <= scales_of(whole) * 0.5001).all())


def test_places_out_of_range_are_refused(decoder: Decoder, rounded: LoadedModel) -> None:
    text = decoder.take(decoder.base, read(rounded, 5))
    with pytest.raises(ValueError, match="refuses 1 rows"):
        decoder.step(decoder.base, [Row(text.slot, rounded.context, 1)])
    with pytest.raises(ValueError, match="refuses 129 rows"):
        decoder.step(decoder.base, [Row(text.slot, n, 1) for n in range(READ_ROWS + 1)])
    text.close()


def test_the_check_finds_a_kernel_that_computes_something_else(decoder: Decoder, rounded: LoadedModel) -> None:
    assert check(decoder, rounded, [*range(12)]) > 0
    wrong = Decoder(rounded, decoder._kernel)
    flipped = {name: -linear.weight for name, linear in rounded.linears.items() if "down_proj" in name}
    broken: KernelWeights = wrong.pack(flipped)
    wrong.base = broken
    with pytest.raises(NoKernel, match="differ from the model's"):
        check(wrong, rounded, [*range(12)])


def test_packing_shares_what_an_adapter_leaves_alone(decoder: Decoder, rounded: LoadedModel) -> None:
    name = "model.layers.1.self_attn.v_proj"
    packed = decoder.pack({name: rounded.linears[name].weight * 2})
    changed = [names for names, matrix in packed.matrices.items() if matrix is not decoder.base.matrices[names]]
    assert [name in names for names in changed] == [True]


def test_only_plain_llamas_on_a_cpu_fit(tiny: LoadedModel) -> None:
    assert fits(tiny)
    assert not fits(replace(tiny, device=torch.device("meta")))
    tiny.net.config.attention_bias = True
    try:
        assert not fits(tiny)
    finally:
        tiny.net.config.attention_bias = False


class TestCompiling:
    def test_it_is_done_once(self, tmp_path: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        load_kernel(models_dir / "kernels")
        monkeypatch.setattr(kernel, "_run", lambda command: pytest.fail("compiled again"))
        load_kernel(models_dir / "kernels")

    def test_without_a_compiler(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(NoKernel, match=r"there is no C\+\+ compiler"):
            load_kernel(tmp_path)

    def test_with_one_that_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kernel, "FLAGS", ("--no-such-flag",))
        with pytest.raises(NoKernel, match="fails"):
            load_kernel(tmp_path)
        assert not list(tmp_path.iterdir())

    def test_into_a_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(NoKernel, match="cannot be written or loaded"):
            load_kernel(tmp_path / "file")
