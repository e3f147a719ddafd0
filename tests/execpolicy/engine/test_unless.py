"""`unless` is about the words behind the ones that a pattern names; what may lift a rule lifts an allow."""

from __future__ import annotations

import pytest

from execpolicy.decision import Decision, Layer
from execpolicy.engine.check import check
from execpolicy.engine.context import CheckContext
from execpolicy.engine.policy import Policy
from execpolicy.engine.trace import near_misses
from execpolicy.lang.lower import parse_rules
from execpolicy.shell.analyse import analyse

ALLOW, ASK, DENY = Decision.ALLOW, Decision.ASK, Decision.DENY
CONTEXT = CheckContext(cwd="/ws", workspace="/ws", home="/home/u")


def policy(rule: str) -> Policy:
    parsed = parse_rules(rule, "t.rules", Layer.USER)
    assert parsed.diagnostics == ()
    return Policy.build([(Layer.USER, parsed.file)])


PLAIN = 'pattern = ["t", "go"], unless = [args_match("x", rest)]'
REST = 'pattern = ["t", "go", rest(glob("*"))], unless = [args_match("x", rest)]'
MIDDLE = 'pattern = ["t", "go", rest, "y"], unless = [args_match("x", rest)]'
ANY = 'pattern = ["t", rest], unless = [args_match(rest, glob("--out*"), rest), args_match("w")]'
LETTERS = 'pattern = ["t", "go"], canonical_matching = True, unless = [args_match("x")]'


@pytest.mark.parametrize(
    ("rule", "script", "allow", "deny"),
    [
        pytest.param(PLAIN, "t go", ALLOW, DENY, id="nothing-behind"),
        pytest.param(PLAIN, "t go a", ALLOW, DENY, id="another-word"),
        pytest.param(PLAIN, "t go x a", ASK, ALLOW, id="excepted"),
        pytest.param(PLAIN, "t go $v", ASK, ASK, id="perhaps-excepted"),
        pytest.param(PLAIN, 't go "$v" a', ASK, ASK, id="one-word-perhaps-excepted"),
        pytest.param(PLAIN, "t $v x", ASK, ASK, id="a-word-of-the-pattern-not-known"),
        pytest.param(PLAIN, "t go *", ASK, ASK, id="a-glob-perhaps-excepted"),
        pytest.param(PLAIN, 't go a "$v"', ALLOW, DENY, id="not-excepted-whatever-comes"),
        pytest.param(REST, "t go", ALLOW, DENY, id="rest-of-nothing"),
        pytest.param(REST, "t go a", ALLOW, DENY, id="rest-of-another-word"),
        pytest.param(REST, "t go x", ASK, ALLOW, id="rest-is-excepted"),
        pytest.param(REST, "t go x a b", ASK, ALLOW, id="rest-of-many-is-excepted"),
        pytest.param(REST, "t go $v", ASK, ASK, id="rest-perhaps-excepted"),
        pytest.param(REST, "t $v x", ASK, ASK, id="rest-behind-an-unknown"),
        pytest.param(MIDDLE, "t go a y", ALLOW, DENY, id="a-word-behind-rest"),
        pytest.param(MIDDLE, "t go x y", ASK, ALLOW, id="excepted-with-a-word-behind-rest"),
        pytest.param(ANY, "t a b", ALLOW, DENY, id="all-words"),
        pytest.param(ANY, "t a --output b", ASK, ALLOW, id="an-option-somewhere"),
        pytest.param(ANY, "t w", ASK, ALLOW, id="the-second-exception"),
        pytest.param(ANY, "t a $v", ASK, ASK, id="perhaps-an-option"),
        pytest.param(LETTERS, "T GO", ALLOW, DENY, id="letters-of-the-program"),
        pytest.param(LETTERS, "t GO a", ALLOW, DENY, id="letters"),
        pytest.param(LETTERS, "t GO X", ASK, DENY, id="letters-of-the-exception"),
        pytest.param(LETTERS, "t GO x", ASK, ALLOW, id="the-exception-as-written"),
    ],
)
def test_row(rule: str, script: str, allow: Decision, deny: Decision) -> None:
    assert check(script, policy(f'prefix_rule({rule}, decision = "allow")'), CONTEXT).decision is allow
    lifted = policy(f'prefix_rule({rule}, decision = "deny")\ndefaults(unmatched = "allow")')
    assert check(script, lifted, CONTEXT).decision is deny


@pytest.mark.parametrize("rule", [PLAIN, REST, MIDDLE])
def test_an_allow_taken_away_says_why(rule: str) -> None:
    facts = analyse("t go x y").commands[0]
    assert [one.reason for one in near_misses(policy(f"prefix_rule({rule})"), facts, CONTEXT)] == [
        "its `unless` applies"
    ]
