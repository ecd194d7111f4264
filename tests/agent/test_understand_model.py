"""What the model may add to the rules' reading: a yes to a doubtful fact, a soft wish out of the catalogue's words."""

from __future__ import annotations

from typing import cast

import pytest
from small_shop import added, wish, wording
from talking import ScriptedEngine

from agent.llm.protocol import Engine, Filled
from agent.preferences import Added, Preference
from agent.understand.model import CONFIRM_MARGIN, MAX_CONFIRMED, MAX_VALUES, ModelUnderstanding
from agent.understand.types import Understanding
from retrieval.errors import EngineError
from retrieval.items import Item
from retrieval.table import ItemTable

NONE = Filled("none", complete=True)
COMEDY = wish("genre", "eq", "Comedy", key="t3-1", turn=3)
DOUBTFUL = [wish("mood", "eq", value, key=f"t3-{n}", turn=3) for n, value in enumerate(["dark", "epic", "funny"], 2)]
YES, NO, UNSURE = (-0.1, -3.0), (-3.0, -0.1), (-1.0, -1.0 - CONFIRM_MARGIN)
TEXT = "a dark, epic, funny comedy"


def model(table: ItemTable, engine: ScriptedEngine) -> ModelUnderstanding:
    return ModelUnderstanding(cast("Engine", engine), table.shape, wording(table))


def read(*facts: Preference, doubtful: tuple[Preference, ...] = (), **fields: object) -> Understanding:
    return Understanding("recommend", facts=added(*facts), doubtful=added(*doubtful), **fields)  # type: ignore[arg-type]


def wishes(understood: Understanding) -> list[Preference]:
    return [fact.preference for fact in understood.facts if isinstance(fact, Added)]


async def test_only_what_the_model_confirms_clearly_is_kept(film_table: ItemTable) -> None:
    engine = ScriptedEngine(scores=[YES, NO, UNSURE], filled=NONE)
    understood = await model(film_table, engine).improve(TEXT, read(COMEDY, doubtful=tuple(DOUBTFUL)), 3)
    assert wishes(understood) == [COMEDY, DOUBTFUL[0]]
    questions = [prompt.messages[0].text for prompt in engine.chosen]
    assert [question.rsplit("\n", 1)[1] for question in questions] == [
        "Does the customer want dark?",
        "Does the customer want epic?",
        "Does the customer want funny?",
    ]
    assert all(f"“{TEXT}”" in question for question in questions)


async def test_no_more_questions_than_the_budget(film_table: ItemTable) -> None:
    many = [wish("director", "eq", f"D{n}", key=f"t3-{n}", turn=3) for n in range(MAX_CONFIRMED + 3)]
    engine = ScriptedEngine(scores=[YES] * 10, filled=NONE)
    understood = await model(film_table, engine).improve(TEXT, read(doubtful=tuple(many)), 3)
    assert wishes(understood) == many[:MAX_CONFIRMED]
    assert len(engine.chosen) == MAX_CONFIRMED


async def test_what_it_proposes_is_soft_and_said_by_the_customer(film_table: ItemTable) -> None:
    engine = ScriptedEngine(filled=Filled("want mood: dark\navoid genre: Sci-Fi", complete=True))
    first, second = await model(film_table, engine).propose(TEXT, 4)
    assert (first.preference.attribute, first.preference.values) == ("mood", ("dark",))
    assert (second.preference.attribute, second.preference.values) == ("genre", ("Sci-Fi",))
    assert (first.preference.polarity, second.preference.polarity) == ("positive", "negative")
    for fact in (first, second):
        assert (fact.preference.kind, fact.preference.op, fact.preference.turn) == ("soft", "eq", 4)
        assert fact.preference.evidence == TEXT
        assert fact.preference.as_filter() is None


async def test_what_the_rules_know_is_not_proposed_twice_and_ids_are_unique(film_table: ItemTable) -> None:
    filled = Filled("want genre: Comedy\nwant mood: quirky", complete=True)
    engine = ScriptedEngine(scores=[YES, YES, YES], filled=filled)
    understood = await model(film_table, engine).improve(TEXT, read(COMEDY, doubtful=tuple(DOUBTFUL)), 3)
    assert [one.values for one in wishes(understood)] == [("Comedy",), ("dark",), ("epic",), ("funny",), ("quirky",)]
    assert len({one.id for one in wishes(understood)}) == 5
    assert all(one.turn == 3 for one in wishes(understood))


@pytest.mark.parametrize(
    "filled",
    [
        NONE,
        Filled("want mood: da", complete=False),
        Filled("want mood: dark", complete=False),
        Filled("", complete=True),
        Filled("I like it dark.", complete=True),
    ],
)
async def test_none_a_cut_answer_and_no_line_add_nothing(film_table: ItemTable, filled: Filled) -> None:
    understood = await model(film_table, ScriptedEngine(filled=filled)).improve(TEXT, read(COMEDY), 3)
    assert wishes(understood) == [COMEDY]


