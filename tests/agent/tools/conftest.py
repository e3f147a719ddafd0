"""A gate over real rules, for tests of what a call is judged as."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.sandbox.spec import SandboxSpec
from agent.tools.gate import Gate
from execpolicy.decision import Layer, SandboxMode
from execpolicy.engine.context import CheckContext
from execpolicy.engine.policy import Policy
from execpolicy.lang.lower import parse_rules


@pytest.fixture
def real_gate(tmp_path: Path) -> Callable[[str], Gate]:
    def made(rules: str, mode: SandboxMode = SandboxMode.WORKSPACE_WRITE) -> Gate:
        parsed = parse_rules(rules, "test.rules", Layer.USER)
        assert not parsed.diagnostics, parsed.diagnostics
        spec = SandboxSpec(mode=mode, workspace=str(tmp_path))

        def context(cwd: str) -> CheckContext:
            return CheckContext(cwd=cwd, workspace=str(tmp_path))

        return Gate(Policy.build([(Layer.USER, parsed.file)]), context, spec)

    return made
