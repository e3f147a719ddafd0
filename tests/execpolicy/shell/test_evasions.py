"""No spelling of a command walks around a deny: each row made bash run `touch` when it was written down."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from execpolicy.decision import Decision, Layer
from execpolicy.engine.check import check
from execpolicy.engine.context import CheckContext
from execpolicy.engine.policy import Policy
from execpolicy.lang.lower import parse_rules

CORPUS = Path(__file__).parents[2] / "corpus"
CONTEXT = CheckContext(cwd="/ws", workspace="/ws", home="/home/u", writable=("/tmp",))
RULES = """
defaults(unmatched = "allow")
prefix_rule(pattern = ["touch"], decision = "deny")
"""


@functools.cache
def policy() -> Policy:
    return Policy.build([(Layer.USER, parse_rules(RULES, "t.rules", Layer.USER).file)])


def rows() -> Iterator[object]:
    for path in sorted(CORPUS.glob("evasions*.yaml")):
        groups = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        for group, scripts in groups.items():
            yield pytest.param(scripts, id=group)


@pytest.mark.parametrize("scripts", list(rows()))
def test_every_spelling_is_held_back(scripts: list[str]) -> None:
    allowed = [script for script in scripts if check(script, policy(), CONTEXT).decision is Decision.ALLOW]
    assert allowed == []
