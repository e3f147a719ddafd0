"""A model client that tells telemetry of each request when it is over."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from agent.llm.client import ModelClient, ModelEvent, ModelRequest, ResponseDone
from compliance.sink import ModelCall, ModelCallRecorder


class ObservedModel:
    """`inner`, watched. What is told holds no word of the conversation."""

    def __init__(self, inner: ModelClient, recorder: ModelCallRecorder) -> None:
        self._inner = inner
        self._recorder = recorder

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        started = time.monotonic()
        done: ResponseDone | None = None
        error = "cut"
        try:
            async for event in self._inner.stream(request):
                if isinstance(event, ResponseDone):
                    done = event
                yield event
        except BaseException as failure:
            error = type(failure).__name__
            raise
        finally:
            complete = done is not None and done.complete
            self._recorder.model_called(
                ModelCall(
                    session=request.cache_key,
                    model=request.model,
                    seconds=time.monotonic() - started,
                    input_tokens=done.usage.input_tokens if done is not None else 0,
                    output_tokens=done.usage.output_tokens if done is not None else 0,
                    response_id=done.response_id if done is not None else "",
                    error="" if complete else error,
                )
            )

    async def aclose(self) -> None:
        await self._inner.aclose()
