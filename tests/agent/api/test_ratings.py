"""Scores of the bot and of people, apart, for whoever of the team answered last."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from keyed_api import code_of
from real_shop import AGENT_KEY, BEARER, KEY, real_app

from agent.log.store import EventLog
from agent.shop import Shop

AGENT = {"Authorization": f"Bearer {AGENT_KEY}"}


class Rated:
    """A conversation with scores."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http, self.session_id = http, ""

    async def say(self, text: str, user: str | None = None) -> None:
        metadata = {"session_id": self.session_id} if self.session_id else {}
        body = {"model": "chatalogue", "messages": [{"role": "user", "content": text}], "metadata": metadata}
        answer = await self.http.post("/v1/chat/completions", json=body | {"user": user}, headers=BEARER)
        self.session_id = answer.json()["chatalogue"]["session_id"]

    async def reply(self, agent: str) -> None:
        body = {"text": "Hello", "agent": agent}
        told = await self.http.post(f"/v1/handoffs/{self.session_id}/reply", json=body, headers=AGENT)
        assert told.status_code == 200

    async def rate(self, of: str, score: object, **more: object) -> httpx.Response:
        body = {"of": of, "score": score, **more}
        return await self.http.post(f"/v1/sessions/{self.session_id}/rating", json=body, headers=BEARER)

    async def all(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.http.get("/v1/ratings", headers=AGENT)).json()
        return found


@asynccontextmanager
async def rated(shop: Shop, folder: Path) -> AsyncIterator[Rated]:
    log = EventLog.open(None, folder)
    transport = httpx.ASGITransport(real_app(shop, log, folder, KEY, AGENT_KEY), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        yield Rated(http)
    log.close()


async def test_bot_and_people_are_scored_apart(film_shop: Shop, tmp_path: Path) -> None:
    async with rated(film_shop, tmp_path) as at:
        assert await at.all() == {
            "object": "list", "bot": {"scores": 0, "mean": None}, "human": {"scores": 0, "mean": None}, "data": [],
        }  # fmt: skip
        await at.say("a comedy")
        refused = await at.rate("human", 5)
        assert (refused.status_code, code_of(refused)) == (409, "nothing_to_rate")
        await at.say("talk to a human")
        refused = await at.rate("human", 5)
        assert refused.status_code == 409  # asked for, and nobody came
        await at.reply("Bob")
        await at.reply("Maria")
        assert (await at.rate("human", 5, text="she was great")).json()["agent"] == "Maria"
        assert (await at.rate("bot", 1)).json()["agent"] is None
        assert (await at.rate("bot", 2.0)).status_code == 200  # another thought
        found = await at.all()
        assert (found["bot"], found["human"]) == ({"scores": 1, "mean": 2.0}, {"scores": 1, "mean": 5.0})
        assert [(one["of"], one["score"], one["text"], one["agent"]) for one in found["data"]] == [
            ("bot", 2, None, None), ("human", 5, "she was great", "Maria"),
        ]  # fmt: skip
        at.session_id = ""
        await at.say("a western")
        await at.rate("bot", 4)
        assert (await at.all())["bot"] == {"scores": 2, "mean": 3.0}


async def test_an_erased_customer_leaves_numbers_alone(film_shop: Shop, tmp_path: Path) -> None:
    async with rated(film_shop, tmp_path) as at:
        await at.say("a comedy", "ann")
        await at.rate("bot", 4, text="words of hers")
        export = (await at.http.get("/v1/users/ann/export", headers=BEARER)).json()
        assert [(one["kind"], one["value"], one["text"]) for one in export["events"]] == [("csat", 4, "words of hers")]
        await at.http.delete("/v1/users/ann", headers=BEARER)
        found = await at.all()
        assert (found["bot"]["mean"], found["data"][0]["text"]) == (4.0, None)
        assert (await at.rate("bot", 1)).status_code == 404


@pytest.mark.parametrize("score", [0, 6, 4.5, "4", None, True])
async def test_bad_scores(film_shop: Shop, tmp_path: Path, score: object) -> None:
    async with rated(film_shop, tmp_path) as at:
        await at.say("a comedy")
        refused = await at.rate("bot", score)
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] == "score"


async def test_only_the_team_reads_them(film_shop: Shop, tmp_path: Path) -> None:
    async with rated(film_shop, tmp_path) as at:
        refused = await at.http.get("/v1/ratings", headers=BEARER)
        assert (refused.status_code, code_of(refused)) == (403, "insufficient_scope")
