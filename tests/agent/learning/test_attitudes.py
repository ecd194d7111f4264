"""One number for what somebody thinks of an item."""

from dataclasses import replace

from lesson_samples import Customer
from small_shop import wish

from agent.evidence import KNOWN_REASON, is_known
from agent.learning.attitudes import attitudes, opinions
from agent.log.records import Feedback
from agent.log.store import EventLog


def test_reactions_and_words_have_their_numbers() -> None:
    wishes = [wish(None, "like", "loved"), wish(None, "like", "hated", polarity="negative"), wish("genre", "eq", "x")]
    reactions = [
        ("bought", "buy"),
        ("taken", "accept"),
        ("thumb", "thumb_up"),
        ("no", "reject"),
        ("down", "thumb_down"),
    ]
    assert attitudes(wishes, reactions) == {  # type: ignore[arg-type]  # the kinds are plain strings here
        "bought": 2.0,
        "taken": 1.0,
        "thumb": 1.0,
        "no": -1.0,
        "down": -1.0,
        "loved": 2.0,
        "hated": -2.0,
    }


def test_a_purchase_stands_over_a_thumb_in_either_order() -> None:
    assert attitudes([], [("a", "buy"), ("a", "thumb_up")]) == {"a": 2.0}
    assert attitudes([], [("a", "thumb_up"), ("a", "buy")]) == {"a": 2.0}


def test_a_no_stands_over_a_yes_in_either_order() -> None:
    assert attitudes([], [("a", "accept"), ("a", "reject")]) == {"a": -1.0}
    assert attitudes([], [("a", "reject"), ("a", "accept")]) == {"a": -1.0}


def test_words_stand_over_reactions() -> None:
    assert attitudes([wish(None, "like", "a")], [("a", "reject")]) == {"a": 2.0}


def test_a_look_is_no_opinion() -> None:
    assert attitudes([], [("a", "click"), ("a", "correct")]) == {}


def test_having_seen_it_is_no_dislike() -> None:
    seen = replace(wish(None, "like", "a", polarity="negative"), evidence="I have already seen that one")
    assert is_known(seen.evidence)
    assert attitudes([seen], []) == {}


def test_a_reaction_because_it_is_known_is_no_opinion(log: EventLog) -> None:
    ann = Customer.arrives(log, "ann")
    ann.says("films", "heat", "speed")
    log.record_feedback("default", "", Feedback(ann.turn_id, "reject", "heat", reason=KNOWN_REASON))
    ann.does("reject", "speed")
    ann.does("click", "heat")
    ann.does("thumb_up", None)
    assert opinions(log.state("default", ann.talk.id).turns) == [("speed", "reject")]
