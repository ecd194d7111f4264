"""A conversation goes to people and comes back, over HTTP with the real conversation; no language model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest
from pydantic import SecretStr
from talking import PLAIN, keeper_of

from agent.api.app import create_api
from agent.conversation import Conversations
from agent.health import PartsHealth
from agent.llm.off import NoEngine
from agent.log.outbox import Outbox
from agent.log.store import EventLog
from agent.observe.chat import ObservedChat
from agent.observe.observer import Observer
from agent.services import Services
from agent.settings import ServerSettings, Settings, SupportSettings
from agent.shop import Shop
from agent.support.handoff.keeping import Handoffs
from agent.support.handoff.machine import Happening
from agent.support.handoff.part import HandoffPart
from agent.support.helpdesk import HelpDesk
from agent.support.hours import OfficeHours

CUSTOMER = {"Authorization": "Bearer a-key-of-the-shop"}
OTHER = {"Authorization": "Bearer another-team-of-the-shop"}
AGENT = {"Authorization": "Bearer a-key-of-the-agents"}
MONDAY_NIGHT = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
MONDAY_NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOURS = OfficeHours.of(("Mon-Fri 09:00-17:30",))

Opener: TypeAlias = Callable[..., AbstractAsyncContextManager["Desk"]]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventLog]:
    opened = EventLog.open(None, tmp_path_factory.mktemp("log"))
    yield opened
    opened.close()


class Desk:
    """A server with a customer and a support agent at it."""

    def __init__(self, http: httpx.AsyncClient, services: Services) -> None:
        self.http, self.services = http, services
        self.session_id: str | None = None

    async def say(self, text: str) -> dict[str, Any]:
        metadata = {"session_id": self.session_id} if self.session_id else {}
        body = {"model": "chatalogue", "messages": [{"role": "user", "content": text}], "metadata": metadata}
        answered = await self.http.post("/v1/chat/completions", json=body, headers=CUSTOMER)
        assert answered.status_code == 200, answered.text
        whole: dict[str, Any] = answered.json()
        self.session_id = whole["chatalogue"]["session_id"]
        return {"text": whole["choices"][0]["message"]["content"], **whole["chatalogue"]}

    async def ask(self, method: str, path: str, who: dict[str, str] = AGENT, **body: object) -> Any:  # noqa: ANN401 - JSON
        path = path.format(s=self.session_id)
        answered = await self.http.request(method, path, json=body or None, headers=who)
        assert answered.status_code == 200, answered.text
        return answered.json()

    async def refused(self, method: str, path: str, who: dict[str, str] = AGENT, **body: object) -> tuple[int, str]:
        answered = await self.http.request(method, path.format(s=self.session_id), json=body or None, headers=who)
        return answered.status_code, answered.json()["error"]["code"]


@pytest.fixture
def desk(film_shop: Shop, log: EventLog, tmp_path: Path) -> Opener:
    @asynccontextmanager
    async def opened(
        mode: str = "on", now: datetime = MONDAY_NOON, hours: OfficeHours | None = None
    ) -> AsyncIterator[Desk]:
        server = ServerSettings(
            api_keys=(SecretStr("a-key-of-the-shop"), SecretStr("another-team-of-the-shop")),
            agent_keys=(SecretStr("a-key-of-the-agents"),),
        )
        support = SupportSettings(handoff=mode)  # type: ignore[arg-type]
        settings = Settings(data_dir=tmp_path, server=server, support=support, **PLAIN)
        observer, engine = Observer(), NoEngine()
        handoffs = Handoffs(log, settings, hours, observer.metrics.handed_over, lambda: now)
        shops = keeper_of(film_shop, log, tmp_path)
        talks = Conversations(settings, log, shops, engine, desk=HelpDesk((HandoffPart(handoffs),)))
        health = PartsHealth("default", shops, log, engine)
        services = Services(
            settings, ObservedChat(talks, observer), health, log, engine, observer,
            handoffs=handoffs, again=talks.again,
        )  # fmt: skip
        transport = httpx.ASGITransport(create_api(services), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            yield Desk(http, services)

    return opened


async def test_the_whole_way(desk: Opener) -> None:
    async with desk() as at:
        shown = await at.say("a comedy under 15 euros")
        assert shown["handoff"] is None
        liked = shown["items"][0]
        accept = {"turn_id": shown["turn_id"], "item_id": liked["id"], "kind": "accept"}
        await at.ask("POST", "/v1/feedback", CUSTOMER, **accept)
        closing = await at.say("Ich möchte bitte mit einem Menschen sprechen")
        assert closing["action"] == "handoff"
        assert closing["handoff"]["state"] == "waiting"
        assert set(closing["handoff"]) == {"state", "reason", "at", "expected"}
        assert "our team" in closing["text"]
        silent = await at.say("hello? my mail is ann@example.com")
        assert (silent["text"], silent["action"], silent["handoff"]["state"]) == ("", "handoff", "waiting")
        assert silent["preferences"] == closing["preferences"]  # nothing was read out of it

        (line,) = [one for one in (await at.ask("GET", "/v1/handoffs"))["data"] if one["session_id"] == at.session_id]
        assert (line["state"], line["reason"], len(line["summary"])) == ("waiting", "asked", 2)
        record = await at.ask("GET", "/v1/handoffs/{s}")
        packet = record["packet"]
        assert packet["open_question"] == "a comedy under 15 euros"
        assert packet["contact"] == ["ann@example.com"]
        assert packet["language"] == "de"
        found = next(item for item in packet["items"] if item["id"] == liked["id"])
        assert (found["reactions"], found["title"]) == (["accept"], liked["title"])
        assert packet["wishes"] == ["Comedy", "under 15.00 EUR"]
        assert packet["tried"][0]["action"] == "recommend"

        taken = await at.ask("POST", "/v1/handoffs/{s}/take", agent="Maria")
        assert (taken["state"], taken["changed"]) == ("human", True)
        assert (await at.ask("POST", "/v1/handoffs/{s}/take", agent="Maria"))["changed"] is False
        assert await at.refused("POST", "/v1/handoffs/{s}/take", agent="Bob") == (409, "handoff_held_by_another")
        await at.ask("POST", "/v1/handoffs/{s}/note", text="sounds nice", agent="Maria")
        await at.ask("POST", "/v1/handoffs/{s}/reply", text="Hello Ann, Maria here.", agent="Maria")
        seen = await at.ask("GET", "/v1/sessions/{s}", CUSTOMER)
        assert (seen["status"], seen["handoff"]["state"]) == ("human", "human")
        assert [(one["role"], one["text"], one["name"]) for one in seen["messages"]] == [
            ("agent", "Hello Ann, Maria here.", "Maria")
        ]
        assert "sounds nice" not in json.dumps(seen)
        assert (await at.say("thank you Maria"))["text"] == ""

        given = await at.ask("POST", "/v1/handoffs/{s}/return", agent="Maria")
        assert (given["state"], given["changed"]) == ("bot", True)
        assert (await at.ask("POST", "/v1/handoffs/{s}/return", agent="Maria"))["changed"] is False
        first = await at.say("something newer")
        assert first["text"].startswith("Our team has given this conversation back to me")
        assert first["handoff"] is None
        assert first["items"]
        assert not (await at.say("something shorter"))["text"].startswith("Our team has")
        trail = (await at.ask("GET", "/v1/handoffs/{s}"))["events"]
        assert [one["kind"] for one in trail] == ["asked", "taken", "noted", "replied", "returned", "said"]
        assert [one["agent"] for one in trail[1:5]] == ["Maria"] * 4
        assert all(one["by"].startswith("key:") for one in trail[1:5])
        assert 'chatalogue_handoffs_total{reason="asked"} 1.0' in at.services.observer.metrics.render().decode()


async def test_the_stream_of_a_silent_turn_keeps_its_form(desk: Opener) -> None:
    async with desk() as at:
        await at.say("talk to a human")
        body = {
            "model": "chatalogue", "messages": [{"role": "user", "content": "anyone?"}], "stream": True,
            "metadata": {"session_id": at.session_id},
        }  # fmt: skip
        answered = await at.http.post("/v1/chat/completions", json=body, headers=CUSTOMER)
        lines = [line[6:] for line in answered.text.splitlines() if line.startswith("data: ")]
        chunks = [json.loads(line) for line in lines[:-1]]
        assert lines[-1] == "[DONE]"
        assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
        assert [chunk["choices"][0]["delta"] for chunk in chunks] == [{"role": "assistant", "content": ""}, {}]
        assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
        assert chunks[-1]["chatalogue"]["handoff"]["state"] == "waiting"


@pytest.mark.parametrize("keeps_silence", [True, False])
async def test_a_client_without_sessions_meets_silence_too(desk: Opener, keeps_silence: bool) -> None:
    """Its history has our empty answer or leaves it out: it is the same conversation."""
    async with desk() as at:

        async def send(messages: list[dict[str, str]]) -> dict[str, Any]:
            body = {"model": "chatalogue", "messages": messages}
            return dict((await at.http.post("/v1/chat/completions", json=body, headers=CUSTOMER)).json())

        messages = [{"role": "user", "content": f"human please ({keeps_silence})"}]
        for text in ("are you there?", "hello??", "a comedy then"):
            answer = await send(messages)
            content = answer["choices"][0]["message"]["content"]
            if content or keeps_silence:
                messages.append({"role": "assistant", "content": content})
            messages.append({"role": "user", "content": text})
        answer = await send(messages)
        assert answer["choices"][0]["message"]["content"] == ""
        assert answer["chatalogue"]["handoff"]["state"] == "waiting"


async def test_the_button_before_any_message(desk: Opener) -> None:
    async with desk() as at:
        sent = {"contact": "ann@example.com", "message": "a refund"}
        begun = await at.ask("POST", "/v1/sessions/new/handoff", CUSTOMER, **sent)
        at.session_id = begun["session_id"]
        assert begun["stored"] is True
        assert begun["handoff"]["state"] == "waiting"
        assert begun["message"]
        again = await at.ask("POST", "/v1/sessions/{s}/handoff", CUSTOMER)
        assert (again["stored"], again["message"]) == (False, "")
        seen = await at.ask("GET", "/v1/sessions/{s}", CUSTOMER)
        assert [(one["role"], one["text"]) for one in seen["messages"]] == [("system", begun["message"])]
        assert "ann@example.com" not in json.dumps(seen)
        record = await at.ask("GET", "/v1/handoffs/{s}")
        assert record["packet"]["contact"] == ["ann@example.com"]
        assert record["packet"]["open_question"] == "a refund"
        assert (await at.say("hello"))["text"] == ""


async def test_the_customer_does_not_wait_any_more(desk: Opener) -> None:
    async with desk() as at:
        await at.say("talk to a human")
        assert (await at.ask("DELETE", "/v1/sessions/{s}/handoff", CUSTOMER))["handoff"] is None
        assert (await at.say("a comedy"))["text"].startswith("All right")
        await at.ask("POST", "/v1/sessions/{s}/handoff", CUSTOMER)
        await at.ask("POST", "/v1/handoffs/{s}/take")
        assert await at.refused("DELETE", "/v1/sessions/{s}/handoff", CUSTOMER) == (409, "handoff_held")


async def test_only_the_team_sees_it_and_only_the_customers_key_asks(desk: Opener) -> None:
    async with desk() as at:
        await at.say("talk to a human")
        for method, path in (
            ("GET", "/v1/handoffs"), ("GET", "/v1/handoffs/{s}"), ("GET", "/v1/handoffs/{s}/suggestion"),
            ("POST", "/v1/handoffs/{s}/take"), ("POST", "/v1/handoffs/{s}/return"), ("POST", "/v1/handoffs/{s}/close"),
        ):  # fmt: skip
            assert await at.refused(method, path, CUSTOMER) == (403, "insufficient_scope")
        assert await at.refused("POST", "/v1/handoffs/{s}/reply", CUSTOMER, text="x") == (403, "insufficient_scope")
        assert await at.refused("POST", "/v1/sessions/{s}/handoff", OTHER) == (404, "not_found")
        assert await at.refused("DELETE", "/v1/sessions/{s}/handoff", OTHER) == (404, "not_found")
        assert await at.refused("POST", "/v1/handoffs/s_guessed/reply", text="x") == (404, "not_found")
        at.session_id = None
        await at.say("a comedy")
        assert await at.refused("GET", "/v1/handoffs/{s}") == (404, "not_found")
        for path in ("take", "return", "close"):
            assert await at.refused("POST", f"/v1/handoffs/{{s}}/{path}") == (409, "handoff_not_handed_over")


async def test_somebody_of_the_team_takes_over_and_closes(desk: Opener) -> None:
    async with desk() as at:
        await at.say("a comedy")
        taken = await at.ask("POST", "/v1/handoffs/{s}/take", take_over=True, agent="Maria")
        assert (taken["state"], taken["number"]) == ("human", 1)
        seen = await at.ask("GET", "/v1/sessions/{s}", CUSTOMER)
        assert [one["role"] for one in seen["messages"]] == ["system"]
        assert (await at.say("oh, hello"))["text"] == ""
        await at.ask("POST", "/v1/handoffs/{s}/close", number=1)
        assert await at.refused("POST", "/v1/handoffs/{s}/reply", text="late") == (409, "handoff_not_handed_over")
        assert (await at.say("a western"))["text"].startswith("Our team has closed your request")


async def test_a_transcript_is_who_said_what_in_order(desk: Opener) -> None:
    async with desk() as at:
        shown = await at.say("a comedy under 15 euros")
        await at.say("talk to a human")
        await at.say("are you there?")
        await at.ask("POST", "/v1/handoffs/{s}/reply", text="Here I am", agent="Maria")
        await at.ask("POST", "/v1/handoffs/{s}/note", text="a nice one", agent="Maria")
        await at.say("thank you")
        found = await at.ask("GET", "/v1/sessions/{s}/transcript", CUSTOMER)
        assert [(one["role"], one["text"]) for one in found["lines"] if one["role"] in ("customer", "agent")] == [
            ("customer", "a comedy under 15 euros"), ("customer", "talk to a human"), ("customer", "are you there?"),
            ("agent", "Here I am"), ("customer", "thank you"),
        ]  # fmt: skip
        assert [one["role"] for one in found["lines"]] == [
            "customer", "bot", "customer", "bot", "customer", "agent", "customer",
        ]  # fmt: skip
        answer = found["lines"][1]
        assert answer["items"] == [item["id"] for item in shown["items"]]
        assert (answer["model"], answer["turn_id"], answer["action"]) == ("none", shown["turn_id"], "recommend")
        assert found["lines"][5]["name"] == "Maria"
        assert found["status"] == "human"
        assert [one["at"] for one in found["lines"]] == sorted(one["at"] for one in found["lines"])
        assert (await at.ask("GET", "/v1/sessions/{s}/transcript", AGENT)) == found
        assert await at.refused("GET", "/v1/sessions/{s}/transcript", OTHER) == (404, "not_found")


async def test_what_the_bot_would_say(desk: Opener) -> None:
    async with desk() as at:
        await at.say("talk to a human")
        assert await at.refused("GET", "/v1/handoffs/{s}/suggestion") == (409, "no_suggestion")
        await at.say("do you have a comedy from 1993?")
        suggestion = await at.ask("GET", "/v1/handoffs/{s}/suggestion")
        assert suggestion["message"] == "do you have a comedy from 1993?"
        assert suggestion["items"]
        assert suggestion["items"][0]["title"] in suggestion["text"]
        assert "answering again" not in suggestion["text"]
        turns = (await at.ask("GET", "/v1/sessions/{s}", CUSTOMER))["turns"]
        assert [turn["reply"] == "" for turn in turns] == [False, True]  # nothing of it was stored


async def test_angry_customers_are_handed_over_with_a_word_of_regret(desk: Opener) -> None:
    async with desk() as at:
        told = await at.say("this is bullshit, you people are thieves")
        assert (told["action"], told["handoff"]["reason"]) == ("handoff", "anger")
        assert told["text"].startswith("I am sorry")


async def test_a_bot_that_goes_on_failing_gives_up(desk: Opener) -> None:
    async with desk() as at:
        said = [await at.say(text) for text in (
            "how long does delivery take?", "do you ship abroad?", "what about returns?", "how do I pay?",
        )]  # fmt: skip
        actions = [one["handoff"] for one in said]
        at_last = next(n for n, handoff in enumerate(actions) if handoff)
        assert at_last == 3  # twice as many as it takes to offer a person
        assert actions[at_last]["reason"] == "doubt"


async def test_outside_of_office_hours_it_says_when(desk: Opener) -> None:
    async with desk(now=MONDAY_NIGHT, hours=HOURS) as at:
        told = await at.say("talk to a human")
        assert "Monday at 09:00" in told["text"]
        assert "e-mail" in told["text"]
        assert told["handoff"]["expected"] == "2026-11-23T09:00:00Z"
        assert (await at.say("ok"))["text"] == ""
    async with desk(now=MONDAY_NOON, hours=HOURS) as at:
        told = await at.say("talk to a human")
        assert "right now" in told["text"]
        assert told["handoff"]["expected"] is None


async def test_switched_off_it_says_so_and_goes_on(desk: Opener) -> None:
    async with desk("off") as at:
        told = await at.say("talk to a human")
        assert (told["action"], told["handoff"]) == ("handoff", None)
        assert "cannot connect you" in told["text"]
        assert (await at.say("a comedy"))["items"]
        assert (await at.say("you people are thieves"))["action"] != "handoff"
        assert await at.refused("POST", "/v1/sessions/{s}/handoff", CUSTOMER) == (409, "handoff_unavailable")
        assert await at.refused("POST", "/v1/sessions/new/handoff", CUSTOMER) == (409, "handoff_unavailable")


async def test_in_office_hours_only(desk: Opener) -> None:
    async with desk("hours_only", MONDAY_NIGHT, HOURS) as at:
        told = await at.say("talk to a human")
        assert told["handoff"] is None
        assert "Monday at 09:00" in told["text"]
        assert (await at.say("a comedy"))["items"]
    async with desk("hours_only", MONDAY_NOON, HOURS) as at:
        assert (await at.say("talk to a human"))["handoff"]["state"] == "waiting"


async def test_two_servers_say_one_closing_line(desk: Opener) -> None:
    """The button on one, the words on the other, at once and again and again: one line, one note."""
    async with desk() as at, desk() as beside:
        await at.say("a comedy")
        beside.session_id = at.session_id
        pressed = [one.ask("POST", "/v1/sessions/{s}/handoff", CUSTOMER) for one in (at, beside)]
        said = [beside.say("talk to a human"), at.say("a human please")]
        answers = await asyncio.gather(*pressed, *said)
        lines = [one.get("text") or one.get("message") for one in answers]
        assert sum(bool(line) for line in lines) == 1
        trail = (await at.ask("GET", "/v1/handoffs/{s}"))["events"]
        assert [one["kind"] for one in trail] == ["asked"]


async def test_a_turn_under_way_is_awaited_and_its_answer_is_the_last(desk: Opener, log: EventLog) -> None:
    async with desk() as at:
        await at.say("a comedy")
        assert at.session_id is not None
        while not log.take_lease("default", at.session_id, "a turn under way"):
            await asyncio.sleep(0.01)  # that of the turn before is being given back
        pressed = asyncio.create_task(at.ask("POST", "/v1/sessions/{s}/handoff", CUSTOMER))
        await asyncio.sleep(0.3)
        assert not pressed.done()
        log.drop_lease(at.session_id, "a turn under way")
        assert (await pressed)["stored"] is True


async def test_teams_are_told_by_webhook(desk: Opener, log: EventLog) -> None:
    outbox = Outbox(log.database)
    endpoint = outbox.add_endpoint(
        "default", "https://desk.example/hook", "desk.example", "s" * 32,
        ["handoff.requested", "handoff.message", "handoff.returned", "handoff.note"],
    )  # fmt: skip
    try:
        async with desk() as at:
            await at.say("talk to a human")
            await at.say("my parcel is lost")
            await at.ask("POST", "/v1/handoffs/{s}/note", text="called the carrier")
            await at.ask("POST", "/v1/handoffs/{s}/return")
            told = [(one.kind, json.loads(one.body)["data"]) for one in outbox.claim(20)]
    finally:
        outbox.remove_endpoint("default", endpoint.id)
    kinds = [kind for kind, _ in told]
    assert sorted(kinds) == ["handoff.message", "handoff.note", "handoff.requested", "handoff.returned"]
    by_kind = dict(told)
    assert by_kind["handoff.requested"]["packet"]["reason"] == "asked"
    assert by_kind["handoff.message"]["text"] == "my parcel is lost"
    assert {data["session_id"] for data in by_kind.values()} == {at.session_id}


async def test_erased_words_are_gone_and_the_trail_stays(desk: Opener, log: EventLog) -> None:
    async with desk() as at:
        sent = {"contact": "x@example.com", "message": "secretword"}
        begun = await at.ask("POST", "/v1/sessions/new/handoff", CUSTOMER, **sent)
        at.session_id = begun["session_id"]
        assert at.services.handoffs is not None
        await at.ask("POST", "/v1/handoffs/{s}/reply", text="secretword as well")
        await at.ask("DELETE", "/v1/sessions/{s}", CUSTOMER)
        entries = at.services.handoffs.trail("default", begun["session_id"]).entries
        assert [entry.kind for entry in entries] == ["asked", "contact", "replied"]
        assert {(entry.text, entry.data, entry.contact) for entry in entries} == {(None, None, None)}
        assert await at.refused("GET", "/v1/handoffs/{s}") == (404, "not_found")
        assert at.session_id not in [one["session_id"] for one in (await at.ask("GET", "/v1/handoffs"))["data"]]


def test_another_tenant_reaches_nothing(log: EventLog) -> None:
    handoffs = Handoffs(log, Settings())
    talk = log.start_conversation("default", "", None)
    handoffs.hand_over("default", talk.id, Happening("asked", "1", reason="button"), "en")
    assert handoffs.trail("other", talk.id).entries == ()
    assert talk.id not in [one.session_id for one in handoffs.waiting("other")]
    assert talk.id in [one.session_id for one in handoffs.waiting("default")]


def test_those_of_one_state_are_found_behind_the_others(log: EventLog) -> None:
    handoffs = Handoffs(log, Settings())
    for n in range(3):
        talk = log.start_conversation("busy", "", None)
        handoffs.hand_over("busy", talk.id, Happening("asked", str(n), reason="button"), "en")
    handoffs.apply("busy", talk.id, Happening("taken", "9", by="key:ab"))
    assert [one.status for one in handoffs.waiting("busy", 2)] == ["waiting", "waiting"]
    assert [one.session_id for one in handoffs.waiting("busy", 2, "human")] == [talk.id]


async def test_without_keys_whoever_is_here_is_the_team(film_shop: Shop, log: EventLog, tmp_path: Path) -> None:
    """But not where agents have keys: then customers come without one."""
    for agents, status in (((), 200), ((SecretStr("a-key-of-the-agents"),), 403)):
        settings = Settings(data_dir=tmp_path, server=ServerSettings(agent_keys=agents), **PLAIN)
        shops = keeper_of(film_shop, log, tmp_path)
        chat, health = Conversations(settings, log, shops, NoEngine()), PartsHealth("default", shops, log, NoEngine())
        app = create_api(Services(settings, chat, health, log, NoEngine()))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http:
            assert (await http.get("/v1/handoffs")).status_code == status


async def test_those_who_wait_for_a_turn_hold_no_thread(log: EventLog, tmp_path: Path) -> None:
    """More of them than there are threads: what the turn needs to end would find none."""
    handoffs = Handoffs(log, Settings(data_dir=tmp_path))
    talk = log.start_conversation("default", "key", None)
    assert log.take_lease("default", talk.id, "a turn under way")
    passed = list[int]()

    async def change(n: int) -> None:
        async with handoffs.between_turns("default", talk.id):
            passed.append(n)

    changes = [asyncio.create_task(change(n)) for n in range(3)]
    with ThreadPoolExecutor(1) as one_thread:
        asyncio.get_running_loop().set_default_executor(one_thread)
        await asyncio.sleep(0.1)
        assert passed == []
        await asyncio.wait_for(asyncio.to_thread(log.drop_lease, talk.id, "a turn under way"), 120)
        await asyncio.gather(*changes)
    assert sorted(passed) == [0, 1, 2]
