from __future__ import annotations

from typing import get_args

import pytest

from agent.skills import SkillName, is_on, verdicts


def test_there_is_a_verdict_on_every_skill() -> None:
    assert set(verdicts()) == set(get_args(SkillName))


@pytest.mark.parametrize("name", get_args(SkillName))
def test_the_setting_decides_unless_it_says_auto(name: SkillName) -> None:
    assert is_on(name, "on")
    assert not is_on(name, "off")
    assert is_on(name, "auto") == verdicts()[name]
