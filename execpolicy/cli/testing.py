"""Answers one `policy test`: the examples that rules carry and tables of cases, as a report, JSON or JUnit XML."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from execpolicy.bundle.cases import Coverage, Result, coverage, read_cases, run_cases
from execpolicy.bundle.load import load_policy
from execpolicy.cli.files import Sources, Unreadable, fail, read_text, write_text
from execpolicy.diagnostics import Diagnostic, Severity, printable, render, to_json
from execpolicy.engine.examples import Failure, failures
from execpolicy.engine.policy import Policy
from execpolicy.lang.rules import Rule

SHOWN: Final = 100  # failures of one file, and rules that were not reached
NO_XML: Final = re.compile(r"[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What one call of `policy test` asks for."""

    cases: tuple[str, ...]
    rules: tuple[str, ...]
    folder: str
    json: bool
    junit: str | None
    coverage: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """The tests of one file. Each has a name, a place and, when it failed, why."""

    name: str
    tests: tuple[Test, ...]
    seconds: float = 0.0

    @property
    def failed(self) -> tuple[Test, ...]:
        return tuple(test for test in self.tests if test.failure)


@dataclass(frozen=True, slots=True)
class Test:
    name: str
    place: str
    failure: str = ""
    detail: tuple[str, ...] = field(default=())


def answer(wanted: Wanted) -> int:
    """Print the report. Exit status 1 when a test fails or a file cannot be used."""
    try:
        sources = Sources.of(wanted.rules, Path(wanted.folder))
        texts = [(name, read_text(Path(name))) for name in wanted.cases]
    except Unreadable as error:
        return fail(str(error))
    loaded = load_policy(sources.sources, run_examples=False)
    errors = [one for one in loaded.diagnostics if one.severity is Severity.ERROR]
    tables = []
    for name, text in texts:
        cases, wrong = read_cases(text, name)
        errors += wrong
        tables.append((name, cases))
    if errors:
        return _errors(errors, wanted)
    suites = _examples(loaded.policy)
    results: list[Result] = []
    for name, cases in tables:
        begun = time.perf_counter()
        found = list(run_cases(cases, loaded.policy))
        results += found
        suites.append(Suite(name=name, tests=tuple(map(_case, found)), seconds=time.perf_counter() - begun))
    reached = coverage(loaded.policy, results) if wanted.coverage else None
    if wanted.junit is not None:
        try:
            write_text(Path(wanted.junit), junit(suites))
        except Unreadable as error:
            return fail(str(error))
    if wanted.json:
        _as_json(suites, reached)
    else:
        _as_text(suites, reached)
    return int(any(suite.failed for suite in suites))


def _errors(errors: Sequence[Diagnostic], wanted: Wanted) -> int:
    if wanted.json:
        print(json.dumps({"error": "files", "diagnostics": [to_json(one) for one in errors]}, indent=2))
    else:
        for one in errors:
            print(render(one) + "\n", file=sys.stderr)
        print(f"{len(errors)} error{'s' if len(errors) > 1 else ''}, nothing was run", file=sys.stderr)
    return 1


def _examples(policy: Policy) -> list[Suite]:
    """One suite a rule file that has examples."""
    by_file: dict[str, list[Rule]] = {}
    for rule in policy.rules:
        if getattr(rule, "match", ()) or getattr(rule, "not_match", ()):
            by_file.setdefault(rule.meta.origin.path, []).append(rule)
    suites = []
    for path, rules in by_file.items():
        begun = time.perf_counter()
        failed: dict[int, Failure] = {id(one.example): one for one in failures(rules, policy.hosts)}
        tests = []
        for rule in rules:
            for expected, key in ((True, "match"), (False, "not_match")):
                for example in getattr(rule, key):
                    text = example.script if example.words is None else " ".join(example.words)
                    wrong = failed.get(id(example))
                    tests.append(
                        Test(
                            f"{rule.meta.id} {'matches' if expected else 'does not match'} `{_line(text)}`",
                            str(example.origin),
                            "" if wrong is None else wrong.message,
                        )
                    )
        suites.append(Suite(name=path, tests=tuple(tests), seconds=time.perf_counter() - begun))
    return suites


def _case(result: Result) -> Test:
    from execpolicy.engine.explain import lines

    case = result.case
    detail = tuple(lines(result.verdict)) if result.wrong else ()
    return Test(
        f"{case.decision.word} `{_line(case.title)}`", f"{case.path}:{case.line}", result.wrong, detail
    )


def _line(text: str) -> str:
    shown = printable(text.replace("\n", "\\n"))
    return shown if len(shown) <= 100 else shown[:97] + "..."


