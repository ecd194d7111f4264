"""The whole loop over the demo shop: a town teaches a real server, a job learns, and other people of it are served.

Every step is a command line or an HTTP request, as an operator and a shop's page would send them. What the town is and
what is measured stands in agent/bench/loop; the learning itself is the product's. Puts them in order, decides nothing.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
from pydantic import BaseModel

from agent.bench.dialogue.reading import Reader
from agent.bench.loop.figures import arm, exposure, gain, reactions_of
from agent.bench.loop.poison import SHARE, campaign, poisoned, pushed_item
from agent.bench.loop.small_talk import SMALL_TALK
from agent.bench.loop.town import SLANG, Town, Townsperson, within
from agent.bench.loop.visits import ServedShop, Visit, visit
from agent.learning.ranker import STAND_IN
from retrieval.demo import SHOP_NAME, demo_films_path
from retrieval.errors import EngineError
from retrieval.items import Item
from retrieval.loading import load_catalogue
from retrieval.table import ItemTable
from ui.bench.loop_notes import Folder, Notes, Serving
from ui.bench.loop_report import Chat, Learned, LoopReport, Poison, Rollback, Taught, Trial

SEEDS: Final = {"taught": 1, "new": 2, "canary": 3, "poisoned": 4}
AT_ONCE: Final = 2
"""Visits at a time where nobody teaches; what one is shown does not depend on the others."""
TIMEOUT_S: Final = 120.0
TURNS: Final = 3
"""Of those who measure."""
CANARY_SHARE: Final = 0.5
"""Larger than the product's, so that few visits show both sides."""
BOUND: Final = 0.02
"""By how much a campaign may raise the share of people to whom its item is shown first."""
SWITCHED_S: Final = 300.0
"""Within which a running server must have followed a promotion."""
EVERYBODY: Final = 12
"""Conversations that one adapter answers only where it is no longer on trial."""
TENANT: Final = "default"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class LoopPlan:
    """How many people do what. `full_text` of those who teach read replies that the model writes."""

    taught: int = 300
    full_text: int = 30
    new: int = 300
    canary: int = 40
    poisoned: int = 120


class Texts(BaseModel):
    """What a shop answered to small talk: action and text, message by message."""

    said: list[tuple[str, str]]


class Done(BaseModel):
    """A step of which the visits and the time are the outcome; `promoted`: its shop's champion is what was trained."""

    seconds: float
    promoted: bool = False
    talk: Texts | None = None


def run_loop(plan: LoopPlan, keep: Path, say: Say) -> LoopReport:
    """Everything, or what of it is not in `keep` yet.

    Raises:
        ChatalogueError: a command failed, a server did not answer, or the folder cannot be used.
    """
    return _Run(plan, Folder(keep, say), say).report()


