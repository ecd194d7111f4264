"""What the trainer learns from: a prompt, answers behind it, and which of them were right.

Four kinds share this shape, so that one loop, one memory and one file format serve all of them. Knows nothing of
where lessons come from (finetune/dataset.py), nor of tokens.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from agent.llm.protocol import Message, Prompt
from retrieval.errors import BadRequest

Kind: TypeAlias = Literal["sft", "kto", "dpo", "rank"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Lesson:
    """One thing to learn.

    Attributes:
        id: unique over all cycles; what is drawn for the memory hangs on it.
        kind: how it is learned from: `sft` says the answer, `kto` says it more or less often, `dpo` prefers one answer
            to another, `rank` finds the right ones in a list by asking whether each fits.
        prompt: as the engines read it.
        answers: sft and kto: one; dpo: the better and the worse; rank: an ending for each item, in any order.
        good: places in `answers` that were right. sft and dpo: (0,); kto: (0,) or (); rank: at least one, not all.
        weight: how much it counts, against 1 for the others; caps and propensities are in it already.
        user: a key of the person, never a name; "" for nobody's, such as examples that came with the product.
        period: when it was said, such as "2026-11"; the memory keeps as much of each.
        domain: which catalogue.
        events: of the log, that it was made from.
    """

    id: str
    kind: Kind
    prompt: Prompt
    answers: tuple[str, ...]
    good: tuple[int, ...] = (0,)
    weight: float = 1.0
    user: str = ""
    period: str = ""
    domain: str = ""
    events: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count, right = len(self.answers), set(self.good)
        fits = {
            "sft": count == 1 and right == {0},
            "kto": count == 1 and right <= {0},
            "dpo": count == 2 and right == {0},
            "rank": count > 1 and 0 < len(right) < count and right <= set(range(count)),
        }
        if not fits[self.kind] or len(right) != len(self.good):
            raise BadRequest(
                f"The {self.kind} row {self.id!r} has {count} answers of which {list(self.good)} were right, which is "
                "no example of its kind; leave it out."
            )
        if not 0 < self.weight < float("inf"):
            raise BadRequest(f"The row {self.id!r} has weight {self.weight!r}; leave it out or give it more than 0.")


def as_json(lesson: Lesson) -> dict[str, Any]:
    """Its fields; `from_json` reads them."""
    messages = [[message.role, message.text] for message in lesson.prompt.messages]
    return {
        "id": lesson.id, "kind": lesson.kind, "prompt": {"messages": messages, "prefill": lesson.prompt.prefill},
        "answers": lesson.answers, "good": lesson.good, "weight": lesson.weight, "user": lesson.user,
        "period": lesson.period, "domain": lesson.domain, "events": lesson.events,
    }  # fmt: skip


def from_json(fields: Mapping[str, Any], where: str) -> Lesson:
    """The lesson of one line.

    Raises:
        BadRequest: it is none; the sentence begins with `where`.
    """
    try:
        prompt = fields["prompt"]
        messages = tuple(Message(role, str(text)) for role, text in prompt["messages"])
        if fields["kind"] not in KINDS:
            raise ValueError(f"kind {fields['kind']!r}")
        found: dict[str, Any] = {name: tuple(fields[name]) for name in ("answers", "good", "events")}
        found |= {name: fields[name] for name in ("id", "kind", "weight", "user", "period", "domain")}
        return Lesson(prompt=Prompt(messages, str(prompt["prefill"])), **found)
    except (KeyError, TypeError, ValueError) as error:
        raise BadRequest(f"{where} is no row to learn from ({error!r}).") from None


def lessons_hash(lessons: Iterable[Lesson]) -> str:
    """SHA-256 (hex) over all fields; the order does not count."""
    found = hashlib.sha256()
    for line in sorted(json.dumps(as_json(lesson), sort_keys=True) for lesson in lessons):
        found.update(line.encode() + b"\n")
    return found.hexdigest()
