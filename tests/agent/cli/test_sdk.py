"""The official TypeScript SDK of Codex drives the command, unmodified, with nothing but its path changed."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from agent.llm.scripted import (
    Calls,
    CallsCustom,
    Fail,
    Says,
    ScriptedServer,
    Step,
    Thinks,
    replay,
    respond,
)

ROOT = Path(__file__).parents[3]
MODULES = ROOT / ".node" / "node_modules"
DRIVE = Path(__file__).parent / "sdk" / "drive.mjs"
KEY = "sk-canary-sdk-0d7f"
RULES = """
prefix_rule(pattern = [["echo", "sleep", "cat"]], decision = "allow")
prefix_rule(pattern = ["rm"], decision = "deny", justification = "nothing is removed", suggest = "leave it")
"""
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def missing() -> str:
    if shutil.which("node") is None:
        return "there is no Node"
    if not (MODULES / "@openai" / "codex-sdk").is_dir():
        return "the SDK is not installed: sh scripts/setup dev"
    return ""


pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


class Client:
    """A folder to work in, a state folder, the command, and a program that uses the SDK."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.project = root / "project"
        self.home = root / "home"
        self.project.mkdir()
        (self.home / "rules").mkdir(parents=True)
        self.home.chmod(0o700)
        (self.home / "rules" / "a.rules").write_text(RULES)
        self.command = root / "codex"
        self.command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -m agent "$@"\n')
        self.command.chmod(0o755)

    def start(self, server: ScriptedServer, scenario: str, **about: Any) -> subprocess.Popen[str]:
        env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("OPENAI", "AGENT", "CODEX", "OTEL"))
        }
        thread = {"skipGitRepoCheck": True, "workingDirectory": str(self.project)} | about.pop("thread", {})
        about = {
            "baseUrl": server.base_url,
            "apiKey": KEY,
            "env": env | {"AGENT_HOME": str(self.home)},
            "thread": thread,
        } | about
        child = subprocess.Popen(
            ["node", str(DRIVE), str(MODULES), str(self.command), scenario],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.root,
        )
        assert child.stdin is not None
        child.stdin.write(json.dumps(about))
        child.stdin.close()
        child.stdin = None
        return child

    def drive(self, steps: list[Step], scenario: str, **about: Any) -> tuple[dict[str, Any], ScriptedServer]:
        with ScriptedServer(replay(steps)) as server:
            out, err = self.start(server, scenario, **about).communicate(timeout=90)
        assert out, err
        result: dict[str, Any] = json.loads(out)
        return result, server


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(tmp_path)


def command(text: str) -> Calls:
    return Calls("exec_command", {"cmd": text})


def texts(request: Any) -> list[str]:
    return [item["content"][0]["text"] for item in request["input"] if item.get("role") == "user"]


def test_a_run(client: Client) -> None:
    patch = "*** Begin Patch\n*** Add File: new.txt\n+x\n*** End Patch\n"
    steps = [
        respond(
            Thinks("Look first."), command("echo hi; cat none 2>/dev/null"), CallsCustom("apply_patch", patch)
        ),
        respond(command("rm -rf x")),
        respond(Says("Done.")),
    ]
    result, server = client.drive(steps, "run", input="do it")
    turn = result["ok"]
    assert turn["finalResponse"] == "Done."
    assert turn["usage"] == {
        "input_tokens": 300,
        "cached_input_tokens": 0,
        "cache_write_input_tokens": 0,
        "output_tokens": 60,
        "reasoning_output_tokens": 0,
    }
    assert turn["id"] == server.requests[0]["prompt_cache_key"]
    kinds = sorted(item["type"] for item in turn["items"])
    assert kinds == ["agent_message", "command_execution", "command_execution", "file_change", "reasoning"]
    ran, refused = (item for item in turn["items"] if item["type"] == "command_execution")
    assert (ran["aggregated_output"], ran["exit_code"], ran["status"]) == ("hi\n", 1, "failed")
    assert refused["status"] == "declined"
    (changed,) = (item for item in turn["items"] if item["type"] == "file_change")
    assert changed["changes"] == [{"path": str(client.project / "new.txt"), "kind": "add"}]
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"


