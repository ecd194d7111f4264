"""Trains the rating network; the only module here that needs torch.

Each rating of a user is predicted from the user's other ratings, the item's bias without it included, so nothing is
asked that was told. Knows nothing of catalogues and dialogues.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from retrieval.errors import BadRequest
from retrieval.ratings.base import ITEM_SHRINKAGE, USER_SHRINKAGE, Biases, History, Ratings
from retrieval.ratings.interactions import FloatArray
from retrieval.ratings.model import COUNT_SCALE, RatingModel, Weights

STEPS_OF_AN_EPOCH = 64
MAX_RATINGS_OF_A_STEP = 1_200
"""Each step has about as many ratings, of users with about as many each, so that little is padding."""

WARM_UP = 0.1
"""Share of the steps in which the learning rate rises; it falls as a cosine after."""

LONGEST_HISTORY = 600
"""Ratings of one user in a step, drawn anew each time; attention takes the square."""

INNER_SHARE = 0.08
"""Training ratings that decide when to stop."""

PATIENCE = 3
"""Epochs without a gain on the inner part before training stops."""

NEGATIVE_STARS = 1.0
"""How far below the user's mean an unrated item is taken to be."""

_FAR = -1e9
"""A logit that softmax turns into nothing."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a network is and how it is trained; the defaults were picked on one fold's training part.

    `dropout`: share of a text vector's numbers and of hidden units that are left out in a step. `short_histories`:
    share of users of a step who are known by a random part of their ratings only: costs .002 in RMSE for well-known
    users and wins .06 for those of whom five ratings are known.
    `negatives`: unrated items for each rating, taken as `NEGATIVE_STARS` below the user's mean with `negative_weight`.
    `offsets`: whether an item learns an offset of its own beside its text.
    """

    numbers: int = 32
    heads: int = 2
    hidden: int = 32
    dropout: float = 0.3
    short_histories: float = 0.5
    negatives: float = 0.0
    negative_weight: float = 0.05
    offsets: bool = True
    epochs: int = 6
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    offset_decay: float = 1.0
    seed: int = 0


def train(
    ratings: Ratings, vectors: FloatArray, recipe: Recipe | None = None, say: Callable[[str], None] | None = None
) -> RatingModel:
    """Learn from ratings of items that are described by `vectors`, float32 (n_items, dim).

    The epoch with the lowest error on an inner part of the ratings wins. Deterministic for a seed and a number of
    threads.

    Raises:
        BadRequest: no user has two ratings.
    """
    if not len(ratings) or np.bincount(ratings.user).max() < 2:
        raise BadRequest("Nobody rated two items, and tastes are learned from such people: give more ratings.")
    recipe = recipe or Recipe()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return _trained(ratings, vectors, recipe, say or (lambda words: None))


def _trained(ratings: Ratings, vectors: FloatArray, recipe: Recipe, say: Callable[[str], None]) -> RatingModel:
    rng = np.random.default_rng(recipe.seed)
    inner = rng.random(len(ratings)) < INNER_SHARE
    inner &= np.bincount(ratings.user, weights=~inner)[ratings.user] >= 2  # a user needs two others to learn from
    known, asked = ratings.only(~inner), ratings.only(inner)
    network = _Network(torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32)), recipe)
    biases = Biases.fit(known)
    lessons = _Lessons(known, biases, recipe, rng)
    optimizer = torch.optim.AdamW(network.groups(recipe), lr=recipe.learning_rate)
    n_steps = recipe.epochs * lessons.n_steps
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _pace(step / n_steps))
    best, since = _Best(math.inf, network.weights()), 0
    for epoch in range(recipe.epochs):
        network.train()
        for lesson in lessons.epoch():
            optimizer.zero_grad()
            lesson.loss(network).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        network.eval()
        weights = network.weights()
        error = _error(RatingModel(biases, weights), known, asked)
        say(f"epoch {epoch + 1}: RMSE {error:.4f} on the inner part")
        best, since = (_Best(error, weights), 0) if error < best.error else (best, since + 1)
        if since >= PATIENCE:
            break
    # The counts and biases of all ratings: the network was trained to read them, whatever they are.
    return RatingModel(Biases.fit(ratings), best.weights)


