"""Office hours of the people behind the help desk, and the sentence that says when somebody is there.

    hours = OfficeHours.of(("Mon-Fri 09:00-17:30", "Sat 10:00-14:00"), "Europe/Berlin")
    hours.is_open(now), hours.opens(now)

Times in and out are UTC; hours are those of a time zone, so that summer time moves them. Holidays are not covered.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from agent.messages import Messages
from retrieval.errors import SettingsError

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SHORT = tuple(day[:3] for day in DAYS)
_LINE = re.compile(r"([a-z]{3})(?:-([a-z]{3}))? (\d{2}:\d{2})-(\d{2}:\d{2})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Span:
    day: int
    opens: time
    closes: time


@dataclass(frozen=True, slots=True)
class OfficeHours:
    """When people answer; without any line somebody always does."""

    spans: tuple[_Span, ...]
    zone: tzinfo

    @classmethod
    def of(cls, lines: Sequence[str], zone: str = "UTC") -> OfficeHours:
        """Lines such as "Mon-Fri 09:00-17:30" in a zone such as "Europe/Berlin".

        Raises:
            SettingsError: a line is written otherwise, or there is no such zone.
        """
        try:
            place = UTC if zone == "UTC" else ZoneInfo(zone)  # a small system may know no others
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise SettingsError(f"{zone!r} is no time zone; write one such as 'Europe/Berlin' or 'UTC'.") from None
        return cls(tuple(span for line in lines for span in _spans(line)), place)

    def is_open(self, now: datetime) -> bool:
        """Whether somebody is there at `now` (with a zone of its own)."""
        here = now.astimezone(self.zone)
        at = here.time().replace(tzinfo=None)
        return not self.spans or any(
            span.day == here.weekday() and span.opens <= at < span.closes for span in self.spans
        )

    def opens(self, now: datetime) -> datetime | None:
        """When the next span begins after `now`, in UTC; None where there are no lines."""
        today = now.astimezone(self.zone).date()
        starts = [
            datetime.combine(today + timedelta(days=ahead), span.opens, tzinfo=self.zone).astimezone(UTC)
            for ahead in range(8)
            for span in self.spans
            if (today + timedelta(days=ahead)).weekday() == span.day
        ]
        return min((start for start in starts if start > now), default=None)

    def sentence(self, now: datetime, words: Messages) -> str:
        """Whether somebody is there, else from when on; "" where there are no lines."""
        if not self.spans:
            return ""
        if self.is_open(now):
            return words.text("reply.desk_open")
        start = self.opens(now)
        if start is None:
            return ""
        here = start.astimezone(self.zone)
        return words.text("reply.desk_opens", day=words.label(DAYS[here.weekday()]), time=f"{here:%H:%M}")


def _spans(line: str) -> list[_Span]:
    match = _LINE.fullmatch(line.strip())
    try:
        if match is None:
            raise ValueError
        first = _SHORT.index(match[1].lower())
        last = _SHORT.index(match[2].lower()) if match[2] else first
        opens, closes = time.fromisoformat(match[3]), time.fromisoformat(match[4])
    except ValueError:
        raise SettingsError(f"The office hours {line!r} are not written as 'Mon-Fri 09:00-17:30'.") from None
    if opens >= closes:
        raise SettingsError(
            f"The office hours {line!r} end before they begin; write two lines for hours past midnight."
        )
    days = range(first, last + 1) if first <= last else [*range(first, len(DAYS)), *range(last + 1)]
    return [_Span(day, opens, closes) for day in days]
