"""What each declaration means, and what is said about each mistake."""

from __future__ import annotations

import pytest

from execpolicy.decision import Decision, Layer, NetworkAccess, Origin, Reviewer, SandboxMode, Scope
from execpolicy.diagnostics import render
from execpolicy.facts import Access
from execpolicy.lang import rules
from execpolicy.lang.lower import Parsed, parse_rules
from execpolicy.lang.rules import AnyOf, End, Exact, Glob, NoneOf, Regex, Rest, Within


def read(text: str) -> Parsed:
    return parse_rules(text, "team/base.rules", Layer.USER)


def only(text: str) -> rules.Rule:
    parsed = read(text)
    assert [render(item) for item in parsed.diagnostics] == []
    (rule,) = parsed.file.rules
    return rule


def origin(line: int, column: int = 1) -> Origin:
    return Origin(Layer.USER, "team/base.rules", line, column)


@pytest.mark.parametrize(
    ("pattern", "want"),
    [
        pytest.param('["git"]', (Exact("git"),), id="one-word"),
        pytest.param(
            '["git", ["log", "show"]]',
            (Exact("git"), AnyOf((Exact("log"), Exact("show")))),
            id="alternatives",
        ),
        pytest.param('["git", ["log"]]', (Exact("git"), Exact("log")), id="one-alternative-is-the-word"),
        pytest.param('["git", ""]', (Exact("git"), Exact("")), id="empty-word"),
        pytest.param("['git', r'a\\b']", (Exact("git"), Exact("a\\b")), id="raw-string"),
        pytest.param('["g\\u0069t", "\\x41\\101\\q"]', (Exact("git"), Exact("AA\\q")), id="escapes"),
        pytest.param('["ls", end]', (Exact("ls"), End()), id="end"),
        pytest.param('["ls", rest, end]', (Exact("ls"), Rest(), End()), id="rest"),
        pytest.param('["ls", rest(glob("*.py"))]', (Exact("ls"), Rest(Glob("*.py"))), id="rest-of-a-kind"),
        pytest.param('["ls", regex("^-l$")]', (Exact("ls"), Regex("^-l$")), id="regex"),
        pytest.param('["rm", path(within="$WORKSPACE")]', (Exact("rm"), Within("$WORKSPACE")), id="within"),
        pytest.param(
            '["rm", none_of("-r", glob("-*"))]',
            (Exact("rm"), NoneOf((Exact("-r"), Glob("-*")))),
            id="none-of",
        ),
        pytest.param(
            '["a"] + ["b"] + [["c"] + ["d"]]',
            (Exact("a"), Exact("b"), AnyOf((Exact("c"), Exact("d")))),
            id="sum",
        ),
        pytest.param('["a" + "b"]', (Exact("ab"),), id="sum-of-strings"),
    ],
)
def test_patterns_of_words(pattern: str, want: tuple[rules.Element, ...]) -> None:
    rule = only(f"prefix_rule(pattern = {pattern})")
    assert isinstance(rule, rules.PrefixRule)
    assert rule.pattern == want


@pytest.mark.parametrize(
    ("word", "decision"),
    [
        ("allow", Decision.ALLOW),
        ("ask", Decision.ASK),
        ("prompt", Decision.ASK),
        ("deny", Decision.DENY),
        ("forbidden", Decision.DENY),
    ],
)
def test_decisions_in_both_spellings(word: str, decision: Decision) -> None:
    assert only(f'prefix_rule(["git"], "{word}")').meta.decision is decision


def test_a_prefix_rule_in_codexs_own_form() -> None:
    text = 'prefix_rule(["git"], "prompt", ["git x", ["git", "y"]], ["hg"], "why", True)'
    assert only(text) == rules.PrefixRule(
        meta=rules.Meta(id="base.rules:1", decision=Decision.ASK, origin=origin(1), justification="why"),
        pattern=(Exact("git"),),
        canonical=True,
        match=(
            rules.Example(words=None, script="git x", origin=origin(1)),
            rules.Example(words=("git", "y"), script=None, origin=origin(1)),
        ),
        not_match=(rules.Example(words=None, script="hg", origin=origin(1)),),
    )


