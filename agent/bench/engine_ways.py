"""The ways to run a small model that engine_speed.py compares: transformers, ours; llama.cpp and vLLM where they are.

Knows nothing of rounds and tables.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch

from agent.bench.engine_speed import ANSWER_TOKENS, CHATS, PROMPT_TOKENS, SECONDS, Timed, Way
from agent.llm import weights
from agent.llm.batch import Batch
from agent.llm.decoder import Decoder, check, fits
from agent.llm.generation import Answer, Reader, Watch
from agent.llm.kernel import NoKernel, load_kernel
from agent.llm.model import LoadedModel, load_model
from agent.llm.protocol import Limits, Prompt
from agent.llm.vllm.backend import Backend, Place
from agent.llm.vllm.client import Sampling
from agent.llm.vllm.finding import find_vllm_python
from agent.llm.workplace import CHECK_TEXT
from agent.settings import VLLMSettings
from retrieval.errors import ChatalogueError

LLAMA_CPP: Final = "xllamacpp"
_LIMITS: Final = Limits(ANSWER_TOKENS, SECONDS)


def ways_on(folder: Path, models_dir: Path) -> tuple[list[Way], tuple[str, ...]]:
    """All ways for the model in `folder` that can be had here, and why others cannot."""
    from transformers import AutoModelForCausalLM

    model = load_model(folder, "cpu")
    endless = replace(model, stop_ids=frozenset())  # all answers have the same length
    plain: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=model.dtype, local_files_only=True)
    ways: list[Way] = [Generate(plain.eval(), endless), Eager(endless)]
    left_out = []
    try:
        if not fits(model):
            raise NoKernel("the kernel does not know this architecture")
        decoder = Decoder(model, load_kernel(models_dir / "kernels"))
        ways += [Kernel(endless, decoder, 0), Kernel(endless, decoder)]
    except NoKernel as error:
        left_out.append(f"compiled kernel: {error}")
    gguf = _gguf()
    if gguf is None or importlib.util.find_spec(LLAMA_CPP) is None:
        left_out.append(f"llama.cpp: the package {LLAMA_CPP} or the model's GGUF file is not installed")
    else:
        ways.append(LlamaCpp(gguf, endless))
    try:
        ways.append(VLLM(folder, models_dir, endless))
    except ChatalogueError as error:
        left_out.append(f"vLLM: {error}")
    return ways, tuple(left_out)


def ids_of(model: LoadedModel, prompt: Prompt) -> list[int]:
    """The first `PROMPT_TOKENS` ids of `prompt`."""
    ids = model.renderer.fit_answer(prompt, model.context, ANSWER_TOKENS)
    if len(ids) < PROMPT_TOKENS:
        raise ValueError(f"the prompt has only {len(ids)} tokens")
    return list(ids[:PROMPT_TOKENS])


class _Clock:
    """A streamer of transformers that notes when the first token came."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def put(self, ids: object) -> None:
        """Called with the prompt, then with each token."""
        self.times.append(time.perf_counter())

    def end(self) -> None:
        """Nothing to do."""


class _InProcess:
    """A way that holds nothing that must be given back."""

    def close(self) -> None:
        """See `Way.close`."""


class _OneByOne(_InProcess):
    """A way that answers one after the other."""

    def all_at_once(self, prompts: Sequence[Prompt]) -> None:
        """See `Way.all_at_once`."""


class Generate(_OneByOne):
    """`generate` of transformers as it comes, one prompt after the other."""

    name = "transformers generate"

    def __init__(self, net: Any, model: LoadedModel) -> None:  # noqa: ANN401 -- any transformers model
        self._net, self._model = net, model
        self.bytes_per_token = _linear_weights(model) * model.dtype.itemsize

    def one(self, prompt: Prompt) -> Timed:
        """See `Way.one`."""
        ids = torch.tensor([ids_of(self._model, prompt)])
        clock, started = _Clock(), time.perf_counter()
        with torch.inference_mode():
            self._net.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=ANSWER_TOKENS, min_new_tokens=ANSWER_TOKENS,
                do_sample=False, streamer=clock,
            )  # fmt: skip
        return Timed(clock.times[1] - started, time.perf_counter() - started)


class Eager(_OneByOne):
    """Ours where there is no kernel: packed weights, chunked prompts, one prompt after the other."""

    name = "embedded, without kernel"

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self.bytes_per_token = _linear_weights(model) * model.dtype.itemsize

    def one(self, prompt: Prompt) -> Timed:
        """See `Way.one`."""
        started = time.perf_counter()
        state = Reader(self._model, reuse=False).read(ids_of(self._model, prompt), None, Watch(SECONDS))
        token = int(state.logits.argmax())
        first = time.perf_counter() - started
        for _ in range(ANSWER_TOKENS - 1):
            state.feed([token])
            token = int(state.logits.argmax())
        return Timed(first, time.perf_counter() - started)


