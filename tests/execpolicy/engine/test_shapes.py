"""A pattern of the shell and the glob of a rule: they meet exactly when one file can fit both."""

from __future__ import annotations

import fnmatch
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execpolicy.decision import Decision, Layer
from execpolicy.engine.check import check
from execpolicy.engine.context import CheckContext
from execpolicy.engine.policy import Policy
from execpolicy.engine.shapes import may_meet, shape_of
from execpolicy.lang.lower import parse_rules

WORKSPACE = "/home/user/project"
CONTEXT = CheckContext(cwd=WORKSPACE, workspace=WORKSPACE, home="/home/user")


@pytest.mark.parametrize(
    ("glob", "shape", "meets"),
    [
        ("**/.env", "/w/[!.]*.py", False),
        ("**/*.key", "/w/[!.]*.py", False),
        ("**/*.py", "/w/[!.]*.py", True),
        ("/home/*/.ssh/**", "/w/*", False),
        ("/w/a/**", "/w/*", False),
        ("/w/a/**", "/w/*/b", True),
        ("**/x/**", "/w/*/y/*", True),
        ("/w/a?c", "/w/ab?", True),
        ("/w/a?d", "/w/ab[cC]", False),
        ("**", "/w/x", True),
        ("/w/\\*", "/w/a", False),
        ("/w/\\*", "/w/*", True),
    ],
)
def test_globs_meet(glob: str, shape: str, meets: bool) -> None:
    assert may_meet(glob, shape) is meets
    assert may_meet(shape, glob) is meets


@pytest.mark.parametrize(
    "raw", ["a*/../b", "$x*", "'a'*", "{a,b}*", "a\\**", "~/*", "a//*", "a/./*", "+(a)*"]
)
def test_what_is_not_read_has_no_shape(raw: str) -> None:
    assert shape_of(raw, "/w") is None


def test_a_relative_pattern_needs_a_folder() -> None:
    assert shape_of("*.py", None) is None
    assert shape_of("/x/*.py", None) == "/x/[!.]*.[pP][yY]"


NAMES = ["".join(chars) for size in (1, 2, 3) for chars in itertools.product("aB.b", repeat=size)]


@settings(max_examples=150, deadline=None)
@given(st.text("aB.*?", min_size=1, max_size=4), st.text("aB.*?", min_size=1, max_size=4))
def test_no_name_is_lost(pattern: str, rule: str) -> None:
    shape = shape_of(f"s/{pattern}", "/w")
    if shape is None:
        return
    both = [
        name
        for name in NAMES
        if fnmatch.fnmatchcase(name, pattern)
        and fnmatch.fnmatchcase(name, rule)
        and (not name.startswith(".") or pattern.startswith("."))
    ]
    if both:
        assert may_meet("**/" + rule.replace("**", "*"), shape), both


DENY = """
path_rule(paths = ["~/.ssh/**", "**/.env", "**/*.key", "**/secret/**"], access = ["read", "delete"], decision = "deny")
prefix_rule(pattern = [["cat", "rm"]], decision = "allow")
"""


@pytest.mark.parametrize(
    ("command", "decision"),
    [
        ("cat *.py", "allow"),
        ("cat src/*/*.c", "ask"),  # src/secret/x.c
        ("cat src/x/*.c", "allow"),
        ("cat *", "ask"),  # x.key
        ("cat .e*", "ask"),
        ("cat */*", "ask"),
        ("cat /home/user/.ssh/*", "ask"),
        ("cat /home/*/.s*/id", "ask"),
        ("cat *.KEY", "ask"),
        ("cat [a.]e", "ask"),  # a class is read as any text
        ("cat [a.]e/*.py", "ask"),
        ("cat ?env", "allow"),
        ("cat ../*.py", "ask"),
        ("cat s*/", "ask"),
        ("rm -r s*", "ask"),  # the folder `secret`
    ],
)
def test_a_pattern_is_held_back_only_where_a_rule_may_speak(command: str, decision: str) -> None:
    policy = Policy.build([(Layer.USER, parse_rules(DENY, "x.rules", Layer.USER).file)])
    assert check(command, policy, CONTEXT).decision is Decision[decision.upper()]
