"""The approval policies: read, written, and which kinds of asks they let reach somebody."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config.asking import Ask, AskPolicy, Mode, granular, read_policy
from agent.config.load import Flags, load_settings
from agent.config.requirements import read_requirements
from agent.errors import ConfigError
from execpolicy.decision import SandboxMode

EVERY = frozenset(Ask)


@pytest.mark.parametrize(
    ("table", "want"),
    [
        ({"commands": True, "tools": False}, {Ask.COMMANDS}),
        ({}, set()),
        (
            {"sandbox_approval": True, "rules": True, "mcp_elicitations": False},
            {Ask.ESCALATION, Ask.COMMANDS},
        ),
        ({kind.value: True for kind in Ask}, EVERY),
    ],
)
def test_granular_tables_read_and_write(table: dict[str, bool], want: set[Ask]) -> None:
    found = granular({"granular": table})
    assert found == AskPolicy(Mode.GRANULAR, frozenset(want))
    assert isinstance(found, AskPolicy)
    assert read_policy(found.text) == found
    assert granular(found.plain) == found


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({"granular": {"skill_approval": True}}, "is no kind of ask"),
        ({"granular": {"commands": "yes"}}, "must be true or false"),
        ({"granular": {"commands": True, "rules": False}}, "says two things"),
        ({"granular": {}, "more": 1}, "nothing else"),
        ({"granular": True}, "nothing else"),
        ({}, "nothing else"),
    ],
)
def test_what_is_no_granular_table_is_told(table: object, why: str) -> None:
    found = granular(table)
    assert isinstance(found, str)
    assert why in found


@pytest.mark.parametrize("text", ["granular", "on-request: x", "granular: x", "", "always"])
def test_another_text_is_no_policy(text: str) -> None:
    with pytest.raises(ValueError, match=r"valid|granular|on-request"):
        read_policy(text)


def test_all_kinds_of_an_ask_have_to_reach_somebody() -> None:
    policy = AskPolicy(Mode.GRANULAR, frozenset({Ask.COMMANDS}))
    assert policy.refuses(frozenset({Ask.COMMANDS})) == ""
    assert "`escalation`" in policy.refuses(frozenset({Ask.COMMANDS, Ask.ESCALATION}))
    for mode in (Mode.ON_REQUEST, Mode.UNTRUSTED, Mode.ON_FAILURE):
        assert AskPolicy(mode).refuses(EVERY) == ""
    assert "`never`" in read_policy("never").refuses(frozenset())


def test_the_owner_binds_the_policy_and_the_network(tmp_path: Path) -> None:
    owner = tmp_path / "requirements.toml"
    owner.write_text(
        'allowed_approval_policies = [{ granular = { commands = true } }, "never"]\n'
        "[required]\nsandbox_workspace_write.network_access = false\n"
    )
    environ = {"AGENT_HOME": str(tmp_path / "home")}
    settings = load_settings(Flags(interactive=True), environ, tmp_path, owner)
    assert settings.approval_policy == "granular: commands"
    assert (settings.most_network, settings.most_sandbox) == (False, SandboxMode.WORKSPACE_WRITE)
    assert load_settings(Flags(approval="never"), environ, tmp_path, owner).approval_policy == "never"
    with pytest.raises(ConfigError, match="approval_policy"):
        load_settings(Flags(approval="on-request"), environ, tmp_path, owner)
    assert read_requirements(tmp_path / "none").most_network
