"""The event stream of `exec --json`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.headless.human import HumanText
from agent.headless.jsonl import JsonLines
from agent.protocol.approvals import Answer, ApprovalReply, ApprovalRequest, Offer, Offers
from agent.protocol.events import (
    ApprovalAnswered,
    ApprovalAsked,
    ApprovalMissing,
    CallFailed,
    Closed,
    CommandEnded,
    CommandOutput,
    CommandStarted,
    Event,
    FileChange,
    Judged,
    MessageDone,
    NetworkUsed,
    PatchEnded,
    PatchStarted,
    PlanStep,
    PlanUpdated,
    ReasoningDone,
    Refusal,
    Retrying,
    Status,
    TextDelta,
    ThreadStarted,
    ToolEnded,
    ToolStarted,
    TurnCompleted,
    TurnFailed,
    TurnInterrupted,
    TurnStarted,
    Warned,
)
from agent.protocol.items import Usage
from execpolicy.decision import Certainty, Decision, Layer, Origin, Part, RuleMatch, Verdict

DENY = RuleMatch(
    rule_id="git.no-push",
    decision=Decision.DENY,
    certainty=Certainty.YES,
    origin=Origin(Layer.SESSION, "task.rules", 7),
    justification="pushes are made by a person",
    suggest="leave the commit and say so",
)
DENIED = Verdict(
    decision=Decision.DENY,
    parts=(Part(kind="command", text="git push", decision=Decision.DENY, matches=(DENY,)),),
)
ASKED = Verdict(
    decision=Decision.ASK,
    parts=(Part(kind="command", text="make", decision=Decision.ASK, why="no rule speaks about `make`"),),
)


def lines(*events: Event) -> list[dict[str, Any]]:
    written: list[str] = []
    show = JsonLines(written.append)
    for event in events:
        show.event(event)
    assert all(line.endswith("\n") and line.count("\n") == 1 and line.isascii() for line in written)
    return [json.loads(line) for line in written]


def item(type: str, number: int, **about: object) -> dict[str, object]:
    return {"id": f"item_{number}", "type": type} | about


def test_a_whole_turn_as_a_client_of_codex_reads_it() -> None:
    told = lines(
        ThreadStarted("t-1", model="m", cwd="/w", sandbox="workspace-write"),
        TurnStarted("t-1:1", "fix it"),
        TextDelta("I "),
        MessageDone("I look."),
        CommandStarted("c1", "cat a", "/w"),
        CommandOutput("c1", "hello\n"),
        CommandEnded("c1", "cat a", "hello\n", 0, Status.COMPLETED, 0.25),
        MessageDone("Done."),
        TurnCompleted(Usage(4600, 3300, 95, 5), "Done."),
        Closed(),
    )
    assert [one["type"] for one in told] == [
        "thread.started",
        "turn.started",
        "item.completed",
        "item.started",
        "item.completed",
        "item.completed",
        "turn.completed",
    ]
    assert told[0]["thread_id"] == "t-1"
    assert told[2]["item"] == item("agent_message", 0, text="I look.")
    words = {"command": "/bin/bash -lc 'cat a'", "script": "cat a"}
    assert told[3]["item"] == item(
        "command_execution", 1, aggregated_output="", exit_code=None, status="in_progress", **words
    )
    ended = told[4]["item"]
    assert ended["id"] == "item_1"
    assert (ended["aggregated_output"], ended["exit_code"], ended["status"]) == ("hello\n", 0, "completed")
    assert told[6] == {
        "type": "turn.completed",
        "usage": {
            "input_tokens": 4600,
            "cached_input_tokens": 3300,
            "cache_write_input_tokens": 0,
            "output_tokens": 95,
            "reasoning_output_tokens": 5,
        },
    }


def test_a_denied_command_is_an_item_and_its_verdict_says_why() -> None:
    verdict, ended = lines(
        Judged("c1", "exec_command", "git push", DENIED, details={"decision": "deny", "parts": []}),
        CommandEnded("c1", "git push", "denied", None, Status.DECLINED, refusal=Refusal.POLICY),
    )
    assert verdict == {
        "type": "policy.verdict",
        "call_id": "c1",
        "tool": "exec_command",
        "subject": "git push",
        "decision": "deny",
        "rule": "git.no-push",
        "layer": "session",
        "reason": "pushes are made by a person",
        "way_out": "leave the commit and say so",
        "verdict": {"decision": "deny", "parts": []},
    }
    assert ended["item"]["status"] == "declined"
    assert ended["item"]["refusal"] == "policy"
    assert ended["item"]["aggregated_output"] == "denied"


def test_silence_of_the_rules_is_a_reason_too() -> None:
    (verdict,) = lines(Judged("c1", "exec_command", "make", ASKED))
    assert (verdict["rule"], verdict["reason"]) == (None, "no rule speaks about `make`")


def test_an_ask_and_its_answer() -> None:
    request = ApprovalRequest(
        id="ask-1", call_id="c1", tool="exec_command", subject="make", cwd="/w", verdict=ASKED
    )
    reply = ApprovalReply(request_id="ask-1", answer=Answer.NO, message="nobody", approver="x")
    asked, answered = lines(ApprovalAsked(request), ApprovalAnswered(reply, "c1"))
    assert (asked["state"], asked["request_id"], asked["subject"]) == ("asked", "ask-1", "make")
    assert (answered["state"], answered["approved"], answered["message"]) == ("answered", False, "nobody")


OFFER = Offer(
    wide=False, extent="exactly", rules=("prefix_rule(\n  x,\n)\n",), ends="2027-01-01", notes=("n",)
)


@pytest.mark.parametrize(
    ("offers", "subject", "tool", "way"),
    [
        (Offers(user=(OFFER,)), "make it's", "exec_command", "--script 'make it'\"'\"'s'"),
        (Offers(project=(OFFER,)), "make", "exec_command", "--project --script make"),
        (Offers(why_not=("too broad",)), "sudo make", "exec_command", None),
        (Offers(user=(OFFER,)), "make\nx", "exec_command", None),
        (Offers(user=(OFFER,)), "example.org", "network", None),
    ],
)
def test_an_ask_that_nobody_answers_names_the_rule_that_would_allow_it(
    offers: Offers, subject: str, tool: str, way: str | None
) -> None:
    missing = ApprovalMissing("c1", tool, subject, "nobody can be asked in this run", offers)
    (told,) = lines(missing)
    assert (told["type"], told["state"], told["approved"]) == ("policy.approval", "unanswered", False)
    assert told["call_id"] == "c1"
    assert told["allow_with"] == (way and f"agent approvals allow {way}")
    assert told["why_not"] == list(offers.why_not)
    assert [rule for one in told["offers"] for rule in one["rules"]] == (
        [] if offers.why_not else list(OFFER.rules)
    )
    written: list[str] = []
    HumanText(written.append).event(missing)
    text = "".join(written)
    assert ("prefix_rule( x, )" in text) is (not offers.why_not)
    assert ("too broad" in text) is bool(offers.why_not)
    assert ("note: n" in text) is (not offers.why_not)
    assert (f"agent approvals allow {way}" in text) is (way is not None)


@pytest.mark.parametrize(
    ("status", "want"),
    [
        (Status.COMPLETED, "completed"),
        (Status.FAILED, "failed"),
        (Status.DECLINED, "failed"),
        (Status.INTERRUPTED, "failed"),
    ],
)
def test_a_patch_has_the_states_of_codex(status: Status, want: str) -> None:
    change = FileChange("/w/a.py", "update")
    started, ended = lines(PatchStarted("c", (change,)), PatchEnded("c", (change,), status, "why", "diff"))
    assert started == {
        "type": "item.started",
        "item": item("file_change", 0, changes=[{"path": "/w/a.py", "kind": "update"}], status="in_progress"),
    }
    assert ended["item"]["id"] == "item_0"
    assert ended["item"]["status"] == want
    assert ("message" in ended["item"]) == (status is not Status.COMPLETED)


def test_the_plan_is_one_item_that_ends_with_its_turn() -> None:
    first = PlanUpdated((PlanStep("a", "in_progress"), PlanStep("b", "pending")))
    second = PlanUpdated((PlanStep("a", "completed"), PlanStep("b", "in_progress")))
    told = lines(first, second, TurnCompleted(Usage()), first)
    assert [(one["type"], one.get("item", {}).get("id")) for one in told] == [
        ("item.started", "item_0"),
        ("item.updated", "item_0"),
        ("item.completed", "item_0"),
        ("turn.completed", None),
        ("item.started", "item_1"),
    ]
    assert told[2]["item"]["items"] == [{"text": "a", "completed": True}, {"text": "b", "completed": False}]


def test_failures_retries_and_warnings() -> None:
    told = lines(
        Warned("w", "h"),
        Retrying(1, 5, "stream disconnected", 0.2),
        CallFailed("c", "nope", "unsupported call: nope"),
        ReasoningDone(""),
        ReasoningDone("hm"),
        TurnFailed("no key", "set one"),
    )
    assert told == [
        {"type": "item.completed", "item": item("error", 0, message="w", help="h")},
        {
            "type": "error",
            "message": "Reconnecting... 1/5 (stream disconnected)",
            "attempt": 1,
            "most": 5,
            "seconds": 0.2,
        },
        {
            "type": "call.failed",
            "call_id": "c",
            "tool": "nope",
            "message": "unsupported call: nope",
            "refusal": None,
        },
        {"type": "item.completed", "item": item("reasoning", 1, text="hm")},
        {"type": "error", "message": "no key"},
        {"type": "turn.failed", "error": {"message": "no key", "help": "set one"}},
    ]


def test_an_interrupted_turn_ends_with_an_event_that_every_client_knows() -> None:
    assert lines(TurnInterrupted("SIGTERM")) == [
        {"type": "turn.interrupted", "reason": "SIGTERM"},
        {"type": "turn.failed", "error": {"message": "interrupted: SIGTERM"}},
    ]


def test_what_is_no_text_does_not_break_the_stream() -> None:
    (told,) = lines(MessageDone("\ud800\x00\x1b\u2028\n\\ud800 \U0001f642"))
    assert told["item"]["text"] == "?\x00\x1b\u2028\n\\ud800 \U0001f642"


def lines_of(*events: Event) -> list[dict[str, Any]]:
    written: list[str] = []
    show = JsonLines(written.append)
    show.event(ThreadStarted("t-1", resumed=False, model="m", cwd="/w", sandbox="read-only"))
    for event in events:
        show.event(event)
    return [json.loads(line) for line in written[1:]]


@pytest.mark.parametrize(
    ("tool", "arguments", "message", "want"),
    [
        (
            "spawn_agent",
            {"message": "look"},
            '{"agent_id": "agent-1"}',
            {
                "tool": "spawn_agent",
                "receiver_thread_ids": ["agent-1"],
                "prompt": "look",
                "agents_states": {},
            },
        ),
        (
            "wait_agent",
            {"targets": ["agent-1", "agent-2"]},
            '{"status": {"agent-1": {"completed": "found"}, "agent-2": {"running": ""}}, "timed_out": false}',
            {
                "tool": "wait",
                "receiver_thread_ids": ["agent-1", "agent-2"],
                "prompt": None,
                "agents_states": {
                    "agent-1": {"status": "completed", "message": "found"},
                    "agent-2": {"status": "running", "message": None},
                },
            },
        ),
        (
            "close_agent",
            {"target": "agent-1"},
            '{"status": {"agent-1": {"failed": "no"}}}',
            {
                "tool": "close_agent",
                "receiver_thread_ids": ["agent-1"],
                "prompt": None,
                "agents_states": {"agent-1": {"status": "errored", "message": "no"}},
            },
        ),
    ],
)
def test_agents_are_the_items_that_codex_has(
    tool: str, arguments: dict[str, Any], message: str, want: dict[str, Any]
) -> None:
    started, ended, refused = lines_of(
        ToolStarted("c1", tool, "", arguments, "s"),
        ToolEnded("c1", tool, Status.COMPLETED, arguments=arguments, message=message),
        ToolEnded(
            "c2", tool, Status.DECLINED, arguments=arguments, message="rejected", refusal=Refusal.POLICY
        ),
    )
    assert (started["type"], ended["type"]) == ("item.started", "item.completed")
    assert started["item"]["id"] == ended["item"]["id"] == "item_0"
    assert started["item"] | {"status": "in_progress"} == started["item"]
    shown = {key: ended["item"][key] for key in want}
    assert shown == want
    assert ended["item"]["sender_thread_id"] == "t-1"
    assert ended["item"]["status"] == "completed"
    assert (refused["item"]["status"], refused["item"]["refusal"]) == ("failed", "policy")


def test_connections_of_commands() -> None:
    (told,) = lines(
        NetworkUsed(
            "c1", "evil.test", 443, "https", "deny", "refused", rules=("no.evil",), why="known bad", count=3
        )
    )
    assert told == {
        "type": "network.connection",
        "call_id": "c1",
        "host": "evil.test",
        "port": 443,
        "protocol": "https",
        "address": None,
        "decision": "deny",
        "rules": ["no.evil"],
        "outcome": "refused",
        "why": "known bad",
        "bytes_up": 0,
        "bytes_down": 0,
        "seconds": 0.0,
        "count": 3,
    }
