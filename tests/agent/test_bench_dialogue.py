"""Simulated customers: what they want, what they say, and that each kind of bad bot is found out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import httpx
import numpy as np
import openai
import pytest
from talking import talk_over

from agent.answer import Answer, Question, shown_item
from agent.bench.dialogue.bots import Bot, InProcess, OverHttp
from agent.bench.dialogue.customer import Customer
from agent.bench.dialogue.figures import MUST_BE_NONE, Figures, difference, drawn_of, figures_of
from agent.bench.dialogue.keeping import Kept
from agent.bench.dialogue.measure import Plan, Side, Simulation, shortest_failures, transcript
from agent.bench.dialogue.needs import SMALL_SHARE, Need, Wish, draw_needs
from agent.bench.dialogue.phrasing import AsWritten
from agent.bench.dialogue.reading import Reader, Reply, Seen
from agent.bench.dialogue.runner import Dialogue, hold
from agent.bench.dialogue.words import Act, ActKind
from agent.log.store import EventLog
from agent.services import PastMessage
from agent.shop import Shop
from retrieval.errors import BadRequest, EngineError
from retrieval.items import Item
from retrieval.table import ItemTable

SEED = 3
HARD = Wish("genre", "eq", "Horror")
LATER = Wish("year", "le", 1980.0, told="later")
ASKED = Wish("director", "eq", "Ridley Scott", told="asked")


def answer(*items: Item, question: Question | None = None) -> Reply:
    """What a bot of ours sends."""
    shown = [shown_item(item, rank) for rank, item in enumerate(items, 1)]
    text = "\n".join(f"{one.rank}. {one.title}" for one in shown)
    said = Answer(session_id="s", turn_id="t", action="recommend", items=shown, question=question, model="stub")
    return Reply(text, said)


class Stub:
    """A bot that does one thing; it is told the need that a customer comes with, unlike any real one."""

    def __init__(self, needs: Sequence[Need], runs: int, does: Callable[[Need], Reply]) -> None:
        self._coming = [need for need in needs for _ in range(runs)]
        self._does = does
        self._need: Need | None = None
        self.heard: list[str] = []

    async def reply(self, text: str, history: Sequence[PastMessage], session_id: str | None) -> Reply:
        assert history or session_id is None
        self.heard.append(text)
        if not history:
            self._need = self._coming.pop(0)
        assert self._need is not None
        return self._does(self._need)


async def measured(table: ItemTable, does: Callable[[Need], Reply], n: int = 12) -> Figures:
    return await measured_over(Stub(draw_needs(table, n, SEED), 2, does), table, n)


async def measured_over(bot: Bot, table: ItemTable, n: int, runs: int = 2, seed: int = SEED) -> Figures:
    simulation = Simulation(table, Plan(n, runs, seed, "films30"), AsWritten(), Kept(None))
    held = await simulation.hold(Side("stub", "a stub", bot), lambda *_: None)
    return figures_of(held.dialogues, runs)


async def hold_all(bot: Bot, needs: Sequence[Need], runs: int, seed: int, table: ItemTable) -> list[Dialogue]:
    """As `Simulation` does it, for needs of our own."""
    found = []
    for need in needs:
        for run in range(runs):
            customer = Customer(need, table, np.random.default_rng([seed, need.number, run]))
            found.append(await hold(bot, customer, need, run, Reader(table), AsWritten()))
    return found


def times(report: Figures) -> dict[str, int]:
    return {one.fault: one.times for one in report.faults if one.times and one.fault not in DULL}


DULL = ("sentence repeated word for word", "whole reply repeated")


def by_turn(report: Figures) -> list[float]:
    return [one.success.value for one in report.success]


def test_needs_are_met_by_their_targets_alone(film_table: ItemTable) -> None:
    needs = draw_needs(film_table, 40, SEED)
    for need in needs:
        met = np.logical_and.reduce([wish.mask(film_table) for wish in need.wishes])
        assert {film_table.ids[row] for row in np.flatnonzero(met)} == need.targets
        assert 1 <= len(need.targets) <= SMALL_SHARE * len(film_table)
        assert need.wishes[0].hard
        assert need.wishes[0].told == "first"
        assert not any(wish.hard for wish in need.wishes if wish.attribute == "mood" and wish.op == "eq")
        if need.mistaken:
            assert (need.mistaken.attribute, need.changes_at > 1) == (need.wishes[0].attribute, True)
    told = {wish.told for need in needs for wish in need.wishes}
    assert told == {"first", "later", "asked"}
    assert {wish.hard for need in needs for wish in need.wishes} == {True, False}
    assert any(need.mistaken for need in needs)
    assert {"eq", "ne", "le"} <= {wish.op for need in needs for wish in need.wishes}


def test_bounds_are_the_numbers_that_are_said() -> None:
    """23 times .2 is not 4.6: an item of exactly 4.6 would break what nobody said."""
    items = tuple(
        Item(f"i{n}", f"Item {n}", attributes={"score": 3 + n % 20 / 10, "kind": f"k{n % 9}"}) for n in range(200)
    )
    wishes = [
        wish for need in draw_needs(ItemTable(items), 60, SEED) for wish in need.wishes if wish.op in ("le", "ge")
    ]
    assert len({wish.value for wish in wishes}) > 3
    assert all(float(f"{wish.value:.10g}") == wish.value for wish in wishes)


def test_what_is_soft_and_what_is_kept_back() -> None:
    """Tags are a matter of taste, whatever they are called; nobody is asked for one of a hundred makers."""
    items = tuple(
        Item(
            f"i{n}", f"Item {n}", attributes={"style_tags": (f"s{n % 5}",), "maker": f"m{n % 80}", "kind": f"k{n % 7}"}
        )
        for n in range(320)
    )
    wishes = [wish for need in draw_needs(ItemTable(items), 60, SEED) for wish in need.wishes]
    tags = [wish for wish in wishes if wish.attribute == "style_tags"]
    assert tags
    assert not any(wish.hard for wish in tags if wish.op == "eq")
    assert {wish.told for wish in wishes if wish.attribute == "maker"} == {"first", "later"}
    assert "asked" in {wish.told for wish in wishes if wish.attribute == "kind"}


def test_needs_are_those_of_their_seed(film_table: ItemTable) -> None:
    assert draw_needs(film_table, 12, SEED) == draw_needs(film_table, 12, SEED)
    assert draw_needs(film_table, 12, SEED)[:5] == draw_needs(film_table, 5, SEED)
    assert draw_needs(film_table, 12, SEED) != draw_needs(film_table, 12, SEED + 1)


@pytest.mark.parametrize("items", [(), (Item("a", "A"), Item("b", "B"))])
def test_a_catalogue_without_attributes_is_refused(items: tuple[Item, ...]) -> None:
    with pytest.raises(BadRequest, match="No information need"):
        draw_needs(ItemTable(items), 1, SEED)


async def test_a_perfect_bot_succeeds_at_once(film_table: ItemTable) -> None:
    report = await measured(film_table, lambda need: answer(film_table.get(min(need.targets))))
    assert by_turn(report) == [1, 1, 1, 1]
    assert report.passed_all_runs.value == 1
    assert report.turns_to_success is not None
    assert report.turns_to_success.value == 1
    assert (report.needs, report.runs, report.turns) == (12, 2, 24)
    assert not {"title not in the catalogue", "question repeated", "turn failed"} & set(times(report))


async def test_a_bot_that_shows_random_items_does_not(film_table: ItemTable) -> None:
    random = np.random.default_rng(0)
    report = await measured(film_table, lambda need: answer(film_table.items[int(random.integers(len(film_table)))]))
    assert by_turn(report)[0] < 0.5
    assert report.passed_all_runs.value < 0.8
    assert times(report)["hard wish broken"] > 0


async def test_a_bot_that_breaks_hard_wishes_is_caught(film_table: ItemTable) -> None:
    def breaks(need: Need) -> Reply:
        wish = need.mistaken or need.wishes[0]
        return answer(film_table.items[int(np.flatnonzero(~wish.mask(film_table))[0])])

    report = await measured(film_table, breaks)
    assert times(report)["hard wish broken"] >= 24


@pytest.mark.parametrize("line", ["1. The Film That Never Was (1999)", "2) **Nobody's Film** - a gem"])
async def test_a_bot_that_invents_titles_is_caught(film_table: ItemTable, line: str) -> None:
    report = await measured(film_table, lambda need: Reply(f"How about these?\n{line}"))
    assert times(report) == {"title not in the catalogue": report.turns}
    assert by_turn(report) == [0, 0, 0, 0]
    assert report.turns_to_success is None


async def test_an_item_that_is_not_carried_is_caught(film_table: ItemTable) -> None:
    report = await measured(film_table, lambda need: answer(Item("no-such", "Alien")))
    assert times(report) == {"title not in the catalogue": report.turns}


async def test_a_bot_that_repeats_its_question_is_caught(film_table: ItemTable) -> None:
    asked = Question(attribute="genre", text="Which genre?", options=["Horror", "Show me anyway"])
    report = await measured(film_table, lambda need: answer(question=asked))
    assert times(report) == {"question repeated": report.turns - 24}
    by_text = await measured(film_table, lambda need: Reply("Hello! Which genre do you like?"))
    assert times(by_text) == {"question repeated": by_text.turns - 24}


async def test_a_claim_that_no_field_backs_is_caught(film_table: ItemTable) -> None:
    alien = film_table.get("film-alien-1979")
    need = Need(0, (HARD,), frozenset(), 1)
    for said, n in ((alien.text, 0), ("It won nine Oscars.", 1)):
        reply = answer(alien)
        bot = Stub([need], 1, lambda _, r=reply, s=said: Reply(f"{r.text}\n\nTo begin with Alien: {s}", r.answer))  # type: ignore[misc]
        (done,) = await hold_all(bot, [need], 1, SEED, film_table)
        assert len(done.faults.get("claim unsupported", ())) == n


async def test_what_a_customer_says_is_that_of_the_seed(film_table: ItemTable) -> None:
    needs = draw_needs(film_table, 8, SEED)

    async def heard(seed: int) -> tuple[list[str], list[Dialogue]]:
        bot = Stub(needs, 3, lambda need: answer())
        done = await hold_all(bot, needs, 3, seed, film_table)
        return bot.heard, [replace(one, turn_ms=()) for one in done]

    first, again, other = await heard(1), await heard(1), await heard(2)
    assert first == again
    assert first[0] != other[0]
    assert all(one.turns == needs[one.need].patience for one in first[1])
    runs = [[line.text for line in one.lines if line.role == "user"] for one in first[1][:3]]
    assert runs[0] != runs[1] or runs[1] != runs[2]


def test_the_agenda(film_table: ItemTable) -> None:
    """Says what was not heeded, then what comes later, never what nobody asks for; then wants others."""
    need = Need(0, (HARD, LATER, ASKED), frozenset({"film-alien-1979"}), 10)
    customer = Customer(need, film_table, np.random.default_rng(0))
    alien = film_table.get("film-alien-1979")
    other = next(item for item in film_table.items if "Horror" not in item.attributes["genre"])  # type: ignore[operator]
    scary = next(i for i in film_table.items if "Horror" in i.attributes["genre"] and i != alien)  # type: ignore[operator]
    assert "Horror" in customer.opens().text
    assert "Horror" in customer.goes_on(Seen((other.id,), (), None), 1).text
    assert "1980" in customer.goes_on(Seen((scary.id,), (), None), 2).text
    assert customer.said == [HARD, LATER]
    assert "Scott" not in customer.goes_on(Seen((alien.id,), (), None), 3).text
    asked = Question(attribute="director", text="By whom?", options=["Michael Mann", "Ridley Scott", "Show me anyway"])
    assert customer.goes_on(Seen((), (), asked), 4) == Act("reveals", "Ridley Scott")
    assert customer.said == [HARD, LATER, ASKED]
    mood = Question(attribute="mood", text="Which mood?", options=["dark", "funny", "Show me anyway"])
    assert customer.goes_on(Seen((), (), mood), 5) == Act("has no preference", "Show me anyway")
    for attribute in ("format", "genre"):
        out = Question(attribute=attribute, text="Drop one?", options=["Forget that", "Start over"])
        again = customer.goes_on(Seen((), (), out), 6)
        assert again.kind == "repeats all"
        assert all(str(wish.value)[:4] in again.text for wish in (HARD, LATER, ASKED))
    assert customer.accepts(Seen((other.id, alien.id), (), None))
    assert not customer.accepts(Seen((alien.id,), (), None, listed=False))


def test_a_change_of_mind(film_table: ItemTable) -> None:
    before = Wish("genre", "eq", "Comedy")
    need = Need(0, (HARD,), frozenset(), 10, before, 3)
    customer = Customer(need, film_table, np.random.default_rng(0))
    assert "Comedy" in customer.opens().text
    assert "Horror" not in customer.goes_on(Seen((), (), None), 1).text
    changed = customer.goes_on(Seen((), (), None), 2)
    assert changed.kind == "changes"
    assert "Comedy" in changed.text
    assert "Horror" in changed.text
    assert customer.said == [HARD]


def test_titles_are_found_in_the_lines_of_a_list() -> None:
    table = ItemTable(
        (
            Item("heat", "Heat", attributes={"year": 1995.0, "genre": ("Crime",)}),
            Item("old", "The Fly", attributes={"year": "1958"}),
            Item("new", "The Fly", attributes={"year": "1986"}),
        )
    )
    lines = "1. **Heat** (1995)\n   Fits.\n2) The Fly (1986)\n3. Crime\n4. Hot\n5. Heat 2 (2030)\n6. Heat, by Mann"
    read = Reader(table).read(Reply(f"Try:\n{lines}"))
    assert read.offered == ("heat", "new")
    assert read.invented == ("Hot", "Heat 2 (2030)")
    assert read.question is None


async def test_a_turn_that_fails_ends_the_conversation_and_is_counted(film_table: ItemTable) -> None:
    def fails(need: Need) -> Reply:
        raise EngineError("It fell over.")

    report = await measured(film_table, fails, 2)
    assert times(report) == {"turn failed": 4}


async def test_the_bot_of_this_process(film_shop: Shop, tmp_path: Path) -> None:
    log = EventLog.open(None, tmp_path)
    chat = talk_over(film_shop, log, tmp_path).chat
    report = await measured_over(InProcess(chat), film_shop.table, 6, 1, 1)
    log.close()
    assert by_turn(report)[-1] > 0
    assert not set(MUST_BE_NONE) - {"hard wish broken"} & set(times(report))
    assert report.turn_ms is not None
    assert report.turn_ms.n == report.turns


def over_http(handle: Callable[[httpx.Request], httpx.Response]) -> Bot:
    http = httpx.AsyncClient(transport=httpx.MockTransport(handle))
    client = openai.AsyncOpenAI(base_url="http://bot/v1", api_key="none", max_retries=0, http_client=http)
    return OverHttp(client, "other")


@pytest.mark.parametrize("ours", [True, False])
async def test_any_bot_over_http(film_table: ItemTable, ours: bool) -> None:
    """With our object its items count and its session goes on; without one the list is read."""
    need = draw_needs(film_table, 1, SEED)[0]
    asked: list[dict[str, object]] = []
    target = film_table.get(min(need.targets))

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        shown = answer(target).answer if len(asked) > 1 else answer().answer
        text = "Look:\n1. " + target.title if len(asked) > 1 and not ours else "Look."
        body: dict[str, object] = {
            "id": "1", "object": "chat.completion", "created": 1, "model": "other",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        }  # fmt: skip
        if ours and shown is not None:
            body["chatalogue"] = shown.model_dump(mode="json")
        return httpx.Response(200, json=body)

    customer = Customer(need, film_table, np.random.default_rng(0))
    done = await hold(over_http(handle), customer, need, 0, Reader(film_table), AsWritten())
    assert done.success == 2
    assert done.linked != ours
    assert [one["role"] for one in asked[1]["messages"]] == ["user", "assistant", "user"]  # type: ignore[attr-defined]
    assert asked[1].get("metadata") == ({"session_id": "s"} if ours else None)
    assert "metadata" not in asked[0]


async def test_a_bot_that_is_gone_and_one_that_fails(film_table: ItemTable) -> None:
    def gone(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(BadRequest, match="does not answer any more"):
        await over_http(gone).reply("hello", [], None)
    with pytest.raises(EngineError, match="with an error"):
        await over_http(lambda request: httpx.Response(500, json={})).reply("hello", [], None)


def test_pass_k_wants_every_run() -> None:
    """Two needs with two runs each: one always succeeds, the other once, in turn 4."""
    ended = ((0, 1), (0, 3), (1, 4), (1, None))
    dialogues = [Dialogue(need, n % 2, 5, success) for n, (need, success) in enumerate(ended)]
    report = figures_of(dialogues, 2)
    assert report.passed_all_runs.value == 0.5
    assert (report.passed_all_runs.low, report.passed_all_runs.high) == (0, 1)
    assert by_turn(report) == [0.25, 0.5, 0.75, 0.75]
    assert report.turns_to_success is not None
    assert report.turns_to_success.value == pytest.approx(8 / 3, abs=1e-3)


def test_a_difference_is_need_by_need() -> None:
    """Each need is better by the same: the interval is a point, however much the needs differ."""
    ours = [Dialogue(need, 0, 5, 1 + need % 2) for need in range(8)]
    theirs = [Dialogue(need, 0, 5, None) for need in range(8)]
    found = difference("model", ours, "rules", theirs, 1)
    assert [(one.within_turns, one.success.value) for one in found.success] == [(1, 0.5), (3, 1), (5, 1), (10, 1)]
    assert (found.success[1].success.low, found.success[1].success.high) == (1, 1)
    assert found.passed_all_runs.value == 1


def test_what_needs_have_is_counted(film_table: ItemTable) -> None:
    before = Wish("genre", "eq", "Comedy")
    needs = (Need(0, (HARD, LATER, ASKED), frozenset({"a", "b"}), 10), Need(1, (HARD,), frozenset({"a"}), 4, before, 2))
    drawn = drawn_of(needs)
    assert (drawn.hard_wishes, drawn.soft_wishes, drawn.bounds, drawn.unwanted_values) == (1, 0, 1, 0)
    assert (drawn.said_later, drawn.never_said_unasked, drawn.changes_of_mind, drawn.impatient) == (1, 1, 1, 1)
    assert drawn.targets.p50 == 1.5


@pytest.mark.parametrize("text", ["Nothing for you.", "Which mood would you like?", ""])
async def test_what_is_kept_back_is_never_said_unasked(film_table: ItemTable, text: str) -> None:
    """Whatever a bot asks: the values of wishes of the kind "asked" are said after a question about them alone."""
    needs = draw_needs(film_table, 40, SEED)
    bot = Stub(needs, 1, lambda need: Reply(text))
    done = await hold_all(bot, needs, 1, SEED, film_table)
    asked_about = "mood" if "mood" in text else ""
    for need, one in zip(needs, done, strict=True):
        secret = [wish for wish in need.wishes if wish.told == "asked" and wish.attribute != asked_about]
        open_values = [str(wish.value) for wish in (*need.wishes, need.mistaken) if wish and wish not in secret]
        said = " ".join(line.text for line in one.lines if line.role == "user")
        for wish in secret:
            value = str(wish.value).removesuffix(".0")
            assert value not in said or any(value in other for other in open_values), (need, said)
        assert ("reveals" in one.acts) <= any(w.told == "asked" and w.attribute == asked_about for w in need.wishes)
    if asked_about:
        assert any("reveals" in one.acts for one in done)
    assert all(one.turns == need.patience for need, one in zip(needs, done, strict=True))


async def test_every_act_is_done_by_someone(film_table: ItemTable) -> None:
    """With a bot that shows anything and now and then asks for a mood."""
    random = np.random.default_rng(0)
    mood = Question(attribute="mood", text="Which mood?", options=["dark", "funny", "Show me anyway"])

    def does(need: Need) -> Reply:
        items = [film_table.items[int(random.integers(len(film_table)))]] if random.random() < 0.6 else []
        return answer(*items, question=mood if random.random() < 0.3 else None)

    report = await measured(film_table, does, 30)
    assert set(report.acts) == set(get_args(ActKind))
    assert report.acts["opens"] == 60
    assert report.acts["changes"] <= 2 * drawn_of(draw_needs(film_table, 30, SEED)).changes_of_mind
    assert report.left > 0


async def test_a_repeated_sentence_and_a_repeated_reply_are_counted(film_table: ItemTable) -> None:
    need = Need(0, (HARD,), frozenset(), 3)
    replies = iter(["There is nothing like it here.\n\nBad luck.", "There is nothing like it here. Sorry.", "Sorry."])
    done = (await hold_all(Stub([need], 1, lambda _: Reply(next(replies))), [need], 1, SEED, film_table))[0]
    assert done.faults == {"sentence repeated word for word": ("There is nothing like it here.",)}
    done = (await hold_all(Stub([need], 1, lambda _: Reply("No.")), [need], 1, SEED, film_table))[0]
    assert done.faults == {"whole reply repeated": ("No.", "No.")}


async def test_the_shortest_failure_of_each_kind() -> None:
    lines = (PastMessage("user", "Horror"), PastMessage("assistant", "No."))
    long = Dialogue(0, 0, 5, None, {"whole reply repeated": ("No.",)}, lines=lines)
    short = Dialogue(1, 2, 3, 3, {"whole reply repeated": ("No.",)}, lines=lines)
    found = dict(shortest_failures([long, short]))
    assert found == {"whole reply repeated": short, "left without a target": long}
    said = transcript(short)
    assert said == ["need 1, run 2, 3 turns", "customer: Horror", "bot: No.", "! whole reply repeated: No."]
