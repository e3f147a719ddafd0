"""Commands and calls that are nearly the one asked about: what an example of an extent is made of."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from agent.approvals.banned import subcommand
from agent.protocol.items import Json, JsonObject
from execpolicy.engine.index import base_name
from execpolicy.engine.options import grammar_of


def of_command(words: tuple[str, ...], *, wide: bool) -> Iterator[str]:
    """Scripts near the command, the ones that say most about an extent first."""
    script = shlex.join(words)
    count = subcommand(words)
    start = shlex.join(words[:count] if count else words[:1])
    if wide:
        kept = count
        while kept < len(words) and words[kept].startswith("-") and words[kept] != "--":
            kept += 1
        begin = shlex.join(words[:kept])
        yield f"{begin} --force"
        yield f"{begin} anything/else"
        yield f"{begin} --all ../elsewhere"
        yield begin
        if kept > count:
            yield f"{start} anything/else"
    yield f"timeout 60 {script}"
    if grammar_of(base_name(words[0])).values:
        behind = shlex.join(words[1:])
        for option in ("-C", "--prefix", "--cwd"):
            if option in grammar_of(base_name(words[0])).values:
                yield f"{shlex.quote(words[0])} {option} ../elsewhere {behind}"
    yield f"{script} > result.txt"
    if not wide:
        yield f"{script} --force"
        yield f"{script} anything/else"
        if len(words) > 1:
            yield shlex.join(words[:-1])
    if other := _sibling(words, count):
        yield other
    yield f"sudo {script}"
    yield f"{script} && rm -rf ~"
    yield shlex.quote(words[0])


def of_arguments(arguments: Mapping[str, Json]) -> Iterator[JsonObject]:
    """The same call with one argument more, with another value, with one less."""
    yield {**arguments, "another": "value"}
    for name in arguments:
        yield {**arguments, name: "another value"}
    for name in arguments:
        yield {one: value for one, value in arguments.items() if one != name}


def _sibling(words: tuple[str, ...], count: int) -> str:
    """Another subcommand of the same program."""
    if not count:
        return ""
    grammar = grammar_of(base_name(words[0]))
    for word in words[1 : count - 1]:
        grammar = grammar.subcommands[word]
    others = sorted(name for name in grammar.subcommands if name != words[count - 1])
    return shlex.join((*words[: count - 1], others[0])) if others else ""


def of_host(host: str, port: int | None, protocol: str | None) -> Iterator[tuple[str, JsonObject]]:
    """Connections that are nearly this one, each with a name."""
    yield f"{host}, another port", {"host": host, "port": 8443 if port != 8443 else 443, "protocol": protocol}
    yield f"www.{host}", {"host": f"www.{host}", "port": port, "protocol": protocol}
    other = "http" if protocol != "http" else "https"
    yield f"{host} by {other}", {"host": host, "port": port, "protocol": other}
