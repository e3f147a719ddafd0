"""The OpenAI Responses API as a stream of model events. The only importer of `openai`.

Source: https://platform.openai.com/docs/api-reference/responses-streaming. Items are passed on as the JSON
objects they came as: what the service adds to them goes back to it unchanged. The package's typed events are
not used, for they cost more than the rest of a step and grow with the history; its client, authentication
and error types are.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, cast

from agent import __version__
from agent.errors import ModelError, TransientModelError
from agent.llm.client import ItemArrived, ModelEvent, ModelRequest, ResponseDone, TextArrived
from agent.llm.deferred import deferred
from agent.llm.sse import EventDecoder, EventTooLarge
from agent.protocol.items import Json, JsonObject, Usage

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

_PACKAGES = (
    "openai",
    "openai.lib",
    *(f"openai.types{part}" for part in ("", ".chat", ".responses", ".shared")),
)
_TERMINAL_CODES = {
    "insufficient_quota": "check plan and billing of the account behind the key",
    "usage_limit_reached": "wait until the limit resets or use another account",
    "context_length_exceeded": "start a new session, or name smaller files",
    "invalid_prompt": "the service refuses this prompt; word it differently",
}
_TERMINAL_STATUS = {
    400: "the service does not accept the request: check --model and the service's documentation",
    401: "check the key in {key}: it is missing, wrong or withdrawn",
    403: "the key has no access to this model or project",
    404: "check --model and the base URL (it usually ends with /v1)",
    413: "the request is too large: start a new session",
    422: "the service does not accept the request: check --model",
}
_FILTERED = (
    "<content_filter_guidance>\nThe last answer was stopped by the content filter of the model service. Answer "
    "again, without what may have set it off.\n</content_filter_guidance>"
)
MOST_NESTED = 200  # levels of an event; real ones have about ten
MOST_MESSAGE = 2000  # characters of what the service says about a failure
_TRY_AGAIN_IN = re.compile(r"try again in ([0-9.]+)\s*(ms|s)\b")


class ResponsesClient:
    """One try of one request each time; `RetryingClient` repeats it."""

    def __init__(
        self,
        *,
        base_url: str | None,
        api_key: str,
        key_name: str = "OPENAI_API_KEY",
        headers: Mapping[str, str] | None = None,
        connect_seconds: float = 15.0,
        idle_seconds: float = 300.0,
        total_seconds: float = 1800.0,
    ) -> None:
        """`idle_seconds` bounds the silence between two events, `total_seconds` one whole response.

        `key_name` is where the key comes from, for the message that it does not work.
        """
        self._base_url = base_url
        self._api_key = api_key
        self._key_name = key_name
        self._headers = dict(headers or {})
        self._connect_seconds = connect_seconds
        self._idle_seconds = idle_seconds
        self._total_seconds = total_seconds
        self._client: AsyncOpenAI | None = None

    def __repr__(self) -> str:
        return f"ResponsesClient(base_url={self._base_url!r})"

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Ends with `ResponseDone`; raises `ModelError`, `TransientModelError` where a new try may help."""
        with self._told_without_key():
            async with contextlib.aclosing(self._stream(request)) as events:
                async for event in events:
                    yield event

    def _named(self, request: ModelRequest) -> dict[str, str]:
        """Who asks, and for which thread, in the headers that proxies and services of Codex look at.

        What the settings say of the same header holds.
        """
        ours = {
            "accept": "text/event-stream",
            "user-agent": f"agent/{__version__}",
            "originator": "agent",
            "session-id": request.cache_key,
            "thread-id": request.cache_key,
            "x-client-request-id": request.cache_key,
        }
        set_by_hand = {name.lower() for name in self._headers}
        return {name: value for name, value in ours.items() if value and name not in set_by_hand}

    @contextlib.contextmanager
    def _told_without_key(self) -> Iterator[None]:
        """A service may repeat the key in what it says about a failure, and say as much as it likes."""
        try:
            yield
        except ModelError as error:
            text = str(error).replace(self._api_key, "[the key]") if len(self._api_key) > 3 else str(error)
            error.args = (text if len(text) <= MOST_MESSAGE else text[: MOST_MESSAGE - 1] + "…",)
            error.help = error.help.replace("{key}", self._key_name)
            raise

    async def _stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        if self._client is None:
            self._client = await asyncio.to_thread(self._connect)
        client = self._client

        import httpx2
        from openai._exceptions import APIConnectionError, APIStatusError, APITimeoutError, OpenAIError
        from openai._streaming import AsyncStream

        opened = False
        deadline = time.monotonic() + self._total_seconds
        body: JsonObject = {
            "model": request.model,
            "stream": True,
            "input": list(request.input),
            "tools": list(request.tools),
            "tool_choice": "auto",
            "parallel_tool_calls": request.parallel_tool_calls,
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "prompt_cache_key": request.cache_key,
        }
        if request.reasoning:
            body["reasoning"] = request.reasoning
        if options := _text_options(request):
            body["text"] = options
        try:
            async with contextlib.AsyncExitStack() as stack:
                # Of the head of an answer the package bounds each read, not the whole.
                async with asyncio.timeout(
                    min(self._connect_seconds + self._idle_seconds, self._total_seconds)
                ):
                    # `client.responses` would load 50 ms of types that are not used here.
                    answer: object = await client.post(
                        "/responses",
                        body=body,
                        options={"headers": self._named(request) | dict(request.headers)},
                        cast_to=httpx2.Response,
                        stream=True,
                        stream_cls=AsyncStream[object],
                    )
                response = cast("httpx2.Response", answer)  # as asked for, whatever the types say
                stack.push_async_callback(response.aclose)
                opened = True
                pieces = aiter(response.aiter_bytes())
                decoder = EventDecoder()
                quiet_since = time.monotonic()
                while True:
                    now = time.monotonic()
                    limit = min(quiet_since + self._idle_seconds, deadline) - now
                    async with asyncio.timeout(max(limit, 0)):
                        piece = await anext(pieces, None)
                    if piece is None:
                        raise TransientModelError("the stream ended before the response was complete")
                    for data in decoder.feed(piece):
                        quiet_since = time.monotonic()
                        event = _read(data)
                        if event is not None:
                            yield event
                        if isinstance(event, ResponseDone):
                            return
        except TimeoutError:
            if time.monotonic() >= deadline:
                late = f"the response took longer than {self._total_seconds:g} s"
                raise TransientModelError(late) from None
            if not opened:
                raise TransientModelError("the model service did not answer in time") from None
            raise TransientModelError(f"the model service was silent for {self._idle_seconds:g} s") from None
        except EventTooLarge as error:
            raise ModelError(f"the model service sent {error}") from error
        except APIStatusError as error:
            raise _from_status(error) from error
        except APITimeoutError as error:
            raise TransientModelError("the model service did not answer in time") from error
        except (APIConnectionError, httpx2.HTTPError, httpx2.StreamError) as error:
            cause = error.__cause__ or error
            text = str(cause) or type(cause).__name__
            if opened:
                raise TransientModelError(
                    f"the stream broke before the response was complete: {text}"
                ) from error
            where = f" at {self._base_url}" if self._base_url else ""
            raise TransientModelError(
                f"no connection to the model service{where}: {text}",
                "check the network and the base URL",
                refused=True,
            ) from error
        except (OpenAIError, httpx2.InvalidURL, UnicodeError, ValueError) as error:
            raise ModelError(f"the model request could not be made: {error}") from error

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

    def _connect(self) -> AsyncOpenAI:
        """The package takes long to import: callers run this in a thread."""
        import httpx2

        with ThreadPoolExecutor(1) as beside:
            # Reading the certificates of the machine waits for no Python code, nor the other way round.
            trust = beside.submit(httpx2.create_ssl_context)
            with deferred(_PACKAGES):
                from openai._base_client import DefaultAsyncHttpxClient
                from openai._client import AsyncOpenAI

        timeout = httpx2.Timeout(
            self._idle_seconds + 5, connect=self._connect_seconds, write=self._idle_seconds
        )
        return AsyncOpenAI(
            api_key=self._api_key,
            base_url=self._base_url,
            default_headers=self._headers,
            max_retries=0,  # one retry policy: llm/retry.py
            timeout=timeout,
            http_client=DefaultAsyncHttpxClient(verify=trust.result(), timeout=timeout),
        )


