"""The wire that an output asks for."""

from __future__ import annotations

from typing import assert_never

from compliance.otel.base import Wire
from compliance.otel.files import ConsoleWire, FileWire
from compliance.otel.settings import Kind, OtelSettings, Output, Protocol, Target


def wire_to(target: Target, agent: str) -> Wire:
    """ImportError where its package is not installed; OSError when a certificate cannot be used."""
    match target.protocol:
        case Protocol.GRPC:
            from compliance.otel.rpc import GrpcWire

            return GrpcWire(target, agent)
        case Protocol.PROTOBUF | Protocol.JSON:
            from compliance.otel.http import HttpWire

            return HttpWire(target, agent)
        case other:
            assert_never(other)


def wire_for(output: Output, settings: OtelSettings, agent: str) -> Wire:
    """As `wire_to`."""
    match output.kind:
        case Kind.OTLP:
            assert output.target is not None
            return wire_to(output.target, agent)
        case Kind.FILE:
            return FileWire(settings.folder, settings.file_bytes)
        case Kind.CONSOLE:
            return ConsoleWire()
        case other:
            assert_never(other)
