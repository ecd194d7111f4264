from __future__ import annotations

from agent.rank.intervals import Interval
from finetune.training.private import Privacy
from finetune.training.private_cost import PrivacyArm, PrivacyCost
from ui.bench.render_privacy import privacy_lines
from ui.commands.adapters import _privacy


def around(value: float) -> Interval:
    return Interval(value=value, low=value - 0.1, high=value + 0.1)


def arm(name: str, epsilon: float | None, noise: float) -> PrivacyArm:
    return PrivacyArm(
        name=name, epsilon=epsilon, delta=0.008, noise=noise, steps=15, noise_over_signal=9 * noise, loss=around(1.5),
        accuracy=around(0.5), loss_gain=around(-0.25), accuracy_gain=around(0.25), seconds=61.2,
    )  # fmt: skip


def test_the_page_says_what_each_epsilon_cost() -> None:
    cost = PrivacyCost(
        model="tiny", people=80, lessons=320, people_each_step=32, visits=6, clip=0.1, rate=1e-3, held_out_people=40,
        held_out=160, champion_loss=around(1.75), champion_accuracy=around(0.25), people_for_one=5120,
        arms=(arm("off", None, 0.0), arm("epsilon 8", 7.991, 0.75)),
    )  # fmt: skip
    lines = privacy_lines(cost.model_dump(mode="json"))
    page = "\n".join(lines)
    assert "40 others (160 lessons, other phrases)" in page
    assert "25.0% [15.0% – 35.0%]" in lines[0]
    assert "about 5,120 people" in page
    off, private = (next(line for line in lines if line.startswith(f"| {name}")) for name in ("off", "epsilon 8"))
    assert off.split("|")[2:5] == [" - "] * 3
    assert "(7.99 spent)" in private
    assert " 0.75 | 6.8 | 15 | 50.0%" in private
    assert "+25.0% [+15.0% – +35.0%]" in private
    assert "-0.250 [-0.350 – -0.150]" in private


def test_an_adapter_says_what_it_spent() -> None:
    spent = Privacy(2.9871, 0.0081, 1.5, 0.4, 15, 0.1, 80, 80)
    told = spent.as_json(10_000)
    assert _privacy(None) == "Privacy: not asked for."
    assert "epsilon 2.987 (delta 0.0081) for each person of 80;" in _privacy(told)
    assert "Its noise is 1.2 times as long" in _privacy(told)
    assert "the ranker and the index" in _privacy(told)
    assert "one before it had no privacy" in _privacy({**told, "total_epsilon": None})
    assert "without noise" in _privacy({**told, "epsilon": None})
