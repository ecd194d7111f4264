"""What could not be read of a folder of articles."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """`reason` ends a sentence that begins with the file. `whole`: nothing of the file could be read.

    A folder that cannot be looked into is a file whose path ends with "/".
    """

    file: str
    reason: str
    whole: bool = False

    @property
    def sentence(self) -> str:
        """For the operator."""
        if self.file.endswith("/"):
            return f"The articles in {self.file!r} were left out: {self.reason}."
        return f"The article {self.file!r} was left out: {self.reason}."

    def holds(self, file: str) -> bool:
        """Whether it is this file that has the problem, or a folder that the file is in."""
        return file == self.file or (self.file.endswith("/") and file.startswith(self.file))


class UnreadableFile(Exception):
    """Why a file cannot be read; becomes a `Problem`."""
