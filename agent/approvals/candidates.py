"""From what a request would do to the rules that would allow it: to the letter, and what begins the same."""

from __future__ import annotations

import json
import posixpath
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from agent.approvals import banned
from execpolicy.decision import Decision, Part
from execpolicy.facts import CommandFacts, ScriptFacts
from execpolicy.lang.strings import encode
from execpolicy.values import frozen

MOST_RULES: Final = 4  # one yes keeps no more
MOST_WORDS: Final = 40
MOST_CHARACTERS: Final = 2000
EXACT = (
    "exactly these words, in any folder, with any input and with variables that steer no program, also behind "
    "programs that only pass them on and beside other allowed commands"
)


@frozen
class Candidate:
    """Declarations without what is only known when they are kept: id, end, reason."""

    wide: bool
    rules: tuple[tuple[str, tuple[str, ...]], ...]  # kind of declaration, its own keys as they are written
    extent: str
    commands: tuple[tuple[str, ...], ...] = ()  # the words that each rule is about; what examples are made of
    notes: tuple[str, ...] = ()


@frozen
class NoCandidate:
    """Why nothing is offered."""

    why: str


def of_script(facts: ScriptFacts, parts: Sequence[Part], cwd: str) -> tuple[Candidate, ...] | NoCandidate:
    """What would allow every part of the script that is asked about."""
    asked = [part for part in parts if part.decision is Decision.ASK]
    if not asked or not facts.readable or facts.unknowns:
        return NoCandidate("not all of it is known before it runs")
    texts = {part.text for part in asked if part.kind == "command"}
    if any(part.kind not in ("command", "write", "read", "delete") for part in asked):
        return NoCandidate("what is asked about is more than commands and files")
    commands: dict[tuple[str, ...], CommandFacts] = {}
    files: dict[tuple[str, str], None] = {}
    paths = {(part.text, part.kind) for part in asked if part.kind != "command"}
    for command in facts.commands:
        if " ".join(word.raw for word in command.argv) in texts:
            words = _words(command)
            if isinstance(words, NoCandidate):
                return words
            commands.setdefault(words, command)
        for access in command.files:
            if (access.path.raw, access.access.value) in paths:
                found = _path(access.path.text, command, cwd)
                if found is None:
                    return NoCandidate(f"the path `{access.path.raw}` is not known before it runs")
                files[found, access.access.value] = None
    if (not commands and not files) or len(commands) + len(files) > MOST_RULES:
        many = len(commands) + len(files) > MOST_RULES
        return NoCandidate(
            f"more than {MOST_RULES} rules would be needed" if many else "no rule could say it"
        )
    return tuple(_of_words(tuple(commands), tuple(files)))


def of_tool(server: str, tool: str, arguments: Mapping[str, object]) -> Candidate | NoCandidate:
    """The call of a server's tool with the very arguments."""
    if not arguments:
        return NoCandidate(f"without arguments to name, every call of `{server}.{tool}` would be allowed")
    texts = {
        name: value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
        for name, value in arguments.items()
    }
    if len(texts) > MOST_WORDS or sum(map(len, texts.values())) > MOST_CHARACTERS:
        return NoCandidate("its arguments are too long for a rule that somebody can read")
    if not _writable((server, tool, *texts, *texts.values())):
        return NoCandidate("its arguments hold characters that no rule can hold")
    said = ", ".join(f"{encode(name)}: {encode(value)}" for name, value in sorted(texts.items()))
    keys = (f"server = {encode(server)}", f"tool = {encode(tool)}", f"arguments = {{{said}}}")
    extent = f"`{server}.{tool}` with exactly these arguments, whatever others are given beside them"
    return Candidate(False, (("tool_rule", keys),), extent)


def of_host(host: str, port: int | None, protocol: str | None) -> Candidate | NoCandidate:
    """One host by its name."""
    if not host or host.startswith("*") or not _writable((host,)):
        return NoCandidate("it is no one host")
    keys = [f"host = {encode(host)}"]
    if port is not None:
        keys.append(f"port = {port}")
    if protocol:
        keys.append(f"protocol = {encode(protocol)}")
    about = f"`{host}`{f' at port {port}' if port is not None else ''}{f' by {protocol}' if protocol else ''}"
    extent = f"connections to {about} of every command, and not to its sub-domains"
    return Candidate(False, (("network_rule", tuple(keys)),), extent)


