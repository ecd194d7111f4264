"""What each part of the system is worth: the full system against one without it, on the same labels.

Parts that did not help are not in the full system; their lists, made elsewhere, are compared with its lists, so that
the table has them, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from agent.bench.retrieval.dialogues import Ranked
from agent.bench.retrieval.figures import Ablation, AblationRow
from agent.bench.retrieval.pipeline import BRANCHES, GROUPS, RANKER, Progress
from agent.bench.retrieval.recall import compare, score
from agent.bench.retrieval.run import Inputs, RememberingEncoder, answer
from retrieval.encoder import Encoder
from retrieval.errors import BadRequest

PARTS = (*BRANCHES, *GROUPS, RANKER)
"""Everything that can be left out."""


def known_parts(names: Sequence[str]) -> frozenset[str]:
    """The names as a set.

    Raises:
        BadRequest: one of them is no part.
    """
    for name in names:
        if name not in PARTS:
            raise BadRequest(f"There is no part {name!r}; it is one of {', '.join(PARTS)}.")
    return frozenset(names)


def ablate(
    inputs: Inputs,
    encoder: Encoder,
    parts: Sequence[str],
    others: Mapping[str, Sequence[Ranked]],
    say: Callable[[str], None],
    progress: Progress,
) -> Ablation:
    """Train and rank once in full, then once without each of `parts`.

    Args:
        inputs: what the files hold.
        encoder: embeds every text of a batch once for all systems.
        parts: names of `PARTS`.
        others: lists of systems that have one part more, by the name of the part.
        say: told each result.
        progress: told of each step.

    Raises:
        BadRequest: no test row has a novel label.
    """
    if not any(row.novel for row in inputs.test):
        raise BadRequest("No test row has a novel target; an ablation needs a file that tells them.")
    remembering = RememberingEncoder(encoder)

    def lists(without: frozenset[str]) -> tuple[Ranked, ...]:
        return answer(inputs, remembering, without=without, progress=progress).lists

    full = lists(frozenset())

    def row(part: str, change: Literal["left out", "added"], changed: Sequence[Ranked]) -> AblationRow:
        difference = compare(inputs.test, full, changed)
        say(f"{part} {change}: R@10 {difference.recall[10].value:+.3f}")
        return AblationRow(part=part, change=change, novel=score(inputs.test, changed), difference=difference)

    rows = [row(part, "left out", lists(frozenset({part}))) for part in parts]
    rows += [row(part, "added", changed) for part, changed in others.items()]
    return Ablation(n_train=len(inputs.bundle.train), full=score(inputs.test, full), rows=tuple(rows))
