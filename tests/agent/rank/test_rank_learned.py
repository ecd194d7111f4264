"""The learned ranker where the linear one stood: a slate with contributions that sum to the scores."""

from __future__ import annotations

import math

import pytest
from rank_talks import DIRECTORS, cinema_table, film_id, talks, usual
from small_shop import HashingEncoder, wish

from agent.rank.features import FeatureMaker
from agent.rank.lambdamart import LambdaMART, Options
from agent.rank.learned import LearnedRanker
from agent.rank.workshop import Workshop
from agent.ranking import Pool, RankingOptions, WishMasks, rank
from retrieval.query import Candidate, Query

SMALL = Options(trees=30, leaves=4, min_leaf=3, threads=1)


@pytest.fixture(scope="module")
def workshop() -> Workshop:
    return Workshop(cinema_table(), HashingEncoder(), talks())


@pytest.fixture(scope="module")
def model(workshop: Workshop) -> LambdaMART:
    return LambdaMART.train(workshop.examples(n_folds=2), SMALL)


def test_a_slate_by_the_learned_ranker(workshop: Workshop, model: LambdaMART) -> None:
    query = Query(turns=(f"Is there something by {DIRECTORS[3]}?",))
    moment = workshop.scout().moment(workshop.reader.read(query))
    ranker = LearnedRanker(model, FeatureMaker(workshop.table), moment)
    candidates = [Candidate(item, 1.0) for item in workshop.table.ids]
    slate = rank(candidates, (), workshop.table, RankingOptions(ranker=ranker))
    best = slate.entries[0]
    assert best.item.id == film_id(3, usual(3))
    assert math.isclose(sum(best.contributions.values()), best.score, rel_tol=1e-6)
    assert ranker.spread > 0
    assert set(model.names) <= set(best.features)


def test_wishes_are_features(workshop: Workshop) -> None:
    query = Query(turns=("Hello",))
    met = WishMasks.of(
        (wish("genre", "eq", "horror"), wish("genre", "eq", "comedy", polarity="negative")), workshop.table
    )
    moment = workshop.scout().moment(workshop.reader.read(query), met)
    rows = workshop.table.rows_of([film_id(0, 1), film_id(0, 0), film_id(0, 2)])
    matrix = FeatureMaker(workshop.table).matrix(moment, rows)
    by_name = dict(zip(matrix.names, matrix.values.T.tolist(), strict=True))
    assert by_name["wishes.met"] == [1, 0, 0], "horror, comedy, western"
    assert by_name["wishes.broken"] == [0, 1, 0]


def test_pool_without_candidates(workshop: Workshop, model: LambdaMART) -> None:
    moment = workshop.scout().moment(workshop.reader.read(Query(turns=("Hello",))))
    ranker = LearnedRanker(model, FeatureMaker(workshop.table), moment)
    features = ranker.features(Pool.of((), (), workshop.table))
    assert features.shape == (0, len(model.names))
    assert len(ranker.scores(features)) == 0
