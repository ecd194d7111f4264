"""What a key may use: requests in a minute, turns in a day, answers at once; and what those hear who want more."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import openai
import pytest
from keyed_api import bearer, code_of, keyed_api

from agent.log import events
from agent.log.store import EventLog
from agent.log.usage import Ask, Spent, UsageCounter

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = NOON
        monkeypatch.setattr(events, "now", lambda: self.now)

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def spend(counter: UsageCounter, *, turn: bool = False, rate: int = 6, turns: int = 0, key: str = "k") -> Spent:
    return counter.spend(Ask("default", key, turn, rate, turns))


def test_a_bucket_is_used_up_at_once_and_fills_over_a_minute(tmp_path: Path, clock: Clock) -> None:
    log = EventLog.open(None, tmp_path)
    counter, replica = UsageCounter(log.database), UsageCounter(log.database)
    assert [spend(counter if n % 2 else replica).left for n in range(6)] == [5, 4, 3, 2, 1, 0]
    refused = spend(counter)
    assert (refused.refused, round(refused.retry_in_s, 3), round(refused.full_in_s, 3)) == ("rate", 10.0, 60.0)
    clock.later(9.9)
    assert spend(replica).refused == "rate"
    clock.later(0.2)
    assert (spend(counter).refused, spend(counter).refused) == (None, "rate")
    assert spend(counter, key="another").left == 5
    clock.later(3600)
    assert spend(counter).left == 5
    for _ in range(5):
        spend(counter)
    clock.later(-86400)  # a clock that was set back makes nobody wait for a day
    assert spend(counter).retry_in_s <= 10.001
    log.close()


def test_the_day_ends_at_midnight_utc(tmp_path: Path, clock: Clock) -> None:
    log = EventLog.open(None, tmp_path)
    counter = UsageCounter(log.database)
    assert [spend(counter, turn=True, rate=0, turns=2).refused for _ in range(3)] == [None, None, "quota"]
    assert spend(counter, turn=True, rate=0, turns=2).retry_in_s == 12 * 3600
    assert spend(counter, rate=0, turns=2).refused is None  # not a turn
    clock.later(12 * 3600 - 1)
    assert spend(counter, turn=True, rate=0, turns=2).refused == "quota"
    clock.later(1)
    assert spend(counter, turn=True, rate=0, turns=2).refused is None
    log.close()


async def test_too_many_requests(tmp_path: Path) -> None:
    async with keyed_api(tmp_path) as api:
        made, other = api.key(requests_per_minute=2), api.key(requests_per_minute=0)
        answers = [await api.http.get("/v1/models", headers=bearer(made.secret)) for _ in range(4)]
        assert [one.status_code for one in answers] == [200, 200, 429, 429]
        assert [one.headers["x-ratelimit-remaining-requests"] for one in answers] == ["1", "0", "0", "0"]
        for one in answers[2:]:
            assert code_of(one) == "rate_limit_exceeded"
            assert one.json()["error"]["type"] == "requests"
            assert 1 <= int(one.headers["retry-after"]) <= 30
            assert one.headers["x-ratelimit-limit-requests"] == "2"
            assert 0 < float(one.headers["x-ratelimit-reset-requests"].removesuffix("s")) <= 60
            assert one.headers["x-request-id"]
        free = await api.http.get("/v1/models", headers=bearer(other.secret))
        assert free.status_code == 200
        assert "x-ratelimit-limit-requests" not in free.headers


async def test_the_settings_hold_for_keys_that_say_nothing(tmp_path: Path) -> None:
    async with keyed_api(tmp_path, api_keys=["old"], limits={"requests_per_minute": 1, "turns_per_day": 1}) as api:
        made = api.key()
        assert [(await api.http.get("/v1/models", headers=bearer(made.secret))).status_code for _ in range(2)] == [
            200,
            429,
        ]
        for _ in range(3):  # an operator's own key has no limits
            answer = await api.ask("old")
            assert (answer.status_code, "x-ratelimit-limit-requests" in answer.headers) == (200, False)


async def test_the_quota_is_openais(tmp_path: Path) -> None:
    async with keyed_api(tmp_path) as api:
        made = api.key(turns_per_day=1)
        client = openai.AsyncOpenAI(
            base_url="http://localhost/v1", api_key=made.secret, max_retries=0, http_client=api.http
        )
        messages = [{"role": "user", "content": "a heist film"}]
        await client.chat.completions.create(model="chatalogue", messages=messages)  # type: ignore[arg-type]
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(model="chatalogue", messages=messages)  # type: ignore[arg-type]
        assert (caught.value.code, caught.value.type) == ("insufficient_quota", "insufficient_quota")
        assert 1 <= int(caught.value.response.headers["retry-after"]) <= 86_400
        assert (await api.http.get("/v1/models", headers=bearer(made.secret))).status_code == 200


async def test_answers_at_the_same_time(tmp_path: Path) -> None:
    async with keyed_api(tmp_path) as api:
        made, other = api.key(streams=1), api.key(streams=1)
        first = asyncio.create_task(api.ask(made.secret, "held one", stream=True))
        while not api.chat.asked:
            await asyncio.sleep(0.01)
        second = await api.ask(made.secret, "another")
        assert (second.status_code, code_of(second), second.headers["retry-after"]) == (429, "rate_limit_exceeded", "1")
        assert (await api.ask(other.secret, "another")).status_code == 200
        assert (await api.http.get("/v1/models", headers=bearer(made.secret))).status_code == 200
        api.chat.go.set()
        assert (await first).status_code == 200
        assert (await api.ask(made.secret, "another")).status_code == 200
        broken = await api.ask(made.secret, "explode")  # gives its place back, too
        assert broken.status_code == 500
        assert (await api.ask(made.secret, "another")).status_code == 200


async def test_a_flood_of_one_key_costs_no_sql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with keyed_api(tmp_path) as api:
        made, asked = api.key(requests_per_minute=1), list[Ask]()
        plain = UsageCounter.spend
        monkeypatch.setattr(UsageCounter, "spend", lambda self, ask: asked.append(ask) or plain(self, ask))
        for _ in range(20):
            await api.http.get("/v1/models", headers=bearer(made.secret))
        assert len(asked) == 2
        last = await api.http.get("/v1/models", headers=bearer(made.secret))
        assert (last.status_code, json.loads(last.text)["error"]["code"]) == (429, "rate_limit_exceeded")


async def test_a_turn_that_came_to_nothing_is_given_back(tmp_path: Path) -> None:
    """Two a day, and they are still there after errors, refusals and repeats."""
    once = {"idempotency-key": "1"}
    async with keyed_api(tmp_path) as api:
        made = api.key(turns_per_day=2)
        refused = [await api.ask(made.secret, model="another"), await api.ask(made.secret, messages=[])]
        refused += [await api.ask(made.secret, word) for word in ("noindex", "crash")]
        assert [one.status_code for one in refused] == [404, 400, 503, 500]
        first = await api.ask(made.secret, headers=once)
        for _ in range(3):
            assert (await api.ask(made.secret, headers=once)).json() == first.json()
        assert (await api.ask(made.secret)).status_code == 200
        assert code_of(await api.ask(made.secret)) == "insufficient_quota"


async def test_a_turn_that_took_too_long_is_given_back(tmp_path: Path) -> None:
    async with keyed_api(tmp_path, request_seconds=0.3) as api:
        made = api.key(turns_per_day=1)
        assert (await api.ask(made.secret, "wait")).status_code == 504
        assert (await api.ask(made.secret)).status_code == 200
        assert code_of(await api.ask(made.secret)) == "insufficient_quota"
