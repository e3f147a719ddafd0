"""The laws on script text: another spelling, a wrapper, an unknown or more commands never loosen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execpolicy.decision import Decision, Layer
from execpolicy.engine.check import check
from execpolicy.engine.context import CheckContext
from execpolicy.engine.policy import Policy
from execpolicy.lang.lower import parse_rules

RULES = """
prefix_rule(pattern = ["git", ["status", "diff"]], decision = "allow")
prefix_rule(pattern = ["git", "push"], decision = "deny")
prefix_rule(pattern = ["git", "fetch"], decision = "ask")
prefix_rule(pattern = [["ls", "echo", "cd", "sudo", "env", "xargs", "find"]], decision = "allow")
command_rule(program = "rm", flags = all_of("-r", "-f"), decision = "deny")
path_rule(paths = ["**/.env"], access = ["read", "write"], decision = "deny")
"""
CONTEXT = CheckContext(
    cwd="/ws", workspace="/ws", home="/home/u", writable=("/tmp",), protected=("/ws/.git",)
)
COMMANDS = (
    "git status",
    "git push origin main",
    "git fetch",
    "ls -la",
    "rm -rf build",
    "rm -r -f x",
    "echo hi > out",
    "echo hi > /etc/x",
    "tool x",
    "git diff | head",
    "ls < .env",
    "git push | ls",
)
WRAPPERS = (
    "{}",
    "sudo {}",
    "env A=1 {}",
    "timeout 5 {}",
    "nice {}",
    "({})",
    "{{ {}; }}",
    "! {}",
    "if true; then {}; fi",
    "for i in 1 2; do {}; done",
    "f() {{ {}; }}; f",
    "bash -c '{}'",
    "eval '{}'",
    "echo $({})",
    "cat <({})",
    "{} &",
    "true && {}",
    "xargs -n1 {}",
    "command {}",
)

policy = Policy.build([(Layer.USER, parse_rules(RULES, "t.rules", Layer.USER).file)])


def decide(script: str) -> Decision:
    return check(script, policy, CONTEXT).decision


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrapper_never_loosens(command: str, wrapper: str) -> None:
    """A wrapper that reads only the first command of a pipeline wraps that, and the rest stays beside it."""
    assert decide(wrapper.format(command)) >= decide(command)


@given(st.sampled_from(COMMANDS), st.data())
def test_quotes_change_nothing(command: str, data: st.DataObject) -> None:
    words = command.split(" ")
    plain = [at for at, word in enumerate(words) if word.strip("-/.").isalnum()]
    at = data.draw(st.sampled_from(plain))
    word = words[at]
    cut = data.draw(st.integers(0, len(word)))
    quoted = data.draw(
        st.sampled_from(
            (f"'{word}'", f'"{word}"', f"{word[:cut]}''{word[cut:]}", "".join("\\" + c for c in word))
        )
    )
    assert decide(" ".join([*words[:at], quoted, *words[at + 1 :]])) is decide(command)


@given(
    st.sampled_from(COMMANDS), st.sampled_from(("$x", '"$x"', "$(tool)", "*", '"$@"', "${x:-a}")), st.data()
)
def test_an_unknown_word_never_loosens(command: str, unknown: str, data: st.DataObject) -> None:
    words = command.split(" ")
    places = [at for at, word in enumerate(words) if word not in ("|", ">", "<")]
    if unknown == "*":  # which never becomes a hidden name or a path
        places = [at for at in places if not words[at].startswith(".") and "/" not in words[at]]
    at = data.draw(st.sampled_from(places))
    spoiled = " ".join([*words[:at], unknown, *words[at + 1 :]])
    assert decide(spoiled) >= min(decide(command), Decision.ASK)


@given(
    st.lists(st.sampled_from(COMMANDS), min_size=1, max_size=4),
    st.sampled_from((" && ", "; ", " || ", " | ", "\n")),
)
def test_a_script_is_as_strict_as_its_commands(commands: list[str], joint: str) -> None:
    assert decide(joint.join(commands)) is max(map(decide, commands))


@given(st.text(alphabet="git push$()'\"\\`;&|<>{}\n rm-rf*[]!#=", max_size=60))
def test_no_text_breaks_it(text: str) -> None:
    assert decide(text) in Decision
