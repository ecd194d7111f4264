"""A shop's history: columns are found or named, rows become deeds, and what cannot be used is said with its line."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.learning.history_file import HistoryMapping, open_history, read_history_mapping
from agent.log.records import PastDeed
from retrieval.errors import CatalogueError
from retrieval.loading import RejectedRow

NOON = datetime(2024, 1, 31, 12, tzinfo=UTC)


def written(folder: Path, text: str, name: str = "history.csv") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def rows(path: Path, mapping: HistoryMapping | None = None) -> list[PastDeed | RejectedRow]:
    return list(open_history(path, mapping).rows())


def test_ratings_as_movielens_writes_them(tmp_path: Path) -> None:
    path = written(tmp_path, "userId,movieId,rating,timestamp\n1,31,2.5,1706702400\n")
    assert rows(path) == [PastDeed("1", "31", "rating", 2.5, NOON)]


def test_events_as_shops_write_them(tmp_path: Path) -> None:
    text = "timestamp,visitorid,event,itemid,transactionid\n1706702400000,257597,view,355908,\n,9,Transaction,3,4000\n"
    assert rows(written(tmp_path, text, "events.csv.gz")) == [
        PastDeed("257597", "355908", "view", None, NOON),
        PastDeed("9", "3", "buy", None, None),
    ]


@pytest.mark.parametrize(
    "time", ["2024-01-31T12:00:00Z", "2024-01-31 13:00:00+01:00", "2024-01-31T12:00:00", 1706702400, 1706702400000.0]
)
def test_our_own_format_and_every_way_to_write_a_time(tmp_path: Path, time: object) -> None:
    row = {"user": "ann", "item": "film-1", "kind": "buy", "value": 12.9, "time": time}
    path = written(tmp_path, json.dumps(row) + "\n", "history.jsonl")
    assert rows(path) == [PastDeed("ann", "film-1", "buy", 12.9, NOON)]


def test_ids_stay_as_they_are(tmp_path: Path) -> None:
    lines = [{"user": 7, "item": 12.0, "kind": "like"}, {"user": " 007 ", "item": "12.0", "kind": "like"}]
    path = written(tmp_path, "\n".join(map(json.dumps, lines)), "history.jsonl")
    assert [(row.user, row.item_id) for row in rows(path) if isinstance(row, PastDeed)] == [
        ("7", "12"),
        ("007", "12.0"),
    ]


def test_bad_rows_say_why_and_cost_only_themselves(tmp_path: Path) -> None:
    lines = [
        '{"user": "ann", "item": "a", "kind": "view"}',
        '{"item": "a", "kind": "view"}',
        '{"user": "ann", "item": "", "kind": "view"}',
        '{"user": "ann", "item": ["a"], "kind": "view"}',
        '{"user": "ann", "item": "a", "kind": "danced"}',
        '{"user": "ann", "item": "a", "kind": "rating"}',
        '{"user": "ann", "item": "a", "kind": "rating", "value": "good"}',
        '{"user": "ann", "item": "a", "kind": "buy", "value": NaN}',
        '{"user": "ann", "item": "a", "kind": "buy", "time": "yesterday"}',
        '{"user": "ann", "item": "a", "kind": "buy", "time": 12}',
        '{"user": "ann", "item": "a", "kind": "buy", "time": "9999-01-01"}',
        "not json",
        json.dumps({"user": "a" * 513, "item": "a", "kind": "view"}),
        '{"user": "ann", "item": "a", "kind": "click"}',
    ]
    found = rows(written(tmp_path, "\n".join(lines), "history.jsonl"))
    good = [n for n, row in enumerate(found, 1) if isinstance(row, PastDeed)]
    assert good == [1, 8, 14]  # a NaN is no value
    reasons = {row.line: row.reason for row in found if isinstance(row, RejectedRow)}
    expected = {2: "no user", 3: "no item", 4: "the item is not", 5: "'danced'", 6: "without a value", 7: "'good'"}
    expected |= {9: "'yesterday'", 10: "1970-01-01", 11: "9999-01-01", 12: "not valid JSON", 13: "512 characters"}
    assert set(reasons) == set(expected)
    assert all(part in reasons[line] for line, part in expected.items())


def test_a_mapping_names_columns_and_kinds(tmp_path: Path) -> None:
    toml = '[fields]\nuser = "who"\nitem = "what"\nkind = "did"\n[kinds]\nAddToCart = "click"\n'
    mapping = read_history_mapping(written(tmp_path, toml, "mapping.toml"))
    path = written(tmp_path, "who,what,did,rating\nann,a,addtocart,3\nann,b,view,\n")
    assert rows(path, mapping) == [PastDeed("ann", "a", "click", 3.0), PastDeed("ann", "b", "view")]


def test_every_row_may_be_of_one_kind(tmp_path: Path) -> None:
    path = written(tmp_path, "user;item;amount;type\nann;a;12,90;x\n")
    assert rows(path, HistoryMapping(every="buy")) == [PastDeed("ann", "a", "buy", 12.9)]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("item,kind\na,view\n", "no column that looks like the user"),
        ("user,kind\na,view\n", "no column that looks like the item"),
        ("user,item,amount\na,b,3\n", 'every = "buy"'),
        ("user,item\na,b\n", "does not say what was done"),
    ],
)
def test_a_file_that_does_not_say_who_did_what_is_refused(tmp_path: Path, text: str, part: str) -> None:
    with pytest.raises(CatalogueError, match=part):
        open_history(written(tmp_path, text))


def test_a_missing_file_and_a_column_that_is_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"nothing\.csv.*history"):
        open_history(tmp_path / "nothing.csv")
    with pytest.raises(CatalogueError, match="'who'.*lacks.*'user', 'item'"):
        open_history(written(tmp_path, "user,item\na,b\n"), HistoryMapping(user="who", every="view"))


@pytest.mark.parametrize(
    ("toml", "part"),
    [
        ("[field]\n", "'field'"),
        ('[fields]\ncustomer = "x"\n', "'customer'"),
        ('every = "dance"\n', "'dance'"),
        ('[kinds]\nx = "dance"\n', "'dance'"),
        ("[fields\n", "TOML"),
    ],
)
def test_a_mapping_with_a_slip_is_refused(tmp_path: Path, toml: str, part: str) -> None:
    with pytest.raises(CatalogueError, match=part):
        read_history_mapping(written(tmp_path, toml, "mapping.toml"))
