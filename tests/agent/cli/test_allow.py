"""A lasting yes beforehand: shown, asked for, kept to the letter, recorded; refused where a card offers none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.app.beforehand import work_out
from agent.app.policy import load
from agent.approvals.store import ApprovalFile
from agent.config.model import Settings
from agent.errors import ApprovalError

Run = Callable[..., subprocess.CompletedProcess[str]]
RULES = """
prefix_rule(pattern = ["echo"], decision = "allow")
prefix_rule(pattern = ["rmdir"], decision = "deny", justification = "nothing is removed", suggest = "leave it")
prefix_rule(pattern = ["hostname"], decision = "ask", id = "team.host")
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    rules = tmp_path / "home" / "rules"
    rules.mkdir(parents=True)
    (rules / "base.rules").write_text(RULES)
    return tmp_path / "home"


@pytest.fixture
def run(home: Path, tmp_path: Path) -> Run:
    project = tmp_path / "project"
    (project / ".git").mkdir(parents=True)

    def ran(*words: str) -> subprocess.CompletedProcess[str]:
        program = str(Path(sys.executable).parent / "agent")
        env = {**os.environ, "AGENT_HOME": str(home)}
        return subprocess.run(
            [program, *words],
            cwd=project,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return ran


def test_what_is_shown_is_kept_recorded_and_can_be_taken_back(run: Run, home: Path) -> None:
    file = home / "rules" / "approvals.rules"
    asked = run("approvals", "allow", "--", "sometool", "a b")
    assert (asked.returncode, file.exists()) == (2, False)
    assert "nobody is there to say yes" in asked.stderr
    assert "always would allow until" in asked.stdout
    assert "  also timeout 60 sometool 'a b'" in asked.stdout
    assert '["sometool", "a b", end]' in asked.stdout
    kept = run("approvals", "allow", "--yes", "--days", "3", "--", "sometool", "a b")
    assert (kept.returncode, kept.stderr) == (0, "")
    id_ = kept.stdout.splitlines()[-1].split()[1]
    assert f'id = "{id_}"' in file.read_text()
    assert run("policy", "check", "--", "sometool", "a b").stdout.startswith("allow")
    assert not run("policy", "check", "--", "sometool", "a").stdout.startswith("allow")
    lines = [line for path in home.glob("audit/*.jsonl") for line in path.read_text().splitlines()]
    (event,) = [
        one["event"] for one in map(json.loads, lines) if one.get("event", {}).get("kind") == "approved"
    ]
    assert (event["rules"], event["scope"], event["answer"]) == ([id_], "user", "user")
    assert event["message"] == "beforehand: sometool 'a b'"
    assert run("approvals", "allow", "--", "sometool", "a b").stdout.startswith("nothing to keep")
    assert run("approvals", "revoke", id_).returncode == 0
    assert run("audit", "verify").returncode == 0


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        pytest.param(("--", "rmdir", "x"), 1, "no yes lifts a deny: nothing is removed", id="a-deny"),
        pytest.param(("--", "hostname"), 1, "team.host", id="an-explicit-ask"),
        pytest.param(("--", "sudo", "sometool"), 1, "too much to be allowed", id="power"),
        pytest.param(("--script", "sometool $x"), 1, "not known before it runs", id="not-known"),
        pytest.param(("--script", "sometool 'a"), 1, "", id="not-readable"),
        pytest.param(("--project", "--", "sometool"), 1, "it is not trusted", id="an-untrusted-project"),
        pytest.param((), 2, "is wanted", id="nothing"),
        pytest.param(("--script", "a", "--", "b"), 2, "is wanted", id="both"),
        pytest.param(("--script", " "), 2, "empty", id="empty"),
        pytest.param(("--days", "0", "--", "sometool"), 2, "--days", id="no-days"),
    ],
)
def test_where_a_card_would_offer_nothing_nothing_is_kept(
    run: Run, home: Path, words: tuple[str, ...], status: int, why: str
) -> None:
    ran = run("approvals", "allow", "--yes", *words)
    assert ran.returncode == status, ran.stdout + ran.stderr
    assert why in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (home / "rules" / "approvals.rules").exists()


def test_what_cannot_be_recorded_is_not_kept(run: Run, home: Path) -> None:
    (home / "audit").write_text("in the way")
    ran = run("approvals", "allow", "--yes", "--", "sometool")
    assert ran.returncode != 0
    assert "not kept" in ran.stderr
    assert not run("policy", "check", "--", "sometool").stdout.startswith("allow")


def test_what_can_neither_be_recorded_nor_taken_back_says_so(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "audit").write_text("in the way")
    settings = Settings(agent_home=home, cwd=tmp_path, workspace=tmp_path)

    def fails(*_: object) -> None:
        raise ApprovalError("the disk is full")

    monkeypatch.setattr(ApprovalFile, "_replace", lambda self, before, text: None)
    monkeypatch.setattr(ApprovalFile, "revoke", fails)
    found = work_out(settings, "sometool", project=False, in_force=load(settings))
    assert found is not None
    with pytest.raises(ApprovalError, match="it is kept, and could neither be recorded") as told:
        found.keep("ann")
    assert "agent approvals revoke approved." in told.value.help


def test_a_trusted_project_keeps_it_for_itself(run: Run, home: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (home / "config.toml").write_text(f'[projects."{project}"]\ntrust_level = "trusted"\n')
    ran = run("approvals", "allow", "--project", "--yes", "--script", "sometool && echo x")
    assert ran.returncode == 0, ran.stderr
    assert '["sometool", end]' in (project / ".agent" / "rules" / "approvals.rules").read_text()


def trusted(run: Run, home: Path, project: Path) -> str:
    """The id of an approval that the user and a trusted project have both."""
    (home / "config.toml").write_text(f'[projects."{project}"]\ntrust_level = "trusted"\n')
    kept = run("approvals", "allow", "--yes", "--", "sometool")
    (project / ".agent" / "rules").mkdir(parents=True)
    text = (home / "rules" / "approvals.rules").read_text()
    (project / ".agent" / "rules" / "approvals.rules").write_text(text)
    return kept.stdout.splitlines()[-1].split()[1]


def test_a_project_cannot_keep_an_approval_from_being_taken_back_by_using_its_id(
    run: Run, home: Path, tmp_path: Path
) -> None:
    id_ = trusted(run, home, tmp_path / "project")
    assert run("approvals", "show", id_).stdout.count('["sometool", end]') == 2
    gone = run("approvals", "revoke", id_.removeprefix("approved.")[:6])
    assert gone.returncode == 0, gone.stderr
    assert gone.stdout.count("taken back") == 2
    assert "nothing is approved" in run("approvals", "list").stdout


def test_what_one_file_gives_up_is_recorded_though_the_other_cannot_be_written(
    run: Run, home: Path, tmp_path: Path
) -> None:
    id_ = trusted(run, home, tmp_path / "project")
    rules = tmp_path / "project" / ".agent" / "rules"
    rules.rename(tmp_path / "elsewhere")
    rules.symlink_to(tmp_path / "elsewhere")
    gone = run("approvals", "revoke", id_)
    assert gone.returncode == 1
    assert "is a link to another place" in gone.stderr
    assert f"taken back: {id_} (user)" in gone.stdout
    assert "revoked" in "".join(path.read_text() for path in home.glob("audit/*.jsonl"))
