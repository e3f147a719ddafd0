"""What a policy says about one command, one file, one host or one tool call."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from execpolicy.decision import PASSES_ON, Certainty, Decision, Layer, Part, SandboxMode, Verdict
from execpolicy.engine.conditions import holds
from execpolicy.engine.context import CheckContext
from execpolicy.engine.fold import Judged, fold
from execpolicy.engine.match import CommandView, about, match_command, match_prefix, places_of
from execpolicy.engine.paths import STREAMS, FileView, match_path, touches_protected, writes_inside
from execpolicy.engine.policy import Policy
from execpolicy.engine.speech import Speech, Spoken, expired, opening, silent_defaults
from execpolicy.engine.words import NO, YES, Places, fits_text
from execpolicy.facts import Access, CommandFacts, FileAccess, Word
from execpolicy.hostname import BadName, canonical, is_address
from execpolicy.lang.rules import CommandRule, Mode, NetworkRule, PathRule, PrefixRule, ToolRule

MANY = 16  # rules of one part that an unknown word may reach and that are shown; one is enough for an ask
LOOKED_AT = 5_000  # such rules that are matched; where there are more, the answer is an ask
TOO_MANY = "more rules than are looked at may be about a word that is not known"


def decide(policy: Policy, facts: CommandFacts, context: CheckContext) -> Verdict:
    """The verdict over one command and the files it touches."""
    return fold(judge_command(policy, facts, context), context)


def judge_command(policy: Policy, facts: CommandFacts, context: CheckContext) -> list[Judged]:
    """The command, then each file that it touches."""
    judged: list[Judged] = []
    if facts.argv:
        view = CommandView(facts, context)
        places = view.places
        judged.append(_command(policy, view))
    else:
        places = places_of(facts, context)
        if facts.assignments or facts.unknowns or not facts.files:
            judged.append(_bare(policy, facts))
    for access in facts.files:
        one = judge_file(policy, access, places, context, outside=Decision.ASK, via=_via(facts))
        silent = one.part.decision is Decision.ALLOW and not one.part.matches
        if not silent or access.access in (Access.WRITE, Access.DELETE):
            judged.append(one)
    return judged


def _via(facts: CommandFacts) -> tuple[str, ...]:
    return tuple([carrier.name for carrier in facts.via]) if facts.via else ()


def _bare(policy: Policy, facts: CommandFacts) -> Judged:
    """Assignments or redirections without a program."""
    unknowns = tuple(unknown.why for unknown in facts.unknowns)
    decision = policy.unread() if unknowns else Decision.ALLOW
    text = " ".join(
        f"{one.name}{'+=' if one.append else '='}{one.value.raw if one.value is not None else '(...)'}"
        for one in facts.assignments
    )
    part = Part(
        kind="command",
        text=text,
        decision=decision,
        unknowns=unknowns,
        via=_via(facts),
        why="sets variables only" if decision is Decision.ALLOW else "changes how later commands run",
    )
    return Judged(part, runs=False)


def _spoken_rules(policy: Policy, view: CommandView) -> Iterator[Spoken]:
    for number in policy.candidates(view):
        one = _spoken(policy, number, view)
        if one is not None:
            yield one
    if all(word.text is not None for word in view.facts.argv):
        return
    found: set[int] = set()
    enforced = 0
    for number in policy.possible(view):
        if enforced == MANY:
            return
        if len(found) == LOOKED_AT:
            view.unread = not enforced
            return
        one = _spoken(policy, number, view) if number not in found else None
        found.add(number)
        if one is not None:
            yield one
            enforced += one.enforced


def _spoken(policy: Policy, number: int, view: CommandView) -> Spoken | None:
    """The rule of that number, if it matches."""
    context = view.context
    rule = policy.rules[number]
    layer = Layer(policy.layers[number])
    if isinstance(rule, PrefixRule):
        certainty = match_prefix(rule, view, policy.hosts, layer)
    elif isinstance(rule, CommandRule):
        certainty = match_command(rule, view, policy.hosts, layer)
    else:
        return None
    if certainty is NO or expired(rule.meta, context):
        return None
    opened = opening(policy, rule.meta, layer, context, view.places) if policy.exceptions else None
    return Spoken(number, layer, rule.meta, certainty, about(rule, view.facts, view), opened)


def _command(policy: Policy, view: CommandView) -> Judged:
    facts = view.facts
    speech = Speech(_spoken_rules(policy, view))
    said = speech.decision
    silence = said is None or speech.highest_yes is None
    decision = said if said is not None else Decision.ALLOW
    why = ""
    if not facts.transparent:
        defaults = silent_defaults(policy, speech.highest_yes)
        for layer, declared in defaults:
            if declared.unmatched > decision or said is None:
                why = f"the {layer.word} layer's default is {declared.unmatched.word} ({declared.origin})"
            decision = max(decision, declared.unmatched)
        if not policy.defaults and silence:
            decision = max(decision, Decision.ASK)
            why = why or _no_rule(view)
    elif said is None:
        why = PASSES_ON
    unknowns, unread = _unread(policy, view, speech)
    if unread > decision or (unread is decision and not speech.counting):
        why = f"not known before it runs: {unknowns[0]}" if unknowns else why
    decision = max(decision, unread)
    if policy.exceptions and any(one.opened is not None for one in speech.spoken):
        why = "; ".join(filter(None, (_opened(speech), why)))
    part = Part(
        kind="command",
        text=" ".join([word.raw for word in facts.argv]),
        decision=decision,
        matches=speech.reports,
        unknowns=unknowns,
        via=_via(facts),
        why=why,
    )
    return Judged(part, speech.counting, runs=not facts.transparent)


def _opened(speech: Speech) -> str:
    return "; ".join(
        f"`{one.meta.id}` is opened by an exception until {one.opened.until}, approved by {one.opened.approved_by}"
        + (f" ({one.opened.ticket})" if one.opened.ticket else "")
        for one in speech.spoken
        if one.opened is not None
    )


def _no_rule(view: CommandView) -> str:
    program = view.program
    if program.text is None:
        return "the program is not known before it runs"
    if view.facts.shadowed:
        return f"`{program.text}` is a function or alias of this script: no allow covers it"
    if not program.found:
        return f"`{program.text}` is not known to be the program `{program.base}` that rules mean: no allow covers it"
    return "no rule covers it"


def _unread(policy: Policy, view: CommandView, speech: Speech) -> tuple[tuple[str, ...], Decision]:
    """What is not known about the command, and what that asks for.

    Code that a program exists to run is covered by an allow for the program, of the layer that asks or a higher one.
    """
    if not view.facts.unknowns and view.program.text is not None and not view.unread:
        return (), Decision.ALLOW
    unknowns = [unknown.why for unknown in view.facts.unknowns]
    hard = any(not unknown.code for unknown in view.facts.unknowns)
    if view.unread:
        unknowns.append(TOO_MANY)
        hard = True
    if view.program.text is None:
        unknowns.insert(0, view.facts.argv[0].why or "the program")
        hard = True
    least = Decision.ALLOW
    if hard:
        least = policy.unread()
    elif unknowns:
        allowed = speech.highest_allow
        if allowed is None:
            least = policy.unread()
        else:
            least = max(
                (declared.unknown for layer, declared in policy.defaults if allowed > layer),
                default=Decision.ALLOW,
            )
    return tuple(dict.fromkeys(unknowns)), least


# --- files ----------------------------------------------------------------------------------


def judge_file(
    policy: Policy,
    access: FileAccess,
    places: Places,
    context: CheckContext,
    *,
    outside: Decision,
    via: tuple[str, ...] = (),
) -> Judged:
    """One access. Outside the session's folders a change is `outside` where no rule speaks."""
    view = FileView.of(access.path, places, context)
    spoken: list[Spoken] = []
    paths = policy.index.paths
    whole = view.known and access.access is not Access.DELETE  # deleting a folder is about what lies in it
    for number in paths.about(view.known) if whole else paths.every:
        rule = policy.rules[number]
        assert isinstance(rule, PathRule)
        certainty = match_path(rule, view, access.access, context, places)
        if certainty is NO or expired(rule.meta, context):
            continue
        layer = Layer(policy.layers[number])
        opened = opening(policy, rule.meta, layer, context, places)
        spoken.append(Spoken(number, layer, rule.meta, certainty, (access.path.raw,), opened))
    speech = Speech(spoken)
    silent, why = _silent_file(view, access, context, outside)
    said = speech.decision
    if said is None:
        decision = silent
    elif silent is Decision.DENY:
        decision = Decision.DENY  # a protected place is opened by no rule
    elif speech.highest_yes is None:
        decision = max(said, silent)
    else:
        decision = said
    unknown = (
        ()
        if view.known or view.tail is not None
        else (f"path {access.path.raw}: {access.path.why or 'not known'}",)
    )
    part = Part(
        kind=access.access.value,
        text=access.path.raw,
        decision=decision,
        matches=speech.reports,
        unknowns=unknown if decision is not Decision.ALLOW else (),
        via=via,
        why=why if said is None or decision is not said else "",
    )
    return Judged(part, speech.counting, runs=False)


