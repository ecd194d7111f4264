"""What the model adds to the rules' reading, and what may not come in: how the two are made one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import cast

import pytest
from small_shop import added, wish
from talking import ScriptedEngine

from agent.llm.protocol import Chunk, Engine
from agent.preferences import Added, Dropped, Preference
from agent.understand.merging import MIN_CASES, Rule, Tally, pairs, policy, policy_text, read_policy
from agent.understand.model import LIMITS, ModelUnderstanding
from agent.understand.reading import Reading
from agent.understand.types import DialogueContext, Understanding
from retrieval.errors import EngineError
from retrieval.table import ItemTable

COMEDY = wish("genre", "eq", "Comedy", key="t3-1", turn=3)
DARK = wish("mood", "eq", "dark", key="t3-2", turn=3)
OLD = wish("genre", "eq", "Horror", key="t1-1", turn=1)
TEXT = "a dark comedy under 20 euros"
CONTEXT = DialogueContext(3, (OLD,))
TRUST = Rule(rules_only=True, model_only=True, model_wins=True)
TRUSTING = dict.fromkeys(("hard", "soft", "negation", "price", "drop", "reference", "like"), TRUST)


def model(
    table: ItemTable, *script: str | EngineError | Chunk, trusting: bool = True, last: Chunk | None = None
) -> ModelUnderstanding:
    engine = ScriptedEngine(*script, last=last)
    return ModelUnderstanding(cast("Engine", engine), table, TRUSTING if trusting else {})


def read(*facts: Preference, doubtful: tuple[Preference, ...] = (), **fields: object) -> Understanding:
    intent = fields.pop("intent", "recommend")
    return Understanding(intent, facts=added(*facts), doubtful=added(*doubtful), **fields)  # type: ignore[arg-type]


def meant(understood: Understanding) -> list[tuple[object, ...]]:
    wishes = [fact.preference for fact in understood.facts if isinstance(fact, Added)]
    return [(one.kind, one.attribute, one.op, *one.values) for one in wishes]


def kind(one: Preference) -> tuple[object, ...]:
    return one.kind, one.attribute, one.op, *one.values


async def test_what_the_model_finds_besides_is_added(film_table: ItemTable) -> None:
    understood = await model(film_table, f"genre{'!' * (COMEDY.kind == 'hard')}: Comedy\n", "price<= 20").improve(
        TEXT, read(COMEDY), CONTEXT
    )
    assert meant(understood) == [kind(COMEDY), ("hard", "price", "le", 20.0)]
    assert len({f.preference.id for f in understood.facts if isinstance(f, Added)}) == 2


async def test_without_a_measured_table_the_rules_stand(film_table: ItemTable) -> None:
    before = read(COMEDY, doubtful=())
    understood = await model(film_table, "price<= 20\ndrop: 1", trusting=False).improve(TEXT, before, CONTEXT)
    assert understood.facts == before.facts


async def test_a_clash_goes_to_whom_the_table_names(film_table: ItemTable) -> None:
    answer = "-genre!: Comedy"
    by_model = await model(film_table, answer).improve(TEXT, read(COMEDY), CONTEXT)
    (fact,) = by_model.facts
    assert isinstance(fact, Added)
    assert (fact.preference.polarity, fact.preference.values) == ("negative", ("Comedy",))
    by_rules = await model(film_table, answer, trusting=False).improve(TEXT, read(COMEDY), CONTEXT)
    assert by_rules.facts == added(COMEDY)


async def test_a_wish_turned_round_is_decided_as_a_negation(film_table: ItemTable) -> None:
    for winner in (True, False):
        table = {COMEDY.kind: TRUST, "negation": Rule(model_wins=winner)}
        one = ModelUnderstanding(cast("Engine", ScriptedEngine("-genre!: Comedy")), film_table, table)
        (fact,) = (await one.improve(TEXT, read(COMEDY), CONTEXT)).facts
        assert isinstance(fact, Added)
        assert fact.preference.polarity == ("negative" if winner else "positive")


async def test_words_that_the_rules_took_for_one_attribute_are_no_wish_of_another(film_table: ItemTable) -> None:
    dark = Preference("t3-1", "soft", "genre", "eq", ("Thriller",), "positive", "dark", 3)
    assert meant(await model(film_table, "mood: dark").improve(TEXT, read(dark), CONTEXT)) == [kind(dark)]
    comedy = Preference("t3-1", "soft", "genre", "eq", ("Comedy",), "positive", "comedy", 3)
    assert len(meant(await model(film_table, "mood: dark").improve(TEXT, read(comedy), CONTEXT))) == 2


async def test_words_of_a_question_of_service_are_no_wish(film_table: ItemTable) -> None:
    text, script = (
        "a comedy, and do you ship to a dark place?",
        f"genre{'!' * (COMEDY.kind == 'hard')}: Comedy\nmood: dark",
    )
    plain = await model(film_table, script).improve(text, read(COMEDY), CONTEXT)
    assert [one[1] for one in meant(plain)] == ["genre", "mood"]
    asked = await model(film_table, script).improve(
        text, read(COMEDY, support_text="do you ship to a dark place?"), CONTEXT
    )
    assert meant(asked) == [kind(COMEDY)]
    within = await model(film_table, script).improve(text, read(COMEDY, support_text="is darkness shipped?"), CONTEXT)
    assert meant(within) == meant(plain)


def test_a_wish_without_a_word_is_said_in_no_question_of_service() -> None:
    sign = replace(DARK, evidence="€")
    assert [pair.model for pair in pairs(read(COMEDY), Reading(added(sign)), {})][1:] == [sign]


async def test_what_only_the_rules_found_can_be_taken_out(film_table: ItemTable) -> None:
    sceptic = ModelUnderstanding(
        cast("Engine", ScriptedEngine("mood: dark")), film_table, {COMEDY.kind: Rule(rules_only=False)}
    )
    assert (await sceptic.improve(TEXT, read(COMEDY), CONTEXT)).facts == ()


async def test_a_doubtful_wish_stands_where_the_model_says_it_too(film_table: ItemTable) -> None:
    line = f"mood{'!' * (DARK.kind == 'hard')}: dark"
    both = await model(film_table, line).improve(TEXT, read(COMEDY, doubtful=(DARK,)), CONTEXT)
    assert meant(both) == [kind(COMEDY), kind(DARK)]
    one = await model(film_table, "none").improve(TEXT, read(COMEDY, doubtful=(DARK,)), CONTEXT)
    assert meant(one) == [kind(COMEDY)]
    assert one.doubtful == ()


async def test_what_the_model_takes_back(film_table: ItemTable) -> None:
    understood = await model(film_table, "drop: 1").improve(f"forget that, {TEXT}", read(COMEDY), CONTEXT)
    first, second = understood.facts
    assert isinstance(first, Dropped)
    assert first.preference_ids == (OLD.id,)
    assert second == Added(COMEDY)


async def test_a_wish_in_what_the_rules_took_for_nothing_asks_for_items(film_table: ItemTable) -> None:
    understood = await model(film_table, "price<= 20").improve(TEXT, read(intent="unknown_item"), CONTEXT)
    assert understood.intent == "recommend"
    shown = DialogueContext(2, (), ((film_table.ids[0], film_table.ids[1]),))
    pointed = await model(film_table, "items: 2").improve("and the second?", read(), shown)
    assert (pointed.intent, pointed.item_ids) == ("item_question", (film_table.ids[1],))


async def test_something_like_an_item_is_no_verdict_on_it(film_table: ItemTable) -> None:
    shown = DialogueContext(2, (), ((film_table.ids[0], film_table.ids[1]),))
    rejected = read(intent="reject", item_ids=(film_table.ids[1],))
    understood = await model(film_table, "like: #2").improve("along the lines of no. 2", rejected, shown)
    assert understood.intent == "recommend"
    assert meant(understood) == [("soft", None, "like", film_table.ids[1])]


async def test_the_same_words_are_not_read_twice(film_table: ItemTable) -> None:
    """Free text of the rules makes room for the value that the model reads in it."""
    about = Preference("t3-1", "soft", None, "about", ("rather funny",), "positive", "rather funny", 3)
    one = ModelUnderstanding(
        cast("Engine", ScriptedEngine("mood: funny")), film_table, {"about": Rule(model_wins=True), "soft": TRUST}
    )
    understood = await one.improve("something rather funny", read(about), CONTEXT)
    assert meant(understood) == [("soft", "mood", "eq", "funny")]


async def test_a_figure_in_the_customer_s_own_words_does_not_take_their_place(film_table: ItemTable) -> None:
    about = Preference("t3-1", "soft", None, "about", ("love, number 10",), "positive", "love, number 10", 3)
    one = ModelUnderstanding(cast("Engine", ScriptedEngine("price<= 10")), film_table, {"about": Rule(model_wins=True)})
    assert meant(await one.improve("a film about love, number 10", read(about), CONTEXT)) == [kind(about)]


async def test_a_model_that_says_nothing_takes_nothing_away(film_table: ItemTable) -> None:
    sceptic = ModelUnderstanding(
        cast("Engine", ScriptedEngine("none")), film_table, {COMEDY.kind: Rule(rules_only=False)}
    )
    assert (await sceptic.improve(TEXT, read(COMEDY), CONTEXT)).facts == added(COMEDY)


async def test_an_answer_that_was_cut_off_loses_its_last_line(film_table: ItemTable) -> None:
    for finish in ("length", "timeout"):
        last = Chunk(finish=finish)  # type: ignore[arg-type]
        understood = await model(film_table, "price<= 20\ngenre: Comedy", last=last).improve(TEXT, read(), CONTEXT)
        assert meant(understood) == [("hard", "price", "le", 20.0)]


async def test_an_engine_that_fails_leaves_the_rules_reading(film_table: ItemTable) -> None:
    before = read(COMEDY, doubtful=(DARK,))
    assert await model(film_table, "price<= 20\n", EngineError("It broke.")).improve(TEXT, before, CONTEXT) is before


async def test_who_waits_too_long_gets_the_rules_reading(
    film_table: ItemTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.understand.model.PATIENCE_S", 1.0)
    engine = ScriptedEngine("price<= 20", gate=asyncio.Event())
    before = read(COMEDY)
    one = ModelUnderstanding(cast("Engine", engine), film_table, TRUSTING)
    assert await one.improve(TEXT, before, CONTEXT) is before
    assert engine.closed == 1


@pytest.mark.parametrize(
    "before",
    [
        Understanding("greeting"),
        Understanding("distress"),
        Understanding("support", support_text="x"),
        read(COMEDY, language="zh"),
    ],
    ids=["greeting", "distress", "support", "Chinese"],
)
async def test_what_the_model_does_not_read_it_is_not_asked(film_table: ItemTable, before: Understanding) -> None:
    one = model(film_table, "genre: Comedy")
    assert await one.improve(TEXT, before, CONTEXT) is before
    assert cast("ScriptedEngine", one.engine).prompts == []


async def test_the_model_is_asked_once_and_briefly(film_table: ItemTable) -> None:
    one = model(film_table, "none")
    await one.improve(TEXT, read(COMEDY), CONTEXT)
    engine = cast("ScriptedEngine", one.engine)
    assert len(engine.prompts) == 1
    assert engine.closed == 1
    assert LIMITS.temperature == 0
    assert LIMITS.seconds <= 3


# --- the table ---


def test_the_table_keeps_what_is_right_often_enough() -> None:
    many = MIN_CASES * 10
    text = policy_text(
        [
            Tally("hard", "rules_only", many // 4, 0, many),
            Tally("hard", "model_only", 0, many - 5, many),
            Tally("hard", "model_only", 0, 0, 1),  # of another catalogue
            Tally("hard", "conflict", many // 4, many // 2, many),
            Tally("soft", "rules_only", many, 0, many),
            Tally("soft", "model_only", 0, many // 4, many),
            Tally("soft", "conflict", many // 2, many // 4, many),
            Tally("like", "model_only", 0, 1, 1),  # one alone says too little, right though it is
            Tally("like", "rules_only", 0, 0, 1),  # wrong though it is
            Tally("year", "model_only", 0, many * 6 // 10, many),
            Tally("price", "model_only", 0, 6, 10),  # the same share: it may be chance
        ],
        "made up",
    )
    table = read_policy(text)
    assert table["hard"] == Rule(rules_only=False, model_only=True, model_wins=True)
    assert table["soft"] == Rule()
    assert table["like"] == Rule()
    assert table["year"] == Rule(model_only=True)
    assert table["price"] == Rule()
    assert text.startswith("# made up\n")
    assert f"right = {many - 5}, n = {many + 1} " in text


def test_a_table_of_a_few_cases_leaves_all_to_the_rules() -> None:
    few = MIN_CASES - 1
    counted = [Tally("hard", "rules_only", 0, few, few), Tally("hard", "model_only", 0, few, few)]
    text = policy_text([*counted, Tally("hard", "conflict", 0, few, few)], "made up")
    assert read_policy(text) == {"hard": Rule()}


def test_the_packaged_table_can_be_read() -> None:
    assert all(isinstance(rule, Rule) for rule in policy().values())
