"""Paths over shared values: which items they find, how they are learned, how they are explained."""

from dataclasses import replace
from pathlib import Path

import pytest
from branch_doubles import MANN, best, check_contract, cues, film, films, talk, value_of

from retrieval.branches import metapath
from retrieval.branches.corpus import Corpus
from retrieval.branches.metapath import MetapathBranch
from retrieval.errors import IndexUnavailable
from retrieval.table import ItemTable

TABLE = films()


def test_items_that_share_a_value() -> None:
    found = MetapathBranch.fit(TABLE).scores(cues(TABLE, seeds={"Heat/1995": 2.0}))
    assert best(TABLE, found["metapath.director"]) == ["Collateral/2004"]
    assert best(TABLE, found["metapath.cast"]) == ["The Godfather/1972"]
    assert set(best(TABLE, found["metapath.genre"])) == {
        "Collateral/2004", "The Godfather/1972", "Inception/2010", "Good Time/2017",
    }  # fmt: skip
    assert "Heat/1995" not in best(TABLE, found["metapath.genre"])  # the seed itself
    recent = MetapathBranch.fit(TABLE).scores(cues(TABLE, seeds={"Up/2009": 2.0}))["metapath.year"]
    assert set(best(TABLE, recent)) == {"Collateral/2004", "Amélie/2001"}  # the same decade


def test_titles_that_share_a_word() -> None:
    found = MetapathBranch.fit(TABLE).scores(cues(TABLE, seeds={"Blade Runner/1982": 1.0}))
    assert best(TABLE, found["metapath.title"]) == ["Blade Runner 2049/2017"]
    assert "metapath.title" not in MetapathBranch.fit(TABLE).scores(cues(TABLE, seeds={"Alien/1979": 1.0}))


def test_a_rare_value_says_more() -> None:
    found = MetapathBranch.fit(TABLE).scores(cues(TABLE, seeds={"Inception/2010": 1.0}))["metapath.genre"]
    science, crime = value_of(TABLE, found, "Alien/1979"), value_of(TABLE, found, "Heat/1995")
    assert science > crime > 0  # 4 against 5 of 12


def test_dislike_counts_against() -> None:
    branch = MetapathBranch.fit(TABLE)
    both = branch.scores(cues(TABLE, seeds={"Inception/2010": 2.0, "Heat/1995": -2.0}))["metapath.genre"]
    assert set(best(TABLE, both)) == {"Blade Runner/1982", "Blade Runner 2049/2017", "Alien/1979"}
    assert branch.scores(cues(TABLE, seeds={"Heat/1995": -2.0})) == {}
    assert branch.scores(cues(TABLE)) == {}


def made_up(n: int) -> ItemTable:
    """Directors and genres of equal frequency: what tells them apart must be learned."""
    return ItemTable([film(f"f{i}", 2000, f"director {i % 10}", [f"genre {i // 10 % 10}"]) for i in range(n)])


def test_values_that_led_to_accepted_items_weigh_more() -> None:
    table = made_up(200)
    # From each film to another of its director, never to one of its genre.
    talks = [talk(f"f{(i + 10 * j) % 200}/2000", spoken=[f"f{i}/2000"]) for i in range(0, 200, 3) for j in (3, 7)]
    plain, learned = MetapathBranch.fit(table), MetapathBranch.fit(table, talks)
    seeds = cues(table, seeds={"f0/2000": 1.0})

    def weights(branch: MetapathBranch) -> tuple[float, float]:
        found = branch.scores(seeds)
        return (
            value_of(table, found["metapath.director"], "f50/2000"),
            value_of(table, found["metapath.genre"], "f5/2000"),
        )

    director, genre = weights(plain)
    assert director == pytest.approx(genre)
    director, genre = weights(learned)
    assert director > 2 * genre


