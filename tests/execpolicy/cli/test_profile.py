"""`--profile` takes the rules of a shipped profile, and only those beside `--rules`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from execpolicy.bundle.shipped import NoProfile, profile_sources
from execpolicy.decision import Layer


def run(home: Path, *words: str, text: str = "") -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-I", "-m", "execpolicy", *words],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "AGENT_HOME": str(home)},
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    (tmp_path / "home" / "rules").mkdir(parents=True)
    path = tmp_path / "mine.rules"
    path.write_text('prefix_rule(pattern = ["frobnicate"], decision = "allow")\n', encoding="utf-8")
    (tmp_path / "home" / "rules" / "not.rules").write_text(
        'prefix_rule(pattern = ["ls"], decision = "deny", justification = "not in force here")\n',
        encoding="utf-8",
    )
    return path


@pytest.mark.parametrize(
    ("words", "status"),
    [
        pytest.param(["check", "--profile", "standard", "--", "git", "status"], 0, id="allowed"),
        pytest.param(["check", "--profile=standard", "--", "ls"], 0, id="not-the-layers-in-force"),
        pytest.param(["check", "--profile", "standard", "--", "rm", "-rf", "/"], 11, id="denied"),
        pytest.param(["check", "--profile", "standard", "--", "frobnicate"], 10, id="silent"),
        pytest.param(
            ["check", "--profile", "standard", "--rules", "RULES", "--", "frobnicate"], 0, id="both"
        ),
        pytest.param(["check", "--profile", "ci", "--rules", "RULES", "--", "frobnicate"], 11, id="closed"),
        pytest.param(["check", "--profile", "ci", "--profile", "strict", "--", "ls"], 0, id="two"),
        pytest.param(["explain", "--profile", "standard", "--", "git", "status"], 0, id="explain"),
        pytest.param(["check", "--profile", "none", "--", "ls"], 1, id="unknown"),
        pytest.param(["check", "--profile", "../profiles/ci", "--", "ls"], 1, id="no-path"),
    ],
)
def test_the_rules_of_a_profile(rules: Path, words: list[str], status: int) -> None:
    given = [str(rules) if word == "RULES" else word for word in words]
    found, out, err = run(rules.parent / "home", *given)
    assert found == status, out + err
    assert ("known are ci, read-only, standard, strict" in err) == (status == 1)


def test_many_questions(rules: Path) -> None:
    lines = '{"script": "git status"}\n{"argv": ["frobnicate"]}\n'
    status, out, _ = run(rules.parent / "home", "check", "--stdin", "--profile", "standard", text=lines)
    assert [json.loads(line)["decision"] for line in out.splitlines()] == ["allow", "ask"]
    assert status == 0


def test_a_profile_stands_in_the_layer_of_the_user() -> None:
    assert {source.layer for source in profile_sources("ci")} == {Layer.USER}
    with pytest.raises(NoProfile):
        profile_sources("nothing")
