"""What a real server tells: every line with its ids, spans with the right parents, and never a customer's word."""

from __future__ import annotations

import json
from typing import Any

import pytest
from observed import KEY, Observed
from page_client import Tab

from agent.observe import names
from tests.faults.served import wait_for

SECRETS = ("zanzibarquokka", "ann.quokka@example.com", KEY)
MESSAGE = f"a crime film, my word is {SECRETS[0]}, write to {SECRETS[1]}, key {KEY}"
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def lines_of(observed: Observed) -> list[dict[str, Any]]:
    """The JSON lines of the server's stderr."""
    return [json.loads(line) for line in observed.server.logged().splitlines() if line.startswith("{")]


def complete(observed: Observed, text: str, headers: dict[str, str] | None = None, **more: Any) -> Any:  # noqa: ANN401
    body = {"model": "chatalogue", "messages": [{"role": "user", "content": text}], **more}
    return observed.server.http.post("/v1/chat/completions", json=body, headers=headers or {})


@pytest.fixture(scope="module")
def answered(observed: Observed) -> dict[str, Any]:
    """A turn with secrets in its message, in a trace that the caller began."""
    headers = {"traceparent": f"00-{TRACE}-{CALLER}-01", "x-request-id": "req-of-ours"}
    response = complete(observed, MESSAGE, headers, user=SECRETS[1])
    assert response.status_code == 200, response.text
    # Spans come in the order in which they end, and in parcels: the turn's may be in another one than the request's.
    wait_for(lambda: {"POST /v1/chat/completions", "turn"} <= observed.collector.of_trace(TRACE).keys(), "spans")
    return dict(response.json()["chatalogue"])


def test_lines_of_a_turn_carry_its_ids(observed: Observed, answered: dict[str, Any]) -> None:
    mine = [line for line in lines_of(observed) if line.get("request_id") == "req-of-ours"]
    turn = next(line for line in mine if line["event"] == "turn")
    assert (turn["turn_id"], turn["session_id"]) == (answered["turn_id"], answered["session_id"])
    assert turn["adapter"].startswith("starter-")
    request = next(line for line in mine if line["event"] == "request")
    assert (request["method"], request["path"], request["status"]) == ("POST", "/v1/chat/completions", 200)
    assert request["ms"] >= turn["ms"] > 0
    assert "turn_id" not in request  # the turn's own context has ended


def test_spans_of_a_turn(observed: Observed, answered: dict[str, Any]) -> None:
    spans = observed.collector.of_trace(TRACE)
    model = answered["model"]
    server, turn, reply = spans["POST /v1/chat/completions"], spans["turn"], spans["reply"]
    assert server.parent == CALLER
    parents = {name: span.parent for name, span in spans.items() if name not in ("POST /v1/chat/completions", "turn")}
    assert turn.parent == server.id
    assert parents == {
        "understand": turn.id, "retrieve": turn.id, "rank": turn.id, "reply": turn.id, "log.record": turn.id,
        f"chat {model}": reply.id,
    }  # fmt: skip
    assert {span.schema for span in spans.values()} == {names.SCHEMA_URL}
    assert not any(span.failed or span.events for span in spans.values())
    assert server.attributes[names.HTTP_ROUTE] == "/v1/chat/completions"
    assert server.attributes[names.HTTP_RESPONSE_STATUS_CODE] == 200
    assert turn.attributes[names.TURN_ID] == answered["turn_id"]
    assert turn.attributes[names.GEN_AI_CONVERSATION_ID] == answered["session_id"]
    call = spans[f"chat {model}"]
    assert call.kind == "client"
    wanted = {
        names.GEN_AI_OPERATION_NAME: "chat", names.GEN_AI_PROVIDER_NAME: "embedded",
        names.GEN_AI_REQUEST_MODEL: model, names.SKILL: "reply", names.GEN_AI_REQUEST_MAX_TOKENS: 8,
    }  # fmt: skip
    assert wanted.items() <= call.attributes.items()
    assert call.attributes[names.GEN_AI_USAGE_INPUT_TOKENS] > 50
    record = spans["log.record"].attributes
    assert (record[names.DB_SYSTEM_NAME], record[names.DB_OPERATION_NAME]) == ("sqlite", "record_turn")