def test_a_command_rule_with_everything() -> None:
    text = """
command_rule(
    program = "git", subcommand = "remote add",
    flags = [any_of("--force", "-f"), none_of("--dry-run"), all_of("-v")],
    args = [rest(glob("*"))],
    unless = [args_match("origin", glob("feature/*"))],
    when = branch in ["main", glob("release/*")] and not interactive,
    decision = "deny", justification = "why", suggest = "do that",
    id = "git.force", owner = "platform@acme", severity = "high", controls = ["SOC2:CC8.1"],
    expires = "2027-06-30", mode = "audit", sandbox = "workspace-write", network = "deny",
    reviewer = "user", scope = "once",
)
"""
    assert only(text) == rules.CommandRule(
        meta=rules.Meta(
            id="git.force",
            decision=Decision.DENY,
            origin=origin(2),
            justification="why",
            suggest="do that",
            owner="platform@acme",
            severity="high",
            controls=("SOC2:CC8.1",),
            expires="2027-06-30",
            mode=rules.Mode.AUDIT,
            sandbox=SandboxMode.WORKSPACE_WRITE,
            network=NetworkAccess.DENY,
            reviewer=Reviewer.USER,
            scope=Scope.ONCE,
        ),
        program=Exact("git"),
        subcommand=(Exact("remote"), Exact("add")),
        flags=rules.Flags(all_of=("-v",), any_of=("--force", "-f"), none_of=("--dry-run",)),
        args=(Rest(Glob("*")),),
        unless=((Exact("origin"), Glob("feature/*")),),
        when=rules.And(
            (
                rules.Compare(rules.Fact("branch"), (Exact("main"), Glob("release/*"))),
                rules.Not(rules.Truth(rules.Fact("interactive"))),
            )
        ),
    )


def test_path_network_and_tool_rules() -> None:
    path = only('path_rule(paths = ["~/.ssh/**"], access = ["read", "write"], decision = "deny")')
    assert isinstance(path, rules.PathRule)
    assert (path.paths, path.access) == ((Glob("~/.ssh/**"),), frozenset({Access.READ, Access.WRITE}))
    net = only(
        'network_rule(host = "*.Acme.com.", port = 443, protocol = "https_connect", decision = "allow")'
    )
    assert isinstance(net, rules.NetworkRule)
    assert (net.host, net.port, net.protocol) == ("*.acme.com", 443, "https")
    tool = only(
        'tool_rule(server="gh", tool=glob("create_*"), arguments={"repo": glob("acme/*")}, decision="ask")'
    )
    assert isinstance(tool, rules.ToolRule)
    assert tool.arguments == (("repo", Glob("acme/*")),)


@pytest.mark.parametrize(
    ("host", "decision", "want"),
    [
        pytest.param("Example.COM.", "allow", ("example.com", None), id="lower-case"),
        pytest.param("example.com:443", "allow", ("example.com", 443), id="a-port-narrows-an-allow"),
        pytest.param("example.com:443", "deny", ("example.com", None), id="a-port-does-not-narrow-a-deny"),
        pytest.param("[::1]:80", "allow", ("::1", 80), id="address-in-brackets"),
        pytest.param("::1", "allow", ("::1", None), id="address"),
        pytest.param(":443", "allow", (":443", None), id="codex-takes-it-as-a-name"),
    ],
)
def test_hosts(host: str, decision: str, want: tuple[str, int | None]) -> None:
    rule = only(f'network_rule("{host}", "https", "{decision}")')
    assert isinstance(rule, rules.NetworkRule)
    assert (rule.host, rule.port) == want