def _text_options(request: ModelRequest) -> JsonObject:
    options: JsonObject = {}
    if request.verbosity:
        options["verbosity"] = request.verbosity
    if request.text_format:
        options["format"] = request.text_format
    return options


def _read(data: str) -> ModelEvent | None:
    """One event; None for what the loop has no use for or cannot read. Raises for a failed response."""
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return None  # a garbled line; a response that misses its end is noticed by that
    if not isinstance(event, dict):
        return None
    if data.count("[") + data.count("{") > MOST_NESTED and _deeper_than(event, MOST_NESTED):
        raise ModelError(
            f"the model service sent an event that is nested more than {MOST_NESTED} deep",
            "this is no answer of a model: check the base URL",
        )
    match event.get("type"):
        case "response.output_text.delta":
            delta = event.get("delta")
            return TextArrived(delta) if isinstance(delta, str) else None
        case "response.output_item.done":
            item = event.get("item")
            return ItemArrived(item) if isinstance(item, dict) else None
        case "response.completed":
            response = _object(event.get("response"))
            return ResponseDone(_usage(response), str(response.get("id", "")))
        case "response.failed":
            raise _from_error(_object(_object(event.get("response")).get("error")))
        case "response.incomplete":
            details = _object(_object(event.get("response")).get("incomplete_details"))
            reason = f"the model stopped before it was done: {details.get('reason', 'no reason given')}"
            if details.get("reason") == "content_filter":
                raise TransientModelError(reason, "word the task differently", guidance=_FILTERED)
            raise ModelError(reason, "ask for less in one answer, or start a new session")
        case "error":
            nested = event.get("error")
            raise _from_error(nested if isinstance(nested, dict) else event)
        case _:
            return None


