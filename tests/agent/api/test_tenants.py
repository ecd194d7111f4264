"""Two tenants on one server: with one's key and the other's ids every address answers as if the ids never were.

Looked at from three sides: what is answered, what stands in the database afterwards, and every SQL statement of it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from real_shop import real_services
from small_shop import HashingEncoder
from sqlalchemy import Connection, Engine, event, select

from agent.api.app import create_api
from agent.api.auth import Caller
from agent.datadir import DataDirectory
from agent.log.keys import SCOPES, KeyStore
from agent.log.models import Base
from agent.log.store import EventLog
from agent.mcp.tools import TOOLS, Desk
from agent.services import Services
from agent.shop import Shop, open_shop
from retrieval.errors import ChatalogueError
from retrieval.index import build_index
from retrieval.items import Item

OURS, THEIRS = "shop-a", "shop-b"
THEIR_WORDS = "a birthday present for Xenophon"
CUSTOMERS = tuple(scope for scope in SCOPES if scope != "handoff")
ITEM = Item("secret-lamp", "Lamp of Xenophon", "A lamp that only the other shop has.", {"genre": "Lamps"})


@dataclass(frozen=True)
class Ids:
    """What a request may name."""

    session_id: str
    turn_id: str
    user_id: str
    wish_id: str
    item_id: str

    @property
    def all(self) -> tuple[str, ...]:
        return (self.session_id, self.turn_id, self.user_id, self.wish_id, self.item_id)


UNKNOWN = Ids(f"s_{'0' * 22}", f"t_{'0' * 16}_{'0' * 16}", "nobody", "u-0000000000000000", "no-lamp")

TABLES = re.compile(rf"\b(?:FROM|UPDATE|INTO)\s+\"?({'|'.join(Base.metadata.tables)})\b")

OF_ALL = re.compile(
    r"FROM api_key$|"  # read whole, in order to know whose a request is
    r"SELECT max\(event\.seq\) AS \w+ FROM event$|"  # a number: how far the log has come
    r"DELETE FROM idempotent_answer WHERE idempotent_answer\.created_at < \?$|"  # of whomever, after a day
    r"WHERE event\.once = \?$|"  # a hash over the id of a turn that was looked up before
    r"1!=1"  # of no ids at all
)
"""Statements that name neither a tenant nor one's rows, and why they may."""

BODIES: dict[str, Any] = {
    "createCompletion": lambda ids: {
        "model": "chatalogue",
        "messages": [{"role": "user", "content": "another one"}],
        "metadata": {"session_id": ids.session_id},
        "user": ids.user_id,
    },
    "recordFeedback": lambda ids: {"turn_id": ids.turn_id, "kind": "thumb_up", "item_id": ids.item_id},
    "recordEvent": lambda ids: {"kind": "click", "turn_id": ids.turn_id, "session_id": ids.session_id},
    "editPreferences": lambda ids: {"remove": [ids.wish_id]},
    "editConsent": lambda ids: {"consent": True},
    "rateSession": lambda ids: {"of": "bot", "score": 3},
    "replyHandoff": lambda ids: {"text": "hello"},
    "noteHandoff": lambda ids: {"text": "hello"},
    "takeHandoff": lambda ids: {"take_over": True},
}
"""Of operations that need one; the others are sent none."""

FOUND = {"healthz", "readyz", "metrics", "listModels", "listHandoffs", "listRatings"}
"""Operations without ids of anybody; what they answer must still say nothing of the others."""
BY_NAME = {"showPreferences", "forgetPreferences", "editConsent", "exportUser", "eraseUser"}
"""Operations on a user's name, which both tenants may have: somebody else's is somebody of whom nothing is stored."""


