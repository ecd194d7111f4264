"""What the fixtures of this folder give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from agent.observe.chat import ObservedChat

MakeChat: TypeAlias = Callable[..., ObservedChat]
Lines: TypeAlias = Callable[[], list[dict[str, Any]]]
Sample: TypeAlias = Callable[..., float]
