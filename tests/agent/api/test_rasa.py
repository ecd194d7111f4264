"""Rasa's REST channel as a door: one message in, a list of messages out, with keys and limits as everywhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from keyed_api import ASKED, bearer, code_of, keyed_api
from real_shop import AGENT_KEY, BEARER, KEY, real_app

from agent.log.store import EventLog
from agent.shop import Shop

PATH = "/webhooks/rest/webhook"


@asynccontextmanager
async def rasa(shop: Shop, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    log = EventLog.open(None, folder)
    transport = httpx.ASGITransport(real_app(shop, log, folder, KEY, AGENT_KEY), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        yield http
    log.close()


async def test_a_conversation_in_their_form(film_shop: Shop, tmp_path: Path) -> None:
    async with rasa(film_shop, tmp_path) as http:
        asked = {"sender": "visitor-17", "message": "a comedy", "metadata": {"page": "home"}}
        found = (await http.post(PATH, json=asked, headers=BEARER)).json()
        assert all(one["recipient_id"] == "visitor-17" for one in found)
        assert all(None not in one.values() for one in found)
        words, custom = found[0], found[-1]["custom"]
        assert words["text"].count("\n") >= 4
        assert all(item["title"] in words["text"] for item in custom["items"])
        pictures = [one["image"] for one in found if "image" in one]
        assert pictures == [item["image_url"] for item in custom["items"] if item["image_url"]]
        again = (await http.post(PATH, json=asked | {"message": "under 10 euros"}, headers=BEARER)).json()
        assert again[-1]["custom"]["session_id"] == custom["session_id"]
        assert {one["attribute"] for one in again[-1]["custom"]["preferences"]} == {"genre", "price"}
        other = (await http.post(PATH, json=asked | {"sender": "visitor-18"}, headers=BEARER)).json()
        assert other[-1]["custom"]["session_id"] != custom["session_id"]


async def test_a_question_has_its_answers_as_buttons(film_shop: Shop, tmp_path: Path) -> None:
    async with rasa(film_shop, tmp_path) as http:
        found = (await http.post(PATH, json={"sender": "a", "message": "hello"}, headers=BEARER)).json()
        question = found[-1]["custom"]["question"]
        if question is None:
            found = (await http.post(PATH, json={"sender": "a", "message": "a film"}, headers=BEARER)).json()
            question = found[-1]["custom"]["question"]
        assert [one["payload"] for one in found[0]["buttons"]] == question["options"]


async def test_no_words_while_people_have_it(film_shop: Shop, tmp_path: Path) -> None:
    async with rasa(film_shop, tmp_path) as http:
        said = [
            (await http.post(PATH, json={"sender": "a", "message": text}, headers=BEARER)).json()
            for text in ("talk to a human", "hello?")
        ]
        assert "our team" in said[0][0]["text"]
        assert [list(one) for one in said[1]] == [["recipient_id", "custom"]]
        assert said[1][0]["custom"]["handoff"]["state"] == "waiting"


async def test_an_erased_sender_is_somebody_new(film_shop: Shop, tmp_path: Path) -> None:
    async with rasa(film_shop, tmp_path) as http:
        asked, once = {"sender": "ann", "message": "a comedy"}, BEARER | {"Idempotency-Key": "k-1"}
        first = await http.post(PATH, json=asked, headers=once)
        assert (await http.post(PATH, json=asked, headers=once)).text == first.text
        erased = await http.delete("/v1/users/ann", headers=BEARER)
        assert erased.json()["sessions"] == 1
        after = await http.post(PATH, json=asked, headers=once)  # what was kept has gone with the conversation
        assert after.json()[-1]["custom"]["session_id"] != first.json()[-1]["custom"]["session_id"]


@pytest.mark.parametrize("body", [{}, {"sender": "a"}, {"sender": "", "message": "x"}, {"message": 3}, []])
async def test_bad_bodies(film_shop: Shop, tmp_path: Path, body: object) -> None:
    async with rasa(film_shop, tmp_path) as http:
        found = await http.post(PATH, json=body, headers=BEARER)
        assert found.status_code == 400
        assert code_of(found)
        wrong = await http.get(PATH, headers=BEARER)
        assert (wrong.status_code, wrong.headers["allow"], code_of(wrong)) == (405, "POST", "method_not_allowed")


async def test_keys_scopes_and_the_messages_of_a_day(tmp_path: Path) -> None:
    async with keyed_api(tmp_path) as api:
        key, other = api.key(turns_per_day=2).secret, api.key("other", "users").secret
        asked = {"sender": "ann", "message": "a heist film"}
        assert (await api.http.post(PATH, json=asked)).status_code == 401
        refused = await api.http.post(PATH, json=asked, headers=bearer(other))
        assert (refused.status_code, code_of(refused)) == (403, "insufficient_scope")
        assert (await api.http.post(PATH, json=asked, headers=bearer(key))).status_code == 200
        assert (await api.http.post("/v1/chat/completions", json=ASKED, headers=bearer(key))).status_code == 200
        spent = await api.http.post(PATH, json=asked, headers=bearer(key))
        assert (spent.status_code, code_of(spent)) == (429, "insufficient_quota")