@pytest.mark.parametrize(
    "engine",
    [
        ScriptedEngine(filled=EngineError("It broke.")),
        ScriptedEngine(scores=[YES], filled=NONE),  # breaks at the second question
    ],
    ids=["fill", "choose"],
)
async def test_an_engine_that_fails_leaves_the_rules_reading(film_table: ItemTable, engine: ScriptedEngine) -> None:
    before = read(COMEDY, doubtful=tuple(DOUBTFUL))
    engine.scores = engine.scores[:1]
    assert await model(film_table, engine).improve(TEXT, before, 3) == before


@pytest.mark.parametrize(
    "before",
    [Understanding("more"), Understanding("count", facts=added(COMEDY)), read(COMEDY, language="zh")],
    ids=["more", "count", "Chinese"],
)
async def test_what_the_model_does_not_read_it_is_not_asked(film_table: ItemTable, before: Understanding) -> None:
    engine = ScriptedEngine(scores=[YES], filled=NONE)
    assert await model(film_table, engine).improve(TEXT, before, 3) is before
    assert (engine.prompts, engine.chosen) == ([], [])


async def test_the_customers_words_are_quoted_without_signs(film_table: ItemTable) -> None:
    engine = ScriptedEngine(filled=NONE)
    await model(film_table, engine).improve("a\x00 dark\u200b film" + "x" * 9_000, read(COMEDY), 3)
    asked = engine.prompts[0].messages[0].text
    assert not set("\x00\u200b") & set(asked)
    assert len(asked) < 700


# --- the grammar ---


def accepts(compiled: object, text: str) -> bool:
    import xgrammar

    matcher = xgrammar.GrammarMatcher(compiled, terminate_without_stop_token=True)
    return bool(matcher.accept_string(text)) and bool(matcher.is_terminated() or matcher.is_completed())


def compiled(grammar: str) -> object:
    """Compiled for a vocabulary of bytes, which is all that the rules of a grammar depend on."""
    import xgrammar

    vocabulary = [bytes([n]) for n in range(256)] + [b"</s>"]
    info = xgrammar.TokenizerInfo(vocabulary, xgrammar.VocabType.RAW, stop_token_ids=[256])
    return xgrammar.GrammarCompiler(info).compile_grammar(grammar)


def test_the_grammar_takes_the_catalogues_values_and_nothing_else(film_table: ItemTable) -> None:
    grammar = model(film_table, ScriptedEngine()).grammar()
    assert grammar is not None
    rules = compiled(grammar)
    for good in (
        "none",
        "want genre: Comedy",
        "avoid mood: violent",
        "want genre: Sci-Fi\navoid mood: family-friendly",
    ):
        assert accepts(rules, good), good
    for bad in (
        "",
        "want genre: Western",
        "want price: 3",
        "want genre: Comedy\n",
        "like genre: Comedy",
        "want mood: dark\nwant mood: epic\nwant mood: funny",
    ):
        assert not accepts(rules, bad), bad


def test_every_value_of_every_small_attribute_can_be_said(film_table: ItemTable) -> None:
    grammar = model(film_table, ScriptedEngine()).grammar()
    assert grammar is not None
    rules = compiled(grammar)
    small = {
        name: shape.values
        for name, shape in film_table.shape.attributes.items()
        if shape.values is not None and 2 <= len(shape.values) <= MAX_VALUES
    }
    assert {"genre", "mood"} <= small.keys()
    assert all(accepts(rules, f"want {name}: {value}") for name, values in small.items() for value in values)


ODD_VALUES = ('a "quoted" one', "back\\slash", "café", "电影", "😀", "tab\tin", "[a-z]*", "::= | root")


async def test_odd_names_and_values_do_not_break_the_grammar() -> None:
    items = [Item(str(n), "T", "", {"odd: name": value, "b": f"{n}"}) for n, value in enumerate(ODD_VALUES)]
    table = ItemTable(items)
    grammar = model(table, ScriptedEngine()).grammar()
    assert grammar is not None
    rules = compiled(grammar)
    for value in ODD_VALUES:
        said = f"want odd: name: {value}"
        assert accepts(rules, said), value
        (fact,) = await model(table, ScriptedEngine(filled=Filled(said, complete=True))).propose("t", 1)
        assert (fact.preference.attribute, fact.preference.values) == ("odd: name", (value,))


async def test_an_engine_that_ignores_the_grammar_names_nothing_new(film_table: ItemTable) -> None:
    """Whatever comes back: only what the catalogue holds becomes a wish."""
    said = "want genre: Western\nwant price: cheap\nlove genre: Comedy\nwant genre:Comedy\navoid genre: Horror"
    (fact,) = await model(film_table, ScriptedEngine(filled=Filled(said, complete=True))).propose("t", 1)
    assert (fact.preference.values, fact.preference.polarity) == (("Horror",), "negative")


def test_a_catalogue_without_small_attributes_has_no_grammar() -> None:
    many = ItemTable([Item(str(n), "T", "", {"code": f"c{n}", "year": float(n)}) for n in range(MAX_VALUES + 1)])
    assert model(many, ScriptedEngine()).grammar() is None
    assert model(ItemTable([Item("1", "T", "", {"only": "one"})]), ScriptedEngine()).grammar() is None


async def test_without_a_grammar_the_model_is_not_asked() -> None:
    engine = ScriptedEngine(filled=Filled("want genre: Comedy", complete=True))
    assert await model(ItemTable([Item("1", "T")]), engine).propose("a comedy", 1) == ()
    assert engine.prompts == []
