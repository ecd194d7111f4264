"""Keys of teams: what opens, what does not, for how long, and whose customers they find."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from keyed_api import ASKED, CUSTOMERS, KeyedApi, bearer, code_of, keyed_api
from sqlalchemy import select, update

from agent.api import auth
from agent.api.auth import key_id_of
from agent.api.scopes import needed_scopes
from agent.log import events
from agent.log.api_models import ApiKeyRow
from agent.log.keys import KEY_PATTERN, SCOPES, KeyStore, KeyTable, Scope
from agent.settings import ServerSettings
from retrieval.errors import BadRequest, DataDirectoryError, NotFound


async def test_the_first_key_closes_the_server_and_the_last_one_does_not_open_it(tmp_path: Path) -> None:
    async with keyed_api(tmp_path) as api:
        assert (await api.http.get("/v1/models")).status_code == 200
        made = api.key()
        for header in ({}, bearer("wrong"), bearer(made.secret[:-1] + "!"), bearer(made.secret[:-1]), bearer("ctl_")):
            assert (await api.http.get("/v1/models", headers=header)).status_code == 401
            assert (await api.http.get("/metrics", headers=header)).status_code == 401
        other = made.secret[:16] + "_" + "0" * 43  # the right id with another secret
        assert (await api.http.get("/v1/models", headers=bearer(other))).status_code == 401
        assert (await api.http.get("/v1/models", headers=bearer(made.secret))).status_code == 200
        assert (await api.http.get("/healthz")).status_code == 200
        api.keys.revoke("default", made.key.id)
        refused = await api.http.get("/v1/models", headers=bearer(made.secret))
        assert (refused.status_code, code_of(refused)) == (401, "invalid_api_key")
        assert (await api.http.get("/v1/models")).status_code == 401


async def test_keys_are_read_every_few_seconds_and_not_for_each_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert auth.LOOK_SECONDS < 5  # a revoked key is refused by then
    async with keyed_api(tmp_path, look_seconds=600.0) as api:
        made, reads = api.key(), list[tuple[str, ...]]()
        plain = KeyStore.table
        monkeypatch.setattr(KeyStore, "table", lambda self, used=(): reads.append(tuple(used)) or plain(self, used))
        sent = [api.http.get("/v1/models", headers=bearer(made.secret)) for _ in range(10)]
        assert {one.status_code for one in await asyncio.gather(*sent)} == {200}
        assert len(reads) == 1
        api.keys.revoke("default", made.key.id)
        assert (await api.http.get("/v1/models", headers=bearer(made.secret))).status_code == 200
        monkeypatch.setattr(auth, "LOOK_SECONDS", 0.4)
        await asyncio.sleep(0.5)
        assert (await api.http.get("/v1/models", headers=bearer(made.secret))).status_code == 401


async def test_what_is_kept_of_a_key_is_its_hash(tmp_path: Path) -> None:
    async with keyed_api(tmp_path) as api:
        made = api.key()
        assert KEY_PATTERN.fullmatch(made.secret)
        assert made.secret.split("_")[1] == made.key.id
        assert made.secret not in repr(made)
        (digest,) = api.log.database.read(lambda session: session.scalars(select(ApiKeyRow.digest)).all())
        assert digest == hashlib.sha256(made.secret.encode()).digest()
        secret = made.secret.split("_")[2].encode()
        assert all(secret not in file.read_bytes() for file in tmp_path.iterdir())
        assert len({api.key().secret for _ in range(20)}) == 20


async def test_keys_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with keyed_api(tmp_path) as api:
        made, clock = api.key(days=1 / 24), events.now
        assert (await api.http.get("/v1/models", headers=bearer(made.secret))).status_code == 200
        monkeypatch.setattr(events, "now", lambda: clock() + timedelta(hours=1))
        assert (await api.http.get("/v1/models", headers=bearer(made.secret))).status_code == 401
        for days in (0, -1, 1e9, float("nan")):
            with pytest.raises(BadRequest, match="days"):
                api.key(days=days)


async def test_a_rotated_key_keeps_its_customers(tmp_path: Path) -> None:
    """The successor finds conversations, wishes and the person; so does every key of the team, and no other's."""
    async with keyed_api(tmp_path) as api:
        old = api.key(days=30, requests_per_minute=50)
        session = (await api.ask(old.secret, user="kim")).json()["chatalogue"]["session_id"]
        wish = {"add": [{"op": "about", "value": "trains"}]}
        await api.http.patch("/v1/users/kim/preferences", json=wish, headers=bearer(old.secret))
        new = api.keys.rotate("default", old.key.id, grace_hours=1)
        assert (new.key.team, new.key.scopes, new.key.limits) == (old.key.team, old.key.scopes, old.key.limits)
        assert new.key.expires_at is not None
        sister, stranger = api.key("shop", *CUSTOMERS), api.key("other")
        for key in (old, new, sister):  # the old one lives on for the grace
            assert (await api.http.get(f"/v1/sessions/{session}", headers=bearer(key.secret))).status_code == 200
            found = await api.http.get("/v1/users/kim/preferences", headers=bearer(key.secret))
            assert [one["value"] for one in found.json()["preferences"]] == ["trains"]
        assert (await api.http.get(f"/v1/sessions/{session}", headers=bearer(stranger.secret))).status_code == 404
        found = await api.http.get("/v1/users/kim/preferences", headers=bearer(stranger.secret))
        assert found.json()["preferences"] == []
        with pytest.raises(BadRequest, match=f"has a successor, {new.key.id}"):
            api.keys.rotate("default", old.key.id, grace_hours=1)
        ended = api.keys.rotate("default", new.key.id, grace_hours=0)
        assert (await api.http.get("/v1/models", headers=bearer(new.secret))).status_code == 401
        assert (await api.http.get(f"/v1/sessions/{session}", headers=bearer(ended.secret))).status_code == 200
        with pytest.raises(NotFound):
            api.keys.rotate("elsewhere", ended.key.id, grace_hours=0)
        with pytest.raises(NotFound):
            api.keys.revoke("elsewhere", ended.key.id)


