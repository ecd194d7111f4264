"""The figures of understanding as Markdown. Knows nothing of how they came about."""

from __future__ import annotations

from collections.abc import Iterable

from agent.bench.understanding import AttitudeScore, ModelRun, SetScore, UnderstandingScores
from ui.bench.render_talk import table


def understanding_lines(scores: UnderstandingScores) -> list[str]:
    """Every set with every model, kind by kind, and what the merged reading gains over the rules."""
    lines = [
        "Facts read out of messages by rules alone, by the model alone, and merged (`agent/understand/merging.toml`); "
        "F1 over all kinds, with the 95 % interval of merged minus rules (paired bootstrap over dialogues). "
        "Beside an adapter the base model reads fewer messages, and merged it is given no say.",
    ]
    for run in scores.runs:
        lines += ["", *_run(run)]
    if scores.agreement:
        rows = [(one.name, str(one.n), f"{one.kappa:.2f}", f"{one.facts_f1:.2f}") for one in scores.agreement]
        lines += [
            "",
            "The labels of ReDial and RecQuest are two readings by language models that followed written rules, not "
            "human labels; figures on them are means over both readings. How far the two agree:",
            "",
            *table(("set", "turns", "Cohen's kappa of the intent", "F1 of the facts"), rows),
        ]
    return lines


def _run(run: ModelRun) -> list[str]:
    name = f"{run.model}, adapter {run.adapter}" if run.adapter else f"{run.model}, untuned"
    header = ("set", "n", "rules", "model alone", "merged", "merged minus rules", "exact: rules", "exact: merged")
    lines = [
        f"**{name}**: {run.ms_p50:.0f} ms a message at the median, {run.ms_p95:.0f} ms at the 95th percentile "
        f"({run.asked} messages).",
        "",
        *table(header, [_set_row(one) for one in run.sets]),
        "",
        "By kind (F1 of rules / model / merged, and how often the kind is wanted):",
        "",
        *table(("set", "kind", "rules", "model alone", "merged", "wanted"), _kind_rows(run.sets)),
    ]
    if run.attitudes:
        told = ("", "films told of", "attitude found", "of the right sign", "disliked", "of those right")
        lines += ["", "Who likes what (ReDial train, seekers):", "", *table(told, map(_attitude_row, run.attitudes))]
    return lines


def _set_row(one: SetScore) -> tuple[str, ...]:
    f1 = {system.system: system for system in one.systems}
    difference = f"{one.difference:+.3f} [{one.difference_low:+.3f}, {one.difference_high:+.3f}]"
    exact = (f"{f1['rules'].exact:.3f}", f"{f1['merged'].exact:.3f}")
    scores = (f"{f1[name].f1:.3f}" for name in ("rules", "model", "merged"))
    return f"{one.name} ({one.what})", str(one.n), *scores, difference, *exact


def _kind_rows(sets: Iterable[SetScore]) -> Iterable[tuple[str, ...]]:
    for one in sets:
        by_system = {system.system: {kind.kind: kind for kind in system.kinds} for system in one.systems}
        for kind in sorted({kind for kinds in by_system.values() for kind in kinds}):
            found = [by_system[name].get(kind) for name in ("rules", "model", "merged")]
            wanted = max(score.wanted for score in found if score)
            yield one.name, kind, *(f"{score.f1:.3f}" if score else "-" for score in found), str(wanted)


def _attitude_row(one: AttitudeScore) -> tuple[str, ...]:
    return (
        one.system,
        str(one.wanted),
        f"{one.known / max(one.wanted, 1):.3f}",
        f"{one.right / max(one.wanted, 1):.3f}",
        str(one.disliked),
        f"{one.disliked_right / max(one.disliked, 1):.3f}",
    )
