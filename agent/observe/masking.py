"""What may stand in logs and traces of customers' words where the operator asked for them: personal data and keys gone.

Cheap, for it runs with every turn: the rules of agent/learning/masking.py and what looks like a key. Names that are
merely said stay; that is why the setting is for debugging only.
"""

from __future__ import annotations

import re
from typing import Final

from agent.learning.masking import mask

MIN_KEY_CHARS: Final = 16
_KEY = re.compile(rf"(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{{{MIN_KEY_CHARS},}}")


def for_logs(text: str) -> str:
    """`text` with a gap where there were addresses, long numbers, introduced names or keys."""
    return mask(_KEY.sub(" ", text))