async def test_keys_of_the_settings_go_on_and_can_be_taken_over(tmp_path: Path) -> None:
    async with keyed_api(tmp_path, api_keys=["old secret"], agent_keys=["agent"]) as api:
        session = (await api.ask("old secret", user="kim")).json()["chatalogue"]["session_id"]
        heir = api.keys.create("default", "shop", CUSTOMERS, takes_over=key_id_of("old secret"))
        for key in ("old secret", heir.secret, api.key("shop").secret):
            assert (await api.http.get(f"/v1/sessions/{session}", headers=bearer(key))).status_code == 200
            assert (await api.http.get("/v1/users/kim/export", headers=bearer(key))).json()["since"]
        for key in (api.key("late").secret, "agent"):
            assert (await api.http.get(f"/v1/sessions/{session}", headers=bearer(key))).status_code == 404
        with pytest.raises(BadRequest, match="customers of its own"):
            api.keys.create("default", "late", CUSTOMERS, takes_over=key_id_of("old secret"))


async def test_scopes(tmp_path: Path) -> None:
    """Each address with a key of each scope alone: those that may get past the border, the rest hear why not."""
    places = {
        ("POST", "/v1/chat/completions"): {"chat"},
        ("GET", "/v1/models"): set(SCOPES),
        ("POST", "/v1/feedback"): {"feedback", "handoff"},
        ("POST", "/v1/events"): {"feedback"},
        ("GET", "/v1/users/kim/preferences"): {"users"},
        ("GET", "/v1/users/kim/export"): {"users"},
        ("DELETE", "/v1/users/kim"): {"users"},
        ("GET", "/v1/sessions/s_1"): {"sessions"},
        ("POST", "/v1/sessions/s_1/handoff"): {"chat", "handoff"},
        ("GET", "/v1/turns/t_1/trace"): {"sessions"},
        ("GET", "/metrics"): {"admin"},
    }
    async with keyed_api(tmp_path) as api:
        keys = {scope: api.key(scope, scope) for scope in SCOPES}
        for (method, path), may in places.items():
            for scope, key in keys.items():
                response = await api.http.request(method, path, headers=bearer(key.secret))
                if scope in may:
                    assert response.status_code not in (401, 403), (path, scope)
                else:
                    assert (response.status_code, code_of(response)) == (403, "insufficient_scope"), (path, scope)
                    assert response.headers["x-request-id"]
        health = await api.http.get("/readyz?engine=1", headers=bearer(keys["chat"].secret))
        assert (health.status_code, code_of(health)) == (403, "insufficient_scope")
        assert (await api.http.get("/readyz?engine=1", headers=bearer(keys["admin"].secret))).status_code == 200
        assert (await api.http.get("/readyz?engine=1")).status_code == 401
        assert (await api.http.get("/readyz")).status_code == 200


