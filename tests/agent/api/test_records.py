"""Feedback, events, wishes, conversations and traces over HTTP, on the real log."""

from __future__ import annotations

import httpx
import pytest
from scripted_chat import Server

from agent.log.records import TurnRecord

ASKED = {"model": "chatalogue", "messages": [{"role": "user", "content": "a heist film"}]}


@pytest.fixture
def answer(http: httpx.Client) -> dict[str, str]:
    return dict(http.post("/v1/chat/completions", json=ASKED).json()["chatalogue"])


def test_feedback_is_stored_once(http: httpx.Client, answer: dict[str, str]) -> None:
    reaction = {"turn_id": answer["turn_id"], "item_id": "heat", "kind": "accept", "reason": "price"}
    first, again = (http.post("/v1/feedback", json=reaction).json() for _ in range(2))
    assert first["stored"] is True
    assert again == {"stored": False, "event_id": first["event_id"]}
    (turn,) = http.get(f"/v1/sessions/{answer['session_id']}").json()["turns"]
    assert turn["items"] == ["heat"]
    assert turn["reactions"] == [{"item_id": "heat", "kind": "accept", "reason": "price"}]
    withdrawal = {"turn_id": answer["turn_id"], "item_id": "heat", "kind": "withdraw", "of": "accept"}
    assert http.post("/v1/feedback", json=withdrawal).json()["stored"] is True
    (turn,) = http.get(f"/v1/sessions/{answer['session_id']}").json()["turns"]
    assert turn["reactions"] == []


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"turn_id": "t_made_up"}, 404),
        ({"item_id": "not-shown"}, 404),
        ({"kind": "love"}, 400),
        ({"kind": "withdraw"}, 400),
        ({"kind": "withdraw", "of": "love"}, 400),
        ({"text": 5}, 400),
        ({"turn_id": None}, 400),
    ],
)
def test_bad_feedback(http: httpx.Client, answer: dict[str, str], change: dict[str, object], status: int) -> None:
    reaction = {"turn_id": answer["turn_id"], "item_id": "heat", "kind": "accept"} | change
    response = http.post("/v1/feedback", json=reaction)
    assert response.status_code == status
    assert isinstance(response.json()["error"]["code"], str)


def test_events_from_outside(http: httpx.Client, answer: dict[str, str]) -> None:
    seen = {"kind": "dwell", "item_id": "heat", "turn_id": answer["turn_id"], "value": 12, "at": "2025-01-31T12:00:00Z"}
    assert http.post("/v1/events", json=seen).json()["event_id"].startswith("e_")
    for bad in ({"kind": "sneeze"}, {"at": "2026-01-31T12:00:00"}, {"value": "much"}):
        assert http.post("/v1/events", json=seen | bad).status_code == 400
    assert http.post("/v1/events", json=seen | {"turn_id": "t_x"}).status_code == 404


@pytest.mark.parametrize(
    "at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1999-12-31T23:59:59Z", "2999-01-01T00:00:00Z"]
)
def test_events_happened_lately(http: httpx.Client, at: str) -> None:
    response = http.post("/v1/events", json={"kind": "view", "item_id": "heat", "at": at})
    assert response.status_code == 400
    assert "'at' is not between 2000-01-01 and tomorrow" in response.json()["error"]["message"]


def test_the_language_of_a_conversation_is_that_of_its_last_turn(server: Server, http: httpx.Client) -> None:
    conversation = server.log.start_conversation("default", "", None)
    record = TurnRecord(
        "default", conversation.id, server.log.new_turn_id("default"), 1, "m", "r", "recommend", "recommend", "zh", "m"
    )
    server.log.record_turn(record)
    assert http.get(f"/v1/sessions/{conversation.id}").json()["language"] == "zh"


def test_trace(http: httpx.Client, answer: dict[str, str]) -> None:
    trace = http.get(f"/v1/turns/{answer['turn_id']}/trace").json()
    assert trace["turn_id"] == answer["turn_id"]
    assert trace["session_id"] == answer["session_id"]
    assert trace["message"] == "a heist film"
    assert trace["undone"] is False
    assert trace["shown"][0]["item_id"] == "heat"
    assert trace["shown"][0]["log_propensity"] == -0.1
    assert trace["answer"]["items"][0]["title"] == "Heat"
    assert http.get("/v1/turns/t_unknown/trace").status_code == 404


def test_sessions_are_erased(http: httpx.Client, answer: dict[str, str]) -> None:
    path = f"/v1/sessions/{answer['session_id']}"
    assert http.get(path).json()["turns"][0]["answer"]["turn_id"] == answer["turn_id"]
    assert http.delete(path).json() == {"id": answer["session_id"], "object": "session", "deleted": True}
    for response in (http.get(path), http.delete(path), http.get(f"/v1/turns/{answer['turn_id']}/trace")):
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "not_found"


def test_preferences(http: httpx.Client) -> None:
    path = "/v1/users/ann@example.com/preferences"
    assert http.get(path).json() == {"user": "ann@example.com", "preferences": []}
    added = [
        {"kind": "hard", "attribute": "genre", "value": ["comedy", "crime"], "polarity": "negative"},
        {"attribute": "price", "op": "le", "value": 20, "evidence": "under 20"},
        {"op": "about", "value": "trains"},
    ]
    genre, price, about = http.patch(path, json={"add": added}).json()["preferences"]
    assert (genre["kind"], genre["value"], genre["polarity"]) == ("hard", ["comedy", "crime"], "negative")
    assert (price["op"], price["value"], price["evidence"], price["turn"]) == ("le", 20.0, "under 20", 0)
    assert (about["attribute"], about["value"]) == (None, "trains")
    left = http.patch(
        path, json={"remove": [genre["id"]], "add": [{"attribute": "price", "op": "le", "value": 9}]}
    ).json()
    assert [wish["value"] for wish in left["preferences"]] == ["trains", 9.0]
    assert http.get(path).json() == left
    assert http.patch(path, json={"remove": [genre["id"]]}).status_code == 404
    assert http.get(path).json() == left
    assert http.delete(path).json() == {"user": "ann@example.com", "deleted": True}
    assert http.get(path).json()["preferences"] == []


def test_stored_wishes_need_no_catalogue(http: httpx.Client) -> None:
    path = "/v1/users/too-early/preferences"
    (wish,) = http.patch(path, json={"add": [{"op": "about", "value": "trains"}]}).json()["preferences"]
    assert http.get(path).json()["preferences"] == [wish]


@pytest.mark.parametrize(
    ("wish", "param"),
    [
        ({}, "add[0].value"),
        ({"attribute": "genre", "value": True}, None),
        ({"attribute": "genre", "value": []}, None),
        ({"attribute": "genre", "value": {"a": 1}}, None),
        ({"attribute": "price", "op": "le", "value": "cheap"}, "add[0]"),
        ({"attribute": "price", "op": "le", "value": [1, 2]}, "add[0]"),
        ({"attribute": 5, "value": "x"}, "add[0].attribute"),
        ({"op": "eq", "value": "x"}, "add[0]"),
        ({"op": "about", "value": 5}, "add[0]"),
        ({"op": "like", "attribute": "title", "value": "heat"}, "add[0]"),
        ({"op": "near", "attribute": "a", "value": "x"}, "add[0].op"),
    ],
)
def test_bad_preferences(http: httpx.Client, wish: dict[str, object], param: str | None) -> None:
    response = http.patch("/v1/users/bea/preferences", json={"add": [wish]})
    assert response.status_code == 400
    if param is not None:
        assert response.json()["error"]["param"] == param
    assert http.get("/v1/users/bea/preferences").json()["preferences"] == []
