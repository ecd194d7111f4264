"""How much each item is shown, and when a rise is an alarm."""

import pytest

from finetune.feedback.exposure import Exposure, exposure, exposure_shift

CHAMPION = [("a", "b", "c"), ("b", "c", "d"), ("c", "d", "a"), ("d", "a", "b")] * 50


def test_the_share_of_an_item_over_lists() -> None:
    found = exposure([("a", "b"), ("b", "c"), ("b",)])
    assert (found.total, found.share("b"), found.share("x")) == (5, 0.6, 0.0)
    assert exposure([("a", "b"), ("b", "c")], depth=1).share("b") == 0.5
    assert exposure([]).share("a") == 0.0


def test_an_item_that_is_pushed_is_an_alarm_and_named() -> None:
    pushed = [("x", *one[:2]) for one in CHAMPION]
    shift = exposure_shift(exposure(CHAMPION), exposure(pushed))
    assert (shift.item_id, shift.alarm) == ("x", True)
    assert shift.rise == pytest.approx(1 / 3)
    assert shift.distance == pytest.approx(1 / 3)


def test_equal_lists_a_small_rise_and_a_rise_by_chance_are_none() -> None:
    same = exposure_shift(exposure(CHAMPION), exposure(CHAMPION))
    assert (same.distance, same.rise, same.alarm) == (0.0, 0.0, False)
    little = exposure_shift(Exposure({"a": 5000, "b": 5000}), Exposure({"a": 5400, "b": 4600}))
    assert (little.item_id, little.alarm) == ("a", False)
    assert little.z > 5
    few = exposure_shift(Exposure({"a": 5, "b": 5}), Exposure({"a": 6, "b": 4}))
    assert (few.rise, few.alarm) == (pytest.approx(0.1), False)


def test_a_set_without_lists_is_an_alarm() -> None:
    assert exposure_shift(exposure(CHAMPION), exposure([])).alarm
    assert exposure_shift(exposure([]), exposure(CHAMPION)).alarm