def test_scopes_go_by_whole_steps_of_a_path() -> None:
    assert needed_scopes("/v1/usersabc") == ()
    assert needed_scopes("/v1/sessions/a/handoff/notes") == ("chat", "handoff")
    assert needed_scopes("/v1/sessions/handoff") == ("sessions",)
    assert needed_scopes("/v1/users/") == ("users",)


async def test_an_agents_key_is_one_by_its_scope(tmp_path: Path) -> None:
    async with keyed_api(tmp_path) as api:
        shop, agent = api.key(), api.key("desk", "handoff", "feedback")
        turn = (await api.ask(shop.secret)).json()["chatalogue"]["turn_id"]
        correction = {"turn_id": turn, "kind": "correct", "text": "Say this."}
        assert (await api.http.post("/v1/feedback", json=correction, headers=bearer(agent.secret))).json()["stored"]
        theirs = api.key("other", "feedback")  # not an agent's: the turn is not theirs
        assert (await api.http.post("/v1/feedback", json=correction, headers=bearer(theirs.secret))).status_code == 404


async def test_a_key_opens_its_own_tenant(tmp_path: Path) -> None:
    async with keyed_api(tmp_path) as api:
        ours, theirs = api.key("shop"), api.key("shop", tenant="second")
        answers = {
            key.key.tenant: (await api.ask(key.secret, user="kim")).json()["chatalogue"] for key in (ours, theirs)
        }
        assert [asked.tenant for asked in api.chat.asked] == ["default", "second"]
        for mine, other in ((ours, "second"), (theirs, "default")):
            for path in (
                f"/v1/sessions/{answers[other]['session_id']}",
                f"/v1/turns/{answers[other]['turn_id']}/trace",
            ):
                assert (await api.http.get(path, headers=bearer(mine.secret))).status_code == 404
            reaction = {"turn_id": answers[other]["turn_id"], "kind": "thumb_up"}
            posted = await api.http.post("/v1/feedback", json=reaction, headers=bearer(mine.secret))
            assert posted.status_code == 404
        assert (await api.http.delete("/v1/users/kim", headers=bearer(theirs.secret))).json()["sessions"] == 1
        kept = await api.http.get(f"/v1/sessions/{answers['default']['session_id']}", headers=bearer(ours.secret))
        assert kept.status_code == 200


async def test_the_last_use_is_noted_by_the_hour(tmp_path: Path) -> None:
    async with keyed_api(tmp_path) as api:
        made = api.key()
        assert made.key.last_used_at is None
        for _ in range(2):  # the first notes it, the next look writes it down
            await api.http.get("/v1/models", headers=bearer(made.secret))
        (used,) = [key.last_used_at for key in api.keys.all("default")]
        assert used is not None
        assert (used.minute, used.second) == (0, 0)
        before = used.replace(year=2020)
        api.log.database.write(lambda session: session.execute(update(ApiKeyRow).values(last_used_at=before)))
        await api.http.get("/v1/models", headers=bearer(made.secret))
        assert [key.last_used_at for key in api.keys.all("default")] == [before]  # once an hour is enough


async def test_a_database_that_is_away_lets_nobody_in_but_keys_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with keyed_api(tmp_path, api_keys=["old secret"]) as api:
        made = api.key()
        assert (await api.http.get("/v1/models", headers=bearer(made.secret))).status_code == 200
        (tmp_path / "log.sqlite3").rename(tmp_path / "away")
        refused = await api.http.get("/v1/models", headers=bearer(made.secret))
        assert (refused.status_code, code_of(refused)) == (503, "database_unavailable")
        assert str(tmp_path) not in refused.text
        assert (await api.http.get("/v1/models", headers=bearer("old secret"))).status_code == 200
        assert (await api.http.get("/v1/models")).status_code == 401
        assert (await api.http.get("/readyz", headers=bearer(made.secret))).status_code == 200


async def test_a_server_that_had_keys_knows_so_while_the_database_is_away(tmp_path: Path) -> None:
    """Under another name than this machine's: it must not say that the name is wrong."""
    elsewhere = {"host": "shop.example"}
    async with keyed_api(tmp_path) as api:
        made = api.key()
        theirs = bearer(made.secret) | elsewhere
        assert (await api.http.get("/v1/models", headers=theirs)).status_code == 200
        (tmp_path / "log.sqlite3").rename(tmp_path / "away")
        refused = await api.ask(made.secret, headers=elsewhere)
        assert (refused.status_code, code_of(refused)) == (503, "database_unavailable")
        for probe in ("/healthz", "/readyz"):
            assert (await api.http.get(probe, headers=elsewhere)).headers["content-type"] == "application/json"
        restarted = KeyedApi(api.log, tmp_path, ServerSettings())  # has never seen a key
        refused = await restarted.ask(made.secret, headers=elsewhere)
        assert (refused.status_code, code_of(refused)) == (503, "database_unavailable")
        for probe in ("/healthz", "/readyz"):
            assert (await restarted.http.get(probe, headers=elsewhere)).status_code == 200
        await restarted.http.aclose()


