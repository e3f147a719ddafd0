"""What waits to be sent: a bounded queue, and a thread that empties it over a wire. What is lost is counted.

A collector that is away for a while costs nothing: what it did not take is tried again for as long as there is
room. Only what does not fit, what it refuses, and what still waits at the end is lost.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from compliance.otel.base import Answer, Fate, Wire
from compliance.otel.form import encoded
from compliance.otel.settings import Batching, Signal

if TYPE_CHECKING:
    from google.protobuf.message import Message

T = TypeVar("T")
FIRST_WAIT: Final = 0.5
LONGEST_WAIT: Final = 30.0
_ENCODING: Final = (TypeError, ValueError, OverflowError, AttributeError)


class Outbox(Generic[T]):
    """One signal. `put` never waits."""

    def __init__(
        self,
        signal: Signal,
        wire: Wire,
        encode: Callable[[Sequence[T]], Message],
        batching: Batching,
    ) -> None:
        self._signal = signal
        self._wire = wire
        self._encode = encode
        self._batching = batching
        self._queue: deque[T] = deque()
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._in_hand = 0  # of the batch that is being sent
        self._lost = 0
        self.trouble = ""  # why something was not taken; stays when it was taken later
        self._thread = threading.Thread(target=self._run, name=f"telemetry-{signal.value}", daemon=True)
        self._thread.start()

    @property
    def backlog(self) -> int:
        """How many are not sent yet."""
        return len(self._queue) + self._in_hand

    @property
    def lost(self) -> int:
        """How many will never be sent; right when it is closed, and never too high before."""
        return self._lost

    def put(self, item: T) -> None:
        with self._changed:
            if self._closing.is_set() or len(self._queue) >= self._batching.most:
                self._lost += 1
                self.trouble = self.trouble or "more was to be sent than could wait"
                return
            self._queue.append(item)
            if len(self._queue) in (1, self._batching.batch):
                self._changed.notify()

    def finish(self) -> None:
        """Send what waits without waiting for more, then end."""
        self._closing.set()
        with self._changed:
            self._changed.notify()

    def close(self, seconds: float) -> None:
        """After `finish`: wait for the end so long; what is then not sent is lost."""
        self._thread.join(max(seconds, 0))
        if self._thread.is_alive():
            with self._changed:
                self._lost += len(self._queue) + self._in_hand
                self._queue.clear()
                self._in_hand = 0
                self.trouble = self.trouble or "the collector is slow"
        self._wire.close()

    def _run(self) -> None:
        while batch := self._next():
            try:
                self._deliver(batch)
            except Exception as error:  # noqa: BLE001 - a batch ends here, and the thread must not
                self._count(self._in_hand, f"{type(error).__name__}: {error}")
            with self._changed:
                self._in_hand = 0

    def _next(self) -> list[T]:
        """The next batch, when it is full or has waited long enough; empty at the end."""
        most = self._batching.batch
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing.is_set())
            self._changed.wait_for(
                lambda: len(self._queue) >= most or self._closing.is_set(), self._batching.seconds
            )
            batch = [self._queue.popleft() for _ in range(min(most, len(self._queue)))]
            self._in_hand = len(batch)
            return batch

    def _deliver(self, batch: Sequence[T]) -> None:
        try:
            body = encoded(self._encode(batch), self._wire.encoding)
        except _ENCODING as error:  # of the one that cannot be encoded the others know nothing
            self._unfit(batch, f"cannot be encoded: {type(error).__name__}")
            return
        wait = FIRST_WAIT
        while True:
            last = self._closing.is_set()
            answer = self._wire.send(self._signal, body)
            if answer.fate is not Fate.LATER:
                break
            self.trouble = answer.why
            if last:
                self._count(len(batch), answer.why)
                return
            self._closing.wait(wait if answer.seconds is None else answer.seconds)
            wait = min(wait * 2, LONGEST_WAIT)
        self._settle(batch, answer)

    def _settle(self, batch: Sequence[T], answer: Answer) -> None:
        match answer.fate:
            case Fate.TAKEN:
                self._count(min(answer.rejected, len(batch)), answer.why)
            case Fate.UNFIT:
                self._unfit(batch, answer.why)
            case _:
                self._count(len(batch), answer.why)

    def _unfit(self, batch: Sequence[T], why: str) -> None:
        if len(batch) == 1:
            self._count(1, why)
            return
        middle = len(batch) // 2
        self._deliver(batch[:middle])
        self._deliver(batch[middle:])

    def _count(self, number: int, why: str) -> None:
        with self._changed:
            if number and self._in_hand:  # else `close` gave up on them before
                self._lost += number
                self._in_hand = max(self._in_hand - number, 0)
                self.trouble = why


def deadline(seconds: float) -> Callable[[], float]:
    """How many seconds are left of `seconds`."""
    end = time.monotonic() + seconds
    return lambda: max(end - time.monotonic(), 0.0)
