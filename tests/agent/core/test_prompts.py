"""What stands before the first prompt: bounded, and true for the session's mode."""

from __future__ import annotations

import json
from importlib import resources

import pytest

from agent.core.prompts import Surroundings, opening
from agent.sandbox.spec import Network
from execpolicy.decision import SandboxMode

AROUND = Surroundings(
    cwd="/ws/a&b",
    workspace="/ws",
    writable=("/data",),
    mode=SandboxMode.WORKSPACE_WRITE,
    network=Network.NONE,
    can_ask=True,
    today="2030-01-02",
)


def test_order_and_roles() -> None:
    items = opening(AROUND)
    assert [item["role"] for item in items] == ["developer", "developer", "user"]


@pytest.mark.parametrize("mode", SandboxMode)
def test_the_permissions_name_the_mode(mode: SandboxMode) -> None:
    from dataclasses import replace

    text = json.dumps(opening(replace(AROUND, mode=mode))[1])
    assert f"Sandbox: {mode.value}." in text


def test_the_model_is_told_whether_somebody_can_be_asked() -> None:
    from dataclasses import replace

    assert "nobody can be asked" in json.dumps(opening(replace(AROUND, can_ask=False)))
    assert "the user is asked" in json.dumps(opening(AROUND))


def test_the_environment_is_escaped_and_instructions_come_first() -> None:
    from dataclasses import replace

    content = opening(replace(AROUND, instructions="be kind"))[2]["content"]
    assert isinstance(content, list)
    texts = [str(part["text"]) for part in content if isinstance(part, dict)]
    assert "<INSTRUCTIONS>\nbe kind\n</INSTRUCTIONS>" in texts[0]
    assert "<cwd>/ws/a&amp;b</cwd>" in texts[1]
    assert "<current_date>2030-01-02</current_date>" in texts[1]


@pytest.mark.parametrize(
    "name",
    [path.name for path in resources.files("agent.core.prompts").iterdir() if path.name.endswith(".md")],
)
def test_a_prompt_stays_small(name: str) -> None:
    text = resources.files("agent.core.prompts").joinpath(name).read_text()
    assert len(text) < {"base.md": 6000, "review.md": 1500}.get(name, 700)
