"""The observer: takes what is recorded in a microsecond or two, and leaves the rest to threads of its own.

Nothing is imported, and nothing is sent, unless the standard variables name an exporter. A collector that is
slow, gone or lying costs the caller nothing but the data, and what was lost is counted.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from compliance import semconv
from compliance.events import (
    AuditEvent,
    Decided,
    Patched,
    Ran,
    Refused,
    SessionEnded,
    SessionStarted,
    ToolCalled,
)
from compliance.otel.base import Wire
from compliance.otel.context import Ids, child, from_environment, header
from compliance.otel.settings import OtelSettings, Signal, Warn, read_settings
from compliance.sink import ModelCall

if TYPE_CHECKING:
    from compliance.otel.pipeline import Pipeline
    from compliance.otel.story import Story

FLUSH_SECONDS: Final = 2.0
MOST_WAITING: Final = 8192  # heard and not yet told
MOST_OPEN: Final = 4096
MOST_JUDGED: Final = 64
# What is heard is told a little later: at once it would be told while the same call still goes on.
REST_SECONDS: Final = 0.02
# Python hands over between threads after 5 ms; then a decision would wait for that long while we encode.
SWITCH_SECONDS: Final = 0.0005
_BROKEN: Final = (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError)

_Call = tuple[str, str]  # session, call
_Told = Callable[["Story"], None]


def telemetry_from_environment(
    env: Mapping[str, str], warn: Warn = lambda _: None, version: str = ""
) -> Telemetry | None:
    """The telemetry that `env` configures, or None. Says through `warn` what cannot be done; never raises."""
    settings = read_settings(env, warn)
    if settings is None:
        return None
    if not (_there("opentelemetry.sdk") and _there("opentelemetry.exporter.otlp.proto.common")):
        warn("OTEL_* asks for telemetry, but it is not installed: install `policy-agent[otel]`")
        return None
    wires: dict[Signal, Wire] = {}
    usable = []
    for output in settings.outputs:
        from compliance.otel.wires import wire_for

        try:
            wires[output.signal] = wire_for(output, settings, f"policy-agent/{version or '0'}")
            usable.append(output)
        except ImportError:
            warn(f"{output.signal.value} over gRPC need another package: install `policy-agent[otel-grpc]`")
        except _BROKEN as error:
            warn(f"telemetry cannot start: {output.signal.value}: {error}")
    if not usable:
        return None
    return Telemetry(settings._replace(outputs=tuple(usable)), env, wires, version)


def _there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


class Telemetry:
    """An observer of the record, and of requests to the model. Never raises, never waits for a collector."""

    def __init__(
        self, settings: OtelSettings, env: Mapping[str, str], wires: Mapping[Signal, Wire], version: str
    ) -> None:
        self._settings = settings
        self._env = dict(env)
        self._wires = wires
        self._version = version
        self._traced = settings.of(Signal.TRACES) is not None
        self._parent = from_environment(env)
        self._sessions: dict[str, Ids] = {}
        self._calls: dict[_Call, Ids] = {}
        self._judged: dict[tuple[str, str], float] = {}
        self._waiting: deque[_Told] = deque()
        self._wake = threading.Event()
        self._ends = threading.Event()
        self._closing = False
        self._dropped = 0
        self._fault = ""
        self._pipeline: Pipeline | None = None
        self._pid = os.getpid()
        self._switch = sys.getswitchinterval()
        sys.setswitchinterval(min(self._switch, SWITCH_SECONDS))
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        self._thread.start()

    # --- heard while a session waits ----------------------------------------------------------

    def observe(self, seq: int, event: AuditEvent) -> None:
        at = time.time_ns()
        ids: Ids | None = None
        seconds = 0.0
        match event:
            case SessionStarted():
                ids = self._begin(event.session)
            case Decided():
                seconds = self._judged.pop((event.tool, event.subject), 0.0)
                ids = self._child(event.session, event.call)
                if len(self._calls) < MOST_OPEN:
                    self._calls[event.session, event.call] = ids
            case Ran() | ToolCalled() | Patched() | Refused():
                self._calls.pop((event.session, event.call), None)
            case SessionEnded():
                self._sessions.pop(event.session, None)
            case _:
                pass
        self._tell(lambda story: story.heard(at, seq, event, ids, seconds))

    def judged(self, tool: str, subject: str, seconds: float, word: str) -> None:
        """A verdict was found; what is recorded next about the same took so long to judge."""
        if len(self._judged) >= MOST_JUDGED:  # those whose record reads otherwise, for a secret was in it
            self._judged.clear()
        self._judged[tool, subject] = seconds
        self._tell(lambda story: story.judged(seconds, word))

    def requested(self, session: str) -> str:
        """The W3C context for a request to the model that begins now; empty where nothing is traced."""
        return header(self._child(session, os.urandom(8).hex())) if self._traced else ""

    def model_called(self, call: ModelCall) -> None:
        """A `chat` span that ends now."""
        at = time.time_ns()
        ids = self._child(call.session, os.urandom(8).hex())
        if call.traceparent:
            ids = ids._replace(span=int(call.traceparent.split("-")[2], 16))
        self._tell(lambda story: story.model_called(at, call, ids))

    def traceparent(self, session: str, call: str) -> str | None:
        """The W3C context of a running call, for whatever it starts or asks."""
        ids = self._calls.get((session, call))
        return header(ids) if ids is not None and self._traced else None

    @property
    def lost(self) -> int:
        """Spans and events that no collector has, as far as is known; final after `close`."""
        sent = sum(self._pipeline.lost().values()) if self._pipeline is not None else 0
        return sent + self._dropped

    @property
    def trouble(self) -> str:
        """What went wrong with sending, in one line; empty when nothing did."""
        why = self._fault or (self._pipeline.trouble if self._pipeline is not None else "")
        if not why and not self._dropped:
            return ""
        lost = f"{self.lost} spans and events were lost" if self.lost else "nothing was lost but metrics"
        return f"telemetry could not be sent ({lost}): {why or 'more happened than could be told'}"

    def close(self) -> None:
        """End what is open and send what waits, for two seconds at the most."""
        if self._closing or self._pid != os.getpid():
            return
        end = time.monotonic() + FLUSH_SECONDS
        now = time.time_ns()
        self._waiting.append(lambda story: story.end(now))
        self._closing = True
        self._ends.set()
        self._wake.set()
        self._thread.join(FLUSH_SECONDS)
        left = max(end - time.monotonic(), 0.0)
        if self._thread.is_alive() or self._pipeline is None:
            self._dropped += len(self._waiting)
        if self._pipeline is not None:
            self._pipeline.close(left)
        sys.setswitchinterval(self._switch)

    # --- ids ----------------------------------------------------------------------------------

    def _begin(self, session: str) -> Ids:
        above = self._parent
        trace = above.trace if above is not None else semconv.trace_id(session)
        sampled = self._settings.sampler.samples(trace, None if above is None else above.sampled)
        ids = Ids(
            trace,
            semconv.span_id(session, ""),
            0 if above is None else above.span,
            sampled,
            "" if above is None else above.state,
        )
        if not self._traced and above is not None:
            ids = above  # children of ours are children of theirs
        self._sessions[session] = ids
        return ids

    def _child(self, session: str, call: str) -> Ids:
        above = self._sessions.get(session.partition(":")[0])
        if above is None:  # its beginning was not heard
            above = self._begin(session)
        return child(above, semconv.span_id(session, call))

    # --- the thread ---------------------------------------------------------------------------

    def _tell(self, told: _Told) -> None:
        if self._closing or self._pid != os.getpid():  # after a fork the threads are the parent's
            return
        if len(self._waiting) >= MOST_WAITING:
            self._dropped += 1
            return
        self._waiting.append(told)
        if not self._wake.is_set():
            self._wake.set()

    def _run(self) -> None:
        try:
            from compliance.otel.pipeline import Pipeline
            from compliance.otel.story import Story, views

            pipeline = Pipeline(self._settings, self._env, self._wires, self._version, views())
            story = Story(pipeline, self._settings)
        except Exception as error:  # noqa: BLE001 - a thread ends here, and the session goes on without it
            self._fault = f"it cannot start: {type(error).__name__}: {error}"
            return
        self._pipeline = pipeline
        while True:
            self._wake.wait()
            self._ends.wait(REST_SECONDS)
            self._wake.clear()
            closing = self._closing
            while self._waiting:
                self._hand_on(self._waiting.popleft(), story)
            if closing:
                return

    def _hand_on(self, told: _Told, story: Story) -> None:
        story.dropped = self._dropped
        try:
            told(story)
        except _BROKEN as error:
            self._dropped += 1
            self._fault = f"{type(error).__name__}: {error}"