@dataclass
class Statements:
    """Every statement that a database was sent, with its parameters."""

    sent: list[tuple[str, frozenset[str]]] = field(default_factory=list)

    @contextmanager
    def of(self, log: EventLog) -> Iterator[None]:
        for engine in engines_of(log):
            event.listen(engine, "before_cursor_execute", self._note)
        yield
        for engine in engines_of(log):
            event.remove(engine, "before_cursor_execute", self._note)

    def _note(
        self, _on: Connection, _cursor: object, statement: str, parameters: Sequence[Any], _how: object, many: bool
    ) -> None:
        for row in parameters if many else [parameters]:
            values = row.values() if isinstance(row, Mapping) else row
            self.sent.append((statement, frozenset(value for value in values if isinstance(value, str))))


@dataclass(frozen=True)
class Two:
    """A server of two tenants; `theirs` has had a customer, `ours` has keys."""

    log: EventLog
    services: Services
    theirs: Ids
    keys: Mapping[str, str]

    def http(self, key: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(create_api(self.services), raise_app_exceptions=False)
        headers = {"authorization": f"Bearer {self.keys[key]}"}
        return httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers, timeout=60)

    def rows(self, tenant: str) -> dict[str, list[tuple[Any, ...]]]:
        """Everything that stands in the database of a tenant."""
        with engines_of(self.log)[1].connect() as connection:
            return {
                name: sorted(map(tuple, connection.execute(select(table).where(table.c.tenant == tenant))), key=repr)
                for name, table in Base.metadata.tables.items()
            }

    def ids(self, tenant: str) -> set[str]:
        """Ids of the tenant's rows."""
        found: set[str] = set()
        with engines_of(self.log)[1].connect() as connection:
            for table in Base.metadata.tables.values():
                names = [one for one in table.c if one.name == "id" or one.name.endswith("_id")]
                for row in connection.execute(select(*names).where(table.c.tenant == tenant)) if names else ():
                    found.update(value for value in row if isinstance(value, str) and len(value) > 8)
        return found


def engines_of(log: EventLog) -> tuple[Engine, Engine]:
    """For writing and for reading."""
    return log.database._engine, log.database._reader


def asked(text: str, **more: object) -> dict[str, Any]:
    return {"model": "chatalogue", "messages": [{"role": "user", "content": text}], **more}


@pytest.fixture(scope="module")
def lamp_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    encoder = HashingEncoder()
    folder = build_index([ITEM], tmp_path_factory.mktemp("lamps"), encoder)
    shop = open_shop(folder, encoder, None, "Lamps")
    yield shop
    shop.retriever.close()


@pytest.fixture
async def two(film_shop: Shop, lamp_shop: Shop, tmp_path: Path) -> AsyncIterator[Two]:
    log = EventLog.open(None, tmp_path)
    services = real_services(film_shop, log, tmp_path, tenant=OURS, also={THEIRS: lamp_shop})
    store = KeyStore(log.database)
    keys = {
        "ours": store.create(OURS, "shop", CUSTOMERS).secret,
        "our agents": store.create(OURS, "shop", SCOPES).secret,
        "theirs": store.create(THEIRS, "shop", CUSTOMERS).secret,
    }
    without = Two(log, services, UNKNOWN, keys)
    async with without.http("theirs") as http:
        theirs = await _lived(http, THEIR_WORDS)
    yield Two(log, services, theirs, keys)
    log.close()


async def _lived(http: httpx.AsyncClient, words: str) -> Ids:
    """A customer: a talk, wishes, a reaction, a wish for a person."""
    wishes = {"add": [{"op": "about", "value": words}]}
    wish = (await http.patch("/v1/users/kim/preferences", json=wishes)).json()["preferences"][0]["id"]
    first = await http.post("/v1/chat/completions", json=asked(words, user="kim"))
    answer = first.json()["chatalogue"]
    ids = Ids(answer["session_id"], answer["turn_id"], "kim", wish, answer["items"][0]["id"])
    reaction = {"turn_id": ids.turn_id, "kind": "accept", "item_id": ids.item_id}
    assert (await http.post("/v1/feedback", json=reaction)).json()["stored"] is True
    await http.patch("/v1/users/kim/consent", json={"consent": True})
    handed = await http.post(f"/v1/sessions/{ids.session_id}/handoff", json={"message": words})
    assert handed.status_code == 200, handed.text
    return ids


