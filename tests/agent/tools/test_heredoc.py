"""Which shell commands are nothing but a patch."""

from __future__ import annotations

import pytest

from agent.tools.heredoc import ShellPatch, find_patch

TEXT = "*** Begin Patch\n*** Add File: a\n+x\n*** End Patch\n"


@pytest.mark.parametrize(
    ("script", "cwd"),
    [
        pytest.param(f"apply_patch <<'EOF'\n{TEXT}EOF", "/ws", id="plain"),
        pytest.param(f'apply_patch <<"EOF"\n{TEXT}EOF\n', "/ws", id="double-quotes"),
        pytest.param(f"apply_patch <<EOF\n{TEXT}EOF\n\n", "/ws", id="no-quotes"),
        pytest.param(f"applypatch << 'PATCH'\n{TEXT}PATCH\n", "/ws", id="other-name-and-end"),
        pytest.param(f"cd sub && apply_patch <<'EOF'\n{TEXT}EOF", "/ws/sub", id="cd"),
        pytest.param(f"cd '/a b' && apply_patch <<'EOF'\n{TEXT}EOF", "/a b", id="cd-absolute-quoted"),
        pytest.param(f"cd .. && apply_patch <<'EOF'\n{TEXT}EOF", "/", id="cd-up"),
        pytest.param(f"apply_patch '{TEXT}'", "/ws", id="argument"),
    ],
)
def test_a_patch_in_a_command_is_found(script: str, cwd: str) -> None:
    assert find_patch(script, "/ws") == ShellPatch(TEXT, cwd)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("apply_patch --help", id="no-patch"),
        pytest.param(f"echo hi; apply_patch <<'EOF'\n{TEXT}EOF", id="something-before"),
        pytest.param(f"apply_patch <<'EOF' && rm x\n{TEXT}EOF", id="something-on-the-line"),
        pytest.param(f"apply_patch <<'EOF' | sh\n{TEXT}EOF", id="piped-on"),
        pytest.param(f"apply_patch <<'EOF'\n{TEXT}EOF\nrm x", id="something-after"),
        pytest.param(f"cd $HOME && apply_patch <<'EOF'\n{TEXT}EOF", id="folder-not-known"),
        pytest.param(f"cd - && apply_patch <<'EOF'\n{TEXT}EOF", id="folder-before"),
        pytest.param(f"cd '' && apply_patch <<'EOF'\n{TEXT}EOF", id="no-folder"),
        pytest.param(f"sudo apply_patch <<'EOF'\n{TEXT}EOF", id="wrapped"),
        pytest.param(f"cat <<'EOF'\n{TEXT}EOF", id="other-program"),
    ],
)
def test_whatever_else_stands_in_it_stays_a_command(script: str) -> None:
    assert find_patch(script, "/ws") is None
