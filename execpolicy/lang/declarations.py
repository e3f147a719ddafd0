"""The declarations as typed rules."""

from __future__ import annotations

import re

from execpolicy.decision import Decision, Layer, NetworkAccess, Origin, Reviewer, SandboxMode, Scope
from execpolicy.facts import Access
from execpolicy.lang import rules, syntax
from execpolicy.lang.conditions import Conditions
from execpolicy.lang.fields import Fields
from execpolicy.lang.hosts import BadHost, read_host
from execpolicy.lang.literal import LiteralRule
from execpolicy.lang.masking import SELECTORS, read_mask
from execpolicy.lang.values import (
    KIND,
    Boolean,
    Evaluator,
    Items,
    Number,
    Operands,
    Pattern,
    Report,
    Several,
    Table,
    Text,
    Value,
)
from execpolicy.source import SourceText, Span

DECISIONS = {
    "allow": Decision.ALLOW,
    "ask": Decision.ASK,
    "deny": Decision.DENY,
    "prompt": Decision.ASK,
    "forbidden": Decision.DENY,
}
STRICT = {word: decision for word, decision in DECISIONS.items() if decision is not Decision.ALLOW}
SEVERITIES = {word: word for word in ("info", "low", "medium", "high", "critical")}
MODES = {mode.value: mode for mode in rules.Mode}
SANDBOXES = {mode.value: mode for mode in SandboxMode}
NETWORKS = {access.value: access for access in NetworkAccess}
REVIEWERS = {"user": Reviewer.USER, "auto": Reviewer.AUTO, "auto_review": Reviewer.AUTO}
SCOPES = {scope.value: scope for scope in Scope}
ACCESSES = {access.value: access for access in Access}
PROTOCOLS = {
    "http": "http",
    "https": "https",
    "https_connect": "https",
    "http-connect": "https",
    "socks5_tcp": "socks5_tcp",
    "socks5_udp": "socks5_udp",
}
ID = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.:/@-]*[A-Za-z0-9_])?")

META = (
    "suggest",
    "id",
    "owner",
    "severity",
    "controls",
    "expires",
    "mode",
    "sandbox",
    "network",
    "reviewer",
    "scope",
)
PREFIX_KEYS = (
    "pattern", "decision", "match", "not_match", "justification", "canonical_matching", "unless", "when", *META,
)  # fmt: skip
COMMAND_KEYS = (
    "program", "subcommand", "flags", "args", "unless", "when", "match", "not_match", "decision", "justification",
    *META,
)  # fmt: skip
PATH_KEYS = ("paths", "access", "when", "match", "not_match", "decision", "justification", *META)
NETWORK_KEYS = ("host", "protocol", "decision", "justification", "port", "when", *META)
TOOL_KEYS = ("server", "tool", "arguments", "when", "decision", "justification", *META)
MASK_KEYS = (
    *SELECTORS, "subcommand", "option", "attached", "match", "not_match", "justification", "id", "owner", "controls",
)  # fmt: skip
EXCEPTION_KEYS = ("to", "until", "approved_by", "ticket", "when")


