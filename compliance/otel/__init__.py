"""OpenTelemetry: what is recorded as spans, metrics and events, sent live, kept in files, shipped later."""

from compliance.otel.telemetry import Telemetry, telemetry_from_environment

__all__ = ["Telemetry", "telemetry_from_environment"]
