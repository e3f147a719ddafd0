"""What telemetry hears of beside the record: requests to the model, and how long judging took."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Protocol

from agent.llm.client import ModelClient, ModelEvent, ModelRequest, ResponseDone
from agent.tools.base import Request, subject_of
from agent.tools.judgement import Judge, Judgement
from compliance.sink import ModelCall, ModelCallRecorder
from execpolicy.values import replace


class ObservedModel:
    """`inner`, watched. What is told holds no word of the conversation."""

    def __init__(self, inner: ModelClient, recorder: ModelCallRecorder, provider: str = "openai") -> None:
        self._inner = inner
        self._provider = provider
        self._recorder = recorder

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        started = time.monotonic()
        traceparent = self._recorder.requested(request.cache_key)
        if traceparent:
            request = replace(request, headers=(*request.headers, ("traceparent", traceparent)))
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
                    provider=self._provider,
                    seconds=time.monotonic() - started,
                    input_tokens=done.usage.input_tokens if done is not None else 0,
                    output_tokens=done.usage.output_tokens if done is not None else 0,
                    response_id=done.response_id if done is not None else "",
                    error="" if complete else error,
                    traceparent=traceparent,
                )
            )

    async def aclose(self) -> None:
        await self._inner.aclose()


class JudgingRecorder(Protocol):
    """Hears how long judging took. Never raises, never waits for anybody."""

    def judged(self, tool: str, subject: str, seconds: float, word: str) -> None: ...


class ObservedJudge:
    """`inner`, with a watch."""

    def __init__(self, inner: Judge, recorder: JudgingRecorder) -> None:
        self._inner = inner
        self._recorder = recorder

    def judge(self, tool: str, request: Request) -> Judgement:
        started = time.perf_counter()
        judgement = self._inner.judge(tool, request)
        seconds = time.perf_counter() - started
        self._recorder.judged(tool, subject_of(request), seconds, judgement.verdict.decision.word)
        return judgement
