"""The model input: in order, complete, bounded, whatever happened to the thread."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from agent.core.context import History, replay, sound
from agent.protocol.items import JsonObject, Usage, call_output, user_message


def call(number: int) -> JsonObject:
    return {"type": "function_call", "call_id": f"c{number}", "name": "t", "arguments": "{}"}


entries = st.lists(
    st.one_of(
        st.integers(0, 5).map(lambda n: ("item", call(n))),
        st.integers(0, 5).map(lambda n: ("item", call_output(call(n), "done"))),
        st.just(("item", user_message("hi"))),
        st.just(("item", {"type": "message", "role": "assistant", "content": []})),
        st.just(("usage", {"input_tokens": 1})),
        st.just(("turn", {"state": "started"})),
        st.just(("future", {"x": 1})),
    )
)


@given(entries)
def test_every_call_has_one_output_behind_it_and_no_output_is_alone(
    stored: list[tuple[str, JsonObject]],
) -> None:
    history = History()
    replay(stored, history)
    open_calls: set[object] = set()
    for item in history.input():
        if item["type"] == "function_call":
            open_calls.add(item["call_id"])
        elif item["type"] == "function_call_output":
            assert item["call_id"] in open_calls
            open_calls.discard(item["call_id"])
        elif item.get("role") == "user":
            assert not open_calls
    assert not open_calls


def test_a_call_that_never_ended_is_answered_aborted() -> None:
    history = History()
    replay([("item", call(1))], history)
    assert history.input()[-1] == {"type": "function_call_output", "call_id": "c1", "output": "aborted"}


def test_a_custom_call_gets_an_output_of_its_kind() -> None:
    history = History()
    replay([("item", {"type": "custom_tool_call", "call_id": "c1", "name": "t", "input": ""})], history)
    assert history.input()[-1]["type"] == "custom_tool_call_output"


def test_the_oldest_outputs_give_way_first_and_the_last_response_stays() -> None:
    history = History(max_bytes=10_000)
    for number in range(10):
        history.receive(call(number))
        history.answer(call_output(call(number), f"{number}" * 3000))
        history.close(Usage())
    items = history.input()
    assert len(json.dumps(items)) <= 10_000
    outputs = [str(item["output"]) for item in items if item["type"] == "function_call_output"]
    assert outputs[0].startswith("[output removed")
    assert outputs[-1] == "9" * 3000
    assert history.input() == items


def test_half_characters_do_not_reach_the_wire() -> None:
    mended = sound({"text": "a\ud800b", "deep": [{"x": "\udfff"}]})
    assert mended == {"text": "a?b", "deep": [{"x": "?"}]}
    whole: JsonObject = {"text": "ä😀"}
    assert sound(whole) is whole


def test_a_thought_that_led_to_nothing_is_not_sent_back() -> None:
    history = History()
    thought: JsonObject = {"type": "reasoning", "id": "rs_1", "summary": []}
    history.receive(thought)
    history.receive(call(1))
    history.receive({**thought, "id": "rs_2"})
    history.close(Usage())
    assert [item.get("id") or item["type"] for item in history.input()] == [
        "rs_1",
        "function_call",
        "function_call_output",
    ]
