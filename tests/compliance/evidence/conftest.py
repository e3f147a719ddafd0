"""A small story of two sessions: asked and answered, denied, opened, run, patched."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from compliance.events import (
    Approved,
    AuditEvent,
    BundleChanged,
    BundleStep,
    Connected,
    Decided,
    LinkEnd,
    Outcome,
    Overridden,
    PolicyFile,
    PolicyLoaded,
    Ran,
    Refused,
    Reply,
    SandboxDenied,
    SessionEnded,
    SessionStarted,
)
from compliance.log import AuditLog
from execpolicy.decision import Certainty, Decision, Layer, Origin, Part, RuleMatch, Verdict

RULES = """\
prefix_rule(pattern = ["git", "push"], decision = "prompt", id = "push", controls = ["SOC 2: CC6.1"])
prefix_rule(pattern = ["rm"], decision = "forbidden", id = "rm", controls = ["CC6.8"])
prefix_rule(pattern = ["dd"], decision = "forbidden", id = "dd", controls = ["CC6.8"])
"""


def decided(
    session: str, call: str, text: str, decision: Decision, rule: str, path: str, controls: tuple[str, ...]
) -> Decided:
    match = RuleMatch(
        rule_id=rule,
        decision=decision,
        certainty=Certainty.YES,
        origin=Origin(Layer.USER, path, 1),
        owner="platform",
        controls=controls,
    )
    part = Part(kind="command", text=text, decision=decision, matches=(match,) if rule else ())
    return Decided(session, call, "exec_command", text, "/w", Verdict(decision=decision, parts=(part,)))


def connected(call: str, host: str, decision: str, outcome: LinkEnd, count: int = 1) -> Connected:
    return Connected(
        "s", call, host, 443, "https", "", decision, ("hosts",), outcome, "", 0, 0, 0.0, count=count
    )


def the_story(rules: Path) -> list[AuditEvent]:
    path, digest = str(rules), hashlib.sha256(rules.read_bytes()).hexdigest()
    return [
        SessionStarted("s", "1", "m", "/w", "/w", "read-only", "user", user="ann", host="box"),
        PolicyLoaded("s", (PolicyFile(path, "user", digest, True),)),
        decided("s", "c1", "git push", Decision.ASK, "push", path, ("SOC 2: CC6.1",)),
        Approved("s", "c1", Reply.SESSION, "ann", seconds=2.0),
        Ran("s", "c1", 0, Outcome.COMPLETED, 1.0, "0" * 64, 3, "bubblewrap"),
        decided("s", "c2", "rm -rf /", Decision.DENY, "rm", path, ("CC6.8",)),
        Refused("s", "c2", "denied by rm"),
        decided("s", "c3", "sudo frob", Decision.ASK, "", path, ()),
        Approved("s", "c3", Reply.NO, "ben"),
        Refused("s", "c3", "no"),
        decided("s", "c4", "rm x", Decision.ALLOW, "rm", path, ("CC6.8",)),
        Overridden("s", "c4", "rm", "2026-12-31", "dora", "T-1", f"{path}:9:1"),
        Ran("s", "c4", 0, Outcome.COMPLETED, 1.0, "0" * 64, 3, "none"),
        connected("c4", "good.test", "allow", LinkEnd.OPENED),
        connected("c4", "good.test", "allow", LinkEnd.CLOSED),
        connected("c4", "bad.test", "deny", LinkEnd.REFUSED, count=3),
        decided("s", "c5", "npm ci", Decision.ASK, "", path, ()),
        Approved("s", "c5", Reply.YES, "command:/opt/review"),
        Ran("s", "c5", 0, Outcome.COMPLETED, 1.0, "0" * 64, 3, "bubblewrap"),
        Approved("s", "c5", Reply.NO, "ann", "third.test:443 (https)"),
        SandboxDenied("s", "c4", "bubblewrap", "read-only", "Read-only file system", "/etc/x"),
        SessionEnded("s", "done"),
        BundleChanged("", "base", "1.2", "d" * 64, BundleStep.KILLED, "", "drill", "ann"),
    ]


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "team.rules"
    path.write_text(RULES)
    return path


@pytest.fixture
def story(rules: Path) -> list[AuditEvent]:
    return the_story(rules)


@pytest.fixture
def write_log(tmp_path: Path) -> Callable[[Sequence[AuditEvent]], Path]:
    """Writes a log whose clock makes one step a record."""

    def write(events: Sequence[AuditEvent], name: str = "audit", start: int = 0) -> Path:
        seconds = iter(range(start, 100_000))

        def clock() -> str:
            at = next(seconds)
            return f"2026-11-24T{at // 3600:02}:{at // 60 % 60:02}:{at % 60:02}.000000Z"

        log = AuditLog(tmp_path / name, clock=clock)
        for event in events:
            log.record(event)
        log.close()
        return tmp_path / name

    return write
