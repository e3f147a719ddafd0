"""From settings to the policy in force, the confinement of the session and the facts of the moment."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from agent.app import policy
from agent.config.model import Settings
from agent.errors import ConfigError
from execpolicy.bundle.load import FileUse
from execpolicy.bundle.session import rule_places
from execpolicy.decision import Layer, SandboxMode

GOOD = 'prefix_rule(pattern = ["ls"], decision = "allow")\n'
BAD = 'prefix_rule(pattern = ["ls"], decision = "alow")\n'


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    project = tmp_path / "project"
    project.mkdir()
    subprocess.run(["git", "init", "-qb", "trunk", str(project)], check=True)
    (tmp_path / "home/rules").mkdir(parents=True)
    return Settings(agent_home=tmp_path / "home", cwd=project, workspace=project)


def use(path: Path) -> FileUse:
    return FileUse(str(path), Layer.SESSION, "", True)


def test_no_policy_is_said(settings: Settings) -> None:
    found = policy.load(settings)
    assert [warning.message for warning in found.warnings] == ["there is no policy: every command is refused"]
    assert str(settings.rules) in found.warnings[0].help


def test_a_profile_of_rules_that_ship(settings: Settings) -> None:
    found = policy.load(replace(settings, rules_profile="standard"))
    assert len(found.files) > 20
    assert not found.warnings
    with pytest.raises(ConfigError, match="no profile `standart`: known are ci, ") as caught:
        policy.load(replace(settings, rules_profile="standart"))
    assert "config.toml" in caught.value.help


def test_every_error_of_every_named_file_is_told(settings: Settings, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.rules").write_text(BAD + BAD)
    named = replace(settings, policy_files=(tmp_path / "one.rules", tmp_path / "two.rules"))
    with pytest.raises(ConfigError) as caught:
        policy.load(named)
    text = str(caught.value)
    for place in ("one.rules:1:", "one.rules:2:", "two.rules:1:", "two.rules:2:"):
        assert place in text


def test_a_broken_file_of_the_user_is_a_warning(settings: Settings) -> None:
    (settings.rules / "mine.rules").write_text(GOOD + BAD)
    found = policy.load(settings)
    assert any("alow" in warning.message for warning in found.warnings)
    assert any("is broken" in warning.message for warning in found.warnings)
    assert len(found.errors) == 1
    assert "mine.rules:2:" in found.errors[0]


def test_a_project_is_heard_only_when_it_is_trusted(settings: Settings) -> None:
    (settings.workspace / ".agent/rules").mkdir(parents=True)
    (settings.workspace / ".agent/rules/p.rules").write_text(GOOD)
    assert not policy.load(settings).files
    assert [file.layer for file in policy.load(replace(settings, trusted=True)).files] == [Layer.PROJECT]


def test_the_session_is_confined(settings: Settings) -> None:
    spec = policy.session_spec(settings, ())
    assert spec.workspace == str(settings.workspace)
    assert {f"{settings.workspace}/.git", f"{settings.workspace}/.agent", str(settings.agent_home)} <= set(
        spec.protected
    )
    assert spec.hidden == (str(settings.agent_home),)
    assert not spec.network


def test_a_state_folder_around_the_project_is_not_hidden_with_it(settings: Settings) -> None:
    spec = policy.session_spec(replace(settings, agent_home=settings.workspace.parent), ())
    assert spec.hidden == ()


def test_full_access_has_the_network(settings: Settings) -> None:
    assert policy.session_spec(replace(settings, sandbox=SandboxMode.FULL_ACCESS), ()).network


def places_of(settings: Settings, files: tuple[FileUse, ...]) -> tuple[Path, ...]:
    return tuple(map(Path, rule_places(policy.session_of(settings, files), {})))


def test_rule_files_are_protected_with_their_folder_where_no_work_is_done(settings: Settings) -> None:
    places = places_of(settings, (use(Path("/opt/team/a.rules")),))
    assert set(places) == {Path("/opt/team/a.rules"), Path("/opt/team")}
    inside = settings.workspace / "team.rules"
    assert places_of(settings, (use(inside),)) == (inside,)
    deeper = settings.workspace / "policy/team.rules"
    assert set(places_of(settings, (use(deeper),))) == {deeper, deeper.parent}
    # A folder that holds a writable one stays open, the file does not.
    assert places_of(settings, (use(Path("/tmp/a.rules")),)) == (Path("/tmp/a.rules"),)


def test_a_rule_file_behind_a_link_is_protected_too(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "real.rules").write_text(GOOD)
    link = settings.workspace / "link.rules"
    link.symlink_to(tmp_path / "real.rules")
    assert {link, tmp_path / "real.rules"} <= set(places_of(settings, (use(link),)))


def test_the_facts_are_those_of_the_moment(settings: Settings) -> None:
    make = policy.context_maker(settings, (), lambda: {"PATH": "/usr/bin", "X": "1"})
    before = make(str(settings.cwd))
    subprocess.run(["git", "-C", str(settings.cwd), "checkout", "-qb", "feature"], check=True)
    after = make(str(settings.cwd))
    assert (before.facts["branch"], after.facts["branch"]) == ("trunk", "feature")
    assert after.env == {"PATH": "/usr/bin", "X": "1"}
    assert after.facts["interactive"] is False
    assert str(settings.agent_home) in after.protected
    assert after.workspace == str(settings.workspace)
    assert "/tmp" in after.writable
