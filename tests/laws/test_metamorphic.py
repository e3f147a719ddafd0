"""The laws from text to verdict, for rules of every kind: doubt and another spelling never loosen."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from reference_evaluator import decide as reference
from strategies import (
    FLAGS,
    PATHS,
    PROGRAMS,
    TEXTS,
    command_rules,
    contexts,
    layered_files,
    metas,
)

from execpolicy.decision import Decision, Layer
from execpolicy.engine.check import check, check_facts, check_host, check_tool
from execpolicy.engine.context import CheckContext
from execpolicy.engine.policy import Policy
from execpolicy.lang import rules as r
from execpolicy.shell.analyse import analyse

Layered = list[tuple[Layer, r.RuleFile]]
slow = settings(max_examples=100, deadline=None)

UNKNOWNS = ("$x", '"$x"', "*", '"$(tool)"', "$(tool)", '"$@"', "${x:-a}", "a$x", "`tool`")
WRAPPERS = (
    "env A=1 {}", "timeout 5 {}", "nice {}", "nohup {}", "({})", "{{ {}; }}", "! {}", "if true; then {}; fi",
    "while {}; do :; done", "f() {{ {}; }}; f", "command {}", "xargs {}", "time {}", "{} &", "tool && {}", "tool | {}",
    "echo $({})", ": <({})", "case x in x) {};; esac", "sudo {}", "exec {}", "find . -exec {} ';'",
)  # fmt: skip


@dataclass(frozen=True)
class Command:
    """The words of one command, and a redirection behind them."""

    words: tuple[str, ...]
    redirection: str = ""

    def script(self, words: Sequence[str] | None = None) -> str:
        shown = [shlex.quote(word) for word in self.words] if words is None else words
        return " ".join([*shown, *([self.redirection] if self.redirection else [])])


@st.composite
def commands(draw: st.DrawFn) -> Command:
    program = draw(st.sampled_from((*PROGRAMS, *PROGRAMS, "/usr/bin/git", "./git", "other")))
    words = draw(st.lists(st.sampled_from((*TEXTS, *PATHS)), max_size=4))
    redirections = ("", "", "", *(f"{sign} {path}" for sign in ("<", ">", ">>") for path in PATHS))
    return Command((program, *words), draw(st.sampled_from(redirections)))


def policy_of(files: Layered) -> Policy:
    return Policy.build(files)


def decide(script: str, policy: Policy, context: CheckContext) -> Decision:
    return check(script, policy, context).decision


@slow
@given(layered_files(), commands(), contexts(), st.sampled_from(UNKNOWNS), st.data())
def test_an_unknown_in_place_of_a_word(
    files: Layered, command: Command, context: CheckContext, unknown: str, data: st.DataObject
) -> None:
    policy = policy_of(files)
    quoted = [shlex.quote(word) for word in command.words]
    at = data.draw(st.integers(0, len(quoted) - 1))
    old = command.words[at]
    # A glob never becomes a hidden name, a path or nothing, and `a$x` begins with its letter.
    assume(unknown != "*" or (old and not old.startswith(".") and "/" not in old))
    assume(unknown != "a$x" or old.startswith("a"))
    before = decide(command.script(), policy, context)
    quoted[at] = unknown
    assert decide(command.script(quoted), policy, context) >= min(before, Decision.ASK)


@slow
@given(layered_files(), commands(), contexts(), st.sampled_from(WRAPPERS))
def test_a_wrapper(files: Layered, command: Command, context: CheckContext, wrapper: str) -> None:
    policy = policy_of(files)
    before = decide(command.script(), policy, context)
    assert decide(wrapper.format(command.script()), policy, context) >= min(before, Decision.ASK)


@slow
@given(layered_files(), commands(), contexts(), st.data())
def test_another_spelling(
    files: Layered, command: Command, context: CheckContext, data: st.DataObject
) -> None:
    """Quotes and line continuations are no part of a word: nothing changes."""
    policy = policy_of(files)
    words = [shlex.quote(word) for word in command.words]
    at = data.draw(st.integers(0, len(words) - 1))
    word = command.words[at]
    cut = data.draw(st.integers(0, len(word)))
    left, right = shlex.quote(word[:cut]) if cut else "", shlex.quote(word[cut:]) if word[cut:] else ""
    words[at] = data.draw(
        st.sampled_from(
            (
                f"'{word}'",
                f'"{word}"',
                f"$'{word}'",
                f'{left}""{right}',
                f"{left}\\\n{right}" if left or right else "''",
                "".join("\\" + letter for letter in word) or "''",
            )
        )
    )
    joint = data.draw(st.sampled_from((" ", "  ", "\t", " \\\n", " \\\n  ")))
    spelled = joint.join([*words, *([command.redirection] if command.redirection else [])])
    assert decide(spelled, policy, context) is decide(command.script(), policy, context)


@st.composite
def block_lists(draw: st.DrawFn) -> Layered:
    """Denies of what commands mean, over an allow of all else."""
    denies = draw(st.lists(command_rules(Decision.DENY), min_size=1, max_size=3))
    return [
        (
            Layer.USER,
            r.RuleFile(
                path="t.rules",
                digest="",
                rules=tuple(denies),
                defaults=r.Defaults(unmatched=Decision.ALLOW, origin=denies[0].meta.origin),
            ),
        )
    ]


@slow
@given(
    block_lists(),
    st.sampled_from(PROGRAMS),
    st.lists(st.sampled_from(FLAGS), max_size=3),
    st.lists(st.sampled_from(("push", "origin", "main", "x")), max_size=3),
    contexts(),
    st.data(),
)
def test_another_order_of_options(
    files: Layered, program: str, options: list[str], operands: list[str], context: CheckContext, data: st.DataObject
) -> None:  # fmt: skip
    """What is denied with its options in front is not allowed with them anywhere else."""
    policy = policy_of(files)
    before = decide(" ".join([program, *options, *operands]), policy, context)
    words = list(operands)
    for option in data.draw(st.permutations(options)):
        words.insert(data.draw(st.integers(0, len(words))), option)
    assert decide(" ".join([program, *words]), policy, context) >= min(before, Decision.ASK)


@settings(max_examples=200, deadline=None)
@given(layered_files(), st.lists(commands(), min_size=1, max_size=2), contexts(), st.data())
def test_a_script_is_judged_as_defined(
    files: Layered, parts: list[Command], context: CheckContext, data: st.DataObject
) -> None:
    """Known words: as the definition says. A word in doubt: never allowed where it asks or denies."""
    policy = policy_of(files)
    shown = [command.script() for command in parts]
    if data.draw(st.booleans()):
        words = [shlex.quote(word) for word in parts[0].words]
        words[data.draw(st.integers(0, len(words) - 1))] = data.draw(st.sampled_from(UNKNOWNS))
        shown[0] = parts[0].script(words)
    script = data.draw(st.sampled_from((" && ", "; ", " | ", "\n"))).join(shown)
    facts = analyse(script, cwd=context.cwd)
    found = decide(script, policy, context)
    assert found is check_facts(facts, policy, context).decision
    want = reference(files, facts, context, TEXTS)
    assert found >= min(want, Decision.ASK)


# --- hosts and tools ----------------------------------------------------------------------------

HOSTS = ("acme.com", "a.acme.com", "b.a.acme.com", "evil.com", "acme.com.evil.com")


@st.composite
def network_policies(draw: st.DrawFn) -> Policy:
    rules = [
        r.NetworkRule(
            meta=draw(metas()),
            host=draw(st.sampled_from(("acme.com", "*.acme.com", "a.acme.com", "*"))),
            port=draw(st.sampled_from((None, 443, 80))),
            protocol=draw(st.sampled_from((None, "https", "http"))),
        )
        for _ in range(draw(st.integers(0, 3)))
    ]
    return _of(rules)


@slow
@given(network_policies(), st.sampled_from(HOSTS), contexts())
def test_another_spelling_of_a_host(policy: Policy, host: str, context: CheckContext) -> None:
    said = check_host(host, 443, "https", policy, context).decision
    for other in (host.upper(), host + ".", host.title() + "."):
        assert check_host(other, 443, "https", policy, context).decision is said
    inner = check_host(f"{host}.evil.com", 443, "https", policy, context).decision
    outer = check_host("x.evil.com", 443, "https", policy, context).decision
    assert inner is outer


@st.composite
def tool_rules(draw: st.DrawFn, decision: Decision | None = None) -> r.ToolRule:
    patterns = st.sampled_from((r.Exact("a"), r.Glob("a*"), r.NoneOf((r.Exact("a"),)), r.Regex("^a")))
    return r.ToolRule(
        meta=draw(metas(decision)),
        tool=draw(st.sampled_from((r.Exact("get"), r.Glob("*"), r.Glob("g*")))),
        server=draw(st.sampled_from((None, r.Exact("s"), r.Glob("*")))),
        arguments=draw(st.sampled_from(((), (("k", draw(patterns)),)))),
    )


def _of(rules: Sequence[r.Rule]) -> Policy:
    return Policy.build([(Layer.USER, r.RuleFile(path="t.rules", digest="", rules=tuple(rules)))])


@slow
@given(
    st.lists(tool_rules(Decision.ALLOW), max_size=3),
    st.sampled_from((None, "s")),
    st.sampled_from(("a", "ab", "b")),
    contexts(),
)
def test_an_argument_of_a_tool(
    rules: list[r.ToolRule], server: str | None, value: str, context: CheckContext
) -> None:
    """An argument that a rule is silent about changes nothing; without one that it names no allow applies."""
    policy = _of(rules)
    said = check_tool(server, "get", {"k": value}, policy, context)
    assert check_tool(server, "get", {"k": value, "more": 1}, policy, context).decision is said.decision
    silent = _of([rule for rule in rules if not rule.arguments])
    assert check_tool(server, "get", {}, policy, context).decision >= min(
        Decision.ASK, check_tool(server, "get", {}, silent, context).decision
    )


@slow
@given(st.lists(tool_rules(), max_size=3), tool_rules(Decision.DENY), st.sampled_from(("a", "b")), contexts())
def test_a_denied_tool(rules: list[r.ToolRule], deny: r.ToolRule, value: str, context: CheckContext) -> None:
    before = check_tool("s", "get", {"k": value}, _of(rules), context).decision
    assert check_tool("s", "get", {"k": value}, _of([*rules, deny]), context).decision >= before
