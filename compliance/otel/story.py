"""What happens to a session as spans, events and measurements. Used from one thread; ids come from outside."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, assert_never

from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from compliance import semconv
from compliance.events import (
    Approved,
    AuditEvent,
    BundleChanged,
    BundleStep,
    Connected,
    Decided,
    Gap,
    Outcome,
    Overridden,
    Patched,
    PolicyLoaded,
    Ran,
    Refused,
    Revoked,
    SandboxDenied,
    SessionEnded,
    SessionStarted,
    Situated,
    ToolCalled,
    Witnessed,
)
from compliance.otel.context import Ids
from compliance.otel.settings import OtelSettings, Signal
from compliance.semconv import Attributes
from compliance.sink import ModelCall
from execpolicy.decision import Decision

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from compliance.otel.pipeline import Pipeline

MOST_OPEN: Final = 4096  # calls that have a span open; more than any session has at once
SLOW_SECONDS: Final = 0.005  # of judging, from which on it has a span of its own
_SECONDS: Final = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0)
# https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/
_TOKENS: Final = tuple(float(4**power) for power in range(14))
_REQUESTS: Final = tuple(0.01 * 2**power for power in range(14))

_Call = tuple[str, str]  # session, call


def views() -> list[View]:
    """Buckets that fit what is measured."""
    shapes = {
        "agent.policy.eval.duration": _SECONDS,
        "gen_ai.client.token.usage": _TOKENS,
        "gen_ai.client.operation.duration": _REQUESTS,
    }
    return [
        View(instrument_name=name, aggregation=ExplicitBucketHistogramAggregation(bounds))
        for name, bounds in shapes.items()
    ]


class Story:
    """Tells a pipeline what is recorded, in the order in which it was."""

    def __init__(self, pipeline: Pipeline, settings: OtelSettings) -> None:
        self._pipeline = pipeline
        self._settings = settings
        self._traced = settings.of(Signal.TRACES) is not None
        self._logged = settings.of(Signal.LOGS) is not None
        self._sessions: dict[str, tuple[Ids, Span | None]] = {}
        self._calls: dict[_Call, tuple[Ids, Span]] = {}
        self._asks: dict[_Call, Span] = {}
        self._since: dict[
            str, float
        ] = {}  # layer or bundle -> when its rules last changed, by the wall clock
        self.dropped = 0  # before they came here
        meter = pipeline.meter
        self._decisions = meter.create_counter("agent.policy.decisions", "{decision}", "verdicts over calls")
        self._approvals = meter.create_counter("agent.policy.approvals", "{answer}", "answers to asks")
        self._shadow = meter.create_counter(
            "agent.policy.shadow.changed", "{decision}", "verdicts that rules in audit mode would change"
        )
        self._judging = meter.create_histogram(
            "agent.policy.eval.duration", "s", "time from a request to its verdict"
        )
        self._gaps = meter.create_counter("agent.audit.gaps", "{gap}", "gaps in the record")
        self._tokens = meter.create_histogram("gen_ai.client.token.usage", "{token}", "tokens of a request")
        self._requests = meter.create_histogram(
            "gen_ai.client.operation.duration", "s", "time of a request to the model"
        )
        meter.create_observable_gauge(
            "agent.policy.bundle.age", [self._ages], "s", "time since the rules in force last changed"
        )
        meter.create_observable_gauge(
            "agent.audit.backlog", [self._backlog], "{item}", "what waits to be sent"
        )
        meter.create_observable_counter(
            "agent.audit.lost", [self._lost], "{item}", "what was not sent; the record has it"
        )

    # --- what is heard ------------------------------------------------------------------------

    def judged(self, seconds: float, word: str) -> None:
        self._judging.record(seconds, {"agent.policy.decision": word})

    def heard(self, at: int, seq: int, event: AuditEvent, ids: Ids | None, seconds: float) -> None:
        """`at`: nanoseconds since 1970. `ids`: of the span that `event` opens. `seconds`: of judging."""
        within: Ids | None = None
        match event:
            case SessionStarted():
                self._begin(at, seq, event, ids)
            case Decided():
                within = self._decided(at, seq, event, ids, seconds)
            case Approved():
                within = self._approved(at, event)
            case Ran():
                self._call_over(at, event.session, event.call, event.status, semconv.of_run(event))
            case ToolCalled():
                self._call_over(at, event.session, event.call, event.status, semconv.of_tool(event))
            case Patched():
                self._call_over(at, event.session, event.call, event.status, semconv.of_patch(event))
            case Refused():
                about: Attributes = {"agent.policy.refusal": event.why}
                self._call_over(at, event.session, event.call, Outcome.DECLINED, about)
            case SandboxDenied() | Overridden() | Connected():
                within = self._of_call(event.session, event.call)
            case PolicyLoaded():
                self._since |= dict(_changed(event))
            case BundleChanged():
                if event.step is BundleStep.ACTIVATED:
                    self._since[event.bundle] = at / 1e9
            case SessionEnded():
                self._end(at, event)
            case Gap():
                self._gaps.add(1, {"agent.audit.gap.kind": event.kind.value})
            case Situated() | Revoked() | Witnessed():
                pass
            case other:
                assert_never(other)
        if self._logged and not (self._traced and semconv.has_span(event)):
            self._tell(at, seq, event, within or self._session(event.session))

    def model_called(self, at: int, call: ModelCall, ids: Ids | None) -> None:
        """A `chat` span that ended at `at`."""
        about = semconv.of_model(call)
        self._requests.record(call.seconds, about)
        for kind, count in (("input", call.input_tokens), ("output", call.output_tokens)):
            if count:
                self._tokens.record(count, {**about, "gen_ai.token.type": kind})
        started = at - round(call.seconds * 1e9)
        attributes = semconv.of_model_call(call)
        span = self._open(f"chat {call.model}", ids, started, attributes, SpanKind.CLIENT)
        if span is not None:
            _finish(span, at, failed=bool(call.error))

    def end(self, at: int) -> None:
        """Close what is open: nothing more is heard."""
        for span in (*self._asks.values(), *(one for _, one in self._calls.values())):
            _finish(span, at)
        for _, session in self._sessions.values():
            if session is not None:
                _finish(session, at)

    # --- spans --------------------------------------------------------------------------------

    def _begin(self, at: int, seq: int, event: SessionStarted, ids: Ids | None) -> None:
        about: Attributes = semconv.of_session(event) | {"agent.audit.seq": seq}
        span = self._open(f"invoke_agent {semconv.AGENT_NAME}", ids, at, about)
        if ids is not None:
            self._sessions[event.session] = (ids, span)

    def _end(self, at: int, event: SessionEnded) -> None:
        _, span = self._sessions.pop(event.session, (None, None))
        if span is not None:
            span.set_attribute("agent.session.end", event.why)
            _finish(span, at)

    def _decided(self, at: int, seq: int, event: Decided, ids: Ids | None, seconds: float) -> Ids | None:
        self._decisions.add(1, semconv.of_count(event))
        if changed := semconv.of_shadow(event):
            self._shadow.add(1, changed)
        attributes = semconv.of_call(event, words=self._settings.command_args)
        attributes |= semconv.of_verdict(event.verdict) | {"agent.audit.seq": seq}
        if self._settings.content:
            attributes["gen_ai.tool.call.arguments"] = event.subject
        begun = at - round(seconds * 1e9)
        span = self._open(f"execute_tool {event.tool}", ids, begun, attributes)
        if span is None or ids is None:
            return ids
        call = (event.session, event.call)
        if len(self._calls) < MOST_OPEN:
            self._calls[call] = (ids, span)
        self._open_decision(at, begun, seconds, event, ids)
        return ids

    def _open_decision(self, at: int, begun: int, seconds: float, event: Decided, ids: Ids) -> None:
        """A span of its own for what somebody waited for."""
        asked = event.verdict.decision is Decision.ASK
        if not asked and seconds <= SLOW_SECONDS:
            return
        own = semconv.span_id(event.session, f"{event.call}\0decision")
        below = ids._replace(span=own, parent=ids.span)
        span = self._open("policy_decision", below, begun, semconv.of_verdict(event.verdict))
        if span is None:
            return
        if asked and len(self._asks) < MOST_OPEN:
            self._asks[event.session, event.call] = span
        else:
            _finish(span, at)

    def _approved(self, at: int, event: Approved) -> Ids | None:
        about = semconv.of_approval(event)
        self._approvals.add(1, {"agent.policy.approval": semconv.approval_word(event.answer)})
        if (span := self._asks.pop((event.session, event.call), None)) is not None:
            span.set_attributes(semconv.sound(about))
            _finish(span, at)
        return self._of_call(event.session, event.call)

    def _call_over(self, at: int, session: str, call: str, status: Outcome, about: Attributes) -> None:
        if (ask := self._asks.pop((session, call), None)) is not None:
            _finish(ask, at)
        _, span = self._calls.pop((session, call), (None, None))
        if span is None:
            return
        span.set_attributes(semconv.sound(about))
        if status is not Outcome.COMPLETED:
            span.set_attribute("error.type", status.value)
        _finish(span, at, failed=status in (Outcome.FAILED, Outcome.TIMED_OUT))

    def _of_call(self, session: str, call: str) -> Ids | None:
        ids, _ = self._calls.get((session, call), (None, None))
        return ids

    def _session(self, session: str) -> Ids | None:
        ids, _ = self._sessions.get(session, (None, None))
        return ids

    def _open(
        self,
        name: str,
        ids: Ids | None,
        at: int,
        attributes: Attributes,
        kind: SpanKind = SpanKind.INTERNAL,
    ) -> Span | None:
        if ids is None or not ids.sampled or not self._traced:
            return None
        self._pipeline.ids.trace, self._pipeline.ids.span = ids.trace, ids.span
        if self._settings.candidates:
            attributes = attributes | semconv.candidates(attributes)
        above = _context(ids._replace(span=ids.parent)) if ids.parent else _nothing()
        return self._pipeline.tracer.start_span(
            semconv.sound_text(name), above, kind, semconv.sound(attributes), start_time=at
        )

    # --- events -------------------------------------------------------------------------------

    def _tell(self, at: int, seq: int, event: AuditEvent, within: Ids | None) -> None:
        from opentelemetry._logs import SeverityNumber

        common = semconv.of_record(seq, event)
        for name, attributes, severity in semconv.told(event):
            if self._settings.candidates:
                attributes = attributes | semconv.candidates(attributes)
            number = SeverityNumber(severity)
            self._pipeline.logger.emit(
                timestamp=at,
                observed_timestamp=at,
                context=_context(within) if within is not None else _nothing(),
                severity_number=number,
                severity_text=number.name,
                attributes=semconv.sound(common | attributes),
                event_name=name,
            )

    # --- what is measured when it is asked for ------------------------------------------------

    def _ages(self, _: CallbackOptions) -> Iterator[Observation]:
        now = time.time()
        for name, since in list(self._since.items()):
            yield Observation(max(now - since, 0.0), {"agent.policy.layer": name})

    def _backlog(self, _: CallbackOptions) -> Iterator[Observation]:
        for signal, count in self._pipeline.backlog().items():
            yield Observation(count, {"agent.telemetry.signal": signal.value})

    def _lost(self, _: CallbackOptions) -> Iterator[Observation]:
        for signal, count in self._pipeline.lost().items():
            yield Observation(count, {"agent.telemetry.signal": signal.value})
        if self.dropped:
            yield Observation(self.dropped, {"agent.telemetry.signal": "all"})


def _context(ids: Ids) -> Context:
    flags = TraceFlags(TraceFlags.SAMPLED if ids.sampled else TraceFlags.DEFAULT)
    state = TraceState.from_header([ids.state]) if ids.state else None
    return set_span_in_context(
        NonRecordingSpan(SpanContext(ids.trace, ids.span, True, flags, state)), _nothing()
    )


def _nothing() -> Context:
    from opentelemetry.context import Context

    return Context()  # not the current one: a library around us may have one of its own


def _finish(span: Span, at: int, *, failed: bool = False) -> None:
    if failed:
        span.set_status(StatusCode.ERROR)
    span.end(at)


def _changed(event: PolicyLoaded) -> Iterator[tuple[str, float]]:
    """When the files of each layer last changed, as far as the disk tells."""
    newest: dict[str, float] = {}
    for file in event.files:
        try:
            newest[file.layer] = max(newest.get(file.layer, 0.0), os.stat(file.path).st_mtime)
        except (OSError, ValueError):
            continue
    return iter(newest.items())
