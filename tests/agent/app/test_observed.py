"""Telemetry hears of each request, however it ended, and of no word of it."""

from __future__ import annotations

import pytest
from fakes import ScriptedModel, cut, done, says

from agent.app.observed import ObservedModel
from agent.errors import ModelError
from agent.llm.client import ModelRequest
from compliance.sink import ModelCall


class Ears:
    def __init__(self) -> None:
        self.calls: list[ModelCall] = []

    def requested(self, session: str) -> str:
        return f"00-for-{session}"

    def model_called(self, call: ModelCall) -> None:
        self.calls.append(call)


REQUEST = ModelRequest(model="m", input=(), tools=(), cache_key="thread-1")


@pytest.mark.parametrize(
    ("step", "tokens", "error"),
    [
        pytest.param([*says("secret"), *done(7)], 7, "", id="well"),
        pytest.param([*says("secret"), *cut()], 0, "cut", id="cut"),
        pytest.param([*says("secret")], 0, "cut", id="no-end"),
        pytest.param([ModelError("secret")], 0, "ModelError", id="error"),
    ],
)
async def test_a_request_is_told(step: list[object], tokens: int, error: str) -> None:
    ears = Ears()
    scripted = ScriptedModel(step)
    model = ObservedModel(scripted, ears, "house")  # type: ignore[arg-type]
    try:
        events = [event async for event in model.stream(REQUEST)]
        assert len(events) == len([one for one in step if not isinstance(one, Exception)])
    except ModelError:
        assert error
    (call,) = ears.calls
    assert scripted.requests[-1].headers == (("traceparent", "00-for-thread-1"),)
    assert call.traceparent == "00-for-thread-1"
    assert (call.session, call.model, call.input_tokens, call.error) == ("thread-1", "m", tokens, error)
    assert call.provider == "house"
    assert "secret" not in repr(call)
