"""From experiences to a ranker: what is usual is learned, and no dialogue is ever found by itself."""

from __future__ import annotations

import numpy as np
import pytest
from rank_talks import DIRECTORS, cinema_table, film_id, talk, talks, usual
from small_shop import HashingEncoder

from agent.rank.examples import Example, NegativeRules
from agent.rank.features import FeatureMaker
from agent.rank.lambdamart import LambdaMART, Options
from agent.rank.shortlist import Shortlisting, shortlist, summed
from agent.rank.workshop import Past, Sources, Workshop
from retrieval.branches.base import Scores
from retrieval.experience import Experience
from retrieval.query import Query, SeedItem
from retrieval.ratings.interactions import Interactions

SMALL = Options(trees=30, leaves=4, min_leaf=3, threads=1)
PLANTED = Experience(
    turns=("Hello!", "xylophone quux zanzibar"),
    spoken=(SeedItem(film_id(0, 0), 1.0),),
    accepted=(film_id(5, 4),),
    group="planted",
)


@pytest.fixture(scope="module")
def workshop() -> Workshop:
    return Workshop(cinema_table(), HashingEncoder(), (*talks(), PLANTED))


def ranked(workshop: Workshop, model: LambdaMART | None, query: Query) -> list[str]:
    scout = workshop.scout()
    moment = scout.moment(workshop.reader.read(query))
    rows = scout.candidates(moment, workshop.allowed(query))
    if model is not None:
        features = FeatureMaker(workshop.table).matrix(moment, rows)
        rows = rows[np.argsort(-model.scores(features), kind="stable")]
    return [workshop.table.ids[row] for row in rows.tolist()]


def test_the_usual_film_of_a_director_comes_first(workshop: Workshop) -> None:
    model = LambdaMART.train(workshop.examples(n_folds=3), SMALL)
    for director, name in enumerate(DIRECTORS):
        first, *_ = ranked(workshop, model, Query(turns=("Hello!", f"Anything by {name} perhaps?")))
        assert first == film_id(director, usual(director))


def test_what_was_spoken_of_is_not_ranked_again(workshop: Workshop) -> None:
    spoken = film_id(2, usual(2))
    found = ranked(workshop, None, Query(turns=(f"More of {DIRECTORS[2]}",), seeds=(SeedItem(spoken, 1.0),)))
    assert spoken not in found
    assert found[0].startswith("f2-"), "his other films come first"
    assert len(found) == len(set(found))


def test_a_dialogue_does_not_find_itself(workshop: Workshop) -> None:
    """Only the planted dialogue says these words, takes this film, and takes it after that one was spoken of."""
    past = next(past for past in workshop.pasts if past.group == "planted")
    row = workshop.table.row_of(film_id(5, 4))

    def found_by(pasts: list[Past]) -> set[str]:
        signals = workshop.scout(pasts).moment(past.views).signals
        return {name for name, scores in signals.items() if row in scores.rows}

    with_itself = found_by(list(workshop.pasts))
    without = found_by([other for other in workshop.pasts if other.group != "planted"])
    telling = {"conversational.words", "conversational.neighbours", "conversational.together", "collaborative.talks"}
    assert telling <= with_itself, "the plant is one that would be found"
    assert not telling & without
    (example,) = (one for one in workshop.examples(n_folds=4) if one.group == "planted")
    columns = [example.features.names.index(name) for name in sorted(telling & set(example.features.names))]
    assert not example.features.values[example.labels > 0][:, columns].any(), "an example was made with its own words"


def test_likes_of_a_customer_do_not_help_with_the_customers_own_example() -> None:
    likes = Interactions.of([("lone", film_id(0, 0), 1.0), ("lone", film_id(5, 4), 1.0), ("other", film_id(1, 1), 1.0)])
    sources = Sources(grouped={"likes": likes}, group_of={"lone": "planted", "other": "d1"})
    workshop = Workshop(cinema_table(), None, (*talks(12), PLANTED), sources)
    past = workshop.pasts[-1]
    row = workshop.table.row_of(film_id(5, 4))

    def liked_together(pasts: tuple[Past, ...]) -> bool:
        scores = workshop.scout(pasts).moment(past.views).signals.get("collaborative.likes")
        return scores is not None and row in scores.rows

    assert liked_together(workshop.pasts)
    assert not liked_together(workshop.pasts[:-1])


