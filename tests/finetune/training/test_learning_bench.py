from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from training_doubles import GENRES, lesson, quick

from agent.rank.intervals import Interval
from finetune.bench.figures import NOTHING, RECORDED, Cell, Outcome, method_figures
from finetune.bench.keeping import Kept
from finetune.bench.measuring import Bench, Plan, bench_recipe
from finetune.bench.streams import (
    FILMS,
    GAMES,
    Block,
    Question,
    Sizes,
    Stream,
    anchor_questions,
    corrected,
    dialogue_stream,
    domain_stream,
)
from finetune.training.recipe import METHODS
from retrieval.errors import BadRequest
from ui.bench.render_learning import learning_lines

GROUPS = {1: ["a", "a", "b", "b"], 2: ["c", "c", "d", "d"]}


def question(number: int, *, choice: bool = False) -> Question:
    one = lesson(number)
    wrong = tuple(f"genre {genre}" for genre in GENRES if f"genre {genre}" != one.answers[0]) if choice else ()
    return Question(f"q{number}{choice}", f"g{number // 2}", one.prompt, (*one.answers, *wrong))


def toy(name: str, seed: int) -> Stream:
    """Two blocks: genres as they are, then everybody means the next one."""
    first = tuple(lesson(number, period=f"{seed} one") for number in range(8))
    turned = (
        replace(lesson(number, period=f"{seed} two"), answers=(f"genre {GENRES[number % 2]}",)) for number in range(8)
    )
    tests = (tuple(question(number, choice=name == "dialogues") for number in range(4)),) * 2
    known = tuple(lesson(number, period=f"{seed} known") for number in range(4))
    blocks = (Block("one", first, tests[0]), Block("two", tuple(turned), tests[1]))
    return Stream(name, blocks, known, tuple(question(number) for number in range(3)))


@pytest.fixture
def plan(tiny_base: Path, tmp_path: Path) -> Plan:
    recipe = bench_recipe(quick(rank=4, alpha=8, rate=3e-2, every=99))
    return Plan(tiny_base, "tiny", None, None, recipe, tmp_path / "work", seeds=2, sizes=Sizes(8, 4, 4, 3))


def finished(plan: Plan, file: Path) -> tuple[Bench, list[str]]:
    said: list[str] = []
    return Bench(plan, Kept(file, plan.decides()), said.append, toy), said


def lines(file: Path) -> list[dict[str, object]]:
    """Without what the clock says."""
    found = [json.loads(line) for line in file.read_text().splitlines()]
    for one in found:
        one.get("cell", {}).pop("seconds", None)
    return found


def test_all_methods(plan: Plan, tmp_path: Path) -> None:
    bench, said = finished(replace(plan, streams=("domains",), seeds=1), tmp_path / "kept.jsonl")
    report = bench.run()
    assert said[0].startswith("budget: 17 cells, "), "told before anything is computed"
    assert not report.missing
    (stream,) = report.streams
    told = {one.method: one for one in stream.methods}
    assert list(told) == [NOTHING, *METHODS]
    assert all(one.kl > 0 and one.next_gain is not None for name, one in told.items() if name != NOTHING)
    assert told["refit"].tokens > told["replay"].tokens > told["naive"].tokens
    assert {(one.asked, one.learned) for one in told["naive"].crossings} == {("one", "two"), ("two", "one")}
    assert not list((tmp_path / "work").glob("*/block-*")), "adapters go when nobody needs them"
    lines = learning_lines(report.model_dump(mode="json"))
    assert sum(line.startswith("| ewc |") for line in lines) == 1 + 2 + 2, "gains, two crossings, the matrix"


def test_choices_and_several_seeds(plan: Plan, tmp_path: Path) -> None:
    bench, _ = finished(replace(plan, streams=("dialogues",), methods=(NOTHING, "naive")), tmp_path / "kept.jsonl")
    (stream,) = bench.run().streams
    assert [(one.method, one.seeds) for one in stream.methods] == [(NOTHING, 2), ("naive", 2)]
    gain = stream.methods[1].own_gain
    assert gain is not None
    assert gain.value > 0, "what is learned is known"


