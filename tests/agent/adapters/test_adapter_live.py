"""A server that follows the database: what answers whom, and what becomes of that when something fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from adapter_samples import KeepingEngine, published, registry_of, trained, write_base

from agent.adapters.live import LiveAdapters
from agent.adapters.registry import AdapterRegistry
from agent.adapters.standing import is_canarys
from agent.adapters.sufficing import DEFAULT_RULES, PromotionRules
from agent.llm.off import NoEngine
from agent.llm.protocol import Limits, Message, Prompt
from agent.log.records import Feedback, TurnRecord
from agent.log.store import EventLog
from retrieval.errors import DataDirectoryError, EngineError, NotFound

SESSIONS = [f"s_{n}" for n in range(60)]
PROMPT = Prompt((Message("user", "Hello"),))


@pytest.fixture
def first(base: Path, tmp_path: Path) -> Path:
    """The adapter of the settings."""
    return trained(tmp_path / "first", b"first")


@pytest.fixture
def make_live(registry: AdapterRegistry, log: EventLog, base: Path, first: Path) -> Callable[..., LiveAdapters]:
    def make(
        engine: KeepingEngine,
        setting: str | None = None,
        rules: PromotionRules = DEFAULT_RULES,
        registry: AdapterRegistry = registry,
    ) -> LiveAdapters:
        return LiveAdapters(
            engine,
            registry,
            log,
            "default",
            setting=setting or str(first),
            model=str(base),
            models_dir=base,
            rules=rules,
        )

    return make


async def followed(live: LiveAdapters) -> LiveAdapters:
    """Until nothing is loading any more."""
    async with asyncio.timeout(120):
        for _ in range(4):
            await live.follow()
            await asyncio.gather(*live._loading.values())
    return live


def answers(live: LiveAdapters, session_id: str = "s_x") -> str | None:
    return live.voice(live.engine, session_id).engine.status().adapter


async def said(live: LiveAdapters, session_id: str) -> str:
    """What the engine answers with."""
    engine = live.voice(live.engine, session_id).engine
    return "".join([chunk.text async for chunk in engine.stream(PROMPT, Limits())])


async def test_other_tenants_never_hear_what_was_learned_here(
    make_live: Callable[..., LiveAdapters], registry: AdapterRegistry, base: Path
) -> None:
    """They share the adapter of the settings; where a learned one answers, rules do for them."""
    live = make_live(KeepingEngine())
    assert live.strangers(live.engine).engine.status().adapter is None
    await followed(live)
    assert live.strangers(live.engine).engine.status().adapter == answers(live)
    learned = published(registry, base)
    registry.promote(learned)
    await followed(live)
    assert answers(live) == learned
    assert isinstance(live.strangers(live.engine).engine, NoEngine)


async def test_the_adapter_of_the_settings_answers_first(make_live: Callable[..., LiveAdapters]) -> None:
    live = await followed(make_live(KeepingEngine()))
    assert str(answers(live)).startswith("first-")
    assert live.voice(live.engine, "s_x").skills is None
    assert await said(live, "s_x") == answers(live)
    assert live.problem == ""


async def test_before_the_engine_is_ready_nothing_is_done(make_live: Callable[..., LiveAdapters]) -> None:
    live = await followed(make_live(KeepingEngine("starting")))
    voice = live.voice(live.engine, "s_x")
    assert voice.engine is live.engine


async def test_it_is_settled_when_the_first_adapter_answers(make_live: Callable[..., LiveAdapters]) -> None:
    live = make_live(KeepingEngine())
    await live.follow()  # which begins to load it
    assert not live.is_settled
    await followed(live)
    assert live.is_settled
    none = make_live(KeepingEngine(refuses="first"))
    await followed(none)
    assert none.is_settled, "the base model answers, and the problem says so"
    assert none.problem


async def test_a_promotion_a_canary_and_a_rollback_without_a_restart(
    make_live: Callable[..., LiveAdapters], registry: AdapterRegistry, base: Path
) -> None:
    live = await followed(make_live(KeepingEngine()))
    a = published(registry, base)
    b = published(registry, base, skills=("understand", "reply"))
    registry.promote(a)
    await followed(live)
    assert answers(live) == a
    assert (await said(live, "s_x")).startswith(f"{a}-")  # the engine's own name has a digest
    registry.start_canary(b, 0.3)
    await followed(live)
    trial = registry.standing().canary
    assert trial is not None
    for one in SESSIONS:
        mine = is_canarys(trial, one)
        assert answers(live, one) == (b if mine else a)
        assert (await said(live, one)).startswith(b if mine else a)
        assert live.voice(live.engine, one).skills == ({"understand", "reply"} if mine else {"reply"})
    assert len({answers(live, one) for one in SESSIONS}) == 2
    registry.promote(b)
    await followed(live)
    assert {answers(live, one) for one in SESSIONS} == {b}
    registry.roll_back()
    await followed(live)
    assert {answers(live, one) for one in SESSIONS} == {a}
    registry.roll_back()
    await followed(live)
    assert str(answers(live)).startswith("first-")


async def test_a_turn_ends_with_the_adapter_that_it_began_with(
    make_live: Callable[..., LiveAdapters], registry: AdapterRegistry, base: Path
) -> None:
    live = await followed(make_live(KeepingEngine()))
    before = live.voice(live.engine, "s_x").engine
    told = before.status().adapter
    registry.promote(published(registry, base))
    await followed(live)
    assert answers(live) != told
    assert "".join([chunk.text async for chunk in before.stream(PROMPT, Limits())]) == told == before.status().adapter
    await before.choose(PROMPT, ["a"])
    await before.judge(PROMPT, [""], ["a"])
    await before.fill(PROMPT, "root ::= [a]", Limits())
    assert isinstance(live.engine, KeepingEngine)
    assert live.engine.calls[-3:] == [f"choose {told}", f"judge {told}", f"fill {told}"]


async def test_while_one_is_loaded_the_one_before_answers(
    make_live: Callable[..., LiveAdapters], registry: AdapterRegistry, base: Path
) -> None:
    gate = asyncio.Event()

    class Slow(KeepingEngine):
        async def load_adapter(self, name: str, path: Path) -> None:
            if name.startswith("ada-"):
                await gate.wait()
            await super().load_adapter(name, path)

    live = await followed(make_live(Slow()))
    registry.promote(published(registry, base))
    for _ in range(3):
        await live.follow()
        assert str(answers(live)).startswith("first-")
    registry.roll_back()  # need not wait for the load
    await live.follow()
    assert (live.problem, str(answers(live))[:6]) == ("", "first-")
    gate.set()
    await followed(live)
    assert str(answers(live)).startswith("first-")


@pytest.mark.parametrize("harm", ["refused", "damaged", "another base", "gone"])
async def test_a_champion_that_cannot_be_had_leaves_the_one_before(
    make_live: Callable[..., LiveAdapters], registry: AdapterRegistry, base: Path, tmp_path: Path, harm: str
) -> None:
    a = published(registry, base)
    other = write_base(tmp_path / "other base")
    (other / "model.safetensors").write_bytes(b"other weights")
    b = published(registry, other if harm == "another base" else base)
    registry.promote(a)
    registry.promote(b)
    if harm == "damaged":
        (registry.folder(b) / "adapter_model.safetensors").write_bytes(b"cut")
    if harm == "gone":
        (registry.folder(b) / "manifest.json").unlink()
    live = await followed(make_live(KeepingEngine(refuses=b if harm == "refused" else "nothing")))
    assert answers(live) == a
    assert live.problem.startswith(f"The model answers with the adapter {a}, not with {b}: ")
    registry.roll_back()
    await followed(live)
    assert (answers(live), live.problem) == (a, "")


async def test_where_none_can_be_had_the_base_answers(make_live: Callable[..., LiveAdapters]) -> None:
    live = await followed(make_live(KeepingEngine(refuses="first")))
    assert answers(live) is None
    assert await said(live, "s_x") == "None"
    assert live.problem.startswith("The model answers without its adapter: ")


async def test_a_canary_that_cannot_be_had_is_answered_for(
    make_live: Callable[..., LiveAdapters], registry: AdapterRegistry, base: Path
) -> None:
    b = published(registry, base)
    registry.start_canary(b, 0.5)
    live = await followed(make_live(KeepingEngine(refuses=b)))
    assert len({answers(live, one) for one in SESSIONS}) == 1
    assert live.problem.startswith(f"The canary {b} cannot be had: ")


async def test_an_engine_that_was_restarted_gets_them_again(
    make_live: Callable[..., LiveAdapters], registry: AdapterRegistry, base: Path
) -> None:
    a = published(registry, base)
    registry.promote(a)
    engine = KeepingEngine()
    live = await followed(make_live(engine))
    engine.has, engine.used = [], None  # it lost everything
    await followed(live)
    assert answers(live) == a
    assert (await said(live, "s_x")).startswith(a)
    again = await followed(make_live(KeepingEngine()))  # the app was restarted, too
    assert answers(again) == a


async def test_an_engine_that_dies_in_a_switch_changes_nothing(
    make_live: Callable[..., LiveAdapters], registry: AdapterRegistry, base: Path
) -> None:
    class Dying(KeepingEngine):
        async def use_adapter(self, name: str | None) -> None:
            if name is not None and name.startswith("ada-"):
                self.state, self.used = "starting", None
                raise EngineError("It died.")
            await super().use_adapter(name)

    live = await followed(make_live(Dying()))
    before = answers(live)
    registry.promote(published(registry, base))
    await followed(live)
    assert (answers(live), live.problem) == (before, "")


async def test_none_in_the_settings_means_none(
    make_live: Callable[..., LiveAdapters], registry: AdapterRegistry, base: Path
) -> None:
    registry.promote(published(registry, base))
    live = await followed(make_live(KeepingEngine(), "none"))
    assert (answers(live), live.problem) == (None, "")


async def test_a_replay_has_one_adapter_whatever_the_database_says(
    make_live: Callable[..., LiveAdapters], registry: AdapterRegistry, base: Path
) -> None:
    a, b = published(registry, base), published(registry, base)
    registry.promote(a)
    registry.start_canary(a.replace("1", "2"), 0.5)
    live = make_live(KeepingEngine(), "none")
    live.only(b)
    await followed(live)
    assert {answers(live, one) for one in SESSIONS} == {b}
    with pytest.raises(NotFound):
        live.only("ada-000009")
    bad = make_live(KeepingEngine(refuses=b))
    bad.only(b)
    await followed(bad)
    assert "is refused" in bad.problem


@asynccontextmanager
async def working(live: LiveAdapters) -> AsyncIterator[LiveAdapters]:
    async with live.at_work(), asyncio.timeout(120):
        await live.settled()
        yield live


async def test_at_work_a_rollback_is_seen_within_seconds_and_a_database_that_is_away_changes_nothing(
    make_live: Callable[..., LiveAdapters],
    registry: AdapterRegistry,
    base: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent.adapters.live.POLL_SECONDS", 0.02)
    a = published(registry, base)
    async with working(make_live(KeepingEngine())) as live:
        registry.promote(a)
        while answers(live) != a:
            await asyncio.sleep(0.01)

        asked = 0

        def away() -> None:
            nonlocal asked
            asked += 1
            raise DataDirectoryError("The database is away.")

        with monkeypatch.context() as patch:
            patch.setattr(registry, "standing", away)
            while asked < 3:
                await asyncio.sleep(0.01)
            assert (answers(live), live.problem) == (a, "")  # it is the database's problem, which says so itself
        registry.roll_back()
        while answers(live) == a:
            await asyncio.sleep(0.01)
        assert live.problem == ""


async def test_an_engine_that_is_off_is_not_waited_for(make_live: Callable[..., LiveAdapters]) -> None:
    async with working(make_live(KeepingEngine("off"))) as live:
        assert live.problem == ""


async def test_a_canary_that_does_harm_is_halted_at_work(
    make_live: Callable[..., LiveAdapters],
    registry: AdapterRegistry,
    base: Path,
    log: EventLog,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent.adapters.live.POLL_SECONDS", 0.02)
    monkeypatch.setattr("agent.adapters.live.LOOK_SECONDS", 0.02)
    monkeypatch.setattr("agent.adapters.live.LOOK_SHARE", 1.0)
    b = published(registry, base)
    registry.start_canary(b, 0.2)
    async with working(make_live(KeepingEngine())) as live:
        disliked(log, registry)
        while registry.standing().canary is not None:
            await asyncio.sleep(0.01)
        while len({answers(live, one) for one in SESSIONS}) > 1:
            await asyncio.sleep(0.01)
    assert registry.get(b).state == "rejected"
    assert registry.moves()[-1].reason.startswith("Halted: thumbs down: in 4 of 4 conversations of the canary")


async def test_a_look_that_takes_long_comes_seldom(
    make_live: Callable[..., LiveAdapters], registry: AdapterRegistry, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []

    def slow(*_: object) -> None:
        looks.append(time.monotonic())
        time.sleep(0.4)

    monkeypatch.setattr("agent.adapters.live.POLL_SECONDS", 0.02)
    monkeypatch.setattr("agent.adapters.live.LOOK_SECONDS", 0.02)
    monkeypatch.setattr("agent.adapters.live.trial_report", slow)
    registry.start_canary(published(registry, base), 0.2)
    async with working(make_live(KeepingEngine())):
        while not looks:
            await asyncio.sleep(0.01)
        await asyncio.sleep(1.0)
    assert len(looks) == 1, "20 s between two"


async def test_of_two_servers_one_halts_it(
    make_live: Callable[..., LiveAdapters], registry: AdapterRegistry, base: Path, log: EventLog, data_dir: Path
) -> None:
    b = published(registry, base)
    registry.start_canary(b, 0.2)
    live = await followed(make_live(KeepingEngine()))
    assert await live.end_trial() is None  # nothing has happened yet
    disliked(log, registry)
    registry_of(data_dir, log).reject(b, "Halted: by the other server.")
    assert await live.end_trial() is None
    assert [one.reason for one in registry.moves()] == ["", "", "Halted: by the other server."]


async def test_a_canary_that_is_not_worse_is_promoted_at_work_by_one_of_two_servers(
    make_live: Callable[..., LiveAdapters],
    registry: AdapterRegistry,
    base: Path,
    log: EventLog,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent.adapters.live.POLL_SECONDS", 0.02)
    monkeypatch.setattr("agent.adapters.live.LOOK_SECONDS", 0.02)
    monkeypatch.setattr("agent.adapters.live.LOOK_SHARE", 1.0)
    b = published(registry, base)
    registry.start_canary(b, 0.5)
    rules = PromotionRules(margin=0.7, sessions=5)
    others = registry_of(data_dir, log)
    async with working(make_live(KeepingEngine(), rules=rules)) as live:
        other = make_live(KeepingEngine(), rules=rules, registry=others)
        async with working(other):
            liked(log, registry, b)
            while registry.standing().champion != b:
                await asyncio.sleep(0.01)
            while {answers(live, one) for one in SESSIONS} | {answers(other, one) for one in SESSIONS} != {b}:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            assert live.problem == other.problem == ""
    moves = [one for one in registry.moves() if one.kind == "promoted"]
    assert [one.adapter for one in moves] == [b]
    assert moves[0].reason.startswith("Automatically: Not worse on any sign in ")


async def test_a_decision_on_what_was_changed_meanwhile_is_none(
    make_live: Callable[..., LiveAdapters], registry: AdapterRegistry, base: Path, log: EventLog, data_dir: Path
) -> None:
    b, c = published(registry, base), published(registry, base)
    registry.start_canary(b, 0.5)
    live = await followed(make_live(KeepingEngine(), rules=PromotionRules(margin=0.7, sessions=5)))
    liked(log, registry, b)
    operator = registry_of(data_dir, log)
    operator.start_canary(c, 0.5)  # not seen yet by the server
    assert await live.end_trial() is None
    assert operator.standing().champion is None
    assert operator.standing().states == {b: "candidate", c: "canary"}


async def test_an_operator_who_decides_alone_and_a_trial_that_is_too_old(
    make_live: Callable[..., LiveAdapters], registry: AdapterRegistry, base: Path, log: EventLog
) -> None:
    b = published(registry, base)
    registry.start_canary(b, 0.5)
    liked(log, registry, b)
    manual = await followed(make_live(KeepingEngine(), rules=PromotionRules(False, margin=0.7, sessions=5, days=1e-9)))
    assert await manual.end_trial() is None
    old = await followed(make_live(KeepingEngine(), rules=PromotionRules(margin=1e-6, sessions=5, days=1e-9)))
    assert await old.end_trial() == "undecided"
    assert registry.get(b).state == "candidate"
    assert registry.moves()[-1].reason.startswith("Undecided: ")


def liked(log: EventLog, registry: AdapterRegistry, adapter: str, count: int = 12) -> None:
    """So many conversations of the canary, and as many of the champion, at least, in which all was well."""
    trial, found = registry.standing().canary, [0, 0]
    assert trial is not None
    while min(found) < count:
        talk = log.start_conversation("default", "key", None)
        mine = is_canarys(trial, talk.id)
        found[mine] += 1
        log.record_turn(
            TurnRecord(
                "default", talk.id, log.new_turn_id("default"), 1, "m", "r", "recommend", "recommend", "en", "mine",
                adapter=adapter if mine else "first", completion_tokens=9,
            )
        )  # fmt: skip


def disliked(log: EventLog, registry: AdapterRegistry) -> None:
    """Four of the canary's customers, and nobody else's."""
    trial, harmed = registry.standing().canary, 0
    assert trial is not None
    while harmed < 4:
        talk = log.start_conversation("default", "key", None)
        turn = TurnRecord(
            "default", talk.id, log.new_turn_id("default"), 1, "m", "r", "recommend", "recommend", "en", "mine"
        )
        log.record_turn(turn)
        if is_canarys(trial, talk.id):
            harmed += 1
            log.record_feedback("default", "key", Feedback(turn.turn_id, "thumb_down"))
