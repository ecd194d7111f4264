"""Consent, export and erasure of a named customer over HTTP, on the real log and real files."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from scripted_chat import Server

from agent.adapters import AdapterManifest, BaseIdentity, GateVerdict
from agent.adapters.registry import AdapterRegistry
from agent.datadir import DataDirectory
from agent.llm.protocol import Message, Prompt
from agent.log.adapters import Source
from agent.log.records import Feedback, PastDeed, TurnRecord
from agent.log.store import EventLog
from finetune.memory import ReplayMemory
from finetune.training.lessons import Lesson

PLANTED = "Xenophonverysecret"


def told(http: httpx.Client, user: str, text: str) -> dict[str, str]:
    body = {"model": "chatalogue", "messages": [{"role": "user", "content": text}], "user": user}
    return dict(http.post("/v1/chat/completions", json=body).json()["chatalogue"])


def publish(registry: AdapterRegistry, base: Path, source: Source | None, parent: str | None = None) -> str:
    adapter = registry.reserve()
    base.mkdir(exist_ok=True)
    (base / "adapter_config.json").write_text("{}")
    (base / "adapter_model.safetensors").write_text(adapter)
    if source is not None:
        registry.record_training(adapter, [source])
    manifest = AdapterManifest(
        adapter, parent, BaseIdentity("tiny", "id"), "0" * 64, {}, {}, {}, GateVerdict(True, "A test's."), (), 1,
        int(source is not None), "opt_out", "none", "2026-11-23T01:00:00+00:00",
    )  # fmt: skip
    return registry.publish(manifest, base).id


def on_disk(word: str, folder: Path) -> list[str]:
    """Files that have it, whole and byte by byte: SQLite's free pages and its write-ahead log among them."""
    return [path.name for path in folder.rglob("*") if path.is_file() and word.encode() in path.read_bytes()]


def test_consent_is_shown_changed_and_obeyed(http: httpx.Client, server: Server) -> None:
    path = "/v1/users/cora@example.com"
    answer = told(http, "cora@example.com", "a heist film")
    http.post("/v1/feedback", json={"turn_id": answer["turn_id"], "item_id": "heat", "kind": "accept"})
    nothing = {"user": "cora@example.com", "consent": None, "rule": "opt_out", "learned_from": True}
    assert http.get(f"{path}/export").json().items() >= nothing.items()
    person = server.log.person_id("default", "", "cora@example.com")
    assert len(server.log.deeds("default", "opt_out", person)) == 1
    said = http.patch(f"{path}/consent", json={"consent": False})
    assert said.status_code == 200
    assert said.json() == nothing | {"consent": False, "learned_from": False, "adapters": []}
    assert http.get(f"{path}/export").json()["consent"] is False
    assert server.log.deeds("default", "opt_out", person) == ()
    assert http.patch(f"{path}/consent", json={"consent": True}).json()["learned_from"] is True
    assert len(server.log.deeds("default", "opt_in", person)) == 1


@pytest.mark.parametrize("body", [{}, {"consent": None}, {"consent": "yes"}, {"consent": 1}, []])
def test_bad_consent(http: httpx.Client, body: object) -> None:
    response = http.patch("/v1/users/dora/consent", json=body)
    assert response.status_code == 400
    assert isinstance(response.json()["error"]["code"], str)
    assert http.get("/v1/users/dora/export").json()["consent"] is None