class Kernel(_InProcess):
    """Ours with the compiled kernel: int8 weights, drafts from the prompt, all answers together."""

    def __init__(self, model: LoadedModel, decoder: Decoder, drafts: int | None = None) -> None:
        self.name = "embedded, kernel" if drafts == 0 else "embedded, kernel and drafts"
        self._model, self._decoder, self._drafts = model, decoder, drafts
        # As the product decides it: on a machine with AMX transformers reads faster.
        self._reads = check(decoder, model, model.renderer.encode_text(CHECK_TEXT)) > 1
        self.bytes_per_token = _linear_weights(model) * (1 + 4 / 64)

    def one(self, prompt: Prompt) -> Timed:
        """See `Way.one`."""
        started = time.perf_counter()
        batch = self._batch()
        self._join(batch, prompt, self._reader(reuse=False))
        first = time.perf_counter() - started
        while batch:
            batch.step()
        return Timed(first, time.perf_counter() - started)

    def all_at_once(self, prompts: Sequence[Prompt]) -> float:
        """See `Way.all_at_once`; what the prompts have in common is read once, as in the product."""
        started = time.perf_counter()
        batch, reader = self._batch(), self._reader(reuse=True)
        for prompt in prompts:
            self._join(batch, prompt, reader)
            batch.step()  # those that write do not wait for all that read
        while batch:
            batch.step()
        return time.perf_counter() - started

    def _reader(self, *, reuse: bool) -> Reader:
        reader = Reader(self._model, reuse=reuse)
        return reader.through(partial(self._decoder.continued, self._decoder.base)) if self._reads else reader

    def _batch(self) -> Batch:
        return Batch(self._decoder) if self._drafts is None else Batch(self._decoder, self._drafts)

    def _join(self, batch: Batch, prompt: Prompt, reader: Reader) -> None:
        answer = Answer(self._model, prompt, _LIMITS)
        answer.ids = tuple(ids_of(self._model, prompt))
        state = reader.read(answer.ids, None, Watch(SECONDS))
        batch.join(0, answer, Watch(SECONDS), state, self._decoder.base)


class LlamaCpp(_InProcess):
    """llama.cpp's own server in this process, by `xllamacpp`; its prebuilt wheels leave AVX-512 and AMX unused."""

    name = "llama.cpp, Q4_1"

    def __init__(self, gguf: Path, model: LoadedModel) -> None:
        module: Any = importlib.import_module(LLAMA_CPP)
        params = module.CommonParams()
        params.model.path = str(gguf)
        params.n_ctx, params.n_parallel = model.context * CHATS, CHATS
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = torch.get_num_threads()
        params.verbosity = 0
        self._server = module.Server(params)
        self._model = model
        self.bytes_per_token = float(gguf.stat().st_size)

    def one(self, prompt: Prompt) -> Timed:
        """See `Way.one`; times are llama.cpp's own."""
        asked = {
            "prompt": ids_of(self._model, prompt), "n_predict": ANSWER_TOKENS, "ignore_eos": True,
            "cache_prompt": False, "temperature": 0.0,
        }  # fmt: skip
        times = self._server.handle_completions(asked)["timings"]
        if times["predicted_n"] != ANSWER_TOKENS:
            raise ValueError(f"llama.cpp made {times['predicted_n']} tokens")
        return Timed(times["prompt_ms"] / 1e3, (times["prompt_ms"] + times["predicted_ms"]) / 1e3)

    def all_at_once(self, prompts: Sequence[Prompt]) -> float:
        """See `Way.all_at_once`."""
        started = time.perf_counter()
        with ThreadPoolExecutor(len(prompts)) as pool:
            list(pool.map(self.one, prompts))
        return time.perf_counter() - started


class VLLM:
    """vLLM's server on loopback, started as the product starts it, asked for token ids; answers are made together.

    Raises:
        ChatalogueError: vLLM is not installed, or its server does not come up.
    """

    name = "vLLM"

    def __init__(self, folder: Path, models_dir: Path, model: LoadedModel) -> None:
        self._model = model
        self.bytes_per_token = _linear_weights(model) * model.dtype.itemsize
        settings = VLLMSettings(max_num_seqs=CHATS, gpu_memory_utilization=0.2)
        python = find_vllm_python(settings)
        self._logs = tempfile.TemporaryDirectory()
        place = Place(python=python, threads=torch.get_num_threads(), log_file=Path(self._logs.name) / "vllm.log")
        self._backend = Backend(str(folder), models_dir, settings, place)
        self._runner = asyncio.Runner()
        try:
            self._runner.run(self._backend.come_up())
        except BaseException:
            self.close()
            raise

    def one(self, prompt: Prompt) -> Timed:
        """See `Way.one`."""
        return self._runner.run(self._answer(prompt))

    def all_at_once(self, prompts: Sequence[Prompt]) -> float:
        """See `Way.all_at_once`."""
        return self._runner.run(self._answers(prompts))

    def close(self) -> None:
        """Stop the server."""
        self._runner.run(self._backend.close())
        self._runner.close()
        self._logs.cleanup()

    async def _answer(self, prompt: Prompt) -> Timed:
        ids, made, first = ids_of(self._model, prompt), 0, 0.0
        started = time.perf_counter()
        sampling = Sampling(ANSWER_TOKENS, min_tokens=ANSWER_TOKENS)
        async for piece in self._backend.client.complete(self._backend.served_name, ids, sampling):
            first = first or time.perf_counter() - started
            made += len(piece.ids)
        if made != ANSWER_TOKENS:
            raise ValueError(f"vLLM made {made} tokens")
        return Timed(first, time.perf_counter() - started)

    async def _answers(self, prompts: Sequence[Prompt]) -> float:
        started = time.perf_counter()
        await asyncio.gather(*map(self._answer, prompts))
        return time.perf_counter() - started


def _gguf() -> Path | None:
    spec = importlib.util.find_spec(weights.SMOLLM2_PACKAGE)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return next((path for path in (Path(place) / weights.SMOLLM2_FILE for place in places) if path.is_file()), None)


def _linear_weights(model: LoadedModel) -> float:
    return float(sum(linear.weight.numel() for linear in model.linears.values()))
