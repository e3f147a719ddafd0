"""Finds functions that call themselves, also by way of others: nothing says that they end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from execpolicy.facts import CommandFacts, Unknown

_MARK = "function:"
# Carriers that read a text as a shell does, with its functions. What any other runs is a program.
_SHELLS = frozenset({"eval", "bash", "sh", "dash", "ash", "zsh", "ksh", "mksh", "busybox"})


def endless(commands: Sequence[CommandFacts]) -> Iterator[Unknown]:
    """One unknown for each call inside of a function that may come back to it: `:(){ :|:& };:`."""
    calls: dict[str, set[str]] = {}
    inside: list[tuple[CommandFacts, str]] = []
    for command in commands:
        bodies = [place[len(_MARK) :] for place in command.context if place.startswith(_MARK)]
        name = command.argv[0].text if command.argv else None
        if not bodies or name is None or any(carrier.name not in _SHELLS for carrier in command.via):
            continue
        inside.append((command, name))
        for body in bodies:
            calls.setdefault(body, set()).add(name)
    circling = _circling(calls)
    for command, name in inside:
        if name in circling:
            yield Unknown(f"function `{name}` calls itself and may never end", command.argv[0].span)


def _circling(calls: dict[str, set[str]]) -> set[str]:
    """The functions that lead to one that calls itself: what is left when those that end are taken out."""
    callers: dict[str, list[str]] = {}
    open_calls = {}
    for body, called in calls.items():
        known = called & calls.keys()
        open_calls[body] = len(known)
        for name in known:
            callers.setdefault(name, []).append(body)
    ends = [body for body, count in open_calls.items() if not count]
    left = set(calls)
    while ends:
        name = ends.pop()
        left.discard(name)
        for caller in callers.get(name, ()):
            open_calls[caller] -= 1
            if not open_calls[caller]:
                ends.append(caller)
    return left