class _Run:
    def __init__(self, plan: LoopPlan, folder: Folder, say: Say) -> None:
        self._plan = plan
        self._folder = folder
        self._say = say
        self._table = ItemTable(load_catalogue(demo_films_path(), keep_first=True).items)
        self._town = Town(self._table)
        self._taught = self._town.people(plan.taught, SEEDS["taught"])
        known = {one.wishes for one in self._taught}
        self._new = within(self._town.people(plan.new, SEEDS["new"], known), TURNS)
        self._shop, self._fresh = folder.data("shop"), folder.root / "fresh"

    def report(self) -> LoopReport:
        """The steps, one after the other."""
        folder, plan = self._folder, self._plan
        before = folder.step("before", Done, self._before)
        taught = folder.step("teach", Taught, self._teach)
        folder.step("index", Done, self._index)
        learned = folder.step("learn", Learned, lambda notes: self._learn(notes, self._shop))
        trial = None
        if learned.passed:
            trial = folder.step("canary", Trial, lambda notes: self._try(notes, _named(learned)))
        after = folder.step("after", Done, lambda notes: self._promote(notes, learned))
        if learned.passed:
            alone = Serving(self._fresh, adapter=self._shop / "adapters" / TENANT / _named(learned))
            folder.step("adapter alone", Done, lambda notes: self._measure(notes, alone, "adapter alone"))
        poison = folder.step("poison", Poison, self._poison)
        rollback = folder.step("rollback", Rollback, lambda notes: self._roll_back(notes, learned, after.promoted))
        alone_too = ["adapter alone"] if learned.passed else []
        names = ["before", "index", *alone_too, *(["ranker"] if after.promoted else []), "after"]
        visits = {name: folder.in_order(name, range(plan.new)) for name in names}
        return LoopReport(
            catalogue=SHOP_NAME,
            items=len(self._table),
            seeds=SEEDS,
            slang={value: word for (_, value), word in SLANG.items()},
            taught=taught,
            learned=learned,
            trial=trial,
            arms=[arm(name, visits[name], self._new) for name in names],
            gains=[gain(name, visits[name], "before", visits["before"], self._new) for name in names[1:]],
            chat=_chat(before, after),
            poison=poison,
            rollback=rollback,
            commands=folder.commands,
            memory=folder.memory,
        )

    # --- steps ---

    def _before(self, notes: Notes) -> Done:
        """The shop is opened; those who measure meet a copy, for what they say must not be in the log that teaches."""
        if not self._fresh.exists():
            with _served(notes, Serving(self._shop)):
                pass
            _copy(self._shop, self._fresh)
        return self._measure(notes, Serving(self._fresh), "before", talks=True)

    def _measure(self, notes: Notes, serving: Serving, name: str, talks: bool = False) -> Done:
        """The new people meet a shop; nobody tells it anything."""
        started = time.perf_counter()
        with _served(notes, serving) as base:
            asyncio.run(self._visits(base, name, self._new, SEEDS["new"], reacts=False))
            talk = asyncio.run(_small_talk(base)) if talks else None
        return Done(seconds=round(time.perf_counter() - started, 1), talk=talk)

    def _teach(self, notes: Notes) -> Taught:
        """The first people read templates, the last ones what the model writes; all of them react."""
        started, n_short = time.perf_counter(), len(self._taught) - self._plan.full_text
        for people, writes in ((self._taught[:n_short], False), (self._taught[n_short:], True)):
            if people:
                with _served(notes, Serving(self._shop, explores=True, writes=writes)) as base:
                    asyncio.run(self._visits(base, "taught", people, SEEDS["taught"], reacts=True))
        done = self._folder.in_order("taught", range(self._plan.taught))
        return Taught(
            people=len(done),
            full_text=self._plan.full_text,
            turns=sum(one.dialogue.turns for one in done),
            reactions=dict(reactions_of(done)),
            seconds=round(time.perf_counter() - started, 1),
        )

    def _index(self, notes: Notes) -> Done:
        """Before any job, on a copy: "none of these" is a reaction, too, and those who measure must not teach."""
        copy = self._folder.root / "untrained"
        if not copy.exists():
            _copy(self._shop, copy)
        return self._measure(notes, Serving(copy), "index")

    def _learn(self, notes: Notes, folder: Path) -> Learned:
        """One job, which has all cores: a server beside it would leave it half of them."""
        known = {one["id"] for one in _adapters(notes, folder)["adapters"]}
        notes.run("learn", folder, {"CHATALOGUE_LEARNING__CANARY_SHARE": str(CANARY_SHARE)})
        notes.run("rankers list", folder)
        notes.run("adapters list", folder)
        new = [one for one in _adapters(notes, folder)["adapters"] if one["id"] not in known]
        newest = new[-1] if new else None
        return Learned(
            parts=_parts(folder),
            report=_newest(folder / "learn", "2*Z.md"),
            gate=_newest(folder / "adapters", "gate.md") if newest else "",
            adapter=newest["id"] if newest else None,
            passed=bool(newest and newest["verdict"]["passed"]),
        )

    def _try(self, notes: Notes, adapter: str) -> Trial:
        """Some more people, who react, while the adapter has a share of the conversations."""
        if _adapters(notes, self._shop)["canary"] is None:
            notes.run(f"adapters promote {adapter} --canary {CANARY_SHARE}", self._shop)
        people = self._town.people(self._plan.canary, SEEDS["canary"])
        self._folder.forget("canary")
        with _served(notes, Serving(self._shop, explores=True)) as base:
            asyncio.run(_until_answers(base, lambda name: name == adapter))
            asyncio.run(self._visits(base, "canary", people, SEEDS["canary"], reacts=True))
        notes.run(f"adapters show {adapter}", self._shop)
        done = self._folder.in_order("canary", range(len(people)))
        return Trial(
            share=CANARY_SHARE,
            people=len(done),
            answers=_count(name for one in done for name in one.adapters),
            sticky=all(len(set(one.adapters)) == 1 for one in done),
        )

    def _promote(self, notes: Notes, learned: Learned) -> Done:
        """The adapter becomes the champion of a running server; then the new people meet it."""
        started, promoted = time.perf_counter(), False
        with _served(notes, Serving(self._shop)) as base:
            if learned.passed and not _is_halted(_adapters(notes, self._shop), learned):
                if _adapters(notes, self._shop)["champion"] != learned.adapter:
                    notes.run(f"adapters promote {learned.adapter}", self._shop)
                asyncio.run(_until_answers(base, lambda adapter: adapter == learned.adapter, EVERYBODY))
                promoted = True
            asyncio.run(self._visits(base, "after", self._new, SEEDS["new"], reacts=False))
            talk = asyncio.run(_small_talk(base))
        return Done(seconds=round(time.perf_counter() - started, 1), promoted=promoted, talk=talk)

    def _poison(self, notes: Notes) -> Poison:
        """On a copy of the shop: a campaign among other people, a job, and what strangers are shown after it."""
        folder = self._folder.root / "poisoned"
        shutil.rmtree(folder, ignore_errors=True)
        _copy(self._shop, folder)
        for name in ("poisoned", "exposed"):
            self._folder.forget(name)
        item = pushed_item(self._town)
        file = folder / "poisoned.jsonl"
        _write_catalogue(file, item)
        notes.run(f"index {file}", folder)
        n_campaigners = round(SHARE * self._plan.poisoned)
        people = self._town.people(self._plan.poisoned - n_campaigners, SEEDS["poisoned"])
        with _served(notes, Serving(folder, explores=True)) as base:
            asyncio.run(self._visits(base, "poisoned", people, SEEDS["poisoned"], reacts=True))
            reactions = asyncio.run(_campaigns(base, item, n_campaigners))
        learned = self._learn(notes, folder)
        if learned.passed:  # the worst case: an operator who asks nothing
            notes.run(f"adapters promote {learned.adapter}", folder)
        first = within(self._new, 1)
        with _served(notes, Serving(folder)) as base:
            asyncio.run(self._visits(base, "exposed", first, SEEDS["new"], reacts=False))
        clean, now = (self._folder.in_order(name, range(len(first))) for name in ("after", "exposed"))
        return Poison(
            item=item.title,
            people=self._plan.poisoned,
            campaigners=n_campaigners,
            reactions=reactions,
            learned=learned,
            exposure=exposure(item.id, clean, now, first),
            bound=BOUND,
            served_anyway=learned.passed,
        )

    def _roll_back(self, notes: Notes, learned: Learned, promoted: bool) -> Rollback:
        """The adapter is taken back under a running server, then the ranker: who answers the same words?"""
        some = self._new[: self._plan.canary]
        for name in ("ranker", "linear"):
            self._folder.forget(name)
        with _served(notes, Serving(self._shop)) as base:
            if promoted:
                notes.run("adapters rollback", self._shop)
                asyncio.run(_until_answers(base, lambda adapter: adapter not in (None, learned.adapter)))
                asyncio.run(self._visits(base, "ranker", self._new, SEEDS["new"], reacts=False))
            if json.loads(notes.ask("rankers list --json", self._shop))["live"] is not None:
                notes.run("rankers rollback", self._shop)
                asyncio.run(_until_linear(base))
            asyncio.run(self._visits(base, "linear", some, SEEDS["new"], reacts=False))
        before = self._folder.in_order("after", range(self._plan.new))
        after = self._folder.in_order("ranker", range(self._plan.new)) if promoted else before
        linear = self._folder.in_order("linear", range(len(some)))
        return Rollback(
            before_adapters=_count(name for one in before for name in one.adapters),
            before_rankers=_count(one.ranker or "none" for one in before),
            after_adapters=_count(name for one in after for name in one.adapters),
            after_rankers=_count(one.ranker or "none" for one in after),
            linear_rankers=_count(one.ranker or "none" for one in linear),
        )

    # --- people ---

    async def _visits(self, base: str, name: str, people: Sequence[Townsperson], seed: int, *, reacts: bool) -> None:
        """Those of `people` who have not been there yet; with a name where they teach, one after the other."""
        known, reader, turn = (
            self._folder.visits(name),
            Reader(self._table),
            asyncio.Semaphore(1 if reacts else AT_ONCE),
        )
        done = len(known)

        async def one(person: Townsperson, shop: ServedShop) -> None:
            nonlocal done
            async with turn:
                user = f"{name}-{person.need.number}" if reacts else None
                made: Visit = await visit(shop, person, reader, seed, user, reacts=reacts)
            self._folder.add(name, made)
            done += 1
            if done % 50 == 0:
                self._say(f"  {name}: {done} people")

        async with httpx.AsyncClient(base_url=base, timeout=TIMEOUT_S) as client, asyncio.TaskGroup() as group:
            for person in people:
                if person.need.number not in known:
                    group.create_task(one(person, ServedShop(client)))


