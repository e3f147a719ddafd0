"""Audit events as OpenTelemetry spans and events over OTLP. The only importer of `opentelemetry`.

Nothing is imported, and nothing is sent, unless the standard `OTEL_*` variables name an exporter. Export
happens on threads of its own; a collector that is slow or gone costs the caller nothing but the data.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, assert_never

from compliance import semconv
from compliance.events import (
    Approved,
    AuditEvent,
    BundleChanged,
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
from compliance.semconv import Attributes
from compliance.sink import ModelCall
from execpolicy.decision import Decision

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import LogRecordExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

FLUSH_SECONDS: Final = 2.0
SCOPE: Final = "policy-agent.audit"
MOST_OPEN: Final = 4096  # calls that have a span open; more than any session has at once
_SIGNALS: Final = ("TRACES", "LOGS", "METRICS")
_PROTOCOLS: Final = ("", "http/protobuf")
_BROKEN: Final = (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError)

_Call = tuple[str, str]  # session, call
Warn = Callable[[str], None]


def exporters_asked_for(env: Mapping[str, str]) -> dict[str, str]:
    """Signal -> `otlp` or `console`, by the standard variables; empty when nothing is to be sent."""
    if env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return {}
    asked = {}
    for signal in _SIGNALS:
        named = env.get(f"OTEL_{signal}_EXPORTER", "").strip().lower()
        reachable = env.get("OTEL_EXPORTER_OTLP_ENDPOINT") or env.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
        choice = named or ("otlp" if reachable else "none")
        if choice != "none":
            asked[signal] = choice
    return asked


def telemetry_from_environment(
    env: Mapping[str, str], warn: Warn = lambda _: None, version: str = ""
) -> Telemetry | None:
    """The telemetry that `env` configures, or None. Says through `warn` what cannot be done; never raises."""
    asked = exporters_asked_for(env)
    for signal, name in list(asked.items()):
        protocol = env.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL") or env.get(
            "OTEL_EXPORTER_OTLP_PROTOCOL", ""
        )
        if name not in ("otlp", "console"):
            warn(f"OTEL_{signal}_EXPORTER=`{name}` is not supported: use otlp, console or none")
            del asked[signal]
        elif name == "otlp" and protocol not in _PROTOCOLS:
            warn(f"OTLP over `{protocol}` is not supported: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf")
            del asked[signal]
    if not asked:
        return None
    try:
        return Telemetry(asked, env, version)
    except ImportError:
        warn("OTEL_* asks for telemetry, but it is not installed: install policy-agent[otel]")
    except _BROKEN as error:
        warn(f"telemetry cannot start: {error}")
    return None


def _endpoint(env: Mapping[str, str], signal: str) -> str:
    base = env.get("OTEL_EXPORTER_OTLP_ENDPOINT") or "http://localhost:4318"
    return env.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT") or f"{base.rstrip('/')}/v1/{signal.lower()}"


def _either(env: Mapping[str, str], signal: str, name: str) -> str | None:
    return env.get(f"OTEL_EXPORTER_OTLP_{signal}_{name}") or env.get(f"OTEL_EXPORTER_OTLP_{name}") or None


def _headers(env: Mapping[str, str], signal: str) -> dict[str, str]:
    from opentelemetry.util.re import parse_env_headers

    return dict(parse_env_headers(_either(env, signal, "HEADERS") or "", liberal=True))


def _seconds(env: Mapping[str, str], signal: str) -> float:
    try:
        return float(_either(env, signal, "TIMEOUT") or 10)
    except ValueError:
        return 10.0


def _span_exporter(name: str, env: Mapping[str, str]) -> SpanExporter:
    if name == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter(out=sys.stderr)
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(
        endpoint=_endpoint(env, "TRACES"),
        certificate_file=_either(env, "TRACES", "CERTIFICATE"),
        client_key_file=_either(env, "TRACES", "CLIENT_KEY"),
        client_certificate_file=_either(env, "TRACES", "CLIENT_CERTIFICATE"),
        headers=_headers(env, "TRACES"),
        timeout=_seconds(env, "TRACES"),
        compression=Compression(_either(env, "TRACES", "COMPRESSION") or "none"),
    )


def _log_exporter(name: str, env: Mapping[str, str]) -> LogRecordExporter:
    if name == "console":
        from opentelemetry.sdk._logs.export import ConsoleLogRecordExporter

        return ConsoleLogRecordExporter(out=sys.stderr)
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

    return OTLPLogExporter(
        endpoint=_endpoint(env, "LOGS"),
        certificate_file=_either(env, "LOGS", "CERTIFICATE"),
        client_key_file=_either(env, "LOGS", "CLIENT_KEY"),
        client_certificate_file=_either(env, "LOGS", "CLIENT_CERTIFICATE"),
        headers=_headers(env, "LOGS"),
        timeout=_seconds(env, "LOGS"),
        compression=Compression(_either(env, "LOGS", "COMPRESSION") or "none"),
    )


def _metric_exporter(name: str, env: Mapping[str, str]) -> MetricExporter:
    if name == "console":
        from opentelemetry.sdk.metrics.export import ConsoleMetricExporter

        return ConsoleMetricExporter(out=sys.stderr)
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    return OTLPMetricExporter(
        endpoint=_endpoint(env, "METRICS"),
        certificate_file=_either(env, "METRICS", "CERTIFICATE"),
        client_key_file=_either(env, "METRICS", "CLIENT_KEY"),
        client_certificate_file=_either(env, "METRICS", "CLIENT_CERTIFICATE"),
        headers=_headers(env, "METRICS"),
        timeout=_seconds(env, "METRICS"),
        compression=Compression(_either(env, "METRICS", "COMPRESSION") or "none"),
    )


class _Trouble(logging.Handler):
    """Hears what the SDK would print on the terminal: counts it and keeps the last."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1
        self.last = record.getMessage().splitlines()[0][:300] if record.getMessage() else ""


