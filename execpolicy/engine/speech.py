"""The rules that spoke about one thing, and the decision they make together with the defaults."""

from __future__ import annotations

from collections.abc import Iterable

from execpolicy.decision import Certainty, Decision, Layer, Opening, RuleMatch
from execpolicy.engine.conditions import holds
from execpolicy.engine.context import CheckContext
from execpolicy.engine.policy import Policy
from execpolicy.engine.words import YES, Places
from execpolicy.lang.rules import Defaults, Meta, Mode, RuleException
from execpolicy.values import frozen


@frozen
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
            owner=meta.owner,
            severity=meta.severity,
            controls=meta.controls,
            opened=None if self.opened is None else _opening(self.opened),
        )


def _opening(by: RuleException) -> Opening:
    return Opening(until=by.until, approved_by=by.approved_by, ticket=by.ticket, origin=by.origin)


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


class Speech:
    """Everything that was said, strictest first."""

    __slots__ = ("counting", "decision", "highest_allow", "highest_yes", "spoken")

    def __init__(self, spoken: Iterable[Spoken]) -> None:
        found = list(spoken)
        if len(found) > 1:
            found.sort(key=lambda one: (-one.meta.decision, -one.certainty, one.number))
        self.spoken = tuple(found)
        self.decision: Decision | None = None  # a possible ask or deny counts as an ask; None: silence
        self.highest_yes: Layer | None = None  # the highest layer that spoke with certainty
        self.highest_allow: Layer | None = None  # the highest layer whose allow is proven
        counting = []
        for one in found:
            meta, sure = one.meta, one.certainty is YES
            allow = meta.decision is Decision.ALLOW
            if not one.enforced or (allow and not sure):
                continue
            counting.append(meta)
            said = meta.decision if sure else Decision.ASK
            if self.decision is None or said > self.decision:
                self.decision = said
            if sure:
                if self.highest_yes is None or one.layer < self.highest_yes:
                    self.highest_yes = one.layer
                if allow and (self.highest_allow is None or one.layer < self.highest_allow):
                    self.highest_allow = one.layer
        self.counting = tuple(counting)

    @property
    def reports(self) -> tuple[RuleMatch, ...]:
        return tuple([one.report() for one in self.spoken])


def silent_defaults(policy: Policy, spoke: Layer | None) -> list[tuple[Layer, Defaults]]:
    """The defaults that speak: of layers where neither they nor a higher one spoke with certainty."""
    if not policy.defaults:
        return []
    return [(layer, defaults) for layer, defaults in policy.defaults if spoke is None or spoke > layer]
