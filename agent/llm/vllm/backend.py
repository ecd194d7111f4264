"""The server behind the vLLM engine: started by us or given by URL, brought up, checked, warmed up and watched.

Knows nothing of calls in flight.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from agent.llm.apart import run_apart
from agent.llm.tokens import CONTEXT_TOKENS
from agent.llm.vllm.client import Sampling, ServedModel, VLLMClient
from agent.llm.vllm.finding import check_url
from agent.llm.vllm.histories import Histories
from agent.llm.vllm.reading import ModelText
from agent.llm.vllm.routing import BaseRouter, Router
from agent.llm.vllm.server import VLLMServer
from agent.llm.weights import resolve_model
from agent.settings import VLLMSettings
from retrieval.errors import EngineError, SettingsError

log = logging.getLogger(__name__)

SERVED_NAME = "base"
"""What a server of ours calls the base model."""
FETCH_SECONDS = 3_600.0
"""For converting weights, or downloading them."""
WATCH_SECONDS = 1.0
"""Between two looks at a server's health."""
SILENCE_SECONDS = {True: 30.0, False: 10.0}
"""A server is gone when it has not been healthy for this long. One of ours is then killed, so more patience there."""
WARM_UP_GRAMMAR = 'root ::= "a" [a-z]{1,3} "\\n"\n'
WARM_UP_TEXT = "Schöne Filme für 12,90 €?\n\n  <|im_end|> 电影"
"""Also shows whether a server given by URL has our tokenizer."""

