"""Is the canary worse than the champion? Counted from the log, conversation by conversation.

A conversation counts for the adapter whose share it belongs to, whoever answered it in the end: a canary that cannot be
loaded or breaks the engine is the canary's fault. Knows no engines and moves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from agent.adapters.sequential import log_evidence
from agent.adapters.standing import Canary, Standing, is_canarys
from agent.adapters.sufficing import DEFAULT_RULES, PromotionRules, look_at, most_worse
from agent.log.adapters import SessionSigns
from agent.log.store import EventLog

ALPHA: Final = 0.05
"""How often a canary that is like the champion may ever be halted; shared by the signs."""


SERVED: Final = 0.9
"""Of a canary's conversations must have been answered by it before it can be promoted."""


@dataclass(frozen=True, slots=True)
class Sign:
    """Something that is watched. `is_good`: the canary is worse where it has less of it, else where it has more."""

    name: str
    seen: Callable[[SessionSigns], bool]
    is_good: bool = False


SIGNS: Final = (
    Sign("errors of the model", lambda one: one.error),
    Sign("thumbs down", lambda one: one.thumb_down),
    Sign("refused sentences", lambda one: one.ungrounded),
    # Where most replies have a refused sentence, a canary with more of them shows in the others.
    Sign("replies wholly the model's own", lambda one: one.whole, is_good=True),
)
LIMIT: Final = math.log(len(SIGNS) / ALPHA)
"""Of the log evidence on one sign, by Bonferroni."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One sign: in how many of the conversations of each it was seen, and the evidence against the canary.

    `evidence` is a natural log and halts the canary at `LIMIT`.
    """

    sign: str
    canary: int
    champion: int
    evidence: float


@dataclass(frozen=True, slots=True)
class TrialReport:
    """How a trial stands. `canary`, `champion`: conversations so far.

    `alarm`: why it must end; empty: it goes on. `passed`: why the canary may be promoted; empty: not shown (yet).
    """

    canary: int
    champion: int
    findings: tuple[Finding, ...]
    alarm: str
    passed: str = ""


def judge(trial: Canary, signs: Iterable[SessionSigns], rules: PromotionRules = DEFAULT_RULES) -> TrialReport:
    """Compare the canary's conversations since its trial began with the champion's.

    Args:
        trial: as it stands.
        signs: of every conversation that had a turn since, by the first of those.
        rules: for what is enough.
    """
    told = [(one, is_canarys(trial, one.session_id)) for one in signs]
    findings = []
    for sign in SIGNS:
        canary, champion = _seen(sign, told)
        few, share = (champion, 1 - trial.share) if sign.is_good else (canary, trial.share)
        findings.append(Finding(sign.name, canary, champion, log_evidence(few, canary + champion, share)))
    n_canary = sum(mine for _, mine in told)
    loudest = max(findings, key=lambda one: one.evidence)
    alarm = passed = ""
    if loudest.evidence >= LIMIT:
        alarm = (
            f"{loudest.sign}: in {loudest.canary} of {n_canary} conversations of the canary, in {loudest.champion} of "
            f"{len(told) - n_canary} of the champion (log evidence {loudest.evidence:.1f}, halted at {LIMIT:.1f})."
        )
    else:
        passed = _passed(trial, told, rules)
    return TrialReport(n_canary, len(told) - n_canary, tuple(findings), alarm, passed)


def _seen(sign: Sign, told: Sequence[tuple[SessionSigns, bool]]) -> tuple[int, int]:
    """In how many conversations of the canary, and of the champion."""
    found = [mine for one, mine in told if sign.seen(one)]
    return sum(found), len(found) - sum(found)


def _passed(trial: Canary, told: Sequence[tuple[SessionSigns, bool]], rules: PromotionRules) -> str:
    """Why it is not worse on any sign, as far as the last look that is due; empty where that is not shown."""
    mine = [place for place, (_, is_its) in enumerate(told) if is_its]
    look = look_at(len(mine), rules.sessions)
    if look is None:
        return ""
    n_canary, level = look
    first = told[: mine[n_canary - 1] + 1]
    n_champion = len(first) - n_canary
    served = sum(trial.adapter in one.adapters for one, is_its in first if is_its)
    if not n_champion or served < SERVED * n_canary:  # what it did not answer says nothing of it
        return ""
    worst, name = -math.inf, ""
    for sign in SIGNS:
        canary, champion = _seen(sign, first)
        if sign.is_good:
            canary, champion = n_canary - canary, n_champion - champion
        bound = most_worse(canary, n_canary, champion, n_champion, level)
        if bound > worst:
            worst, name = bound, sign.name
    if worst >= rules.margin:
        return ""
    return (
        f"Not worse on any sign in {n_canary} conversations, against {n_champion} of the champion: at most "
        f"{worst:+.3f} ({name}, one-sided level {level:g}), less than {rules.margin:g}."
    )


def trial_report(
    standing: Standing, events: EventLog, tenant: str, rules: PromotionRules = DEFAULT_RULES
) -> TrialReport | None:
    """How the canary of `standing` fares by the log; None without one.

    Raises:
        DataDirectoryError: the log cannot be read.
    """
    trial = standing.canary
    return None if trial is None else judge(trial, events.signs(tenant, trial.after_turn), rules)
