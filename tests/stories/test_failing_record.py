"""A record that fails at any one of its appends: nothing runs whose verdict it does not hold, and a gap says so."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agent.config.servers import McpServer
from agent.errors import ConfigError, SandboxUnavailable
from agent.llm.scripted import Calls, CallsCustom, Says, Step, respond
from agent.llm.scripted import replay as steps_of
from agent.protocol.events import TurnCompleted, Warned
from agent.protocol.items import JsonObject
from agent.sandbox.select import select
from compliance.events import AuditEvent
from compliance.log import AuditLog
from compliance.segments import snapshot, verify
from execpolicy.decision import SandboxMode

SERVER = Path(__file__).parents[1] / "agent" / "tools" / "mcp_server.py"
RULES = """
prefix_rule(pattern = [["touch", "bash", "exit"]], decision = "allow", id = "plain")
prefix_rule(pattern = ["cp"], decision = "ask", id = "copies")
prefix_rule(pattern = ["mkdir"], decision = "deny", id = "no-folders")
path_rule(paths = ["$WORKSPACE/**"], access = ["write"], decision = "allow")
"""
PATCH = "*** Begin Patch\n*** Add File: made/{}\n+hello\n*** End Patch\n"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360000002000001e5270dd80000000049454e44ae426082"
)
MADE = {"allowed", "asked", "patched", "heredoc", "typed", "helped"}


def run(cmd: str, **more: Any) -> Calls:
    return Calls("exec_command", {"cmd": cmd, **more})


def script() -> Any:
    """Every tool, one call a step; the helper that it starts has lines of its own."""
    boss = iter(
        [
            respond(run("touch made/allowed")),
            respond(run("cp source made/asked")),
            respond(run("mkdir made/denied")),
            respond(CallsCustom("apply_patch", PATCH.format("patched"))),
            respond(run(f"apply_patch <<'EOF'\n{PATCH.format('heredoc')}EOF\n")),
            respond(run("bash", tty=False, yield_time_ms=250)),
            None,
            respond(Calls("view_image", {"path": "dot.png"})),
            respond(Calls("update_plan", {"plan": [{"step": "end", "status": "in_progress"}]})),
            respond(Calls("spawn_agent", {"message": "help me"})),
            respond(Calls("wait_agent", {"targets": ["agent-1"], "timeout_ms": 20_000})),
            respond(Calls("close_agent", {"target": "agent-1"})),
            respond(Says("Done.")),
        ]
    )
    helper = iter([respond(run("touch made/helped")), respond(Says("helped"))])

    def answer(request: JsonObject) -> Step:
        names = [tool["name"] for tool in request["tools"]]  # type: ignore[index,union-attr,call-overload]
        if "spawn_agent" not in names:
            return next(helper)
        step = next(boss)
        if step is not None:
            return step
        found = re.findall(r"session ID (\d+)", str(request["input"]))
        words = {"chars": "touch made/typed; exit\n", "yield_time_ms": 20_000}
        return respond(Calls("write_stdin", {"session_id": int(found[-1]) if found else 1, **words}))

    return answer


class Plan:
    """Which append fails, over all logs of a run, and whether those after it fail as well."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.set(0)
        plan = self

        class Failing(AuditLog):
            def _append(self, event: AuditEvent, data: bytes) -> int:
                plan.count += 1
                if plan.count == plan.at or (plan.stays and 0 < plan.at < plan.count):
                    plan.failed.append(type(event).__name__)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return super()._append(event, data)

        monkeypatch.setattr("agent.app.compose.AuditLog", Failing)

    def set(self, at: int, *, stays: bool = False) -> None:
        self.at, self.stays, self.count, self.failed = at, stays, 0, list[str]()


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> Plan:
    return Plan(monkeypatch)


def fresh(told: Any, number: int) -> None:
    """Another home and an empty folder for what is made; the same project and model."""
    told.settings = replace(told.settings, agent_home=told.root / f"home-{number}")
    told.server.script = script()
    told.server.requests.clear()
    made = told.project / "made"
    made.mkdir(exist_ok=True)
    for path in made.iterdir():
        path.rmdir() if path.is_dir() else path.unlink()


def events_of(told: Any) -> Iterator[dict[str, Any]]:
    for line in told.record():
        yield line.get("event", {})


def granted(told: Any) -> str:
    """The subjects of all calls that the record lets run."""
    events = list(events_of(told))
    yes = {one["call"] for one in events if one.get("kind") == "approved" and one["answer"] == "yes"}
    return "\n".join(
        one["subject"] + " " + one["tool"]
        for one in events
        if one.get("kind") == "decided"
        and (
            one["verdict"]["decision"] == "allow"
            or (one["verdict"]["decision"] == "ask" and one["call"] in yes)
        )
    )


def made(told: Any) -> set[str]:
    return {path.name for path in (told.project / "made").iterdir()}


async def appends(told: Any, plan: Plan) -> int:
    """What one run appends when nothing fails."""
    plan.set(0)
    fresh(told, 0)
    await told.tell()
    return plan.count


