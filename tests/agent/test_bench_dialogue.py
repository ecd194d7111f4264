"""Simulated customers: what they want, what they say, and that each kind of bad bot is found out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest
from talking import talk_over

from agent.answer import Answer, Question, shown_item
from agent.bench.dialogue.bots import Bot, InProcess, OverHttp
from agent.bench.dialogue.customer import Customer
from agent.bench.dialogue.figures import DialogueReport, figures_of
from agent.bench.dialogue.measure import Plan, measure_dialogues
from agent.bench.dialogue.needs import SMALL_SHARE, Need, Wish, draw_needs
from agent.bench.dialogue.reading import Reader, Reply, Seen
from agent.bench.dialogue.runner import Dialogue, hold, hold_all
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


async def measured(table: ItemTable, does: Callable[[Need], Reply], n: int = 12) -> DialogueReport:
    bot = Stub(draw_needs(table, n, SEED), 2, does)
    return await measure_dialogues(bot, "stub", table, Plan(n, 2, SEED, "films30"), lambda line: None)


def times(report: DialogueReport) -> dict[str, int]:
    return {one.fault: one.times for one in report.faults if one.times}


def by_turn(report: DialogueReport) -> list[float]:
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
        (done,) = await hold_all(bot, [need], 1, SEED, Reader(film_table), lambda line: None)
        assert len(done.unsupported) == n


async def test_what_a_customer_says_is_that_of_the_seed(film_table: ItemTable) -> None:
    needs = draw_needs(film_table, 8, SEED)

    async def heard(seed: int) -> tuple[list[str], list[Dialogue]]:
        bot = Stub(needs, 3, lambda need: answer())
        return bot.heard, await hold_all(bot, needs, 3, seed, Reader(film_table), lambda line: None)

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
    assert "Horror" in customer.opens()
    assert "Horror" in customer.goes_on(Seen((other.id,), (), None), 1)
    assert "1980" in customer.goes_on(Seen((scary.id,), (), None), 2)
    assert customer.said == [HARD, LATER]
    assert "Scott" not in customer.goes_on(Seen((alien.id,), (), None), 3)
    asked = Question(attribute="director", text="By whom?", options=["Michael Mann", "Ridley Scott", "Show me anyway"])
    assert customer.goes_on(Seen((), (), asked), 4) == "Ridley Scott"
    assert customer.said == [HARD, LATER, ASKED]
    mood = Question(attribute="mood", text="Which mood?", options=["dark", "funny", "Show me anyway"])
    assert customer.goes_on(Seen((), (), mood), 5) == "Show me anyway"
    out = Question(attribute="format", text="Drop one?", options=["Forget the format", "Start over"])
    assert all(str(wish.value)[:4] in customer.goes_on(Seen((), (), out), 6) for wish in (HARD, LATER, ASKED))
    assert customer.accepts(Seen((other.id, alien.id), (), None))
    assert not customer.accepts(Seen((alien.id,), (), None, listed=False))


def test_a_change_of_mind(film_table: ItemTable) -> None:
    before = Wish("genre", "eq", "Comedy")
    need = Need(0, (HARD,), frozenset(), 10, before, 3)
    customer = Customer(need, film_table, np.random.default_rng(0))
    assert "Comedy" in customer.opens()
    assert "Horror" not in customer.goes_on(Seen((), (), None), 1)
    changed = customer.goes_on(Seen((), (), None), 2)
    assert "Comedy" in changed
    assert "Horror" in changed
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
    assert read.offered == ("heat", "new", "heat")
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
    heard: list[str] = []
    report = await measure_dialogues(InProcess(chat), "ours", film_shop.table, Plan(4, 1, 1, "films30"), heard.append)
    log.close()
    assert by_turn(report)[-1] > 0
    assert not {"title not in the catalogue", "turn failed"} & set(times(report))
    assert heard[0] == "4 needs, 1 conversations each, with ours"


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
    done = await hold(over_http(handle), customer, need, 0, Reader(film_table))
    assert done.success == 2
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
    report = figures_of(dialogues, bot="b", catalogue="c", items=3, runs=2, seed=0)
    assert report.passed_all_runs.value == 0.5
    assert (report.passed_all_runs.low, report.passed_all_runs.high) == (0, 1)
    assert by_turn(report) == [0.25, 0.5, 0.75, 0.75]
    assert report.turns_to_success is not None
    assert report.turns_to_success.value == pytest.approx(8 / 3, abs=1e-3)