class Telemetry:
    """An observer of the record, and of requests to the model. Never raises, never waits for a collector."""

    def __init__(self, asked: Mapping[str, str], env: Mapping[str, str], version: str) -> None:
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        self._trouble = _Trouble()
        quiet = logging.getLogger("opentelemetry")
        quiet.addHandler(self._trouble)
        quiet.propagate = False
        named = {"service.version": version} if version else {}
        if not env.get("OTEL_SERVICE_NAME") and "service.name=" not in env.get(
            "OTEL_RESOURCE_ATTRIBUTES", ""
        ):
            named["service.name"] = "policy-agent"
        resource = Resource.create(named)
        self._traces: TracerProvider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._logs: LoggerProvider = LoggerProvider(resource=resource, shutdown_on_exit=False)
        if "TRACES" in asked:
            self._traces.add_span_processor(BatchSpanProcessor(_span_exporter(asked["TRACES"], env)))
        if "LOGS" in asked:
            exporter = _log_exporter(asked["LOGS"], env)
            self._logs.add_log_record_processor(BatchLogRecordProcessor(exporter, schedule_delay_millis=1000))
        readers = [
            PeriodicExportingMetricReader(_metric_exporter(name, env))
            for signal, name in asked.items()
            if signal == "METRICS"
        ]
        self._metrics: MeterProvider = MeterProvider(readers, resource, shutdown_on_exit=False)
        meter = self._metrics.get_meter(SCOPE, version)
        self._decisions = meter.create_counter("agent.policy.decisions", "{decision}", "verdicts over calls")
        self._approvals = meter.create_counter("agent.policy.approvals", "{answer}", "answers to asks")
        self._gaps = meter.create_counter("agent.audit.gaps", "{gap}", "gaps in the record")
        self._tracer = self._traces.get_tracer(SCOPE, version)
        self._logger = self._logs.get_logger(SCOPE, version)
        self._content = env.get("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "").lower() == "true"
        self._parent = _parent(env)
        self._sessions: dict[str, Span] = {}
        self._calls: dict[_Call, Span] = {}
        self._asks: dict[_Call, Span] = {}
        self._closed = False

    @property
    def trouble(self) -> str:
        """What went wrong with sending, in one line; empty when nothing did."""
        seen = self._trouble
        return f"telemetry could not be sent ({seen.count} messages): {seen.last}" if seen.count else ""

    def observe(self, seq: int, event: AuditEvent) -> None:
        if self._closed:
            return
        try:
            self._observe(seq, event)
        except _BROKEN as error:
            self._trouble.count += 1
            self._trouble.last = f"{type(error).__name__}: {error}"

    def model_called(self, call: ModelCall) -> None:
        """A `chat` span that ends now."""
        if self._closed:
            return
        from opentelemetry.trace import SpanKind

        span = self._tracer.start_span(
            f"chat {call.model}",
            context=self._within(self._sessions.get(call.session)),
            kind=SpanKind.CLIENT,
            attributes=semconv.of_model_call(call),
            start_time=time.time_ns() - round(call.seconds * 1e9),
        )
        _end(span, failed=bool(call.error))

    def traceparent(self, session: str, call: str) -> str | None:
        """The W3C context of a running call, for the environment of its child."""
        span = self._calls.get((session, call))
        if span is None:
            return None
        at = span.get_span_context()
        return f"00-{at.trace_id:032x}-{at.span_id:016x}-{int(at.trace_flags):02x}"

    def close(self) -> None:
        """End what is open and send what waits, for two seconds at the most."""
        if self._closed:
            return
        self._closed = True
        for span in (*self._asks.values(), *self._calls.values(), *self._sessions.values()):
            _end(span)
        ends = [
            threading.Thread(target=provider.shutdown, daemon=True, name="telemetry-close")
            for provider in (self._traces, self._logs, self._metrics)
        ]
        deadline = time.monotonic() + FLUSH_SECONDS
        for thread in ends:
            thread.start()
        for thread in ends:
            thread.join(max(deadline - time.monotonic(), 0))

    def _observe(self, seq: int, event: AuditEvent) -> None:
        match event:
            case SessionStarted():
                self._sessions[event.session] = self._tracer.start_span(
                    f"invoke_agent {semconv.AGENT_NAME}",
                    context=self._parent,
                    attributes=semconv.of_session(seq, event),
                )
            case PolicyLoaded():
                for file in event.files:
                    about = semconv.of_rule_file(file)
                    self._emit("agent.policy.bundle", seq, about, self._sessions.get(event.session))
            case Decided():
                self._decided(seq, event)
            case Approved():
                self._approved(seq, event)
            case Ran():
                done: Attributes = {"agent.sandbox.name": event.sandbox}
                if event.exit_code is not None:
                    done["process.exit.code"] = event.exit_code
                self._call_over((event.session, event.call), event.status, done)
            case Patched():
                paths: Attributes = {"agent.patch.paths": list(event.paths)}
                self._call_over((event.session, event.call), event.status, paths)
            case Refused():
                call = (event.session, event.call)
                if ask := self._asks.pop(call, None):
                    _end(ask)
                self._call_over(call, Outcome.DECLINED, {"agent.policy.refusal": event.why})
            case SessionEnded():
                if span := self._sessions.pop(event.session, None):
                    span.set_attribute("agent.session.end", event.why)
                    _end(span)
            case ToolCalled():
                self._call_over((event.session, event.call), event.status, {})
            case Situated() | Overridden() | Revoked() | SandboxDenied() | Connected():
                pass
            case BundleChanged() | Witnessed():
                pass
            case Gap():
                self._gaps.add(1, {"agent.audit.gap.kind": event.kind.value})
                self._emit("agent.audit.gap", seq, semconv.of_gap(event), self._sessions.get(event.session))
            case other:
                assert_never(other)

    def _decided(self, seq: int, event: Decided) -> None:
        attributes, policy = semconv.of_call(event), semconv.of_verdict(event.verdict)
        if self._content:
            attributes["gen_ai.tool.call.arguments"] = event.subject
        span = self._tracer.start_span(
            f"execute_tool {event.tool}",
            context=self._within(self._sessions.get(event.session)),
            attributes=attributes | policy,
        )
        self._decisions.add(1, semconv.of_count(event))
        call = (event.session, event.call)
        if len(self._calls) < MOST_OPEN:
            self._calls[call] = span
            if event.verdict.decision is Decision.ASK:
                within = self._within(span)
                self._asks[call] = self._tracer.start_span("policy_decision", within, attributes=policy)
        about: Attributes = {"gen_ai.tool.call.id": event.call, "gen_ai.tool.name": event.tool}
        if event.masked:
            about["agent.audit.masked_paths"] = list(event.masked)
        if event.args_hmac:
            about |= {"agent.command.args_hmac": event.args_hmac, "agent.command.hmac_key_id": event.mask_key}
        self._emit("agent.policy.decision", seq, about | policy, span)

    def _approved(self, seq: int, event: Approved) -> None:
        about, call = semconv.of_approval(event), (event.session, event.call)
        self._approvals.add(1, {"agent.policy.approval": about["agent.policy.approval"]})
        if ask := self._asks.pop(call, None):
            ask.set_attributes(about)
            _end(ask)
        self._emit("agent.policy.approval", seq, about, self._calls.get(call))

    def _call_over(self, call: _Call, status: Outcome, attributes: Attributes) -> None:
        span = self._calls.pop(call, None)
        if span is None:
            return
        span.set_attributes(attributes)
        if status is not Outcome.COMPLETED:
            span.set_attribute("error.type", status.value)
        _end(span, failed=status in (Outcome.FAILED, Outcome.TIMED_OUT))

    def _emit(self, name: str, seq: int, attributes: Attributes, span: Span | None) -> None:
        now = time.time_ns()
        self._logger.emit(
            timestamp=now,
            observed_timestamp=now,
            context=self._within(span),
            attributes={**attributes, "agent.audit.seq": seq},
            event_name=name,
        )

    def _within(self, span: Span | None) -> Context | None:
        from opentelemetry.trace import set_span_in_context

        return set_span_in_context(span, self._parent) if span is not None else self._parent


def _end(span: Span, *, failed: bool = False) -> None:
    if failed:
        from opentelemetry.trace import StatusCode

        span.set_status(StatusCode.ERROR)
    span.end()


def _parent(env: Mapping[str, str]) -> Context | None:
    """The context that whoever started us handed down in TRACEPARENT."""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {name.lower(): env[name] for name in ("TRACEPARENT", "TRACESTATE") if env.get(name)}
    return TraceContextTextMapPropagator().extract(carrier) if carrier else None
