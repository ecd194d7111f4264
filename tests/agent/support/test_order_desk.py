"""Talks about orders: proof, words before deeds, the yes, taking back, refusals, and what goes wrong."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from order_talks import (
    EMAILS,
    OLD,
    PACKED,
    PLACED,
    RECENT,
    SHIPPED,
    Clock,
    Counted,
    Customer,
    demo_orders,
)
from prometheus_client import CollectorRegistry

from agent.log.actions import ActionLog, Place
from agent.log.store import EventLog
from agent.messages import messages
from agent.shop import Shop
from agent.support import actions
from agent.support.actions.desk import ActionDesk
from agent.support.actions.identity import LIMITS, prove
from agent.support.actions.orders import ChangeRefused, OrdersUnavailable, OutcomeUnknown
from agent.support.actions.policy import REEL_SHOP, Policy
from agent.support.actions.sql import SqlOrders
from agent.support.actions.watching import OrderMetrics

WORDS = messages("en")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventLog]:
    log = EventLog.open(None, tmp_path_factory.mktemp("log"))
    yield log
    log.close()


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("orders")
    demo_orders(folder, Clock()).close()
    return folder / "orders.sqlite3"


@pytest.fixture
def customer(film_shop: Shop, log: EventLog, seeded: Path, tmp_path: Path) -> Customer:
    file, clock = tmp_path / "orders.sqlite3", Clock()
    shutil.copy(seeded, file)
    orders = SqlOrders(f"sqlite:///{file}", lambda i: i.removeprefix("film-").replace("-", " ").title(), clock)
    return Customer(film_shop, log, Counted(orders), clock)


def another(customer: Customer) -> Customer:
    return Customer(customer.shop, customer.log, customer.orders, customer.clock)


def is_message(text: str, key: str, **fields: object) -> bool:
    return text == WORDS.text(f"orders.{key}", **fields)


class TestIdentity:
    def test_nothing_is_shown_before_number_and_address_are_right(self, customer: Customer) -> None:
        asked = [customer.says("cancel my order"), customer.says(PLACED)]
        assert is_message(asked[0], "ask_both")
        assert is_message(asked[1], "ask_email", order=PLACED)
        shown = customer.says(EMAILS[PLACED].upper())
        assert "Django Unchained" in shown
        assert "17.80 EUR" in shown
        assert not any("Django" in text for text in asked)

    def test_a_wrong_number_and_a_wrong_address_get_one_answer(self, customer: Customer) -> None:
        wrong_mail = customer.says(f"where is {PLACED}, someone@example.com")
        wrong_number = another(customer).says(f"where is RS-99999, {EMAILS[PLACED]}")
        others_order = another(customer).says(f"where is {PACKED}, {EMAILS[PLACED]}")
        assert wrong_mail == wrong_number == others_order == WORDS.text("orders.not_proven")

    def test_a_proof_is_of_one_order_in_one_conversation_for_a_time(self, customer: Customer) -> None:
        customer.proves()
        assert "Django" in customer.says("where is my order?")
        assert is_message(customer.says(f"cancel {PACKED}"), "ask_email", order=PACKED)
        assert is_message(another(customer).says(f"cancel {PLACED}"), "ask_email", order=PLACED)
        customer.clock.moves(minutes=31)
        assert is_message(customer.says(f"cancel {PLACED}"), "ask_email", order=PLACED)

    def test_tries_are_limited_in_a_conversation(self, customer: Customer) -> None:
        for n in range(LIMITS["talk"]):
            assert is_message(customer.says(f"RS-3000{n} nobody{n}@example.com"), "not_proven")
        assert is_message(customer.proves(RECENT), "locked")
        customer.clock.moves(minutes=61)
        assert "Prometheus" in customer.proves(RECENT)

    def test_tries_are_limited_for_an_order_and_for_an_address_over_conversations(self, customer: Customer) -> None:
        for n in range(LIMITS["order"]):
            if n == LIMITS["talk"]:  # a few tries of somebody else lock nobody out
                assert "Fight Club" in another(customer).proves(SHIPPED)
            assert is_message(another(customer).says(f"{SHIPPED} x{n}@example.com"), "not_proven")
        assert is_message(another(customer).proves(SHIPPED), "locked")
        for n in range(LIMITS["email"]):
            assert is_message(another(customer).says(f"RS-2000{n % 10} {EMAILS['RS-10050']}"), "not_proven")
        assert is_message(another(customer).proves("RS-10050"), "locked")
        customer.clock.moves(minutes=61)
        assert "RS-10050" in another(customer).proves("RS-10050")
        assert is_message(another(customer).proves(SHIPPED), "locked")
        customer.clock.moves(hours=23)
        assert "Fight Club" in another(customer).proves(SHIPPED)

    def test_tries_of_a_named_customer_are_limited_over_conversations(self, customer: Customer) -> None:
        states, subjects = ActionLog(customer.log), range(LIMITS["person"])
        tries = [Place("default", f"c{n}", "t", "person-1") for n in subjects]
        prove_as = lambda place: prove(states, customer.orders, place, PLACED, "x@example.net", customer.clock.now)  # noqa: E731
        assert [prove_as(place).verdict for place in tries] == ["wrong"] * len(tries)
        assert prove_as(replace(tries[0], session_id="c9")).verdict == "locked"

    def test_a_right_proof_costs_no_try(self, customer: Customer) -> None:
        for _ in range(LIMITS["talk"] + 3):
            customer.clock.moves(minutes=31)
            assert "RS-10047" in customer.proves("RS-10047")

    def test_the_state_is_sealed_and_goes_with_the_conversation(self, customer: Customer, tmp_path: Path) -> None:
        customer.says("change the address of my order")
        customer.says(f"{PLACED} {EMAILS[PLACED]}")
        customer.says("Secret Lane 7, 10115 Berlin")
        raw = customer.log.database._engine.raw_connection()
        try:
            (sealed,) = raw.cursor().execute(
                "SELECT sealed FROM action_state WHERE conversation_id = ?", (customer.session_id,)
            ).fetchone()  # fmt: skip
            assert not any(word in bytes(sealed) for word in (b"Secret", b"RS-1", b"example.com"))
            customer.log.delete_session("default", customer.session_id)
            count = raw.cursor().execute(
                "SELECT count(*) FROM action_state WHERE conversation_id = ?", (customer.session_id,)
            )  # fmt: skip
            assert count.fetchone() == (0,)
        finally:
            raw.close()
        assert customer.state.proposal is None


class TestConfirmation:
    def test_a_cancellation_says_what_and_is_done_by_a_plain_yes(self, customer: Customer) -> None:
        customer.proves()
        said = customer.says("cancel it")
        for part in (PLACED, "Django Unchained", "17.80 EUR", "card", "yes"):
            assert part in said
        assert customer.order().status == "placed"
        assert is_message(customer.says("Yes, please!"), "done_cancel", order=PLACED)
        assert customer.order().status == "cancelled"

    @pytest.mark.parametrize(
        "text", ["no", "ok", "yes but not now", "a comedy please", "what would it cost?", "undo", "👍"]
    )
    def test_anything_else_is_not_done_and_said_so(self, customer: Customer, text: str) -> None:
        customer.proves()
        customer.says("cancel it")
        assert WORDS.text("orders.not_done", order=PLACED, what=WORDS.text("orders.what_cancel")) in (
            customer.asks_anybody(text).opening
        )
        customer.hears("yes")
        assert customer.orders.changes == []

    def test_a_question_expires(self, customer: Customer) -> None:
        customer.proves()
        customer.says("cancel it")
        customer.clock.moves(minutes=10)
        assert is_message(customer.says("yes"), "expired")
        customer.is_shops("yes")
        assert customer.orders.changes == []

    def test_the_yes_is_of_the_last_question_alone(self, customer: Customer) -> None:
        customer.proves()
        customer.says("cancel it")
        customer.says("change the address to Musterweg 3, 10115 Berlin")
        customer.says("yes")
        assert customer.order().status == "placed"
        assert customer.order().address == "Musterweg 3, 10115 Berlin"
        assert [change.kind for change, _ in customer.orders.changes] == ["address"]

    def test_a_message_that_another_part_took_is_between(self, customer: Customer) -> None:
        customer.proves()
        customer.says("cancel it")
        customer.turn += 1  # the handoff's, say: this desk was not asked
        assert is_message(customer.says("yes"), "expired")
        assert customer.orders.changes == []

    def test_a_yes_twice_is_one_change(self, customer: Customer) -> None:
        customer.proves()
        customer.says("cancel it")
        customer.says("yes")
        assert is_message(customer.says("yes"), "already_done")
        assert "cancelled" in customer.says("cancel it")
        assert len(customer.orders.changes) == 1

    def test_somebody_in_need_or_who_wants_a_person_confirms_nothing(self, customer: Customer) -> None:
        customer.proves()
        for text in ("I want to talk to a human", "I want to kill myself"):
            customer.says("cancel my order")
            customer.is_shops(text)
            customer.hears("yes")
        assert customer.orders.changes == []

    def test_an_order_that_changed_meanwhile_is_put_into_words_again(self, customer: Customer) -> None:
        customer.proves()
        customer.says("change the address to Musterweg 3, 10115 Berlin")
        other = another(customer)
        other.proves()
        other.says("ship it to Nebenweg 4, 10115 Berlin instead")
        other.says("yes")
        said = customer.says("yes")
        assert said.startswith(WORDS.text("orders.changed_meanwhile", order=PLACED))
        assert "Nebenweg 4" in said
        assert customer.order().address == "Nebenweg 4, 10115 Berlin"
        other.says("cancel it")
        other.says("yes")
        assert "cancelled" in customer.says("yes")
        assert [change.kind for change, _ in customer.orders.changes] == ["address", "cancel"]


class TestAsks:
    def test_return_of_a_named_item_for_its_price(self, customer: Customer) -> None:
        customer.proves(RECENT)
        said = customer.says("I want to return Candyman 1992")
        assert "Candyman" in said
        assert "Prometheus" not in said
        assert "12.50 EUR" in said
        assert "postage" in said
        customer.says("yes")
        assert [line.returning for line in customer.order(RECENT).lines] == [0, 0, 1]
        customer.says("undo that")
        customer.says("yes")
        assert not customer.order(RECENT).is_going_back

    def test_a_question_about_ones_own_order_is_an_ask_and_one_about_the_rules_is_not(self, customer: Customer) -> None:
        customer.proves(RECENT)
        assert "12.50 EUR" in customer.says("can I return Candyman 1992?")
        customer.says("no")
        customer.is_shops("can I return a film?")

    def test_opened_and_faulty_items(self, customer: Customer) -> None:
        customer.proves(RECENT)
        assert is_message(customer.says("I opened it, can I return it?"), "no_return_opened", order=RECENT)
        customer.is_shops("it is scratched and does not play, I want to return it")

    def test_an_address_in_another_country_with_its_charge_and_back(self, customer: Customer) -> None:
        customer.proves()
        assert is_message(customer.says("change the delivery address"), "ask_address", order=PLACED)
        said = customer.says("5 Rue de la Paix, 75001 Paris, France")
        for part in ("5 Rue de la Paix, 75001 Paris, France", "Example Street 56", "5.90 EUR instead of 3.90 EUR",
                     "19.80 EUR instead of 17.80 EUR"):  # fmt: skip
            assert part in said
        customer.says("yes")
        assert (customer.order().country, customer.order().total) == ("FR", Decimal("19.80"))
        assert "Example Street 56" in customer.says("undo that")
        customer.says("yes")
        assert (customer.order().country, customer.order().total) == ("DE", Decimal("17.80"))
        assert customer.order().address == "Example Street 56"

    @pytest.mark.parametrize(
        ("order_id", "ask", "key"),
        [
            (PACKED, "cancel it", "no_cancel"),
            (OLD, "cancel it", "no_cancel_delivered"),
            (PACKED, "change the address to Musterweg 3, 10115 Berlin", "no_address"),
            (SHIPPED, "return it", "no_return_yet"),
            (PLACED, "return it", "no_return_placed"),
            (OLD, "return it", "no_return_late"),
            ("RS-10025", "cancel it", "no_closed"),
            (PLACED, "ship it to 12 Main St, Springfield, USA instead", "no_country"),
        ],
    )
    def test_a_refusal_says_why(self, customer: Customer, order_id: str, ask: str, key: str) -> None:
        customer.proves(order_id)
        said, template = customer.says(ask), WORDS.text(f"orders.{key}", **dict.fromkeys(
            ("order", "status", "days", "delivered", "last", "country"), "\0"))  # fmt: skip
        assert all(part in said for part in template.split("\0"))
        customer.hears("yes")
        assert customer.orders.changes == []

    def test_undo_is_of_our_change_and_takes_a_yes(self, customer: Customer) -> None:
        customer.proves()
        customer.is_shops("undo that")
        customer.proves()
        customer.says("cancel it")
        customer.says("yes")
        customer.says("undo that")
        assert customer.order().status == "cancelled"
        customer.says("yes")
        assert customer.order().status == "placed"
        customer.is_shops("a comedy please")
        customer.is_shops("undo that")  # of the search

    def test_a_cancellation_of_yesterday_stays(self, customer: Customer) -> None:
        customer.proves()
        customer.says("cancel it")
        customer.says("yes")
        customer.clock.moves(days=1)
        customer.is_shops("hello")
        assert is_message(customer.says("undo the cancellation please"), "ask_email", order=PLACED)
        assert is_message(customer.says(EMAILS[PLACED]), "no_reinstate_late", order=PLACED)

    def test_the_shops_business_stays_the_shops(self, customer: Customer) -> None:
        for text in ("a film where they cancel the order to attack", "The Return of the King", "yes", "no", "hello",
                     "me@example.com", "films like The Package", "how do I return a film?"):  # fmt: skip
            customer.is_shops(text)
        customer.proves()
        customer.is_shops("show me a comedy about a man who is sent back in time")
        customer.is_shops("can I return it?")  # of the items that were shown just now
        assert customer.orders.changes == []

    def test_an_article_is_followed_by_the_offer_to_look(self, customer: Customer) -> None:
        outcome = customer.asks_anybody("where is my order?")
        assert outcome.closing.endswith(WORDS.text("orders.offer"))
        assert "shipped" in customer.proves(SHIPPED)
        assert WORDS.text("orders.offer") in customer.asks_anybody("how do I cancel my order?").closing
        assert "Shall I" not in customer.proves()  # asked how, not to do it
        assert WORDS.text("orders.offer") not in customer.asks_anybody("do you take PayPal?").closing

    def test_chinese(self, customer: Customer) -> None:
        said = customer.says(f"我想取消订单 {PLACED}，邮箱 {EMAILS[PLACED]}")
        assert "17.80 EUR" in said
        assert "取消" in said
        assert PLACED in customer.says("是的")
        assert customer.order().status == "cancelled"

    def test_outside_of_a_conversation_and_while_paused_nothing_is_read(self, customer: Customer) -> None:
        view = customer.view(f"cancel {PLACED}")
        assert customer.desk.before(replace(view, visit=None)) is None
        assert customer.desk.before(replace(view, shop=replace(view.shop, paused=True))) is None
        assert view.visit is not None
        assert customer.desk.before(replace(view, visit=replace(view.visit, status="human"))) is None
        for whose in ({"tenant": "another"}, {"only_shop": "Another Shop"}):
            desk = ActionDesk(customer.orders, REEL_SHOP, ActionLog(customer.log), number="RS-1", **whose)
            assert desk.before(view) is None
            assert desk.after(view, outcome := customer.shop_says("hello")) is outcome


def test_another_shop_promises_nothing_of_money(customer: Customer) -> None:
    customer.desk = ActionDesk(
        customer.orders, Policy(), ActionLog(customer.log), number=r"RS-\d{5}", clock=customer.clock
    )
    customer.proves(RECENT)
    said = customer.says("I opened it, I want to return it")
    assert WORDS.text("orders.return_by_terms") in said
    assert not any(word in said for word in ("sealed", "working days", "free", "EUR back"))


class TestTrouble:
    def test_a_system_that_is_down_changes_nothing_and_the_operator_sees_it(self, customer: Customer) -> None:
        registry = CollectorRegistry()
        watcher = OrderMetrics(registry)
        customer = Customer(customer.shop, customer.log, customer.orders, customer.clock, watcher)

        def down() -> None:
            raise OrdersUnavailable("down")

        customer.orders.before_look = down
        for _ in range(LIMITS["talk"] + 2):  # none of them is a wrong try
            assert is_message(customer.proves(), "down")
        customer.orders.before_look = lambda: None
        customer.proves()
        customer.says("cancel it")
        customer.orders.before_change = down
        assert is_message(customer.says("yes"), "down")
        assert customer.state.doing is None
        assert customer.order().status == "placed"
        failed = {"error": "OrdersUnavailable"}
        assert registry.get_sample_value("chatalogue_order_system_errors_total", failed) == LIMITS["talk"] + 3
        ended = {"change": "cancel", "result": "failed"}
        assert registry.get_sample_value("chatalogue_order_changes_total", ended) == 1

    def test_a_change_that_the_system_refuses_is_not_made(self, customer: Customer) -> None:
        def refuse() -> None:
            raise ChangeRefused("no")

        customer.proves()
        customer.says("cancel it")
        customer.orders.before_change = refuse
        assert is_message(customer.says("yes"), "refused_by_shop", order=PLACED)
        customer.is_shops("yes")

    @pytest.mark.parametrize("made", [True, False])
    @pytest.mark.parametrize("error", [OutcomeUnknown("cut"), RuntimeError("a bug of the connector's")])
    def test_an_unknown_outcome_is_said_and_looked_up_again(
        self, customer: Customer, error: Exception, *, made: bool
    ) -> None:
        def cut() -> None:
            customer.orders.before_look = lost
            raise error

        def lost() -> None:
            raise OrdersUnavailable("down")

        customer.proves()
        customer.says("cancel it")
        if made:
            customer.orders.after_change = cut
        else:
            customer.orders.before_change = cut
        assert is_message(customer.says("yes"), "unknown", order=PLACED)
        assert is_message(customer.says("yes"), "unknown", order=PLACED)
        assert is_message(customer.says("cancel it"), "unknown", order=PLACED)
        customer.is_shops("a comedy please")
        customer.orders.before_look = lambda: None
        if not made:  # it may still come through
            assert is_message(customer.says("cancel my order"), "unknown", order=PLACED)
            customer.clock.moves(minutes=2)
        told = customer.asks_anybody("a drama please")
        key = "made_after_all" if made else "not_made"
        assert told.opening.startswith(WORDS.text(f"orders.{key}", order=PLACED))
        assert len(customer.orders.changes) == int(made)
        assert customer.order().status == ("cancelled" if made else "placed")
        assert customer.state.doing is None

    def test_a_process_that_dies_in_the_middle_leaves_a_change_that_is_looked_up(self, customer: Customer) -> None:
        def die() -> None:
            raise KeyboardInterrupt

        customer.proves()
        customer.says("cancel it")
        customer.orders.after_change = die
        with pytest.raises(KeyboardInterrupt):
            customer.hears("yes")
        assert customer.state.doing is not None
        again = Customer(customer.shop, customer.log, customer.orders, customer.clock, session_id=customer.session_id)
        again.turn = customer.turn
        customer.orders.after_change = lambda: None
        assert again.says(f"where is order {PLACED}?").startswith(WORDS.text("orders.made_after_all", order=PLACED))
        assert len(customer.orders.changes) == 1


def test_every_message_about_orders_is_said_somewhere() -> None:
    code = "\n".join(path.read_text("utf-8") for path in Path(actions.__file__).parent.glob("*.py"))
    kinds = ("cancel", "reinstate", "return", "withdraw", "address")
    computed = {f"{part}_{kind}" for part in ("propose", "done", "what") for kind in kinds}
    computed |= {f"no_{kind}{late}" for kind in ("cancel", "address") for late in ("", "_delivered")}
    keys = {key.removeprefix("orders.") for key in WORDS._table if key.startswith("orders.")}
    assert computed <= keys
    assert {key for key in keys - computed if not re.search(rf"""["']{key}["']""", code)} == set()
