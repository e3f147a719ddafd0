"""Every answer of a batch is JSON that any reader takes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


def refuse(name: str) -> None:
    raise AssertionError(name)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity"])
def test_a_number_that_json_cannot_say_is_no_id(number: str, tmp_path: Path) -> None:
    (tmp_path / "a.rules").write_text('prefix_rule(pattern=["git"])\n', encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-I", "-m", "execpolicy", "check", "--stdin", "--rules", "a.rules"],
        cwd=tmp_path,
        input=f'{{"id": {number}, "script": "git"}}\n{{"id": 7, "script": "git"}}\n',
        capture_output=True,
        text=True,
        check=False,
    )
    bad, good = (json.loads(line, parse_constant=refuse) for line in done.stdout.splitlines())
    assert "error" in bad
    assert (good["id"], good["decision"]) == (7, "allow")
