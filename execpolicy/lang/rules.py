"""Typed rules: what a rule file means, with no syntax in it.

Patterns are regular languages over words and characters. Nothing that would break that gets in: it
is what makes exact comparison of policies possible.
"""

from __future__ import annotations

import enum

from execpolicy.decision import Decision, NetworkAccess, Origin, Reviewer, SandboxMode, Scope
from execpolicy.facts import Access
from execpolicy.values import field, frozen

# --- one word -------------------------------------------------------------------------------


@frozen
class Exact:
    text: str


@frozen
class Glob:
    """`*` any characters but `/`, `**` any characters, `?` one, `[...]` a class; the whole word.

    In arguments that are not paths `*` also matches `/`: the rule that holds the glob says which.
    """

    pattern: str


@frozen
class Regex:
    """Searched in the word unless anchored. No back-references, no look-around: linear time."""

    pattern: str


@frozen
class Within:
    """A path inside `root` after lexical normalisation. `$WORKSPACE` and `~` are resolved at match time."""

    root: str


@frozen
class AnyOf:
    options: tuple[WordPattern, ...]


@frozen
class NoneOf:
    options: tuple[WordPattern, ...]


@frozen
class AllOf:
    options: tuple[WordPattern, ...]


WordPattern = Exact | Glob | Regex | Within | AnyOf | NoneOf | AllOf

# --- several words --------------------------------------------------------------------------


@frozen
class Rest:
    """Zero or more words, each of which fits `each` (any word when None)."""

    each: WordPattern | None = None


@frozen
class End:
    """No further word."""


Element = WordPattern | Rest | End

# --- conditions -----------------------------------------------------------------------------


@frozen
class Fact:
    """A named fact: cwd, workspace, branch, repo, user, os, host, interactive, agent, model, weekday, ..."""

    name: str


@frozen
class EnvFact:
    name: str


@frozen
class GroupFact:
    name: str


@frozen
class TimeBetween:
    """Local time of day, minutes from midnight; a window over midnight when start > end."""

    start: int
    end: int


@frozen
class Compare:
    """`subject == p`, `subject in [p, ...]`, `user in group("x")`."""

    subject: Fact | EnvFact
    options: tuple[WordPattern | GroupFact, ...]


@frozen
class Truth:
    """A fact that is itself true or false: `interactive`."""

    subject: Fact


@frozen
class Not:
    operand: Condition


@frozen
class And:
    operands: tuple[Condition, ...]


@frozen
class Or:
    operands: tuple[Condition, ...]


Condition = Compare | Truth | TimeBetween | Not | And | Or

# --- rules ----------------------------------------------------------------------------------


class Mode(enum.Enum):
    ENFORCE = "enforce"
    AUDIT = "audit"  # reported, takes no part in the decision


@frozen(kw_only=True)
class Meta:
    """What every rule carries beside its pattern."""

    id: str  # given, or made of file name and line: `team.rules:12`
    decision: Decision
    origin: Origin = field(compare=False)
    justification: str | None = None
    suggest: str | None = None
    owner: str | None = None
    severity: str | None = None
    controls: tuple[str, ...] = ()
    expires: str | None = None  # ISO date; the rule no longer applies after that day
    mode: Mode = Mode.ENFORCE
    sandbox: SandboxMode | None = None
    network: NetworkAccess | None = None
    reviewer: Reviewer | None = None
    scope: Scope | None = None


@frozen(kw_only=True)
class Example:
    """A `match` or `not_match` line: a script when written as a string, an argv when as a list."""

    words: tuple[str, ...] | None
    script: str | None
    origin: Origin = field(compare=False)


@frozen(kw_only=True)
class PrefixRule:
    """The first words of a command, one pattern a word."""

    meta: Meta
    pattern: tuple[WordPattern | Rest | End, ...]  # INVARIANT: never empty; first is a WordPattern
    canonical: bool = False  # words compare by Unicode canonical caseless key
    unless: tuple[tuple[Element, ...], ...] = ()
    when: Condition | None = None
    match: tuple[Example, ...] = ()
    not_match: tuple[Example, ...] = ()


