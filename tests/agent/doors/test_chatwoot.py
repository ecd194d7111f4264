"""The door for Chatwoot: signed webhooks in, replies and notes by its API, over the real conversation; no model."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest
from pydantic import SecretStr
from real_shop import KEY, real_services

from agent.answer import Update
from agent.api.app import create_api
from agent.doors import answering
from agent.doors.answering import InboxAnswerer, customer_of
from agent.doors.chatwoot import Chatwoot, ChatwootEvent, is_private, told_by
from agent.log import events
from agent.log.inbox import PAUSES_SECONDS, Inbox
from agent.log.store import EventLog
from agent.services import Services, TurnRequest
from agent.settings import ChatwootSettings, SupportSettings
from agent.shop import Shop
from retrieval.errors import IndexUnavailable, SettingsError

SECRET = "the bot's own secret"  # noqa: S105 - of this test
SETTINGS = ChatwootSettings(url="https://desk.example", token=SecretStr("bot-token"), secret=SecretStr(SECRET))
TALK = "/api/v1/accounts/1/conversations/18"


@dataclass
class FakeChatwoot:
    """One account: the statuses of its conversations and every call that was made."""

    status: str = "pending"
    may_read: bool = False  # the token of a bot may not
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    broken: int = 0

    async def answer(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["api_access_token"] == SETTINGS.token.get_secret_value()
        if request.method == "GET":
            return httpx.Response(200, json={"status": self.status}) if self.may_read else httpx.Response(401)
        if self.broken:
            self.broken -= 1
            return httpx.Response(502)
        body = json.loads(request.content)
        self.calls.append((request.url.path, body))
        if request.url.path.endswith("toggle_status"):
            self.status = body["status"]
        return httpx.Response(200, json={})

    @property
    def said(self) -> list[str]:
        """What the customer sees."""
        return [body["content"] for path, body in self.calls if path.endswith("/messages") and not body["private"]]

    @property
    def notes(self) -> list[str]:
        return [body["content"] for path, body in self.calls if path.endswith("/messages") and body["private"]]


class Door:
    """Our server and a Chatwoot beside it."""

    def __init__(self, http: httpx.AsyncClient, services: Services, theirs: FakeChatwoot, chatwoot: Chatwoot) -> None:
        self.http, self.services, self.theirs = http, services, theirs
        self.answerer = InboxAnswerer(services, chatwoot)
        self.messages = 70

    async def send(self, event: dict[str, Any], **more: str) -> httpx.Response:
        body = json.dumps(event).encode()
        return await self.http.post("/webhooks/chatwoot", content=body, headers=signed(body) | more)

    async def says(self, text: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        self.messages += 1
        event = message(text, self.messages, self.theirs.status) | more
        assert (await self.send(event)).json() == {"received": True}
        return event

    async def answered(self) -> None:
        while await self.answerer.answer_due():
            pass

    def trail(self) -> list[str]:
        talk = Inbox(self.services.log).talk("default", "chatwoot/1/18")
        assert talk is not None
        assert self.services.handoffs is not None
        return [entry.kind for entry in self.services.handoffs.trail("default", talk.session_id).entries]


Opener: TypeAlias = Callable[..., AbstractAsyncContextManager[Door]]


def message(text: str, number: int, status: str = "pending") -> dict[str, Any]:
    """As Chatwoot sends what a customer wrote."""
    return {
        "event": "message_created",
        "id": number,
        "content": text,
        "message_type": "incoming",
        "private": False,
        "account": {"id": 1, "name": "Reel Shop"},
        "conversation": {"id": 18, "status": status, "meta": {"sender": {"id": 10}}, "messages": [{"account_id": 1}]},
        "sender": {"id": 10, "name": "Ann"},
    }


def of_agent(text: str, number: int, status: str) -> dict[str, Any]:
    who = {"id": 3, "name": "Maria", "type": "user"}
    return message(text, number, status) | {"message_type": "outgoing", "sender": who}


def of_talk(event: str, status: str) -> dict[str, Any]:
    return {"event": event, "id": 18, "status": status, "messages": [{"account_id": 1}]}


def signed(body: bytes, *, secret: str = SECRET, age: float = 0) -> dict[str, str]:
    stamp = str(int(time.time() - age))
    mac = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {"x-chatwoot-signature": f"sha256={mac}", "x-chatwoot-timestamp": stamp, "x-chatwoot-delivery": stamp + mac}


@pytest.fixture
def door(film_shop: Shop, tmp_path: Path) -> Opener:
    @asynccontextmanager
    async def opened(chatwoot: ChatwootSettings = SETTINGS) -> AsyncIterator[Door]:
        log = EventLog.open(None, tmp_path)
        services = real_services(film_shop, log, tmp_path, KEY, support=SupportSettings(chatwoot=chatwoot))
        theirs = FakeChatwoot()
        client = Chatwoot(SETTINGS, httpx.MockTransport(theirs.answer))
        transport = httpx.ASGITransport(create_api(services), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            yield Door(http, services, theirs, client)
        await client.close()
        log.close()

    return opened


async def test_a_message_is_answered_over_there(door: Opener) -> None:
    async with door() as at:
        await at.says("a comedy under 15 euros")
        assert at.theirs.calls == []  # acknowledged before anything was thought of
        await at.answered()
        (reply,) = at.theirs.said
        assert at.theirs.calls[0][0] == f"{TALK}/messages"
        assert "1." in reply
        assert "EUR" in reply
        await at.says("cheaper")
        await at.answered()
        assert len(at.theirs.said) == 2  # the same conversation goes on
        user = customer_of(1, 10)
        bearer = {"Authorization": f"Bearer {KEY}"}
        export = (await at.http.get(f"/v1/users/{user}/export", headers=bearer)).json()
        assert [turn["message"] for turn in export["sessions"][0]["turns"]] == ["a comedy under 15 euros", "cheaper"]
        erased = (await at.http.delete(f"/v1/users/{user}", headers=bearer)).json()
        assert erased["sessions"] == 1
        await at.says("a western")
        await at.answered()
        assert len(at.theirs.said) == 3  # somebody new


async def test_the_same_delivery_twice_is_one_reply(door: Opener) -> None:
    async with door() as at:
        event = await at.says("a comedy")
        assert (await at.send(event)).json() == {"received": False}
        await at.answered()
        assert (await at.send(event)).json() == {"received": False}
        await at.answered()
        assert len(at.theirs.said) == 1


async def test_a_slow_engine_is_acknowledged_at_once(door: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    async with door() as at:
        begun, go_on = asyncio.Event(), asyncio.Event()
        quick = at.services.chat

        class Slow:
            async def turn(self, request: TurnRequest) -> AsyncIterator[Update]:
                begun.set()
                await go_on.wait()
                async for update in quick.turn(request):
                    yield update

        at.answerer._services = replace(at.services, chat=Slow())  # type: ignore[arg-type]  # what is asked of it
        await at.says("a comedy")
        running = asyncio.create_task(at.answered())
        await begun.wait()
        await asyncio.wait_for(at.says("and a western"), 60)  # the engine does not go on before
        go_on.set()
        await running
        assert len(at.theirs.said) == 2


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"secret": "another"},
        {"age": 301},
        {"age": -400},
        {"x-chatwoot-timestamp": "yesterday"},
        {"x-chatwoot-signature": "sha256=é"},
    ],
    ids=["none", "another secret", "old", "of the future", "no time", "no hex"],
)
async def test_a_bad_signature_is_401(door: Opener, headers: dict[str, Any]) -> None:
    async with door() as at:
        body = json.dumps(message("a comedy", 1)).encode()
        made = {name: headers[name] for name in ("secret", "age") if name in headers}
        sent = signed(body, **made) | {name: headers[name] for name in headers if name.startswith("x-")}
        found = await at.http.post(
            "/webhooks/chatwoot", content=body, headers={k: v.encode() for k, v in sent.items()} if headers else {}
        )
        assert (found.status_code, found.json()["error"]["code"]) == (401, "invalid_signature")
        changed = await at.http.post("/webhooks/chatwoot", content=body + b" ", headers=signed(body))
        assert changed.status_code == 401
        assert await at.answerer.answer_due() == 0


async def test_a_handoff_is_one_closing_line_and_one_private_note(door: Opener) -> None:
    async with door() as at:
        await at.says("a comedy under 15 euros")
        await at.answered()
        first = await at.says("I want to talk to a human, my mail is ann@example.com")
        second = await at.says("hello?")  # sent while it is still pending over there
        await at.answered()
        (_, line), (note,) = at.theirs.said, at.theirs.notes
        assert "our team" in line
        assert "a comedy under 15 euros" in note
        assert "under 15.00 EUR" in note
        assert "ann@example.com" in note
        assert "ann@example.com" not in line
        assert at.theirs.status == "open"
        assert [path.rsplit("/", 1)[1] for path, _ in at.theirs.calls[-3:]] == ["messages", "messages", "toggle_status"]
        for event in (first, second, of_talk("conversation_opened", "open")):
            await at.send(event)
        await at.says("is anybody there?")
        await at.answered()
        assert len(at.theirs.calls) == 4


async def test_given_back_the_bot_answers_and_says_so(door: Opener) -> None:
    async with door() as at:
        await at.says("talk to a human")
        await at.answered()
        await at.send(of_agent("Hello, this is Maria", 200, "open"))
        await at.says("thank you")
        await at.answered()
        n_said = len(at.theirs.said)
        at.theirs.status = "pending"
        await at.says("a comedy")
        await at.answered()
        assert len(at.theirs.said) == n_said + 1
        assert "answering again" in at.theirs.said[-1]
        assert at.trail() == ["asked", "replied", "returned", "said"]
        await at.says("talk to a human")
        await at.answered()
        assert len(at.theirs.notes) == 2
        await at.send(of_talk("conversation_resolved", "resolved"))
        at.theirs.status = "pending"
        await at.says("a western")
        await at.answered()
        assert "closed your request" in at.theirs.said[-1]


async def test_the_customer_takes_it_back_while_nobody_has_it(door: Opener) -> None:
    async with door() as at:
        await at.says("talk to a human")
        await at.answered()
        await at.says("back to the bot")
        await at.answered()
        assert at.theirs.status == "pending"
        assert "answering again" in at.theirs.said[-1]
        await at.says("a comedy")
        await at.answered()
        assert len(at.theirs.said) == 3
        await at.says("talk to a human")
        await at.answered()
        await at.send(of_agent("Hello, this is Maria", 202, "open"))
        await at.says("back to the bot")
        await at.answered()
        assert (at.theirs.status, len(at.theirs.said)) == ("open", 4)  # somebody has it


async def test_no_reply_after_a_human_took_over(door: Opener) -> None:
    """They wrote, opened it, or have it by the status, before, while and after the bot thinks."""
    async with door() as at:
        await at.says("a comedy")
        await at.answered()
        await at.says("a western")
        await at.send(of_agent("Let me help", 201, "pending"))  # while the message waits
        await at.answered()
        assert len(at.theirs.said) == 1
        assert at.theirs.status == "open"  # else nobody could tell that people have it
        await at.says("thanks")
        await at.answered()
        assert len(at.theirs.said) == 1
        assert at.trail() == ["taken_over", "replied"]


async def test_the_status_is_looked_at_just_before_the_words_go_out(door: Opener) -> None:
    async with door() as at:
        at.theirs.may_read = True
        await at.says("a comedy")
        at.theirs.status = "open"  # no webhook told of it yet
        await at.answered()
        assert at.theirs.calls == []
        assert at.trail() == ["taken_over"]


async def test_a_conversation_that_was_never_the_bots_is_left_alone(door: Opener) -> None:
    async with door() as at:
        await at.says("hello", conversation={"id": 18, "status": "open"})
        await at.send(of_agent("Hi", 5, "open"))
        for event in (of_talk("conversation_opened", "open"), of_talk("conversation_resolved", "resolved")):
            await at.send(event)
        await at.answered()
        assert at.theirs.calls == []
        for event in (
            message("note", 9) | {"private": True},
            message("ours", 10) | {"message_type": "outgoing", "sender": {"type": "agent_bot"}},
            message("text", 11) | {"event": "message_updated"},
            {"event": "webwidget_triggered"},
        ):
            assert (await at.send(event)).json() == {"received": False}


async def test_what_fails_goes_on_where_it_stopped(door: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    async with door() as at:
        monkeypatch.setattr("agent.log.inbox.PAUSES_SECONDS", (0, 0, 0, 0))
        await at.says("talk to a human")
        said = at.theirs.answer

        async def breaks_after_the_line(request: httpx.Request) -> httpx.Response:
            at.theirs.broken = 2 if len(at.theirs.calls) == 1 and not at.theirs.notes and not tried else 0
            if at.theirs.broken:
                tried.append(1)
            return await said(request)

        tried: list[int] = []
        at.answerer._chatwoot = Chatwoot(SETTINGS, httpx.MockTransport(breaks_after_the_line))
        await at.answered()
        assert tried
        assert (len(at.theirs.said), len(at.theirs.notes), at.theirs.status) == (1, 1, "open")


async def test_a_customer_without_an_answer_is_peoples_business(door: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    async with door() as at:
        monkeypatch.setattr("agent.log.inbox.PAUSES_SECONDS", (0,) * len(PAUSES_SECONDS))

        class Broken:
            async def turn(self, request: TurnRequest) -> AsyncIterator[Update]:
                raise IndexUnavailable("There is nothing to search.")
                yield

        at.answerer._services = replace(at.services, chat=Broken())  # type: ignore[arg-type]
        await at.says("a comedy")
        await at.answered()
        assert (at.theirs.said, at.theirs.status) == ([], "open")
        assert await at.answerer.answer_due() == 0  # given up


async def test_a_process_that_dies_leaves_it_to_another(door: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    async with door() as at:
        await at.says("a comedy")
        assert len(Inbox(at.services.log).claim(8)) == 1  # and then it died
        await at.answered()
        assert at.theirs.said == []
        now = events.now
        monkeypatch.setattr(events, "now", lambda: now() + timedelta(seconds=121))
        await at.answered()
        assert len(at.theirs.said) == 1


async def test_without_signatures_only_the_own_network_is_heard(door: Opener) -> None:
    async with door(SETTINGS.model_copy(update={"unsigned": True, "secret": SecretStr("")})) as at:
        event = message("a comedy", 1)
        assert (await at.http.post("/webhooks/chatwoot", json=event)).status_code == 200
        proxied = await at.http.post("/webhooks/chatwoot", json=event, headers={"x-forwarded-for": "10.0.0.7"})
        assert proxied.status_code == 401
    assert [is_private(host) for host in ("10.1.2.3", "chatwoot", "::1", "8.8.8.8", "desk.example", "::")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip


async def test_what_cannot_be_read_and_where_there_is_no_door(door: Opener) -> None:
    async with door() as at:
        for body in (b"", b"[]", b"{", b'{"event": 3}'):
            found = await at.http.post("/webhooks/chatwoot", content=body, headers=signed(body))
            assert (found.status_code, found.json()["error"]["code"]) == (400, "invalid_value")
        assert (await at.http.get("/webhooks/chatwoot")).status_code == 405
    async with door(ChatwootSettings()) as at:
        body = b"{}"
        found = await at.http.post("/webhooks/chatwoot", content=body, headers=signed(body))
        assert found.status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://desk.example"},
        {"url": "http://desk.example"},
        {"url": "https://ann:pw@desk.example"},
        {"token": SecretStr("")},
        {"secret": SecretStr("")},
    ],
    ids=["scheme", "in the open", "with a password", "no token", "no secret"],
)
def test_settings_that_cannot_work(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        Chatwoot(SETTINGS.model_copy(update=wrong))


def test_older_forms_of_webhooks() -> None:
    old = message("hi", 7) | {"message_type": 0}
    told = told_by(ChatwootEvent.model_validate(old))
    assert told is not None
    assert (told.means, told.contact, told.place) == ("said", 10, "chatwoot/1/18")
    assert answering.ANSWER_SECONDS < 120  # `inbox.CLAIM_SECONDS`: nobody else answers meanwhile
