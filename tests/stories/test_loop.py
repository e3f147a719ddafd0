"""Whole runs over HTTP: allowed, asked, denied, patched, interrupted, resumed, recorded."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.app.compose import compose
from agent.errors import AgentError, ConfigError, SandboxUnavailable, SessionError
from agent.llm.scripted import Calls, CallsCustom, Fail, Respond, Says, Stream, Thinks, respond
from agent.llm.scripted import replay as steps_of
from agent.protocol.approvals import Answer
from agent.protocol.events import (
    CommandEnded,
    CommandStarted,
    Judged,
    PatchEnded,
    Refusal,
    Retrying,
    Status,
    ThreadStarted,
    TurnCompleted,
    TurnFailed,
    TurnInterrupted,
    Warned,
)
from agent.protocol.ops import Interrupt
from agent.sandbox.select import select
from execpolicy.decision import SandboxMode

RULES = """
prefix_rule(pattern = [["ls", "cat", "echo", "sleep", "env", "printf", "seq"]], decision = "allow")
prefix_rule(pattern = ["rm"], decision = "ask", justification = "deletes files")
prefix_rule(
    pattern = ["git", "push"], decision = "deny",
    justification = "publishing is for people", suggest = "leave the change in the working tree",
)
"""
ADD = """\
*** Begin Patch
*** Add File: {path}
+hello
*** End Patch
"""


def run(cmd: str, **more: Any) -> Calls:
    return Calls("exec_command", {"cmd": cmd, **more})


def sandboxed() -> bool:
    try:
        select(SandboxMode.WORKSPACE_WRITE)
    except SandboxUnavailable:
        return False
    return True


def of(kind: type, events: list[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


async def test_a_whole_task(story: Any) -> None:
    told = story(
        respond(Thinks("look first"), Says("I look."), run("ls"), run("cat a.txt")),
        respond(run("rm a.txt")),
        respond(run("git push origin main")),
        respond(CallsCustom("apply_patch", ADD.format(path="new.txt"))),
        respond(Says("Done.")),
    )
    told.policy(RULES)
    (told.project / "a.txt").write_text("content\n")
    events = await told.tell("do it")
    assert isinstance(events[0], ThreadStarted)
    assert [event.verdict.decision.word for event in of(Judged, events)] == [
        "allow",
        "allow",
        "ask",
        "deny",
        "allow",
    ]
    assert not (told.project / "a.txt").exists()
    assert (told.project / "new.txt").read_text() == "hello\n"
    outputs = told.outputs()
    assert outputs[1].endswith("Output:\ncontent\n")
    assert "publishing is for people" in outputs[3]
    assert "The way that is open: leave the change in the working tree" in outputs[3]
    assert outputs[4].endswith("Success. Updated the following files:\nA new.txt\n")
    ended = of(TurnCompleted, events)[0]
    assert ended.last_message == "Done."
    assert ended.usage.input_tokens == 500


async def test_the_request_is_what_the_service_expects(story: Any) -> None:
    told = story(respond(Thinks("hm"), run("echo hi")), respond(Says("ok")))
    told.policy(RULES)
    (told.project / "AGENTS.md").write_text("Be kind.")
    await told.tell("hi")
    first, second = told.server.requests
    assert first["store"] is False
    assert first["include"] == ["reasoning.encrypted_content"]
    assert first["prompt_cache_key"] == told.thread_id
    assert first["parallel_tool_calls"] is True
    assert "instructions" not in first
    assert [item["role"] for item in first["input"]] == ["developer", "developer", "user", "user"]
    assert "Be kind." in json.dumps(first["input"][2])
    assert [tool["name"] for tool in first["tools"]] == [
        "exec_command",
        "write_stdin",
        "apply_patch",
        "view_image",
        "update_plan",
        "spawn_agent",
        "wait_agent",
        "close_agent",
    ]
    assert second["input"][:4] == first["input"]
    assert [item["type"] for item in second["input"][4:]] == [
        "reasoning",
        "function_call",
        "function_call_output",
    ]
    # The model is never handed the text of a rule.
    assert "prefix_rule" not in json.dumps(told.server.requests)
    assert "deletes files" not in json.dumps(told.server.requests)


@pytest.mark.parametrize(
    "path",
    [".git/hooks/pre-commit", ".agent/rules/x.rules", "../outside.txt", "/etc/agent-test", "../team.rules"],
)
async def test_a_patch_does_not_leave_its_bounds(story: Any, path: str) -> None:
    told = story(respond(CallsCustom("apply_patch", ADD.format(path=path))), respond(Says("no")))
    told.settings = replace(told.settings, writable=())
    told.policy(RULES)
    events = await told.tell()
    target = told.project / path
    if not path.startswith("../"):  # everything below the temporary folder may be written
        assert of(PatchEnded, events)[0].refusal is Refusal.POLICY
        assert not target.exists()
        assert "rejected" in told.outputs()[0]
    if path.endswith("team.rules"):
        assert target.read_text() == RULES


async def test_a_patch_in_a_shell_command_is_judged_as_a_patch(story: Any) -> None:
    script = f"apply_patch <<'EOF'\n{ADD.format(path='x.txt')}EOF\n"
    evil = f"cd .git && apply_patch <<'EOF'\n{ADD.format(path='config2')}EOF\n"
    told = story(respond(run(script)), respond(run(evil)), respond(Says("ok")))
    told.policy(RULES)
    events = await told.tell()
    assert (told.project / "x.txt").read_text() == "hello\n"
    assert not (told.project / ".git/config2").exists()
    assert [event.refusal for event in of(PatchEnded, events)] == [None, Refusal.POLICY]
    assert not of(CommandStarted, events)


async def test_calls_side_by_side_are_answered_in_order(story: Any) -> None:
    told = story(
        respond(run("sleep 0.4; echo one"), run("echo two"), run("sleep 0.2; echo three")),
        respond(Says("ok")),
    )
    told.policy(RULES)
    await told.tell()
    assert [output.rpartition("Output:\n")[2] for output in told.outputs()] == ["one\n", "two\n", "three\n"]


async def test_a_patch_waits_for_the_commands_before_it(story: Any) -> None:
    told = story(
        respond(
            run("sleep 0.3; ls"), CallsCustom("apply_patch", ADD.format(path="late.txt")), run("cat late.txt")
        ),
        respond(Says("ok")),
    )
    told.policy(RULES)
    await told.tell()
    outputs = told.outputs()
    assert "late.txt" not in outputs[0]
    assert outputs[2].endswith("hello\n")


async def test_nobody_to_ask(story: Any) -> None:
    told = story(respond(run("rm a.txt")), respond(Says("ok")), interactive=False)
    told.policy(RULES)
    (told.project / "a.txt").touch()
    events = await told.tell()
    assert (told.project / "a.txt").exists()
    assert of(CommandEnded, events)[0].refusal is Refusal.NOBODY
    assert "deletes files" in told.outputs()[0]
    assert isinstance(events[-2], TurnCompleted)


async def test_no_policy_at_all_asks_about_everything_and_says_so_once(story: Any) -> None:
    told = story(respond(run("echo hi"), run("ls")), respond(Says("ok")))
    asked: list[str] = []

    def person(request: Any) -> Answer:
        asked.append(request.subject)
        return Answer.YES

    events = await told.tell(person=person)
    assert sorted(asked) == ["echo hi", "ls"]
    assert [warning.message for warning in of(Warned, events)] == [
        "there is no policy: every command is asked about"
    ]


async def test_interrupt_then_resume(story: Any) -> None:
    told = story(
        respond(Says("I wait."), run("sleep 60")),
        respond(Says("Back again.")),
    )
    told.policy(RULES)
    events = await told.tell(watch=lambda event: Interrupt() if isinstance(event, CommandStarted) else None)
    assert isinstance(events[-2], TurnInterrupted)
    assert of(CommandEnded, events)[0].status is Status.INTERRUPTED
    events = await told.tell("and now", resume=True)
    assert events[0].resumed
    assert of(TurnCompleted, events)[0].last_message == "Back again."
    texts = json.dumps(told.server.requests[-1]["input"])
    assert "I wait." in texts
    assert "aborted by user" in texts
    assert told.server.requests[-1]["prompt_cache_key"] == told.server.requests[0]["prompt_cache_key"]


async def test_tokens_are_counted_over_the_whole_thread(story: Any) -> None:
    told = story(respond(Says("one")), respond(Says("two")))
    await told.tell()
    events = await told.tell(resume=True)
    assert of(TurnCompleted, events)[0].usage.input_tokens == 200


async def test_the_key_is_nowhere(story: Any) -> None:
    told = story(
        respond(run("env"), run("cat /proc/self/environ")),
        respond(Says("ok")),
    )
    told.policy(RULES)
    await told.tell()
    assert "PATH=" in told.outputs()[0]
    assert "canary" not in json.dumps(told.server.requests)
    for path in told.settings.agent_home.rglob("*"):
        if path.is_file():
            assert b"canary" not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        pytest.param([Fail(401, "bad key")], "401", id="401"),
        pytest.param([Fail(400, "bad request")], "400", id="400"),
        pytest.param([Stream(b"data: {oops\n\n")] * 2, "gave up", id="garbled"),
        pytest.param([Stream(b"")] * 2, "gave up", id="nothing"),
        pytest.param([Fail(500, "down")] * 2, "gave up", id="500"),
    ],
)
async def test_a_dead_or_lying_server(story: Any, steps: list[Any], message: str) -> None:
    told = story(*steps, stream_max_retries=1, request_max_retries=1)
    events = await told.tell()
    failed = of(TurnFailed, events)[0]
    assert message in failed.message
    assert "Traceback" not in failed.message


async def test_half_a_stream(story: Any) -> None:
    told = story(
        Respond((run("echo x >> log"),), end="cut"),
        respond(Says("fine")),
    )
    told.policy(RULES)
    events = await told.tell()
    assert (told.project / "log").read_text() == "x\n"
    assert len(of(Retrying, events)) == 1
    assert len(told.outputs()) == 1
    assert of(TurnCompleted, events)[0].last_message == "fine"


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(Calls("nothing_such", {}), id="unknown"),
        pytest.param(Calls("exec_command", "{"), id="json"),
        pytest.param(Calls("apply_patch", {"input": "x"}), id="kind"),
        pytest.param(CallsCustom("exec_command", "ls"), id="custom"),
        pytest.param(CallsCustom("apply_patch", "no patch"), id="patch"),
    ],
)
async def test_a_call_that_makes_no_sense_is_answered(story: Any, call: Any) -> None:
    told = story(respond(call), respond(Says("sorry")))
    told.policy(RULES)
    events = await told.tell()
    assert len(told.outputs()) == 1
    assert told.outputs()[0]
    assert of(TurnCompleted, events)[0].last_message == "sorry"


async def test_the_record_holds_every_step(story: Any) -> None:
    told = story(
        respond(run("rm a"), run("git push"), CallsCustom("apply_patch", ADD.format(path="x"))),
        respond(Says("ok")),
    )
    told.policy(RULES)
    await told.tell()
    text = json.dumps(told.record())
    for word in ("git push", "publishing is for people", "ann", "workspace", "team.rules"):
        assert word in text


async def test_a_record_that_cannot_be_opened_stops_everything(story: Any) -> None:
    told = story(respond(Says("never")))
    told.settings.agent_home.mkdir(mode=0o700)
    (told.settings.agent_home / "audit").write_text("in the way")
    with pytest.raises(ConfigError, match="audit"):
        await told.tell()
    assert not told.server.requests


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param('prefix_rule(pattern = ["a"], decision = "alow")', "alow", id="value"),
        pytest.param('prefix_rule(pattern = ["a"', "error", id="syntax"),
        pytest.param(
            'prefix_rule(pattern = ["a"], decision = "allow", match = ["b"])', "example", id="example"
        ),
    ],
)
async def test_a_broken_file_named_for_the_run_is_fatal(story: Any, text: str, message: str) -> None:
    told = story(respond(Says("never")))
    told.policy(text)
    with pytest.raises(ConfigError) as caught:
        await told.tell()
    assert message in str(caught.value)
    assert "team.rules:1:" in str(caught.value)
    assert not told.server.requests


async def test_a_missing_file_named_for_the_run_is_fatal(story: Any) -> None:
    told = story(respond(Says("never")), policy_files=(Path("/no/such.rules"),))
    with pytest.raises(ConfigError, match=r"no such file"):
        await told.tell()


async def test_a_broken_file_of_the_user_warns_and_loses_its_allows(story: Any) -> None:
    told = story(respond(run("echo hi"), run("git push")), respond(Says("ok")), interactive=False)
    rules = told.settings.rules
    rules.mkdir(parents=True)
    told.settings.agent_home.chmod(0o700)
    (rules / "mine.rules").write_text(RULES + '\nprefix_rule(pattern = ["x"], decision = "alow")\n')
    events = await told.tell()
    assert [event.verdict.decision.word for event in of(Judged, events)] == ["ask", "deny"]
    assert any("mine.rules" in warning.message for warning in of(Warned, events))


async def test_a_session_in_use_and_one_that_is_not_there(story: Any) -> None:
    told = story(respond(Says("one")))
    host = compose(told.settings)
    thread = await host.open()
    with pytest.raises(SessionError, match="open in another process"):
        await host.resume(thread.thread_id)
    with pytest.raises(SessionError):
        await host.resume("00000000-0000-7000-8000-000000000000")
    told.thread_id = thread.thread_id
    from agent.protocol.ops import Close

    await thread.submit(Close())
    assert [type(event).__name__ async for event in thread.events()][-1] == "Closed"
    await told.tell(resume=True)


async def test_an_unstored_session_leaves_a_record_and_no_session(story: Any) -> None:
    told = story(respond(run("echo hi")), respond(Says("ok")), ephemeral=True)
    told.policy(RULES)
    events = await told.tell()
    assert of(TurnCompleted, events)
    assert not told.settings.database.exists()
    assert told.record()


async def test_a_state_folder_that_cannot_be_written(story: Any) -> None:
    told = story(respond(Says("never")))
    told.settings.agent_home.write_text("a file")
    with pytest.raises(AgentError) as caught:
        await told.tell()
    assert caught.value.help


@pytest.mark.skipif(not sandboxed(), reason="no sandbox on this machine")
async def test_a_command_reaches_neither_the_state_folder_nor_the_rules(story: Any) -> None:
    told = story(respond(Says("ready")))
    told.policy(RULES + 'prefix_rule(pattern = ["sh", "steal.sh"], decision = "allow")\n')
    home = told.settings.agent_home
    await told.tell()
    (home / "config.toml").write_text("secret = 1\n")
    (told.project / "steal.sh").write_text(
        f"cat {home}/config.toml; echo x > {home}/x; echo x > {told.root}/team.rules; echo x > .git/x; echo end\n"
    )
    told.server.script = steps_of([respond(run("sh steal.sh")), respond(Says("ok"))])
    await told.tell()
    output = told.outputs()[0]
    assert output.endswith("end\n")
    assert "secret" not in output
    assert not (home / "x").exists()
    assert not (told.project / ".git/x").exists()
    assert (told.root / "team.rules").read_text().startswith("\nprefix_rule")


async def test_a_process_that_is_killed_leaves_a_session_that_goes_on(story: Any) -> None:
    told = story(
        respond(run("echo > started; sleep 30; echo > late")),
        respond(Says("Back again.")),
    )
    told.policy(RULES)
    arguments = ["exec", "--policy", str(told.root / "team.rules"), "--base-url", told.settings.base_url]
    env = {**os.environ, "AGENT_HOME": str(told.settings.agent_home)}
    command = [sys.executable, "-I", "-m", "agent", *arguments]
    mode = ["--sandbox", told.settings.sandbox.value]
    first = await asyncio.create_subprocess_exec(*command, *mode, "go", cwd=told.project, env=env)
    for _ in range(400):
        if (told.project / "started").exists():
            break
        await asyncio.sleep(0.05)
    first.kill()
    await first.wait()
    second = await asyncio.create_subprocess_exec(
        *command[:5], "resume", "--last", *arguments[1:], *mode, "go on", cwd=told.project, env=env
    )
    assert await second.wait() == 0
    assert told.outputs() == ["aborted"]
    assert not (told.project / "late").exists()


@pytest.mark.parametrize("escalated", [True, False])
async def test_no_rule_and_no_yes_gives_more_than_the_owner_of_the_machine_allows(
    story: Any, escalated: bool
) -> None:
    more = {"sandbox_permissions": "require_escalated", "justification": "it needs it"} if escalated else {}
    told = story(respond(Calls("exec_command", {"cmd": "touch made", **more})), respond(Says("Done.")))
    rule = "" if escalated else ', sandbox = "full-access"'
    told.policy(f'prefix_rule(pattern = ["touch"], decision = "allow"{rule})\n')
    limited = {"sandbox": SandboxMode.READ_ONLY, "most_sandbox": SandboxMode.WORKSPACE_WRITE}
    told.settings = replace(told.settings, **limited)
    if not sandboxed():
        pytest.skip("no sandbox here")
    await told.tell()
    assert "the owner of this machine" in told.outputs()[0]
    assert not (told.project / "made").exists()