MakeRouter: TypeAlias = Callable[["Backend"], Router]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server comes from: `url` of one that runs, else `python` that has vLLM.

    `threads` and `log_file` are of a server of ours.
    """

    url: str = ""
    python: Path | None = None
    threads: int | None = None
    log_file: Path | None = None


class Backend:
    """One vLLM server and what is on it.

    Args:
        model: a name for `weights.resolve_model`.
        models_dir: where converted and downloaded weights are kept.
        settings: of the server.
        place: where it comes from.
        lora: whether a server of ours takes adapters at run time.
        make_router: called once, when the server answers for the first time; None: no adapters.

    Raises:
        SettingsError: the URL is public or none, or there is neither URL nor Python.
    """

    def __init__(
        self,
        model: str,
        models_dir: Path,
        settings: VLLMSettings,
        place: Place,
        *,
        lora: bool = False,
        make_router: MakeRouter | None = None,
    ) -> None:
        if not place.url and place.python is None:
            raise SettingsError("vLLM needs a Python that has it, or the address of a server; run `make vllm`.")
        self._model, self._models_dir = model, models_dir
        self._settings, self._place, self._lora = settings, place, lora
        self._make_router = make_router or (lambda backend: BaseRouter(backend.client, backend.served_name))
        self._router: Router | None = None
        self._server: VLLMServer | None = None
        self._folder: Path | None = None
        self._text: ModelText | None = None
        self.served_name = SERVED_NAME
        self.histories = Histories()
        self.client = VLLMClient(check_url(place.url) if place.url else "", settings.api_key.get_secret_value())

    @property
    def is_ours(self) -> bool:
        """Whether we start and restart the server."""
        return not self._place.url

    @property
    def folder(self) -> Path:
        """The base model's weights."""
        if self._folder is None:
            raise EngineError("The language model is still being loaded; try again in a moment.")
        return self._folder

    @property
    def text(self) -> ModelText:
        """Between text and ids of the base model."""
        if self._text is None:
            raise EngineError("The language model is still being loaded; try again in a moment.")
        return self._text

    @property
    def router(self) -> Router:
        """Who answers the next call."""
        if self._router is None:
            raise EngineError("The language model is still being loaded; try again in a moment.")
        return self._router

    @property
    def adapter(self) -> str | None:
        """The adapter that answers the next call."""
        return self._router.current if self._router else None

    @property
    def names(self) -> tuple[str, ...]:
        """The adapters that can be used."""
        return self._router.names() if self._router else ()

    async def come_up(self) -> tuple[str, ...]:
        """Return when the server answers, warm and with its adapters; the names of those that were lost.

        Raises:
            ModelUnavailable: the weights cannot be had.
            SettingsError: the server at the URL has another model.
            EngineError: it did not start, or was not ready in time.
        """
        if self._text is None:
            # Apart: converting a model takes torch, which this process needs for nothing else.
            self._folder = await run_apart(resolve_model, self._model, self._models_dir, seconds=FETCH_SECONDS)
            self._text = await asyncio.to_thread(ModelText.from_folder, self._folder)
        if self.is_ours:
            self._server = await self._start(self.folder, self.served_name)
            self.client.move_to(self._server.url)
            await self._server.wait_ready(self._settings.start_timeout_s)
        else:
            await self._wait_for_url()
        await self._check_model()
        await self.warm_up(self.client, self.served_name)
        if self._router is None:
            self._router = self._make_router(self)
            return ()
        return await self._router.restore()

    async def start_server(self, folder: Path, served_name: str) -> VLLMServer:
        """A second server of ours on other weights of the same model, ready and warm; the caller stops it.

        Raises:
            EngineError: it did not start.
        """
        server = await self._start(folder, served_name)
        client = VLLMClient(server.url)
        try:
            await server.wait_ready(self._settings.start_timeout_s)
            await self.warm_up(client, served_name)
        except BaseException:
            await server.stop()
            raise
        finally:
            await client.close()
        return server

    def take_over(self, server: VLLMServer, place_of: str) -> VLLMServer | None:
        """Watch `server` from now on, `client` asks it; the one before is the caller's to stop.

        Raises:
            EngineError: the one before, at the URL `place_of`, has ended meanwhile, and another comes up in its place.
        """
        if self._server is None or self._server.url != place_of:
            raise EngineError("The vLLM server that answered has ended meanwhile; try again when it is back.")
        before, self._server = self._server, server
        self.client.move_to(server.url)
        return before

    async def warm_up(self, client: VLLMClient, name: str) -> None:
        """Run what compiles at its first use: constrained text took 48 s once, log-probabilities 40 s.

        Raises:
            EngineError: the server cannot do one of them.
        """
        ids = self.text.renderer.encode_text(WARM_UP_TEXT)
        for grammar in (None, WARM_UP_GRAMMAR):
            async for _ in client.complete(name, ids, Sampling(4, grammar=grammar)):
                pass
        await client.prompt_logprobs(name, [ids, ids[:-1]])

    async def wait_gone(self) -> None:
        """Return when the server has ended or has been unhealthy for too long."""
        loop = asyncio.get_running_loop()
        seen = loop.time()
        while loop.time() - seen < SILENCE_SECONDS[self.is_ours]:
            server = self._server
            await _pause(server)
            if await self.client.healthy() or server is not self._server:  # in this order: it may change meanwhile
                seen = loop.time()
            elif server is not None and not server.alive:
                return

    async def clear_away(self) -> None:
        """End what is left of a server of ours."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop()

    async def close(self) -> None:
        """End everything; may be called twice."""
        if self._router is not None:
            await self._router.close()
        await self.clear_away()
        await self.client.close()

    async def _start(self, folder: Path, served_name: str) -> VLLMServer:
        if self._place.python is None:
            raise EngineError("A second vLLM server needs a Python that has vLLM; run `make vllm`.")
        wanted = self._settings.max_model_len or CONTEXT_TOKENS
        server = VLLMServer(
            self._place.python,
            folder,
            settings=self._settings,
            lora=self._lora,
            served_name=served_name,
            max_model_len=self.text.server_context(wanted),
            threads=self._place.threads,
            log_file=self._place.log_file,
        )
        await server.start()
        return server

    async def _wait_for_url(self) -> None:
        try:
            async with asyncio.timeout(self._settings.start_timeout_s):
                while not await self.client.healthy():
                    await asyncio.sleep(WATCH_SECONDS)
        except TimeoutError:
            raise EngineError(f"The vLLM server at {self.client.url} cannot be reached.") from None

    async def _check_model(self) -> None:
        """Name and context of the server's model; its tokenizer too, where the server is not ours.

        Not checked: the weights. A server with another model of the same tokenizer goes unnoticed.
        """
        bases = [model for model in await self.client.models() if model.parent is None]
        if not bases:
            raise SettingsError(f"The vLLM server at {self.client.url} serves no model.")
        self.served_name = bases[0].name
        if not self.is_ours:
            await self._check_tokenizer(bases[0])
        if bases[0].max_model_len:
            # One less than it takes: each call may add the token that says the end.
            context = min(self.text.context, bases[0].max_model_len - 1)
            self._text = replace(self.text, context=context)

    async def _check_tokenizer(self, base: ServedModel) -> None:
        ours = self.text.renderer.tokenizer.encode(WARM_UP_TEXT, add_special_tokens=False)
        theirs = await self.client.tokenize(base.name, WARM_UP_TEXT)
        if tuple(ours) != theirs:
            raise SettingsError(
                f"The vLLM server at {self.client.url} serves {base.name!r}, whose tokenizer is not that of "
                f"{self._model!r}; set CHATALOGUE_LLM__MODEL to the server's model."
            )


async def _pause(server: VLLMServer | None) -> None:
    """A while, or until `server` ends."""
    with suppress(TimeoutError):
        async with asyncio.timeout(WATCH_SECONDS):
            await (server.wait_gone() if server is not None else asyncio.sleep(WATCH_SECONDS))
