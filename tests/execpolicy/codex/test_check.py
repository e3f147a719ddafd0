"""The answer, the exit status and the error line of Codex's `execpolicy check`."""

# ruff: noqa: E501 - a row of a table is one line

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from execpolicy.codex import main
from execpolicy.codex.check import check
from execpolicy.codex.starlark import Child


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str


class Lent(Child):
    """The child of the session: the check that borrows it does not end it."""

    def __init__(self, child: Child) -> None:
        self._child = child

    def ask(self, request: dict[str, str]) -> dict[str, object]:
        return self._child.ask(request)

    def close(self) -> None:
        pass


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, child: Child):  # type: ignore[no-untyped-def]
    (tmp_path / "home").mkdir()
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def go(text: str, *words: str) -> Ran:
        Path("a.rules").write_text(text, encoding="utf-8", newline="")
        out, err = io.StringIO(), io.StringIO()
        status = check(["--rules", "a.rules", *words], out, err, child=Lent(child))
        return Ran(status, out.getvalue().replace(str(tmp_path), "{T}"), err.getvalue())

    return go


def match(prefix: list[str], decision: str, **more: str) -> dict[str, object]:
    return {"prefixRuleMatch": {"matchedPrefix": prefix, "decision": decision, **more}}


@pytest.mark.parametrize(
    ("text", "words", "matches"),
    [
        pytest.param('prefix_rule(["ls"])', ["ls", "-l"], [match(["ls"], "allow")], id="prefix"),
        pytest.param('prefix_rule(["ls"])', ["lsx"], [], id="whole-words"),
        pytest.param('prefix_rule(["ls", "a"])', ["ls"], [], id="too-short"),
        pytest.param(
            'prefix_rule(["a", ["b", "c"]])', ["a", "c", "d"], [match(["a", "c"], "allow")], id="alternatives"
        ),
        pytest.param(
            'prefix_rule([["a", "a"]])', ["a"], [match(["a"], "allow")] * 2, id="first-word-makes-rules"
        ),
        pytest.param(
            'prefix_rule(["a"], "forbidden", justification=" no ")\nprefix_rule(["a", "b"], "prompt")',
            ["a", "b"],
            [match(["a"], "forbidden", justification=" no "), match(["a", "b"], "prompt")],
            id="every-match-in-order",
        ),
        pytest.param('prefix_rule(["bash"])', ["/bin/bash"], [], id="no-resolution-unasked"),
        pytest.param('prefix_rule([""])', [""], [match([""], "allow")], id="empty-word"),
        pytest.param(
            'prefix_rule(["STRASSE"], canonical_matching=True)',
            ["straße"],
            [match(["straße"], "allow")],
            id="canonical",
        ),
        pytest.param(
            'prefix_rule(["LS"], canonical_matching=True)\nprefix_rule(["ls"], "prompt")',
            ["ls"],
            [match(["ls"], "prompt"), match(["ls"], "allow")],
            id="own-spelling-first",
        ),
        pytest.param(
            'def f(x):\n  for s in ["a", "b"]:\n    prefix_rule([x, f"{s}!{x}"])\nf("q")\n',
            ["q", "b!q"],
            [match(["q", "b!q"], "allow")],
            id="program",
        ),
        pytest.param(
            'prefix_rule([f"{"i".upper()}{{}}{1 + 1!r}"])', ["I{}2"], [match(["I{}2"], "allow")], id="format"
        ),
        pytest.param('x = b"y"\nlambda: x', ["q"], [], id="bytes-and-a-value-at-the-end"),
    ],
)
def test_answers(run, text: str, words: list[str], matches: list[object]) -> None:  # type: ignore[no-untyped-def]
    want: dict[str, object] = {"matchedRules": matches}
    order = ["allow", "prompt", "forbidden"]
    if matches:
        found = [one["prefixRuleMatch"]["decision"] for one in matches]  # type: ignore[index]
        want["decision"] = max(found, key=order.index)
    assert run(text, "--", *words) == Ran(
        0, json.dumps(want, ensure_ascii=False, separators=(",", ":")) + "\n", ""
    )


