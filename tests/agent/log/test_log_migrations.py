"""Each revision up and down, on both databases, with everything that the log can hold in them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from log_samples import MakeTurn, wish
from sqlalchemy import MetaData, inspect, select

from agent.log import handoffs
from agent.log.actions import ActionLog, Deed, Place
from agent.log.adapters import Move, Source
from agent.log.database import Database, migration_config
from agent.log.handoffs import NewEntry
from agent.log.inbox import Inbox, Received
from agent.log.keys import KeyStore
from agent.log.models import Base
from agent.log.outbox import Outbox
from agent.log.records import Feedback, OutsideEvent, PastDeed, TurnRecord
from agent.log.repeats import KeptAnswer, KeptAnswers, Named
from agent.log.store import EventLog
from agent.log.usage import Ask, UsageCounter
from agent.understand.types import AskedQuestion

REVISIONS = [script.revision for script in ScriptDirectory.from_config(migration_config()).walk_revisions()][::-1]
DROPPED: dict[str, set[str]] = {
    "0001": {"*"},
    "0002": {"turn.events_before"},  # worked out again by the clock when it goes up
    "0003": {"turn_lease"},  # who answers at this moment
    "0004": {"live_ranker"},  # the linear ranker takes over
    "0005": {"adapter_move", "adapter_source"},  # the starter takes over
    "0006": {"person_payload.sealed_name"},  # opened again as `name`
    "0007": {  # the keys of the settings are left
        "api_key",
        "api_usage",
        "idempotent_answer",
        "webhook_endpoint",
        "webhook_delivery",
        "webhook_payload",
    },
    "0008": {"handoff_event", "handoff_payload"},  # the bot has every conversation
    "0009": {"action_state", "wrong_proof"},  # nothing waits to be confirmed
    "0010": {"inbox_delivery", "inbox_payload", "door_talk"},  # conversations over there begin anew
}
"""What the way down from a revision takes away, and nothing else: a table, or a column of one."""

SEALED_BY = "0006"
SEALED = {"secret.value", "person_payload.name", "person_payload.sealed_name"}
"""What is another value after each sealing."""

Rows: TypeAlias = dict[str, list[dict[str, Any]]]


@pytest.fixture
def database(url: str | None, data_dir: Path) -> Iterator[Database]:
    opened = Database.open(url, data_dir)
    yield opened
    opened.close()


def rows_of(database: Database) -> Rows:
    """Every row of every table that there is, as plain values, whatever the models say."""
    found = MetaData()
    with database._engine.connect() as connection:
        found.reflect(connection)
        return {
            table.name: [dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()]
            for table in found.sorted_tables
            if table.name != "alembic_version"
        }


def without(rows: Rows, dropped: set[str]) -> Rows:
    """`rows` without the tables and columns that are named."""
    return {
        table: [{name: value for name, value in row.items() if f"{table}.{name}" not in dropped} for row in each]
        for table, each in rows.items()
        if table not in dropped
    }


@pytest.fixture
def full(log: EventLog, make_turn: MakeTurn) -> EventLog:
    """Rows in every table, hard ones among them."""
    log.record_user_edit("default", "key", "Änne 电影", (wish("drama"),))
    conversation = log.start_conversation("default", "key", "Änne 电影", "zh")
    asked = AskedQuestion("genre", ("comedy", "😀"))
    long_ago = datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    first = make_turn(
        conversation, 1, message="😀\n电影 \u202e", facts=(wish(),), question=asked, seed=2**62, created_at=long_ago
    )
    log.record_turn(first)
    log.record_feedback("default", "key", Feedback(first.turn_id, "thumb_down", "film-a", reason="late", text="'\\ \""))
    log.record_edit("default", conversation.id, (wish("war"),))
    second = make_turn(conversation, 2, prefix_hash="h", trace={"deep": [1, None, {"x": 0.1}]}, timings={"total": 1.5})
    log.record_turn(second)
    log.undo_turn("default", second.turn_id)
    log.record_event("default", "key", OutsideEvent("buy", "film-b", value=12.9, at=long_ago.replace(year=2020)))
    log.record_past("default", "key", [PastDeed("电影", "film-b", "rating", 4.5, long_ago)])
    gone = log.start_conversation("other", "", None)
    log.record_turn(make_turn(gone, 1))
    log.delete_session("other", gone.id)
    log.activate_index("default", "000012")
    log.activate_ranker("default", "rnk-000001")
    log.activate_ranker("default", None)
    log.move_adapter("default", 0, Move("canary", "ada-000001", "looks good", 0.2))
    log.add_adapter_sources("default", "ada-000001", [Source("p_x", conversation.id)])
    assert log.take_lease("default", conversation.id, "me")
    asked = NewEntry(1, "asked", "bot", "n", "bot", "asked", text="😀", data={"packet": ["电影"]}, contact="a@b.c")
    log.database.write(lambda session: handoffs.add(session, "default", conversation.id, 1, asked))
    actions = ActionLog(log)
    actions.save(Place("default", conversation.id, "t_1"), 0, b"{}", [Deed("cancel", "asked", "RS-1", "key")])
    actions.note_wrong("default", {"order": "RS-1"}, datetime.now(UTC))
    fill_border(log, conversation.id)
    return log


def fill_border(log: EventLog, session_id: str) -> None:
    key = KeyStore(log.database).create("default", "shop", ["chat"], days=1).key
    UsageCounter(log.database).spend(Ask("default", key.id, True, 10, 10))
    asked, answers = Named("default", key.owner, "name", "body"), KeptAnswers(log.database)
    answers.begin(asked)
    answers.finish(asked, KeptAnswer(200, "application/json", b"{}"), session_id)
    outbox = Outbox(log.database)
    outbox.add_endpoint("default", "https://x.example/", "x.example", "secret", ["handoff.requested"])
    outbox.enqueue("default", "handoff.requested", {"summary": "电影"}, conversation_id=session_id)
    inbox = Inbox(log)
    inbox.bind("default", "desk/1/电影", session_id)
    assert inbox.receive(Received("default", "message/1", "desk/1/电影", {"text": "😀"}))


def test_the_samples_fill_every_table(full: EventLog) -> None:
    rows = rows_of(full._database)
    assert set(rows) == set(Base.metadata.tables)
    assert [table for table, each in rows.items() if not each] == []


@pytest.mark.parametrize("revision", REVISIONS[:0:-1])
def test_one_step_down_and_up_keeps_what_it_can(full: EventLog, revision: str) -> None:
    """At each revision: one back takes away what is stated, and going on again gives the rest back as it was."""
    database, below = full._database, REVISIONS[REVISIONS.index(revision) - 1]
    other = SEALED if revision == SEALED_BY else set()
    database.downgrade(revision)
    before = rows_of(database)
    database.downgrade(below)
    kept = without(before, DROPPED[revision] | other)
    assert without(rows_of(database), other) == kept
    assert without(before, DROPPED[revision]) != before  # the list of what goes is not longer than the truth
    database.upgrade(revision)
    after = rows_of(database)
    assert without(after, DROPPED[revision] | other) == kept
    assert {table: set(rows[0]) for table, rows in after.items() if rows and table in kept} == {
        table: set(rows[0]) for table, rows in before.items() if rows and table in kept
    }


def test_all_the_way_down_and_up_with_data(full: EventLog) -> None:
    """What a log of the first version held is there in the newest one, and it can be used."""
    database = full._database
    whole = rows_of(database)
    database.downgrade("0001")
    database.upgrade()
    dropped = set.union(SEALED, *(DROPPED[revision] for revision in REVISIONS[1:]))
    assert without(rows_of(database), dropped) == without(whole, dropped)
    (kept,) = full.list_conversations("default", "key", "Änne 电影")
    turns = full.session_view("default", kept.session_id).turns
    assert [(turn.message, turn.undone) for turn in turns] == [("😀\n电影 \u202e", False), ("message 2", True)]
    assert full.take_lease("default", kept.session_id, "another")


def test_what_older_versions_kept_plain_is_sealed_and_leaves_the_disk(full: EventLog, data_dir: Path) -> None:
    """Keys and names, and back again: a turn's id is still ours, and the name can be read."""
    database, secret = full._database, full.secret("default")
    database.downgrade("0005")
    plain = rows_of(database)
    assert secret in [row["value"] for row in plain["secret"]]
    assert {row["name"] for row in plain["person_payload"]} == {"Änne 电影", "电影"}
    database.upgrade()
    for row in rows_of(database)["secret"]:
        assert row["value"].startswith(b"chs1")
    for file in data_dir.iterdir():
        assert secret not in file.read_bytes(), file.name
        assert "Änne 电影".encode() not in file.read_bytes(), file.name
    again = EventLog(database)
    assert again.secret("default") == secret
    record = again.person("default", "key", "Änne 电影")
    assert record is not None
    assert record.name == "Änne 电影"


