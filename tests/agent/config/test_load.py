"""Settings: which place wins, and what is said about a wrong one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.config.layers import read_file, read_override
from agent.config.load import Flags, ensure_home, load_settings
from agent.config.model import Settings
from agent.errors import AgentError, ConfigError, UsageError
from execpolicy.decision import SandboxMode


class Place:
    """A user's home and a repository."""

    def __init__(self, tmp_path: Path) -> None:
        self.home = tmp_path / "home"
        self.repo = tmp_path / "repo"
        self.sub = self.repo / "src" / "deep"
        self.sub.mkdir(parents=True)
        (self.repo / ".git").mkdir()
        (self.repo / ".agent").mkdir()
        self.home.mkdir()

    def user(self, text: str) -> Place:
        (self.home / "config.toml").write_text(text)
        return self

    def project(self, text: str, trust: bool = True) -> Place:
        (self.repo / ".agent" / "config.toml").write_text(text)
        level = "trusted" if trust else "untrusted"
        file = self.home / "config.toml"
        before = file.read_text() if file.exists() else ""
        file.write_text(before + f'\n[projects."{self.repo}"]\ntrust_level = "{level}"\n')
        return self

    def load(self, flags: Flags | None = None, **environ: str) -> Settings:
        return load_settings(flags or Flags(), {"AGENT_HOME": str(self.home)} | environ, self.sub)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_each_layer_wins_over_the_one_below(place: Place) -> None:
    assert place.load().model == "gpt-5.5"
    assert place.user('model = "user"\n').load().model == "user"
    assert place.project('model = "project"\n').load().model == "project"
    assert place.load(Flags(overrides=("model=override",))).model == "override"
    settings = place.load(Flags(overrides=("model=override",), model="flag"))
    assert settings.model == "flag"
    assert settings.origins["model"] == "--model"


def test_every_value_says_where_it_came_from(place: Place) -> None:
    settings = place.user('\nmodel = "m"\n[sandbox_workspace_write]\nnetwork_access = true\n').load(
        OPENAI_BASE_URL="http://127.0.0.1:1/v1/", OPENAI_API_KEY="canary-1"
    )
    config = place.home / "config.toml"
    assert settings.origins["model"] == f"{config}:2"
    assert settings.origins["network"] == f"{config}:4"
    assert settings.origins["base_url"] == "environment OPENAI_BASE_URL"
    assert settings.origins["api_key"] == "environment OPENAI_API_KEY"
    assert settings.origins["sandbox"] == "default"
    assert settings.base_url == "http://127.0.0.1:1/v1"
    assert settings.network is True


def test_the_key_is_never_shown(place: Place) -> None:
    settings = place.load(OPENAI_API_KEY="canary-1")
    assert settings.api_key == "canary-1"
    assert "canary" not in repr(settings)
    assert "canary" not in str(dict(settings.origins))


def test_the_name_of_the_key_variable_is_a_setting(place: Place) -> None:
    settings = place.user('env_key = "MY_KEY"').load(MY_KEY="mine", OPENAI_API_KEY="other")
    assert settings.api_key == "mine"
    assert place.load(OPENAI_API_KEY="other").api_key is None


@pytest.mark.parametrize(
    ("environ", "scripted"),
    [
        ({}, True),
        ({"OPENAI_API_KEY": ""}, True),
        ({"OPENAI_API_KEY": "k"}, False),
        ({"OPENAI_BASE_URL": "http://localhost:1"}, False),
    ],
)
def test_the_scripted_model_answers_only_when_nothing_else_can(
    place: Place, environ: dict[str, str], scripted: bool
) -> None:
    assert place.load(**environ).scripted is scripted


def test_the_workspace_is_the_repository(place: Place) -> None:
    settings = place.load()
    assert settings.cwd == place.sub
    assert settings.workspace == place.repo
    assert place.load(Flags(cwd=str(place.home))).workspace == place.home


