"""The rules that spoke about one thing, and the decision they make together with the defaults."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from execpolicy.decision import Certainty, Decision, Layer, RuleMatch
from execpolicy.engine.conditions import holds
from execpolicy.engine.context import CheckContext
from execpolicy.engine.fold import counts
from execpolicy.engine.policy import Policy
from execpolicy.engine.words import YES, Places
from execpolicy.lang.rules import Defaults, Meta, Mode, RuleException


@dataclass(frozen=True, slots=True)
class Spoken:
    """One rule that matched."""

    number: int
    layer: Layer
    meta: Meta
    certainty: Certainty
    words: tuple[str, ...]
    opened: RuleException | None = None  # the exception that silences it

    @property
    def enforced(self) -> bool:
        return self.opened is None and self.meta.mode is Mode.ENFORCE

    @property
    def counts(self) -> bool:
        return self.enforced and counts(self.certainty, self.meta.decision)

    def report(self) -> RuleMatch:
        meta = self.meta
        return RuleMatch(
            rule_id=meta.id,
            decision=meta.decision,
            certainty=self.certainty,
            origin=meta.origin,
            justification=meta.justification,
            suggest=meta.suggest,
            words=self.words,
            enforced=self.enforced,
        )


def expired(meta: Meta, context: CheckContext) -> bool:
    """A rule applies through the day it names."""
    return meta.expires is not None and context.today is not None and context.today > meta.expires


def opening(
    policy: Policy, meta: Meta, layer: Layer, context: CheckContext, places: Places
) -> RuleException | None:
    """The exception that opens a rule of `layer` here and today."""
    for owner, exception in policy.exceptions.get(meta.id, ()):
        if (
            owner <= layer
            and context.today is not None
            and context.today <= exception.until
            and holds(exception.when, context, places) is YES
        ):
            return exception
    return None


@dataclass(frozen=True, slots=True)
class Speech:
    """Everything that was said, strictest first."""

    spoken: tuple[Spoken, ...]

    @staticmethod
    def of(spoken: Iterable[Spoken]) -> Speech:
        return Speech(tuple(sorted(spoken, key=lambda one: (-one.meta.decision, -one.certainty, one.number))))

    @property
    def reports(self) -> tuple[RuleMatch, ...]:
        return tuple(one.report() for one in self.spoken)

    @property
    def counting(self) -> tuple[Meta, ...]:
        return tuple(one.meta for one in self.spoken if one.counts)

    def decision(self) -> Decision | None:
        """The strictest that counts; a possible ask or deny counts as an ask. None: silence."""
        found: Decision | None = None
        for one in self.spoken:
            if one.counts:
                said = one.meta.decision if one.certainty is YES else Decision.ASK
                found = said if found is None else max(found, said)
        return found

    def highest_yes(self) -> Layer | None:
        """The highest layer that spoke with certainty."""
        return min((one.layer for one in self.spoken if one.enforced and one.certainty is YES), default=None)

    def highest_allow(self) -> Layer | None:
        """The highest layer whose allow is proven."""
        return min(
            (
                one.layer
                for one in self.spoken
                if one.enforced and one.certainty is YES and one.meta.decision is Decision.ALLOW
            ),
            default=None,
        )


def silent_defaults(policy: Policy, spoke: Layer | None) -> list[tuple[Layer, Defaults]]:
    """The defaults that speak: of layers where neither they nor a higher one spoke with certainty."""
    return [(layer, defaults) for layer, defaults in policy.defaults if spoke is None or spoke > layer]