def test_a_streamed_run_has_the_policy_in_it(client: Client) -> None:
    result, _ = client.drive([respond(command("rm x")), respond(Says("No."))], "streamed", input="do it")
    events = result["ok"]["events"]
    kinds = [event["type"] for event in events]
    assert (kinds[0], kinds[1], kinds[-1]) == ("thread.started", "turn.started", "turn.completed")
    verdict = events[kinds.index("policy.verdict")]
    assert (verdict["decision"], verdict["way_out"]) == ("deny", "leave it")
    assert result["ok"]["id"] == events[0]["thread_id"]


def test_two_turns_of_one_thread_and_a_thread_gone_on_with(client: Client) -> None:
    steps: list[Step] = [respond(Says(f"answer {n}")) for n in range(4)]
    result, server = client.drive(steps, "twice")
    assert result["ok"]["same"]
    assert result["ok"]["second"]["usage"]["input_tokens"] == 200, "usage is that of the whole thread"
    assert texts(server.requests[1])[-2:] == ["first", "second"]
    result, server = client.drive(steps, "resumed")
    assert result["ok"]["id"] == result["ok"]["resumed"]
    assert texts(server.requests[1])[-2:] == ["first", "second"]


def test_the_form_of_the_answer(client: Client) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    steps: list[Step] = [respond(Says("one")), respond(Says('{"n":1}'))]
    result, server = client.drive(steps, "run", input="count", turn={"outputSchema": schema})
    assert json.loads(result["ok"]["finalResponse"]) == {"n": 1}
    for request in server.requests:
        form: Any = request["text"]
        assert form["format"]["schema"] == schema


def test_pictures(client: Client) -> None:
    (client.root / "a.png").write_bytes(PIXEL)
    picture = {"type": "local_image", "path": str(client.root / "a.png")}
    given = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}, picture, picture]
    _, server = client.drive([respond(Says("Pixels."))], "run", input=given)
    messages: Any = server.requests[0]["input"]
    content = messages[-1]["content"]
    assert content[0]["text"] == "one\n\ntwo"
    assert [part["type"] for part in content] == ["input_text", "input_image", "input_image"]
    steps: list[Step] = [respond(Says("First.")), respond(Says("Pixels."))]
    _, server = client.drive(steps, "resumed", input=given)
    messages = server.requests[1]["input"]
    assert [part["type"] for part in messages[-1]["content"]] == ["input_text", "input_image", "input_image"]


@pytest.mark.parametrize(
    ("mode", "status"),
    [("read-only", "failed"), ("workspace-write", "completed"), ("danger-full-access", "completed")],
)
def test_the_sandbox_and_every_other_option(client: Client, mode: str, status: str) -> None:
    more = client.root / "more"
    more.mkdir()
    thread = {
        "model": "gpt-5.5-mini",
        "sandboxMode": mode,
        "approvalPolicy": "never",
        "networkAccessEnabled": True,
        "webSearchMode": "live",
        "modelReasoningEffort": "high",
        "additionalDirectories": [str(more)],
        "threadSource": "user",
    }
    steps: list[Step] = [respond(command(f"echo x > {more}/f")), respond(Says("Done."))]
    config = {
        "max_steps": 5,
        "show_raw_agent_reasoning": True,
        "sandbox_workspace_write": {"network_access": False},
        "model_providers": {"unused": {"base_url": "http://127.0.0.1:9/v1", "name": "Unused"}},
        "mcp_servers": {"idle": {"command": "true", "args": ["a b", 'c"d'], "enabled": False}},
    }
    result, server = client.drive(
        steps, "run", input="go", thread=thread, turn={"cyberAccessProgram": "x"}, config=config
    )
    (item,) = (item for item in result["ok"]["items"] if item["type"] == "command_execution")
    assert item["status"] in (status, "declined" if mode == "read-only" else status)
    assert (more / "f").exists() is (status == "completed")
    request: Any = server.requests[0]
    assert (request["model"], request["reasoning"]["effort"]) == ("gpt-5.5-mini", "high")
    assert {"type": "web_search", "external_web_access": True} in request["tools"]


@pytest.mark.parametrize("policy", ["never", "on-request", "on-failure", "untrusted"])
def test_every_approval_policy_is_taken_and_nobody_is_waited_for(client: Client, policy: str) -> None:
    steps: list[Step] = [respond(command("make it")), respond(Says("Done."))]
    result, server = client.drive(steps, "run", input="go", thread={"approvalPolicy": policy})
    (item,) = (item for item in result["ok"]["items"] if item["type"] == "command_execution")
    assert (item["status"], result["ok"]["finalResponse"]) == ("declined", "Done.")
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("thread", "want"),
    [
        ({"webSearchMode": "live"}, True),
        ({"webSearchMode": "cached"}, False),
        ({"webSearchMode": "disabled"}, None),
        ({"webSearchEnabled": True}, True),
        ({"webSearchEnabled": False}, None),
    ],
)
def test_each_search_of_the_web(client: Client, thread: dict[str, Any], want: bool | None) -> None:
    _, server = client.drive([respond(Says("Done."))], "run", input="go", thread=thread)
    tools: Any = server.requests[0]["tools"]
    assert [tool.get("external_web_access") for tool in tools if tool["type"] == "web_search"] == (
        [] if want is None else [want]
    )


