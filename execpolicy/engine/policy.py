"""Policy: the layers compiled for looking up, and which rules can speak about a command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from execpolicy.decision import Decision, Layer
from execpolicy.engine.identity import Hosts
from execpolicy.engine.index import (
    EMPTY,
    Bucket,
    Index,
    base_name,
    build,
    command_rules,
    possible_command_rules,
    possible_prefix_rules,
    prefix_rules,
)
from execpolicy.engine.match import CommandView
from execpolicy.engine.words import canonical
from execpolicy.lang.rules import Defaults, Mask, Rule, RuleException, RuleFile
from execpolicy.values import frozen


@frozen(kw_only=True)
class Policy:
    """Rules of all layers, highest layer first. Made by `build` or loaded from a compiled file."""

    rules: Sequence[Rule]
    layers: bytes  # the layer of each rule
    index: Index
    hosts: Hosts
    defaults: tuple[tuple[Layer, Defaults], ...]  # what each layer declares, strictest a layer
    exceptions: Mapping[str, tuple[tuple[Layer, RuleException], ...]]  # by the id of the rule they open
    masks: tuple[Mask, ...] = ()  # of all layers: what one of them hides is hidden

    @staticmethod
    def build(layered: Sequence[tuple[Layer, RuleFile]]) -> Policy:
        """Compile files; within a layer they keep the order they are given in."""
        ordered = sorted(layered, key=lambda pair: pair[0])
        rules = tuple(rule for _, file in ordered for rule in file.rules)
        exceptions: dict[str, tuple[tuple[Layer, RuleException], ...]] = {}
        for layer, file in ordered:
            for exception in file.exceptions:
                exceptions[exception.to] = (*exceptions.get(exception.to, ()), (layer, exception))
        return Policy(
            rules=rules,
            layers=bytes(layer for layer, file in ordered for _ in file.rules),
            index=build(rules),
            hosts=Hosts.build((layer, host) for layer, file in ordered for host in file.host_executables),
            defaults=_defaults(ordered),
            exceptions=exceptions,
            masks=tuple(mask for _, file in ordered for mask in file.masks),
        )

    def candidates(self, view: CommandView) -> Iterator[int]:
        """The numbers of the rules that can speak about a command with certainty, each once."""
        index = self.index
        yield from index.anywhere
        names = self._names(view)
        seen: set[int] = set()
        for name in names:
            for number in self._about(name, view):
                if number not in seen:
                    seen.add(number)
                    yield number

    def _names(self, view: CommandView) -> Sequence[str]:
        names = view.program.names
        return names if len(names) == 1 else tuple(dict.fromkeys(map(base_name, names)))

    def _about(self, name: str, view: CommandView) -> Iterator[int]:
        index = self.index
        bucket = index.programs.get(name)
        if bucket is not None:
            if bucket.prefixes is not None:
                yield from prefix_rules(bucket.prefixes, view.facts.argv[1:])
            if bucket.commands or bucket.loose:
                yield from command_rules(bucket, view.line.operands)
        if index.caseless:
            yield from index.caseless.get(canonical(name), ())

    def possible(self, view: CommandView) -> Iterator[int]:
        """Asks and denies that speak only if an unknown word becomes the right one. Some come twice."""
        index = self.index
        for name in self._names(view):
            bucket = index.programs.get(name)
            if bucket is None:
                continue
            if bucket.prefixes is not None:
                yield from possible_prefix_rules(bucket.prefixes, view.facts.argv[1:], index.decisions)
            if bucket.commands:
                yield from possible_command_rules(bucket, view.line.operands, index.decisions)

    def bucket(self, program: str) -> Bucket:
        """The rules about the program of this bare name."""
        return self.index.programs.get(base_name(program), EMPTY)

    def unread(self) -> Decision:
        """What something unread asks for at least."""
        return max((defaults.unknown for _, defaults in self.defaults), default=Decision.ASK)


def _defaults(ordered: Sequence[tuple[Layer, RuleFile]]) -> tuple[tuple[Layer, Defaults], ...]:
    found: dict[Layer, Defaults] = {}
    for layer, file in ordered:
        new = file.defaults
        if new is None:
            continue
        old = found.get(layer)
        if old is not None:
            strictest = max(old, new, key=lambda defaults: (defaults.unmatched, defaults.unknown))
            new = Defaults(
                unmatched=max(old.unmatched, new.unmatched),
                unknown=max(old.unknown, new.unknown),
                origin=strictest.origin,
            )
        found[layer] = Defaults(
            unmatched=new.unmatched, unknown=max(new.unknown, Decision.ASK), origin=new.origin
        )
    return tuple(sorted(found.items(), key=lambda pair: pair[0]))