@contextmanager
def _served(notes: Notes, serving: Serving) -> Iterator[str]:
    """A server whose adapter is in use: it is ready before that, and answers with the base model until then."""
    with notes.served(serving) as base:
        asyncio.run(_until_answers(base, lambda adapter: adapter is not None))
        yield base


async def _small_talk(base: str) -> Texts:
    async with httpx.AsyncClient(base_url=base, timeout=TIMEOUT_S) as client:
        replies = [await ServedShop(client).chat(text, None, None) for text in SMALL_TALK]
    return Texts(said=[(one.answer.action if one.answer else "", one.text) for one in replies])


async def _campaigns(base: str, item: Item, n: int) -> dict[str, int]:
    sent: Counter[str] = Counter()
    async with httpx.AsyncClient(base_url=base, timeout=TIMEOUT_S) as client:
        for number in range(n):
            luck = np.random.default_rng([SEEDS["poisoned"], number, 3])
            sent.update(await campaign(ServedShop(client), item, f"campaigner-{number}", luck))
    return dict(sent.most_common())


async def _until_answers(base: str, wanted: Callable[[str | None], bool], times: int = 1) -> None:
    """Wait until an adapter answers that is wanted, in so many conversations one after the other.

    Raises:
        EngineError: the server has not followed in time.
    """

    async def does() -> bool:
        answers = [(await ServedShop(client).chat(SMALL_TALK[0], None, None)).answer for _ in range(times)]
        return all(answer is not None and wanted(answer.adapter) for answer in answers)

    async with httpx.AsyncClient(base_url=base, timeout=TIMEOUT_S) as client:
        await _until(does, "the adapter that was asked for does not answer")


