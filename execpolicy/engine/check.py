"""check: read what would run, judge every part of it, fold strictest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from execpolicy.decision import Decision, Verdict
from execpolicy.engine.context import CheckContext
from execpolicy.engine.fold import Judged, fold
from execpolicy.engine.judge import judge_command, judge_file, judge_host, judge_tool, literal
from execpolicy.engine.policy import Policy
from execpolicy.engine.words import Places
from execpolicy.facts import Access, FileAccess, ScriptFacts
from execpolicy.shell.analyse import analyse, analyse_argv
from execpolicy.values import replace


def check(script: str, policy: Policy, context: CheckContext) -> Verdict:
    """The verdict over a script that bash would read."""
    return check_facts(analyse(script, cwd=context.cwd), policy, context)


def check_argv(argv: Sequence[str], policy: Policy, context: CheckContext) -> Verdict:
    """The verdict over words that no shell reads."""
    return check_facts(analyse_argv(argv), policy, context)


def check_facts(facts: ScriptFacts, policy: Policy, context: CheckContext) -> Verdict:
    """The verdict over what a script was read to be."""
    judged: list[Judged] = []
    for command in facts.commands:
        judged += judge_command(policy, command, context)
    unknowns = [unknown.why for unknown in facts.unknowns]
    if not facts.readable and not unknowns:
        unknowns.append("the script could not be read exactly")
    least = policy.unread() if unknowns else Decision.ALLOW
    verdict = fold(judged, context, unknowns, least)
    if verdict.decision is Decision.ALLOW:
        return verdict
    return replace(verdict, nearest=_nearest(facts, judged, policy, context))


def _nearest(
    facts: ScriptFacts, judged: Sequence[Judged], policy: Policy, context: CheckContext
) -> str | None:
    """For the first command that is not allowed, the nearest that is."""
    from execpolicy.engine.trace import nearest_allowed

    refused = {one.part.text for one in judged if one.part.decision is not Decision.ALLOW}
    for command in facts.commands:
        if command.argv and " ".join(word.raw for word in command.argv) in refused:
            found = nearest_allowed(policy, command, context)
            if found is not None:
                return found
    return None


def check_files(
    accesses: Sequence[tuple[str, Access]],
    policy: Policy,
    context: CheckContext,
    *,
    outside: Decision = Decision.ASK,
) -> Verdict:
    """The verdict over file accesses of a tool; a write outside the session's folders is `outside`."""
    places = Places(context.cwd, context.workspace, context.home)
    judged = [
        judge_file(policy, FileAccess(literal(path), access, why="tool"), places, context, outside=outside)
        for path, access in accesses
    ]
    return fold(judged, context)


def check_host(
    host: str, port: int | None, protocol: str | None, policy: Policy, context: CheckContext
) -> Verdict:
    """The verdict over one connection."""
    return fold([judge_host(policy, host, port, protocol, context)], context)


def check_tool(
    server: str | None, tool: str, arguments: Mapping[str, object], policy: Policy, context: CheckContext
) -> Verdict:
    """The verdict over one tool call; `server` is None for the agent's own tools."""
    return fold([judge_tool(policy, server, tool, arguments, context)], context)