def operations_of(services: Services) -> list[tuple[str, str, str]]:
    """Name, method and path of everything that the API offers."""
    paths = create_api(services).openapi()["paths"]
    found = [
        (operation["operationId"], method.upper(), path)
        for path, methods in paths.items()
        for method, operation in methods.items()
    ]
    assert len(found) >= 26
    return sorted(found, key=lambda one: one[1] != "GET")  # what reads comes before what stores something of ours


async def _answer(http: httpx.AsyncClient, operation: str, method: str, path: str, ids: Ids) -> tuple[int, str]:
    """The status and the body, without the ids that the request named itself."""
    path = path.format(
        model_id="chatalogue", **{name: getattr(ids, name) for name in ("session_id", "turn_id", "user_id")}
    )
    body = BODIES[operation](ids) if operation in BODIES else None
    response = await http.request(method, path, json=body)
    text = response.text
    for one in ids.all:
        text = text.replace(one, "ID")
    return response.status_code, text


@pytest.mark.parametrize("key", ["ours", "our agents"])
async def test_no_address_knows_the_others_ids(two: Two, key: str) -> None:
    before, their_ids = two.rows(THEIRS), two.ids(THEIRS)
    statements = Statements()
    with statements.of(two.log):
        async with two.http(key) as http:
            for operation, method, path in operations_of(two.services):
                status, text = await _answer(http, operation, method, path, two.theirs)
                unknown = await _answer(http, operation, method, path, UNKNOWN)
                if operation not in FOUND:
                    assert (status, text) == unknown, operation
                if operation not in FOUND | BY_NAME | {"showModel"}:
                    assert status in ((403,) if key == "ours" and "/handoffs" in path else (400, 404)), operation
                assert "Xenophon" not in text, operation
                assert not any(one in text for one in their_ids), operation
    assert two.rows(THEIRS) == before
    _check_statements(statements, their_ids)


def _check_statements(statements: Statements, their_ids: set[str]) -> None:
    """A statement on rows of tenants names ours, or rows of ours by ids that nobody else has; never the others'."""
    looked = 0
    for statement, values in statements.sent:
        if not TABLES.search(statement):
            continue
        looked += 1
        assert THEIRS not in values, statement
        if OURS not in values:
            assert not values & their_ids, f"Not limited to a tenant, and asked for another one's id: {statement}"
    assert looked >= 5


async def test_every_statement_of_a_visit_is_limited(two: Two) -> None:
    """A whole visit of our own customer and team: no statement goes over the rows of all tenants."""
    statements, ids = Statements(), set[str]()
    with statements.of(two.log):
        async with two.http("ours") as http:
            ours = await _lived(http, "Heat")
            for path in (f"/v1/sessions/{ours.session_id}", f"/v1/turns/{ours.turn_id}/trace", "/v1/users/kim/export"):
                assert (await http.get(path)).status_code == 200
            event_of = {"kind": "buy", "item_id": ours.item_id, "turn_id": ours.turn_id}
            assert (await http.post("/v1/events", json=event_of, headers={"idempotency-key": "1"})).status_code == 200
            async with two.http("our agents") as team:
                for operation, method, path in operations_of(two.services):
                    if "/v1/handoffs" in path:
                        await _answer(team, operation, method, path, ours)
            ids |= two.ids(OURS)
            assert (await http.delete(f"/v1/sessions/{ours.session_id}")).status_code == 200
            assert (await http.delete("/v1/users/kim")).status_code == 200
    _check_statements(statements, two.ids(THEIRS))
    ids |= two.ids(OURS)
    unlimited = {
        statement
        for statement, values in statements.sent
        if TABLES.search(statement) and not values & {OURS, *ids} and not OF_ALL.search(" ".join(statement.split()))
    }
    assert not unlimited, "Limited neither to a tenant nor to rows of ours:\n" + "\n".join(unlimited)