@pytest.mark.parametrize(
    "effort", ["minimal", "low", "medium", "high", "xhigh", "max", "ultra", "persistent"]
)
def test_each_effort(client: Client, effort: str) -> None:
    overrides = {"configOverrides": ["model_verbosity=low", 'model_reasoning_summary="auto"']}
    _, server = client.drive(
        [respond(Says("Done."))], "run", input="go", thread={"modelReasoningEffort": effort}, **overrides
    )
    request: Any = server.requests[0]
    assert request["reasoning"] == {"effort": effort, "summary": "auto"}
    assert request["text"] == {"verbosity": "low"}


def test_a_plan_is_one_item_of_a_stream(client: Client) -> None:
    def plan(*status: str) -> Calls:
        steps = [{"step": f"s{n}", "status": one} for n, one in enumerate(status)]
        return Calls("update_plan", {"plan": steps})

    steps: list[Step] = [
        respond(plan("in_progress", "pending")),
        respond(plan("completed", "in_progress")),
        respond(Says("Done.")),
    ]
    result, _ = client.drive(steps, "streamed", input="go")
    seen = [
        (event["type"], [one["completed"] for one in event["item"]["items"]])
        for event in result["ok"]["events"]
        if event.get("item", {}).get("type") == "todo_list"
    ]
    assert seen == [
        ("item.started", [False, False]),
        ("item.updated", [True, False]),
        ("item.completed", [True, False]),
    ]


def test_an_abort_before_the_start_asks_no_model(client: Client) -> None:
    result, server = client.drive([], "abortedBefore", input="go")
    assert (result["ok"]["error"], server.requests) == ("AbortError", [])


def test_a_failure_and_a_wrong_setting_are_exceptions(client: Client) -> None:
    result, _ = client.drive([Fail(400, "no such model")], "run", input="go")
    assert "no such model" in result["failed"]
    result, _ = client.drive([], "run", input="go", config={"modle": "x"})
    assert "did you mean `model`?" in result["failed"]


def test_an_abort_ends_the_command_and_the_thread_goes_on(client: Client) -> None:
    marker = "41.7071"
    begun = time.monotonic()
    result, _ = client.drive([respond(command(f"sleep {marker}"))], "aborted", input="go")
    assert result["ok"]["error"] == "AbortError"
    assert time.monotonic() - begun < 30
    deadline = time.monotonic() + 15
    while subprocess.run(["pgrep", "-f", f"sleep {marker}"], capture_output=True).returncode == 0:
        assert time.monotonic() < deadline, "the command outlived its agent"
        time.sleep(0.1)
    thread_id = result["ok"]["id"]
    while True:  # the aborted process lets go of the session when it has written everything
        with ScriptedServer(replay([respond(Says("Gone on."))])) as server:
            done = subprocess.run(
                [
                    str(client.command),
                    "exec",
                    "--json",
                    "resume",
                    thread_id,
                    "go on",
                    "--base-url",
                    server.base_url,
                ],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                cwd=client.project,
                env=os.environ | {"AGENT_HOME": str(client.home), "OPENAI_API_KEY": KEY},
            )
            if done.returncode == 0:
                items: Any = server.requests[0]["input"]
                break
        assert time.monotonic() < deadline, done.stderr
        time.sleep(0.2)
    outputs = [item["output"] for item in items if item.get("type") == "function_call_output"]
    assert outputs
    assert "aborted" in outputs[0]


def test_the_key_is_nowhere(client: Client) -> None:
    result, _ = client.drive(
        [respond(command("cat /proc/self/environ")), respond(Says("Done."))], "streamed", input="x"
    )
    assert KEY not in json.dumps(result)
    files = [file for file in client.root.rglob("*") if file.is_file()]
    assert any(file.name == "sessions.db" for file in files)
    assert [file for file in files if KEY.encode() in file.read_bytes()] == []
