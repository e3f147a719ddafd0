"""The SDK with our outboxes in it: a tracer, a logger and a meter whose data go over our wires.

Used from one thread. The SDK's own exporters and batches are left out: they lose without counting, and believe
whatever a collector answers.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadableLogRecord
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricExporter,
    MetricExportResult,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from compliance.otel.base import Fate, Wire
from compliance.otel.form import encoded
from compliance.otel.outbox import Outbox, deadline
from compliance.otel.settings import OtelSettings, Signal
from compliance.semconv import SCHEMA_URL, SCOPE

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadWriteLogRecord

_TEMPORALITY: Final = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
_AGGREGATION: Final = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"


class Ids(IdGenerator):
    """Ids that were settled before the span was made."""

    def __init__(self) -> None:
        self.trace = self.span = 1

    def generate_trace_id(self) -> int:
        return self.trace

    def generate_span_id(self) -> int:
        return self.span


class Pipeline:
    """Spans, log records and metrics of one process."""

    def __init__(
        self,
        settings: OtelSettings,
        env: Mapping[str, str],
        wires: Mapping[Signal, Wire],
        version: str,
        views: Iterable[View] = (),
    ) -> None:
        self._quiet = logging.getLogger("opentelemetry")
        self._silence = logging.NullHandler()
        self._quiet.addHandler(self._silence)
        self._quiet.propagate = False  # the terminal is the user's
        named: dict[str, Any] = {"service.name": "policy-agent", **dict(settings.resource)}
        if version:
            named.setdefault("service.version", version)
        resource = Resource.create(named)
        self.ids = Ids()
        self._outboxes: dict[Signal, Outbox[Any]] = {}
        traces = TracerProvider(
            sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False, id_generator=self.ids
        )
        logs = LoggerProvider(resource=resource, shutdown_on_exit=False)
        readers = []
        for output in settings.outputs:
            wire = wires[output.signal]
            match output.signal:
                case Signal.TRACES:
                    spans = Outbox[ReadableSpan](output.signal, wire, encode_spans, output.batching)
                    self._outboxes[output.signal] = spans
                    traces.add_span_processor(_Spans(spans))
                case Signal.LOGS:
                    records = Outbox[ReadableLogRecord](output.signal, wire, encode_logs, output.batching)
                    self._outboxes[output.signal] = records
                    logs.add_log_record_processor(_Records(records))
                case Signal.METRICS:
                    self._metric_out = _Metrics(wire, env)
                    readers.append(PeriodicExportingMetricReader(self._metric_out))
        self._meters = MeterProvider(readers, resource, shutdown_on_exit=False, views=tuple(views))
        self._has_metrics = bool(readers)
        self.tracer = traces.get_tracer(SCOPE, version, SCHEMA_URL)
        self.logger = logs.get_logger(SCOPE, version, SCHEMA_URL)
        self.meter = self._meters.get_meter(SCOPE, version, SCHEMA_URL)

    def backlog(self) -> dict[Signal, int]:
        return {signal: one.backlog for signal, one in self._outboxes.items()}

    def lost(self) -> dict[Signal, int]:
        return {signal: one.lost for signal, one in self._outboxes.items()}

    @property
    def trouble(self) -> str:
        """Why something was not taken; empty when nothing was lost."""
        found = [one.trouble for one in self._outboxes.values() if one.lost]
        if self._has_metrics and self._metric_out.trouble:
            found.append(self._metric_out.trouble)
        return found[0] if found else ""

    def close(self, seconds: float) -> None:
        """Send what waits, and end, within `seconds`. Metrics go last: they say what was lost."""
        left = deadline(seconds)
        for one in self._outboxes.values():
            one.finish()
        for one in self._outboxes.values():
            one.close(left() * 0.75 if self._has_metrics else left())
        if self._has_metrics:
            last = threading.Thread(target=self._end_metrics, daemon=True, name="telemetry-metrics")
            last.start()
            last.join(left())
            self._metric_out.wire.close()
        self._quiet.removeHandler(self._silence)

    def _end_metrics(self) -> None:
        try:
            self._meters.shutdown()
        except Exception as error:  # noqa: BLE001 - a thread ends here, with the process
            self._metric_out.trouble = f"{type(error).__name__}: {error}"


class _Spans(SpanProcessor):
    def __init__(self, outbox: Outbox[ReadableSpan]) -> None:
        self._outbox = outbox

    def on_end(self, span: ReadableSpan) -> None:
        self._outbox.put(span)


class _Records(LogRecordProcessor):
    def __init__(self, outbox: Outbox[ReadableLogRecord]) -> None:
        self._outbox = outbox

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        self._outbox.put(
            ReadableLogRecord(
                log_record=log_record.log_record,
                resource=log_record.resource or Resource.get_empty(),
                instrumentation_scope=log_record.instrumentation_scope,
                limits=log_record.limits,
            )
        )

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 0) -> bool:
        return True


class _Metrics(MetricExporter):
    def __init__(self, wire: Wire, env: Mapping[str, str]) -> None:
        delta, cumulative = AggregationTemporality.DELTA, AggregationTemporality.CUMULATIVE
        kinds: dict[type, AggregationTemporality] = {}
        match env.get(_TEMPORALITY, "").strip().lower():
            case "delta":
                kinds = {Counter: delta, Histogram: delta, ObservableCounter: delta}
            case "lowmemory":
                kinds = {Counter: delta, Histogram: delta, ObservableCounter: cumulative}
        shape = env.get(_AGGREGATION, "").strip().lower()
        exponential = shape == "base2_exponential_bucket_histogram"
        super().__init__(
            preferred_temporality=kinds,
            preferred_aggregation={Histogram: ExponentialBucketHistogramAggregation()} if exponential else {},
        )
        self.wire = wire
        self.trouble = ""

    def export(self, metrics_data: Any, timeout_millis: float = 0, **_: object) -> MetricExportResult:
        answer = self.wire.send(Signal.METRICS, encoded(encode_metrics(metrics_data), self.wire.encoding))
        self.trouble = "" if answer.fate is Fate.TAKEN and not answer.rejected else answer.why
        return MetricExportResult.FAILURE if self.trouble else MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 0) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 0, **_: object) -> None:
        pass