def all_granted(told: Any) -> None:
    """Whatever ran, the record lets run."""
    text = granted(told)
    for name in made(told):
        assert f"made/{name}" in text, name
    if "helped" in made(told):
        assert "spawn_agent" in text
    shown = str(told.server.requests[-1]["input"]) if told.server.requests else ""
    if "input_image" in shown:
        assert "view_image" in text
    if "Plan updated" in shown:
        assert "update_plan" in text


def prepared(story: Any, **settings: Any) -> Any:
    told = story(sandbox=SandboxMode.FULL_ACCESS, **settings)
    told.policy(RULES)
    (told.project / "source").write_text("x")
    (told.project / "dot.png").write_bytes(PNG)
    return told


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("mode", ["required", "best-effort"])
async def test_an_append_that_fails(story: Any, plan: Plan, mode: str) -> None:
    told = prepared(story, audit_mode=mode)
    count = await appends(told, plan)
    assert (made(told), count > 25) == (MADE, True)
    for at in range(1, count + 1):
        plan.set(at)
        fresh(told, at)
        try:
            events = await told.tell()
        except ConfigError:
            assert (mode, at <= 2) == ("required", True), plan.failed
            assert not told.server.requests
            continue
        assert any(isinstance(event, TurnCompleted) for event in events), (at, plan.failed)
        assert verify(snapshot(told.settings.audit)).intact, (at, plan.failed)
        gaps = [one for one in events_of(told) if one.get("kind") == "gap"]
        assert sum(one["count"] for one in gaps) == 1, (at, plan.failed)
        if mode == "best-effort":
            assert made(told) == MADE, (at, plan.failed)
            assert "the calls ran all the same" in gaps[0]["reason"]
        else:
            all_granted(told)


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_appends_that_fail_from_one_on(story: Any, plan: Plan) -> None:
    told = prepared(story)
    for at in range(3, await appends(told, plan) + 1):
        plan.set(at, stays=True)
        fresh(told, at)
        events = await told.tell()
        assert any(isinstance(event, TurnCompleted) for event in events), (at, plan.failed)
        assert any(isinstance(event, Warned) for event in events), (at, plan.failed)
        assert verify(snapshot(told.settings.audit)).intact, (at, plan.failed)
        all_granted(told)


REVIEWER = """#!/bin/sh
cat > /dev/null
echo '{"decision": "allow", "message": "because"}'
"""


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_appends_that_fail_where_a_sandbox_a_reviewer_a_host_and_a_server_are_involved(
    story: Any, plan: Plan, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mcp")
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    try:
        if select(SandboxMode.WORKSPACE_WRITE).name != "bubblewrap":
            pytest.skip("only bubblewrap has namespaces")
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    monkeypatch.setattr("agent.app.compose.temp_folders", lambda environ: ())
    reviewer = tmp_path_factory.mktemp("safe") / "reviewer"
    reviewer.write_text(REVIEWER)
    reviewer.chmod(0o755)
    outside = Path.home() / f".agent-record-probe-{os.getpid()}"
    served: list[str] = []

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    mini = McpServer(name="mini", command=sys.executable, args=("-I", str(SERVER)), startup_seconds=20)
    told = story(
        sandbox=SandboxMode.WORKSPACE_WRITE,
        approval_policy="on-failure",
        reviewer=str(reviewer),
        servers=(mini,),
    )
    told.policy(
        RULES.replace('"touch"', '"touch", "curl"')
        + f'path_rule(paths = ["{outside}"], access = ["write"], decision = "allow")\n'
        + f'network_rule(host = "127.0.0.1", port = {port}, decision = "allow")\n'
        + 'tool_rule(server = "mini", tool = "echo", decision = "allow")\n'
    )
    (told.project / "source").write_text("x")

    def again(at: int) -> None:
        plan.set(at)
        fresh(told, at)
        outside.unlink(missing_ok=True)
        served.clear()
        told.server.script = steps_of(
            [
                respond(run("cp source made/reviewed")),
                respond(run(f"touch {outside}")),
                respond(run(f"curl -sS --noproxy '' http://127.0.0.1:{port}/")),
                respond(Calls("mcp__mini__echo", {"text": "hi"})),
                respond(Says("Done.")),
            ]
        )

    try:
        again(0)
        await told.tell()
        assert (made(told), served, outside.exists()) == ({"reviewed"}, ["/"], True)
        for at in range(3, plan.count + 1):
            again(at)
            await told.tell()
            assert verify(snapshot(told.settings.audit)).intact, (at, plan.failed)
            gaps = [one for one in events_of(told) if one.get("kind") == "gap"]
            assert sum(one["count"] for one in gaps) == 1, (at, plan.failed)
            events, text = list(events_of(told)), granted(told)
            opened = [one for one in events if one.get("kind") == "connected" and one["outcome"] == "opened"]
            assert len(served) <= len(opened), (at, plan.failed)
            if made(told):
                assert "made/reviewed" in text, (at, plan.failed)
            if outside.exists():
                yes = [
                    one["call"] for one in events if one.get("kind") == "approved" and one["answer"] == "yes"
                ]
                assert any(call.endswith(":outside") for call in yes), (at, plan.failed)
            if '"said": "hi"' in "".join(told.outputs()):
                assert "mini" in text, (at, plan.failed)
    finally:
        outside.unlink(missing_ok=True)
        server.shutdown()
        server.server_close()
