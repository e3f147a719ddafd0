"""From a command to the few rules that can speak about it, at a cost that does not grow with the policy.

A rule stands under the last path component of its program. Below that, prefix rules stand in a tree of their
words: a tree is the number of one rule, or a list of the rules that end here, the strictest decision below, and
a dict from word to tree. Trees hold numbers and words only, so that they are stored as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, Final

from execpolicy.engine.match import first_key
from execpolicy.engine.sequence import Listed, Perhaps
from execpolicy.engine.words import canonical
from execpolicy.facts import Word
from execpolicy.lang.rules import CommandRule, NetworkRule, PathRule, PrefixRule, Rule, ToolRule
from execpolicy.values import field, frozen

ENDS: Final = 0
STRICTEST: Final = 1
BELOW: Final = 2
DEPTH: Final = 12  # words of a prefix that the tree tells apart
SPREAD: Final = 4096  # spellings of one rule that the tree lists

Tree = Any  # int | list of list[int], int, dict[str, Tree]: `Any` because the type is recursive and hot


@frozen
class Bucket:
    """The rules about one program."""

    prefixes: Tree | None = None
    commands: Mapping[str, Sequence[int]] = field(default_factory=dict)  # by subcommand
    loose: Sequence[int] = ()  # command rules whose subcommand cannot be listed


EMPTY: Final = Bucket()
_SPECIAL: Final = frozenset("*?[\\")


@frozen
class PathIndex:
    """Path rules by a component that every path they speak about has, or by the ending of its name."""

    every: Sequence[int] = ()
    keyed: Mapping[str, Sequence[int]] = field(default_factory=dict)  # `name`, or `*.ending`
    loose: Sequence[int] = ()  # rules without such a component

    def about(self, paths: Sequence[str]) -> Sequence[int]:
        """The rules that can speak about a file that goes by `paths`."""
        if not self.keyed:
            return self.loose
        found = set(self.loose)
        for path in paths:
            *folders, name = path.split("/")
            for key in (*folders, name, "*." + name.rpartition(".")[2]):
                numbers = self.keyed.get(key)
                if numbers is not None:
                    found.update(numbers)
        return sorted(found)


@frozen(kw_only=True)
class Index:
    """All rules by what they are about. Numbers count rules in order of layer, file and place."""

    programs: Mapping[str, Bucket]
    anywhere: Sequence[int]  # prefix and command rules about programs that cannot be listed
    caseless: Mapping[str, Sequence[int]]  # prefix rules with canonical matching
    paths: PathIndex
    hosts: Mapping[str, Sequence[int]]  # by host, `*.x` included
    tools: Sequence[int]
    decisions: bytes  # decision of each rule


def base_name(program: str) -> str:
    return program.rpartition("/")[2] or program


def build(rules: Sequence[Rule]) -> Index:
    """Index `rules` by number."""
    prefixes: dict[str, list[tuple[tuple[str, ...], int]]] = {}
    commands: dict[str, dict[str, list[int]]] = {}
    loose: dict[str, list[int]] = {}
    anywhere: list[int] = []
    caseless: dict[str, list[int]] = {}
    paths: list[tuple[int, PathRule]] = []
    hosts: dict[str, list[int]] = {}
    tools: list[int] = []
    for number, rule in enumerate(rules):
        match rule:
            case PrefixRule():
                names = first_key(rule.pattern[0])
                if names is None:
                    anywhere.append(number)
                elif rule.canonical:
                    for name in dict.fromkeys(canonical(base_name(name)) for name in names):
                        caseless.setdefault(name, []).append(number)
                else:
                    words = _spellings(rule)
                    for name in dict.fromkeys(map(base_name, names)):
                        prefixes.setdefault(name, []).extend((spelling, number) for spelling in words)
            case CommandRule():
                _add_command(rule, number, commands, loose, anywhere)
            case PathRule():
                paths.append((number, rule))
            case NetworkRule():
                hosts.setdefault(rule.host, []).append(number)
            case ToolRule():
                tools.append(number)
    decisions = bytes(rule.meta.decision for rule in rules)
    names = tuple(dict.fromkeys((*prefixes, *commands, *loose)))
    programs = {
        name: Bucket(
            _tree(prefixes[name], 0, decisions) if name in prefixes else None,
            commands.get(name, {}),
            loose.get(name, ()),
        )
        for name in names
    }
    return Index(
        programs=programs,
        anywhere=anywhere,
        caseless=caseless,
        paths=_path_index(paths),
        hosts=hosts,
        tools=tools,
        decisions=decisions,
    )


def _path_index(rules: Sequence[tuple[int, PathRule]]) -> PathIndex:
    keyed: dict[str, list[int]] = {}
    loose: list[int] = []
    for number, rule in rules:
        keys = {_path_key(glob.pattern) for glob in rule.paths}
        if None in keys:
            loose.append(number)
            continue
        for key in keys:
            if key is not None:
                keyed.setdefault(key, []).append(number)
    return PathIndex([number for number, _ in rules], keyed, loose)


def _path_key(glob: str) -> str | None:
    parts = glob.split("/")
    if len(parts) > 1 and parts[0] in ("~", "$WORKSPACE"):
        parts = parts[1:]
    plain = [part for part in parts if part not in ("", ".", "..", "~") and not _SPECIAL.intersection(part)]
    if plain:
        return max(plain, key=len)
    ending = parts[-1].removeprefix("*.")
    if ending and ending != parts[-1] and "." not in ending and not _SPECIAL.intersection(ending):
        return "*." + ending
    return None


def _spellings(rule: PrefixRule) -> list[tuple[str, ...]]:
    """The words behind the program, up to the first that cannot be listed."""
    choices: list[tuple[str, ...]] = []
    spread = 1
    for element in rule.pattern[1 : DEPTH + 1]:
        keys = first_key(element)
        if keys is None or spread * len(keys) > SPREAD:
            break
        spread *= len(keys)
        choices.append(keys)
    return list(product(*choices))


def _add_command(
    rule: CommandRule,
    number: int,
    commands: dict[str, dict[str, list[int]]],
    loose: dict[str, list[int]],
    anywhere: list[int],
) -> None:
    names = first_key(rule.program)
    if names is None:
        anywhere.append(number)
        return
    keys = first_key(rule.subcommand[0]) if rule.subcommand else None
    for name in dict.fromkeys(map(base_name, names)):
        if keys is None:
            loose.setdefault(name, []).append(number)
            continue
        for key in keys:
            commands.setdefault(name, {}).setdefault(key, []).append(number)


def _tree(entries: list[tuple[tuple[str, ...], int]], depth: int, decisions: bytes) -> Tree:
    if len(entries) == 1:
        return entries[0][1]
    ends: list[int] = []
    below: dict[str, list[tuple[tuple[str, ...], int]]] = {}
    for entry in entries:
        words = entry[0]
        if len(words) <= depth:
            ends.append(entry[1])
        else:
            below.setdefault(words[depth], []).append(entry)
    return [
        ends,
        max(decisions[number] for _, number in entries),
        {word: _tree(group, depth + 1, decisions) for word, group in below.items()},
    ]


# --- looking up -----------------------------------------------------------------------------


def prefix_rules(tree: Tree, words: Sequence[Word]) -> Iterator[int]:
    """Rules of `tree` that may match whatever its unknown words become: the known words lead to them."""
    for word in words:
        if isinstance(tree, int):
            break
        yield from tree[ENDS]
        tree = tree[BELOW].get(word.text) if word.text is not None else None
        if tree is None:
            return
    if isinstance(tree, int):
        yield tree
    else:
        yield from tree[ENDS]


def possible_prefix_rules(tree: Tree, words: Sequence[Word], decisions: bytes) -> Iterator[int]:
    """Asks and denies that lie behind an unknown word: what it becomes decides. No allow is proven there."""
    open_: list[tuple[Tree, int, bool]] = [(tree, 0, True)]
    while open_:
        node, at, sure = open_.pop()
        if isinstance(node, int):
            if not sure and decisions[node]:
                yield node
            continue
        if not sure:
            if not node[STRICTEST]:
                continue
            yield from (number for number in node[ENDS] if decisions[number])
        if at == len(words):
            continue
        word = words[at]
        if word.text is not None:
            child = node[BELOW].get(word.text)
            if child is not None:
                open_.append((child, at + 1, sure))
        elif word.many:
            open_.extend((child, at, False) for child in node[BELOW].values())  # it may stand for all of them
        else:
            prefix = word.prefix
            open_.extend(
                (child, at + 1, False) for key, child in node[BELOW].items() if key.startswith(prefix)
            )


def command_rules(bucket: Bucket, operands: Sequence[Listed]) -> Iterator[int]:
    """Command rules whose subcommand is a known word that may be the first operand."""
    yield from bucket.loose
    for listed in operands:
        word = listed.word if isinstance(listed, Perhaps) else listed
        if word.text is not None:
            yield from bucket.commands.get(word.text, ())
        if not isinstance(listed, Perhaps) and not word.many:
            return


def possible_command_rules(bucket: Bucket, operands: Sequence[Listed], decisions: bytes) -> Iterator[int]:
    """Asks and denies whose subcommand an unknown word may become."""
    for listed in operands:
        word = listed.word if isinstance(listed, Perhaps) else listed
        if word.text is None:
            for key, numbers in bucket.commands.items():
                if word.many or key.startswith(word.prefix):
                    yield from (number for number in numbers if decisions[number])
        if word.many and word.text is None:
            # The words behind it may be the first operand as well; all rules have been named.
            return
        if not isinstance(listed, Perhaps):
            return
