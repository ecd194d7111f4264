from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cycle_shop import CUSTOMERS, TENANT, Shopfront, visit
from taste_stream import cinema

from agent.adapters.manifest import sha256
from agent.adapters.registry import AdapterRegistry
from agent.learning.forgetting import forget_owners
from agent.learning.ranker_job import Bar
from agent.llm.adapter_check import WEIGHTS_FILE
from agent.llm.probe import compute_probe, read_probe
from agent.llm.protocol import Message, Prompt
from agent.rank.lambdamart import Options
from agent.runs import JOB, ROWS, forget_runs, run_state
from finetune import cycle_adapter, cycle_rows
from finetune.cycle import CycleReport, Stage, last_report
from finetune.cycle_rows import split
from finetune.dataset import read_rows
from finetune.feedback.types import FeedbackRow
from finetune.gating.types import Verdict
from finetune.memory import ReplayMemory
from finetune.training.telling import HELD_OUT, Progress
from retrieval.errors import DataDirectoryError, EngineError

FIRST = "ada-000001"
PUSHING = 12
ROWS_EACH = 6
"""Of one customer: two verdicts, a name, a pair, a list and a reading."""


def outcome(report: CycleReport) -> tuple[str, str]:
    part = report.part("adapter")
    return part.outcome, part.told


def test_from_the_log_to_a_canary_and_what_it_learned_is_remembered_when_it_serves(shop: Shopfront) -> None:
    heard: list[Stage | Progress] = []
    report = shop.learn(told=heard.append)
    how, told = outcome(report)
    assert how == "canary", told
    assert f"{ROWS_EACH * CUSTOMERS} of 20 rows of new feedback, of {CUSTOMERS} customers" in told
    standing = shop.registry.standing()
    assert standing.canary is not None
    assert (standing.canary.adapter, standing.canary.share, standing.champion) == (FIRST, 0.2, None)
    made = shop.registry.get(FIRST)
    assert made.verdict.passed
    assert made.metrics["fresh: nats a row"].low == 0.1
    assert made.customers + len({row.user for row in shop.asked[0].held_out}) == CUSTOMERS
    assert shop.registry.sources()[FIRST].customers == CUSTOMERS, "the held-out ones judge it"
    folder = shop.registry.folder(FIRST)
    assert "Passed" in (folder / "gate.md").read_text()
    assert (folder / "loss.svg").exists()
    probe = read_probe(folder)
    assert probe is not None, "no server has to compute beside its chats what it should answer"
    assert probe == compute_probe(shop.base, folder)
    held, learned = ({row.user for row in rows} for rows in (shop.asked[0].held_out, shop.asked[0].learned))
    assert held
    assert not held & learned
    watched = json.loads((folder / "training.json").read_text())["data"]["watched"]
    assert HELD_OUT not in watched, "what the gate asks about must not have chosen the weights"
    assert made.config["rows"] == ROWS_EACH * CUSTOMERS
    assert {one.name for one in (shop.data.runs(TENANT) / FIRST).iterdir()} == {JOB, ROWS}, "no weights, no lineage"
    assert any(isinstance(one, Progress) for one in heard)
    assert last_report(shop.data.reports(TENANT)) == report
    (page,) = shop.data.reports(TENANT).glob("*.md")
    assert "| adapter | canary | +0.300 [+0.100, +0.500] nats a row (n = 20) |" in page.read_text()

    assert outcome(shop.learn())[0] == "on trial"
    assert not shop.data.memory(TENANT).exists(), "nobody knows yet whether it was any good"
    shop.registry.promote(FIRST)
    how, told = outcome(shop.learn())
    assert (how, told.partition(" rows")[0]) == ("too little", f"{ROWS_EACH} of 20"), "those that were held out"
    assert {row.user for row in ReplayMemory.load(shop.data.memory(TENANT)).lessons} == learned
    assert not list(shop.data.runs(TENANT).iterdir())
    for number in range(CUSTOMERS, CUSTOMERS + 6):
        visit(shop.log, number)
    how, told = outcome(shop.learn())
    assert how == "canary", told
    assert f"{ROWS_EACH * 7} of 20" in told, "what was learned is not learned again"
    second = shop.registry.get("ada-000002")
    assert second.parent == FIRST
    assert second.config["rehearsed"] > 0
    assert shop.registry.sources()["ada-000002"].customers == CUSTOMERS + 6


