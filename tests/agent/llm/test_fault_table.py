"""Each way in which a model service can fail a turn: how often it is asked, and what the user is told."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import pytest

from agent.errors import ModelError
from agent.llm.client import ModelEvent, ModelRequest, ResponseDone, RetryScheduled
from agent.llm.responses import ResponsesClient
from agent.llm.retry import Backoff, RetryingClient
from agent.llm.scripted import (
    Drip,
    Fail,
    Respond,
    Says,
    ScriptedServer,
    Step,
    Stream,
    event_bytes,
    replay,
    respond,
)
from agent.protocol.items import JsonObject

REQUEST = ModelRequest(model="scripted", input=(), tools=(), cache_key="key")
ALWAYS = 3  # requests when it never works: the first and two more
HELLO = respond(Says("hello"))


def failed(code: str, message: str = "no luck") -> Stream:
    error: JsonObject = {"code": code, "message": message}
    return Stream(event_bytes({"type": "response.failed", "response": {"error": error}}))


def incomplete(reason: str) -> Stream:
    details: JsonObject = {"reason": reason}
    response: JsonObject = {"incomplete_details": details}
    return Stream(event_bytes({"type": "response.incomplete", "response": response}))


def error_event(code: str | None) -> Stream:
    return Stream(event_bytes({"type": "error", "code": code, "message": "top level"}))


@dataclass(frozen=True)
class Row:
    step: Step
    requests: int
    message: str
    help: str = ""


ROWS = {
    "500": Row(Fail(500, "boom"), ALWAYS, "answered 500: boom (gave up after 3 tries)"),
    "502": Row(Fail(502, "boom"), ALWAYS, "answered 502: boom"),
    "503": Row(Fail(503, "boom", headers=(("retry-after", "0"),)), ALWAYS, "answered 503: boom"),
    "429": Row(Fail(429, "slow down"), ALWAYS, "answered 429: slow down"),
    "429-usage": Row(Fail(429, "limit", code="usage_limit_reached"), 1, "429: limit", "wait until"),
    "429-quota": Row(Fail(429, "pay", code="insufficient_quota"), 1, "429: pay", "billing"),
    "400": Row(Fail(400, "bad field"), 1, "answered 400: bad field", "check --model"),
    "401": Row(Fail(401, "who are you"), 1, "answered 401: who are you", "check the key in MY_KEY"),
    "403": Row(Fail(403, "not yours"), 1, "answered 403: not yours", "no access"),
    "404": Row(Fail(404, "no such model"), 1, "answered 404: no such model", "base URL"),
    "413": Row(Fail(413, "too big"), 1, "answered 413: too big", "new session"),
    "418": Row(Fail(418, "teapot"), 1, "answered 418: teapot"),
    "redirect": Row(Fail(304, "moved"), 1, "304"),
    "reset": Row(Respond((), end="cut"), ALWAYS, "broke before the response was complete"),
    "eof": Row(Respond((), end="eof"), ALWAYS, "ended before the response was complete"),
    "nothing": Row(Stream(b""), ALWAYS, "ended before the response was complete"),
    "garbled": Row(Stream(b"data: {oops\n\n"), ALWAYS, "ended before the response was complete"),
    "unknown-events": Row(Stream(event_bytes({"type": "weather"})), ALWAYS, "ended before"),
    "failed": Row(failed("server_error"), ALWAYS, "no luck (gave up after 3 tries)"),
    "failed-rate": Row(failed("rate_limit_exceeded", "try again in 1ms"), ALWAYS, "try again in 1ms"),
    "failed-overloaded": Row(failed("server_is_overloaded"), ALWAYS, "no luck"),
    "failed-quota": Row(failed("insufficient_quota"), 1, "no luck", "billing"),
    "failed-context": Row(failed("context_length_exceeded"), 1, "no luck", "new session"),
    "failed-prompt": Row(failed("invalid_prompt"), 1, "no luck", "word it differently"),
    "failed-silent": Row(Stream(event_bytes({"type": "response.failed"})), ALWAYS, "without a message"),
    "incomplete": Row(incomplete("max_output_tokens"), 1, "max_output_tokens", "ask for less"),
    "filtered": Row(incomplete("content_filter"), ALWAYS, "content_filter", "word the task"),
    "error-event": Row(error_event("server_error"), ALWAYS, "top level"),
    "error-event-bare": Row(error_event(None), ALWAYS, "top level"),
    "error-event-final": Row(error_event("insufficient_quota"), 1, "top level", "billing"),
    "stall": Row(Respond((), end="stall"), ALWAYS, "was silent for 0.4 s"),
    "comments-for-ever": Row(Drip(b": still here\n\n"), ALWAYS, "was silent for 0.4 s"),
    "events-for-ever": Row(Drip(event_bytes({"type": "weather"})), ALWAYS, "took longer than 1.2 s"),
    "head-for-ever": Row(Drip(b"x", head=False), ALWAYS, "did not answer in time"),
    "no-head": Row(Drip(b"", head=False), ALWAYS, "did not answer in time"),
}


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    """The first request of a process loads half of the package: not part of what is timed here."""

    async def once(url: str) -> None:
        client = ResponsesClient(base_url=url, api_key="key")
        async for _ in client.stream(REQUEST):
            pass
        await client.aclose()

    with ScriptedServer(replay([HELLO])) as server:
        asyncio.run(once(server.base_url))


async def ask(url: str, request: ModelRequest = REQUEST) -> list[ModelEvent]:
    inner = ResponsesClient(
        base_url=url,
        api_key="key",
        key_name="MY_KEY",
        idle_seconds=0.4,
        connect_seconds=0.4,
        total_seconds=1.2,
    )
    client = RetryingClient(inner, Backoff(retries=2, first=0.001))
    try:
        return [event async for event in client.stream(request)]
    finally:
        await client.aclose()


@pytest.mark.parametrize("row", [pytest.param(row, id=name) for name, row in ROWS.items()])
def test_a_fault_that_stays_ends_in_time_with_a_message(row: Row) -> None:
    started = time.monotonic()
    with ScriptedServer(lambda request: row.step) as server, pytest.raises(ModelError) as caught:
        asyncio.run(ask(server.base_url))
    assert row.message in str(caught.value)
    assert row.help in caught.value.help
    assert "{" not in caught.value.help
    assert len(server.requests) == row.requests
    assert time.monotonic() - started < 15


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=name) for name, row in ROWS.items() if row.requests == ALWAYS]
)
def test_a_fault_that_passes_is_told_and_gone_beyond(row: Row) -> None:
    with ScriptedServer(replay([row.step, HELLO])) as server:
        events = asyncio.run(ask(server.base_url))
    assert [event.attempt for event in events if isinstance(event, RetryScheduled)] == [1]
    assert isinstance(events[-1], ResponseDone)
    assert events[-1].complete


def test_a_filtered_answer_is_asked_for_again_with_a_word_about_it() -> None:
    with ScriptedServer(replay([incomplete("content_filter"), HELLO])) as server:
        asyncio.run(ask(server.base_url))
    assert server.requests[0]["input"] == []
    assert "content_filter_guidance" in str(server.requests[1]["input"])


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"resets_in_seconds": 7260}, "(open again in 2 h 1 min)"),
        ({"resets_in_seconds": 30}, "(open again in 1 min)"),
        ({"resets_in_seconds": "soon", "resets_at": True}, "limit"),
        ({"resets_in_seconds": -5, "resets_at": 1e300}, "limit"),
    ],
)
def test_a_spent_limit_says_when_it_is_open_again(more: JsonObject, words: str) -> None:
    fail = Fail(429, "limit", code="usage_limit_reached", more=tuple(more.items()))
    with ScriptedServer(lambda request: fail) as server, pytest.raises(ModelError) as caught:
        asyncio.run(ask(server.base_url))
    assert str(caught.value).endswith(words)
