"""The reference of events lists every member that is written, and no other."""

from __future__ import annotations

import re
from dataclasses import fields
from enum import Enum
from pathlib import Path

import pytest

from compliance.codec import kind_of, to_json, verdict_to_json
from compliance.events import (
    Approved,
    Asked,
    AuditEvent,
    BundleChanged,
    BundleStep,
    CommandRead,
    Connected,
    Decided,
    Gap,
    GapKind,
    LinkEnd,
    LookedUp,
    Outcome,
    Overridden,
    Patched,
    PolicyLoaded,
    Ran,
    Refused,
    Reply,
    Revoked,
    SandboxDenied,
    SessionEnded,
    SessionStarted,
    Situated,
    ToolCalled,
    Witnessed,
)
from execpolicy.decision import Decision, Verdict

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "events.md").read_text(encoding="utf-8")
SECTIONS = {
    name: re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    for name, text in re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
}
VERDICT = Verdict(decision=Decision.ALLOW)
ALL: list[AuditEvent] = [
    SessionStarted("s", "", "", "", "", "", ""),
    PolicyLoaded("s", ()),
    Situated("s", "", "", "", (), (), "", ()),
    Decided("s", "", "", "", "", VERDICT),
    Overridden("s", "", "", "", ""),
    Approved("s", "", Reply.YES, ""),
    Revoked("s", "", "", "", ""),
    Ran("s", "", 0, Outcome.COMPLETED, 0.0, "", 0, ""),
    ToolCalled("s", "", "", "", Outcome.COMPLETED, 0.0, "", 0),
    SandboxDenied("s", "", "", "", ""),
    Connected("s", "", "", 0, "", "", "", (), LinkEnd.OPENED, "", 0, 0, 0.0),
    Patched("s", "", (), Outcome.COMPLETED),
    Refused("s", "", ""),
    BundleChanged("s", "", "", "", BundleStep.ACTIVATED),
    Witnessed("s", "", 0, True),
    SessionEnded("s", ""),
    Gap("s", GapKind.TORN, ""),
]


@pytest.mark.parametrize("event", ALL, ids=kind_of)
def test_every_member_has_its_row(event: AuditEvent) -> None:
    written = [name for name in to_json(event) if name not in ("kind", "session")]
    if isinstance(event, Decided):
        written += verdict_to_json(VERDICT)
        written += [name.name for kind in (Asked, CommandRead, LookedUp) for name in fields(kind)]
    assert SECTIONS[kind_of(event)] == written


def test_every_event_has_its_section() -> None:
    assert list(SECTIONS) == [kind_of(event) for event in ALL]


@pytest.mark.parametrize("words", [Outcome, Reply, GapKind, BundleStep])
def test_every_word_is_named(words: type[Enum]) -> None:
    assert [word.value for word in words if f"`{word.value}`" not in PAGE] == []
