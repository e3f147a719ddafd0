"""Profiles, model providers and what the owner of the machine requires."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.config.load import Flags, load_settings
from agent.config.model import Settings
from agent.config.tables import OF_CODEX
from agent.errors import ConfigError
from execpolicy.decision import SandboxMode

MINE = '[model_providers.mine]\nname = "Mine"\nbase_url = "http://127.0.0.1:1/v1"\n'


class Machine:
    """A user's home, a folder, and what is required here."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        self.home.mkdir()
        self.folder = root / "work"
        self.folder.mkdir()
        self.required = root / "requirements.toml"

    def load(
        self, user: str = "", required: str = "", flags: Flags | None = None, **environ: str
    ) -> Settings:
        (self.home / "config.toml").write_text(user)
        self.required.write_text(required)
        environ = {"AGENT_HOME": str(self.home)} | environ
        return load_settings(flags or Flags(), environ, self.folder, self.required)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_profile_stands_over_the_file_and_under_the_flags(machine: Machine) -> None:
    user = 'model = "a"\nprofile = "p"\n[profiles.p]\nmodel = "b"\nmax_steps = 7\n[profiles.q]\nmodel = "c"\n'
    settings = machine.load(user)
    assert (settings.model, settings.max_steps, settings.profile) == ("b", 7, "p")
    assert settings.origins["model"].endswith("config.toml:4")
    assert machine.load(user, flags=Flags(profile="q")).model == "c"
    assert machine.load(user, flags=Flags(profile="q", overrides=("model=d",))).model == "d"
    assert machine.load(user, flags=Flags(overrides=("profile=q",))).model == "c"
    with pytest.raises(ConfigError, match="no profile `r`") as caught:
        machine.load(user, flags=Flags(overrides=("profile=r",)))
    assert caught.value.help == "known are: p, q"


def test_a_profile_that_no_file_defines_is_one_of_rules(machine: Machine) -> None:
    settings = machine.load('[profiles.p]\nmodel = "b"\n', flags=Flags(profile="standard"))
    assert (settings.profile, settings.rules_profile) == ("", "standard")
    assert machine.load('[profiles.p]\nmodel = "b"\n', flags=Flags(profile="p")).rules_profile == ""


def test_a_provider_brings_its_address_its_key_and_its_patience(machine: Machine) -> None:
    patience = "stream_idle_timeout_ms = 500\nrequest_max_retries = 0\n"
    user = 'model_provider = "mine"\n' + MINE + 'env_key = "MINE"\n' + patience
    settings = machine.load(
        user, OPENAI_API_KEY="sk-openai", MINE="sk-mine", OPENAI_BASE_URL="http://other/v1"
    )
    assert (settings.base_url, settings.api_key, settings.env_key) == (
        "http://127.0.0.1:1/v1",
        "sk-mine",
        "MINE",
    )
    assert (settings.stream_idle_seconds, settings.request_max_retries) == (0.5, 0)
    assert "sk-mine" not in repr(settings)
    with pytest.raises(ConfigError, match="`MINE` is not set"):
        machine.load(user, OPENAI_API_KEY="sk-openai")


@pytest.mark.parametrize(
    ("more", "want"),
    [("", None), ("requires_openai_auth = true\n", "sk-openai"), ("requires_openai_auth = false\n", None)],
)
def test_no_provider_gets_the_key_of_openai_unasked(machine: Machine, more: str, want: str | None) -> None:
    settings = machine.load('model_provider = "mine"\n' + MINE + more, OPENAI_API_KEY="sk-openai")
    assert settings.api_key == want


def test_clients_of_codex_bring_the_key_in_a_variable_of_its_own(machine: Machine) -> None:
    settings = machine.load(CODEX_API_KEY="sk-codex", OPENAI_API_KEY="sk-openai")
    assert (settings.api_key, settings.origins["api_key"]) == ("sk-codex", "environment CODEX_API_KEY")
    assert machine.load('env_key = "X"\n', CODEX_API_KEY="sk-codex", X="sk-x").api_key == "sk-x"


def test_a_provider_on_the_command_line(machine: Machine) -> None:
    overrides = (
        'model_providers.x.base_url="http://127.0.0.1:2/v1"',
        "model_provider=x",
        'model_providers.x.http_headers={"a.b" = "c"}',
        "sandbox_workspace_write={network_access = true}",
        'openai_base_url="http://127.0.0.1:9/v1"',
    )
    settings = machine.load(flags=Flags(overrides=overrides))
    assert (settings.base_url, settings.headers) == ("http://127.0.0.1:2/v1", (("a.b", "c"),))
    assert settings.network


