"""The one place that speaks HTTP to a vLLM server: token ids in, token ids out, never its chat template.

Adapters are loaded by absolute path under a name that was never used; overwriting one in place, which kills the
engine of vLLM 0.32, cannot be said here. Knows nothing of prompts as text, budgets or queues.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx

from agent.llm.names import check_name
from retrieval.errors import EngineError, EngineTimeout

CONNECT_SECONDS = 5.0
READ_SECONDS = 300.0
"""Without a byte for this long the server is taken for dead (a first call may compile); budgets end calls before."""
HEALTH_SECONDS = 5.0
MESSAGE_CHARS = 300
"""Of what vLLM says about a refused request; its grammar errors carry the whole grammar."""

_PLAIN = {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "n": 1}
"""Said with each request: where it is silent vLLM takes the model folder's generation_config.json."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A name that the server answers to; `parent` is the base's name where it is an adapter, `root` the folder."""

    name: str
    parent: str | None
    root: str
    max_model_len: int | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next tokens are picked; `stop_ids` end the answer, `grammar` (GBNF, root rule `root`) bounds it.

    Before `min_tokens` nothing ends it: measurements need answers of one length.
    """

    max_tokens: int
    min_tokens: int = 0
    temperature: float = 0.0
    seed: int = 0
    stop_ids: Sequence[int] = ()
    grammar: str | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """The next tokens of an answer, the one that stopped it included; the last piece has a `finish`."""

    ids: tuple[int, ...]
    finish: Literal["stop", "length"] | None = None