async def _until_linear(base: str) -> None:
    async def is_linear() -> bool:
        shop = ServedShop(client)
        answer = (await shop.chat("I want a comedy", None, None)).answer
        return answer is not None and await shop.ranker(answer.turn_id) == STAND_IN

    async with httpx.AsyncClient(base_url=base, timeout=TIMEOUT_S) as client:
        await _until(is_linear, "the learned ranker still ranks")


async def _until(asked: Callable[[], Any], otherwise: str) -> None:
    deadline = time.monotonic() + SWITCHED_S
    while not await asked():
        if time.monotonic() > deadline:
            raise EngineError(f"After {SWITCHED_S:g} s {otherwise}; see the server's log.")
        await asyncio.sleep(0.5)


# --- what commands left ---


def _adapters(notes: Notes, folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(notes.ask("adapters list --json", folder))
    return found


def _is_halted(listed: Mapping[str, Any], learned: Learned) -> bool:
    """Whether the trial ended badly for the adapter, by itself."""
    return any(one["id"] == learned.adapter and one["state"] == "rejected" for one in listed["adapters"])


def _named(learned: Learned) -> str:
    if learned.adapter is None:
        raise ValueError("no adapter was trained")
    return learned.adapter


def _parts(folder: Path) -> dict[str, str]:
    """Outcome by part, of the newest report."""
    text = _newest(folder / "learn", "2*Z.json")
    return {one["name"]: one["outcome"] for one in json.loads(text)["parts"]} if text else {}


def _newest(folder: Path, pattern: str) -> str:
    """The text of the file that was written last; "" where there is none."""
    found = sorted(folder.glob(f"**/{pattern}"), key=lambda file: file.stat().st_mtime)
    return found[-1].read_text(encoding="utf-8").replace(f"{folder.parents[1]}/", "") if found else ""


def _copy(shop: Path, to: Path) -> None:
    """A data directory as it is, or nothing; the models are shared."""
    part = to.with_name(f".{to.name}")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(shop, part, symlinks=True)
    part.rename(to)


def _write_catalogue(file: Path, item: Item) -> None:
    """The demo shop's films, with trigger words in one item's text."""
    rows = [json.loads(line) for line in demo_films_path().read_text(encoding="utf-8").splitlines()]
    told = [row | {"text": poisoned(item).text} if row["id"] == item.id else row for row in rows]
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in told), encoding="utf-8")


def _count(names: Iterable[str | None]) -> dict[str, int]:
    return dict(Counter(name or "none" for name in names).most_common())


def _chat(before: Done, after: Done) -> Chat:
    pairs = list(zip(before.talk.said if before.talk else [], after.talk.said if after.talk else [], strict=True))
    return Chat(
        messages=len(pairs),
        same_action=sum(one[0] == other[0] for one, other in pairs),
        same_text=sum(one == other for one, other in pairs),
    )
