"""What a turn may know of the turns before it: undone turns do not count, edits stand where they were made."""

from datetime import UTC, datetime
from typing import Any

from small_shop import added, wish

from agent.history import (
    context_of,
    facts_in_force,
    messages_of,
    next_number,
    prefix_hash,
    reactions_of,
    read_by_rules,
    turn_that_showed,
)
from agent.log.records import Conversation, ConversationState, EditState, Reaction, TurnState
from agent.preferences import Dropped, fold
from agent.services import PastMessage
from agent.shop import Shop

COMEDY = wish("genre", "eq", "Comedy", key="t1-1")
CHEAP = wish("price", "lt", 10.0, key="t2-1", turn=2)
CONVERSATION = Conversation("s", "default", "", None, datetime(2026, 1, 1, tzinfo=UTC), "en", "bot")


def turn(number: int, **fields: Any) -> TurnState:  # noqa: ANN401
    plain: dict[str, Any] = {
        "turn_id": f"turn-{number}",
        "number": number,
        "message": f"m{number}",
        "reply": f"r{number}",
        "language": "en",
        "intent": "recommend",
        "action": "recommend",
        "facts": (),
        "shown": (),
        "focus": (),
        "question": None,
        "undone": False,
        "reactions": (),
    }
    return TurnState(**(plain | fields))


def state(*turns: TurnState, edits: tuple[EditState, ...] = ()) -> ConversationState:
    return ConversationState(CONVERSATION, turns, edits)


def test_edits_are_folded_where_they_were_made() -> None:
    before = EditState(0, added(wish("mood", "eq", "dark", key="t0-1", turn=0)))
    after_first = EditState(1, (Dropped(1, "chip", preference_ids=("t1-1",)),))
    talk = state(turn(1, facts=added(COMEDY)), turn(2, facts=added(CHEAP)), edits=(before, after_first))
    assert [one.id for one in fold(facts_in_force(talk))] == ["t0-1", "t2-1"]


def test_an_undone_turn_says_nothing_but_keeps_its_number() -> None:
    talk = state(turn(1, facts=added(COMEDY), shown=("a",)), turn(2, facts=added(CHEAP), shown=("b",), undone=True))
    context = context_of(talk)
    assert context.turn == next_number(talk) == 3
    assert context.preferences == (COMEDY,)
    assert context.shown == (("a",),)
    assert messages_of(talk) == (PastMessage("user", "m1"), PastMessage("assistant", "r1"))


def test_near_misses_count_as_a_list_and_talk_does_not() -> None:
    talk = state(turn(1, focus=("a", "b")), turn(2, intent="item_question", focus=("a",)))
    context = context_of(talk)
    assert context.shown == (("a", "b"),)
    assert context.focus == ("a",)


def test_the_first_turn_knows_nothing() -> None:
    context = context_of(state())
    assert (context.turn, context.preferences, context.shown, context.focus) == (1, (), (), ())


def test_reactions_and_the_turn_that_showed_an_item() -> None:
    talk = state(
        turn(1, shown=("a", "b"), reactions=(Reaction("a", "reject"), Reaction(None, "thumb_up"))),
        turn(2, shown=("b",), reactions=(Reaction("b", "accept"),)),
    )
    assert reactions_of(talk, "reject") == ("a",)
    assert reactions_of(talk, "accept") == ("b",)
    assert reactions_of(talk, "thumb_up") == ()
    assert turn_that_showed(talk, "b") == "turn-2"
    assert turn_that_showed(talk, "z") is None


def test_the_prefix_hash_is_of_who_said_what() -> None:
    talk = (PastMessage("user", "hi"), PastMessage("assistant", "hello"))
    assert prefix_hash(talk) == prefix_hash((PastMessage("system", "x"), PastMessage("user", " hi\n"), talk[1]))
    assert prefix_hash(talk) != prefix_hash((PastMessage("assistant", "hi"), PastMessage("user", "hello")))
    assert prefix_hash(talk) != prefix_hash((PastMessage("user", "hihello"),))
    assert len(prefix_hash((PastMessage("user", "\ud800 lone"),))) == 64


def test_a_conversation_that_is_not_ours_is_read_by_rules(film_shop: Shop) -> None:
    listing = (
        "Here:\n1. Airplane! (1980) · 6.50 EUR\n   Fits your wish: Comedy.\n   https://x.example\n"
        "2. The Sting · 6.50 EUR\n3. The Dark Knight (2008)\n4. Something else entirely"
    )
    history = (
        PastMessage("system", "be nice"),
        PastMessage("user", "a comedy please"),
        PastMessage("assistant", listing),
        PastMessage("user", "under 10 euros"),
    )
    context, facts = read_by_rules(history, film_shop)
    titles = [[film_shop.table.get(i).title for i in shown] for shown in context.shown]
    assert titles == [["Airplane!", "The Sting", "The Dark Knight"]]
    assert context.focus == context.shown[0]
    assert {(one.attribute, one.op) for one in context.preferences} == {("genre", "eq"), ("price", "lt")}
    assert context.preferences == fold(facts)
    assert len({one.id for one in context.preferences}) == 2
    assert all(one.turn == 0 for one in context.preferences)
    assert context.turn == 1
