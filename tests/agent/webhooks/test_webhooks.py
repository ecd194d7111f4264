"""What goes out: where it may go, signed, again later, and gone with the customer."""

from __future__ import annotations

import hashlib
import hmac
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update

from agent.log import events
from agent.log.api_models import WebhookPayloadRow
from agent.log.database import SQLITE_FILE
from agent.log.outbox import CLAIM_SECONDS, ENDED_DAYS, PAUSES_SECONDS, WEBHOOK_KINDS, Outbox
from agent.log.records import Feedback, TurnRecord
from agent.log.store import EventLog
from agent.settings import WebhookSettings
from agent.webhooks.guard import Target, address_of, is_public, target_of
from agent.webhooks.sending import WebhookSender, signature
from retrieval.errors import BadRequest, NotFound

SETTINGS = WebhookSettings(hosts=("hooks.example.com",), private_hosts=("chatwoot.internal", "10.0.0.5", "127.0.0.1"))
URL = "https://hooks.example.com/in?token=planted-token"
SECRET = "whsec_planted-secret"  # noqa: S105
NOW = datetime(2026, 5, 4, tzinfo=UTC)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    opened = EventLog.open(None, tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def outbox(log: EventLog) -> Outbox:
    return Outbox(log.database)


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = NOW
        monkeypatch.setattr(events, "now", lambda: self.now)

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def public(host: str, port: int) -> Sequence[str]:
    return ["93.184.216.34"]


def sender(outbox: Outbox, answer: Callable[[httpx.Request], httpx.Response]) -> WebhookSender:
    return WebhookSender(outbox, SETTINGS, resolve=public, transport=httpx.MockTransport(answer))


# --- where it may go ---


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("https://hooks.example.com/x", False),
        ("https://HOOKS.example.com./x?y=1", False),
        ("http://chatwoot.internal:3000/x", True),
        ("https://chatwoot.internal/x", True),
        ("http://10.0.0.5/", True),
    ],
)
def test_listed_hosts(url: str, private: bool) -> None:
    assert target_of(url, SETTINGS).is_private is private


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "https://hooks.example.com.evil.example/",
        "https://hooks.example.com@evil.example/",
        "https://user:pass@hooks.example.com/",
        "http://hooks.example.com/",
        "https://hooks.example.com:8443/",
        "ftp://chatwoot.internal/",
        "file:///etc/passwd",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://hooks.example.com\\@evil.example/",
        "https://hooks.example.com/\r\nX-Evil: 1",
        "https://hooks.example.com/ä",
        "https://hooks.example.com/" + "x" * 2000,
        "https://[/",
        "https://chatwoot.internal:99999/",
        "",
    ],
)
def test_hosts_that_are_not(url: str) -> None:
    with pytest.raises(BadRequest):
        target_of(url, SETTINGS)


def test_nothing_is_listed_by_default() -> None:
    with pytest.raises(BadRequest, match="CHATALOGUE_SERVER__WEBHOOKS__HOSTS"):
        target_of(URL, WebhookSettings())


@pytest.mark.parametrize("address", ["93.184.216.34", "1.1.1.1", "2606:2800:220:1:248:1893:25c8:1946"])
def test_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1",  # noqa: S104
        "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "240.0.0.1",
        "::", "::1", "fe80::1", "fc00::1", "fd12::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:1.1.1.1",
        "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::", "2001:db8::1",
    ],
)  # fmt: skip
def test_not_public(address: str) -> None:
    assert not is_public(address)


async def test_every_address_of_a_name_must_be_public() -> None:
    async def both(host: str, port: int) -> Sequence[str]:
        return ["93.184.216.34", "127.0.0.1"]

    async def nowhere(host: str, port: int) -> Sequence[str]:
        raise OSError

    ours, theirs = Target("", "chatwoot.internal", 80, True), Target("", "hooks.example.com", 443, False)
    assert await address_of(ours, both) == "93.184.216.34"
    with pytest.raises(BadRequest, match="not public"):
        await address_of(theirs, both)
    with pytest.raises(BadRequest, match="no address"):
        await address_of(theirs, nowhere)


# --- the outbox ---


