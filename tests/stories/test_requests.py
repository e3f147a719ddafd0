"""What goes to the model service over turns and resumed sessions, item by item."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.llm.scripted import Calls, CallsCustom, Says, Thinks, respond

RULES = """
prefix_rule(pattern = ["echo"], decision = "allow")
prefix_rule(pattern = ["sleep"], decision = "allow")
path_rule(paths = ["**"], access = ["write"], decision = "allow")
"""
PATCH = "*** Begin Patch\n*** Add File: a.txt\n+x\n*** End Patch\n"


@pytest.mark.parametrize(
    ("settings", "members"),
    [
        ({}, {}),
        ({"effort": "high"}, {"reasoning": {"effort": "high"}}),
        ({"summary": "auto"}, {"reasoning": {"summary": "auto"}}),
        (
            {"effort": "low", "summary": "detailed"},
            {"reasoning": {"effort": "low", "summary": "detailed"}},
        ),
        ({"verbosity": "low"}, {"text": {"verbosity": "low"}}),
    ],
)
@pytest.mark.parametrize("model", ["gpt-5.5", "a-model/nobody:knows"])
async def test_members_follow_the_settings_whatever_the_model(
    story: Any, settings: dict[str, str], members: dict[str, Any], model: str
) -> None:
    told = story(respond(Says("ok")), **settings)
    told.settings = replace(told.settings, model=model)
    told.policy(RULES)
    await told.tell()
    (sent,) = told.server.requests
    assert sent["model"] == model
    assert {name: sent[name] for name in ("reasoning", "text") if name in sent} == members
    assert (sent["store"], sent["include"]) == (False, ["reasoning.encrypted_content"])
    assert sent["prompt_cache_key"] == told.thread_id
    for name in ("instructions", "previous_response_id", "max_output_tokens", "temperature", "metadata"):
        assert name not in sent


async def test_items_go_back_as_they_came_also_after_a_resume(story: Any) -> None:
    outputs = (
        Thinks("hm"),
        Says("I start."),
        Calls("exec_command", {"cmd": "sleep 0.4"}),
        CallsCustom("apply_patch", PATCH),
        Calls("exec_command", {"cmd": "echo quick"}),
        Calls("nothing_like_it", {}),
    )
    told = story(respond(*outputs), respond(Says("done")), respond(Says("again")))
    told.policy(RULES)
    await told.tell("one")
    told.server.label = "later"
    await told.tell("two", resume=True)
    first, second, resumed = (request["input"] for request in told.server.requests)
    begun = len(first)
    assert second[:begun] == first
    assert [item["type"] for item in second[begun:]] == [
        "reasoning",
        "message",
        "function_call",
        "custom_tool_call",
        "function_call",
        "function_call",
        "function_call_output",
        "custom_tool_call_output",
        "function_call_output",
        "function_call_output",
    ]
    assert second[begun]["encrypted_content"] == "c2NyaXB0ZWQ="
    calls, answers = second[begun + 2 : begun + 6], second[begun + 6 :]
    assert [one["call_id"] for one in answers] == [one["call_id"] for one in calls]
    assert all(isinstance(one["output"], str) for one in answers)
    assert answers[1]["output"].startswith("Exit code: 0\nWall time: ")
    assert answers[1]["output"].endswith("Success. Updated the following files:\nA a.txt\n")
    assert answers[3]["output"].startswith("unsupported call: nothing_like_it")
    # What was said and done stands there again to the letter, ids and hidden thoughts included.
    assert [item for item in second[begun - 1 :] if item in resumed] == second[begun - 1 :]
    assert [resumed[-2]["role"], resumed[-1]["role"]] == ["assistant", "user"]
    assert told.server.requests[2]["prompt_cache_key"] == told.server.requests[0]["prompt_cache_key"]
