"""The official client against a real server: what ordinary programs do, and what goes wrong."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam
from scripted_chat import SHOP, SOURCES, Server

from agent.answer import Answer
from agent.api.schemas import ChatChunk, ChatCompletion
from agent.services import PastMessage

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "a heist film"}]
REPLY = f"{SHOP}You said: a heist film\n{SOURCES}"

ITEM_FIELDS = set("id rank title price in_stock url image_url why matched trade_off attributes".split(" "))


def checked(extra: dict[str, object] | None) -> Answer:
    """The `chatalogue` object, which must hold every field of the contract."""
    assert extra is not None
    found = extra["chatalogue"]
    assert isinstance(found, dict)
    assert set(found) == set(Answer.model_fields)
    for name in ("items", "alternatives", "citations", "preferences"):
        assert isinstance(found[name], list)
    answer = Answer.model_validate(found)
    assert all(set(item) == ITEM_FIELDS for item in found["items"])
    return answer


def test_plain(client: openai.OpenAI) -> None:
    done = client.chat.completions.create(model="chatalogue", messages=HELLO)
    answer = checked(done.model_extra)
    assert done.id == f"chatcmpl-{answer.turn_id}"
    assert abs(done.created - time.time()) < 60
    assert done.choices[0].message.content == REPLY
    assert done.choices[0].finish_reason == "stop"
    assert done.usage is not None
    assert (done.usage.prompt_tokens, done.usage.completion_tokens, done.usage.total_tokens) == (40, 7, 47)
    assert answer.items[0].attributes["year"] == 1995.0
    assert done._request_id is not None


def test_numbers_that_json_lacks_become_null(http: httpx.Client) -> None:
    asked = {"model": "chatalogue", "messages": [{"role": "user", "content": "nan"}]}
    plain = http.post("/v1/chat/completions", json=asked)
    streamed = http.post("/v1/chat/completions", json=asked | {"stream": True})
    assert "NaN" not in plain.text + streamed.text
    assert plain.json()["chatalogue"]["items"][0]["attributes"]["weight"] is None


def test_citations_are_typed_annotations_at_their_mark(client: openai.OpenAI) -> None:
    message = client.chat.completions.create(model="chatalogue", messages=HELLO).choices[0].message
    assert message.annotations is not None
    (found,) = message.annotations
    where = found.url_citation
    assert REPLY[where.start_index : where.end_index] == "[1]"
    assert (where.title, where.url) == ("Returns", "https://shop.example/returns")


def stream(client: openai.OpenAI, text: str = "a heist film", **more: object) -> list[ChatCompletionChunk]:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": text}]
    return list(client.chat.completions.create(model="chatalogue", messages=messages, stream=True, **more))


def test_stream(client: openai.OpenAI) -> None:
    chunks = stream(client)
    assert all(len(chunk.choices) == 1 for chunk in chunks)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == REPLY
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert all("chatalogue" not in (chunk.model_extra or {}) for chunk in chunks[:-1])
    answer = checked(chunks[-1].model_extra)
    assert {chunk.id for chunk in chunks} == {f"chatcmpl-{answer.turn_id}"}
    last = chunks[-1].choices[0].delta.model_extra
    assert last is not None
    assert last["annotations"][0]["url_citation"]["title"] == "Returns"


def test_stream_helper_of_the_client_accumulates(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="chatalogue", messages=HELLO) as events:
        for _ in events:
            pass
        assert events.get_final_completion().choices[0].message.content == REPLY


def test_usage_comes_in_a_chunk_of_its_own(client: openai.OpenAI) -> None:
    chunks = stream(client, stream_options={"include_usage": True})
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 47
    assert all(chunk.usage is None for chunk in chunks[:-1])
    checked(chunks[-2].model_extra)


def test_waiting_is_a_comment_and_lines_are_as_contracted(http: httpx.Client) -> None:
    asked = {"model": "chatalogue", "messages": [{"role": "user", "content": "queue"}], "stream": True}
    response = http.post("/v1/chat/completions", json=asked)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-accel-buffering"] == "no"
    lines = [line for line in response.text.split("\n") if line]
    assert lines[0] == ": waiting, 3 ahead"
    assert lines[-1] == "data: [DONE]"
    assert {line.split(":")[0] for line in lines} == {"", "data"}
    for line in lines[:-1]:
        if line.startswith("data: "):
            ChatChunk.model_validate_json(line.removeprefix("data: "))


def test_steps_only_when_asked(client: openai.OpenAI) -> None:
    chunks = stream(client, "queue", extra_body={"chatalogue": {"steps": True}})
    steps = [chunk.model_extra["chatalogue"]["step"] for chunk in chunks[:-1] if chunk.model_extra]
    assert steps[0]["name"] == "cards"
    assert steps[0]["items"][0]["id"] == "heat"
    assert steps[1] == {"name": "waiting", "ahead": 1}
    assert all(len(chunk.choices) == 1 for chunk in chunks)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks).startswith(SHOP)
    checked(chunks[-1].model_extra)


def test_silence_is_filled_with_comments(http: httpx.Client, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.api.sse.BEAT_S", 0.1)
    asked = {"model": "chatalogue", "messages": [{"role": "user", "content": "held"}], "stream": True}
    said = ""
    try:
        with http.stream("POST", "/v1/chat/completions", json=asked) as response:
            for piece in response.iter_text():
                said += piece
                if said.count(": keep-alive\n\n") >= 2:
                    server.chat.go.set()
    finally:
        server.chat.go.clear()
    assert said.endswith("data: [DONE]\n\n")


def test_wrong_model(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
    assert caught.value.request_id is not None
    assert client.models.list().data[0].id == "chatalogue"
    assert client.models.retrieve("chatalogue").owned_by == "chatalogue"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4o")


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"messages": None}, "messages", "invalid_type"),
        ({"messages": "hi"}, "messages", "invalid_type"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": [{"role": "assistant", "content": "hi"}]}, "messages", "invalid_value"),
        ({"messages": [{"role": "user"}]}, "messages", "invalid_value"),
        ({"messages": [{"role": "king", "content": "hi"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "invalid_type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages[0].content",
            "invalid_value",
        ),
        ({"model": 5}, "model", "invalid_type"),
        ({"n": 2}, "n", "invalid_value"),
        ({"stream": "maybe"}, "stream", "invalid_type"),
        ({"user": 7}, "user", "invalid_type"),
        ({"user": "u" * 300}, "user", "invalid_value"),
        ({"metadata": "s"}, "metadata", "invalid_type"),
        ({"metadata": {"session_id": 3}}, "metadata.session_id", "invalid_type"),
    ],
)
def test_bad_fields(http: httpx.Client, change: dict[str, object], param: str, code: str) -> None:
    response = http.post("/v1/chat/completions", json={"model": "chatalogue", "messages": HELLO} | change)
    error = response.json()["error"]
    assert response.status_code == 400
    assert (error["param"], error["code"], error["type"]) == (param, code, "invalid_request_error")
    assert error["message"].endswith(".")


@pytest.mark.parametrize("missing", ["model", "messages"])
def test_missing_fields(http: httpx.Client, missing: str) -> None:
    body = {"model": "chatalogue", "messages": HELLO}
    del body[missing]
    error = http.post("/v1/chat/completions", json=body).json()["error"]
    assert (error["param"], error["code"]) == (missing, "missing_required_parameter")


@pytest.mark.parametrize(
    "body", [b"{", b"", b"[1]", b'"hi"', b"\xff\xfe", b"[" * 100_000, b'{"n": ' + b"9" * 5000 + b"}"]
)
def test_bodies_that_are_no_object(http: httpx.Client, body: bytes) -> None:
    response = http.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert isinstance(response.json()["error"]["code"], str)


def test_body_without_json_content_type(http: httpx.Client) -> None:
    """A web page may send such a body to a server on loopback without asking."""
    response = http.post(
        "/v1/chat/completions", content=b'{"model": "chatalogue"}', headers={"content-type": "text/plain"}
    )
    assert response.status_code == 400
    assert "application/json" in response.json()["error"]["message"]


@pytest.mark.parametrize("announced", [True, False])
def test_body_too_large(http: httpx.Client, announced: bool) -> None:
    body = b'{"model": "' + b"x" * (1024 * 1024) + b'"}'
    content = body if announced else iter([body[:600_000], body[600_000:]])
    response = http.post("/v1/chat/completions", content=content, headers={"content-type": "application/json"})
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "body_too_large"
    assert "x-request-id" in response.headers


def test_fields_that_we_do_not_use_are_ignored(client: openai.OpenAI) -> None:
    done = client.chat.completions.create(
        model="chatalogue",
        messages=HELLO,
        temperature=0.3,
        top_p=0.5,
        tools=[{"type": "function", "function": {"name": "f"}}],
        response_format={"type": "json_object"},
        metadata={"team": "red"},
        extra_body={"frobnicate": [1, {"a": None}], "temperature": "warm"},
    )
    assert done.choices[0].message.tool_calls is None


def test_history_parts_and_user_reach_the_conversation(client: openai.OpenAI, server: Server) -> None:
    client.chat.completions.create(
        model="chatalogue",
        user="ann",
        messages=[
            {"role": "developer", "content": "be short"},
            {"role": "user", "content": "hello"},
            {"role": "assistant", "content": None, "tool_calls": []},
            {"role": "tool", "tool_call_id": "c", "content": "42"},
            {"role": "assistant", "content": "Hi!"},
            {"role": "user", "content": [{"type": "text", "text": "a film"}, {"type": "text", "text": "with trains"}]},
        ],
    )
    asked = server.chat.asked[-1]
    assert asked.text == "a film\nwith trains"
    assert asked.user == "ann"
    assert asked.session_id is None
    assert asked.history == (
        PastMessage("system", "be short"),
        PastMessage("user", "hello"),
        PastMessage("assistant", "Hi!"),
    )


def test_sessions_continue_and_stay_apart(client: openai.OpenAI, server: Server, http: httpx.Client) -> None:
    first, other = (
        checked(client.chat.completions.create(model="chatalogue", messages=HELLO, user=user).model_extra).session_id
        for user in ("ann", "bob")
    )
    assert first != other
    again = client.chat.completions.create(
        model="chatalogue",
        messages=[*HELLO, {"role": "user", "content": "cheaper"}],
        user="ann",
        metadata={"session_id": first},
    )
    assert checked(again.model_extra).session_id == first
    assert server.chat.asked[-1].history == ()
    messages = [turn["message"] for turn in http.get(f"/v1/sessions/{first}").json()["turns"]]
    assert messages == ["a heist film", "cheaper"]
    assert len(http.get(f"/v1/sessions/{other}").json()["turns"]) == 1
    for session_id, user in ((first, "bob"), ("s_nobody", "ann")):
        for streamed in (False, True):
            with pytest.raises(openai.NotFoundError):
                client.chat.completions.create(
                    model="chatalogue", messages=HELLO, user=user, metadata={"session_id": session_id}, stream=streamed
                )


LONG = "A quiet heist film, please. " * 715  # 20,020 characters
STRANGE = [
    "",
    "   ",
    LONG,
    "🎬👩‍👩‍👧 heist",
    "أريد فيلمًا هادئًا",
    "来一部安静的电影",
    "a\x00b\x1b[31m\x07\u202e\u200b",
    "x\u2028y\u0085z\r\n: c\ndata: d",
]


@pytest.mark.parametrize("text", STRANGE, ids=["empty", "blank", "long", "emoji", "rtl", "chinese", "control", "lines"])
def test_strange_messages_pass_through(client: openai.OpenAI, server: Server, text: str) -> None:
    done = client.chat.completions.create(model="chatalogue", messages=[{"role": "user", "content": text}])
    assert server.chat.asked[-1].text == text
    assert done.choices[0].message.content == f"{SHOP}You said: {text}\n{SOURCES}"
    joined = "".join(chunk.choices[0].delta.content or "" for chunk in stream(client, text))
    assert joined == done.choices[0].message.content


def test_half_an_emoji_becomes_a_replacement_character(http: httpx.Client, server: Server) -> None:
    body = json.dumps(
        {"model": "chatalogue", "user": "\ud83c", "messages": [{"role": "user", "content": "cut \ud83c"}]}
    )
    response = http.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 200
    assert (server.chat.asked[-1].text, server.chat.asked[-1].user) == ("cut \ufffd", "\ufffd")


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("text", "status", "code"),
    [("noindex", 503, "index_unavailable"), ("crash", 500, "internal_error")],
)
def test_errors_before_the_first_word_have_their_status(
    http: httpx.Client, text: str, status: int, code: str, streamed: bool
) -> None:
    asked = {"model": "chatalogue", "messages": [{"role": "user", "content": text}], "stream": streamed}
    response = http.post("/v1/chat/completions", json=asked)
    assert response.status_code == status
    assert response.json()["error"]["code"] == code
    assert "secret" not in response.text
    assert "x-request-id" in response.headers


@pytest.mark.parametrize(
    ("text", "message"),
    [("break", "Our records cannot be reached"), ("explode", "Something went wrong"), ("stop", "Something went")],
)
def test_error_in_mid_stream(client: openai.OpenAI, text: str, message: str) -> None:
    chunks = client.chat.completions.create(
        model="chatalogue", messages=[{"role": "user", "content": text}], stream=True
    )
    said: list[str] = []
    with pytest.raises(openai.APIError, match=message) as caught:
        said.extend(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert "secret" not in "".join(said)
    assert "secret" not in str(caught.value.body)


def _soon(happened: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 120
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.02)
    return happened()


def test_client_that_leaves_a_stream_closes_the_turn(client: openai.OpenAI, server: Server) -> None:
    chunks = client.chat.completions.create(
        model="chatalogue", messages=[{"role": "user", "content": "hang streamed"}], stream=True
    )
    next(iter(chunks))
    assert "hang streamed" not in server.chat.closed
    chunks.close()
    assert _soon(lambda: "hang streamed" in server.chat.closed)


@pytest.mark.parametrize("streamed", [False, True])
async def test_client_that_gives_up_before_the_first_word_closes_the_turn(server: Server, streamed: bool) -> None:
    text = f"wait {streamed}"
    asked = {"model": "chatalogue", "messages": [{"role": "user", "content": text}], "stream": streamed}
    async with httpx.AsyncClient(base_url=server.url) as leaving:
        asking = asyncio.create_task(leaving.post("/v1/chat/completions", json=asked, timeout=120))
        while text not in server.chat.waiting:
            assert not asking.done()
            await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert await asyncio.to_thread(_soon, lambda: text in server.chat.closed)


def test_answer_follows_its_own_schema(http: httpx.Client) -> None:
    body = http.post("/v1/chat/completions", json={"model": "chatalogue", "messages": HELLO}).json()
    ChatCompletion.model_validate(body)
    checked(body)
