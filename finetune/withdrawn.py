"""What is rehearsed and does not stand any more: feedback that was withdrawn, overruled or grew too old since.

People who are erased or say no are taken out at once (agent/learning/forgetting.py). A withdrawn thumb is no secret: it
goes before the next training begins, and one that has begun ends as it began. Knows nothing of training.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from agent.log.store import EventLog
from agent.settings import LearningSettings
from finetune.dataset import FeedbackRequest
from finetune.memory import ReplayMemory

AT_ONCE: Final = 500
"""Events that the log is asked about in one query."""
TRIES: Final = 100
"""Of a saving during which nobody is erased; each takes milliseconds."""


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


def save_what_stands(
    memory: ReplayMemory, folder: Path, log: EventLog, tenant: str, learning: LearningSettings, now: datetime
) -> None:
    """Take out what may not be learned from any more, and save; nothing is written where everything stands.

    An erasure between reading the memory and saving it takes somebody out of a file that is then replaced. So the log
    is asked again after each saving: who is erased after its last answer is taken out of the last file.

    Raises:
        DataDirectoryError: the log cannot be read.
        BadRequest: the folder cannot be written.
    """
    for _ in range(TRIES):
        if not forget_withdrawn(memory, log, tenant, learning, now):
            return
        memory.save(folder)
