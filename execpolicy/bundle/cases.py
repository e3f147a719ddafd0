"""Tables of cases: what a policy is expected to decide, read with file and line, run, and what they reached."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from execpolicy.bundle.yamltree import compose
from execpolicy.decision import Decision, Origin, SandboxMode, Verdict
from execpolicy.diagnostics import Diagnostic
from execpolicy.engine.check import check, check_argv
from execpolicy.engine.context import CheckContext, FactValue
from execpolicy.engine.policy import Policy
from execpolicy.lang.conditions import FACTS as FACT_NAMES
from execpolicy.lang.rules import Rule
from execpolicy.source import SourceText, Span
from execpolicy.values import replace

WORKSPACE: Final = "/home/user/project"
# Cases say the same on every machine: nothing is looked up, and no fact is known that a case does not give.
CONTEXT: Final = CheckContext(
    cwd=WORKSPACE,
    workspace=WORKSPACE,
    home="/home/user",
    writable=("/tmp",),
    protected=(f"{WORKSPACE}/.git", f"{WORKSPACE}/.agent", "/etc/agent", "/home/user/.agent"),
)
DECISIONS: Final = {decision.word: decision for decision in Decision} | {
    "prompt": Decision.ASK,
    "forbidden": Decision.DENY,
}
MAX_TEXT: Final = 16 * 1024 * 1024
MAX_ERRORS: Final = 100
TEXT: Final = {"type": "string", "empty": False}
FACTS: Final = {
    "type": "dict",
    "keysrules": TEXT,
    "valuesrules": {"type": ["string", "boolean", "list"], "schema": TEXT},
}
SCHEMA: Final = {
    "decision": {"type": "string", "required": True, "allowed": sorted(DECISIONS)},
    "command": TEXT,
    "script": TEXT,
    "argv": {"type": "list", "minlength": 1, "schema": {"type": "string"}},
    "rule": TEXT,
    "cwd": TEXT,
    "facts": FACTS,
    "today": {"type": "string", "regex": r"[0-9]{4}-[0-9]{2}-[0-9]{2}"},
    "name": TEXT,
}
KNOWN_FACTS: Final = frozenset((*FACT_NAMES, "groups"))
ASKS: Final = ("command", "script", "argv")


@dataclass(frozen=True, slots=True)
class Case:
    """One row: what is asked, where, and the answer that is expected."""

    decision: Decision
    script: str | None
    argv: tuple[str, ...]
    path: str
    line: int
    rule: str | None = None
    name: str = ""
    cwd: str | None = None
    today: str | None = None
    facts: tuple[tuple[str, FactValue], ...] = ()

    @property
    def text(self) -> str:
        """What is asked about, on one line."""
        return " ".join(self.argv) if self.script is None else self.script.strip().replace("\n", "\\n")

    @property
    def title(self) -> str:
        return self.name or self.text


@dataclass(frozen=True, slots=True)
class Result:
    """What the policy said about a case; `wrong` says in what it is not as expected."""

    case: Case
    verdict: Verdict
    wrong: str = ""


def read_cases(text: str, path: str) -> tuple[tuple[Case, ...], tuple[Diagnostic, ...]]:
    """The rows of a table, and everything that is wrong with the others. Never raises for a bad text."""
    import yaml

    source = SourceText(path, text)
    if len(text) > MAX_TEXT:
        return (), (_error(source, "C001", "table is too large", Span(0, 1)),)
    try:
        root = compose(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = source.offset(mark.line + 1, mark.column + 1) if mark is not None else 0
        return (), (_error(source, "C001", f"no YAML: {error.problem or error.context}", Span(at, at + 1)),)
    except (yaml.YAMLError, ValueError) as error:
        told = str(error).splitlines()[0]
        return (), (_error(source, "C001", f"no YAML: {told}", Span(0, 1)),)
    reading = _Reading(source)
    return tuple(reading.rows(root)), tuple(reading.errors[:MAX_ERRORS])


def _error(source: SourceText, code: str, message: str, span: Span, help_: str = "") -> Diagnostic:
    end = min(span.end, len(source.text))
    return Diagnostic(
        code=code, message=message, source=source, span=Span(min(span.start, end), end), help=help_
    )


class _Reading:
    def __init__(self, source: SourceText) -> None:
        self.source = source
        self.errors: list[Diagnostic] = []

    def report(self, node: Any, message: str, help_: str = "") -> None:
        start = self._at(node.start_mark)
        stop = self.source.text.find("\n", start)
        end = min(self._at(node.end_mark), stop if stop >= 0 else len(self.source.text))
        self.errors.append(_error(self.source, "C002", message, Span(start, max(end, start + 1)), help_))

    def _at(self, mark: Any) -> int:
        return self.source.offset(mark.line + 1, mark.column + 1)

    def rows(self, root: Any) -> Iterator[Case]:
        import yaml
        from cerberus import Validator

        if root is None:
            return
        if not isinstance(root, yaml.SequenceNode):
            self.report(root, "a table is a list of cases", "start each row with `- decision: ...`")
            return
        validator = Validator(SCHEMA)
        for node in root.value:
            if len(self.errors) >= MAX_ERRORS:
                return
            case = self._row(node, validator)
            if case is not None:
                yield case

    def _row(self, node: Any, validator: Any) -> Case | None:
        import yaml

        if not isinstance(node, yaml.MappingNode):
            self.report(node, "a case is a mapping", "`{decision: allow, command: git status}`")
            return None
        places: dict[object, Any] = {}
        for key, value in node.value:
            if key.value in places:
                self.report(key, f"`{str(key.value)[:60]}` is given twice")
                return None
            places[key.value] = value
        try:
            row = _plain(node)
        except ValueError as error:
            self.report(node, str(error))
            return None
        if not _is_plain(row) and not validator.validate(row):
            self._told(validator.errors, node, places)
            return None
        asked = [key for key in ASKS if key in row]
        if len(asked) != 1:
            self.report(node, "a case asks about one of `command`, `script` and `argv`")
            return None
        facts = cast("Mapping[str, object]", row.get("facts", {}))
        if unknown := next((name for name in facts if name not in KNOWN_FACTS), None):
            self.report(
                places["facts"],
                f"`{unknown[:60]}` is not a fact",
                f"facts are {', '.join(sorted(KNOWN_FACTS))}",
            )
            return None
        if not _is_date(row.get("today")):
            self.report(places["today"], f"`{row['today']}` is not in the calendar")
            return None
        key = asked[0]
        return Case(
            decision=DECISIONS[str(row["decision"])],
            script=None if key == "argv" else str(row[key]),
            argv=tuple(map(str, cast("list[object]", row["argv"]))) if key == "argv" else (),
            path=self.source.path,
            line=node.start_mark.line + 1,
            rule=cast("str | None", row.get("rule")),
            name=str(row.get("name", "")),
            cwd=cast("str | None", row.get("cwd")),
            today=cast("str | None", row.get("today")),
            facts=tuple(_facts(facts)),
        )

    def _told(self, errors: Mapping[str, Sequence[object]], node: Any, places: Mapping[object, Any]) -> None:
        for key, found in errors.items():
            place = places.get(key, node)
            for one in found:
                if one == "unknown field":
                    known = ", ".join(SCHEMA)
                    self.report(place, f"a case has no `{str(key)[:60]}`", f"it has {known}")
                elif one == "required field":
                    self.report(place, f"a case needs `{key}`")
                else:
                    self.report(place, f"`{key}`: {_flat(one)}")


def _is_plain(row: Mapping[str, object]) -> bool:
    """The usual row, which is right at a look; a long table is made of them."""
    return (
        row.get("decision") in DECISIONS
        and row.keys() <= {"decision", "command", "rule", "name"}
        and all(isinstance(value, str) and value for value in row.values())
    )


def _is_date(text: object) -> bool:
    from datetime import date

    try:
        return text is None or bool(date.fromisoformat(str(text)))
    except ValueError:
        return False


def _flat(error: object) -> str:
    """What cerberus says, the innermost sentence."""
    while isinstance(error, dict | list):
        error = next(iter(error.values())) if isinstance(error, dict) else error[0]
    return str(error)


def _plain(node: Any) -> dict[str, object]:
    """The mapping as values; a date or number in the place of a text is that text."""
    import yaml

    def value(inner: Any) -> object:
        if isinstance(inner, yaml.SequenceNode):
            return [value(item) for item in inner.value]
        if isinstance(inner, yaml.MappingNode):
            found = {str(value(key)): value(item) for key, item in inner.value}
            if len(found) < len(inner.value):
                raise ValueError("a key is given twice")
            return found
        if inner.tag == "tag:yaml.org,2002:bool":
            return str(inner.value).lower() in ("true", "yes", "on")
        if inner.tag == "tag:yaml.org,2002:null":
            return None
        return str(inner.value)

    found = value(node)
    assert isinstance(found, dict)
    return found


def _facts(given: Mapping[str, object]) -> Iterator[tuple[str, FactValue]]:
    for name, value in given.items():
        if isinstance(value, str | bool):
            yield name, (value,) if name == "groups" and isinstance(value, str) else value
        elif isinstance(value, list):
            yield name, tuple(map(str, value))


def run_cases(cases: Iterable[Case], policy: Policy, context: CheckContext = CONTEXT) -> Iterator[Result]:
    """What the policy says about each case."""
    for case in cases:
        here = _context(case, context)
        verdict = (
            check_argv(case.argv, policy, here) if case.script is None else check(case.script, policy, here)
        )
        yield Result(case, verdict, _wrong(case, verdict))


def _wrong(case: Case, verdict: Verdict) -> str:
    if verdict.decision is not case.decision:
        by = f" by {verdict.deciding.rule_id}" if verdict.deciding is not None else ""
        return f"expected {case.decision.word}, got {verdict.decision.word}{by}"
    if case.rule is not None and all(match.rule_id != case.rule for match in verdict.matches):
        spoke = ", ".join(dict.fromkeys(match.rule_id for match in verdict.matches)) or "none"
        return f"expected rule {case.rule} to speak, which spoke: {spoke}"
    return ""


def _context(case: Case, context: CheckContext) -> CheckContext:
    facts = dict(case.facts)
    sandbox = facts.pop("sandbox", None)
    known = {mode.value: mode for mode in SandboxMode}
    cwd = context.cwd
    if case.cwd is not None:
        cwd = posixpath.normpath(posixpath.join(context.workspace, case.cwd))
    return replace(
        context,
        cwd=cwd,
        facts={**context.facts, **facts},
        sandbox=known[sandbox] if isinstance(sandbox, str) and sandbox in known else context.sandbox,
        today=case.today or context.today,
    )


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which rules about commands and files spoke in at least one case."""

    reached: tuple[Rule, ...]
    missed: tuple[Rule, ...]

    @property
    def share(self) -> float:
        """1.0 when there is nothing to reach."""
        total = len(self.reached) + len(self.missed)
        return len(self.reached) / total if total else 1.0


def coverage(policy: Policy, results: Iterable[Result]) -> Coverage:
    """What `results` reached. Rules about hosts and tools, which no case can ask about, are left out."""
    from execpolicy.lang.rules import NetworkRule, ToolRule

    spoke: set[tuple[str, Origin]] = {
        (match.rule_id, match.origin) for result in results for match in result.verdict.matches
    }
    rules = [rule for rule in policy.rules if not isinstance(rule, NetworkRule | ToolRule)]
    reached = [(rule.meta.id, rule.meta.origin) in spoke for rule in rules]
    return Coverage(
        tuple(rule for rule, hit in zip(rules, reached, strict=True) if hit),
        tuple(rule for rule, hit in zip(rules, reached, strict=True) if not hit),
    )