def test_examples_say_what_was_taken_and_what_was_missed() -> None:
    unknown = Experience(("Hello!",), (), ("nowhere", film_id(0, 0)), "u")
    nothing_new = talk(90, 1, film=2, spoken=(film_id(1, 2),))
    workshop = Workshop(
        cinema_table(), None, (*talks(12), unknown, nothing_new), how=Shortlisting(depth=1, own_depth=0)
    )
    examples = workshop.examples(n_folds=3)
    by_group = {one.group: one for one in examples}
    assert nothing_new.group not in by_group, "nothing new was taken"
    assert len(examples) == 13
    one = by_group["u"]
    assert len(one.labels) == 1
    assert int(one.labels.sum()) + one.missed == 1, "of the items that the catalogue has"


def test_negatives_follow_the_rules(workshop: Workshop) -> None:
    examples = workshop.examples(n_folds=2, rules=NegativeRules(hard=3, popular=0, random=2))
    assert {len(one.labels) - int(one.labels.sum()) for one in examples} == {5}


def test_branches_can_be_left_out() -> None:
    workshop = Workshop(
        cinema_table(), HashingEncoder(), talks(12), without=frozenset({"dense", "names", "metapath", "habits"})
    )
    signals = workshop.scout().moment(workshop.reader.read(Query(turns=(f"By {DIRECTORS[0]}",)))).signals
    branches = {name.removeprefix("last.").partition(".")[0] for name in signals}
    assert branches == {"lexical", "conversational", "collaborative"}
    assert "conversational.meaning" not in signals, "nothing was embedded"


def test_a_shop_without_experience_still_finds(workshop: Workshop) -> None:
    fresh = Workshop(cinema_table(), HashingEncoder())
    assert ranked(fresh, None, Query(turns=(f"Something by {DIRECTORS[3]}, please",)))[0].startswith("f3-")
    assert fresh.examples() == []


def test_an_example_does_not_depend_on_who_else_is_in_its_fold() -> None:
    """The order in which experiences came is no part of what is learned."""
    forwards = Workshop(cinema_table(), None, talks(12)).examples(n_folds=3)
    backwards = Workshop(cinema_table(), None, talks(12)[::-1]).examples(n_folds=3)[::-1]
    for one, other in zip(forwards, backwards, strict=True):
        assert one.group == other.group
        assert one.features.names == other.features.names
        np.testing.assert_allclose(one.features.values, other.features.values, rtol=1e-5)


def test_weights_go_by_name_then_by_ending_then_by_branch() -> None:
    one = Scores(np.array([0], np.int32), np.array([7.0], np.float32))
    signals = {"a.x": one, "a.y": one, "b.popularity": one, "c": one}
    assert summed(signals, {"a": 2.0, "a.y": 30.0, "popularity": 0.0}, 1).tolist() == [2 + 30 + 0 + 1]


def test_shortlist_takes_the_first_of_all_and_of_each() -> None:
    signals = {
        "a": Scores(np.array([0, 1, 2], np.int32), np.array([3.0, 2.0, 1.0], np.float32)),
        "b": Scores(np.array([5], np.int32), np.array([0.1], np.float32)),
        "last.a": Scores(np.array([4], np.int32), np.array([9.0], np.float32)),
    }
    total = summed(signals, {"b": 0.01, "last": 0.0}, 6)
    np.testing.assert_allclose(total, [1, 2 / 3, 1 / 3, 0, 0, 0.01])
    allowed = np.array([False, True, True, True, True, True])
    ids = np.arange(6, dtype=np.int32)
    how = Shortlisting(depth=1, own_depth=1)
    assert shortlist(signals, total, allowed, ids, how).tolist() == [1, 5, 4], "best of the sum first"
    own = Shortlisting(depth=1, own_depth=1, not_own=frozenset({"b", "last.a"}))
    assert shortlist(signals, total, allowed, ids, own).tolist() == [1]


def test_every_example_has_stable_columns(workshop: Workshop) -> None:
    """What a ranker was trained on is found again by name in another workshop of the same catalogue."""

    def names(examples: list[Example]) -> set[str]:
        return {name for one in examples for name in one.features.names}

    assert names(workshop.examples(n_folds=2)) == names(
        Workshop(cinema_table(), HashingEncoder(), (*talks(), PLANTED)).examples(n_folds=2)
    )
