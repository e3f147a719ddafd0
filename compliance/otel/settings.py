"""The standard `OTEL_*` variables as values. Pure; what they ask for and cannot be done is said, never guessed.

Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and
https://opentelemetry.io/docs/specs/otel/protocol/exporter/. Times are milliseconds there and seconds here.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

Warn = Callable[[str], None]

FILE_BYTES: Final = 256 << 20
_REQUEST_MILLIS: Final = 10_000
_PLENTY_MILLIS: Final = 100  # whoever writes less means seconds


class Signal(enum.Enum):
    """What is sent; each has its own request and its own path."""

    TRACES = "traces"
    LOGS = "logs"
    METRICS = "metrics"


class Kind(enum.Enum):
    """Where a signal goes."""

    OTLP = "otlp"
    FILE = "otlp_file"
    CONSOLE = "console"


class Protocol(enum.Enum):
    PROTOBUF = "http/protobuf"
    JSON = "http/json"
    GRPC = "grpc"


class Target(NamedTuple):
    """A collector: where it is and how it is spoken to."""

    protocol: Protocol
    endpoint: str  # whole URL; gRPC: scheme and host
    headers: tuple[tuple[str, str], ...] = ()
    gzip: bool = False
    seconds: float = 10.0
    certificate: str = ""
    client_key: str = ""
    client_certificate: str = ""
    insecure: bool = False  # gRPC without TLS


class Batching(NamedTuple):
    """How many wait, how many go at once, and how long the first of them waits."""

    most: int
    batch: int
    seconds: float


class Sampler(NamedTuple):
    """Whether a whole trace is sent."""

    ratio: float = 1.0
    by_parent: bool = True

    def samples(self, trace_id: int, parent: bool | None) -> bool:
        """`parent`: whether it was sampled; None: there is none."""
        if self.by_parent and parent is not None:
            return parent
        return (trace_id & ((1 << 64) - 1)) < round(self.ratio * (1 << 64))


class Output(NamedTuple):
    """One signal that is to go somewhere."""

    signal: Signal
    kind: Kind
    target: Target | None = None  # of Kind.OTLP
    batching: Batching = Batching(2048, 512, 5.0)


class OtelSettings(NamedTuple):
    outputs: tuple[Output, ...]
    resource: tuple[tuple[str, str], ...] = ()
    sampler: Sampler = Sampler()
    folder: Path = Path()  # of Kind.FILE
    file_bytes: int = FILE_BYTES
    content: bool = False  # arguments of calls
    command_args: bool = False  # words of commands
    candidates: bool = False  # names that the conventions may get

    def of(self, signal: Signal) -> Output | None:
        return next((one for one in self.outputs if one.signal is signal), None)


def read_settings(env: Mapping[str, str], warn: Warn = lambda _: None) -> OtelSettings | None:
    """What `env` asks for; None when nothing is to be sent. Never raises."""
    if _truth(env.get("OTEL_SDK_DISABLED", "")):
        return None
    warn = _once(warn)  # what holds for all signals would be said of each
    outputs = tuple(output for signal in Signal if (output := _output(env, signal, warn)) is not None)
    if not outputs:
        return None
    opted = {word.strip() for word in env.get("OTEL_SEMCONV_STABILITY_OPT_IN", "").split(",")}
    return OtelSettings(
        outputs=outputs,
        resource=tuple(_resource(env, warn).items()),
        sampler=_sampler(env, warn) if any(one.signal is Signal.TRACES for one in outputs) else Sampler(),
        folder=files_folder(env),
        file_bytes=_number(env, "AGENT_OTLP_FILE_MAX_BYTES", FILE_BYTES, warn),
        content=_truth(env.get("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "")),
        command_args=_truth(env.get("AGENT_OTEL_COMMAND_ARGS", "")),
        candidates="gen_ai_latest_experimental" in opted,
    )


def files_folder(env: Mapping[str, str]) -> Path:
    """Where OTLP files lie."""
    if named := env.get("AGENT_OTLP_FILE_DIR"):
        return Path(named).expanduser()
    home = env.get("AGENT_HOME")
    return (Path(home).expanduser() if home else Path.home() / ".agent") / "telemetry"


def read_target(
    env: Mapping[str, str], signal: Signal, warn: Warn, endpoint: str = "", default: str = ""
) -> Target | None:
    """The collector of one signal, `endpoint` above all variables; None, and said why, when it cannot be used."""
    name, named = _either(env, signal, "PROTOCOL")
    try:
        protocol = Protocol((named or default or Protocol.PROTOBUF.value).lower())
    except ValueError:
        words = ", ".join(one.value for one in Protocol)
        warn(f"{name}=`{named}` is not supported: use {words}")
        return None
    where = _endpoint(env, signal, protocol, endpoint, warn)
    if where is None:
        return None
    files = {word: _either(env, signal, word) for word in ("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE")}
    for variable, path in files.values():
        if path and not Path(path).is_file():
            warn(f"{variable}: there is no file `{path}`; no {signal.value} are sent")
            return None
    name, compression = _either(env, signal, "COMPRESSION")
    if compression.lower() not in ("", "none", "gzip"):
        warn(f"{name}=`{compression}` is not supported: use gzip or none; {signal.value} go out uncompressed")
    _, insecure = _either(env, signal, "INSECURE")
    plain = urlsplit(where).scheme == "http"
    return Target(
        protocol=protocol,
        endpoint=where,
        headers=_headers(*_either(env, signal, "HEADERS"), warn),
        gzip=compression.lower() == "gzip",
        seconds=_timeout(*_either(env, signal, "TIMEOUT"), warn),
        certificate=files["CERTIFICATE"][1],
        client_key=files["CLIENT_KEY"][1],
        client_certificate=files["CLIENT_CERTIFICATE"][1],
        insecure=plain or (not where.startswith("https://") and _truth(insecure)),
    )


def _output(env: Mapping[str, str], signal: Signal, warn: Warn) -> Output | None:
    upper = signal.name
    named = env.get(f"OTEL_{upper}_EXPORTER", "").strip().lower()
    reachable = env.get("OTEL_EXPORTER_OTLP_ENDPOINT") or env.get(f"OTEL_EXPORTER_OTLP_{upper}_ENDPOINT")
    choice = named or ("otlp" if reachable else "none")
    if choice == "none":
        return None
    try:
        kind = Kind(choice)
    except ValueError:
        warn(f"OTEL_{upper}_EXPORTER=`{choice}` is not supported: use otlp, otlp_file, console or none")
        return None
    batching = _batching(env, "BSP" if signal is Signal.TRACES else "BLRP", warn)
    if kind is not Kind.OTLP:
        return Output(signal, kind, None, batching)
    target = read_target(env, signal, warn)
    return None if target is None else Output(signal, kind, target, batching)


def _either(env: Mapping[str, str], signal: Signal, name: str) -> tuple[str, str]:
    """The variable that holds, that of the signal before that of all, and its value."""
    own = f"OTEL_EXPORTER_OTLP_{signal.name}_{name}"
    if value := env.get(own, "").strip():
        return own, value
    return f"OTEL_EXPORTER_OTLP_{name}", env.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip()


def _endpoint(
    env: Mapping[str, str], signal: Signal, protocol: Protocol, given: str, warn: Warn
) -> str | None:
    grpc = protocol is Protocol.GRPC
    own = env.get(f"OTEL_EXPORTER_OTLP_{signal.name}_ENDPOINT", "").strip()
    base = given or env.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
    base = base or ("http://localhost:4317" if grpc else "http://localhost:4318")
    where = own if own and not given else base if grpc else f"{base.rstrip('/')}/v1/{signal.value}"
    if grpc and "://" not in where:
        where = f"grpc://{where}"  # TLS, unless INSECURE says otherwise
    try:
        parts = urlsplit(where)
        sound = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
        parts = urlsplit("")
    if not sound or parts.scheme not in (("http", "https", "grpc") if grpc else ("http", "https")):
        warn(f"`{where}` is no address of a collector: write http://HOST:PORT; no {signal.value} are sent")
        return None
    if any(not 0x20 < ord(char) < 0x7F for char in where):
        warn(f"`{where!a}` holds what no address may; no {signal.value} are sent")
        return None
    return where


def _headers(name: str, text: str, warn: Warn) -> tuple[tuple[str, str], ...]:
    """`key=value,key=value`, URL-encoded. What is no header is left out, and its value is not repeated."""
    found: dict[str, str] = {}
    for number, pair in enumerate(text.split(","), 1):
        if not pair.strip():
            continue
        key, equals, value = pair.partition("=")
        key, value = unquote(key).strip().lower(), unquote(value).strip()
        sound = key.isascii() and key.replace("-", "").replace("_", "").replace(".", "").isalnum()
        if not equals or not sound or any(ord(char) < 0x20 or ord(char) > 0xFF for char in value):
            warn(f"{name}: pair {number} is not `key=value`, and is not sent")
            continue
        found[key] = value
    return tuple(found.items())


def _timeout(name: str, text: str, warn: Warn) -> float:
    try:
        millis = float(text or _REQUEST_MILLIS)
        if not 0 < millis < 1e9:
            raise ValueError(text)
    except ValueError:
        warn(f"{name}=`{text}` is no number of milliseconds: {_REQUEST_MILLIS} is taken")
        millis = _REQUEST_MILLIS
    if millis < _PLENTY_MILLIS:
        warn(f"{name}={text} is milliseconds: hardly a collector answers in that time")
    return millis / 1000


def _batching(env: Mapping[str, str], prefix: str, warn: Warn) -> Batching:
    delay = 5000 if prefix == "BSP" else 1000
    most = _number(env, f"OTEL_{prefix}_MAX_QUEUE_SIZE", 2048, warn)
    batch = _number(env, f"OTEL_{prefix}_MAX_EXPORT_BATCH_SIZE", 512, warn)
    seconds = _number(env, f"OTEL_{prefix}_SCHEDULE_DELAY", delay, warn) / 1000
    return Batching(most, min(batch, most), seconds)


def _number(env: Mapping[str, str], name: str, usual: int, warn: Warn) -> int:
    text = env.get(name, "").strip()
    if not text:
        return usual
    if text.isascii() and text.isdecimal() and 0 < int(text[:16]) < 10**12:
        return int(text)
    warn(f"{name}=`{text}` is no whole number above zero: {usual} is taken")
    return usual


def _resource(env: Mapping[str, str], warn: Warn) -> dict[str, str]:
    found = {}
    for number, pair in enumerate(env.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","), 1):
        key, equals, value = pair.partition("=")
        if pair.strip() and not (equals and key.strip()):
            warn(f"OTEL_RESOURCE_ATTRIBUTES: pair {number} is not `key=value`, and is left out")
        elif equals:
            found[key.strip()] = unquote(value.strip())
    if name := env.get("OTEL_SERVICE_NAME", "").strip():
        found["service.name"] = name
    return found


def _sampler(env: Mapping[str, str], warn: Warn) -> Sampler:
    name = env.get("OTEL_TRACES_SAMPLER", "").strip().lower() or "parentbased_always_on"
    by_parent = name.startswith("parentbased_")
    match name.removeprefix("parentbased_"):
        case "always_on":
            return Sampler(1.0, by_parent)
        case "always_off":
            return Sampler(0.0, by_parent)
        case "traceidratio":
            text = env.get("OTEL_TRACES_SAMPLER_ARG", "").strip()
            try:
                ratio = float(text or 1)
                if not 0 <= ratio <= 1:
                    raise ValueError(text)
            except ValueError:
                warn(f"OTEL_TRACES_SAMPLER_ARG=`{text}` is not from 0 to 1: all traces are sent")
                ratio = 1.0
            return Sampler(ratio, by_parent)
        case _:
            words = "always_on, always_off, traceidratio, each also with parentbased_ before it"
            warn(f"OTEL_TRACES_SAMPLER=`{name}` is not supported: use {words}; all traces are sent")
            return Sampler()


def _once(warn: Warn) -> Warn:
    said: set[str] = set()

    def first(text: str) -> None:
        if text not in said:
            said.add(text)
            warn(text)

    return first


def _truth(text: str) -> bool:
    return text.strip().lower() == "true"
