from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cycle_shop import CUSTOMERS, RECIPE, TENANT, Shopfront, visit
from training_doubles import job, mixed, quick, trained

from agent.datadir import DataDirectory
from agent.learning.forgetting import erase_customer
from agent.runs import JOB, LINEAGE, ROWS, forget_runs
from finetune.cycle_adapter import MADE, AdapterPart
from finetune.cycle_rows import cycle_rows
from finetune.cycle_runs import read_run
from finetune.dataset import write_rows
from finetune.memory import ReplayMemory
from finetune.train import LINEAGE as LINEAGE_FILE

FIRST, SECOND = "ada-000001", "ada-000002"
CUSTOMERS_BY_NAME = [f"customer {number}" for number in range(CUSTOMERS)]


def test_the_memory_without_somebody_is_the_one_that_it_would_have_made_itself(tmp_path: Path) -> None:
    memory = ReplayMemory(30, 1)
    memory.offer([*mixed(8), *mixed(8, "2026-10")])
    data = DataDirectory(tmp_path)
    memory.save(data.memory("default"))
    gone = sum(lesson.user == "u3" for lesson in memory.lessons)
    assert gone
    assert forget_runs(data, "default", ["u3"]).remembered == gone
    memory.forget(["u3"])
    memory.save(tmp_path / "expected")
    written, expected = (
        {file.name: file.read_text() for file in folder.iterdir()}
        for folder in (data.memory("default"), tmp_path / "expected")
    )
    assert written == expected
    assert ReplayMemory.load(data.memory("default")).lessons == memory.lessons


def test_whoever_is_erased_while_the_memory_is_saved_is_not_written_back(
    planted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Shopfront.at(Path(shutil.copytree(planted, tmp_path / "var")), tmp_path) as shop:
        now = datetime.now(UTC)
        found = cycle_rows(shop.request(), (), now)
        run = shop.data.runs(TENANT) / "ada-000001"
        run.mkdir(parents=True)
        write_rows(found.rows, run / ROWS)
        (run / JOB).write_text(json.dumps({"state": "waiting", "champion": None, "until": now.isoformat()}))
        save, erased = ReplayMemory.save, list[str]()
        late = [f"customer {number}" for number in range(CUSTOMERS - 2)]  # whoever is held out is not remembered anyway

        def erased_meanwhile(memory: ReplayMemory, folder: Path) -> None:
            for name in late[len(erased) : len(erased) + 3]:
                erased.append(shop.log.pseudonym(TENANT, str(shop.log.person_id(TENANT, "", name))))
                assert erase_customer(shop.data, shop.log, TENANT, "", name) is not None
            save(memory, folder)

        monkeypatch.setattr(ReplayMemory, "save", erased_meanwhile)
        AdapterPart(shop.request())._remember(read_run(run))
        assert len(erased) == len(late)
        left = {row.user for row in ReplayMemory.load(shop.data.memory(TENANT)).lessons}
        assert left
        assert not left & set(erased)
        files = shop.data.memory(TENANT).glob("rows-*.jsonl")
        assert not [one for file in files for one in erased if one in file.read_text()]


@pytest.mark.parametrize("refit_every", [2, 0])
def test_the_next_refit_goes_without_whoever_was_erased(shop: Shopfront, refit_every: int, tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"refit_every": refit_every})
    starter = trained(job(shop.base, tmp_path / "starter", mixed(2), recipe=quick())).folder
    llm = shop.settings.llm.model_copy(update={"adapter": str(starter)})
    shop.settings = shop.settings.model_copy(update={"llm": llm})
    shop.setting(promotion="direct")
    assert shop.learn(recipe=recipe).part("adapter").outcome == "champion"
    (other, *_) = sorted({lesson.user for lesson in shop.asked[0].learned})
    names = {shop.log.pseudonym(TENANT, str(shop.log.person_id(TENANT, "", one))): one for one in CUSTOMERS_BY_NAME}
    erased = erase_customer(shop.data, shop.log, TENANT, "", names[other])
    assert erased is not None
    assert erased.adapters == (FIRST,)
    for number in range(CUSTOMERS, CUSTOMERS + 5):
        visit(shop.log, number)
    if not refit_every:
        shutil.rmtree(starter)  # whose champion goes on being trained
    assert shop.learn(recipe=recipe).part("adapter").outcome == "champion"
    made = shop.registry.get(SECOND)
    assert made.config["method"] == ("refit" if refit_every else "replay+proximal")
    left = {name: counts.erased_customers for name, counts in shop.registry.sources().items()}
    holding = [one.id for one in shop.registry.holding(erased.adapters)]
    if refit_every:
        assert made.parent == shop.registry.get(FIRST).parent, "the starter, which no customer taught"
        assert made.parent is not None
        assert made.config["rehearsed"] > 0, "of all others"
        assert (left, holding) == ({FIRST: 1, SECOND: 0}, [FIRST])
    else:
        assert made.parent == FIRST
        assert (left, holding) == ({FIRST: 1, SECOND: 1}, [FIRST, SECOND])
    assert other not in {lesson.user for lesson in ReplayMemory.load(shop.data.memory(TENANT)).lessons}


def test_a_training_is_where_forgetting_looks_for_it() -> None:
    assert f"{MADE}/{LINEAGE_FILE}" == LINEAGE