def test_what_is_no_rule_stands_beside_the_rules() -> None:
    file = read(
        'host_executable("git", ["/usr/bin//git", "/usr/bin/git", "/opt/../opt/git/"])\n'
        'defaults(unmatched = "allow", unknown = "deny")\n'
        'exception(to = "a", until = "2026-12-31", approved_by = "ciso", when = user in group("rel"))\n'
    ).file
    assert file.host_executables[0].paths == ("/usr/bin/git", "/opt/git")
    assert file.defaults == rules.Defaults(unmatched=Decision.ALLOW, unknown=Decision.DENY, origin=origin(2))
    assert file.exceptions[0].when == rules.Compare(rules.Fact("user"), (rules.GroupFact("rel"),))


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param('branch == "main"', rules.Compare(rules.Fact("branch"), (Exact("main"),)), id="equal"),
        pytest.param(
            'os != "linux"', rules.Not(rules.Compare(rules.Fact("os"), (Exact("linux"),))), id="not-equal"
        ),
        pytest.param(
            'os not in ["a"]', rules.Not(rules.Compare(rules.Fact("os"), (Exact("a"),))), id="not-in"
        ),
        pytest.param(
            'env["CI"] == "true"', rules.Compare(rules.EnvFact("CI"), (Exact("true"),)), id="environment"
        ),
        pytest.param('group("x")', rules.Compare(rules.Fact("user"), (rules.GroupFact("x"),)), id="group"),
        pytest.param("interactive == False", rules.Not(rules.Truth(rules.Fact("interactive"))), id="false"),
        pytest.param('time.between("22:30", "06:00")', rules.TimeBetween(1350, 360), id="over-midnight"),
        pytest.param(
            'cwd in path(within = "~")', rules.Compare(rules.Fact("cwd"), (Within("~"),)), id="folder"
        ),
        pytest.param(
            '(interactive or interactive) and not (os == "a")',
            rules.And(
                (
                    rules.Or((rules.Truth(rules.Fact("interactive")),) * 2),
                    rules.Not(rules.Compare(rules.Fact("os"), (Exact("a"),))),
                )
            ),
            id="precedence",
        ),
    ],
)
def test_conditions(text: str, want: rules.Condition) -> None:
    rule = only(f'prefix_rule(["a"], when = {text})')
    assert rule.when == want


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ('prefix_rule(pattern=["a"], decison="allow")', "E012", "did you mean `decision`?"),
        ('prefix_rule(["a"], decision="alow")', "E014", "did you mean `allow`?"),
        ('prefix_rule(["a"], decision="ALLOW")', "E014", "did you mean `allow`?"),
        ("prefix_rule()", "E013", "needs `pattern`"),
        ("prefix_rule(pattern=[])", "E017", "`pattern` cannot be empty"),
        ("prefix_rule(pattern=[[]])", "E017", "alternatives cannot be empty"),
        ('prefix_rule(pattern=["a", ["b", ["c"]]])', "E015", "a list is not an alternative"),
        ('prefix_rule(pattern="git")', "E015", "this is a string"),
        ('prefix_rule(pattern=[1])', "E015", "a number is not the pattern of a word"),
        ('prefix_rule(("git",))', "E015", "write a list"),
        ('prefix_rule(["a"], pattern=["b"])', "E016", "given twice"),
        ('prefix_rule(["a"], "allow", [], [], "x", True, 7)', "E022", "takes its keys by name"),
        ('prefix_rule(pattern=["a"], "allow")', "E022", "stands behind one with a key"),
        ('prefix_rule([end, "a"])', "E023", "begins with the program"),
        ('prefix_rule(["a", end, "b"])', "E023", "nothing can stand behind `end`"),
        ('prefix_rule(["a", end], unless=[args_match("b")])', "E023", "no word can stand behind `end`"),
        ('prefix_rule(["a", rest, end], unless=[args_match("b")])', "E023", "no word can stand behind `end`"),
        ('prefix_rule(["a", glob("[")])', "E020", "`[` is never closed"),
        ('prefix_rule(["a", regex("(?=x)")])', "E020", "look-around is not regular"),
        ('prefix_rule(["a", regex("(a)\\\\1")])', "E020", "back-references are not regular"),
        ('prefix_rule([A])', "E011", "`A` is not defined"),
        ('prefix_rule(["a"], justification=" ")', "E017", "`justification` cannot be empty"),
        ('prefix_rule(["a"], expires="2027-02-30")', "E018", "not in the calendar"),
        ('prefix_rule(["a"], expires="next week")', "E018", 'expected "2027-06-30"'),
        ('prefix_rule(["a"], severity="hi")', "E019", "expected info, low, medium, high or critical"),
        ('prefix_rule(["a"], id="a b")', "E021", "is not an id"),
        ('prefix_rule(["a"], when=brnch == "x")', "E024", "did you mean `branch`?"),
        ('prefix_rule(["a"], when=branch)', "E024", "neither true nor false"),
        ('prefix_rule(["a"], when="x" == branch)', "E024", "begins with a fact"),
        ('prefix_rule(["a"], when=branch == ["x"])', "E024", "write `in`"),
        ('prefix_rule(["a"], when=os in group("x"))', "E024", "only a `user` is in a group"),
        ('prefix_rule(["a"], when=weekday == "Monday")', "E024", "did you mean `monday`?"),
        ('prefix_rule(["a"], when=time.between("9:00", "10:00"))', "E024", 'expected "09:30"'),
        ('prefix_rule(["a"], match=[""])', "E027", "cannot be empty"),
        ('prefix_rule(["a"], match=["a", 1])', "E027", "a number is not an example"),
        ('prefix_rule(["a"], unless=["x"])', "E015", "args_match"),
        ('command_rule(program="rm")', "E013", "needs `decision`"),
        ('command_rule(program="rm", flags=["-f"], decision="deny")', "E015", "any_of"),
        ('command_rule(program="rm", flags=any_of("f"), decision="deny")', "E015", "begins with `-`"),
        ('path_rule(paths=["a"], decision="deny")', "E013", "needs `access`"),
        ('path_rule(paths=["a"], access=["reed"], decision="deny")', "E019", "`reed` is not an access"),
        ('network_rule(host="http://x", decision="deny")', "E025", "without scheme or path"),
        ('network_rule(host="a.*.com", decision="deny")', "E025", "`*` only as"),
        ('network_rule(host="a", port=70000, decision="deny")', "E025", "1 to 65535"),
        ('host_executable("a/b", [])', "E026", "is not the name of a program"),
        ('host_executable("b", ["b"])', "E026", "is not absolute"),
        ('host_executable("b", ["/c"])', "E026", "is not a path of `b`"),
        ('defaults(unknown="allow")', "E014", "expected ask, deny"),
        ('defaults()', "E013", "needs `unmatched` or `unknown`"),
        ('exception(to="a", until="2027-01-01")', "E013", "needs `approved_by`"),
        ('prefix_rul(["a"])', "E010", "did you mean `prefix_rule`?"),
        ("1", "E010", "this declares nothing"),
        ('x = "a" + ["b"]', "E015", "cannot add a list to a string"),
        ('x = "a" "b"', "E005", "put `+` between"),
        ("x = 1 < 2", "E005", "conditions know"),
        ('x = f"a"', "E007", "agent policy import"),
        ("for x in y: pass", "E007", "agent policy import"),
        ("prefix_rule(sorted([]))", "E010", "agent policy import"),
        ('x = "a', "E002", "a string ends on the line"),
        ('x = "\\xzz"', "E002", "invalid string escape sequence"),
        ('x = u"a"', "E002", "is not a string prefix"),
        ('prefix_rule(\ufeff["a"])', "E001", "byte order mark"),
        ("prefix_rule([\u201cgit\u201d])", "E001", "straight quotes"),
        ("x = \0", "E001", "U+0000"),
        ("x = [1)", "E004", "does not close `[`"),
        ("x = [" * 70, "E006", "nested too deeply"),
        ("x = " + "not " * 70 + "y", "E006", "nested too deeply"),
    ],
)  # fmt: skip
def test_each_mistake_is_told(text: str, code: str, words: str) -> None:
    parsed = read(text)
    told = [render(item) for item in parsed.diagnostics]
    assert any(item.startswith(f"error[{code}]") and words in item for item in told), "\n".join(told)
    assert parsed.file.rules == ()
    assert parsed.file.exceptions == ()


