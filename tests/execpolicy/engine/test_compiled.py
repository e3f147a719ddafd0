"""A policy read back from its compiled form decides as before; anything else is no policy."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from execpolicy.decision import Decision, Layer, Origin
from execpolicy.engine.check import check_facts
from execpolicy.engine.compiled import dump, load
from execpolicy.engine.policy import Policy
from execpolicy.lang.rules import Exact, Meta, PrefixRule, RuleFile

sys.path.insert(0, str(Path(__file__).parents[2]))
from strategies import contexts, layered_files, scripts


@given(layered_files(), scripts(), contexts())
def test_it_answers_alike(files: list[tuple[Layer, RuleFile]], script: object, context: object) -> None:
    policy = Policy.build(files)
    again = load(dump(policy, "k"), "k")
    assert again is not None
    assert list(again.rules) == list(policy.rules)
    assert check_facts(script, again, context) == check_facts(script, policy, context)  # type: ignore[arg-type]


def small() -> bytes:
    origin = Origin(Layer.USER, "a.rules", 1)
    rules = tuple(
        PrefixRule(
            meta=Meta(id=f"r{n}", decision=Decision.DENY, origin=origin),
            pattern=(Exact(f"p{n % 40}"), Exact(str(n))),
        )
        for n in range(100)
    )
    return dump(Policy.build([(Layer.USER, RuleFile(path="a.rules", digest="", rules=rules))]), "key")


DATA = small()


def test_another_key_is_another_policy() -> None:
    assert load(DATA, "key") is not None
    assert load(DATA, "other") is None


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_a_changed_byte_is_noticed(at: int, change: int) -> None:
    assert load(DATA[:at] + bytes([DATA[at] ^ change]) + DATA[at + 1 :], "key") is None


@given(st.integers(0, len(DATA) - 1))
def test_a_cut_is_noticed(at: int) -> None:
    assert load(DATA[:at], "key") is None


@given(st.binary(max_size=200))
def test_noise_is_no_policy(data: bytes) -> None:
    assert load(data, "key") is None


def test_slices_and_ends() -> None:
    policy = load(DATA, "key")
    assert policy is not None
    assert len(policy.rules) == 100
    assert [rule.meta.id for rule in policy.rules[98:]] == ["r98", "r99"]
    assert sorted(policy.index.programs) == sorted(f"p{n}" for n in range(40))