def _deeper_than(value: Json, most: int) -> bool:
    """Nested deeper than that. What can just be read could not be written again."""
    level: list[Json] = [value]
    for _ in range(most):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return any(isinstance(inner, dict | list) for inner in level)


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _usage(response: JsonObject) -> Usage:
    usage = _object(response.get("usage"))

    def count(holder: JsonObject, name: str) -> int:
        value = holder.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0

    return Usage(
        input_tokens=count(usage, "input_tokens"),
        cached_input_tokens=count(_object(usage.get("input_tokens_details")), "cached_tokens"),
        output_tokens=count(usage, "output_tokens"),
        reasoning_output_tokens=count(_object(usage.get("output_tokens_details")), "reasoning_tokens"),
        cache_write_input_tokens=count(_object(usage.get("input_tokens_details")), "cache_write_tokens"),
    )


def _from_error(error: JsonObject) -> ModelError:
    """An error object inside a stream."""
    code = str(error.get("code") or error.get("type") or "")
    message = str(error.get("message") or code or "the model service reported an error without a message")
    if code in _TERMINAL_CODES:
        return ModelError(message, _TERMINAL_CODES[code])
    return TransientModelError(message, retry_after=_wait_in(message))


def _from_status(error: APIStatusError) -> ModelError:
    """A response with an HTTP error status."""
    body = error.body if isinstance(error.body, dict) else {}
    detail = body.get("error") if isinstance(body.get("error"), dict) else body
    code = str((detail or {}).get("code") or (detail or {}).get("type") or "")
    message = str((detail or {}).get("message") or "") or error.response.reason_phrase or "no message"
    if code == "usage_limit_reached":
        message += _resets(detail or {})
    text = f"the model service answered {error.status_code}: {message}"
    if code in _TERMINAL_CODES:
        return ModelError(text, _TERMINAL_CODES[code])
    if error.status_code in _TERMINAL_STATUS:
        return ModelError(text, _TERMINAL_STATUS[error.status_code])
    if error.status_code in (408, 409, 425, 429) or error.status_code >= 500:
        return TransientModelError(
            text, retry_after=_retry_after(error.response.headers) or _wait_in(message), refused=True
        )
    return ModelError(text)


def _resets(detail: JsonObject) -> str:
    """When a spent limit is open again, as far as the service says."""
    seconds, moment = detail.get("resets_in_seconds"), detail.get("resets_at")
    if isinstance(moment, int | float) and not isinstance(moment, bool) and 0 < moment < 1e11:
        seconds = moment - time.time()
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 < seconds < 1e9:
        return ""
    hours, minutes = divmod(int(seconds) // 60, 60)
    return f" (open again in {hours} h {minutes} min)" if hours else f" (open again in {minutes + 1} min)"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """`retry-after-ms` or `retry-after` in seconds (RFC 9110, 10.2.3); a date is left to the back-off."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * scale
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    return None


def _wait_in(message: str) -> float | None:
    found = _TRY_AGAIN_IN.search(message)
    try:
        return float(found[1]) * (0.001 if found[2] == "ms" else 1.0) if found else None
    except ValueError:
        return None
