"""The Seatbelt profile as a golden text. It has not been run on macOS."""

from __future__ import annotations

import pytest

from agent.sandbox.base import Launch
from agent.sandbox.mounts import Kind, Mount, Survey
from agent.sandbox.seatbelt import Seatbelt, profile
from agent.sandbox.spec import SandboxSpec
from execpolicy.decision import SandboxMode

SEEN = Survey(
    mounts=(
        Mount("/private/tmp", Kind.WRITABLE),
        Mount("/w", Kind.WRITABLE),
        Mount("/w/.agent", Kind.EMPTY),
        Mount('/w/a "b" \\c', Kind.HIDDEN_FOLDER),
        Mount("/w/.git", Kind.READ_ONLY),
    ),
    guards=("/w/.agent",),
    temp="/private/tmp",
)
RULES = """\
(allow file-write* (subpath "/private/tmp"))
(allow file-write* (subpath "/w"))
(deny file-write* (subpath "/w/.agent"))
(deny file-read* file-write* (subpath "/w/a \\"b\\" \\\\c"))
(deny file-write* (subpath "/w/.git"))
"""


def spec(network: bool) -> SandboxSpec:
    return SandboxSpec(mode=SandboxMode.WORKSPACE_WRITE, workspace="/w", network=network)


@pytest.mark.parametrize("network", [False, True])
def test_profile(network: bool) -> None:
    text = profile(SEEN, spec(network))
    assert text.startswith("(version 1)\n(deny default)\n")
    assert RULES in text
    assert text.endswith("(deny network*)\n") is not network
    assert ("(allow network-outbound (remote ip))" in text) is network
    assert text.count("(") - text.count(")") == 0


def test_wrap(tmp_path: pytest.TempPathFactory) -> None:
    launch = Launch(argv=("bash", "-c", "true"), cwd=str(tmp_path), env={})
    own = SandboxSpec(mode=SandboxMode.READ_ONLY, workspace=str(tmp_path))
    wrapped = Seatbelt("/usr/bin/sandbox-exec", "/root").wrap(launch, own)
    assert wrapped.argv[:2] == ("/usr/bin/sandbox-exec", "-p")
    assert "(allow file-write* (subpath" not in wrapped.argv[2]
    assert wrapped.argv[3:6] == ("--", "/bin/sh", "-c")
    assert wrapped.argv[7:] == ("sh", "bash", "-c", "true")
