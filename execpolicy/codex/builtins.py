"""The three functions of a Codex file: their arguments bound, typed and judged as Codex does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from execpolicy.codex.policy import CodexDecision, CodexRule, Examples
from execpolicy.codex.text import WHITE, normal_path, split_words

DECISIONS = {decision.word: decision for decision in CodexDecision}
NETWORK_DECISIONS = DECISIONS | {"deny": CodexDecision.FORBIDDEN}
PROTOCOLS = ("http", "https", "https_connect", "http-connect", "socks5_tcp", "socks5_udp")


class RuleError(Exception):
    """The sentence that Codex says about a call."""


@dataclass(frozen=True, slots=True)
class Given:
    """A value of the program. `text` of a string, `items` of a list, `truth` of a bool."""

    kind: str  # the name that Starlark's `type` gives
    repr: str
    text: str | None = None
    items: tuple[Given, ...] | None = None
    truth: bool | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """One `network_rule`; it never shows in an answer."""

    host: str
    protocol: str
    decision: CodexDecision
    justification: str | None


@dataclass(slots=True)
class Recorder:
    """What the calls of one file have said, in their order."""

    rules: list[CodexRule] = field(default_factory=list)
    examples: list[Examples] = field(default_factory=list)
    hosts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    calls: list[Call | Plain] = field(default_factory=list)  # in the words of the program, for `import`

    def call(self, name: str, positional: Sequence[Given], named: Sequence[tuple[str, Given]]) -> None:
        """Raises `RuleError`."""
        signature = SIGNATURES[name]
        given = _bind(name, signature, positional, named)
        match name:
            case "prefix_rule":
                self._prefix_rule(given)
            case "host_executable":
                self._host_executable(given)
            case _:
                _network_rule(given)
        self.calls.append(Call(name, tuple(given.items())))

    def literal(self, words: tuple[tuple[str, ...], ...], decision: str, justification: str | None) -> None:
        """A `prefix_rule` that is known to be well-formed. Raises `RuleError`."""
        found = DECISIONS.get(decision)
        if found is None or (justification is not None and not justification.strip(WHITE)):
            raise RuleError(f"invalid decision: {decision}")
        for first in words[0]:
            self.rules.append(
                CodexRule(first=first, rest=words[1:], decision=found, justification=justification)
            )
        self.calls.append(Plain(words, decision, justification))

    def _prefix_rule(self, given: dict[str, Given]) -> None:
        decision = _decision(given.get("decision"), DECISIONS)
        justification = _justification(given.get("justification"))
        words = _pattern(given["pattern"].items or ())
        match = _examples(given.get("match"))
        not_match = _examples(given.get("not_match"))
        canonical = given.get("canonical_matching")
        rules = tuple(
            CodexRule(
                first=first,
                rest=tuple(words[1:]),
                decision=decision,
                justification=justification,
                canonical=bool(canonical and canonical.truth),
            )
            for first in words[0]
        )
        self.rules += rules
        if match or not_match:
            self.examples.append(Examples(rules, match, not_match))

    def _host_executable(self, given: dict[str, Given]) -> None:
        name = given["name"].text or ""
        if not name:
            raise RuleError("invalid rule: host_executable name cannot be empty")
        if "/" in name or name in (".", ".."):
            raise RuleError(f"invalid rule: host_executable name must be a bare executable name (got {name})")
        paths: list[str] = []
        for item in given["paths"].items or ():
            if item.text is None:
                raise RuleError(f"invalid rule: host_executable paths must be strings (got {item.kind})")
            if not item.text.startswith("/"):
                raise RuleError(f"invalid rule: host_executable paths must be absolute (got {item.text})")
            path = normal_path(item.text)
            if path.rsplit("/", 1)[-1] != name:
                raise RuleError(
                    f"invalid rule: host_executable path `{item.text}` must have basename `{name}`"
                )
            if path not in paths:
                paths.append(path)
        self.hosts[name] = tuple(paths)


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    given: tuple[tuple[str, Given], ...]


class Plain(NamedTuple):
    """A plain `prefix_rule`: the alternatives of each word."""

    words: tuple[tuple[str, ...], ...]
    decision: str
    justification: str | None


# --- binding --------------------------------------------------------------------------------

# Name, type, whether it must be given: in the order in which values may stand without a name.
SIGNATURES: dict[str, tuple[tuple[str, str, bool], ...]] = {
    "prefix_rule": (
        ("pattern", "list", True),
        ("decision", "str", False),
        ("match", "list", False),
        ("not_match", "list", False),
        ("justification", "str", False),
        ("canonical_matching", "bool", False),
    ),
    "network_rule": (
        ("host", "str", True),
        ("protocol", "str", True),
        ("decision", "str", True),
        ("justification", "str", False),
    ),
    "host_executable": (("name", "str", True), ("paths", "list", True)),
}
KINDS = {"str": "string", "list": "list", "bool": "bool"}


def _bind(
    name: str,
    signature: tuple[tuple[str, str, bool], ...],
    positional: Sequence[Given],
    named: Sequence[tuple[str, Given]],
) -> dict[str, Given]:
    keys = [key for key, _, _ in signature]
    given = dict(zip(keys, positional, strict=False))
    extra: list[str] = []
    for key, value in named:
        if key in given:
            raise RuleError(f"Argument `{key}` occurs more than once")
        if key in keys:
            given[key] = value
        else:
            extra.append(key)
    for key, _, needed in signature:
        if needed and key not in given:
            raise RuleError(f"Missing parameter `{key}` for call to `{name}`")
    if len(positional) > len(keys):
        raise RuleError(
            f"Found {len(positional) - len(keys)} extra positional argument(s) for call to {name}"
        )
    if extra:
        names = " ".join(f"`{key}`" for key in extra)
        raise RuleError(f"Found {names} extra named parameter(s) for call to {name}")
    for key, kind, _ in signature:
        if key in given and given[key].kind != KINDS[kind]:
            actual = f"`{given[key].kind} (repr: {given[key].repr})`"
            raise RuleError(f"Type of parameter `{key}` doesn't match, expected `{kind}`, actual {actual}")
    return given


# --- judging --------------------------------------------------------------------------------


def _decision(given: Given | None, known: dict[str, CodexDecision]) -> CodexDecision:
    if given is None:
        return CodexDecision.ALLOW
    decision = known.get(given.text or "")
    if decision is None:
        raise RuleError(f"invalid decision: {given.text}")
    return decision


def _justification(given: Given | None) -> str | None:
    if given is None:
        return None
    if not (given.text or "").strip(WHITE):
        raise RuleError("invalid rule: justification cannot be empty")
    return given.text


def _pattern(items: tuple[Given, ...]) -> list[tuple[str, ...]]:
    if not items:
        raise RuleError("invalid pattern element: pattern cannot be empty")
    words: list[tuple[str, ...]] = []
    for item in items:
        if item.text is not None:
            words.append((item.text,))
            continue
        if item.items is None:
            raise RuleError(
                f"invalid pattern element: pattern element must be a string or list of strings (got {item.kind})"
            )
        options: list[str] = []
        for option in item.items:
            if option.text is None:
                raise RuleError(
                    f"invalid pattern element: pattern alternative must be a string (got {option.kind})"
                )
            options.append(option.text)
        if not options:
            raise RuleError("invalid pattern element: pattern alternatives cannot be empty")
        words.append(tuple(options))
    return words


def _examples(given: Given | None) -> tuple[tuple[str, ...], ...]:
    return tuple(map(_example, (given.items or ()) if given else ()))


def _example(item: Given) -> tuple[str, ...]:
    if item.text is not None:
        words = split_words(item.text)
        if words is None:
            raise RuleError("invalid example: example string has invalid shell syntax")
        if not words:
            raise RuleError("invalid example: example cannot be an empty string")
        return tuple(words)
    if item.items is None:
        raise RuleError(f"invalid example: example must be a string or list of strings (got {item.kind})")
    tokens: list[str] = []
    for token in item.items:
        if token.text is None:
            raise RuleError(f"invalid example: example tokens must be strings (got {token.kind})")
        tokens.append(token.text)
    if not tokens:
        raise RuleError("invalid example: example cannot be an empty list")
    return tuple(tokens)


def _network_rule(given: dict[str, Given]) -> Host:
    protocol = given["protocol"].text or ""
    if protocol not in PROTOCOLS:
        raise RuleError(
            f"invalid rule: network_rule protocol must be one of http, https, socks5_tcp, socks5_udp (got {protocol})"
        )
    decision = _decision(given["decision"], NETWORK_DECISIONS)
    justification = _justification(given.get("justification"))
    return Host(_host(given["host"].text or ""), protocol, decision, justification)


def _host(text: str) -> str:
    host = text.strip(WHITE)
    if not host:
        raise _bad_host("cannot be empty")
    if "://" in host or "/" in host or "?" in host or "#" in host:
        raise _bad_host("must be a hostname or IP literal (without scheme or path)")
    if host.startswith("["):
        inside, closed, behind = host[1:].partition("]")
        if not closed:
            raise _bad_host("has an invalid bracketed IPv6 literal")
        if behind and not (behind[0] == ":" and behind[1:].isascii() and behind[1:].isdigit()):
            raise _bad_host(f"contains an unsupported suffix: {text}")
        host = inside
    elif host.count(":") == 1:
        name, _, port = host.partition(":")
        if name and port.isascii() and port.isdigit():
            host = name
    host = _ascii_lower(host.rstrip(".").strip(WHITE))
    if not host:
        raise _bad_host("cannot be empty")
    if "*" in host:
        raise _bad_host("must be a specific host; wildcards are not allowed")
    if any(char in WHITE for char in host):
        raise _bad_host("cannot contain whitespace")
    return host


def _ascii_lower(text: str) -> str:
    return "".join(char.lower() if char.isascii() else char for char in text)


def _bad_host(what: str) -> RuleError:
    return RuleError(f"invalid rule: network_rule host {what}")
