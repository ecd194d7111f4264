"""What could not be read of a folder of articles."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """`reason` ends a sentence that begins with the file. `whole`: nothing of the file could be read."""

    file: str
    reason: str
    whole: bool = False

    @property
    def sentence(self) -> str:
        """For the operator."""
        return f"The article {self.file!r} was left out: {self.reason}."


class UnreadableFile(Exception):
    """Why a file cannot be read; becomes a `Problem`."""