def test_a_broken_declaration_hides_nothing_behind_it() -> None:
    parsed = read(
        'prefix_rule(pattern = ["a"\n'
        'prefix_rule(pattern = ["b"])\n'
        'prefix_rule(pattern = ["c)\n'
        'command_rule(program = "d", decision = "deny"]\n'
        'prefix_rule(pattern = ["e"], decision = "nope", foo = 1)\n'
        "x = ***\n"
        'prefix_rule(pattern = ["f"])\n'
    )
    assert [item.code for item in parsed.diagnostics] == ["E003", "E002", "E004", "E014", "E012", "E005"]
    assert [rule.pattern for rule in parsed.file.rules if isinstance(rule, rules.PrefixRule)] == [
        (Exact("b"),),
        (Exact("f"),),
    ]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        pytest.param('prefix_rule(["a"], decision="deny", owner=1)', True, id="deny-with-a-bad-owner"),
        pytest.param('prefix_rule(["a"], decision="ask", foo=1)', True, id="ask-with-an-unknown-key"),
        pytest.param('prefix_rule(["a"], decision="deny", match=[1])', True, id="deny-with-a-bad-example"),
        pytest.param('prefix_rule(["a"], decision="allow", owner=1)', False, id="allow-with-a-bad-owner"),
        pytest.param('prefix_rule(["a", []], decision="deny", owner=1)', False, id="deny-without-a-pattern"),
        pytest.param('prefix_rule(decision="deny")', False, id="deny-of-nothing"),
        pytest.param('prefix_rule(["a"], decision="dney")', False, id="no-decision"),
        pytest.param('prefix_rule(["a"], decision="deny", when=foo)', False, id="deny-under-a-bad-condition"),
    ],
)
def test_what_only_tightens_outlives_a_mistake_beside_it(text: str, kept: bool) -> None:
    parsed = read(text)
    assert parsed.diagnostics
    assert bool(parsed.file.rules) == kept