def test_the_gates_no_leaves_the_champion_and_stays_readable(shop: Shopfront) -> None:
    shop.refused_by = ("safety", "counterfactual")
    how, told = outcome(shop.learn())
    assert how == "refused"
    assert "by safety, counterfactual" in told
    assert "the base model goes on" in told
    assert (shop.registry.standing().champion, shop.registry.standing().canary) == (None, None)
    assert shop.registry.get(FIRST).state == "rejected"
    assert "safety" in (shop.registry.folder(FIRST) / "gate.md").read_text()
    assert read_probe(shop.registry.folder(FIRST)) is None, "no server will ever ask"
    assert not list(shop.data.runs(TENANT).iterdir())
    assert not shop.data.memory(TENANT).exists()
    how, told = outcome(shop.learn())
    assert (how, len(shop.asked)) == ("not due", 1)
    for number in range(CUSTOMERS, CUSTOMERS + 3):
        visit(shop.log, number)
        how, told = outcome(shop.learn())
        assert (how, len(shop.asked)) == ("not due", 1), "a row more each night is no other evidence"
    assert f"{FIRST} was trained on 48 of them and refused; the next one needs 68." in told
    visit(shop.log, CUSTOMERS + 3)
    assert outcome(shop.learn())[0] == "refused"
    assert (len(shop.asked), shop.registry.get("ada-000002").state) == (2, "rejected")


def test_too_little_and_a_dry_run_change_nothing(shop: Shopfront) -> None:
    how, told = outcome(shop.learn(min_feedback=ROWS_EACH * CUSTOMERS + 1))
    assert how == "too little"
    assert told.startswith(f"{ROWS_EACH * CUSTOMERS} of {ROWS_EACH * CUSTOMERS + 1} rows")
    assert "accepted examples" not in told  # the setting's default: none are shown
    assert outcome(shop.learn(dry_run=True))[0] == "not due"
    assert shop.registry.moves() == ()
    assert len(list(shop.data.reports(TENANT).glob("*.md"))) == 1