def of_paths(accesses: Sequence[tuple[str, str]]) -> Candidate | NoCandidate:
    """Files by their absolute path and what is done to them."""
    if not accesses or len(accesses) > MOST_RULES:
        return NoCandidate(f"more than {MOST_RULES} files are asked about")
    if not _writable(tuple(path for path, _ in accesses)):
        return NoCandidate("a path holds characters that no rule can hold")
    return Candidate(False, tuple(_path_rule(*one) for one in accesses), _of_files(accesses))


def _words(command: CommandFacts) -> tuple[str, ...] | NoCandidate:
    if command.shadowed:
        return NoCandidate(f"the script gives `{command.argv[0].raw}` a meaning of its own")
    hard = [unknown.why for unknown in command.unknowns if not unknown.code]
    if hard or any(word.text is None for word in command.argv):
        why = hard[0] if hard else next(word.why or word.raw for word in command.argv if word.text is None)
        return NoCandidate(f"not known before it runs: {why}")
    words = tuple(word.text for word in command.argv if word.text is not None)
    if len(words) > MOST_WORDS or sum(map(len, words)) > MOST_CHARACTERS:
        return NoCandidate("the command is too long for a rule that somebody can read")
    if not _writable(words):
        return NoCandidate("the command holds characters that no rule can hold")
    if why := banned.why_never(words):
        return NoCandidate(why)
    return words


def _of_words(
    commands: tuple[tuple[str, ...], ...], files: tuple[tuple[str, str], ...]
) -> Iterator[Candidate]:
    paths = tuple(_path_rule(*one) for one in files)
    notes = tuple(
        f"`{shlex.join(words)}` runs what files of the project say, whatever they say then"
        for words in commands
        if banned.runs_project_code(words)
    )
    exact = tuple(("prefix_rule", (f"pattern = [{_list(words)}, end]",)) for words in commands)
    extent = f"{_named(commands)}: {EXACT}" if commands else ""
    both = "; ".join(filter(None, (extent, _of_files(files) if files else "")))
    yield Candidate(False, (*exact, *paths), both, commands, notes)
    starts = tuple(_start(words) for words in commands)
    if not files and len(commands) == 1 and starts[0]:
        start = commands[0][: starts[0]]
        wide = (("prefix_rule", (f"pattern = [{_list(start)}]",)),)
        yield Candidate(True, wide, f"everything that begins with `{shlex.join(start)}`", commands)


def _start(words: tuple[str, ...]) -> int:
    """How many words the wider offer keeps: program, subcommand, the options behind it; 0 for none."""
    count = banned.subcommand(words)
    if not count or count == len(words):
        return 0
    while count < len(words) and words[count].startswith("-") and words[count] != "--":
        count += 1
    return 0 if count == len(words) or banned.why_not_wide(words, count) else count


def _path(text: str | None, command: CommandFacts, cwd: str) -> str | None:
    if text is None or not _writable((text,)):
        return None
    folder = cwd if command.cwd is None else command.cwd.text
    if posixpath.isabs(text):
        return posixpath.normpath(text)
    return None if folder is None else posixpath.normpath(posixpath.join(cwd, folder, text))


def _path_rule(path: str, access: str) -> tuple[str, tuple[str, ...]]:
    plain = "".join(f"\\{char}" if char in "\\*?[]{}~$" else char for char in path)
    return "path_rule", (f"paths = [{encode(plain)}]", f"access = [{encode(access)}]")


def _of_files(files: Sequence[tuple[str, str]]) -> str:
    return "by any command: " + ", ".join(f"{access} `{path}`" for path, access in files)


def _named(commands: Sequence[tuple[str, ...]]) -> str:
    return ", ".join(f"`{shlex.join(words)}`" for words in commands)


def _list(words: Sequence[str]) -> str:
    return ", ".join(map(encode, words))


def _writable(words: Sequence[str]) -> bool:
    """A rule file is UTF-8 text, and an approval is one that can be read: no control characters."""
    return all(word.isprintable() or word == "" for word in words)
