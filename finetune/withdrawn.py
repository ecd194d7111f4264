"""What is rehearsed and does not stand any more: feedback that was withdrawn, overruled or grew too old since.

People who are erased or say no are taken out at once (agent/learning/forgetting.py). A withdrawn thumb is no secret: it
goes before the next training begins, and one that has begun ends as it began. Knows nothing of training.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from agent.log.store import EventLog
from agent.settings import LearningSettings
from finetune.dataset import FeedbackRequest
from finetune.memory import ReplayMemory

AT_ONCE: Final = 500
"""Events that the log is asked about in one query."""


def forget_withdrawn(
    memory: ReplayMemory, log: EventLog, tenant: str, learning: LearningSettings, now: datetime
) -> tuple[str, ...]:
    """Take out rows that were made from events which may not be learned from any more; their ids.

    Args:
        memory: changed, not saved.
        log: whose events.
        tenant: whose log.
        learning: who may be learned from, and for how long.
        now: for retention.

    Raises:
        DataDirectoryError: the log cannot be read.
    """
    since = FeedbackRequest(tenant, retention_days=learning.retention_days).start(now)
    events = sorted({event for lesson in memory.lessons for event in lesson.events})
    stands: set[str] = set()
    for start in range(0, len(events), AT_ONCE):
        stands |= log.learnable(tenant, events[start : start + AT_ONCE], learning.consent, since).keys()
    gone = tuple(lesson.id for lesson in memory.lessons if not stands.issuperset(lesson.events))
    memory.drop(gone)
    return gone