def test_one_that_is_promoted_at_once_or_waits_for_the_operator(
    shop: Shopfront, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prune = AdapterRegistry.prune
    monkeypatch.setattr(AdapterRegistry, "prune", lambda registry: prune(registry, 1))
    shop.setting(promotion="manual")
    assert outcome(shop.learn())[0] == "candidate"
    assert shop.registry.standing().champion is None
    shop.setting(promotion="direct")
    how, told = outcome(shop.learn())
    assert (how, len(shop.asked)) == ("not due", 1), "the operator is asked once"
    assert f"{FIRST} was trained on 48 of them and not decided on yet" in told
    for number in range(CUSTOMERS, CUSTOMERS + 4):
        visit(shop.log, number)
    assert outcome(shop.learn())[0] == "champion"
    assert shop.registry.standing().champion == "ada-000002"
    assert not list(shop.data.runs(TENANT).iterdir()), "the one that waits was overtaken"
    assert len(ReplayMemory.load(shop.data.memory(TENANT))) == len(shop.asked[1].learned)
    assert [one.id for one in shop.registry.all()] == ["ada-000002"], "pruned"

    for number in range(CUSTOMERS + 4, CUSTOMERS + 8):
        visit(shop.log, number)
    shop.base = Path(shutil.copytree(shop.base, tmp_path / "other"))
    (shop.base / "chat_template.jinja").write_text("{{ messages[0].content }}")
    how, told = outcome(shop.learn())
    assert (how, len(shop.asked)) == ("not due", 2)
    assert "The champion ada-000002 was made for another language model" in told
    assert "`chatalogue adapters rollback`" in told


@pytest.mark.parametrize("pushed", [True, False])
def test_an_item_that_is_suddenly_liked_waits_for_a_human(
    shop: Shopfront, monkeypatch: pytest.MonkeyPatch, pushed: bool
) -> None:
    """Each of those who push it says it once and in other words, so nothing else finds them."""
    monkeypatch.setattr(cycle_rows, "MIN_BEFORE", CUSTOMERS)
    shop.setting(promotion="direct")
    assert outcome(shop.learn())[0] == "champion"
    films = sum(film.in_stock and "comedy" in film.id for film in cinema())
    visits = [visit(shop.log, CUSTOMERS * films + (number * films if pushed else number)) for number in range(PUSHING)]
    item, event = visits[0]
    shop.log.record_label(TENANT, event, good=True)
    report = shop.learn()
    assert outcome(report)[0] == "champion", outcome(report)[1]
    found = report.part("adapter").more["quarantine"]
    if not pushed:
        assert found == {}
        assert "Alarm" not in outcome(report)[1]
        return
    assert {one for one, _ in visits} == {item}
    assert {one: len(ids) for one, ids in found.items()} == {item: 4 * (PUSHING - 1)}, "verdict, name, pair and list"
    assert f"Alarm: {item} has " in outcome(report)[1]
    seen = {lesson.id: lesson for lesson in (*shop.asked[1].learned, *shop.asked[1].held_out)}
    assert not set(found[item]) & set(seen)
    assert sum(event in lesson.events for lesson in seen.values()) == 5, "of whom a human believes, the reading too"


def test_where_no_adapter_serves_none_is_trained(shop: Shopfront) -> None:
    shop.settings = shop.settings.model_copy(update={"llm": shop.settings.llm.model_copy(update={"adapter": "none"})})
    how, told = outcome(shop.learn())
    assert how == "not due"
    assert "llm.adapter = none" in told
    assert shop.registry.moves() == ()


def test_a_training_that_fails_again_and_again_is_given_up(shop: Shopfront) -> None:
    def tries() -> int:
        return int(json.loads((shop.data.runs(TENANT) / FIRST / JOB).read_text())["tries"])

    def broken(*_: object) -> Verdict:
        raise ZeroDivisionError

    begun: list[bool] = []
    report = shop.learn(told=lambda now: begun.append(isinstance(now, Progress)), stopped=lambda: any(begun))
    assert (outcome(report)[0], tries()) == ("stopped", 0), "somebody wanted it so"
    for number in range(1, cycle_adapter.TRIES + 1):
        assert outcome(shop.learn(gate=broken))[0] == "failed"
        assert tries() == number
    how, told = outcome(shop.learn())
    assert how == "canary", told
    assert [one.id for one in shop.registry.all()] == ["ada-000002"]


def test_a_job_that_is_stopped_while_the_gate_asks_goes_on_with_the_next(shop: Shopfront) -> None:
    heard: list[str] = []

    def told(now: Stage | Progress) -> None:
        if isinstance(now, Stage) and now.name.startswith("gate"):
            heard.append(now.name)

    assert outcome(shop.learn(told=told, stopped=lambda: len(heard) == 1))[0] == "stopped"
    assert heard == ["gate"], "the first rule's word was the last"
    assert shop.registry.all() == ()
    trained: list[Progress] = []
    report = shop.learn(told=lambda now: trained.append(now) if isinstance(now, Progress) else None)
    assert outcome(report)[0] == "canary"
    assert not trained, "it was trained already"


def test_one_person_more_or_less_moves_nobody_else() -> None:
    users = [f"u{number}" for number in range(400)]
    rows = [feedback_row(user) for user in users]
    held = {lesson.user for lesson in split(rows, FIRST)[1]}
    assert 30 < len(held) < 90  # 15 %
    assert held != {lesson.user for lesson in split(rows, "ada-000002")[1]}
    for gone in (*sorted(held)[:3], *sorted(set(users) - held)[:3]):
        rest = [row for row in rows if row.user != gone]
        assert {lesson.user for lesson in split(rest, FIRST)[1]} == held - {gone}


def feedback_row(user: str) -> FeedbackRow:
    prompt = Prompt((Message("user", "Hello"),))
    return FeedbackRow(
        "sft", "reply", "edit", prompt, ("Hi",), (0,), 1.0, user, user, TENANT, "films", "2026-W47",
        datetime(2026, 11, 20, tzinfo=UTC), f"t {user}",
    )  # fmt: skip


def test_a_job_that_was_killed_goes_on_to_the_same_adapter(shop: Shopfront, planted: Path, tiny_base: Path) -> None:
    script = Path(__file__).with_name("dying_cycle.py")
    again = Path(shutil.copytree(planted, shop.data.root.parent / "killed"))
    done = subprocess.run(  # noqa: S603
        [sys.executable, str(script), str(again), str(tiny_base), "5"], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    shop.learn()
    with Shopfront.at(again, tiny_base) as killed:
        assert run_state(killed.data.runs(TENANT) / FIRST) == "training"
        assert json.loads((killed.data.runs(TENANT) / FIRST / JOB).read_text())["tries"] == 1
        visit(killed.log, CUSTOMERS)  # comes too late for it
        steps: list[int] = []
        report = killed.learn(told=lambda now: steps.append(now.step) if isinstance(now, Progress) else None)
        assert outcome(report)[0] == "canary", outcome(report)[1]
        assert steps[0] == 5, "from the checkpoint"
        assert sha256(killed.registry.folder(FIRST) / WEIGHTS_FILE) == sha256(
            shop.registry.folder(FIRST) / WEIGHTS_FILE
        )


def test_whoever_is_erased_while_it_trains_is_in_no_adapter(shop: Shopfront, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cycle_adapter, "LOOK_SECONDS", 0.0)
    (talk,) = shop.log.list_conversations(TENANT, "", "customer 3", 5)
    person = shop.log.person_id(TENANT, "", "customer 3")
    assert person is not None
    gone = shop.log.pseudonym(TENANT, person)
    thrown: list[tuple[str, ...]] = []

    def told(now: Stage | Progress) -> None:
        if isinstance(now, Progress) and not thrown:
            shop.log.delete_session(TENANT, talk.session_id)
            thrown.append(forget_owners(shop.data, shop.log, TENANT, [person]).thrown_away)

    report = shop.learn(told=told)
    assert thrown == [(FIRST,)]
    assert outcome(report)[0] == "canary", outcome(report)[1]
    (folder,) = shop.data.runs(TENANT).iterdir()
    assert folder.name == "ada-000002"
    rows = read_rows(folder / ROWS)
    assert gone not in {row.user for row in rows}
    assert len(rows) == ROWS_EACH * (CUSTOMERS - 1)
    other = rows[0].user  # the canary is on trial, and its rows wait
    forgotten = forget_runs(shop.data, TENANT, [other])
    assert (forgotten.thrown_away, forgotten.rows) == ((), ROWS_EACH)
    assert other not in (folder / ROWS).read_text()


def test_two_jobs_are_one_too_many(shop: Shopfront) -> None:
    with shop.data.job_lock(TENANT), pytest.raises(DataDirectoryError, match="Another process is learning"):
        shop.learn()


def test_a_part_that_fails_is_told_and_the_next_job_does_only_the_rest(shop: Shopfront) -> None:
    judged: list[str] = []

    def no_model() -> Path:
        raise EngineError("The model cannot be had.")

    few = {"bar": Bar(lessons=8, customers=4), "ranker": Options(trees=3, leaves=3, min_leaf=1, threads=1)}

    def told(now: Stage | Progress) -> None:
        if isinstance(now, Stage) and now.name.startswith("ranker: judging"):
            judged.append(now.name)

    report = shop.learn(base=no_model, told=told, **few)
    assert [one.told for one in report.failed] == ["The model cannot be had."]
    assert judged
    assert {one.name for one in report.parts if one.gain is not None} >= {"ranker", "conversational index"}
    judged.clear()
    report = shop.learn(told=told, **few)
    assert not judged
    assert outcome(report)[0] == "canary"
    assert report.part("ranker").gain is not None
    assert not (shop.data.reports(TENANT) / "unfinished.json").exists()
    assert json.loads(json.dumps(report.as_json()))["helped"] == [one.name for one in report.helped]
