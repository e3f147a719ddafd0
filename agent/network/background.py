"""A door for a caller without an event loop: it is served by a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

from agent.network.dial import SystemResolver
from agent.network.door import ProxyDoor
from agent.network.guard import Guard
from agent.network.rooms import Rooms

_SECONDS = 5.0  # to end in


class BackgroundDoor:
    """A `Door` for one command."""

    def __init__(self, guard: Callable[[SystemResolver], Guard]) -> None:
        self._rooms = Rooms()
        self._resolver = SystemResolver()
        self._guard = guard(self._resolver)
        self._door = ProxyDoor(self._rooms, self._guard)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def open(self, told: int, hold: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        self._thread.start()
        self._loop.call_soon_threadsafe(self._door.open, told, hold)

    def close(self) -> None:
        loop, self._loop = self._loop, None
        if loop is None or self._thread is None:
            return
        # Nothing of the command is left to be served: what does not end now ends with the program.
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._end(), loop).result(_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join(_SECONDS)
        if not self._thread.is_alive():
            loop.close()

    def news(self) -> tuple[str, ...]:
        return self._door.news()

    async def settle(self) -> None:
        """Its own thread does it, in `close`."""

    async def _end(self) -> None:
        await self._door.settle()
        self._door.close()
        self._rooms.close()
        self._resolver.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)
