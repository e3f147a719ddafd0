"""A server made with the official package takes up the trace of the call that reached it."""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
from pathlib import Path

import pytest

from agent.config.servers import McpServer
from agent.tools.mcp import McpConnection

pytest.importorskip("mcp.server")
pytest.importorskip("opentelemetry.trace")

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SERVER = """
from mcp.server import MCPServer
from opentelemetry import trace

served = MCPServer("tracing")

@served.tool()
def trace_of_call() -> str:
    return format(trace.get_current_span().get_span_context().trace_id, "032x")

served.run("stdio")
"""


@pytest.mark.parametrize(
    ("sent", "heard"),
    [
        pytest.param(f"00-{TRACE}-{SPAN}-01", TRACE, id="ours"),
        pytest.param(None, "0" * 32, id="none"),
    ],
)
def test_the_trace_of_a_call_reaches_the_server(tmp_path: Path, sent: str | None, heard: str) -> None:
    script = tmp_path / "server.py"
    script.write_text(inspect.cleandoc(SERVER))
    server = McpServer(name="tracing", command=sys.executable, args=("-I", str(script)), startup_seconds=60)

    async def asked() -> str:
        connection = McpConnection(server, lambda: dict(os.environ), str(tmp_path))
        await connection.open()
        try:
            return str(await connection.call("trace_of_call", {}, sent))
        finally:
            await connection.close()

    assert heard in asyncio.run(asked())