def _pace(done: float) -> float:
    """Share of the learning rate after this share of the steps."""
    if done < WARM_UP:
        return (done + 0.01) / (WARM_UP + 0.01)
    return 0.5 + 0.5 * math.cos(math.pi * min((done - WARM_UP) / (1 - WARM_UP), 1.0))


@dataclass(frozen=True, slots=True)
class _Best:
    error: float
    weights: Weights


def _error(model: RatingModel, known: Ratings, asked: Ratings) -> float:
    """Root mean squared error on `asked` after `known`."""
    squares = [np.zeros(0, dtype=np.float32)]
    for history, question in zip(known.histories(), asked.histories(), strict=True):
        if len(question.items):
            squares.append((model.predict(history, question.items) - question.stars) ** 2)
    return float(np.sqrt(np.concatenate(squares).mean())) if len(squares) > 1 else 0.0


@dataclass(frozen=True, slots=True)
class _Lesson:
    """Some users, padded to the longest: b users, t items to predict of which the first n are the history.

    `items` int64 (b, t); `history` bool (b, n): which ratings are known; `surprises` (b, n): stars less mean and
    item's bias; `item_bias`, `count`, `stars`, `weight` (b, t): what is told of the items, what is asked, and how much
    it counts (0 for padding). `mean` is that of all ratings, `scale` how many a usual lesson has.
    """

    mean: float
    scale: float
    items: Tensor
    history: Tensor
    surprises: Tensor
    item_bias: Tensor
    count: Tensor
    stars: Tensor
    weight: Tensor

    def loss(self, network: _Network) -> Tensor:
        predicted: Tensor = network(self.items, self.history, self.surprises, self.item_bias, self.count) + self.mean
        return (self.weight * (predicted - self.stars) ** 2).sum() / self.scale


