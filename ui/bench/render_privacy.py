"""What privacy costs as Markdown: the same lessons, learned with less and less privacy spent.

Knows nothing of how anything was measured.
"""

from __future__ import annotations

from pydantic import JsonValue

from agent.rank.intervals import Interval
from finetune.training.private_cost import PrivacyArm, PrivacyCost
from ui.bench.render_talk import table

SECTION = "privacy"
TITLE = "What differential privacy costs"
_HEADER = (
    "learned with", "delta", "noise multiplier", "noise over signal", "steps", "right answers",
    "gain over the champion", "loss", "change of the loss", "training, s",
)  # fmt: skip


def privacy_lines(result: JsonValue) -> list[str]:
    """The page of `PrivacyCost`."""
    cost = PrivacyCost.model_validate(result)
    enough = f"about {cost.people_for_one:,}" if cost.people_for_one else "more than ten million"
    return [
        f"{cost.people} simulated customers ({cost.lessons} lessons) call kinds of films by words of their own; "
        f"{cost.held_out_people} others ({cost.held_out} lessons, other phrases) tell what was learned, 95 % intervals "
        f"by customer. {cost.model} goes on from the champion, which gives {_share(cost.champion_accuracy)} right "
        f"answers at a loss of {_number(cost.champion_loss)}. Privacy is by person: {cost.people_each_step} of them a "
        f"step, {cost.visits:g} steps for each on average, gradients clipped to {cost.clip:g}, rate {cost.rate:g}; one "
        "seed.",
        "",
        *table(_HEADER, [_row(arm) for arm in cost.arms]),
        "",
        "Noise over signal: how many times longer the noise of all steps is than what all who are asked could say "
        f"together at most. It would be 1 with {enough} people at the largest of these epsilons. 'Off' is the "
        "trainer without privacy, which learns both factors of the LoRA and takes fewer, fuller steps.",
    ]


def _row(arm: PrivacyArm) -> tuple[str, ...]:
    return (
        arm.name if arm.epsilon is None else f"{arm.name} ({arm.epsilon:.2f} spent)",
        "-" if arm.epsilon is None or arm.delta is None else f"{arm.delta:.2g}",
        f"{arm.noise:.2f}" if arm.noise else "-",
        f"{arm.noise_over_signal:.1f}" if arm.noise_over_signal else "-",
        str(arm.steps),
        _share(arm.accuracy),
        f"{arm.accuracy_gain.value:+.1%} [{arm.accuracy_gain.low:+.1%} – {arm.accuracy_gain.high:+.1%}]",
        _number(arm.loss),
        f"{arm.loss_gain.value:+.3f} [{arm.loss_gain.low:+.3f} – {arm.loss_gain.high:+.3f}]",
        f"{arm.seconds:.0f}",
    )


def _share(one: Interval) -> str:
    return f"{one.value:.1%} [{one.low:.1%} – {one.high:.1%}]"


def _number(one: Interval) -> str:
    return f"{one.value:.3f} [{one.low:.3f} – {one.high:.3f}]"
