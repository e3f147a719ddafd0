"""The first sink is the record; the others hear only of what is recorded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from compliance.errors import AuditError
from compliance.events import AuditEvent, Refused
from compliance.sink import FanOut, MemorySink


class FullDisk(MemorySink):
    def record(self, event: AuditEvent) -> int:
        raise AuditError("no space", "free some")


def plain(event: AuditEvent) -> AuditEvent:
    return event


def test_a_fan_out_redacts_once_and_returns_the_number_of_the_record() -> None:
    record, other = MemorySink(), MemorySink()
    sink = FanOut(lambda event: replace(event, session="clean"), record, other)
    assert [sink.record(Refused("s", "c", "no")), sink.record(Refused("s", "d", "no"))] == [1, 2]
    assert record.events == other.events == [Refused("clean", "c", "no"), Refused("clean", "d", "no")]
    sink.close()
    assert (record.closed, other.closed) == (True, True)


def test_what_is_not_recorded_is_told_to_nobody() -> None:
    other = MemorySink()
    with pytest.raises(AuditError):
        FanOut(plain, FullDisk(), other).record(Refused("s", "c", "no"))
    assert other.events == []