def test_ids_are_unique_in_a_file() -> None:
    parsed = read(
        'prefix_rule(["a"]); prefix_rule(["b"])\nprefix_rule(["c"], id="x")\nprefix_rule(["d"], id="x")\n'
    )
    assert [rule.meta.id for rule in parsed.file.rules] == ["base.rules:1", "base.rules:1.2", "x"]
    assert [item.code for item in parsed.diagnostics] == ["E021"]


def test_a_broken_constant_is_told_once() -> None:
    parsed = read('A = ["x" "y"]\nprefix_rule(A)\nprefix_rule(["z", A])\n')
    assert [item.code for item in parsed.diagnostics] == ["E005"]


def test_line_ends_of_windows_mean_the_same() -> None:
    text = 'A = ["b"]\nprefix_rule(\n    pattern = ["a", A],  # c\n)\nprefix_rule(["x"])\n'
    assert read(text).file.rules == read(text.replace("\n", "\r\n")).file.rules


GOLDEN = """\
error[E014]: `alow` is not a decision
 --> team/base.rules:2:14
  |
2 |   decision = "alow")
  |              ^^^^^^ expected allow, ask, deny, prompt or forbidden
  = help: did you mean `allow`?"""


def test_an_error_shows_the_text() -> None:
    (item,) = read('prefix_rule(["a"],\n  decision = "alow")').diagnostics
    assert render(item) == GOLDEN


def test_no_control_character_reaches_the_terminal() -> None:
    for item in read('prefix_rule(["\x1b[31m", X\u202e])\t\x07').diagnostics:
        assert all(line.isprintable() for line in render(item).split("\n"))


@pytest.mark.parametrize("stray", ["\ufeff", "\u00a0", "$", "\0"])
def test_a_stray_character_in_front_does_not_take_a_deny_with_it(stray: str) -> None:
    parsed = parse_rules(f'{stray}prefix_rule(pattern=["dd"], decision="deny")\n', "x.rules", Layer.USER)
    assert [one.code for one in parsed.diagnostics] == ["E001"]
    assert [rule.meta.decision for rule in parsed.file.rules] == [Decision.DENY]
