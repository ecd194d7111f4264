"""`Idempotency-Key`: the same again is answered and not done again; and it goes with the customer."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from keyed_api import ASKED, bearer, code_of, keyed_api, last_chunk
from sqlalchemy import func, select
from starlette.types import Message

from agent.api.repeats import _conversation_of
from agent.log import events
from agent.log.api_models import IdempotentAnswerRow
from agent.log.database import SQLITE_FILE
from agent.log.repeats import ABANDONED, AnotherBody, Begun, KeptAnswer, KeptAnswers, Named, UnderWay
from agent.log.store import EventLog

ONE = {"idempotency-key": "11111111-aaaa"}


def kept(log: EventLog) -> int:
    return log.database.read(
        lambda session: session.scalars(select(func.count()).select_from(IdempotentAnswerRow)).one()
    )


async def test_the_same_again_is_answered_and_not_done_again(tmp_path: Path) -> None:
    async with keyed_api(tmp_path) as api:
        made, sister, stranger = api.key(), api.key(), api.key("other")
        first = await api.ask(made.secret, headers=ONE)
        again = await api.ask(sister.secret, headers=ONE)  # of the same team
        assert first.json() == again.json()
        assert (again.headers["idempotent-replayed"], again.headers["content-type"]) == ("true", "application/json")
        assert "idempotent-replayed" not in first.headers
        assert len(api.chat.asked) == 1
        assert (await api.ask(stranger.secret, headers=ONE)).json()["id"] != first.json()["id"]
        elsewhere = api.key(tenant="second")
        assert (await api.ask(elsewhere.secret, headers=ONE)).json()["id"] != first.json()["id"]
        assert (await api.ask(made.secret, headers={"idempotency-key": "2"})).json()["id"] != first.json()["id"]
        assert (await api.ask(made.secret)).json()["id"] != first.json()["id"]


async def test_a_stream_is_a_stream_again(tmp_path: Path) -> None:
    async with keyed_api(tmp_path) as api:
        made = api.key()
        first = await api.ask(made.secret, headers=ONE, stream=True)
        again = await api.ask(made.secret, headers=ONE, stream=True)
        assert again.text == first.text
        assert again.text.endswith("data: [DONE]\n\n")
        assert again.headers["content-type"].startswith("text/event-stream")
        assert last_chunk(again.text)["chatalogue"] == last_chunk(first.text)["chatalogue"]
        assert len(api.chat.asked) == 1


async def test_other_posts(tmp_path: Path) -> None:
    async with keyed_api(tmp_path) as api:
        made = api.key()
        event = {"kind": "view", "item_id": "heat", "user": "kim"}
        sent = bearer(made.secret) | ONE
        first, again = [await api.http.post("/v1/events", json=event, headers=sent) for _ in range(2)]
        assert first.json() == again.json()
        elsewhere = await api.http.post("/v1/feedback", json=event, headers=sent)  # another address is another thing
        assert (elsewhere.status_code, code_of(elsewhere)) == (409, "idempotency_key_reused")


async def test_another_body_is_refused(tmp_path: Path) -> None:
    async with keyed_api(tmp_path) as api:
        made = api.key()
        await api.ask(made.secret, headers=ONE)
        for other in (
            await api.ask(made.secret, "a war film", ONE),
            await api.ask(made.secret, headers=ONE, stream=True),
        ):
            assert (other.status_code, code_of(other)) == (409, "idempotency_key_reused")
        assert len(api.chat.asked) == 1


@pytest.mark.parametrize("name", ["", "a b", "ü".encode().decode("latin-1"), "x" * 256])
async def test_bad_names(tmp_path: Path, name: str) -> None:
    async with keyed_api(tmp_path) as api:
        response = await api.ask(api.key().secret, headers={"idempotency-key": name.encode("latin-1")})  # type: ignore[dict-item]
        assert (response.status_code, code_of(response)) == (400, "invalid_idempotency_key")
        assert api.chat.asked == []


async def test_twice_at_once_is_done_once(tmp_path: Path) -> None:
    async with keyed_api(tmp_path) as api:
        made = api.key()
        first = asyncio.create_task(api.ask(made.secret, "held one", ONE))
        while not api.chat.asked:
            await asyncio.sleep(0.01)
        second = await api.ask(made.secret, "held one", ONE)
        assert (second.status_code, code_of(second), second.headers["retry-after"]) == (
            409,
            "idempotency_in_progress",
            "1",
        )
        api.chat.go.set()
        answer = await first
        assert (await api.ask(made.secret, "held one", ONE)).json() == answer.json()
        assert len(api.chat.asked) == 1


@pytest.mark.parametrize(("text", "stream"), [("noindex", False), ("explode", False), ("explode", True)])
async def test_what_failed_may_be_tried_again(tmp_path: Path, text: str, stream: bool) -> None:
    async with keyed_api(tmp_path) as api:
        made = api.key()
        for n in (1, 2):
            answer = await api.ask(made.secret, text, ONE, stream=stream)
            assert "idempotent-replayed" not in answer.headers
            assert "[DONE]" not in answer.text
            assert len(api.chat.asked) == n
        assert kept(api.log) == 0


async def test_a_client_that_went_may_try_again(tmp_path: Path) -> None:
    async with keyed_api(tmp_path) as api:
        made = api.key()
        gone = asyncio.create_task(api.ask(made.secret, "wait", ONE))
        while not api.chat.asked:
            await asyncio.sleep(0.01)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        deadline = asyncio.get_running_loop().time() + 120
        while kept(api.log):
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("how", ["session", "person"])
async def test_an_erasure_takes_the_answer_along(tmp_path: Path, how: str) -> None:
    async with keyed_api(tmp_path) as api:
        made = api.key()
        ours = bearer(made.secret)
        asked = {"text": "the planted words", "headers": ONE, "user": "kim", "stream": how == "person"}
        answer = await api.ask(made.secret, **asked)  # type: ignore[arg-type]
        found = last_chunk(answer.text) if asked["stream"] else answer.json()
        session = found["chatalogue"]["session_id"]  # type: ignore[index]
        assert kept(api.log) == 1
        assert (
            b"planted words" in (tmp_path / f"{SQLITE_FILE}-wal").read_bytes() + (tmp_path / SQLITE_FILE).read_bytes()
        )
        path = f"/v1/sessions/{session}" if how == "session" else "/v1/users/kim"
        assert (await api.http.delete(path, headers=ours)).status_code == 200
        assert kept(api.log) == 0
        for file in tmp_path.rglob("*"):
            assert not file.is_file() or b"planted words" not in file.read_bytes(), file.name
        again = await api.ask(made.secret, **asked)  # type: ignore[arg-type]
        assert "idempotent-replayed" not in again.headers


def test_a_day_and_a_dead_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog.open(None, tmp_path)
    answers, asked = KeptAnswers(log.database), Named("default", "o", "name", "body")
    now = datetime(2026, 5, 4, tzinfo=UTC)
    monkeypatch.setattr(events, "now", lambda: now)
    answer = KeptAnswer(200, "application/json", b"{}")
    assert isinstance(answers.begin(asked), Begun)
    assert isinstance(answers.begin(asked), UnderWay)
    assert isinstance(answers.begin(Named("default", "o", "name", "other")), AnotherBody)
    now += ABANDONED
    assert isinstance(answers.begin(asked), Begun)  # whoever had it is dead
    answers.finish(asked, answer, None)
    now += timedelta(hours=23, minutes=59)
    assert answers.begin(asked) == answer
    now += timedelta(minutes=2)
    answers.prune()
    assert kept(log) == 0
    assert isinstance(answers.begin(asked), Begun)
    now += timedelta(hours=25)
    assert isinstance(answers.begin(asked), Begun)
    talk = log.start_conversation("default", "o", None)
    log.delete_session("default", talk.id)
    answers.finish(asked, answer, talk.id)  # erased while it was being answered
    assert isinstance(answers.begin(asked), Begun)
    log.close()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_went_finds_its_answer(tmp_path: Path, stream: bool) -> None:
    """What it asked for is done once, though it was not there to hear it."""
    async with keyed_api(tmp_path) as api:
        made = api.key()
        asked = ASKED | {"messages": [{"role": "user", "content": "slow one"}], "stream": stream}
        body = json.dumps(asked, separators=(",", ":")).encode()  # as httpx writes it: a repeat is one to the byte
        headers = bearer(made.secret) | ONE | {"content-type": "application/json", "host": "localhost"}
        heard = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            return heard.pop(0) if heard else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            raise OSError("The client has gone.")

        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "method": "POST",
            "scheme": "http", "path": "/v1/chat/completions", "query_string": b"", "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }  # fmt: skip
        await api.app(scope, receive, send)
        again = await api.ask(made.secret, "slow one", ONE, stream=stream)
        assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
        assert (len(api.chat.asked), api.chat.closed) == (1, [])


async def test_what_is_kept_of_a_handoff_goes_with_its_conversation(tmp_path: Path) -> None:
    async with keyed_api(tmp_path) as api:
        made = api.key()
        asked = {"message": "planted words", "contact": "kim@planted.example"}
        sent = bearer(made.secret) | ONE
        answer = await api.http.post("/v1/sessions/new/handoff", json=asked, headers=sent)
        assert (answer.status_code, kept(api.log)) == (200, 1)
        session = answer.json()["session_id"]
        assert (await api.http.delete(f"/v1/sessions/{session}", headers=bearer(made.secret))).status_code == 200
        assert kept(api.log) == 0


def test_answers_without_a_conversation() -> None:
    for body in (b"", b"[]", b"{}", b'{"chatalogue": 1}', b'{"session_id": 1}'):
        assert _conversation_of(KeptAnswer(200, "application/json", body)) is None


async def test_a_client_that_went_while_its_place_was_taken_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with keyed_api(tmp_path) as api:
        made, plain, inside, may_go_on = api.key(), KeptAnswers.begin, threading.Event(), threading.Event()

        def slow(self: KeptAnswers, asked: Named) -> object:
            inside.set()
            may_go_on.wait(10)
            return plain(self, asked)

        monkeypatch.setattr(KeptAnswers, "begin", slow)
        gone = asyncio.create_task(api.ask(made.secret, headers=ONE))
        await asyncio.to_thread(inside.wait, 10)
        gone.cancel()
        may_go_on.set()
        await asyncio.gather(gone, return_exceptions=True)
        assert (kept(api.log), api.chat.asked) == (0, [])