class Declarations:
    """Collects what the declarations of one file say."""

    def __init__(self, source: SourceText, layer: Layer, evaluator: Evaluator, report: Report) -> None:
        self.source = source
        self.layer = layer
        self.evaluator = evaluator
        self.report = report
        self.conditions = Conditions(evaluator, report)
        self.rules: list[rules.Rule] = []
        self.host_executables: list[rules.HostExecutable] = []
        self.exceptions: list[rules.RuleException] = []
        self.masks: list[rules.Mask] = []
        self.defaults: rules.Defaults | None = None
        self._stem = source.path.replace("\\", "/").rsplit("/", 1)[-1]
        self._ids: dict[str, Span] = {}

    def origin(self, at: int) -> Origin:
        line, column = self.source.position(at)
        return Origin(self.layer, self.source.path, line, column)

    def made_id(self, origin: Origin) -> str:
        """`team.rules:12`, and `team.rules:12.2` for a second rule of that line."""
        stem = f"{self._stem}:{origin.line}"
        made, count = stem, 1
        while made in self._ids:
            count += 1
            made = f"{stem}.{count}"
        return made

    def literal(self, found: LiteralRule) -> None:
        origin = self.origin(found.start)
        made = self.made_id(origin)
        self._ids[made] = Span(found.start, found.end)
        meta = rules.Meta(
            id=made, decision=DECISIONS[found.decision], origin=origin, justification=found.justification
        )
        self.rules.append(rules.PrefixRule(meta=meta, pattern=found.pattern))

    def lower(self, name: str, call: syntax.Call) -> None:
        """Adds what one declaration says, or reports why it says nothing."""
        match name:
            case "prefix_rule":
                self._prefix_rule(Fields(call, name, PREFIX_KEYS, 6, self.evaluator))
            case "command_rule":
                self._command_rule(Fields(call, name, COMMAND_KEYS, 0, self.evaluator))
            case "path_rule":
                self._path_rule(Fields(call, name, PATH_KEYS, 0, self.evaluator))
            case "network_rule":
                self._network_rule(Fields(call, name, NETWORK_KEYS, 4, self.evaluator))
            case "tool_rule":
                self._tool_rule(Fields(call, name, TOOL_KEYS, 0, self.evaluator))
            case "host_executable":
                self._host_executable(Fields(call, name, ("name", "paths"), 2, self.evaluator))
            case "defaults":
                self._defaults(Fields(call, name, ("unmatched", "unknown"), 0, self.evaluator))
            case "exception":
                self._exception(Fields(call, name, EXCEPTION_KEYS, 0, self.evaluator))
            case "mask":
                self._mask(Fields(call, name, MASK_KEYS, 0, self.evaluator))

    # --- what rules share -------------------------------------------------------------------

    def _meta(self, fields: Fields, default: Decision | None) -> rules.Meta:
        decision = fields.choice("decision", DECISIONS, "E014")
        if default is None:
            fields.need("decision")
        origin = self.origin(fields.call.span.start)
        controls = fields.texts("controls")
        meta = rules.Meta(
            id=self._id(fields) or self.made_id(origin),
            decision=next((one for one in (decision, default) if one is not None), Decision.DENY),
            origin=origin,
            justification=fields.text("justification"),
            suggest=fields.text("suggest"),
            owner=fields.text("owner"),
            severity=fields.choice("severity", SEVERITIES),
            controls=tuple(text for text, _ in controls or ()),
            expires=fields.date("expires"),
            mode=fields.choice("mode", MODES) or rules.Mode.ENFORCE,
            sandbox=fields.choice("sandbox", SANDBOXES),
            network=fields.choice("network", NETWORKS),
            reviewer=fields.choice("reviewer", REVIEWERS),
            scope=fields.choice("scope", SCOPES),
        )
        if meta.id not in self._ids:
            self._ids[meta.id] = fields.call.span
        if decision is not None or (default is not None and not fields.has("decision")):
            fields.forgive()
        return meta

    def _add(self, rule: rules.Rule, fields: Fields) -> None:
        """Keeps a well-formed rule, and one that only tightens and is wrong in what does not narrow it."""
        if not fields.broken and (not fields.flawed or rule.meta.decision is not Decision.ALLOW):
            self.rules.append(rule)

    def _id(self, fields: Fields) -> str | None:
        given = fields.text("id")
        if given is None:
            return None
        span = fields.span("id")
        if ID.fullmatch(given) is None or len(given) > 200:
            fields.report("E021", f"`{given[:60]}` is not an id", span, "letters, digits and `_ . : / @ -`")
            return None
        if given in self._ids:
            line = self.source.position(self._ids[given].start)[0]
            fields.report("E021", f"id `{given}` is taken", span, f"by the rule in line {line}")
            return None
        return given

    def _when(self, fields: Fields) -> rules.Condition | None:
        expr = fields.expression("when")
        if expr is None:
            return None
        condition = self.conditions.condition(expr)
        fields.broken |= condition is None
        return condition

    def _unless(self, fields: Fields) -> tuple[tuple[rules.Element, ...], ...]:
        value = fields.value("unless")
        if value is None:
            return ()
        values = value.items if isinstance(value, Items) else (value,)
        found: list[tuple[rules.Element, ...]] = []
        for item in values:
            if isinstance(item, Operands):
                found.append(item.elements)
            else:
                fields.report(
                    "E015",
                    "`unless` is a list of `args_match(...)`",
                    item.span,
                    f"this is {KIND[type(item)]}",
                )
        if not values:
            fields.report("E017", "`unless` cannot be empty", value.span)
        return tuple(found)

    def _examples(self, fields: Fields, key: str) -> tuple[rules.Example, ...]:
        value = fields.value(key)
        if value is None:
            return ()
        if not isinstance(value, Items):
            fields.report(
                "E027", f"`{key}` is a list of examples", value.span, f"this is {KIND[type(value)]}"
            )
            return ()
        return tuple(example for item in value.items if (example := self._example(fields, item)) is not None)

    def _example(self, fields: Fields, item: Value) -> rules.Example | None:
        origin = self.origin(item.span.start)
        match item:
            case Text(text, span):
                if text.strip():
                    return rules.Example(words=None, script=text, origin=origin)
                fields.report("E027", "an example cannot be empty", span)
            case Items(items, span):
                words = tuple(word.text for word in items if isinstance(word, Text))
                if items and len(words) == len(items):
                    return rules.Example(words=words, script=None, origin=origin)
                message = "the words of an example are strings" if items else "an example cannot be empty"
                fields.report("E027", message, span)
            case _:
                fields.report(
                    "E027", f"{KIND[type(item)]} is not an example", item.span, "expected a string or a list"
                )
        return None

    def _word(self, fields: Fields, key: str) -> rules.WordPattern | None:
        value = fields.value(key)
        if value is None:
            return None
        word = self.evaluator.word(value)
        fields.broken |= word is None
        if word == rules.Exact(""):
            fields.report("E017", f"`{key}` cannot be empty", value.span)
        return word

    def _elements(self, fields: Fields, key: str) -> tuple[rules.Element, ...] | None:
        value = fields.value(key)
        if value is None:
            return None
        values = value.items if isinstance(value, Items) else (value,)
        elements = self.evaluator.elements(values)
        fields.broken |= elements is None
        return elements

    # --- the declarations -------------------------------------------------------------------

    def _prefix_rule(self, fields: Fields) -> None:
        match, not_match = self._examples(fields, "match"), self._examples(fields, "not_match")
        meta = self._meta(fields, Decision.ALLOW)
        fields.need("pattern")
        pattern = self._pattern(fields)
        canonical = fields.value("canonical_matching")
        truth = _truth(canonical)
        if canonical is not None and truth is None:
            fields.report("E015", "`canonical_matching` is True or False", canonical.span)
        rule = rules.PrefixRule(
            meta=meta,
            pattern=pattern,
            canonical=bool(truth),
            unless=self._unless(fields),
            when=self._when(fields),
            match=match,
            not_match=not_match,
        )
        if rule.unless and pattern and isinstance(pattern[-1], rules.End):
            fields.report(
                "E023",
                "no word can stand behind `end`",
                fields.span("unless"),
                "`unless` is about the words behind the pattern",
                "write `rest` for the words that `unless` is about, or leave `end` out",
            )
        self._add(rule, fields)

    def _pattern(self, fields: Fields) -> tuple[rules.Element, ...]:
        value = fields.value("pattern")
        if value is None:
            return ()
        if not isinstance(value, Items):
            fields.report("E015", "`pattern` is a list of words", value.span, f"this is {KIND[type(value)]}")
            return ()
        if not value.items:
            fields.report("E017", "`pattern` cannot be empty", value.span)
            return ()
        if isinstance(value.items[0], Several):
            fields.report("E023", "a pattern begins with the program", value.items[0].span)
            return ()
        elements = self.evaluator.elements(value.items)
        fields.broken |= elements is None
        return elements or ()

    def _command_rule(self, fields: Fields) -> None:
        match, not_match = self._examples(fields, "match"), self._examples(fields, "not_match")
        meta = self._meta(fields, None)
        fields.need("program")
        program = self._word(fields, "program")
        rule = rules.CommandRule(
            meta=meta,
            program=program or rules.Exact(""),
            subcommand=self._subcommand(fields),
            flags=self._flags(fields),
            args=self._elements(fields, "args"),
            unless=self._unless(fields),
            when=self._when(fields),
            match=match,
            not_match=not_match,
        )
        self._add(rule, fields)

    def _subcommand(self, fields: Fields) -> tuple[rules.WordPattern, ...]:
        value = fields.value("subcommand")
        if isinstance(value, Text):
            words = value.text.split()
            if not words:
                fields.report("E017", "`subcommand` cannot be empty", value.span)
            return tuple(rules.Exact(word) for word in words)
        if value is None:
            return ()
        items = value.items if isinstance(value, Items) else (value,)
        words_found = [word for item in items if (word := self.evaluator.word(item)) is not None]
        fields.broken |= len(words_found) < len(items)
        return tuple(words_found)

    def _flags(self, fields: Fields) -> rules.Flags:
        value = fields.value("flags")
        if value is None:
            return rules.Flags()
        if isinstance(value, Text):
            value = Pattern(rules.AllOf((rules.Exact(value.text),)), value.span)
        groups: dict[type, tuple[str, ...]] = {}
        for item in value.items if isinstance(value, Items) else (value,):
            pattern = item.pattern if isinstance(item, Pattern) else None
            if not isinstance(pattern, (rules.AnyOf, rules.AllOf, rules.NoneOf)):
                message = "`flags` says `any_of`, `all_of` or `none_of`"
                fields.report("E015", message, item.span, f"this is {KIND[type(item)]}")
                continue
            if isinstance(pattern, rules.AnyOf) and rules.AnyOf in groups:
                fields.report("E016", "`flags` holds a second `any_of`", item.span, "write two rules")
                continue
            texts = [option.text for option in pattern.options if isinstance(option, rules.Exact)]
            if len(texts) < len(pattern.options) or not all(map(_is_flag, texts)):
                fields.report("E015", "a flag is a string that begins with `-` or `+`", item.span)
                continue
            groups[type(pattern)] = (*groups.get(type(pattern), ()), *texts)
        return rules.Flags(
            all_of=groups.get(rules.AllOf, ()),
            any_of=groups.get(rules.AnyOf, ()),
            none_of=groups.get(rules.NoneOf, ()),
        )

    def _path_rule(self, fields: Fields) -> None:
        match, not_match = self._examples(fields, "match"), self._examples(fields, "not_match")
        meta = self._meta(fields, None)
        fields.need("paths", "access")
        rule = rules.PathRule(
            meta=meta,
            paths=self._paths(fields),
            access=self._access(fields),
            when=self._when(fields),
            match=match,
            not_match=not_match,
        )
        self._add(rule, fields)

    def _paths(self, fields: Fields, key: str = "paths") -> tuple[rules.Glob, ...]:
        value = fields.value(key)
        if value is None:
            return ()
        found: list[rules.Glob] = []
        items = value.items if isinstance(value, Items) else (value,)
        for item in items:
            text = item.text if isinstance(item, Text) else None
            if isinstance(item, Pattern) and isinstance(item.pattern, rules.Glob):
                text = item.pattern.pattern
            if text is None:
                fields.report("E015", f"`{key}` holds strings", item.span, f"this is {KIND[type(item)]}")
            elif not text.strip():
                fields.report("E017", f"`{key}` holds an empty string", item.span)
            elif self.evaluator.path_compiles(text, item.span):
                found.append(rules.Glob(text))
            else:
                fields.broken = True
        if not items:
            fields.report("E017", f"`{key}` cannot be empty", value.span)
        return tuple(found)

    def _access(self, fields: Fields) -> frozenset[Access]:
        texts = fields.texts("access")
        found: set[Access] = set()
        for text, span in texts or ():
            if text in ACCESSES:
                found.add(ACCESSES[text])
            else:
                fields.report(
                    "E019", f"`{text[:60]}` is not an access", span, "expected read, write, delete or execute"
                )
        if texts == ():
            fields.report("E017", "`access` cannot be empty", fields.span("access"))
        return frozenset(found)

    def _network_rule(self, fields: Fields) -> None:
        meta = self._meta(fields, None)
        fields.need("host")
        host, port = self._host(fields, meta.decision)
        given = fields.value("port")
        if isinstance(given, Number) and 0 < given.number < 65536:
            port = given.number
        elif given is not None:
            fields.report("E025", "a port is a number from 1 to 65535", given.span)
        rule = rules.NetworkRule(
            meta=meta,
            host=host,
            port=port,
            protocol=fields.choice("protocol", PROTOCOLS),
            when=self._when(fields),
        )
        self._add(rule, fields)

    def _host(self, fields: Fields, decision: Decision) -> tuple[str, int | None]:
        text = fields.text("host", blank=True)
        if text is None:
            return "", None
        try:
            host, port = read_host(text)
        except BadHost as error:
            fields.report("E025", f"host {error}", fields.span("host"))
            return "", None
        # A port in the host narrows an allow. Codex ignores it, so a deny that heeded it would open the others.
        return host, port if decision is Decision.ALLOW else None

    def _tool_rule(self, fields: Fields) -> None:
        meta = self._meta(fields, None)
        fields.need("tool")
        rule = rules.ToolRule(
            meta=meta,
            tool=self._word(fields, "tool") or rules.Exact(""),
            server=self._word(fields, "server"),
            arguments=self._arguments(fields),
            when=self._when(fields),
        )
        self._add(rule, fields)

    def _arguments(self, fields: Fields) -> tuple[tuple[str, rules.WordPattern], ...]:
        value = fields.value("arguments")
        if value is None:
            return ()
        if not isinstance(value, Table):
            fields.report("E015", "`arguments` is a dict", value.span, '`{"repo": glob("acme/*")}`')
            return ()
        found: dict[str, rules.WordPattern] = {}
        for key, item in value.entries:
            pattern = self.evaluator.word(item)
            fields.broken |= pattern is None
            if not isinstance(key, Text) or not key.text:
                fields.report("E015", "the name of an argument is a string", key.span)
            elif key.text in found:
                fields.report("E016", f"`{key.text[:60]}` is given twice", key.span)
            elif pattern is not None:
                found[key.text] = pattern
        return tuple(found.items())

    def _host_executable(self, fields: Fields) -> None:
        fields.need("name", "paths")
        name = fields.text("name", blank=True)
        paths = fields.texts("paths")
        if name is not None and (name in ("", ".", "..") or "/" in name or "\0" in name):
            fields.report(
                "E026", f"`{name[:60]}` is not the name of a program", fields.span("name"), "no folder in it"
            )
            return
        found: list[str] = []
        for text, span in paths or ():
            normal = _normal(text)
            if not text.startswith("/"):
                fields.report("E026", f"`{text[:60]}` is not absolute", span)
            elif name is not None and normal.rsplit("/", 1)[-1] != name:
                fields.report(
                    "E026",
                    f"`{text[:60]}` is not a path of `{name[:60]}`",
                    span,
                    f"expected `.../{name[:60]}`",
                )
            elif normal not in found:
                found.append(normal)
        if not fields.broken and name is not None:
            origin = self.origin(fields.call.span.start)
            self.host_executables.append(rules.HostExecutable(name=name, paths=tuple(found), origin=origin))

    def _defaults(self, fields: Fields) -> None:
        if self.defaults is not None:
            line = self.defaults.origin.line
            fields.report(
                "E016", "`defaults` is given twice", fields.call.function.span, f"first in line {line}"
            )
        unmatched = fields.choice("unmatched", DECISIONS, "E014")
        unknown = fields.choice("unknown", STRICT, "E014")
        if not fields.has("unmatched") and not fields.has("unknown"):
            fields.report("E013", "`defaults` needs `unmatched` or `unknown`", fields.call.function.span)
        if not fields.broken:
            self.defaults = rules.Defaults(
                unmatched=Decision.ASK if unmatched is None else unmatched,
                unknown=Decision.ASK if unknown is None else unknown,
                origin=self.origin(fields.call.span.start),
            )

    def _exception(self, fields: Fields) -> None:
        fields.need("to", "until", "approved_by")
        exception = rules.RuleException(
            to=fields.text("to") or "",
            until=fields.date("until") or "",
            approved_by=fields.text("approved_by") or "",
            ticket=fields.text("ticket"),
            when=self._when(fields),
            origin=self.origin(fields.call.span.start),
        )
        if not fields.broken:
            self.exceptions.append(exception)

    def _mask(self, fields: Fields) -> None:
        match, not_match = self._examples(fields, "match"), self._examples(fields, "not_match")
        origin = self.origin(fields.call.span.start)
        name = self._id(fields) or self.made_id(origin)
        self._ids.setdefault(name, fields.call.span)
        mask = rules.Mask(
            id=name,
            origin=origin,
            justification=fields.text("justification"),
            owner=fields.text("owner"),
            controls=tuple(text for text, _ in fields.texts("controls") or ()),
            match=match,
            not_match=not_match,
        )
        fields.forgive()  # a mask only hides: what is wrong beside what it is about does not take it away
        whole = read_mask(mask, fields, self._word, self._paths)
        if whole is not None:
            self.masks.append(whole)


def _truth(value: Value | None) -> bool | None:
    return value.truth if isinstance(value, Boolean) else None


def _is_flag(text: str) -> bool:
    return len(text) > 1 and text[0] in "-+" and not any(char.isspace() for char in text)


def _normal(path: str) -> str:
    """`path` without `.`, `..` and doubled slashes."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)
