"""Signals from the log: contentment and taste as planted, nobody's own deeds for themselves, the erased gone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from lesson_samples import Customer

from agent.learning.deeds import PER_CUSTOMER, counted
from agent.learning.satisfaction import credible
from agent.learning.signals import RATING, SATISFACTION, TASTES, LogSignals
from agent.learning.taste import MIN_RATERS, MIN_RATINGS, fit_taste, history_of
from agent.log.models import Person
from agent.log.records import Deed, PastDeed
from agent.log.store import EventLog
from retrieval.encoder import FloatArray
from retrieval.errors import ChatalogueError
from retrieval.items import Item
from retrieval.ratings import training
from retrieval.table import ItemTable

START = datetime(2026, 1, 1, tzinfo=UTC)
LATER = START + timedelta(days=100)
N_ITEMS, N_CUSTOMERS = 48, 60
UNTOUCHED, LOOKED_AT, CLICKED = "i45", "i46", "i47"


@pytest.fixture(scope="module")
def table() -> ItemTable:
    return ItemTable([Item(f"i{n}", f"Item {n}", attributes={"maker": f"M{n % 8}"}) for n in range(N_ITEMS)])


@pytest.fixture(scope="module")
def vectors() -> FloatArray:
    """Two kinds of items, the even and the odd ones."""
    found = np.random.default_rng(1).normal(0, 0.1, (N_ITEMS, 8)).astype(np.float32)
    found[np.arange(N_ITEMS), np.arange(N_ITEMS) % 2] += 1
    return found / np.linalg.norm(found, axis=1, keepdims=True)  # type: ignore[no-any-return]


def quality(item: int) -> float:
    """How many of the customers an item makes content: the later the item, the more."""
    return 0.1 + 0.8 * item / 40


def history() -> Iterator[PastDeed]:
    """Who is content with an item clicks more, and every second one says so; some items nobody speaks of."""
    random = np.random.default_rng(2)
    for customer in range(N_CUSTOMERS):
        for item in random.permutation(40)[:16].tolist():
            content = random.random() < quality(item)
            for click in range(int(random.poisson(2.5 if content else 0.3))):
                yield PastDeed(f"c{customer}", f"i{item}", "click", at=START + timedelta(minutes=click))
            yield PastDeed(f"c{customer}", f"i{item}", "view", at=START)
            if random.random() < 0.5:
                yield PastDeed(f"c{customer}", f"i{item}", "like", float(content), START + timedelta(hours=1))
        yield PastDeed(f"c{customer}", LOOKED_AT, "view", at=START)
        for click in range(4):
            yield PastDeed(f"c{customer}", CLICKED, "click", at=START + timedelta(minutes=click))


def ratings() -> Iterator[PastDeed]:
    """Half of the customers love the even items and hate the odd ones, the others the other way round."""
    random = np.random.default_rng(3)
    for customer in range(N_CUSTOMERS):
        for item in random.permutation(40)[:20].tolist():
            stars = 5.0 if (item + customer) % 2 else 1.0
            yield PastDeed(f"c{customer}", f"i{item}", "rating", stars, START + timedelta(hours=customer))


@pytest.fixture(scope="module")
def content_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventLog]:
    opened = EventLog.open(None, tmp_path_factory.mktemp("content"))
    opened.record_past("default", "", list(history()))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def rated_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventLog]:
    opened = EventLog.open(None, tmp_path_factory.mktemp("rated"))
    opened.record_past("default", "", list(ratings()))
    yield opened
    opened.close()


@pytest.fixture(scope="module", autouse=True)
def short() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "STEPS_OF_AN_EPOCH", 12)
        yield


@pytest.fixture(scope="module")
def content(content_log: EventLog, table: ItemTable) -> LogSignals:
    return LogSignals.fit(content_log, "default", table, None)


@pytest.fixture(scope="module")
def rated(rated_log: EventLog, table: ItemTable, vectors: FloatArray) -> LogSignals:
    return LogSignals.fit(rated_log, "default", table, vectors)


def person(log: EventLog, name: str) -> str:
    found = log.start_conversation("default", "", name).person_id
    assert found is not None
    return found


def say_no(log: EventLog, person_id: str) -> None:
    log._database.write(lambda session: setattr(session.get_one(Person, person_id), "consent", False))


def fitted(log: EventLog, table: ItemTable, vectors: FloatArray | None = None, *without: str) -> LogSignals:
    return LogSignals.fit(log, "default", table, vectors, without=without)


class TestContentment:
    """What all customers together say of an item."""

    def test_it_is_as_planted(self, content: LogSignals, table: ItemTable) -> None:
        found = content.of(None)
        assert set(found) == {SATISFACTION}
        values = found[SATISFACTION]
        assert values.dtype == np.float32
        assert values.shape == (N_ITEMS,)
        truth = np.array([quality(item) for item in range(40)])
        assert np.corrcoef(values[:40], truth)[0, 1] > 0.85
        assert float(np.abs(values[:40] - truth).mean()) < 0.12
        assert np.isnan(values[table.row_of(UNTOUCHED)])

    def test_what_nobody_spoke_of_goes_by_what_was_done(self, content: LogSignals, table: ItemTable) -> None:
        values = content.of(None)[SATISFACTION]
        assert values[table.row_of(CLICKED)] > values[table.row_of(LOOKED_AT)] + 0.3

    def test_too_few_labels_give_no_signal(self, log: EventLog, table: ItemTable) -> None:
        log.record_past("default", "", list(history())[:300])
        signals = fitted(log, table)
        assert signals.of(None) == {}
        assert signals.votes is None
        assert fitted(log, table).of(None, LATER) == {}

    def test_of_a_moment_later_deeds_say_nothing(self, log: EventLog, table: ItemTable) -> None:
        log.record_past("default", "", list(history()))
        before = fitted(log, table).of(None)[SATISFACTION]
        log.record_past("default", "", [PastDeed("late", UNTOUCHED, "like", 1.0, LATER)])
        signals = fitted(log, table)
        row = table.row_of(UNTOUCHED)
        assert not np.isnan(signals.of(None)[SATISFACTION][row])
        then = signals.of(None, LATER)[SATISFACTION]
        assert np.isnan(then[row])
        assert np.allclose(then[:40], before[:40], atol=0.02)
        assert np.isnan(signals.of(None, START)[SATISFACTION]).all()

    def test_all_without_a_name_have_one_vote_through_one_key(self, log: EventLog, table: ItemTable) -> None:
        log.record_past("default", "", list(history()))
        for key in ("a", "a", "a", "b"):
            nobody = Customer.arrives(log, None, key_id=key)
            nobody.says("hello", UNTOUCHED)
            nobody.does("thumb_up", UNTOUCHED)
        votes = fitted(log, table).votes
        assert votes is not None
        row = table.row_of(UNTOUCHED)
        assert int((votes.row == row).sum()) == 2
        assert int((votes.row[votes.vote] == row).sum()) == 4

    def test_an_erased_talk_and_who_says_no_are_gone(self, log: EventLog, table: ItemTable) -> None:
        log.record_past("default", "", list(history()))
        row, other = table.row_of(UNTOUCHED), table.row_of("i44")
        nobody = Customer.arrives(log, None)
        nobody.says("hello", UNTOUCHED)
        nobody.does("thumb_up", UNTOUCHED)
        log.record_past("default", "", [PastDeed("ann", "i44", "like", 1.0, LATER)])
        assert not np.isnan(fitted(log, table).of(None)[SATISFACTION][[row, other]]).any()
        log.delete_session("default", nobody.talk.id)
        say_no(log, person(log, "ann"))
        assert np.isnan(fitted(log, table).of(None)[SATISFACTION][[row, other]]).all()


class TestTaste:
    """What one named customer would give to each item."""

    def test_it_is_as_planted(self, rated_log: EventLog, rated: LogSignals) -> None:
        for customer in (0, 1):
            stars = rated.of(person(rated_log, f"c{customer}"))[RATING]
            assert stars.dtype == np.float32
            assert stars.shape == (N_ITEMS,)
            unrated = stars[40:]
            loved = (np.arange(40, N_ITEMS) + customer) % 2 == 1
            assert unrated[loved].min() > unrated[~loved].max() + 1

    def test_a_deed_counts_at_once(self, rated_log: EventLog, rated: LogSignals) -> None:
        signals = rated
        new = Customer.arrives(rated_log, "new")
        assert RATING not in signals.of(new.talk.person_id)
        new.says("hello", "i2", "i4", "i1")
        for item in ("i2", "i4"):
            new.does("buy", item)
        new.does("click", "i1")
        stars = signals.of(new.talk.person_id)[RATING]
        assert stars[40::2].mean() > stars[41::2].mean()
        again = signals.of(new.talk.person_id)[RATING]
        assert again is stars, "a history that did not change is not predicted again"
        new.does("reject", "i1")
        assert signals.of(new.talk.person_id)[RATING] is not stars

    def test_nobody_known_gets_no_signal(self, rated_log: EventLog, rated: LogSignals, table: ItemTable) -> None:
        nobody = Customer.arrives(rated_log, None)
        nobody.says("hello", "i2")
        nobody.does("accept", "i2")
        for who in (None, nobody.talk.id, "p-unknown", person(rated_log, "just arrived")):
            assert RATING not in rated.of(who)
        assert RATING not in fitted(rated_log, table).of(person(rated_log, "c0"))

    def test_it_knows_what_was_before_a_moment(self, rated_log: EventLog, rated: LogSignals) -> None:
        signals, who = rated, person(rated_log, "c5")
        at = START + timedelta(hours=5)
        assert RATING not in signals.of(who, at)
        assert np.array_equal(signals.of(who, at + timedelta(seconds=1))[RATING], signals.of(who)[RATING])

    def test_who_says_no_is_not_known_any_more(self, log: EventLog, table: ItemTable, vectors: FloatArray) -> None:
        log.record_past("default", "", list(ratings()))
        signals, who = fitted(log, table, vectors), person(log, "c0")
        assert RATING in signals.of(who)
        say_no(log, who)
        assert RATING not in signals.of(who), "before anything is fitted again"

    def test_too_few_ratings_or_customers_or_tastes(self, table: ItemTable, vectors: FloatArray) -> None:
        def deeds(customers: int, each: int, kind: str = "rating") -> list[Deed]:
            return [
                Deed(f"c{c}", f"i{i}", kind, float(1 + 4 * ((c + i) % 2)), START)  # type: ignore[arg-type]
                for c in range(customers)
                for i in range(each)
            ]

        scale = (1.0, 5.0)
        few = MIN_RATINGS // 40
        assert few < MIN_RATERS
        assert fit_taste(deeds(MIN_RATERS, 4), scale, table, vectors) is None
        assert fit_taste(deeds(few, 40), scale, table, vectors) is None
        assert fit_taste(deeds(MIN_RATERS, 40, "buy"), None, table, vectors) is None
        assert fit_taste(deeds(MIN_RATERS, 40), scale, table, vectors) is not None
        assert fit_taste([], scale, table, vectors) is None

    def test_a_log_that_cannot_be_read_ends_nothing(
        self, rated_log: EventLog, rated: LogSignals, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> None:
            raise ChatalogueError("The database is gone.")

        who = person(rated_log, "c0")
        assert RATING in rated.of(who)
        monkeypatch.setattr(rated_log, "deeds", broken)
        assert RATING not in rated.of(who)


class TestTastes:
    """Which values one customer likes, whatever others do."""

    def test_what_an_item_has_of_them(self, log: EventLog, table: ItemTable) -> None:
        ann = Customer.arrives(log, "ann")
        ann.says("hello", *(f"i{n}" for n in (0, 8, 16, 1, 9, 17, 2)))
        for item in (0, 8, 16):
            ann.does("buy", f"i{item}")
        signals, who = fitted(log, table), ann.talk.person_id
        found = signals.of(who)
        assert set(found) == {TASTES}
        assert found[TASTES].dtype == np.float32
        assert np.flatnonzero(found[TASTES]).tolist() == [0, 8, 16, 24, 32, 40]
        for item in (1, 9, 17):
            ann.does("reject", f"i{item}")
        values = signals.of(who)[TASTES]
        assert values[40:].tolist() == [1.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
        assert signals.of(who, START) == {}
        assert fitted(log, table, None, str(who)).of(who) == {}
        assert signals.of(ann.talk.id) == {}
        say_no(log, str(who))
        assert signals.of(who) == {}

    def test_a_big_catalogue_has_no_signals_of_one_customer(
        self, log: EventLog, table: ItemTable, vectors: FloatArray, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        log.record_past("default", "", list(ratings()))
        monkeypatch.setattr("agent.learning.signals.MAX_ITEMS", N_ITEMS - 1)
        signals = fitted(log, table, vectors)
        assert signals.model is None
        assert set(signals.of(person(log, "c0"))) <= {SATISFACTION}

    def test_too_few_items_are_no_taste(self, log: EventLog, table: ItemTable) -> None:
        log.record_past("default", "", [PastDeed("ann", f"i{n}", "buy") for n in (0, 8, 1, 2)])
        assert fitted(log, table).of(person(log, "ann")) == {}


class TestWithout:
    """Cross-fitting: no example is made with what its own customer did."""

    def test_nothing_is_learned_from_who_is_left_out(
        self, log: EventLog, table: ItemTable, vectors: FloatArray
    ) -> None:
        log.record_past("default", "", [*history(), *ratings()])
        ann = Customer.arrives(log, "ann")
        ann.says("hello", UNTOUCHED)
        ann.does("thumb_up", UNTOUCHED)
        log.record_past("default", "", [PastDeed("ann", "i44", "like", 1.0, START)])
        who, rows = str(ann.talk.person_id), table.rows_of([UNTOUCHED, "i44"])
        assert not np.isnan(fitted(log, table, vectors).of(who)[SATISFACTION][rows]).any()
        for named in (who, ann.talk.id):  # by a conversation of theirs they are left out altogether
            signals = fitted(log, table, vectors, named)
            assert np.isnan(signals.of(who)[SATISFACTION][rows]).all()
            assert RATING not in signals.of(who)
            assert RATING in signals.of(person(log, "c0"))

    def test_what_they_did_before_a_moment_is_known_at_it(
        self, rated_log: EventLog, rated: LogSignals, table: ItemTable, vectors: FloatArray
    ) -> None:
        who = person(rated_log, "c3")
        signals = fitted(rated_log, table, vectors, who)
        assert RATING not in signals.of(who)
        stars = signals.of(who, LATER)[RATING]
        assert stars[40::2].min() > stars[41::2].max()
        assert not np.array_equal(stars, rated.of(who)[RATING]), "the model saw them"


def test_a_few_votes_say_little() -> None:
    random = np.random.default_rng(0)
    truth = random.beta(8, 8, 300)
    n = random.integers(1, 60, 300)
    rows = np.repeat(np.arange(300), n).astype(np.int32)
    values = (random.random(len(rows)) < truth[rows]).astype(np.float64)
    found = credible(rows, values, 301)
    plain = np.bincount(rows, weights=values) / n
    assert np.isnan(found[300])
    assert np.square(found[:300] - truth).mean() < 0.7 * np.square(plain - truth).mean()
    mean = values.mean()
    trust = (found[:300] - mean) / np.where(plain == mean, 1, plain - mean)
    # A beta prior of 16 votes in all: so many are added at the mean.
    assert np.allclose(trust, n / (n + 16), atol=0.1)


def test_items_that_cannot_be_told_apart_get_the_mean() -> None:
    rows = np.array([0, 1, 1, 2], dtype=np.int32)
    assert credible(rows, np.array([0.5, 0.0, 1.0, 0.5]), 4)[:3].tolist() == [0.5, 0.5, 0.5]
    assert credible(rows[:1], np.array([1.0]), 2)[0] == 1.0
    assert credible(rows[:2], np.array([1.0, 0.0]), 2).tolist() == [0.5, 0.5]
    assert np.isnan(credible(rows[:0], np.zeros(0), 2)).all()


def test_one_customer_counts_for_so_many_items() -> None:
    def deed(n: int, customer: str, key_id: str | None = None) -> Deed:
        return Deed(customer, f"i{n}", "buy", None, START - timedelta(minutes=n), None, None, key_id)

    many = range(PER_CUSTOMER + 50)
    items = {f"i{n}" for n in many}
    named = counted([deed(n, "ann") for n in many], items)
    assert len(named) == PER_CUSTOMER
    assert named[0].item_id == f"i{PER_CUSTOMER + 49}", "the first ones, by when it was"
    crowd = counted([deed(n, f"s{n}", "k") for n in many], items)
    assert len(crowd) == PER_CUSTOMER
    assert len(counted([deed(n, f"s{n}", f"k{n}") for n in many], items)) == len(many)
    assert len(counted([deed(0, "ann")] * 3, items)) == 3, "more deeds with one item are no more items"
    assert counted([deed(n, "ann") for n in many], {"i7"}) == (deed(7, "ann"),), "unknown items take no room"


def test_deeds_are_ratings_by_a_rule(table: ItemTable) -> None:
    def did(kind: str, item: int, value: float | None = None, reason: str | None = None) -> Deed:
        return Deed("ann", f"i{item}", kind, value, START, reason)  # type: ignore[arg-type]

    deeds = [did("buy", 0), did("accept", 1), did("reject", 2), did("rating", 3, 2.75), did("rating", 4, 5.0)]
    deeds += [did("view", 5), did("click", 6), did("reject", 7, None, "known"), did("buy", 99), did("like", 8, 0.0)]
    found = history_of(deeds, (0.5, 5.0), table)
    assert found is not None
    stars = dict(zip(found.items.tolist(), found.stars.tolist(), strict=True))
    assert stars == {0: 5.0, 1: 4.0, 2: 2.0, 3: 3.0, 4: 5.0, 8: 2.0}
    assert history_of(deeds[5:8], None, table) is None


def test_a_fit_is_the_same_each_time(rated_log: EventLog, table: ItemTable, vectors: FloatArray) -> None:
    who = person(rated_log, "c0")
    one, other = (fitted(rated_log, table, vectors).of(who)[RATING] for _ in range(2))
    assert np.array_equal(one, other)
