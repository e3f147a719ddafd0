"""What a dead, lying or failing model service does to the stream of model events. Real HTTP, real `openai`."""

from __future__ import annotations

import asyncio
import json
import socket
import time

import pytest

from agent import __version__
from agent.errors import ModelError
from agent.llm.client import ItemArrived, ModelEvent, ModelRequest, ResponseDone, RetryScheduled, TextArrived
from agent.llm.responses import ResponsesClient
from agent.llm.retry import Backoff, RetryingClient
from agent.llm.scripted import (
    Calls,
    CallsCustom,
    Fail,
    Respond,
    Says,
    ScriptedServer,
    Step,
    Stream,
    Thinks,
    event_bytes,
    replay,
    respond,
)

REQUEST = ModelRequest(model="scripted", input=(), tools=(), cache_key="key")
QUICK = Backoff(retries=2, first=0.01)
HELLO = respond(Says("hello"))


async def _stream(url: str, backoff: Backoff, idle: float) -> list[ModelEvent]:
    inner = ResponsesClient(base_url=url, api_key="key", idle_seconds=idle, connect_seconds=2)
    client = RetryingClient(inner, backoff)
    try:
        return [event async for event in client.stream(REQUEST)]
    finally:
        await client.aclose()


def run(*steps: Step, backoff: Backoff = QUICK, idle: float = 5) -> tuple[list[ModelEvent], int]:
    """The events, and how many requests arrived."""
    with ScriptedServer(replay(steps)) as server:
        events = asyncio.run(_stream(server.base_url, backoff, idle))
    return events, len(server.requests)


def test_an_answer_arrives_in_order() -> None:
    step = respond(Thinks("hm"), Says("a" * 30), Calls("f", {"x": 1}), CallsCustom("g", "text"))
    events, _ = run(step)
    items = [event.item["type"] for event in events if isinstance(event, ItemArrived)]
    assert items == ["reasoning", "message", "function_call", "custom_tool_call"]
    assert "".join(event.text for event in events if isinstance(event, TextArrived)) == "a" * 30
    assert isinstance(events[-1], ResponseDone)
    assert (events[-1].usage.input_tokens, events[-1].usage.output_tokens) == (100, 20)


def test_the_request_has_what_the_service_needs() -> None:
    request = ModelRequest(
        model="m", input=({"type": "message"},), tools=({"type": "function"},), cache_key="thread"
    )

    async def send(url: str) -> None:
        client = ResponsesClient(base_url=url, api_key="key")
        async for _ in client.stream(request):
            pass
        await client.aclose()

    with ScriptedServer(replay([HELLO])) as server:
        asyncio.run(send(server.base_url))
    assert server.requests == [
        {
            "model": "m",
            "stream": True,
            "input": [{"type": "message"}],
            "tools": [{"type": "function"}],
            "tool_choice": "auto",
            "parallel_tool_calls": True,
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "prompt_cache_key": "thread",
        }
    ]


@pytest.mark.parametrize("by_hand", [{}, {"User-Agent": "mine", "Originator": "me"}], ids=["ours", "set"])
def test_headers_name_the_program_and_the_thread(by_hand: dict[str, str]) -> None:
    request = ModelRequest(
        model="m", input=(), tools=(), cache_key="thread-7", headers=(("traceparent", "t"),)
    )

    async def send(url: str) -> None:
        client = ResponsesClient(base_url=url, api_key="key", headers=by_hand)
        async for _ in client.stream(request):
            pass
        await client.aclose()

    with ScriptedServer(replay([HELLO])) as server:
        asyncio.run(send(server.base_url))
    (sent,) = server.headers
    for name in ("session-id", "thread-id", "x-client-request-id"):
        assert sent[name] == "thread-7"
    assert (sent["accept"], sent["traceparent"]) == ("text/event-stream", "t")
    want = ("mine", "me") if by_hand else (f"agent/{__version__}", "agent")
    assert (sent["user-agent"], sent["originator"]) == want


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(Fail(500), id="500"),
        pytest.param(Fail(502), id="502"),
        pytest.param(Fail(503, headers=(("retry-after", "0"),)), id="503-retry-after"),
        pytest.param(Fail(429), id="429"),
        pytest.param(Fail(429, headers=(("retry-after-ms", "20"),)), id="429-retry-after-ms"),
        pytest.param(Fail(429, headers=(("retry-after", "soon"),)), id="429-unreadable-retry-after"),
        pytest.param(Fail(408), id="408"),
        pytest.param(Respond((), end="eof"), id="end-without-completed"),
        pytest.param(Respond((), end="cut"), id="reset"),
        pytest.param(Stream(b""), id="empty-body"),
        pytest.param(Stream(b"data: {bad\n\ndata: 7\n\ndata: []\n\n: c\n\n"), id="garbled"),
        pytest.param(Stream(b"<html>proxy</html>"), id="not-a-stream"),
        pytest.param(
            Stream(event_bytes({"type": "error", "code": "server_error", "message": "oops"})),
            id="error-event",
        ),
        pytest.param(
            Stream(
                event_bytes(
                    {
                        "type": "response.failed",
                        "response": {
                            "error": {"code": "rate_limit_exceeded", "message": "try again in 20ms"}
                        },
                    }
                )
            ),
            id="failed-rate-limit",
        ),
    ],
)
def test_what_may_pass_is_tried_again(first: Step) -> None:
    events, requests = run(first, HELLO)
    assert requests == 2
    assert [event.attempt for event in events if isinstance(event, RetryScheduled)] == [1]
    assert isinstance(events[-1], ResponseDone)
    assert events[-1].complete


