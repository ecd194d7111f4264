"""What holds for every address: the envelope, the request id, the key, the probes, the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import httpx
import pytest
from pydantic import SecretStr

from agent.api.auth import KeyRing, key_id_of
from agent.services import PartHealth
from agent.settings import ServerSettings
from retrieval.errors import SettingsError

Fresh = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
ASKED = {"model": "chatalogue", "messages": [{"role": "user", "content": "a heist film"}]}


def envelope(response: httpx.Response) -> dict[str, object]:
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert isinstance(error["code"], str)
    assert isinstance(error["message"], str)
    assert isinstance(error["type"], str)
    return dict(error)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/nothing", "/v1/chat", "/v1/models/a/b", "/v1/chat/completions/"])
def test_unknown_paths(http: httpx.Client, method: str, path: str) -> None:
    response = http.request(method, path)
    assert response.status_code == 404
    assert envelope(response)["code"] == "not_found"
    assert response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("TRACE", "/v1/chat/completions", "POST"),
        ("POST", "/v1/models", "GET"),
        ("PUT", "/v1/users/ann/preferences", "DELETE, GET, PATCH"),
        ("POST", "/v1/sessions/s_1", "DELETE, GET"),
        ("POST", "/healthz", "GET, HEAD"),
        ("DELETE", "/metrics", "GET"),
    ],
)
def test_wrong_methods(http: httpx.Client, method: str, path: str, allow: str) -> None:
    response = http.request(method, path)
    assert response.status_code == 405
    assert envelope(response)["code"] == "method_not_allowed"
    assert response.headers["allow"] == allow


def test_request_id_is_echoed_when_sane(http: httpx.Client) -> None:
    assert http.get("/v1/models", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    for bad in ("a b", "x" * 200, "<script>"):
        made = http.get("/healthz", headers={"x-request-id": bad}).headers["x-request-id"]
        assert made.startswith("req-")


async def test_keys(fresh: Fresh) -> None:
    async with fresh("first", "second") as http:
        for header in ({}, {"authorization": "Bearer wrong"}, {"authorization": "first"}, {"authorization": "Bearer "}):
            for path in ("/v1/models", "/v1/nothing", "/metrics"):
                response = await http.get(path, headers=header)
                assert response.status_code == 401
                assert envelope(response)["code"] == "invalid_api_key"
                assert response.headers["x-request-id"]
        for key in ("first", "second"):
            assert (await http.get("/v1/models", headers={"authorization": f"Bearer {key}"})).status_code == 200
        assert (await http.get("/metrics", headers={"authorization": "bearer first"})).status_code == 200
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/readyz")).status_code == 200
        assert (await http.get("/readyz?engine=1")).status_code == 401  # a token of the model is not for everybody
        assert (await http.head("/readyz?engine=1")).status_code == 401
        assert (await http.get("/readyz?engine=1", headers={"authorization": "Bearer first"})).status_code == 200


async def test_behind_a_prefix(fresh: Fresh) -> None:
    async with fresh("first", root_path="/shop") as http:
        header = {"authorization": "Bearer first"}
        assert (await http.get("/shop/v1/models")).status_code == 401
        assert (await http.get("/shop/v1/models", headers=header)).status_code == 200
        assert envelope(await http.get("/shop/v1/nothing", headers=header))["code"] == "not_found"
        assert (await http.put("/shop/v1/models", headers=header)).headers["allow"] == "GET"


async def test_ids_of_another_key_are_not_found(fresh: Fresh) -> None:
    async with fresh("first", "second") as http:
        first, second = ({"authorization": f"Bearer {key}"} for key in ("first", "second"))
        answer = (await http.post("/v1/chat/completions", json=ASKED, headers=first)).json()["chatalogue"]
        session, turn = answer["session_id"], answer["turn_id"]
        for path in (f"/v1/sessions/{session}", f"/v1/turns/{turn}/trace"):
            assert (await http.get(path, headers=first)).status_code == 200
            assert (await http.get(path, headers=second)).status_code == 404
        reaction = {"turn_id": turn, "kind": "thumb_up"}
        assert (await http.post("/v1/feedback", json=reaction, headers=second)).status_code == 404
        going_on = ASKED | {"metadata": {"session_id": session}}
        assert (await http.post("/v1/chat/completions", json=going_on, headers=second)).status_code == 404
        assert (await http.delete(f"/v1/sessions/{session}", headers=second)).status_code == 404
        assert (await http.get(f"/v1/sessions/{session}", headers=first)).status_code == 200
        mine = {"add": [{"op": "about", "value": "trains"}]}
        await http.patch("/v1/users/kim/preferences", json=mine, headers=first)
        assert (await http.get("/v1/users/kim/preferences", headers=second)).json()["preferences"] == []


async def owner_of(ring: KeyRing, authorization: str | None) -> str | None:
    caller = await ring.caller(authorization)
    return None if caller is None else caller.owner


async def is_agent(ring: KeyRing, key: str) -> bool:
    caller = await ring.caller(f"Bearer {key}")
    return caller is not None and caller.by_agent


async def test_key_ids_do_not_give_the_key_away() -> None:
    ring = KeyRing(ServerSettings(api_keys=(SecretStr("sésame"),)))
    assert await owner_of(ring, "Bearer sésame") == key_id_of("sésame")
    assert len(key_id_of("sésame")) == 12
    assert await owner_of(KeyRing(ServerSettings()), None) == ""
    with pytest.raises(SettingsError):
        KeyRing(ServerSettings(api_keys=(SecretStr(" "),)))


async def test_support_agents_have_keys_of_their_own() -> None:
    server = ServerSettings(api_keys=(SecretStr("shop"),), agent_keys=(SecretStr("agent"),))
    ring = KeyRing(server)
    assert await owner_of(ring, "Bearer agent") == key_id_of("agent")
    told = {key: await is_agent(ring, key) for key in ("agent", "shop", "wrong", "")}
    assert told == {"agent": True, "shop": False, "wrong": False, "": False}
    assert await ring.caller(None) is None
    alone = KeyRing(ServerSettings(agent_keys=(SecretStr("agent"),)))  # on loopback, where nobody needs a key
    assert (await owner_of(alone, "Bearer agent"), await owner_of(alone, None)) == ("", "")
    assert await is_agent(alone, "agent")
    assert "'agent'" not in repr(server)
    for wrong in ({"agent_keys": (SecretStr(""),)}, {"api_keys": (SecretStr("x"),), "agent_keys": (SecretStr("x"),)}):
        with pytest.raises(SettingsError, match="agent_keys"):
            KeyRing(ServerSettings(**wrong))


def test_healthz(http: httpx.Client) -> None:
    assert http.get("/healthz").json() == {"status": "ok"}
    assert http.head("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("states", "plain", "strict"),
    [
        (("ok", "ok", "ok"), (200, "ok"), (200, "ok")),
        (("ok", "ok", "failed"), (200, "degraded"), (503, "unavailable")),
        (("ok", "ok", "starting"), (200, "degraded"), (503, "unavailable")),
        (("ok", "ok", "off"), (200, "degraded"), (503, "unavailable")),
        (("degraded", "ok", "ok"), (200, "degraded"), (200, "degraded")),
        (("degraded", "ok", "failed"), (200, "degraded"), (503, "unavailable")),
        (("failed", "ok", "ok"), (503, "unavailable"), (503, "unavailable")),
        (("ok", "failed", "off"), (503, "unavailable"), (503, "unavailable")),
    ],
)
async def test_readyz(fresh: Fresh, states: tuple[str, ...], plain: tuple[int, str], strict: tuple[int, str]) -> None:
    names = ("index", "database", "engine")
    parts = tuple(PartHealth(name, state, "Why.") for name, state in zip(names, states, strict=True))  # type: ignore[arg-type]
    async with fresh(parts=parts) as http:
        for path, expected in (("/readyz", plain), ("/readyz?engine=1", strict), ("/readyz?engine=0", plain)):
            response = await http.get(path)
            assert (response.status_code, response.json()["status"]) == expected
        assert [part["state"] for part in response.json()["parts"]] == list(states)
        assert (await http.get("/readyz?engine=perhaps")).status_code == 400


async def test_metrics(fresh: Fresh) -> None:
    async with fresh() as http:
        answer = (await http.post("/v1/chat/completions", json=ASKED | {"user": "ann"})).json()["chatalogue"]
        for _ in range(2):
            await http.post("/v1/feedback", json={"turn_id": answer["turn_id"], "kind": "thumb_up"})
        await http.post("/v1/chat/completions", json=ASKED | {"messages": [{"role": "user", "content": "noindex"}]})
        text = (await http.get("/metrics")).text
    assert 'chatalogue_turns_total{action="recommend"} 1.0' in text
    assert "chatalogue_turn_seconds_count 1.0" in text
    assert "chatalogue_first_text_seconds_count 1.0" in text
    assert 'chatalogue_feedback_total{kind="thumb_up",reason="none"} 1.0' in text
    assert 'chatalogue_failed_turns_total{error="IndexUnavailable"} 1.0' in text
    assert 'chatalogue_engine_state{state="ready"} 1.0' in text
    assert 'chatalogue_engine_state{state="failed"} 0.0' in text
    assert "chatalogue_engine_queue 2.0" in text
    assert "ann" not in text


def test_openapi_is_honest(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    paths = document["paths"]
    assert "/v1/{rest}" not in paths
    completion = paths["/v1/chat/completions"]["post"]
    assert completion["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/ChatRequest")
    assert set(completion["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}
    schemas = document["components"]["schemas"]
    for name in ("ChatChunk", "ChatCompletion", "Answer", "ErrorEnvelope", "FeedbackRequest", "Readiness"):
        assert name in schemas
    references = {text.split('"')[0] for text in http.get("/openapi.json").text.split("#/components/schemas/")[1:]}
    assert references <= set(schemas)
    assert all("422" not in operation["responses"] for path in paths.values() for operation in path.values())
    assert http.get("/docs").text == "the page"
