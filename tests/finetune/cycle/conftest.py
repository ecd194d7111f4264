"""A shop with a planted log: some customers who took films and refused others, and what a job over it needs."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cycle_shop import Shopfront

# Helpers of other folders, which pytest finds by itself only where those tests run, too.
TESTS = Path(__file__).parents[2]
sys.path[:0] = [str(TESTS / "agent"), str(TESTS / "agent" / "learning"), str(TESTS / "finetune" / "training")]


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from cycle_shop import plant

    return plant(tmp_path_factory.mktemp("planted") / "var")


@pytest.fixture
def shop(planted: Path, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shopfront]:
    from cycle_shop import Shopfront

    async def here(work: Callable[..., object], *args: object, seconds: float) -> object:
        return work(*args)

    monkeypatch.setattr("agent.llm.probe.run_apart", here)  # a process for each probe takes seconds
    with Shopfront.at(Path(shutil.copytree(planted, tmp_path / "var")), tiny_base) as opened:
        yield opened