def _silent_file(
    view: FileView, access: FileAccess, context: CheckContext, outside: Decision
) -> tuple[Decision, str]:
    """What holds where no path rule speaks."""
    if access.access in (Access.READ, Access.EXECUTE):
        return Decision.ALLOW, ""
    name = access.path.raw
    if view.path in STREAMS:
        return Decision.ALLOW, "no file"
    if touches_protected(view, access.access, context):
        return Decision.DENY, f"`{name}` is protected: change it by hand, outside the session"
    if not writes_inside(view, context):
        if not view.known and view.start == "":
            return max(outside, Decision.ASK), f"where `{name}` lies is not known before it runs"
        return outside, f"`{name}` lies outside the folders that this session may write"
    if not view.known and any(_overlaps(view.start, root) for root in context.protected):
        return Decision.ASK, f"`{name}` may be a protected file"
    if context.sandbox is SandboxMode.READ_ONLY:
        return Decision.ASK, "the session is read-only"
    return Decision.ALLOW, "inside the folders that this session may write"


def _overlaps(start: str, root: str) -> bool:
    return root.startswith(start) or start.startswith(root)


# --- hosts and tools ------------------------------------------------------------------------


def judge_host(
    policy: Policy, host: str, port: int | None, protocol: str | None, context: CheckContext
) -> Judged:
    """A connection. A port or protocol that is not known may be any."""
    name = _name(host)
    places = Places(context.cwd, context.workspace, context.home)
    spoken: list[Spoken] = []
    for number in _host_candidates(policy, name):
        rule = policy.rules[number]
        assert isinstance(rule, NetworkRule)
        certainty = min(
            _same(rule.port, port), _same(rule.protocol, protocol), holds(rule.when, context, places)
        )
        if certainty is NO or expired(rule.meta, context):
            continue
        layer = Layer(policy.layers[number])
        opened = opening(policy, rule.meta, layer, context, places)
        spoken.append(Spoken(number, layer, rule.meta, certainty, (host,), opened))
    text = f"{protocol}://{name}" if protocol else name
    return _other(policy, "network", text + (f":{port}" if port is not None else ""), Speech(spoken))


