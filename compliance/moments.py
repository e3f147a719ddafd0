"""The times of records: as people write them, and as other formats want them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def moment(text: str, now: datetime) -> str:
    """A time that a person writes, as it stands in records: ISO 8601 (local when it names no zone), or an age
    such as `30m`, `2h`, `3d`, `1w`. ValueError for anything else."""
    if text[-1:] in _UNITS and text[:-1].isdecimal():
        try:
            at = now - timedelta(seconds=int(text[:-1]) * _UNITS[text[-1]])
        except OverflowError:
            at = datetime.min.replace(tzinfo=UTC)
    else:
        at = datetime.fromisoformat(text)
    try:
        at = at.astimezone(UTC)
    except OverflowError:
        at = at.replace(tzinfo=UTC)
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def epoch_millis(time: str) -> int:
    """The time of a record in milliseconds since 1970; 0 when a forged record holds no time."""
    try:
        return round(datetime.fromisoformat(time).timestamp() * 1000)
    except (ValueError, OverflowError):
        return 0


def epoch_nanos(time: str) -> int:
    """The same in nanoseconds, exact to the microsecond of the record."""
    try:
        since = datetime.fromisoformat(time) - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError, TypeError):
        return 0
    return max(since // timedelta(microseconds=1), 0) * 1000