def test_who_wants_it_is_told(outbox: Outbox) -> None:
    assert outbox.enqueue("default", "feedback.stored", {}) == 0
    one = outbox.add_endpoint("default", URL, "hooks.example.com", SECRET, ["handoff.requested"])
    outbox.add_endpoint("default", URL, "hooks.example.com", SECRET, WEBHOOK_KINDS)
    outbox.add_endpoint("second", URL, "hooks.example.com", SECRET, WEBHOOK_KINDS)
    assert outbox.enqueue("default", "handoff.requested", {"n": 1}) == 2
    assert outbox.enqueue("default", "feedback.stored", {"n": 2}) == 1
    assert outbox.enqueue("third", "feedback.stored", {"n": 2}) == 0
    due = outbox.claim(10)
    assert [json.loads(one.body)["data"]["n"] for one in due] == [1, 1, 2]
    assert {one.tenant for one in due} == {"default"}
    assert len({one.id for one in due}) == 3
    outbox.remove_endpoint("default", one.id)
    with pytest.raises(NotFound):
        outbox.remove_endpoint("default", one.id)
    with pytest.raises(NotFound):
        outbox.remove_endpoint("second", outbox.endpoints("default")[0].id)
    assert outbox.enqueue("default", "handoff.requested", {}) == 1


def test_a_delivery_belongs_to_one_sender_for_a_while(outbox: Outbox, clock: Clock) -> None:
    outbox.add_endpoint("default", URL, "hooks.example.com", SECRET, WEBHOOK_KINDS)
    outbox.enqueue("default", "handoff.requested", {})
    (first,) = outbox.claim(10)
    assert outbox.claim(10) == []
    clock.later(CLAIM_SECONDS)  # the first one died
    (again,) = outbox.claim(10)
    assert (again.id, again.attempts) == (first.id, 2)


def test_what_is_stored_with_its_cause_or_not_at_all(log: EventLog, outbox: Outbox) -> None:
    outbox.add_endpoint("default", URL, "hooks.example.com", SECRET, WEBHOOK_KINDS)

    def work(session: object) -> None:
        outbox.add(session, "default", "handoff.requested", {})  # type: ignore[arg-type]
        raise NotFound("no")

    with pytest.raises(NotFound):
        log.database.write(work)
    assert outbox.claim(10) == []


def test_secrets_addresses_and_words_are_sealed(outbox: Outbox, tmp_path: Path) -> None:
    made = outbox.add_endpoint("default", URL, "hooks.example.com", SECRET, WEBHOOK_KINDS)
    outbox.enqueue("default", "handoff.requested", {"contact": "kim@planted.example"})
    for planted in (b"planted-token", b"planted-secret", b"kim@planted.example"):
        for file in (SQLITE_FILE, f"{SQLITE_FILE}-wal"):
            assert planted not in (tmp_path / file).read_bytes()
    (due,) = outbox.claim(1)
    assert (due.url, due.secret) == (URL, SECRET)
    for said in (repr(due), repr(made), repr(outbox.deliveries("default", "pending"))):
        assert "planted" not in said


@pytest.mark.parametrize("how", ["session", "person"])
def test_an_erasure_takes_what_waits_along(log: EventLog, outbox: Outbox, how: str) -> None:
    outbox.add_endpoint("default", URL, "hooks.example.com", SECRET, WEBHOOK_KINDS)
    talk = log.start_conversation("default", "key", "kim")
    outbox.enqueue("default", "handoff.requested", {"n": 1}, conversation_id=talk.id)
    outbox.enqueue("default", "feedback.stored", {"n": 2}, person_id=talk.person_id)
    outbox.enqueue("default", "feedback.stored", {"n": 3})
    if how == "session":
        log.delete_session("default", talk.id, key_id="key")
    else:
        log.erase_person("default", "key", "kim")
    left = [json.loads(one.body)["data"]["n"] for one in outbox.claim(10)]
    assert left == ([2, 3] if how == "session" else [3])
    assert len(outbox.deliveries("default", "erased")) == 3 - len(left)


# --- sending ---