def test_a_killed_run_goes_on_to_the_same_numbers(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(plan, methods=(NOTHING, "replay+proximal"), seeds=1, streams=("domains",))
    whole = tmp_path / "whole.jsonl"
    finished(small, whole)[0].run()
    broken = tmp_path / "broken.jsonl"

    class Killed(BaseException):
        pass

    def dies(self: Bench, name: tuple[str, str, int, int], *rest: object) -> object:
        if name[3] == 2:
            raise Killed
        return learned(self, name, *rest)  # type: ignore[arg-type]

    learned = Bench._learned
    with monkeypatch.context() as patched:
        patched.setattr(Bench, "_learned", dies)
        with pytest.raises(Killed):
            finished(small, broken)[0].run()
    with broken.open("a") as file:
        file.write('{"cell": {"half')
    bench, said = finished(small, broken)
    assert bench.report().missing == ["domains, replay+proximal, seed 0, from block 2"]
    bench.run()
    assert lines(broken) == lines(whole)
    assert len([one for one in said if "after block" in one]) == 1, "only what was missing"


def test_cells_of_another_plan_are_not_mixed(plan: Plan, tmp_path: Path) -> None:
    file = tmp_path / "kept.jsonl"
    Kept(file, plan.decides())
    with pytest.raises(BadRequest, match="another plan"):
        Kept(file, replace(plan, sizes=Sizes(9, 4, 4, 3)).decides())


def test_without_no_learning_there_is_nothing_to_compare_with(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="none is among them"):
        finished(replace(plan, methods=("naive",)), tmp_path / "kept.jsonl")


def cell(block: int, right: dict[int, list[int]], **fields: object) -> Cell:
    return Cell(stream="s", method="m", seed=0, block=block, right=right, **fields)  # type: ignore[arg-type]


def test_the_arithmetic_of_forgetting_by_hand() -> None:
    nothing = cell(0, {1: [1, 0, 0, 0], 2: [0, 0, 0, 1]}, anchors=[1, 1, 0, 0], chat=[2.0, 3.0])
    first = cell(1, {1: [1, 1, 1, 0], 2: [1, 0, 1, 1]}, chat=[2.0, 3.0], kl=0.1, tokens=10)
    second = cell(2, {1: [1, 0, 0, 0], 2: [1, 1, 1, 1]}, anchors=[1, 0, 0, 0], chat=[2.5, 3.1], kl=0.3)
    after = {1: first, 2: second.model_copy(update={"drift": 0.5, "tokens": 20})}
    found = method_figures("m", [Outcome(after, nothing, GROUPS)], ["films", "games"])
    assert found.matrix == [[0.25, 0.25], [0.75, 0.75], [0.25, 1.0]]
    assert found.average.value == pytest.approx(5 / 8)
    assert found.backward is not None
    assert found.backward.value == pytest.approx(0.25 - 0.75)
    assert found.next_gain is not None
    assert found.next_gain.value == pytest.approx(0.75 - 0.25)
    assert found.own_gain is not None
    assert found.own_gain.value == pytest.approx((0.5 + 0.75) / 2)
    assert found.anchors is not None
    assert found.anchors.value == pytest.approx(-1 / 4)
    assert found.chat is not None
    assert found.chat.value == pytest.approx(0.3)
    assert (found.kl, found.drift, found.tokens) == (pytest.approx(0.2), 0.5, 30)
    crossings = {(one.asked, one.learned): one.change.value for one in found.crossings}
    assert crossings == {("games", "films"): pytest.approx(0.5), ("films", "games"): pytest.approx(-0.5)}
    # Two dialogues, of which one lost everything: -1 or -0.5 or 0 when they are drawn again.
    assert (found.backward.low, found.backward.high) == (-0.5, -0.5)


def test_a_recorded_dialogue_is_one_group_whichever_seeds_drew_it() -> None:
    def average(stream: str) -> Interval:
        nothing = [
            cell(0, {1: [1, 1, 1, 0], 2: [0, 0, 0, 1]}).model_copy(update={"stream": stream, "seed": seed})
            for seed in range(8)
        ]
        return method_figures(NOTHING, [Outcome({}, one, GROUPS) for one in nothing], ["films", "games"]).average

    recorded, made = average(RECORDED), average("domains")
    assert recorded.value == made.value
    assert recorded.high - recorded.low > 1.5 * (made.high - made.low)


def test_no_learning_has_an_accuracy_and_no_gains() -> None:
    nothing = cell(0, {1: [1, 0, 0, 0], 2: [0, 0, 0, 1]}, anchors=[1], chat=[2.0])
    found = method_figures(NOTHING, [Outcome({}, nothing, GROUPS)], ["films", "games"])
    assert found.average.value == 0.25
    assert found.matrix == [[0.25, 0.25]]
    assert found.backward is None


def test_generated_blocks_drift_and_share_nothing_with_the_anchors() -> None:
    stream = domain_stream(Sizes(6, 4, 4, 6), 0)
    again, other = domain_stream(Sizes(6, 4, 4, 6), 0), domain_stream(Sizes(6, 4, 4, 6), 1)
    assert stream == again
    assert stream.blocks[0].learn[0].prompt != other.blocks[0].learn[0].prompt
    assert [block.domain for block in stream.blocks] == ["films", "board games"] * 2
    assert [len(block.learn) for block in stream.blocks] == [6] * 4
    asked = {question.prompt for block in stream.blocks for question in block.test}
    assert not asked & {one.prompt for block in stream.blocks for one in block.learn}
    assert not asked & {one.prompt for one in anchor_questions(6)}
    systems = [block.test[0].prompt.messages[0].text for block in stream.blocks]
    assert len(set(systems)) == 4, "each block has items of its own"
    with pytest.raises(BadRequest, match="1 to 150"):
        Sizes(151)


def test_agents_of_two_shops_agree_in_part() -> None:
    said = "genre!: Drama\n-cast!: Bill Paxton\nyear: 1994\nrating> 6\nlike: 12 Monkeys!: x\nitems: 4\nnone"
    rest = "year: 1994\nrating> 6\nlike: 12 Monkeys!: x\nitems: 4\nnone"
    assert corrected(said, FILMS) == f"genre: Drama\n-cast!: Bill Paxton\n{rest}"
    assert corrected(said, GAMES) == f"genre: Drama\n-cast: Bill Paxton\n{rest}"
    assert all(corrected(one.answers[0], GAMES) == one.answers[0] for one in anchor_questions(6))


def row(name: str, item: int) -> dict[str, object]:
    said = [{"role": "user", "text": f"I would like something like number {item}"}]
    return {"id": name, "dialogue_id": name, "turns": said, "mentioned": [], "targets": [f"i{item}"], "response": ""}


def test_blocks_of_dialogues_go_from_old_items_to_new_ones(tmp_path: Path) -> None:
    items = [{"id": f"i{at}", "title": f"Film {at}", "year": 1950 + at} for at in range(80)]
    rows = {name: [row(f"{name}{at}", at) for at in range(80)] for name in ("train", "valid")}
    for name, values in {"items": items, **rows}.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in values))
    import gzip

    for file in tmp_path.glob("*.jsonl"):
        (tmp_path / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
    stream = dialogue_stream(tmp_path, Sizes(8, 6, 4, 2), 0)
    years = [[int(one.answers[0][-5:-1]) for one in block.learn] for block in stream.blocks]
    means = [sum(one) / len(one) for one in years]
    assert means == sorted(means)
    assert max(years[0]) > min(years[1]), "neighbours overlap"
    assert max(years[0]) < min(years[3])
    learned = [one.prompt for block in stream.blocks for one in block.learn]
    assert len(set(learned)) == len(learned), "nothing is learned twice"
    names = {lesson.id.split()[-1] for block in stream.blocks for lesson in block.learn}
    asked = {one.id for block in stream.blocks for one in block.test}
    assert all(name.startswith("train") for name in names)
    assert any(name.startswith("valid") for name in asked)
    assert any(name.startswith("train") for name in asked), "valid alone has too few"
    assert not names & asked
    todays = []
    for block in stream.blocks:
        assert all(len(set(one.answers)) == 4 for one in block.test)
        prompts = [*(one.prompt for one in block.learn), *(one.prompt for one in block.test)]
        (today,) = {tuple(re.findall(r"It is (\d+)\.", str(one))) for one in prompts}
        todays.append(today)
    assert todays == sorted(todays)
    assert all(max(span) <= int(today) for span, (today,) in zip(years, todays, strict=True)), "none is from later"
    with pytest.raises(BadRequest, match="fewer --examples"):
        dialogue_stream(tmp_path, Sizes(80, 6, 4, 2), 0)