@pytest.mark.parametrize(
    ("user", "says", "helps"),
    [
        ('model_provider = "x"', "no model provider `x`", "known are: openai"),
        (
            'model_provider = "x"\n[model_providers.x]\nname = "X"',
            "has no address",
            "model_providers.x.base_url",
        ),
        (MINE + 'envkey = "X"', ":4: unknown key `model_providers.mine.envkey`", "did you mean `env_key`?"),
        (MINE + 'wire_api = "chat"', "`wire_api` must be responses", ""),
        ("[profiles.p]\nmodle = 1", ":2: unknown key `profiles.p.modle`", "did you mean `model`?"),
        (MINE + 'http_headers = { "a b" = "c" }', "`http_headers` must be a table of header names", ""),
        (MINE + 'http_headers = { a = "b\\r\\nc" }', "`http_headers` must be a table of header names", ""),
        ("profiles = 1", "`profiles` must hold tables", ""),
        ('model_reasoning_effort = "huge"', "must be none, minimal, low", ""),
        ('web_search = "yes"', "must be disabled, cached or live", ""),
    ],
)
def test_what_is_wrong_is_told(machine: Machine, user: str, says: str, helps: str) -> None:
    with pytest.raises(ConfigError) as caught:
        machine.load(user)
    assert says in str(caught.value)
    assert helps in caught.value.help


def test_a_header_from_the_environment_holds_one_line(machine: Machine) -> None:
    user = 'model_provider = "mine"\n' + MINE + 'env_http_headers = { x-team = "TEAM" }\n'
    assert machine.load(user, TEAM="a-long-secret").secrets == ("a-long-secret",)
    assert machine.load(user, TEAM="7").secrets == ()
    with pytest.raises(ConfigError, match="header `x-team`"):
        machine.load(user, TEAM="a\r\nx-other: b")


@pytest.mark.parametrize(
    ("policy", "attended"),
    [("never", False), ("on-request", True), ("untrusted", True), ("on-failure", True)],
)
def test_an_approval_policy_of_never_asks_nobody(machine: Machine, policy: str, attended: bool) -> None:
    flags = Flags(interactive=True, overrides=(f"approval_policy={policy}",))
    assert machine.load(flags=flags).interactive is attended
    assert not machine.load(flags=Flags(overrides=flags.overrides)).interactive


REQUIRED = 'allowed_sandbox_modes = ["read-only"]\n[required]\nfail_on = "deny"\nmodel = "m"\n'


def test_what_is_required_holds_and_says_where_it_comes_from(machine: Machine) -> None:
    settings = machine.load(required=REQUIRED)
    assert (settings.sandbox, settings.fail_on, settings.model) == (SandboxMode.READ_ONLY, "deny", "m")
    assert settings.origins["sandbox"] == str(machine.required)
    assert machine.load('model = "m"\nsandbox_mode = "read-only"\n', REQUIRED).model == "m"
    widest = 'allowed_sandbox_modes = ["read-only", "full-access"]\n'
    assert machine.load(required=widest).sandbox is SandboxMode.READ_ONLY


