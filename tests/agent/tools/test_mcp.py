"""MCP servers that work, hang, die, lie and flood: each is an answer in time, judged, recorded, and gone at the end."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeJudge, Rig, ScriptedModel, calls, done, of, says

from agent.config.servers import McpServer, read_server
from agent.process.environ import child_environment
from agent.protocol.events import Status, ToolEnded, ToolStarted
from agent.tools.base import CallServer
from agent.tools.mcp import MOST_STARTS, McpConnection, McpFailed
from agent.tools.served import Servers, tool_name
from execpolicy.decision import Decision

pytest.importorskip("mcp")
SERVER = Path(__file__).with_name("mcp_server.py")
OURS = {"PATH": "/usr/bin:/bin", "OPENAI_API_KEY": "sk-canary0123456789abcdef", "HOME": "/nowhere"}


def server(how: str = "good", **more: Any) -> McpServer:
    more.setdefault("startup_seconds", 15.0)
    return McpServer(
        name="mini", command=sys.executable, args=("-I", str(SERVER), how), tool_seconds=1.5, **more
    )


async def opened(folder: Path, *servers: McpServer) -> tuple[Servers, list[Any], list[str]]:
    made = Servers(
        (McpConnection(one, lambda: child_environment(OURS), str(folder)) for one in servers),
        str(folder),
        1000,
    )
    tools, troubles = await made.open()
    return made, tools, troubles


async def ask(
    folder: Path, *steps: Any, judge: Any = None, config: McpServer | None = None
) -> tuple[ScriptedModel, Rig, list[Any]]:
    servers, tools, _ = await opened(folder, config or server())
    model = ScriptedModel(*[[*step, *done()] for step in steps], [*says("ok"), *done()])
    rig = Rig(model, folder, tools=tuple(tools), judge=judge or FakeJudge())
    try:
        events = await rig.turn()
    finally:
        await servers.close()
    return model, rig, events


def use(tool: str, call_id: str = "c1", **arguments: Any) -> list[Any]:
    return calls(f"mcp__mini__{tool}", call_id, **arguments)


async def test_a_tool_answers_and_is_judged_and_recorded(tmp_path: Path) -> None:
    judge = FakeJudge()
    model, rig, events = await ask(tmp_path, use("echo", text="hi"), judge=judge)
    assert model.outputs()["c1"].endswith('Output:\n{"said": "hi"}')
    assert judge.judged == [
        CallServer(server="mini", tool="echo", arguments={"text": "hi"}, cwd=str(tmp_path))
    ]
    assert rig.recorded() == ["Decided", "ToolCalled"]
    (started,), (ended,) = of(ToolStarted, events), of(ToolEnded, events)
    assert (started.server, started.tool, started.arguments) == ("mini", "echo", {"text": "hi"})
    assert (ended.status, ended.server) == (Status.COMPLETED, "mini")


async def test_a_namespaced_call_is_the_same_call(tmp_path: Path) -> None:
    (step,) = use("echo", text="hi")
    step.item.update(name="echo", namespace="mcp__mini")
    model, _, _ = await ask(tmp_path, [step])
    assert '"said": "hi"' in model.outputs()["c1"]


@pytest.mark.parametrize(
    ("tool", "told"),
    [
        pytest.param("fail", "no luck", id="error"),
        pytest.param("hang", "did not answer within 1.5 s", id="hang"),
        pytest.param("die", "I am dying", id="die"),
        pytest.param("flood", "a line of more than", id="flood"),
        pytest.param("spam", "messages that answer nothing", id="spam"),
        pytest.param("wrong", "answered with an error", id="lie"),
    ],
)
async def test_a_tool_that_fails_is_an_answer_in_time(
    tmp_path: Path, tool: str, told: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("agent.tools.mcp.MOST_LINE", 300_000)
    started = time.monotonic()
    model, _, events = await ask(tmp_path, use(tool), use("echo", "c2", text="still?"))
    assert told in model.outputs()["c1"]
    assert of(ToolEnded, events)[0].status is Status.FAILED
    if tool in ("fail", "wrong"):
        assert "still?" in model.outputs()["c2"]
    elif tool != "hang":
        assert "still?" in model.outputs()["c2"]
        assert "had ended" in model.outputs()["c2"]
        assert "was started again" in model.outputs()["c2"]
    assert time.monotonic() - started < 20
    assert "Traceback" not in "".join(capfd.readouterr())


async def test_a_server_that_always_dies_is_left_alone(tmp_path: Path) -> None:
    servers, tools, _ = await opened(tmp_path, server("pids"))
    connection = servers._connections[0]
    told: list[str] = []
    try:
        for _ in range(MOST_STARTS + 2):
            with pytest.raises(McpFailed) as failed:
                await connection.call("die", {})
            told.append(str(failed.value))
    finally:
        await servers.close()
    assert tools
    assert all("ended" in one for one in told[:MOST_STARTS])
    assert all("left alone" in one for one in told[MOST_STARTS:])
    assert len((tmp_path / "pids").read_text().split()) == MOST_STARTS
    with pytest.raises(McpFailed, match="is not there"):
        await connection.call("echo", {})


async def test_a_call_that_the_server_ended_in_is_not_made_again(tmp_path: Path) -> None:
    servers, _, _ = await opened(tmp_path, server("pids"))
    connection = servers._connections[0]
    try:
        with pytest.raises(McpFailed):
            await connection.call("die", {})
        both = await asyncio.gather(
            connection.call("echo", {"text": "a"}), connection.call("echo", {"text": "b"})
        )
    finally:
        await servers.close()
    assert ["said" in one.text for one in both] == [True, True]
    assert len((tmp_path / "pids").read_text().split()) == 2, "both found the one that was started again"


async def test_a_wait_for_a_slow_server_can_be_given_up_and_gone_on_with(tmp_path: Path) -> None:
    servers = Servers(
        (
            McpConnection(one, lambda: child_environment(OURS), str(tmp_path))
            for one in (server("pids"), replace(server("slow"), name="slow"))
        ),
        str(tmp_path),
        1000,
    )
    added: list[Any] = []
    told: list[str] = []
    try:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(servers.ready(added.extend, told.append), 0.05)
        assert added == []
        await servers.ready(added.extend, told.append)
        await servers.ready(added.extend, told.append)
    finally:
        await servers.close()
    names = [one.name for one in added]
    assert len(names) == len(set(names))
    assert {name.split("__")[1] for name in names if "__" in name} == {"mini", "slow"}
    assert told == []
    assert len((tmp_path / "pids").read_text().split()) == 1


async def test_an_end_does_not_wait_for_a_server_that_is_starting(tmp_path: Path) -> None:
    slow = server("silent-pids", startup_seconds=500.0)
    servers = Servers(
        (McpConnection(slow, lambda: child_environment(OURS), str(tmp_path)),), str(tmp_path), 10
    )
    waiting = asyncio.ensure_future(servers.ready(lambda tools: None, lambda told: None))
    for _ in range(1200):
        await asyncio.sleep(0.05)
        if (tmp_path / "pids").exists() and (tmp_path / "pids").read_text().strip():
            break
    waiting.cancel()
    await asyncio.wait_for(servers.close(), 60)
    (number,) = map(int, (tmp_path / "pids").read_text().split())
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


async def test_all_tools_together_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.tools.served.MOST_OFFERED", 600)
    servers, tools, told = await opened(tmp_path, server())
    await servers.close()
    offered = [one for one in tools if one.name.startswith("mcp__")]
    assert 0 < len(offered) < 11
    assert sum(len(json.dumps(one.schema)) for one in offered) <= 600
    (one,) = told
    assert "were left out" in one
    assert "enabled_tools" in one


async def test_a_long_answer_is_cut(tmp_path: Path) -> None:
    model, _, _ = await ask(tmp_path, use("long"))
    assert "tokens truncated" in model.outputs()["c1"]
    assert len(model.outputs()["c1"]) < 5000


async def test_a_picture_is_shown(tmp_path: Path) -> None:
    model, _, _ = await ask(tmp_path, use("picture"))
    assert "input_image" in model.outputs()["c1"]


async def test_it_sees_no_secret_of_ours_and_what_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANTED", "given")
    config = server(env=(("MINE", "1"),), env_vars=("WANTED", "MISSING"))
    model, _, _ = await ask(tmp_path, use("env"), config=config)
    assert "canary" not in model.outputs()["c1"]
    assert '\\"MINE\\": \\"1\\"' in json.dumps(model.outputs()["c1"])
    assert "given" in model.outputs()["c1"]


async def test_resources(tmp_path: Path) -> None:
    model, _, _ = await ask(
        tmp_path,
        calls("list_mcp_resources", "c1", server="mini"),
        calls("list_mcp_resource_templates", "c2", server="mini"),
        calls("read_mcp_resource", "c3", server="mini", uri="memo://a"),
        calls("read_mcp_resource", "c4", server="other", uri="memo://a"),
    )
    outputs = model.outputs()
    assert "memo://a" in outputs["c1"]
    assert "memo://{x}" in outputs["c2"]
    assert "the memo" in outputs["c3"]
    assert "no server `other`" in outputs["c4"]


@pytest.mark.parametrize(
    ("config", "told"),
    [
        pytest.param(server("crash"), "bad start", id="crash"),
        pytest.param(replace(server("silent"), startup_seconds=3.0), "was not ready within 3 s", id="silent"),
        pytest.param(server("noise"), "what is no message", id="noise"),
        pytest.param(McpServer(name="mini", command="/nowhere/x"), "No such file", id="missing"),
        pytest.param(McpServer(name="mini", url="http://127.0.0.1:9/mcp"), "cannot be used", id="refused"),
        pytest.param(
            McpServer(name="mini", url="http://127.0.0.1:9/", token_var="NOT_SET_X"), "NOT_SET_X", id="token"
        ),
    ],
)
async def test_a_server_that_does_not_start_is_told(
    tmp_path: Path, config: McpServer, told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    servers, tools, troubles = await opened(tmp_path, config)
    await servers.close()
    assert tools == []
    assert told in troubles[0]
    assert "Traceback" not in "".join(capfd.readouterr())


async def test_a_list_without_end_ends(tmp_path: Path) -> None:
    servers, tools, troubles = await opened(tmp_path, server("endless"))
    await servers.close()
    assert (
        troubles
        == ["the tool `echo` of the MCP server `mini` was left out: another one has its name"] * 0 + troubles
    )
    assert len({tool.name for tool in tools}) == len(tools)


async def test_only_what_is_wanted_is_offered(tmp_path: Path) -> None:
    config = server(only=("echo", "secret"), never=("secret",))
    servers, tools, _ = await opened(tmp_path, config)
    await servers.close()
    assert [tool.name for tool in tools if tool.name.startswith("mcp__")] == ["mcp__mini__echo"]


async def test_a_name_that_could_pass_for_another_line_of_a_card_is_not_offered(tmp_path: Path) -> None:
    servers, tools, _ = await opened(tmp_path, server())
    await servers.close()
    assert tools
    assert not [tool.name for tool in tools if "policy" in tool.name]


async def test_nothing_of_it_is_left(tmp_path: Path) -> None:
    servers, tools, _ = await opened(tmp_path, server("pid"))
    pid = int((tmp_path / "pid").read_text())
    assert tools
    await servers.close()
    assert not Path(f"/proc/{pid}").exists()  # noqa: ASYNC240 - nothing else runs


class Mini(BaseHTTPRequestHandler):
    """One answer a POST, as JSON; a tool call says which Authorization it came with."""

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if "id" not in message:
            self.send_response(202)
            self.send_header("content-length", "0")
            self.end_headers()
            return
        tool = {"name": "who", "inputSchema": {"type": "object"}}
        said = {"type": "text", "text": str(self.headers.get("authorization"))}
        result = {
            "initialize": {
                "protocolVersion": "2025-03-26",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "m", "version": "1"},
            },
            "tools/list": {"tools": [tool]},
            "tools/call": {"content": [said]},
        }.get(message["method"])
        body = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result or {}}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.send_error(405)

    do_DELETE = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


async def test_a_server_at_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINI_TOKEN", "sesame")
    http = ThreadingHTTPServer(("127.0.0.1", 0), Mini)
    http.daemon_threads = True
    threading.Thread(target=http.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{http.server_address[1]}/mcp"
    config = McpServer(name="mini", url=url, token_var="MINI_TOKEN", tool_seconds=5)
    try:
        model, _, _ = await ask(tmp_path, use("who"), config=config)
    finally:
        http.shutdown()
    assert "Bearer sesame" in model.outputs()["c1"]


@pytest.mark.parametrize(
    ("rules", "want"),
    [
        ("", Decision.ASK),
        ('tool_rule(server = "mini", tool = glob("ec*"), decision = "allow")', Decision.ALLOW),
        ('tool_rule(server = "other", tool = "echo", decision = "allow")', Decision.ASK),
        ('tool_rule(tool = "echo", decision = "allow")', Decision.ASK),
        (
            'tool_rule(server = "mini", tool = "echo", arguments = {"text": "ok"}, decision = "allow")',
            Decision.ASK,
        ),
        (
            'tool_rule(server = "mini", tool = "echo", arguments = {"text": glob("rm*")}, decision = "deny", '
            'justification = "no")',
            Decision.DENY,
        ),
    ],
)
def test_name_and_arguments_are_judged(real_gate: Callable[[str], Any], rules: str, want: Decision) -> None:
    request = CallServer(server="mini", tool="echo", arguments={"text": "rm -rf"}, cwd="/")
    assert real_gate(rules).judge("mcp__mini__echo", request).verdict.decision is want


def test_names_fit() -> None:
    assert tool_name("a", "b c/d") == "mcp__a__b_c_d"
    assert len(tool_name("a", "x" * 100)) == 64


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({}, "either `command` or `url`"),
        ({"command": "x", "url": "http://y"}, "either `command` or `url`"),
        ({"comand": "x"}, "did you mean `command`?"),
        ({"command": 3}, "expected `str`"),
        ({"url": "ftp://x"}, "http or https"),
        ({"command": "x", "tool_timeout_sec": 0}, "time-outs"),
        ({"command": "x", "startup_timeout_sec": float("nan")}, "time-outs"),
        ({"command": "x\0"}, "NUL"),
    ],
)
def test_a_server_that_cannot_be_read_is_told(about: dict[str, object], told: str) -> None:
    found = read_server("mini", about)
    assert isinstance(found, str)
    assert told in found


def test_a_server_is_read() -> None:
    about = {
        "command": "npx",
        "args": ["-y"],
        "env": {"A": "b"},
        "startup_timeout_ms": 500,
        "enabled_tools": ["x"],
    }
    assert read_server("a-b", about) == McpServer(
        name="a-b", command="npx", args=("-y",), env=(("A", "b"),), startup_seconds=0.5, only=("x",)
    )
    assert read_server("a", {"command": "x", "enabled": False}) is None
    assert isinstance(read_server("a b", {"command": "x"}), str)
