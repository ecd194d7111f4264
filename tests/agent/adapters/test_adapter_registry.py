"""Folders that never change, moves that only one can make, and who is in which adapter."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from adapter_samples import manifest, published, registry_of, trained

from agent.adapters.registry import AdapterRegistry, Holding
from agent.adapters.standing import is_canarys
from agent.adapters.trial import trial_report
from agent.log.adapters import Move, MoveConflict, Source, SourceCounts
from agent.log.records import Feedback, TurnRecord
from agent.log.store import EventLog
from retrieval.errors import BadRequest, ChatalogueError, DataDirectoryError, EngineError, NotFound


def test_what_is_published_can_be_read_as_it_was(registry: AdapterRegistry, base: Path, tmp_path: Path) -> None:
    adapter = registry.reserve()
    source = trained(tmp_path / "out", b"weights")
    (source / "probe.json").write_text("{}")
    (source / "optimizer.pt").write_bytes(b"not ours to serve")
    told = manifest(adapter, base, parent="starter-abc")
    with pytest.raises(BadRequest, match="no erasure would find it"):
        registry.publish(told, source)
    registry.record_training(adapter, [Source("p_1", "s_1")])
    done = registry.publish(told, source)
    assert adapter == "ada-000001"
    assert done == replace(told, files=done.files)
    assert registry.get(adapter) == registry.all()[0] == done
    assert set(done.files) == {"adapter_config.json", "adapter_model.safetensors", "probe.json", "README.md"}
    assert done.weight_hash == done.files["adapter_model.safetensors"]
    card = (registry.folder(adapter) / "README.md").read_text()
    for word in ("starter-abc", "300 examples of 20 customers", "accuracy", "Apache-2.0", "Limits", "d" * 64):
        assert word in card
    assert "state" not in json.loads((registry.folder(adapter) / "manifest.json").read_text())


def test_a_refused_one_can_be_looked_at_but_never_serves(registry: AdapterRegistry, base: Path) -> None:
    from agent.adapters import GateVerdict

    bad = published(registry, base, verdict=GateVerdict(False, "It forgot how to chat.", {"forgetting": 0.01}))
    assert registry.get(bad).state == "rejected"
    for move in (lambda: registry.promote(bad), lambda: registry.start_canary(bad, 0.1)):
        with pytest.raises(BadRequest, match="It forgot how to chat"):
            move()


@pytest.mark.parametrize("file", ["adapter_model.safetensors", "adapter_config.json", "README.md"])
def test_files_that_changed_never_serve(registry: AdapterRegistry, base: Path, file: str) -> None:
    adapter = published(registry, base)
    (registry.folder(adapter) / file).write_bytes(b"other")
    for look in (registry.get, registry.promote, lambda one: registry.start_canary(one, 0.1)):
        with pytest.raises(EngineError, match=f"{file} is not what was written"):
            look(adapter)
    assert registry.standing().champion is None


def test_without_a_manifest_it_does_not_exist(registry: AdapterRegistry, base: Path) -> None:
    adapter = published(registry, base)
    (registry.folder(adapter) / "manifest.json").unlink()
    assert registry.all() == ()
    for name in (adapter, "ada-000009", "../base", "", "/etc"):
        with pytest.raises(NotFound):
            registry.get(name)


def test_the_same_files_may_be_published_again_and_no_others(
    registry: AdapterRegistry, base: Path, tmp_path: Path
) -> None:
    adapter = registry.reserve()
    told, source = manifest(adapter, base, customers=0), trained(tmp_path / "out")
    assert registry.publish(told, source) == registry.publish(told, source)
    with pytest.raises(BadRequest, match="used for another adapter"):
        registry.publish(told, trained(tmp_path / "other", b"other"))
    with pytest.raises(BadRequest, match="no id"):
        registry.publish(replace(told, id="../../x"), source)
    with pytest.raises(DataDirectoryError, match="could not be published"):
        registry.publish(replace(told, id=registry.reserve()), tmp_path / "nowhere")
    assert [one.id for one in registry.all()] == [adapter]
    assert list(registry.root.glob(".draft-*")) == []


def test_ids_are_never_used_again(registry: AdapterRegistry, data_dir: Path, base: Path, log: EventLog) -> None:
    first, second = published(registry, base), published(registry, base)
    assert registry.prune(0) == (first, second)
    assert published(registry, base) == "ada-000003"
    assert published(registry_of(data_dir, log, "other"), base) == "ada-000001"  # of its own count
    with pytest.raises(BadRequest, match="no id"):
        registry.publish(manifest(first, base), trained(data_dir / "again"))
    with ThreadPoolExecutor(4) as pool:
        reserved = list(pool.map(lambda _: registry_of(data_dir, log).reserve(), range(8)))
    assert sorted(reserved) == [f"ada-{n:06d}" for n in range(4, 12)]


def test_of_two_operators_one_is_told(registry: AdapterRegistry, data_dir: Path, base: Path, log: EventLog) -> None:
    a, b = published(registry, base), published(registry, base)
    other = registry_of(data_dir, log)
    seen = other.standing()
    registry.promote(a)
    with pytest.raises(MoveConflict, match="changed by somebody else"):
        log.move_adapter("default", seen.version, Move("promoted", b))
    assert other.standing().champion == a

    def race(name: str) -> bool:
        try:
            log.move_adapter("default", seen.version + 1, Move("promoted", name))
        except MoveConflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(race, [b, a, b, a]))
    assert sum(won) == 1


def test_promotions_and_the_way_back(registry: AdapterRegistry, base: Path) -> None:
    a, b = published(registry, base), published(registry, base)
    registry.start_canary(a, 0.2, "looks good")
    assert registry.get(a).state == "canary"
    registry.promote(a)
    registry.start_canary(b, 0.1)
    registry.promote(b, "better")
    assert (registry.get(a).state, registry.get(b).state) == ("retired", "champion")
    with pytest.raises(BadRequest, match="champion already"):
        registry.promote(b)
    assert registry.roll_back("it swears").champion == a
    assert (registry.get(a).state, registry.get(b).state) == ("champion", "retired")
    registry.start_canary(b, 0.3)
    back = registry.roll_back()  # the canary, and the champion stays
    assert (back.taken_back, back.champion, registry.get(b).state) == (b, a, "candidate")
    assert registry.roll_back().champion is None
    with pytest.raises(BadRequest, match="none before it"):
        registry.roll_back()
    assert [(one.kind, one.reason) for one in registry.moves() if one.reason] == [
        ("canary", "looks good"),
        ("promoted", "better"),
        ("rolled_back", "it swears"),
    ]


def test_what_cannot_be_gone_back_to_is_passed_over(registry: AdapterRegistry, base: Path) -> None:
    a, b, c = (published(registry, base) for _ in range(3))
    for one in (a, b, c):
        registry.promote(one)
    (registry.folder(b) / "adapter_model.safetensors").write_bytes(b"cut")
    back = registry.roll_back()
    assert (back.champion, back.missing) == (a, (b,))


@pytest.mark.parametrize("share", [0.0, -0.1, 0.51, 1.0])
def test_a_canary_has_a_share_that_can_be_tested(registry: AdapterRegistry, base: Path, share: float) -> None:
    with pytest.raises(BadRequest, match="share"):
        registry.start_canary(published(registry, base), share)


def test_a_rejected_canary_is_over_and_a_champion_is_not_rejected(registry: AdapterRegistry, base: Path) -> None:
    a, b = published(registry, base), published(registry, base)
    registry.promote(a)
    registry.start_canary(b, 0.2)
    registry.reject(b, "Halted: thumbs down.")
    assert registry.standing().canary is None
    with pytest.raises(BadRequest, match="Halted: thumbs down"):
        registry.promote(b)
    with pytest.raises(BadRequest, match="is the champion"):
        registry.reject(a, "no")


def test_prune_leaves_what_is_needed(registry: AdapterRegistry, base: Path) -> None:
    parent = published(registry, base)
    old = published(registry, base)
    before = published(registry, base)
    champion = published(registry, base, parent=parent)
    canary, newest = published(registry, base), published(registry, base)
    registry.promote(before)
    registry.promote(champion)
    registry.start_canary(canary, 0.2)
    crashed = registry.root / "ada-000900"
    crashed.mkdir()
    stale = registry.root / ".draft-ada-000901-x"
    stale.mkdir()
    os.utime(stale, (0, 0))
    assert registry.prune(1) == (old,)
    assert [one.id for one in registry.all()] == [parent, before, champion, canary, newest]
    assert not crashed.exists()
    assert not stale.exists()
    registry.roll_back()
    assert registry.roll_back().champion == before


def test_one_at_a_time_changes_files_and_moves(registry: AdapterRegistry, data_dir: Path, base: Path) -> None:
    from agent.datadir import DataDirectory

    adapter = published(registry, base)
    with DataDirectory(data_dir).adapters_lock("default"):
        for change in (lambda: registry.promote(adapter), registry.prune, registry.roll_back):
            with pytest.raises(DataDirectoryError, match="Another process is changing"):
                change()


# --- whom an adapter learned from ---


def test_an_erasure_finds_every_adapter(registry: AdapterRegistry, log: EventLog, data_dir: Path) -> None:
    mine, other = (log.start_conversation("default", "key", "Anna") for _ in range(2))
    nobody = log.start_conversation("default", "key", None)
    person = str(mine.person_id)
    sources = [Source(person, mine.id), Source(person, other.id), Source(nobody.id, nobody.id), Source("p_else")]
    registry.record_training("ada-000001", sources)
    registry.record_training("ada-000001", sources)  # a training that was resumed
    registry.record_training("ada-000002", [Source(person, mine.id)])
    assert registry.sources() == {"ada-000001": SourceCounts(3, 3), "ada-000002": SourceCounts(1, 1)}
    assert registry.trained_on(person) == registry.trained_on(mine.id) == ("ada-000001", "ada-000002")
    assert registry.trained_on("p_unknown") == ()
    assert registry_of(data_dir, log, "elsewhere").trained_on(person) == ()
    log.delete_session("default", nobody.id)
    assert registry.sources()["ada-000001"] == SourceCounts(3, 3, 1, 1)
    log.delete_session("default", mine.id)
    assert registry.sources() == {"ada-000001": SourceCounts(3, 3, 2, 2), "ada-000002": SourceCounts(1, 1, 1, 1)}


def test_what_began_with_weights_that_hold_somebody_holds_them_too(registry: AdapterRegistry, base: Path) -> None:
    first = published(registry, base)
    child = published(registry, base, parent=first)
    grandchild = published(registry, base, parent=child)
    refit = published(registry, base)
    registry.promote(grandchild)
    registry.promote(refit)
    assert registry.holding([first]) == (
        Holding(first, "candidate"), Holding(child, "candidate", first), Holding(grandchild, "retired", child),
    )  # fmt: skip
    assert registry.holding([]) == ()
    assert registry.holding(["ada-000099"]) == ()
    assert set(registry.prune(1)) == {first, child}
    assert registry.holding([first]) == (Holding(grandchild, "retired", child),)  # also where the line is pruned


def test_nobody_can_be_read_from_the_table(registry: AdapterRegistry, log: EventLog) -> None:
    registry.record_training("ada-000001", [Source("p_secretname", "s_secrettalk")])
    from sqlalchemy import text

    with log._database._engine.connect() as connection:
        stored = str(connection.execute(text("select * from adapter_source")).all())
    assert "secret" not in stored


# --- a canary, judged by a real log ---


def test_a_canary_is_judged_by_what_the_log_says(registry: AdapterRegistry, base: Path, log: EventLog) -> None:
    adapter = published(registry, base)

    def talk() -> TurnRecord:
        conversation = log.start_conversation("default", "key", None)
        turn = TurnRecord(
            "default", conversation.id, log.new_turn_id("default"), 1, "m", "r", "recommend", "recommend", "en", "mine"
        )
        log.record_turn(turn)
        return turn

    log.record_feedback("default", "key", Feedback(talk().turn_id, "thumb_down"))  # before the trial
    registry.start_canary(adapter, 0.3)
    trial = registry.standing().canary
    assert trial is not None
    report = trial_report(registry.standing(), log, "default")
    assert report is not None
    assert (report.canary, report.champion, report.alarm) == (0, 0, "")
    harmed = 0
    while harmed < 6:
        turn = talk()
        if is_canarys(trial, turn.session_id):
            harmed += 1
            for _ in range(2):
                log.record_feedback("default", "key", Feedback(turn.turn_id, "thumb_down"))
    report = trial_report(registry.standing(), log, "default")
    assert report is not None
    assert report.alarm.startswith("thumbs down: in 6 of 6 conversations of the canary, in 0 of")


def test_errors_are_for_a_person(registry: AdapterRegistry) -> None:
    for call in (lambda: registry.promote("ada-000001"), lambda: registry.folder("x"), registry.roll_back):
        with pytest.raises(ChatalogueError) as told:
            call()
        assert str(told.value).endswith(".")
        assert "\n" not in str(told.value)
