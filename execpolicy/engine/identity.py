"""Which program the first word of a command stands for, and what each rule may conclude from it.

An allow needs proof that the file that would run is the one that the rule means; an ask or deny needs the
possibility.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from typing import assert_never

from execpolicy.decision import Certainty, Layer, SandboxMode
from execpolicy.engine.context import CheckContext
from execpolicy.engine.words import MAYBE, NO, YES, Places, fits, fits_text, inside
from execpolicy.facts import CommandFacts, Word
from execpolicy.lang.rules import (
    AllOf,
    AnyOf,
    Exact,
    Glob,
    HostExecutable,
    NoneOf,
    Regex,
    Within,
    WordPattern,
)
from execpolicy.values import frozen

_ANY_WORD = Word.unknown("")


@frozen
class Hosts:
    """Where programs may live, by name: highest layer first, one set of paths a layer."""

    by_name: Mapping[str, tuple[tuple[Layer, frozenset[str]], ...]]

    @staticmethod
    def build(declared: Iterable[tuple[Layer, HostExecutable]]) -> Hosts:
        """Within a layer the last declaration of a name replaces the others."""
        found: dict[str, dict[Layer, frozenset[str]]] = {}
        for layer, host in declared:
            found.setdefault(host.name, {})[layer] = frozenset(map(posixpath.normpath, host.paths))
        return Hosts({name: tuple(sorted(layers.items())) for name, layers in found.items()})

    def speaking(self, name: str, layer: Layer) -> list[frozenset[str]]:
        """What `layer` and those above it say about `name`: a lower layer has no say."""
        return [paths for owner, paths in self.by_name.get(name, ()) if owner <= layer]


@frozen
class Program:
    """The first word of a command and the file it stands for, as far as they are known."""

    text: str | None  # as the shell would pass it; None: not known
    base: str  # its last path component
    path: str | None  # absolute normal path of the file, when known
    names: tuple[str, ...]  # everything that a deny may call it
    found: bool  # nothing speaks against its being the program of that name
    same_place: bool  # a relative path means what it would mean in the workspace
    shadowed: bool  # the script defines a function or alias of this name

    @staticmethod
    def of(facts: CommandFacts, context: CheckContext, places: Places) -> Program:
        first = facts.argv[0]
        text = first.text
        if text is None:
            return Program(None, "", None, (), False, False, False)
        if "/" not in text:
            if context.resolver is None:
                return Program(text, text, None, (text,), not facts.shadowed, False, facts.shadowed)
            return _bare(text, facts, context)
        return _path(text, facts, context, places)

    def possible(self, pattern: WordPattern, places: Places) -> Certainty:
        """Whether a rule that asks or denies may mean this program."""
        if self.text is None:
            return fits(pattern, _ANY_WORD, places)
        match pattern:
            case Exact(wanted):
                if wanted in self.names:
                    return YES
                if "/" not in wanted:
                    return NO
                if places.root(wanted) in self.names:
                    return YES
                unsure = self.path is None or not wanted.startswith("/")
                return MAYBE if unsure and posixpath.basename(wanted) == self.base else NO
            case AnyOf(options):
                return max((self.possible(option, places) for option in options), default=NO)
            case Glob() | Regex() | Within() | AllOf() | NoneOf():
                return max(fits_text(pattern, name, places) for name in self.names)
            case _:
                assert_never(pattern)

    def proven(self, pattern: WordPattern, places: Places, hosts: Hosts, layer: Layer) -> Certainty:
        """YES when the program is the one that an allow rule of `layer` means, else NO."""
        if self.text is None or self.shadowed:
            return NO
        match pattern:
            case Exact(wanted):
                if "/" in wanted:
                    return YES if self._is_file(wanted) else NO
                return YES if wanted == self.base and self._holds(hosts, layer) else NO
            case AnyOf(options):
                return max((self.proven(option, places, hosts, layer) for option in options), default=NO)
            case Within():
                return fits_text(pattern, self.path, places) if self.path is not None else NO
            case Glob() | Regex() | AllOf() | NoneOf():
                if not self._holds(hosts, layer):
                    return NO
                return YES if fits_text(pattern, self.base, places) is YES else NO
            case _:
                assert_never(pattern)

    def _is_file(self, wanted: str) -> bool:
        if self.text == wanted and not wanted.startswith("/"):
            return self.same_place
        return wanted.startswith("/") and self.path == posixpath.normpath(wanted)

    def _holds(self, hosts: Hosts, layer: Layer) -> bool:
        assert self.text is not None
        if "/" in self.text and not self.text.startswith("/"):
            return False
        declared = hosts.speaking(self.base, layer) if hosts.by_name else []
        if declared:
            return self.path is not None and all(self.path in paths for paths in declared)
        return self.found


def _bare(text: str, facts: CommandFacts, context: CheckContext) -> Program:
    assert context.resolver is not None
    path = None if not text or facts.shadowed else context.resolver.program(text, context.cwd)
    if path is None:
        return Program(text, text, None, (text,), not facts.shadowed, False, facts.shadowed)
    path = posixpath.normpath(path)
    real = context.resolver.real(path)
    if not _changeable(path, context) and not _changeable(real, context):
        return Program(text, text, path, (text, path), True, False, facts.shadowed)
    return Program(text, text, path, _names(text, path, real), False, False, facts.shadowed)


def _path(text: str, facts: CommandFacts, context: CheckContext, places: Places) -> Program:
    base = posixpath.basename(text.rstrip("/"))
    path = places.absolute(text)
    same_place = (
        places.cwd is not None
        and inside(places.cwd, context.workspace)
        and places.absolute(text) == places.root(text)
    )
    resolver = context.resolver
    if path is None or resolver is None:
        return Program(text, base, path, _names(text, path, None), False, same_place, facts.shadowed)
    real = resolver.real(path)
    found = False
    if text.startswith("/") and not _changeable(path, context) and not _changeable(real, context):
        usual = resolver.program(base, context.cwd)
        found = usual is not None and (posixpath.normpath(usual) == path or resolver.real(usual) == real)
    names = _names(text, path, None if found else real)
    return Program(text, base, path, names, found, same_place, facts.shadowed)


def _names(text: str, path: str | None, real: str | None) -> tuple[str, ...]:
    names = [text, posixpath.basename(text)]
    if path is not None:
        names += [path, posixpath.basename(path)]
    if real is not None:
        names += [real, posixpath.basename(real)]
    return tuple(dict.fromkeys(names))


def _changeable(path: str, context: CheckContext) -> bool:
    if inside(path, context.workspace):
        return True
    # Where no sandbox holds a command, nothing keeps it from writing what is guarded.
    held = context.sandbox is not SandboxMode.FULL_ACCESS
    guarded = held and any(inside(path, place) for place in context.protected)
    return not guarded and any(inside(path, root) for root in context.writable)