def test_the_export_has_everything(http: httpx.Client, server: Server) -> None:
    user = "elsa@example.com"
    http.patch(f"/v1/users/{user}/preferences", json={"add": [{"op": "about", "value": "trains"}]})
    answer = told(http, user, "a film with trains")
    reaction = {
        "turn_id": answer["turn_id"],
        "item_id": "heat",
        "kind": "reject",
        "reason": "price",
        "text": "too dear",
    }
    http.post("/v1/feedback", json=reaction)
    http.post("/v1/events", json={"kind": "view", "item_id": "heat", "user": user, "data": {"page": "home"}})
    server.log.record_past("default", "", [PastDeed(user, "heat", "rating", 4.0)])
    export = http.get(f"/v1/users/{user}/export").json()
    assert [wish["value"] for wish in export["preferences"]] == ["trains"]
    ((turn,),) = (session["turns"] for session in export["sessions"])
    assert (turn["message"], turn["items"]) == ("a film with trains", ["heat"])
    events = {one["kind"]: one for one in export["events"]}
    assert (events["reject"]["text"], events["reject"]["turn_id"]) == ("too dear", answer["turn_id"])
    assert events["view"]["data"] == {"page": "home"}
    assert (events["imported"]["of"], events["imported"]["value"]) == ("rating", 4.0)
    assert export["since"] is not None
    unknown = http.get("/v1/users/nobody@example.com/export").json()
    assert (unknown["since"], unknown["sessions"], unknown["events"]) == (None, [], [])


def test_the_export_has_what_they_wrote_for_the_team(http: httpx.Client) -> None:
    asked = {"user": "hugo@example.com", "message": "My parcel is lost.", "contact": "+49 30 1234"}
    session = http.post("/v1/sessions/new/handoff", json=asked).json()["session_id"]
    http.post(f"/v1/handoffs/{session}/note", json={"text": "called the carrier"})
    export = http.get("/v1/users/hugo@example.com/export")
    told = [(one["session_id"], one["kind"], one["message"], one["contact"]) for one in export.json()["handoffs"]]
    assert told == [(session, "asked", None, None), (session, "contact", asked["message"], asked["contact"])]
    assert "carrier" not in export.text


def test_nothing_of_an_erased_customer_is_left_in_any_file(http: httpx.Client, server: Server, data_dir: Path) -> None:
    user, log = f"{PLANTED}@example.com", server.log
    http.patch(f"/v1/users/{user}/preferences", json={"add": [{"op": "about", "value": f"{PLANTED} wishes"}]})
    answers = [told(http, user, f"a film for {PLANTED} {n}") for n in range(3)]
    for answer in answers:
        reaction = {"turn_id": answer["turn_id"], "item_id": "heat", "kind": "accept", "text": PLANTED * 50}
        http.post("/v1/feedback", json=reaction)
    http.post("/v1/events", json={"kind": "view", "item_id": "heat", "user": user, "data": {"who": PLANTED}})
    log.record_past("default", "", [PastDeed(user, "heat", "rating", 4.0)])
    session = answers[0]["session_id"]
    prefix = f"hash-of-{PLANTED}"
    turn = TurnRecord("default", session, log.new_turn_id("default"), 9, PLANTED, PLANTED, "recommend", "recommend",
                      "en", "m", prefix_hash=prefix, trace={"x": PLANTED})  # fmt: skip
    log.record_turn(turn)
    kept = told(http, "keeper", "a film that stays")
    http.post("/v1/feedback", json={"turn_id": kept["turn_id"], "item_id": "heat", "kind": "accept"})
    person = str(log.person_id("default", "", user))
    pseudonym, name_hash = log.pseudonym("default", person), _name_hash(log, person)
    for file in (data_dir / "exported.jsonl", data_dir / "exports" / "deep" / "more.jsonl"):
        file.parent.mkdir(parents=True, exist_ok=True)
        rows = [{"user": one, "turn_id": "t", "events": [], "prompt": one} for one in ("other", pseudonym)]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = DataDirectory(data_dir).runs("default") / "ada-000077"
    run.mkdir(parents=True)
    (run / "job.json").write_text('{"state": "training"}')
    (run / "rows.jsonl").write_text(json.dumps({"user": pseudonym, "prompt": PLANTED}) + "\n")
    memory = ReplayMemory()
    memory.offer(
        Lesson(f"{one} {n}", "sft", Prompt((Message("user", one),)), (one,), user=one, events=(f"e_{one}",))
        for one in ("other", pseudonym)
        for n in range(3)
    )
    memory.save(DataDirectory(data_dir).memory("default"))
    registry = AdapterRegistry(DataDirectory(data_dir), log, "default")
    old = publish(registry, data_dir / "trained", Source(person, session))
    child = publish(registry, data_dir / "trained", Source("p_other"), parent=old)
    publish(registry, data_dir / "trained", Source("p_other"))  # a refit
    registry.promote(child)
    planted = (PLANTED, person, pseudonym, name_hash)
    assert all(on_disk(one, data_dir) for one in planted)

    erased = http.delete(f"/v1/users/{user}").json()
    assert (erased["deleted"], erased["sessions"]) == (True, 3)
    assert [(one["id"], one["state"], one["through"]) for one in erased["adapters"]] == [
        (old, "candidate", None), (child, "champion", old),
    ]  # fmt: skip
    assert f"{old} (candidate), {child} (champion)" in erased["left"]
    assert {one: on_disk(one, data_dir) for one in planted} == dict.fromkeys(planted, [])
    assert on_disk("a film that stays", data_dir)
    assert "other" in (data_dir / "exported.jsonl").read_text()
    assert not run.exists()
    assert len(ReplayMemory.load(DataDirectory(data_dir).memory("default"))) == 3
    counts = registry.sources()[old]
    assert (counts.customers, counts.erased_customers) == (1, 1)
    for one in answers:
        assert http.get(f"/v1/sessions/{one['session_id']}").status_code == 404
    assert http.get(f"/v1/users/{user}/export").json()["since"] is None
    deeds = log.deeds("default", "opt_out")
    assert kept["session_id"] in {one.session_id for one in deeds}
    assert not {one["session_id"] for one in answers} & {one.session_id for one in deeds}
    assert all(one.kind != "rating" or one.customer != person for one in deeds)
    assert http.delete(f"/v1/users/{user}").json()["left"] == "Nothing is stored of this user."
    assert told(http, user, "hello again")["session_id"] not in {one["session_id"] for one in answers}


