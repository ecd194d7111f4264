"""Each signal of a real log becomes the rows that it should, in the prompts that serving uses."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from feedback_talks import ALIEN, OWN, Rows

from agent.log.records import Feedback
from agent.rank.prompts import judging_ending, judging_prompt, title_option, title_prompt
from agent.settings import LearningSettings
from agent.understand.reading import reading_prompt
from agent.understand.types import DialogueContext
from finetune.dataset import lesson_of, read_rows, write_rows
from finetune.feedback.types import as_json
from finetune.memory import ReplayMemory
from finetune.training.lessons import from_json
from finetune.withdrawn import forget_withdrawn

ALIEN_ID = "film-alien-1979"
TURNS = ("something funny",)


async def test_items_taken_and_refused_are_rows_in_the_prompts_of_the_rank_skill(rows: Rows) -> None:
    turn = await (ann := rows.visitor("ann")).say("something funny")
    better, worse, ignored, *_ = turn.ids
    yes, no = rows.react(turn, "buy", better), rows.react(turn, "reject", worse)
    item = rows.shop.table.get
    (named,) = rows.of("sft", "rank")
    assert (named.prompt, named.answers) == (title_prompt(TURNS), (title_option(item(better)),))
    assert (named.events, named.items, named.signal, named.weight) == ((yes,), (better,), "buy", 1.0)
    good, bad = sorted(rows.of("kto", "rank"), key=lambda row: -len(row.good))
    assert good.prompt == replace(judging_prompt(TURNS), prefill=judging_ending(item(better)))
    assert bad.prompt.prefill == judging_ending(item(worse))
    assert (good.answers, good.good, bad.answers, bad.good) == ((" yes",), (0,), (" yes",), ())
    (pair,) = rows.of("dpo", "rank")
    assert pair.answers == (title_option(item(better)), title_option(item(worse)))
    assert pair.events == (yes, no)
    assert all(ignored not in row.items for row in rows.data().rows)
    assert ann.turns[0].answer.turn_id == named.turn_id


async def test_a_list_has_its_places_and_propensities_and_the_ignored_are_no_negatives(rows: Rows) -> None:
    turn = await rows.visitor("ann", exploration=0.3).say("something funny")
    rows.react(turn, "accept", turn.ids[2])
    rows.react(turn, "reject", turn.ids[0])
    (row,) = rows.of("rank", "rank")
    shown = rows.log.trace("default", turn.answer.turn_id).record.shown
    assert [(one.item_id, one.position, one.log_propensity) for one in row.slate] == [
        (one.item_id, one.position, one.log_propensity) for one in shown if one.list == "slate"
    ]
    assert all(one.log_propensity is not None for one in row.slate)
    assert [one.outcome for one in row.slate] == ["reject", None, "accept", None, None]
    item = rows.shop.table.get
    assert row.answers == tuple(judging_ending(item(one)) for one in (turn.ids[0], turn.ids[2]))
    assert (row.good, row.exploration, row.is_example) == ((1,), 0.3, True)


async def test_an_explored_list_that_nobody_reacted_to_is_kept_and_teaches_nothing(rows: Rows) -> None:
    await rows.visitor("ann", exploration=0.3).say("something funny")
    await rows.visitor("bob").say("something funny")
    (row,) = rows.data().rows
    assert (row.kind, row.events, row.answers, row.is_example) == ("rank", (), (), False)
    assert rows.data().lessons() == ()


async def test_what_the_customer_has_seen_is_no_negative(rows: Rows) -> None:
    turn = await rows.visitor("ann").say("something funny")
    rows.react(turn, "reject", turn.ids[0], reason="known")
    assert [row.kind for row in rows.data().rows] == []


async def test_a_liked_turn_teaches_what_to_read_from_its_message(rows: Rows) -> None:
    talk = rows.visitor("ann")
    first = await talk.say("something funny")
    turn = await talk.say("under 15 euros")
    rows.react(turn, "accept", turn.ids[0])
    (row,) = rows.of("sft", "understand")
    wishes = tuple(one for one in talk.log.state("default", first.answer.session_id).turns[0].facts)
    context = DialogueContext(
        turn=2,
        preferences=tuple(one.preference for one in wishes),  # type: ignore[union-attr]  # all of them added
        shown=(tuple(first.ids),),
        focus=tuple(first.ids),
    )
    assert row.prompt == reading_prompt("under 15 euros", context, rows.shop.table)
    assert row.answers == ("price< 15",)


async def test_the_models_own_words_are_liked_or_not_by_thumbs(rows: Rows) -> None:
    up, down = await rows.visitor("ann", *OWN).say(ALIEN), await rows.visitor("bob", *OWN[:2]).say(ALIEN)
    liked, disliked = rows.react(up, "thumb_up"), rows.react(down, "thumb_down")
    by_event = {row.events: row for row in rows.of("kto", "reply")}
    good, bad = by_event[(liked,)], by_event[(disliked,)]
    prompt = rows.log.trace("default", up.answer.turn_id).record.trace["pitch"]
    assert good.prompt.messages[-1].text == prompt["asked"]
    assert good.prompt.prefill == "Alien:"
    assert f"{good.prompt.prefill}{good.answers[0]}" in up.reply
    assert (good.good, bad.good, good.items) == ((0,), (), (ALIEN_ID,))
    assert [row.events for row in rows.of("sft", "reply")] == [(liked,)]


async def test_thumbs_on_words_of_the_code_teach_the_model_nothing(rows: Rows) -> None:
    turn = await rows.visitor("ann").say(ALIEN)
    rows.react(turn, "thumb_up")
    assert not [row for row in rows.data().rows if row.skill == "reply"]
    assert rows.data().left_out == {"opinions of words that were not the model's": 1}


async def test_a_correction_waits_for_a_human_and_then_teaches_against_the_bots_words(rows: Rows) -> None:
    turn = await rows.visitor("ann").say(ALIEN)
    event = rows.react(turn, "correct", text="Alien: a crew meets a deadly creature.\n\nShall I add it?")
    assert rows.data().held == {"edit": 2}
    assert rows.data().rows == ()
    rows.log.record_label("default", event, good=True)
    (edit,), (pair,) = rows.of("sft", "reply"), rows.of("dpo", "reply")
    assert edit.answers == (" a crew meets a deadly creature.",)
    assert pair.answers[0] == edit.answers[0]
    assert pair.answers[1].startswith(" The crew of the space tug")
    assert edit.events == pair.events == (event,)
    rows.log.record_label("default", event, good=False)
    assert (rows.data().rows, rows.data().refused) == ((), 2)


async def test_a_support_agents_correction_is_trusted_until_a_human_says_otherwise(rows: Rows) -> None:
    talk = rows.visitor("ann")
    turns = [await talk.say(ALIEN)]
    customers = rows.react(turns[0], "correct", text="Alien: buy it from my shop instead.")
    event = rows.react(turns[0], "correct", text="Alien: a crew meets a deadly creature.", by_agent=True)
    data = rows.data()
    assert data.held == {}  # the agent's word is the last one
    (edit,), (pair,) = rows.of("sft", "reply"), rows.of("dpo", "reply")
    assert edit.answers == (" a crew meets a deadly creature.",)
    assert edit.events == pair.events == (event,)
    assert edit.weight == pair.weight == 1.0
    assert edit.user == rows.log.pseudonym("default", str(rows.log.person_id("default", "", "ann")))
    assert edit.counts_as != edit.user
    rows.log.record_label("default", event, good=False)
    assert rows.data().rows == ()
    rows.log.record_feedback("default", "", Feedback(turns[0].answer.turn_id, "withdraw", of="correct", by_agent=True))
    assert rows.data().held == {"edit": 2}
    rows.log.record_label("default", customers, good=True)
    assert rows.of("sft", "reply")[0].answers == (" buy it from my shop instead.",)


async def test_rows_of_the_memory_go_with_the_feedback_that_they_were_made_from(rows: Rows) -> None:
    turn = await rows.visitor("ann").say("something funny")
    better, worse, *_ = turn.ids
    rows.react(turn, "buy", better)
    rows.react(turn, "reject", worse)
    now, memory, learning = datetime.now(UTC), ReplayMemory(50), LearningSettings()
    memory.offer([*rows.data().lessons(), replace(rows.data().lessons()[0], id="ours", user="", events=())])
    count = len(memory)
    assert forget_withdrawn(memory, rows.log, "default", learning, now) == ()
    rows.react(turn, "withdraw", worse, of="reject")
    gone = forget_withdrawn(memory, rows.log, "default", learning, now)
    kept = {one.id for one in rows.data().lessons()}
    assert len(gone) == count - len(memory) > 0
    # The list of the turn was made of both, so it goes with one of them; the next cycle has it anew.
    assert {one.id for one in memory.lessons} - {"ours"} < kept | {"ours"}
    forget_withdrawn(memory, rows.log, "default", LearningSettings(retention_days=1), now + timedelta(days=2))
    assert [one.id for one in memory.lessons] == ["ours"]


async def test_a_correction_of_what_the_model_does_not_write_is_counted(rows: Rows) -> None:
    turn = await rows.visitor("ann").say(ALIEN)
    rows.react(turn, "correct", text="We are closed on Sundays.")
    assert rows.data().left_out == {"corrections of what the model does not write": 1}
    assert rows.data().held == {}


async def test_an_answer_that_was_asked_for_again_is_worse_than_the_one_that_stood(rows: Rows) -> None:
    talk = rows.visitor("ann", *OWN)
    await talk.say("hello")
    before = talk.messages()
    worse = await talk.say(ALIEN)
    talk.chat._engine.script = OWN[:1]  # type: ignore[attr-defined]  # the same engine says something else
    better = await talk.say(ALIEN, history=before)
    assert rows.log.trace("default", worse.answer.turn_id).undone
    (pair,) = rows.of("dpo", "reply")
    assert pair.turn_id == better.answer.turn_id
    assert pair.signal == "regenerate"
    assert f"Alien:{pair.answers[0]}" in better.reply
    assert f"Alien:{pair.answers[1]}" in worse.reply
    assert len(pair.events) == 1
    rows.react(better, "thumb_down")
    assert not rows.of("dpo", "reply")


async def test_a_human_word_on_a_turn_counts_like_a_customers(rows: Rows) -> None:
    turn = await rows.visitor("ann", *OWN).say(ALIEN)
    rows.log.record_label("default", turn.answer.turn_id, good=True)
    assert {(row.kind, row.skill, row.signal) for row in rows.data().rows} == {
        ("kto", "reply", "label"),
        ("sft", "reply", "label"),
        ("sft", "understand", "label"),
    }
    rows.log.record_label("default", turn.answer.turn_id, good=False)
    (row,) = rows.data().rows
    assert (row.kind, row.good) == ("kto", ())


async def test_the_same_log_gives_the_same_file_and_the_trainer_reads_it(rows: Rows, tmp_path: Path) -> None:
    for name in ("ann", "bob", None):
        turn = await rows.visitor(name, exploration=0.2).say("something funny")
        rows.react(turn, "accept", turn.ids[0])
        rows.react(turn, "reject", turn.ids[1])
    one, two = rows.data(), rows.data()
    assert one == two
    write_rows(one.rows, tmp_path / "rows.jsonl")
    assert read_rows(tmp_path / "rows.jsonl") == one.rows
    assert len({row.id for row in one.rows}) == len(one.rows)
    assert [from_json(as_json(row), "a row") for row in one.rows if row.is_example] == [
        lesson_of(row) for row in one.rows if row.is_example
    ]
    assert len(one.lessons()) == len(one.rows)
    assert one.snapshot != rows.data(kinds=("kto",)).snapshot


async def test_every_row_knows_where_it_is_from(rows: Rows) -> None:
    turn = await rows.visitor("ann").say("something funny")
    rows.react(turn, "accept", turn.ids[0])
    nobody = await rows.visitor(None).say("something funny")
    rows.react(nobody, "accept", nobody.ids[1])
    found = rows.data(domain="films")
    person = rows.log.person_id("default", "", "ann")
    assert person is not None
    assert {source.customer for source in found.sources} == {person, nobody.answer.session_id}
    users = {row.turn_id: row.user for row in found.rows}
    assert users[turn.answer.turn_id] == rows.log.pseudonym("default", person)
    assert users[nobody.answer.turn_id] == rows.log.pseudonym("default", nobody.answer.session_id)
    assert {(row.tenant, row.domain) for row in found.rows} == {("default", "films")}
    assert all(row.period == f"{row.at.isocalendar().year}-W{row.at.isocalendar().week:02d}" for row in found.rows)
    assert all(person not in str(as_json(row)) and "ann" not in row.user for row in found.rows)
