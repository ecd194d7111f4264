"""Words of a customer planted wherever they can go, through the API as it is served; after the erasure: nowhere.

Every file below the data directory is read, packed ones unpacked, and every sealed value opened.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from scanning import found_in
from sqlalchemy import MetaData, Row, select
from wired_shop import served, use_word_encoder

from agent.llm.protocol import Message, Prompt
from agent.log import sealing
from agent.log.erasing import TABLES
from agent.log.inbox import Inbox, Received
from agent.log.models import Base
from agent.log.outbox import WEBHOOK_KINDS, Outbox
from agent.log.records import PastDeed
from agent.log.tickets import PastTicket, record_tickets
from finetune.memory import ReplayMemory
from finetune.training.lessons import Lesson
from ui.wiring import Parts

KEEPER = "keeper@example.com"
KEPT = "Bleibekröte0000"


@dataclass
class Planting:
    """A customer (None: nobody's conversation) who says a word of its own in each place."""

    http: httpx.AsyncClient
    parts: Parts
    user: str | None
    words: dict[str, str] = field(default_factory=dict)
    session_id: str = ""

    def word(self, place: str) -> str:
        """Not ASCII, so that a file with escapes is another one than a file without."""
        return self.words.setdefault(place, f"Zwölfkröte{len(self.words):04}")

    async def say(self, text: str, **headers: str) -> dict[str, object]:
        body: dict[str, object] = {"model": "chatalogue", "messages": [{"role": "user", "content": text}]}
        if self.user:
            body["user"] = self.user
        if self.session_id:
            body["metadata"] = {"session_id": self.session_id}
        response = await self.http.post("/v1/chat/completions", json=body, headers=headers)
        assert response.status_code == 200, response.text
        ours: dict[str, object] = response.json()["chatalogue"]
        self.session_id = str(ours["session_id"])
        return ours

    async def post(self, path: str, body: Mapping[str, object]) -> None:
        response = await self.http.post(path, json=body)
        assert response.status_code == 200, response.text

    async def everywhere(self) -> None:
        """Through the API, then what the API has no way for: imports, and files of trainings and exports."""
        if self.user:
            wish = {"op": "about", "value": self.word("wish"), "evidence": self.word("evidence")}
            await self.http.patch(f"/v1/users/{quote(self.user)}/preferences", json={"add": [wish]})
        self.words["key name"] = f"once-{id(self)}"
        name = {"Idempotency-Key": self.words["key name"]}
        shown = await self.say(f"a western about {self.word('message')}", **name)
        items = [one["id"] for one in shown["items"] or shown["alternatives"]]  # type: ignore[attr-defined]
        shown = shown if items else await self.say("show me westerns")
        items = items or [one["id"] for one in shown["items"]]  # type: ignore[attr-defined]
        about = {"turn_id": shown["turn_id"], "item_id": items[0]}
        said = {"reason": self.word("reason"), "text": self.word("text")}
        await self.post("/v1/feedback", {**about, "kind": "accept", **said})
        seen = {"kind": "view", "item_id": items[0], "data": {"page": self.word("event")}}
        whose = {"session_id": self.session_id} | ({"user": self.user} if self.user else {})
        await self.post("/v1/events", {**seen, **whose})
        await self.say(f"where is my order RS-10001? My e-mail is {self.word('proof')}@example.com")
        handoff = {"message": self.word("handoff"), "contact": f"{self.word('contact')}@example.com"}
        await self.post(f"/v1/sessions/{self.session_id}/handoff", handoff)
        await self.say(f"are you there, {self.word('waiting')}?")
        self.told_from_elsewhere()
        self.imported()
        self.copied()

    def told_from_elsewhere(self) -> None:
        """By a help desk whose message waits to be answered."""
        inbox, place = Inbox(self.parts.log), f"desk/{self.session_id}"
        inbox.bind("default", place, self.session_id)
        assert inbox.receive(Received("default", self.session_id, place, {"text": self.word("inbox")}))

    def imported(self) -> None:
        if not self.user:
            return
        log = self.parts.log
        log.record_past("default", "", [PastDeed(self.user, "heat", "rating", 4.0)])
        ticket = PastTicket(self.word("ticket id"), self.word("question"), self.word("answer"), user=self.user)
        assert record_tickets(log, "default", "", [ticket]) == 1

    def copied(self) -> None:
        """As learning and `feedback export` leave it."""
        log, data, root = self.parts.log, self.parts.data, self.parts.data.root
        talk = log.conversation("default", self.session_id)
        whose = log.pseudonym("default", talk.person_id or talk.id)
        self.words["pseudonym"] = whose
        row = {"user": whose, "turn_id": "t", "events": [], "prompt": self.word("export")}
        for file in (root / "exported.jsonl", root / "exports" / "deep" / "more.jsonl"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(f"{json.dumps(one)}\n" for one in (row, row | {"user": "other", "prompt": KEPT})))
        for name, state in (("ada-000077", "training"), ("ada-000078", "waiting")):
            run = data.runs("default") / name
            run.mkdir(parents=True)
            (run / "job.json").write_text(json.dumps({"state": state}))
            (run / "rows.jsonl").write_text(json.dumps({"user": whose, "prompt": self.word(f"row of {state}")}) + "\n")
        memory = ReplayMemory()
        asked = Prompt((Message("user", self.word("memory")),))
        memory.offer([Lesson("m 1", "sft", asked, ("x",), user=whose, events=("e_1",))])
        memory.save(data.memory("default"))


def rows(parts: Parts) -> dict[str, set[Row[tuple[object, ...]]]]:
    """The keys of all rows of each table of words."""
    with parts.log.database._engine.connect() as connection:
        return {
            table.name: set(connection.execute(select(*table.primary_key.columns)))
            for table in Base.metadata.sorted_tables
            if TABLES[table.name] == "words"
        }


def opened(parts: Parts) -> str:
    """Everything sealed, opened."""
    found = MetaData()
    with parts.log.database._engine.connect() as connection:
        found.reflect(connection)
        return "\n".join(
            parts.log.database._sealer.open(value, one.purpose, *place).decode(errors="replace")
            for one in sealing.SEALED
            for value, *place in connection.execute(
                select(*(found.tables[one.table.__tablename__].c[name] for name in (one.column, "tenant", *one.row)))
            )
            if value is not None
        )


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    use_word_encoder(monkeypatch)


def test_every_table_is_known_to_the_erasure() -> None:
    """A new one is words of persons, their skeleton, or the shop's own; words are planted below."""
    assert set(TABLES) == set(Base.metadata.tables)


@pytest.mark.parametrize("user", ["Zwölfkröte-Käthe@example.com", None], ids=["customer", "conversation"])
def test_nothing_that_was_said_is_left_in_any_file_or_table(tmp_path: Path, user: str | None) -> None:
    async def run() -> None:
        async with served(tmp_path) as (http, parts):
            outbox, kinds = Outbox(parts.log.database), [one for one in WEBHOOK_KINDS if one.startswith("handoff")]
            outbox.add_endpoint("default", "https://x.example/h", "x.example", "s" * 32, kinds)
            keeper = Planting(http, parts, KEEPER)
            await keeper.say(f"a western about {KEPT}")
            before = rows(parts)
            planting = Planting(http, parts, user)
            await planting.everywhere()
            person = None if user is None else parts.log.person_id("default", "", user)
            words = set(planting.words.values()) | ({user} if user else set()) | ({person} if person else set())
            seen = {one for one in found_in(tmp_path, words)} | {one for one in words if one in opened(parts)}
            assert words - seen == {planting.words["key name"]}, "planted, and not found while it stands there"
            grown = {name for name, keys in rows(parts).items() if keys - before[name]}
            tables = {name for name, kind in TABLES.items() if kind == "words"}
            assert grown == tables - (set() if user else {"person_payload"})
            if user:
                erased = await http.delete(f"/v1/users/{quote(user)}")
            else:
                erased = await http.delete(f"/v1/sessions/{planting.session_id}")
            assert erased.status_code == 200, erased.text
            assert found_in(tmp_path, words) == {}
            assert [one for one in words if one in opened(parts)] == []
            assert rows(parts) == before
            assert set(found_in(tmp_path, [KEPT])[KEPT]) >= {"log.sqlite3", "exported.jsonl", "exports/deep/more.jsonl"}
            assert KEEPER in opened(parts)
            told = [one.session_id for one in parts.log.changes("default", 0).found]
            assert planting.session_id in told  # the line that says that it was erased

    asyncio.run(run())


def test_the_scan_sees_through_packing(tmp_path: Path) -> None:
    """What cannot find proves nothing."""
    word = "Zwölfkröte7777"
    (tmp_path / "plain").write_text(f"x{word}x", encoding="utf-8")
    (tmp_path / "wide").write_text(f"x{word}x", encoding="utf-16-be")
    (tmp_path / "escaped.json").write_text(json.dumps({"x": word}))
    (tmp_path / "asked").write_text(quote(word))
    (tmp_path / "packed.gz").write_bytes(gzip.compress(word.encode()))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.gz", gzip.compress(word.encode() * 9))
    (tmp_path / "packed.npz").write_bytes(packed.getvalue())
    (tmp_path / "innocent").write_text("Zwölfkröte")
    assert set(found_in(tmp_path, [word])[word]) == {path.name for path in tmp_path.iterdir()} - {"innocent"}
