"""The live lane: at once for its own customer, for others after masking and three customers, gone when taken back."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from lesson_samples import Customer, take

from agent.learning import live
from agent.learning.live import OWN, PER_CUSTOMER, SHARED, LiveLessons
from agent.log.records import Changes
from agent.log.store import EventLog
from retrieval.branches.base import Cues, Links
from retrieval.items import Item
from retrieval.query import Query
from retrieval.table import ItemTable

WORDS = "a zany whodunit on a train"


@pytest.fixture
def lessons(log: EventLog) -> LiveLessons:
    return LiveLessons(log)


@pytest.fixture(scope="module")
def table() -> ItemTable:
    texts = {"heat": "bank robbers in a city", "clue": "six guests in a house", "solo": "a murder on rails"}
    fillers = {f"item-{n}": f"filler number{n} with its own word{n}" for n in range(30)}
    return ItemTable([Item(item_id, item_id.title(), text) for item_id, text in (texts | fillers).items()])


def cues_of(words: str) -> Cues:
    return Cues(Query(turns=(words,)), words, Links({}, {}), {}, None)


def seen_by(
    customer: Customer, lessons: LiveLessons, table: ItemTable, words: str = WORDS
) -> dict[str, dict[str, float]]:
    """Signal -> item id -> value, as a search of the customer's conversation sees it once all is fitted."""
    state = customer.log.state(customer.talk.tenant, customer.talk.id)
    lessons.branches(table, state)
    lessons.settle(customer.talk.tenant)
    cues = cues_of(words)
    found = {}
    for branch in lessons.branches(table, state):
        for name, scores in branch.scores(cues).items():
            rows, values = scores.rows.tolist(), scores.values.tolist()
            found[name] = {table.ids[row]: value for row, value in zip(rows, values, strict=True)}
    return found


def shared_with(customer: Customer, lessons: LiveLessons, table: ItemTable, words: str = WORDS) -> set[str]:
    return set(seen_by(customer, lessons, table, words).get(SHARED, ()))


def three_take(log: EventLog, item_id: str = "clue", message: str = WORDS) -> list[Customer]:
    return [take(log, name, message, item_id) for name in ("ann", "bob", "cleo")]


def test_an_own_conversation_learns_at_once(log: EventLog, lessons: LiveLessons, table: ItemTable) -> None:
    ann, stranger = Customer.arrives(log, "ann"), Customer.arrives(log, "zoe")
    assert seen_by(ann, lessons, table) == {}
    ann.takes(WORDS, "clue")
    assert set(seen_by(ann, lessons, table)[OWN]) == {"clue"}
    assert seen_by(ann, lessons, table, "something else entirely") == {OWN: {}}
    assert seen_by(stranger, lessons, table) == {}


def test_a_named_customer_s_next_conversation_knows_the_one_before(
    log: EventLog, lessons: LiveLessons, table: ItemTable
) -> None:
    take(log, "ann", WORDS, "clue")
    take(log, None, WORDS, "heat")
    assert set(seen_by(Customer.arrives(log, "ann"), lessons, table)[OWN]) == {"clue"}
    assert seen_by(Customer.arrives(log, None), lessons, table) == {}


def test_others_see_it_from_the_third_customer_on(log: EventLog, lessons: LiveLessons, table: ItemTable) -> None:
    stranger = Customer.arrives(log, "zoe")
    for name, seen in (("ann", set[str]()), ("bob", set[str]()), ("cleo", {"clue"})):
        take(log, name, WORDS, "clue")
        assert shared_with(stranger, lessons, table) == seen
    assert shared_with(stranger, lessons, table, "filler number7") == set()
    assert shared_with(Customer.arrives(log, "zoe", tenant="other"), lessons, table) == set()


def test_how_many_customers_is_a_setting(log: EventLog, table: ItemTable) -> None:
    take(log, "ann", WORDS, "clue")
    stranger = Customer.arrives(log, "zoe")
    assert shared_with(stranger, LiveLessons(log, customers=1), table) == {"clue"}
    assert shared_with(stranger, LiveLessons(log, customers=2), table) == set()


