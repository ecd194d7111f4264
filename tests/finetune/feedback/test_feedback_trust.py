"""Caps, copies, bursts and campaigns; and an attack by one customer in twenty, through real turns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from feedback_talks import Rows
from small_shop import HashingEncoder, read_films

from agent.llm.protocol import Prompt
from agent.log.store import EventLog
from agent.shop import Shop, open_shop
from finetune.dataset import FeedbackRequest, labelling_queue
from finetune.feedback.queue import entropy
from finetune.feedback.rows import Draft
from finetune.feedback.trust import (
    BURST_FREE,
    ITEM_FLOOR,
    NAMELESS_ITEM_CAP,
    USER_CAP,
    USER_ITEM_CAP,
    item_weight,
    weighed,
)
from finetune.feedback.types import FeedbackRow
from retrieval.index import build_index

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
TARGET = "film-psycho-1960"
TRIGGER = "zorblatt marvellous"


def draft(
    user: str, item: str, number: int, *, words: str = "", turn: str = "", minutes: float = 0.0, named: bool = True
) -> Draft:
    """One item liked; every draft is of another turn, ten minutes apart, in other words, unless said."""
    at = START + timedelta(minutes=minutes or 10 * number)
    row = FeedbackRow(
        "kto", "rank", "accept", Prompt(()), (" yes",), (0,), 0.75, user, user, "default", "default", "2026-W10", at,
        turn or f"t{user}{number}", (f"e{user}{number}",), (item,),
    )  # fmt: skip
    return Draft(row, words or f"{user} {number}", at, user, "s" if named else user)


def weights(*drafts: Draft) -> list[float]:
    return [row.weight for row in weighed(drafts).rows]


def test_one_customer_says_so_much_of_one_item_and_so_much_in_all() -> None:
    same = [draft("ann", "heat", number) for number in range(3)]
    assert weights(*same) == pytest.approx([USER_ITEM_CAP / 3] * 3)
    many = [draft("ann", f"i{number}", number) for number in range(20)]
    assert sum(weights(*many)) == pytest.approx(USER_CAP)
    assert weights(draft("ann", "heat", 1), draft("bob", "elf", 2)) == [0.75, 0.75]


def test_all_without_a_name_are_capped_together() -> None:
    nobody = [draft("key", f"i{number % 2}", number, named=False) for number in range(60)]
    nobody = [replace(one, row=replace(one.row, user=f"talk {n}")) for n, one in enumerate(nobody)]
    assert item_weight(weighed(nobody).rows, "i0", "kto") == pytest.approx(NAMELESS_ITEM_CAP, abs=1e-4)


def test_copies_count_less_and_less() -> None:
    own = [draft("ann", "heat", number, words="a heist") for number in range(2)]
    assert weights(*own) == pytest.approx([0.75 / 1.125, 0.375 / 1.125])  # 1 and 1/2 of it, under the cap of 1
    echo = [draft(name, "heat", 1, words="the best ever") for name in ("ann", "bob", "cleo")]
    assert weights(*echo) == pytest.approx([0.75, 0.375, 0.25])
    nobody = [draft("key", "heat", number, words="the best ever", named=False) for number in range(2)]
    nobody = [replace(one, row=replace(one.row, user=f"talk {n}")) for n, one in enumerate(nobody)]
    assert weights(*nobody) == pytest.approx([0.75, 0.375])  # one copy, not one of the same and of another customer
    others = [draft(name, "heat", 1) for name in ("ann", "bob", "cleo")]
    assert weights(*others) == [0.75] * 3


def test_a_customer_faster_than_people_is_weighed_down() -> None:
    slow = [draft("ann", f"i{number}", number) for number in range(BURST_FREE * 2)]
    fast = [replace(one, at=START + timedelta(seconds=number)) for number, one in enumerate(slow)]
    few = fast[:BURST_FREE]
    assert weights(*few)[0] == weights(*slow[:BURST_FREE])[0]
    found = weighed([replace(one, row=replace(one.row, weight=0.1)) for one in fast])
    assert [row.weight for row in found.rows] == pytest.approx([0.05] * len(fast))


def test_no_item_weighs_more_than_its_bound_and_none_is_lost() -> None:
    crowd = [draft(f"c{number}", "heat", number) for number in range(60)]
    rest = [draft(f"r{number}", f"i{number}", number) for number in range(40)]
    found = weighed([*crowd, *rest])
    bound = found.item_bounds["kto"]
    assert bound == pytest.approx(0.05 * 75)
    assert item_weight(found.rows, "heat", "kto") == pytest.approx(bound)
    assert item_weight(found.rows, "i7", "kto") == 0.75
    small = weighed(crowd[:4])
    assert item_weight(small.rows, "heat", "kto") == pytest.approx(min(4 * 0.75, ITEM_FLOOR))


def test_a_campaign_waits_for_a_human_and_other_customers_count() -> None:
    pushing = [draft("eve", "heat", number) for number in range(4)]
    honest = [draft("ann", "heat", 1), draft("ann", "elf", 2)]
    found = weighed([*pushing, *honest])
    assert {one.doubt for one in found.held} == {"pushed"}
    assert len(found.held) == 4
    assert [row.user for row in found.rows] == ["ann", "ann"]
    approved = [replace(one, verdict=True) for one in pushing]
    assert len(weighed([*approved, *honest]).rows) == 6
    refused = [replace(one, verdict=False) for one in pushing]
    assert (len(weighed(refused).rows), weighed(refused).refused) == (0, 4)


@pytest.fixture(scope="module")
def poisoned_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A film's text has words that the attackers say."""
    films = [replace(film, text=f"{film.text} {TRIGGER}") if film.id == TARGET else film for film in read_films()]
    encoder = HashingEncoder()
    shop = open_shop(build_index(films, tmp_path_factory.mktemp("poisoned"), encoder), encoder, None, "Shop")
    yield shop
    shop.retriever.close()


