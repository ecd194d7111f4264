"""A vLLM server of our own: a process group on loopback that ends with the app.

Knows nothing of prompts; whether it answers is asked through `VLLMClient`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from agent.llm.vllm import guard
from agent.llm.vllm.client import MESSAGE_CHARS, VLLMClient
from agent.llm.vllm.finding import runs_on_gpu
from agent.settings import VLLMSettings
from retrieval.cores import usable_cores
from retrieval.errors import EngineError

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
"""Never another one: the routes that load adapters ask for no key."""
PLUGINS = Path(__file__).with_name("inside")
"""The path of vLLM's Python: what runs in its processes, and nothing else."""
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes for --max-lora-rank."""
POLL_SECONDS = 0.25
STOP_SECONDS = 5.0
"""How long vLLM may take to end by itself; then its processes are killed."""
BATCHED_TOKENS = 1_024
"""In one step of the model. Log-probabilities of prompts need the logits of all of them: 152,000 words in float32 are
0.6 MB a token, and an engine that runs out of memory dies."""
BLOCK_TOKENS = 32
"""Of vLLM's cache on processors, the least that is fast there: what a chat has said before is known up to the last
whole block. vLLM's own default of 128 lets each turn read 64 tokens again on average."""
BOUND = {"OMP_NUM_THREADS", "VLLM_CPU_OMP_THREADS_BIND"}
"""Where the operator says one of these, processors are the operator's business."""
LOG_BYTES = 10_000_000
"""A longer log is put aside as `vllm.log.1` before the next start."""
TAIL_BYTES = 200_000

_KEPT_VARIABLES = re.compile(
    r"^(PATH|HOME|USER|LANG|LC_\w+|TZ|TMPDIR|LD_\w+|CUDA_\w+|NVIDIA_\w+|OMP_\w+|XDG_\w+|VLLM_CPU_\w+"
    r"|VLLM_CACHE_ROOT|TORCHINDUCTOR_\w+)$"
)
"""Of our environment: nothing of ours (keys, database), nothing that opens routes (VLLM_SERVER_DEV_MODE, plugins)."""
_LOG_PREFIX = re.compile(r"^(\([^)]*\) )?([A-Z]+ \d\d-\d\d \d\d:\d\d:\d\d \[[^\]]*\] )?")
_FAILURE = re.compile(r"^(?:[\w.]*(?:Error|Exception)|[\w.]+: error): \S.*|^Killed$")
_BLOCK_WEIGHT = re.compile(r".*\.\d+\..*?(?P<name>[A-Za-z]\w*)\.weight$")
_CONSEQUENCE = re.compile(r"Engine core initialization failed|initialization failed due to an exception in")
"""What vLLM says after the reason was said."""


