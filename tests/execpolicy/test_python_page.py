"""The example of the page on Python runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/reference/python.md"
RULES = """\
prefix_rule(pattern=["git", "status"], decision="allow", justification="looks only")
command_rule(program="rm", decision="deny", justification="no", id="rm.no")
"""


def test_the_example_runs_and_imports_nothing_of_the_agent(tmp_path: Path) -> None:
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    (tmp_path / "team.rules").write_text(RULES, encoding="utf-8")
    program = (
        found[1]
        + "\nimport sys\nassert not [name for name in sys.modules if name.split('.')[0] == 'agent']\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[:3] == ["DENY", "ALLOW git status", "DENY rm -rf build"]
    assert "'id': 'rm.no'" in lines[-1]
