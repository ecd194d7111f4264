"""LambdaMART: trees over the features of candidates, trained so that what was accepted comes first.

Burges, "From RankNet to LambdaRank to LambdaMART" (2010), by LightGBM. Knows columns by name and nothing of what they
mean. Not covered: position bias of what was shown (see `agent.rank.satisfaction`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agent.rank.examples import Example, FeatureMatrix
from retrieval.encoder import FloatArray
from retrieval.errors import BadRequest, IndexUnavailable, ModelUnavailable

if TYPE_CHECKING:
    import lightgbm

Scores = NDArray[np.float64]

SCHEMA = 1
"""Raised when the files of a saved ranker change their meaning."""
MANIFEST = "trees.json"
TRAIN_AGAIN = "train the ranker again"
BINS = 63
"""Steps in which trees see a feature, instead of LightGBM's 255: time. Recall was not compared with all else equal."""
SPREAD_MOMENTS = 200
"""Moments over which `Training.spread` is taken."""


@dataclass(frozen=True, slots=True)
class Options:
    """How trees are grown; the defaults are the best of a few tried on the valid part of opendialkg.

    `seeds`: one ensemble of trees for each, their scores are averaged: less noise for the same data. `truncation`:
    pairs matter to this place of the list. `feature_share` and `example_share` are drawn anew for each tree.
    """

    trees: int = 200
    leaves: int = 15
    rate: float = 0.05
    min_leaf: int = 50
    truncation: int = 20
    feature_share: float = 0.5
    example_share: float = 0.7
    l2: float = 5.0
    seeds: tuple[int, ...] = (0,)
    threads: int = 2


@dataclass(frozen=True, slots=True)
class Training:
    """What a ranker was made of: counts, and the metrics that were measured for it (by name).

    `spread`: by how much it puts what was accepted above the middle of the candidates, on average.
    """

    moments: int
    groups: int
    candidates: int
    accepted: int
    spread: float = 1.0
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Contributions:
    """What each feature adds to each score: `values` float64, (items, features); with `base` they sum to the score."""

    names: tuple[str, ...]
    values: Scores
    base: Scores