class VLLMServer:
    """`python -m vllm.entrypoints.openai.api_server` on a free port of loopback.

    Args:
        python: one that has vLLM.
        model_folder: the weights (weights.resolve_model).
        settings: memory, lengths, LoRA limits.
        lora: whether adapters can be loaded at run time; costs speed even where none is.
        served_name: what requests call the base model.
        max_model_len: context in tokens, prompt and answer.
        threads: of the computations on a CPU; None leaves it to vLLM, which keeps one core free.
        log_file: where its output goes; None: nowhere.
    """

    def __init__(
        self,
        python: Path,
        model_folder: Path,
        *,
        settings: VLLMSettings,
        lora: bool,
        served_name: str,
        max_model_len: int,
        threads: int | None = None,
        log_file: Path | None = None,
    ) -> None:
        self._python, self._folder = python, model_folder
        self._settings, self._lora = settings, lora
        self._threads, self._max_model_len = threads, max_model_len
        self._log_file, self._log_start = log_file, 0
        self._process: asyncio.subprocess.Process | None = None
        self.served_name = served_name
        self.url = ""

    @property
    def alive(self) -> bool:
        """Whether the process runs; says nothing of whether it answers."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """Of the guard that holds the server; None when it was not started."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start the process, on a new port, and return at once.

        Raises:
            EngineError: it cannot be started at all.
        """
        port = await asyncio.to_thread(_free_port)
        self.url = f"http://{HOST}:{port}"
        command = [str(self._python), *self._arguments(port)]
        try:
            with self._open_log() as output:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable, "-I", "-S", guard.__file__, str(STOP_SECONDS), *command,
                    stdin=asyncio.subprocess.PIPE, stdout=output, stderr=output,
                    env=server_environment(self._settings, lora=self._lora, threads=self._threads),
                    start_new_session=True,
                )  # fmt: skip
        except OSError as error:
            raise EngineError(f"The vLLM server could not be started: {error.strerror or error}.") from None
        log.info("vLLM is starting at %s with %s", self.url, self._folder.name)

    async def wait_ready(self, seconds: float) -> None:
        """Return when the server says that it is healthy.

        Raises:
            EngineError: it ended, or was not ready in time; the message says why.
        """
        client = VLLMClient(self.url)
        try:
            async with asyncio.timeout(seconds):
                while not await client.healthy():
                    if not self.alive:
                        raise EngineError(f"The vLLM server did not start: {self.reason()}")
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise EngineError(
                f"The vLLM server was not ready within {seconds:g} s; a first start compiles for minutes, set "
                "CHATALOGUE_LLM__VLLM__START_TIMEOUT_S higher."
            ) from None
        finally:
            await client.close()

    async def wait_gone(self) -> None:
        """Return when the process has ended."""
        if self._process is not None:
            await self._process.wait()

    async def stop(self) -> None:
        """End the server and all its processes; may be called twice."""
        process = self._process
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            async with asyncio.timeout(2 * STOP_SECONDS):
                await process.wait()
        except TimeoutError:  # a guard that does not keep its word
            process.kill()
            await process.wait()

    def reason(self) -> str:
        """Why the last start failed, as one line of the log; the place of the log where none says it."""
        return first_failure(self._tail()) or f"its log says no reason; see {str(self._log_file)!r}."

    def _arguments(self, port: int) -> Iterator[str]:
        settings = self._settings
        yield from ("-m", "vllm.entrypoints.openai.api_server", "--host", HOST, "--port", str(port))
        yield from ("--model", str(self._folder), "--served-model-name", self.served_name)
        yield from ("--max-model-len", str(self._max_model_len), "--max-num-seqs", str(settings.max_num_seqs))
        yield from ("--max-num-batched-tokens", str(max(BATCHED_TOKENS, settings.max_num_seqs)))
        if not runs_on_gpu(settings):
            yield from ("--block-size", str(BLOCK_TOKENS))
        yield from ("--gpu-memory-utilization", str(settings.gpu_memory_utilization))
        # Sampling is said with each request, never read from the model's folder.
        yield from ("--generation-config", "vllm", "--disable-uvicorn-access-log")
        yield from ("--structured-outputs-config", json.dumps({"backend": "xgrammar"}))
        if not settings.compile:
            yield "--enforce-eager"
        if self._lora:
            yield from lora_arguments(self._folder, settings)

    def _open_log(self) -> IO[bytes]:
        if self._log_file is None:
            return open(os.devnull, "wb")
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        if self._log_file.exists() and self._log_file.stat().st_size > LOG_BYTES:
            self._log_file.replace(self._log_file.with_name(self._log_file.name + ".1"))
        file = self._log_file.open("ab")
        self._log_start = file.tell()
        return file

    def _tail(self) -> str:
        if self._log_file is None:
            return ""
        with suppress(OSError), self._log_file.open("rb") as file:
            file.seek(max(self._log_start, self._log_file.stat().st_size - TAIL_BYTES))
            return file.read().decode("utf-8", "replace")
        return ""


def server_environment(settings: VLLMSettings, *, lora: bool, threads: int | None = None) -> dict[str, str]:
    """The whole environment of the server: what it needs of ours, and nothing phones home or downloads.

    On processors vLLM would bind itself to cores. On two of them what works beside it stood still for minutes while
    chats kept the first one busy (a probe, the next server), so it is not bound; on several sockets the operator may.

    Without `lora` another server takes this one's place when the adapter changes. vLLM 0.32 cannot load on processors
    what it compiled ahead of time ("no attribute 'finalize_loading'") and compiles at each start; without that it finds
    its kernels again and starts in 33 s instead of 90, for answers 7 % slower.
    """
    kept = {name: value for name, value in os.environ.items() if _KEPT_VARIABLES.match(name)}
    kept |= {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_HOST_IP": HOST,  # its processes talk to each other: over loopback too
        "VLLM_CPU_KVCACHE_SPACE": str(settings.kv_cache_gib),
        "PYTHONUNBUFFERED": "1",
    }
    if lora:
        kept |= {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1", "PYTHONPATH": str(PLUGINS)}
    if not runs_on_gpu(settings):
        if not lora:
            kept["VLLM_USE_AOT_COMPILE"] = "0"
        if not threads and not BOUND & kept.keys():
            threads = max(1, usable_cores() - 1)  # as many as vLLM would bind
    if threads:
        kept |= {"OMP_NUM_THREADS": str(threads), "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    return kept


def lora_arguments(folder: Path, settings: VLLMSettings) -> tuple[str, ...]:
    """Flags of a server that takes adapters of the model in `folder`; one given by URL needs them too.

    The layers are named so that the output layer is not among them. With LoRA on it, vLLM 0.32 on a CPU dies
    ("einsum(): subscript b has size 2 ...") at the first `prompt_logprobs` that shares a batch with any other call.
    """
    return (
        "--enable-lora",
        "--max-loras", str(settings.max_loras),
        "--max-cpu-loras", str(max(settings.max_cpu_loras, settings.max_loras)),
        "--max-lora-rank", str(next(rank for rank in LORA_RANKS if rank >= settings.max_lora_rank)),
        "--lora-target-modules", *linear_names(folder),
    )  # fmt: skip


def linear_names(folder: Path) -> tuple[str, ...]:
    """Last names of the linear layers of the numbered blocks: q_proj, up_proj ...; sorted.

    Raises:
        EngineError: the folder holds no readable safetensors.
    """
    from safetensors import SafetensorError, safe_open

    names: set[str] = set()
    try:
        for file in sorted(folder.glob("*.safetensors")):
            with safe_open(file, framework="numpy") as tensors:
                for key in tensors.keys():
                    match = _BLOCK_WEIGHT.match(key)
                    if match and len(tensors.get_slice(key).get_shape()) == 2:
                        names.add(match["name"])
    except (OSError, SafetensorError) as error:
        raise EngineError(f"The weights in {str(folder)!r} cannot be read ({error}).") from None
    if not names:
        raise EngineError(f"The model in {str(folder)!r} has no numbered blocks of linear layers to put LoRA on.")
    return tuple(sorted(names))


def first_failure(text: str) -> str:
    """The line of vLLM's log that says why it failed: the first error, for what comes later is its consequence."""
    lines = (_LOG_PREFIX.sub("", line).strip() for line in text.splitlines())
    failures = [line for line in lines if _FAILURE.match(line) and not _CONSEQUENCE.search(line)]
    return failures[0][:MESSAGE_CHARS] if failures else ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
