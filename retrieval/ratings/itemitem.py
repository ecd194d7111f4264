"""Item-item models: what else goes with an item, from who had to do with both.

Knows nothing of catalogues and dialogues. Not covered: the order in which a user came to the items.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrieval.ratings.interactions import FloatArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array  # type: ignore[import-untyped]


def ease_weights(matrix: csr_array, ridge: float) -> FloatArray:
    """EASE: the ridge regression of every item on all the others, in closed form.

    Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019, eq. 8. The plain cosine of columns, shrunk,
    finds as much in the first 50 on ReDial's valid part (.204 against .211), less in the first one (.022 against .031).

    Args:
        matrix: users x items.
        ridge: lambda, > 0; grows with the number of interactions of an item.

    Returns:
        float32, (items, items), diagonal 0: the score of item j is the sum of row i over the user's items i. Takes the
        cube of the number of items: 6,000 take 10 s on one core and 0.5 GB for the time being.
    """
    gram: FloatArray = (matrix.T @ matrix).toarray().astype(np.float32)
    diagonal = np.diag_indices(len(gram))
    gram[diagonal] += np.float32(ridge)
    inverse: FloatArray = np.linalg.inv(gram)
    weights: FloatArray = inverse / -inverse[diagonal][None, :]
    weights[diagonal] = 0.0
    return weights
