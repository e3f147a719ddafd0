"""An MCP server in a whole run: configured, judged by a rule, recorded, without a secret of ours, gone at the end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from agent.config.servers import McpServer
from agent.llm.scripted import Calls, Says, respond
from agent.protocol.events import ToolEnded

pytest.importorskip("mcp")
SERVER = Path(__file__).parents[1] / "agent" / "tools" / "mcp_server.py"
RULES = """
tool_rule(server = "mini", tool = "echo", decision = "allow")
tool_rule(server = "mini", tool = "env", decision = "allow")
tool_rule(server = "mini", tool = "fail", decision = "deny", justification = "not that one")
"""


async def test_tools_of_a_server(story: Any) -> None:
    mini = McpServer(name="mini", command=sys.executable, args=("-I", str(SERVER)), startup_seconds=20)
    told = story(
        respond(
            Calls("mcp__mini__echo", {"text": "hi"}),
            Calls("mcp__mini__fail", {}),
            Calls("mcp__mini__env", {}),
        ),
        respond(Says("ok")),
        servers=(mini,),
    )
    told.policy(RULES)
    events = await told.tell()
    names = [tool["name"] for tool in told.server.requests[0]["tools"]]
    assert {"mcp__mini__echo", "read_mcp_resource", "exec_command"} <= set(names)
    outputs = told.outputs()
    assert '"said": "hi"' in outputs[0]
    assert "not that one" in outputs[1]
    assert "PATH" in outputs[2]
    assert "canary" not in outputs[2]
    assert [event.refusal is None for event in events if isinstance(event, ToolEnded)].count(False) == 1
    assert "mini.echo" in str(told.record())
