"""The gate over real rules: patches, tools, confinement, and a judging that fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.sandbox.spec import Network, SandboxSpec
from agent.tools import gate as gate_module
from agent.tools.base import ChangeFiles, RunScript, UseTool
from agent.tools.gate import Gate
from agent.tools.judgement import confined
from execpolicy.decision import (
    Confinement,
    Decision,
    Layer,
    NetworkAccess,
    SandboxMode,
    Verdict,
)
from execpolicy.engine.context import CheckContext
from execpolicy.engine.policy import Policy
from execpolicy.facts import Access
from execpolicy.lang.lower import parse_rules

ALLOW, ASK, DENY = Decision
SPEC = SandboxSpec(mode=SandboxMode.WORKSPACE_WRITE, workspace="/ws")


def policy(rules: str) -> Policy:
    parsed = parse_rules(rules, "test.rules", Layer.USER)
    assert not parsed.diagnostics, parsed.diagnostics
    return Policy.build([(Layer.USER, parsed.file)])


def gate(rules: str = "", mode: SandboxMode = SandboxMode.WORKSPACE_WRITE) -> Gate:
    def context(cwd: str) -> CheckContext:
        return CheckContext(
            cwd=cwd,
            workspace="/ws",
            writable=("/tmp",),
            protected=("/ws/.git", "/home/u/.agent"),
            sandbox=mode,
        )

    return Gate(policy(rules), context, SPEC)


def changes(*paths: str, access: Access = Access.WRITE) -> ChangeFiles:
    return ChangeFiles(accesses=tuple((path, access) for path in paths), cwd="/ws", subject="apply_patch: x")


@pytest.mark.parametrize(
    ("paths", "want"),
    [
        pytest.param(["/ws/a.py"], ALLOW, id="workspace"),
        pytest.param(["/tmp/a.py"], ALLOW, id="temp"),
        pytest.param(["/etc/passwd"], DENY, id="outside"),
        pytest.param(["/ws/../etc/passwd"], DENY, id="dots"),
        pytest.param(["/ws/a.py", "/wsx/b.py"], DENY, id="one-of-several"),
        pytest.param(["/ws/.git/hooks/pre-commit"], DENY, id="git"),
        pytest.param(["/ws/.git"], DENY, id="git-itself"),
        pytest.param(["/ws/sub/.git/config"], DENY, id="git-of-a-repository-inside"),
        pytest.param(["/ws/sub/.GIT/config"], DENY, id="git-on-a-disk-that-folds-case"),
        pytest.param(["/ws/sub/.agent/rules/x.rules"], DENY, id="agent-folder"),
        pytest.param(["/home/u/.agent/rules/x.rules"], DENY, id="rules-of-the-user"),
        pytest.param(["/ws/.gitignore"], ALLOW, id="gitignore"),
        pytest.param([], ALLOW, id="nothing"),
    ],
)
def test_a_patch_is_judged_by_its_files(paths: list[str], want: Decision) -> None:
    assert gate().judge("apply_patch", changes(*paths)).verdict.decision is want


def test_a_path_rule_is_heard_for_patches() -> None:
    rules = (
        'path_rule(paths = ["**/.env*"], access = ["write"], decision = "deny", justification = "secrets")'
    )
    found = gate(rules).judge("apply_patch", changes("/ws/.env.local"))
    assert found.verdict.decision is DENY
    assert any("secrets" in line for line in found.explanation)
    assert found.details["decision"] == "deny"


def test_a_read_only_session_asks_for_patches() -> None:
    assert gate(mode=SandboxMode.READ_ONLY).judge("apply_patch", changes("/ws/a")).verdict.decision is ASK


@pytest.mark.parametrize(
    ("rules", "want"),
    [
        pytest.param("", ALLOW, id="silence"),
        pytest.param('defaults(unmatched = "ask")', ALLOW, id="a-default-is-about-commands"),
        pytest.param('tool_rule(tool = "update_plan", decision = "deny")', DENY, id="denied"),
        pytest.param('tool_rule(tool = "update_plan", decision = "ask")', ASK, id="asked"),
        pytest.param('tool_rule(tool = "update_plan", decision = "allow")', ALLOW, id="allowed"),
        pytest.param('tool_rule(tool = "exec_command", decision = "deny")', ALLOW, id="another"),
        pytest.param('tool_rule(tool = "update_plan", decision = "deny", mode = "audit")', ALLOW, id="audit"),
    ],
)
def test_the_plan_is_allowed_by_silence(rules: str, want: Decision) -> None:
    request = UseTool(subject="update_plan: 1 steps", cwd="/ws", arguments={"plan": []})
    assert gate(rules).judge("update_plan", request).verdict.decision is want


@pytest.mark.parametrize(
    ("decision", "want"),
    [pytest.param("deny", DENY, id="deny"), pytest.param("allow", ALLOW, id="allow-adds-nothing")],
)
def test_a_rule_about_the_patch_tool_makes_stricter_only(decision: str, want: Decision) -> None:
    rules = f'tool_rule(tool = "apply_patch", decision = "{decision}")'
    assert gate(rules).judge("apply_patch", changes("/ws/a")).verdict.decision is want
    assert gate(rules).judge("apply_patch", changes("/etc/a")).verdict.decision is DENY


def test_a_judging_that_fails_is_a_denial(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **kwargs: object) -> Verdict:
        raise RecursionError("too deep")

    monkeypatch.setattr(gate_module, "check_facts", broken)
    found = gate().judge("exec_command", RunScript(script="ls", cwd="/ws"))
    assert found.verdict.decision is DENY
    assert not found.analysed
    assert "RecursionError: too deep" in found.explanation[0]
    assert found.spec.mode is SandboxMode.READ_ONLY


def test_facts_that_cannot_be_had_are_a_denial() -> None:
    def context(cwd: str) -> CheckContext:
        raise OSError("no such folder")

    found = Gate(policy(""), context, SPEC).judge("exec_command", RunScript(script="ls", cwd="/gone"))
    assert found.verdict.decision is DENY


@pytest.mark.parametrize(
    ("asked", "mode", "network"),
    [
        pytest.param(Confinement(), SandboxMode.WORKSPACE_WRITE, Network.NONE, id="silence"),
        pytest.param(
            Confinement(sandbox=SandboxMode.READ_ONLY), SandboxMode.READ_ONLY, Network.NONE, id="lower"
        ),
        pytest.param(
            Confinement(sandbox=SandboxMode.FULL_ACCESS), SandboxMode.FULL_ACCESS, Network.NONE, id="more"
        ),
        pytest.param(
            Confinement(network=NetworkAccess.ALLOW), SandboxMode.WORKSPACE_WRITE, Network.FULL, id="online"
        ),
    ],
)
def test_what_a_call_is_confined_to(asked: Confinement, mode: SandboxMode, network: Network) -> None:
    spec = confined(SPEC, Verdict(decision=ALLOW, confinement=asked))
    assert (spec.mode, spec.network, spec.workspace) == (mode, network, "/ws")


@pytest.fixture
def real_gate(tmp_path: Path) -> Callable[[str], Gate]:
    def made(rules: str) -> Gate:
        def context(cwd: str) -> CheckContext:
            return CheckContext(cwd=cwd, workspace=str(tmp_path))

        return Gate(policy(rules), context, SPEC)

    return made


@pytest.mark.parametrize(
    ("script", "mode"),
    [
        pytest.param("free x", SandboxMode.FULL_ACCESS, id="one-command"),
        pytest.param("free x; plain y", SandboxMode.WORKSPACE_WRITE, id="another-with-it"),
        pytest.param("tight x", SandboxMode.READ_ONLY, id="less"),
        pytest.param("plain x", SandboxMode.WORKSPACE_WRITE, id="silence"),
    ],
)
def test_more_power_than_the_session_has_needs_the_word_of_every_rule(
    real_gate: Callable[[str], Gate], script: str, mode: SandboxMode, tmp_path: Path
) -> None:
    rules = """
prefix_rule(pattern = ["free"], decision = "allow", sandbox = "full-access")
prefix_rule(pattern = ["tight"], decision = "allow", sandbox = "read-only")
prefix_rule(pattern = ["plain"], decision = "allow")
"""
    found = real_gate(rules).judge("exec_command", RunScript(script=script, cwd=str(tmp_path)))
    assert found.verdict.decision is ALLOW
    assert found.spec.mode is mode


def test_a_rule_about_the_command_tool_is_heard(real_gate: Callable[[str], Gate], tmp_path: Path) -> None:
    rules = """
prefix_rule(pattern = ["ls"], decision = "allow")
tool_rule(tool = "exec_command", decision = "ask", justification = "every command is watched")
"""
    found = real_gate(rules).judge("exec_command", RunScript(script="ls", cwd=str(tmp_path)))
    assert found.verdict.decision is ASK