@frozen
class Flags:
    """Which options must, may and must not be given; spellings are understood, order is not looked at."""

    all_of: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()


@frozen(kw_only=True)
class CommandRule:
    """What a command means, whatever the order or spelling of its options."""

    meta: Meta
    program: WordPattern
    subcommand: tuple[WordPattern, ...] = ()
    flags: Flags = Flags()
    args: tuple[Element, ...] | None = None  # operands only, options taken out; None: any
    unless: tuple[tuple[Element, ...], ...] = ()  # operand patterns that switch the rule off
    when: Condition | None = None
    match: tuple[Example, ...] = ()
    not_match: tuple[Example, ...] = ()


@frozen(kw_only=True)
class PathRule:
    meta: Meta
    paths: tuple[Glob, ...]  # `~`, `$WORKSPACE` resolved at match time; relative: anywhere (`**/`)
    access: frozenset[Access]
    when: Condition | None = None
    match: tuple[Example, ...] = ()
    not_match: tuple[Example, ...] = ()


@frozen(kw_only=True)
class NetworkRule:
    meta: Meta
    host: str  # lower case; `*.` in front: any sub-domain
    port: int | None = None
    protocol: str | None = None  # http | https | socks5_tcp | socks5_udp
    when: Condition | None = None


@frozen(kw_only=True)
class ToolRule:
    meta: Meta
    tool: WordPattern
    server: WordPattern | None = None  # None: the agent's own tools
    arguments: tuple[tuple[str, WordPattern], ...] = ()
    when: Condition | None = None


@frozen(kw_only=True)
class HostExecutable:
    """Where a program may live."""

    name: str
    paths: tuple[str, ...]
    origin: Origin = field(compare=False)


@frozen(kw_only=True)
class Defaults:
    """What silence means in this layer, and what an unknown means at least."""

    unmatched: Decision = Decision.ASK
    unknown: Decision = Decision.ASK
    origin: Origin = field(compare=False)


@frozen(kw_only=True)
class RuleException:
    """Opens one rule of the same or a lower layer, until an end, signed for by somebody."""

    to: str
    until: str  # ISO date
    approved_by: str
    ticket: str | None = None
    when: Condition | None = None
    origin: Origin = field(compare=False)


@frozen(kw_only=True)
class Mask:
    """What records, traces, exports and the terminal do not show. It decides nothing.

    One of `program`, `env`, `header`, `pattern`, `tool` or `argument`, and `paths` says where the secret stands.
    """

    id: str
    origin: Origin = field(compare=False)
    justification: str | None = None
    owner: str | None = None
    controls: tuple[str, ...] = ()
    program: WordPattern | None = None
    subcommand: tuple[str, ...] = ()  # words of the program that have to be there
    option: tuple[str, ...] = ()  # of the program, whose values are hidden; none: all its words
    attached: bool = False  # only a value that stands in the word of the option
    env: WordPattern | None = None  # name of a variable whose value is hidden
    header: WordPattern | None = None  # lower case: names of headers compare whatever their case
    pattern: tuple[Exact | Regex, ...] = ()  # texts that are hidden wherever they stand
    tool: WordPattern | None = None
    server: WordPattern | None = None
    argument: WordPattern | None = None  # name of an argument, also inside another one; None: all of them
    paths: tuple[Glob, ...] = ()  # files whose contents are hidden
    match: tuple[Example, ...] = ()
    not_match: tuple[Example, ...] = ()


Rule = PrefixRule | CommandRule | PathRule | NetworkRule | ToolRule


@frozen(kw_only=True)
class RuleFile:
    """One file after lowering. `digest` is the SHA-256 of its bytes, hexadecimal."""

    path: str
    digest: str
    rules: tuple[Rule, ...] = ()
    host_executables: tuple[HostExecutable, ...] = ()
    defaults: Defaults | None = None
    exceptions: tuple[RuleException, ...] = ()
    masks: tuple[Mask, ...] = ()