@pytest.mark.parametrize(
    ("text", "program", "resolved"),
    [
        pytest.param('prefix_rule(["ls"])', "/bin/../bin/ls", "/bin/ls", id="absolute"),
        pytest.param('prefix_rule(["ls"])', "x/./ls", "{T}/cwd/x/ls", id="relative"),
        pytest.param('prefix_rule(["ls"])', "~/ls", "{T}/home/ls", id="home"),
        pytest.param(
            'prefix_rule(["ls"])\nhost_executable("ls", ["/bin/ls"])', "/bin/ls", "/bin/ls", id="listed"
        ),
        pytest.param(
            'prefix_rule(["ls"])\nhost_executable("ls", ["/bin/ls"])', "/tmp/ls", None, id="not-listed"
        ),
        pytest.param('prefix_rule(["ls"])\nhost_executable("ls", [])', "/bin/ls", None, id="none-listed"),
    ],
)
def test_resolution(run, text: str, program: str, resolved: str | None) -> None:  # type: ignore[no-untyped-def]
    answer = json.loads(run(text, "--resolve-host-executables", program).out)
    assert [one["prefixRuleMatch"]["resolvedProgram"] for one in answer["matchedRules"]] == [
        path for path in [resolved] if path
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('prefix_rule(["a"], "deny")', "invalid decision: deny"),
        ('prefix_rule(["a"], "Allow")', "invalid decision: Allow"),
        ("prefix_rule(x=1)", "Missing parameter `pattern` for call to `prefix_rule`"),
        ('prefix_rule(["a"], x=1, y=2)', "Found `x` `y` extra named parameter(s) for call to prefix_rule"),
        ('prefix_rule(["a"], pattern=["b"])', "Argument `pattern` occurs more than once"),
        ('prefix_rule(("a",))', 'Type of parameter `pattern` doesn\'t match, expected `list`, actual `tuple (repr: ("a",))`'),
        ('prefix_rule(["a"], b"x")', 'Type of parameter `decision` doesn\'t match, expected `str`, actual `bytes (repr: b"x")`'),
        ('prefix_rule(["a", [1]])', "invalid pattern element: pattern alternative must be a string (got int)"),
        ('prefix_rule(["a"], justification="\\u3000")', "invalid rule: justification cannot be empty"),
        ('prefix_rule(["a"], match=["a \\"b"])', "invalid example: example string has invalid shell syntax"),
        (
            'prefix_rule([["a", "b"], ["c", "d\\""]], match=["a c", "x \'y z\'", "é"])',
            "expected every example to match at least one rule. rules: ["
            + ", ".join(
                f'"PrefixRule {{ pattern: PrefixPattern {{ canonical_matching: false, first: \\"{first}\\", rest: '
                '[Alts([\\"c\\", \\"d\\\\\\"\\"])] }, decision: Allow, justification: None }"'
                for first in "ab"
            )
            + "]; unmatched examples: [\"x 'y z'\", \"'é'\"]",
        ),
        (
            'prefix_rule(["a"], "prompt", not_match=["b", "/x/a 1"], justification="j")',
            'expected example to not match rule `PrefixRuleMatch { matched_prefix: ["a"], decision: Prompt, '
            'resolved_program: Some(AbsolutePathBuf("/x/a")), justification: Some("j") }`: /x/a 1',
        ),
        ('host_executable("a", ["/b"])', "invalid rule: host_executable path `/b` must have basename `a`"),
        ('network_rule("a b", "http", "deny")', "invalid rule: network_rule host cannot contain whitespace"),
        ('network_rule("a", "ftp", "deny")', "invalid rule: network_rule protocol must be one of http, https, socks5_tcp, socks5_udp (got ftp)"),
        ('x = [1 2]', "Parse error: unexpected integer literal '2', expected symbol ']'"),
        ('x = (1', "Parse error: unexpected new line, expected symbol ')'"),
        ('x = {1: 2 3}', "Parse error: unexpected integer literal '3', expected symbol '}'"),
        ('x = a == b == c', "Parse error: unexpected symbol '==', expected end of expression (comparisons are not associative in Starlark)"),
        ('x = 1 if 2', "Parse error: unexpected new line, expected keyword 'else'"),
        ('x = f"{}"', "Parse error: unexpected f-string expression end '}', expected expression"),
        ('x = f"{a b}"', "Parse error: unexpected identifier 'b', expected f-string expression end '}'"),
        ('while True: pass', "Parse error: cannot use reserved keyword `while`"),
        ('fail("no", 1)', "fail: no 1"),
        ('foo()', "Variable `foo` not found, did you mean `bool`?"),
        ('def f(): f()\nf()', "Starlark call stack overflow"),
    ],
)  # fmt: skip
def test_refusals(run, text: str, line: str) -> None:  # type: ignore[no-untyped-def]
    ran = run(text, "a")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("Error: failed to parse policy at a.rules\n\nCaused by:\n")
    assert any(
        one.strip().removeprefix("starlark error: ").removeprefix("error: ") == line
        for one in ran.err.split("\n")
    )