async def test_it_is_signed_and_goes_to_the_address_that_was_looked_at(outbox: Outbox) -> None:
    heard = list[httpx.Request]()
    outbox.add_endpoint("default", URL, "hooks.example.com", SECRET, WEBHOOK_KINDS)
    outbox.enqueue("default", "handoff.requested", {"summary": "电影"})
    assert await sender(outbox, lambda request: heard.append(request) or httpx.Response(204)).send_due() == 1
    (request,) = heard
    assert str(request.url) == "https://93.184.216.34/in?token=planted-token"
    assert request.headers["host"] == "hooks.example.com"
    assert request.extensions["sni_hostname"] == "hooks.example.com"
    timestamp = request.headers["x-chatalogue-timestamp"]
    expected = hmac.new(SECRET.encode(), f"{timestamp}.".encode() + request.content, hashlib.sha256).hexdigest()
    assert request.headers["x-chatalogue-signature"] == f"sha256={expected}"
    body = json.loads(request.content)
    assert (body["id"], body["kind"]) == (request.headers["x-chatalogue-delivery"], "handoff.requested")
    assert body["data"] == {"summary": "电影"}
    (told,) = outbox.deliveries("default", "delivered")
    assert told.id == body["id"]
    with pytest.raises(NotFound):
        outbox.retry("default", told.id)


def test_the_signature_is_stated() -> None:
    assert signature("s", 1, b"{}") == "sha256=" + hmac.new(b"s", b"1.{}", hashlib.sha256).hexdigest()


async def test_it_is_tried_again_and_given_up_in_the_end(outbox: Outbox, clock: Clock) -> None:
    outbox.add_endpoint("default", URL, "hooks.example.com", SECRET, WEBHOOK_KINDS)
    outbox.enqueue("default", "handoff.requested", {"n": 1})
    heard = list[str]()

    def refuse(request: httpx.Request) -> httpx.Response:
        heard.append(request.headers["x-chatalogue-delivery"])
        return httpx.Response(503)

    sends = sender(outbox, refuse)
    for pause in (*PAUSES_SECONDS, 0):
        assert await sends.send_due() == 1
        clock.later(pause - 1)
        assert await sends.send_due() == 0
        clock.later(1)
    assert (len(heard), len(set(heard))) == (len(PAUSES_SECONDS) + 1, 1)
    (dead,) = outbox.deliveries("default", "dead")
    assert (dead.last_problem, dead.attempts) == ("HTTP 503", len(heard))
    with pytest.raises(NotFound):
        outbox.retry("second", dead.id)
    outbox.retry("default", dead.id)
    assert await sender(outbox, lambda request: httpx.Response(200)).send_due() == 1
    assert [one.id for one in outbox.deliveries("default", "delivered")] == [dead.id]


async def test_what_has_ended_does_not_stay_for_ever(outbox: Outbox, clock: Clock) -> None:
    outbox.add_endpoint("default", URL, "hooks.example.com", SECRET, WEBHOOK_KINDS)
    outbox.enqueue("default", "handoff.requested", {"n": 1})
    sends = sender(outbox, lambda request: httpx.Response(500))
    for _ in range(len(PAUSES_SECONDS) + 1):
        await sends.send_due()
        clock.later(86_400)
    assert outbox.prune() == 0
    clock.later(ENDED_DAYS * 86_400)
    outbox.enqueue("default", "handoff.requested", {"n": 2})
    assert outbox.prune() == 1
    assert outbox.deliveries("default", "dead") == ()
    await sender(outbox, lambda request: httpx.Response(204)).send_due()
    assert len(outbox.deliveries("default", "delivered")) == 1
    assert outbox.prune() == 0
    clock.later((ENDED_DAYS + 1) * 86_400)
    assert outbox.prune() == 1
    assert outbox.deliveries("default", "delivered") == ()


async def test_one_that_cannot_be_told_does_not_stop_the_others(log: EventLog, outbox: Outbox) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        if host == "10.0.0.5":
            raise RuntimeError("planted words")
        if host == "chatwoot.internal":
            raise UnicodeError("label too long")
        return ["93.184.216.34"]

    for url in ("http://10.0.0.5/", "http://chatwoot.internal/", URL):
        outbox.add_endpoint("default", url, "h", SECRET, WEBHOOK_KINDS)
    outbox.enqueue("default", "handoff.requested", {})
    answer = httpx.MockTransport(lambda request: httpx.Response(204))
    assert await WebhookSender(outbox, SETTINGS, resolve=resolve, transport=answer).send_due() == 3
    assert len(outbox.deliveries("default", "delivered")) == 1
    problems = {one.last_problem for one in outbox.deliveries("default", "pending")}
    assert problems == {"RuntimeError", "the host has no address"}


