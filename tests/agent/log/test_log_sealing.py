"""What is secret or contact data stands sealed in the database, and keys can be changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import LargeBinary, MetaData, select

from agent.log.database import Database
from agent.log.models import Base, PersonPayload, Secret
from agent.log.sealing import PERSON_NAME, SEALED
from agent.log.store import EventLog
from agent.secrecy import Sealer
from retrieval.errors import DataDirectoryError

OLD, NEW = "old " * 10, "new " * 10
NAME = "Änne Plant-Marker"
NOT_SEALED = {
    "api_key.digest",  # says nothing of the key
    "idempotent_answer.answer",  # words that stand in turn_payload, too, for a day
}


def test_every_column_of_bytes_is_sealed() -> None:
    """A new one is a `Sealed` of its own, else a change of keys would leave it behind."""
    found = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    assert {one.purpose for one in SEALED} == found - NOT_SEALED


def rows(log: EventLog) -> list[bytes]:
    """Every sealed value there is."""
    found = MetaData()
    with log.database._engine.connect() as connection:
        found.reflect(connection)
        return [
            value
            for one in SEALED
            for value in connection.scalars(select(found.tables[one.table.__tablename__].c[one.column]))
        ]


def test_new_keys_take_over_and_old_ones_can_go(url: str | None, data_dir: Path) -> None:
    log = EventLog.open(url, data_dir, Sealer(data_dir, [OLD]))
    log.record_consent("default", "key", NAME, consent=True)
    secret, before = log.secret("default"), rows(log)
    log.close()
    assert len(before) == 2
    with pytest.raises(DataDirectoryError, match="not among yours"):
        EventLog.open(url, data_dir, Sealer(data_dir, [NEW]))
    EventLog.open(url, data_dir, Sealer(data_dir, [NEW, OLD])).close()
    log = EventLog.open(url, data_dir, Sealer(data_dir, [NEW]))
    assert log.secret("default") == secret
    record = log.person("default", "key", NAME)
    assert record is not None
    assert record.name == NAME
    assert not set(rows(log)) & set(before)
    log.close()


def test_a_sealed_value_opens_in_no_other_row_or_tenant(log: EventLog) -> None:
    for tenant in ("default", "other"):
        for name in (NAME, "somebody else"):
            log.record_consent(tenant, "key", name, consent=True)
    with log.database._engine.connect() as connection:
        people = connection.execute(select(PersonPayload.tenant, PersonPayload.person_id, PersonPayload.sealed_name))
        found = people.all()
        secrets = connection.execute(select(Secret.tenant, Secret.name, Secret.value)).all()
    sealer = log.database._sealer
    tenant, person, sealed = found[0]
    assert sealer.open(sealed, PERSON_NAME.purpose, tenant, person).decode() in (NAME, "somebody else")
    for other_tenant, other_person, _ in found[1:]:
        with pytest.raises(DataDirectoryError, match="moved"):
            sealer.open(sealed, PERSON_NAME.purpose, other_tenant, other_person)
    (one, other) = secrets
    with pytest.raises(DataDirectoryError, match="moved"):
        sealer.open(one[2], "secret.value", other[0], other[1])


def test_a_database_alone_tells_no_name_and_no_key(log: EventLog, url: str | None, data_dir: Path) -> None:
    log.record_consent("default", "key", NAME, consent=True)
    assert log.secret("default") not in rows(log)
    assert all(NAME.encode() not in value for value in rows(log))
    if url is None:
        files = [file for file in data_dir.iterdir() if file.name.startswith("log.sqlite3")]
        assert files
        for file in files:
            assert NAME.encode() not in file.read_bytes()
            assert log.secret("default") not in file.read_bytes()


def test_many_rows_are_sealed_anew(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.log.sealing.RESEALED_AT_ONCE", 2)
    log = EventLog.open(None, data_dir, Sealer(data_dir, [OLD]))
    for n in range(5):
        log.record_consent("default", "key", f"customer {n}", consent=True)
    log.close()
    log = EventLog(Database.open(None, data_dir, Sealer(data_dir, [NEW, OLD])))
    log.database.seal_anew()
    prefix = Sealer(data_dir, [NEW]).prefix
    assert all(value.startswith(prefix) for value in rows(log))
    log.close()
