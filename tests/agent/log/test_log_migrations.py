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

from agent.log.adapters import Move, Source
from agent.log.database import Database, migration_config
from agent.log.models import Base
from agent.log.records import Feedback, OutsideEvent, PastDeed, TurnRecord
from agent.log.store import EventLog
from agent.understand.types import AskedQuestion

REVISIONS = [script.revision for script in ScriptDirectory.from_config(migration_config()).walk_revisions()][::-1]
DROPPED: dict[str, set[str]] = {
    "0001": {"*"},
    "0002": {"turn.events_before"},  # worked out again by the clock when it goes up
    "0003": {"turn_lease"},  # who answers at this moment
    "0004": {"live_ranker"},  # the linear ranker takes over
    "0005": {"adapter_move", "adapter_source"},  # the starter takes over
}
"""What the way down from a revision takes away, and nothing else: a table, or a column of one."""

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
    return log


def test_the_samples_fill_every_table(full: EventLog) -> None:
    rows = rows_of(full._database)
    assert set(rows) == set(Base.metadata.tables)
    assert [table for table, each in rows.items() if not each] == []


@pytest.mark.parametrize("revision", REVISIONS[:0:-1])
def test_one_step_down_and_up_keeps_what_it_can(full: EventLog, revision: str) -> None:
    """At each revision: one back takes away what is stated, and going on again gives the rest back as it was."""
    database, below = full._database, REVISIONS[REVISIONS.index(revision) - 1]
    database.downgrade(revision)
    before = rows_of(database)
    database.downgrade(below)
    kept = without(before, DROPPED[revision])
    assert rows_of(database) == kept
    assert without(before, DROPPED[revision]) != before  # the list of what goes is not longer than the truth
    database.upgrade(revision)
    after = rows_of(database)
    assert without(after, DROPPED[revision]) == kept
    assert {table: set(rows[0]) for table, rows in after.items() if rows and table in kept} == {
        table: set(rows[0]) for table, rows in before.items() if rows and table in kept
    }


def test_all_the_way_down_and_up_with_data(full: EventLog) -> None:
    """What a log of the first version held is there in the newest one, and it can be used."""
    database = full._database
    whole = rows_of(database)
    database.downgrade("0001")
    database.upgrade()
    dropped = set.union(*(DROPPED[revision] for revision in REVISIONS[1:]))
    assert without(rows_of(database), dropped) == without(whole, dropped)
    (kept,) = full.list_conversations("default", "key", "Änne 电影")
    turns = full.session_view("default", kept.session_id).turns
    assert [(turn.message, turn.undone) for turn in turns] == [("😀\n电影 \u202e", False), ("message 2", True)]
    assert full.take_lease("default", kept.session_id, "another")


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