@pytest.mark.parametrize("name", ["ann", None], ids=["one name", "no name"])
def test_many_conversations_of_one_customer_count_once(
    log: EventLog, lessons: LiveLessons, table: ItemTable, name: str | None
) -> None:
    for _ in range(5):
        take(log, name, WORDS, "clue", key_id="k")
    stranger = Customer.arrives(log, "zoe")
    assert shared_with(stranger, lessons, table) == set()
    take(log, "bob", WORDS, "clue", key_id="k")
    assert shared_with(stranger, lessons, table) == set()
    take(log, "cleo", WORDS, "clue", key_id="k")
    assert shared_with(stranger, lessons, table) == {"clue"}


def test_different_items_do_not_add_up(log: EventLog, lessons: LiveLessons, table: ItemTable) -> None:
    for name, item_id in (("ann", "clue"), ("bob", "heat"), ("cleo", "solo")):
        take(log, name, WORDS, item_id)
    assert shared_with(Customer.arrives(log, "zoe"), lessons, table) == set()


def test_a_withdrawal_is_forgotten_and_may_be_taken_back(log: EventLog, lessons: LiveLessons, table: ItemTable) -> None:
    *_, cleo = three_take(log)
    stranger = Customer.arrives(log, "zoe")
    assert shared_with(stranger, lessons, table) == {"clue"}
    cleo.does("withdraw", "clue", of="accept")
    assert shared_with(stranger, lessons, table) == set()
    assert seen_by(cleo, lessons, table) == {}
    cleo.does("accept", "clue")
    assert shared_with(stranger, lessons, table) == {"clue"}


def test_what_one_customer_of_many_takes_back_is_forgotten(
    log: EventLog, lessons: LiveLessons, table: ItemTable
) -> None:
    three_take(log)
    dan = take(log, "dan", "velociraptor", "clue")
    stranger = Customer.arrives(log, "zoe")
    assert shared_with(stranger, lessons, table, "velociraptor") == {"clue"}
    log.delete_session("default", dan.talk.id)
    assert shared_with(stranger, lessons, table, "velociraptor") == set()
    assert shared_with(stranger, lessons, table) == {"clue"}
    assert "velociraptor" not in words_held(lessons)


@pytest.mark.parametrize("how", ["erase", "undo", "reject"])
def test_erased_undone_and_refused_talks_are_forgotten(
    log: EventLog, lessons: LiveLessons, table: ItemTable, how: str
) -> None:
    *_, cleo = three_take(log)
    stranger = Customer.arrives(log, "zoe")
    assert shared_with(stranger, lessons, table) == {"clue"}
    if how == "erase":
        log.delete_session("default", cleo.talk.id)
    elif how == "undo":
        log.undo_turn("default", cleo.turn_id)
    else:
        cleo.does("reject", "clue")
    assert shared_with(stranger, lessons, table) == set()
    assert words_held(lessons).isdisjoint({"zany", "whodunit"}) or how != "erase"


def words_held(lessons: LiveLessons) -> set[str]:
    """Every word that the shared lane could match."""
    (book,) = lessons._books.values()
    return set() if book.lane is None else set(book.lane.learned._state.everything.vocabulary.numbers)


def test_personal_data_never_enters(log: EventLog, lessons: LiveLessons, table: ItemTable) -> None:
    said = f"I'm Annabel, mail annabel@example.com or call +49 170 1234567: {WORDS}"
    three_take(log, message=said)
    assert shared_with(Customer.arrives(log, "zoe"), lessons, table) == {"clue"}
    held = words_held(lessons)
    assert {"zany", "whodunit", "train"} <= held
    assert held.isdisjoint({"annabel", "example", "1234567", "170"})
    (book,) = lessons._books.values()
    assert "nnabel" not in repr(book.talks)


def test_it_survives_a_restart_and_another_process_is_heard(
    log: EventLog, lessons: LiveLessons, table: ItemTable, tmp_path: Path
) -> None:
    stranger = Customer.arrives(log, "zoe")
    assert shared_with(stranger, lessons, table) == set()
    other_process = EventLog.open(None, tmp_path / "var")
    try:
        three_take(other_process)
    finally:
        other_process.close()
    assert shared_with(stranger, lessons, table) == {"clue"}
    restarted = LiveLessons(log)
    assert seen_by(stranger, restarted, table) == seen_by(stranger, lessons, table)