async def test_an_agents_key_of_the_settings_opens_while_the_database_is_away(tmp_path: Path) -> None:
    async with keyed_api(tmp_path, agent_keys=["agent"]) as api:
        (tmp_path / "log.sqlite3").rename(tmp_path / "away")
        assert (await api.http.get("/v1/models", headers=bearer("agent"))).status_code == 200


async def test_keys_that_cannot_be_read_are_looked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with keyed_api(tmp_path, look_seconds=30.0) as api:
        made, looks = api.key(), list[int]()

        def away(self: KeyStore, used: object = ()) -> KeyTable:
            looks.append(1)
            time.sleep(3.0)  # what failed is remembered for as long
            raise DataDirectoryError("The database is away.")

        monkeypatch.setattr(KeyStore, "table", away)
        sent = [api.http.get("/v1/models", headers=bearer(made.secret)) for _ in range(5)]
        assert {one.status_code for one in await asyncio.gather(*sent)} == {503}
        assert (await api.http.get("/v1/models", headers=bearer(made.secret))).status_code == 503
        assert len(looks) == 1


async def test_others_go_on_while_one_reads_the_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored, may_end = KeyStoreDouble(), threading.Event()
    ring = auth.KeyRing(ServerSettings(), "default", stored)  # type: ignore[arg-type]
    assert await ring.is_needed()
    monkeypatch.setattr(auth, "LOOK_SECONDS", 30.0)
    ring._read_at -= 40  # it is time for another look
    stored.wait_for = may_end
    looking = asyncio.create_task(ring.is_needed())
    while stored.looks < 2:
        await asyncio.sleep(0.01)
    assert await asyncio.wait_for(ring.is_needed(), 60)
    may_end.set()
    assert await looking
    assert stored.looks == 2


class KeyStoreDouble:
    """Says that there was a key; looks as long as it is told to."""

    def __init__(self) -> None:
        self.looks, self.wait_for = 0, threading.Event()
        self.wait_for.set()

    def table(self, used: object = ()) -> KeyTable:
        self.looks += 1
        self.wait_for.wait(600)
        return KeyTable({}, ever=True)


@pytest.mark.parametrize(
    "path", ["/metrics%0A", "/v1/users/kim/export%0A", "/v1/chat/completions%0A", "/v1/%00", "/%7f"]
)
async def test_paths_with_control_characters_lead_nowhere(tmp_path: Path, path: str) -> None:
    """A route takes a line break at the end of its path; scopes and limits go by the path."""
    async with keyed_api(tmp_path) as api:
        made = api.key("shop", "handoff", requests_per_minute=1, turns_per_day=1)
        for method in ("GET", "POST"):
            answer = await api.http.request(method, path, headers=bearer(made.secret), json=ASKED)
            assert (answer.status_code, code_of(answer)) == (404, "not_found")
            assert answer.headers["x-content-type-options"] == "nosniff"
        assert api.chat.asked == []


async def test_names_and_scopes_are_looked_at(tmp_path: Path) -> None:
    async with keyed_api(tmp_path) as api:
        for team in ("", "Shop", "a b", "x" * 64, "-x", "päd"):
            with pytest.raises(BadRequest, match="no name for a team"):
                api.key(team)
        wrong: list[list[Scope]] = [[], ["chat", "root"]]  # type: ignore[list-item]
        for scopes in wrong:
            with pytest.raises(BadRequest, match="no scope"):
                api.keys.create("default", "shop", scopes)
        assert api.keys.all("default") == ()


async def test_a_database_that_is_back_is_found_at_once(tmp_path: Path) -> None:
    async with keyed_api(tmp_path, look_seconds=600.0) as api:
        made = api.key()
        (tmp_path / "log.sqlite3").rename(tmp_path / "away")
        assert (await api.http.get("/v1/models", headers=bearer(made.secret))).status_code == 503
        (tmp_path / "away").rename(tmp_path / "log.sqlite3")
        async with asyncio.timeout(300):  # as long as the look took, which is no time on a machine that is free
            while (await api.http.get("/v1/models", headers=bearer(made.secret))).status_code != 200:
                await asyncio.sleep(0.05)
