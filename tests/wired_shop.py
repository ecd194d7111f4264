"""The product as it is served, over 30 films: without a socket, a language model and a sentence encoder."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from agent.api.app import create_api
from agent.settings import ChatSettings, LLMSettings, Settings, TelemetrySettings
from agent.shopkeeper import DEMO_SOURCE
from retrieval.encoder import FloatArray
from retrieval.loading import load_catalogue
from retrieval.text import tokens
from ui.wiring import Parts, index_items, make_parts

FILMS = Path(__file__).parent / "agent" / "data" / "films30.jsonl"


class WordEncoder:
    """A stand-in for the sentence encoder: words hashed into 64 dimensions."""

    name = "words"
    dim = 64

    def encode(self, texts: Sequence[str]) -> FloatArray:
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in enumerate(texts):
            for token in tokens(text) or ["."]:
                vectors[row, zlib.crc32(token.encode()) % self.dim] += 1
        unit: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


def use_word_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """For everything that is wired from now on."""
    monkeypatch.setattr("ui.wiring.SentenceEncoder", lambda *_args, **_more: WordEncoder())


@asynccontextmanager
async def served(
    folder: Path, telemetry: TelemetrySettings | None = None
) -> AsyncIterator[tuple[httpx.AsyncClient, Parts]]:
    """The product as `chatalogue serve` wires it, without a socket and without a language model."""
    settings = Settings(
        data_dir=folder,
        llm=LLMSettings(engine="off"),
        chat=ChatSettings(exploration=0),
        telemetry=telemetry or TelemetrySettings(),
    )
    parts = make_parts(settings)
    try:
        index_items(parts, load_catalogue(FILMS, strict=True).items, DEMO_SOURCE, None)
        parts.shops.refresh("default")
        shop = parts.shops.current("default")
        app = create_api(parts.services)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as http:
            yield http, parts
        shop.close()
    finally:
        parts.log.close()