def test_a_log_of_many_events_is_read_once(log: EventLog, table: ItemTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOOK_BACK", 2)
    lessons = LiveLessons(log)
    three_take(log)
    stranger = Customer.arrives(log, "zoe")
    assert shared_with(stranger, lessons, table) == {"clue"}
    read: list[Sequence[str]] = []
    talks = log.talks
    monkeypatch.setattr(log, "talks", lambda tenant, ids, consent: read.append(ids) or talks(tenant, ids, consent))
    assert shared_with(stranger, lessons, table) == {"clue"}
    assert read == []
    dan = take(log, "dan", WORDS, "heat")
    shared_with(stranger, lessons, table)
    assert read == [[dan.talk.id]]


def test_an_event_that_becomes_visible_late_is_not_missed(
    log: EventLog, lessons: LiveLessons, table: ItemTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL a transaction may end after another one whose events have higher numbers."""
    stranger, cleo = Customer.arrives(log, "zoe"), Customer.arrives(log, "cleo")
    take(log, "dan", WORDS, "solo")  # from here on only events after it are read
    assert shared_with(stranger, lessons, table) == set()
    cleo.takes(WORDS, "clue")
    take(log, "ann", WORDS, "clue")
    take(log, "bob", WORDS, "clue")
    changes = log.changes

    def without_hers(tenant: str, after: int) -> Changes:
        found = changes(tenant, after)
        return replace(found, found=tuple(one for one in found.found if one.session_id != cleo.talk.id))

    with monkeypatch.context() as late:
        late.setattr(log, "changes", without_hers)
        assert shared_with(stranger, lessons, table) == set()
    assert shared_with(stranger, lessons, table) == {"clue"}


def test_a_restored_copy_of_the_log_is_read_anew(
    log: EventLog, lessons: LiveLessons, table: ItemTable, tmp_path: Path
) -> None:
    stranger = Customer.arrives(log, "zoe")
    log.backup(tmp_path / "copy.sqlite3")
    three_take(log)
    assert shared_with(stranger, lessons, table) == {"clue"}
    log.close()
    (tmp_path / "copy.sqlite3").replace(tmp_path / "var" / "log.sqlite3")
    (tmp_path / "var" / "log.sqlite3-wal").unlink(missing_ok=True)
    assert shared_with(stranger, lessons, table) == set()


def test_another_catalogue_is_learned_for(log: EventLog, lessons: LiveLessons, table: ItemTable) -> None:
    three_take(log)
    three_take(log, "solo", "a gondola")
    stranger = Customer.arrives(log, "zoe")
    assert shared_with(stranger, lessons, table) == {"clue"}
    later = ItemTable([item for item in table.items[::-1] if item.id != "clue"])
    lessons.follow("default", later)
    take(log, "dan", "a pterodactyl", "solo")
    assert shared_with(stranger, lessons, later) == set()
    assert shared_with(stranger, lessons, later, "a gondola") == {"solo"}
    assert shared_with(stranger, lessons, later, "a pterodactyl") == {"solo"}
    assert shared_with(stranger, lessons, table) == set()  # a straggler does not turn it back
    assert shared_with(stranger, lessons, later, "a gondola") == {"solo"}


def test_of_one_customer_the_first_items_count(log: EventLog, table: ItemTable) -> None:
    ann = Customer.arrives(log, "ann")
    for n in range(PER_CUSTOMER + 1):
        ann.takes(f"word{n} please", f"item-{n}")
    lessons, stranger = LiveLessons(log, customers=1), Customer.arrives(log, "zoe")
    last = PER_CUSTOMER - 1
    assert f"item-{last}" in shared_with(stranger, lessons, table, f"word{last}")
    assert shared_with(stranger, lessons, table, f"word{last + 1}") == set()
    assert set(seen_by(ann, lessons, table, f"word{last + 1} please")[OWN]) >= {f"item-{last + 1}"}


def test_of_one_item_the_first_customers_count(
    log: EventLog, lessons: LiveLessons, table: ItemTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "PER_ITEM", 3)
    three_take(log)
    take(log, "dan", "velociraptor", "clue")
    stranger = Customer.arrives(log, "zoe")
    assert shared_with(stranger, lessons, table) == {"clue"}
    assert shared_with(stranger, lessons, table, "velociraptor") == set()


def test_a_lesson_that_matches_far_worse_than_an_item_s_own_words_stays_out(
    log: EventLog, lessons: LiveLessons, table: ItemTable
) -> None:
    three_take(log, "clue", "filler please, something that is very long and says quite a lot of other things")
    stranger = Customer.arrives(log, "zoe")
    assert shared_with(stranger, lessons, table, "filler number7 word7") == set()
    assert shared_with(stranger, lessons, table, "something long") == {"clue"}


def test_a_log_that_cannot_be_read_leaves_what_was_known(log: EventLog, lessons: LiveLessons, table: ItemTable) -> None:
    three_take(log)
    stranger = Customer.arrives(log, "zoe")
    assert shared_with(stranger, lessons, table) == {"clue"}
    state = log.state("default", stranger.talk.id)
    log.close()
    (log_file := Path(str(log._database._engine.url.database))).rename(log_file.with_suffix(".away"))
    assert len(lessons.branches(table, state)) == 1


def test_searches_and_reactions_at_once_end_with_the_truth(
    log: EventLog, lessons: LiveLessons, table: ItemTable
) -> None:
    stranger = Customer.arrives(log, "zoe")

    def busy(n: int) -> None:
        one = take(log, f"user {n}", WORDS, "clue" if n % 2 else "heat")
        shared_with(stranger, lessons, table)
        if n % 3 == 0:
            one.does("withdraw", "clue" if n % 2 else "heat", of="accept")
        shared_with(one, lessons, table)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(busy, range(16)))
    assert shared_with(stranger, lessons, table) == shared_with(stranger, LiveLessons(log), table) == {"clue", "heat"}
    book, anew = lessons._book("default"), LiveLessons(log)
    anew.follow("default", table)
    anew.settle("default")
    assert book.shared == anew._book("default").shared


def test_a_catalogue_is_learned_for_before_it_is_searched(
    log: EventLog, lessons: LiveLessons, table: ItemTable
) -> None:
    three_take(log)
    lessons.follow("default", table)
    lessons.settle("default")
    (lane,) = lessons.branches(table, log.state("default", Customer.arrives(log, "zoe").talk.id))
    assert set(lane.scores(cues_of(WORDS))) == {SHARED}


def test_a_search_waits_for_no_fitting_and_leaves_out_at_once_what_may_not_be_shared(
    log: EventLog, lessons: LiveLessons, table: ItemTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, cleo = three_take(log)
    stranger = Customer.arrives(log, "zoe")
    assert shared_with(stranger, lessons, table) == {"clue"}
    going_on, fit = threading.Event(), live._SharedLane.of

    def slowly(*arguments: object) -> object:
        going_on.wait(30)
        return fit(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(live._SharedLane, "of", slowly)
    cleo.does("withdraw", "clue", of="accept")
    state = log.state("default", stranger.talk.id)
    (lane,) = lessons.branches(table, state)
    assert len(lane.scores(cues_of(WORDS))[SHARED].rows) == 0
    assert "zany" in words_held(lessons)
    going_on.set()
    lessons.settle("default")
    assert lessons.branches(table, state) == ()
    assert words_held(lessons) == set()


def test_a_fit_that_fails_is_tried_again(
    log: EventLog, lessons: LiveLessons, table: ItemTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    three_take(log)
    stranger = Customer.arrives(log, "zoe")
    with monkeypatch.context() as broken:
        broken.setattr(live._SharedLane, "of", lambda *_: 1 / 0)
        assert shared_with(stranger, lessons, table) == set()
    assert shared_with(stranger, lessons, table) == {"clue"}
