"""vLLM's own routes, some of which load adapters without a key, are not to be had through our address."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import httpx
import pytest
from scripted_chat import Server

Fresh = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
OPEN_ROUTES = [
    "/adapters",
    "/adapters/x",
    "/invocations",
    "/generative_scoring",
    "/tokenize",
    "/detokenize",
    "/score",
    "/rerank",
    "/pooling",
    "/reset_prefix_cache",
    "/sleep",
    "/collective_rpc",
    "/load",
    "/version",
    "/server_info",
    "/inference/v1/generate",
    "/v2/rerank",
]
V1_ROUTES = [
    "/v1/load_lora_adapter",
    "/v1/unload_lora_adapter",
    "/v1/completions",
    "/v1/responses",
    "/v1/score",
    "/v1/decisions",
    "/v1/embeddings",
    "/v1/chat/completions/render",
]
LOAD = {"lora_name": "x", "lora_path": "/somewhere", "name": "x", "src": "/somewhere", "model": "base", "prompt": "x"}


ENVELOPE = {"message", "type", "param", "code"}


@pytest.mark.parametrize("method", METHODS)
async def test_none_of_its_routes_answers(fresh: Fresh, method: str) -> None:
    """By the API alone: the page that `serve` mounts at "/" passes nothing on either, it has no client of vLLM."""
    async with fresh() as http:
        for path in (*V1_ROUTES, *OPEN_ROUTES):
            response = await http.request(method, path, json=LOAD)
            assert response.status_code in (404, 405), path
            if method != "HEAD":
                assert set(response.json()["error"]) == ENVELOPE, path


@pytest.mark.parametrize(
    "model", ["base", "ada-1", "../x", "/abs/x", "chatalogue/../x", "chatalogue ", "Chatalogue", ""]
)
@pytest.mark.parametrize("stream", [False, True])
def test_no_other_model_is_asked(http: httpx.Client, server: Server, model: str, stream: bool) -> None:
    """vLLM's resolvers take an unknown model's name for a path, so none but ours may get so far."""
    before = len(server.chat.asked)
    asked = {"model": model, "messages": [{"role": "user", "content": "a heist film"}], "stream": stream}
    response = http.post("/v1/chat/completions", json=asked)
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "model_not_found"
    assert len(server.chat.asked) == before


@pytest.mark.parametrize("model", ["base", "ada-1", "..%2Fx", "%2Fabs%2Fx", "%2e%2e"])
def test_no_other_model_is_shown(http: httpx.Client, model: str) -> None:
    assert [shown["id"] for shown in http.get("/v1/models").json()["data"]] == ["chatalogue"]
    response = http.get(f"/v1/models/{model}")
    assert response.status_code == 404
    assert set(response.json()["error"]) == ENVELOPE