def test_turns_of_the_page_are_seen_too(observed: Observed, answered: dict[str, Any]) -> None:
    """Each with the id of its own request, though Gradio works in tasks of its first one; counted like the API's."""
    before = observed.server.metric("chatalogue_turns_total")
    tabs = [Tab(observed.server.url) for _ in range(2)]
    sent = [tab.say(f"a comedy please, {SECRETS[0]}") for tab in tabs]
    for tab in tabs:
        tab.http.close()
    wait_for(lambda: observed.server.metric("chatalogue_turns_total") == before + 2, "two more turns")
    turns = [line for line in lines_of(observed) if line["event"] == "turn"]
    assert [line["request_id"] for line in turns[-2:]] == sent
    assert turns[-1]["session_id"] != turns[-2]["session_id"]


def test_failing_requests_are_told_and_say_nothing_of_anybody(observed: Observed, answered: dict[str, Any]) -> None:
    http = observed.server.http
    assert complete(observed, MESSAGE, metadata={"session_id": f"s_{SECRETS[0]}"}).status_code == 404
    assert http.post("/v1/chat/completions", content=f'{{"{SECRETS[0]}'.encode()).status_code == 400
    assert complete(observed, MESSAGE, {"authorization": f"Bearer {SECRETS[0]}"}).status_code == 401
    assert http.get(f"/v1/users/{SECRETS[1]}/preferences?q={SECRETS[0]}").status_code == 200
    assert http.get(f"/v1/{SECRETS[1]}").status_code == 404
    reaction = {"turn_id": answered["turn_id"], "kind": "thumb_down", "reason": SECRETS[0], "text": MESSAGE}
    assert http.post("/v1/feedback", json=reaction).json()["stored"]
    told = [(line["path"], line["status"]) for line in lines_of(observed) if line["event"] == "request"]
    assert ("/v1/users/{user_id}/preferences", 200) in told
    assert ("/v1/{rest}", 404) in told
    failed = [line for line in lines_of(observed) if line["event"] == "turn_failed"]
    assert failed[-1]["error"] == "NotFound"
    assert observed.server.metric("chatalogue_failed_turns_total", error="NotFound") == 1
    wait_for(
        lambda: any(s.attributes.get(names.HTTP_ROUTE) == "/v1/feedback" for s in observed.collector.spans), "spans"
    )


def test_a_broken_database_tells_no_words_either(observed: Observed, answered: dict[str, Any]) -> None:
    """A table is away: an error that nobody foresaw, in the middle of a turn, of the API and of the page."""
    import sqlite3

    def rename(old: str, new: str) -> None:
        with sqlite3.connect(observed.server.data / "log.sqlite3", timeout=30) as file:
            file.execute(f"ALTER TABLE {old} RENAME TO {new}")
        file.close()

    with sqlite3.connect(observed.server.data / "log.sqlite3", timeout=30) as file:
        tables = {row[0] for row in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    file.close()
    words = next(name for name in ("turn_payload", "turn_payloads", "payload", "payloads") if name in tables)
    rename(words, "gone")
    try:
        assert complete(observed, MESSAGE).status_code >= 500
        tab = Tab(observed.server.url)
        tab.say(MESSAGE)
        tab.http.close()
    finally:
        rename("gone", words)
    assert complete(observed, MESSAGE).status_code == 200
    failed = [line for line in lines_of(observed) if line["event"] == "turn_failed"]
    assert len(failed) >= 3  # with the unknown session before


def test_no_word_of_a_customer_anywhere(observed: Observed, answered: dict[str, Any]) -> None:
    """Last on purpose: over everything that the tests before it said."""
    text = observed.server.logged()
    metrics = observed.server.http.get("/metrics").text
    traces = b"".join(observed.collector.raw)
    assert len(traces) > 1000
    for secret in (*SECRETS, "crime film"):
        assert secret not in text
        assert secret not in metrics
        assert secret.encode() not in traces


def test_metrics_need_the_key(observed: Observed) -> None:
    assert observed.server.http.get("/metrics", headers={"authorization": ""}).status_code == 401
    assert observed.server.http.get("/metrics").status_code == 200
    probes = [line for line in lines_of(observed) if line["event"] == "request" and line["path"] == "/metrics"]
    assert {(line["level"], line["status"]) for line in probes} >= {("debug", 401), ("debug", 200)}
