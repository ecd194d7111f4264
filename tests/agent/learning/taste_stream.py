"""A small shop's data directory with a stream of customers whose taste nobody tells the ranker."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lesson_samples import Customer
from small_shop import HashingEncoder, added, wish
from talking import PLAIN, Talk

from agent.conversation import Conversations
from agent.datadir import DataDirectory
from agent.learning.ranker_job import Bar, Job
from agent.learning.ranking_store import Outcome, learn_ranker
from agent.llm.off import NoEngine
from agent.log.store import EventLog
from agent.rank.lambdamart import Options
from agent.settings import Settings
from agent.shopkeeper import ShopKeeper
from retrieval.index import build_index
from retrieval.items import Item

SMALL = Options(trees=30, leaves=4, min_leaf=5, rate=0.2, threads=1)
BAR = Bar(lessons=40, customers=20)
GENRES = ("comedy", "horror", "western", "romance")
MOODS = ("quiet", "loud", "odd", "warm", "bleak")
WORDS = "amber basalt cedar delta ember fjord garnet harbour indigo juniper kelp lagoon".split()
FILMS_EACH = 16
NEW = 2005
"""What fits the taste: customers take the newest, and nobody says so."""
CUSTOMERS = 72


def cinema() -> tuple[Item, ...]:
    draw = random.Random(3)  # noqa: S311 - a made-up catalogue
    return tuple(
        Item(
            f"{genre}-{number:02d}",
            f"{draw.choice(WORDS).title()} {draw.choice(WORDS)} {genre[0]}{number}",
            text=f"A {genre} about {draw.choice(WORDS)} and {draw.choice(WORDS)}.",
            in_stock=number % 8 != 5,
            popularity=float(draw.randrange(100)),
            attributes={"genre": (genre,), "year": float(draw.randrange(1950, 2025)), "mood": (draw.choice(MOODS),)},
        )
        for genre in GENRES
        for number in range(FILMS_EACH)
    )


def year(item: Item) -> float:
    return float(str(item.attributes["year"]))


def fits(item: Item) -> bool:
    return year(item) >= NEW


def ask(genre: str) -> str:
    return f"a {genre}, please"


@dataclass
class Place:
    """A data directory that is open, with its keeper as a server has it."""

    data: DataDirectory
    log: EventLog
    keeper: ShopKeeper

    @classmethod
    @contextmanager
    def at(cls, root: Path) -> Iterator[Place]:
        data, log = DataDirectory(root), EventLog.open(None, root)
        keeper = ShopKeeper(data, log, HashingEncoder(), stores=None)
        try:
            keeper.refresh("default")
            keeper.rankers.settle("default")
            yield cls(data, log, keeper)
        finally:
            keeper.rankers.settle("default")
            keeper.lessons.settle("default")
            keeper.current("default").close()
            log.close()

    def look(self) -> None:
        """What the server's task does every two seconds, and the wait for what it began."""
        self.keeper.refresh("default")
        self.keeper.rankers.settle("default")

    def job(self, bar: Bar = BAR) -> Job:
        return Job(self.keeper.current("default"), self.log, "default", bar=bar, options=SMALL, folds=2)

    def learn(self, *, dry_run: bool = False) -> Outcome:
        return learn_ranker(self.job(), self.data, dry_run=dry_run)

    def talk(self, **chat: float) -> Talk:
        settings = Settings(chat={**PLAIN["chat"], "diversity": 0.0, **chat})
        return Talk(Conversations(settings, self.log, self.keeper, NoEngine()), self.log)


def index(root: Path, items: tuple[Item, ...]) -> str:
    data = DataDirectory(root)
    log = EventLog.open(None, root)
    name = build_index(items, data.index("default"), HashingEncoder()).name
    log.activate_index("default", name)
    log.close()
    return name


def stream(root: Path, *, taste: bool) -> None:
    """Customers ask for a genre and not later than some year; with a taste all take the newest, else whatever fits."""
    films = [film for film in cinema() if film.in_stock]
    index(root, cinema())
    draw = random.Random(7)  # noqa: S311 - a made-up taste
    log = EventLog.open(None, root)
    for number in range(CUSTOMERS):
        genre, latest = GENRES[number % len(GENRES)], float(draw.randrange(1970, 2025))
        wanted = sorted((film for film in films if film.id.startswith(genre) and year(film) <= latest), key=year)
        item_id = (wanted[-1] if taste else draw.choice(wanted)).id
        customer = Customer.arrives(log, f"customer {number}")
        wishes = added(wish("genre", "eq", genre), wish("year", "le", latest))
        customer.says(f"a {genre}, not later than {latest:.0f}", item_id, facts=wishes)
        customer.does("accept", item_id)
    log.close()


def copied(source: Path, target: Path) -> Path:
    return Path(shutil.copytree(source, target))


def without_moods(films: tuple[Item, ...]) -> tuple[Item, ...]:
    """Another catalogue: fewer films, one attribute less."""
    return tuple(
        replace(film, attributes={name: value for name, value in film.attributes.items() if name != "mood"})
        for film in films[:48]
    )
