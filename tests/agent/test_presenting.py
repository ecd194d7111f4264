"""An outcome as it leaves the turn: cards, record and trace say the same of the same items."""

import json
from dataclasses import replace

from small_shop import wish, wording

from agent.answer import PreferenceView
from agent.answering import decide
from agent.llm.protocol import EngineStatus
from agent.preferences import Preference
from agent.presenting import answer_of, trace_of, turn_record
from agent.replying import ReplyState
from agent.shop import Shop
from agent.turn import Outcome, Situation
from agent.understand.types import DialogueContext, Understanding

COMEDY = wish("genre", "eq", "Comedy")
FUNNY = wish("mood", "eq", "romantic", kind="soft")
STATUS = EngineStatus("ready", "smol", adapter="ada-000001")


def turn_of(shop: Shop, *wishes: Preference, temperature: float = 0.5) -> tuple[Situation, Outcome]:
    view = Situation(
        text="a comedy",
        shop=shop,
        context=DialogueContext(),
        understanding=Understanding("recommend"),
        wishes=wishes,
        lasting=wishes,
        wording=wording(shop.table),
        temperature=temperature,
        seed=4,
    )
    return view, decide(view)


def test_cards_are_the_slate_in_order(film_shop: Shop) -> None:
    view, outcome = turn_of(film_shop, COMEDY, FUNNY)
    answer = answer_of("s", "t", view, outcome, STATUS, degraded=False)
    assert [card.id for card in answer.items] == [entry.item.id for entry in outcome.slate.entries]
    assert [card.rank for card in answer.items] == [1, 2, 3, 4, 5]
    for card in answer.items:
        item = film_shop.table.get(card.id)
        assert card.price is not None
        assert card.price.amount == f"{item.price:.2f}"
        assert "genre: Comedy" in card.matched
        assert "Comedy" in card.why
        misses = "romantic" not in item.attributes["mood"]  # type: ignore[operator]
        assert (card.trade_off == "Not matched: romantic.") is (misses and item.in_stock is not False)
    assert answer.preferences == [PreferenceView.of(COMEDY), PreferenceView.of(FUNNY)]
    assert (answer.model, answer.adapter, answer.degraded) == ("smol", "ada-000001", False)


def test_lists_are_empty_and_never_absent(film_shop: Shop) -> None:
    view, _ = turn_of(film_shop)
    answer = json.loads(answer_of("s", "t", view, Outcome("chat"), STATUS, degraded=True).model_dump_json())
    assert answer["items"] == answer["alternatives"] == answer["citations"] == answer["preferences"] == []
    assert answer["no_match"] is answer["handoff"] is None
    assert answer["degraded"] is True


def test_a_search_that_was_degraded_is_said_too(film_shop: Shop) -> None:
    view, outcome = turn_of(film_shop, COMEDY)
    assert answer_of("s", "t", view, replace(outcome, degraded=True), STATUS, degraded=False).degraded


def test_the_record_has_what_off_policy_estimates_need(film_shop: Shop) -> None:
    view, outcome = turn_of(film_shop, COMEDY)
    answer = answer_of("s", "t", view, outcome, STATUS, degraded=False)
    reply = ReplyState(["Hello", " you."], prompt_tokens=5, completion_tokens=2)
    record = turn_record(view, outcome, answer, reply, {})
    assert record.reply == "Hello you."
    assert (record.exploration, record.index_name) == (0.5, film_shop.index_name)
    assert (record.prompt_tokens, record.completion_tokens) == (5, 2)
    assert [row.item_id for row in record.shown] == [card.id for card in answer.items]
    for row, entry in zip(record.shown, outcome.slate.entries, strict=True):
        assert (row.list, row.score) == ("slate", entry.score)
        assert row.log_propensity == entry.log_propensity
        assert row.log_propensity is not None
        assert row.contributions == entry.contributions
    json.dumps(record.answer)


def test_near_misses_are_alternatives_with_what_they_break(film_shop: Shop) -> None:
    cheap = wish("price", "lt", 1.0, key="cheap")
    view, outcome = turn_of(film_shop, COMEDY, cheap)
    answer = answer_of("s", "t", view, outcome, STATUS, degraded=False)
    assert answer.items == []
    assert {tuple(one.breaks) for one in answer.alternatives} == {("cheap",)}
    record = turn_record(view, outcome, answer, ReplyState(), {})
    assert {row.list for row in record.shown} == {"alternative"}
    assert all(row.log_propensity is None for row in record.shown)


def test_the_trace_explains_order_and_refusals(film_shop: Shop) -> None:
    view, outcome = turn_of(film_shop, COMEDY)
    reply = ReplyState(refused=[("It won an Oscar.", "'won' claims what no field says")])
    trace = json.loads(json.dumps(trace_of(view, outcome, reply)))
    assert [row["item_id"] for row in trace["considered"]] == [e.item.id for e in outcome.slate.considered]
    assert trace["refused_sentences"] == [
        {"sentence": "It won an Oscar.", "objection": "'won' claims what no field says"}
    ]
    assert trace["wishes"][0]["value"] == "Comedy"
    for row in trace["considered"]:
        assert abs(sum(row["contributions"].values()) - row["score"]) < 1e-3