async def test_the_same_words_continue_nothing_of_the_others(two: Two) -> None:
    """Without a session's id a conversation is found by its words: within tenant, team and user alone."""
    async with two.http("theirs") as http:
        view = (await http.get(f"/v1/sessions/{two.theirs.session_id}")).json()
        said = view["turns"][0]
    before = two.rows(THEIRS)
    history = [{"role": "user", "content": said["message"]}, {"role": "assistant", "content": said["reply"]}]
    body = asked("another one", user="kim") | {"messages": [*history, {"role": "user", "content": "another one"}]}
    async with two.http("ours") as http:
        answer = (await http.post("/v1/chat/completions", json=body)).json()["chatalogue"]
    assert answer["session_id"] != two.theirs.session_id
    assert ITEM.id not in {item["id"] for item in answer["items"]}
    assert two.rows(THEIRS) == before


async def test_the_same_idempotency_key_is_another_one(two: Two) -> None:
    once = {"idempotency-key": "order-1"}
    answers = []
    for key in ("theirs", "ours"):
        async with two.http(key) as http:
            sent = [await http.post("/v1/chat/completions", json=asked("something new"), headers=once) for _ in "12"]
        assert sent[0].json() == sent[1].json()
        answers.append(sent[0].json()["chatalogue"])
    assert answers[0]["session_id"] != answers[1]["session_id"]
    assert [item["id"] for item in answers[0]["items"]] != [item["id"] for item in answers[1]["items"]]


async def test_no_tool_knows_the_others_ids(two: Two) -> None:
    """Those of the protocol, asked as its server does."""
    desk = Desk(two.services, Caller(OURS, "shop", "k", "shop", frozenset(SCOPES) - {"handoff"}))
    arguments: dict[str, Any] = {
        "search": lambda ids: {"query": THEIR_WORDS, "filters": [{"attribute": "id", "value": ids.item_id}]},
        "item": lambda ids: {"id": ids.item_id},
        "catalogue": lambda ids: {},
        "recommend": lambda ids: {"message": THEIR_WORDS, "session_id": ids.session_id, "user": ids.user_id},
        "answer": lambda ids: {"message": THEIR_WORDS, "session_id": ids.session_id, "user": ids.user_id},
        "feedback": lambda ids: {"turn_id": ids.turn_id, "kind": "accept", "item_id": ids.item_id},
    }
    before, statements = two.rows(THEIRS), Statements()
    with statements.of(two.log):
        for tool in TOOLS:
            told = []
            for ids in (two.theirs, UNKNOWN):
                try:
                    said = await tool.call(desk, tool.arguments.model_validate(arguments[tool.name](ids)))
                    text = said.values.model_dump_json() + said.text
                except ChatalogueError as error:
                    text = f"{type(error).__name__}: {error}"
                for one in ids.all:
                    text = text.replace(one, "ID")
                told.append(text)
            assert told[0] == told[1], tool.name
            assert "Xenophon" not in told[0], tool.name
    assert two.rows(THEIRS) == before
    _check_statements(statements, two.ids(THEIRS))


def test_every_table_names_the_tenant() -> None:
    for name, table in Base.metadata.tables.items():
        assert "tenant" in table.c, name
        assert not table.c.tenant.nullable, name


def test_every_folder_of_a_tenant_is_its_own(tmp_path: Path) -> None:
    """Indexes with their Chroma collections, articles, intents, rankers, adapters, trainings, memory, reports."""
    data = DataDirectory(tmp_path)
    methods = [
        getattr(data, name)
        for name, one in inspect.getmembers(DataDirectory, inspect.isfunction)
        if list(inspect.signature(one).parameters) == ["self", "tenant"] and not name.endswith("_lock")
    ]
    assert len(methods) >= 8
    ours, theirs = ([method(tenant) for method in methods] for tenant in (OURS, THEIRS))
    assert len({*ours, *theirs}) == 2 * len(methods)
    for one in ours:
        assert one.name == OURS
        assert not any(one.is_relative_to(other) or other.is_relative_to(one) for other in theirs)
