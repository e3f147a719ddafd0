"""Rule files to a Policy: read, parsed, examples run, layers stacked. Never raises for a bad file."""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Sequence
from typing import Final

from execpolicy.decision import Decision, Layer
from execpolicy.diagnostics import Diagnostic, Severity
from execpolicy.digest import sha256
from execpolicy.engine.identity import Hosts
from execpolicy.engine.policy import Policy
from execpolicy.lang.rules import Defaults, HostExecutable, RuleFile
from execpolicy.source import SourceText, Span
from execpolicy.values import frozen, replace

MAX_BYTES: Final = 64 * 1024 * 1024
PIPE_SECONDS: Final = 10.0  # that a pipe in place of a file may pause


@frozen
class PolicySource:
    """A rule file and the layer it belongs to."""

    path: str | os.PathLike[str]
    layer: Layer
    proven: bool = False  # its examples were run before it was shipped


@frozen
class FileUse:
    """What became of one file. Not `usable`: its allows are off, its well-formed asks and denies hold."""

    path: str
    layer: Layer
    digest: str  # SHA-256 of its bytes; empty when it could not be read
    usable: bool


@frozen
class Loaded:
    """A policy and everything that was wrong on the way to it."""

    policy: Policy
    diagnostics: tuple[Diagnostic, ...]
    files: tuple[FileUse, ...]

    @property
    def broken(self) -> tuple[FileUse, ...]:
        return tuple(file for file in self.files if not file.usable)


@frozen
class _Read:
    source: PolicySource
    data: bytes
    digest: str
    error: Diagnostic | None


def load_policy(
    sources: Sequence[PolicySource],
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    run_examples: bool = True,
) -> Loaded:
    """The policy of all `sources`. A bad file costs its own allows and nothing of the others.

    The examples of rules are run unless their file is proven; only policies whose examples were run are cached.
    """
    read = [_read(source) for source in sources]
    if cache_dir is None or any(one.error is not None for one in read):
        return _compile(read, run_examples=run_examples)
    from execpolicy.bundle import cache

    key = cache.key_of((str(one.source.path), one.source.layer, one.digest) for one in read)
    policy = cache.read(cache_dir, key)
    if policy is not None:
        uses = tuple(FileUse(str(one.source.path), one.source.layer, one.digest, True) for one in read)
        return Loaded(policy, (), uses)
    loaded = _compile(read, run_examples=run_examples)
    if run_examples and not loaded.diagnostics:
        cache.write(cache_dir, key, loaded.policy)
    return loaded


def _compile(read: Sequence[_Read], *, run_examples: bool) -> Loaded:
    diagnostics: list[Diagnostic] = []
    layered: list[tuple[Layer, RuleFile]] = []
    hosts: list[tuple[Layer, HostExecutable]] = []
    uses: list[FileUse] = []
    for one in read:
        layer = one.source.layer
        if one.error is not None:
            diagnostics.append(one.error)
            uses.append(FileUse(str(one.source.path), layer, one.digest, False))
            continue
        file, found = _parse(one)
        hosts += [(layer, host) for host in file.host_executables]
        if run_examples and not one.source.proven:
            found += _examples(file, one, Hosts.build(hosts))
        usable = not any(diagnostic.severity is Severity.ERROR for diagnostic in found)
        diagnostics += found
        layered.append((layer, file if usable else without_allows(file)))
        uses.append(FileUse(file.path, layer, one.digest, usable))
    return Loaded(Policy.build(layered), tuple(diagnostics), tuple(uses))


def _read(source: PolicySource) -> _Read:
    path = str(source.path)
    try:
        with open(source.path, "rb", opener=_at_once) as stream:
            pipe = stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode)
            data = _from_pipe(stream.fileno()) if pipe else stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return _Read(source, b"", "", _error("E040", f"cannot read this file: {reason.lower()}", path, ""))
    if len(data) > MAX_BYTES:
        help_ = f"a rule file has at most {MAX_BYTES // 1024 // 1024} MB"
        return _Read(source, b"", "", _error("E041", "file is too large", path, help_))
    return _Read(source, data, sha256(data).hex(), None)