def test_a_value_may_differ_from_its_attribute() -> None:
    table = made_up(200)
    # Genre 0 is stuck to, the others are left.
    stay = [talk(f"f{(i + 1) % 10}/2000", spoken=[f"f{i}/2000"]) for i in range(10)] * 5
    leave = [talk(f"f{i + 15}/2000", spoken=[f"f{i}/2000"]) for i in range(10, 90)] * 5
    branch = MetapathBranch.fit(table, stay + leave)
    loyal = branch.scores(cues(table, seeds={"f0/2000": 1.0}))["metapath.genre"].values.max()
    fickle = branch.scores(cues(table, seeds={"f20/2000": 1.0}))["metapath.genre"].values.max()
    assert loyal > 2 * fickle


def test_folds_do_not_see_what_they_leave_out() -> None:
    table = made_up(60)
    talks = [talk(f"f{i + 10}/2000", spoken=[f"f{i}/2000"], group=str(i % 2)) for i in range(40)]
    corpus = Corpus.of(table, talks)
    fold = MetapathBranch.of(table, corpus, corpus.weights < 0)
    seeds = cues(table, seeds={"f0/2000": 1.0})
    assert {name: one.values.tolist() for name, one in fold.scores(seeds).items()} == {
        name: one.values.tolist() for name, one in MetapathBranch.fit(table).scores(seeds).items()
    }


def test_too_common_values_are_not_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metapath, "MAX_LISTED", 3)
    found = MetapathBranch.fit(TABLE).scores(cues(TABLE, seeds={"Heat/1995": 1.0}))
    assert "metapath.genre" not in found
    assert "metapath.director" in found


def test_explained_in_values() -> None:
    branch = MetapathBranch.fit(TABLE)
    heat, inception, collateral = (TABLE.row_of(one) for one in ("Heat/1995", "Inception/2010", "Collateral/2004"))
    paths = branch.explain([heat, inception, collateral], collateral)
    assert (paths[0].attribute, paths[0].value, paths[0].seed_id) == ("director", MANN.lower(), "Heat/1995")
    assert [(path.attribute, path.value) for path in paths[1:]] == [("genre", "crime")] * 2
    assert all(path.weight > 0 for path in paths)
    assert branch.explain([TABLE.row_of("Amélie/2001")], TABLE.row_of("Alien/1979")) == ()


def test_a_doubtful_seed_counts_less_in_a_fusion() -> None:
    branch = MetapathBranch.fit(TABLE)

    def strength(weight: float) -> float:
        found = branch.scores(replace(cues(TABLE), seeds={TABLE.row_of("Alien/1979"): weight}))
        return found["metapath.genre"].strength

    assert [strength(weight) for weight in (1.0, 0.5, 0.25)] == [1.0, 1.0, 0.5]


def test_saved_and_opened(tmp_path: Path) -> None:
    table = made_up(60)
    talks = [talk(f"f{i + 10}/2000", spoken=[f"f{i}/2000"]) for i in range(40)]
    branch = MetapathBranch.fit(table, talks)
    branch.save(tmp_path)
    seeds = cues(table, seeds={"f0/2000": 1.0})
    opened = MetapathBranch.load(tmp_path, table).scores(seeds)
    for name, scores in branch.scores(seeds).items():
        assert opened[name].values == pytest.approx(scores.values, rel=1e-4), name
    # A catalogue with new values: they count like the others of their attribute.
    grown = ItemTable([*table.items, film("new", 2000, "somebody else", ["genre 0"])])
    MetapathBranch.load(tmp_path, grown).scores(cues(grown, seeds={"new/2000": 1.0}))


@pytest.mark.parametrize(
    "text", [None, "{", "[]", '{"shares": {"director": 3}}', '{"shares": {"director": {"a": "x"}}}']
)
def test_a_damaged_folder_is_one_sentence(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "metapath.json").write_text(text, encoding="utf-8")
    with pytest.raises(IndexUnavailable, match=r"fit it again from the log\.$"):
        MetapathBranch.load(tmp_path, TABLE)


def test_contract() -> None:
    branch = MetapathBranch.fit(TABLE, [talk("Up/2009", spoken=["Heat/1995"])])
    check_contract(branch, TABLE, cues(TABLE, "Heat", seeds={"Up/2009": 2.0, "Alien/1979": -0.5, "unknown": 1.0}))
