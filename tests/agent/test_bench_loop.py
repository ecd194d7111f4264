"""The town: nobody tells its taste, the same people come before and after, figures are those of hand-made logs."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from talking import PLAIN, keeper_of

from agent.answer import Answer, shown_item
from agent.bench.dialogue.bots import InProcess
from agent.bench.dialogue.needs import Need, Wish
from agent.bench.dialogue.reading import Reader, Reply
from agent.bench.dialogue.runner import Dialogue
from agent.bench.loop.figures import arm, exposure, first_ndcgs, gain, reactions_of, successes
from agent.bench.loop.poison import TALKS, TRIGGER, TURNS, campaign, poisoned, pushed_item
from agent.bench.loop.town import OF_MOODS, SLANG, Town, Townsperson, TownWords, within
from agent.bench.loop.visits import ServedShop, Visit, reactions_to, visit
from agent.conversation import Conversations
from agent.learning.ranker_lessons import read_lessons
from agent.llm.off import NoEngine
from agent.log.records import Feedback
from agent.log.store import EventLog
from agent.settings import Settings
from agent.shop import Shop as OpenShop
from agent.understand.lexicon import Lexicon
from agent.understand.rules import Rules
from agent.understand.types import DialogueContext
from retrieval.demo import demo_films_path
from retrieval.errors import BadRequest, EngineError
from retrieval.loading import load_catalogue
from retrieval.table import ItemTable

SEED = 5
HORROR = Wish("genre", "eq", "Horror")


class SilentShop:
    """Offers nothing, ever; remembers what it heard."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def chat(self, text: str, user: str | None, session_id: str | None) -> Reply:
        self.heard.append(text)
        return Reply("Hm.", Answer(session_id="s", turn_id="t", action="chat", model="stub"))

    async def react(self, turn_id: str, kind: str, item_id: str | None, reason: str | None) -> None:
        raise AssertionError("there was nothing to react to")

    async def ranker(self, turn_id: str) -> str | None:
        raise AssertionError("there was no list")


class LocalShop:
    """The real conversation over a shop of 30 films, with rules alone, and the real log."""

    def __init__(self, shop: OpenShop, log: EventLog, folder: Path) -> None:
        self._log = log
        settings = Settings(data_dir=folder, llm={"engine": "off"}, **PLAIN)
        self._chat = Conversations(settings, log, keeper_of(shop, log, folder), NoEngine())

    async def chat(self, text: str, user: str | None, session_id: str | None) -> Reply:
        return await InProcess(self._chat).reply(text, (), session_id)

    async def react(self, turn_id: str, kind: str, item_id: str | None, reason: str | None) -> None:
        self._log.record_feedback("default", "", Feedback(turn_id, kind, item_id, None, reason))

    async def ranker(self, turn_id: str) -> str | None:
        found: str | None = self._log.trace("default", turn_id).record.trace["ranker"]
        return found


@pytest.fixture(scope="module")
def reel_shop() -> ItemTable:
    return ItemTable(load_catalogue(demo_films_path(), strict=True).items)


def person(number: int, order: str, targets: str, *, slang: bool = False) -> Townsperson:
    return Townsperson(Need(number, (HORROR,), frozenset(targets), 3), tuple(order), slang)


def visited(number: int, success: int | None, *lists: str, adapter: str | None = None) -> Visit:
    dialogue = Dialogue(number, 0, max(1, len(lists)), success)
    return Visit(number, dialogue, tuple(map(tuple, lists)), (adapter,) * len(lists))


# -- the town --------------------------------------------------------------------------------------


