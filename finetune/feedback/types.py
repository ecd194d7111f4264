"""The rows that feedback becomes, their lines in a file, and the hash that names a set of them.

A line has every field that the trainer reads (finetune/training/lessons.py) and what says where it came from. Knows
nothing of logs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias, get_args

from agent.llm.protocol import Message, Prompt
from agent.log.records import FeedbackKind
from retrieval.errors import BadRequest

RowKind: TypeAlias = Literal["sft", "kto", "dpo", "rank"]
ROW_KINDS: tuple[RowKind, ...] = get_args(RowKind)
RowSkill: TypeAlias = Literal["understand", "rank", "reply", "support"]
Signal: TypeAlias = Literal[
    "accept", "buy", "thumb_up", "thumb_down", "reject", "edit", "regenerate", "label", "list", "ticket"
]  # fmt: skip
"""What happened; "list" is a slate with everything that happened to it, "ticket" an answer of the team before."""


@dataclass(frozen=True, slots=True)
class Place:
    """One item of a slate. `outcome` None: nothing was said of it, which is no opinion.

    `position` counts from 1; `log_propensity` (natural log) is None where the order was not explored.
    """

    item_id: str
    position: int
    score: float | None = None
    log_propensity: float | None = None
    outcome: FeedbackKind | None = None


@dataclass(frozen=True, slots=True)
class FeedbackRow:
    """One thing to learn from, and where it is from.

    Attributes:
        kind: how it is learned from.
        skill: whose prompt it is: as that skill asks when it serves.
        signal: what happened.
        prompt: as the engines read it; personal data replaced.
        answers: sft and kto: one; dpo: the better and the worse; rank: an ending for each item of the slate that
            something was said of.
        good: places in `answers` that were right.
        weight: what it counts, after the caps.
        user: pseudonym of the person, or of the conversation of somebody without a name.
        counts_as: pseudonym under which caps count: all without a name who came through one API key share one.
        tenant: whose shop.
        domain: which catalogue.
        period: ISO week of the turn, "2026-W47".
        at: when the turn was answered.
        turn_id: the turn that it is about.
        events: ids of the events that it was made from.
        items: what it is for or against.
        slate: of rank rows the whole list in order.
        exploration: temperature of the list, 0 for none.
    """

    kind: RowKind
    skill: RowSkill
    signal: Signal
    prompt: Prompt
    answers: tuple[str, ...]
    good: tuple[int, ...]
    weight: float
    user: str
    counts_as: str
    tenant: str
    domain: str
    period: str
    at: datetime
    turn_id: str
    events: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    slate: tuple[Place, ...] = ()
    exploration: float = 0.0

    @property
    def id(self) -> str:
        """The same whenever it is made of the same events: 80 bits of a hash."""
        told = [self.kind, self.skill, self.signal, self.tenant, self.turn_id, self.events, self.items, len(self.slate)]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:20]

    @property
    def is_example(self) -> bool:
        """Whether it teaches: a list does where something of it was right and something was not."""
        return self.kind != "rank" or 0 < len(self.good) < len(self.answers)


def period_of(moment: datetime) -> str:
    """The ISO week, in UTC."""
    year, week, _ = moment.astimezone(UTC).isocalendar()
    return f"{year}-W{week:02d}"


def as_json(row: FeedbackRow) -> dict[str, Any]:
    """Its fields, the id among them; `from_json` reads them."""
    messages = [[message.role, message.text] for message in row.prompt.messages]
    slate = [
        {
            "item_id": one.item_id,
            "position": one.position,
            "score": one.score,
            "log_propensity": one.log_propensity,
            "outcome": one.outcome,
        }
        for one in row.slate
    ]
    plain = ("kind", "skill", "signal", "answers", "good", "weight", "user", "counts_as", "tenant", "domain")
    return {
        "id": row.id,
        **{name: getattr(row, name) for name in (*plain, "period", "turn_id", "events", "items", "exploration")},
        "prompt": {"messages": messages, "prefill": row.prompt.prefill},
        "at": row.at.astimezone(UTC).isoformat(),
        "slate": slate,
    }


def from_json(fields: Mapping[str, Any], where: str) -> FeedbackRow:
    """The row of one line.

    Raises:
        BadRequest: it is none; the sentence begins with `where`.
    """
    try:
        prompt = fields["prompt"]
        messages = tuple(Message(role, str(text)) for role, text in prompt["messages"])
        lists = {name: tuple(fields[name]) for name in ("answers", "good", "events", "items")}
        names = ("kind", "skill", "signal", "weight", "user", "counts_as", "tenant", "domain", "period", "turn_id")
        plain: dict[str, Any] = {name: fields[name] for name in (*names, "exploration")}
        if plain["kind"] not in ROW_KINDS:
            raise ValueError(f"kind {plain['kind']!r}")
        return FeedbackRow(
            **plain,
            answers=lists["answers"],
            good=lists["good"],
            events=lists["events"],
            items=lists["items"],
            prompt=Prompt(messages, str(prompt["prefill"])),
            at=datetime.fromisoformat(fields["at"]),
            slate=tuple(Place(**one) for one in fields["slate"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadRequest(f"{where} is no row of feedback ({error!r}); export it again.") from None


def line_of(row: FeedbackRow) -> str:
    """One line of JSON, the same for the same row."""
    return json.dumps(as_json(row), ensure_ascii=False, sort_keys=True, allow_nan=False)


def snapshot_hash(rows: Iterable[FeedbackRow]) -> str:
    """SHA-256 (hex) over the lines in their order: what an adapter's manifest names as its data."""
    found = hashlib.sha256()
    for row in rows:
        found.update(line_of(row).encode() + b"\n")
    return found.hexdigest()
