"""What is learned from talks, at once and for good; what is forgotten."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from branch_doubles import best, check_contract, cues, films, talk, value_of

from retrieval.branches import conversational
from retrieval.branches.conversational import ConversationalBranch
from retrieval.branches.corpus import Corpus
from retrieval.errors import IndexUnavailable
from retrieval.items import Item
from retrieval.query import Query
from retrieval.table import ItemTable

TABLE = films()
LONELY, COZY = "something for a lonely rainy night", "a cozy afternoon with tea"
TALKS = [
    talk("Collateral/2004", "hi", LONELY, spoken=["Heat/1995"], group="a"),
    talk("Collateral/2004", LONELY, spoken=["Heat/1995", "Up/2009"], group="b"),
    talk("Amélie/2001", COZY, spoken=["Up/2009"], group="c"),
    talk("gone/2020", "an item that the shop no longer has", group="d"),
]


def learned() -> ConversationalBranch:
    return ConversationalBranch.fit(TABLE, TALKS)


def test_words_that_led_to_an_item_find_it() -> None:
    branch = learned()
    found = branch.scores(cues(TABLE, "a rainy night alone"))
    assert best(TABLE, found["conversational.words"]) == ["Collateral/2004"]
    assert best(TABLE, found["conversational.neighbours"]) == ["Collateral/2004"]
    # the item's own words count as before
    assert "Heat/1995" in best(TABLE, branch.scores(cues(TABLE, "a detective"))["conversational.words"])


def test_only_the_last_turns_are_read() -> None:
    branch = learned()
    assert best(TABLE, branch.scores(cues(TABLE, LONELY, *["ok"] * 7))["conversational.words"]) == ["Collateral/2004"]
    assert not best(TABLE, branch.scores(cues(TABLE, LONELY, *["ok"] * 8))["conversational.words"])
    assert not best(TABLE, branch.scores(cues(TABLE, LONELY, "ok"))["conversational.last_words"])


def test_together_and_demand() -> None:
    found = learned().scores(cues(TABLE, seeds={"Heat/1995": 1.0}))
    # two talks liked both, one of them had "Up" besides
    assert best(TABLE, found["conversational.together"]) == ["Collateral/2004", "Up/2009"]
    assert value_of(TABLE, found["conversational.demand"], "Collateral/2004") == pytest.approx(np.log(3))
    assert value_of(TABLE, found["conversational.demand"], "Amélie/2001") == pytest.approx(np.log(2))
    own = learned().scores(cues(TABLE, seeds={"Collateral/2004": 1.0}))["conversational.together"]
    assert best(TABLE, own) == ["Heat/1995", "Up/2009"]  # both ways, and never the seed itself
    disliked = learned().scores(cues(TABLE, seeds={"Heat/1995": -1.0, "Up/2009": 1.0}))
    assert "Collateral/2004" not in best(TABLE, disliked["conversational.together"])


def test_weight_scales_what_is_learned() -> None:
    twice = ConversationalBranch.fit(TABLE, [talk("Up/2009", COZY, spoken=["Heat/1995"], weight=2.0)])
    two = ConversationalBranch.fit(TABLE, [talk("Up/2009", COZY, spoken=["Heat/1995"], group=one) for one in "ab"])
    asked = cues(TABLE, "tea", seeds={"Heat/1995": 1.0})
    for name, scores in two.scores(asked).items():
        if name != "conversational.neighbours":  # there, two talks are two neighbours of other rarity
            assert value_of(TABLE, scores, "Up/2009") == pytest.approx(
                value_of(TABLE, twice.scores(asked)[name], "Up/2009")
            ), name


def test_meaning_needs_vectors() -> None:
    vectors = np.eye(4, dtype=np.float32)
    branch = ConversationalBranch.fit(TABLE, TALKS, vectors)
    asked = cues(TABLE, "nothing in common")
    seen = type(asked)(asked.query, asked.text, asked.links, asked.seeds, vectors[2])
    assert best(TABLE, branch.scores(seen)["conversational.meaning"]) == ["Amélie/2001"]
    assert "conversational.meaning" not in branch.scores(asked)
    assert "conversational.meaning" not in learned().scores(seen)
    with pytest.raises(ValueError, match="4 vectors for 1 experiences"):
        Corpus.of(TABLE, TALKS[:1], vectors)
    # one that came without a vector does not disturb those that have one
    branch.add(talk("Heat/1995", "x"))
    branch.add(talk("Alien/1979", "y"), vectors[2])
    assert sorted(best(TABLE, branch.scores(seen)["conversational.meaning"])) == ["Alien/1979", "Amélie/2001"]


def test_one_more_is_known_at_once_and_counts_as_if_it_had_been_there() -> None:
    branch = ConversationalBranch.fit(TABLE, TALKS[:2])
    asked = cues(TABLE, COZY, seeds={"Up/2009": 1.0})
    assert "Amélie/2001" not in best(TABLE, branch.scores(asked)["conversational.words"])
    for one in TALKS[2:]:
        branch.add(one)
    assert len(branch) == 4
    after, fitted = branch.scores(asked), learned().scores(asked)
    assert after.keys() == fitted.keys()
    for name in fitted:
        assert best(TABLE, after[name]) == best(TABLE, fitted[name]), name
    for name in ("conversational.neighbours", "conversational.together", "conversational.demand"):
        assert after[name].values == pytest.approx(fitted[name].values), name


def test_merging_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversational, "MAX_RECENT", 2)
    branch = ConversationalBranch.fit(TABLE)
    for one in TALKS:
        branch.add(one)
    asked = cues(TABLE, LONELY, seeds={"Up/2009": 1.0})
    fitted = learned().scores(asked)
    for name, scores in branch.scores(asked).items():
        assert scores.values == pytest.approx(fitted[name].values), name


@pytest.mark.parametrize("few", [0, 1_000])
def test_recent_contexts_vote_beside_the_old_ones(monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    monkeypatch.setattr(conversational, "FEW_CONTEXTS", few)
    branch = ConversationalBranch.fit(TABLE, TALKS[:1])
    branch.add(talk("Up/2009", "rainy night", group="e"))
    found = branch.scores(cues(TABLE, "rainy night"))["conversational.neighbours"]
    assert sorted(best(TABLE, found)) == ["Collateral/2004", "Up/2009"]


def test_a_cold_branch_ranks_by_items_alone() -> None:
    branch = ConversationalBranch.fit(TABLE)
    found = branch.scores(cues(TABLE, "a thief", seeds={"Up/2009": 1.0, "unknown": 1.0}))
    assert best(TABLE, found["conversational.words"]) == ["Up/2009", "Heat/1995"]  # what is spoken of is alike, too
    assert not any(best(TABLE, scores) for name, scores in found.items() if not name.endswith("words"))
    branch.add(talk("Up/2009", "balloons"))
    assert best(TABLE, branch.scores(cues(TABLE, "balloons"))["conversational.words"]) == ["Up/2009"]


@pytest.mark.parametrize("n_fitted", [0, 2, 4])
def test_forgetting_leaves_no_trace(tmp_path: Path, n_fitted: int) -> None:
    branch = ConversationalBranch.fit(TABLE, TALKS[:n_fitted])
    for one in TALKS[n_fitted:]:
        branch.add(one)
    assert branch.remove("c") == 1
    assert branch.remove("c") == 0
    without = ConversationalBranch.fit(TABLE, [one for one in TALKS if one.group != "c"])
    for asked in (cues(TABLE, COZY, LONELY, seeds={"Up/2009": 1.0}), cues(TABLE, "tea")):
        for name, scores in branch.scores(asked).items():
            assert best(TABLE, scores) == best(TABLE, without.scores(asked)[name]), name
    branch.save(tmp_path)
    written = json.loads((tmp_path / "corpus.json").read_text(encoding="utf-8"))
    assert "tea" not in written["words"]
    assert "rainy" in written["words"]
    assert "c" not in written["groups"]


def test_folds_do_not_see_what_they_leave_out() -> None:
    corpus = Corpus.of(TABLE, TALKS)
    keep = np.array([group != "c" for group in corpus.groups])
    fold, alone = ConversationalBranch.of(TABLE, corpus, keep), ConversationalBranch.fit(TABLE, TALKS[:2] + TALKS[3:])
    asked = cues(TABLE, COZY + LONELY, seeds={"Up/2009": 1.0})
    for name, scores in fold.scores(asked).items():
        other = alone.scores(asked)[name]
        assert best(TABLE, scores) == best(TABLE, other), name
        assert scores.values == pytest.approx(other.values), name


def test_saved_and_opened(tmp_path: Path) -> None:
    branch = ConversationalBranch.fit(TABLE, TALKS[:3], np.eye(3, dtype=np.float32))
    branch.add(TALKS[3])
    branch.save(tmp_path / "talks")
    opened = ConversationalBranch.load(tmp_path / "talks", TABLE)
    asked = cues(TABLE, LONELY, seeds={"Up/2009": 1.0})
    seen = type(asked)(asked.query, asked.text, asked.links, asked.seeds, np.eye(3, dtype=np.float32)[0])
    for name, scores in branch.scores(seen).items():
        assert opened.scores(seen)[name].rows.tolist() == scores.rows.tolist(), name
    opened.add(talk("Up/2009", "balloons"))
    assert best(TABLE, opened.scores(cues(TABLE, "balloons"))["conversational.words"]) == ["Up/2009"]


@pytest.mark.parametrize("damage", ["nothing", "manifest", "array", "short", "key"])
def test_a_damaged_folder_is_one_sentence(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "talks"
    if damage != "nothing":
        learned().save(folder)
    manifest = folder / "corpus.json"
    if damage == "manifest":
        manifest.write_text("{", encoding="utf-8")
    elif damage == "key":
        manifest.write_text("{}", encoding="utf-8")
    elif damage == "array":
        (folder / "corpus.npz").write_bytes(b"junk")
    elif damage == "short":
        value = json.loads(manifest.read_text(encoding="utf-8"))
        manifest.write_text(json.dumps(value | {"groups": value["groups"][1:]}), encoding="utf-8")
    with pytest.raises(IndexUnavailable, match=r"fit it again from the log\.$"):
        ConversationalBranch.load(folder, TABLE)


def test_another_catalogue_is_refused(tmp_path: Path) -> None:
    learned().save(tmp_path)
    with pytest.raises(IndexUnavailable, match="another catalogue of 12 items"):
        ConversationalBranch.load(tmp_path, ItemTable([*TABLE.items[:-1], Item("new", "New")]))


def test_reading_while_learning() -> None:
    """Readers see a whole state, whatever the writers do."""
    branch = learned()
    asked = cues(TABLE, LONELY, seeds={"Heat/1995": 1.0})
    failures: list[BaseException] = []
    stop = threading.Event()

    def read() -> None:
        try:
            while not stop.is_set():
                check_contract(branch, TABLE, asked)
                assert best(TABLE, branch.scores(asked)["conversational.neighbours"])[0] == "Collateral/2004"
        except BaseException as error:  # handed to the main thread
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(60):
        branch.add(talk("Up/2009", f"word{number} balloons", group=f"n{number}"))
        if number % 20 == 19:
            branch.remove(f"n{number}")
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(branch) == 4 + 57


def test_contract() -> None:
    for asked in (cues(TABLE), cues(TABLE, LONELY, seeds={"Heat/1995": 2.0, "Up/2009": -2.0}), cues(ItemTable([]))):
        check_contract(learned(), TABLE, asked)
    assert not any(
        best(TABLE, one) for one in ConversationalBranch.fit(ItemTable([])).scores(cues(TABLE, "x")).values()
    )
    assert Query().turns == ()
