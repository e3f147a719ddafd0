"""Items: text out of messages, answers in the form that a call asks for."""

from __future__ import annotations

import pytest

from agent.protocol.items import Json, Usage, call_output, message_text


@pytest.mark.parametrize(
    ("content", "want"),
    [
        pytest.param(
            [{"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"}], "ab", id="parts"
        ),
        pytest.param([{"type": "refusal", "refusal": "no"}], "no", id="refusal"),
        pytest.param([{"type": "input_image", "image_url": "x"}], "", id="image"),
        pytest.param([{"type": "output_text", "text": 3}, "x", None], "", id="garbage"),
        pytest.param("text", "", id="no-list"),
        pytest.param(None, "", id="nothing"),
    ],
)
def test_message_text(content: Json, want: str) -> None:
    assert message_text({"type": "message", "content": content}) == want


def test_an_answer_has_the_form_of_its_call() -> None:
    assert call_output({"type": "function_call", "call_id": "c"}, "x") == {
        "type": "function_call_output",
        "call_id": "c",
        "output": "x",
    }
    assert call_output({"type": "custom_tool_call", "call_id": "c"}, "x")["type"] == "custom_tool_call_output"


def test_usage_adds_up() -> None:
    assert Usage(1, 2, 3, 4) + Usage(10, 20, 30, 40) == Usage(11, 22, 33, 44)