class VLLMClient:
    """A vLLM server at `url` ("http://host:port"). Every method but `healthy` may raise `EngineError`.

    Cancelling a call, or closing the iterator of `complete`, closes its connection; vLLM then stops.
    """

    def __init__(self, url: str, api_key: str = "") -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.AsyncClient(
            base_url=self.url,
            headers=headers,
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, pool=None),
            limits=httpx.Limits(max_connections=None),  # the engine's queue is the bound
            trust_env=False,  # a proxy of the environment has no business between us and the server
        )

    def move_to(self, url: str) -> None:
        """Ask the server at `url` from now on: a restarted one has another port."""
        self.url = url.rstrip("/").removesuffix("/v1")
        self._http.base_url = httpx.URL(self.url)

    async def healthy(self) -> bool:
        """Whether the server's engine lives; False for a server that cannot be reached."""
        try:
            return (await self._http.get("/health", timeout=HEALTH_SECONDS)).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    async def models(self) -> tuple[ServedModel, ...]:
        """The base model and the adapters by their names; says nothing of what is in memory."""
        async with _sentences(self.url):
            data = _object(await self._ask("GET", "/v1/models"))["data"]
            return tuple(
                ServedModel(model["id"], model.get("parent"), model.get("root") or "", model.get("max_model_len"))
                for model in data
            )

    async def complete(self, model: str, prompt: Sequence[int], sampling: Sampling) -> AsyncGenerator[Tokens, None]:
        """Tokens that follow `prompt` as they come; the last piece carries `finish`."""
        wanted: dict[str, Any] = _PLAIN | {
            "model": model,
            "prompt": list(prompt),
            "max_tokens": sampling.max_tokens,
            "min_tokens": sampling.min_tokens,
            "temperature": sampling.temperature,
            "seed": sampling.seed,
            "stop_token_ids": sorted(sampling.stop_ids),
            "stream": True,
            "return_token_ids": True,
        }
        if sampling.grammar is not None:
            wanted["structured_outputs"] = {"grammar": sampling.grammar}
        # vLLM looks at the grammar when the answer has begun, so this error comes in the stream.
        async with _sentences(self.url), self._http.stream("POST", "/v1/completions", json=wanted) as response:
            if response.is_error:
                await response.aread()
                raise _refusal(response)
            async for line in response.aiter_lines():
                if not line.startswith("data: ") or line == "data: [DONE]":
                    continue
                yield (piece := _piece(json.loads(line.removeprefix("data: "))))
                if piece.finish:
                    return
        raise EngineError("The vLLM server ended the answer without saying why; its log may tell.")

    async def prompt_logprobs(self, model: str, prompts: Sequence[Sequence[int]]) -> tuple[tuple[float, ...], ...]:
        """Natural log of the probability of each token of each prompt, given those before it.

        Returns:
            For each prompt as many numbers as it has tokens; the first is NaN, for nothing comes before it.
        """
        wanted = _PLAIN | {
            "model": model,
            "prompt": [list(prompt) for prompt in prompts],
            "max_tokens": 1,  # the least; what it makes is thrown away
            "temperature": 0.0,
            "prompt_logprobs": 0,  # none besides the prompt's own tokens
        }
        async with _sentences(self.url):
            choices = _object(await self._ask("POST", "/v1/completions", wanted))["choices"]
            told = [choice["prompt_logprobs"] for choice in sorted(choices, key=lambda choice: int(choice["index"]))]
            return tuple(_told(prompt, entries) for prompt, entries in zip(prompts, told, strict=True))

    async def next_logprobs(
        self, model: str, prompts: Sequence[Sequence[int]], tokens: Sequence[int]
    ) -> tuple[tuple[float, ...], ...]:
        """Natural log of the probability of each of the `tokens` as what follows each prompt; a row for each prompt."""
        wanted = _PLAIN | {
            "model": model,
            "prompt": [list(prompt) for prompt in prompts],
            "max_tokens": 1,
            "temperature": 0.0,
            "logprobs": 1,  # has to be said; which ones is said by the next line
            "logprob_token_ids": sorted(set(tokens)),
            "return_tokens_as_token_ids": True,
        }
        async with _sentences(self.url):
            choices = _object(await self._ask("POST", "/v1/completions", wanted))["choices"]
            ordered = sorted(choices, key=lambda choice: int(choice["index"]))
            told = [choice["logprobs"]["top_logprobs"][0] for choice in ordered]
            if len(told) != len(prompts):
                raise EngineError(f"The vLLM server answered {len(told)} of {len(prompts)} prompts.")
            return tuple(tuple(float(one[f"token_id:{token}"]) for token in tokens) for one in told)

    async def tokenize(self, model: str, text: str) -> tuple[int, ...]:
        """Ids that the server's tokenizer gives `text`, nothing added to it."""
        wanted = {"model": model, "prompt": text, "add_special_tokens": False}
        async with _sentences(self.url):
            return tuple(_object(await self._ask("POST", "/tokenize", wanted))["tokens"])

    async def load_adapter(self, name: str, path: Path) -> None:
        """Load the PEFT LoRA in the absolute folder `path` under `name`; vLLM checks next to nothing of it.

        Raises:
            EngineError: name or path is refused here, or the server refuses the adapter.
        """
        check_name(name)
        if not path.is_absolute():
            # vLLM takes a relative path that does not exist for a repository of the hub and downloads it.
            raise EngineError(f"The adapter {name!r} must be given by an absolute path, {str(path)!r} is none.")
        await self._ask("POST", "/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(path)})

    async def unload_adapter(self, name: str) -> None:
        """Forget `name`; calls in flight finish with it."""
        check_name(name)
        await self._ask("POST", "/v1/unload_lora_adapter", {"lora_name": name})

    async def metric(self, name: str) -> float:
        """The sum of a metric over its labels, for example "vllm:num_requests_running"."""
        text = str(await self._ask("GET", "/metrics"))
        rows = [line.rsplit(" ", 1) for line in text.splitlines() if line.startswith((f"{name}{{", f"{name} "))]
        if not rows:
            raise EngineError(f"The vLLM server has no metric {name!r}.")
        return sum(float(value) for _, value in rows)

    async def close(self) -> None:
        """Close the connections; calls in flight end with an error."""
        await self._http.aclose()

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> object:
        """The answer's JSON, or its text where it is none."""
        async with _sentences(self.url):
            response = await self._http.request(method, path, json=body)
            if response.is_error:
                raise _refusal(response)
            is_json = response.headers.get("content-type", "").startswith("application/json")
            return response.json() if is_json else response.text


@asynccontextmanager
async def _sentences(url: str) -> AsyncIterator[None]:
    """What httpx raises, as sentences of ours."""
    try:
        yield
    except httpx.TimeoutException:
        raise EngineTimeout(f"The vLLM server at {url} did not answer in time.") from None
    except httpx.ConnectError:
        raise EngineError(f"The vLLM server at {url} cannot be reached; it may be starting, try again.") from None
    except httpx.HTTPError as error:
        why = str(error) or type(error).__name__
        raise EngineError(f"The vLLM server ended in the middle of the answer ({why}).") from None
    except RuntimeError as error:  # httpx of a client that was closed meanwhile
        raise EngineError(f"The connection to the vLLM server at {url} has been closed ({error}).") from None
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise EngineError(f"The server at {url} does not answer like vLLM ({type(error).__name__}: {error}).") from None


def _object(answer: object) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise EngineError("The vLLM server answered something else than JSON; is the address that of a vLLM server?")
    return answer


def _piece(event: dict[str, Any]) -> Tokens:
    if "error" in event:
        said = _said(event)
        what = "The grammar cannot be read" if "Invalid grammar" in said else "The vLLM server failed"
        raise EngineError(f"{what}: {said}")
    choice = event["choices"][0]
    finish = choice.get("finish_reason")
    if finish not in (None, "stop", "length"):
        raise EngineError(f"The vLLM server gave the answer up ({finish}).")
    return Tokens(tuple(choice.get("token_ids") or ()), finish)


def _told(prompt: Sequence[int], entries: Sequence[Mapping[str, Any] | None]) -> tuple[float, ...]:
    rest = zip(prompt[1:], entries[1:], strict=True)
    return (float("nan"), *(float((entry or {})[str(token)]["logprob"]) for token, entry in rest))


def _refusal(response: httpx.Response) -> EngineError:
    """The error for a status >= 400; 500s of the adapter routes are refusals too."""
    try:
        said = _said(response.json())
    except ValueError:
        said = response.text.strip()[:MESSAGE_CHARS] or response.reason_phrase
    return EngineError(f"The vLLM server refuses this (HTTP {response.status_code}): {said}")


def _said(answer: object) -> str:
    error = answer.get("error", answer) if isinstance(answer, dict) else answer
    message = error.get("message", error) if isinstance(error, dict) else error
    first = next((line.strip() for line in str(message).splitlines() if line.strip()), "no reason given")
    return first[:MESSAGE_CHARS]
