"""Many judged parts become one verdict: strictest wins, and the terms of all of them hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from execpolicy.decision import (
    Confinement,
    Decision,
    NetworkAccess,
    Part,
    Reviewer,
    SandboxMode,
    Scope,
    Verdict,
)
from execpolicy.engine.context import CheckContext
from execpolicy.lang.rules import Meta
from execpolicy.values import frozen, replace

_SANDBOXES = (SandboxMode.READ_ONLY, SandboxMode.WORKSPACE_WRITE, SandboxMode.FULL_ACCESS)
_SCOPES = (Scope.ONCE, Scope.SESSION, Scope.PROJECT)


@frozen
class Judged:
    """A part with the rules that count for it. `runs`: it is a program that will run."""

    part: Part
    spoke: tuple[Meta, ...] = ()
    runs: bool = True


def fold(
    judged: Sequence[Judged],
    context: CheckContext,
    unknowns: Iterable[str] = (),
    least: Decision = Decision.ALLOW,
) -> Verdict:
    """The verdict over `judged` in their order; `least` is what the script as a whole asks for."""
    decision = least
    metas: list[Meta] = []
    said: dict[str, None] = dict.fromkeys(unknowns)
    terms = False
    for one in judged:
        part = one.part
        if part.decision > decision:
            decision = part.decision
        for why in part.unknowns:
            said[why] = None
        for meta in one.spoke:
            metas.append(meta)
            terms = terms or bool(meta.sandbox or meta.network or meta.scope or meta.expires)
    parts = tuple([one.part for one in judged])
    if decision is Decision.ALLOW and not terms:
        return Verdict(decision=decision, parts=parts, unknowns=tuple(said))
    return Verdict(
        decision=decision,
        parts=parts,
        unknowns=tuple(said),
        confinement=_confinement(judged, context) if terms else Confinement(),
        reviewer=_reviewer(judged, least),
        scope=min((meta.scope for meta in metas if meta.scope is not None), key=_SCOPES.index, default=None),
        expires=min((meta.expires for meta in metas if meta.expires is not None), default=None),
        suggest=next(
            (meta.suggest for meta in metas if meta.decision is decision and meta.suggest is not None), None
        ),
    )


def _confinement(judged: Sequence[Judged], context: CheckContext) -> Confinement:
    """The strictest that was asked. More freedom than the session has needs every program's rule to ask for it."""
    sandboxes: list[SandboxMode] = []
    networks: list[NetworkAccess] = []
    all_free = all_online = True
    for one in judged:
        asked = [meta.sandbox for meta in one.spoke if meta.sandbox is not None]
        online = [meta.network for meta in one.spoke if meta.network is not None]
        sandboxes += asked
        networks += online
        if one.runs:
            all_free = all_free and bool(asked)
            all_online = all_online and bool(online)
    sandbox = min(sandboxes, key=_SANDBOXES.index, default=None)
    looser = sandbox is not None and _SANDBOXES.index(sandbox) > _SANDBOXES.index(context.sandbox)
    if looser and not all_free:
        sandbox = None
    network = None
    if NetworkAccess.DENY in networks:
        network = NetworkAccess.DENY
    elif networks and all_online:
        network = NetworkAccess.ALLOW
    return Confinement(sandbox=sandbox, network=network)


def _reviewer(judged: Sequence[Judged], least: Decision) -> Reviewer:
    """A person answers, unless the rules behind every ask leave it to the automatic review."""
    if least is Decision.ASK:
        return Reviewer.USER
    asking = [one for one in judged if one.part.decision is Decision.ASK]
    for one in asking:
        reviewers = {meta.reviewer for meta in one.spoke if meta.decision is Decision.ASK}
        if reviewers != {Reviewer.AUTO} or one.part.unknowns:
            return Reviewer.USER
    if any(meta.reviewer is Reviewer.USER for one in judged for meta in one.spoke):
        return Reviewer.USER
    return Reviewer.AUTO if asking else Reviewer.USER


def stricter(verdict: Verdict, of_tool: Verdict, mode: SandboxMode) -> Verdict:
    """`verdict`, made stricter by what the rules about the tool itself say. Their silence adds nothing.

    `mode` is the session's own.
    """
    if not any(match.enforced and match.decision is not Decision.ALLOW for match in of_tool.matches):
        return verdict
    harder = of_tool.decision > verdict.decision
    return replace(
        verdict,
        decision=max(verdict.decision, of_tool.decision),
        parts=(*verdict.parts, *of_tool.parts),
        unknowns=tuple(dict.fromkeys((*verdict.unknowns, *of_tool.unknowns))),
        confinement=_tighter(verdict.confinement, of_tool.confinement, mode),
        suggest=of_tool.suggest if harder else verdict.suggest,
        scope=min(filter(None, (verdict.scope, of_tool.scope)), key=_SCOPES.index, default=None),
    )


def _tighter(one: Confinement, other: Confinement, mode: SandboxMode) -> Confinement:
    network = NetworkAccess.DENY if other.network is NetworkAccess.DENY else one.network
    modes = (one.sandbox or mode, other.sandbox or mode)
    return Confinement(sandbox=min(modes, key=_SANDBOXES.index), network=network)