class _Lessons:
    """Draws the lessons of an epoch."""

    def __init__(self, known: Ratings, biases: Biases, recipe: Recipe, rng: np.random.Generator) -> None:
        self._histories = [history for history in known.histories() if len(history.items) > 1]
        self._lengths = np.array([min(len(one.items), LONGEST_HISTORY) for one in self._histories])
        self._biases, self._recipe, self._rng = biases, recipe, rng
        self._of_a_step = min(max(int(self._lengths.sum()) // STEPS_OF_AN_EPOCH, 1), MAX_RATINGS_OF_A_STEP)
        self.n_steps = len(self._bounds(np.sort(self._lengths))) - 1

    def epoch(self) -> Iterator[_Lesson]:
        """All users in a new order; exactly `n_steps`."""
        # Users of about one length together; which ones exactly is new in each epoch.
        order = np.argsort(self._lengths * np.exp(self._rng.normal(0.0, 0.1, len(self._lengths))))
        bounds = self._bounds(np.sort(self._lengths))
        for step in self._rng.permutation(self.n_steps):
            yield self._lesson([self._histories[user] for user in order[bounds[step] : bounds[step + 1]]])

    def _bounds(self, lengths: NDArray[np.int64]) -> list[int]:
        """Where steps begin and end in users sorted by length."""
        bounds, total = [0], 0
        for place, length in enumerate(lengths):
            if total and total + length > self._of_a_step:
                bounds.append(place)
                total = 0
            total += int(length)
        return [*bounds, len(lengths)]

    def _lesson(self, histories: Sequence[History]) -> _Lesson:
        told = [self._part(history) for history in histories]
        n = max(len(one.items) for one in told)
        asked = n + math.ceil(self._recipe.negatives * n)
        shape = (len(told), asked)
        items, weight = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.float32)
        stars, bias, count = (np.zeros(shape, dtype=np.float32) for _ in range(3))
        history, surprises = np.zeros(shape, dtype=np.bool_)[:, :n], np.zeros((len(told), n), dtype=np.float32)
        for place, one in enumerate(told):
            rated = slice(0, len(one.items))
            items[place, rated], stars[place, rated], weight[place, rated] = one.items, one.stars, 1.0
            surprises[place, rated] = self._biases.surprises(one)
            bias[place, rated], count[place, rated] = self._without_own(one)
            history[place, rated] = self._known_part(len(one.items))
            self._add_negatives(one, items[place, n:], stars[place, n:], weight[place, n:])
            bias[place, n:] = self._biases.item[items[place, n:]]
            count[place, n:] = self._biases.count[items[place, n:]]
        arrays = (items, history, surprises, bias, count, stars, weight)
        return _Lesson(self._biases.mean, float(self._of_a_step), *map(torch.from_numpy, arrays))

    def _part(self, history: History) -> History:
        """The history, or as much of it as a step takes."""
        if len(history.items) <= LONGEST_HISTORY:
            return history
        kept = self._rng.choice(len(history.items), LONGEST_HISTORY, replace=False)
        return History(history.items[kept], history.stars[kept])

    def _without_own(self, history: History) -> tuple[FloatArray, FloatArray]:
        """Bias and number of ratings of each item, without the rating that is asked."""
        biases = self._biases
        bias, count = biases.item[history.items], biases.count[history.items]
        own = biases.surprises(history) + bias - np.float32(biases.of_user(history))
        return (bias * (count + ITEM_SHRINKAGE) - own) / (count - 1 + ITEM_SHRINKAGE), count - 1

    def _known_part(self, n: int) -> NDArray[np.bool_]:
        """All of n ratings, or a random few: as often one of them as one half of them."""
        known = np.ones(n, dtype=np.bool_)
        if self._rng.random() < self._recipe.short_histories:
            size = int((n + 1) ** self._rng.random()) - 1
            known[self._rng.permutation(n)[size:]] = False
        return known

    def _add_negatives(self, history: History, items: NDArray[np.int64], stars: FloatArray, weight: FloatArray) -> None:
        """Fill in random items; those that were rated after all weigh nothing."""
        n = math.ceil(self._recipe.negatives * len(history.items))
        items[:n] = self._rng.integers(0, len(self._biases.item), n)
        stars[:n] = self._biases.mean + self._biases.of_user(history) - NEGATIVE_STARS
        weight[:n] = np.where(np.isin(items[:n], history.items), 0.0, self._recipe.negative_weight)


class _Network(nn.Module):
    """`RatingModel` as it is trained: the same sums, each rating left out of its own history."""

    def __init__(self, vectors: Tensor, recipe: Recipe) -> None:
        super().__init__()
        d, h = recipe.numbers, recipe.heads
        self.d, self.h = d, h
        self.register_buffer("vectors", vectors)
        self.vectors: Tensor
        self.project = nn.Linear(vectors.shape[1], d + 2 * h * d)
        # Of the taste vector and of key and query together: what texts do not tell of an item draws and is drawn.
        self.offsets = nn.Parameter(torch.zeros(vectors.shape[0], d + h * d), requires_grad=recipe.offsets)
        self.null = nn.Parameter(torch.full((h,), 2.0))
        self.log_shrinkage = nn.Parameter(torch.tensor(2.0))
        self.head_gain = nn.Parameter(torch.full((h,), 0.5))
        self.taste_gain = nn.Parameter(torch.tensor(1.0))
        self.drop = nn.Dropout(recipe.dropout)
        self.hidden = nn.Linear(d + h + 4, recipe.hidden)
        self.out = nn.Linear(recipe.hidden, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def groups(self, recipe: Recipe) -> list[dict[str, object]]:
        """Parameters with their weight decay; offsets of items with few ratings should stay small."""
        others = [parameter for name, parameter in self.named_parameters() if name != "offsets"]
        return [
            {"params": others, "weight_decay": recipe.weight_decay},
            {"params": [self.offsets], "weight_decay": recipe.offset_decay},
        ]

    def forward(self, items: Tensor, history: Tensor, surprises: Tensor, item_bias: Tensor, count: Tensor) -> Tensor:
        """Stars less the mean for each of `items`: (b, t); see `_Lesson`."""
        n = history.shape[1]
        told = history.float()
        own = nn.functional.pad(told, (0, items.shape[1] - n))  # (b, t): 1 where the asked rating is in the history
        of_own = nn.functional.pad(told * surprises, (0, items.shape[1] - n))
        n_told = told.sum(dim=1, keepdim=True) - own
        user = ((told * surprises).sum(dim=1, keepdim=True) - of_own) / (n_told + USER_SHRINKAGE)  # (b, t)
        taste, key, query = self._projected(items)
        mine = taste[:, :n] * told[:, :, None]
        liked = (mine * surprises[:, :, None]).sum(dim=1, keepdim=True) - taste * of_own[:, :, None]
        rated = mine.sum(dim=1, keepdim=True) - taste * own[:, :, None]
        vector = (liked - user[:, :, None] * rated) / (n_told + self.log_shrinkage.exp())[:, :, None]
        agreement = vector * taste
        heads = self._attention(query, key[:, :n], history, surprises, user)
        counts = COUNT_SCALE * torch.log1p(torch.stack([n_told, count], dim=2))
        inputs = torch.cat([agreement, heads, user[:, :, None], item_bias[:, :, None], counts], dim=2)
        layer = self.out(self.drop(torch.relu(self.hidden(inputs)))).squeeze(2)
        corrections: Tensor = heads @ self.head_gain + self.taste_gain * agreement.sum(dim=2) + layer
        return user + item_bias + corrections

    def weights(self) -> Weights:
        """The parameters as numpy arrays, texts and offsets already summed for every item."""
        with torch.no_grad():
            taste, key, query = self._projected(torch.arange(len(self.vectors))[None])
            hidden, out = self.hidden, self.out
            values = (
                *(taste[0], key[0], query[0], self.null, self.log_shrinkage.exp(), self.head_gain, self.taste_gain),
                *(hidden.weight.T, hidden.bias, out.weight[0], out.bias[0]),
            )
            return Weights(*(np.array(value.detach().numpy(), dtype=np.float32, order="C") for value in values))

    def _projected(self, items: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Taste (b, t, d), key and query (b, t, h, d)."""
        d, h = self.d, self.h
        vectors = self.vectors[items]
        # One draw for all items of a user: a draw for each takes half of the training time.
        projected = self.project(vectors * self.drop(torch.ones(len(items), 1, vectors.shape[2])))
        offsets = self.offsets[items]
        taste = projected[:, :, :d] + offsets[:, :, :d]
        shape = (*items.shape, h, d)
        key, query = (
            (projected[:, :, start : start + h * d] + offsets[:, :, d:]).reshape(shape) for start in (d, d + h * d)
        )
        return taste, key, query

    def _attention(self, query: Tensor, key: Tensor, history: Tensor, surprises: Tensor, user: Tensor) -> Tensor:
        """What `retrieval.ratings.model._attention` gives, without each asked rating's own: (b, t, h)."""
        n = history.shape[1]
        likeness = torch.einsum("bthd,bnhd->bhtn", query, key) / math.sqrt(self.d)
        seen = history[:, None, :].expand(-1, query.shape[1], -1).clone()
        seen[:, range(n), range(n)] = False
        likeness = likeness.masked_fill(~seen[:, None], _FAR)
        null = self.null[None, :, None, None].expand(*likeness.shape[:3], 1)
        share = torch.cat([likeness, null], dim=3).softmax(dim=3)[:, :, :, :n]
        heads = torch.einsum("bhtn,bn->bth", share, surprises) - share.sum(dim=3).transpose(1, 2) * user[:, :, None]
        return heads
