from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from agent.rank.blend import blended, read_tuned, standardised
from retrieval.errors import BadRequest


def test_a_trained_model_is_believed_as_much_as_the_training_says() -> None:
    numbers = (0.0, 1.0, 0.0)
    assert blended(numbers, 0.0).tolist() == list(numbers)
    assert np.argmax(blended(numbers, 1.0)) == 1
    assert np.argmax(blended(numbers, 2.0)) == 0, "one log-odd is less than twice the log of two places"


def test_an_untuned_model_breaks_near_ties_alone() -> None:
    """Whatever it says, on whatever scale: what it likes rises between neighbours far down, not to the top."""
    likes_the_last = np.argsort(-blended([0.0] * 19 + [1_000.0], None)).tolist()
    assert likes_the_last[:10] == list(range(10))
    assert likes_the_last.index(19) < 19


def test_numbers_without_a_difference_say_nothing() -> None:
    assert standardised([3.0, 3.0]).tolist() == [0.0, 0.0]
    assert standardised([]).tolist() == []
    assert np.argsort(-blended([3.0] * 5, None)).tolist() == list(range(5))


def test_a_training_is_read_from_its_folder_or_its_adapter_s(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    (folder / "adapter").mkdir(parents=True)
    with pytest.raises(BadRequest, match=r"recipe\.json.*--export"):
        read_tuned(folder)
    (folder / "recipe.json").write_text(json.dumps({"prior": 0.75}), encoding="utf-8")
    for named in (folder, folder / "adapter"):
        tuned = read_tuned(named)
        assert (tuned.prior, tuned.adapter, tuned.folder) == (0.75, folder / "adapter", folder)
    (folder / "recipe.json").write_text("[]", encoding="utf-8")
    with pytest.raises(BadRequest, match="does not tell"):
        read_tuned(folder)
    with pytest.raises(BadRequest, match="no folder"):
        read_tuned(tmp_path / "none")