def test_every_revision_says_what_its_way_down_takes() -> None:
    assert set(DROPPED) == set(REVISIONS)


def test_migrations_build_exactly_the_models(database: Database) -> None:
    database.upgrade()
    with database._engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata) == []


def test_migrations_go_down_to_nothing_and_up_again(full: EventLog) -> None:
    database = full._database
    database.downgrade("base")
    assert inspect(database._engine).get_table_names() in ([], ["alembic_version"])
    database.upgrade()
    assert set(Base.metadata.tables) < set(inspect(database._engine).get_table_names())


def test_old_turns_learn_by_the_clock_which_events_came_before(log: EventLog) -> None:
    conversation = log.start_conversation("default", "key", None)
    records = [
        TurnRecord(
            "default", conversation.id, log.new_turn_id("default"), n, "m", "r", "recommend", "recommend", "en", ""
        )
        for n in (1, 2)
    ]
    log.record_turn(records[0])
    log.record_feedback("default", "key", Feedback(records[0].turn_id, "thumb_up"))
    log.record_turn(records[1])
    log.record_feedback("default", "key", Feedback(records[0].turn_id, "thumb_down"))
    log._database.downgrade("0001")
    log._database.upgrade()
    (turn,) = log.turn_input("default", records[1].turn_id).before.turns
    assert [reaction.kind for reaction in turn.reactions] == ["thumb_up"]