class LambdaMART:
    """A trained ranker; safe to share between threads."""

    def __init__(
        self,
        boosters: Sequence[lightgbm.Booster],
        names: tuple[str, ...],
        options: Options,
        training: Training,
        version: str = "",
    ) -> None:
        self._boosters = tuple(boosters)
        self.names = names
        self.options = options
        self.training = training
        self.version = version

    @classmethod
    def train(
        cls,
        examples: Sequence[Example],
        options: Options = Options(),
        *,
        version: str = "",
        metrics: Mapping[str, float] | None = None,
    ) -> LambdaMART:
        """Learn from moments; those without an accepted candidate teach nothing and are left out.

        Equal examples and options give equal scores. A feature that a moment lacks is unknown there.

        Raises:
            BadRequest: no moment has an accepted candidate.
        """
        useful = [one for one in examples if one.labels.any()]
        if not useful:
            raise BadRequest("A ranker needs at least one moment at which a candidate was accepted.")
        names = tuple(sorted({name for one in useful for name in one.features.names}))
        data = _Data.of(useful, names)
        boosters = [_grow(data, options, seed) for seed in options.seeds]
        training = Training(
            moments=len(useful),
            groups=len({one.group for one in useful}),
            candidates=len(data.labels),
            accepted=int(data.labels.sum()),
            metrics=dict(metrics or {}),
        )
        model = cls(boosters, names, options, training, version)
        model.training = replace(training, spread=model._spread(useful[:SPREAD_MOMENTS]))
        return model

    def scores(self, features: FeatureMatrix) -> Scores:
        """One score for each item, larger is better, comparable inside one list: float64, (items,).

        Columns that are missing count as unknown.

        Raises:
            BadRequest: no column is one that the ranker knows.
        """
        values = self._aligned(features)
        if not len(values):
            return np.zeros(0)
        found = sum(self._predict(booster, values) for booster in self._boosters)
        return np.asarray(found / len(self._boosters), dtype=np.float64)

    def contributions(self, features: FeatureMatrix) -> Contributions:
        """What each feature adds to each score: TreeSHAP (Lundberg et al., Nature Machine Intelligence 2020).

        Raises:
            BadRequest: as `scores`.
        """
        values = self._aligned(features)
        if not len(values):
            return Contributions(self.names, np.zeros((0, len(self.names))), np.zeros(0))
        found = sum(self._predict(booster, values, pred_contrib=True) for booster in self._boosters)
        mean = np.asarray(found / len(self._boosters), dtype=np.float64)
        return Contributions(self.names, mean[:, :-1], mean[:, -1])

    def importance(self) -> Mapping[str, float]:
        """Share of each feature in the gain of all splits, largest first; sums to 1."""
        gains = sum(booster.feature_importance("gain") for booster in self._boosters)
        total = float(np.sum(gains)) or 1.0
        shares = dict(zip(self.names, (np.asarray(gains) / total).tolist(), strict=True))
        return dict(sorted(shares.items(), key=lambda one: -one[1]))

    def save(self, folder: Path) -> None:
        """Write the trees, then the manifest: a folder without it is a crashed run.

        Raises:
            OSError: the disk is full or read-only.
        """
        folder.mkdir(parents=True, exist_ok=True)
        digests = {}
        for number, booster in enumerate(self._boosters):
            text = booster.model_to_string()
            digests[name := f"trees-{number}.txt"] = hashlib.sha256(text.encode()).hexdigest()
            (folder / name).write_text(text, encoding="utf-8")
        manifest = {
            "schema": SCHEMA,
            "version": self.version,
            "features": list(self.names),
            "options": asdict(self.options),
            "training": asdict(self.training),
            "files": digests,
        }
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> LambdaMART:
        """Read what `save` wrote.

        Raises:
            IndexUnavailable: files are missing, damaged or of another version.
        """
        try:
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            if manifest["schema"] != SCHEMA:
                raise ValueError(f"its files are of version {manifest['schema']}, this program reads {SCHEMA}")
            texts = [_checked(folder / name, digest) for name, digest in sorted(manifest["files"].items())]
            names = tuple(manifest["features"])
            boosters = [_read(text, len(names)) for text in texts]
            options = Options(**{**manifest["options"], "seeds": tuple(manifest["options"]["seeds"])})
            return cls(boosters, names, options, Training(**manifest["training"]), manifest["version"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise IndexUnavailable(f"The ranker in {str(folder)!r} cannot be read ({error}): {TRAIN_AGAIN}.") from None

    def _spread(self, examples: Sequence[Example]) -> float:
        """See `Training`; 1 where it would not be above 0."""
        above = []
        for one in examples:
            scores = self.scores(one.features)
            above.append(float(scores[one.labels > 0].max() - np.median(scores)))
        mean = sum(above) / len(above)
        return mean if mean > 0 else 1.0

    def _aligned(self, features: FeatureMatrix) -> FloatArray:
        if not set(features.names) & set(self.names):
            raise BadRequest(f"The ranker knows none of the {len(features.names)} features given: {TRAIN_AGAIN}.")
        return features.aligned(self.names)

    def _predict(self, booster: lightgbm.Booster, values: FloatArray, **how: Any) -> Scores:  # noqa: ANN401 - LightGBM's
        found = booster.predict(values, num_threads=self.options.threads, **how)
        return np.asarray(found, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Data:
    """Moments one after the other, as LightGBM wants them."""

    values: FloatArray
    labels: NDArray[np.int8]
    sizes: NDArray[np.int64]
    weights: FloatArray
    names: tuple[str, ...]

    @classmethod
    def of(cls, examples: Sequence[Example], names: tuple[str, ...]) -> _Data:
        sizes = np.array([len(one.labels) for one in examples], dtype=np.int64)
        weights = np.repeat(np.array([one.weight for one in examples], dtype=np.float32), sizes)
        values = np.concatenate([one.features.aligned(names) for one in examples])
        return cls(values, np.concatenate([one.labels for one in examples]), sizes, weights, names)


def _grow(data: _Data, options: Options, seed: int) -> lightgbm.Booster:
    lgb = _lightgbm()
    parameters = {
        "objective": "lambdarank",
        "learning_rate": options.rate,
        "num_leaves": options.leaves,
        "min_data_in_leaf": options.min_leaf,
        "lambdarank_truncation_level": options.truncation,
        "feature_fraction": options.feature_share,
        "bagging_fraction": options.example_share,
        "bagging_freq": 1,
        "lambda_l2": options.l2,
        "max_bin": BINS,
        "seed": seed,
        "num_threads": options.threads,
        "deterministic": True,
        "force_row_wise": True,  # else LightGBM times both ways and picks one, which changes the sums
        "verbosity": -1,
    }
    train = lgb.Dataset(
        data.values,
        data.labels,
        group=data.sizes,
        weight=data.weights if (data.weights != 1).any() else None,
        # LightGBM refuses names with the signs of JSON in them, and attribute names may have any sign.
        feature_name=[f"f{place}" for place in range(len(data.names))],
    )
    grown: lightgbm.Booster = lgb.train(parameters, train, options.trees)
    return grown


def _checked(file: Path, digest: str) -> str:
    text = file.read_text(encoding="utf-8")
    if hashlib.sha256(text.encode()).hexdigest() != digest:
        raise ValueError(f"{file.name!r} is not what was written")
    return text


def _read(text: str, n_features: int) -> lightgbm.Booster:
    lgb = _lightgbm()
    try:
        booster: lightgbm.Booster = lgb.Booster(model_str=text)
    except lgb.basic.LightGBMError as error:
        raise ValueError(str(error)) from None
    if booster.num_feature() != n_features:
        raise ValueError(f"its trees know {booster.num_feature()} features, the manifest names {n_features}")
    return booster


def _lightgbm() -> Any:  # noqa: ANN401 - a module
    try:
        import lightgbm
    except (ImportError, OSError) as error:  # OSError: libgomp is not on the machine
        raise ModelUnavailable(f"The learned ranker needs LightGBM ({error}): install 'chatalogue[serve]'.") from None
    return lightgbm
