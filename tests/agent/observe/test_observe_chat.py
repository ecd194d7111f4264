"""Turns are counted once, whoever asked; their log lines carry their ids and nobody else's; words stay out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import get_args

import pytest
import structlog
from observe_types import Lines, MakeChat, Sample
from prometheus_client.parser import text_string_to_metric_families
from small_shop import HashingEncoder, read_films
from talking import ScriptedEngine

from agent.answer import Action, Cards, Finished, HandoffReason, Update
from agent.llm.protocol import Chunk, Engine, EngineState
from agent.log.records import Feedback, FeedbackKind
from agent.log.store import EventLog
from agent.observe.chat import ObservedChat
from agent.observe.metrics import (
    FAILURES,
    REASONS,
    EngineOutcome,
    IndexFacts,
    NoMatchKind,
    Part,
    Skill,
    Step,
)  # fmt: skip
from agent.observe.observer import Observer
from agent.services import TurnRequest
from agent.shop import Shop, open_shop
from retrieval.encoder import FloatArray
from retrieval.errors import EngineBusy, EngineError, NotFound
from retrieval.index import build_index
from ui.cards import CARD_REASONS
from ui.page.draw import THUMB_REASONS

PITCH = ("1: A thief ", "steals things. ", "The end.")


async def said(chat: ObservedChat, text: str, **request: str) -> Finished:
    async with aclosing(chat.turn(TurnRequest(text, **request))) as updates:
        last = [update async for update in updates][-1]
    assert isinstance(last, Finished)
    return last


async def test_a_turn_is_counted_with_its_steps(make_chat: MakeChat, sample: Sample) -> None:
    await said(make_chat(), "a crime film")
    assert sample("chatalogue_turns_started_total") == 1
    assert sample("chatalogue_turns_total") == 1
    assert sample("chatalogue_turns_total", action="ask") + sample("chatalogue_turns_total", action="recommend") == 1
    assert sample("chatalogue_turn_seconds_count") == sample("chatalogue_first_text_seconds_count") == 1
    for step in get_args(Step):
        assert sample("chatalogue_step_seconds_count", step=step) == 1, step
    assert sample("chatalogue_failed_turns_total") == sample("chatalogue_abandoned_turns_total") == 0


async def test_empty_results_by_kind(make_chat: MakeChat, sample: Sample) -> None:
    chat = make_chat()
    finished = await said(chat, "a comedy from before 1890")
    assert finished.answer.no_match is not None
    assert sample("chatalogue_no_match_turns_total", kind=finished.answer.no_match.kind) == 1
    assert sample("chatalogue_no_match_turns_total") == 1


async def test_an_error_is_counted_by_its_class_and_raised(make_chat: MakeChat, sample: Sample, lines: Lines) -> None:
    lines()
    with pytest.raises(NotFound):
        await said(make_chat(), "hello ann@example.com", session_id="s_none")
    assert sample("chatalogue_failed_turns_total", error="NotFound") == sample("chatalogue_failed_turns_total") == 1
    assert sample("chatalogue_turns_total") == sample("chatalogue_abandoned_turns_total") == 0
    (line,) = lines()
    assert (line["event"], line["error"], line["level"]) == ("turn_failed", "NotFound", "warning")
    assert "ann@" not in str(line)


@pytest.mark.parametrize("other_task", [False, True])
async def test_a_turn_that_is_left(make_chat: MakeChat, sample: Sample, lines: Lines, other_task: bool) -> None:
    lines()
    updates = make_chat().turn(TurnRequest("a crime film"))
    async for update in updates:
        if isinstance(update, Cards):
            break
    before = structlog.contextvars.get_contextvars()
    if other_task:  # as when the event loop cleans up after a reader that has gone
        await asyncio.create_task(updates.aclose())
    else:
        await updates.aclose()
    assert sample("chatalogue_abandoned_turns_total") == 1
    assert sample("chatalogue_failed_turns_total") == sample("chatalogue_turns_total") == 0
    assert structlog.contextvars.get_contextvars() == before == {}
    (line,) = lines()
    assert line["event"] == "turn_abandoned"
    assert line["turn_id"].startswith("t_")


class TellingEncoder(HashingEncoder):
    """Logs where searches run: in a thread."""

    fails = False

    def encode(self, texts: Sequence[str]) -> FloatArray:
        logging.getLogger("retrieval.encoder").info("encoding")
        if self.fails:
            raise OSError("the weights are gone")
        return super().encode(texts)


@pytest.fixture
def telling_shop(tmp_path: Path) -> Shop:
    encoder = TellingEncoder()
    return open_shop(build_index(read_films(), tmp_path / "index", encoder), encoder, None)


async def test_each_line_has_the_ids_of_its_turn(make_chat: MakeChat, lines: Lines, telling_shop: Shop) -> None:
    """Two turns at the same time, with lines from the event loop and from threads."""
    chat = make_chat(shop=telling_shop)

    async def asked(n: int) -> Finished:
        with structlog.contextvars.bound_contextvars(request_id=f"req-{n}"):
            finished = await said(chat, "a film about a heist and a thief")
            assert structlog.contextvars.get_contextvars() == {"request_id": f"req-{n}"}
        return finished

    lines()
    both = await asyncio.gather(asked(1), asked(2))
    heard = lines()
    assert {line["event"] for line in heard} == {"encoding", "turn"}
    assert len(heard) >= 4
    ids = {(line["request_id"], line["turn_id"], line["session_id"]) for line in heard}
    wanted = [(f"req-{n}", one.answer.turn_id, one.answer.session_id) for n, one in enumerate(both, 1)]
    assert ids == set(wanted)
    assert all("adapter" in line for line in heard)
    assert not any("heist" in str(line) for line in heard)


async def test_words_are_logged_only_where_they_are_wanted(make_chat: MakeChat, lines: Lines) -> None:
    lines()
    message = "a film about a heist for ann@example.com, DE89 3704 0044 0532 0130 00, sk-4f9d2c7be1a83056"
    finished = await said(make_chat(observer=Observer(log_text=True)), message)
    (line,) = lines()
    assert line["text"].startswith("a film about a heist for")
    assert line["reply"].split()[:3] == finished.reply.split()[:3]
    assert not any(one in str(line) for one in ("ann@", "3704", "4f9d"))


@pytest.mark.parametrize(
    ("engine", "llm", "fails", "parts"),
    [
        (ScriptedEngine(*PITCH), {"reply": "on"}, False, {}),
        (ScriptedEngine(EngineError("It broke.")), {"reply": "on"}, False, {"engine": 1}),
        (ScriptedEngine(state="failed"), {}, False, {"engine": 1}),
        (ScriptedEngine(*PITCH), {"reply": "on"}, True, {"retrieval": 1}),
        (ScriptedEngine(EngineError("It broke.")), {"reply": "on"}, True, {"engine": 1, "retrieval": 1}),
    ],
)
async def test_what_a_turn_had_to_do_without(
    make_chat: MakeChat,
    sample: Sample,
    telling_shop: Shop,
    engine: Engine,
    llm: dict[str, str],
    fails: bool,
    parts: dict[str, int],
) -> None:
    telling_shop.retriever.encoder.fails = fails  # type: ignore[attr-defined]
    finished = await said(make_chat(engine, telling_shop, **llm), "a film about a heist and a thief")
    assert finished.answer.degraded == bool(parts)
    counted = {part: sample("chatalogue_degraded_turns_total", part=part) for part in get_args(Part)}
    assert {part: count for part, count in counted.items() if count} == parts


async def test_calls_of_the_engine_by_skill_and_outcome(make_chat: MakeChat, sample: Sample) -> None:
    last = Chunk(finish="stop", prompt_tokens=100, completion_tokens=7)
    await said(make_chat(ScriptedEngine(*PITCH, last=last), reply="on"), "a crime film")
    assert sample("chatalogue_engine_calls_total", skill="reply") == 1
    assert sample("chatalogue_engine_call_seconds_count", skill="reply") == 1
    errors = ("EngineError", EngineError("It broke.")), ("EngineBusy", EngineBusy("Full."))
    for name, error in errors:
        await said(make_chat(ScriptedEngine(error), reply="on"), "a crime film")
        assert sample("chatalogue_engine_errors_total", error=name) == 1
    assert sample("chatalogue_engine_calls_total", skill="reply", outcome="busy") == 1
    assert sample("chatalogue_engine_calls_total", skill="reply", outcome="error") == 1
    await said(make_chat(ScriptedEngine(*PITCH), understand="on"), "a crime film with a dragon")
    assert sample("chatalogue_engine_calls_total", skill="understand", outcome="ok") == 1


async def test_feedback_by_kind_and_by_a_closed_set_of_reasons(
    make_chat: MakeChat, sample: Sample, event_log: EventLog
) -> None:
    turn_id = (await said(make_chat(), "a crime film")).answer.turn_id
    for _ in range(2):  # the second one is not stored
        event_log.record_feedback("default", "", Feedback(turn_id, "thumb_down", reason="too_long"))
    event_log.record_feedback("default", "", Feedback(turn_id, "thumb_up", reason="my name is Ann"))
    event_log.record_feedback("default", "", Feedback(turn_id, "withdraw", of="thumb_up"))
    assert sample("chatalogue_feedback_total", kind="thumb_down", reason="too_long") == 1
    assert sample("chatalogue_feedback_total", kind="thumb_up", reason="other") == 1
    assert sample("chatalogue_feedback_total", kind="withdraw", reason="none") == 1
    assert sample("chatalogue_feedback_total") == 3


async def test_a_reaction_in_words_counts_like_a_tap(make_chat: MakeChat, sample: Sample) -> None:
    chat = make_chat()
    session = (await said(chat, "a crime film")).answer.session_id
    await said(chat, "not the first one", session_id=session)
    assert sample("chatalogue_feedback_total", kind="reject", reason="none") == 1


def test_the_pages_reasons_are_known() -> None:
    assert {*CARD_REASONS, *THUMB_REASONS} == set(REASONS)


async def test_errors_of_the_database_are_counted(event_log: EventLog, sample: Sample, tmp_path: Path) -> None:
    event_log.ping()
    assert sample("chatalogue_database_errors_total") == 0
    event_log.close()
    for file in tmp_path.glob("log.sqlite3*"):
        file.unlink()
    tmp_path.joinpath("log.sqlite3").mkdir()
    for n in (1, 2):
        with pytest.raises(Exception, match="cannot be used"):
            event_log.ping()
        assert sample("chatalogue_database_errors_total") == n


ALLOWED = {
    "action": set(get_args(Action)),
    "error": {*FAILURES, "EngineBusy", "EngineTimeout"},
    "kind": {*get_args(FeedbackKind), *get_args(NoMatchKind)},
    "reason": {*REASONS, "none", *get_args(HandoffReason)},
    "part": set(get_args(Part)),
    "step": set(get_args(Step)),
    "skill": set(get_args(Skill)),
    "outcome": set(get_args(EngineOutcome)),
    "state": set(get_args(EngineState)),
    "adapter": {"none"},
    "model": {"scripted"},
}


async def test_no_label_tells_of_anybody(make_chat: MakeChat, event_log: EventLog, observer: Observer) -> None:
    engine = ScriptedEngine(*PITCH)
    observer.metrics.follow(engine, lambda: IndexFacts(30, 1.8e9))
    chat = make_chat(engine, reply="on")
    for text in (
        "a crime film",
        "ann@example.com wants a comedy from before 1890",
        "do you have Heat?",
        "why that one?",
    ):
        answer = (await said(chat, text, user="ann@example.com")).answer
        event_log.record_feedback("default", "", Feedback(answer.turn_id, "thumb_down", reason=text))
    with pytest.raises(NotFound):
        await said(chat, "hello", session_id="s_ann")
    families = list(text_string_to_metric_families(observer.metrics.render().decode()))
    seen: dict[str, set[str]] = {}
    for family in families:
        for one in family.samples:
            if one.name.startswith("chatalogue_"):
                for label, value in one.labels.items():
                    seen.setdefault(label, set()).add(value)
    assert all(value in ("+Inf",) or float(value) for value in seen.pop("le"))
    assert seen.keys() == ALLOWED.keys()
    for label, values in seen.items():
        assert values <= ALLOWED[label], label
    assert all(family.documentation for family in families)


async def test_updates_are_passed_on_as_they_are(make_chat: MakeChat) -> None:
    kinds: list[type[Update]] = []
    async with aclosing(make_chat().turn(TurnRequest("a crime film"))) as updates:
        async for update in updates:
            kinds.append(type(update))
    assert kinds[0] is Cards
    assert kinds[-1] is Finished