def test_one_that_cannot_be_opened_does_not_hold_up_other_tenants(log: EventLog, outbox: Outbox, clock: Clock) -> None:
    for tenant in ("default", "second"):
        outbox.add_endpoint(tenant, URL, "hooks.example.com", SECRET, WEBHOOK_KINDS)
        outbox.enqueue(tenant, "handoff.requested", {})
    damaged = update(WebhookPayloadRow).where(WebhookPayloadRow.tenant == "default").values(sealed_body=b"damaged")
    log.database.write(lambda session: session.execute(damaged))
    assert [one.tenant for one in outbox.claim(10)] == ["second"]
    (waiting,) = outbox.deliveries("default", "pending")
    assert waiting.last_problem == "it cannot be opened with this server's keys"
    for pause in PAUSES_SECONDS:
        clock.later(pause)
        outbox.claim(10)
    assert [one.id for one in outbox.deliveries("default", "dead")] == [waiting.id]


def test_reactions_are_told_wherever_they_come_from(log: EventLog, outbox: Outbox) -> None:
    """In the transaction that stores them: what the API, the tools for assistants and the page call."""
    outbox.add_endpoint("default", URL, "hooks.example.com", SECRET, WEBHOOK_KINDS)
    talk, turn = log.start_conversation("default", "key", None), log.new_turn_id("default")
    log.record_turn(TurnRecord("default", talk.id, turn, 1, "hi", "hello", "chat", "chat", "en", "m"))
    for _ in range(2):
        stored = log.record_feedback("default", "key", Feedback(turn, "thumb_up", text="planted words"))
    (told,) = [json.loads(one.body) for one in outbox.claim(10)]
    assert told["kind"] == "feedback.stored"
    assert told["data"] == {
        "event_id": stored.event_id, "turn_id": turn, "item_id": None, "kind": "thumb_up", "by_agent": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (httpx.Response(302, headers={"location": "http://127.0.0.1/"}), "HTTP 302; redirects are not followed"),
        (httpx.Response(404, text="planted words"), "HTTP 404"),
        (httpx.ConnectError("planted words"), "ConnectError"),
        (ssl.SSLError("planted words"), "SSLError"),
    ],
)
async def test_what_went_wrong_is_told_without_words_of_others(
    outbox: Outbox, answer: httpx.Response | Exception, problem: str
) -> None:
    asked = list[str]()

    def reply(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        if isinstance(answer, Exception):
            raise answer
        return answer

    outbox.add_endpoint("default", URL, "hooks.example.com", SECRET, WEBHOOK_KINDS)
    outbox.enqueue("default", "handoff.requested", {})
    await sender(outbox, reply).send_due()
    assert asked == ["93.184.216.34"]
    (waiting,) = outbox.deliveries("default", "pending")
    assert waiting.last_problem == problem


async def test_a_host_that_is_not_listed_any_more_is_not_told(outbox: Outbox) -> None:
    def never(request: httpx.Request) -> httpx.Response:
        raise AssertionError

    outbox.add_endpoint("default", URL, "hooks.example.com", SECRET, WEBHOOK_KINDS)
    outbox.enqueue("default", "handoff.requested", {})
    sends = WebhookSender(outbox, WebhookSettings(), resolve=public, transport=httpx.MockTransport(never))
    assert await sends.send_due() == 1
    assert "may not go" in (outbox.deliveries("default", "pending")[0].last_problem or "")


async def test_over_a_real_socket(outbox: Outbox) -> None:
    heard = list[tuple[str, bytes]]()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append((self.headers["Host"], self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/in"
        outbox.add_endpoint("default", url, "127.0.0.1", SECRET, WEBHOOK_KINDS)
        outbox.enqueue("default", "handoff.requested", {"n": 1})
        assert await WebhookSender(outbox, SETTINGS).send_due() == 1
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
    ((host, body),) = heard
    assert host == f"127.0.0.1:{server.server_port}"
    assert json.loads(body)["data"] == {"n": 1}
    assert len(outbox.deliveries("default", "delivered")) == 1
