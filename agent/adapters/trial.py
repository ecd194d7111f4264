"""Is the canary worse than the champion? Counted from the log, conversation by conversation.

A conversation counts for the adapter whose share it belongs to, whoever answered it in the end: a canary that cannot be
loaded or breaks the engine is the canary's fault. Knows no engines and moves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from agent.adapters.sequential import log_evidence
from agent.adapters.standing import Canary, Standing, is_canarys
from agent.log.adapters import SessionSigns
from agent.log.store import EventLog

ALPHA: Final = 0.05
"""How often a canary that is like the champion may ever be halted; shared by the signs."""


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
    """How a trial stands. `canary`, `champion`: conversations so far. `alarm`: why it must end; empty: it goes on."""

    canary: int
    champion: int
    findings: tuple[Finding, ...]
    alarm: str


def judge(trial: Canary, signs: Iterable[SessionSigns]) -> TrialReport:
    """Compare the canary's conversations since its trial began with the champion's.

    Args:
        trial: as it stands.
        signs: of every conversation that had a turn since.
    """
    told = [(one, is_canarys(trial, one.session_id)) for one in signs]
    findings = []
    for sign in SIGNS:
        canary = sum(mine for one, mine in told if sign.seen(one))
        champion = sum(not mine for one, mine in told if sign.seen(one))
        few, share = (champion, 1 - trial.share) if sign.is_good else (canary, trial.share)
        findings.append(Finding(sign.name, canary, champion, log_evidence(few, canary + champion, share)))
    n_canary = sum(mine for _, mine in told)
    loudest = max(findings, key=lambda one: one.evidence)
    alarm = ""
    if loudest.evidence >= LIMIT:
        alarm = (
            f"{loudest.sign}: in {loudest.canary} of {n_canary} conversations of the canary, in {loudest.champion} of "
            f"{len(told) - n_canary} of the champion (log evidence {loudest.evidence:.1f}, halted at {LIMIT:.1f})."
        )
    return TrialReport(n_canary, len(told) - n_canary, tuple(findings), alarm)


def trial_report(standing: Standing, events: EventLog, tenant: str) -> TrialReport | None:
    """How the canary of `standing` fares by the log; None without one.

    Raises:
        DataDirectoryError: the log cannot be read.
    """
    trial = standing.canary
    return None if trial is None else judge(trial, events.signs(tenant, trial.after_turn))
