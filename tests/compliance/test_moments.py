"""Times as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from compliance.moments import epoch_millis, moment

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("30m", "2026-11-24T11:30:00.000000Z"),
        ("2h", "2026-11-24T10:00:00.000000Z"),
        ("3d", "2026-11-21T12:00:00.000000Z"),
        ("2026-11-01T00:00:00Z", "2026-11-01T00:00:00.000000Z"),
        ("2026-11-01T02:00:00+02:00", "2026-11-01T00:00:00.000000Z"),
        ("99999999999999d", "0001-01-01T00:00:00.000000Z"),
    ],
)
def test_moments(text: str, want: str) -> None:
    assert moment(text, NOW) == want


def test_a_time_without_a_zone_is_local() -> None:
    assert moment("2026-11-01T00:00", NOW) == moment(
        "2026-11-01T00:00", NOW.astimezone(timezone(timedelta(hours=5)))
    )
    local = datetime(2026, 11, 1).astimezone(UTC)
    assert moment("2026-11-01", NOW) == local.isoformat(timespec="microseconds").replace("+00:00", "Z")


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "-1d", "1.5h"])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError):
        moment(text, NOW)


def test_milliseconds() -> None:
    assert epoch_millis("1970-01-01T00:00:01.500000Z") == 1500
    assert epoch_millis("never") == 0
