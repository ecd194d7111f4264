"""Learned intents on disk: immutable folders, the newest complete one is in use.

    <data_dir>/intents/<tenant>/int-000002/model.npz        weights, and the examples' vectors
                                          /words.json       vocabularies
                                          /manifest.json    written last: a folder without it does not exist

Reading one back runs no code of it. The examples are the operator's own words; of customers nothing is here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.support.intent_kernel import Kernel
from agent.support.intent_words import restored
from agent.support.intents import IntentGuess, IntentModel, IntentRule, Linear, Nearest, Scope
from retrieval.encoder import Encoder, same_space
from retrieval.errors import DataDirectoryError, IndexUnavailable

SCHEMA = 2
"""Raised when the files of a folder change their meaning."""
MANIFEST, MODEL, WORDS = "manifest.json", "model.npz", "words.json"
KEPT = 2
"""The newest, and the one before it for a server that still reads it."""
_NUMBERED = re.compile(r"int-(\d{6,})")


@dataclass(frozen=True, slots=True)
class Intents:
    """A tenant's intents, ready to be asked; `id` is the folder's name."""

    id: str
    model: IntentModel
    rules: Mapping[str, IntentRule]
    encoder: Encoder

    def read(self, text: str) -> tuple[IntentGuess, IntentRule | None]:
        """What `text` is for, and what is done for that; None for a text outside all intents."""
        guess = self.model.guess([text], self.encoder)[0]
        return guess, self.rules.get(guess.intent or "")


def write_intents(root: Path, model: IntentModel, rules: Sequence[IntentRule]) -> Path:
    """Write a new folder below `root`; it is complete when this returns, and older ones are deleted.

    Raises:
        DataDirectoryError: the disk is full or read-only.
    """
    numbers = [int(match[1]) for one in _folders(root) if (match := _NUMBERED.fullmatch(one.name))]
    folder = root / f"int-{max(numbers, default=0) + 1:06d}"
    stored, weights = model.words.stored()
    arrays: dict[str, NDArray[Any]] = {
        "word_weights": model.word_side.weights,
        "word_bias": model.word_side.bias,
        "meaning_axes": model.meaning_side.axes,
        "meaning_points": model.meaning_side.points,
        "meaning_weights": model.meaning_side.weights,
        "example_vectors": model.examples.vectors,
        "example_starts": model.examples.starts,
        **{f"idf_{name}": values for name, values in weights.items()},
    }
    manifest = {
        "schema": SCHEMA,
        "created": datetime.now(UTC).isoformat(),
        "encoder": model.encoder,
        "labels": model.labels,
        "outside": model.outside,
        "blend": model.blend,
        "scope": None if model.scope is None else asdict(model.scope),
        "rules": [asdict(rule) for rule in rules],
    }
    try:
        folder.mkdir(parents=True)
        with (folder / MODEL).open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        (folder / WORDS).write_text(json.dumps(stored, ensure_ascii=False), encoding="utf-8")
        half = folder / f"{MANIFEST}.half"
        with half.open("w", encoding="utf-8") as text:
            json.dump(manifest, text, ensure_ascii=False, indent=1)
            text.flush()
            os.fsync(text.fileno())
        half.replace(folder / MANIFEST)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise DataDirectoryError(
            f"The intents could not be written to {str(folder)!r} ({error.strerror}); free some space and try again."
        ) from None
    for older in _complete(root)[:-KEPT]:
        shutil.rmtree(older, ignore_errors=True)
    return folder


def newest(root: Path) -> Path | None:
    """The folder in use below `root`, None where there is none."""
    return next(reversed(_complete(root)), None)


def open_intents(folder: Path, encoder: Encoder) -> Intents:
    """Read a complete folder.

    Raises:
        IndexUnavailable: it is not one of ours, or was learned with another encoder.
    """
    try:
        told: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if told["schema"] != SCHEMA:
            raise ValueError(f"its schema is {told['schema']}, ours is {SCHEMA}")
        vocabularies: dict[str, list[str]] = json.loads((folder / WORDS).read_text(encoding="utf-8"))
        with (folder / MODEL).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            model = _model(told, vocabularies, arrays)
        rules = {one["intent"]: IntentRule(**one) for one in told["rules"]}
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise IndexUnavailable(
            f"The intents in {str(folder)!r} cannot be read ({error}); run `chatalogue import intents FILE` again."
        ) from None
    if not same_space(model.encoder, encoder.name):
        raise IndexUnavailable(
            f"The intents in {str(folder)!r} were learned with the encoder {model.encoder!r}, the setting is "
            f"{encoder.name!r}; run `chatalogue import intents FILE` again."
        )
    return Intents(folder.name, model, rules, encoder)


def _model(told: Mapping[str, Any], vocabularies: dict[str, list[str]], arrays: Mapping[str, Any]) -> IntentModel:
    first, second, third = told["blend"]
    scope = told["scope"]
    return IntentModel(
        tuple(told["labels"]),
        told["outside"],
        told["encoder"],
        restored(vocabularies, {name: arrays[f"idf_{name}"] for name in vocabularies}),
        Linear(arrays["word_weights"], arrays["word_bias"]),
        Kernel(arrays["meaning_axes"], arrays["meaning_points"], arrays["meaning_weights"]),
        Nearest(arrays["example_vectors"], arrays["example_starts"]),
        (first, second, third),
        None if scope is None else Scope(scope["bias"], tuple(scope["weights"]), scope["threshold"]),
    )


def _folders(root: Path) -> list[Path]:
    """Ours, the oldest first."""
    return sorted(one for one in root.glob("int-*") if _NUMBERED.fullmatch(one.name)) if root.is_dir() else []


def _complete(root: Path) -> list[Path]:
    return [one for one in _folders(root) if (one / MANIFEST).is_file()]
