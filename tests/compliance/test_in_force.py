"""A change of the policy in force is told once, by what the log itself says was in force before."""

from __future__ import annotations

from pathlib import Path

import pytest

from compliance import in_force
from compliance.events import (
    AuditEvent,
    BundleChanged,
    BundleStep,
    PolicyFile,
    PolicyLoaded,
    SessionEnded,
    SessionStarted,
)
from compliance.in_force import InForce, last_loaded
from compliance.log import AuditLog


def started(session: str, workspace: str) -> SessionStarted:
    return SessionStarted(session, "1", "m", workspace, workspace, "read-only", "nobody")


def loaded(session: str, policy: str, **files: str) -> PolicyLoaded:
    found = (PolicyFile(f"{name}.rules", "user", digest, True) for name, digest in files.items())
    return PolicyLoaded(session, tuple(found), (), policy)


def write(folder: Path, *events: AuditEvent) -> Path:
    log = AuditLog(folder)
    for event in events:
        log.record(event)
    log.close()
    return folder


FIRST, SECOND, THIRD = loaded("s1", "p1", a="1"), loaded("s2", "p2", a="2"), loaded("s1", "p3", b="3")


@pytest.mark.parametrize(
    ("events", "workspace", "want"),
    [
        pytest.param([started("s1", "/w"), FIRST], "/w", FIRST, id="the-session-before"),
        pytest.param([started("s1", "/w"), FIRST], "/v", None, id="of-another-workspace"),
        pytest.param(
            [started("s1", "/w"), FIRST, started("s2", "/v"), SECOND], "/w", FIRST, id="others-in-between"
        ),
        pytest.param(
            [started("s1", "/w"), started("s2", "/v"), SECOND, FIRST, THIRD],
            "/w",
            THIRD,
            id="last-of-several",
        ),
        pytest.param(
            [started("s1", "/w"), FIRST, started("s3", "/w"), SessionEnded("s3", "no")],
            "/w",
            FIRST,
            id="a-session-that-loaded-nothing",
        ),
        pytest.param(
            [started('"workspace":"/w"', "/v"), loaded('"workspace":"/w"', "p", a="1")],
            "/w",
            None,
            id="only-looks-like-it",
        ),
    ],
)
def test_the_last_load_is_found(
    tmp_path: Path, events: list[AuditEvent], workspace: str, want: PolicyLoaded | None
) -> None:
    assert last_loaded(write(tmp_path / "audit", *events), workspace) == want


def test_no_log_is_no_load(tmp_path: Path) -> None:
    assert last_loaded(tmp_path / "none", "/w") is None


def test_only_the_end_of_the_log_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "audit", started("s1", "/w"), FIRST, started("s2", "/v"), SECOND)
    monkeypatch.setattr(in_force, "MOST_BYTES", 900)
    assert (last_loaded(folder, "/w"), last_loaded(folder, "/v")) == (None, SECOND)


def test_a_change_is_told_once_with_old_and_new() -> None:
    before = loaded("s1", "p1", same="1", other="2", old="3")
    after = loaded("s2", "p2", same="1", other="4", fresh="5")
    memory = InForce(before)
    told = BundleChanged(
        "s2",
        "policy in force",
        "",
        "p2",
        BundleStep.ACTIVATED,
        "",
        "was p1; changed: other.rules (user); new: fresh.rules (user); gone: old.rules (user)",
    )
    assert list(memory.told(after)) == [after, told]
    assert list(memory.told(after)) == [after]


def test_the_first_policy_changes_nothing() -> None:
    assert list(InForce(None).told(FIRST)) == [FIRST]