def test_a_repository_around_the_state_folder_is_not_a_workspace(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    work = tmp_path / "work"
    work.mkdir()
    settings = load_settings(Flags(), {"AGENT_HOME": str(tmp_path / "state")}, work)
    assert settings.workspace == work


def test_a_project_that_is_not_trusted_sets_nothing(place: Place) -> None:
    settings = place.project('model = "project"\nbroken ===', trust=False).load()
    assert settings.model == "gpt-5.5"
    assert not settings.trusted


@pytest.mark.parametrize(
    ("text", "says", "helps"),
    [
        pytest.param('modle = "x"', ":1: unknown key `modle`", "did you mean `model`?", id="typo"),
        pytest.param(
            "# one\n[sandbox_workspace_write]\nnetwork_acess = true\n",
            ":3: unknown key `sandbox_workspace_write.network_acess`",
            "did you mean `sandbox_workspace_write.network_access`?",
            id="typo-in-a-table",
        ),
        pytest.param(
            "network_access = true",
            ":1: unknown key `network_access`",
            "did you mean `sandbox_workspace_write.network_access`?",
            id="without-its-table",
        ),
        pytest.param("model = 3", ":1: `model` must be text, not `3`", "model to ask", id="wrong-kind"),
        pytest.param(
            "\n\nmax_steps = 0", ":3: `max_steps` must lie in 1 to 100000, not `0`", "", id="out-of-range"
        ),
        pytest.param("max_steps = true", "must be a whole number", "", id="true-is-no-number"),
        pytest.param('base_url = "ftp://x"', "http or https", "", id="wrong-address"),
        pytest.param('sandbox_mode = "off"', "read-only, workspace-write or full-access", "", id="mode"),
        pytest.param("model = ", ":1:1: invalid value", "", id="not-toml-at-its-end"),
        pytest.param('a = 1\n"b" c', ":2:5: expected '='", "", id="not-toml"),
        pytest.param("a = 1\nb = 2", ":2: unknown key `b`", "", id="all-errors-at-once"),
        pytest.param("projects = 1", "`projects` must be a table", "", id="projects"),
        pytest.param('[projects."/x"]\ntrust = 1', "`trust_level` and nothing else", "", id="trust"),
        pytest.param("sandbox_workspace_write = 1", "unknown key `sandbox_workspace_write`", "", id="table"),
        pytest.param("x = " + "[" * 3000, "", "", id="deep"),
    ],
)
def test_a_wrong_file_is_told_with_its_line(place: Place, text: str, says: str, helps: str) -> None:
    with pytest.raises(ConfigError) as caught:
        place.user(text).load()
    assert says in str(caught.value)
    assert str(place.home / "config.toml") in str(caught.value)
    assert helps in caught.value.help


@pytest.mark.parametrize("raw", [b"\xff\xfe\x00", b"a" * 2_000_000])
def test_a_file_that_is_no_text_is_told(place: Place, raw: bytes) -> None:
    (place.home / "config.toml").write_bytes(raw)
    with pytest.raises(ConfigError):
        place.load()


@pytest.mark.parametrize(
    "text",
    ['base_url = "http://evil.example"', 'env_key = "AWS_SECRET"', '[projects."/"]\ntrust_level = "trusted"'],
)
def test_a_project_cannot_redirect_the_key_or_vouch_for_itself(place: Place, text: str) -> None:
    with pytest.raises(ConfigError, match="cannot be set by a project"):
        place.project(text).load()


@pytest.mark.parametrize(
    ("user", "project", "want"),
    [
        ("", "read-only", SandboxMode.READ_ONLY),
        ("", "full-access", None),
        ('sandbox_mode = "read-only"', "workspace-write", None),
        ('sandbox_mode = "danger-full-access"', "full-access", SandboxMode.FULL_ACCESS),
    ],
)
def test_a_project_only_tightens_the_sandbox(
    place: Place, user: str, project: str, want: SandboxMode | None
) -> None:
    place.user(user).project(f'sandbox_mode = "{project}"')
    if want is None:
        with pytest.raises(ConfigError, match="cannot loosen"):
            place.load()
    else:
        assert place.load().sandbox is want


@pytest.mark.parametrize(
    ("flags", "error", "says"),
    [
        (Flags(cwd="nowhere"), UsageError, "is not a folder"),
        (Flags(add_dirs=("nowhere",)), UsageError, "is not a folder"),
        (Flags(policy_files=("no.rules",)), ConfigError, "does not exist"),
        (Flags(overrides=("model",)), ConfigError, "has no `=`"),
        (Flags(overrides=("modl=x",)), ConfigError, "unknown key `modl`"),
        (Flags(overrides=("max_steps=x",)), ConfigError, "whole number"),
        (Flags(base_url="localhost"), UsageError, "http or https"),
        (Flags(model=" "), UsageError, "must be text"),
    ],
)
def test_a_wrong_flag_is_told(place: Place, flags: Flags, error: type[AgentError], says: str) -> None:
    with pytest.raises(error, match=says):
        place.load(flags)


def test_paths_of_flags_are_relative_to_where_the_user_stands(place: Place) -> None:
    (place.sub / "a.rules").write_text("")
    settings = place.load(Flags(cwd="../..", policy_files=("a.rules",), add_dirs=(".",)))
    assert settings.cwd == place.repo
    assert settings.policy_files == (place.sub / "a.rules",)
    assert settings.writable == (place.sub,)


def test_the_state_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    ensure_home(tmp_path / "new" / "home")
    assert (tmp_path / "new" / "home").stat().st_mode & 0o777 == 0o700
    ensure_home(tmp_path / "new" / "home")


def test_a_state_folder_that_cannot_be_used_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written") as caught:
        ensure_home(tmp_path / "file" / "home")
    assert "AGENT_HOME" in caught.value.help
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(ConfigError, match="by others"):
        ensure_home(shared)


@pytest.mark.parametrize("key", ["canary\n", "canary two", " canary", "canary\u00e9"])
def test_a_key_that_can_be_none_is_told_without_showing_it(place: Place, key: str) -> None:
    with pytest.raises(ConfigError, match="no key has") as caught:
        place.load(OPENAI_API_KEY=key)
    assert "canary" not in str(caught.value)


def test_a_pipe_is_not_waited_for(place: Place) -> None:
    os.mkfifo(place.home / "config.toml")
    with pytest.raises(ConfigError, match="is a pipe"):
        place.load()


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://host:99999/v1", "http://host:x/v1", "http://:80/v1", "http://h\x1b[2J/v1"]
)
def test_an_address_that_no_request_can_go_to_is_told(place: Place, url: str) -> None:
    with pytest.raises(UsageError, match="must be an http or https address"):
        place.load(Flags(base_url=url))


def test_text_that_no_request_can_carry_is_told(place: Place) -> None:
    with pytest.raises(UsageError, match="must be text"):
        place.load(Flags(model="m\udcff"))


@pytest.mark.parametrize(
    "text", ["a." * 100_000 + "b = 1", "[" + "a." * 100_000 + "b]", "x = " + "{" + "a." * 50_000 + "b=1}"]
)
def test_a_key_of_very_many_parts_is_told_at_once(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.toml").write_text(f'model = "m"\n{text}\n')
    with pytest.raises(ConfigError, match=r"config\.toml:2: more than 1000 dots in one line"):
        read_file(tmp_path / "config.toml", project=False)
    with pytest.raises(ConfigError, match="is no key"):
        read_override("a." * 60_000 + "b=1", tmp_path)