def _at_once(path: str, flags: int) -> int:
    """Opening a pipe without a writer would wait for one, for ever."""
    return os.open(path, flags | os.O_NONBLOCK)


def _from_pipe(descriptor: int) -> bytes:
    """What a writer at work gives, as in `--policy <(make-rules)`. OSError where none is there, or it pauses."""
    pieces: list[bytes] = []
    size = 0
    while size <= MAX_BYTES:
        if not select.select([descriptor], [], [], PIPE_SECONDS)[0]:
            raise OSError(f"it is a pipe, and nothing came for {PIPE_SECONDS:g} seconds")
        piece = os.read(descriptor, 1 << 16)
        if not piece:
            break
        pieces.append(piece)
        size += len(piece)
    if not pieces:
        raise OSError("it is a pipe that holds nothing")
    return b"".join(pieces)


def _error(
    code: str, message: str, path: str, help_: str, text: str = "", span: Span = Span(0, 0)
) -> Diagnostic:
    return Diagnostic(code=code, message=message, source=SourceText(path, text), span=span, help=help_)


def _parse(one: _Read) -> tuple[RuleFile, list[Diagnostic]]:
    from execpolicy.lang.lower import parse_rules  # late: a compiled policy needs no parser

    path = str(one.source.path)
    found: list[Diagnostic] = []
    try:
        text = one.data.decode("utf-8")
    except UnicodeDecodeError as error:
        text = one.data.decode("utf-8", "replace")
        at = len(one.data[: error.start].decode("utf-8"))
        help_ = "save the file as UTF-8"
        found.append(_error("E042", "file is not UTF-8 text", path, help_, text, Span(at, at + 1)))
    parsed = parse_rules(text, path, one.source.layer)
    if parsed.diagnostics and not found:
        from execpolicy.bundle.programs import expanded  # late: few files are programs

        parsed = expanded(parsed, text, one.source.layer)
    return replace(parsed.file, digest=one.digest), [*found, *parsed.diagnostics]


def _examples(file: RuleFile, one: _Read, hosts: Hosts) -> list[Diagnostic]:
    told = (*file.rules, *file.masks)
    if not any(getattr(rule, "match", ()) or getattr(rule, "not_match", ()) for rule in told):
        return []
    from execpolicy.engine.examples import failures, mask_failures

    source: SourceText | None = None
    found: list[Diagnostic] = []
    for failure in (*failures(file.rules, hosts), *mask_failures(file.masks)):
        source = source or SourceText(file.path, one.data.decode("utf-8", "replace"))
        origin = failure.example.origin
        found.append(
            Diagnostic(
                code="E030" if failure.expected else "E031",
                message=failure.message,
                source=source,
                span=_place(source, origin.line, origin.column),
                label="expected to match" if failure.expected else "expected not to match",
                help="correct the pattern or the example",
            )
        )
    return found


def _place(source: SourceText, line: int, column: int) -> Span:
    """From the start of an example to its end, as far as it stands on one line."""
    text = source.line(line)
    at = column - 1
    quote = text[at : at + 1]
    closing = {"[": "]", '"': '"', "'": "'"}.get(quote, "")
    end = text.find(closing, at + 1) + 1 if closing else at + 1
    start = source.text.find(text, 0) if line == 1 else _line_start(source, line)
    return Span(start + at, start + (end or len(text)))


def _line_start(source: SourceText, line: int) -> int:
    at = 0
    for _ in range(line - 1):
        at = source.text.find("\n", at) + 1
    return at


def without_allows(file: RuleFile) -> RuleFile:
    """What may be kept of a broken file: nothing that opens anything."""
    defaults = file.defaults
    if defaults is not None and defaults.unmatched is Decision.ALLOW:
        defaults = Defaults(unmatched=Decision.ASK, unknown=defaults.unknown, origin=defaults.origin)
    return replace(
        file,
        rules=tuple(rule for rule in file.rules if rule.meta.decision is not Decision.ALLOW),
        defaults=defaults,
        exceptions=(),
    )
