"""Back-off around a model client: what may pass is tried again, a bounded number of times."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable

from agent.errors import ModelError, TransientModelError
from agent.llm.client import ItemArrived, ModelClient, ModelEvent, ModelRequest, ResponseDone, RetryScheduled
from agent.protocol.items import Usage, developer_message
from execpolicy.values import frozen, replace


@frozen
class Backoff:
    """Doubling waits with ten per cent of jitter; a wait the service asks for is kept up to `longest`."""

    retries: int = 5  # of a stream that broke
    requests: int | None = None  # of a request that was refused; None: as many
    first: float = 0.2  # seconds
    longest: float = 60.0

    def wait(self, attempt: int, asked: float | None, jitter: float) -> float:
        """Seconds before try `attempt` + 1. `attempt` counts from 1, `jitter` lies in -1 .. 1."""
        if asked is not None:
            return min(asked, self.longest)
        return min(self.first * 2.0 ** (attempt - 1) * (1 + 0.1 * jitter), self.longest)


class RetryingClient:
    """Wraps one client for one thread: failures in a row are counted over requests."""

    def __init__(
        self,
        inner: ModelClient,
        backoff: Backoff = Backoff(),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._inner = inner
        self._backoff = backoff
        self._sleep = sleep
        self._failures = 0

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """As the inner client, with `RetryScheduled` before each further try.

        A try that broke after whole items is not repeated: it ends with an incomplete `ResponseDone`.
        """
        while True:
            kept = False
            try:
                async for event in self._inner.stream(request):
                    kept = kept or isinstance(event, ItemArrived)
                    if isinstance(event, ResponseDone):
                        self._failures = 0
                    yield event
                return
            except TransientModelError as error:
                self._failures += 1
                most = self._backoff.retries
                if error.refused and self._backoff.requests is not None:
                    most = self._backoff.requests
                if self._failures > most:
                    tries = self._failures
                    self._failures = 0
                    raise ModelError(f"{error} (gave up after {tries} tries)", error.help) from error
                seconds = self._backoff.wait(self._failures, error.retry_after, random.uniform(-1, 1))
                yield RetryScheduled(self._failures, most, str(error), seconds)
                await self._sleep(seconds)
                if error.guidance:
                    request = replace(request, input=(*request.input, developer_message(error.guidance)))
                if kept:
                    yield ResponseDone(Usage(), complete=False)
                    return

    async def aclose(self) -> None:
        await self._inner.aclose()