@pytest.mark.parametrize(
    ("step", "part"),
    [
        pytest.param(Fail(400, "no such parameter"), "400: no such parameter", id="400"),
        pytest.param(Fail(401, "bad key"), "401", id="401"),
        pytest.param(Fail(403), "403", id="403"),
        pytest.param(Fail(404), "404", id="404"),
        pytest.param(Fail(429, "pay", code="insufficient_quota"), "pay", id="quota"),
        pytest.param(
            Stream(
                event_bytes(
                    {
                        "type": "response.incomplete",
                        "response": {"incomplete_details": {"reason": "max_output_tokens"}},
                    }
                )
            ),
            "max_output_tokens",
            id="incomplete",
        ),
        pytest.param(
            Stream(
                event_bytes(
                    {
                        "type": "response.failed",
                        "response": {"error": {"code": "context_length_exceeded", "message": "too long"}},
                    }
                )
            ),
            "too long",
            id="context",
        ),
    ],
)
def test_what_will_not_pass_ends_at_once(step: Step, part: str) -> None:
    with ScriptedServer(replay([step, HELLO])) as server, pytest.raises(ModelError) as caught:
        asyncio.run(_stream(server.base_url, QUICK, 5))
    assert part in str(caught.value)
    assert len(server.requests) == 1


def test_tries_are_bounded() -> None:
    with (
        ScriptedServer(lambda request: Fail(500)) as server,
        pytest.raises(ModelError, match="gave up after 3"),
    ):
        asyncio.run(_stream(server.base_url, QUICK, 5))
    assert len(server.requests) == 3


def test_a_silent_service_is_given_up() -> None:
    started = time.monotonic()
    stalled = Respond((Says("wait"),), end="stall")
    with ScriptedServer(lambda request: stalled) as server:
        events = asyncio.run(_stream(server.base_url, Backoff(retries=1, first=0.01), 0.2))
    assert time.monotonic() - started < 10
    assert events[-1] == ResponseDone(events[-1].usage, complete=False)  # type: ignore[union-attr]


def test_no_service_at_all() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ModelError, match="no connection to the model service"):
        asyncio.run(_stream(f"http://127.0.0.1:{port}/v1", QUICK, 5))


def test_items_before_a_cut_stand_and_are_not_asked_for_again() -> None:
    events, requests = run(Respond((Calls("f", {}),), end="cut"), HELLO)
    assert requests == 1
    assert [type(event) for event in events] == [ItemArrived, RetryScheduled, ResponseDone]
    assert isinstance(events[-1], ResponseDone)
    assert not events[-1].complete


def test_a_wait_the_service_asks_for_is_kept_within_bounds() -> None:
    backoff = Backoff(longest=60)
    assert backoff.wait(1, 2.0, 0) == 2.0
    assert backoff.wait(1, 9999.0, 0) == 60
    assert [backoff.wait(n, None, 0) for n in (1, 2, 3)] == [0.2, 0.4, 0.8]


def test_a_large_answer_arrives_whole() -> None:
    text = "x" * 3_000_000
    item = {
        "type": "message",
        "id": "m",
        "role": "assistant",
        "content": [{"type": "output_text", "text": text}],
    }
    done = {"type": "response.completed", "response": {"id": "r", "usage": None}}
    body = event_bytes({"type": "response.output_item.done", "item": json.loads(json.dumps(item))})
    events, _ = run(Stream(body + event_bytes(json.loads(json.dumps(done)))))
    assert isinstance(events[0], ItemArrived)
    assert events[0].item == item


def test_the_key_is_in_no_repr() -> None:
    assert "sesame" not in repr(ResponsesClient(base_url=None, api_key="sesame"))


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(Fail(401, "Incorrect API key provided: sesame-open."), id="status"),
        pytest.param(
            Stream(event_bytes({"type": "error", "code": "invalid_prompt", "message": "got sesame-open"})),
            id="event",
        ),
        pytest.param(Fail(500, "sesame-open " * 10_000), id="long"),
    ],
)
def test_a_service_that_repeats_the_key_is_not_quoted(step: Step) -> None:
    async def ask(url: str) -> None:
        client = ResponsesClient(base_url=url, api_key="sesame-open")
        try:
            async for _ in client.stream(REQUEST):
                pass
        finally:
            await client.aclose()

    with ScriptedServer(replay([step])) as server, pytest.raises(ModelError) as caught:
        asyncio.run(ask(server.base_url))
    assert "sesame" not in str(caught.value)
    assert "[the key]" in str(caught.value)
    assert len(str(caught.value)) <= 2000


@pytest.mark.parametrize("depth", [201, 600, 940, 970, 990])
def test_what_is_nested_too_deep_to_be_written_again_is_an_error(depth: int) -> None:
    event = b'data: {"type": "response.output_item.done", "item": {"type": "reasoning", "x": %s}}\n\n'
    with pytest.raises(ModelError, match=r"nested|before the response was complete"):
        run(*[Stream(event % (b"[" * depth + b"]" * depth))] * 3)


def test_many_parts_beside_each_other_are_not_deep() -> None:
    parts = b"[" + b",".join([b"{}"] * 5000) + b"]"
    event = b'data: {"type": "response.output_item.done", "item": {"type": "reasoning", "summary": %s}}\n\n'
    end = event_bytes({"type": "response.completed", "response": {"id": "r"}})
    events, _ = run(Stream(event % parts + end))
    assert isinstance(events[0], ItemArrived)