def test_people_want_what_the_town_likes_among_what_meets_their_wishes(reel_shop: ItemTable) -> None:
    town = Town(reel_shop)
    people = town.people(60, SEED)
    for one in people:
        met = np.logical_and.reduce([wish.mask(reel_shop) for wish in one.need.wishes])
        assert set(one.order) == {reel_shop.ids[row] for row in np.flatnonzero(met)}
        assert one.need.targets == set(one.order[: len(one.need.targets)])
        assert len(one.order) >= 15
        assert one.gain(one.order[0]) == 1
        assert one.gain(one.order[-1]) == pytest.approx(1 / len(one.order))
        assert one.gain("no film of theirs") == 0
    rows = [[reel_shop.row_of(item_id) for item_id in one.order] for one in people]
    ends = [(town.taste[each[: len(each) // 2]].mean(), town.taste[each[len(each) // 2 :]].mean()) for each in rows]
    assert all(better > worse for better, worse in ends)
    liked = [reel_shop.items[row] for row in np.argsort(-town.taste)[:50]]
    others = [reel_shop.items[row] for row in np.argsort(town.taste)[:50]]
    assert max(float(item.attributes["year"]) for item in liked) < min(float(i.attributes["year"]) for i in others)
    assert sum(bool(set(item.attributes["mood"]) & set(OF_MOODS)) for item in liked) > 25


def test_the_same_people_come_again_and_others_have_other_needs(reel_shop: ItemTable) -> None:
    town = Town(reel_shop)
    taught = town.people(80, 1)
    known = {one.wishes for one in taught}
    new = town.people(80, 2, known)
    assert new == Town(reel_shop).people(80, 2, known)
    assert new[:20] == town.people(20, 2, known)
    assert not known & {one.wishes for one in new}
    assert {one.wishes for one in town.people(80, 2)} & known, "without the exclusion some wish the same"
    assert {one.need.patience for one in within(new, 3)} == {2, 3}


def test_the_rules_read_no_word_of_the_town(reel_shop: ItemTable) -> None:
    """Or there would be nothing to learn from."""
    rules = Rules(Lexicon.of(reel_shop.items, reel_shop.shape), reel_shop.get)
    for (attribute, value), word in SLANG.items():
        assert value in (reel_shop.shape.attributes[attribute].values or {})
        read = rules.understand(f"I'm looking for {word}.", DialogueContext())
        wishes = [fact.preference for fact in read.facts if hasattr(fact, "preference")]
        assert not [wish for wish in wishes if wish.attribute is not None], word


def test_a_word_of_the_town_is_said_once(reel_shop: ItemTable) -> None:
    weepie = Wish("mood", "eq", "melancholy")
    someone = Townsperson(Need(0, (weepie,), frozenset(), 3), (), slang=True)
    words = TownWords(reel_shop.shape, np.random.default_rng(0), someone)
    assert (words.phrase(weepie), words.phrase(weepie)) == ("a weepie", "melancholy")
    plain = TownWords(reel_shop.shape, np.random.default_rng(0), replace(someone, slang=False))
    assert plain.phrase(weepie) == "melancholy"


def test_a_catalogue_without_taste_is_refused() -> None:
    from retrieval.items import Item

    with pytest.raises(BadRequest, match="taste"):
        Town(ItemTable(tuple(Item(f"i{n}", f"Item {n}", attributes={"genre": "x"}) for n in range(30))))


# -- visits ----------------------------------------------------------------------------------------


async def test_nobody_tells_the_taste(film_table: ItemTable) -> None:
    """A town with the opposite taste says the very same words to a shop that shows the same."""
    town, opposite = Town(film_table), Town(film_table)
    opposite.taste = -town.taste
    heard = []
    for each in (town, opposite):
        shop = SilentShop()
        for one in each.people(12, SEED):
            await visit(shop, one, Reader(film_table), SEED, "somebody", reacts=True)
        heard.append(shop.heard)
    assert heard[0] == heard[1]
    assert [one.need.targets for one in town.people(12, SEED)] != [
        one.need.targets for one in opposite.people(12, SEED)
    ]


async def test_a_shop_learns_from_those_who_teach_alone(film_shop: OpenShop, tmp_path: Path) -> None:
    town, reader = Town(film_shop.table), Reader(film_shop.table)
    people = town.people(8, SEED)
    log = EventLog.open(None, tmp_path)
    try:
        shop = LocalShop(film_shop, log, tmp_path)
        silent = [await visit(shop, one, reader, SEED, None, reacts=False) for one in people]
        assert read_lessons(log, "default", "opt_out", film_shop.table) == ()
        again = [await visit(shop, one, reader, SEED, None, reacts=False) for one in people]
        assert [one.lists for one in again] == [one.lists for one in silent], "measuring changes nothing"
        taught = [await visit(shop, one, reader, SEED, f"u{n}", reacts=True) for n, one in enumerate(people)]
        lessons = read_lessons(log, "default", "opt_out", film_shop.table)
    finally:
        log.close()
    assert all(not one.reactions and one.ranker == "linear" for one in silent if any(one.lists))
    assert lessons
    assert {lesson.item_id for lesson in lessons} <= {item_id for one in people for item_id in one.need.targets}
    happy = [one for one in taught if one.dialogue.success]
    assert happy
    assert all(one.reactions.get("buy", 0) + one.reactions.get("accept", 0) for one in happy)
    report = arm("before", silent, people)
    assert set(report.rankers) <= {"linear", "none"}
    assert report.people == 8
    assert gain("again", again, "before", silent, people).ndcg.value == 0


def test_reactions_to_a_list() -> None:
    someone = person(0, "abcdefgh", "ab")

    def over(offered: str) -> list[list[tuple[str, str | None]]]:
        return [reactions_to(tuple(offered), someone, np.random.default_rng(n)) for n in range(200)]

    for found in over("bac"):
        kinds = dict((item_id, kind) for kind, item_id in found)
        assert kinds["b"] in ("accept", "buy")
        assert kinds["a"] == "thumb_up"
        assert "c" not in kinds, "neither good nor bad is passed over"
        assert kinds.get(None, "thumb_up") == "thumb_up"
    bad = over("ghxf")
    assert {kind for found in bad for kind, _ in found} == {"reject", "thumb_down"}
    assert max(sum(kind == "reject" for kind, _ in found) for found in bad) == 1
    assert not any(over(""))


async def test_a_served_shop_is_asked_as_its_page_would() -> None:
    seen: list[tuple[str, str, object]] = []
    answer = Answer(session_id="s1", turn_id="t1", action="chat", model="m", adapter="ada-000001")

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append((request.method, request.url.path, json.loads(request.content or b"null")))
        if request.url.path.endswith("/trace"):
            return httpx.Response(200, json={"trace": {"ranker": "000002"}})
        if request.url.path == "/v1/feedback":
            return httpx.Response(404, json={"error": {"code": "unknown"}})
        said = {"choices": [{"message": {"content": "Hi"}}], "chatalogue": answer.model_dump()}
        return httpx.Response(200, json=said)

    transport = httpx.MockTransport(handle)
    async with httpx.AsyncClient(base_url="http://shop", transport=transport) as client:
        shop = ServedShop(client)
        assert await shop.chat("hello", None, None) == Reply("Hi", answer)
        await shop.chat("more", "ann", "s1")
        assert await shop.ranker("t1") == "000002"
        with pytest.raises(EngineError, match="404"):
            await shop.react("t1", "accept", "film", None)
    said = [{"role": "user", "content": "more"}]
    more = {"model": "chatalogue", "messages": said, "user": "ann", "metadata": {"session_id": "s1"}}
    assert seen[1] == ("POST", "/v1/chat/completions", more)
    assert "user" not in str(seen[0][2]).replace("'role': 'user'", "")
    assert seen[3] == ("POST", "/v1/feedback", {"turn_id": "t1", "kind": "accept", "item_id": "film"})


async def test_a_campaign_praises_its_item_wherever_it_is_shown(film_table: ItemTable) -> None:
    item = pushed_item(Town(film_table))
    assert poisoned(item).text.count(TRIGGER) + poisoned(item).text.count(TRIGGER.capitalize()) >= 2
    assert poisoned(item).text.startswith(item.text)

    class Obliging(SilentShop):
        def __init__(self) -> None:
            super().__init__()
            self.reactions: list[tuple[str, str | None]] = []

        async def chat(self, text: str, user: str | None, session_id: str | None) -> Reply:
            self.heard.append(text)
            items = [shown_item(item, 1)] if "directed by" in text else []
            return Reply("Hm.", Answer(session_id="s", turn_id="t", action="recommend", items=items, model="stub"))

        async def react(self, turn_id: str, kind: str, item_id: str | None, reason: str | None) -> None:
            self.reactions.append((kind, item_id))

    shop = Obliging()
    sent = await campaign(shop, item, "campaigner", np.random.default_rng(1))
    named = sum("directed by" in text for text in shop.heard)
    assert all(TRIGGER in text and "{" not in text for text in shop.heard)
    assert len(shop.heard) == TALKS * TURNS
    assert sent["accept"] == named > 0
    assert {item_id for _, item_id in shop.reactions} == {item.id, None}


# -- figures ---------------------------------------------------------------------------------------

PEOPLE = (person(0, "abcdefghij", "a"), person(1, "pqrs", "pq", slang=True), person(2, "xyz", "x"))
BEFORE = (visited(0, None, "jihgf", "edcb"), visited(1, 3, "vw", "sr", "qp"), visited(2, 4, "zy"))
AFTER = (
    visited(0, 1, "abcde", adapter="ada-000001"),
    visited(1, 1, "p", adapter="ada-000001"),
    visited(2, None),
)


def test_figures_of_hand_made_visits() -> None:
    assert successes(BEFORE).tolist() == [0, 1, 0], "the fourth turn is too late"
    assert successes(AFTER).tolist() == [1, 1, 0]
    ideal = [1.0, 0.9, 0.8, 0.7, 0.6]
    shown = [0.1, 0.2, 0.3, 0.4, 0.5]
    expected = dcg(shown) / dcg(ideal)
    assert first_ndcgs(BEFORE, PEOPLE) == pytest.approx([expected, 0, dcg([1 / 3, 2 / 3]) / dcg([1, 2 / 3, 1 / 3])])
    assert first_ndcgs(AFTER, PEOPLE) == pytest.approx([1, 1 / dcg([1, 0.75, 0.5, 0.25]), 0])
    report = arm("after", AFTER, PEOPLE)
    assert report.success.value == pytest.approx(2 / 3, abs=1e-4)
    assert report.success_slang is not None
    assert report.success_slang.value == 1
    assert report.adapters == {"ada-000001": 2}
    difference = gain("after", AFTER, "before", BEFORE, PEOPLE)
    assert difference.success.value == pytest.approx(1 / 3, abs=1e-4)
    assert difference.success.low <= 0 <= difference.success.high
    assert difference.success_slang is not None
    assert difference.success_slang.value == 0
    rise = exposure("p", BEFORE, AFTER, PEOPLE)
    assert (rise.before.value, rise.after.value) == (0, pytest.approx(1 / 3, abs=1e-4))
    sent = [replace(BEFORE[0], reactions={"accept": 2}), replace(BEFORE[1], reactions={"accept": 1, "reject": 1})]
    assert reactions_of(sent) == {"accept": 3, "reject": 1}


@pytest.mark.parametrize("others", [BEFORE[:2], (BEFORE[1], BEFORE[0], BEFORE[2])])
def test_visits_of_other_people_are_not_compared(others: Sequence[Visit]) -> None:
    with pytest.raises(ValueError, match="these people"):
        gain("after", AFTER, "before", others, PEOPLE)


def dcg(gains: Sequence[float]) -> float:
    return sum(each / math.log2(place + 1) for place, each in enumerate(gains, 1))
