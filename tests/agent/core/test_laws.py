"""Whatever a model sends: every call is answered once and recorded, the turn ends, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from fakes import FakeJudge, Rig, ScriptedModel, done
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.context import History, is_call, replay
from agent.llm.client import ItemArrived
from agent.protocol.events import TurnCompleted
from execpolicy.decision import Decision

scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.just("\ud800"))
garbage = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
    max_leaves=4,
)
payloads = st.one_of(
    st.just('{"plan": []}'),
    st.just('{"plan": [{"step": "deny me", "status": "pending"}]}'),
    st.just("{"),
    st.just('{"cmd": 1}'),
    st.text(max_size=8),
    garbage,
)
items = st.fixed_dictionaries(
    {
        "type": st.one_of(
            st.sampled_from(
                [
                    "function_call",
                    "custom_tool_call",
                    "message",
                    "reasoning",
                    "local_shell_call",
                    "web_search_call",
                ]
            ),
            garbage,
        )
    },
    optional={
        "call_id": st.one_of(st.sampled_from(["a", "b", "c", "\udcff"]), garbage),
        "name": st.one_of(st.sampled_from(["update_plan", "exec_command", "nothing"]), garbage),
        "arguments": payloads,
        "input": payloads,
        "content": garbage,
        "summary": garbage,
        "role": st.sampled_from(["assistant", "user"]),
    },
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(items, max_size=5), max_size=4), st.sampled_from(Decision))
def test_every_call_is_answered_once_and_recorded(
    answers: list[list[dict[str, Any]]], decision: Decision
) -> None:
    asyncio.run(_check(answers, decision))


async def _check(answers: list[list[dict[str, Any]]], decision: Decision) -> None:
    with tempfile.TemporaryDirectory() as folder:
        # An answer without a call ends the turn; a call that nobody knows makes the model go on.
        more = {"type": "function_call", "name": "nothing", "arguments": "{}"}
        steps = [
            [*map(ItemArrived, answer), ItemArrived({**more, "call_id": f"more-{at}"}), *done()]
            for at, answer in enumerate(answers)
        ]
        rig = Rig(
            ScriptedModel(*steps, done()),
            Path(folder),
            judge=FakeJudge(update_plan=decision),
            attended=False,
        )
        events = await rig.turn()
    assert isinstance(events[-1], TurnCompleted), events[-1]
    sent = rig.history.input()
    json.dumps(sent, ensure_ascii=False).encode()
    calls = [item["call_id"] for item in sent if is_call(item)]
    outputs = [item["call_id"] for item in sent if str(item["type"]).endswith("_call_output")]
    assert Counter(calls) == Counter(outputs)
    assert max(Counter(calls).values(), default=1) == 1
    ended = Counter(event.call for event in rig.sink.events if type(event).__name__ in ("Ran", "Refused"))
    assert ended == Counter(calls)
    decided = {event.call for event in rig.sink.events if type(event).__name__ == "Decided"}
    assert all(event.call in decided for event in rig.sink.events if type(event).__name__ == "Ran")
    again = History()
    replay(rig.journal.entries, again)
    assert again.input() == sent