def _host_candidates(policy: Policy, name: str) -> Iterator[int]:
    hosts = policy.index.hosts
    yield from hosts.get(name, ())
    at = -1 if is_address(name) else name.find(".")
    while at >= 0:
        yield from hosts.get("*" + name[at:], ())
        at = name.find(".", at + 1)


def _name(host: str) -> str:
    try:
        return canonical(host.strip())
    except BadName:
        return host.strip().rstrip(".").lower().removeprefix("[").removesuffix("]")


def names_exactly(
    policy: Policy, host: str, port: int | None, protocol: str | None, context: CheckContext
) -> bool:
    """Whether an allow in force is about this very host, and not about a whole domain."""
    places = Places(context.cwd, context.workspace, context.home)
    for number in policy.index.hosts.get(_name(host), ()):
        rule = policy.rules[number]
        assert isinstance(rule, NetworkRule)
        fits = min(_same(rule.port, port), _same(rule.protocol, protocol), holds(rule.when, context, places))
        counts = rule.meta.mode is Mode.ENFORCE and not expired(rule.meta, context)
        if fits is YES and counts and rule.meta.decision is Decision.ALLOW:
            return True
    return False


def _same(wanted: int | str | None, given: int | str | None) -> Certainty:
    if wanted is None or wanted == given:
        return YES
    return Certainty.MAYBE if given is None else NO


def judge_tool(
    policy: Policy, server: str | None, tool: str, arguments: Mapping[str, object], context: CheckContext
) -> Judged:
    """A tool call. Arguments that are no strings are compared as their JSON."""
    places = Places(context.cwd, context.workspace, context.home)
    spoken: list[Spoken] = []
    for number in policy.index.tools:
        rule = policy.rules[number]
        assert isinstance(rule, ToolRule)
        certainty = _tool(rule, server, tool, arguments, places)
        if certainty:
            certainty = min(certainty, holds(rule.when, context, places))
        if certainty is NO or expired(rule.meta, context):
            continue
        layer = Layer(policy.layers[number])
        opened = opening(policy, rule.meta, layer, context, places)
        words = (tool, *(name for name, _ in rule.arguments))
        spoken.append(Spoken(number, layer, rule.meta, certainty, words, opened))
    return _other(policy, "tool", f"{server}.{tool}" if server else tool, Speech(spoken))


def _tool(
    rule: ToolRule, server: str | None, tool: str, arguments: Mapping[str, object], places: Places
) -> Certainty:
    if (rule.server is None) is not (server is None):
        return NO
    found = fits_text(rule.tool, tool, places)
    if rule.server is not None and server is not None:
        found = min(found, fits_text(rule.server, server, places))
    for name, pattern in rule.arguments:
        if found is NO:
            break
        if name not in arguments:
            return NO
        found = min(found, fits_text(pattern, argument_text(arguments[name]), places))
    return found


def argument_text(value: object) -> str:
    """A tool argument as the word that patterns are compared with."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def _other(policy: Policy, kind: str, text: str, speech: Speech) -> Judged:
    said = speech.decision
    decision = said if said is not None else Decision.ALLOW
    why = ""
    highest = speech.highest_yes
    for layer, declared in silent_defaults(policy, highest):
        if declared.unmatched > decision or said is None:
            why = f"the {layer.word} layer's default is {declared.unmatched.word} ({declared.origin})"
        decision = max(decision, declared.unmatched)
    if not policy.defaults and highest is None:
        decision = max(decision, Decision.ASK)
        why = "no rule covers it"
    part = Part(kind=kind, text=text, decision=decision, matches=speech.reports, why=why)
    return Judged(part, speech.counting)


def literal(path: str) -> Word:
    """A path that no shell reads: `~` is an ordinary character."""
    return Word.literal(path, raw="./" + path if path.startswith("~") else path)