# --- as text --------------------------------------------------------------------------------


def _as_text(suites: Sequence[Suite], reached: Coverage | None) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for suite in suites:
        bad = len(suite.failed)
        mark = Text("fail " if bad else "pass ", style="bold red" if bad else "bold green")
        count = f"{bad} of {len(suite.tests)} failed" if bad else f"{len(suite.tests)} passed"
        console.print(Text.assemble(mark, printable(suite.name), (f"  {count}", "dim")))
        for test in suite.failed[:SHOWN]:
            console.print(
                Text.assemble("     ", ("✗ " if console.encoding == "utf-8" else "x ", "red"), test.name)
            )
            console.print(
                Text.assemble("       ", (test.failure, "red"), ("  " + printable(test.place), "dim"))
            )
            for line in test.detail:
                console.print(Text("       | " + line, style="dim"))
    if any(len(suite.failed) > SHOWN for suite in suites):
        console.print(f"     at most {SHOWN} failures of a file are shown")
    if reached is not None:
        _coverage(console, reached)
    total = sum(len(suite.tests) for suite in suites)
    failed = sum(len(suite.failed) for suite in suites)
    if not total:
        console.print("nothing to test: no example in the rules and no table of cases")
        return
    seconds = sum(suite.seconds for suite in suites)
    told = f"{failed} failed, {total - failed} passed" if failed else f"{total} passed"
    console.print(
        Text.assemble((told, "bold red" if failed else "bold green"), (f" in {seconds:.2f} s", "dim"))
    )


def _coverage(console: object, reached: Coverage) -> None:
    from rich.console import Console
    from rich.text import Text

    assert isinstance(console, Console)
    total = len(reached.reached) + len(reached.missed)
    head = f"coverage: {len(reached.reached)} of {total} rules reached by cases ({reached.share:.0%})"
    console.print(Text(head, style="bold"))
    for rule in reached.missed[:SHOWN]:
        console.print(
            Text.assemble(
                "     not reached: ",
                (f"{rule.meta.decision.word} {rule.meta.id}", "yellow"),
                (f"  {printable(str(rule.meta.origin))}", "dim"),
            )
        )
    if len(reached.missed) > SHOWN:
        console.print(f"     and {len(reached.missed) - SHOWN} more")


# --- for machines ---------------------------------------------------------------------------


def _as_json(suites: Sequence[Suite], reached: Coverage | None) -> None:
    answer: dict[str, object] = {
        "passed": sum(len(suite.tests) - len(suite.failed) for suite in suites),
        "failed": sum(len(suite.failed) for suite in suites),
        "suites": [
            {
                "name": suite.name,
                "tests": [
                    {"name": test.name, "place": test.place, "failure": test.failure or None}
                    for test in suite.tests
                ],
            }
            for suite in suites
        ],
        "coverage": None
        if reached is None
        else {
            "reached": [rule.meta.id for rule in reached.reached],
            "missed": [
                {"id": rule.meta.id, "decision": rule.meta.decision.word, "origin": str(rule.meta.origin)}
                for rule in reached.missed
            ],
        },
    }
    print(json.dumps(answer, indent=2))


def junit(suites: Sequence[Suite]) -> str:
    """The report as CI systems read it."""
    from xml.etree import ElementTree as xml

    total, failed = sum(len(suite.tests) for suite in suites), sum(len(suite.failed) for suite in suites)
    seconds = sum(suite.seconds for suite in suites)
    root = xml.Element(
        "testsuites",
        name="policy test",
        tests=str(total),
        failures=str(failed),
        errors="0",
        time=f"{seconds:.3f}",
    )
    for suite in suites:
        at = xml.SubElement(
            root,
            "testsuite",
            name=_xml(suite.name),
            tests=str(len(suite.tests)),
            failures=str(len(suite.failed)),
            errors="0",
            skipped="0",
            time=f"{suite.seconds:.3f}",
        )
        for test in suite.tests:
            path, _, line = test.place.partition(":")
            case = xml.SubElement(
                at, "testcase", name=_xml(test.name), classname=_xml(suite.name), file=_xml(path), time="0"
            )
            if line:
                case.set("line", line.partition(":")[0])
            if test.failure:
                failure = xml.SubElement(case, "failure", message=_xml(test.failure), type="policy")
                failure.text = _xml("\n".join((test.place, *test.detail)))
    xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + xml.tostring(root, encoding="unicode") + "\n"


def _xml(text: str) -> str:
    """Without the characters that no XML may hold."""
    return NO_XML.sub("?", text)
