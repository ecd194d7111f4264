"""Accepted replies for the prompt: of items that enough customers took, masked, and none of whoever said no."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.adapters.voice import OneVoice
from agent.learning import reply_examples
from agent.learning.reply_examples import AcceptedReplies, ExampleVoices
from agent.llm.off import NoEngine
from agent.log.records import Feedback, ShownRow, TurnRecord
from agent.log.store import EventLog
from agent.reply_prompt import AcceptedReply


def take(
    log: EventLog, user: str, item: str = "heat", *, kinds: tuple[str, ...] = ("accept",), own: bool = False
) -> str:
    """A conversation in which the model spoke of an item and the customer reacted to it; its id."""
    talk = log.start_conversation("default", "key", user)
    asked = f"<item>\n{item}. A thief.\n</item>\nfits: by {user}@example.com"
    said = f"{item}: a thief. My name is Anna."
    pitch = {"item_id": item, "asked": asked, "prefill": f"{item}:", "said": said, "own": own}
    turn = TurnRecord(
        "default", talk.id, log.new_turn_id("default"), 1, "m", "r", "recommend", "recommend", "en", "m",
        shown=(ShownRow(item, 1),), trace={"pitch": pitch},
    )  # fmt: skip
    log.record_turn(turn)
    for kind in kinds:
        log.record_feedback("default", "key", Feedback(turn.turn_id, kind, item))
    return talk.id


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply_examples, "LOOK_SECONDS", 0.0)


def looked(replies: AcceptedReplies) -> tuple[AcceptedReply, ...]:
    replies.of("default")
    replies.settle("default")
    found = replies.of("default")
    replies.settle("default")
    return found


@pytest.mark.usefixtures("now")
def test_only_what_enough_customers_took_is_shown_and_masked(tmp_path: Path) -> None:
    log = EventLog.open(None, tmp_path)
    replies = AcceptedReplies(log, 2, customers=2)
    assert looked(replies) == ()
    take(log, "ann")
    take(log, "ann")  # the same customer counts once
    take(log, "ben", kinds=("accept", "reject"))
    take(log, "cem", own=True)
    take(log, "dan", kinds=("click",))
    assert looked(replies) == ()
    take(log, "eva")
    (shown,) = looked(replies)
    assert shown.asked.startswith("<item>\nheat. A thief.\n</item>\nfits: by")
    assert "@" not in shown.asked
    assert (shown.said.startswith("heat: a thief."), "Anna" in shown.said) == (True, False)
    for user in ("ann", "ben", "eva"):
        take(log, user, "alien", kinds=("buy",))
    assert [one.said[:5] for one in looked(replies)] == ["alien", "heat:"]  # what most took comes first
    log.record_consent("default", "key", "ann", consent=False)
    assert [one.said[:5] for one in looked(replies)] == ["alien"]
    log.erase_person("default", "key", "ben")
    assert looked(replies) == ()
    log.close()


@pytest.mark.usefixtures("now")
def test_a_voice_has_them_and_none_where_none_are_wanted(tmp_path: Path) -> None:
    log = EventLog.open(None, tmp_path)
    for user in ("ann", "ben", "eva"):
        take(log, user)
    wanted, none = AcceptedReplies(log, 1), AcceptedReplies(log)
    found = looked(wanted)
    assert len(found) == 1
    assert ExampleVoices(OneVoice(), wanted, "default").voice(NoEngine(), "s_x").examples == found
    assert none.of("default") == ()
    assert none._books == {}  # nothing was read
    wanted.settle("default")
    log.close()


@pytest.mark.usefixtures("now")
def test_a_log_that_cannot_be_read_shows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog.open(None, tmp_path)
    for user in ("ann", "ben", "eva"):
        take(log, user)
    replies = AcceptedReplies(log, 1)
    assert looked(replies) != ()

    def away(*_: object) -> None:
        raise OSError("away")

    monkeypatch.setattr(log, "changes", away)
    assert looked(replies) == ()
    log.close()
