"""`chatalogue adapters`: the tenant's adapters, which one answers, and taking that back; a running server follows.

Beside the server: changes are rows in the database, which it looks at every second.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agent.adapters.manifest import AdapterManifest, Measured
from agent.adapters.registry import AdapterRegistry
from agent.adapters.standing import Canary
from agent.adapters.sufficing import PromotionRules
from agent.adapters.trial import LIMIT, TrialReport, trial_report
from agent.datadir import DataDirectory
from agent.llm.adapter_check import CONFIG_FILE
from agent.llm.vllm.making import check_trials
from agent.log.adapters import Move, SourceCounts
from agent.log.opening import open_log
from agent.log.store import EventLog
from agent.settings import Settings, load_settings
from ui.commands.output import print_result

SETTINGS_ADAPTER = "the adapter of the settings"


@dataclass(frozen=True, slots=True)
class _Open:
    settings: Settings
    log: EventLog
    registry: AdapterRegistry

    @property
    def tenant(self) -> str:
        return self.settings.tenant

    def trial(self) -> TrialReport | None:
        return trial_report(self.registry.standing(), self.log, self.tenant, self.rules)

    @property
    def rules(self) -> PromotionRules:
        return PromotionRules.of(self.settings.learning)

    def named(self, adapter: str | None) -> str:
        return adapter or f"{SETTINGS_ADAPTER} ({self.settings.llm.adapter})"


@contextmanager
def _opened(config: Path | None) -> Iterator[_Open]:
    settings = load_settings(config).settings
    log = open_log(settings)
    try:
        yield _Open(settings, log, AdapterRegistry(DataDirectory(settings.data_dir), log, settings.tenant))
    finally:
        log.close()


def run_list(as_json: bool, config: Path | None) -> None:
    """Print the adapters on disk, the oldest first, with their states."""
    with _opened(config) as here:
        registry, trial = here.registry, here.trial()
        found, now, sources = registry.all(), registry.standing(), registry.sources()
        if as_json:
            told = [_as_json(one, sources.get(one.id, SourceCounts())) for one in found]
            canary = None if now.canary is None else _dated(now.canary)
            print_result(json.dumps({"champion": now.champion, "canary": canary, "adapters": told}))
            return
        print_result(f"{here.named(None)}{'  champion' if now.champion is None else ''}")
        for one in found:
            print_result(_line(one, sources.get(one.id, SourceCounts())))
        if now.champion is not None and now.champion not in {one.id for one in found}:
            print_result(f"The champion {now.champion} is not there or cannot be read; the one before it answers.")
        if now.canary is not None and trial is not None:
            print_result(f"{now.canary.adapter} answers {now.canary.share:.0%} of the conversations.")
            print_result(_trial(trial, here.rules))


def run_show(adapter: str, as_json: bool, config: Path | None) -> None:
    """Print what one adapter is, where it comes from, what was done with it and what is left of whom in it."""
    with _opened(config) as here:
        one = here.registry.get(adapter)
        every = {each.id: each for each in here.registry.all()}
        counts = here.registry.sources().get(adapter, SourceCounts())
        done = [move for move in here.registry.moves() if move.adapter == adapter]
        now = here.registry.standing()
        trial = here.trial() if now.canary is not None and now.canary.adapter == adapter else None
        line = _lineage(one, every)
        if as_json:
            told = _as_json(one, counts) | {"lineage": line, "moves": [_dated(move) for move in done]}
            print_result(json.dumps(told | {"trial": None if trial is None else asdict(trial)}))
            return
        print_result(_page(one, counts, line))
        for move in done:
            when = f"{move.at:%Y-%m-%d %H:%M}" if move.at else ""
            print_result(f"  {when}  {move.kind}{f' {move.share:.0%}' if move.share else ''}  {move.reason}".rstrip())
        if trial is not None:
            print_result(_trial(trial, here.rules))


def run_diff(first: str, second: str, as_json: bool, config: Path | None) -> None:
    """Print in what two adapters differ."""
    with _opened(config) as here:
        left, right = _flat(here.registry, first), _flat(here.registry, second)
    names = [name for name in dict.fromkeys((*left, *right)) if left.get(name) != right.get(name)]
    if as_json:
        print_result(json.dumps({name: {first: left.get(name), second: right.get(name)} for name in names}))
        return
    for name in names:
        print_result(f"{name}\n  {first}: {left.get(name, '-')}\n  {second}: {right.get(name, '-')}")
    if not names:
        print_result("They do not differ.")


def run_promote(adapter: str, canary: float | None, reason: str, config: Path | None) -> None:
    """Put an adapter on trial, or make it the champion."""
    with _opened(config) as here:
        if canary is None:
            here.registry.promote(adapter, reason)
            print_result(f"{adapter} is the champion; a running server takes it over by itself.")
        else:
            check_trials(here.settings.llm)
            here.registry.start_canary(adapter, canary, reason)
            print_result(
                f"{adapter} answers {canary:.0%} of the conversations as soon as the server has it; "
                "it is halted where it does harm, and the setting 'learning.canary_ends' says what ends it else."
            )


def run_rollback(reason: str, config: Path | None) -> None:
    """Take back the last promotion."""
    with _opened(config) as here:
        back = here.registry.roll_back(reason)
        for name in back.missing:
            print_result(f"{name} is not there any more or is damaged; it could not be gone back to.")
        print_result(f"{back.taken_back} is taken back; {here.named(back.champion)} answers.")


def run_prune(keep: int, config: Path | None) -> None:
    """Delete old adapters."""
    with _opened(config) as here:
        gone = here.registry.prune(keep)
        print_result(f"Deleted: {', '.join(gone) or 'none'}.")


def _line(one: AdapterManifest, counts: SourceCounts) -> str:
    erased = f", {counts.erased_customers} of them erased since" if counts.erased_customers else ""
    told = f"{one.examples} examples of {one.customers} customers{erased}"
    return f"{one.id}  {one.state:9}  {one.created[:16]}  from {one.parent or 'the base'}  {told}"


def _page(one: AdapterManifest, counts: SourceCounts, line: list[str]) -> str:
    rows = [f"  {name}: {_metric(value)}" for name, value in sorted(one.metrics.items())]
    return "\n".join([
        f"{one.id}  {one.state}",
        f"Made {one.created[:16]} by commit {one.commit}, weights {one.weight_hash}",
        f"Base {one.base.model} ({one.base.identity})",
        f"Lineage: {' <- '.join(line)}",
        f"Data {one.data_hash}: {one.examples} examples of {one.customers} customers ({one.consent})",
        _left(counts),
        f"Seeds: {_pairs(one.seeds)}",
        f"Config: {_pairs({name: value for name, value in one.config.items() if name != 'privacy'})}",
        _privacy(one.config.get("privacy")),
        f"Skills: {', '.join(one.skills) or 'none'}",
        f"Gate: {'passed' if one.verdict.passed else 'refused'}. {one.verdict.reason}",
        *rows,
        "Done with it:",
    ])  # fmt: skip


def _privacy(spent: Mapping[str, Any] | None) -> str:
    """What the training gave away of any one person."""
    if spent is None:
        return "Privacy: not asked for."
    if spent["epsilon"] is None:
        return "Privacy: none, people were clipped without noise."
    total = spent["total_epsilon"]
    chain = f"{total:.4g} with those that it goes on from" if total is not None else "one before it had no privacy"
    return (
        f"Privacy: epsilon {spent['epsilon']:.4g} (delta {spent['delta']:.2g}) for each {spent['unit']} of "
        f"{spent['people']}; {chain}. Covers {spent['covers']}. Its noise is {spent['noise_over_signal']:.1f} times as "
        "long as what they can say together."
    )


def _left(counts: SourceCounts) -> str:
    """What stays in the weights of those who were erased."""
    if not counts.customers:
        return "Erased since: nobody is known to be in it."
    if not counts.erased_customers:
        return f"Erased since: none of its {counts.customers} customers."
    return (
        f"Erased since: {counts.erased_customers} of its {counts.customers} customers ({counts.erased_conversations} "
        f"of {counts.conversations} conversations). Their words are gone; what the weights learned from them stays "
        "until an adapter made without them takes over and this one is pruned."
    )


def _lineage(one: AdapterManifest, every: Mapping[str, AdapterManifest]) -> list[str]:
    line, parent = [one.id], one.parent
    while parent is not None and parent not in line:
        line.append(parent)
        parent = every[parent].parent if parent in every else None
    return line


def _trial(report: TrialReport, rules: PromotionRules) -> str:
    lines = [f"Trial: {report.canary} conversations of the canary, {report.champion} of the champion"]
    for one in report.findings:
        lines.append(
            f"  {one.sign}: {_rate(one.canary, report.canary)}, champion {_rate(one.champion, report.champion)} "
            f"(log evidence against it {one.evidence:.1f}, halted at {LIMIT:.1f})"
        )
    if report.passed:
        lines.append(f"  {report.passed}")
    elif rules.automatic:
        lines.append(
            f"  It is promoted when it is surely less than {rules.margin:g} worse on each, from {rules.sessions} "
            f"conversations on; after {rules.days:g} days it is a candidate again."
        )
    else:
        lines.append("  It is promoted by `chatalogue adapters promote` alone (the setting 'learning.canary_ends').")
    return "\n".join(lines)


def _rate(seen: int, total: int) -> str:
    return f"{seen} ({seen / total:.1%})" if total else str(seen)


def _metric(value: Measured) -> str:
    return f"{value.value:.4g} [{value.low:.4g}, {value.high:.4g}] over {value.n}"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items()) or "none"


def _flat(registry: AdapterRegistry, adapter: str) -> dict[str, str]:
    """What an adapter is, as lines by name; PEFT's own configuration too."""
    one = registry.get(adapter)
    config = json.loads((registry.folder(adapter) / CONFIG_FILE).read_text(encoding="utf-8"))
    told: dict[str, Any] = {
        "state": one.state,
        "parent": one.parent,
        "base": f"{one.base.model} {one.base.identity}",
        "data": one.data_hash,
        "examples": one.examples,
        "customers": one.customers,
        "consent": one.consent,
        "commit": one.commit,
        "weights": one.weight_hash,
        "skills": ", ".join(one.skills),
        "verdict": one.verdict.reason,
    }
    told |= {f"config {name}": value for name, value in one.config.items()}
    told |= {f"peft {name}": value for name, value in config.items()}
    told |= {f"seed {name}": value for name, value in one.seeds.items()}
    told |= {f"metric {name}": _metric(value) for name, value in one.metrics.items()}
    return {name: str(value) for name, value in told.items()}


def _as_json(one: AdapterManifest, counts: SourceCounts) -> dict[str, Any]:
    return asdict(one) | {"weight_hash": one.weight_hash, "sources": asdict(counts)}


def _dated(one: Move | Canary) -> dict[str, Any]:
    return asdict(one) | {"at": one.at.isoformat() if one.at else None}