@pytest.mark.parametrize(
    ("user", "flags", "says"),
    [
        ('fail_on = "never"', Flags(), "config.toml:1"),
        ("", Flags(overrides=("fail_on=never",)), "(-c fail_on)"),
        ("", Flags(fail_on="never"), "(--fail-on)"),
        ("", Flags(sandbox=SandboxMode.FULL_ACCESS), "(--sandbox): allowed is read-only"),
        ("", Flags(model="x"), "(--model): `m` is required"),
        ('[profiles.p]\nmodel = "x"', Flags(profile="p"), "cannot be `x`"),
    ],
)
def test_nobody_overrides_what_is_required(machine: Machine, user: str, flags: Flags, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        machine.load(user, REQUIRED, flags)
    assert says in str(caught.value)
    assert str(machine.required) in str(caught.value)


@pytest.mark.parametrize(
    ("required", "says"),
    [
        ("x = ", "invalid value"),
        ("allowed_sandbox_mode = []", "unknown key `allowed_sandbox_mode`"),
        ("allowed_sandbox_modes = []", "a list of values"),
        ('allowed_sandbox_modes = ["off"]', "read-only, workspace-write or full-access"),
        ('[required]\nmodle = "x"', "unknown key `modle`"),
        ('[required.projects."/x"]\ntrust_level = "trusted"', "keys of the table of settings only"),
    ],
)
def test_requirements_that_cannot_be_read_let_nothing_start(
    machine: Machine, required: str, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        machine.load(required=required)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("required", "most"),
    [
        ("", SandboxMode.FULL_ACCESS),
        ('allowed_sandbox_modes = ["workspace-write", "read-only"]', SandboxMode.WORKSPACE_WRITE),
        ('allowed_sandbox_modes = ["read-only"]', SandboxMode.READ_ONLY),
        ('[required]\nsandbox_mode = "workspace-write"', SandboxMode.WORKSPACE_WRITE),
    ],
)
def test_what_the_sandbox_may_be_is_required_of_rules_too(
    machine: Machine, required: str, most: SandboxMode
) -> None:
    assert machine.load(required=required).most_sandbox is most


SPLIT = [
    "mcp_servers.x.command=run",
    'mcp_servers.x.args=["a"]',
    'mcp_servers.x.env.A="1"',
    'mcp_servers.x.env.B="2"',
]


@pytest.mark.parametrize("order", [SPLIT, SPLIT[::-1]], ids=["in-order", "reversed"])
def test_a_server_may_be_given_key_by_key(tmp_path: Path, order: list[str]) -> None:
    flags = Flags(overrides=tuple(order))
    (server,) = load_settings(flags, {"AGENT_HOME": str(tmp_path / "home")}, tmp_path).servers
    assert (server.name, server.command, server.args) == ("x", "run", ("a",))
    assert dict(server.env) == {"A": "1", "B": "2"}


@pytest.mark.parametrize(
    ("overrides", "want"),
    [
        (("mcp_servers.x.enabled=false",), []),
        (("mcp_servers.y.enabled=true",), ["x", "y"]),
        (('mcp_servers.x.enabled_tools=["t"]',), ["x"]),
        (('mcp_servers.z={url="http://z.example"}',), ["x", "z"]),
    ],
)
def test_one_key_of_a_server_in_the_file_may_be_changed(
    tmp_path: Path, overrides: tuple[str, ...], want: list[str]
) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "config.toml").write_text(
        '[mcp_servers.x]\ncommand = "x"\n[mcp_servers.y]\ncommand = "y"\nenabled = false\n'
    )
    servers = load_settings(Flags(overrides=overrides), {"AGENT_HOME": str(home)}, tmp_path).servers
    assert [one.name for one in servers] == want
    if overrides == ('mcp_servers.x.enabled_tools=["t"]',):
        assert servers[0].only == ("t",)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("mcp_servers.x.comand=run", "did you mean `command`?"),
        ('mcp_servers.x.args=["a"]', "needs either `command` or `url`"),
        ("mcp_servers.x=5", "must hold tables"),
        ("mcp_servers.a b.command=x", "is no key"),
        ("show_raw_agent_reasoning=perhaps", "unknown key"),
    ],
)
def test_a_server_that_is_not_whole_is_told(tmp_path: Path, override: str, says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)):
        load_settings(Flags(overrides=(override,)), {"AGENT_HOME": str(tmp_path / "home")}, tmp_path)


def test_settings_of_codex_that_mean_nothing_here_are_taken(tmp_path: Path) -> None:
    flags = Flags(overrides=tuple(f"{name}=true" for name in OF_CODEX))
    assert load_settings(flags, {"AGENT_HOME": str(tmp_path / "home")}, tmp_path).model


def test_a_required_provider_is_spoken_to_at_its_own_address(machine: Machine) -> None:
    corp = '[model_providers.corp]\nbase_url = "https://models.example.com/v1"\nenv_key = "CORP_KEY"\n'
    settings = machine.load(
        corp, '[required]\nmodel_provider = "corp"\n', CORP_KEY="corp-key", OPENAI_API_KEY="other"
    )
    assert settings.base_url == "https://models.example.com/v1"
    assert settings.api_key == "corp-key"
    assert settings.origins["provider"].startswith(str(machine.required))
    with pytest.raises(ConfigError, match="is required"):
        machine.load(
            f'model_provider = "openai"\n{corp}', '[required]\nmodel_provider = "corp"\n', CORP_KEY="k"
        )