def _name_hash(log: EventLog, person: str) -> str:
    from sqlalchemy import text

    with log._database._engine.connect() as connection:
        return str(connection.execute(text("select name_hash from person where id = :id"), {"id": person}).scalar())


def test_an_erased_conversation_is_forgotten_by_trainings(http: httpx.Client, server: Server, data_dir: Path) -> None:
    answer = told(http, "fay@example.com", "a heist film")
    person = str(server.log.person_id("default", "", "fay@example.com"))
    file = data_dir / "of-fay.jsonl"
    row = {"user": server.log.pseudonym("default", person), "turn_id": "t", "events": []}
    file.write_text(json.dumps(row) + "\n")
    http.delete(f"/v1/sessions/{answer['session_id']}")
    assert file.read_text() == ""


async def test_a_visitor_of_the_page_is_erased_with_any_key(fresh: object, event_log: EventLog) -> None:
    ask = {"model": "chatalogue", "messages": [{"role": "user", "content": "a heist film"}], "user": "visitor:abc"}
    headers = {"authorization": "Bearer shop"}
    path = "/v1/users/visitor:abc"
    async with fresh("shop") as http:  # type: ignore[operator]
        nobody = (await http.patch(f"{path}/consent", json={"consent": False}, headers=headers)).json()
        assert nobody["consent"] is False
        assert event_log.person_id("default", "", "visitor:abc") is None, "only who has come to the page is known there"
        talk = event_log.start_conversation("default", "", "visitor:abc")
        by_key = (await http.post("/v1/chat/completions", json=ask, headers=headers)).json()["chatalogue"]["session_id"]
        await http.patch(f"{path}/consent", json={"consent": False}, headers=headers)
        assert event_log.consent("default", "", "visitor:abc") is False
        export = (await http.get(f"{path}/export", headers=headers)).json()
        assert {one["id"] for one in export["sessions"]} == {talk.id, by_key}
        assert (await http.delete(path, headers=headers)).json()["sessions"] == 2
        assert event_log.person_id("default", "", "visitor:abc") is None
        assert (await http.get(f"{path}/export", headers=headers)).json()["since"] is None
        named = event_log.start_conversation("default", "", "somebody")
        assert (await http.delete("/v1/users/somebody", headers=headers)).json()["sessions"] == 0
        assert event_log.conversation("default", named.id).person_id == named.person_id


