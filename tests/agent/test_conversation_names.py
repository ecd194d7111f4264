"""Names in a talk lift items only where the customer asked for them: not what is denied, taken back or said by us."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from talking import Talk, talk_over

from agent.log.store import EventLog
from agent.preferences import Dropped
from agent.services import PastMessage
from agent.shop import Shop
from retrieval.branches.base import Cues
from retrieval.query import Query
from retrieval.search import Retriever


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventLog]:
    opened = EventLog.open(None, tmp_path_factory.mktemp("log"))
    yield opened
    opened.close()


@dataclass
class Listener:
    """A talk over the real search; `names` are what its branches took for named in the last one."""

    talk: Talk
    heard: list[Cues] = field(default_factory=list)

    async def names(self, *said: str) -> set[str]:
        """Titles and folded values, and "like X" for the seeds that count for an item."""
        for text in said:
            await self.talk.say(text)
        return self.last()

    def last(self) -> set[str]:
        links, seeds = self.heard[-1].links, self.heard[-1].seeds
        items = self.talk.chat._shops.current("default").table.items
        titles = {items[row].title for row in links.items}
        return titles | {value for _, value in links.values} | {f"like {items[r].title}" for r in seeds if seeds[r] > 0}


@pytest.fixture
def listener(film_shop: Shop, log: EventLog, tmp_path: Path) -> Listener:
    heard: list[Cues] = []
    one, further = film_shop.retriever, film_shop.retriever.further

    def read(query: Query) -> Cues:
        heard.append(further.read(query))
        return heard[-1]

    retriever = Retriever(one.table, one.encoder, one.dense, one.lexical, replace(further, read=read))
    return Listener(talk_over(replace(film_shop, retriever=retriever), log, tmp_path), heard)


async def test_an_open_shop_finds_by_names(listener: Listener) -> None:
    assert await listener.names("a crime film with Al Pacino") == {"crime", "al pacino"}
    assert listener.talk.turns[-1].titles[:2] == ["Heat", "The Godfather"]


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("a thriller, but no horror", {"thriller"}),
        ("anything but Tarantino, a crime film", {"crime"}),
        ("a crime film not by Hitchcock and without Al Pacino", {"crime"}),
        ("not like Alien, but with Sigourney Weaver", {"sigourney weaver"}),
        ("I hated Titanic, something romantic", {"romantic"}),
        ("less dark, a thriller", {"thriller"}),
        ("a comedy that is not too violent", {"comedy"}),
        ("惊悚片，不要 Horror", set()),
    ],
)
async def test_what_is_denied_is_not_named(listener: Listener, said: str, named: set[str]) -> None:
    assert await listener.names(said) == named


async def test_a_denial_holds_for_the_turns_before_and_after(listener: Listener) -> None:
    assert await listener.names("a funny thriller", "actually not funny", "from the 1990s") == {"thriller"}
    assert await listener.names("start over", "a comedy", "actually not a comedy") == set()
    assert await listener.names("start over", "no horror", "horror is fine after all, a horror film") == {"horror"}


async def test_what_was_taken_back_is_not_named(listener: Listener) -> None:
    await listener.names("a thriller with Bruce Willis")
    chip = next(one for one in listener.talk.turns[-1].answer.preferences if one.attribute == "cast")
    await listener.talk.drop(Dropped(1, "", preference_ids=(chip.id,)))
    assert await listener.names("something newer") == {"thriller"}
    assert await listener.names("forget the thriller, a comedy") == {"comedy"}


async def test_a_like_that_was_taken_back_is_no_direction(listener: Listener) -> None:
    assert "like Alien" in await listener.names("something like Alien")
    chip = next(one for one in listener.talk.turns[-1].answer.preferences if one.op == "like")
    await listener.talk.drop(Dropped(1, "", preference_ids=(chip.id,)))
    assert await listener.names("something funny") == {"funny"}


async def test_a_rejected_item_is_no_direction(listener: Listener) -> None:
    await listener.names("a film by Ridley Scott")
    assert listener.talk.turns[-1].titles == ["Alien"]
    assert "Alien" not in await listener.names("not Alien, something by Spielberg")
    assert "like Alien" not in listener.last()


async def test_what_only_we_said_is_not_named(listener: Listener) -> None:
    past = (
        PastMessage("user", "I want a thriller"),
        PastMessage("assistant", "You may like Jaws by Steven Spielberg, or are you looking for a comedy?"),
    )
    await listener.talk.say("something newer, please", history=past)
    assert listener.last() == {"thriller"}


async def test_what_a_question_names_is_not_wished_for(listener: Listener) -> None:
    questions = ("why not Alien?", "how many comedies do you have?", "is Jaws by Steven Spielberg?")
    assert await listener.names("a thriller", *questions, "from the 1970s") == {"thriller"}


async def test_starting_over_forgets_names(listener: Listener) -> None:
    assert await listener.names("I watched Alien last night", "start over", "a comedy") == {"comedy"}


async def test_more_is_no_name(listener: Listener) -> None:
    assert await listener.names("a thriller", "more") == {"thriller"}


async def test_a_title_alone_comes_first(listener: Listener) -> None:
    for title in ("Heat", "jaws", "die hard"):
        await listener.names("start over", title)
        assert listener.talk.turns[-1].titles[0].lower() == title.lower()


async def test_what_is_near_an_unknown_title_is_not_sought_among_old_names(listener: Listener) -> None:
    await listener.names("a film with Al Pacino", "do you have Alien Resurrection?")
    assert listener.last() == set()
    assert [one.item.title for one in listener.talk.turns[-1].answer.alternatives] == ["Alien"]


async def test_a_card_says_what_it_shares_with_a_film_spoken_of(listener: Listener) -> None:
    await listener.names("something like The Dark Knight")
    why = {item.title: item.why for item in listener.talk.turns[-1].answer.items}
    assert why["Inception"].startswith("Also directed by Christopher Nolan, like The Dark Knight.")
    assert "lso directed by Christopher Nolan, like The Dark Knight" in listener.talk.turns[-1].reply
    await listener.names("start over", "a film by Christopher Nolan")
    assert not [item.why for item in listener.talk.turns[-1].answer.items if "Also" in item.why], "none was spoken of"


async def test_a_person_spoken_against_by_surname_is_kept_away(listener: Listener) -> None:
    for said in ("anything but Tarantino, a crime film", "a crime film other than Tarantino, please"):
        await listener.names("start over", said)
        assert ("director", "eq", "Quentin Tarantino", "negative") in listener.talk.turns[-1].wishes