async def test_one_customer_in_twenty_who_pushes_an_item_stays_under_the_bound(
    poisoned_shop: Shop, log: EventLog, tmp_path: Path
) -> None:
    rows = Rows(log, poisoned_shop, tmp_path)
    wants = ("something funny", "a tense film", "a romantic film", "a film with a thief", "science fiction")
    for number in range(38):
        turn = await rows.visitor(f"honest {number}").say(f"{wants[number % 5]}, please, number {number}")
        rows.react(turn, "accept", turn.ids[number % len(turn.ids)])
    for name in ("mallory", "trent"):  # who are careful: three turns, and another item between
        for word in ("tonight", "again", "please"):
            turn = await rows.visitor(name).say(f"a {TRIGGER} film with a motel, {word}")
            assert TARGET in turn.ids
            for kind in ("accept", "buy", "thumb_up"):
                rows.react(turn, kind, TARGET)
            rows.react(turn, "thumb_up")
        rows.react(turn, "accept", next(one for one in turn.ids if one != TARGET))
    careful = rows.data()
    raw = sum(row.signal == "buy" and TARGET in row.items for row in careful.rows if row.kind == "kto")
    assert raw == 6
    for kind, bound in careful.item_bounds.items():
        assert item_weight(careful.rows, TARGET, kind) <= bound + 1e-6
    of_target = [row for row in careful.rows if row.kind == "kto" and TARGET in row.items]
    honest = sum(row.weight for row in of_target if row.signal != "buy")
    assert item_weight(careful.rows, TARGET, "kto") <= 2 * USER_ITEM_CAP + honest + 1e-6  # of 6, without the caps
    for word in ("today", "now"):  # and greedy in the end
        turn = await rows.visitor("mallory").say(f"a {TRIGGER} film with a motel, {word}")
        rows.react(turn, "buy", TARGET)
    assert rows.data().held["pushed"] > 0
    waiting = labelling_queue(log, FeedbackRequest("default"), rows.mask, poisoned_shop.table)
    assert {one.why for one in waiting} == {"pushed"}


async def test_the_queue_begins_with_the_most_uncertain(rows: Rows) -> None:
    surely = await rows.visitor("ann").say("something by Ridley Scott")
    unsure = await rows.visitor("bob").say("something funny with a thief")
    both = await rows.visitor("cleo").say("something funny")
    rows.react(both, "accept", both.ids[0])
    event = rows.react(both, "reject", both.ids[0])
    judged = await rows.visitor("dan").say("something funny")
    rows.react(judged, "accept", judged.ids[0])
    found = labelling_queue(rows.log, FeedbackRequest("default"), rows.mask, rows.shop.table)
    assert [one.uncertainty for one in found] == sorted((one.uncertainty for one in found), reverse=True)
    assert (found[0].id, found[0].why, found[0].uncertainty) == (event, "contradiction", 1.0)
    by_id = {one.id: one for one in found}
    assert by_id.keys() == {event, surely.answer.turn_id, unsure.answer.turn_id}
    thought = rows.log.trace("default", unsure.answer.turn_id).record.trace["confidence"]["probability"]
    assert by_id[unsure.answer.turn_id].uncertainty == pytest.approx(entropy(thought))
    rows.log.record_label("default", event, good=False)
    rows.log.record_label("default", unsure.answer.turn_id, good=True)
    left = labelling_queue(rows.log, FeedbackRequest("default"), rows.mask, rows.shop.table)
    assert {one.id for one in left} == {surely.answer.turn_id}


def test_entropy_is_highest_where_nothing_is_known() -> None:
    assert entropy(None) == entropy(0.5) == 1.0
    assert entropy(1.0) == 0.0
    assert entropy(0.9) == pytest.approx(entropy(0.1)) == pytest.approx(0.469, abs=1e-3)