# --- support agents ---


async def test_only_an_agents_key_makes_an_agents_correction(fresh: object, event_log: EventLog) -> None:
    ask = {"model": "chatalogue", "messages": [{"role": "user", "content": "a heist film"}]}
    shop, agent, other = ({"authorization": f"Bearer {key}"} for key in ("shop", "agent", "other"))
    async with fresh("shop", "other", agents=("agent",)) as http:  # type: ignore[operator]
        answer = (await http.post("/v1/chat/completions", json=ask, headers=shop)).json()["chatalogue"]
        correction = {"turn_id": answer["turn_id"], "kind": "correct", "text": "Say this."}
        claims = {"by_agent": True, "role": "agent", "of": "agent"}
        for claim, value in claims.items():  # nothing in a body makes an agent
            response = await http.post("/v1/feedback", json=correction | {claim: value}, headers=shop)
            assert response.status_code == (400 if claim == "of" else 200)
        assert (await http.post("/v1/feedback", json=correction, headers=other)).status_code == 404
        edit = await http.post("/v1/feedback", json=correction | {"text": "No, this."}, headers=agent)
        assert edit.json()["stored"] is True
        again = await http.post("/v1/feedback", json=correction, headers=agent)
        assert again.json() == {"stored": False, "event_id": edit.json()["event_id"]}
        thumb = {"turn_id": answer["turn_id"], "kind": "thumb_down"}
        assert (await http.post("/v1/feedback", json=thumb, headers=agent)).json()["stored"] is True
        bought = {"turn_id": answer["turn_id"], "kind": "buy", "item_id": "heat"}
        refused = await http.post("/v1/feedback", json=bought, headers=agent)
        assert (refused.status_code, "support agent" in refused.json()["error"]["message"]) == (400, True)
        (talk,) = event_log.feedback_talks("default", [answer["session_id"]], "opt_out")
        assert [(one.text, one.by_agent) for one in talk.given] == [("Say this.", False), ("No, this.", True)]
        assert [(one.turn_id, one.good) for one in talk.labels] == [(answer["turn_id"], False)]
        withdrawn = {"turn_id": answer["turn_id"], "kind": "withdraw", "of": "thumb_down"}
        assert (await http.post("/v1/feedback", json=withdrawn, headers=agent)).json()["stored"] is True
        back = {"turn_id": answer["turn_id"], "kind": "withdraw", "of": "correct"}
        assert (await http.post("/v1/feedback", json=back, headers=agent)).json()["stored"] is True
        (talk,) = event_log.feedback_talks("default", [answer["session_id"]], "opt_out")
        assert [(one.text, one.by_agent) for one in talk.given] == [("Say this.", False)]
        assert (await http.get("/v1/models", headers={"authorization": "Bearer wrong"})).status_code == 401


def test_withdrawn_undone_and_disowned_events_cannot_be_learned_from(event_log: EventLog) -> None:
    log, talk = event_log, event_log.start_conversation("default", "", "gus")
    turn = TurnRecord("default", talk.id, log.new_turn_id("default"), 1, "m", "r", "recommend", "recommend", "en", "m")
    log.record_turn(turn)
    given = [log.record_feedback("default", "", Feedback(turn.turn_id, kind)).event_id or "" for kind in
             ("thumb_up", "correct", "accept")]  # fmt: skip
    label = log.record_label("default", given[2], good=False)
    everything = [*given, label, "e_unknown"]
    assert log.learnable("default", everything, "opt_out").keys() == {given[0], given[1], label}
    assert {one.customer for one in log.learnable("default", everything, "opt_out").values()} == {talk.person_id}
    log.record_feedback("default", "", Feedback(turn.turn_id, "withdraw", of="thumb_up"))
    assert log.learnable("default", everything, "opt_out").keys() == {given[1], label}
    assert log.learnable("default", everything, "opt_in") == {}
    log.undo_turn("default", turn.turn_id)
    assert log.learnable("default", everything, "opt_out").keys() == {label}
    log.record_consent("default", "", "gus", consent=False)
    assert log.learnable("default", everything, "opt_out") == {}
