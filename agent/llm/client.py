"""What the loop asks of a model, and what a model answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from agent.protocol.items import JsonObject, Usage
from execpolicy.values import frozen


@frozen(kw_only=True)
class ModelRequest:
    """One request of the Responses API. `input` is the whole history."""

    model: str
    input: tuple[JsonObject, ...]
    tools: tuple[JsonObject, ...]
    cache_key: str
    parallel_tool_calls: bool = True
    text_format: JsonObject | None = None  # the form of the answer: goes out as `text.format`
    verbosity: str = ""  # goes out as `text.verbosity`
    reasoning: JsonObject | None = None
    headers: tuple[tuple[str, str], ...] = ()  # of this request alone


@frozen
class TextArrived:
    text: str


@frozen
class ItemArrived:
    """A complete output item, as received. It stays valid even if the stream breaks afterwards."""

    item: JsonObject


@frozen
class RetryScheduled:
    """The request or its stream failed and is tried again; text of the failed try is void, items stay."""

    attempt: int
    most: int
    cause: str
    seconds: float


@frozen
class ResponseDone:
    """The end of one response.

    `complete=False`: the stream broke after whole items had arrived (the back-off has been waited for).
    Those items stand: their calls are run once, and the next request must carry items and outputs. The
    turn is not over even if no call is among them.
    """

    usage: Usage
    response_id: str = ""
    complete: bool = True


ModelEvent = TextArrived | ItemArrived | RetryScheduled | ResponseDone


class ModelClient(Protocol):
    def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Ends with `ResponseDone`; raises `ModelError`, `TransientModelError` where a new try may help."""
        ...

    async def aclose(self) -> None: ...
