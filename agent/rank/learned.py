"""The learned ranker in the place of the linear one, for the query that is being answered.

Knows nothing of how candidates were found; those that the branches say nothing of are ranked by their facts alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.rank.examples import FeatureMatrix
from agent.rank.features import FeatureMaker, Moment
from agent.rank.lambdamart import LambdaMART
from agent.ranking import Matrix, Pool


@dataclass(frozen=True, slots=True)
class LearnedRanker:
    """Trees over the features of one moment; fits `agent.ranking.Ranker`."""

    model: LambdaMART
    maker: FeatureMaker
    moment: Moment

    @property
    def names(self) -> tuple[str, ...]:
        """The features that the trees know."""
        return self.model.names

    @property
    def spread(self) -> float:
        """How far apart the trees put a good and a poor candidate."""
        return self.model.training.spread

    def features(self, pool: Pool) -> Matrix:
        """See `Ranker.features`; NaN where a feature has nothing to say."""
        rows = np.array(pool.rows, dtype=np.int32)
        return self.maker.matrix(self.moment, rows).aligned(self.names).astype(np.float64)

    def scores(self, features: Matrix) -> Matrix:
        """See `Ranker.scores`."""
        return self.model.scores(self._matrix(features))

    def contributions(self, features: Matrix) -> Matrix:
        """See `Ranker.contributions`: TreeSHAP."""
        found = self.model.contributions(self._matrix(features))
        return np.hstack([found.values, found.base[:, None]])

    def _matrix(self, features: Matrix) -> FeatureMatrix:
        return FeatureMatrix(self.names, features.astype(np.float32))
