"""The decision about one command whose words are all known, without its why.

For whoever asks about very many commands. What a carrier would run is not looked at: `check_argv` does that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from execpolicy.decision import Decision, Layer
from execpolicy.engine.context import CheckContext
from execpolicy.engine.index import BELOW, ENDS
from execpolicy.engine.judge import decide
from execpolicy.engine.policy import Policy
from execpolicy.facts import CommandFacts, Word
from execpolicy.lang.rules import AnyOf, Exact, Mode, PrefixRule, Rule
from execpolicy.source import NOWHERE

_ALLOW: Final = Decision.ALLOW
_ASK: Final = Decision.ASK
_NO_LAYER: Final = len(Layer)


def decide_words(policy: Policy, words: Sequence[str], context: CheckContext) -> Decision:
    """The decision of `decide` about these words."""
    name = words[0]
    index = policy.index
    if index.anywhere or index.caseless or policy.exceptions or policy.hosts.by_name or "/" in name:
        return _slowly(policy, words, context)
    bucket = index.programs.get(name)
    if bucket is None:
        return _ASK if not policy.defaults else _slowly(policy, words, context)
    if bucket.commands or bucket.loose:
        return _slowly(policy, words, context)
    rules, layers = policy.rules, policy.layers
    node, at, count = bucket.prefixes, 1, len(words)
    best, highest = -1, _NO_LAYER
    while node is not None:
        for number in (node,) if isinstance(node, int) else node[ENDS]:
            said = _said(rules[number], words)
            if said is None:
                return _slowly(policy, words, context)
            if said >= 0:
                if said == 0 and context.resolver is not None:
                    return _slowly(policy, words, context)  # the program has to be looked up
                best = max(best, said)
                highest = min(highest, layers[number])
        if at == count or isinstance(node, int):
            break
        node = node[BELOW].get(words[at])
        at += 1
    for layer, declared in policy.defaults:
        if highest > layer and declared.unmatched > best:
            best = declared.unmatched
    return _ASK if best < 0 else Decision(best)


def _said(rule: Rule, words: Sequence[str]) -> int | None:
    """The decision of a plain rule, -1 when it is silent, None when it is not plain."""
    meta = rule.meta
    if (
        not isinstance(rule, PrefixRule)
        or rule.unless
        or rule.when is not None
        or meta.expires is not None
        or meta.mode is not Mode.ENFORCE
    ):
        return None
    pattern = rule.pattern
    if len(pattern) > len(words):
        # Whether it is plain does not matter: `rest()` and `end` aside, it wants more words.
        return -1 if all(type(element) is Exact or type(element) is AnyOf for element in pattern) else None
    for element, word in zip(pattern, words, strict=False):
        if type(element) is Exact:
            if element.text != word:
                return -1 if element is not pattern[0] else None  # a path to the program
        elif type(element) is not AnyOf or not _one_of(element, word):
            return None
    return meta.decision


def _one_of(element: AnyOf, word: str) -> bool:
    return any(type(option) is Exact and option.text == word for option in element.options)


def _slowly(policy: Policy, words: Sequence[str], context: CheckContext) -> Decision:
    return decide(policy, CommandFacts(argv=tuple(map(Word.literal, words)), span=NOWHERE), context).decision
