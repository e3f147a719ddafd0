"""The network of commands in whole runs: judged by real rules, asked about, told, recorded."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from agent.llm.scripted import Calls, Says, Step, respond
from agent.llm.scripted import replay as steps_of
from agent.protocol.approvals import Answer, ApprovalRequest
from agent.protocol.events import ApprovalAsked, NetworkUsed, TurnInterrupted
from agent.protocol.items import JsonObject
from agent.sandbox.select import select
from execpolicy.decision import SandboxMode

COMMANDS = 'prefix_rule(pattern = [["curl", "echo", "sleep", "env"]], decision = "allow")\n'


@pytest.fixture(autouse=True)
def _able() -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    try:
        sandbox = select(SandboxMode.WORKSPACE_WRITE)
    except Exception as error:  # noqa: BLE001 - whatever keeps it from working here
        pytest.skip(str(error))
    if sandbox.name != "bubblewrap":
        pytest.skip("only bubblewrap has namespaces")


@pytest.fixture
def port() -> Iterator[int]:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "6")
            self.end_headers()
            self.wfile.write(b"hello\n")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def curl(address: str, **more: Any) -> Any:
    return respond(Calls("exec_command", {"cmd": f"curl -sS --noproxy '' {address}", **more}))


def of_kind(record: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """The lines of the log are records, and signatures over them."""
    events = [line.get("record", line).get("event", {}) for line in record]
    return [event for event in events if event.get("kind") == kind]


def connections(record: list[dict[str, Any]]) -> list[tuple[str, int, str, str]]:
    seen = of_kind(record, "connected")
    return [(one["host"], one["port"], one["decision"], one["outcome"]) for one in seen]


async def test_a_rule_lets_a_command_out(story: Any, port: int) -> None:
    told = story(curl(f"http://127.0.0.1:{port}/"), curl("http://evil.test/"), respond(Says("Done.")))
    told.policy(
        COMMANDS
        + f'network_rule(host = "127.0.0.1", port = {port}, decision = "allow", id = "own")\n'
        + 'network_rule(host = "evil.test", decision = "deny", justification = "known bad", id = "bad")\n'
    )
    events = await told.tell()
    first, second = told.outputs()
    assert "hello" in first
    assert "network: " not in first
    assert "[network: evil.test:80 (http) refused by bad: known bad]" in second
    assert connections(told.record()) == [
        ("127.0.0.1", port, "allow", "opened"),
        ("127.0.0.1", port, "allow", "closed"),
        ("evil.test", 80, "deny", "refused"),
    ]
    used = [event for event in events if isinstance(event, NetworkUsed)]
    assert [(event.host, event.outcome, event.rules) for event in used] == [
        ("127.0.0.1", "closed", ("own",)),
        ("evil.test", "refused", ("bad",)),
    ]
    assert used[0].bytes_down > 0
    opening = json.dumps(told.server.requests[0]["input"])
    assert "through a proxy only" in opening


@pytest.mark.parametrize(("answer", "outcome"), [(Answer.YES, "failed"), (Answer.NO, "refused")])
async def test_a_host_no_rule_names_is_asked_about_once(story: Any, answer: Answer, outcome: str) -> None:
    asked: list[ApprovalRequest] = []

    def person(request: ApprovalRequest) -> Answer:
        asked.append(request)
        return answer

    told = story(curl("http://no-such-name.invalid/ http://no-such-name.invalid/"), respond(Says("Done.")))
    told.policy(COMMANDS + 'network_rule(host = "other.test", decision = "allow")\n')
    events = await told.tell(person=person)
    assert [request.subject for request in asked] == ["connect to no-such-name.invalid:80 (http)"]
    assert {event.outcome for event in events if isinstance(event, NetworkUsed)} == {outcome}
    assert "no-such-name.invalid:80" in told.outputs()[0]
    answers = of_kind(told.record(), "approved")
    assert [(one["answer"], one["approver"]) for one in answers] == [(answer.value, "ann")]


async def test_a_stop_ends_the_command_and_the_turn(story: Any) -> None:
    command = "curl -sS http://no-such-name.invalid/; sleep 300"
    told = story(respond(Calls("exec_command", {"cmd": command})), respond(Says("Never said.")))
    told.policy(COMMANDS + 'network_rule(host = "other.test", decision = "allow")\n')
    events = await told.tell(person=lambda request: Answer.STOP)
    assert any(isinstance(event, TurnInterrupted) for event in events)
    assert len(told.server.requests) == 1
    (answered,) = of_kind(told.record(), "approved")
    assert (answered["answer"], answered["approver"]) == ("stop", "ann")


async def test_nobody_there_to_be_asked(story: Any) -> None:
    told = story(curl("http://no-such-name.invalid/"), respond(Says("Done.")), interactive=False)
    told.policy(COMMANDS + 'network_rule(host = "other.test", decision = "allow")\n')
    events = await told.tell()
    assert not [event for event in events if isinstance(event, ApprovalAsked)]
    assert "nobody can be asked" in told.outputs()[0]
    assert 'network_rule(host = "no-such-name.invalid", decision = "allow")' in told.outputs()[0]


@pytest.mark.parametrize(
    ("rules", "more", "proxied"),
    [
        pytest.param("", {}, False, id="no-rules-no-network"),
        pytest.param('network_rule(host = "a.test", decision = "allow")', {}, True, id="rules"),
        pytest.param("", {"network": True}, False, id="open"),
        pytest.param(
            'network_rule(host = "a.test", decision = "allow")', {"network": True}, False, id="open-too"
        ),
        pytest.param(
            'network_rule(host = "a.test", decision = "deny")', {"network": True}, True, id="filtered"
        ),
        pytest.param(
            'network_rule(host = "a.test", decision = "allow")', {"most_network": False}, False, id="owner"
        ),
    ],
)
async def test_which_network_a_command_has(
    story: Any, rules: str, more: dict[str, Any], proxied: bool
) -> None:
    told = story(respond(Calls("exec_command", {"cmd": "env"})), respond(Says("Done.")), **more)
    told.policy(COMMANDS + rules)
    await told.tell()
    assert ("NODE_USE_ENV_PROXY=1" in told.outputs()[0]) is proxied


async def test_denies_hold_where_a_rule_opens_the_network(story: Any, port: int) -> None:
    told = story(
        curl("http://a.test/"),
        curl(f"http://127.0.0.1:{port}/"),
        curl("http://[::1]:1/"),
        respond(Says("Done.")),
    )
    told.policy(
        'prefix_rule(pattern = ["curl"], decision = "allow", network = "allow")\n'
        'network_rule(host = "a.test", decision = "deny", justification = "known bad", id = "bad")\n'
        'network_rule(host = "127.0.0.1", decision = "allow")\n'
    )
    await told.tell()
    denied, fine, private = told.outputs()
    assert "refused by bad: known bad" in denied
    assert "hello" in fine
    assert "not of the public internet (loopback)" in private


async def test_a_command_that_goes_on_keeps_its_proxy(story: Any, port: int) -> None:
    script = f"sleep 0.8; curl -sS --noproxy '' http://127.0.0.1:{port}/ http://evil.test/; sleep 60"
    steps = steps_of(
        [
            respond(Calls("exec_command", {"cmd": script, "yield_time_ms": 250})),
            respond(Calls("write_stdin", {"session_id": 0, "yield_time_ms": 5000})),
            respond(Says("Done.")),
        ]
    )

    def numbered(request: JsonObject) -> Step:
        step = steps(request)
        for call in getattr(step, "outputs", ()):
            if (
                isinstance(call, Calls)
                and isinstance(call.arguments, dict)
                and "session_id" in call.arguments
            ):
                found = re.findall(r"session ID (\d+)", str(request["input"]))
                call.arguments["session_id"] = int(found[-1])
        return step

    told = story()
    told.server.script = numbered
    told.policy(
        COMMANDS
        + 'network_rule(host = "127.0.0.1", decision = "allow")\n'
        + 'network_rule(host = "evil.test", decision = "deny", justification = "known bad", id = "bad")\n'
    )
    before = set(os.listdir("/proc/self/fd"))
    await told.tell()
    assert "hello" not in told.outputs()[0]
    assert "hello" in told.outputs()[1]
    assert "[network: evil.test:80 (http) refused by bad: known bad]" in told.outputs()[1]
    assert len(os.listdir("/proc/self/fd")) <= len(before) + 1, "descriptors are left"
