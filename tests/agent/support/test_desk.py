"""What examples and the kill switch do to a turn, and that a running shop takes new intents over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from small_shop import HashingEncoder, wish, wording
from talking import keeper_of

from agent.answering import decide
from agent.log.store import EventLog
from agent.preferences import Added, Preference
from agent.shop import Shop
from agent.support.desk import action_of
from agent.support.hours import OfficeHours
from agent.support.intent_file import OUTSIDE
from agent.support.intent_learning import learn_intents
from agent.support.intent_store import Intents, open_intents, write_intents
from agent.support.intents import IntentExample, IntentModel, IntentRule
from agent.turn import Outcome, Situation
from agent.understand.types import DialogueContext, Intent, Understanding

SAID = {
    "hours": ("opening times on sunday", "when is the shop open", "opening hours please", "is the shop open on sunday"),
    "cancel": ("cancel my order", "stop the order please", "cancel the order now", "please stop my order"),
    "law": ("can i sue the seller", "is this contract legal", "can i sue over this contract", "legal help to sue"),
}
ANSWER = "We are {here} from 9 to 17 o'clock."
RULES = (
    IntentRule("hours", answer=ANSWER),
    IntentRule("cancel", action="cancel_order"),
    IntentRule("law", refuse=True),
)


@pytest.fixture(scope="module")
def model() -> IntentModel:
    examples = [IntentExample(text, name) for name, texts in SAID.items() for text in texts]
    return learn_intents(examples, HashingEncoder(), outside=OUTSIDE)


@pytest.fixture(scope="module")
def desk(model: IntentModel, tmp_path_factory: pytest.TempPathFactory) -> Intents:
    return open_intents(write_intents(tmp_path_factory.mktemp("intents"), model, RULES), HashingEncoder())


@pytest.fixture
def shop(film_shop: Shop, desk: Intents) -> Shop:
    return replace(film_shop, intents=desk)


def view(shop: Shop, text: str, intent: Intent, *wishes: Preference) -> Situation:
    facts = tuple(Added(one) for one in wishes)
    understood = Understanding(intent, facts=facts, support_text=text if intent == "support" else "")
    return Situation(text, shop, DialogueContext(), understanding=understood, wishes=wishes, lasting=wishes,
        wording=wording(shop.table), own=(text,))  # fmt: skip


def said(shop: Shop, text: str, intent: Intent, *wishes: Preference) -> Outcome:
    return decide(view(shop, text, intent, *wishes))


def test_a_canned_answer_is_said_word_for_word_and_not_doubted(shop: Shop) -> None:
    for intent in ("support", "empty", "out_of_scope"):
        outcome = said(shop, "when is the shop open on sunday", intent)  # type: ignore[arg-type]
        assert (outcome.action, outcome.opening, outcome.confidence) == ("answer", ANSWER, None)


def test_a_canned_answer_keeps_its_links(film_shop: Shop, model: IntentModel, tmp_path: Path) -> None:
    rules = (IntentRule("hours", answer="See [the hours](https://forms.example/x)."),)
    intents = open_intents(write_intents(tmp_path, model, rules), HashingEncoder())
    outcome = said(replace(film_shop, intents=intents), "when is the shop open on sunday", "support")
    assert outcome.hosts == {"forms.example"}


def test_a_topic_to_refuse_is_declined_whatever_the_rules_read(shop: Shop) -> None:
    comedy = wish("genre", "eq", "Comedy")
    for outcome in (
        said(shop, "can i sue the seller", "support"),
        said(shop, "can i sue the seller", "recommend", comedy),
    ):
        assert (outcome.action, outcome.slate.entries) == ("decline", ())
        assert outcome.opening == wording(shop.table).words.text("reply.refused")


@pytest.mark.parametrize(("intent", "paused"), [("recommend", False), ("recommend", True), ("superlative", False)])
def test_a_wish_beside_a_topic_to_refuse_gets_its_list(shop: Shop, intent: Intent, paused: bool) -> None:
    shop = replace(shop, paused=paused)
    asked = view(shop, "a comedy please. can i sue the seller", intent, wish("genre", "eq", "Comedy"))
    asked = replace(asked, understanding=replace(asked.understanding, attribute="year"))
    alone = decide(replace(asked, shop=replace(shop, intents=None)))
    both = decide(replace(asked, understanding=replace(asked.understanding, support_text="can i sue the seller")))
    refused = wording(shop.table).words.text("reply.refused")
    assert alone.focus
    assert (both.action, both.slate, both.focus) == (alone.action, alone.slate, alone.focus)
    assert both.opening == f"{refused} {alone.opening}"


def test_a_message_about_the_catalogue_stays_with_the_rules(shop: Shop) -> None:
    for wished in (wish("genre", "eq", "Comedy"), wish(None, "about", "hours", kind="soft")):
        assert said(shop, "opening hours please", "recommend", wished).slate.entries
    assert said(shop, "can i sue the seller", "distress").opening == wording(shop.table).words.text("reply.distress")
    assert said(shop, "can i sue the seller", "handoff").action == "handoff"


def test_an_action_is_named_and_leaves_the_turn_alone(shop: Shop) -> None:
    asked = view(shop, "please cancel my order", "support")
    assert action_of(asked, shop.intents) == "cancel_order"
    assert decide(asked).opening == wording(shop.table).words.text("reply.article_none") or decide(asked).confidence
    assert action_of(view(shop, "a film with robots", "recommend", wish("genre", "eq", "Comedy")), shop.intents) == ""
    assert action_of(asked, None) == ""


def test_while_paused_lists_are_plain_search_and_say_so(shop: Shop) -> None:
    paused = replace(shop, paused=True)
    title = shop.table.items[3].title
    outcome = said(paused, title, "recommend", wish(None, "about", title, kind="soft"))
    assert outcome.opening == wording(shop.table).words.text("reply.paused")
    assert outcome.degraded
    assert outcome.slate.entries[0].item.title == title
    assert outcome.question is None
    assert outcome.pitch is None
    cheap = said(paused, "comedies", "recommend", wish("genre", "eq", "Comedy"))
    assert all("Comedy" in entry.item.attributes["genre"] for entry in cheap.slate.entries)  # type: ignore[operator]
    assert said(paused, "opening hours please", "support").opening == ANSWER
    assert said(paused, "hi", "greeting").action == "chat"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    log = EventLog.open(None, tmp_path)
    yield log
    log.close()


def test_a_running_shop_takes_new_intents_over_and_keeps_them_where_the_next_are_broken(
    film_shop: Shop, model: IntentModel, log: EventLog, tmp_path: Path
) -> None:
    keeper = keeper_of(film_shop, log, tmp_path)
    log.activate_index("default", film_shop.index_name)
    root = tmp_path / "intents" / "default"

    def taken() -> str | None:
        keeper.refresh("default")
        found = keeper.current("default").intents
        return found.id if found else None

    assert taken() is None
    write_intents(root, model, RULES)
    assert taken() == "int-000001"
    broken = write_intents(root, model, RULES)
    (broken / "words.json").write_text("{}", encoding="utf-8")
    assert taken() == "int-000001"
    write_intents(root, model, ())
    assert taken() == "int-000003"


def test_who_asks_for_a_person_is_told_when_somebody_is_there(shop: Shop) -> None:
    always = OfficeHours.of(("Mon-Sun 00:00-23:59",))
    told = said(replace(shop, hours=always), "a person please", "handoff").opening
    assert told.startswith(said(shop, "a person please", "handoff").opening)
    assert len(told) > len(said(shop, "a person please", "handoff").opening)
