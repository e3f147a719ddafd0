"""`check --format codex`: Codex's options, output, errors and exit status, byte for byte."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO

from execpolicy.codex.expand import PROGRAM, FileError, expand
from execpolicy.codex.policy import CodexPolicy, Folders
from execpolicy.codex.starlark import Child

USAGE = "codex execpolicy check [OPTIONS] --rules <PATH> <COMMAND>..."
SHORT_USAGE = "codex execpolicy check --rules <PATH> <COMMAND>..."
HELP_HINT = "For more information, try '--help'."
HELP = f"""\
Check execpolicy files against a command

Usage: {USAGE}

Arguments:
  <COMMAND>...  Command tokens to check against the policy

Options:
  -c, --config <key=value>           Read and ignored: a setting does not change what rules say
  -r, --rules <PATH>                 Paths to execpolicy rule files to evaluate (repeatable)
      --enable <FEATURE>             Read and ignored, when the feature is known
      --pretty                       Pretty-print the JSON output
      --disable <FEATURE>            Read and ignored, when the feature is known
      --resolve-host-executables     Resolve absolute program paths against basename rules
  -h, --help                         Print help
"""
FEATURES = frozenset(
    {"network_proxy", "exec_policy", "execpolicy", "unified_exec", "shell_tool", "apply_patch_freeform"}
)
VALUES = {"-r": "--rules <PATH>", "--rules": "--rules <PATH>", "-c": "--config <key=value>"} | {
    "--config": "--config <key=value>",
    "--enable": "--enable <FEATURE>",
    "--disable": "--disable <FEATURE>",
}
SWITCHES = ("--pretty", "--resolve-host-executables")


class _Usage(Exception):
    """The text that goes to stderr; exit status 2."""


class _Failure(Exception):
    """The text that goes to stderr; exit status 1."""


@dataclass(slots=True)
class _Options:
    rules: list[str] = field(default_factory=list)
    features: list[str] = field(default_factory=list)
    switches: set[str] = field(default_factory=set)
    command: tuple[str, ...] = ()
    help: bool = False


def check(argv: list[str], stdout: TextIO, stderr: TextIO, *, child: Child | None = None) -> int:
    """Runs one check; `argv` holds what stands behind `check`. Returns the exit status."""
    try:
        options = _read(argv)
        if options.help:
            stdout.write(HELP)
            return 0
        for feature in options.features:
            if feature not in FEATURES:
                raise _Failure(f"Error: Unknown feature flag: {feature}\n")
        with child or Child(PROGRAM) as running:
            policy = _load(options.rules, Folders(os.getcwd(), os.path.expanduser("~")), running)
    except _Usage as usage:
        stderr.write(str(usage))
        return 2
    except _Failure as failure:
        stderr.write(str(failure))
        return 1
    resolve = "--resolve-host-executables" in options.switches
    answer = policy.check(options.command, Folders(os.getcwd(), os.path.expanduser("~")) if resolve else None)
    stdout.write(to_text(answer, pretty="--pretty" in options.switches))
    return 0


def to_text(answer: dict[str, object], *, pretty: bool) -> str:
    """One line, or indented by two."""
    if pretty:
        return json.dumps(answer, ensure_ascii=False, indent=2) + "\n"
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")) + "\n"


# --- options --------------------------------------------------------------------------------


def _read(argv: list[str]) -> _Options:
    """Options stand in front of the command; from its first word on everything is the command."""
    if any("\udc80" <= char <= "\udcff" for word in argv for char in word):
        raise _Usage(_usage("error: invalid UTF-8 was detected in one or more arguments", USAGE))
    options = _Options()
    at = 0
    while at < len(argv):
        word = argv[at]
        name, equals, value = word.partition("=")
        if word in ("-h", "--help"):
            options.help = True
            return options
        if word == "--":
            at += 1
            break
        if word in SWITCHES:
            if word in options.switches:
                raise _Usage(_usage(f"error: the argument '{word}' cannot be used multiple times", USAGE))
            options.switches.add(word)
            at += 1
        elif word in VALUES:
            if at + 1 == len(argv) or (argv[at + 1].startswith("-") and argv[at + 1] != "-"):
                message = f"error: a value is required for '{VALUES[word]}' but none was supplied"
                raise _Usage(f"{message}\n\n{HELP_HINT}\n")
            _take(options, word, argv[at + 1])
            at += 2
        elif equals and name.startswith("--") and name in VALUES:
            _take(options, name, value)
            at += 1
        else:
            break
    options.command = tuple(argv[at:])
    missing = [] if options.rules else ["--rules <PATH>"]
    missing += [] if options.command else ["<COMMAND>..."]
    if missing:
        lines = "".join(f"\n  {name}" for name in missing)
        raise _Usage(
            _usage(f"error: the following required arguments were not provided:{lines}", SHORT_USAGE)
        )
    return options


def _take(options: _Options, name: str, value: str) -> None:
    if name in ("-r", "--rules"):
        options.rules.append(value)
    elif name in ("--enable", "--disable"):
        options.features.append(value)


def _usage(message: str, usage: str) -> str:
    return f"{message}\n\nUsage: {usage}\n\n{HELP_HINT}\n"


# --- files ----------------------------------------------------------------------------------


def _load(paths: list[str], folders: Folders, child: Child) -> CodexPolicy:
    """All files in their order; the first error ends it."""
    policy = CodexPolicy()
    for path in paths:
        text = read_text(path, lambda why, path=path: _Failure(_failure("read", path, why)))  # type: ignore[misc]
        try:
            recorder = expand(text, path, child)
        except FileError as error:
            raise _Failure(_failure("parse", path, f"starlark error: {error.text}")) from None
        policy.hosts |= recorder.hosts
        for examples in recorder.examples:
            if why := examples.failure(policy.hosts, folders):
                raise _Failure(_failure("parse", path, why))
        for rule in recorder.rules:
            policy.rules.add(rule)
    return policy


def read_text(path: str, failure: Callable[[str], Exception]) -> str:
    """The text of a file, line ends as they are; `failure` makes the exception from Codex's sentence."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except UnicodeDecodeError:
        raise failure("stream did not contain valid UTF-8") from None
    except OSError as error:
        raise failure(f"{error.strerror} (os error {error.errno})") from None
    except ValueError:
        raise failure("file name contained an unexpected NUL byte") from None


def _failure(what: str, path: str, why: str) -> str:
    lines = "\n".join(f"    {line}" if line else "" for line in why.split("\n"))
    if why.endswith("\n"):
        lines += "    "
    return f"Error: failed to {what} policy at {path}\n\nCaused by:\n{lines}\n"
