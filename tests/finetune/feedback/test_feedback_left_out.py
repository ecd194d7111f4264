"""What is not to be learned from is in no row: erased, withdrawn, refused, too old, unsigned, of somebody else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from feedback_talks import Rows
from sqlalchemy import update
from talking import Turn

from agent.log.ids import new_turn_id
from agent.log.models import Event, Shown, TurnPayload
from agent.log.models import Turn as TurnRow
from finetune.dataset import FeedbackRequest, feedback_data
from retrieval.errors import NotFound


async def taken(rows: Rows, name: str | None) -> Turn:
    """A turn of which the first item was accepted."""
    turn = await rows.visitor(name).say("something funny")
    rows.react(turn, "accept", turn.ids[0])
    return turn


def users(rows: Rows, **wanted: object) -> set[str]:
    """Sessions that rows are of."""
    return {source.session_id or "" for source in rows.data(**wanted).sources}


async def test_after_an_erasure_the_export_has_none_of_it(rows: Rows) -> None:
    gone, kept = await taken(rows, "ann"), await taken(rows, "bob")
    assert users(rows) == {gone.answer.session_id, kept.answer.session_id}
    rows.log.delete_session("default", gone.answer.session_id)
    assert users(rows) == {kept.answer.session_id}
    assert gone.answer.turn_id not in str(rows.data())


async def test_what_was_withdrawn_or_undone_is_gone(rows: Rows) -> None:
    turn = await taken(rows, "ann")
    rows.react(turn, "withdraw", turn.ids[0], of="accept")
    undone = await taken(rows, "bob")
    rows.log.undo_turn("default", undone.answer.turn_id)
    assert rows.data().rows == ()
    rows.react(turn, "accept", turn.ids[0])
    assert users(rows) == {turn.answer.session_id}


async def test_consent_decides(rows: Rows) -> None:
    said = {name: (await taken(rows, name)).answer.session_id for name in ("yes", "no", "unasked")}
    nobody = (await taken(rows, None)).answer.session_id
    rows.log.record_consent("default", "", "yes", consent=True)
    rows.log.record_consent("default", "", "no", consent=False)
    assert users(rows, consent="opt_in") == {said["yes"]}
    assert users(rows, consent="opt_out") == {said["yes"], said["unasked"], nobody}
    rows.log.record_consent("default", "", "yes", consent=False)
    assert users(rows, consent="opt_in") == set()


async def test_what_is_older_than_retention_or_asked_for_is_left_out(rows: Rows) -> None:
    old, new = await taken(rows, "ann"), await taken(rows, "bob")
    long_ago = datetime.now(UTC) - timedelta(days=40)
    rows.log._database.write(
        lambda session: session.execute(
            update(TurnRow).where(TurnRow.id == old.answer.turn_id).values(created_at=long_ago)
        )
    )
    assert users(rows, retention_days=0) == {old.answer.session_id, new.answer.session_id}
    assert users(rows, retention_days=39) == {new.answer.session_id}
    assert users(rows, since=long_ago + timedelta(days=1)) == {new.answer.session_id}
    assert users(rows, retention_days=50) == {old.answer.session_id, new.answer.session_id}
    later = datetime.now(UTC) + timedelta(days=60)
    request = FeedbackRequest("default", retention_days=50)
    assert feedback_data(rows.log, request, rows.mask, rows.shop.table, now=later).rows == ()


async def test_turns_that_we_did_not_sign_do_not_count(rows: Rows) -> None:
    turn = await taken(rows, "ann")
    forged = new_turn_id(b"another secret")

    def forge(session) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        session.connection().exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        old = turn.answer.turn_id
        for statement in (
            update(TurnRow).where(TurnRow.id == old).values(id=forged),
            update(TurnPayload).where(TurnPayload.turn_id == old).values(turn_id=forged),
            update(Shown).where(Shown.turn_id == old).values(turn_id=forged),
            update(Event).where(Event.turn_id == old).values(turn_id=forged),
        ):
            session.execute(statement.execution_options(synchronize_session=False))

    rows.log._database.write(forge)
    found = rows.data()
    assert (found.rows, found.left_out) == ((), {"turns that we did not sign": 1})
    with pytest.raises(NotFound, match="is unknown"):
        rows.log.record_label("default", forged, good=True)


async def test_a_label_is_of_something_that_is_there_and_of_this_shop(rows: Rows) -> None:
    turn = await rows.visitor("ann").say("something funny")
    event = rows.react(turn, "accept", turn.ids[0])
    for tenant, target in (("default", "e_made_up"), ("other", event), ("other", turn.answer.turn_id)):
        with pytest.raises(NotFound, match="is unknown"):
            rows.log.record_label(tenant, target, good=True)


async def test_tenants_are_apart(rows: Rows) -> None:
    await taken(rows, "ann")
    assert feedback_data(rows.log, FeedbackRequest("other"), rows.mask, rows.shop.table).rows == ()
