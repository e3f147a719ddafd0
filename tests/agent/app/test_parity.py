"""`agent policy check` answers what the running agent would be told in the same folder."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from agent.app import policy
from agent.cli.asked import settings_of
from agent.cli.main import main
from agent.config.load import Flags, load_settings
from agent.tools.base import RunScript
from agent.tools.gate import Gate
from execpolicy.cli.asked import Asked
from execpolicy.cli.check import verdict_of
from execpolicy.cli.place import Place, context_of, load
from execpolicy.engine.explain import to_json

RULES = """\
prefix_rule(pattern = [["git", "cat", "touch", "echo", "ls"]], decision = "allow")
prefix_rule(pattern = ["git", "push"], decision = "deny", when = branch == "trunk")
prefix_rule(pattern = ["make"], decision = "allow", when = sandbox == "workspace-write" and network == "deny")
prefix_rule(pattern = ["cargo"], decision = "allow", when = cwd in path(within = "$WORKSPACE/sub"))
prefix_rule(pattern = ["deploy"], decision = "allow", when = agent == "agent")
prefix_rule(pattern = ["ask-me"], decision = "deny", when = not interactive)
path_rule(paths = ["**/.env"], access = ["read", "write"], decision = "deny")
tool_rule(tool = "exec_command", arguments = {"cmd": glob("*forbidden-word*")}, decision = "deny")
"""
SCRIPTS = [
    "git status",
    "git push origin trunk",
    "make all",
    "cargo build",
    "deploy",
    "cat ../sub/../x && ls | cat > out",
    "echo x > .git/config",
    "echo x > .agent/rules/a.rules",
    "echo x > $HOME/y",
    "echo x > /tmp/y",
    "echo x > /etc/agent/rules/z.rules",
    "echo x > ../outside",
    "touch .env",
    "cat .env",
    "./git status",
    "nobody-knows",
    "echo forbidden-word",
    "$cmd x",
    "if",
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    (root / "sub").mkdir(parents=True)
    subprocess.run(["git", "init", "-qb", "trunk", str(root)], check=True)
    home = tmp_path / "home"
    (home / "rules").mkdir(parents=True)
    (home / "rules" / "mine.rules").write_text(RULES, encoding="utf-8")
    for name in [name for name in os.environ if name.startswith("AGENT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AGENT_HOME", str(home))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    return root


def told(folder: Path, script: str, *, interactive: bool = True) -> dict[str, object]:
    """What the agent's gate says."""
    settings = load_settings(Flags(interactive=interactive), os.environ, folder)
    in_force = policy.load(settings)
    context = policy.context_maker(settings, in_force.files, lambda: os.environ)
    gate = Gate(in_force.policy, context, policy.session_spec(settings, in_force.files))
    return to_json(gate.judge("exec_command", RunScript(script=script, cwd=str(folder))).verdict)


def checked(folder: Path, script: str, *facts: str) -> dict[str, object]:
    """What the command says."""
    asked = Asked(folder=str(folder), script=script, facts=facts)
    place = Place.of(asked.folder)
    assert place is not None
    loaded = load(asked, place)
    given = settings_of(place)
    assert loaded is not None
    assert not isinstance(given, str), given
    return to_json(verdict_of(asked, loaded.policy, context_of(asked, place, loaded, given)))


@pytest.mark.parametrize("folder", [".", "sub"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_both_say_the_same(project: Path, folder: str, script: str) -> None:
    assert checked(project / folder, script) == told(project / folder, script)


CONFIGS = [
    pytest.param('sandbox_mode = "read-only"\n', "", id="mode"),
    pytest.param('sandbox_mode = "danger-full-access"\n', "", id="codex-word"),
    pytest.param('"s\\u0061ndbox_mode" = "read-only"\n', "", id="written-otherwise"),
    pytest.param("[sandbox_workspace_write]\nnetwork_access = true\n", "", id="network"),
    pytest.param('sandbox_workspace_write = { writable_roots = ["{outside}"] }\n', "", id="roots"),
    pytest.param('profile = "p"\n[profiles.p]\nsandbox_mode = "read-only"\n', "", id="profile"),
    pytest.param('[profiles.p]\nsandbox_mode = "read-only"\n', "", id="profile-not-chosen"),
    pytest.param(
        '[projects."{project}"]\ntrust_level = "trusted"\n', 'sandbox_mode = "read-only"\n', id="project"
    ),
    pytest.param("", 'sandbox_mode = "read-only"\n', id="project-not-trusted"),
    pytest.param('model = "m"\n', "", id="nothing-about-it"),
]


@pytest.mark.parametrize(("config", "of_project"), CONFIGS)
@pytest.mark.parametrize("script", ["make all", "echo x > ../outside/y", "echo x > y", "git status"])
def test_both_go_by_the_settings(project: Path, config: str, of_project: str, script: str) -> None:
    (project.parent / "outside").mkdir()
    (project / ".agent").mkdir()
    (project / ".agent" / "config.toml").write_text(of_project)
    config = config.replace("{outside}", str(project.parent / "outside")).replace("{project}", str(project))
    (project.parent / "home" / "config.toml").write_text(config)
    for folder in (project, project / "sub"):
        assert checked(folder, script) == told(folder, script)


@pytest.mark.parametrize(
    "words", [["git", "status"], ["--script", "git status"], ["--fact", "a=b", "git", "status"]]
)
@pytest.mark.parametrize("command", ["check", "explain"])
def test_settings_that_stop_a_run_stop_the_question(
    project: Path, command: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (project.parent / "home" / "config.toml").write_text('sandbox_mod = "read-only"\n')
    assert main(["policy", command, "-C", str(project), *words]) == 1
    assert "did you mean `sandbox_mode`?" in capsys.readouterr().err
    (project.parent / "home" / "config.toml").write_text('sandbox_mode = "read-only"\nmodel = "m"\n')
    assert main(["policy", command, "-C", str(project), *words]) == 0


@pytest.mark.parametrize("interactive", [True, False])
def test_what_one_run_decides_has_to_be_given(project: Path, interactive: bool) -> None:
    fact = f"interactive={str(interactive).lower()}"
    assert checked(project, "ask-me", fact) == told(project, "ask-me", interactive=interactive)
    assert checked(project, "ask-me")["decision"] == "ask"
