"""The section of `chatalogue bench shift`. Knows nothing of how the record came about."""

from __future__ import annotations

from collections import Counter

from pydantic import JsonValue

from agent.bench.shift.working import ShiftRecord, StepRecord, TalkRecord
from ui.bench.render_talk import table

SECTION = "shift"
TITLE = "A support shift"


def shift_lines(result: JsonValue) -> list[str]:
    """Conversations and expectations by kind; every step of what failed, and two conversations in full."""
    record = ShiftRecord.model_validate(result)
    n, passed = Counter(talk.kind for talk in record.talks), Counter(t.kind for t in record.talks if t.passed)
    rows = [(kind, str(n[kind]), str(passed[kind])) for kind in n]
    rows.append(("all", str(n.total()), str(passed.total())))
    return [
        f"{len(record.talks)} scripted conversations over HTTP with the demo shop (language model: {record.engine}); "
        f"each step has expectations, and an order that a conversation does not name must stay as it was. "
        f"Expectations that were not met: {record.expectations_failed}.",
        "",
        *table(("kind", "conversations", "all expectations met"), rows),
        *(line for talk in record.talks for line in talk_record_lines(talk)),
    ]


def talk_record_lines(talk: TalkRecord) -> list[str]:
    """One conversation, with what was not met."""
    verdict = "every expectation met" if talk.passed else "NOT every expectation met"
    lines = ["", f"#### {talk.name} ({talk.kind}; {verdict})", ""]
    for step in talk.steps:
        lines += _step_lines(step)
    lines += [f"- **not met**: {failed}" for failed in talk.failed]
    return lines


def _step_lines(step: StepRecord) -> list[str]:
    lines = [f"- *{step.who}*: {_plain(step.said)}"]
    if step.who == "customer":
        lines.append(f"- **{step.action or 'handoff'}**: {_plain(step.reply) or '(silence)'}")
    lines += [f"- **not met**: {failed}" for failed in step.failed]
    return lines


def _plain(text: str) -> str:
    return " / ".join(line.strip() for line in text.splitlines() if line.strip())
