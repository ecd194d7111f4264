"""Talks about orders beside talk of films and people: what is no order request, whose films go back, who said yes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from order_talks import (
    EMAILS,
    PLACED,
    RECENT,
    Clock,
    Counted,
    Customer,
    demo_orders,
)

from agent.log.store import EventLog
from agent.messages import messages
from agent.settings import Settings
from agent.shop import Shop
from agent.support.actions.orders import Order, Return
from agent.support.actions.policy import REEL_SHOP
from agent.support.actions.proposing import named_lines
from agent.support.actions.sql import SqlOrders
from agent.support.actions.telling import Telling
from agent.support.handoff.keeping import Handoffs, Words
from agent.support.handoff.machine import Happening
from agent.turn import Outcome

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


class TestFilmWishes:
    """What sounds like orders and is not, in the middle of a talk about one."""

    @pytest.mark.parametrize(
        "text",
        ["I don't want to order horror", "show me the order of the phoenix", "send me back to the future",
         "films where someone is wrong about the new address", "I want to return to Oz", "return of the king"],
    )  # fmt: skip
    def test_after_a_proof_they_stay_the_shops(self, customer: Customer, text: str) -> None:
        customer.proves(RECENT)
        customer.is_shops(text)
        assert customer.state.proposal is None

    @pytest.mark.parametrize(
        "text",
        ["undo the price limit", "show me a film told in reverse order of time", "restore my faith in humanity",
         "keep it funny after all, I want it to be a comedy"],
    )  # fmt: skip
    def test_after_a_change_nothing_of_the_search_takes_it_back(self, customer: Customer, text: str) -> None:
        customer.proves()
        customer.says("cancel it")
        customer.says("yes")
        customer.is_shops(text)
        assert "RS-10056" in customer.says("undo the cancellation")

    def test_with_a_question_open_they_are_answered(self, customer: Customer) -> None:
        customer.proves()
        customer.says("cancel it")
        customer.is_shops("a heist told in reverse")

    def test_cancel_that_is_of_the_list_shown_just_before(self, customer: Customer) -> None:
        customer.is_shops("cancel that")
        customer.proves()
        customer.is_shops("a comedy please")
        customer.is_shops("cancel that")
        assert customer.state.proposal is None

    def test_a_wish_is_no_address(self, customer: Customer) -> None:
        customer.proves()
        customer.says("change the address of my order")
        customer.is_shops("films from 1990, with Tom Hanks")
        assert customer.state.proposal is None


class TestFilmsOfAReturn:
    @pytest.mark.parametrize(
        "text", ["I want to return Casablanca", "return the first one", "return all but Prometheus"]
    )
    def test_what_is_not_clear_is_asked(self, customer: Customer, text: str) -> None:
        said = customer.says(f"{text}, order {RECENT}, {EMAILS[RECENT]}")
        assert said == Telling(WORDS, REEL_SHOP).which_films(customer.order(RECENT))
        assert customer.state.proposal is None
        assert "12.50 EUR" in customer.says("Candyman 1992")
        customer.says("yes")
        assert [line.returning for line in customer.order(RECENT).lines] == [0, 0, 1]

    @pytest.mark.parametrize("text", ["all of it", "everything please"])
    def test_the_answer_may_be_all_of_it(self, customer: Customer, text: str) -> None:
        customer.says(f"I want to return Casablanca, order {RECENT}, {EMAILS[RECENT]}")
        customer.says(text)
        proposal = customer.state.proposal
        assert proposal is not None
        assert proposal.change == Return(RECENT, customer.order(RECENT).version, every_item(customer.order(RECENT)))

    def test_another_answer_is_the_shops(self, customer: Customer) -> None:
        customer.says(f"I want to return Casablanca, order {RECENT}, {EMAILS[RECENT]}")
        customer.is_shops("a comedy please")

    def test_titles_are_whole_words(self, customer: Customer) -> None:
        order = customer.order(RECENT)
        lines = tuple(replace(order.lines[0], item_id=t, title=t) for t in ("Heat", "Her", "Alien"))
        of_three = replace(order, lines=lines)
        assert named_lines(of_three, "return heat because i have another copy") == ("Heat",)
        for words in ("i want to return my order", "return it", "return", "send it back", "i want my money back"):
            assert named_lines(of_three, words) == ("Heat", "Her", "Alien"), words
        assert named_lines(replace(order, lines=lines[:1]), "i want to return casablanca") == ()
        assert named_lines(replace(order, lines=lines[:1]), "i want to return the film") == ("Heat",)


def every_item(order: Order) -> tuple[str, ...]:
    return tuple(line.item_id for line in order.lines)


class TestPeople:
    def test_a_yes_said_after_people_had_the_conversation_confirms_nothing(self, customer: Customer) -> None:
        handoffs = Handoffs(customer.log, Settings())
        customer.proves()
        customer.says("cancel it")
        asked = Happening("asked", "n1", reason="button")
        handoffs.hand_over("default", customer.session_id, asked, "en")
        reply = Words("I can send you a voucher instead; is that fine?")
        handoffs.apply("default", customer.session_id, Happening("replied", "n2", by="local"), reply)
        handoffs.apply("default", customer.session_id, Happening("returned", "n3", by="local"))
        assert is_message(customer.says("yes"), "expired")
        assert customer.orders.changes == []
        customer.says("cancel my order")  # from here on as ever
        assert is_message(customer.says("yes"), "done_cancel", order=PLACED)

    def test_what_was_missing_is_not_waited_for_when_they_give_it_back(self, customer: Customer) -> None:
        customer.says("cancel my order")
        handoffs = Handoffs(customer.log, Settings())
        handoffs.hand_over("default", customer.session_id, Happening("asked", "n1", reason="button"), "en")
        handoffs.apply("default", customer.session_id, Happening("returned", "n2", by="local"))
        assert "Shall I" not in customer.proves()

    def test_nothing_is_said_while_they_have_it(self, customer: Customer) -> None:
        view = customer.view("where is my order?")
        silent = Outcome("handoff")
        assert customer.desk.after(view, silent) is silent
