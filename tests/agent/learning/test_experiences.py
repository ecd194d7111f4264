"""A talk becomes a lesson: the words and items before, the item that was taken, and nothing that was taken back."""

from lesson_samples import Customer, likes, take

from agent.learning.experiences import WEIGHTS, experiences, lessons
from agent.log.models import Person
from agent.log.store import EventLog
from agent.preferences import Dropped
from retrieval.experience import Experience
from retrieval.query import SeedItem


def learned(log: EventLog) -> list[Experience]:
    return list(experiences(log, "default"))


def test_a_lesson_has_what_was_said_and_liked_before_the_item_was_shown(log: EventLog) -> None:
    ann = Customer.arrives(log, "ann")
    ann.says(
        "something like Alien",
        "heat",
        "speed",
        reply="Try:\n1. Heat · 9 EUR\n2. Speed\nHeat is tense.",
        facts=(likes("alien"),),
    )
    ann.does("reject", "speed")
    ann.says("funnier, for anna@example.com", "tootsie", "elf", reply="1. Tootsie")
    ann.does("accept", "tootsie")
    ann.says("thanks, not like Elf", facts=(likes("elf", turn=3, polarity="negative"),))
    assert learned(log) == [
        Experience(
            turns=("something like Alien", "Try:\n\n\nHeat is tense.", "funnier, for  "),
            spoken=(SeedItem("speed", -1.0), SeedItem("alien", 2.0)),
            accepted=("tootsie",),
            group=ann.talk.id,
            weight=WEIGHTS["accept"],
        )
    ]


def test_each_item_that_was_taken_is_a_lesson_weighed_by_its_strongest_reaction(log: EventLog) -> None:
    ann = Customer.arrives(log, "ann")
    ann.says("films", "heat", "speed", "elf")
    for kind, item_id in (("thumb_up", "heat"), ("buy", "heat"), ("thumb_up", "speed"), ("click", "elf")):
        ann.does(kind, item_id)
    assert {one.accepted: one.weight for one in learned(log)} == {
        ("heat",): WEIGHTS["buy"],
        ("speed",): WEIGHTS["thumb_up"],
    }


def test_a_thumb_for_the_whole_reply_takes_no_item(log: EventLog) -> None:
    ann = Customer.arrives(log, "ann")
    ann.says("films", "heat")
    ann.does("thumb_up", None)
    assert learned(log) == []


def test_what_is_taken_back_teaches_nothing(log: EventLog) -> None:
    withdrawn = take(log, "ann", "a heist", "heat")
    withdrawn.does("withdraw", "heat", of="accept")
    undone = take(log, "bob", "a heist", "heat")
    log.undo_turn("default", undone.turn_id)
    refused = take(log, "cleo", "a heist", "heat")
    refused.does("reject", "heat")
    erased = take(log, "dan", "a heist", "heat")
    log.delete_session("default", erased.talk.id)
    kept = take(log, "eve", "a heist", "heat")
    assert [one.group for one in learned(log)] == [kept.talk.id]


def test_words_of_an_undone_turn_and_a_wish_taken_away_by_hand_are_not_there(log: EventLog) -> None:
    ann = Customer.arrives(log, "ann")
    log.undo_turn("default", ann.says("horror", "saw"))
    ann.says("like Alien", "heat", facts=(likes("alien", turn=2),))
    log.record_edit("default", ann.talk.id, (Dropped(turn=2, evidence="", preference_ids=("t2-alien",)),))
    ann.takes("a comedy", "elf")
    (only,) = learned(log)
    assert only.turns == ("like Alien", "Here you are.", "a comedy")
    assert only.spoken == ()


def test_tenants_are_apart(log: EventLog) -> None:
    take(log, "ann", "a heist", "heat", tenant="other")
    assert learned(log) == []
    assert len(list(experiences(log, "other"))) == 1


def test_who_owns_a_lesson_and_whom_it_counts_for(log: EventLog) -> None:
    """A person's conversations are one customer's; those without a name through one key count as one customer."""
    ann = [take(log, "ann", "a heist", "heat") for _ in range(2)]
    nobody = [take(log, None, "a heist", "heat", key_id=key) for key in ("k1", "k1", "k2")]
    found = [lessons(log.state("default", who.talk.id))[0] for who in (*ann, *nobody)]
    assert found[0].owner == found[1].owner == found[0].customer == found[1].customer == ann[0].talk.person_id
    assert [one.owner for one in found[2:]] == [who.talk.id for who in nobody]
    assert found[2].customer == found[3].customer != found[4].customer


def test_consent_decides_who_is_learned_from(log: EventLog) -> None:
    who = {name: take(log, name, "a heist", "heat") for name in ("yes", "no", "unasked", None)}

    def answer(name: str, consent: bool) -> None:
        person_id = who[name].talk.person_id
        log._database.write(lambda session: setattr(session.get_one(Person, person_id), "consent", consent))

    answer("yes", True)
    answer("no", False)
    groups = {name: customer.talk.id for name, customer in who.items()}
    assert {one.group for one in experiences(log, "default", "opt_in")} == {groups["yes"]}
    assert {one.group for one in experiences(log, "default", "opt_out")} == {
        groups["yes"],
        groups["unasked"],
        groups[None],
    }
