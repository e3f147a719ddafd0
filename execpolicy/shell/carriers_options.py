"""Splits the words of a command into options, their values and operands, as getopt does."""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache

from execpolicy.facts import Unknown, Word, WordKind
from execpolicy.values import frozen


@frozen(kw_only=True)
class OptionSpec:
    """How one program reads its options. Names carry their dashes: `-o`, `--output`."""

    values: frozenset[str] = frozenset()  # take a value: `-o x`, `-ox`, `--out x`, `--out=x`
    optional: frozenset[str] = frozenset()  # may carry an attached value only: `-i.bak`, `--color=x`
    flags: frozenset[str] = frozenset()
    strict: bool = False  # an option that is not listed is a doubt, else it is taken as a flag
    permute: bool = False  # options are read after operands too
    single: bool = False  # long options may have one dash: `-name value`
    plus: bool = False  # `+x` is an option (shells)

    def spelled(self, name: str) -> str | None:
        """The full name of `name`, a long option that may be cut short; None: no listed option."""
        if name in self.values or name in self.flags or name in self.optional:
            return name
        if not name.startswith("--"):
            return None
        listed = _long(self.values, self.optional, self.flags)
        at = bisect_left(listed, name)
        return listed[at] if at < len(listed) and listed[at].startswith(name) else None


@lru_cache(maxsize=1024)
def _long(*listed: frozenset[str]) -> tuple[str, ...]:
    """The long options among those of one program, in order."""
    return tuple(sorted(name for names in listed for name in names if name.startswith("--")))


@frozen
class Given:
    """An option as it stands in a command."""

    name: str
    value: Word | None
    at: int  # index of the word that holds the name


@frozen
class Scan:
    """`rest` is the index of the first word that was not read; `operands` stand before it."""

    options: tuple[Given, ...]
    operands: tuple[Word, ...]
    rest: int
    doubts: tuple[Unknown, ...] = ()

    def of(self, *names: str) -> tuple[Word, ...]:
        """The values given to any of `names`, in order."""
        return tuple(o.value for o in self.options if o.name in names and o.value is not None)

    def has(self, *names: str) -> bool:
        if names:
            for option in self.options:
                if option.name in names:
                    return True
        return False


def known(word: Word) -> str | None:
    """What the program will get, when that is certain."""
    return word.text  # None unless the word is literal


def tail(word: Word, cut: int) -> Word:
    """`word` without its first `cut` characters, which are certain."""
    if word.kind is WordKind.LITERAL:
        return Word.literal((word.text or "")[cut:], span=word.span)
    return Word.unknown(word.why, raw=word.raw, prefix=word.prefix[cut:], many=word.many, span=word.span)


def may_be_option(word: Word) -> bool:
    """Whether a word that is not known could turn out to start with a dash, or hide words that do."""
    if word.kind is WordKind.LITERAL:
        return False
    if word.kind in (WordKind.PATH, WordKind.NUMBER) and not word.many:
        return False
    if word.prefix and not word.prefix.startswith("-"):
        # Every word that a glob becomes keeps its start; an unquoted variable may split anywhere.
        return word.many and word.kind is not WordKind.PATTERN
    return True


def scan(argv: tuple[Word, ...], spec: OptionSpec, *, operands: int = 0) -> Scan:
    """Read the options behind `argv[0]`.

    Without `permute` reading stops after `operands` operands, at the word where the carried command
    starts. A doubt says where the reading may be wrong.
    """
    return _Reading(argv, spec, operands).run()


def scan_all(argv: tuple[Word, ...], spec: OptionSpec) -> Scan:
    """Read every word behind `argv[0]`: nothing is carried by them."""
    return _Reading(argv, spec, len(argv)).run()


class _Reading:
    def __init__(self, argv: tuple[Word, ...], spec: OptionSpec, operands: int) -> None:
        self.argv = argv
        self.spec = spec
        self.wanted = operands
        self.permute = spec.permute or operands >= len(argv)
        self.at = 1
        self.options: list[Given] = []
        self.operands: list[Word] = []
        self.doubts: list[Unknown] = []

    def run(self) -> Scan:
        self._read()
        return Scan(tuple(self.options), tuple(self.operands), self.at, tuple(self.doubts))

    def _read(self) -> None:
        argv = self.argv
        end = len(argv)
        signs = ("-", "+") if self.spec.plus else "-"
        while self.at < end:
            word = argv[self.at]
            text = word.text
            if text is None:
                if not self._unknown(word):
                    return
            elif text == "--":
                if self.permute or not self.operands:
                    self.at += 1
                    self._operands_only()
                return
            elif len(text) > 1 and text.startswith(signs) and (self.permute or not self.operands):
                self._option(word, text)
            elif not self.permute and len(self.operands) >= self.wanted:
                return  # the carried command starts here
            else:
                self.operands.append(word)
                self.at += 1

    def _operand(self, word: Word) -> bool:
        """Take an operand; False when the carried command starts here."""
        if not self.permute and len(self.operands) >= self.wanted:
            return False
        self.operands.append(word)
        self.at += 1
        return True

    def _operands_only(self) -> None:
        while self.at < len(self.argv) and (self.permute or len(self.operands) < self.wanted):
            self.operands.append(self.argv[self.at])
            self.at += 1

    def _unknown(self, word: Word) -> bool:
        name, equals, _ = word.prefix.partition("=")
        if equals and name.startswith("--") and not word.many:
            self._long(word, name, tail(word, len(name) + 1))
            return True
        short = word.prefix[:2]
        if len(short) == 2 and short[0] == "-" and short in self.spec.values and not word.many:
            self.options.append(Given(short, tail(word, 2), self.at))
            self.at += 1
            return True
        if may_be_option(word) and (self.permute or not self.operands):
            self.doubts.append(Unknown(f"`{word.raw}` is not known and may be an option", word.span))
        return self._operand(word)

    def _option(self, word: Word, text: str) -> None:
        if text.startswith("--") or (self.spec.single and self.spec.spelled(text.partition("=")[0])):
            name, equals, _ = text.partition("=")
            self._long(word, name, tail(word, len(name) + 1) if equals else None)
        else:
            self._cluster(word, text)

    def _long(self, word: Word, name: str, attached: Word | None) -> None:
        full = self.spec.spelled(name)
        at = self.at
        self.at += 1
        if full is None:
            if self.spec.strict:
                self.doubts.append(Unknown(f"option `{name}` is not known", word.span))
            self.options.append(Given(name, attached, at))
        elif full in self.spec.values and attached is None:
            self.options.append(Given(full, self._next(), at))
        else:
            self.options.append(Given(full, attached, at))

    def _next(self) -> Word | None:
        if self.at >= len(self.argv):
            return None
        word = self.argv[self.at]
        self.at += 1
        if word.many:
            self.doubts.append(Unknown(f"`{word.raw}` may be any number of words", word.span))
        return word

    def _cluster(self, word: Word, text: str) -> None:
        at = self.at
        self.at += 1
        spec = self.spec
        sign = text[0]
        end = len(text)
        for place in range(1, end):
            name = sign + text[place]
            if name in spec.values:
                self.options.append(
                    Given(name, self._next() if place + 1 == end else tail(word, place + 1), at)
                )
                return
            if name in spec.optional:
                self.options.append(Given(name, None if place + 1 == end else tail(word, place + 1), at))
                return
            if spec.strict and name not in spec.flags:
                self.doubts.append(Unknown(f"option `{name}` is not known", word.span))
            self.options.append(Given(name, None, at))