def test_the_account_of_a_refusal(run) -> None:  # type: ignore[no-untyped-def]
    assert run('# c\ndef f(d):\n  prefix_rule(["a"], d)  # (\nf(f"x{1}")\n', "a").err == (
        "Error: failed to parse policy at a.rules\n\nCaused by:\n"
        "    starlark error: Traceback (most recent call last):\n"
        '      * a.rules:4, in <module>\n          f(f"x{1}")\n'
        '      * a.rules:3, in f\n          prefix_rule(["a"], d)  # (\n'
        "    error: invalid decision: x1\n     --> a.rules:3:3\n      |\n"
        '    3 |   prefix_rule(["a"], d)  # (\n      |   ^^^^^^^^^^^^^^^^^^^^^\n      |\n    \n'
    )


USAGE = (
    "\n\nUsage: codex execpolicy check {}--rules <PATH> <COMMAND>...\n\nFor more information, try '--help'.\n"
)


@pytest.mark.parametrize(
    ("words", "status", "err"),
    [
        ([], 2, "error: the following required arguments were not provided:\n  --rules <PATH>\n  <COMMAND>..." + USAGE.format("")),
        (["ls"], 2, "error: the following required arguments were not provided:\n  --rules <PATH>" + USAGE.format("")),
        (["-r=f", "ls"], 2, "error: the following required arguments were not provided:\n  --rules <PATH>" + USAGE.format("")),
        (["--pretty", "--pretty", "ls"], 2, "error: the argument '--pretty' cannot be used multiple times" + USAGE.format("[OPTIONS] ")),
        (["--rules", "--pretty", "ls"], 2, "error: a value is required for '--rules <PATH>' but none was supplied\n\nFor more information, try '--help'.\n"),
        (["--enable", "x", "-r", "f", "ls"], 1, "Error: Unknown feature flag: x\n"),
        (["-r", "no.rules", "ls"], 1, "Error: failed to read policy at no.rules\n\nCaused by:\n    No such file or directory (os error 2)\n"),
        (["-r", "/", "ls"], 1, "Error: failed to read policy at /\n\nCaused by:\n    Is a directory (os error 21)\n"),
    ],
)  # fmt: skip
def test_usage(words: list[str], status: int, err: str) -> None:
    out, told = io.StringIO(), io.StringIO()
    assert (main(words, out, told), out.getvalue(), told.getvalue()) == (status, "", err)


def test_options_end_where_the_command_begins(run) -> None:  # type: ignore[no-untyped-def]
    rule = 'prefix_rule(["ls", "--pretty"])'
    assert run(rule, "ls", "--pretty").out.startswith('{"matchedRules":[{')
    assert run(rule, "--", "--pretty").out == '{"matchedRules":[]}\n'
    assert run(rule, "--pretty", "ls").out == '{\n  "matchedRules": []\n}\n'


def test_recorded_answers(
    reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, child: Child
) -> None:
    wrong: list[str] = []
    lines = (reference / "codex-cases.jsonl").read_text("utf-8").removesuffix("\n").split("\n")
    for number, line in enumerate(lines):
        case = json.loads(line)
        folder = tmp_path / str(number)
        (folder / "cwd").mkdir(parents=True)
        monkeypatch.chdir(folder / "cwd")
        monkeypatch.setenv("HOME", str(folder / "home"))
        places = {"{CWD}": str(folder / "cwd"), "{HOME}": str(folder / "home"), "{PARENT}": str(folder)}

        def put(text: str, places: dict[str, str] = places) -> str:
            for name, place in places.items():
                text = text.replace(name, place)
            return text

        for name, text in case["rules"].items():
            path = Path(put(name))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes.fromhex(text["hex"]) if isinstance(text, dict) else put(text).encode())
        out, err = io.StringIO(), io.StringIO()
        status = check([put(word) for word in case["args"] + case["argv"]], out, err, child=Lent(child))
        same = case.get("unordered") or out.getvalue() == put(case["stdout"])
        told = not case["error"] or any(
            one.strip().endswith(put(case["error"])) for one in err.getvalue().split("\n")
        )
        if status != case["exit"] or not same or not told:
            wrong.append(case["id"])
    assert wrong == []
