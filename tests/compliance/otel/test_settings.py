"""The standard variables say what is sent where; what they ask for in vain is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.otel.settings import (
    Batching,
    Kind,
    Protocol,
    Sampler,
    Signal,
    Target,
    read_settings,
)

P = "OTEL_EXPORTER_OTLP_"
LOGS_ONLY = {"OTEL_LOGS_EXPORTER": "otlp", "OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}


@pytest.mark.parametrize(
    ("env", "want"),
    [
        ({}, ""),
        ({f"{P}ENDPOINT": "http://x"}, "traces:otlp logs:otlp metrics:otlp"),
        ({f"{P}TRACES_ENDPOINT": "http://x"}, "traces:otlp"),
        ({f"{P}ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "TRUE"}, ""),
        ({f"{P}ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "none"}, "logs:otlp metrics:otlp"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "traces:console"),
        ({"OTEL_LOGS_EXPORTER": "otlp_file"}, "logs:otlp_file"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_LOGS_EXPORTER": "none"}, "traces:otlp"),
        ({"OTEL_SERVICE_NAME": "x"}, ""),
    ],
)
def test_the_standard_variables_say_what_is_sent(env: dict[str, str], want: str) -> None:
    said: list[str] = []
    settings = read_settings(env, said.append)
    outputs = settings.outputs if settings else ()
    assert " ".join(f"{one.signal.value}:{one.kind.value}" for one in outputs) == want
    assert said == []


@pytest.mark.parametrize(
    ("env", "want"),
    [
        ({}, Target(Protocol.PROTOBUF, "http://localhost:4318/v1/logs", insecure=True)),
        ({f"{P}ENDPOINT": "https://c/base/"}, Target(Protocol.PROTOBUF, "https://c/base/v1/logs")),
        ({f"{P}LOGS_ENDPOINT": "https://c/own"}, Target(Protocol.PROTOBUF, "https://c/own")),
        (
            {f"{P}PROTOCOL": "http/json"},
            Target(Protocol.JSON, "http://localhost:4318/v1/logs", insecure=True),
        ),
        ({f"{P}PROTOCOL": "grpc"}, Target(Protocol.GRPC, "http://localhost:4317", insecure=True)),
        (
            {f"{P}PROTOCOL": "grpc", f"{P}ENDPOINT": "c:4317", f"{P}INSECURE": "true"},
            Target(Protocol.GRPC, "grpc://c:4317", insecure=True),
        ),
        ({f"{P}PROTOCOL": "grpc", f"{P}ENDPOINT": "c:4317"}, Target(Protocol.GRPC, "grpc://c:4317")),
        (
            {f"{P}PROTOCOL": "http/json", f"{P}LOGS_PROTOCOL": "grpc", f"{P}ENDPOINT": "https://c"},
            Target(Protocol.GRPC, "https://c"),
        ),
        (
            {
                f"{P}ENDPOINT": "https://c",
                f"{P}HEADERS": "a=1,Authorization=Basic%20x%3D%3D",
                f"{P}LOGS_TIMEOUT": "2500",
                f"{P}COMPRESSION": "gzip",
            },
            Target(
                Protocol.PROTOBUF,
                "https://c/v1/logs",
                headers=(("a", "1"), ("authorization", "Basic x==")),
                gzip=True,
                seconds=2.5,
            ),
        ),
    ],
)
def test_a_collector_is_named_by_variables(env: dict[str, str], want: Target) -> None:
    said: list[str] = []
    settings = read_settings({**LOGS_ONLY, **env}, said.append)
    assert said == []
    assert settings is not None
    output = settings.of(Signal.LOGS)
    assert output is not None
    assert (output.kind, output.target) == (Kind.OTLP, want)


@pytest.mark.parametrize(
    ("env", "said"),
    [
        (
            {"OTEL_LOGS_EXPORTER": "zipkin"},
            "OTEL_LOGS_EXPORTER=`zipkin` is not supported: use otlp, otlp_file",
        ),
        ({f"{P}PROTOCOL": "http/xml"}, f"{P}PROTOCOL=`http/xml` is not supported: use http/protobuf"),
        ({f"{P}LOGS_COMPRESSION": "brotli"}, f"{P}LOGS_COMPRESSION=`brotli` is not supported: use gzip"),
        ({f"{P}ENDPOINT": "ftp://x"}, "`ftp://x/v1/logs` is no address"),
        ({f"{P}ENDPOINT": "http://[::1"}, "is no address of a collector"),
        ({f"{P}ENDPOINT": "http://x:99999"}, "is no address of a collector"),
        ({f"{P}LOGS_ENDPOINT": "http://x/ y"}, "holds what no address may"),
        ({f"{P}HEADERS": "good=1,SECRET"}, f"{P}HEADERS: pair 2 is not `key=value`, and is not sent"),
        ({f"{P}HEADERS": "k=SECRET%0d%0aX"}, "pair 1 is not"),
        ({f"{P}TIMEOUT": "soon"}, "no number of milliseconds: 10000 is taken"),
        ({f"{P}TIMEOUT": "10"}, "is milliseconds"),
        ({f"{P}CERTIFICATE": "/nowhere/ca.pem"}, "there is no file `/nowhere/ca.pem`"),
        ({"OTEL_BLRP_MAX_QUEUE_SIZE": "-1"}, "no whole number above zero: 2048 is taken"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "a=b,c"}, "pair 2 is not `key=value`"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": "jaeger_remote"}, "`jaeger_remote`"),
        (
            {
                "OTEL_TRACES_EXPORTER": "otlp",
                "OTEL_TRACES_SAMPLER": "traceidratio",
                "OTEL_TRACES_SAMPLER_ARG": "nan",
            },
            "is not from 0 to 1",
        ),
    ],
)
def test_what_cannot_be_done_is_said(env: dict[str, str], said: str) -> None:
    found: list[str] = []
    read_settings({**LOGS_ONLY, **env}, found.append)
    assert len(found) == 1
    assert said in found[0]
    assert "SECRET" not in found[0]


def test_limits_of_a_batch_are_taken() -> None:
    env = {
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_BLRP_MAX_QUEUE_SIZE": "10",
        "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": "100",
        "OTEL_BLRP_SCHEDULE_DELAY": "250",
        "AGENT_OTLP_FILE_DIR": "/x",
        "OTEL_SERVICE_NAME": "mine",
        "OTEL_RESOURCE_ATTRIBUTES": "service.name=other,k=%41",
    }
    settings = read_settings(env)
    assert settings is not None
    assert settings.outputs[0].batching == Batching(10, 10, 0.25)
    assert settings.folder == Path("/x")
    assert dict(settings.resource) == {"service.name": "mine", "k": "A"}


@given(st.integers(0, 2**128 - 1), st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_who_samples_more_samples_the_same_traces_too(
    trace: int, one: float, two: float, parent: bool
) -> None:
    less, more = sorted((one, two))
    if Sampler(less).samples(trace, None):
        assert Sampler(more).samples(trace, None)
    assert Sampler(less, by_parent=True).samples(trace, parent) is parent


@given(
    st.dictionaries(
        st.sampled_from([f"{P}ENDPOINT", f"{P}HEADERS", f"{P}TIMEOUT", f"{P}PROTOCOL"]), st.text()
    )
)
def test_no_value_breaks_anything(env: dict[str, str]) -> None:
    read_settings({**env, "OTEL_LOGS_EXPORTER": "otlp"})
